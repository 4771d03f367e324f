//! Who is connected to whom.
//!
//! [`Mesh`] is a machine that keeps one connection to each peer it is told to
//! call or to expect: it takes signals and connection events, says what each
//! connection has to do, says hello, notices who is gone, and cuts every packet
//! once for all who get it. Each peer has a queue of its own, so a slow one keeps
//! nobody waiting.
//!
//! # Example
//!
//! Two meshes that are connected by a loop of a few lines:
//!
//! ```
//! use std::time::Instant;
//!
//! use paceline_mesh::types::{ConnectionEvent, ConnectionOp, PeerId, SenderId, Signal};
//! use paceline_mesh::{Event, Identity, Mesh, MeshConfig, Output, Role};
//!
//! let now = Instant::now();
//! let identity = |byte| Identity {
//!     session: [7; 16],
//!     peer: PeerId::from_bytes([byte; 16]),
//!     sender: SenderId::new(byte.into()),
//!     role: Role::Member,
//! };
//! let (a, b) = (identity(1), identity(2));
//! let mut meshes = [Mesh::new(now, a, MeshConfig::default()), Mesh::new(now, b, MeshConfig::default())];
//! let mut connected = 0;
//!
//! meshes[0].call(now, b.peer, b.sender)?;
//! meshes[1].expect(now, a.peer, a.sender)?;
//! for turn in (0..20).map(|turn| turn % 2) {
//!     let (here, there) = if turn == 0 { (a.peer, 1) } else { (b.peer, 0) };
//!     while let Some(output) = meshes[turn].poll_output() {
//!         match output {
//!             // A transport would make an offer; here the channel opens at once.
//!             Output::Connection { peer, op: ConnectionOp::Call } => {
//!                 meshes[turn].handle_connection(now, peer, ConnectionEvent::Open);
//!                 meshes[there].handle_signal(now, here, Signal::Offer { sdp: String::new() });
//!                 meshes[there].handle_connection(now, here, ConnectionEvent::Open);
//!             }
//!             Output::Transmit { bytes, .. } => {
//!                 meshes[there].handle_connection(now, here, ConnectionEvent::Message(bytes));
//!             }
//!             Output::Event(Event::Connected { .. }) => connected += 1,
//!             _ => {}
//!         }
//!     }
//! }
//! assert_eq!(connected, 2);
//! # Ok::<(), paceline_mesh::CallError>(())
//! ```
//!
//! # Where to start reading
//!
//! [`Mesh`] decides who is connected; `peer` below it is one connection: its
//! hello, its queue, its heartbeat.

mod cache;
mod config;
mod credit;
mod io;
mod mesh;
mod pacer;
mod path;
mod peer;
mod probe;
mod quality;
mod topology;

pub use cache::{Cache, CacheConfig};
pub use config::MeshConfig;
pub use credit::{Credit, Meter, Overrun, Window, credit_cost};
pub use io::{CallError, Event, Identity, Output, Reason, Recipients};
pub use mesh::Mesh;
pub use paceline_framing::{self as framing, Role};
pub use paceline_types as types;
pub use pacer::{Pacer, PacerConfig};
pub use peer::PeerStats;
pub use probe::Probe;
pub use quality::{Direction, Quality, QualityConfig, QualityMeter, RttRange, StreamQuality};
pub use topology::{Link, Place, Topology};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
