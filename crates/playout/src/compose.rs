//! The picture of everybody: a canvas on which only what changes is drawn.

use bytes::Bytes;
use paceline_types::{PixelFormat, Rect, VideoFrame};

use crate::grid;
use crate::scale::{Plane, Scaler, Target};

/// The canvas, with all tiles as they were drawn last.
#[derive(Debug)]
pub(crate) struct Canvas {
    size: (u16, u16),
    planes: Vec<u8>,
    scaler: Scaler,
    /// The planes as they were handed out, while nothing has been drawn since.
    shared: Option<Bytes>,
}

impl Canvas {
    pub(crate) fn new(size: (u16, u16)) -> Self {
        let planes = vec![NEUTRAL; PixelFormat::I420.bytes(size.0, size.1)];
        let mut canvas = Self { size, planes, scaler: Scaler::default(), shared: None };
        canvas.clear();
        canvas
    }

    /// Paints all of it with the background.
    pub(crate) fn clear(&mut self) {
        self.fill(Rect { x: 0, y: 0, width: self.size.0, height: self.size.1 }, BACKGROUND);
    }

    /// Draws what a source shows into its cell; where its picture lies now. That
    /// is empty if there is none, as `drawn`, where the last one lay, may be.
    pub(crate) fn draw(&mut self, cell: Rect, drawn: Rect, picture: Option<&VideoFrame>) -> Rect {
        let Some(picture) = picture else {
            self.fill(cell, NO_PICTURE);
            return Rect::default();
        };
        let tile = grid::fit((picture.width(), picture.height()), cell, (2, 2));
        if tile != drawn {
            self.fill(cell, BACKGROUND);
        }
        self.shared = None;
        let (width, height) = (usize::from(picture.width()), usize::from(picture.height()));
        let (half_width, half_height) = (picture.chroma_width(), picture.chroma_height());
        let sources = [
            Plane { data: picture.y(), width, height },
            Plane { data: picture.u(), width: half_width, height: half_height },
            Plane { data: picture.v(), width: half_width, height: half_height },
        ];
        for (plane, source) in sources.into_iter().enumerate() {
            let (target, scaler) = self.target(plane, tile);
            scaler.scale(source, target);
        }
        tile
    }

    /// The canvas as it is; shared as long as nothing changes.
    pub(crate) fn planes(&mut self) -> Bytes {
        self.shared.get_or_insert_with(|| Bytes::copy_from_slice(&self.planes)).clone()
    }

    fn fill(&mut self, rect: Rect, luma: u8) {
        self.shared = None;
        for (plane, value) in [luma, NEUTRAL, NEUTRAL].into_iter().enumerate() {
            let (target, _) = self.target(plane, rect);
            for line in target.data.chunks_mut(target.stride).take(target.height) {
                line[..target.width].fill(value);
            }
        }
    }

    /// A rectangle of a plane: 0 is luma, 1 and 2 are chroma.
    fn target(&mut self, plane: usize, rect: Rect) -> (Target<'_>, &mut Scaler) {
        let shift = usize::from(plane > 0);
        let (width, height) = (usize::from(self.size.0), usize::from(self.size.1));
        let start = [0, width * height, width * height * 5 / 4][plane];
        let stride = width >> shift;
        let first = (usize::from(rect.y) >> shift) * stride + (usize::from(rect.x) >> shift);
        let target = Target {
            data: &mut self.planes[start + first..],
            stride,
            width: usize::from(rect.width) >> shift,
            height: usize::from(rect.height) >> shift,
        };
        (target, &mut self.scaler)
    }
}

/// Dark grey, luma of limited range (16 is black): what no picture covers.
const BACKGROUND: u8 = 32;

/// A lighter grey: the cell of somebody who shows no picture.
const NO_PICTURE: u8 = 64;

/// Chroma without colour.
const NEUTRAL: u8 = 128;
