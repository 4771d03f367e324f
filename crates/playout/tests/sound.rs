//! What each participant hears.

#![allow(clippy::disallowed_methods, reason = "an epoch for the tests")]

use std::time::{Duration, Instant};

use paceline_playout::{Kind, Resampler, Stage, StageConfig, StageOutput, Verdict};
use paceline_types::{AudioFrame, Frequency, MediaTime, NtpTime, SenderId, WallClock};

const ANN: SenderId = SenderId::new(1);
const BOB: SenderId = SenderId::new(2);
const EVE: SenderId = SenderId::new(3);
const TICK: Duration = Duration::from_millis(20);
/// Samples by which all that is heard is late.
const LATE: usize = Resampler::LATENCY;

struct Heard {
    by: SenderId,
    tick: u64,
    frame: AudioFrame,
}

/// A stage with `members` and the instant it began.
fn stage(members: &[SenderId]) -> (Stage, Instant) {
    let now = Instant::now();
    let wall = WallClock::new(now, NtpTime::from_unix(Duration::from_secs(1_700_000_000)));
    let mut stage = Stage::new(now, wall, StageConfig::default().width(32).height(16));
    for &member in members {
        assert_eq!(stage.add_source(now, member), Verdict::Accepted);
    }
    (stage, now)
}

fn sound(channels: u8, samples: Vec<f32>) -> AudioFrame {
    let time = MediaTime::new(0, Frequency::AUDIO);
    AudioFrame { channels, time, capture: NtpTime::default(), samples: samples.into() }
}

fn heard(stage: &mut Stage, now: Instant) -> Vec<Heard> {
    stage.handle_timeout(now);
    let mut all = Vec::new();
    while let Some(output) = stage.poll_output() {
        if let StageOutput::Audio { for_peer: by, frame, seq_tick: tick, .. } = output {
            all.push(Heard { by, tick, frame });
        }
    }
    all
}

fn by(all: &[Heard], listener: SenderId) -> Vec<f32> {
    let his = all.iter().filter(|heard| heard.by == listener);
    his.flat_map(|heard| heard.frame.samples.iter().copied()).collect()
}

/// A sine whose pieces follow one another.
fn sine(from: usize, len: usize) -> Vec<f32> {
    (from..from + len).map(|i| (i as f32 * 0.03).sin() * 0.5).collect()
}

fn largest_step(samples: &[f32]) -> f32 {
    samples.windows(2).map(|pair| (pair[1] - pair[0]).abs()).fold(0.0, f32::max)
}

#[test]
fn everybody_hears_the_sum_of_all_others_and_nobody_himself() {
    let (mut stage, mut now) = stage(&[ANN, BOB, EVE]);
    let noise = |seed: usize| -> Vec<f32> {
        (0..960).map(|i| ((i * 7919 + seed * 104_729) % 1_000) as f32 / 5_000.0 - 0.1).collect()
    };
    let sum = |a: &[f32], b: &[f32]| -> Vec<f32> {
        // Ten bits of fraction at most are lost in f32: the sum of two is exact in f64.
        a.iter().zip(b).map(|(&a, &b)| (f64::from(a) + f64::from(b)) as f32).collect()
    };
    let (mut heard_by, mut sums) = ([vec![], vec![], vec![]], [vec![], vec![], vec![]]);
    for tick in 0..3 {
        let [ann, bob, eve] = [1, 2, 3].map(|who| noise(tick * 3 + who));
        let _ = stage.handle_audio(now, ANN, sound(1, ann.clone()));
        let _ = stage.handle_audio(now, BOB, sound(1, bob.clone()));
        let _ = stage.handle_audio(now, EVE, sound(1, eve.clone()));
        let all = heard(&mut stage, now);
        for (sums, [a, b]) in sums.iter_mut().zip([[&bob, &eve], [&ann, &eve], [&ann, &bob]]) {
            sums.extend(sum(a, b));
        }
        for (heard_by, who) in heard_by.iter_mut().zip([ANN, BOB, EVE]) {
            heard_by.extend(by(&all, who));
        }
        now += TICK;
    }
    for (heard_by, sums) in heard_by.iter().zip(sums) {
        // The first 5 ms of all fade in.
        assert_eq!(heard_by[LATE + 240..], sums[240..sums.len() - LATE]);
    }
}

#[test]
fn who_speaks_alone_hears_exact_silence() {
    let (mut stage, mut now) = stage(&[ANN, BOB]);
    for tick in 0..5 {
        let _ = stage.handle_audio(now, ANN, sound(1, sine(tick * 960, 960)));
        let all = heard(&mut stage, now);
        assert!(by(&all, ANN).iter().all(|&sample| sample == 0.0));
        assert!(by(&all, BOB).iter().any(|&sample| sample != 0.0));
        now += TICK;
    }
}

