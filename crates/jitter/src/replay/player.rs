//! The replay of a log.

use std::error::Error;
use std::fmt;
use std::time::Instant;

use super::call::{Call, Outcome};
use super::log::{Log, LogError};
use super::wire::Reader;
use crate::{JitterBuffer, JitterStats};

/// A call that came out as it was recorded.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Step {
    /// Which call, from 0.
    pub call_index: u64,
    /// The call.
    pub call: Call,
    /// What came of it, then and now.
    pub outcome: Outcome,
}

/// The first call that came out in another way than was recorded.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Difference {
    /// Which call, from 0. The statistics count as one call more.
    pub call_index: u64,
    /// The call.
    pub call: Call,
    /// What came of it when it was recorded.
    pub expected: Outcome,
    /// What came of it now.
    pub got: Outcome,
}

/// Makes the calls of a [`Log`] one by one: a step for each, and last the statistics.
/// After an error there is nothing more.
///
/// ```
/// use std::time::Instant;
///
/// use paceline_jitter::JitterConfig;
/// use paceline_jitter::replay::{Call, Outcome, Recorder, RecorderConfig};
///
/// let mut buffer = Recorder::<()>::new(JitterConfig::default(), RecorderConfig::default());
/// let now = Instant::now();
/// let _ = buffer.poll(now);
///
/// let log = buffer.log();
/// let mut replay = log.replay(now);
/// let step = replay.next().expect("one call")?;
/// assert_eq!((step.call, step.outcome), (Call::Poll { at: 0 }, Outcome::Empty));
/// assert_eq!(replay.run()?, buffer.stats());
/// # Ok::<(), paceline_jitter::replay::ReplayError>(())
/// ```
#[derive(Debug)]
pub struct Replay<'a> {
    reader: Reader<'a>,
    buffer: JitterBuffer<()>,
    epoch: Instant,
    is_over: bool,
}

impl<'a> Replay<'a> {
    pub(super) fn new(log: &'a Log, epoch: Instant) -> Self {
        let buffer = JitterBuffer::new(log.config().clone());
        Self { reader: log.reader(), buffer, epoch, is_over: false }
    }

    /// Makes all calls that are left. The statistics at the end.
    ///
    /// # Errors
    ///
    /// [`ReplayError`], at the first difference.
    pub fn run(mut self) -> Result<JitterStats, ReplayError> {
        self.by_ref().try_for_each(|step| step.map(drop))?;
        Ok(self.buffer.stats())
    }

    /// The buffer as it is after the steps so far.
    #[must_use]
    pub const fn buffer(&self) -> &JitterBuffer<()> {
        &self.buffer
    }

    fn step(&mut self) -> Result<Step, ReplayError> {
        let call_index = self.reader.calls();
        let (call, expected) = self.reader.entry().map_err(ReplayError::Log)?;
        self.is_over = call == Call::Stats;
        let Some(got) = call.apply(&mut self.buffer, self.epoch) else {
            return Err(ReplayError::Epoch { call_index });
        };
        if got != expected {
            let difference = Difference { call_index, call, expected, got };
            return Err(ReplayError::Differs(Box::new(difference)));
        }
        Ok(Step { call_index, call, outcome: got })
    }
}

impl Iterator for Replay<'_> {
    type Item = Result<Step, ReplayError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_over {
            return None;
        }
        let step = self.step();
        self.is_over |= step.is_err();
        Some(step)
    }
}

/// Why a replay did not come to its end.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum ReplayError {
    /// A call came out in another way.
    Differs(Box<Difference>),
    /// There is no [`Instant`] so long before or after the epoch as a call was. Of all
    /// logs of real calls that is only so where the epoch is at the edge of the clock.
    Epoch {
        /// Which call, from 0.
        call_index: u64,
    },
    /// The log cannot be read. Not with one that was parsed or recorded.
    Log(LogError),
}

impl fmt::Display for ReplayError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Differs(difference) => {
                let Difference { call_index, call, expected, got } = **difference;
                write!(f, "call {call_index}, {call:?}: expected {expected:?}, got {got:?}")
            }
            Self::Epoch { call_index } => {
                write!(f, "the clock does not reach from the epoch to call {call_index}")
            }
            Self::Log(error) => error.fmt(f),
        }
    }
}

impl Error for ReplayError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Log(error) => Some(error),
            Self::Differs(_) | Self::Epoch { .. } => None,
        }
    }
}
