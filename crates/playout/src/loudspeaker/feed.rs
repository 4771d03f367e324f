//! From 20 ms of the mix to what waits for the device.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use ringbuf::HeapProd;
use ringbuf::traits::{Observer, Producer};

use super::conversion::Conversion;
use super::level::LevelControl;
use super::shared::{Shared, fade};
use super::{LoudspeakerConfig, LoudspeakerStats};
use crate::Resampler;

/// The end of the ring where sound goes in.
///
/// ```text
///  20 ms ─► Resampler ─► Conversion ─► ring ─► Drain ─► device
///               ▲      (not at 48 kHz)  │
///          LevelControl ◄── its level ──╯
/// ```
pub(super) struct Feed {
    ring: HeapProd<f32>,
    shared: Arc<Shared>,
    config: LoudspeakerConfig,
    resampler: Resampler,
    conversion: Option<Conversion>,
    control: LevelControl,
    generation: u32,
    /// The most frames that the device took at a time, in some spans of time.
    periods: [u32; SPANS],
    pushes: u32,
    /// Sound did not fit, and what comes next does not go on from what is there.
    torn: bool,
    /// At 48 kHz, and at the device's rate.
    resampled: Box<[f32; MOST]>,
    converted: Vec<f32>,
}

impl Feed {
    /// One whose device is asked to take `period` frames at a time.
    pub(super) fn new(
        ring: HeapProd<f32>,
        shared: Arc<Shared>,
        config: LoudspeakerConfig,
        conversion: Option<Conversion>,
    ) -> Self {
        let period = shared.frames(config.period);
        let feed = Self {
            ring,
            config,
            resampler: Resampler::new(),
            conversion,
            control: LevelControl::new(),
            generation: 0,
            periods: [period; SPANS],
            pushes: 0,
            torn: false,
            resampled: Box::new([0.0; MOST]),
            converted: Vec::with_capacity(shared.frames(2 * PUSH) as usize),
            shared,
        };
        feed.aim();
        feed
    }

    /// Takes sound in, mono at 48 kHz: 20 ms, or another length if need be.
    pub(super) fn push(&mut self, now: Instant, samples: &[f32]) {
        self.look();
        self.steer(now);
        for piece in samples.chunks(PIECE) {
            let made = self.resampler.resample(piece, &mut self.resampled[..]).written;
            let made = &self.resampled[..made];
            self.converted.clear();
            match &mut self.conversion {
                Some(conversion) => conversion.convert(made, &mut self.converted),
                None => self.converted.extend_from_slice(made),
            }
            self.hand_over();
        }
    }

    pub(super) fn stats(&self) -> LoudspeakerStats {
        let late = Resampler::LATENCY as f64 / 48_000.0
            + self.conversion.as_ref().map_or(0.0, Conversion::latency);
        let level = (self.control.mean() + HALF_PUSH).max(0.0);
        LoudspeakerStats {
            latency: Duration::try_from_secs_f64(level + late).unwrap_or_default(),
            rate_ppm: self.control.drift().round() as i32,
            ..self.shared.stats()
        }
    }

    /// How fast it plays, in ppm.
    #[cfg(test)]
    pub(super) fn ppm(&self) -> f64 {
        self.resampler.ppm()
    }

    /// Puts what was made into the ring, or drops it where there is no room.
    ///
    /// A fade always has room, so that what is dropped is no click.
    fn hand_over(&mut self) {
        let fade = fade(self.shared.rate);
        let fits = self.ring.vacant_len() >= self.converted.len() + fade;
        let dropped = match (fits, self.torn) {
            (true, torn) => {
                if torn {
                    for (i, sample) in self.converted.iter_mut().take(fade).enumerate() {
                        *sample *= i as f32 / fade as f32;
                    }
                }
                0
            }
            (false, true) => self.converted.len(),
            (false, false) => {
                let dropped = self.converted.len().saturating_sub(fade);
                self.converted.truncate(fade);
                let len = self.converted.len();
                for (i, sample) in self.converted.iter_mut().enumerate() {
                    *sample *= (len - 1 - i) as f32 / len as f32;
                }
                dropped
            }
        };
        if fits || !self.torn {
            let pushed = self.ring.push_slice(&self.converted);
            debug_assert_eq!(pushed, self.converted.len(), "there is room");
        }
        self.torn = !fits;
        self.shared.dropped.fetch_add(dropped as u64, Ordering::Relaxed);
    }

    /// Sees how much the device takes at a time.
    fn look(&mut self) {
        self.pushes += 1;
        if self.pushes.is_multiple_of(SPAN_PUSHES) {
            self.periods.rotate_right(1);
            self.periods[0] = 0;
        }
        let largest = self.shared.largest.swap(0, Ordering::Relaxed);
        self.periods[0] = self.periods[0].max(largest);
        self.aim();
    }

    /// Says how much is to wait: for a push that is late, and two of what the device takes.
    fn aim(&self) {
        let Self { config, shared, .. } = self;
        let period = self.periods.iter().copied().fold(0, u32::max);
        let most = shared.frames(config.max_queue);
        let usual = period.saturating_mul(2).max(shared.frames(PUSH));
        let target = usual.saturating_add(shared.frames(config.push_jitter)).min(most / 2);
        let limit = (target + shared.frames(config.slack)).min(most);
        shared.target.store(target, Ordering::Relaxed);
        shared.limit.store(limit, Ordering::Relaxed);
    }

    /// Plays faster or slower by what waits.
    fn steer(&mut self, now: Instant) {
        let generation = self.shared.generation.load(Ordering::Relaxed);
        if generation != self.generation {
            self.generation = generation;
            self.control.restart();
        }
        let lasts = self.shared.lasts(now);
        if generation.is_multiple_of(2) || lasts < -STANDS_STILL {
            return;
        }
        // What waits is to be the target in the middle, between this push and the next.
        let target = self.shared.seconds(self.shared.target.load(Ordering::Relaxed) as usize);
        let level = self.shared.seconds(self.ring.occupied_len()) + lasts.max(0.0);
        let ppm = self.control.steer(level, target - HALF_PUSH);
        self.resampler.set_ppm(ppm);
    }
}

/// What is handed to a loudspeaker at a time.
const PUSH: Duration = Duration::from_millis(20);

/// Seconds.
const HALF_PUSH: f64 = 0.01;

/// Samples of it at 48 kHz.
const PIECE: usize = 960;

/// What becomes of them, 1 % slower.
const MOST: usize = 1_000;

/// Seconds for which a device may be overdue and still count as one that plays: longer, its
/// level says nothing of its clock.
const STANDS_STILL: f64 = 0.06;

/// Pushes of 2.5 s …
const SPAN_PUSHES: u32 = 125;

/// … and so what a device took at a time counts for 10 s.
const SPANS: usize = 4;
