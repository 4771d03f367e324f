//! What a server's rooms want done, and have done.

use std::fmt;

use crate::limits::MAX_FRAME;

/// A connection, numbered by whoever accepts it; a number is used once.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ConnId(u64);

impl ConnId {
    /// The connection with this number.
    #[must_use]
    pub const fn new(id: u64) -> Self {
        Self(id)
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

/// What [`Rooms`](crate::Rooms) wants done.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum RoomsOutput {
    /// Close the connection. [`Rooms`](crate::Rooms) has forgotten it.
    Close {
        /// Which.
        conn: ConnId,
        /// Why.
        reason: CloseReason,
    },
    /// Send a WebSocket ping; [`Rooms::handle_pong`](crate::Rooms::handle_pong) takes what comes back.
    Ping {
        /// Where to.
        conn: ConnId,
    },
    /// Send a text message.
    Send {
        /// Where to.
        conn: ConnId,
        /// The message.
        text: String,
    },
}

/// Why a connection is closed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum CloseReason {
    /// It did not announce itself in time.
    AnnounceTimeout,
    /// It asked for a room whose name cannot be one.
    BadRoom,
    /// It sent a message of more than [`MAX_FRAME`] bytes.
    FrameTooLong,
    /// It answered no ping.
    Idle,
    /// It asked to leave.
    Left,
    /// The server has as many connections as it may.
    TooManyConnections,
}

impl CloseReason {
    /// The WebSocket close code to send (RFC 6455 §7.4.1; 1013 is registered
    /// with IANA as "try again later").
    #[must_use]
    pub const fn code(self) -> u16 {
        match self {
            Self::Left => 1000,
            Self::AnnounceTimeout | Self::BadRoom | Self::Idle => 1008,
            Self::FrameTooLong => 1009,
            Self::TooManyConnections => 1013,
        }
    }
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let why = match self {
            Self::FrameTooLong => return write!(f, "the message is longer than {MAX_FRAME} bytes"),
            Self::AnnounceTimeout => "no peer.announce came in time",
            Self::BadRoom => "a room's name is 1 to 64 of A-Z a-z 0-9 _ -",
            Self::Idle => "no answer to a ping",
            Self::Left => "left",
            Self::TooManyConnections => "the server is full: try again later",
        };
        f.write_str(why)
    }
}

/// What [`Rooms`](crate::Rooms) has done so far.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct RoomsStats {
    /// Connections that are open now, those not announced included.
    pub connections: usize,
    /// Rooms that have a member now.
    pub rooms: usize,
    /// Peers that joined a room. Refused announces are not counted.
    pub joined: u64,
    /// Leases that a witness took, renewals included.
    pub leases: u64,
    /// Votes that a witness gave; prevotes are not counted.
    pub votes: u64,
    /// Offers, answers and candidates that were passed on; one that its receiver
    /// was too slow to take is counted all the same.
    pub forwarded: u64,
    /// Calls and texts that were an error, notifications included. Responses,
    /// which nobody asked for, are not counted.
    pub refused: u64,
    /// Connections closed by the server: all reasons but [`CloseReason::Left`].
    pub closed: u64,
}
