//! Real speech at 48 kHz, and a stage that hears it from a clock that is off.

#![allow(clippy::disallowed_methods, reason = "an epoch for the tests")]
#![allow(dead_code, reason = "each test takes what it needs")]

use std::time::{Duration, Instant};

use paceline_playout::{SourceStats, Stage, StageConfig, StageOutput, Verdict};
use paceline_types::{AudioFrame, Frequency, MediaTime, NtpTime, SenderId, WallClock};

pub(crate) const ANN: SenderId = SenderId::new(1);
pub(crate) const BOB: SenderId = SenderId::new(2);
pub(crate) const EVE: SenderId = SenderId::new(3);

/// 7 s of speech at 48 kHz that can be played round and round.
pub(crate) fn speech() -> Vec<f32> {
    let wav = include_bytes!("../media/speech.wav");
    let slow: Vec<f32> = wav[44..]
        .chunks_exact(2)
        .map(|pair| f32::from(i16::from_le_bytes([pair[0], pair[1]])) / 32_768.0)
        .collect();
    // Three phases of a sinc under a Hann window, 32 samples of 16 kHz wide.
    let phases: Vec<[f32; 32]> = (0..3)
        .map(|phase| {
            std::array::from_fn(|tap| {
                let distance = tap as f32 - 15.0 - phase as f32 / 3.0;
                let angle = std::f32::consts::PI * distance;
                let sinc = if distance == 0.0 { 1.0 } else { angle.sin() / angle };
                sinc * (angle / 32.0).cos().powi(2)
            })
        })
        .collect();
    let mut fast = Vec::with_capacity(3 * slow.len());
    for window in slow.windows(32) {
        for phase in &phases {
            fast.push(window.iter().zip(phase).map(|(a, b)| a * b).sum::<f32>());
        }
    }
    // Whole frames, and the end fades into the beginning.
    let fade = 4_800;
    fast.truncate(fast.len() / 960 * 960);
    let tail = fast.split_off(fast.len() - fade);
    for (i, (sample, tail)) in fast.iter_mut().zip(tail).enumerate() {
        let rising = i as f32 / fade as f32;
        *sample = *sample * rising + tail * (1.0 - rising);
    }
    fast
}

/// Numbers that are the same each time.
pub(crate) struct Noise(pub(crate) u64);

impl Noise {
    /// From 0 to 1.
    pub(crate) fn next(&mut self) -> f64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// What is sent, and how.
pub(crate) struct Sender {
    pub(crate) id: SenderId,
    pub(crate) sound: Vec<f32>,
    /// The clock is fast by this.
    pub(crate) ppm: f64,
    /// Frames are early and late by up to this.
    pub(crate) jitter_ms: f64,
    /// When the first one comes.
    pub(crate) first_ms: f64,
    /// The numbers of frames that do not come.
    pub(crate) lost: Vec<usize>,
    sent: usize,
    next_at: f64,
    noise: Noise,
}

impl Sender {
    pub(crate) fn new(
        id: SenderId,
        sound: Vec<f32>,
        ppm: f64,
        jitter_ms: f64,
        first_ms: f64,
    ) -> Self {
        let noise = Noise(7 + u64::from(id.get()));
        let next_at = first_ms.max(0.0);
        Self { id, sound, ppm, jitter_ms, first_ms, lost: vec![], sent: 0, next_at, noise }
    }

    /// The next frame, and the one after is later or at the same time.
    fn frame(&mut self) -> AudioFrame {
        let at = self.sent;
        let samples = (at..at + 960).map(|i| self.sound[i % self.sound.len()]).collect();
        self.sent += 960;
        let due = self.first_ms + self.sent as f64 / 48.0 / (1.0 + self.ppm * 1e-6) - 20.0;
        let jitter = self.jitter_ms * (2.0 * self.noise.next() - 1.0);
        let next = due + 20.0 / (1.0 + self.ppm * 1e-6) + jitter;
        self.next_at = self.next_at.max(next);
        let time = MediaTime::new(at as u64, Frequency::AUDIO);
        AudioFrame { channels: 1, time, capture: NtpTime::default(), samples }
    }
}

pub(crate) fn new_stage(ids: &[SenderId]) -> (Stage, Instant) {
    let now = Instant::now();
    let wall = WallClock::new(now, NtpTime::from_unix(Duration::from_secs(1_700_000_000)));
    let config = StageConfig::default().width(16).height(16).frame_rate(1);
    let mut stage = Stage::new(now, wall, config);
    for &id in ids {
        assert_eq!(stage.add_source(now, id), Verdict::Accepted);
    }
    (stage, now)
}

/// Lets the senders send for `ticks`; calls back with each tick's number, who
/// hears what, and the stage.
pub(crate) fn run(
    stage: &mut Stage,
    start: Instant,
    senders: &mut [Sender],
    ticks: u64,
    heard: impl FnMut(u64, SenderId, &[f32], &Stage),
) {
    run_from(stage, start, senders, 0, ticks, heard);
}

/// Goes on for `ticks` more after the first `begin`; calls back after each.
pub(crate) fn go_on(
    stage: &mut Stage,
    start: Instant,
    senders: &mut [Sender],
    begin: u64,
    ticks: u64,
    mut after: impl FnMut(&Stage),
) {
    let mut last = None;
    run_from(stage, start, senders, begin, ticks, |tick, _, _, stage| {
        if last.replace(tick) != Some(tick) {
            after(stage);
        }
    });
}

fn run_from(
    stage: &mut Stage,
    start: Instant,
    senders: &mut [Sender],
    begin: u64,
    ticks: u64,
    mut heard: impl FnMut(u64, SenderId, &[f32], &Stage),
) {
    for tick in begin..begin + ticks {
        let at_ms = tick as f64 * 20.0;
        for sender in &mut *senders {
            while sender.next_at <= at_ms {
                let now = start + Duration::from_nanos((sender.next_at * 1e6) as u64);
                let lost = sender.lost.contains(&(sender.sent / 960));
                let frame = sender.frame();
                if !lost {
                    let verdict = stage.handle_audio(now, sender.id, frame);
                    assert!(matches!(verdict, Verdict::Accepted | Verdict::Overrun), "{verdict:?}");
                }
            }
        }
        stage.handle_timeout(start + Duration::from_millis(20 * tick));
        while let Some(output) = stage.poll_output() {
            if let StageOutput::Audio { for_peer, frame, .. } = output {
                heard(tick, for_peer, &frame.samples, stage);
            }
        }
    }
}

/// The largest second difference in each 5 ms.
pub(crate) fn bends(sound: &[f32]) -> Vec<f32> {
    let bend = |w: &[f32]| (w[2] - 2.0 * w[1] + w[0]).abs();
    let windows = sound.len().saturating_sub(2) / 240;
    let window = |i: usize| sound[i * 240..(i + 1) * 240 + 2].windows(3).map(bend);
    (0..windows).map(|i| window(i).fold(0.0, f32::max)).collect()
}

pub(crate) fn stats(stage: &Stage, id: SenderId) -> SourceStats {
    stage.source_stats(id).expect("is on the stage")
}
