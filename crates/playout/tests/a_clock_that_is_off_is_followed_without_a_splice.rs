//! Sources whose clocks do not run as ours does.

#![allow(clippy::disallowed_methods, reason = "an epoch for the tests")]

mod speech;

use paceline_playout::{PlayoutRate, Resampler, SourceStats, Verdict};
use speech::{ANN, BOB, EVE, Sender, bends, go_on, new_stage, run, speech, stats};

/// Ticks in a second.
const SECOND: u64 = 50;

/// The place in round sound that `block` is most like, around `about`.
fn place(sound: &[f32], block: &[f32], about: f64) -> f64 {
    let around = 1_200;
    let from = about as i64 - around;
    let at = |i: i64| sound[i.rem_euclid(sound.len() as i64) as usize];
    let likeness = |shift: i64| -> f32 {
        let pairs = block.iter().enumerate().map(|(i, a)| (a, at(from + shift + i as i64)));
        let (both, own) =
            pairs.fold((0.0, 1e-6), |(both, own), (a, b)| (both + a * b, own + b * b));
        both / own.sqrt()
    };
    let best = (0..2 * around).max_by(|&a, &b| likeness(a).total_cmp(&likeness(b)));
    (from + best.expect("some shift")) as f64
}

#[test]
fn ten_minutes_of_speech_at_500_ppm_have_no_splice_and_no_click() {
    let talk = speech();
    let own = bends(&[&talk[..], &talk[..2]].concat());
    assert_eq!(own.len() * 240, talk.len());
    let (mut stage, start) = new_stage(&[ANN, EVE]);
    let rate = PlayoutRate { drift_ppm: 500.0, stretch: 0.0 };
    assert_eq!(stage.set_playout_rate(start, ANN, rate), Verdict::Accepted);
    let mut senders = [
        Sender::new(ANN, talk.clone(), 500.0, 10.0, 5.0),
        Sender::new(EVE, talk.clone(), 0.0, 0.0, 5.0),
    ];

    let ticks = 600 * SECOND;
    let (mut levels, mut delays) = ((u32::MAX, 0), (f64::INFINITY, 0.0_f64));
    let (mut clicks, mut checked, mut late) = (0, 0, [0.0; 2]);
    let (mut nominal, mut stretched) = (0, 0);
    run(&mut stage, start, &mut senders, ticks, |tick, listener, heard, stage| {
        if listener == ANN {
            // She hears Eve, whose clock is ours, but for what a sum of two rounds.
            for &sample in heard {
                // Her first frame is there at the second tick, and fades in.
                if nominal >= 960 + 16 + 240 {
                    let sent = talk[(nominal - 960 - Resampler::LATENCY) % talk.len()];
                    assert!((sample - sent).abs() < 1e-8, "tick {tick}: {sample} for {sent}");
                }
                nominal += 1;
            }
            return;
        }
        // Eve hears Ann. Where in her speech this is follows from the delay.
        let level = stats(stage, ANN).queue_level;
        if tick == 30 * SECOND {
            stretched = stats(stage, ANN).samples_stretched;
        }
        let ms = tick as f64 * 20.0 - 5.0 - f64::from(level) / 48.0;
        let about = (ms * 48.0 - 16.0) * 1.0005;
        let block: Vec<f32> = late.iter().chain(heard).copied().collect();
        late.copy_from_slice(&heard[958..]);
        if tick < 10 {
            return;
        }
        for (i, bend) in bends(&block).into_iter().enumerate() {
            let middle = (about / 240.0) as i64 + i as i64;
            let near = (middle - 3..=middle + 4)
                .map(|at| own[at.rem_euclid(own.len() as i64) as usize])
                .fold(0.0, f32::max);
            clicks += usize::from(bend > 1.1 * near + 1e-3);
            checked += 1;
        }
        if tick > 30 * SECOND {
            levels = (levels.0.min(level), levels.1.max(level));
            if tick.is_multiple_of(20 * SECOND) {
                let at = place(&talk, heard, about);
                let delay = f64::from(level) / 48.0 + (about - at) / 48.0 + 16.0 / 48.0;
                delays = (delays.0.min(delay), delays.1.max(delay));
            }
        }
    });

    let seen = stats(&stage, ANN);
    let SourceStats { samples_dropped, samples_concealed, underruns, .. } = seen;
    assert_eq!((samples_dropped, samples_concealed, underruns), (0, 0, 0));
    println!("levels {levels:?}, delays {delays:?} ms, {clicks} of {checked}, {seen:?}");
    assert_eq!(clicks, 0, "of {checked}");
    // At the start some 30 ms are put in, to be safe from the unevenness; then none.
    assert!(stretched < 2_000 && seen.samples_stretched == stretched, "{stretched}, {seen:?}");
    // ±10 ms of unevenness and a cushion of 20 ms make 30.
    assert!(levels.0 >= 28 * 48 && levels.1 <= 34 * 48, "{levels:?}");
    assert!(delays.0 >= 27.0 && delays.1 <= 35.0, "{delays:?}");
    assert!((300..=700).contains(&seen.rate_ppm) || seen.rate_ppm.abs_diff(500) < 2_000);
    // Eve's is untouched.
    let nominal = stats(&stage, EVE);
    assert_eq!((nominal.rate_ppm, nominal.queue_level / 48), (0, 15));
    assert_eq!((nominal.underruns, nominal.samples_dropped, nominal.samples_stretched), (0, 0, 0));
}

