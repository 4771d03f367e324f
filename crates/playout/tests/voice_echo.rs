//! What the loudspeaker plays is not sent back, and who talks meanwhile is.
#![cfg(feature = "voice")]

use paceline_playout::{Voice, VoiceConfig};

mod speech;

use speech::{Noise, speech};

/// Samples in 20 ms, and in a second.
const BLOCK: usize = 960;
const SECOND: usize = 48_000;

/// `seconds` of speech, from second `from` on, round and round.
fn spoken(from: usize, seconds: usize) -> Vec<f32> {
    let speech = speech();
    speech.into_iter().cycle().skip(from * SECOND).take(seconds * SECOND).collect()
}

/// What a microphone hears of `played`: `delay_ms` later, over a direct way and 24 reflections
/// that fade within 40 ms, and 12 dB quieter in all.
fn echo(played: &[f32], delay_ms: usize) -> Vec<f32> {
    let mut noise = Noise(7);
    let mut paths = vec![(0, 1.0)];
    for _ in 0..24 {
        let at = (noise.next() * 1_920.0) as usize;
        let sign = if noise.next() < 0.5 { -1.0 } else { 1.0 };
        paths.push((at, sign * 0.35 * (-(at as f64) / 480.0).exp()));
    }
    let mut heard = vec![0.0; played.len()];
    for (at, gain) in paths {
        let late = at + delay_ms * SECOND / 1_000;
        for (slot, sample) in heard[late..].iter_mut().zip(played) {
            *slot += gain as f32 * sample;
        }
    }
    let quieter = ((decibels(played) - 12.0 - decibels(&heard)) / 20.0) as f32;
    heard.iter_mut().for_each(|sample| *sample *= 10_f32.powf(quieter));
    heard
}

/// The power of a sound, dBFS.
fn decibels(sound: &[f32]) -> f64 {
    let power = sound.iter().map(|&it| f64::from(it).powi(2)).sum::<f64>() / sound.len() as f64;
    10.0 * (power + 1e-12).log10()
}

/// What is sent of what is `heard` while something is `played`.
fn sent(voice: &mut Voice, played: &[f32], heard: &[f32]) -> Vec<f32> {
    let far_end = voice.far_end();
    let mut sent = heard.to_vec();
    for (played, block) in played.chunks_exact(BLOCK).zip(sent.chunks_exact_mut(BLOCK)) {
        far_end.push(played);
        voice.process(block);
    }
    sent
}

fn mixed(a: &[f32], b: &[f32]) -> Vec<f32> {
    a.iter().zip(b).map(|(a, b)| a + b).collect()
}

/// How alike two sounds are: 1 is the same but for the level.
fn likeness(a: &[f32], b: &[f32]) -> f64 {
    let sum = |a: &[f32], b: &[f32]| -> f64 {
        a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
    };
    sum(a, b) / (sum(a, a) * sum(b, b)).sqrt()
}

fn only_echo() -> VoiceConfig {
    VoiceConfig::default().noise(None).gain(None)
}

#[test]
fn after_five_seconds_an_echo_is_20_db_down() {
    let played = spoken(0, 12);
    let heard = echo(&played, 80);
    for (config, what) in [(only_echo(), "echo"), (VoiceConfig::default(), "all")] {
        let mut voice = Voice::new(config);
        let sent = sent(&mut voice, &played, &heard);
        let down = decibels(&heard[5 * SECOND..]) - decibels(&sent[5 * SECOND..]);
        let stats = voice.stats();
        println!("{what}: {down:.1} dB down; {stats:?}");
        assert!(down >= 20.0, "{what}: {down} dB");
        let delay = stats.echo_delay.expect("it is known by now").as_millis();
        assert!((60..=100).contains(&delay), "{delay} ms");
        assert!(stats.echo_return_loss_enhancement.is_some());
        assert_eq!(stats.far_end_dropped, 0);
    }
}

#[test]
fn when_the_echo_comes_later_it_is_found_again() {
    let played = spoken(0, 24);
    let (soon, late) = (echo(&played, 80), echo(&played, 150));
    let heard: Vec<f32> = soon[..12 * SECOND].iter().chain(&late[12 * SECOND..]).copied().collect();
    let mut voice = Voice::new(only_echo());
    let sent = sent(&mut voice, &played, &heard);
    let down = decibels(&heard[18 * SECOND..]) - decibels(&sent[18 * SECOND..]);
    println!("{down:.1} dB down; {:?}", voice.stats());
    assert!(down >= 20.0, "{down} dB");
}

#[test]
fn an_echo_is_taken_out_when_both_ends_are_uneven() {
    let played = spoken(0, 16);
    let heard = echo(&played, 80);
    let mut voice = Voice::new(only_echo());
    let (far_end, mut noise) = (voice.far_end(), Noise(3));
    let mut sent = heard.clone();
    let (mut told, mut blocks) = (0, played.chunks_exact(BLOCK));
    for (index, block) in sent.chunks_exact_mut(BLOCK).enumerate() {
        // From two blocks ahead to none.
        let due = index + 1 + (noise.next() * 3.0) as usize;
        while told < due {
            if let Some(played) = blocks.next() {
                far_end.push(played);
            }
            told += 1;
        }
        voice.process(block);
    }
    let down = decibels(&heard[6 * SECOND..]) - decibels(&sent[6 * SECOND..]);
    println!("{down:.1} dB down; {:?}", voice.stats());
    assert!(down >= 20.0, "{down} dB");
    assert_eq!(voice.stats().far_end_dropped, 0);
}

#[test]
fn who_talks_alone_is_as_loud_as_before() {
    let played = spoken(0, 12);
    let near = spoken(3, 12);
    let config = VoiceConfig::default().gain(None);
    // Once with a far end that was heard before and now is silent, once without one.
    let mut voice = Voice::new(config.clone());
    sent(&mut voice, &played, &echo(&played, 80));
    for mut voice in [voice, Voice::new(config)] {
        let sent = sent(&mut voice, &vec![0.0; near.len()], &near);
        let off = decibels(&sent[5 * SECOND..]) - decibels(&near[5 * SECOND..]);
        println!("{off:+.1} dB");
        assert!(off.abs() <= 3.0, "{off} dB");
    }
}

#[test]
fn who_talks_while_something_is_played_is_heard() {
    let (played, near) = (spoken(0, 16), spoken(3, 16));
    let echo = echo(&played, 80);
    // Alone at first, then both at once.
    let near: Vec<f32> = vec![0.0; 8 * SECOND].into_iter().chain(near).take(16 * SECOND).collect();
    let heard = mixed(&echo, &near);
    let after = sent(&mut Voice::new(only_echo()), &played, &heard);
    // What is sent of the same voice when nothing is played, as late and as filtered.
    let alone = sent(&mut Voice::new(only_echo()), &vec![0.0; near.len()], &near);
    let (alone, after) = (&alone[9 * SECOND..], &after[9 * SECOND..]);
    let (off, alike) = (decibels(after) - decibels(alone), likeness(alone, after));
    println!("{off:+.1} dB, likeness {alike:.3}");
    assert!(alike >= 0.8, "{alike}");
    assert!(off.abs() <= 4.0, "{off} dB");
}
