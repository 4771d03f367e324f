//! What a host's machine does for a call: everybody's sound decoded, mixed and encoded again,
//! and everybody's pictures in one.
//!
//! `cargo bench -p paceline-benches --bench host`. The figures are processor time. Sound: of
//! 20 ms with 32 participants who all speak, of which 25 % of a core are 5,000 µs. *An encoding
//! for each* is what a host does; that at most four are heard at once, and whoever is not shares
//! one encoding with the others, would be *five encodings*. Pictures: nine of 480 × 270, full of
//! movement, in one of 640 × 360, drawn on 200 × 60 characters; of 60 a second, 3 % of a core
//! are 500 µs.
#![allow(clippy::disallowed_methods, missing_docs, reason = "a bench: it has a clock")]

mod measure;

use std::path::Path;
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use paceline_benches::scene;
use paceline_capture::{AudioSource, WavFile};
use paceline_codec::types::{
    AudioCodec, AudioFrame, Bitrate, EncodedFrame, Frequency, MediaTime, NtpTime, Rect, SenderId,
    SeqNo, StreamId, VideoFrame, WallClock,
};
use paceline_codec::{
    AudioDecoder, AudioEncoder, AudioEncoderConfig, audio_decoder, audio_encoder,
};
use paceline_playout::terminal::{Canvas, RenderMode, Style};
use paceline_playout::{Stage, StageConfig, StageOutput, Verdict};

use crate::measure::ProcessorTime;

/// Everybody, and the stage that mixes them.
struct Call {
    now: Instant,
    stage: Stage,
    decoders: Vec<Box<dyn AudioDecoder>>,
    encoders: Vec<Box<dyn AudioEncoder>>,
    /// What each of them sends: a second and more, over and over.
    spoken: Vec<Vec<EncodedFrame>>,
    tick: usize,
}

impl Call {
    fn new() -> Self {
        let now = Instant::now();
        let wall = WallClock::new(now, NtpTime::from_unix(Duration::from_secs(1_700_000_000)));
        let mut stage = Stage::new(now, wall, StageConfig::default());
        for id in 0..PARTICIPANTS {
            assert_eq!(stage.add_source(now, sender(id)), Verdict::Accepted);
        }
        // The first turn makes what is due at once.
        stage.handle_timeout(now);
        while stage.poll_output().is_some() {}
        let spoken: Vec<_> = (0..PARTICIPANTS).map(speak).collect();
        let decoder =
            |frames: &Vec<EncodedFrame>| audio_decoder(&frames[0].coding).expect("it is built in");
        let decoders = spoken.iter().map(decoder).collect();
        let encoders = (0..PARTICIPANTS).map(|_| encoder()).collect();
        Self { now, stage, decoders, encoders, spoken, tick: 0 }
    }

    /// What each sent in these 20 ms, as sound.
    fn decode(&mut self) -> Vec<AudioFrame> {
        let time = MediaTime::new(960 * self.tick as u64, Frequency::AUDIO);
        self.tick += 1;
        let spoken = self.spoken.iter().map(|frames| &frames[self.tick % frames.len()]);
        let decoded = self.decoders.iter_mut().zip(spoken).map(|(decoder, frame)| AudioFrame {
            time,
            ..decoder.decode(frame).expect("it is whole")
        });
        decoded.collect()
    }

    /// The mixes, each of all but the one it is for.
    fn mix(&mut self, sounds: Vec<AudioFrame>) -> Vec<AudioFrame> {
        for (id, sound) in (0..).zip(sounds) {
            let verdict = self.stage.handle_audio(self.now, sender(id), sound);
            assert_eq!(verdict, Verdict::Accepted);
        }
        self.now += Duration::from_millis(20);
        self.stage.handle_timeout(self.now);
        let mut mixes = Vec::with_capacity(PARTICIPANTS.into());
        while let Some(output) = self.stage.poll_output() {
            if let StageOutput::Audio { frame, .. } = output {
                mixes.push(frame);
            }
        }
        mixes
    }

    fn encode(&mut self, mixes: &[AudioFrame]) -> usize {
        let encoded = self
            .encoders
            .iter_mut()
            .zip(mixes)
            .map(|(encoder, mix)| encoder.encode(mix).expect("20 ms").data.len());
        encoded.sum()
    }
}

fn sender(id: u16) -> SenderId {
    SenderId::new(u32::from(id) + 1)
}

fn encoder() -> Box<dyn AudioEncoder> {
    let config = AudioEncoderConfig::default().bitrate(Bitrate::from_kbps(48));
    audio_encoder(AudioCodec::Opus, config).expect("it is built in")
}

