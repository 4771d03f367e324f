//! How many errors are too many.

use std::time::{Duration, Instant};

use serde::Serialize;

use super::{FailureKind, Severity};
use crate::window::{DropWindow, ErrorWindow};

/// How many errors are too many.
///
/// ```
/// use paceline_publish::ClassifierConfig;
///
/// let config = ClassifierConfig::default().max_send_errors(100);
/// ```
#[derive(Clone, Debug)]
pub struct ClassifierConfig {
    max_encode_errors: u32,
    max_send_errors: u32,
    error_window: Duration,
    max_drop_percent: u8,
    drop_span: Duration,
}

impl ClassifierConfig {
    /// Encode errors within [`error_window`](Self::error_window) that are borne; one more is
    /// fatal. Defaults to 5.
    ///
    /// # Panics
    ///
    /// If it is over 10,000: the time of each is remembered.
    #[must_use]
    pub const fn max_encode_errors(mut self, max_encode_errors: u32) -> Self {
        assert!(max_encode_errors <= MAX_ERRORS, "more than 10,000 errors to remember");
        self.max_encode_errors = max_encode_errors;
        self
    }

    /// Send errors within [`error_window`](Self::error_window) that are borne; one more is
    /// fatal. Defaults to 50.
    ///
    /// # Panics
    ///
    /// If it is over 10,000: the time of each is remembered.
    #[must_use]
    pub const fn max_send_errors(mut self, max_send_errors: u32) -> Self {
        assert!(max_send_errors <= MAX_ERRORS, "more than 10,000 errors to remember");
        self.max_send_errors = max_send_errors;
        self
    }

    /// How long an error counts. Defaults to 10 s; one that old does not count any more.
    ///
    /// Longer, and rare errors add up until they are fatal.
    #[must_use]
    pub const fn error_window(mut self, error_window: Duration) -> Self {
        self.error_window = error_window;
        self
    }

    /// The share of frames that a queue may drop for long, in percent. Defaults to 20; more
    /// is fatal once it has gone on for [`drop_span`](Self::drop_span). 100 is never fatal.
    #[must_use]
    pub const fn max_drop_percent(mut self, max_drop_percent: u8) -> Self {
        self.max_drop_percent = max_drop_percent;
        self
    }

    /// How long a queue may drop more than [`max_drop_percent`](Self::max_drop_percent).
    /// Defaults to 5 s.
    ///
    /// Pressure is over when nothing was dropped for half of it, so that a burst, however
    /// hard, is forgotten. What is offered and dropped has to be told more often than that.
    #[must_use]
    pub const fn drop_span(mut self, drop_span: Duration) -> Self {
        self.drop_span = drop_span;
        self
    }
}

impl Default for ClassifierConfig {
    fn default() -> Self {
        Self {
            max_encode_errors: MAX_ENCODE_ERRORS,
            max_send_errors: MAX_SEND_ERRORS,
            error_window: ERROR_WINDOW,
            max_drop_percent: MAX_DROP_PERCENT,
            drop_span: DROP_SPAN,
        }
    }
}

/// What the rolling windows hold.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Counts {
    /// Encode errors in the error window: no further than one over the limit.
    pub encode_errors: u32,
    /// Send errors in the error window: no further than one over the limit.
    pub send_errors: u32,
    /// Frames offered to the queue in the drop span.
    pub offered: u64,
    /// Of those, the ones that it dropped.
    pub dropped: u64,
}

/// Says of each failure whether it is fatal, knowing those before it.
///
/// It takes the same memory at every rate of errors.
///
/// ```
/// use std::time::Instant;
///
/// use paceline_publish::{Classifier, ClassifierConfig, FailureKind, Severity};
///
/// let mut classifier = Classifier::new(ClassifierConfig::default());
/// let now = Instant::now();
/// for _ in 0..5 {
///     let one = classifier.handle_failure(now, FailureKind::EncodeFailed, true);
///     assert_eq!(one, Severity::Transient);
/// }
/// let sixth = classifier.handle_failure(now, FailureKind::EncodeFailed, true);
/// assert_eq!(sixth, Severity::Fatal);
/// assert_eq!(classifier.counts(now).encode_errors, 6);
/// ```
#[derive(Debug)]
pub struct Classifier {
    encode: ErrorWindow,
    send: ErrorWindow,
    queue: DropWindow,
}

impl Classifier {
    /// One that knows of no failure.
    #[must_use]
    pub fn new(config: ClassifierConfig) -> Self {
        Self {
            encode: ErrorWindow::new(config.max_encode_errors, config.error_window),
            send: ErrorWindow::new(config.max_send_errors, config.error_window),
            queue: DropWindow::new(config.max_drop_percent, config.drop_span),
        }
    }

    /// Takes in what happened; `live` says whether media has flowed.
    pub fn handle_failure(&mut self, now: Instant, kind: FailureKind, live: bool) -> Severity {
        let too_many = match kind {
            FailureKind::EncodeFailed => self.encode.handle_error(now),
            FailureKind::SendFailed => self.send.handle_error(now),
            _ => return kind.severity(live),
        };
        severity(too_many)
    }

    /// Takes in that `offered` more frames came to the queue, and that it dropped `dropped`
    /// of them, or of those before.
    pub fn handle_queue(&mut self, now: Instant, offered: u64, dropped: u64) -> Severity {
        severity(self.queue.handle_report(now, offered, dropped))
    }

    /// What the windows hold at `now`.
    #[must_use]
    pub fn counts(&self, now: Instant) -> Counts {
        let (offered, dropped) = self.queue.sums(now);
        Counts {
            encode_errors: self.encode.count(now),
            send_errors: self.send.count(now),
            offered,
            dropped,
        }
    }

    /// Forgets all of it: another sender begins with a clean slate.
    pub fn clear(&mut self) {
        self.encode.clear();
        self.send.clear();
        self.queue.clear();
    }
}

const fn severity(too_many: bool) -> Severity {
    if too_many { Severity::Fatal } else { Severity::Transient }
}

/// What this project set out with: more than five in ten seconds are fatal.
const MAX_ENCODE_ERRORS: u32 = 5;

/// As above: more than fifty in ten seconds.
const MAX_SEND_ERRORS: u32 = 50;

/// As above.
const ERROR_WINDOW: Duration = Duration::from_secs(10);

/// As above: more than a fifth for five seconds.
const MAX_DROP_PERCENT: u8 = 20;

/// As above.
const DROP_SPAN: Duration = Duration::from_secs(5);

/// Ours: 160 kB of times. Who bears more errors than that wants no limit at all.
const MAX_ERRORS: u32 = 10_000;
