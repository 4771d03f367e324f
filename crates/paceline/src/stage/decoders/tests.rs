//! What comes of the decoders when the host changes.

use std::time::Duration;

use paceline_codec::{AudioEncoder, AudioEncoderConfig, VideoEncoderConfig};
use paceline_types::{AudioCodec, Frequency, PictureFormat, SeqNo};

use super::*;

const MIX: StreamKey = StreamKey { sender: SenderId::new(0), stream: StreamId::MIX_AUDIO };
const OLD: Epoch = Epoch::new(2, 0);
const NEW: Epoch = Epoch::new(2, 1);

/// A host's encoder of a tone.
struct Singer {
    encoder: Box<dyn AudioEncoder>,
    pitch: f32,
}

impl Singer {
    fn new(codec: AudioCodec, pitch: f32) -> Self {
        let encoder = paceline_codec::audio_encoder(codec, AudioEncoderConfig::default());
        Self { encoder: encoder.expect("built in"), pitch }
    }

    fn sing(&mut self, number: u64) -> EncodedFrame {
        let time = MediaTime::new(number * FRAME, Frequency::AUDIO);
        let sample = |index: u64| {
            let turns = (number * FRAME + index) as f32 / 48_000.0 * self.pitch;
            (turns.fract() * std::f32::consts::TAU).sin() * 0.4
        };
        let samples = (0..FRAME).map(sample).collect();
        let frame = AudioFrame { channels: 1, time, capture: NtpTime::default(), samples };
        let encoded = self.encoder.encode(&frame).expect("a frame");
        EncodedFrame {
            stream: MIX.stream,
            seq: SeqNo::new(number),
            time,
            capture: NtpTime::default(),
            coding: encoded.coding,
            data: encoded.data,
        }
    }
}

fn decoders() -> Decoders {
    Decoders::new(Arc::new(Counters::default()))
}

fn one(decoded: Vec<Decoded>) -> AudioFrame {
    match <[Decoded; 1]>::try_from(decoded) {
        Ok([Decoded { heard: Heard::One(frame), concealed: false }]) => frame,
        other => panic!("it is not one frame: {other:?}"),
    }
}

#[test]
fn each_of_two_hosts_is_decoded_as_if_there_were_no_other() {
    let (mut ada, mut ben) =
        (Singer::new(AudioCodec::Opus, 440.0), Singer::new(AudioCodec::Opus, 700.0));
    let capture = NtpTime::default();
    let mut decoders = decoders();
    let coding = ada.sing(0).coding;
    let (mut of_ada, mut of_ben) =
        (audio_decoder(&coding).expect("built in"), audio_decoder(&coding).expect("built in"));
    for number in 1..10 {
        let frame = ada.sing(number);
        let sound = one(decoders.sound(MIX, &frame, Some(OLD), capture));
        assert_eq!(sound, of_ada.decode(&frame).expect("a frame"));
    }
    for number in 10..12 {
        let (last, first) = (ada.sing(number), ben.sing(number));
        let both = decoders.crossfade(MIX, (&last, &first), NEW, capture);
        let (old, new) =
            (of_ada.decode(&last).expect("a frame"), of_ben.decode(&first).expect("a frame"));
        assert_eq!(both, [Decoded { heard: Heard::Both { old, new }, concealed: false }]);
    }
    for number in 12..20 {
        let frame = ben.sing(number);
        let sound = one(decoders.sound(MIX, &frame, Some(NEW), capture));
        assert_eq!(sound, of_ben.decode(&frame).expect("a frame"), "number {number}");
    }
    let media = decoders.counters.media();
    assert_eq!((media.decoder_resets, media.decode_errors, media.audio_decoded), (0, 0, 19));
}

/// What is left of the old host while both are heard is decoded as his.
#[test]
fn a_frame_of_the_old_host_alone_does_not_end_his_decoder() {
    let (mut ada, mut ben) =
        (Singer::new(AudioCodec::Opus, 440.0), Singer::new(AudioCodec::Opus, 700.0));
    let capture = NtpTime::default();
    let mut decoders = decoders();
    let coding = ada.sing(0).coding;
    let mut of_ada = audio_decoder(&coding).expect("built in");
    for number in 1..4 {
        let frame = ada.sing(number);
        let sound = match number {
            2 => {
                let both = decoders.crossfade(MIX, (&frame, &ben.sing(number)), NEW, capture);
                let [Decoded { heard: Heard::Both { old, .. }, .. }] = &both[..] else {
                    panic!("both came: {both:?}");
                };
                old.clone()
            }
            _ => one(decoders.sound(MIX, &frame, Some(OLD), capture)),
        };
        assert_eq!(sound, of_ada.decode(&frame).expect("a frame"), "number {number}");
    }
}

