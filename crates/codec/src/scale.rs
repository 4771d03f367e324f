//! Pictures of another size.

use bytes::BytesMut;
use paceline_types::{PixelFormat, Pool, VideoFrame};
use thiserror::Error;

use crate::size::is_encodable;

/// Makes pictures smaller or larger.
///
/// Smaller, each new pixel is the mean of the area that it covers: the picture keeps
/// its brightness, every old pixel counts as much as any other, and nothing flickers
/// when something thin moves. Larger, it lies on the line between its neighbours
/// (bilinear). The whole picture becomes the whole picture, whatever its shape:
/// [`fit`](crate::fit) says which size keeps it.
///
/// From the second picture of a size on nothing is allocated, as long as at most four
/// of the pictures made are still in use.
///
/// ```
/// use paceline_codec::types::{Frequency, MediaTime, NtpTime, VideoFrame};
/// use paceline_codec::{ScaleError, Scaler};
///
/// let (time, capture) = (MediaTime::new(0, Frequency::VIDEO), NtpTime::default());
/// let grey = vec![128; 640 * 360 * 3 / 2];
/// let picture = VideoFrame::new(640, 360, time, capture, grey.into())?;
///
/// let mut scaler = Scaler::new();
/// let small = scaler.scale(&picture, (320, 180))?;
/// assert_eq!((small.width(), small.height()), (320, 180));
/// assert!(small.planes().iter().all(|&byte| byte == 128));
///
/// let odd = scaler.scale(&picture, (321, 180));
/// assert_eq!(odd, Err(ScaleError::Size { width: 321, height: 180 }));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Scaler {
    pool: Pool,
    luma: Plane,
    chroma: Plane,
}

impl Scaler {
    /// A scaler that has seen no picture yet.
    #[must_use]
    pub fn new() -> Self {
        Self { pool: Pool::new(POOLED), luma: Plane::default(), chroma: Plane::default() }
    }

    /// The picture at `size`, width and height in pixels, with the times it had. One that
    /// has the size already is the same picture, shared.
    ///
    /// # Errors
    ///
    /// [`ScaleError`] if no encoder here takes pictures of `size`.
    pub fn scale(
        &mut self,
        frame: &VideoFrame,
        size: (u16, u16),
    ) -> Result<VideoFrame, ScaleError> {
        let (width, height) = size;
        if !is_encodable(width, height) {
            return Err(ScaleError::Size { width, height });
        }
        if size == (frame.width(), frame.height()) {
            return Ok(frame.clone());
        }
        let from = (usize::from(frame.width()), usize::from(frame.height()));
        let to = (usize::from(width), usize::from(height));
        self.luma.resize(from, to);
        let chroma = (frame.chroma_width(), frame.chroma_height());
        self.chroma.resize(chroma, (to.0 / 2, to.1 / 2));

        let mut planes: BytesMut = self.pool.take(PixelFormat::I420.bytes(width, height));
        let (y, rest) = planes.split_at_mut(to.0 * to.1);
        let (u, v) = rest.split_at_mut(to.0 * to.1 / 4);
        self.luma.scale(frame.y(), y);
        self.chroma.scale(frame.u(), u);
        self.chroma.scale(frame.v(), v);

        let planes = self.pool.share(planes);
        VideoFrame::new(width, height, frame.time(), frame.capture(), planes)
            .map_err(|_| ScaleError::Size { width, height })
    }
}

impl Default for Scaler {
    fn default() -> Self {
        Self::new()
    }
}

/// A size that pictures are not scaled to.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum ScaleError {
    /// No encoder here takes it. The caller's doing.
    #[error(
        "pictures are scaled to even sides from 16 × 16 to 3840 × 2160 or upright, \
         not to {width} × {height}"
    )]
    Size {
        /// Pixels in a row that were asked for.
        width: u16,
        /// Rows that were asked for.
        height: u16,
    },
}

/// What scales planes of one size to another.
///
/// Rows first, a whole one at a time. Of eight that are done, columns are turned into
/// rows of eight values, so that the second pass too works on what lies side by side,
/// whatever the ratio: a compiler makes vector instructions of both.
#[derive(Debug, Default)]
struct Plane {
    columns: Axis,
    rows: Axis,
    /// Eight lines, weighted, in 1/256 of a level; each padded to whole blocks.
    lines: Vec<u16>,
    /// The same, turned.
    turned: Vec<[u16; LANES]>,
}

