//! Marks in pictures and sounds, so that what arrives tells what it is.
//!
//! A picture of [`WIDTH`] × [`HEIGHT`] is 144 squares of 2 × 2 pixels, light or
//! dark: sender (2 bytes), number (4), capture time in µs (8), check (4). It can be
//! read from a copy of any size that is not smaller.
//!
//! A frame of sound is silent but for eight samples of its sender, in a place that
//! is his alone, so that a sum of sounds has all their marks side by side. Five of
//! them are used: sender, number, capture time in µs (two), check; whole numbers
//! below 2²⁴ divided by 2²⁵, which a float and a sum with zeros keep exactly. The
//! first 5 ms hold none: that is where a mixer fades.

use std::time::Duration;

use bytes::Bytes;
use paceline_types::{PixelFormat, Rect, SenderId, VideoFrame};

/// Pixels in a row of a marked picture.
pub(crate) const WIDTH: u16 = 32;
/// Rows of a marked picture.
pub(crate) const HEIGHT: u16 = 18;
/// Samples in 20 ms.
pub(crate) const SAMPLES: usize = 960;
/// How many senders have a place in a sound.
pub(crate) const SENDERS: u32 = ((SAMPLES - FADE) / SLOT) as u32;

/// What a frame is.
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

    /// 20 ms of sound with the mark.
    pub(crate) fn sing(self) -> Vec<f32> {
        let mut samples = vec![0.0; SAMPLES];
        let slot = self.sender.get().wrapping_sub(1) % SENDERS;
        let fields = self.to_fields();
        let place = FADE + slot as usize * SLOT;
        for (sample, field) in samples[place..].iter_mut().zip(fields) {
            *sample = field as f32 / SCALE;
        }
        samples
    }

    /// The marks of all who are in a sound.
    pub(crate) fn listen(samples: &[f32]) -> impl Iterator<Item = Self> + '_ {
        let (slots, _) = samples.get(FADE..).unwrap_or_default().as_chunks::<SLOT>();
        slots.iter().filter(|slot| slot[0] != 0.0).filter_map(|slot| {
            let field = |index: usize| (slot[index] * SCALE) as u32;
            Self::from_fields([field(0), field(1), field(2), field(3), field(4)])
        })
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

    const fn to_fields(self) -> [u32; 5] {
        let micros = self.capture.as_micros() as u64;
        let (high, low) = ((micros >> 24) as u32 & FIELD, micros as u32 & FIELD);
        [self.sender.get(), self.number & FIELD, high, low, self.check() & FIELD]
    }

    fn from_fields([sender, number, high, low, check]: [u32; 5]) -> Option<Self> {
        let capture = Duration::from_micros(u64::from(high) << 24 | u64::from(low));
        let mark = Self { sender: SenderId::new(sender), number, capture };
        (mark.check() & FIELD == check).then_some(mark)
    }

    /// Tells a mark from noise and from two marks in one place.
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

/// 5 ms.
const FADE: usize = 240;
const SLOT: usize = 8;
const FIELD: u32 = (1 << 24) - 1;
const SCALE: f32 = (1 << 25) as f32;

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

    #[test]
    fn a_sum_of_sounds_has_all_their_marks() {
        let (one, two) = (mark(1).sing(), mark(SENDERS).sing());
        let sum: Vec<f32> = one.iter().zip(&two).map(|(a, b)| a + b).collect();
        assert_eq!(Vec::from_iter(Mark::listen(&sum)), [mark(1), mark(SENDERS)]);
        let twice: Vec<f32> = one.iter().map(|sample| sample * 2.0).collect();
        assert_eq!(Mark::listen(&twice).count(), 0);
        assert_eq!(Mark::listen(&[0.25; SAMPLES]).count(), 0);
        assert_eq!(Mark::listen(&[]).count(), 0);
    }
}
