//! The sound of one source, from its frames to the 20 ms that are due.
//!
//! ```text
//!  frames ─► Stretcher ─► Resampler ─► block
//!            (the queue)  ▲
//!            Concealer ───╯ when the queue is empty
//! ```
//!
//! [`RateControl`] sees when frames come and says how fast both are to run. What
//! is concealed goes through the resampler too, so its seams are like any other
//! sound.

use paceline_types::{AudioFrame, PlayoutRate};

use crate::rate::{Concealer, RateControl};
use crate::{Resampler, SourceStats, Stretcher};

/// Samples in 20 ms at 48 kHz.
pub(crate) const TICK: usize = 960;

/// What one source is heard with.
#[derive(Debug)]
pub(crate) struct Sound {
    queue: Stretcher,
    resampler: Resampler,
    concealer: Concealer,
    control: RateControl,
    cushion: usize,
    on: bool,
    voice: Voice,
    /// What is concealed is so because the queue ran dry.
    dry: bool,
    block: Box<[f32; TICK]>,
    /// Smoothed over some ticks.
    mean_square: f32,
    /// Ticks for which it still counts as heard.
    heard: u32,
    stats: SourceStats,
}

/// What was heard at the end of the last tick.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Voice {
    /// What is made up, or the silence just after it.
    Concealed,
    /// What was queued.
    Playing,
    /// Nothing.
    Silent,
}

impl Sound {
    /// One that is heard when `cushion` samples are queued. `bound` are held, and
    /// besides them those of `late` ticks.
    pub(crate) fn new(cushion: usize, bound: usize, late: usize) -> Self {
        Self {
            // What is pushed before it is trimmed is no longer than what is held.
            queue: Stretcher::new(2 * (bound + GIVE + late * TICK)),
            resampler: Resampler::new(),
            concealer: Concealer::new(),
            control: RateControl::new(cushion, bound + GIVE / 2),
            cushion,
            on: true,
            voice: Voice::Silent,
            dry: false,
            block: Box::new([0.0; TICK]),
            mean_square: 0.0,
            heard: 0,
            stats: SourceStats::default(),
        }
    }

    pub(crate) const fn is_on(&self) -> bool {
        self.on
    }

    /// Whether it has been heard up to the end of the last tick.
    pub(crate) fn is_playing(&self) -> bool {
        self.voice != Voice::Silent
    }

    pub(crate) const fn dropped(&self) -> u64 {
        self.stats.samples_dropped
    }

    pub(crate) fn stats(&self) -> SourceStats {
        SourceStats {
            queue_level: self.control.level().max(0.0) as u32,
            rate_ppm: self.resampler.ppm().round() as i32,
            samples_stretched: self.queue.removed() + self.queue.inserted(),
            ..self.stats
        }
    }

    pub(crate) fn set_rate(&mut self, rate: PlayoutRate) {
        self.control.set(rate);
    }

    /// Switches it on or off. Off, what is queued goes; the next tick fades.
    pub(crate) fn switch(&mut self, on: bool) {
        if self.on && !on {
            self.queue.clear();
            self.mean_square = 0.0;
            self.concealer.begin_fade();
            self.dry = false;
            if self.voice == Voice::Playing {
                self.voice = Voice::Concealed;
            }
        }
        self.on = on;
    }

    /// Queues a frame as mono, `until_tick` samples before the next tick; `false`
    /// if its shape cannot be.
    ///
    /// Of a frame longer than `bound` only the end is looked at.
    pub(crate) fn push(&mut self, frame: &AudioFrame, bound: usize, until_tick: i64) -> bool {
        let channels = usize::from(frame.channels);
        if !(1..=2).contains(&channels) || !frame.samples.len().is_multiple_of(channels) {
            return false;
        }
        if self.voice != Voice::Silent && !frame.samples.is_empty() {
            self.control.observe(self.queue.len(), until_tick);
        }
        let moments = frame.samples.len() / channels;
        let unseen = moments.saturating_sub(bound);
        self.stats.samples_dropped += unseen as u64;
        let mut piece = [0.0; TICK];
        for samples in frame.samples[unseen * channels..].chunks(TICK * channels) {
            let moments = samples.chunks_exact(channels);
            let len = moments.len();
            for (slot, moment) in piece.iter_mut().zip(moments) {
                let repaired = &mut self.stats.samples_repaired;
                let sum: f32 = moment.iter().map(|&sample| repair(sample, repaired)).sum();
                *slot = sum / f32::from(frame.channels);
            }
            let pushed = self.queue.push(&piece[..len]);
            self.stats.samples_dropped += (len - pushed) as u64;
        }
        true
    }

    /// Drops the oldest sound beyond `bound`, if it is worth a seam, and
    /// crossfades that.
    pub(crate) fn trim(&mut self, bound: usize) {
        let excess = self.queue.len().saturating_sub(bound);
        if excess > GIVE {
            self.queue.drop_front(excess, FADE);
            self.control.shift(-(excess as f64));
            self.stats.samples_dropped += excess as u64;
        }
    }

