//! What a microphone costs until its sound can be sent.
//!
//! `cargo bench -p paceline-benches --bench voice`. The figures are processor time, of 20 ms of
//! speech, of which 3 % are 600 µs: that is the goal for echo cancellation, noise suppression,
//! gain and Opus with forward error correction together. Somebody else speaks from the
//! loudspeaker all the while, and is heard.
#![allow(missing_docs, reason = "a bench")]

mod measure;

use std::path::Path;
use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use paceline_capture::{AudioSource, WavFile};
use paceline_codec::types::{AudioCodec, AudioFrame, Bitrate, Frequency, MediaTime, NtpTime};
use paceline_codec::{AudioContent, AudioEncoder, AudioEncoderConfig, audio_encoder};
use paceline_playout::{FarEnd, Voice, VoiceConfig};

use crate::measure::ProcessorTime;

/// One who speaks into a microphone, and one whom it hears from the loudspeaker.
struct Room {
    near: WavFile,
    far: WavFile,
    /// What the loudspeaker played last: it is heard 20 ms later, and softer.
    played: Arc<[f32]>,
}

impl Room {
    fn new() -> Self {
        let open = |name| {
            let media = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/media");
            WavFile::open(&media.join(name)).expect("a bundled clip")
        };
        Self { near: open("ada.wav"), far: open("ben.wav"), played: [0.0; 960].into() }
    }

    /// 20 ms of what the microphone hears; what is played is told.
    fn hear(&mut self, far_end: &FarEnd) -> [f32; 960] {
        let read = |file: &mut WavFile| {
            let time = MediaTime::new(0, Frequency::AUDIO);
            let frame = file.read(time, NtpTime::default()).expect("it is in memory");
            frame.expect("a file has no pauses").samples
        };
        let (near, far) = (read(&mut self.near), read(&mut self.far));
        far_end.push(&far);
        let echo = std::mem::replace(&mut self.played, far);
        std::array::from_fn(|at| near[at] + 0.3 * echo[at])
    }
}

fn encoder(expected_loss: u8) -> Box<dyn AudioEncoder> {
    let config = AudioEncoderConfig::default()
        .content(AudioContent::Voice)
        .bitrate(Bitrate::from_kbps(32))
        .expected_loss(expected_loss);
    audio_encoder(AudioCodec::Opus, config).expect("it is built in")
}

fn sound(samples: &[f32]) -> AudioFrame {
    let time = MediaTime::new(0, Frequency::AUDIO);
    AudioFrame { channels: 1, time, capture: NtpTime::default(), samples: samples.into() }
}

fn microphone(c: &mut Criterion<ProcessorTime>) {
    let mut group = c.benchmark_group("20 ms of a microphone");
    let (mut room, mut voice) = (Room::new(), Voice::new(VoiceConfig::default()));
    let far_end = voice.far_end();
    group.bench_function("echo, noise, gain", |b| {
        b.iter_batched_ref(
            || room.hear(&far_end),
            |heard| voice.process(heard),
            criterion::BatchSize::PerIteration,
        );
    });
    for (name, loss) in [("Opus", 0), ("Opus with error correction", 10)] {
        let mut room = Room::new();
        let mut encoder = encoder(loss);
        let far_end = Voice::new(VoiceConfig::default()).far_end();
        group.bench_function(name, |b| {
            b.iter_batched(
                || sound(&room.hear(&far_end)),
                |frame| encoder.encode(&frame).expect("20 ms"),
                criterion::BatchSize::PerIteration,
            );
        });
    }
    let (mut room, mut encoder) = (Room::new(), encoder(10));
    let mut voice = Voice::new(VoiceConfig::default());
    let far_end = voice.far_end();
    group.bench_function("all of it", |b| {
        b.iter_batched_ref(
            || room.hear(&far_end),
            |heard| {
                voice.process(heard);
                encoder.encode(&sound(heard)).expect("20 ms")
            },
            criterion::BatchSize::PerIteration,
        );
    });
}

criterion_group! {
    name = benches;
    config = Criterion::default().with_measurement(ProcessorTime);
    targets = microphone
}
criterion_main!(benches);
