//! The burst of tones in a sound.
//!
//! ```text
//!  20 ms   20 ms   20 ms × 7
//! +-------+-------+---+---+---+---+---+---+---+
//! | lead  | lead  | s | capture time  | check |   four bits a symbol: the slot,
//! | in 1  | in 2  |   | of sample 0   |       |   16 bits of ms, 8 bits of check
//! +-------+-------+---+---+---+---+---+---+---+
//! ```
//!
//! Senders take turns: a period of 1.1 s has five slots of 220 ms, and senders from
//! 5 on use tones of their own, so that ten can be told apart in one mix.

use std::collections::VecDeque;
use std::f32::consts::TAU;
use std::time::Duration;

use paceline_types::{AudioFrame, NtpTime};

use super::SOUND_MODULUS;
use super::spectrum::{GROUPS, Spectrum, TONES, frequency};
use crate::source::FRAME_SAMPLES;

/// The slot of a sender, from 0 to 9: those of ten senders in a row differ.
#[must_use]
pub const fn slot(sender: u32) -> u32 {
    sender % (SLOTS * GROUPS as u32)
}

/// Burns bursts into the frames of one source.
#[derive(Debug)]
pub struct ToneWriter {
    slot: u32,
    /// The symbols of the burst under way, and which is next.
    burst: Option<([usize; SYMBOLS], usize)>,
}

impl ToneWriter {
    /// A writer for the [`slot`] of `sender`.
    #[must_use]
    pub const fn new(sender: u32) -> Self {
        Self { slot: slot(sender), burst: None }
    }

    /// Adds what belongs into this frame, the next one of the source: nothing, or
    /// one symbol over the source's own sound, which is ducked for it. Frames of
    /// another length than 20 ms, or of two channels, are left as they are.
    pub fn burn(&mut self, frame: &mut AudioFrame) {
        if frame.samples.len() != FRAME_SAMPLES || frame.channels != 1 {
            return;
        }
        if self.burst.is_none() && self.begins(frame.capture) {
            let capture_ms = (frame.capture.millis() % SOUND_MODULUS) as u16;
            self.burst = Some((symbols(self.slot % SLOTS, capture_ms), 0));
        }
        let Some((symbols, next)) = &mut self.burst else { return };
        let step = TAU * frequency((self.slot / SLOTS) as usize, symbols[*next]) / 48_000.0;
        let tone = |n: usize| LEVEL * edge(n) * (n as f32 * step).sin();
        frame.samples = frame.samples.iter().enumerate().map(|(n, s)| s * DUCK + tone(n)).collect();
        *next += 1;
        if *next == SYMBOLS {
            self.burst = None;
        }
    }

    /// Whether the slot begins within the 20 ms from `capture` on.
    fn begins(&self, capture: NtpTime) -> bool {
        let at = u64::from(self.slot % SLOTS) * SLOT_MS;
        (PERIOD_MS + at - capture.millis() % PERIOD_MS) % PERIOD_MS < FRAME_MS
    }
}

/// A burst that was heard.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct SoundMark {
    /// The [`slot`] of the sender.
    pub slot: u32,
    /// When its first sample was captured: milliseconds modulo [`SOUND_MODULUS`].
    pub capture_ms: u32,
    /// When its first sample was played, within 2 ms.
    pub played: NtpTime,
}

/// Finds bursts in what is played.
///
/// Costs 18 tones × 2 groups × 960 multiplications each 2.5 ms: about 1 % of a core.
#[derive(Debug)]
pub struct ToneReader {
    spectrum: Spectrum,
    /// The samples that no whole symbol has been measured from yet.
    samples: VecDeque<f32>,
    /// How many samples came before those.
    at: u64,
    /// At which sample each frame began, and when that was played.
    frames: VecDeque<(u64, NtpTime)>,
    hops: VecDeque<Hop>,
    /// No burst of a group begins before this sample: one is under way.
    free_from: [u64; GROUPS],
    marks: VecDeque<SoundMark>,
}

/// What is heard in the 20 ms from one sample on.
#[derive(Debug)]
struct Hop {
    at: u64,
    tones: [[f32; TONES]; GROUPS],
}

impl Default for ToneReader {
    fn default() -> Self {
        Self::new()
    }
}

impl ToneReader {
    /// One that has heard nothing.
    #[must_use]
    pub fn new() -> Self {
        Self {
            spectrum: Spectrum::new(),
            samples: VecDeque::new(),
            at: 0,
            frames: VecDeque::new(),
            hops: VecDeque::new(),
            free_from: [0; GROUPS],
            marks: VecDeque::new(),
        }
    }

    /// Takes in samples of one channel, the first of which was played at `played`.
    pub fn handle_audio(&mut self, played: NtpTime, samples: &[f32]) {
        self.frames.push_back((self.at + self.samples.len() as u64, played));
        self.samples.extend(samples);
        while self.samples.len() >= FRAME_SAMPLES {
            let window = &self.samples.make_contiguous()[..FRAME_SAMPLES];
            let tones = std::array::from_fn(|group| self.spectrum.amplitudes(group, window));
            self.hops.push_back(Hop { at: self.at, tones });
            self.samples.drain(..HOP);
            self.at += HOP as u64;
            if self.hops.len() == SPAN {
                for group in 0..GROUPS {
                    self.search(group);
                }
                self.hops.pop_front();
            }
        }
    }

