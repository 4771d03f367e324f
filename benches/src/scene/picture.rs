//! Pixels.

use bytes::Bytes;
use paceline_types::{Frequency, MediaTime, NtpTime, Rect, VideoFrame};
use yuv::{BufferStoreMut, YuvConversionMode, YuvPlanarImageMut, YuvRange, YuvStandardMatrix};

/// Pixels as an X server of depth 24 has them: blue, green, red and a byte of nothing.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Picture {
    /// Pixels in a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Row by row, 0x00RRGGBB.
    pub pixels: Vec<u32>,
}

impl Picture {
    /// All of one colour.
    #[must_use]
    pub fn new(width: usize, height: usize, colour: u32) -> Self {
        Self { width, height, pixels: vec![colour; width * height] }
    }

    /// The bytes in memory.
    #[must_use]
    pub fn bgra(&self) -> Vec<u8> {
        self.pixels.iter().flat_map(|pixel| pixel.to_le_bytes()).collect()
    }

    /// A part of it.
    ///
    /// # Panics
    ///
    /// If it is not inside.
    #[must_use]
    pub fn part(&self, area: Rect) -> Self {
        let mut part = Self::new(area.width.into(), area.height.into(), 0);
        let whole = Rect { x: 0, y: 0, ..area };
        part.copy(self, (area.x, area.y), whole);
        part
    }

    /// As an encoder takes it: I420, BT.601, limited range.
    ///
    /// # Panics
    ///
    /// If a side is odd or has more than 65,535 pixels.
    #[must_use]
    pub fn frame(&self) -> VideoFrame {
        let side = |side: usize| u16::try_from(side).ok().filter(|side| side.is_multiple_of(2));
        let (Some(width), Some(height)) = (side(self.width), side(self.height)) else {
            panic!("{} x {} is odd", self.width, self.height)
        };
        let mut planes = vec![0; to_i420_len(self.width, self.height)];
        to_i420(&self.bgra(), width, height, &mut planes);
        let time = MediaTime::new(0, Frequency::VIDEO);
        VideoFrame::new(width, height, time, NtpTime::default(), Bytes::from(planes))
            .expect("the planes are of this size")
    }

    pub(super) fn fill(&mut self, area: Rect, colour: u32) {
        for row in area.y..area.y + area.height {
            let begin = usize::from(row) * self.width + usize::from(area.x);
            self.pixels[begin..begin + usize::from(area.width)].fill(colour);
        }
    }

    pub(super) fn copy(&mut self, source: &Self, from: (u16, u16), area: Rect) {
        let len = usize::from(area.width);
        for row in 0..usize::from(area.height) {
            let to = (usize::from(area.y) + row) * self.width + usize::from(area.x);
            let from = (usize::from(from.1) + row) * source.width + usize::from(from.0);
            self.pixels[to..to + len].copy_from_slice(&source.pixels[from..from + len]);
        }
    }
}

/// Bytes of the planes of such a picture.
#[must_use]
pub const fn to_i420_len(width: usize, height: usize) -> usize {
    width * height + 2 * width.div_ceil(2) * height.div_ceil(2)
}

/// BGRA to I420, BT.601, limited range: what every screen source does.
///
/// # Panics
///
/// If a slice is too short for the size.
pub fn to_i420(bgra: &[u8], width: u16, height: u16, planes: &mut [u8]) {
    let (y, chroma) = planes.split_at_mut(usize::from(width) * usize::from(height));
    let (u, v) = chroma.split_at_mut(chroma.len() / 2);
    let chroma_stride = u32::from(width).div_ceil(2);
    let mut image = YuvPlanarImageMut {
        y_plane: BufferStoreMut::Borrowed(y),
        y_stride: width.into(),
        u_plane: BufferStoreMut::Borrowed(u),
        u_stride: chroma_stride,
        v_plane: BufferStoreMut::Borrowed(v),
        v_stride: chroma_stride,
        width: width.into(),
        height: height.into(),
    };
    yuv::bgra_to_yuv420(
        &mut image,
        bgra,
        4 * u32::from(width),
        YuvRange::Limited,
        YuvStandardMatrix::Bt601,
        YuvConversionMode::Balanced,
    )
    .expect("planes and pixels are of this size");
}
