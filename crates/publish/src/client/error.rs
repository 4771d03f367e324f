//! Why nothing is sent.

use std::net::{IpAddr, SocketAddr};

use crate::failure::printable;
use crate::mediasoup::Step;

/// A text that names no SFU.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "`{text}` is no target: it is mediasoup:wss://HOST:PORT/?roomId=ROOM&peerId=NAME or \
     broadcaster:https://HOST:PORT/rooms/ROOM (http on this machine only, ws there or where nobody \
     listens in)"
)]
pub struct TargetError {
    /// It, without what may be secret: user, query and fragment.
    pub text: String,
}

impl TargetError {
    pub(super) fn of(text: &str) -> Self {
        let (shown, cut) = match text.find(['?', '#']) {
            Some(at) => (&text[..at], "?…"),
            None => (text, ""),
        };
        let (start, rest) = match shown.rfind('@') {
            // A user and a password come before it.
            Some(at) => {
                let start = shown.find("://").map_or(0, |at| at + 3);
                (&shown[..start.min(at)], &shown[at + 1..])
            }
            None => (shown, ""),
        };
        Self { text: printable(&format!("{start}{rest}{cut}")) }
    }
}

/// Why an attempt to send to an SFU came to nothing.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// The server does not know us, or not here.
    #[error("the server refuses us ({status}): check the token")]
    AuthRefused {
        /// The HTTP status, 401 or 403.
        status: u16,
    },
    /// The target is none.
    #[error(transparent)]
    BadTarget(#[from] TargetError),
    /// The server takes media at no address that is reached from ours.
    #[error(
        "the server takes media at {server}, which is not reached from {bind}: bind another \
         address"
    )]
    Bind {
        /// The address that was bound.
        bind: IpAddr,
        /// The server's, the first of those it named.
        server: IpAddr,
    },
    /// What we were told to ask for cannot be written.
    #[error("{what} cannot be sent to a server")]
    BadRequest {
        /// Which part of it.
        what: String,
    },
    /// It went away while we were at it.
    #[error("the server closed the connection: {reason}")]
    Closed {
        /// Its words, or the system's.
        reason: String,
    },
    /// The engine could not make the connection.
    #[error("no media connection: {reason}")]
    Engine {
        /// The engine's words.
        reason: String,
    },
    /// Whoever wanted it does not want it any more.
    #[error("the attempt was given up")]
    GivenUp,
    /// The keys of the media would be readable on the way.
    #[error("{target} would tell the keys of the media to whoever listens: use https")]
    Insecure {
        /// The target, without what may be secret.
        target: String,
    },
    /// The server takes media at names, and none of them has an address.
    #[error(
        "the server takes media at {host}, and nobody says which address that is: check the name \
         server, or have the server announce an address"
    )]
    Name {
        /// The first of them.
        host: String,
    },
    /// It and we have nothing in common, or it said what cannot be.
    #[error("nothing could be agreed on: {reason}")]
    Negotiation {
        /// What was wrong.
        reason: String,
    },
    /// All is agreed on, and media find no way: UDP does not get through, or the server announces
    /// an address that is not its own.
    #[error(
        "after {seconds} s there was no connection for media by UDP with {}: check the firewalls on \
         the way, and which address the server announces",
        list(tried)
    )]
    NoPath {
        /// How long was waited, from the beginning on.
        seconds: u64,
        /// Where to checks were sent.
        tried: Vec<SocketAddr>,
    },
    /// It answers, and does not want us.
    #[error("the server refuses: {reason}")]
    Refused {
        /// Its words.
        reason: String,
    },
    /// It took too long.
    #[error("the server was not ready after {seconds} s, while {}", doing(*step))]
    TimedOut {
        /// How long was waited, from the beginning on.
        seconds: u64,
        /// What for; `None` of the connection to its signalling.
        step: Option<Step>,
    },
    /// Nobody is there.
    #[error("the server cannot be reached: {reason}")]
    Unreachable {
        /// The system's words.
        reason: String,
    },
}

fn doing(step: Option<Step>) -> String {
    step.map_or_else(|| "connecting to it".to_owned(), |step| step.to_string())
}

fn list(tried: &[SocketAddr]) -> String {
    let mut text: Vec<_> = tried.iter().take(MAX_SHOWN).map(ToString::to_string).collect();
    if tried.len() > MAX_SHOWN {
        text.push(format!("{} more", tried.len() - MAX_SHOWN));
    }
    text.join(", ")
}

/// Addresses that are shown: with two of IPv6 the text is still whole in a log.
const MAX_SHOWN: usize = 2;
