//! How the sending is, at a glance.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use crate::event::serialize_millis;
use crate::{Counts, Failure, FallbackReason, Target};

/// What a [`Supervisor`](crate::Supervisor) is at.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum State {
    /// A sender is being closed.
    Closing,
    /// A target is opened, and no media flows yet.
    Connecting,
    /// The application sends by a path of its own.
    External,
    /// Media flows.
    Live,
    /// Nothing is sent, and nothing will be until it is started.
    Stopped,
    /// Some time has to pass before the next try.
    Waiting,
}

/// What the transport of the open attempt is at.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum TransportState {
    /// There is none.
    Closed,
    /// It is being closed.
    Closing,
    /// It carries media.
    Connected,
    /// It is being set up.
    Connecting,
    /// Its path was lost, and may come again.
    Interrupted,
}

/// The newest failure of either kind, of whatever attempt.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct LastErrors {
    /// Of an encoder.
    pub encode: Option<Failure>,
    /// Of anything else.
    pub transport: Option<Failure>,
}

/// A snapshot: cheap to take, and one line to print. [`Serialize`] gives it to a dashboard.
///
/// ```
/// use std::time::Instant;
///
/// use paceline_publish::{Supervisor, SupervisorConfig};
///
/// let mut supervisor = Supervisor::new(2, SupervisorConfig::default());
/// let now = Instant::now();
/// supervisor.start(now);
/// assert_eq!(
///     supervisor.health(now, 0).to_string(),
///     "connecting to target 0 for 0 ms, transport connecting, degradation 0, \
///      0 encode and 0 send errors, 0 of 0 frames dropped",
/// );
/// ```
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Health {
    /// What it is at.
    pub state: State,
    /// Where it sends, or tries to. None if it is stopped.
    pub target: Option<Target>,
    /// Why the target before this one was given up, if one was since it was started.
    pub fallback_reason: Option<FallbackReason>,
    /// How many rungs of quality are given up. 0 is none.
    pub degradation_level: u32,
    /// What the transport is at.
    pub transport_state: TransportState,
    /// How long the state has been this. Serialized as `since_ms`.
    #[serde(rename = "since_ms", serialize_with = "serialize_millis")]
    pub since: Duration,
    /// What the rolling windows hold.
    pub counts: Counts,
    /// The newest failures.
    pub last_errors: LastErrors,
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.state {
            State::Closing => "closing",
            State::Connecting => "connecting to",
            State::External => "left to",
            State::Live => "live at",
            State::Stopped => "stopped",
            State::Waiting => "waiting for",
        })?;
        if let Some(target) = self.target {
            write!(f, " {target}")?;
        }
        let transport = match self.transport_state {
            TransportState::Closed => "closed",
            TransportState::Closing => "closing",
            TransportState::Connected => "connected",
            TransportState::Connecting => "connecting",
            TransportState::Interrupted => "interrupted",
        };
        let Counts { encode_errors, send_errors, offered, dropped } = self.counts;
        write!(
            f,
            " for {} ms, transport {transport}, degradation {}, {encode_errors} encode and \
             {send_errors} send errors, {dropped} of {offered} frames dropped",
            self.since.as_millis(),
            self.degradation_level,
        )?;
        if let Some(reason) = &self.fallback_reason {
            write!(f, "; {reason}")?;
        }
        Ok(())
    }
}
