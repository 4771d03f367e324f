//! Why a room was not joined, or nothing is published.

use std::path::PathBuf;
use std::time::Duration;

use paceline_capture::CaptureError;
#[cfg(feature = "sound")]
use paceline_playout::LoudspeakerError;
use paceline_signaling::ConnectError;

use crate::ConfigError;

/// Why [`RoomBuilder::join`](crate::RoomBuilder::join),
/// [`ViewerBuilder::join`](crate::ViewerBuilder::join) or
/// [`PublisherBuilder::start`](crate::PublisherBuilder::start) failed. Each text is one
/// line that says what was wrong and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JoinError {
    /// A bound is out of its bounds.
    #[error("{0}")]
    Config(#[from] ConfigError),
    /// The signalling server cannot be reached, or broke off.
    #[error("{0}")]
    Connect(#[from] ConnectError),
    /// Nobody sends in the room that was to be watched.
    #[error(
        "nobody publishes at {url}, and nobody began to within {timeout:?}: start the publisher, or check the room's name"
    )]
    NobodyPublishes {
        /// The room.
        url: String,
        /// How long we waited.
        timeout: Duration,
    },
    /// The publisher did not connect to us.
    #[error(
        "the publisher at {url} does not take us in: {reason}; it may have as many viewers as it allows: try again later"
    )]
    NotTaken {
        /// The room.
        url: String,
        /// What we know.
        reason: String,
    },
    /// What was to be published cannot be.
    #[error("{0}")]
    Publish(#[from] PublishError),
    /// The server does not let us in.
    #[error("{url} does not let us in: {message}")]
    Refused {
        /// The room.
        url: String,
        /// The server's reason.
        message: String,
    },
    /// A room has one publisher.
    #[error("somebody publishes at {url} already: use another room, or end that broadcast first")]
    SomebodyPublishes {
        /// The room.
        url: String,
    },
    /// The operating system gives no random numbers, or no threads.
    #[error("the operating system refused: {0}")]
    System(String),
    /// The server answered the connection and then said nothing.
    #[error("the server at {url} did not let us in within {timeout:?}: is it a paceline server?")]
    Timeout {
        /// The room.
        url: String,
        /// How long we waited.
        timeout: Duration,
    },
}

/// Why something is not published.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// A file or a device cannot be used.
    #[error("{0}")]
    Capture(#[from] CaptureError),
    /// A loudspeaker cannot be used.
    #[cfg(feature = "sound")]
    #[error("{0}")]
    Loudspeaker(#[from] LoudspeakerError),
    /// An H.264 file holds nothing that can be decoded.
    #[error("{}: no picture in it can be decoded ({reason}): it must be an H.264 Annex B stream", path.display())]
    NoPicture {
        /// The file.
        path: PathBuf,
        /// What the decoder said.
        reason: String,
    },
    /// The room has been left.
    #[error("the room has been left")]
    RoomLeft,
    /// A thread could not be started.
    #[error("the operating system refused a thread: {0}")]
    Thread(String),
    /// Nobody knows how to read the file.
    #[error("{}: pictures are read from .y4m and .h264 files, sound from .wav files", path.display())]
    UnknownFile {
        /// The file.
        path: PathBuf,
    },
}
