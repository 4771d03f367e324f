//! Scales a plane of bytes to another size.
//!
//! An axis that shrinks averages the area that each new pixel covers (a box
//! filter with fractional edges); one that grows interpolates between the two
//! nearest centres. Both are weighted sums, so both are the same two passes: the
//! rows first, which is the larger part and a plain loop over whole lines, then
//! the columns. Weights are integers of which those of one pixel sum to 256
//! exactly: a flat area keeps its value, and all machines make the same bits.

/// A plane of bytes without padding.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plane<'a> {
    pub(crate) data: &'a [u8],
    pub(crate) width: usize,
    pub(crate) height: usize,
}

/// Where a scaled plane goes: `data` begins with its first pixel.
#[derive(Debug)]
pub(crate) struct Target<'a> {
    pub(crate) data: &'a mut [u8],
    pub(crate) stride: usize,
    pub(crate) width: usize,
    pub(crate) height: usize,
}

/// The scaler, with buffers it keeps.
#[derive(Debug, Default)]
pub(crate) struct Scaler {
    columns: Axis,
    rows: Axis,
    /// One line of weighted sums, 256 times too large.
    line: Vec<u16>,
}

impl Scaler {
    /// Fills all of `target` with `source`; neither may be empty.
    pub(crate) fn scale(&mut self, source: Plane<'_>, target: Target<'_>) {
        self.scale_part(source, (0, 0), (source.width, source.height), target);
    }

    /// Fills all of `target` with the part of `source` that begins at `corner` and
    /// has `size`; neither may be empty, and the part must be in the source.
    pub(crate) fn scale_part(
        &mut self,
        source: Plane<'_>,
        (left, top): (usize, usize),
        (width, height): (usize, usize),
        target: Target<'_>,
    ) {
        let source_lines = source.data.chunks_exact(source.width).skip(top).take(height);
        let lines = target.data.chunks_mut(target.stride).take(target.height);
        if (width, height) == (target.width, target.height) {
            for (to, from) in lines.zip(source_lines) {
                to[..width].copy_from_slice(&from[left..left + width]);
            }
            return;
        }
        self.columns.set(width, target.width);
        self.rows.set(height, target.height);
        self.line.resize(width, 0);
        for (y, to) in lines.enumerate() {
            self.sum_rows(source, (left, top), y);
            let to = &mut to[..target.width];
            match self.columns.taps {
                2 => self.sum_columns::<2>(to),
                3 => self.sum_columns::<3>(to),
                4 => self.sum_columns::<4>(to),
                5 => self.sum_columns::<5>(to),
                _ => self.sum_many_columns(to),
            }
        }
    }

    fn sum_rows(&mut self, source: Plane<'_>, (left, top): (usize, usize), y: usize) {
        let (start, weights) = self.rows.pixel(y);
        self.line.fill(0);
        for (i, &weight) in weights.iter().enumerate() {
            if weight > 0 {
                let from = (top + start + i) * source.width + left;
                let from = &source.data[from..][..self.line.len()];
                for (sum, &byte) in self.line.iter_mut().zip(from) {
                    *sum += weight * u16::from(byte);
                }
            }
        }
    }

    /// As [`sum_many_columns`](Self::sum_many_columns), for the usual numbers of
    /// taps: three times as fast when the inner loop has a fixed length.
    fn sum_columns<const TAPS: usize>(&self, to: &mut [u8]) {
        let (weights, _) = self.columns.weights.as_chunks::<TAPS>();
        for ((byte, &start), weights) in to.iter_mut().zip(&self.columns.starts).zip(weights) {
            *byte = weigh(&self.line[start..start + TAPS], weights);
        }
    }

    fn sum_many_columns(&self, to: &mut [u8]) {
        for (x, byte) in to.iter_mut().enumerate() {
            let (start, weights) = self.columns.pixel(x);
            *byte = weigh(&self.line[start..], weights);
        }
    }
}

fn weigh(sums: &[u16], weights: &[u16]) -> u8 {
    let parts = sums.iter().zip(weights).map(|(&sum, &weight)| u32::from(sum) * u32::from(weight));
    ((parts.sum::<u32>() + (1 << 15)) >> 16) as u8
}

