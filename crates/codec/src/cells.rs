//! Text cells: a picture that a terminal can show.
//!
//! A cell is a glyph and two colours. The encoder uses one glyph, the upper half
//! block, so that a cell is two pixels: the upper one in the foreground colour,
//! the lower one in the background colour. The decoder knows every glyph that the
//! format has; those that are no blocks become a blend of both colours, by how
//! much of the cell their ink covers.

use bytes::BytesMut;
use paceline_types::{CELL_BYTES, Coding, EncodedFrame, GLYPHS, PixelFormat, VideoFrame};

use crate::pass_through::check_length;
use crate::pixels::{full_planes_to_rgb, to_i420};
use crate::{DecodeError, EncodeError, EncodedPicture, EncoderTarget, VideoDecoder, VideoEncoder};

/// Pictures to half blocks.
#[derive(Debug)]
pub(crate) struct CellsEncoder {
    columns: u16,
    rows: u16,
}

impl CellsEncoder {
    pub(crate) const fn new(columns: u16, rows: u16) -> Result<Self, EncodeError> {
        if columns == 0 || rows == 0 || rows > MAX_ROWS {
            return Err(EncodeError::CellGrid { columns, rows });
        }
        Ok(Self { columns, rows })
    }
}

impl VideoEncoder for CellsEncoder {
    fn encode(&mut self, frame: &VideoFrame) -> Result<Option<EncodedPicture>, EncodeError> {
        let (columns, rows) = (self.columns, self.rows);
        let to = (usize::from(columns), 2 * usize::from(rows));
        let luma = (usize::from(frame.width()), usize::from(frame.height()));
        let chroma = (frame.chroma_width(), frame.chroma_height());
        let y = average(frame.y(), luma, to);
        let u = average(frame.u(), chroma, to);
        let v = average(frame.v(), chroma, to);
        let rgb = full_planes_to_rgb([&y, &u, &v], columns, 2 * rows);

        let cells = usize::from(columns) * usize::from(rows);
        let mut data = BytesMut::with_capacity(cells * CELL_BYTES);
        for pair in rgb.chunks_exact(2 * 3 * to.0) {
            let (upper, lower) = pair.split_at(3 * to.0);
            for (foreground, background) in upper.chunks_exact(3).zip(lower.chunks_exact(3)) {
                data.extend_from_slice(&[UPPER_HALF]);
                data.extend_from_slice(foreground);
                data.extend_from_slice(background);
            }
        }
        let coding = Coding::Cells { columns, rows };
        Ok(Some(EncodedPicture { coding, qp: None, temporal_layer: 0, data: data.freeze() }))
    }

    fn set_target(&mut self, _target: EncoderTarget) {}
}

/// Text cells to pictures, each two pixels, one above the other.
#[derive(Debug)]
pub(crate) struct CellsDecoder;

impl VideoDecoder for CellsDecoder {
    fn decode(&mut self, frame: &EncodedFrame) -> Result<Option<VideoFrame>, DecodeError> {
        let Coding::Cells { columns, rows } = frame.coding else {
            return Err(DecodeError::OtherCoding(frame.coding));
        };
        let (width, height) = (usize::from(columns), 2 * usize::from(rows));
        check_length(frame, width * usize::from(rows) * CELL_BYTES)?;
        let wrong_size = DecodeError::Size { coding: frame.coding, width, height };
        if columns == 0 || rows == 0 || rows > MAX_ROWS {
            return Err(wrong_size);
        }

        let mut rgb = vec![0; 3 * width * height];
        let cell_rows = frame.data.chunks_exact(width * CELL_BYTES);
        for (pair, cells) in rgb.chunks_exact_mut(2 * 3 * width).zip(cell_rows) {
            let (upper, lower) = pair.split_at_mut(3 * width);
            let pixels = upper.chunks_exact_mut(3).zip(lower.chunks_exact_mut(3));
            let (cells, _) = cells.as_chunks::<CELL_BYTES>();
            for ((upper, lower), &[glyph, r, g, b, back_r, back_g, back_b]) in pixels.zip(cells) {
                let &(above, below) =
                    COVERAGE.get(usize::from(glyph)).ok_or(DecodeError::Glyph(glyph))?;
                let colours = ([r, g, b], [back_r, back_g, back_b]);
                upper.copy_from_slice(&blend(colours, above));
                lower.copy_from_slice(&blend(colours, below));
            }
        }
        let height = 2 * rows;
        let planes = to_i420(&rgb, PixelFormat::Rgb24, columns, height).map_err(|_| wrong_size)?;
        let picture = VideoFrame::new(columns, height, frame.time, frame.capture, planes);
        picture.map(Some).map_err(|error| DecodeError::of(frame.coding, error))
    }
}

/// Scales a plane by the average of the box that each pixel covers; a plane that
/// is smaller is repeated.
fn average(plane: &[u8], from: (usize, usize), to: (usize, usize)) -> Vec<u8> {
    let mut scaled = Vec::with_capacity(to.0 * to.1);
    for y in 0..to.1 {
        let (top, bottom) = span(y, from.1, to.1);
        for x in 0..to.0 {
            let (left, right) = span(x, from.0, to.0);
            let rows = plane[top * from.0..bottom * from.0].chunks_exact(from.0);
            let sum: u32 =
                rows.flat_map(|row| &row[left..right]).map(|&sample| u32::from(sample)).sum();
            let count = ((bottom - top) * (right - left)) as u32;
            scaled.push(((sum + count / 2) / count) as u8);
        }
    }
    scaled
}

/// The samples of `from` that make the one at `index` of `to`: at least one.
fn span(index: usize, from: usize, to: usize) -> (usize, usize) {
    let start = index * from / to;
    (start, ((index + 1) * from / to).max(start + 1))
}

/// Foreground over background, with `coverage` ninths of ink.
fn blend((foreground, background): ([u8; 3], [u8; 3]), coverage: u8) -> [u8; 3] {
    let ink = u16::from(coverage);
    std::array::from_fn(|channel| {
        let (fore, back) = (u16::from(foreground[channel]), u16::from(background[channel]));
        ((fore * ink + back * (9 - ink) + 4) / 9) as u8
    })
}

/// More would not fit the height of a picture of half blocks.
const MAX_ROWS: u16 = u16::MAX / 2;

/// The place of `'▀'` in [`GLYPHS`].
const UPPER_HALF: u8 = 1;

const _: () = assert!(GLYPHS[UPPER_HALF as usize] == '▀');

/// How many ninths of the upper and of the lower half of a cell each glyph of
/// [`GLYPHS`] covers: the blocks all or nothing, the ramp in even steps.
const COVERAGE: [(u8, u8); GLYPHS.len()] = [
    (0, 0), // ' '
    (9, 0), // '▀'
    (0, 9), // '▄'
    (9, 9), // '█'
    (1, 1), // '.'
    (2, 2), // ':'
    (3, 3), // '-'
    (4, 4), // '='
    (5, 5), // '+'
    (6, 6), // '*'
    (7, 7), // '#'
    (8, 8), // '%'
    (9, 9), // '@'
];
