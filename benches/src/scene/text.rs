//! Something like text: words of letters made of strokes.

use std::sync::LazyLock;

use super::Picture;

/// Pixels of a letter's cell: columns and rows.
pub(super) const CELL: (usize, usize) = (8, 16);

/// Writes lines of words into a part of a picture.
pub(super) fn write(
    picture: &mut Picture,
    (left, top): (usize, usize),
    (columns, lines): (usize, usize),
    pitch: usize,
    colours: [u32; 2],
    seed: u32,
) {
    for line in 0..lines {
        let length = columns - (hash(seed, line as u32) as usize % columns.div_ceil(2));
        for column in 0..length {
            if let Some(letter) = letter(seed.wrapping_add(line as u32), column as u32) {
                let at = (left + column * CELL.0, top + line * pitch);
                draw(picture, at, letter, colours);
            }
        }
    }
}

/// What is at a place of a line; `None` between words.
pub(super) fn letter(line: u32, column: u32) -> Option<usize> {
    let random = hash(line, column);
    (!random.is_multiple_of(6)).then_some((random >> 8) as usize % LETTERS)
}

/// Draws a letter: the colours are those of the ground and of the ink.
pub(super) fn draw(
    picture: &mut Picture,
    (left, top): (usize, usize),
    letter: usize,
    [ground, ink]: [u32; 2],
) {
    let shape = &SHAPES[letter];
    for row in 0..CELL.1 {
        let begin = (top + row) * picture.width + left;
        let pixels = &mut picture.pixels[begin..begin + CELL.0];
        for (pixel, &cover) in pixels.iter_mut().zip(&shape[row * CELL.0..]) {
            *pixel = blend(ground, ink, cover);
        }
    }
}

/// The same numbers for everybody.
pub(super) const fn hash(a: u32, b: u32) -> u32 {
    let mut x = a.wrapping_mul(0x9e37_79b1) ^ b.wrapping_mul(0x85eb_ca77);
    x = (x ^ (x >> 15)).wrapping_mul(0x2c1b_3c6d);
    x = (x ^ (x >> 12)).wrapping_mul(0x297a_2d39);
    x ^ (x >> 15)
}

fn blend(ground: u32, ink: u32, cover: u8) -> u32 {
    let of = |shift: u32| {
        let (ground, ink) = (ground >> shift & 0xff, ink >> shift & 0xff);
        (ground * (255 - u32::from(cover)) + ink * u32::from(cover)) / 255
    };
    of(16) << 16 | of(8) << 8 | of(0)
}

/// How much of each pixel is ink, with soft edges as a font has.
static SHAPES: LazyLock<Vec<[u8; CELL.0 * CELL.1]>> = LazyLock::new(|| {
    (0..LETTERS as u32)
        .map(|letter| {
            let mut strokes = hash(letter, 0x5eed) as usize;
            // Two strokes at least.
            strokes |= 1 << (letter as usize % STROKES.len())
                | 1 << ((letter as usize * 3 + 1) % STROKES.len());
            std::array::from_fn(|at| {
                let (x, y) = ((at % CELL.0) as f32 + 0.5, (at / CELL.0) as f32 + 0.5);
                let drawn = STROKES.iter().enumerate().filter(|(n, _)| strokes >> (2 * n) & 3 == 3);
                let near = drawn.map(|(_, stroke)| distance((x, y), *stroke));
                let near = near.fold(f32::MAX, f32::min);
                ((1.3 - near).clamp(0.0, 1.0) * 255.0) as u8
            })
        })
        .collect()
});

fn distance((x, y): (f32, f32), [left, top, right, bottom]: [f32; 4]) -> f32 {
    let (dx, dy) = (right - left, bottom - top);
    let along = ((x - left) * dx + (y - top) * dy) / (dx * dx + dy * dy);
    let along = along.clamp(0.0, 1.0);
    (x - left - along * dx).hypot(y - top - along * dy)
}

/// Letters there are.
const LETTERS: usize = 64;

/// From and to, as on a display of sixteen segments.
const STROKES: [[f32; 4]; 12] = [
    [1.5, 3.0, 1.5, 7.5],
    [1.5, 7.5, 1.5, 12.0],
    [6.0, 3.0, 6.0, 7.5],
    [6.0, 7.5, 6.0, 12.0],
    [1.5, 3.0, 6.0, 3.0],
    [1.5, 7.5, 6.0, 7.5],
    [1.5, 12.0, 6.0, 12.0],
    [1.5, 3.0, 6.0, 12.0],
    [1.5, 12.0, 6.0, 3.0],
    [3.7, 3.0, 3.7, 12.0],
    [1.5, 7.5, 3.7, 12.0],
    [3.7, 7.5, 6.0, 3.0],
];
