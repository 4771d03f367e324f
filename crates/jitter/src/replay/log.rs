//! The log as a whole.

use std::error::Error;
use std::fmt;
use std::time::Instant;

use super::player::Replay;
use super::wire::{CRATE_VERSION, Reader, Writer};
use crate::JitterConfig;
use crate::replay::Call;

/// All calls of a jitter buffer, with what came of them. The
/// [module](crate::replay) says what its bytes are.
///
/// ```
/// use paceline_jitter::JitterConfig;
/// use paceline_jitter::replay::{Log, LogError, Recorder, RecorderConfig};
///
/// let recorder = Recorder::<()>::new(JitterConfig::default(), RecorderConfig::default());
/// let log = recorder.log();
/// assert_eq!(Log::parse(log.emit()).map(|log| log.calls()), Ok(0));
/// assert_eq!(Log::parse(b"MThd\0\0\0\x06").err(), Some(LogError::NotALog));
/// ```
#[derive(Clone, Debug)]
pub struct Log {
    bytes: Vec<u8>,
    /// How many of them are the header.
    header: usize,
    config: JitterConfig,
    crate_version: String,
    calls: u64,
}

impl Log {
    /// Of a writer that has written the statistics.
    pub(super) fn new(config: JitterConfig, writer: Writer) -> Self {
        let crate_version = CRATE_VERSION.to_owned();
        let (header, calls) = (writer.header(), writer.calls());
        Self { bytes: writer.into_bytes(), header, config, crate_version, calls }
    }

    /// Its entries.
    pub(super) fn reader(&self) -> Reader<'_> {
        Reader::of_entries(&self.bytes, self.header)
    }

    /// Reads a log to its end. It allocates no more than it is given.
    ///
    /// # Errors
    ///
    /// [`LogError`], with the place of the first byte that is not right.
    pub fn parse(bytes: &[u8]) -> Result<Self, LogError> {
        let (mut reader, config, crate_version) = Reader::new(bytes)?;
        let header = reader.offset();
        while reader.entry()?.0 != Call::Stats {}
        if reader.offset() < bytes.len() {
            return Err(LogError::TrailingBytes { offset: reader.offset() });
        }
        let crate_version = crate_version.to_owned();
        Ok(Self { bytes: bytes.to_vec(), header, config, crate_version, calls: reader.calls() })
    }

    /// The log as bytes.
    #[must_use]
    pub fn emit(&self) -> &[u8] {
        &self.bytes
    }

    /// How many calls it holds.
    #[must_use]
    pub const fn calls(&self) -> u64 {
        self.calls
    }

    /// What the buffer was made with.
    #[must_use]
    pub const fn config(&self) -> &JitterConfig {
        &self.config
    }

    /// The version of this crate that wrote it. Another one may play otherwise: that
    /// is what a [`Difference`](crate::replay::Difference) then tells.
    #[must_use]
    pub fn crate_version(&self) -> &str {
        &self.crate_version
    }

    /// Replays it as if the first call with a time had been at `epoch`, in a buffer
    /// that is made here: a log's capacity costs memory, up to 65,536 units without
    /// payloads, about 3 MiB.
    #[must_use]
    pub fn replay(&self, epoch: Instant) -> Replay<'_> {
        Replay::new(self, epoch)
    }
}

/// Bytes that are not a [`Log`]. Offsets count from the first byte of the log, calls
/// from 0.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum LogError {
    /// The check of the header is wrong: it has been changed on its way.
    BadHeader,
    /// The check of a call is wrong: it has been changed on its way.
    BadCheck {
        /// Which call.
        call: u64,
        /// Where its check is.
        offset: usize,
    },
    /// The config is none that a buffer works with: a negative pace, or a start in
    /// more than eleven days.
    BadConfig,
    /// Here is something that the form does not know.
    Malformed {
        /// In which call; `None` for the header.
        call: Option<u64>,
        /// Where it is.
        offset: usize,
    },
    /// It does not begin as a log does.
    NotALog,
    /// More follows after its end.
    TrailingBytes {
        /// Where its end is.
        offset: usize,
    },
    /// It ends too early.
    Truncated {
        /// How many calls are whole.
        calls: u64,
    },
    /// The form has a version that is not known here.
    UnknownVersion(u8),
}

impl fmt::Display for LogError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::BadHeader => write!(f, "the header's check is wrong"),
            Self::BadCheck { call, offset } => {
                write!(f, "the check of call {call} at byte {offset} is wrong")
            }
            Self::BadConfig => write!(f, "no buffer works with the config"),
            Self::Malformed { call: None, offset } => {
                write!(f, "byte {offset} of the header is not of the form")
            }
            Self::Malformed { call: Some(call), offset } => {
                write!(f, "byte {offset}, in call {call}, is not of the form")
            }
            Self::NotALog => write!(f, "not the log of a jitter buffer"),
            Self::TrailingBytes { offset } => write!(f, "more follows the end at byte {offset}"),
            Self::Truncated { calls } => write!(f, "cut short after {calls} calls"),
            Self::UnknownVersion(version) => write!(f, "unknown version {version}"),
        }
    }
}

impl Error for LogError {}
