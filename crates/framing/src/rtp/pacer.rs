//! A leaky bucket: what goes out in any time is bounded by a rate.

use std::time::{Duration, Instant};

use paceline_types::Bitrate;

/// Spreads packets in time. It holds none: it says when the next may go.
///
/// In any span no more than the rate has in it goes out, and 5 ms of it more, and one
/// packet: so whoever waits for [`poll_timeout`](Self::poll_timeout) is woken every 5 ms at
/// most, and not for each packet.
///
/// ```
/// use std::time::{Duration, Instant};
///
/// use paceline_framing::rtp::Pacer;
/// use paceline_framing::types::Bitrate;
///
/// let now = Instant::now();
/// let mut pacer = Pacer::new(Bitrate::from_kbps(1_000));
/// assert!(pacer.is_free(now));
/// pacer.handle_sent(now, 1_250);
/// assert!(!pacer.is_free(now), "10,000 bits take 10 ms");
/// assert_eq!(pacer.poll_timeout(), Some(now + Duration::from_millis(10)));
/// assert!(pacer.is_free(now + Duration::from_millis(10)));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Pacer {
    rate: u64,
    /// When all that has gone would have gone at the rate.
    done: Option<Instant>,
}

impl Pacer {
    /// One that has sent nothing. A rate below 10 kbit/s counts as that.
    #[must_use]
    pub fn new(rate: Bitrate) -> Self {
        Self { rate: rate.bps().max(LEAST_RATE), done: None }
    }

    /// Goes on at another rate, for what is sent from now on.
    pub fn set_rate(&mut self, rate: Bitrate) {
        self.rate = rate.bps().max(LEAST_RATE);
    }

    /// How long so many bytes take.
    #[must_use]
    pub fn span(&self, bytes: usize) -> Duration {
        let nanos = u128::from(bytes as u64) * 8 * 1_000_000_000 / u128::from(self.rate);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// Whether a packet may go.
    #[must_use]
    pub fn is_free(&self, now: Instant) -> bool {
        self.done.is_none_or(|done| done <= now + BURST)
    }

    /// One went.
    pub fn handle_sent(&mut self, now: Instant, bytes: usize) {
        let from = self.done.map_or(now, |done| done.max(now));
        self.done = from.checked_add(self.span(bytes)).or(self.done);
    }

    /// When the next may go, and some more with it; `None` if nothing has gone.
    #[must_use]
    pub const fn poll_timeout(&self) -> Option<Instant> {
        self.done
    }
}

/// As libwebrtc sends what is due within 5 ms together (`PacingController`).
const BURST: Duration = Duration::from_millis(5);

/// Ours: one packet of 1,200 bytes a second.
const LEAST_RATE: u64 = 10_000;

#[cfg(test)]
mod tests {
    #![allow(clippy::disallowed_methods, reason = "a test needs an epoch")]

    use super::*;

    #[test]
    fn in_any_span_no_more_than_the_rate_and_a_burst_goes_out() {
        let start = Instant::now();
        let mut pacer = Pacer::new(Bitrate::from_kbps(2_500));
        let mut sent = Vec::new();
        for us in (0..400_000).step_by(250) {
            let now = start + Duration::from_micros(us);
            while pacer.is_free(now) {
                pacer.handle_sent(now, 1_200);
                sent.push(us);
            }
        }
        for (first, &from) in sent.iter().enumerate() {
            for (last, &to) in sent.iter().enumerate().skip(first) {
                let bits = (last - first + 1) as f64 * 9_600.0;
                let most = (to - from) as f64 * 2.5 + 5_000.0 * 2.5 + 2.0 * 9_600.0;
                assert!(bits <= most, "{bits} bits in {} µs", to - from);
            }
        }
        // And no less, when there is enough to send.
        let rate = sent.len() as f64 * 9_600.0 / 0.4;
        assert!((2_450_000.0..2_600_000.0).contains(&rate), "{rate}");
    }

    #[test]
    fn a_rate_of_nothing_is_a_rate() {
        let now = Instant::now();
        let mut pacer = Pacer::new(Bitrate::from_bps(0));
        pacer.handle_sent(now, 1_250);
        assert_eq!(pacer.poll_timeout(), Some(now + Duration::from_secs(1)));
    }
}