/// Who is to be encoded once for all of them: those who are not heard, and after his last word
/// one more a second later. The sound of who is heard is never among what he gets.
#[test]
fn all_who_are_not_heard_get_the_same_sound_and_who_is_heard_his_own() {
    let everybody: Vec<_> = (1..=32).map(SenderId::new).collect();
    let (mut stage, mut now) = stage(&everybody);
    let mut shared_at = Vec::new();
    for tick in 0..100 {
        // Two speak for 20 ticks; the rest of the microphones hiss, at −80 dBov.
        let speaks = |who: SenderId| tick < 20 && matches!(who, ANN | BOB);
        for &who in &everybody {
            let hiss = (0..960).map(|i| ((i * 7_919 + tick * 31) % 997) as f32 * 2e-7).collect();
            let samples = if speaks(who) { sine(tick * 960, 960) } else { hiss };
            let _ = stage.handle_audio(now, who, sound(1, samples));
        }
        stage.handle_timeout(now);
        let mut shared: Option<AudioFrame> = None;
        let mut own = Vec::new();
        while let Some(output) = stage.poll_output() {
            let StageOutput::Audio { for_peer, frame, is_shared, .. } = output else { continue };
            if is_shared {
                let before = shared.get_or_insert_with(|| frame.clone());
                assert!(std::sync::Arc::ptr_eq(&before.samples, &frame.samples));
            } else {
                own.push(for_peer);
            }
        }
        if (1..20).contains(&tick) {
            assert_eq!(own, [ANN, BOB], "tick {tick}");
        }
        shared_at.push(own.is_empty());
        now += TICK;
    }
    let last_word = shared_at.iter().rposition(|&all| !all).expect("they were heard");
    // The word's end, 50 ticks, and what the way through takes.
    assert!((69..=72).contains(&last_word), "{last_word}");
}

#[test]
fn of_stereo_the_mean_is_heard() {
    let (mut stage, now) = stage(&[ANN, BOB]);
    let stereo = [0.5, 0.1].repeat(960);
    assert_eq!(stage.handle_audio(now, ANN, sound(2, stereo)), Verdict::Accepted);
    let all = heard(&mut stage, now);
    assert!(by(&all, BOB)[LATE + 240..].iter().all(|&sample| (sample - 0.3).abs() < 1e-6));
}

#[test]
fn sound_of_an_impossible_shape_is_refused() {
    let (mut stage, now) = stage(&[ANN]);
    for (channels, len) in [(0, 960), (3, 960), (255, 0), (2, 959)] {
        let frame = sound(channels, vec![0.1; len]);
        assert_eq!(stage.handle_audio(now, ANN, frame), Verdict::Malformed);
    }
    assert_eq!(stage.handle_audio(now, ANN, sound(1, vec![])), Verdict::Accepted);
    assert_eq!(stage.handle_audio(now, BOB, sound(1, vec![])), Verdict::Unknown);
    assert_eq!((stage.stats().malformed, stage.stats().unknown), (4, 1));
}

#[test]
fn frames_of_any_length_make_one_stream() {
    let (mut stage, mut now) = stage(&[ANN, BOB]);
    let (mut sent, mut stream) = (0, Vec::new());
    let mut lengths = [441, 1, 960, 480, 1_920, 37, 120].into_iter().cycle();
    for _ in 0..50 {
        // Enough for this tick, never more than a queue holds.
        while sent < stream.len() + 960 {
            let len = lengths.next().expect("endless");
            let verdict = stage.handle_audio(now, ANN, sound(1, sine(sent, len)));
            assert_eq!(verdict, Verdict::Accepted);
            sent += len;
        }
        stream.extend(by(&heard(&mut stage, now), BOB));
        now += TICK;
    }
    assert_eq!(stream[LATE + 240..], sine(0, stream.len() - LATE)[240..]);
    assert_eq!(stage.stats().total.underruns, 0);
}

