//! How long pictures take from their capture until packets are made of them.

use std::time::Duration;

/// From the capture of a picture until it was handed, encoded, to what makes RTP packets of it.
///
/// Making the packets, pacing and carrying them comes after it and is not in it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct CaptureToSend {
    /// Half of the pictures took at most so long, rounded up to 250 µs.
    pub p50: Duration,
    /// 95 of 100 did.
    pub p95: Duration,
    /// The longest; not rounded.
    pub max: Duration,
    /// How many were measured: all that were handed over.
    pub pictures: u64,
}

/// Counts of spans in buckets of even width; what is longer than all of them is in the last.
#[derive(Debug)]
pub(super) struct Spans {
    counts: Vec<u64>,
    total: u64,
    max: Duration,
}

impl Spans {
    pub(super) fn new() -> Self {
        Self { counts: vec![0; BUCKETS], total: 0, max: Duration::ZERO }
    }

    pub(super) fn note(&mut self, span: Duration) {
        let bucket = span.as_nanos().div_ceil(WIDTH.as_nanos()).clamp(1, BUCKETS as u128) - 1;
        self.counts[bucket as usize] += 1;
        self.total += 1;
        self.max = self.max.max(span);
    }

    /// `None` if there was none.
    pub(super) fn figures(&self) -> Option<CaptureToSend> {
        (self.total > 0).then(|| CaptureToSend {
            p50: self.percentile(50),
            p95: self.percentile(95),
            max: self.max,
            pictures: self.total,
        })
    }

    /// The upper end of the bucket that the nearest rank is in, or the longest if that is less.
    fn percentile(&self, percent: u64) -> Duration {
        let rank = (u128::from(self.total) * u128::from(percent)).div_ceil(100);
        let mut below = 0;
        for (index, &count) in (1_u32..).zip(&self.counts) {
            below += u128::from(count);
            if below >= rank && index < BUCKETS as u32 {
                return (WIDTH * index).min(self.max);
            }
        }
        self.max
    }
}

/// A sixty-sixth of a picture at 60 a second: finer than what is decided by it.
const WIDTH: Duration = Duration::from_micros(250);

/// A second of them: who is slower than that has no use for a percentile.
const BUCKETS: usize = 4_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_those_of_the_sorted_spans_to_a_quarter_of_a_millisecond() {
        let mut spans = Spans::new();
        assert_eq!(spans.figures(), None);
        for ms in 1..=100 {
            spans.note(Duration::from_micros(ms * 1_000 - 100));
        }
        let figures = spans.figures().expect("there are some");
        assert_eq!(
            (figures.p50, figures.p95),
            (Duration::from_millis(50), Duration::from_millis(95))
        );
        assert_eq!((figures.max, figures.pictures), (Duration::from_micros(99_900), 100));
    }

    #[test]
    fn what_is_longer_than_all_buckets_is_told_as_it_was() {
        let mut spans = Spans::new();
        spans.note(Duration::ZERO);
        assert_eq!(spans.figures().expect("one").p95, Duration::ZERO);
        for _ in 0..9 {
            spans.note(Duration::from_secs(7));
        }
        assert_eq!(spans.figures().expect("ten").p50, Duration::from_secs(7));
    }
}
