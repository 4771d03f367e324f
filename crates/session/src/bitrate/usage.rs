//! How much is made of something.

use std::time::{Duration, Instant};

/// Bits in a second, of late.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Usage {
    rate: f64,
    at: Option<Instant>,
}

impl Usage {
    /// So much was made.
    pub(super) fn handle(&mut self, now: Instant, bytes: usize) {
        self.rate = self.rate(now) + bytes as f64 * 8.0 / MEMORY.as_secs_f64();
        self.at = self.at.max(Some(now));
    }

    pub(super) fn rate(&self, now: Instant) -> f64 {
        let passed = self.at.map_or(Duration::ZERO, |at| now.saturating_duration_since(at));
        self.rate * (-passed.as_secs_f64() / MEMORY.as_secs_f64()).exp()
    }
}

/// What was made so long ago counts for a third: the time in which an encoder comes to
/// another bitrate (15 pictures).
const MEMORY: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    #![allow(clippy::disallowed_methods, reason = "a test needs an epoch")]

    use super::*;

    #[test]
    fn it_comes_to_what_is_made_and_forgets_it() {
        let start = Instant::now();
        let mut usage = Usage::default();
        for picture in 0..150_u32 {
            usage.handle(start + Duration::from_secs(picture.into()) / 30, 5_000);
        }
        let end = start + Duration::from_secs(5);
        let rate = usage.rate(end);
        assert!((1_160_000.0..1_240_000.0).contains(&rate), "{rate}");
        assert!(usage.rate(end + Duration::from_secs(5)) < 10_000.0);
    }
}
