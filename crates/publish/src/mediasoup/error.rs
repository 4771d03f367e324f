//! Why nothing is published.

use std::fmt;

use crate::protoo::{RequestError, ResponseError};
use crate::rtp_parameters::{MediaKind, NegotiationError};
use crate::sdp::SdpError;

/// Where a flow is.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Step {
    /// Asks what the router takes.
    Capabilities,
    /// Asks for a transport.
    Transport,
    /// Joins the room.
    Join,
    /// Waits for the engine's offer.
    Offer,
    /// Tells the server our half of the transport.
    Connect,
    /// Announces the streams.
    Produce,
    /// Waits for the engine to have a path.
    Path,
    /// Media can flow.
    Ready,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Capabilities => "asking for the router's capabilities",
            Self::Transport => "asking for a transport",
            Self::Join => "joining the room",
            Self::Offer => "waiting for the engine's offer",
            Self::Connect => "connecting the transport",
            Self::Produce => "announcing the streams",
            Self::Path => "waiting for a path",
            Self::Ready => "publishing",
        })
    }
}

/// Why a flow has ended.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum FlowError {
    /// The server, or the network, closed the connection.
    #[error("closed while {step}")]
    Closed {
        /// When.
        step: Step,
    },
    /// The server's answer lacks a field, or has a value that none can have.
    #[error("the answer while {step}: `{field}` is missing or not valid")]
    Malformed {
        /// To what.
        step: Step,
        /// Which.
        field: &'static str,
    },
    /// Server and engine have no codec in common.
    #[error(transparent)]
    Negotiation(#[from] NegotiationError),
    /// The server said no.
    #[error("rejected while {step}, with {code}: {reason}")]
    Rejected {
        /// To what.
        step: Step,
        /// The server's number for it: of HTTP, by custom.
        code: i64,
        /// The server's words.
        reason: String,
    },
    /// A request could not be sent: ours is the mistake, or a limit is too low.
    #[error("not sent while {step}: {error}")]
    Request {
        /// Which.
        step: Step,
        /// Why.
        error: RequestError,
    },
    /// The engine's offer, or what the answer to it would be made of, cannot be used.
    #[error("while {step}: {error}")]
    Sdp {
        /// When.
        step: Step,
        /// Why.
        error: SdpError,
    },
    /// The server's plain transport is not encrypted, or not as asked. Nothing is sent to it.
    #[error("the server's plain transport has no SRTP as asked for")]
    SrtpUnavailable,
    /// Nobody is there, or the connection broke before there was an answer.
    #[error("no answer while {step}: {reason}")]
    Unreachable {
        /// To what.
        step: Step,
        /// The system's words.
        reason: String,
    },
    /// The server did not answer in time, or the engine has found no path.
    #[error("timed out while {step}")]
    TimedOut {
        /// When.
        step: Step,
    },
}

impl FlowError {
    pub(crate) fn of_response(step: Step, error: ResponseError) -> Self {
        match error {
            ResponseError::Closed => Self::Closed { step },
            ResponseError::Rejected { code, reason } => Self::Rejected { step, code, reason },
            ResponseError::TimedOut => Self::TimedOut { step },
        }
    }
}

/// Why a producer cannot be paused, resumed or closed now, or ICE not restarted.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ControlError {
    /// The transport is not connected, or has no ICE.
    #[error("there is no connected WebRTC transport")]
    NotConnected,
    /// There is no producer of this kind, or it is closed.
    #[error("no {0} is produced")]
    NotProduced(MediaKind),
    /// It could not be sent.
    #[error(transparent)]
    Request(#[from] RequestError),
}
