//! Where all that a node sends, or all that it gets, goes through one after the other.

use std::time::{Duration, Instant};

use paceline_types::Bitrate;

/// The access of a node to the network: so many bits in a second, and a queue before it.
///
/// ```
/// use std::time::Duration;
///
/// use paceline_sim::Bottleneck;
/// use paceline_sim::types::Bitrate;
///
/// let phone = Bottleneck::new(Bitrate::from_kbps(1_000)).max_queue(Duration::from_millis(800));
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bottleneck {
    rate: Bitrate,
    max_queue: Duration,
}

impl Bottleneck {
    /// One that takes so much, and queues 500 ms of it: as long as those of homes are, and
    /// longer than anything here should let it become.
    ///
    /// # Panics
    ///
    /// If the rate is zero.
    #[must_use]
    pub const fn new(rate: Bitrate) -> Self {
        assert!(rate.bps() > 0, "a link takes something");
        Self { rate, max_queue: Duration::from_millis(500) }
    }

    /// How long a packet waits at most. What would wait longer is lost.
    #[must_use]
    pub const fn max_queue(mut self, span: Duration) -> Self {
        self.max_queue = span;
        self
    }
}

/// The queue before a [`Bottleneck`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Strait {
    config: Bottleneck,
    /// When all that is in it is through.
    free: Instant,
}

impl Strait {
    pub(super) const fn new(now: Instant, config: Bottleneck) -> Self {
        Self { config, free: now }
    }

    /// It takes more or less from now on, also of what waits.
    pub(super) fn change(&mut self, now: Instant, config: Bottleneck) {
        let waits = self.free.saturating_duration_since(now);
        let factor = self.config.rate.bps() as f64 / config.rate.bps() as f64;
        *self = Self { config, free: now + waits.mul_f64(factor) };
    }

    /// When a packet that comes now is through; `None`: it is lost.
    ///
    /// A packet is asked for when it is put into the network. So of two straits one behind
    /// the other the second one is too early by what it waits in the first.
    pub(super) fn pass(&mut self, now: Instant, bytes: usize) -> Option<Instant> {
        let begins = self.free.max(now);
        if begins - now > self.config.max_queue {
            return None;
        }
        let nanos = bytes as u128 * 8_000_000_000 / u128::from(self.config.rate.bps());
        self.free = begins + Duration::from_nanos(nanos as u64);
        Some(self.free)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::epoch;

    #[test]
    fn what_comes_faster_waits_and_what_would_wait_too_long_is_lost() {
        let config = Bottleneck::new(Bitrate::from_kbps(8)).max_queue(Duration::from_secs(2));
        let mut strait = Strait::new(epoch(), config);
        let at = |seconds| Some(epoch() + Duration::from_secs(seconds));
        let passed: Vec<_> = (0..4).map(|_| strait.pass(epoch(), 1_000)).collect();
        assert_eq!(passed, [at(1), at(2), at(3), None]);
        strait.change(epoch(), Bottleneck::new(Bitrate::from_kbps(24)));
        assert_eq!(strait.pass(epoch() + Duration::from_millis(500), 3_000), at(2));
    }
}
