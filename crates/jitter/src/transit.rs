//! How long units are under way, compared with the fastest of late.

/// Follows the transit times of one stream. They are differences of two clocks
/// that know nothing of each other: only how much slower a unit was than the
/// fastest one counts.
#[derive(Debug)]
pub(crate) struct Transit {
    blocks: [Block; BLOCKS],
    /// The number of the newest block.
    newest: i64,
    fastest: i64,
    /// The interarrival jitter of RFC 3550 A.8, in nanoseconds.
    jitter: f64,
    last: i64,
}

/// The fastest of half a second.
#[derive(Clone, Copy, Debug)]
struct Block {
    number: i64,
    fastest: i64,
}

impl Transit {
    pub(crate) const fn new(arrival: i64, transit: i64) -> Self {
        let number = arrival / BLOCK;
        let block = Block { number, fastest: transit };
        Self {
            blocks: [block; BLOCKS],
            newest: number,
            fastest: transit,
            jitter: 0.0,
            last: transit,
        }
    }

    /// The fastest is another one: all before is history. How uneven it is, stays.
    pub(crate) const fn restart(&mut self, arrival: i64, transit: i64) {
        let jitter = self.jitter;
        *self = Self::new(arrival, transit);
        self.jitter = jitter;
    }

    /// Takes in the transit of a unit that came in its turn.
    #[inline]
    pub(crate) fn handle_unit(&mut self, arrival: i64, transit: i64) {
        self.jitter += ((transit - self.last).unsigned_abs() as f64 - self.jitter) / 16.0;
        self.last = transit;
        let number = (arrival / BLOCK).max(self.newest);
        let block = &mut self.blocks[number as usize % BLOCKS];
        if number == block.number {
            block.fastest = block.fastest.min(transit);
            self.fastest = self.fastest.min(transit);
            return;
        }
        *block = Block { number, fastest: transit };
        self.newest = number;
        let oldest = number - BLOCKS as i64;
        let window = self.blocks.iter().filter(|block| block.number > oldest);
        self.fastest = window.map(|block| block.fastest).min().unwrap_or(transit);
    }

    /// The transit of the fastest unit of the window.
    #[inline]
    pub(crate) const fn fastest(&self) -> i64 {
        self.fastest
    }

    /// In nanoseconds.
    #[inline]
    pub(crate) const fn jitter(&self) -> f64 {
        self.jitter
    }
}

/// The window is 10 s in blocks of 0.5 s: a route that got slower is forgotten
/// after 10 s (GStreamer's skew window is as long; libwebrtc's is 2 s).
const BLOCKS: usize = 20;

/// See [`BLOCKS`]; in nanoseconds.
const BLOCK: i64 = 500_000_000;
