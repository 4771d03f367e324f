//! What lies below.

use paceline_types::Rect;

use super::{HEIGHT, Picture, WIDTH, text};

/// A wallpaper, a bar, and two windows of text.
pub(super) fn desktop() -> Picture {
    let mut picture = Picture::new(WIDTH.into(), HEIGHT.into(), 0);
    let width = picture.width;
    for (row, pixels) in picture.pixels.chunks_exact_mut(width).enumerate() {
        for (column, pixel) in pixels.iter_mut().enumerate() {
            let (x, y) = (column as u32 * 60 / 1_920, row as u32 * 90 / 1_080);
            *pixel = (30 + x) << 16 | (50 + y) << 8 | (110 + y);
        }
    }
    picture.fill(Rect { x: 0, y: 0, width: WIDTH, height: 64 }, 0x2b_2b_30);
    text::write(&mut picture, (16, 24), (40, 1), 16, [0x2b_2b_30, 0xee_ee_ee], 11);
    window(&mut picture, Rect { x: 80, y: 120, width: 800, height: 700 }, 21);
    window(&mut picture, Rect { x: 960, y: 360, width: 880, height: 640 }, 22);
    picture
}

/// A title, and lines of text in dark on white.
fn window(picture: &mut Picture, area: Rect, seed: u32) {
    picture.fill(area, 0xfa_fa_fa);
    picture.fill(Rect { height: 32, ..area }, 0x3c_50_78);
    let at = |x: u16, y: u16| (usize::from(area.x + x), usize::from(area.y + y));
    text::write(picture, at(16, 8), (30, 1), 16, [0x3c_50_78, 0xff_ff_ff], seed);
    let (columns, lines) = (usize::from(area.width) / 8 - 4, (usize::from(area.height) - 64) / 20);
    text::write(picture, at(16, 48), (columns, lines), 20, [0xfa_fa_fa, 0x20_20_28], 100 * seed);
}
