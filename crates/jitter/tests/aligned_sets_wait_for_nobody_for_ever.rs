//! The aligner, with peers that run, stall, leave and lie.
#![allow(clippy::disallowed_methods, reason = "where the virtual clock starts")]

use std::time::{Duration, Instant};

use paceline_jitter::types::{NtpTime, WallClock};
use paceline_jitter::{
    AlignVerdict, AlignedSet, Aligner, AlignerConfig, Cadence, Overflow, Slot, Stamp, Take,
};
use proptest::prelude::*;

const FRAME: u64 = 33_333;

fn us(us: u64) -> Duration {
    Duration::from_micros(us)
}

fn ntp(at: u64) -> NtpTime {
    NtpTime::from_unix(Duration::from_secs(1_790_000_000) + us(at))
}

/// Frames that are played at a multiple of their interval, in order of time; the payload
/// is the time in µs.
fn play(
    aligner: &mut Aligner<u64, u32, u32>,
    start: Instant,
    lanes: &[(u32, u64, u64)],
    until: u64,
    runs: impl Fn(u32, u64) -> bool,
) -> Vec<(u64, AlignedSet<u32, u64>)> {
    let mut sets = Vec::new();
    let mut set = AlignedSet::new();
    for at in (0..until).step_by(1_000) {
        let now = start + us(at);
        aligner.handle_timeout(now);
        for &(id, interval, phase) in lanes {
            let number = (at + 1_000).saturating_sub(phase).div_ceil(interval);
            let due = (number.max(1) - 1) * interval + phase;
            if due >= at && due < at + 1_000 && runs(id, due) {
                // Each peer's wallclock is his own.
                let capture = ntp(due + u64::from(id / 10) * 1_000_000);
                let stamp = Stamp { capture, due: start + us(due) };
                assert_eq!(aligner.handle_frame(now, id, stamp, due), AlignVerdict::Queued);
            }
        }
        while aligner.poll_aligned(&mut set) {
            sets.push((at, set.clone()));
        }
    }
    sets
}

fn room(config: AlignerConfig) -> Aligner<u64, u32, u32> {
    let mut aligner = Aligner::new(config, Cadence::Every(us(FRAME)));
    for id in [10, 20, 30] {
        assert!(aligner.add_stream(id, id / 10, Take::Newest, us(FRAME)));
    }
    aligner
}

#[test]
fn a_stalled_peer_delays_others_by_a_deadline_and_then_not_at_all() {
    let start = Instant::now();
    let mut aligner = room(AlignerConfig::default());
    let lanes = [(10, FRAME, 0), (20, FRAME, 5_000), (30, FRAME, 9_000)];
    let stalls = |id, at| id != 20 || !(1_000_000..3_000_000).contains(&at);
    let sets = play(&mut aligner, start, &lanes, 5_000_000, stalls);
    for (n, (at, set)) in sets.iter().enumerate() {
        let time = (set.at.expect("filled") - start).as_micros() as u64;
        assert_eq!(time, n as u64 * FRAME, "one set in each frame time, none left out");
        assert!(*at <= time + 101_000, "out at {at}, for {time}");
        // Nobody waits for one who stalled for longer than 250 ms.
        if (1_400_000..3_000_000).contains(&time) {
            assert!(*at <= time + 2_000, "out at {at}, for {time}");
            assert!(matches!(set.parts[1].slot, Slot::Held { .. }));
        }
        if *at > 100_000 {
            assert!(matches!(set.parts[0].slot, Slot::Fresh { .. }), "{set:?}");
        }
        if time > 3_100_000 {
            assert!(set.parts.iter().all(|part| matches!(part.slot, Slot::Fresh { .. })));
        }
    }
    assert!(sets.len() > 145, "{}", sets.len());
    let stats = aligner.stats();
    assert!((5..=12).contains(&stats.forced), "{stats:?}");
    assert!(stats.held >= 50 && stats.late == 0, "{stats:?}");
}

