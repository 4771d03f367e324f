//! One picture as bytes for a terminal.

use paceline_types::{Rect, VideoFrame};

use crate::terminal::Canvas;

/// What the characters of a picture are.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum RenderMode {
    /// A ramp of ten ASCII characters, without colour: for any terminal.
    Ascii,
    /// Upper halves of a block, two pixels a cell, in 24-bit colour.
    #[default]
    HalfBlock,
    /// The same in the sixteen colours of every colour terminal.
    HalfBlock16,
    /// The same in the palette of 256 that xterm made common.
    HalfBlock256,
    /// `░▒▓█`, without colour: for a terminal that takes UTF-8.
    Shade,
}

/// How a [`Renderer`] draws.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct RenderConfig {
    mode: RenderMode,
}

impl RenderConfig {
    /// What the characters are. Defaults to [`RenderMode::HalfBlock`], which a
    /// terminal without 24-bit colour shows wrongly;
    /// [`TerminalKind::mode`](crate::terminal::TerminalKind::mode) finds a better one.
    #[must_use]
    pub const fn mode(mut self, mode: RenderMode) -> Self {
        self.mode = mode;
        self
    }
}

/// Draws pictures as characters, in buffers it keeps.
///
/// Each frame is a whole one. [`Canvas`] sends only what changed, and has text too.
#[derive(Debug)]
pub struct Renderer {
    canvas: Canvas,
}

impl Renderer {
    /// A renderer.
    #[must_use]
    pub fn new(config: RenderConfig) -> Self {
        Self { canvas: Canvas::new(config.mode) }
    }

    /// The bytes that draw `picture` into the upper left `columns` × `rows` of a
    /// terminal, as large as its aspect allows, in the middle; what is beside it
    /// is cleared. A cell counts as twice as high as wide.
    ///
    /// No bytes for a terminal without columns or rows. Of one larger than
    /// 1000 × 500, only that much is used.
    pub fn render(&mut self, picture: &VideoFrame, columns: u16, rows: u16) -> &[u8] {
        let all = Rect { x: 0, y: 0, width: picture.width(), height: picture.height() };
        self.canvas.forget();
        self.canvas.start(columns, rows);
        if columns > 0 {
            self.canvas.picture(picture, all, self.canvas.area());
            return self.canvas.finish();
        }
        &[]
    }
}