impl Plane {
    fn resize(&mut self, from: (usize, usize), to: (usize, usize)) {
        if (self.columns.from, self.columns.to()) != (from.0, to.0) {
            self.columns = Axis::new(from.0, to.0, COLUMN_UNIT);
            let padded = from.0.next_multiple_of(LANES);
            self.lines = vec![0; padded * LANES];
            self.turned = vec![[0; LANES]; padded];
        }
        if (self.rows.from, self.rows.to()) != (from.1, to.1) {
            self.rows = Axis::new(from.1, to.1, ROW_UNIT);
        }
    }

    fn scale(&mut self, from: &[u8], to: &mut [u8]) {
        let (width, padded) = (self.columns.from, self.turned.len());
        let bands = to.chunks_mut(self.columns.to() * LANES);
        for (band, out) in bands.enumerate() {
            let taps = self.rows.pixels().skip(band * LANES);
            for ((top, weights), line) in taps.zip(self.lines.chunks_exact_mut(padded)) {
                let covered = from[top * width..].chunks_exact(width);
                weigh(covered, weights, &mut line[..width]);
            }
            turn(&self.lines, &mut self.turned);
            self.columns.narrow(&self.turned, out);
        }
    }
}

/// A line that is the weighted sum of others.
fn weigh<'a>(mut rows: impl Iterator<Item = &'a [u8]>, weights: &[u16], line: &mut [u16]) {
    let mut pairs = weights.chunks_exact(2);
    let mut first = true;
    for pair in &mut pairs {
        let (Some(a), Some(b)) = (rows.next(), rows.next()) else { return };
        let terms = line.iter_mut().zip(a).zip(b);
        if first {
            for ((sum, &a), &b) in terms {
                *sum = u16::from(a) * pair[0] + u16::from(b) * pair[1];
            }
        } else {
            for ((sum, &a), &b) in terms {
                *sum += u16::from(a) * pair[0] + u16::from(b) * pair[1];
            }
        }
        first = false;
    }
    for &weight in pairs.remainder() {
        let Some(row) = rows.next() else { return };
        if first {
            line.fill(0);
        }
        for (sum, &byte) in line.iter_mut().zip(row) {
            *sum += u16::from(byte) * weight;
        }
        first = false;
    }
}

/// Eight lines to rows of eight.
fn turn(lines: &[u16], turned: &mut [[u16; LANES]]) {
    let padded = turned.len();
    for (at, block) in turned.chunks_exact_mut(LANES).enumerate() {
        let mut tile = [[0; LANES]; LANES];
        for (row, line) in tile.iter_mut().zip(lines.chunks_exact(padded)) {
            row.copy_from_slice(&line[at * LANES..][..LANES]);
        }
        block.copy_from_slice(&transposed(tile));
    }
}

/// Rows are columns, and columns rows. Three times each row of the upper half is shuffled
/// with one of the lower half as cards are, which is one instruction for half a row.
#[inline(always)]
fn transposed(mut tile: Tile) -> Tile {
    for _ in 0..LANES.ilog2() {
        tile = std::array::from_fn(|row| {
            let (upper, lower) = (&tile[row / 2], &tile[row / 2 + LANES / 2]);
            let half = row % 2 * LANES / 2;
            std::array::from_fn(
                |x| if x % 2 == 0 { upper[half + x / 2] } else { lower[half + x / 2] },
            )
        });
    }
    tile
}

/// For each new pixel of an axis, which old ones it is made of, and how much of each.
#[derive(Debug, Default)]
struct Axis {
    from: usize,
    /// The first old pixel of each new one. The others follow it.
    starts: Vec<usize>,
    /// As many for each new pixel; of each they sum to the unit.
    weights: Vec<u16>,
    taps: usize,
}

impl Axis {
    fn new(from: usize, to: usize, unit: u64) -> Self {
        if to > from {
            return Self::between(from, to, unit);
        }
        // In units of 1/to of an old pixel: the new one `i` covers `i·from..(i+1)·from`, the
        // old one `j` covers `j·to..(j+1)·to`.
        let covered = |i: usize| (i * from / to, ((i + 1) * from).div_ceil(to));
        let taps = (0..to).map(|i| covered(i).1 - covered(i).0).max().unwrap_or(1);
        let mut axis = Self { from, starts: Vec::with_capacity(to), weights: Vec::new(), taps };
        for i in 0..to {
            let start = covered(i).0.min(from - taps);
            // How much of the new pixel is covered up to an old one's end, rounded: the
            // differences sum to the unit, and no rounding adds up along the way.
            let (begin, end) = (i * from, (i + 1) * from);
            let share = |until: usize| {
                let part = (until * to).clamp(begin, end) - begin;
                (part as u64 * unit * 2 + from as u64) / (2 * from as u64)
            };
            axis.starts.push(start);
            axis.weights.extend((start..start + taps).map(|j| (share(j + 1) - share(j)) as u16));
        }
        axis
    }

