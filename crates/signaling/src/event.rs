//! What a client learns, and what can be wrong with what it hears.

use std::error::Error;
use std::fmt;

use paceline_migration::WitnessReply;
use paceline_types::{Epoch, PeerId, Signal};

use crate::limits::MAX_REPLY;
use crate::message::{Joined, Member};

/// What [`Client`](crate::Client) has to say.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ClientOutput {
    /// For the application.
    Event(ClientEvent),
    /// For the server, as one text message.
    Send(String),
}

/// What happened in the room.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ClientEvent {
    /// The host changed.
    Host {
        /// Who hosts now.
        host: Option<PeerId>,
        /// Since when.
        epoch: Epoch,
    },
    /// The server did not agree to [`Client::set_hosting`](crate::Client::set_hosting); nothing has changed.
    HostRefused {
        /// Which error, of [`code`](crate::code) if it is our server.
        code: i64,
        /// Why.
        message: String,
    },
    /// This peer is in the room.
    Joined(Joined),
    /// Somebody else came.
    PeerJoined(Member),
    /// Somebody else went.
    PeerLeft {
        /// Who.
        peer: PeerId,
        /// The server's words on why: of any length a frame has, for a log.
        reason: String,
    },
    /// The server did not let this peer in. The connection is of no more use.
    Refused {
        /// Which error, of [`code`](crate::code) if it is our server.
        code: i64,
        /// Why.
        message: String,
    },
    /// A signal did not get to its peer.
    SendFailed {
        /// Who it was for.
        to: PeerId,
        /// Which error, of [`code`](crate::code) if it is our server.
        code: i64,
        /// Why.
        message: String,
    },
    /// A signal came.
    Signal {
        /// Who sent it: the server vouches for that.
        from: PeerId,
        /// What it says.
        signal: Signal,
    },
    /// The witness answers [`Client::witness`](crate::Client::witness), or the server would
    /// not let it: then it is not granted.
    Witness(WitnessReply),
}

/// A text from the server that is not what the protocol has there.
///
/// Each is the server's doing and changed nothing here: count it, and go on.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ClientError {
    /// The server could not tell what an earlier message of ours was.
    Complaint {
        /// Which error.
        code: i64,
        /// The server's words.
        message: String,
    },
    /// The parameters or the result do not fit the method.
    BadParams {
        /// The method.
        method: &'static str,
        /// What is wrong with them.
        why: String,
    },
    /// The text is longer than [`MAX_REPLY`].
    FrameTooLong {
        /// Its bytes.
        len: usize,
    },
    /// The text is not a JSON-RPC 2.0 message.
    NotJsonRpc {
        /// What is wrong with it.
        why: String,
    },
    /// A response to nothing we asked, or asked too long ago.
    UnknownResponse,
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Complaint { code, message } => {
                write!(f, "the server could not read our message: {message:?} ({code})")
            }
            Self::BadParams { method, why } => write!(f, "{method} from the server: {why}"),
            Self::FrameTooLong { len } => {
                write!(f, "{len} bytes from the server, the limit is {MAX_REPLY}")
            }
            Self::NotJsonRpc { why } => write!(f, "not JSON-RPC 2.0 from the server: {why}"),
            Self::UnknownResponse => f.write_str("a response from the server to no request"),
        }
    }
}

impl Error for ClientError {}