#[test]
fn clocks_up_to_half_a_percent_off_are_followed_without_a_loss() {
    let talk = speech();
    for (ppm, jitter_ms) in [
        (0.0, 10.0),
        (100.0, 10.0),
        (-100.0, 10.0),
        (-500.0, 10.0),
        (-500.0, 0.0),
        (500.0, 3.0),
        (5_000.0, 3.0),
        (-5_000.0, 3.0),
    ] {
        let (mut stage, start) = new_stage(&[ANN, BOB]);
        let rate = PlayoutRate { drift_ppm: ppm, stretch: 0.0 };
        let _ = stage.set_playout_rate(start, ANN, rate);
        let mut senders = [Sender::new(ANN, talk.clone(), ppm, jitter_ms, 5.0)];
        let (mut levels, mut rates) = ((u32::MAX, 0), (i32::MAX, i32::MIN));
        let mut early = SourceStats::default();
        run(&mut stage, start, &mut senders, 90 * SECOND, |tick, listener, heard, stage| {
            assert!(heard.iter().all(|sample| sample.abs() < 0.6));
            // At 0.5 % an uneven frame can be late before that is known.
            if ppm.abs() > 1_000.0 && tick <= 10 * SECOND {
                early = stats(stage, ANN);
            }
            if listener == BOB && tick > 60 * SECOND {
                let SourceStats { queue_level, rate_ppm, .. } = stats(stage, ANN);
                levels = (levels.0.min(queue_level), levels.1.max(queue_level));
                rates = (rates.0.min(rate_ppm), rates.1.max(rate_ppm));
            }
        });
        let seen = stats(&stage, ANN);
        let case = format!("{ppm} ppm, {jitter_ms} ms: {levels:?}, {rates:?}, {seen:?}");
        assert_eq!(seen.underruns, early.underruns, "{case}");
        assert_eq!(seen.samples_concealed, early.samples_concealed, "{case}");
        assert_eq!((seen.samples_dropped, early.samples_dropped), (0, 0), "{case}");
        assert!(early.samples_concealed < 480, "{early:?}");
        assert!(levels.1 - levels.0 < 4 * 48, "{case}");
        assert!(levels.1 as f64 <= (20.0 + jitter_ms + 4.0) * 48.0, "{case}");
        // No more than 0.2 % beside the drift.
        let off = |rate: i32| (f64::from(rate) - ppm).abs();
        assert!(off(rates.0) <= 2_000.0 && off(rates.1) <= 2_000.0, "{case}");
    }
}

#[test]
fn a_drift_that_nobody_told_of_is_found_by_the_level() {
    for ppm in [300.0, -300.0] {
        let (mut stage, start) = new_stage(&[ANN, BOB]);
        let mut senders = [Sender::new(ANN, vec![0.1; 960], ppm, 3.0, 5.0)];
        let (mut sum, mut count) = (0.0, 0.0);
        run(&mut stage, start, &mut senders, 300 * SECOND, |tick, listener, _, stage| {
            if listener == BOB && tick > 200 * SECOND {
                sum += f64::from(stats(stage, ANN).rate_ppm);
                count += 1.0;
            }
        });
        let seen = stats(&stage, ANN);
        assert!((sum / count - ppm).abs() < 30.0, "{ppm}: {}, {seen:?}", sum / count);
        assert_eq!((seen.underruns, seen.samples_dropped), (0, 0), "{seen:?}");
    }
}

