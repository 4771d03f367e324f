//! What is told to the application about its senders.

use std::fmt;
use std::time::Duration;

use serde::{Serialize, Serializer};

use crate::{Counts, Failure, Severity};

/// One opening of one target, numbered from 1 for the life of a supervisor. A report of an
/// older attempt is known by it, however late it comes.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub struct Attempt(u64);

impl Attempt {
    pub(crate) const fn new(number: u64) -> Self {
        Self(number)
    }

    /// Its number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// Where to send.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::exhaustive_enums, reason = "ours, or not ours")]
pub enum Target {
    /// One of the list, by its place from 0.
    Sender(usize),
    /// A path of the application's own, after the last of the list.
    External,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sender(place) => write!(f, "target {place}"),
            Self::External => f.write_str("the application"),
        }
    }
}

/// Why a target was given up, and for which.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct FallbackReason {
    /// Who is given up.
    pub from: Target,
    /// Who is next. None if the list is at its end: nothing is sent any more.
    pub to: Option<Target>,
    /// What was too much.
    #[serde(flatten)]
    pub failure: Failure,
    /// How often the target was tried, this time included.
    pub tries: u32,
    /// What the rolling windows held by then.
    pub counts: Counts,
}

impl fmt::Display for FallbackReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} given up, ", self.from)?;
        match self.to {
            Some(to) => write!(f, "{to} is next")?,
            None => f.write_str("there is no other")?,
        }
        write!(f, ": {}", self.failure)
    }
}

/// What happened to the senders, under the names that dashboards count.
///
/// In order, of a sender that fails while it is live: `transport_error` or `encode_error`,
/// `fallback_triggered`, then when it is closed `sender_stopped`, and when media flows to
/// the next target `sender_started` and `fallback_completed`.
///
/// All is over when `fallback_triggered` names nobody as next, or names the application.
///
/// ```
/// use paceline_publish::{Event, FailureKind, Severity, Supervisor, SupervisorConfig, Output};
/// use std::time::Instant;
///
/// let mut supervisor = Supervisor::new(1, SupervisorConfig::default());
/// let now = Instant::now();
/// supervisor.start(now);
/// let Some(Output::Open { attempt, .. }) = supervisor.poll_output() else { panic!() };
/// supervisor.handle_up(now, attempt);
/// let Some(Output::Event(event)) = supervisor.poll_output() else { panic!() };
/// assert_eq!(event.name(), "sender_started");
/// ```
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "event")]
#[non_exhaustive]
pub enum Event {
    /// Something could not be encoded. The first of a window is told, and the one too many.
    EncodeError {
        /// Whose encoder it was.
        attempt: Attempt,
        /// Where it sends, by its place in the list.
        target: usize,
        /// What happened.
        failure: Failure,
        /// Whether the target is given up for it.
        severity: Severity,
    },
    /// Media flows to the target that was fallen back to. Of [`Target::External`]: nothing
    /// of ours runs any more, so the application may begin.
    FallbackCompleted {
        /// Who sends now.
        target: Target,
        /// How long after the fallback was triggered.
        #[serde(rename = "after_ms", serialize_with = "serialize_millis")]
        after: Duration,
    },
    /// A target is given up. Once for each that is.
    FallbackTriggered(FallbackReason),
    /// Media flows to a target.
    SenderStarted {
        /// Who sends.
        attempt: Attempt,
        /// Where, by its place in the list.
        target: usize,
        /// How long after it was opened.
        #[serde(rename = "after_ms", serialize_with = "serialize_millis")]
        after: Duration,
    },
    /// A sender that was started is closed, or was given up while it closed.
    SenderStopped {
        /// Who sent.
        attempt: Attempt,
        /// Where, by its place in the list.
        target: usize,
        /// Why. None if it was asked for.
        failure: Option<Failure>,
    },
    /// A target could not be opened, or what was opened failed. Of packets that were not
    /// taken, the first of a window is told, and the one too many.
    TransportError {
        /// Whose transport it was.
        attempt: Attempt,
        /// Where, by its place in the list.
        target: usize,
        /// What happened.
        failure: Failure,
        /// Whether the target is given up for it.
        severity: Severity,
    },
}

impl Event {
    /// The name it is counted under.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::EncodeError { .. } => "encode_error",
            Self::FallbackCompleted { .. } => "fallback_completed",
            Self::FallbackTriggered(_) => "fallback_triggered",
            Self::SenderStarted { .. } => "sender_started",
            Self::SenderStopped { .. } => "sender_stopped",
            Self::TransportError { .. } => "transport_error",
        }
    }
}

/// One line for a log, its name first.
impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        match self {
            Self::EncodeError { attempt, target, failure, severity }
            | Self::TransportError { attempt, target, failure, severity } => {
                let severity = match severity {
                    Severity::Fatal => "fatal",
                    Severity::Transient => "transient",
                };
                write!(f, " {attempt} at target {target}, {severity}: {failure}")
            }
            Self::FallbackCompleted { target, after } => {
                write!(f, " by {target} after {} ms", after.as_millis())
            }
            Self::FallbackTriggered(reason) => write!(f, " {reason}"),
            Self::SenderStarted { attempt, target, after } => {
                write!(f, " {attempt} at target {target} after {} ms", after.as_millis())
            }
            Self::SenderStopped { attempt, target, failure: None } => {
                write!(f, " {attempt} at target {target}, as asked")
            }
            Self::SenderStopped { attempt, target, failure: Some(failure) } => {
                write!(f, " {attempt} at target {target}: {failure}")
            }
        }
    }
}

pub(crate) fn serialize_millis<S: Serializer>(
    duration: &Duration,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}