    /// Of an axis that gets longer: each new pixel is between the middles of two old ones.
    fn between(from: usize, to: usize, unit: u64) -> Self {
        let taps = from.min(2);
        let (mut starts, mut weights) = (Vec::with_capacity(to), Vec::new());
        for i in 0..to {
            // The middle of the new one, in 1/(2·to) of an old pixel from the first's middle.
            let at = ((2 * i + 1) * from).saturating_sub(to);
            let start = (at / (2 * to)).min(from - taps);
            let second = (at - start * 2 * to).min(2 * to) as u64;
            let second = (second * unit + to as u64) / (2 * to as u64);
            starts.push(start);
            weights.push(if taps == 2 { unit - second } else { unit } as u16);
            weights.extend((taps == 2).then_some(second as u16));
        }
        Self { from, starts, weights, taps }
    }

    fn to(&self) -> usize {
        self.starts.len()
    }

    fn pixels(&self) -> impl Iterator<Item = (usize, &[u16])> {
        self.starts.iter().copied().zip(self.weights.chunks_exact(self.taps.max(1)))
    }

    /// New pixels of eight lines at once, or of as many as `out` has room for.
    fn narrow(&self, turned: &[[u16; LANES]], out: &mut [u8]) {
        // The ratios that are met in practice have loops of their own.
        match self.taps {
            2 => self.each(turned, out, |covered, weights| few(&covered[..2], &weights[..2])),
            3 => self.each(turned, out, |covered, weights| few(&covered[..3], &weights[..3])),
            4 => self.each(turned, out, |covered, weights| few(&covered[..4], &weights[..4])),
            0..=FEW => self.each(turned, out, few),
            _ => self.each(turned, out, many),
        }
    }

    #[inline(always)]
    fn each(
        &self,
        turned: &[[u16; LANES]],
        out: &mut [u8],
        sum: impl Fn(&[[u16; LANES]], &[u16]) -> [u16; LANES],
    ) {
        let width = self.to();
        for (at, starts) in self.starts.chunks(LANES).enumerate() {
            let mut tile = [[0; LANES]; LANES];
            let weights = &self.weights[at * LANES * self.taps..];
            let pixels = starts.iter().zip(weights.chunks_exact(self.taps));
            for (column, (&start, weights)) in tile.iter_mut().zip(pixels) {
                *column = sum(&turned[start..start + self.taps], weights);
            }
            let tile = transposed(tile);
            for (line, row) in out.chunks_exact_mut(width).zip(&tile) {
                let row = row.map(|level| level as u8);
                let place = &mut line[at * LANES..];
                match place.first_chunk_mut() {
                    Some(place) => *place = row,
                    None => place.copy_from_slice(&row[..place.len()]),
                }
            }
        }
    }
}

/// The weighted sum in 16 bits: each product loses less than 1/128 of a level, and half
/// of that is given back.
#[inline(always)]
fn few(covered: &[[u16; LANES]], weights: &[u16]) -> [u16; LANES] {
    let mut sums = [64 + covered.len() as u16 / 2; LANES];
    for (values, &weight) in covered.iter().zip(weights) {
        for (sum, &value) in sums.iter_mut().zip(values) {
            *sum += ((u32::from(value) * u32::from(weight)) >> 16) as u16;
        }
    }
    sums.map(|sum| sum >> 7)
}

/// The weighted sum in 32 bits.
fn many(covered: &[[u16; LANES]], weights: &[u16]) -> [u16; LANES] {
    let mut sums = [1_u32 << 22; LANES];
    for (values, &weight) in covered.iter().zip(weights) {
        for (sum, &value) in sums.iter_mut().zip(values) {
            *sum += u32::from(value) * u32::from(weight);
        }
    }
    sums.map(|sum| (sum >> 23) as u16)
}

/// Eight rows of eight.
type Tile = [[u16; LANES]; LANES];

/// 16-bit values in the vectors that every x86-64 and AArch64 has.
const LANES: usize = 8;
/// What the weights of a row sum to: times 255 it just fits in 16 bits.
const ROW_UNIT: u64 = 1 << 8;
/// What the weights of a column sum to: the largest power of two that fits in 16 bits.
const COLUMN_UNIT: u64 = 1 << 15;
/// Of more parts than these, what [`few`] loses would be seen: half of them times 1/128
/// must stay well below half a level.
const FEW: usize = 32;
/// Pictures that may be in use at once without one being allocated: one that is encoded,
/// one that waits, one that is made, one to spare.
const POOLED: usize = 4;