#[test]
fn sound_is_complete_and_in_order_whatever_the_cadence() {
    let start = Instant::now();
    let mut aligner = Aligner::new(AlignerConfig::default(), Cadence::Every(us(FRAME)));
    assert!(aligner.add_stream(10, 1, Take::Newest, us(40_000)));
    assert!(aligner.add_stream(11, 1, Take::All, us(20_000)));
    let sets =
        play(&mut aligner, start, &[(10, 40_000, 0), (11, 20_000, 3_000)], 10_000_000, |_, _| true);
    let mut next = 3_000;
    for (_, set) in &sets {
        let time = (set.at.expect("filled") - start).as_micros() as u64;
        for part in set.parts.iter().filter(|part| part.stream == 11) {
            if let Slot::Fresh { payload, .. } = part.slot {
                assert_eq!(payload, next);
                assert!(payload <= time && payload + 20_000 + FRAME > time);
                next += 20_000;
            }
        }
    }
    assert!(next > 9_900_000);
}

#[test]
fn streams_of_a_peer_are_aligned_by_capture() {
    let start = Instant::now();
    let mut aligner = Aligner::new(AlignerConfig::default(), Cadence::Stream(2));
    assert!(aligner.add_stream(1, 1, Take::Newest, us(40_000)));
    assert!(aligner.add_stream(2, 1, Take::Newest, us(40_000)));
    let mut set = AlignedSet::new();
    let mut pairs = 0;
    for n in 0..20 {
        // Captured together, and played 15 ms apart: sound is still on its way.
        let at = n * 40_000;
        let stamp = |late| Stamp { capture: ntp(at), due: start + us(at + late) };
        let now = start + us(at);
        assert_eq!(aligner.handle_frame(now, 1, stamp(0), n), AlignVerdict::Queued);
        let now = start + us(at + 15_000);
        assert_eq!(aligner.handle_frame(now, 2, stamp(15_000), n), AlignVerdict::Queued);
        while aligner.poll_aligned(&mut set) {
            let have = |index: usize| match set.parts[index].slot {
                Slot::Fresh { payload, at } => Some((payload, at)),
                _ => None,
            };
            if n > 0 {
                let (Some(sound), Some(picture)) = (have(0), have(1)) else { panic!("{set:?}") };
                assert_eq!(sound.0, picture.0);
                // NTP counts in 0.23 ns.
                let apart = sound.1.max(picture.1) - sound.1.min(picture.1);
                assert!(apart <= Duration::from_nanos(1), "{apart:?}");
                pairs += 1;
            }
        }
    }
    assert!(pairs >= 18, "{pairs}");
}

#[test]
fn synchronised_clocks_align_by_capture_however_long_the_paths_are() {
    let start = Instant::now();
    let clock = WallClock::new(start, ntp(0));
    let config = AlignerConfig::default().wallclock(clock, us(120_000));
    let mut aligner = Aligner::new(config, Cadence::Every(us(40_000)));
    assert!(aligner.add_stream(1, 1, Take::Newest, us(40_000)));
    assert!(aligner.add_stream(2, 2, Take::Newest, us(40_000)));
    let mut set = AlignedSet::new();
    let mut sets = 0;
    for at in (0..4_000_000).step_by(5_000) {
        let now = start + us(at);
        aligner.handle_timeout(now);
        for (id, path) in [(1, 10_000), (2, 90_000)] {
            if at >= path && (at - path) % 40_000 == 0 {
                let stamp = Stamp { capture: ntp(at - path), due: now };
                assert_eq!(aligner.handle_frame(now, id, stamp, at - path), AlignVerdict::Queued);
            }
        }
        while aligner.poll_aligned(&mut set) {
            sets += 1;
            let captured = [0, 1].map(|index| match set.parts[index].slot {
                Slot::Fresh { payload, .. } => Some(payload),
                _ => None,
            });
            if sets > 4 {
                assert!(captured[0].is_some() && captured[0] == captured[1], "{captured:?}");
            }
        }
    }
    assert!(sets >= 95, "{sets}");
}