/// For each new pixel of an axis: from which old one on, and with what weights.
#[derive(Debug, Default)]
struct Axis {
    taps: usize,
    starts: Vec<usize>,
    weights: Vec<u16>,
}

impl Axis {
    fn pixel(&self, index: usize) -> (usize, &[u16]) {
        (self.starts[index], &self.weights[index * self.taps..][..self.taps])
    }

    fn set(&mut self, from: usize, to: usize) {
        self.starts.clear();
        self.weights.clear();
        if from < to {
            self.grow(from, to);
        } else {
            self.shrink(from, to);
        }
    }

    /// In units of 1/to of an old pixel: the new pixel `i` covers
    /// `i·from..(i+1)·from`, the old one `j` covers `j·to..(j+1)·to`.
    fn shrink(&mut self, from: usize, to: usize) {
        self.taps = (from.div_ceil(to) + 1).min(from);
        for i in 0..to {
            let covered = i * from..(i + 1) * from;
            let start = (covered.start / to).min(from - self.taps);
            self.starts.push(start);
            // The weights are differences of a rounded sum: none gets lost.
            let mut sum = 0;
            for j in start..start + self.taps {
                let up_to = ((j + 1) * to).clamp(covered.start, covered.end) - covered.start;
                let next = (up_to * 256 + from / 2) / from;
                self.weights.push((next - sum) as u16);
                sum = next;
            }
        }
    }

    /// In units of 1/(2·to) of an old pixel: the centre of the new pixel `i` is
    /// at `(2·i+1)·from`, that of the old one `j` at `(2·j+1)·to`.
    fn grow(&mut self, from: usize, to: usize) {
        self.taps = from.min(2);
        let unit = 2 * to;
        for i in 0..to {
            let position = ((2 * i + 1) * from).saturating_sub(to).min((from - 1) * unit);
            let start = (position / unit).min(from - self.taps);
            self.starts.push(start);
            let second = ((position - start * unit) * 256 + to) / unit;
            self.weights.push(256 - second as u16);
            if self.taps == 2 {
                self.weights.push(second as u16);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scale(data: &[u8], from: (usize, usize), to: (usize, usize)) -> Vec<u8> {
        let mut out = vec![0; to.0 * to.1];
        Scaler::default().scale(
            Plane { data, width: from.0, height: from.1 },
            Target { data: &mut out, stride: to.0, width: to.0, height: to.1 },
        );
        out
    }

    #[test]
    fn a_flat_plane_stays_flat_at_any_size() {
        let sides = [1, 2, 3, 5, 16, 17, 100, 257, 1_000];
        for (w, h) in sides.iter().flat_map(|&w| sides.map(|h| (w, h))) {
            for value in [0, 1, 127, 255] {
                for to in [(1, 1), (2, 2), (13, 40), (300, 2), (258, 256)] {
                    let out = scale(&vec![value; w * h], (w, h), to);
                    assert!(out.iter().all(|&byte| byte == value), "{w}×{h} to {to:?}");
                }
            }
        }
    }

    #[test]
    fn shrinking_averages_what_is_covered() {
        assert_eq!(scale(&[0, 100, 50, 250], (2, 2), (1, 1)), [100]);
        assert_eq!(scale(&[0, 30, 60, 90, 120, 150], (6, 1), (2, 1)), [30, 120]);
        // 1½ pixels each: the middle one belongs to both.
        assert_eq!(scale(&[0, 90, 240], (3, 1), (2, 1)), [30, 190]);
    }

    #[test]
    fn growing_interpolates_between_centres() {
        assert_eq!(scale(&[0, 200], (2, 1), (4, 1)), [0, 50, 150, 200]);
        assert_eq!(scale(&[9], (1, 1), (3, 2)), [9; 6]);
    }

    #[test]
    fn the_same_size_is_a_copy() {
        let data: Vec<u8> = (0..=255).collect();
        assert_eq!(scale(&data, (16, 16), (16, 16)), data);
    }
}
