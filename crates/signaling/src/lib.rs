//! How peers find each other: JSON-RPC 2.0 rooms over WebSocket.
//!
//! A peer announces itself in a room, learns who else is there and who hosts,
//! and passes offers, answers and candidates to one of them at a time. The
//! server says who sent what; rooms know nothing of each other. Each room is also the
//! witness of its elections: a voter that is always there.
//!
//! [`Client`] and [`Rooms`] are the two ends as machines: no socket, no clock, no
//! task. Text goes in and comes out, every limit is in [`limits`] and
//! [`RoomsConfig`], and the same inputs give the same outputs.
//!
//! | feature | brings |
//! |---|---|
//! | `client` | `Connection`, a client's socket on tokio |
//! | `server` | `Server`, a server's sockets on axum |
//!
//! # Example
//!
//! ```
//! use std::time::Instant;
//!
//! use paceline_signaling::types::PeerId;
//! use paceline_signaling::{Client, ClientConfig, ClientEvent, ClientOutput};
//! use paceline_signaling::{ConnId, Rooms, RoomsConfig, RoomsOutput};
//!
//! let mut rooms = Rooms::new(RoomsConfig::default(), 1);
//! let mut client = Client::new(ClientConfig::new(PeerId::from_random([7; 16]), "Ada"));
//!
//! let (now, conn) = (Instant::now(), ConnId::new(1));
//! rooms.handle_open(now, conn, "kitchen");
//! client.handle_open();
//! let Some(ClientOutput::Send(announce)) = client.poll_output() else { unreachable!() };
//! rooms.handle_text(now, conn, &announce);
//! let Some(RoomsOutput::Send { text, .. }) = rooms.poll_output() else { unreachable!() };
//! client.handle_text(&text)?;
//! let Some(ClientOutput::Event(ClientEvent::Joined(joined))) = client.poll_output() else {
//!     unreachable!()
//! };
//! assert!(joined.members.is_empty() && joined.host.is_none());
//! # Ok::<(), paceline_signaling::ClientError>(())
//! ```
//!
//! # Where to start reading
//!
//! [`Rooms`] has the server's rules, with one room in `room.rs` and its vote in
//! `witness.rs`; [`Client`] the
//! other side; `rpc.rs` JSON-RPC, which knows nothing of rooms.
//! `docs/SIGNALING.md` lists the methods.

mod allowance;
mod client;
pub mod code;
mod config;
#[cfg(feature = "client")]
mod connection;
mod event;
pub mod limits;
#[cfg(feature = "server")]
mod listener;
mod message;
mod nat;
mod output;
mod room;
mod rooms;
mod rpc;
#[cfg(feature = "server")]
mod server;
#[cfg(feature = "server")]
mod socket;
#[cfg(feature = "client")]
mod url;
mod wire;
mod witness;

pub use client::{Client, ClientConfig};
pub use config::RoomsConfig;
#[cfg(feature = "client")]
pub use connection::{ConnectError, Connection};
pub use event::{ClientError, ClientEvent, ClientOutput};
pub use message::{Capabilities, Joined, Member, PROTOCOL};
pub use nat::Nat;
pub use output::{CloseReason, ConnId, RoomsOutput, RoomsStats};
pub use paceline_framing as framing;
pub use paceline_migration::{Lease, Vote, VoteRequest, WitnessReply, WitnessRequest};
pub use paceline_types as types;
pub use paceline_types::Signal;
pub use rooms::Rooms;
#[cfg(feature = "server")]
pub use server::{Server, ServerConfig, ServerError};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