#[test]
fn streams_join_and_leave_at_any_time() {
    let start = Instant::now();
    let mut aligner = room(AlignerConfig::default().max_streams(4));
    let lanes = [(10, FRAME, 0), (20, FRAME, 0)];
    // One that has not begun is not waited for.
    let sets = play(&mut aligner, start, &lanes, 500_000, |_, _| true);
    assert!(sets.len() >= 14 && aligner.stats().forced == 0, "{:?}", aligner.stats());
    assert!(sets.iter().all(|(_, set)| set.parts[2].slot == Slot::Missing));
    assert!(aligner.remove_stream(20) && !aligner.remove_stream(20));
    assert!(!aligner.add_stream(10, 1, Take::All, us(1)), "it is there");
    assert!(aligner.add_stream(40, 4, Take::Newest, us(FRAME)));
    assert!(aligner.add_stream(41, 4, Take::Newest, us(FRAME)));
    assert!(!aligner.add_stream(42, 4, Take::Newest, us(FRAME)), "a fifth");
    let late = Stamp { capture: ntp(0), due: start };
    let now = start + us(500_000);
    assert_eq!(aligner.handle_frame(now, 20, late, 0), AlignVerdict::Unknown(0));
    assert_eq!(aligner.handle_frame(now, 40, late, 0), AlignVerdict::Late(0));
}

#[test]
fn a_frame_whose_set_is_out_is_handed_back() {
    let start = Instant::now();
    let mut aligner = room(AlignerConfig::default());
    let sets = play(&mut aligner, start, &[(10, FRAME, 0)], 200_000, |_, _| true);
    let last = sets.last().and_then(|(_, set)| set.at).expect("sets went out");
    let stamp = |before| Stamp { capture: ntp(0), due: last - us(before) };
    let now = start + us(200_000);
    assert_eq!(aligner.handle_frame(now, 30, stamp(FRAME), 7), AlignVerdict::Late(7));
    // Half a frame is the phase of a camera: it is in the next set.
    assert_eq!(aligner.handle_frame(now, 20, stamp(FRAME / 2), 8), AlignVerdict::Queued);
    assert_eq!(aligner.stats().late, 1);
    let ahead = Stamp { capture: ntp(0), due: now + us(501_000) };
    assert_eq!(aligner.handle_frame(now, 30, ahead, 9), AlignVerdict::Ahead(9));
}

#[test]
fn when_all_stall_nothing_goes_out_and_the_cadence_stays() {
    let start = Instant::now();
    let mut aligner = room(AlignerConfig::default());
    let lanes = [(10, FRAME, 0), (20, FRAME, 0)];
    let runs = |_, at: u64| !(1_000_000..60_000_000).contains(&at);
    let sets = play(&mut aligner, start, &lanes, 61_000_000, runs);
    let times = sets.iter().map(|(_, set)| (set.at.expect("filled") - start).as_micros() as u64);
    let times: Vec<_> = times.collect();
    assert!(times.iter().all(|time| time % FRAME == 0));
    assert_eq!(times.iter().filter(|&&time| (1_400_000..59_000_000).contains(&time)).count(), 0);
    assert!(times.iter().filter(|&&time| time > 59_900_000).count() >= 29);
    assert!(aligner.stats().skipped_sets > 1_700, "{:?}", aligner.stats());
}

#[test]
fn a_full_queue_drops_the_oldest_or_refuses_the_newest() {
    for (overflow, first) in [(Overflow::DropOldest, 6), (Overflow::RefuseNewest, 0)] {
        let start = Instant::now();
        let config = AlignerConfig::default().max_frames(4).overflow(overflow);
        let mut aligner = Aligner::new(config, Cadence::Stream(2));
        assert!(aligner.add_stream(1, 1, Take::All, us(10_000)));
        assert!(aligner.add_stream(2, 2, Take::All, us(10_000)));
        for n in 0..10_u64 {
            let stamp = Stamp { capture: ntp(n * 10_000), due: start + us(n * 10_000) };
            let verdict = aligner.handle_frame(start, 1, stamp, n);
            let full = overflow == Overflow::RefuseNewest && n >= 4;
            assert_eq!(verdict == AlignVerdict::Full(n), full);
        }
        assert_eq!((aligner.queued(), aligner.stats().overflow), (4, 6));
        let stamp = Stamp { capture: ntp(0), due: start + us(200_000) };
        assert_eq!(aligner.handle_frame(start, 2, stamp, 0), AlignVerdict::Queued);
        let mut set = AlignedSet::new();
        aligner.handle_timeout(start + us(300_000));
        assert!(aligner.poll_aligned(&mut set));
        let payloads = set.parts.iter().filter_map(|part| match part.slot {
            Slot::Fresh { payload, .. } => Some(payload),
            _ => None,
        });
        assert_eq!(payloads.take(4).collect::<Vec<_>>(), (first..first + 4).collect::<Vec<_>>());
    }
}