#[test]
fn a_source_that_stops_fades_out_in_60_ms_and_fades_in_when_it_returns() {
    // Whether it ends with a whole tick, in its middle, or just before its end.
    for rest in [0, 1, 100, 500, 800, 959] {
        let (mut stage, mut now) = stage(&[ANN, BOB]);
        let mut stream = Vec::new();
        let _ = stage.handle_audio(now, ANN, sound(1, sine(0, 1_920 + rest)));
        for _ in 0..8 {
            stream.extend(by(&heard(&mut stage, now), BOB));
            now += TICK;
        }
        assert!(largest_step(&stream) < 0.03, "{rest}: {}", largest_step(&stream));
        let end = LATE + 1_920 + rest;
        assert!(stream[end + 2_881 + LATE..].iter().all(|&sample| sample == 0.0));
        assert!(stream[end..end + 480].iter().any(|sample| sample.abs() > 0.4), "{rest}");
        let stats = stage.source_stats(ANN).expect("is there");
        assert_eq!((stats.underruns, stats.samples_concealed), (1, 2_880));

        // 10 ms are less than the cushion; with 10 more it is heard.
        let _ = stage.handle_audio(now, ANN, sound(1, vec![0.5; 480]));
        assert!(by(&heard(&mut stage, now), BOB).iter().all(|&sample| sample == 0.0));
        now += TICK;
        let _ = stage.handle_audio(now, ANN, sound(1, vec![0.5; 480]));
        let back = by(&heard(&mut stage, now), BOB);
        let back = &back[LATE..];
        assert!(back[0] == 0.0 && back[239] < 0.5 && back[240..].iter().all(|&s| s == 0.5));
        assert_eq!(stage.source_stats(ANN).expect("is there").underruns, 1);
    }
}

#[test]
fn who_is_switched_off_or_leaves_fades_and_is_no_underrun() {
    let (mut stage, mut now) = stage(&[ANN, BOB, EVE]);
    for member in [ANN, EVE] {
        let _ = stage.handle_audio(now, member, sound(1, sine(0, 2_880)));
    }
    let mut stream = by(&heard(&mut stage, now), BOB);
    stage.set_enabled(now, ANN, Kind::Audio, false);
    stage.remove_source(now, EVE);
    for _ in 0..3 {
        now += TICK;
        stream.extend(by(&heard(&mut stage, now), BOB));
    }
    assert!(largest_step(&stream) < 0.05 && stream[900].abs() > 0.1);
    assert!(stream[960 + 240 + 2 * LATE..].iter().all(|&sample| sample == 0.0));
    assert_eq!(stage.handle_audio(now, ANN, sound(1, vec![0.1; 960])), Verdict::SwitchedOff);
    assert_eq!((stage.stats().total.underruns, stage.stats().switched_off), (0, 1));

    stage.set_enabled(now, ANN, Kind::Audio, true);
    let _ = stage.handle_audio(now, ANN, sound(1, vec![0.1; 960]));
    now += TICK;
    assert_eq!(by(&heard(&mut stage, now), BOB)[LATE + 240..], [0.1; 720 - LATE]);
}

#[test]
fn an_overfull_queue_drops_the_oldest() {
    let (mut stage, mut now) = stage(&[ANN, BOB]);
    let _ = heard(&mut stage, now);
    now += Duration::from_millis(1);
    for (value, verdict) in [
        (0.1, Verdict::Accepted),
        (0.2, Verdict::Accepted),
        (0.3, Verdict::Accepted),
        (0.4, Verdict::Overrun),
    ] {
        assert_eq!(stage.handle_audio(now, ANN, sound(1, vec![value; 960])), verdict);
    }
    assert_eq!(stage.source_stats(ANN).expect("is there").samples_dropped, 960);
    now += TICK;
    let first = by(&heard(&mut stage, now), BOB);
    assert_eq!(first[LATE + 240..], [0.2; 720 - LATE]);
    assert!(largest_step(&first) < 0.01);

    // Of a frame longer than the queue only its end is kept.
    let long: Vec<f32> = (0..96_000).map(|i| i as f32 * 1e-6).collect();
    assert_eq!(stage.handle_audio(now, ANN, sound(1, long.clone())), Verdict::Overrun);
    assert_eq!(stage.source_stats(ANN).expect("is there").samples_dropped, 96_000);
    now += TICK;
    let heard = by(&heard(&mut stage, now), BOB);
    assert_eq!(heard[LATE + 240..], long[96_000 - 2_880 + 240..][..720 - LATE]);
}

#[test]
fn where_sound_was_dropped_there_is_no_click() {
    let (mut stage, mut now) = stage(&[ANN, BOB]);
    let _ = stage.handle_audio(now, ANN, sound(1, vec![0.5; 960]));
    let mut stream = by(&heard(&mut stage, now), BOB);
    now += Duration::from_millis(1);
    for value in [0.5, -0.5, -0.5] {
        let _ = stage.handle_audio(now, ANN, sound(1, vec![value; 960]));
    }
    // The seam is where the last sample was 0.5 and the next to be heard is −0.5.
    let verdict = stage.handle_audio(now, ANN, sound(1, vec![-0.5; 960]));
    assert_eq!(verdict, Verdict::Overrun);
    now += TICK;
    stream.extend(by(&heard(&mut stage, now), BOB));
    assert!(largest_step(&stream) < 0.01, "{}", largest_step(&stream));
    assert!(stream[960] > 0.49 && stream[1_919] == -0.5);
}