/// One of three bundled voices, from another place for each.
fn speak(id: u16) -> Vec<EncodedFrame> {
    let name = ["ada.wav", "ben.wav", "cem.wav"][usize::from(id) % 3];
    let media = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/media");
    let mut file = WavFile::open(&media.join(name)).expect("a bundled clip");
    let mut encoder = encoder();
    let frames = (0..u64::from(id) * 7 + SPOKEN).map(|number| {
        let time = MediaTime::new(number * 960, Frequency::AUDIO);
        let sound = file.read(time, NtpTime::default()).expect("it is in memory");
        let encoded = encoder.encode(&sound.expect("a file has no pauses")).expect("20 ms");
        EncodedFrame {
            stream: StreamId::AUDIO,
            seq: SeqNo::new(number),
            time,
            capture: NtpTime::default(),
            coding: encoded.coding,
            data: encoded.data,
        }
    });
    frames.skip(usize::from(id) * 7).collect()
}

fn sound(c: &mut Criterion<ProcessorTime>) {
    let mut group = c.benchmark_group("20 ms of 32 participants");
    let mut call = Call::new();
    group.bench_function("decode", |b| b.iter(|| call.decode().len()));
    let mut call = Call::new();
    group.bench_function("mix", |b| {
        b.iter_custom(|times| {
            let mut taken = Duration::ZERO;
            for _ in 0..times {
                let sounds = call.decode();
                let begin = measure::now();
                let mixes = call.mix(sounds);
                taken += measure::now() - begin;
                assert_eq!(mixes.len(), usize::from(PARTICIPANTS));
            }
            taken
        });
    });
    for (name, encodings) in [("an encoding for each", PARTICIPANTS), ("five encodings", 5)] {
        let encodings = usize::from(encodings);
        let mut call = Call::new();
        group.bench_function(name, |b| {
            b.iter_custom(|times| {
                let mut taken = Duration::ZERO;
                for _ in 0..times {
                    let sounds = call.decode();
                    let mixes = call.mix(sounds);
                    let begin = measure::now();
                    call.encode(&mixes[..encodings]);
                    taken += measure::now() - begin;
                }
                taken
            });
        });
        let mut call = Call::new();
        group.bench_function(format!("all of it, {name}"), |b| {
            b.iter(|| {
                let sounds = call.decode();
                let mixes = call.mix(sounds);
                call.encode(&mixes[..encodings])
            });
        });
    }
}

/// Pictures of nine, as they were decoded.
fn pictures() -> Vec<Vec<VideoFrame>> {
    let of = |first: u32| (0..24).map(|n| scene::film(n + 5 * first, (480, 270)).frame()).collect();
    (0..9).map(of).collect()
}

fn picture(c: &mut Criterion<ProcessorTime>) {
    let mut group = c.benchmark_group("nine pictures of 480 x 270");
    let all = pictures();
    let mut now = Instant::now();
    let wall = WallClock::new(now, NtpTime::from_unix(Duration::from_secs(1_700_000_000)));
    let mut stage = Stage::new(now, wall, StageConfig::default().frame_rate(60));
    for id in 0..9 {
        assert_eq!(stage.add_source(now, sender(id)), Verdict::Accepted);
    }
    let mut number = 0;
    let mut compose = move || {
        number += 1;
        for (id, pictures) in (0..).zip(&all) {
            let picture = pictures[number % pictures.len()].clone();
            let _ = stage.handle_video(now, sender(id), picture);
        }
        // Sound is mixed in these turns too, of nobody.
        loop {
            now = stage.poll_timeout().expect("it goes on");
            stage.handle_timeout(now);
            let mut composed = None;
            while let Some(output) = stage.poll_output() {
                if let StageOutput::Picture(picture) = output {
                    composed = Some(picture);
                }
            }
            if let Some(composed) = composed {
                return composed;
            }
        }
    };
    let whole = Rect { x: 0, y: 0, width: 640, height: 360 };
    let mut canvas = Canvas::new(RenderMode::HalfBlock);
    let mut draw = move |picture: &VideoFrame| {
        canvas.start(200, 60);
        let mut area = canvas.area();
        area.rows -= 1;
        canvas.picture(picture, whole, area);
        canvas.text(0, 59, 200, "9 peers|host Ada", Style::Plain);
        canvas.finish().len()
    };
    group.bench_function("in one", |b| b.iter(&mut compose));
    let mixes: Vec<_> = (0..24).map(|_| compose()).collect();
    let mut next = mixes.iter().cycle();
    group.bench_function("one drawn on 200 x 60", |b| {
        b.iter(|| draw(next.next().expect("it goes on")));
    });
    group.bench_function("both", |b| b.iter(|| draw(&compose())));
}

criterion_group! {
    name = benches;
    config = Criterion::default().with_measurement(ProcessorTime).sample_size(30);
    targets = sound, picture
}
criterion_main!(benches);

const PARTICIPANTS: u16 = 32;
/// Frames that each speaks before he begins again: 3 s.
const SPOKEN: u64 = 150;
