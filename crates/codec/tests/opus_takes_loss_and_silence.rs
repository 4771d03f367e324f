//! Speech in Opus, where some of it is lost, and where nobody speaks.
#![cfg(feature = "opus")]

mod material;

use paceline_codec::types::{
    AudioCodec, AudioFrame, Bitrate, Coding, EncodedFrame, Frequency, MediaTime, NtpTime,
};
use paceline_codec::{
    AudioContent, AudioDecoder, AudioEncoder, AudioEncoderConfig, AudioEncoderTarget,
    audio_decoder, audio_encoder,
};

const CODING: Coding = Coding::Audio { codec: AudioCodec::Opus, channels: 1 };

/// Real speech, 7 s, in frames of 20 ms at 48 kHz.
fn speech() -> Vec<AudioFrame> {
    let wav = include_bytes!("../../playout/tests/media/speech.wav");
    let slow: Vec<f32> = wav[44..]
        .chunks_exact(2)
        .map(|pair| f32::from(i16::from_le_bytes([pair[0], pair[1]])) / 32_768.0)
        .collect();
    // From 16 kHz: what lines between the samples add is above what is spoken.
    let fast: Vec<f32> = slow
        .windows(2)
        .flat_map(|pair| [0.0, 1.0 / 3.0, 2.0 / 3.0].map(|at| pair[0] + (pair[1] - pair[0]) * at))
        .collect();
    fast.chunks_exact(960).zip(0..).map(|(samples, index)| sound(samples, index)).collect()
}

fn sound(samples: &[f32], index: u64) -> AudioFrame {
    let time = MediaTime::new(index * 960, Frequency::AUDIO);
    AudioFrame { channels: 1, time, capture: NtpTime::from_bits(index), samples: samples.into() }
}

fn voice() -> AudioEncoderConfig {
    AudioEncoderConfig::default().content(AudioContent::Voice).bitrate(Bitrate::from_kbps(40))
}

fn encoder(config: AudioEncoderConfig) -> Box<dyn AudioEncoder> {
    audio_encoder(AudioCodec::Opus, config).expect("the feature is on")
}

fn decoder() -> Box<dyn AudioDecoder> {
    audio_decoder(&CODING).expect("the feature is on")
}

fn encode(encoder: &mut dyn AudioEncoder, sound: &AudioFrame) -> EncodedFrame {
    let encoded = encoder.encode(sound).expect("20 ms");
    material::frame(encoded.coding, encoded.data, 0)
}

/// Of every tenth frame, which never came: dB between what it is where nothing was lost and
/// how far what stands for it is off; and the bits of a second.
fn of_every_tenth(encoder: &mut dyn AudioEncoder) -> (f64, usize) {
    let (mut whole, mut lossy) = (decoder(), decoder());
    let (mut signal, mut noise, mut bytes) = (0.0, 0.0, 0);
    let mut lost: Option<AudioFrame> = None;
    let sounds = speech();
    for (index, sound) in sounds.iter().enumerate() {
        let frame = encode(encoder, sound);
        bytes += frame.data.len();
        let truth = whole.decode(&frame).expect("a frame");
        if index % 10 == 9 {
            lost = Some(truth);
            continue;
        }
        if let Some(truth) = lost.take() {
            let made_up = lossy.recover(&frame, truth.time, truth.capture);
            for (truth, made_up) in truth.samples.iter().zip(made_up.samples.iter()) {
                signal += f64::from(*truth).powi(2);
                noise += f64::from(truth - made_up).powi(2);
            }
        }
        lossy.decode(&frame).expect("a frame");
    }
    (10.0 * (signal / noise).log10(), bytes * 8 * 50 / sounds.len())
}

#[test]
fn of_every_tenth_frame_lost_fec_brings_back_ten_decibels_at_the_same_bitrate() {
    let (without, bits_without) = of_every_tenth(&mut *encoder(voice()));
    let (with, bits_with) = of_every_tenth(&mut *encoder(voice().expected_loss(10)));
    println!("{without:.1} dB at {bits_without} bit/s, {with:.1} dB at {bits_with} with FEC");
    assert!(without < 3.0 && with > 9.0, "{without:.1} dB without, {with:.1} with");
    assert!(bits_with * 10 < bits_without * 11, "{bits_without} and {bits_with} bit/s");
}

#[test]
fn loss_that_is_expected_from_now_on_is_repaired_from_now_on() {
    let mut encoder = encoder(voice());
    let (before, _) = of_every_tenth(&mut *encoder);
    encoder.set_target(AudioEncoderTarget { expected_loss: Some(10), bitrate: None });
    let (after, _) = of_every_tenth(&mut *encoder);
    encoder.set_target(AudioEncoderTarget { expected_loss: Some(0), bitrate: None });
    let (at_last, _) = of_every_tenth(&mut *encoder);
    println!("{before:.1}, {after:.1} and {at_last:.1} dB");
    assert!(after > before + 6.0 && after > at_last + 6.0, "{before}, {after}, {at_last}");
}

#[test]
fn silence_is_packets_of_one_byte_that_decode_to_silence_and_speech_goes_on_after_it() {
    let mut encoder = encoder(voice().dtx(true));
    let mut decoder = decoder();
    let sounds = speech();
    let mut state = 1_u32;
    let mut small = 0;
    for index in 0..100 {
        // A microphone's own noise, 80 dB below full scale.
        let noise: Vec<f32> = (0..960)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                ((state >> 8) as f32 / (1 << 23) as f32 - 1.0) * 1e-4
            })
            .collect();
        let frame = encode(&mut *encoder, &sound(&noise, index));
        small += usize::from(frame.data.len() == 1);
        let got = decoder.decode(&frame).expect("20 ms, however short");
        assert_eq!(got.samples.len(), 960);
        assert!(got.samples.iter().all(|sample| sample.abs() < 1e-2), "frame {index}");
    }
    println!("{small} of 100 packets had one byte");
    assert!(small >= 75, "{small} of 100 packets had one byte");

    let energy = |sound: &AudioFrame| sound.samples.iter().map(|s| s * s).sum::<f32>();
    let (mut sent, mut heard) = (0.0, 0.0);
    for sound in &sounds[..100] {
        sent += energy(sound);
        heard += energy(&decoder.decode(&encode(&mut *encoder, sound)).expect("20 ms"));
    }
    assert!((0.5..2.0).contains(&(heard / sent)), "{sent} was said and {heard} heard");
}

#[test]
fn without_dtx_silence_has_packets_of_more_than_one_byte() {
    let mut encoder = encoder(voice());
    for index in 0..100 {
        let frame = encode(&mut *encoder, &sound(&[0.0; 960], index));
        assert!(frame.data.len() > 1, "frame {index}");
    }
}
