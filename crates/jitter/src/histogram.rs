//! Delays in buckets, older ones counting less.

/// How often which delay was seen.
///
/// Instead of shrinking all buckets with each delay, each delay counts a little
/// more than the one before; from time to time all are scaled down.
#[derive(Debug)]
pub(crate) struct Histogram {
    buckets: [f32; BUCKETS],
    growth: f32,
    /// Of the next delay.
    weight: f32,
    sum: f32,
}

impl Histogram {
    /// One that after `memory` delays has forgotten all of a delay but 1/e. More
    /// than one.
    pub(crate) const fn new(memory: f32) -> Self {
        Self { buckets: [0.0; BUCKETS], growth: memory / (memory - 1.0), weight: 1.0, sum: 0.0 }
    }

    /// Takes in a delay of `ms` milliseconds.
    pub(crate) fn add(&mut self, ms: i64) {
        self.weight *= self.growth;
        self.add_weight(ms, 1.0);
        if self.weight > HEAVY {
            let scale = self.weight.recip();
            self.buckets.iter_mut().for_each(|bucket| *bucket *= scale);
            (self.weight, self.sum) = (1.0, self.buckets.iter().sum());
        }
    }

    /// Takes in a delay that counts as much as `count` of the last one.
    pub(crate) fn add_weight(&mut self, ms: i64, count: f32) {
        self.buckets[bucket_of(ms)] += count * self.weight;
        self.sum += count * self.weight;
    }

    /// All delays were `ms` milliseconds longer than thought.
    pub(crate) fn shift(&mut self, ms: i64) {
        let buckets = std::mem::replace(&mut self.buckets, [0.0; BUCKETS]);
        for (bucket, weight) in buckets.into_iter().enumerate().filter(|&(_, it)| it > 0.0) {
            // Between two buckets, so that the mean moves by just that, however wide they
            // are.
            let at = middle_of(bucket) + ms as f32;
            let near = bucket_of(at as i64);
            let other = if at < middle_of(near) { near.saturating_sub(1) } else { near + 1 };
            let other = other.min(BUCKETS - 1);
            let apart = middle_of(other) - middle_of(near);
            let part = if apart == 0.0 { 0.0 } else { (at - middle_of(near)) / apart };
            let part = part.clamp(0.0, 1.0);
            self.buckets[near] += weight * (1.0 - part);
            self.buckets[other] += weight * part;
        }
    }

    /// The delay in milliseconds at which it and the later ones cost least, when
    /// being later costs `price` milliseconds. It is from `least` to `most`, which need
    /// not be ends of buckets. Less than one counts as none.
    ///
    /// A shorter one than `held` has to save more than `slack` milliseconds, if it is not
    /// the least: that one needs no moving to and fro, and a clean stream gets back to it.
    pub(crate) fn cheapest(
        &self,
        price: f32,
        [least, most]: [i64; 2],
        held: i64,
        slack: f32,
    ) -> i64 {
        let scale = price / self.sum;
        let mut later = self.sum;
        let (mut cheapest, mut lowest) = (least, f32::INFINITY);
        let (mut cost_of_held, mut start) = (f32::INFINITY, 0);
        for (weight, &end) in self.buckets.iter().zip(&ENDS) {
            // To wait so long costs as much as all of the best.
            if end as f32 >= lowest && end > held {
                break;
            }
            later -= weight;
            let delay = if start < least { least } else { end.min(most) };
            start = end;
            let cost = delay as f32 + later.max(0.0) * scale;
            if cost < lowest {
                (cheapest, lowest) = (delay, cost);
            }
            if delay == held {
                cost_of_held = cost;
            }
            if end >= most {
                break;
            }
        }
        let stays = least < cheapest && cheapest < held && cost_of_held - lowest <= slack;
        if stays { held } else { cheapest }
    }
}

/// 1 ms each up to 64 ms, then 32 for each octave up to 2,048 ms. What is more
/// than that goes into the last.
fn bucket_of(ms: i64) -> usize {
    let ms = ms.clamp(0, MAX_MS - 1) as usize;
    if ms < LINEAR {
        return ms;
    }
    let octave = (ms / LINEAR).ilog2() as usize;
    LINEAR + PER_OCTAVE * octave + (ms >> (octave + 1)) - PER_OCTAVE
}