proptest! {
    /// Whatever capture times and instants say, sets come in order, each queue is bounded,
    /// a stream's frames come out in the order they went in, and each at most once fresh.
    #[test]
    fn hostile_times_break_neither_order_nor_bounds(
        steps in prop::collection::vec((0_u32..4, any::<u64>(), -2_000_i64..2_000, 0_u64..200), 0..300),
        cadence in 0_u64..100,
        by_wallclock in any::<bool>(),
    ) {
        let start = Instant::now() + Duration::from_secs(1_000);
        let mut config = AlignerConfig::default().max_frames(8);
        if by_wallclock {
            config = config.wallclock(WallClock::new(start, ntp(0)), us(50_000));
        }
        let mut aligner = Aligner::new(config, Cadence::Every(Duration::from_millis(cadence)));
        for id in 0..3_u32 {
            let take = if id == 0 { Take::All } else { Take::Newest };
            prop_assert!(aligner.add_stream(id, id / 2, take, us(FRAME)));
        }
        let (mut now, mut last) = (start, None);
        let mut given = [None; 3];
        let mut set = AlignedSet::new();
        for (n, (id, capture, due, passed)) in steps.into_iter().enumerate() {
            now += Duration::from_millis(passed);
            let span = Duration::from_millis(due.unsigned_abs());
            let due = if due < 0 { now - span } else { now + span };
            let capture = NtpTime::from_bits(capture);
            let _ = aligner.handle_frame(now, id, Stamp { capture, due }, n);
            let mut sets = 0;
            while aligner.poll_aligned(&mut set) {
                sets += 1;
                prop_assert!(set.at > last);
                last = set.at;
                for part in &set.parts {
                    if let Slot::Fresh { at, payload } = part.slot {
                        prop_assert!(Some(at) <= set.at);
                        let before = &mut given[part.stream as usize];
                        prop_assert!(Some(payload) > *before);
                        *before = Some(payload);
                    }
                }
            }
            prop_assert!(sets <= 1_000);
            prop_assert!(aligner.queued() <= 3 * 8);
            prop_assert!(aligner.poll_timeout().is_none_or(|due| due > now));
        }
    }
}

/// A picture whose capture times say that it is far behind has no sound refused.
#[test]
fn capture_times_of_one_stream_shut_out_no_other() {
    let start = Instant::now();
    let every = Cadence::Every(Duration::from_millis(20));
    let mut aligner: Aligner<u64, u32, u32> = Aligner::new(AlignerConfig::default(), every);
    assert!(aligner.add_stream(1, 7, Take::All, Duration::from_millis(20)));
    assert!(aligner.add_stream(2, 7, Take::All, Duration::from_millis(20)));
    let mut set = AlignedSet::new();
    for number in 0..200 {
        let (now, at) = (start + us(number * 20_000), number * 20_000 + 1_000_000);
        let due = now + us(100_000);
        let picture = Stamp { capture: ntp(at - 450_000), due };
        assert_eq!(aligner.handle_frame(now, 1, picture, number), AlignVerdict::Queued);
        let sound = Stamp { capture: ntp(at), due };
        assert_eq!(aligner.handle_frame(now, 2, sound, number), AlignVerdict::Queued);
        while aligner.poll_aligned(&mut set) {}
    }
}
