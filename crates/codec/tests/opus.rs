//! Opus.
#![cfg(feature = "opus")]

mod material;

use std::f32::consts::TAU;

use paceline_codec::types::{
    AudioCodec, AudioFrame, Bitrate, Coding, EncodedFrame, Frequency, MediaTime, NtpTime,
};
use paceline_codec::{
    AudioContent, AudioDecoder, AudioEncoder, AudioEncoderConfig, AudioEncoderTarget, DecodeError,
    audio_decoder, audio_encoder,
};

/// Frame `index` of a tone, a different one in each channel.
fn tone(channels: u8, index: u64) -> AudioFrame {
    let samples: Vec<f32> = (0..960)
        .flat_map(|sample| {
            (1..=channels).map(move |channel| {
                let seconds = (index * 960 + sample) as f32 / 48_000.0;
                (seconds * TAU * 440.0 * f32::from(channel)).sin() * 0.5
            })
        })
        .collect();
    AudioFrame {
        channels,
        time: MediaTime::new(index * 960, Frequency::AUDIO),
        capture: NtpTime::from_bits(index),
        samples: samples.into(),
    }
}

fn codecs(channels: u8) -> (Box<dyn AudioEncoder>, Box<dyn AudioDecoder>, Coding) {
    let coding = Coding::Audio { codec: AudioCodec::Opus, channels };
    let config = AudioEncoderConfig::default().channels(channels);
    let encoder = audio_encoder(AudioCodec::Opus, config).expect("1 or 2 channels");
    (encoder, audio_decoder(&coding).expect("1 or 2 channels"), coding)
}

fn sent(encoder: &mut dyn AudioEncoder, sound: &AudioFrame) -> EncodedFrame {
    let encoded = encoder.encode(sound).expect("20 ms");
    EncodedFrame {
        time: sound.time,
        capture: sound.capture,
        ..material::frame(encoded.coding, encoded.data, 0)
    }
}

/// Signal to noise in dB at the best delay: a codec has one of its own.
fn snr(sent: &[f32], got: &[f32], channels: usize) -> f64 {
    (0..960)
        .map(|delay| {
            let pairs = sent.iter().zip(&got[delay * channels..]);
            let (signal, noise) = pairs.fold((0.0, 0.0), |(signal, noise), (sent, got)| {
                (signal + f64::from(*sent).powi(2), noise + f64::from(sent - got).powi(2))
            });
            10.0 * (signal / noise).log10()
        })
        .fold(f64::NEG_INFINITY, f64::max)
}

#[test]
fn a_tone_survives_in_mono_and_stereo() {
    for channels in [1, 2] {
        let (mut encoder, mut decoder, coding) = codecs(channels);
        let (mut original, mut decoded, mut bytes) = (Vec::new(), Vec::new(), 0);
        for index in 0..50 {
            let sound = tone(channels, index);
            let frame = sent(encoder.as_mut(), &sound);
            assert_eq!(frame.coding, coding);
            bytes += frame.data.len();
            let got = decoder.decode(&frame).unwrap();
            assert_eq!((got.time, got.capture), (sound.time, sound.capture));
            original.extend_from_slice(&sound.samples);
            decoded.extend_from_slice(&got.samples);
        }
        // The middle: the first frames are the codec finding its feet.
        let channels = usize::from(channels);
        let (from, len) = (9_600 * channels, 19_200 * channels);
        let snr = snr(&original[from..][..len], &decoded[from..], channels);
        assert!(snr > 25.0, "{channels} channels: {snr:.1} dB");
        assert!(bytes < 48_000 / 8 * 3 / 2, "{bytes} bytes in a second");
    }
}

#[test]
fn the_bitrate_is_that_of_the_config() {
    let bytes = |kbps| {
        let config = AudioEncoderConfig::default().bitrate(Bitrate::from_kbps(kbps));
        let mut encoder = audio_encoder(AudioCodec::Opus, config).expect("a bitrate");
        (0..50).map(|index| sent(encoder.as_mut(), &tone(1, index)).data.len()).sum::<usize>()
    };
    assert!(bytes(16) * 2 < bytes(64));
    // Out of bounds is held within them.
    assert!(bytes(0) < bytes(16) && bytes(10_000_000) > bytes(64));
}