/// Where a bucket begins, in milliseconds.
const fn start_of(bucket: usize) -> i64 {
    if bucket < LINEAR {
        return bucket as i64;
    }
    let (octave, part) = ((bucket - LINEAR) / PER_OCTAVE, (bucket - LINEAR) % PER_OCTAVE);
    ((PER_OCTAVE + part) as i64) << (octave + 1)
}

/// The middle of a bucket, in milliseconds.
fn middle_of(bucket: usize) -> f32 {
    (start_of(bucket) + start_of(bucket + 1)) as f32 / 2.0
}

/// Where each bucket ends, in milliseconds. Less than one counts as none.
const ENDS: [i64; BUCKETS] = {
    let mut ends = [0; BUCKETS];
    let mut bucket = 1;
    while bucket < BUCKETS {
        ends[bucket] = start_of(bucket + 1);
        bucket += 1;
    }
    ends
};

const LINEAR: usize = 64;
const PER_OCTAVE: usize = LINEAR / 2;
const OCTAVES: usize = 5;
const BUCKETS: usize = LINEAR + OCTAVES * PER_OCTAVE;
const MAX_MS: i64 = (LINEAR << OCTAVES) as i64;

/// Far below the largest f32, even when all weights are added.
const HEAVY: f32 = 1e15;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_millisecond_is_in_the_bucket_that_covers_it() {
        for ms in 0..MAX_MS {
            let bucket = bucket_of(ms);
            assert!((start_of(bucket)..start_of(bucket + 1)).contains(&ms), "{ms} in {bucket}");
        }
        assert_eq!(bucket_of(i64::MAX), BUCKETS - 1);
        assert_eq!(bucket_of(i64::MIN), 0);
        assert_eq!(start_of(BUCKETS), MAX_MS);
    }

    #[test]
    fn the_cheapest_delay_is_where_waiting_longer_costs_more_than_it_saves() {
        let mut histogram = Histogram::new(1e6);
        for i in 0..1_000 {
            histogram.add(if i % 50 == 0 { 59 } else { 9 });
        }
        // Two in a hundred are 50 ms later: worth it from 2,500 ms each on.
        assert_eq!(histogram.cheapest(2_400.0, [0, 200], 0, 0.0), 10);
        assert_eq!(histogram.cheapest(2_600.0, [0, 200], 0, 0.0), 60);
        // What the longest delay does not save is not waited for.
        assert_eq!(histogram.cheapest(2_600.0, [0, 50], 0, 0.0), 10);
        assert_eq!(histogram.cheapest(2_600.0, [70, 200], 0, 0.0), 70);
        // What is held stays until another saves enough.
        assert_eq!(histogram.cheapest(2_400.0, [0, 200], 60, 3.0), 60);
        assert_eq!(histogram.cheapest(2_400.0, [0, 200], 60, 1.0), 10);
    }

    #[test]
    fn to_and_fro_is_where_it_was() {
        for ms in [10, 90, 130, 300, 700] {
            let mut histogram = Histogram::new(1e6);
            histogram.add(ms);
            for by in [1, 2, 3, 7] {
                for _ in 0..20 {
                    histogram.shift(by);
                    histogram.shift(-by);
                }
            }
            let mean = histogram.buckets.iter().enumerate();
            let mean = mean.map(|(bucket, weight)| middle_of(bucket) * weight).sum::<f32>();
            let off = mean / histogram.sum - middle_of(bucket_of(ms));
            assert!(off.abs() < 1.0, "{ms} is off by {off}");
        }
    }

    #[test]
    fn scaling_down_changes_nothing() {
        let mut histogram = Histogram::new(2.0);
        for i in 0..1_000 {
            histogram.add(10 + i % 2);
            assert!(histogram.sum.is_finite() && histogram.weight <= HEAVY * 2.0);
        }
        assert_eq!(histogram.cheapest(1e5, [0, 200], 0, 0.0), 12);
        histogram.shift(-5);
        assert_eq!(histogram.cheapest(1e5, [0, 200], 0, 0.0), 7);
    }
}
