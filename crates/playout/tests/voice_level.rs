//! Noise goes, a quiet voice comes up, and nothing that is heard makes more of it.
#![cfg(feature = "voice")]

use paceline_playout::{NoiseSuppression, Voice, VoiceConfig};
use proptest::prelude::*;

mod speech;

use speech::{Noise, speech};

/// Samples in 20 ms, and in a second.
const BLOCK: usize = 960;
const SECOND: usize = 48_000;

/// The power of a sound, dBFS.
fn decibels(sound: &[f32]) -> f64 {
    let power = sound.iter().map(|&it| f64::from(it).powi(2)).sum::<f64>() / sound.len() as f64;
    10.0 * (power + 1e-12).log10()
}

/// What is sent of what is `heard`.
fn sent(config: VoiceConfig, heard: &[f32]) -> Vec<f32> {
    let mut voice = Voice::new(config);
    let mut sent = heard.to_vec();
    sent.chunks_exact_mut(BLOCK).for_each(|block| voice.process(block));
    sent
}

/// Speech at a level, round and round for `seconds`.
fn spoken(dbfs: f64, seconds: usize) -> Vec<f32> {
    let speech = speech();
    let gain = 10_f64.powf((dbfs - decibels(&speech)) / 20.0) as f32;
    speech.iter().map(|it| it * gain).cycle().take(seconds * SECOND).collect()
}

fn off() -> VoiceConfig {
    VoiceConfig::default().echo(false).noise(None).gain(None)
}

#[test]
fn a_steady_noise_is_taken_out_the_more_the_higher_the_level() {
    let mut noise = Noise(1);
    // White, −46 dBFS.
    let heard: Vec<f32> = (0..8 * SECOND).map(|_| ((noise.next() - 0.5) * 0.0174) as f32).collect();
    let mut last = 0.0;
    for level in [
        NoiseSuppression::Low,
        NoiseSuppression::Moderate,
        NoiseSuppression::High,
        NoiseSuppression::VeryHigh,
    ] {
        let sent = sent(off().noise(Some(level)), &heard);
        let down = decibels(&heard[5 * SECOND..]) - decibels(&sent[5 * SECOND..]);
        println!("{level:?}: {down:.1} dB");
        assert!(down > last, "{level:?}: {down} dB after {last}");
        last = down;
        assert!(down >= 8.0 || level == NoiseSuppression::Low, "{level:?}: {down} dB");
    }
    // With the gain too, before anybody spoke: some of it comes back, to −50 dBFS at most.
    let sent = decibels(&sent(VoiceConfig::default(), &heard)[5 * SECOND..]);
    println!("default: {sent:.1} dBFS");
    assert!(sent <= -50.0, "{sent} dBFS");
}

#[test]
fn a_quiet_voice_is_brought_up_and_a_loud_one_is_not() {
    let loud_enough = |dbfs: f64| {
        let heard = spoken(dbfs, 16);
        let sent = sent(off().gain(Some(30.0)), &heard);
        assert!(sent.iter().all(|it| it.abs() <= 1.0));
        decibels(&sent[9 * SECOND..]) - decibels(&heard[9 * SECOND..])
    };
    let (quiet, loud) = (loud_enough(-40.0), loud_enough(-14.0));
    println!("{quiet:+.1} dB at -40, {loud:+.1} at -14");
    assert!(quiet >= 10.0, "{quiet} dB");
    assert!(loud.abs() <= 6.0, "{loud} dB");
    let heard = spoken(-40.0, 16);
    let bounded = sent(off().gain(Some(6.0)), &heard);
    let bounded = decibels(&bounded[9 * SECOND..]) - decibels(&heard[9 * SECOND..]);
    println!("{bounded:+.1} dB where 6 are allowed");
    assert!((3.0..=6.5).contains(&bounded), "{bounded} dB");
}

#[test]
fn silence_stays_silence() {
    for config in [VoiceConfig::default(), VoiceConfig::default().full_band(false)] {
        assert!(sent(config, &[0.0; 5 * SECOND]).iter().all(|&it| it == 0.0));
    }
}

#[test]
fn all_off_is_what_came_to_the_bit() {
    let mut heard = spoken(-20.0, 1);
    heard[7..12].copy_from_slice(&[f32::NAN, f32::INFINITY, -3.0, f32::MIN_POSITIVE, -0.0]);
    let sent = sent(off(), &heard);
    assert!(heard.iter().zip(&sent).all(|(a, b)| a.to_bits() == b.to_bits()));
}

#[test]
fn what_is_not_finite_counts_as_silence_at_both_ends() {
    let clean = spoken(-20.0, 3);
    let (mut silent, mut broken) = (clean.clone(), clean.clone());
    let bad = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -f32::NAN];
    for (i, at) in (0..40).map(|i| (i, SECOND + i * 331)) {
        (silent[at], broken[at]) = (0.0, bad[i % 4]);
    }
    let run = |played: &[f32], heard: &[f32]| {
        let mut voice = Voice::new(VoiceConfig::default());
        let far_end = voice.far_end();
        let mut sent = heard.to_vec();
        for (played, block) in played.chunks_exact(BLOCK).zip(sent.chunks_exact_mut(BLOCK)) {
            far_end.push(played);
            voice.process(block);
        }
        (sent, voice.stats().samples_repaired)
    };
    let (wanted, none) = run(&silent, &silent);
    let (sent, repaired) = run(&broken, &broken);
    assert_eq!((none, repaired), (0, 80));
    assert_eq!(wanted, sent);
    assert!(sent.iter().all(|it| it.is_finite()));
}

#[test]
#[should_panic(expected = "481 samples are no 10 ms")]
fn a_piece_of_a_frame_is_a_mistake_of_who_calls() {
    Voice::new(VoiceConfig::default()).process(&mut [0.0; 481]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Any bits at both ends, in any order and any lengths of the far end.
    #[test]
    fn what_is_sent_is_within_full_scale_whatever_is_heard(
        steps in prop::collection::vec((any::<u32>(), 0_usize..3_000, 0_usize..4), 1..40),
        full_band in any::<bool>(),
    ) {
        let mut voice = Voice::new(VoiceConfig::default().full_band(full_band));
        let far_end = voice.far_end();
        for (seed, played, heard) in steps {
            let mut noise = Noise(u64::from(seed));
            let mut bits = |count: usize| -> Vec<f32> {
                (0..count).map(|_| f32::from_bits((noise.next() * 4_294_967_296.0) as u32)).collect()
            };
            far_end.push(&bits(played));
            let mut block = bits(heard * 480);
            voice.process(&mut block);
            prop_assert!(block.iter().all(|it| it.abs() <= 1.0));
        }
    }
}
