//! The cells of a terminal, and the bytes that turn one screen into another.

use crate::terminal::palette::{Colour, Ground};

/// One cell.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Cell {
    pub(crate) glyph: char,
    pub(crate) fore: Colour,
    pub(crate) back: Colour,
}

impl Cell {
    pub(crate) const BLANK: Self = Self { glyph: ' ', fore: Colour::OWN, back: Colour::OWN };

    /// What stands in a cell that the glyph before it may reach into.
    pub(crate) const REACHED: char = '\0';
}

/// The bytes that are sent, and where that leaves the terminal.
#[derive(Debug, Default)]
pub(crate) struct Pen {
    pub(crate) out: Vec<u8>,
    /// Where the next glyph goes, if that is known.
    place: Option<(usize, usize)>,
    fore: Colour,
    back: Colour,
}

impl Pen {
    pub(crate) fn start(&mut self) {
        self.out.clear();
        self.place = None;
        (self.fore, self.back) = (Colour::OWN, Colour::OWN);
    }

    /// Draws a row of cells where another was shown, or where anything may be.
    pub(crate) fn row(&mut self, y: usize, cells: &[Cell], shown: Option<&[Cell]>) {
        if shown == Some(cells) {
            return;
        }
        let changed = |x: usize| shown.is_none_or(|shown| shown[x] != cells[x]);
        // From here on there is nothing: one code clears it.
        let end = cells.iter().rposition(|cell| *cell != Cell::BLANK).map_or(0, |last| last + 1);
        for x in (0..end).filter(|&x| changed(x)) {
            self.cell((x, y), cells[x], cells.get(x + 1));
        }
        self.reset();
        // In the last column the cursor still stands on the last glyph, and clearing
        // to the end would take it away.
        if end < cells.len() && (end..cells.len()).any(changed) {
            self.go_to((end, y));
            self.out.extend_from_slice(b"\x1b[K");
        }
    }

    fn cell(&mut self, place: (usize, usize), cell: Cell, next: Option<&Cell>) {
        if cell.glyph == Cell::REACHED {
            return;
        }
        self.go_to(place);
        if (cell.fore, cell.back) != (self.fore, self.back) {
            if (cell.fore, cell.back) == (Colour::OWN, Colour::OWN) {
                self.reset();
            }
            if cell.fore != self.fore {
                cell.fore.emit(&mut self.out, Ground::Fore);
            }
            if cell.back != self.back {
                cell.back.emit(&mut self.out, Ground::Back);
            }
            (self.fore, self.back) = (cell.fore, cell.back);
        }
        let width = 1 + usize::from(next.is_some_and(|next| next.glyph == Cell::REACHED));
        if is_of_one_column(cell.glyph) {
            self.glyph(cell.glyph);
            self.place = Some((place.0 + 1, place.1));
            return;
        }
        // Terminals disagree on how many columns it takes: what it may not cover is
        // cleared before, and the next glyph gets its place anew.
        self.out.extend((0..width).map(|_| b' '));
        self.place = None;
        self.go_to(place);
        self.glyph(cell.glyph);
        self.place = None;
    }

    fn go_to(&mut self, place: (usize, usize)) {
        if self.place == Some(place) {
            return;
        }
        self.out.extend_from_slice(b"\x1b[");
        self.decimal(place.1 + 1);
        self.out.push(b';');
        self.decimal(place.0 + 1);
        self.out.push(b'H');
        self.place = Some(place);
    }

    fn reset(&mut self) {
        if (self.fore, self.back) != (Colour::OWN, Colour::OWN) {
            self.out.extend_from_slice(b"\x1b[0m");
            (self.fore, self.back) = (Colour::OWN, Colour::OWN);
        }
    }

    fn glyph(&mut self, glyph: char) {
        self.out.extend_from_slice(glyph.encode_utf8(&mut [0; 4]).as_bytes());
    }

    fn decimal(&mut self, number: usize) {
        for unit in [1_000, 100, 10] {
            if number >= unit {
                self.out.push(b'0' + (number / unit % 10) as u8);
            }
        }
        self.out.push(b'0' + (number % 10) as u8);
    }
}

/// Latin up to U+02FF, and the blocks, lines and shades of U+2500 to U+259F, as
/// pictures and frames are made of.
pub(crate) fn is_of_one_column(glyph: char) -> bool {
    matches!(glyph, '\0'..'\u{300}' | '\u{2500}'..'\u{25a0}')
}
