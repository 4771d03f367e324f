//! How long frames are under way, compared with the fastest of late.

use std::time::{Duration, Instant};

use paceline_types::MediaTime;

/// Follows the transit times of one stream against its first frame.
///
/// The clocks of both ends are not compared: only by how much a frame was slower
/// than the fastest one of the window counts.
#[derive(Debug)]
pub(crate) struct Transit {
    origin: (Instant, MediaTime),
    blocks: [Option<Block>; BLOCKS],
    /// The interarrival jitter of RFC 3550 A.8, in nanoseconds.
    jitter: f64,
    last: i64,
}

/// The extremes of half a second.
#[derive(Clone, Copy, Debug)]
struct Block {
    number: u64,
    min: i64,
    max: i64,
}

impl Transit {
    pub(crate) fn new(arrival: Instant, time: MediaTime) -> Self {
        let origin = (arrival, time);
        let mut transit = Self { origin, blocks: [None; BLOCKS], jitter: 0.0, last: 0 };
        transit.note(arrival, 0);
        transit
    }

    /// Nanoseconds by which a frame was slower than the first one.
    pub(crate) fn relative(&self, arrival: Instant, time: MediaTime) -> i64 {
        nanos(arrival, self.origin.0) - self.media_nanos(time)
    }

    /// Takes in a frame that belongs to the stream.
    pub(crate) fn handle_frame(&mut self, arrival: Instant, time: MediaTime) {
        let relative = self.relative(arrival, time);
        let difference = (relative - self.last).unsigned_abs() as f64;
        self.jitter += (difference - self.jitter) / 16.0;
        self.last = relative;
        self.note(arrival, relative);
    }

    fn note(&mut self, arrival: Instant, relative: i64) {
        let number = arrival.saturating_duration_since(self.origin.0).as_millis() as u64 / BLOCK_MS;
        let slot = &mut self.blocks[number as usize % BLOCKS];
        match slot {
            Some(block) if block.number == number => {
                block.min = block.min.min(relative);
                block.max = block.max.max(relative);
            }
            _ => *slot = Some(Block { number, min: relative, max: relative }),
        }
        for slot in &mut self.blocks {
            if slot.is_some_and(|block| block.number + (BLOCKS as u64) <= number) {
                *slot = None;
            }
        }
    }

    /// Nanoseconds by which the fastest frame of the window was slower than the
    /// first one; mostly negative or zero.
    pub(crate) fn fastest(&self) -> i64 {
        self.blocks.iter().flatten().map(|block| block.min).min().unwrap_or(0)
    }

    /// How much slower the slowest frame of the window was than the fastest.
    pub(crate) fn spread(&self) -> Duration {
        let slowest = self.blocks.iter().flatten().map(|block| block.max).max().unwrap_or(0);
        Duration::from_nanos((slowest - self.fastest()).unsigned_abs())
    }

    /// When a frame of media time `time` would have come had it been the fastest.
    pub(crate) fn earliest(&self, time: MediaTime) -> Instant {
        offset(self.origin.0, self.media_nanos(time) + self.fastest())
    }

    pub(crate) fn jitter(&self) -> Duration {
        Duration::from_nanos(self.jitter as u64)
    }

    fn media_nanos(&self, time: MediaTime) -> i64 {
        let ahead = time.saturating_since(self.origin.1);
        let behind = self.origin.1.saturating_since(time);
        clamp(ahead) - clamp(behind)
    }
}

fn nanos(later: Instant, earlier: Instant) -> i64 {
    clamp(later.saturating_duration_since(earlier))
        - clamp(earlier.saturating_duration_since(later))
}

/// A media time is the peer's: a hostile one may be 2⁶⁴ ticks away. 73 years of
/// nanoseconds are enough, and two of them still fit an i64.
fn clamp(span: Duration) -> i64 {
    span.as_nanos().min(i64::MAX as u128 / 4) as i64
}

fn offset(instant: Instant, nanos: i64) -> Instant {
    let span = Duration::from_nanos(nanos.unsigned_abs());
    if nanos < 0 { instant.checked_sub(span).unwrap_or(instant) } else { instant + span }
}

/// The window is 10 s in blocks of 0.5 s: a route that got slower is forgotten
/// after 10 s, as libwebrtc's relative-delay window is 2 s and GStreamer's 10.
const BLOCKS: usize = 20;
const BLOCK_MS: u64 = 500;
