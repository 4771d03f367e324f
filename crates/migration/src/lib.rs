//! Who is at the front: measurement, score, election, lease and handover.
//!
//! [`Migration`] is the machine of one member, [`Voter`] what a member and the witness
//! promise by. Neither reads a clock or opens a socket.

mod config;
mod electorate;
mod io;
mod judge;
mod migration;
mod place;
mod rank;
mod voter;

pub use config::{MigrationConfig, MigrationConfigError};
pub use electorate::Electorate;
pub use io::{
    Admission, Candidate, Event, Identity, MigrationStats, MixerState, Output, Reason, StageOrder,
    Verdict, Welcome, WitnessReply, WitnessRequest,
};
pub use judge::{Decision, Judge, JudgeConfig, Score};
pub use migration::Migration;
#[cfg(feature = "__mutants")]
pub use migration::Mutant;
pub use paceline_framing::{Lease, Role, Roster, RosterId, Vote, VoteRequest};
pub use paceline_types as types;
pub use place::classify;
pub use rank::first_host;
pub use voter::Voter;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