#[test]
fn what_is_made_up_has_the_media_times_that_are_missing() {
    let mut ada = Singer::new(AudioCodec::Opus, 440.0);
    let mut decoders = decoders();
    let capture = NtpTime::default();
    let _ = decoders.sound(MIX, &ada.sing(5), Some(OLD), capture);
    for _ in 6..9 {
        decoders.miss(MIX, 1);
    }
    let sounds = decoders.sound(MIX, &ada.sing(9), Some(OLD), capture);
    let times: Vec<_> = sounds
        .iter()
        .map(|sound| match &sound.heard {
            Heard::One(frame) => (frame.time.ticks() / FRAME, sound.concealed),
            Heard::Both { .. } => panic!("one host"),
        })
        .collect();
    assert_eq!(times, [(6, true), (7, true), (8, true), (9, false)]);
    assert_eq!(decoders.counters.media().concealed_ms, 60);
    // However much a stream jumps, what is made up is bounded.
    decoders.miss(MIX, u64::MAX);
    decoders.miss(MIX, u64::MAX);
    let sounds = decoders.sound(MIX, &ada.sing(1_000), Some(OLD), capture);
    assert_eq!(sounds.len() as u64, MAX_CONCEALED + 1);
}

#[test]
fn only_a_mix_that_changes_its_coding_counts_as_begun_anew() {
    let (mut opus, mut plain) =
        (Singer::new(AudioCodec::Opus, 440.0), Singer::new(AudioCodec::PcmF32, 440.0));
    let capture = NtpTime::default();
    let mut decoders = decoders();
    let member = StreamKey { sender: SenderId::new(7), stream: StreamId::AUDIO };
    for (key, resets) in [(member, 0), (MIX, 1)] {
        let _ = one(decoders.sound(key, &opus.sing(1), Some(OLD), capture));
        let _ = one(decoders.sound(key, &plain.sing(2), Some(OLD), capture));
        let _ = one(decoders.sound(key, &plain.sing(3), Some(NEW), capture));
        assert_eq!(decoders.counters.media().decoder_resets, resets, "{key:?}");
    }
}

#[test]
fn a_picture_that_cannot_be_decoded_asks_for_a_keyframe_and_not_all_the_time() {
    let key = StreamKey { sender: SenderId::new(0), stream: StreamId::MIX_VIDEO };
    let now = crate::driver::clock();
    let time = MediaTime::new(0, Frequency::VIDEO);
    let picture = VideoFrame::new(64, 64, time, NtpTime::default(), vec![90; 6_144].into());
    let picture = picture.expect("planes of that size");
    let encoder = VideoEncoderConfig::default();
    let mut encoder =
        paceline_codec::video_encoder(PictureFormat::H264, encoder).expect("built in");
    let encoded = encoder.encode(&picture).expect("a picture").expect("the first is not left out");
    let mut frame = EncodedFrame {
        stream: key.stream,
        seq: SeqNo::new(1),
        time,
        capture: NtpTime::default(),
        coding: encoded.coding,
        data: encoded.data,
    };
    let mut decoders = decoders();
    assert!(decoders.picture(now, key, &frame).is_ok());
    frame.data = vec![0xff; 40].into();
    assert_eq!(decoders.picture(now, key, &frame), Err(true));
    decoders.note_asked(now, key);
    assert_eq!(decoders.picture(now + Duration::from_millis(400), key, &frame), Err(false));
    assert_eq!(decoders.picture(now + Duration::from_millis(600), key, &frame), Err(true));
    assert_eq!(decoders.counters.media().decode_errors, 3);
    // One that is no keyframe, and then the keyframe that was to be the answer.
    let Coding::Video { codec, discardable, width, height, .. } = frame.coding else {
        panic!("it is coded");
    };
    let coding = Coding::Video { codec, key: false, discardable, width, height };
    let other = EncodedFrame { coding, ..frame.clone() };
    let now = now + Duration::from_secs(9);
    assert_eq!(decoders.picture(now, key, &other), Err(true));
    decoders.note_asked(now, key);
    assert_eq!(decoders.picture(now, key, &other), Err(false));
    assert_eq!(decoders.picture(now, key, &frame), Err(true));
    decoders.note_asked(now, key);
    assert_eq!(decoders.picture(now, key, &frame), Err(false));
}
