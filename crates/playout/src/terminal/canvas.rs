//! A screen of pictures and text, of which only what changed is sent.

use paceline_types::{Rect, VideoFrame};

use crate::terminal::RenderMode;
use crate::terminal::cell::{Cell, Pen, is_of_one_column};
use crate::terminal::painter::Painter;
use crate::terminal::palette::Palette;
use crate::terminal::sanitize::{columns_of, sanitize};

/// Cells of a terminal: `x` columns from the left, `y` rows from the top.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Area {
    /// Columns left of it.
    pub x: u16,
    /// Rows above it.
    pub y: u16,
    /// Columns in it.
    pub columns: u16,
    /// Rows in it.
    pub rows: u16,
}

/// How text looks. Where there is no colour all look the same: what they mean has
/// to be in the text too.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Style {
    /// White on black, to be read on a picture.
    Label,
    /// Black on green: who speaks.
    Marked,
    /// In the terminal's own colours.
    #[default]
    Plain,
}

/// A screen that pictures and text are put on, one frame after the other.
///
/// | group | calls |
/// |---|---|
/// | a frame begins | [`start`](Self::start) |
/// | what is on it, later over earlier | [`picture`](Self::picture), [`text`](Self::text) |
/// | its bytes | [`finish`](Self::finish) |
/// | the terminal was written to by others | [`forget`](Self::forget) |
///
/// ```
/// use paceline_playout::terminal::{Canvas, RenderMode, Style};
///
/// let mut canvas = Canvas::new(RenderMode::Ascii);
/// canvas.start(8, 1);
/// canvas.text(0, 0, 8, "Ann \x1b[2J", Style::Plain);
/// assert_eq!(canvas.finish(), b"\x1b[1;1HAnn [2J\x1b[K");
///
/// canvas.start(8, 1);
/// canvas.text(0, 0, 8, "Ben [2J", Style::Plain);
/// assert_eq!(canvas.finish(), b"\x1b[1;1HBe");
/// ```
#[derive(Debug)]
pub struct Canvas {
    mode: RenderMode,
    columns: usize,
    rows: usize,
    cells: Vec<Cell>,
    /// What the terminal shows, unless it is not known.
    shown: Vec<Cell>,
    known: bool,
    /// Rows with a glyph of which terminals disagree how wide it is, in both.
    uneven: [Vec<bool>; 2],
    palette: Palette,
    painter: Painter,
    pen: Pen,
}

impl Canvas {
    /// A screen without cells: [`start`](Self::start) gives it some.
    #[must_use]
    pub fn new(mode: RenderMode) -> Self {
        Self {
            mode,
            columns: 0,
            rows: 0,
            cells: Vec::new(),
            shown: Vec::new(),
            known: false,
            uneven: Default::default(),
            palette: Palette::new(mode),
            painter: Painter::default(),
            pen: Pen::default(),
        }
    }

    /// Begins a frame that is empty, for a terminal of `columns` × `rows`. Of one
    /// larger than 1000 × 500, only that much is used. Another size than before
    /// makes it a whole frame again.
    pub fn start(&mut self, columns: u16, rows: u16) {
        let size = (columns.min(MAX_COLUMNS).into(), rows.min(MAX_ROWS).into());
        if size != (self.columns, self.rows) {
            (self.columns, self.rows) = size;
            self.known = false;
        }
        self.cells.clear();
        self.cells.resize(self.columns * self.rows, Cell::BLANK);
        self.uneven[0].clear();
        self.uneven[0].resize(self.rows, false);
    }

    /// The whole screen.
    #[must_use]
    pub fn area(&self) -> Area {
        Area { x: 0, y: 0, columns: self.columns as u16, rows: self.rows as u16 }
    }

    /// Puts `part` of a picture into `area`, as large as its aspect allows, in the
    /// middle; says which cells it took. A cell counts as twice as high as wide.
    ///
    /// What of `part` is not in the picture is left out, and what of `area` is not
    /// on the screen. If nothing remains, nothing is drawn.
    pub fn picture(&mut self, picture: &VideoFrame, part: Rect, area: Area) -> Area {
        let area = self.clip(area);
        let part = clip_part(picture, part);
        if area.columns == 0 || area.rows == 0 || part.width == 0 || part.height == 0 {
            return Area { columns: 0, rows: 0, ..area };
        }
        let taken = self.painter.paint(self.mode, picture, part, area);
        for y in 0..usize::from(taken.rows) {
            let start = (usize::from(taken.y) + y) * self.columns + usize::from(taken.x);
            let cells = &mut self.cells[start..][..taken.columns.into()];
            self.painter.row(self.mode, &self.palette, y, cells);
        }
        taken
    }

