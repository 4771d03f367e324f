//! A whole call in virtual time: network emulator, clock and world.
//!
//! [`World`] has people in a call: each is a real session with a real stage, and
//! they find each other by the real signalling machines. Only time, chance and the
//! network are made up, and a seed decides them: ten minutes pass in seconds, and
//! whatever went wrong goes wrong again.
//!
//! Pictures and sounds are not compressed, and carry marks that tell who made them
//! and when. So order, loss and latency are those of what is shown and played at
//! the other end, not what some machine counted.
//!
//! # Example
//!
//! ```
//! use std::time::Duration;
//!
//! use paceline_sim::{LinkConfig, World, WorldConfig};
//!
//! let mut world = World::new(WorldConfig::default().link(LinkConfig::wan()));
//! let ann = world.join_to_host("ann");
//! let ben = world.join("ben");
//! world.run_for(Duration::from_secs(5));
//!
//! let report = world.report();
//! let ann_at_ben = &report.node(ben).perceived[&ann];
//! assert!(ann_at_ben.sounds.frames > 150 && ann_at_ben.sounds.out_of_order == 0);
//! assert!(ann_at_ben.pictures.latency.p50 < Duration::from_millis(500));
//! ```
//!
//! # Where to start reading
//!
//! [`World`] has the loop; `node` does what the facade's driver does, and `playout`
//! what its stage thread does. [`Network`] is what the [`SimTransport`] of each node
//! works on: links of [`Netem`], the ends of connections with their signalling states and
//! paths, and in `reliable` the part of SCTP that can be felt. `mark` draws the marks, and
//! `senses` reads them. [`Fabric`] has bare meshes instead of nodes, for what takes
//! hundreds of tries.

mod clock;
mod config;
mod encoder;
mod fabric;
pub mod kills;
mod mark;
mod mixing;
mod netem;
mod network;
mod node;
mod playout;
pub mod publish;
mod random;
mod reliable;
mod report;
mod senses;
mod source;
mod switchboard;
mod transport;
mod voice;
mod world;

pub use clock::{epoch, wall_clock};
pub use config::WorldConfig;
pub use fabric::{Fabric, FabricConfig, Holding, RoadConfig, Tally};
pub use netem::{LinkConfig, Netem, NetemStats, Verdict};
pub use network::{Bottleneck, Network, NetworkConfig, NetworkStats};
pub use paceline_types as types;
pub use random::Random;
pub use reliable::Recovery;
pub use report::{Gap, NodeReport, Perceived, Report, Spread, TrackReport};
pub use transport::SimTransport;
pub use world::{NodeId, World};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
