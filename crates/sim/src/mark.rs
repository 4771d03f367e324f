//! Marks in pictures, so that what arrives tells what it is.
//!
//! A picture of [`WIDTH`] × [`HEIGHT`] is 144 squares of 2 × 2 pixels, light or
//! dark: sender (2 bytes), number (4), capture time in µs (8), check (4). It can be
//! read from a copy of any size that is not smaller.

use std::time::Duration;

use bytes::Bytes;
use paceline_types::{PixelFormat, Rect, SenderId, VideoFrame};

/// Pixels in a row of a marked picture.
pub(crate) const WIDTH: u16 = 32;
/// Rows of a marked picture.
pub(crate) const HEIGHT: u16 = 18;

/// What a picture is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Mark {
    pub(crate) sender: SenderId,
    /// The place in its source's stream.
    pub(crate) number: u32,
    /// When it was captured, since the epoch; whole microseconds.
    pub(crate) capture: Duration,
}

impl Mark {
    /// The planes of a picture that shows the mark.
    pub(crate) fn draw(self) -> Bytes {
        let mut planes = vec![GREY; PixelFormat::I420.bytes(WIDTH, HEIGHT)];
        let width = usize::from(WIDTH);
        for (index, bit) in bits(self.to_bytes()).enumerate() {
            let (x, y) = (index % COLUMNS * SQUARE, index / COLUMNS * SQUARE);
            for row in y..y + SQUARE {
                planes[row * width + x..][..SQUARE].fill(if bit { LIGHT } else { DARK });
            }
        }
        planes.into()
    }

    /// The mark that a part of a picture shows, if it shows one.
    pub(crate) fn read(picture: &VideoFrame, part: Rect) -> Option<Self> {
        let (width, height) = (usize::from(part.width), usize::from(part.height));
        let (left, top) = (usize::from(part.x), usize::from(part.y));
        let stride = usize::from(picture.width());
        if left + width > stride || top + height > usize::from(picture.height()) {
            return None;
        }
        let mut bytes = [0; BYTES];
        for (index, byte) in bytes.iter_mut().enumerate() {
            for bit in 8 * index..8 * index + 8 {
                // The middle of the square.
                let x = left + (2 * (bit % COLUMNS) + 1) * width / (2 * COLUMNS);
                let y = top + (2 * (bit / COLUMNS) + 1) * height / (2 * ROWS);
                *byte = *byte << 1 | u8::from(*picture.y().get(y * stride + x)? > GREY);
            }
        }
        Self::from_bytes(bytes)
    }

    fn to_bytes(self) -> [u8; BYTES] {
        let mut bytes = [0; BYTES];
        bytes[..2].copy_from_slice(&(self.sender.get() as u16).to_be_bytes());
        bytes[2..6].copy_from_slice(&self.number.to_be_bytes());
        bytes[6..14].copy_from_slice(&(self.capture.as_micros() as u64).to_be_bytes());
        bytes[14..].copy_from_slice(&self.check().to_be_bytes());
        bytes
    }

    fn from_bytes(bytes: [u8; BYTES]) -> Option<Self> {
        let [s0, s1, n0, n1, n2, n3, c0, c1, c2, c3, c4, c5, c6, c7, check @ ..] = bytes;
        let mark = Self {
            sender: SenderId::new(u16::from_be_bytes([s0, s1]).into()),
            number: u32::from_be_bytes([n0, n1, n2, n3]),
            capture: Duration::from_micros(u64::from_be_bytes([c0, c1, c2, c3, c4, c5, c6, c7])),
        };
        (mark.check() == u32::from_be_bytes(check)).then_some(mark)
    }

    /// Tells a mark from noise.
    const fn check(self) -> u32 {
        let micros = self.capture.as_micros() as u64;
        // One is added so that a black picture is no mark of nobody.
        let mixed = (micros ^ (self.number as u64) << 40 ^ (self.sender.get() as u64 + 1) << 20)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (mixed >> 32) as u32
    }
}

fn bits(bytes: [u8; BYTES]) -> impl Iterator<Item = bool> {
    bytes.into_iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1 == 1))
}

const SQUARE: usize = 2;
const COLUMNS: usize = WIDTH as usize / SQUARE;
const ROWS: usize = HEIGHT as usize / SQUARE;
const BYTES: usize = COLUMNS * ROWS / 8;
const GREY: u8 = 128;
const LIGHT: u8 = 200;
const DARK: u8 = 50;

#[cfg(test)]
mod tests {
    use paceline_types::{Frequency, MediaTime, NtpTime};

    use super::*;

    fn mark(sender: u32) -> Mark {
        let capture = Duration::from_micros(3_600_123_456 + u64::from(sender));
        Mark { sender: SenderId::new(sender), number: 54_321, capture }
    }

    #[test]
    fn a_picture_is_read_back_and_noise_is_not() {
        let (time, whole) = (MediaTime::new(0, Frequency::VIDEO), |width, height| Rect {
            x: 0,
            y: 0,
            width,
            height,
        });
        let frame = |planes| VideoFrame::new(WIDTH, HEIGHT, time, NtpTime::default(), planes);
        let drawn = frame(mark(7).draw()).unwrap();
        assert_eq!(Mark::read(&drawn, whole(WIDTH, HEIGHT)), Some(mark(7)));
        assert_eq!(Mark::read(&drawn, whole(WIDTH - 2, HEIGHT)), None);
        assert_eq!(Mark::read(&drawn, whole(WIDTH + 2, HEIGHT)), None);
        let grey = frame(vec![90; 32 * 18 * 3 / 2].into()).unwrap();
        assert_eq!(Mark::read(&grey, whole(WIDTH, HEIGHT)), None);
    }
}
