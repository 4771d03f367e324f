//! Sending to a server that forwards (RFC 7667 §3.7), and to nobody else.
//!
//! | file | what it is | reads a clock |
//! |---|---|---|
//! | `track`, `limits`, `config` | what is sent, and the bounds | no |
//! | `history` | what was sent and may be asked for again | no |
//! | `reports` | what the other end says of the path | no |
//! | `mailbox`, `owner` | what the owner is told, and hands over | no |
//! | `chain`, `engine` | the engine and its interceptors, driven by hand | no |
//! | `routes` | which of our addresses reaches a candidate | no |
//! | `clock`, `task` | the socket and the clock | yes |
//!
//! What has no ICE and no DTLS, [`PlainUplink`](crate::PlainUplink), shares all but the engine.

mod clock;
mod history;
mod limits;
mod mailbox;
mod owner;
mod reports;
mod track;

#[cfg(feature = "webrtc")]
mod chain;
#[cfg(feature = "webrtc")]
mod config;
#[cfg(feature = "webrtc")]
mod connection;
#[cfg(feature = "webrtc")]
mod engine;
#[cfg(feature = "webrtc")]
mod routes;
#[cfg(feature = "webrtc")]
mod task;

pub(crate) use self::clock::{now, sleep_until};
#[cfg(feature = "webrtc")]
pub use self::config::UplinkConfig;
#[cfg(feature = "webrtc")]
pub use self::connection::Uplink;
pub(crate) use self::history::History;
pub use self::limits::UplinkLimits;
pub(crate) use self::mailbox::Mailbox;
pub use self::mailbox::{UplinkError, UplinkStats};
pub(crate) use self::owner::{Owner, TaskEnd};
pub(crate) use self::reports::Reports;
pub use self::track::{HeaderExtension, TrackKind, UplinkTrack};
