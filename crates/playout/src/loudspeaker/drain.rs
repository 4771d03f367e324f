//! From what waits to what the device takes.

use std::f32::consts::PI;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use cpal::{FromSample, SizedSample};
use ringbuf::HeapCons;
use ringbuf::traits::{Consumer, Observer};

use super::shared::{Shared, fade};
use crate::Crossfade;

/// The end of the ring where the device takes sound. It runs in the device's callback, so it
/// neither allocates, nor locks, nor logs.
pub(super) struct Drain {
    ring: HeapCons<f32>,
    shared: Arc<Shared>,
    playing: bool,
    /// It has played before, so that silence now is a gap.
    begun: bool,
    fade: usize,
    /// Frames heard since it started to play.
    risen: usize,
    /// What was heard last of all, and what was when sound ran out, and frames since then.
    tail: f32,
    last: f32,
    gliding: usize,
    /// What would have been heard had nothing been dropped, and how much of it was.
    instead: Box<[f32]>,
    crossed: usize,
    crossfade: Crossfade,
    line: Box<[f32; LINE]>,
}

impl Drain {
    pub(super) fn new(ring: HeapCons<f32>, shared: Arc<Shared>) -> Self {
        let fade = fade(shared.rate);
        Self {
            ring,
            playing: false,
            begun: false,
            fade,
            risen: 0,
            tail: 0.0,
            last: 0.0,
            gliding: fade,
            instead: vec![0.0; fade].into(),
            crossed: 0,
            crossfade: Crossfade::new(0),
            line: Box::new([0.0; LINE]),
            shared,
        }
    }

    /// Fills what a device takes at `now`: frames of `channels` that all are the same.
    ///
    /// `later` is how long after that the first of them is heard, as far as the device knows.
    pub(super) fn fill<T: SizedSample + FromSample<f32>>(
        &mut self,
        now: Instant,
        later: Duration,
        data: &mut [T],
        channels: usize,
    ) {
        let channels = channels.max(1);
        self.shared.device_latency.store(later.as_nanos() as u64, Ordering::Relaxed);
        self.begin(now, data.len().div_ceil(channels));
        for piece in data.chunks_mut(LINE * channels) {
            let frames = piece.len().div_ceil(channels);
            self.next(frames);
            for (frame, &sample) in piece.chunks_mut(channels).zip(&self.line[..frames]) {
                frame.fill(T::from_sample(sample.clamp(-1.0, MOST)));
            }
        }
    }

    /// Frames that wait.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.ring.occupied_len()
    }

    /// The device takes `frames` now: starts to play if enough waits, and drops what is too
    /// much.
    fn begin(&mut self, now: Instant, frames: usize) {
        self.shared.took(now, frames);
        let waiting = self.ring.occupied_len();
        let wanted = (self.shared.target.load(Ordering::Relaxed) as usize).max(frames);
        let limit = self.shared.limit.load(Ordering::Relaxed) as usize;
        if !self.playing && frames > 0 && waiting >= wanted.min(limit) {
            self.playing = true;
            self.begun = true;
            self.risen = 0;
            self.shared.generation.fetch_add(1, Ordering::Relaxed);
        }
        if self.playing && waiting > limit.max(wanted + self.fade) {
            let excess = waiting - wanted;
            let instead = self.ring.pop_slice(&mut self.instead[..]);
            self.ring.skip(excess - instead);
            self.crossed = 0;
            self.crossfade = Crossfade::new(instead);
            self.shared.dropped.fetch_add(excess as u64, Ordering::Relaxed);
            self.shared.generation.fetch_add(2, Ordering::Relaxed);
        }
    }

    /// Makes the next frames, of which there is no more than a line.
    fn next(&mut self, frames: usize) {
        let line = &mut self.line[..frames];
        let heard = if self.playing { self.ring.pop_slice(line) } else { 0 };
        let (sound, rest) = line.split_at_mut(heard);
        if !self.crossfade.is_over() {
            self.crossfade.mix(&self.instead[self.crossed..], sound, 1);
            self.crossed = (self.crossed + heard).min(self.instead.len());
        }
        for sample in &mut *sound {
            if self.risen < self.fade {
                *sample *= self.risen as f32 / self.fade as f32;
                self.risen += 1;
            }
            // A start may come while what was heard before is still on its way out.
            *sample += glide(self.last, &mut self.gliding, self.fade);
        }
        if let Some(&tail) = sound.last() {
            self.tail = tail;
        }
        if rest.is_empty() {
            return;
        }
        if self.playing {
            self.playing = false;
            (self.last, self.gliding) = (self.tail, 0);
            self.crossfade = Crossfade::new(0);
            self.shared.underruns.fetch_add(1, Ordering::Relaxed);
            self.shared.generation.fetch_add(1, Ordering::Relaxed);
        }
        if self.begun {
            self.shared.missing.fetch_add(rest.len() as u64, Ordering::Relaxed);
        }
        for sample in rest {
            *sample = glide(self.last, &mut self.gliding, self.fade);
        }
    }
}

/// From what was heard last to nothing, along half a turn of a cosine.
fn glide(last: f32, gone: &mut usize, fade: usize) -> f32 {
    if *gone >= fade {
        return 0.0;
    }
    let turned = *gone as f32 / fade as f32 * PI;
    *gone += 1;
    last * (0.5 + 0.5 * turned.cos())
}

/// Frames that are made at a time.
const LINE: usize = 1_024;

/// The largest sample below 1, which would be one more than whole numbers of any size hold.
const MOST: f32 = 1.0 - f32::EPSILON / 2.0;
