//! How long and how often a target is tried.

use std::time::Duration;

use crate::ClassifierConfig;

/// How patient a [`Supervisor`](crate::Supervisor) is, and what comes after the last target.
///
/// ```
/// use std::time::Duration;
///
/// use paceline_publish::SupervisorConfig;
///
/// let config = SupervisorConfig::default()
///     .backoff([Duration::ZERO, Duration::from_secs(1)])
///     .external(true);
/// ```
#[derive(Clone, Debug)]
pub struct SupervisorConfig {
    pub(super) backoff: Vec<Duration>,
    pub(super) close_timeout: Duration,
    pub(super) connect_timeout: Duration,
    pub(super) external: bool,
    pub(super) failures: ClassifierConfig,
}

impl SupervisorConfig {
    /// How long to wait before each try at a target. Defaults to 0, 2 and 4 s: there are
    /// three tries.
    ///
    /// A try after one that failed is for a server that is just being started again. With
    /// more of them a dead server keeps the next target waiting for longer: in the worst
    /// case for the sum of these, and of a [`connect_timeout`](Self::connect_timeout) and a
    /// [`close_timeout`](Self::close_timeout) each.
    ///
    /// # Panics
    ///
    /// If there is none: no target would ever be opened.
    #[must_use]
    pub fn backoff(mut self, backoff: impl Into<Vec<Duration>>) -> Self {
        self.backoff = backoff.into();
        assert!(!self.backoff.is_empty(), "not one try");
        self
    }

    /// How long a sender may take to close. Defaults to 1 s.
    ///
    /// After that it is given up, and the next one is opened: whatever the old one still
    /// does is the business of who drives it.
    #[must_use]
    pub const fn close_timeout(mut self, close_timeout: Duration) -> Self {
        self.close_timeout = close_timeout;
        self
    }

    /// How long it may take from opening a target until media flows. Defaults to 10 s.
    ///
    /// Shorter, and a slow network is taken for a dead server.
    #[must_use]
    pub const fn connect_timeout(mut self, connect_timeout: Duration) -> Self {
        self.connect_timeout = connect_timeout;
        self
    }

    /// What [`connect_timeout`](Self::connect_timeout) is: whoever opens the targets may give up
    /// by himself then, and knows better than a supervisor what it was that took so long.
    #[must_use]
    pub const fn connects_within(&self) -> Duration {
        self.connect_timeout
    }

    /// Whether the application has a path of its own to take when all targets have failed.
    /// Defaults to false: then nothing is sent any more.
    #[must_use]
    pub const fn external(mut self, external: bool) -> Self {
        self.external = external;
        self
    }

    /// How many errors are too many.
    #[must_use]
    pub fn failures(mut self, failures: ClassifierConfig) -> Self {
        self.failures = failures;
        self
    }
}

impl Default for SupervisorConfig {
    fn default() -> Self {
        Self {
            backoff: BACKOFF.to_vec(),
            close_timeout: CLOSE_TIMEOUT,
            connect_timeout: CONNECT_TIMEOUT,
            external: false,
            failures: ClassifierConfig::default(),
        }
    }
}

/// Ours: a worker of mediasoup is running again within some 100 ms of its death, a server
/// under systemd in one or two seconds, and six seconds without a picture are all that a
/// viewer bears.
const BACKOFF: [Duration; 3] = [Duration::ZERO, Duration::from_secs(2), Duration::from_secs(4)];

/// Ours: RFC 6347 §4.1.1 does not wait for an answer to its alert at all, and a server that
/// does not answer the goodbye of signalling within a second is gone.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// Ours: name, TCP, TLS, five requests, ICE and DTLS are some 12 round trips. At a round trip
/// of 600 ms, that of a satellite, they take 7 s.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