    /// Puts text into a row, [sanitized](sanitize) and cut off after `columns` or
    /// at the edge of the screen; says how many columns it took. In
    /// [`RenderMode::Ascii`] a `?` stands for what is not ASCII.
    pub fn text(&mut self, x: u16, y: u16, columns: u16, text: &str, style: Style) -> u16 {
        let room = self.clip(Area { x, y, columns, rows: 1 });
        if room.rows == 0 {
            return 0;
        }
        let (fore, back) = match style {
            Style::Label => ([255; 3], [0; 3]),
            Style::Marked => ([0; 3], [0, 255, 0]),
            Style::Plain => ([0; 3], [0; 3]),
        };
        let mut blank = Cell::BLANK;
        if style != Style::Plain {
            (blank.fore, blank.back) = (self.palette.colour(fore), self.palette.colour(back));
        }
        let start = usize::from(y) * self.columns + usize::from(x);
        let mut used = 0;
        let text = sanitize(text, room.columns.into());
        for glyph in text.chars() {
            let glyph =
                if self.mode == RenderMode::Ascii && !glyph.is_ascii() { '?' } else { glyph };
            self.uneven[0][usize::from(y)] |= !is_of_one_column(glyph);
            for reach in 0..columns_of(glyph) {
                let glyph = if reach == 0 { glyph } else { Cell::REACHED };
                self.cells[start + used] = Cell { glyph, ..blank };
                used += 1;
            }
        }
        used as u16
    }

    /// The bytes that make the terminal show this frame. Those of the frame before
    /// must have been written.
    pub fn finish(&mut self) -> &[u8] {
        self.pen.start();
        for y in 0..self.rows {
            let row = y * self.columns..(y + 1) * self.columns;
            if self.uneven[0][y] {
                blank_what_is_half(&mut self.cells[row.clone()]);
            }
            // One glyph may lie on the cells of others: such rows are drawn as a whole.
            let even = self.known && !self.uneven[0][y] && !self.uneven[1][y];
            let shown = even.then(|| &self.shown[row.clone()]);
            self.pen.row(y, &self.cells[row], shown);
        }
        self.shown.clone_from(&self.cells);
        let [uneven, uneven_shown] = &mut self.uneven;
        uneven_shown.clone_from(uneven);
        self.known = true;
        &self.pen.out
    }

    /// What the terminal shows is not known any more: the next frame is a whole one.
    pub fn forget(&mut self) {
        self.known = false;
    }

    fn clip(&self, area: Area) -> Area {
        Area {
            columns: area.columns.min((self.columns as u16).saturating_sub(area.x)),
            rows: area.rows.min((self.rows as u16).saturating_sub(area.y)),
            ..area
        }
    }
}

/// Of a wide glyph of which something else covered one cell, nothing is left.
fn blank_what_is_half(cells: &mut [Cell]) {
    for x in 0..cells.len() {
        let reached = |x: usize| cells.get(x).is_some_and(|cell| cell.glyph == Cell::REACHED);
        let glyph = cells[x].glyph;
        let is_half = if glyph == Cell::REACHED {
            x == 0 || columns_of(cells[x - 1].glyph) == 1
        } else {
            columns_of(glyph) == 2 && !reached(x + 1)
        };
        if is_half {
            cells[x].glyph = ' ';
        }
    }
}

fn clip_part(picture: &VideoFrame, part: Rect) -> Rect {
    Rect {
        width: part.width.min(picture.width().saturating_sub(part.x)),
        height: part.height.min(picture.height().saturating_sub(part.y)),
        ..part
    }
}

/// More than the largest screen has with the smallest font; it bounds the buffer.
const MAX_COLUMNS: u16 = 1_000;

/// See [`MAX_COLUMNS`].
const MAX_ROWS: u16 = 500;
