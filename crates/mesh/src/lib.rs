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
//!             // A transport: what it says first, and when its channel opens.
//!             Output::Connection { peer, op } => {
//!                 let says = match op {
//!                     ConnectionOp::Call => vec![Signal::Offer { sdp: "offer".into() }],
//!                     ConnectionOp::Remote(Signal::Offer { .. }) => {
//!                         vec![Signal::Answer { sdp: "answer".into() }]
//!                     }
//!                     _ => vec![],
//!                 };
//!                 let opens = matches!(op, ConnectionOp::Remote(_)).then_some(ConnectionEvent::Open);
//!                 for event in says.into_iter().map(ConnectionEvent::Local).chain(opens) {
//!                     meshes[turn].handle_connection(now, peer, event);
//!                 }
//!             }
//!             Output::Signal { signal, .. } => meshes[there].handle_signal(now, here, signal),
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
//! [`Mesh`] knows the peers; `joining` is how their connections come about, `incoming`
//! what comes over them, `reconnect` how a lost path is looked for, `lifecycle` how they
//! end, and `peer` is one of them: its queue, its heartbeat. `rtp` is media beside the
//! channel. [`Negotiator`] decides whose
//! offer stands, `supervisor` whose turn it is.

mod cache;
mod candidates;
mod config;
mod credit;
mod description;
mod fanout;
mod incoming;
mod io;
mod joining;
mod lifecycle;
mod load;
mod mesh;
mod negotiation;
mod pacer;
mod path;
mod peer;
mod pictures;
mod probe;
mod quality;
mod reason;
mod reconnect;
mod rtp;
mod signaling;
mod stats;
mod supervisor;
mod topology;

pub use cache::{Cache, CacheConfig};
pub use config::MeshConfig;
pub use credit::{Credit, Meter, Overrun, Window, credit_cost};
pub use fanout::{DataError, MAX_DATA, PADDING};
pub use io::{CallError, CaptureTime, Event, Identity, Output, Reason, Recipients};
pub use load::Load;
pub use mesh::Mesh;
pub use negotiation::Negotiator;
pub use paceline_framing::{self as framing, Role};
pub use paceline_types as types;
pub use pacer::{Pacer, PacerConfig};
pub use probe::Probe;
pub use quality::{Direction, Quality, QualityConfig, QualityMeter, RttRange, StreamQuality};
pub use reason::{GoneReason, Phase, Refusal};
pub use rtp::{RtpConfig, RtpStats};
pub use signaling::{NegotiatorConfig, NegotiatorOutput, SignalVerdict, SignalingState};
pub use stats::{MeshStats, PeerStats};
pub use topology::{Link, Place, Topology};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
