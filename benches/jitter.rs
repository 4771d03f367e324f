//! What a unit costs in the jitter buffer, beside what it costs in a `BTreeMap`.
//!
//! `cargo bench -p paceline-benches --bench jitter`. Figures are of one call. Units of
//! 20 ms come in rounds of [`ROUND`], so that the clock that measures is read seldom: they
//! are put in, then all that is due is taken out. Each that is played is polled for twice
//! (`Wait`, then `Play`), as a caller with a timer does, and both count as a poll. The map
//! is given the same payloads by number, and gives them back in order: it knows no time.
#![allow(clippy::disallowed_methods, missing_docs, reason = "a bench: it has a clock")]

use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::{Duration, Instant};

use bytes::Bytes;
use criterion::{Criterion, criterion_group, criterion_main};
use paceline_jitter::types::{Frequency, MediaTime, SeqNo};
use paceline_jitter::{JitterBuffer, JitterConfig, Output, Unit};

/// How long the two kinds of call took, and how many there were.
#[derive(Default)]
struct Cost {
    insert: (Duration, u64),
    poll: (Duration, u64),
}

/// When each unit of a period arrives, by arrival: nanoseconds and number.
type Arrivals = Vec<(u64, u64)>;

/// Every unit is under way for as long as `delay` says.
fn arrivals(mut delay: impl FnMut(u64) -> u64) -> Arrivals {
    let mut arrivals: Vec<_> = (0..PERIOD)
        // The last ones do not reach into the next period.
        .map(|seq| (seq * SPACING + if seq + 64 < PERIOD { delay(seq) } else { 0 }, seq))
        .collect();
    arrivals.sort_unstable();
    arrivals
}

/// A network that delays by 10 ms on average, exponentially.
fn exponential() -> impl FnMut() -> u64 {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let uniform = (state >> 11) as f64 / (1_u64 << 53) as f64;
        (-10e6 * (1.0 - uniform).ln()) as u64
    }
}

/// The three streams that are measured.
fn streams() -> [(&'static str, Arrivals); 3] {
    let (mut random, mut other) = (exponential(), exponential());
    let mut last = 0;
    [
        ("steady", arrivals(|_| 0)),
        // A queue: nothing overtakes.
        (
            "jittery",
            arrivals(|seq| {
                last = last.max(seq * SPACING + random());
                last - seq * SPACING
            }),
        ),
        // Every fourth takes another way, and is overtaken by one or two.
        ("reordered", arrivals(|seq| other() / 10 + if seq % 4 == 0 { 30_000_000 } else { 0 })),
    ]
}

/// The units of a round, and when they arrive.
fn round(arrivals: &Arrivals, start: Instant, round: u64) -> Vec<(Instant, Unit<Bytes>)> {
    let payload = Bytes::from_static(&[0xfc; 120]);
    (round * ROUND..(round + 1) * ROUND)
        .map(|index| {
            let (period, (arrival, seq)) = (index / PERIOD, arrivals[(index % PERIOD) as usize]);
            let seq = period * PERIOD + seq;
            let time = MediaTime::new(seq * 960, Frequency::AUDIO);
            let arrival = start + Duration::from_nanos(period * PERIOD * SPACING + arrival);
            (arrival, Unit::new(SeqNo::new(seq), time, payload.clone()))
        })
        .collect()
}

fn buffer(arrivals: &Arrivals, rounds: u64) -> Cost {
    let mut buffer = JitterBuffer::new(JitterConfig::default());
    let mut cost = Cost::default();
    let mut now = Instant::now();
    let start = now;
    for index in 0..rounds {
        let units = round(arrivals, start, index);
        let (end, count) = (units.last().map_or(start, |&(at, _)| at), units.len());
        let clock = Instant::now();
        for (arrival, unit) in units {
            let _ = black_box(buffer.insert(arrival, unit));
        }
        cost.insert.0 += clock.elapsed();
        cost.insert.1 += count as u64;
        let clock = Instant::now();
        loop {
            cost.poll.1 += 1;
            match buffer.poll(now) {
                Output::Wait(due) if due <= end => now = due,
                Output::Empty | Output::Wait(_) => break,
                played_or_lost => drop(black_box(played_or_lost)),
            }
        }
        cost.poll.0 += clock.elapsed();
    }
    // What is measured is what it is for, not how fast it refuses.
    let stats = buffer.stats();
    assert!(stats.late + stats.lost < stats.played / 20 + 2, "{stats:?}");
    cost
}

fn map(arrivals: &Arrivals, rounds: u64) -> Cost {
    let mut map = BTreeMap::new();
    let mut cost = Cost::default();
    for index in 0..rounds {
        let units = round(arrivals, Instant::now(), index);
        let count = units.len() as u64;
        let clock = Instant::now();
        for (_, unit) in units {
            black_box(map.insert(unit.seq, unit));
        }
        cost.insert.0 += clock.elapsed();
        cost.insert.1 += count;
        let clock = Instant::now();
        // As many as the buffer holds on average stay.
        while map.len() > 4 {
            cost.poll.1 += 1;
            drop(black_box(map.pop_first()));
        }
        cost.poll.0 += clock.elapsed();
    }
    cost
}

/// What `calls` calls take, by what so many took.
fn scaled((time, count): (Duration, u64), calls: u64) -> Duration {
    Duration::from_secs_f64(time.as_secs_f64() * calls as f64 / count as f64)
}

fn jitter(c: &mut Criterion) {
    for (name, arrivals) in streams() {
        let mut group = c.benchmark_group(format!("jitter, {name} stream"));
        for (who, run) in [("paceline", buffer as fn(&_, _) -> _), ("BTreeMap", map)] {
            group.bench_function(format!("insert, {who}"), |b| {
                b.iter_custom(|calls| scaled(run(&arrivals, calls.div_ceil(ROUND)).insert, calls));
            });
            group.bench_function(format!("poll, {who}"), |b| {
                b.iter_custom(|calls| scaled(run(&arrivals, calls.div_ceil(ROUND)).poll, calls));
            });
        }
    }
}

criterion_group!(benches, jitter);
criterion_main!(benches);

/// Units in a round: half of what the buffer has room for.
const ROUND: u64 = 64;

/// Units after which the delays are the same again: 82 s.
const PERIOD: u64 = 4_096;

/// 20 ms in nanoseconds.
const SPACING: u64 = 20_000_000;