#[test]
fn no_input_makes_an_output_over_full_scale() {
    let (mut stage, mut now) = stage(&[ANN, BOB, EVE]);
    let mut state = 1_u64;
    for _ in 0..40 {
        for member in [ANN, BOB] {
            let samples = (0..960).map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                f32::from_bits((state >> 32) as u32)
            });
            let _ = stage.handle_audio(now, member, sound(1, samples.collect()));
        }
        for heard in heard(&mut stage, now) {
            assert!(heard.frame.samples.iter().all(|sample| sample.abs() <= 1.0));
        }
        now += TICK;
    }
}

#[test]
fn what_is_no_number_becomes_silence_and_is_counted() {
    let (mut stage, now) = stage(&[ANN, BOB]);
    let mut samples = vec![0.25; 960];
    samples[300] = f32::NAN;
    samples[301] = f32::INFINITY;
    samples[302] = f32::NEG_INFINITY;
    let _ = stage.handle_audio(now, ANN, sound(1, samples));
    let his = by(&heard(&mut stage, now), BOB);
    assert_eq!(his[LATE + 299..LATE + 304], [0.25, 0.0, 0.0, 0.0, 0.25]);
    assert_eq!(stage.stats().total.samples_repaired, 3);
}

#[test]
fn late_ticks_are_all_made_in_their_order() {
    let (mut stage, start) = stage(&[ANN, BOB]);
    let _ = heard(&mut stage, start);
    let now = start + TICK * 9;
    // All that came while the loop stood still is in time.
    for tick in 0..9 {
        let frame = sound(1, sine(tick * 960, 960));
        assert_eq!(stage.handle_audio(now, ANN, frame), Verdict::Accepted);
    }
    let all = heard(&mut stage, now);
    let ticks: Vec<u64> = all.iter().filter(|heard| heard.by == BOB).map(|it| it.tick).collect();
    assert_eq!(ticks, (1..=9).collect::<Vec<_>>());
    assert_eq!(by(&all, BOB)[LATE + 240..], sine(0, 9 * 960 - LATE)[240..]);
    assert_eq!((stage.stats().ticks, stage.stats().ticks_skipped), (10, 0));
    assert_eq!(stage.poll_timeout(), Some(start + TICK * 10));
}

#[test]
fn a_stage_that_stood_still_makes_no_burst() {
    let (mut stage, start) = stage(&[ANN, BOB]);
    let _ = heard(&mut stage, start);
    let now = start + Duration::from_secs(60);
    for _ in 0..100 {
        let _ = stage.handle_audio(now, ANN, sound(1, vec![0.1; 960]));
    }
    let all = heard(&mut stage, now);
    assert_eq!(all.len(), 2);
    assert!(all.iter().all(|heard| heard.tick == 3_000));
    assert!(all.iter().all(|heard| heard.frame.time.ticks() == 3_000 * 960));
    assert_eq!((stage.stats().ticks, stage.stats().ticks_skipped), (2, 2_999));

    // What is left is a queue: this tick took one frame of three.
    let mut now = now;
    for underruns in [0, 0, 1] {
        now += TICK;
        assert!((by(&heard(&mut stage, now), BOB)[400] - 0.1).abs() < 1e-6);
        assert_eq!(stage.source_stats(ANN).expect("is there").underruns, underruns);
    }
}

#[test]
fn time_and_capture_are_those_of_the_tick() {
    let (mut stage, start) = stage(&[ANN]);
    let all = heard(&mut stage, start + TICK * 2 + Duration::from_millis(7));
    assert_eq!(all.len(), 3);
    for (tick, heard) in all.iter().enumerate() {
        assert_eq!(heard.frame.time, MediaTime::new(tick as u64 * 960, Frequency::AUDIO));
        let since = heard.frame.capture.saturating_since(all[0].frame.capture);
        assert!(since.abs_diff(TICK * tick as u32) < Duration::from_micros(1));
    }
}

#[test]
fn a_source_too_many_is_refused_and_one_that_is_there_is_not() {
    let (mut stage, now) = stage(&[]);
    for id in 0..32 {
        assert_eq!(stage.add_source(now, SenderId::new(id)), Verdict::Accepted);
    }
    assert_eq!(stage.add_source(now, SenderId::new(32)), Verdict::Full);
    assert_eq!(stage.add_source(now, SenderId::new(31)), Verdict::Accepted);
    stage.remove_source(now, SenderId::new(5));
    stage.remove_source(now, SenderId::new(5));
    assert_eq!(stage.add_source(now, SenderId::new(32)), Verdict::Accepted);
    assert_eq!(stage.stats().sources_refused, 1);
}
