//! What a supervisor wants done, tells and counts.

#[cfg(doc)]
use crate::Supervisor;
use crate::{Attempt, Event};

/// What has to be done, or is told.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "whoever drives it must do all of it")]
pub enum Output {
    /// Close what was opened as this attempt, then say so by
    /// [`handle_closed`](Supervisor::handle_closed).
    Close {
        /// Which.
        attempt: Attempt,
    },
    /// Something happened.
    Event(Event),
    /// Open a target.
    Open {
        /// What it is called from now on.
        attempt: Attempt,
        /// Which, by its place in the list.
        target: usize,
    },
}

/// Counts since it was made.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct SupervisorStats {
    /// Targets opened, each time counted.
    pub attempts: u64,
    /// Attempts that did not close in time.
    pub abandoned: u64,
    /// Frames that could not be encoded.
    pub encode_errors: u64,
    /// Targets given up for another, or for the application's own path.
    pub fallbacks: u64,
    /// Frames that a queue dropped.
    pub queue_drops: u64,
    /// Packets that were not taken.
    pub send_errors: u64,
    /// Reports of attempts that were over, or were being closed.
    pub stale: u64,
}
