//! What only a forger could write, and how long entries can be.
#![allow(clippy::disallowed_methods, reason = "a test needs an epoch")]

use std::time::{Duration, Instant};

use paceline_types::{Frequency, MediaTime, SeqNo};
use proptest::prelude::*;

use super::wire::{MAX_ENTRY, MAX_HEADER, MAX_STATS, Writer};
use super::{Call, Difference, Log, LogError, Outcome, ReplayError};
use crate::{JitterConfig, JitterStats, Unit, Verdict};

const EDGES: [i64; 5] = [0, 1, -1, i64::MAX, i64::MIN];

fn number() -> impl Strategy<Value = i64> {
    prop_oneof![
        any::<i64>(),
        0_i64..100,
        -1_000_000_000_000_i64..1_000_000_000_000,
        prop::sample::select(EDGES.to_vec()),
    ]
}

fn span() -> impl Strategy<Value = Duration> {
    prop_oneof![
        (0_u64..1_000_000_000).prop_map(Duration::from_nanos),
        (any::<u64>(), 0_u32..1_000_000_000).prop_map(|(secs, nanos)| Duration::new(secs, nanos)),
    ]
}

fn unit() -> impl Strategy<Value = Unit<()>> {
    (number(), number(), any::<[bool; 2]>(), prop_oneof![Just(48_000), 1_u32..]).prop_map(
        |(seq, ticks, [marker, retransmitted], hz)| {
            let frequency = Frequency::new(hz.try_into().unwrap());
            let time = MediaTime::new(ticks as u64, frequency);
            Unit { seq: SeqNo::new(seq as u64), time, marker, retransmitted, payload: () }
        },
    )
}

fn config() -> impl Strategy<Value = JitterConfig> {
    let pace = prop_oneof![0.0..1.0, Just(f64::MAX), Just(0.0)];
    let flags = (any::<bool>(), any::<u32>(), 0_usize..200, pace);
    (prop::array::uniform6(span()), flags).prop_map(|(spans, (talkspurts, gap, capacity, pace))| {
        let [loss_price, max_delay, max_jump, max_late, min_delay, start_delay] = spans;
        let config = if talkspurts { JitterConfig::audio() } else { JitterConfig::video() };
        let config = config.capacity(capacity).max_gap(gap).max_pace(pace);
        let config = config.loss_price(loss_price).max_delay(max_delay).max_jump(max_jump);
        config.max_late(max_late).min_delay(min_delay).start_delay(start_delay)
    })
}

/// A call, with an outcome that may be as false as any.
fn entry() -> impl Strategy<Value = (Call, Outcome)> {
    let verdicts = [
        Verdict::Duplicate(()),
        Verdict::Full(()),
        Verdict::Late(()),
        Verdict::Probation,
        Verdict::Queued,
    ];
    let verdict = prop::sample::select(verdicts.to_vec()).prop_map(Outcome::Verdict);
    let output = prop_oneof![
        Just(Outcome::Empty),
        (number(), number()).prop_map(|(first, count)| {
            Outcome::Lost { first: SeqNo::new(first as u64), count: count as u64 }
        }),
        (unit(), number()).prop_map(|(Unit { seq, time, marker, .. }, due)| Outcome::Play {
            seq,
            time,
            marker,
            due
        }),
        number().prop_map(|due| Outcome::Wait { due }),
    ];
    let ppm = prop_oneof![-20_000.0..20_000.0, any::<f64>()];
    prop_oneof![
        4 => (number(), unit(), verdict)
            .prop_map(|(at, unit, verdict)| (Call::Insert { at, unit }, verdict)),
        4 => (number(), output).prop_map(|(at, output)| (Call::Poll { at }, output)),
        1 => ppm.prop_map(|ppm| (Call::SetDrift(ppm), Outcome::Done)),
        1 => span().prop_map(|span| (Call::SetMinPlayoutDelay(span), Outcome::Done)),
        1 => prop::option::of(span()).prop_map(|it| (Call::SetRoundTrip(it), Outcome::Done)),
    ]
}

fn written(config: &JitterConfig, entries: &[(Call, Outcome)]) -> Vec<u8> {
    let mut writer = Writer::new(config, 0);
    assert!(writer.len() <= MAX_HEADER, "{}", writer.len());
    for (call, outcome) in entries {
        let before = writer.len();
        writer.write(call, outcome);
        assert!(writer.len() - before <= MAX_ENTRY, "{call:?} takes too much");
    }
    writer.write(&Call::Stats, &Outcome::Stats(JitterStats::default()));
    writer.into_bytes()
}

proptest! {
    /// A forged log has right checks, and calls that no caller would make. It is read as
    /// it was written, and replayed up to the first lie.
    #[test]
    fn a_forged_log_never_panics(
        config in config(),
        entries in prop::collection::vec(entry(), 0..60),
    ) {
        let bytes = written(&config, &entries);
        match Log::parse(&bytes) {
            Err(error) => prop_assert_eq!(error, LogError::BadConfig),
            Ok(log) => {
                prop_assert_eq!(log.calls(), entries.len() as u64);
                prop_assert_eq!(format!("{:?}", log.config()), format!("{config:?}"));
                let mut reader = log.reader();
                for &(call, outcome) in &entries {
                    let read = reader.entry();
                    // A drift that is no number equals nothing.
                    prop_assert_eq!(format!("{read:?}"), format!("{:?}", Ok::<_, ()>((call, outcome))));
                }
                let _ = log.replay(Instant::now()).run();
            }
        }
    }

    /// The same, where the lies are about what came out only.
    #[test]
    fn whatever_is_put_in_is_replayed_without_a_panic(
        config in config(),
        entries in prop::collection::vec(entry(), 0..60),
    ) {
        let bytes = written(&config, &entries);
        if let Ok(log) = Log::parse(&bytes) {
            let mut buffer = crate::JitterBuffer::new(config);
            let epoch = Instant::now();
            for (call, _) in entries {
                let _ = call.apply(&mut buffer, epoch);
            }
            prop_assert_eq!(log.emit(), &bytes[..]);
        }
    }
}

#[test]
fn the_longest_statistics_fit_into_what_is_kept_for_them() {
    let (count, span) = (u64::MAX, Duration::MAX);
    let stats = JitterStats {
        queued: count,
        played: count,
        lost: count,
        late: count,
        duplicate: count,
        outliers: count,
        resyncs: count,
        early: count,
        full: count,
        waited: span,
        jitter: span,
        delay: span,
        target: span,
        max_delay: span,
    };
    let mut writer = Writer::new(&JitterConfig::default(), 0);
    let before = writer.len();
    writer.write(&Call::Stats, &Outcome::Stats(stats));
    assert!(writer.len() - before <= MAX_STATS);
}

#[test]
fn a_lie_is_told_with_what_was_expected_and_what_came() {
    let poll = |at| (Call::Poll { at }, Outcome::Empty);
    let lie = (Call::Poll { at: 7 }, Outcome::Wait { due: 9 });
    let log = Log::parse(&written(&JitterConfig::default(), &[poll(0), poll(5), lie, poll(8)]));
    let mut replay = log.as_ref().unwrap().replay(Instant::now());
    assert!(replay.next().unwrap().is_ok() && replay.next().unwrap().is_ok());
    let (call, expected) = lie;
    let difference = Difference { call_index: 2, call, expected, got: Outcome::Empty };
    assert_eq!(replay.next(), Some(Err(ReplayError::Differs(Box::new(difference)))));
    assert_eq!(replay.next(), None);
}
