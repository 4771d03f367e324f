//! The sound of one source, from its frames to the 20 ms that are due.
//!
//! A source that runs dry is not cut but faded: the last 5 ms are played once
//! more, backwards, while the gain falls to nothing. So there is no step at the
//! seam, and no delay to have such a tail at hand.
//!
//! ```text
//!  queued ─────────────╮ what was there, mirrored
//!                      │╲
//!                      │ ╲_______ silence, until the cushion is queued again
//!                      └ 5 ms
//! ```

use std::collections::VecDeque;

use paceline_types::AudioFrame;

/// Samples in 20 ms at 48 kHz.
pub(crate) const TICK: usize = 960;

/// What one source is heard with.
#[derive(Debug)]
pub(crate) struct Sound {
    queue: VecDeque<f32>,
    cushion: usize,
    on: bool,
    playing: bool,
    block: Box<[f32; TICK]>,
    /// Smoothed over some ticks.
    mean_square: f32,
    pub(crate) dropped: u64,
    pub(crate) repaired: u64,
    pub(crate) underruns: u64,
}

impl Sound {
    pub(crate) fn new(cushion: usize) -> Self {
        Self {
            queue: VecDeque::new(),
            cushion,
            on: true,
            playing: false,
            block: Box::new([0.0; TICK]),
            mean_square: 0.0,
            dropped: 0,
            repaired: 0,
            underruns: 0,
        }
    }

    pub(crate) const fn is_on(&self) -> bool {
        self.on
    }

    /// Whether it has been heard up to the end of the last tick.
    pub(crate) const fn is_playing(&self) -> bool {
        self.playing
    }

    /// Switches it on or off. Off, what is queued goes; the next tick fades.
    pub(crate) fn switch(&mut self, on: bool) {
        self.on = on;
        if !on {
            self.queue.clear();
            self.mean_square = 0.0;
        }
    }

    /// Queues a frame as mono; `false` if its shape cannot be.
    ///
    /// Of a frame longer than `bound` only the end is looked at.
    pub(crate) fn push(&mut self, frame: &AudioFrame, bound: usize) -> bool {
        let channels = usize::from(frame.channels);
        if !(1..=2).contains(&channels) || !frame.samples.len().is_multiple_of(channels) {
            return false;
        }
        let moments = frame.samples.len() / channels;
        let unseen = moments.saturating_sub(bound);
        self.dropped += unseen as u64;
        for moment in frame.samples.chunks_exact(channels).skip(unseen) {
            let sum: f32 = moment.iter().map(|&sample| repair(sample, &mut self.repaired)).sum();
            self.queue.push_back(sum / f32::from(frame.channels));
        }
        true
    }

    /// Drops the oldest sound beyond `bound` and crossfades the seam; whether
    /// there was any.
    pub(crate) fn trim(&mut self, bound: usize) -> bool {
        let excess = self.queue.len().saturating_sub(bound);
        if excess == 0 {
            return false;
        }
        let fade = FADE.min(bound);
        // From the back, so that what fades out is read before it is written.
        for i in (0..fade).rev() {
            let rising = (i + 1) as f32 / (fade + 1) as f32;
            let falling = self.queue[i];
            let kept = &mut self.queue[excess + i];
            *kept = *kept * rising + falling * (1.0 - rising);
        }
        self.queue.drain(..excess);
        self.dropped += excess as u64;
        true
    }

    /// Takes the 20 ms that are due.
    pub(crate) fn tick(&mut self) -> &[f32; TICK] {
        let starts = !self.playing && !self.queue.is_empty() && self.queue.len() >= self.cushion;
        if self.playing || starts {
            self.play(starts);
        } else {
            self.block.fill(0.0);
        }
        if self.on {
            let energy: f32 = self.block.iter().map(|sample| sample * sample).sum();
            self.mean_square += SMOOTHING * (energy / TICK as f32 - self.mean_square);
        }
        &self.block
    }

    /// What [`tick`](Self::tick) took last.
    pub(crate) fn block(&self) -> &[f32; TICK] {
        &self.block
    }

    /// How loud it is in −dBov (RFC 6465 §3): 0 to 127, which is silence.
    pub(crate) fn level(&self) -> u8 {
        (-10.0 * self.mean_square.log10()).round().clamp(0.0, 127.0) as u8
    }

    fn play(&mut self, starts: bool) {
        let mut before = [0.0; FADE];
        if !starts {
            before.copy_from_slice(&self.block[TICK - FADE..]);
        }
        let len = self.queue.len().min(TICK);
        for (slot, sample) in self.block.iter_mut().zip(self.queue.drain(..len)) {
            *slot = sample;
        }
        self.playing = len == TICK;
        if !self.playing {
            self.underruns += u64::from(self.on);
            self.end(len, &before);
        }
        if starts {
            for (i, sample) in self.block[..FADE].iter_mut().enumerate() {
                *sample *= i as f32 / FADE as f32;
            }
        }
    }

    /// Ends a block that has `len` samples, less than it should; `before` is the
    /// end of the last one.
    fn end(&mut self, len: usize, before: &[f32; FADE]) {
        self.block[len..].fill(0.0);
        for back in 0..FADE.min(TICK - len) {
            self.block[len + back] = match len.checked_sub(back + 1) {
                Some(i) => self.block[i],
                None => before[FADE - 1 - (back - len)],
            };
        }
        let from = len.min(TICK - FADE);
        for (i, sample) in self.block[from..].iter_mut().enumerate() {
            *sample *= 1.0 - ((i + 1) as f32 / FADE as f32).min(1.0);
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

/// 12 dB over full scale: more than any decoder overshoots, and little enough
/// that one source cannot have the limiter mute all the others.
const LOUDEST: f32 = 4.0;

/// A time constant of 40 ms: 1 − e^(−20/40).
const SMOOTHING: f32 = 0.393;