    /// Takes what was found, oldest first.
    #[must_use]
    pub fn poll_output(&mut self) -> Option<SoundMark> {
        self.marks.pop_front()
    }

    /// Looks for a burst that begins at the second of the hops.
    fn search(&mut self, group: usize) {
        let tones = |hop: usize| &self.hops[hop].tones[group];
        let lead = |hop: usize| tones(hop)[0] + tones(hop + PER_SYMBOL)[1];
        let leads = lead(1) >= lead(0)
            && lead(1) > lead(2)
            && tones(1)[0] > AUDIBLE
            && is_clear(tones(1), 0)
            && is_clear(tones(1 + PER_SYMBOL), 1);
        let at = self.hops[1].at;
        if !leads || at < self.free_from[group] {
            return;
        }
        let heard = |n: usize| tones(1 + (LEAD_IN + n) * PER_SYMBOL);
        let symbol = |n: usize| loudest(heard(n), LEAD_IN) - LEAD_IN;
        if !(0..SYMBOLS - LEAD_IN).all(|n| is_clear(heard(n), LEAD_IN + symbol(n))) {
            return;
        }
        let code = (0..SYMBOLS - LEAD_IN).fold(0, |code, n| code << 4 | symbol(n) as u32);
        let Some((slot, capture_ms)) = decode(code) else { return };
        // The amplitude falls by an eighth of its peak with each hop to either side.
        let off = PER_SYMBOL as f32 / 2.0 * (lead(2) - lead(0)) / lead(1);
        let begin = at as f64 + f64::from(off.clamp(-0.5, 0.5)) * HOP as f64;
        if let Some(played) = self.played(begin) {
            let slot = group as u32 * SLOTS + slot;
            self.marks.push_back(SoundMark { slot, capture_ms, played });
            self.free_from[group] = at + (SYMBOLS * FRAME_SAMPLES) as u64;
        }
    }

    /// When a sample was played; forgets frames that lie before it.
    fn played(&mut self, at: f64) -> Option<NtpTime> {
        while self.frames.get(1).is_some_and(|&(begin, _)| begin as f64 <= at) {
            self.frames.pop_front();
        }
        let &(begin, played) = self.frames.front()?;
        Some(played + Duration::from_secs_f64((at - begin as f64).max(0.0) / 48_000.0))
    }
}

/// Which tone is the loudest, from `first` on.
fn loudest(tones: &[f32; TONES], first: usize) -> usize {
    (first..TONES).max_by(|&a, &b| tones[a].total_cmp(&tones[b])).unwrap_or(first)
}

/// Whether a tone is twice as loud as each of the others: what was burned is, and
/// speech hardly ever is nine times in a row.
fn is_clear(tones: &[f32; TONES], tone: usize) -> bool {
    let others = tones.iter().enumerate().filter(|&(other, _)| other != tone);
    others.fold(0.0_f32, |loudest, (_, &amplitude)| loudest.max(amplitude)) * 2.0 <= tones[tone]
}

/// The tones of a burst.
fn symbols(slot: u32, capture_ms: u16) -> [usize; SYMBOLS] {
    let payload = slot << 16 | u32::from(capture_ms);
    let code = payload << 8 | u32::from(crc8(payload));
    std::array::from_fn(|n| match n.checked_sub(LEAD_IN) {
        None => n,
        Some(n) => LEAD_IN + (code >> (4 * (SYMBOLS - LEAD_IN - 1 - n)) & 0xf) as usize,
    })
}

fn decode(code: u32) -> Option<(u32, u32)> {
    let (payload, slot) = (code >> 8, code >> 24);
    let whole = code & 0xff == u32::from(crc8(payload)) && slot < SLOTS;
    whole.then_some((slot, payload & 0xffff))
}

/// CRC-8 (polynomial 0x07) of the three payload bytes.
fn crc8(payload: u32) -> u8 {
    payload.to_be_bytes()[1..].iter().fold(0, |crc, &byte| {
        (0..8).fold(crc ^ byte, |crc, _| if crc & 0x80 == 0 { crc << 1 } else { crc << 1 ^ 0x07 })
    })
}

/// Rises and falls over 2 ms, so that a symbol does not click.
fn edge(n: usize) -> f32 {
    let from_end = n.min(FRAME_SAMPLES - 1 - n) as f32;
    (from_end / 96.0).min(1.0)
}

const SLOTS: u32 = 5;
const SLOT_MS: u64 = 220;
const PERIOD_MS: u64 = 1_100;
const FRAME_MS: u64 = 20;
/// Two to lead in, then slot, time and check, four bits each.
const SYMBOLS: usize = 9;
const LEAD_IN: usize = 2;
/// Samples between two measurements: 2.5 ms.
const HOP: usize = 120;
const PER_SYMBOL: usize = FRAME_SAMPLES / HOP;
/// Hops from one before a burst to the last it needs, and one after its first.
const SPAN: usize = 2 + (SYMBOLS - 1) * PER_SYMBOL;
/// −14 dBFS: above speech at these frequencies by 20 dB and more.
const LEVEL: f32 = 0.2;
/// The source's own sound during a burst.
const DUCK: f32 = 0.1;
/// −40 dBFS: a tenth of what was burned.
const AUDIBLE: f32 = 0.02;
