//! A stage that resumes, or is steered to, the media clock of another.

#![allow(clippy::disallowed_methods, reason = "an epoch for the tests")]

use std::time::{Duration, Instant};

use paceline_playout::{Stage, StageConfig, StageOutput};
use paceline_types::{Frequency, MediaTime, NtpTime, SenderId, WallClock};
use proptest::prelude::*;

const ANN: SenderId = SenderId::new(1);

fn wall(now: Instant) -> WallClock {
    WallClock::new(now, NtpTime::from_unix(Duration::from_secs(1_700_000_000)))
}

fn at(ticks: u64) -> MediaTime {
    MediaTime::new(ticks, Frequency::AUDIO)
}

/// Media times of what is made until `end`, with the numbers of sound and when it was made.
type Made = (Vec<(u64, MediaTime, Instant)>, Vec<(MediaTime, Instant)>);

fn run(stage: &mut Stage, end: Instant) -> Made {
    let (mut sounds, mut pictures) = (Vec::new(), Vec::new());
    while let Some(now) = stage.poll_timeout().filter(|&now| now <= end) {
        stage.handle_timeout(now);
        while let Some(output) = stage.poll_output() {
            match output {
                StageOutput::Audio { frame, seq_tick, .. } => {
                    assert_eq!(frame.time, at(seq_tick * 960));
                    sounds.push((seq_tick, frame.time, now));
                }
                StageOutput::Picture(picture) => pictures.push((picture.time(), now)),
                _ => {}
            }
        }
    }
    (sounds, pictures)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    #[test]
    fn what_a_resumed_stage_makes_is_what_one_that_began_long_ago_makes(
        ticks in 0_u64..48_000 * 20,
        rate in prop::sample::select(vec![1, 7, 15, 24, 30, 60]),
    ) {
        let start = Instant::now();
        let config = StageConfig::default().frame_rate(rate).width(16).height(16);
        let mut long = Stage::new(start, wall(start), config.clone());
        let _ = long.add_source(start, ANN);
        // A tick is no whole number of nanoseconds: it is resumed where one begins.
        let now = start + Duration::from_nanos(ticks * 1_000_000_000 / 48_000);
        let mut late = Stage::resume(now, wall(start), config, at(ticks));
        let _ = late.add_source(now, ANN);
        prop_assert_eq!(late.media_time(now), at(ticks));

        let end = now + Duration::from_secs(2);
        let just_before = now.checked_sub(Duration::from_nanos(1)).unwrap_or(now);
        let _ = run(&mut long, just_before);
        let (sounds, pictures) = run(&mut long, end);
        let (late_sounds, late_pictures) = run(&mut late, end);
        prop_assert_eq!(sounds, late_sounds);
        prop_assert_eq!(pictures, late_pictures);
    }

    #[test]
    fn a_steered_stage_repeats_no_media_time_and_leaves_none_out(
        off in -150_i64..150,
        every in 1_u64..80,
    ) {
        let start = Instant::now();
        let config = StageConfig::default().width(16).height(16);
        let mut stage = Stage::resume(start, wall(start), config, at(48_000));
        let _ = stage.add_source(start, ANN);
        let (mut sounds, mut pictures) = (Vec::new(), Vec::new());
        let mut left = Duration::MAX;
        for step in 0..100 {
            let now = start + Duration::from_millis(every * step);
            // The host began `off` ms sooner than it looked.
            let host = at(((1_000 + off + (every * step) as i64) * 48) as u64);
            left = stage.steer(now, host);
            prop_assert_eq!(stage.media_time(now) == host, left.is_zero());
            let (made, shown) = run(&mut stage, now);
            sounds.extend(made.into_iter().map(|(seq, ..)| seq));
            pictures.extend(shown.into_iter().map(|(time, _)| time.ticks()));
        }
        prop_assert_eq!(left, Duration::ZERO);
        prop_assert!(sounds.windows(2).all(|pair| pair[1] == pair[0] + 1), "{:?}", sounds);
        prop_assert!(pictures.windows(2).all(|pair| pair[1] == pair[0] + 3_000), "{:?}", pictures);
    }
}

#[test]
fn steering_moves_five_milliseconds_at_most() {
    let start = Instant::now();
    let mut stage = Stage::resume(start, wall(start), StageConfig::default(), at(48_000));
    for (steps, host) in [(1..=20, 1_100), (1..=20, 1_000)] {
        for step in steps {
            let before = stage.media_time(start).ticks().abs_diff(host * 48);
            let left = stage.steer(start, at(host * 48));
            let after = stage.media_time(start).ticks().abs_diff(host * 48);
            assert_eq!(before - after, 240);
            assert_eq!(left, Duration::from_millis(100 - 5 * step));
        }
    }
}

#[test]
fn a_media_time_that_cannot_be_is_no_reason_to_fail() {
    let start = Instant::now();
    for ticks in [u64::MAX, 1 << 60, 1] {
        let mut stage = Stage::resume(start, wall(start), StageConfig::default(), at(ticks));
        let _ = stage.add_source(start, ANN);
        let (sounds, pictures) = run(&mut stage, start + Duration::from_millis(100));
        assert!(sounds.len() >= 5 && pictures.len() >= 3);
        let _ = stage.steer(start, at(u64::MAX));
        let _ = stage.steer(start, at(0));
        assert!(stage.poll_timeout().is_some());
    }
}
