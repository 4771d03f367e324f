//! How often a connection may ask for something.

use std::time::{Duration, Instant};

/// A bucket of tokens that holds a second's worth, and is full at first.
///
/// Kept as the instant at which it is full again, so that nothing has to be counted up.
#[derive(Debug, Default)]
pub(crate) struct Allowance {
    full_at: Option<Instant>,
}

impl Allowance {
    /// Takes a token of a bucket that fills at `per_second`, if there is one.
    pub(crate) fn take(&mut self, now: Instant, per_second: u32) -> bool {
        if per_second == 0 {
            return false;
        }
        let full_at = self.full_at.map_or(now, |at| at.max(now)) + SECOND / per_second;
        let granted = full_at <= now + SECOND;
        if granted {
            self.full_at = Some(full_at);
        }
        granted
    }
}

const SECOND: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[allow(clippy::disallowed_methods, reason = "a test needs one instant to count from")]
    fn a_second_s_worth_may_go_at_once_and_comes_back_one_by_one() {
        for per_second in [1_u32, 3, 50, 1_000] {
            let (now, mut bucket) = (Instant::now(), Allowance::default());
            let taken = |bucket: &mut Allowance, at| {
                (0..2 * per_second).filter(|_| bucket.take(at, per_second)).count()
            };
            assert_eq!(taken(&mut bucket, now), per_second as usize);
            assert_eq!(taken(&mut bucket, now + SECOND / per_second), 1);
            // However long nothing is asked for, no more than a second's worth is saved up.
            assert_eq!(taken(&mut bucket, now + 100 * SECOND), per_second as usize);
        }
        assert!(!Allowance::default().take(Instant::now(), 0));
    }
}