#[test]
fn a_lost_frame_is_concealed_with_what_came_before() {
    let (mut encoder, mut decoder, _) = codecs(1);
    for index in 0..20 {
        let frame = sent(encoder.as_mut(), &tone(1, index));
        decoder.decode(&frame).unwrap();
    }
    let (time, capture) = (MediaTime::new(20 * 960, Frequency::AUDIO), NtpTime::from_bits(20));
    let made_up = decoder.conceal(time, capture);
    assert_eq!((made_up.time, made_up.capture, made_up.channels), (time, capture, 1));
    assert_eq!(made_up.samples.len(), 960);
    let energy: f32 = made_up.samples.iter().map(|sample| sample * sample).sum();
    // The tone has 0.125 a sample.
    assert!(energy > 960.0 * 0.125 / 4.0, "it is a tone, not silence: {energy}");

    let frame = sent(encoder.as_mut(), &tone(1, 21));
    assert_eq!(decoder.decode(&frame).unwrap().samples.len(), 960);
}

/// A voice: pulses of 120 Hz through a throat, in syllables of a quarter of a second.
fn voice(index: u64) -> AudioFrame {
    let sample = |at: u64| {
        let seconds = at as f64 / 48_000.0;
        let loud = (seconds * 4.0 * std::f64::consts::PI).sin().abs();
        let harmonics = (1..20).map(|n| {
            let pitch = 120.0 * (1.0 + 0.1 * (seconds * 3.0).sin());
            (seconds * pitch * f64::from(n) * std::f64::consts::TAU).sin() / f64::from(n)
        });
        (0.1 * loud * harmonics.sum::<f64>()) as f32
    };
    let samples = (index * 960..(index + 1) * 960).map(sample).collect();
    AudioFrame { samples, ..tone(1, index) }
}

#[test]
fn what_the_next_frame_says_is_nearer_than_what_is_made_up() {
    let errors = [false, true].map(|recover| {
        let config = AudioEncoderConfig::default().bitrate(Bitrate::from_kbps(24));
        let mut encoder =
            audio_encoder(AudioCodec::Opus, config.expected_loss(20)).expect("built in");
        let coding = Coding::Audio { codec: AudioCodec::Opus, channels: 1 };
        let mut decoder = audio_decoder(&coding).expect("built in");
        let mut whole = audio_decoder(&coding).expect("built in");
        let mut error = 0.0;
        let mut lost = None;
        for index in 0..200 {
            let frame = sent(&mut *encoder, &voice(index));
            let truth = whole.decode(&frame).expect("a frame");
            if index % 10 == 9 {
                lost = Some(truth);
                continue;
            }
            if let Some(truth) = lost.take() {
                let (time, capture) = (truth.time, truth.capture);
                let made_up = if recover {
                    decoder.recover(&frame, time, capture)
                } else {
                    decoder.conceal(time, capture)
                };
                let pairs = truth.samples.iter().zip(made_up.samples.iter());
                error += pairs.map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>();
            }
            decoder.decode(&frame).expect("a frame");
        }
        error
    });
    let [concealed, recovered] = errors;
    assert!(recovered < concealed / 2.0, "{recovered} against {concealed}");
}

#[test]
fn concealing_before_anything_came_is_silence() {
    let (_, mut decoder, _) = codecs(2);
    let made_up = decoder.conceal(tone(2, 0).time, NtpTime::default());
    assert_eq!(made_up.samples.len(), 1_920);
    assert!(made_up.samples.iter().all(|sample| sample.abs() < 1e-3));
}

#[test]
fn garbage_never_panics_and_is_20_ms_if_it_is_anything() {
    let (mut encoder, mut decoder, coding) = codecs(1);
    let mut state = 1_u64;
    let mut random = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 33) as usize
    };
    for _ in 0..2_000 {
        let data: Vec<u8> = (0..random() % 200).map(|_| random() as u8).collect();
        if let Ok(sound) = decoder.decode(&material::frame(coding, data, 0)) {
            assert_eq!(sound.samples.len(), 960);
        }
    }
    let good = sent(encoder.as_mut(), &tone(1, 0));
    for len in 0..good.data.len() {
        let cut = EncodedFrame { data: good.data.slice(..len), ..good.clone() };
        let _ = decoder.decode(&cut);
    }
    assert!(decoder.decode(&good).is_ok());
}

