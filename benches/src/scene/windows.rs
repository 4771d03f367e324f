//! What moves above.

use paceline_types::Rect;

use super::text::{self, CELL, hash};
use super::{Change, Picture};

/// Where the page is that scrolls.
pub(super) const PAGE: Rect = Rect { x: 320, y: 120, width: 1_280, height: 880 };

/// Where the film is.
pub(super) const FILM: Rect = Rect { x: 320, y: 180, width: 1_280, height: 720 };

/// Pictures of the film until it begins again: 0.8 s. An encoder that keeps one picture
/// cannot make use of it.
pub(super) const LOOP: u32 = 24;

/// The whole page, of which a part is seen.
pub(super) fn page() -> Picture {
    let mut page = Picture::new(PAGE.width.into(), PAGE_ROWS, 0xff_ff_ff);
    let size = (page.width / CELL.0 - 8, PAGE_ROWS / PITCH);
    text::write(&mut page, (32, 3), size, PITCH, [0xff_ff_ff, 0x22_22_22], 300);
    page
}

/// The first row of the page that is seen: up and down again.
pub(super) fn page_row(number: u32) -> u16 {
    swing(8 * number, PAGE_ROWS as u32 - u32::from(PAGE.height))
}

/// The window that is dragged.
pub(super) fn dragged() -> Picture {
    let mut window = Picture::new(DRAGGED.0.into(), DRAGGED.1.into(), 0xfd_f6_e3);
    window.fill(Rect { x: 0, y: 0, width: DRAGGED.0, height: 32 }, 0x8a_3c_3c);
    text::write(&mut window, (16, 8), (30, 1), 16, [0x8a_3c_3c, 0xff_ff_ff], 400);
    text::write(&mut window, (16, 48), (94, 26), 20, [0xfd_f6_e3, 0x40_40_38], 401);
    window
}

/// Where it is: 14 columns and 6 rows further with each number.
pub(super) fn dragged_area(number: u32) -> Rect {
    let (x, y) = (swing(14 * number, 1_000), swing(6 * number, 300));
    Rect { x: 60 + x, y: 120 + y, width: DRAGGED.0, height: DRAGGED.1 }
}

/// One picture of a film: shapes that move over a ground that moves, and noise. It is a
/// circle of [`LOOP`].
pub(super) fn film(number: u32, (width, height): (u16, u16)) -> Picture {
    let mut film = Picture::new(width.into(), height.into(), 0);
    // Whole turns, so that the last picture leads to the first.
    let turn = (number % LOOP) as f32 / LOOP as f32 * std::f32::consts::TAU;
    let scale = f32::from(height) / 720.0;
    let discs = [(0.0, 300.0, 90.0), (2.1, 220.0, 60.0), (4.2, 120.0, 140.0)].map(
        |(phase, reach, size)| {
            let (x, y) = ((turn + phase).cos(), (turn + phase).sin());
            let middle = (f32::from(width) / 2.0, f32::from(height) / 2.0);
            (middle.0 + scale * reach * x, middle.1 + scale * 0.8 * reach * y, scale * size)
        },
    );
    let width = film.width;
    for (row, pixels) in film.pixels.chunks_exact_mut(width).enumerate() {
        let wave = (row as f32 / (90.0 * scale) + turn).sin();
        for (column, pixel) in pixels.iter_mut().enumerate() {
            let (x, y) = (column as f32, row as f32);
            let ground = 110.0 + 50.0 * (wave + x / (160.0 * scale) - turn).sin();
            let inside = discs.iter().position(|&(at_x, at_y, size)| {
                (x - at_x).powi(2) + (y - at_y).powi(2) < size * size
            });
            let [red, green, blue] = match inside {
                Some(0) => [200.0, 120.0, 60.0],
                Some(1) => [70.0, 150.0, 200.0],
                Some(_) => [ground + 60.0, ground, 90.0],
                None => [ground, ground + 20.0, 160.0 - ground / 2.0],
            };
            let noise = (hash(number * 4_096 + row as u32, column as u32) % NOISE) as f32;
            let byte = |value: f32| (value + noise - NOISE as f32 / 2.0).clamp(0.0, 255.0) as u32;
            *pixel = byte(red) << 16 | byte(green) << 8 | byte(blue);
        }
    }
    film
}

/// The whole terminal.
pub(super) fn typed(number: u32) -> Vec<Change> {
    let mut picture = Picture::new(8 * COLUMNS, 16 * LINES, TERMINAL[0]);
    text::write(&mut picture, (0, 0), (COLUMNS, FIRST_LINE), 16, TERMINAL, 500);
    let mut changes = vec![Change::Put { at: AT, picture }];
    changes.extend((0..PLACES).map(|place| cell(place, number)));
    changes
}

/// What typing changes: the last character, and the carets before and after it.
pub(super) fn typing(number: u32) -> Vec<Change> {
    let now = count(number);
    let cells = [(now + PLACES - 1) % PLACES, now % PLACES].map(|place| {
        let (before, after) = (cell(place, number.saturating_sub(1)), cell(place, number));
        (before != after).then_some(after)
    });
    cells.into_iter().flatten().collect()
}

/// What is at a place in the lines that are typed.
fn cell(place: u32, number: u32) -> Change {
    let count = count(number);
    let mut picture = Picture::new(CELL.0, CELL.1, TERMINAL[0]);
    let turns = (count + PLACES - 1 - place) / PLACES;
    if place == count % PLACES && (number / BLINK).is_multiple_of(2) {
        picture.pixels.fill(TERMINAL[1]);
    } else if turns > 0
        && let Some(letter) = text::letter(600 + turns, place)
    {
        text::draw(&mut picture, (0, 0), letter, TERMINAL);
    }
    let (column, line) = (place as usize % COLUMNS, FIRST_LINE + place as usize / COLUMNS);
    Change::Put { at: (AT.0 + 8 * column as u16, AT.1 + 16 * line as u16), picture }
}

/// Characters typed so far: ten a second.
const fn count(number: u32) -> u32 {
    number / 3
}

/// From 0 to `reach` and back again, a pixel for each of `at`.
const fn swing(at: u32, reach: u32) -> u16 {
    let at = at % (2 * reach);
    (if at < reach { at } else { 2 * reach - at }) as u16
}

/// Rows of the page, and of a line of it.
const PAGE_ROWS: usize = 4_400;
const PITCH: usize = 22;

const DRAGGED: (u16, u16) = (800, 600);

/// Values that a pixel of the film is off by: a webcam's noise in a room, by eye.
const NOISE: u32 = 13;

/// The terminal: where it is, its size in characters, ground and ink, and what is typed in.
const AT: (u16, u16) = (160, 160);
const COLUMNS: usize = 120;
const LINES: usize = 40;
const TERMINAL: [u32; 2] = [0x1e_1e_1e, 0xd4_d4_d4];
const FIRST_LINE: usize = 34;
const PLACES: u32 = (COLUMNS * (LINES - FIRST_LINE)) as u32;

/// Numbers between which the caret comes or goes: half a second.
const BLINK: u32 = 15;
