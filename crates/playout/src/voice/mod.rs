//! Echo cancellation, noise suppression and gain: what is done to a microphone's sound
//! before it is sent.
//!
//! ```text
//!  loudspeaker ◄── what is played ──► FarEnd ─╮ 200 ms at most
//!                                             ▼
//!  microphone ──► echo ──► noise ──► gain ──► what is sent
//! ```
//!
//! The work is that of [`sonora`], a port of the audio processing of libwebrtc: AEC3, its
//! noise suppressor and AGC2, on frames of 10 ms. How late the echo comes, and that this
//! changes, is for AEC3 to find out.

mod config;
mod far_end;

use std::fmt;
use std::time::Duration;

use sonora::config::{
    AdaptiveDigital, EchoCanceller, GainController2, HighPassFilter, MaxProcessingRate,
    NoiseSuppressionLevel, Pipeline,
};
use sonora::{AudioProcessing, Config, StreamConfig};

pub use config::{NoiseSuppression, VoiceConfig};
pub use far_end::FarEnd;

/// What makes of a microphone's sound a voice to send.
///
/// It belongs to one microphone and has no clock: time is what goes through it. Who plays
/// sound tells it so by a [`FarEnd`].
///
/// ```
/// use paceline_playout::{Voice, VoiceConfig};
///
/// let mut voice = Voice::new(VoiceConfig::default());
/// let far_end = voice.far_end();
///
/// // Each 20 ms, mono at 48 kHz: what is played, by whoever plays it …
/// far_end.push(&[0.0; 960]);
/// // … and what the microphone hears.
/// let mut heard = [0.0; 960];
/// voice.process(&mut heard);
/// assert_eq!(heard, [0.0; 960]);
/// assert_eq!(voice.stats().far_end_dropped, 0);
/// ```
pub struct Voice {
    /// `None` when there is nothing to do.
    processing: Option<Box<AudioProcessing>>,
    far_end: FarEnd,
    stats: VoiceStats,
}

/// What a [`Voice`] has done since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct VoiceStats {
    /// Frames of 10 ms that went through it.
    pub frames: u64,
    /// Samples of the far end that were dropped because nobody listened for 200 ms. Their echo
    /// stays.
    pub far_end_dropped: u64,
    /// Samples of both ends that were not finite, and became silence, or over full scale, and
    /// were clamped. Not counted when all is off.
    pub samples_repaired: u64,
    /// By how much the echo became quieter between microphone and what is sent, in dB, as the
    /// canceller estimates it for its linear filter; the suppressor after it adds to that. None
    /// when it is off or does not know.
    pub echo_return_loss_enhancement: Option<f32>,
    /// How much later than we were told of it the echo is heard, as the canceller estimates it.
    /// None when it is off or does not know.
    pub echo_delay: Option<Duration>,
}

impl Voice {
    /// One that has heard nothing.
    #[must_use]
    pub fn new(config: VoiceConfig) -> Self {
        let processing = (!config.is_off()).then(|| Box::new(processing(&config)));
        Self { processing, far_end: FarEnd::new(config.echo), stats: VoiceStats::default() }
    }

    /// Where to tell what is played.
    #[must_use]
    pub fn far_end(&self) -> FarEnd {
        self.far_end.clone()
    }

    /// Makes of what the microphone hears what is to be sent, in place: mono at 48 kHz, 20 ms
    /// or any other number of whole 10 ms.
    ///
    /// Samples that are
    /// not finite count as silence, others are clamped to ±1.
    ///
    /// # Panics
    ///
    /// If the number of samples is not a multiple of 480.
    pub fn process(&mut self, samples: &mut [f32]) {
        assert!(samples.len().is_multiple_of(FRAME), "{} samples are no 10 ms", samples.len());
        self.stats.frames += (samples.len() / FRAME) as u64;
        let Some(processing) = &mut self.processing else { return };
        let (mut input, mut unheard) = ([0.0; FRAME], [0.0; FRAME]);
        for frame in samples.chunks_exact_mut(FRAME) {
            while self.far_end.take(&mut input) {
                let done = processing.process_render_f32(&[&input], &mut [&mut unheard]);
                debug_assert_eq!(done, Ok(()), "it is of the shape that it was made for");
            }
            for (slot, &sample) in input.iter_mut().zip(&*frame) {
                *slot = sane(sample, &mut self.stats.samples_repaired);
            }
            let done = processing.process_capture_f32(&[&input], &mut [frame]);
            debug_assert_eq!(done, Ok(()), "it is of the shape that it was made for");
        }
    }

    /// What it has done so far.
    #[must_use]
    pub fn stats(&self) -> VoiceStats {
        let (far_end_dropped, repaired) = self.far_end.counted();
        let mut stats = VoiceStats { far_end_dropped, ..self.stats };
        stats.samples_repaired += repaired;
        if let Some(processing) = &self.processing {
            let theirs = processing.statistics();
            stats.echo_return_loss_enhancement =
                theirs.echo_return_loss_enhancement.map(|db| db as f32);
            stats.echo_delay =
                theirs.delay_ms.and_then(|ms| u64::try_from(ms).ok()).map(Duration::from_millis);
        }
        stats
    }
}

impl fmt::Debug for Voice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Voice")
            .field("is_off", &self.processing.is_none())
            .field("far_end", &self.far_end)
            .field("stats", &self.stats)
            .finish_non_exhaustive()
    }
}

fn processing(config: &VoiceConfig) -> AudioProcessing {
    let rate =
        if config.full_band { MaxProcessingRate::Rate48kHz } else { MaxProcessingRate::Rate32kHz };
    let noise = config.noise.map(|level| sonora::config::NoiseSuppression {
        level: match level {
            NoiseSuppression::Low => NoiseSuppressionLevel::Low,
            NoiseSuppression::Moderate => NoiseSuppressionLevel::Moderate,
            NoiseSuppression::High => NoiseSuppressionLevel::High,
            NoiseSuppression::VeryHigh => NoiseSuppressionLevel::VeryHigh,
        },
        ..Default::default()
    });
    let gain = config.max_gain_db.map(|max_gain_db| {
        let usual = AdaptiveDigital::default();
        let initial_gain_db = usual.initial_gain_db.min(max_gain_db);
        let adaptive = AdaptiveDigital { max_gain_db, initial_gain_db, ..usual };
        GainController2 { adaptive_digital: Some(adaptive), ..Default::default() }
    });
    AudioProcessing::builder()
        .config(Config {
            pipeline: Pipeline { maximum_internal_processing_rate: rate, ..Default::default() },
            high_pass_filter: Some(HighPassFilter::default()),
            echo_canceller: config.echo.then(EchoCanceller::default),
            noise_suppression: noise,
            gain_controller2: gain,
            ..Default::default()
        })
        .capture_config(StreamConfig::new(RATE, 1))
        .render_config(StreamConfig::new(RATE, 1))
        .build()
}

/// A sample that filters can take; one that is not is counted.
fn sane(sample: f32, repaired: &mut u64) -> f32 {
    if sample.abs() <= 1.0 {
        return sample;
    }
    *repaired += 1;
    if sample.is_finite() { sample.clamp(-1.0, 1.0) } else { 0.0 }
}

/// The clock of all sound here (RFC 7587 §4.1).
const RATE: u32 = 48_000;

/// 10 ms: what libwebrtc's audio processing works on.
const FRAME: usize = 480;
