//! One node of a call, as a machine.
//!
//! [`Session`] composes framing, jitter buffers, lip sync, the mesh and, in a star, the
//! machine that knows who hosts: signals, messages and encoded frames go in; messages,
//! frames to decode, orders for a stage and events come out. It reads no clock and opens no socket, so a whole call is a loop of a few
//! lines around it, in the facade with real time and in the simulator without.
//!
//! # Example
//!
//! ```
//! use std::time::Instant;
//!
//! use paceline_session::types::{Epoch, PeerId, SenderId};
//! use paceline_session::{Event, Input, Member, Output, Role, Roster, Session, SessionConfig};
//!
//! let now = Instant::now();
//! let us = PeerId::from_bytes([1; 16]);
//! let mut session = Session::new(us, SessionConfig::default());
//! let roster = Roster {
//!     session: [7; 16],
//!     sender: SenderId::new(1),
//!     epoch: Epoch::new(1, 0),
//!     host: Some(us),
//!     members: Vec::new(),
//!     may_host: true,
//!     genesis: true,
//! };
//! session.handle_input(now, Input::Joined(roster));
//! assert!(matches!(session.poll_output(), Some(Output::Role { role: Role::Host, .. })));
//!
//! let ben = Member {
//!     peer: PeerId::from_bytes([2; 16]),
//!     sender: SenderId::new(2),
//!     name: "ben".into(),
//!     may_host: false,
//!     nat: None,
//! };
//! session.handle_input(now, Input::MemberJoined(ben));
//! let outputs: Vec<_> = std::iter::from_fn(|| session.poll_output()).collect();
//! assert!(matches!(&outputs[..], [.., Output::Event(Event::MemberJoined { name, .. })] if name == "ben"));
//! ```
//!
//! # Where to start reading
//!
//! [`Session`] is the composition. Its parts: `joining` is who is in the room, `links` who
//! is connected to whom, `media` where frames go and what becomes of those that come,
//! `migrating` who hosts, `incoming` who may say what, `early` what waits for its host,
//! `measure` what others are told of how they are placed. `receive` is the way of a media
//! packet to its decoder; `steering` turns what the network asks for into what encoders do, and `bitrate` finds
//! out what a path takes.

mod bitrate;
mod config;
mod event;
mod io;
mod receive;
mod session;
mod steering;

pub use config::SessionConfig;
pub use event::Event;
pub use io::{Input, MIX_SENDER, Member, Output, PathReport, Reason, Roster, SessionStats};
pub use paceline_framing::{AbortReason, NatState, Role, RosterMember};
pub use paceline_jitter::{JitterConfig, JitterStats, SyncConfig};
pub use paceline_mesh::{
    DataError, MAX_DATA, MeshConfig, MeshStats, PADDING, PeerStats, Quality, Recipients, Topology,
};
pub use paceline_migration::{
    MigrationConfig, MigrationStats, MixerState, StageOrder, WitnessReply, WitnessRequest,
};
pub use paceline_types as types;
pub use receive::ReceiveStats;
pub use session::Session;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