#[test]
fn packets_of_other_lengths_are_refused() {
    let (mut encoder, mut decoder, coding) = codecs(1);
    for len in [0, 1_277, 1 << 20] {
        let result = decoder.decode(&material::frame(coding, vec![0; len], 0));
        assert_eq!(result, Err(DecodeError::Length { coding, expected: 1_276, found: len }));
    }
    // RFC 6716 §3.1: configuration 18 is 10 ms of CELT, and code 3 says how many
    // frames there are: 120 ms in 2 bytes, all of them empty.
    let result = decoder.decode(&material::frame(coding, vec![18 << 3 | 3, 12], 0));
    assert_eq!(result, Err(DecodeError::Samples { expected: 960, found: 5_760 }));
    let result = decoder.decode(&material::frame(coding, vec![18 << 3], 0));
    assert_eq!(result, Err(DecodeError::Samples { expected: 960, found: 480 }));

    let stereo = sent(codecs(2).0.as_mut(), &tone(2, 0));
    assert_eq!(decoder.decode(&stereo), Err(DecodeError::OtherCoding(stereo.coding)));
    assert!(decoder.decode(&sent(encoder.as_mut(), &tone(1, 0))).is_ok());
}

#[test]
fn sound_of_the_wrong_shape_is_not_encoded() {
    let (mut encoder, _, _) = codecs(1);
    assert!(encoder.encode(&tone(2, 0)).is_err());
    let short = AudioFrame { samples: [0.0; 959].into(), ..tone(1, 0) };
    assert!(encoder.encode(&short).is_err());
    for channels in [0, 3] {
        let config = AudioEncoderConfig::default().channels(channels);
        assert!(audio_encoder(AudioCodec::Opus, config).is_err());
        let coding = Coding::Audio { codec: AudioCodec::Opus, channels };
        assert!(audio_decoder(&coding).is_err());
    }
}

#[test]
fn another_bitrate_takes_effect_with_the_next_frame() {
    let (mut encoder, _, _) = codecs(1);
    let mut bytes_at = |from: u64, kbps| {
        let bitrate = Some(Bitrate::from_kbps(kbps));
        encoder.set_target(AudioEncoderTarget { bitrate, ..Default::default() });
        let sizes = (from..from + 50).map(|index| sent(&mut *encoder, &voice(index)).data.len());
        sizes.sum::<usize>()
    };
    let (at_48, at_12, at_96) = (bytes_at(0, 48), bytes_at(50, 12), bytes_at(100, 96));
    println!("{at_48}, {at_12} and {at_96} bytes a second");
    assert!(at_12 * 3 < at_48 && at_48 * 3 / 2 < at_96, "{at_48}, {at_12} and {at_96}");
    // Out of bounds is held within them, and nothing is refused later.
    for kbps in [0, u64::MAX / 1_000] {
        bytes_at(150, kbps);
    }
    encoder.set_target(AudioEncoderTarget { expected_loss: Some(u8::MAX), bitrate: None });
    sent(&mut *encoder, &voice(0));
}

#[test]
fn in_a_steady_state_nothing_is_allocated_for_a_packet() {
    let config = AudioEncoderConfig::default().content(AudioContent::Voice).expected_loss(10);
    for config in [config, AudioEncoderConfig::default().bitrate(Bitrate::from_kbps(510))] {
        let mut encoder = audio_encoder(AudioCodec::Opus, config).expect("built in");
        let sounds: Vec<_> = (0..100).map(voice).collect();
        let mut pass = || {
            // A few are under way at any time.
            let mut under_way = [const { None }; 8];
            for (index, sound) in sounds.iter().enumerate() {
                under_way[index % 8] = Some(encoder.encode(sound).expect("20 ms"));
            }
        };
        pass();
        let info = allocation_counter::measure(pass);
        assert_eq!(info.count_total, 0, "{info:?}");
    }
}

#[test]
fn what_a_peer_sends_is_never_louder_than_a_sound_of_pcm() {
    let (_, mut decoder, coding) = codecs(2);
    let mut state = 3_u64;
    let mut random = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 33) as u8
    };
    let mut loudest = 0.0_f32;
    for _ in 0..4_000 {
        // 20 ms of stereo in CELT, RFC 6716 §3.1: it is there that energies are sent.
        let mut data = vec![31 << 3 | 4];
        data.extend((0..random() % 60 + 2).map(|_| random()));
        if let Ok(sound) = decoder.decode(&material::frame(coding, data, 0)) {
            assert!(sound.samples.iter().all(|sample| sample.abs() <= 16.0));
            loudest = sound.samples.iter().fold(loudest, |max, sample| max.max(sample.abs()));
        }
    }
    println!("loudest: {loudest}");
    assert_eq!(loudest, 16.0, "nothing had to be held back, so this proves nothing");
}
