//! What comes out of a flow.

use std::fmt;

use paceline_types::Bitrate;
use serde_json::Value;

use super::{FlowError, PlainRemote};
use crate::protoo::ResponseError;
use crate::rtp_parameters::{MediaKind, Negotiated};

/// What a [`Flow`](super::Flow) wants done, or has to tell. Its `Debug` does not show a text for
/// the server, which may hold a key.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub enum Output {
    /// An answer to apply to the engine, as SDP.
    Answer(String),
    /// What became of pausing, resuming or closing a producer.
    Controlled {
        /// What was asked for.
        action: ProducerAction,
        /// Of which producer.
        kind: MediaKind,
        /// Whether it is done.
        result: Result<(), ResponseError>,
    },
    /// The server's estimate of what it can send to us, who consume nothing.
    DownlinkEstimate(Bitrate),
    /// It is over. Nothing follows; the socket is to be closed.
    Failed(FlowError),
    /// What the router and we agreed on, for the one who packetizes; before the first packet.
    Negotiated(Vec<Negotiated>),
    /// Something else the server tells everybody, such as who comes and goes.
    Notification {
        /// What of, without control characters.
        method: String,
        /// As it came: not checked.
        data: Value,
    },
    /// Where to send to over a plain transport, and under which keys.
    Plain(PlainRemote),
    /// Every producer exists, and the engine has a path: media can flow. Comes once.
    Ready {
        /// In the order of the configuration.
        producers: Vec<Producer>,
    },
    /// The server has restarted its half of ICE: the engine is to make an offer that
    /// restarts its half, for [`Flow::handle_offer`](super::Flow::handle_offer).
    RestartIce,
    /// The server would not restart ICE. Media goes on if there is a path.
    RestartRefused(ResponseError),
    /// How well a stream arrives at the server, from 0 to 10 (mediasoup's `ProducerScore`).
    Score {
        /// Which.
        kind: MediaKind,
        /// Of its worst encoding.
        score: u8,
    },
    /// A text for the server.
    Transmit(String),
    /// The server's version of mediasoup.
    Version(String),
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, field): (_, &dyn fmt::Debug) = match self {
            Self::Answer(sdp) => ("Answer", sdp),
            Self::Controlled { action, kind, result } => {
                return write!(f, "Controlled({action}, {kind}, {result:?})");
            }
            Self::DownlinkEstimate(bitrate) => ("DownlinkEstimate", bitrate),
            Self::Failed(error) => ("Failed", error),
            Self::Negotiated(agreed) => ("Negotiated", agreed),
            Self::Notification { method, data } => {
                return write!(f, "Notification({method}, {data})");
            }
            Self::Plain(remote) => ("Plain", remote),
            Self::Ready { producers } => ("Ready", producers),
            Self::RestartIce => return f.write_str("RestartIce"),
            Self::RestartRefused(error) => ("RestartRefused", error),
            Self::Score { kind, score } => return write!(f, "Score({kind}, {score})"),
            Self::Transmit(text) => return write!(f, "Transmit({} bytes)", text.len()),
            Self::Version(version) => ("Version", version),
        };
        f.debug_tuple(name).field(field).finish()
    }
}

/// A stream the server has taken.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Producer {
    /// Sound or pictures.
    pub kind: MediaKind,
    /// The server's name for it.
    pub id: String,
}

/// What can be done to a producer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ProducerAction {
    /// It ends.
    Close,
    /// Nobody gets it until it is resumed.
    Pause,
    /// It goes on.
    Resume,
}

impl ProducerAction {
    pub(super) const fn method(self) -> &'static str {
        match self {
            Self::Close => "closeProducer",
            Self::Pause => "pauseProducer",
            Self::Resume => "resumeProducer",
        }
    }
}

impl fmt::Display for ProducerAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.method())
    }
}
