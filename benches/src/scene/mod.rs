//! Desktops that move by a script: the picture of each number is known to the pixel.
//!
//! | scene | what moves | how much of 1920 × 1080 |
//! |---|---|---|
//! | [`Kind::Idle`] | nothing | 0 |
//! | [`Kind::Typing`] | a character and a caret in a terminal | 0.02 % |
//! | [`Kind::Scroll`] | a page of text, 8 rows up or down | 54 % |
//! | [`Kind::Video`] | a window of movement and noise | 44 % |
//! | [`Kind::Drag`] | a window of text over others | 25 % |
//!
//! All but the idle one show, in 320 × 30 pixels, a clapper mark with the picture's number.
//! Numbers stand for 1/30 s, whatever time they are painted at.
//!
//! ```
//! use paceline_benches::scene::{Kind, Scene};
//!
//! let typing = Scene::new(Kind::Typing);
//! let mut screen = typing.picture(0);
//! for change in typing.changes(1) {
//!     change.apply(&typing, &mut screen);
//! }
//! assert!(screen == typing.picture(1));
//! ```

mod change;
mod desktop;
mod mark;
mod picture;
mod text;
mod windows;

pub use self::change::Change;
pub use self::mark::{MARK, number};
pub use self::picture::{Picture, to_i420, to_i420_len};

use paceline_types::Rect;

/// Pixels in a row of the desktop.
pub const WIDTH: u16 = 1_920;

/// Rows of the desktop.
pub const HEIGHT: u16 = 1_080;

/// What moves.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Kind {
    /// A window of text that is moved about.
    Drag,
    /// Nothing.
    Idle,
    /// A page of text that goes up and down.
    Scroll,
    /// Somebody types.
    Typing,
    /// A film: movement everywhere in its window, and noise.
    Video,
}

/// A picture of a film that fills it: what a camera sees. It begins again after 24.
#[must_use]
pub fn film(number: u32, size: (u16, u16)) -> Picture {
    windows::film(number, size)
}

/// A desktop and its script.
#[derive(Debug)]
pub struct Scene {
    kind: Kind,
    /// What copies are made from; the first is the desktop itself.
    stock: Vec<Picture>,
}

impl Scene {
    /// Draws what the scene is made of: takes up to a second.
    #[must_use]
    pub fn new(kind: Kind) -> Self {
        let mut stock = vec![desktop::desktop()];
        match kind {
            Kind::Drag => stock.push(windows::dragged()),
            Kind::Idle | Kind::Typing => {}
            Kind::Scroll => stock.push(windows::page()),
            Kind::Video => {
                stock.extend((0..windows::LOOP).map(|number| {
                    windows::film(number, (windows::FILM.width, windows::FILM.height))
                }))
            }
        }
        Self { kind, stock }
    }

    /// What moves.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// Pictures to copy from, by their place in [`Change::Copy`]. The first is the desktop.
    #[must_use]
    pub fn stock(&self) -> &[Picture] {
        &self.stock
    }

    /// All that is to be seen at `number`.
    #[must_use]
    pub fn picture(&self, number: u32) -> Picture {
        let mut picture = self.stock[0].clone();
        let all = match self.kind {
            Kind::Typing => windows::typed(number),
            Kind::Drag | Kind::Idle | Kind::Scroll | Kind::Video => self.windows(number),
        };
        let mark = if self.kind == Kind::Idle { 0 } else { number };
        for change in all.into_iter().chain([mark::change(mark)]) {
            change.apply(self, &mut picture);
        }
        picture
    }

    /// What makes the picture of `number` of the one before; to be made all at once.
    #[must_use]
    pub fn changes(&self, number: u32) -> Vec<Change> {
        let mut changes = match self.kind {
            Kind::Idle => return Vec::new(),
            Kind::Typing => windows::typing(number),
            Kind::Drag => {
                let area = windows::dragged_area(number.saturating_sub(1));
                vec![Change::Copy { stock: 0, from: (area.x, area.y), area }]
            }
            Kind::Scroll | Kind::Video => Vec::new(),
        };
        changes.extend(self.windows(number));
        changes.push(mark::change(number));
        changes
    }

    /// The window that moves, whole.
    fn windows(&self, number: u32) -> Vec<Change> {
        let copy =
            |stock: usize, from: (u16, u16), area: Rect| vec![Change::Copy { stock, from, area }];
        match self.kind {
            Kind::Idle | Kind::Typing => Vec::new(),
            Kind::Drag => copy(1, (0, 0), windows::dragged_area(number)),
            Kind::Scroll => copy(1, (0, windows::page_row(number)), windows::PAGE),
            Kind::Video => copy(1 + (number % windows::LOOP) as usize, (0, 0), windows::FILM),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KINDS: [Kind; 5] = [Kind::Idle, Kind::Typing, Kind::Scroll, Kind::Video, Kind::Drag];

    #[test]
    fn step_by_step_a_scene_shows_the_picture_of_each_number() {
        for kind in KINDS {
            let scene = Scene::new(kind);
            let mut screen = scene.picture(0);
            for number in 1..=40 {
                for change in scene.changes(number) {
                    change.apply(&scene, &mut screen);
                }
                assert!(screen == scene.picture(number), "{kind:?} {number}");
            }
        }
    }

    #[test]
    fn a_picture_says_its_number_and_an_idle_one_always_the_first() {
        for kind in KINDS {
            let scene = Scene::new(kind);
            for at in [0, 1, 77, 900] {
                let expected = if kind == Kind::Idle { 0 } else { at };
                let frame = scene.picture(at).frame();
                assert_eq!(number(&frame), Some(expected as u16), "{kind:?}");
            }
        }
    }

    #[test]
    fn nothing_is_painted_over_the_mark() {
        let apart = |area: Rect| {
            area.x + area.width <= MARK.x
                || area.x >= MARK.x + MARK.width
                || area.y >= MARK.y + MARK.height
        };
        for kind in KINDS {
            let scene = Scene::new(kind);
            for number in 1..2_000 {
                let mut changes = scene.changes(number);
                let mark = changes.pop();
                assert!(kind == Kind::Idle || mark.is_some_and(|mark| mark.area() == MARK));
                assert!(changes.iter().all(|change| apart(change.area())), "{kind:?} {number}");
            }
        }
    }
}
