//! The block code in a picture.
//!
//! ```text
//! +--------------------------------------------+
//! | 1 0 1 0 | frame, 16 bits                   |  20 cells in a row, 3 rows,
//! | capture time in ms, 24 bits       | CRC    |  each a twentieth of the width
//! | CRC, 16 bits                               |  and an eighteenth of the height
//! |                  picture                   |
//! ```
//!
//! Cells are full black or full white, so that the code outlives two encoders and a
//! scaler down to 80 pixels of width; the CRC makes a false reading one in 65,536.

use bytes::{Bytes, BytesMut};
use paceline_types::{NtpTime, Rect, VideoFrame};

use super::PICTURE_MODULUS;

/// What is burned into a picture.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "callers make it")]
pub struct Mark {
    /// The picture's number, modulo 65,536.
    pub frame: u16,
    /// When it was captured.
    pub capture: NtpTime,
}

/// What is read from a picture.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct PictureMark {
    /// The picture's number, modulo 65,536.
    pub frame: u16,
    /// When it was captured: milliseconds modulo [`PICTURE_MODULUS`].
    pub capture_ms: u32,
}

/// The picture with the mark along its top, in a sixth of its height.
#[must_use]
pub fn burn(picture: VideoFrame, mark: Mark) -> VideoFrame {
    let (width, height) = (usize::from(picture.width()), usize::from(picture.height()));
    let capture_ms = (mark.capture.millis() % PICTURE_MODULUS) as u32;
    let code = encode(mark.frame, capture_ms);
    let mut planes = BytesMut::from(&picture.planes()[..]);
    let rows = height * ROWS / ROWS_IN_PICTURE;
    for y in 0..rows {
        let row = y * ROWS_IN_PICTURE / height;
        for x in 0..width {
            let bit = code >> (BITS - 1 - (row * COLUMNS + x * COLUMNS / width)) & 1;
            planes[y * width + x] = if bit == 1 { WHITE } else { BLACK };
        }
    }
    let (chroma_width, chroma_height) = (picture.chroma_width(), picture.chroma_height());
    for plane in 0..2 {
        let begin = width * height + plane * chroma_width * chroma_height;
        planes[begin..begin + chroma_width * rows.div_ceil(2)].fill(NEUTRAL);
    }
    let (time, capture) = (picture.time(), picture.capture());
    let marked =
        VideoFrame::new(picture.width(), picture.height(), time, capture, Bytes::from(planes));
    marked.expect("it has the size it had")
}

/// The mark of the picture that lies at `tile`, if there is one to be read.
#[must_use]
pub fn read(picture: &VideoFrame, tile: Rect) -> Option<PictureMark> {
    let inside = u32::from(tile.x) + u32::from(tile.width) <= picture.width().into()
        && u32::from(tile.y) + u32::from(tile.height) <= picture.height().into();
    if !inside
        || usize::from(tile.width) < 2 * COLUMNS
        || usize::from(tile.height) < 2 * ROWS_IN_PICTURE
    {
        return None;
    }
    let cell = |index: usize| brightness(picture, tile, index % COLUMNS, index / COLUMNS);
    // The first four cells are white, black, white, black, and say what is which.
    let (white, black) = ((cell(0) + cell(2)) / 2, (cell(1) + cell(3)) / 2);
    if white < black + CONTRAST {
        return None;
    }
    let threshold = (white + black) / 2;
    let code = (0..BITS).fold(0, |code, index| code << 1 | u64::from(cell(index) > threshold));
    decode(code)
}

/// The mean of the middle of a cell.
fn brightness(picture: &VideoFrame, tile: Rect, column: usize, row: usize) -> u32 {
    let middle = |begin: u16, size: u16, index: usize, count: usize| {
        let cell = usize::from(size) as f64 / count as f64;
        let centre = usize::from(begin) as f64 + (index as f64 + 0.5) * cell;
        let half = (cell / 4.0).max(0.5);
        (centre - half).round() as usize..(centre + half).round() as usize
    };
    let columns = middle(tile.x, tile.width, column, COLUMNS);
    let rows = middle(tile.y, tile.height, row, ROWS_IN_PICTURE);
    let count = (columns.len() * rows.len()) as u32;
    let luma = picture.y();
    let width = usize::from(picture.width());
    let sum: u32 = rows
        .flat_map(|y| columns.clone().map(move |x| (x, y)))
        .map(|(x, y)| u32::from(luma[y * width + x]))
        .sum();
    sum / count.max(1)
}

fn encode(frame: u16, capture_ms: u32) -> u64 {
    let payload = u64::from(frame) << 24 | u64::from(capture_ms);
    SYNC << 56 | payload << 16 | u64::from(crc16(payload))
}

fn decode(code: u64) -> Option<PictureMark> {
    let payload = code >> 16 & 0xff_ffff_ffff;
    let whole = code >> 56 == SYNC && code & 0xffff == u64::from(crc16(payload));
    whole.then_some(PictureMark {
        frame: (payload >> 24) as u16,
        capture_ms: payload as u32 & 0xff_ffff,
    })
}

/// CRC-16/CCITT-FALSE of the 5 payload bytes.
fn crc16(payload: u64) -> u16 {
    payload.to_be_bytes()[3..].iter().fold(0xffff, |crc, &byte| {
        (0..8).fold(crc ^ u16::from(byte) << 8, |crc, _| {
            if crc & 0x8000 == 0 { crc << 1 } else { crc << 1 ^ 0x1021 }
        })
    })
}

const COLUMNS: usize = 20;
const ROWS: usize = 3;
const BITS: usize = COLUMNS * ROWS;
/// Cells are so high that 18 of them would fill the picture.
const ROWS_IN_PICTURE: usize = 18;
const SYNC: u64 = 0b1010;
/// Limited range (ITU-R BT.601): black, white and no colour.
const BLACK: u8 = 16;
const WHITE: u8 = 235;
const NEUTRAL: u8 = 128;
/// White and black cells that are nearer than this are no mark: a third of what was
/// burned.
const CONTRAST: u32 = 73;
