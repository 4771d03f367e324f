//! From pixels to cells.

use paceline_types::{GLYPHS, Rect, VideoFrame};

use crate::grid;
use crate::scale::{Plane, Scaler, Target};
use crate::terminal::cell::Cell;
use crate::terminal::palette::Palette;
use crate::terminal::{Area, RenderMode};

/// Scales pictures to cells, in buffers it keeps.
#[derive(Debug, Default)]
pub(crate) struct Painter {
    /// One for luma and one for chroma.
    scalers: [Scaler; 2],
    /// Luma, then both chroma planes at the same size.
    planes: [Vec<u8>; 3],
    width: usize,
}

impl Painter {
    /// Scales `part` of a picture for the cells of `area` that are returned; neither
    /// may be empty, and the picture must have all of `part`.
    pub(crate) fn paint(
        &mut self,
        mode: RenderMode,
        picture: &VideoFrame,
        part: Rect,
        area: Area,
    ) -> Area {
        let room = Rect { x: area.x, y: area.y * 2, width: area.columns, height: area.rows * 2 };
        let tile = grid::fit((part.width, part.height), room, (1, 2));
        let coloured = !matches!(mode, RenderMode::Ascii | RenderMode::Shade);
        self.width = tile.width.into();
        let height = usize::from(if coloured { tile.height } else { tile.height / 2 });
        let target = (self.width, height);

        let (width, left, top) = (picture.width().into(), part.x.into(), part.y.into());
        let luma = Plane { data: picture.y(), width, height: picture.height().into() };
        let size = (usize::from(part.width), usize::from(part.height));
        self.scale(0, luma, (left, top), size, target);
        if coloured {
            let width = picture.chroma_width();
            let size =
                ((left + size.0).div_ceil(2) - left / 2, (top + size.1).div_ceil(2) - top / 2);
            for (plane, data) in [(1, picture.u()), (2, picture.v())] {
                let chroma = Plane { data, width, height: picture.chroma_height() };
                self.scale(plane, chroma, (left / 2, top / 2), size, target);
            }
        }
        Area { x: tile.x, y: tile.y / 2, columns: tile.width, rows: tile.height / 2 }
    }

    fn scale(
        &mut self,
        plane: usize,
        source: Plane<'_>,
        (left, top): (usize, usize),
        size: (usize, usize),
        (width, height): (usize, usize),
    ) {
        let data = &mut self.planes[plane];
        data.resize(width * height, 0);
        let target = Target { data, stride: width, width, height };
        self.scalers[plane.min(1)].scale_part(source, (left, top), size, target);
    }

    /// Makes the cells of one row of what was scaled.
    pub(crate) fn row(&self, mode: RenderMode, palette: &Palette, y: usize, cells: &mut [Cell]) {
        let width = self.width;
        match mode {
            RenderMode::Ascii | RenderMode::Shade => {
                let ramp = if mode == RenderMode::Ascii { &RAMP[..] } else { &SHADES };
                for (cell, &luma) in cells.iter_mut().zip(&self.planes[0][y * width..]) {
                    *cell = Cell { glyph: shade(luma, ramp), ..Cell::BLANK };
                }
            }
            RenderMode::HalfBlock | RenderMode::HalfBlock16 | RenderMode::HalfBlock256 => {
                let upper = self.line(2 * y).map(|yuv| palette.colour(rgb(yuv)));
                let lower = self.line(2 * y + 1).map(|yuv| palette.colour(rgb(yuv)));
                for ((cell, fore), back) in cells.iter_mut().zip(upper).zip(lower) {
                    *cell = Cell { glyph: UPPER_HALF, fore, back };
                }
            }
        }
    }

    fn line(&self, y: usize) -> impl Iterator<Item = [u8; 3]> {
        let [luma, blue, red] =
            [0, 1, 2].map(|plane: usize| &self.planes[plane][y * self.width..][..self.width]);
        luma.iter().zip(blue).zip(red).map(|((&y, &u), &v)| [y, u, v])
    }
}

/// BT.601, limited range, in 8-bit fixed point (ITU-R BT.601-7 §2.5).
fn rgb(yuv: [u8; 3]) -> [u8; 3] {
    let [y, u, v] = yuv.map(i32::from);
    let (y, u, v) = (298 * (y - 16) + 128, u - 128, v - 128);
    [y + 409 * v, y - 100 * u - 208 * v, y + 516 * u]
        .map(|colour| (colour >> 8).clamp(0, 255) as u8)
}

/// The glyph of a ramp as bright as `luma`, which is limited to 16…235.
fn shade(luma: u8, ramp: &[char]) -> char {
    let luma = usize::from(luma.clamp(16, 235) - 16);
    ramp[luma * (ramp.len() - 1) / 219]
}

/// From empty to full: the ASCII glyphs of [`GLYPHS`].
const RAMP: [char; 10] = {
    let mut ramp = [' '; 10];
    let mut i = 1;
    while i < ramp.len() {
        // After the space come three blocks.
        ramp[i] = GLYPHS[i + 3];
        i += 1;
    }
    ramp
};

/// From empty to full (Unicode, Block Elements).
const SHADES: [char; 5] = [' ', '░', '▒', '▓', '█'];

const UPPER_HALF: char = '▀';
