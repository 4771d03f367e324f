//! From pixels to bytes for a terminal.

use paceline_types::{GLYPHS, Rect, VideoFrame};

use crate::grid;
use crate::scale::{Plane, Scaler, Target};

/// What the characters of a picture are.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum RenderMode {
    /// A ramp of ten ASCII characters, without colour: for any terminal.
    Ascii,
    /// Upper halves of a block, two pixels a cell, in 24-bit colour.
    #[default]
    HalfBlock,
}

/// How a [`Renderer`] draws.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct RenderConfig {
    mode: RenderMode,
}

impl RenderConfig {
    /// What the characters are. Defaults to [`RenderMode::HalfBlock`], which a
    /// terminal without 24-bit colour shows wrongly.
    #[must_use]
    pub const fn mode(mut self, mode: RenderMode) -> Self {
        self.mode = mode;
        self
    }
}

/// Draws pictures as characters, in buffers it keeps.
#[derive(Debug)]
pub struct Renderer {
    config: RenderConfig,
    scaler: Scaler,
    /// Luma, then both chroma planes at the same size.
    planes: [Vec<u8>; 3],
    out: Vec<u8>,
}

impl Renderer {
    /// A renderer.
    #[must_use]
    pub fn new(config: RenderConfig) -> Self {
        Self { config, scaler: Scaler::default(), planes: Default::default(), out: Vec::new() }
    }

    /// The bytes that draw `picture` into the upper left `columns` × `rows` of a
    /// terminal, as large as its aspect allows, in the middle; what is beside it
    /// is cleared. A cell counts as twice as high as wide.
    ///
    /// No bytes for a terminal without columns or rows. Of one larger than
    /// 1000 × 500, only that much is used.
    pub fn render(&mut self, picture: &VideoFrame, columns: u16, rows: u16) -> &[u8] {
        self.out.clear();
        let (columns, rows) = (columns.min(MAX_COLUMNS), rows.min(MAX_ROWS));
        if columns == 0 || rows == 0 {
            return &self.out;
        }
        let room = Rect { x: 0, y: 0, width: columns, height: rows * 2 };
        let tile = grid::fit((picture.width(), picture.height()), room, (1, 2));
        self.scale(picture, tile);

        let cells = tile.y / 2..(tile.y + tile.height) / 2;
        for row in 0..rows {
            self.out.extend_from_slice(b"\x1b[");
            decimal(&mut self.out, row + 1);
            self.out.extend_from_slice(b";1H");
            let mut used = 0;
            if cells.contains(&row) {
                self.out.extend((0..tile.x).map(|_| b' '));
                self.draw_row(usize::from(row - cells.start), tile.width.into());
                used = tile.x + tile.width;
            }
            // In the last column the cursor still stands on the last glyph, and
            // clearing to the end would take it away.
            if used < columns {
                self.out.extend_from_slice(b"\x1b[K");
            }
        }
        &self.out
    }

    fn scale(&mut self, picture: &VideoFrame, tile: Rect) {
        let (width, height) = (usize::from(picture.width()), usize::from(picture.height()));
        let (half_width, half_height) = (picture.chroma_width(), picture.chroma_height());
        let luma = Plane { data: picture.y(), width, height };
        let blue = Plane { data: picture.u(), width: half_width, height: half_height };
        let red = Plane { data: picture.v(), width: half_width, height: half_height };
        let (sources, pixels) = match self.config.mode {
            RenderMode::Ascii => (&[luma][..], tile.height / 2),
            RenderMode::HalfBlock => (&[luma, blue, red][..], tile.height),
        };
        let (width, height) = (usize::from(tile.width), usize::from(pixels));
        for (source, plane) in sources.iter().zip(&mut self.planes) {
            plane.resize(width * height, 0);
            self.scaler.scale(*source, Target { data: plane, stride: width, width, height });
        }
    }

    fn draw_row(&mut self, row: usize, width: usize) {
        if self.config.mode == RenderMode::Ascii {
            let luma = &self.planes[0][row * width..][..width];
            self.out.extend(luma.iter().map(|&luma| shade(luma)));
            return;
        }
        let (mut upper, mut lower) = (None, None);
        for x in 0..width {
            let top = self.rgb(2 * row * width + x);
            let bottom = self.rgb((2 * row + 1) * width + x);
            if upper.replace(top) != Some(top) {
                colour(&mut self.out, *b"\x1b[38;2", top);
            }
            if lower.replace(bottom) != Some(bottom) {
                colour(&mut self.out, *b"\x1b[48;2", bottom);
            }
            self.out.extend_from_slice(UPPER_HALF.as_bytes());
        }
        self.out.extend_from_slice(b"\x1b[0m");
    }

    /// BT.601, limited range, in 8-bit fixed point (ITU-R BT.601-7 §2.5).
    fn rgb(&self, pixel: usize) -> [u8; 3] {
        let [y, u, v] = [0, 1, 2].map(|plane: usize| i32::from(self.planes[plane][pixel]));
        let (y, u, v) = (298 * (y - 16) + 128, u - 128, v - 128);
        [y + 409 * v, y - 100 * u - 208 * v, y + 516 * u]
            .map(|colour| (colour >> 8).clamp(0, 255) as u8)
    }
}

/// Sets a colour: `introducer` says of what.
fn colour(out: &mut Vec<u8>, introducer: [u8; 6], rgb: [u8; 3]) {
    let mut code = [b'm'; 6 + 3 * 4 + 1];
    code[..6].copy_from_slice(&introducer);
    let mut len = 6;
    for part in rgb {
        let (text, digits) = PARAMETERS[usize::from(part)];
        code[len..len + 4].copy_from_slice(&text);
        len += 1 + usize::from(digits);
    }
    code[len] = b'm';
    out.extend_from_slice(&code[..=len]);
}

fn decimal(out: &mut Vec<u8>, number: u16) {
    for unit in [1_000, 100, 10] {
        if number >= unit {
            out.push(b'0' + (number / unit % 10) as u8);
        }
    }
    out.push(b'0' + (number % 10) as u8);
}

/// The ASCII glyph as bright as `luma`, which is limited to 16…235.
fn shade(luma: u8) -> u8 {
    let luma = usize::from(luma.clamp(16, 235) - 16);
    RAMP[luma * (RAMP.len() - 1) / 219]
}

/// From empty to full: the ASCII glyphs of [`GLYPHS`].
const RAMP: [u8; 10] = {
    let mut ramp = [b' '; 10];
    let mut i = 1;
    while i < ramp.len() {
        // After the space come three blocks.
        ramp[i] = GLYPHS[i + 3] as u8;
        i += 1;
    }
    ramp
};

/// Each byte as a parameter of a code, `;` and its decimal digits, and how many
/// digits there are. A picture of 200 × 60 cells has up to 72,000 of them, most of
/// its bytes.
static PARAMETERS: [([u8; 4], u8); 256] = {
    let mut table = [([b';'; 4], 1); 256];
    let mut byte = 0;
    while byte < table.len() {
        let digits = if byte < 10 {
            1
        } else if byte < 100 {
            2
        } else {
            3
        };
        let (mut rest, mut place) = (byte, digits);
        while place > 0 {
            table[byte].0[place] = b'0' + (rest % 10) as u8;
            rest /= 10;
            place -= 1;
        }
        table[byte].1 = digits as u8;
        byte += 1;
    }
    table
};

const UPPER_HALF: &str = "▀";

/// More than the largest screen has with the smallest font; it bounds the buffer.
const MAX_COLUMNS: u16 = 1_000;

/// See [`MAX_COLUMNS`].
const MAX_ROWS: u16 = 500;
