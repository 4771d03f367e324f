//! Sending to an SFU, and what to do when that does not work.

pub use paceline_types as types;

pub mod broadcaster;
#[cfg(feature = "client")]
mod client;
mod event;
mod failure;
mod health;
pub mod mediasoup;
#[cfg(feature = "mirror")]
pub mod mirror;
pub mod protoo;
pub mod rtp_parameters;
pub mod sdp;
mod supervisor;
mod window;

#[cfg(feature = "client")]
pub use client::{
    AudioTrack, Auth, PublishError, SendError, SfuConfig, SfuEvent, SfuSender, SfuStats, SfuTarget,
    TargetError, VideoTrack,
};
pub use event::{Attempt, Event, FallbackReason, Target};
pub use failure::{Classifier, ClassifierConfig, Counts, Failure, FailureKind, Severity};
pub use health::{Health, LastErrors, State, TransportState};
pub use supervisor::{Output, Supervisor, SupervisorConfig, SupervisorStats};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
