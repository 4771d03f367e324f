//! What an observation costs.

use std::hint::black_box;
use std::time::{Duration, Instant};

use paceline_drift::types::{Frequency, MediaTime};
use paceline_drift::{DriftConfig, DriftEstimator};

use crate::noise::{Path, Stream};

/// The cost of an observation, over a stream of some length.
pub struct Cost {
    pub seconds: f64,
    /// The least of some runs: what disturbs only adds.
    pub nanoseconds: f64,
    pub allocations: u64,
    pub bytes: usize,
}

pub fn all() -> Vec<Cost> {
    [10.0, 30.0, 60.0, 600.0].map(one).into()
}

fn one(seconds: f64) -> Cost {
    let mut stream = Stream::new(Path::Exponential, 50.0, 1, seconds);
    let start = Instant::now();
    // Made beforehand, so that only the estimator is timed.
    let packets: Vec<(Instant, MediaTime)> = (0..(seconds * 50.0) as u64)
        .map(|packet| {
            let arrival = start + Duration::from_nanos((stream.next().1 * 1e3) as u64);
            (arrival, MediaTime::new(packet * 960, Frequency::AUDIO))
        })
        .collect();
    let run = || {
        let mut drift = DriftEstimator::new(DriftConfig::default());
        for &(arrival, time) in &packets {
            let _ = drift.handle_observation(arrival, time);
        }
        black_box(drift.estimate().ppm);
    };
    let mut least = f64::INFINITY;
    for _ in 0..30 {
        let began = Instant::now();
        run();
        least = least.min(began.elapsed().as_nanos() as f64 / packets.len() as f64);
    }
    let allocations = allocation_counter::measure(run).count_total;
    Cost { seconds, nanoseconds: least, allocations, bytes: size_of::<DriftEstimator>() }
}