#[test]
fn a_tone_that_is_followed_has_no_click_of_a_ten_thousandth() {
    // Whole periods fit, so that it can be sent round and round.
    let tone: Vec<f32> = (0..48_000)
        .map(|i| (0.5 * (f64::from(i) * 997.0 / 48_000.0 * std::f64::consts::TAU).sin()) as f32)
        .collect();
    let (mut stage, start) = new_stage(&[ANN, BOB]);
    let mut senders = [Sender::new(ANN, tone, 500.0, 10.0, 5.0)];
    let (mut late, mut most) = ([0.0_f32; 6], 0.0_f32);
    let mut rates = Vec::new();
    run(&mut stage, start, &mut senders, 90 * SECOND, |tick, listener, heard, stage| {
        if listener != BOB {
            return;
        }
        // Told late and wrong at first, so that the rate has steps.
        if tick > 20 * SECOND {
            rates.push(stats(stage, ANN).rate_ppm);
            let block: Vec<f32> = late.iter().chain(heard).copied().collect();
            let sixth = |w: &[f32]| {
                w[0] - 6.0 * w[1] + 15.0 * w[2] - 20.0 * w[3] + 15.0 * w[4] - 6.0 * w[5] + w[6]
            };
            most = block.windows(7).map(|w| sixth(w).abs()).fold(most, f32::max);
        }
        late.copy_from_slice(&heard[954..]);
    });
    assert!(rates.iter().any(|&rate| rate != rates[0]));
    // The tone's own is 2.5e-6; a click has 20 times its height.
    assert!(most < 20.0 * 0.5e-4 / 10.0, "{most}");
}

#[test]
fn what_the_jitter_buffer_releases_faster_is_shortened_and_not_queued() {
    let talk = speech();
    for stretch in [0.05, -0.05] {
        let (mut stage, start) = new_stage(&[ANN, BOB]);
        let mut senders = [Sender::new(ANN, talk.clone(), 0.0, 0.0, 5.0)];
        run(&mut stage, start, &mut senders, 5 * SECOND, |_, _, _, _| {});
        let before = stats(&stage, ANN);
        // From here on frames come 5 % faster, or slower, for four seconds.
        let rate = PlayoutRate { drift_ppm: 0.0, stretch };
        let mut now = start + std::time::Duration::from_secs(5);
        let _ = stage.set_playout_rate(now, ANN, rate);
        let every = std::time::Duration::from_nanos((20e6 / (1.0 + stretch)) as u64);
        // The last ones came 15 ms before their ticks.
        let mut next_frame = now - std::time::Duration::from_millis(15);
        for tick in 250..450_u32 {
            now = start + std::time::Duration::from_millis(20) * tick;
            while next_frame <= now {
                let at = (next_frame - start).as_millis() as usize * 48 % (talk.len() - 960);
                let frame = paceline_types::AudioFrame {
                    channels: 1,
                    time: paceline_types::MediaTime::new(0, paceline_types::Frequency::AUDIO),
                    capture: paceline_types::NtpTime::default(),
                    samples: talk[at..at + 960].into(),
                };
                let _ = stage.handle_audio(next_frame, ANN, frame);
                next_frame += every;
            }
            stage.handle_timeout(now);
            while stage.poll_output().is_some() {}
        }
        let after = stats(&stage, ANN);
        let stretched = after.samples_stretched - before.samples_stretched;
        assert!((6_500..=12_500).contains(&stretched), "{stretch}: {after:?}");
        assert_eq!((after.underruns, after.samples_dropped), (0, 0), "{stretch}: {after:?}");
        assert!(after.queue_level < 40 * 48, "{stretch}: {after:?}");
    }
}

/// What the level had found by then is not added to what is told.
#[test]
fn a_drift_that_is_told_late_does_not_overshoot() {
    let talk = speech();
    // After 20 s the level has found the drift, but still pulls by what it moved.
    for (ppm, told_at, overshoot) in
        [(2_000.0, 20, 1.5), (-2_000.0, 20, 1.5), (2_000.0, 60, 1.2), (-2_000.0, 60, 1.2)]
    {
        let (mut stage, start) = new_stage(&[ANN, BOB]);
        let mut senders = [Sender::new(ANN, talk.clone(), ppm, 3.0, 5.0)];
        run(&mut stage, start, &mut senders, told_at * SECOND, |_, _, _, _| {});
        let before = stats(&stage, ANN);
        let now = start + std::time::Duration::from_secs(told_at);
        let rate = PlayoutRate { drift_ppm: ppm, stretch: 0.0 };
        assert_eq!(stage.set_playout_rate(now, ANN, rate), Verdict::Accepted);
        let mut most = 0.0_f64;
        go_on(&mut stage, start, &mut senders, told_at * SECOND, 60 * SECOND, |stage| {
            most = most.max(f64::from(stats(stage, ANN).rate_ppm) * ppm.signum());
        });
        let after = stats(&stage, ANN);
        let case = format!("{ppm}: {most}, {before:?}, {after:?}");
        assert!(most <= overshoot * ppm.abs(), "{case}");
        assert_eq!(after.samples_concealed, before.samples_concealed, "{case}");
        assert_eq!(after.samples_dropped, before.samples_dropped, "{case}");
    }
}

#[test]
fn a_rate_for_nobody_is_unknown() {
    let (mut stage, start) = new_stage(&[ANN]);
    let verdict = stage.set_playout_rate(start, BOB, PlayoutRate::default());
    assert_eq!(verdict, Verdict::Unknown);
    assert_eq!(stage.stats().unknown, 1);
}
