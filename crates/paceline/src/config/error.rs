//! Why a config cannot be used.

use std::error::Error;
use std::fmt;
use std::net::IpAddr;

use paceline_session::Topology;

/// A field of [`Config`](crate::Config) that is out of its bounds.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum ConfigError {
    /// Not the URL of a STUN server.
    BadStun {
        /// What it is.
        url: String,
    },
    /// A room with a broadcast's shape.
    BroadcastRoom,
    /// Somebody asks to host where nobody does.
    HostInMesh,
    /// The ladder of our picture cannot be as asked.
    Ladder(paceline_codec::LadderConfigError),
    /// The mix cannot be made as asked.
    Mix(paceline_playout::ConfigError),
    /// The sockets are bound to an address that needs STUN, and there is none.
    NoStun {
        /// The address.
        bind: IpAddr,
    },
    /// A side of a picture is odd, and H.264 has none such.
    Odd {
        /// The field.
        field: &'static str,
        /// What it was.
        value: u16,
    },
    /// A number is too small or too large.
    OutOfBounds {
        /// The field.
        field: &'static str,
        /// What it was.
        value: u128,
        /// The least it may be.
        min: u128,
        /// The most it may be.
        max: u128,
        /// What it is counted in.
        unit: &'static str,
    },
    /// More connections than a mesh has.
    TooManyForMesh {
        /// What it was.
        max_peers: usize,
    },
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadStun { url } => write!(f, "stun has {url:?}: it must be stun:HOST:PORT"),
            Self::BroadcastRoom => f.write_str(
                "a room is no Topology::Broadcast: take Topology::Mesh or Topology::Star",
            ),
            Self::HostInMesh => f.write_str(
                "nobody hosts in a mesh: leave `host(true)` out, or take Topology::Star",
            ),
            Self::Ladder(error) => error.fmt(f),
            Self::Mix(error) => error.fmt(f),
            Self::Odd { field, value } => write!(f, "{field} is {value}: it must be even"),
            Self::NoStun { bind } => write!(
                f,
                "bind is {bind} and stun is empty: name a STUN server, or bind a loopback or \
                 private address"
            ),
            Self::OutOfBounds { field, value, min, max, unit } => {
                write!(f, "{field} is {value}{unit}: it must be {min} to {max}{unit}")
            }
            Self::TooManyForMesh { max_peers } => write!(
                f,
                "max_peers is {max_peers}: in a mesh each sends to all, and it must be {} to {}; \
                 with Topology::Star one hosts for up to {}",
                1,
                Topology::Mesh.max_peers(),
                Topology::Star.max_peers(),
            ),
        }
    }
}

impl Error for ConfigError {}
