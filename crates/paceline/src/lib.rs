//! Calls without a media server.
//!
//! Join a room, publish a picture and a sound, and get back the picture and the
//! sound of everybody. One participant hosts: his node mixes what the others send
//! and sends each the mix, over one WebRTC data channel per pair.
//!
//! ```no_run
//! use paceline::{Event, Publish, Room};
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let mut room = Room::builder("ws://127.0.0.1:4455/lobby")
//!     .name("ada")
//!     .publish(Publish::test())
//!     .join()
//!     .await?;
//! while let Some(event) = room.next().await {
//!     if let Event::Speaking { name, .. } = event {
//!         println!("{} is speaking", name.as_deref().unwrap_or("nobody"));
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # How data flows
//!
//! ```text
//!  capture threads          driver task (owns Session)              engine
//!  source ▶ encoder ──────▶ packets ▶ one queue per peer ─────────▶ data channel
//!
//!  engine                   driver task                             stage thread
//!  data channel ──────────▶ reassembly ▶ jitter buffers ▶ due ────▶ decoder ▶ Stage ▶ you
//!                                        ▲                                    │
//!                                        └─── the host's mix, encoded ◀───────┘
//! ```
//!
//! The machines are in crates of their own, each usable alone: see [`session`],
//! [`playout`], [`capture`], [`codec`], [`signaling`], [`transport`].
//!
//! # Where to start reading
//!
//! [`Room`] is what a program holds; `driver` is the loop that owns the session,
//! `stage` the one that decodes and mixes. Both read the clock; nothing below
//! them does.

mod config;
mod counters;
mod driver;
mod error;
mod event;
mod publish;
mod room;
mod speaker;
mod stage;
mod wire;

pub use config::{Config, ConfigError};
pub use counters::{MediaStats, Stats};
pub use error::{JoinError, PublishError};
pub use event::{Event, Picture, Sound};
pub use paceline_capture as capture;
pub use paceline_codec as codec;
pub use paceline_playout as playout;
pub use paceline_session as session;
pub use paceline_signaling as signaling;
pub use paceline_transport as transport;
pub use paceline_types as types;
pub use publish::{AudioInput, Publish, VideoInput};
pub use room::{Room, RoomBuilder};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
