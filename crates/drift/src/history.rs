//! The segments of the past, in bounded memory.

use crate::fit::MAX_SEGMENTS;
use crate::segment::Segment;

/// Segments since the start, or as many as fit: when they are too many, each two become
/// one, until those are [`MAX_LENGTH`] long; then the oldest go.
#[derive(Clone, Debug)]
pub(crate) struct History {
    segments: [Segment; CAPACITY],
    len: usize,
    /// How many of the segments given make one of these.
    group: u32,
    /// How many the last one has so far.
    filled: u32,
}

impl History {
    pub(crate) fn new() -> Self {
        Self { segments: [Segment::default(); CAPACITY], len: 0, group: 1, filled: 0 }
    }

    pub(crate) fn push(&mut self, segment: Segment, slope: f64) {
        if self.filled < self.group && self.len > 0 && !segment.shifted {
            self.segments[self.len - 1].merge(&segment, slope);
            self.filled += 1;
            return;
        }
        if self.len == CAPACITY {
            self.make_room(slope);
        }
        self.segments[self.len] = segment;
        self.len += 1;
        self.filled = 1;
    }

    fn make_room(&mut self, slope: f64) {
        if self.group < MAX_GROUP {
            self.group *= 2;
            let mut kept = 0;
            let mut next = 0;
            while next < self.len {
                let mut one = self.segments[next];
                next += 1;
                if next < self.len && !self.segments[next].shifted {
                    one.merge(&self.segments[next], slope);
                    next += 1;
                }
                self.segments[kept] = one;
                kept += 1;
            }
            self.len = kept;
        }
        if self.len > CAPACITY - OLDEST {
            // Levels that shift all the time leave little to join.
            self.segments.copy_within(OLDEST..self.len, 0);
            self.len -= OLDEST;
        }
    }

    /// Writes all segments and then `recent`, in groups of the same length, and says how
    /// many those are.
    pub(crate) fn lay_out<'a>(
        &self,
        recent: impl Iterator<Item = &'a Segment>,
        slope: f64,
        to: &mut [Segment; MAX_SEGMENTS],
    ) -> usize {
        to[..self.len].copy_from_slice(&self.segments[..self.len]);
        let mut len = self.len;
        let mut filled = self.filled;
        for segment in recent {
            if filled < self.group && len > 0 && !segment.shifted {
                to[len - 1].merge(segment, slope);
                filled += 1;
            } else if len < MAX_SEGMENTS {
                to[len] = *segment;
                len += 1;
                filled = 1;
            }
        }
        len
    }
}

/// Segments that are kept. A line through 32 means has a standard error that is 0.1 %
/// larger than one through all observations.
const CAPACITY: usize = 64;

/// What goes when there is no room: an eighth.
const OLDEST: usize = 8;

/// Segments of 0.25 s that make the longest: 8 s, so that the memory is 512 s.
const MAX_GROUP: u32 = 32;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segment::Point;

    fn lay_out(history: &History) -> Vec<Segment> {
        let mut to = [Segment::default(); MAX_SEGMENTS];
        let len = history.lay_out(std::iter::empty(), 0.0, &mut to);
        to[..len].to_vec()
    }

    #[test]
    fn segments_are_joined_and_the_oldest_go_last() {
        let mut history = History::new();
        for index in 0..10_000_u32 {
            history.push(Segment::of(Point { x: f64::from(index), y: 0.0 }), 0.0);
            let segments = lay_out(&history);
            let count: u32 = segments.iter().map(|segment| segment.count).sum();
            assert!(segments.len() <= CAPACITY);
            assert!(index >= 2_048 || count == index + 1, "{count} of {index}");
            assert!(index < 2_048 || count > 1_700, "{count} of {index}");
            assert!(segments.windows(2).all(|two| two[0].mean.x < two[1].mean.x));
        }
    }

    #[test]
    fn levels_are_never_joined() {
        let mut history = History::new();
        for index in 0..500_u32 {
            let mut segment = Segment::of(Point { x: f64::from(index), y: f64::from(index / 3) });
            segment.shifted = index % 3 == 0;
            history.push(segment, 0.0);
        }
        for segment in lay_out(&history) {
            assert_eq!(segment.mean.y, segment.least.y, "a mean of one level");
            assert!(segment.count <= 3);
        }
    }
}