    /// Takes the 20 ms that are due.
    pub(crate) fn tick(&mut self) -> &[f32; TICK] {
        let queued = !self.queue.is_empty() && self.queue.len() >= self.cushion;
        match self.voice {
            Voice::Silent if !queued => self.block.fill(0.0),
            _ => self.play(queued),
        }
        let energy: f32 = self.block.iter().map(|sample| sample * sample).sum();
        let mean_square = energy / TICK as f32;
        if self.on {
            self.mean_square += SMOOTHING * (mean_square - self.mean_square);
        }
        self.heard = if mean_square > AUDIBLE { HEARD } else { self.heard.saturating_sub(1) };
        &self.block
    }

    /// What [`tick`](Self::tick) took last.
    pub(crate) fn block(&self) -> &[f32; TICK] {
        &self.block
    }

    /// Whether there is something of it in the mix that it must not hear itself.
    pub(crate) const fn is_heard(&self) -> bool {
        self.heard > 0
    }

    /// How loud it is in −dBov (RFC 6465 §3): 0 to 127, which is silence.
    pub(crate) fn level(&self) -> u8 {
        (-10.0 * self.mean_square.log10()).round().clamp(0.0, 127.0) as u8
    }

    /// Makes a block of what is queued and what is not; `queued` if there is
    /// enough to begin with.
    fn play(&mut self, queued: bool) {
        if self.voice == Voice::Silent {
            self.resampler.clear();
            self.concealer.clear();
            self.control.restart();
        }
        let order = self.control.tick();
        self.queue.set_stretch(order.stretch);
        if self.voice == Voice::Silent {
            self.resampler.jump_to_ppm(order.ppm);
        } else {
            self.resampler.set_ppm(order.ppm);
        }
        if self.voice == Voice::Playing || queued {
            self.spare(order.ppm);
        }

        let mut input = [0.0; MAX_INPUT];
        let wanted = self.resampler.input_for(TICK).min(MAX_INPUT);
        let input = &mut input[..wanted];
        let real = if self.voice == Voice::Playing || queued { self.pull(input) } else { 0 };
        if real > 0 {
            match self.voice {
                Voice::Concealed => self.concealer.blend(&mut input[..real]),
                Voice::Playing => {}
                Voice::Silent => {
                    for (i, sample) in input[..real].iter_mut().take(FADE).enumerate() {
                        *sample *= i as f32 / FADE as f32;
                    }
                }
            }
            self.concealer.hear(&input[..real]);
            self.voice = Voice::Playing;
        }
        if real < wanted {
            self.conceal(&mut input[real..]);
        } else {
            self.control.left(self.queue.len());
        }
        self.resampler.resample(input, &mut self.block[..]);
    }

    /// Takes from the queue, and tells the control what was stretched.
    fn pull(&mut self, input: &mut [f32]) -> usize {
        let before = self.queue.inserted() as i64 - self.queue.removed() as i64;
        let pulled = self.queue.pull(input);
        let after = self.queue.inserted() as i64 - self.queue.removed() as i64;
        self.control.shift((after - before) as f64);
        pulled
    }

    /// Plays slower than `ppm` if no more than a few samples are lacking.
    fn spare(&mut self, ppm: f64) {
        let lacking = self.resampler.input_for(TICK).saturating_sub(self.queue.len());
        if (1..=MAX_LACKING).contains(&lacking) {
            // From the first frame of the tick to its last.
            let slower = (lacking as f64 / (TICK - 1) as f64).mul_add(1e6, 1.0);
            self.resampler.jump_to_ppm(self.resampler.ppm().min(ppm) - slower);
        }
    }

    /// Makes up what does not come.
    fn conceal(&mut self, input: &mut [f32]) {
        if self.voice == Voice::Playing {
            self.stats.underruns += 1;
            self.control.ran_dry();
            self.concealer.begin();
            self.dry = true;
            self.voice = Voice::Concealed;
        }
        let made = self.concealer.left().min(input.len());
        self.concealer.make(input);
        self.concealer.hear(input);
        if self.dry {
            self.stats.samples_concealed += made as u64;
        }
        // Silent only when that has left the resampler too.
        if input.len() - made > 2 * Resampler::LATENCY {
            self.voice = Voice::Silent;
        }
    }
}

/// A sample that can be summed, whatever the peer sent.
fn repair(sample: f32, repaired: &mut u64) -> f32 {
    if sample.abs() <= LOUDEST {
        return sample;
    }
    *repaired += 1;
    if sample.is_finite() { sample.clamp(-LOUDEST, LOUDEST) } else { 0.0 }
}

/// 5 ms: too short to be heard as a fade, too long to be heard as a click.
const FADE: usize = 240;

/// 5 ms: sound over the bound that is not dropped. A seam of that length costs more
/// than the delay, and half of it is what the level may wander.
const GIVE: usize = 240;

/// 12 dB over full scale: more than any decoder overshoots, and little enough
/// that one source cannot have the limiter mute all the others.
const LOUDEST: f32 = 4.0;

/// −60 dBov, 40 dB below speech: what a microphone in a quiet room makes. Who hears that much
/// of himself with the others does not notice.
const AUDIBLE: f32 = 1e-6;

/// A second: between two words nobody changes from one encoder to another.
const HEARD: u32 = 50;

/// A time constant of 40 ms: 1 − e^(−20/40).
const SMOOTHING: f32 = 0.393;

/// A tick at 1 % more, and what a change of speed rounds up.
const MAX_INPUT: usize = TICK + TICK / 100 + 3;

/// Samples that playing 1 % slower saves in a tick.
const MAX_LACKING: usize = 9;
