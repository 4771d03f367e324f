//! The pointer, which is in no picture of the server's.

use paceline_types::Rect;
use x11rb::protocol::xfixes::GetCursorImageReply;

use super::region::{Region, clip, intersection};

/// What the pointer looks like, and where it was drawn.
#[derive(Debug, Default)]
pub(super) struct Cursor {
    /// Alpha, red, green, blue from the highest byte on; colours times alpha.
    pixels: Vec<u32>,
    size: (u16, u16),
    hot: (u16, u16),
    /// Its corner in the picture.
    place: Option<(i32, i32)>,
    /// Where the last picture shows it.
    drawn: Rect,
    /// Its corner there: `drawn` is even, so that a pixel's move may not change it.
    shown: Option<(i32, i32)>,
    changed: bool,
}

impl Cursor {
    /// Takes another look. One that is not what it says, or larger than any, is not drawn.
    pub(super) fn set_image(&mut self, image: GetCursorImageReply) {
        let pixels = usize::from(image.width) * usize::from(image.height);
        let whole = image.cursor_image.len() == pixels;
        let fits = image.width <= MAX_SIDE && image.height <= MAX_SIDE;
        (self.size, self.pixels) = if whole && fits {
            ((image.width, image.height), image.cursor_image)
        } else {
            ((0, 0), Vec::new())
        };
        self.hot = (image.xhot, image.yhot);
        self.changed = true;
    }

    /// Sets where it points in the picture. `None` if it is on another screen.
    pub(super) fn set_place(&mut self, tip: Option<(i32, i32)>) {
        self.place = tip.map(|(x, y)| (x - i32::from(self.hot.0), y - i32::from(self.hot.1)));
    }

    /// Whether it has to be drawn anew in a picture of `size`; if so, `damaged` gets where it
    /// was and where it is.
    pub(super) fn damage(&mut self, size: (u16, u16), damaged: &mut Region) -> bool {
        let now =
            self.place.map_or(Rect::default(), |(x, y)| clip(x, y, self.size.0, self.size.1, size));
        let other = self.changed || self.place != self.shown;
        let changed = now != self.drawn || (other && now != Rect::default());
        self.changed = false;
        if changed {
            damaged.add(intersection(self.drawn, super::canvas::whole(size)));
            damaged.add(now);
            self.drawn = now;
            self.shown = self.place;
        }
        changed
    }

    /// Draws what of it lies in `rect` of the picture, whose `pixels` these are.
    pub(super) fn draw(&self, pixels: &mut [u8], rect: Rect) {
        let Some((left, top)) = self.place else { return };
        let part = intersection(self.drawn, rect);
        for y in part.y..part.y.saturating_add(part.height) {
            for x in part.x..part.x.saturating_add(part.width) {
                let (column, row) = (i32::from(x) - left, i32::from(y) - top);
                // What is drawn was made even: it may be a pixel larger on each side.
                let inside = (0..i32::from(self.size.0)).contains(&column)
                    && (0..i32::from(self.size.1)).contains(&row);
                if !inside {
                    continue;
                }
                let from = row as usize * usize::from(self.size.0) + column as usize;
                let to =
                    usize::from(y - rect.y) * usize::from(rect.width) + usize::from(x - rect.x);
                if let (Some(&source), Some(target)) =
                    (self.pixels.get(from), pixels.get_mut(to * 4..to * 4 + 3))
                {
                    blend(source, target);
                }
            }
        }
    }
}

/// Source over target; the source's colours are already times its alpha.
fn blend(source: u32, target: &mut [u8]) {
    let [blue, green, red, alpha] = source.to_le_bytes();
    for (target, source) in target.iter_mut().zip([blue, green, red]) {
        let below = (u32::from(*target) * u32::from(255 - alpha) + 127) / 255;
        *target = source.saturating_add(below as u8);
    }
}

/// No server gives larger ones; the largest of common themes have 256.
const MAX_SIDE: u16 = 512;

#[cfg(test)]
mod tests {
    use super::*;

    fn image(width: u16, height: u16, pixels: Vec<u32>) -> GetCursorImageReply {
        GetCursorImageReply {
            width,
            height,
            xhot: 1,
            yhot: 1,
            cursor_image: pixels,
            ..Default::default()
        }
    }

    #[test]
    fn a_moved_pointer_damages_where_it_was_and_where_it_is() {
        let mut cursor = Cursor::default();
        cursor.set_image(image(2, 2, vec![0xff00_00ff; 4]));
        cursor.set_place(Some((11, 11)));
        let mut damaged = Region::default();
        assert!(cursor.damage((640, 480), &mut damaged));
        assert_eq!(damaged.rects(), [Rect { x: 10, y: 10, width: 2, height: 2 }]);

        let mut damaged = Region::default();
        assert!(!cursor.damage((640, 480), &mut damaged), "it is where it was");
        cursor.set_place(Some((401, 301)));
        assert!(cursor.damage((640, 480), &mut damaged));
        assert_eq!(damaged.rects().len(), 2);
        cursor.set_place(None);
        let mut damaged = Region::default();
        assert!(cursor.damage((640, 480), &mut damaged), "it has left");
        assert_eq!(damaged.rects(), [Rect { x: 400, y: 300, width: 2, height: 2 }]);
    }

    #[test]
    fn a_pointer_that_moves_by_one_pixel_within_even_ones_is_drawn_anew() {
        let mut cursor = Cursor::default();
        cursor.set_image(image(3, 1, vec![!0; 3]));
        let row = |cursor: &mut Cursor, tip| {
            cursor.set_place(Some((tip, 1)));
            let mut damaged = Region::default();
            let drawn = cursor.damage((64, 64), &mut damaged);
            let rect = Rect { x: 10, y: 0, width: 4, height: 2 };
            assert!(damaged.rects().iter().all(|&damaged| damaged == rect), "{damaged:?}");
            let mut pixels = [0; 32];
            cursor.draw(&mut pixels, rect);
            (drawn, pixels.chunks(4).take(4).map(|pixel| pixel[0]).collect::<Vec<_>>())
        };
        assert_eq!(row(&mut cursor, 11), (true, vec![255, 255, 255, 0]));
        assert_eq!(row(&mut cursor, 12), (true, vec![0, 255, 255, 255]));
        assert!(!row(&mut cursor, 12).0, "it is where it was");
        assert_eq!(row(&mut cursor, 11), (true, vec![255, 255, 255, 0]));
        // Far off the picture it may move as it likes.
        for (tip, drawn) in [(-50, true), (-60, false)] {
            cursor.set_place(Some((tip, 1)));
            assert_eq!(cursor.damage((64, 64), &mut Region::default()), drawn);
        }
    }

    #[test]
    fn what_hangs_off_an_edge_is_cut_there() {
        let mut cursor = Cursor::default();
        cursor.set_image(image(2, 2, vec![0xff01_0203, 0xff04_0506, 0xff07_0809, 0xff0a_0b0c]));
        cursor.set_place(Some((0, 0)));
        let mut damaged = Region::default();
        assert!(cursor.damage((4, 4), &mut damaged));
        let rect = damaged.rects()[0];
        assert_eq!(rect, Rect { x: 0, y: 0, width: 2, height: 2 });
        let mut pixels = [0; 16];
        cursor.draw(&mut pixels, rect);
        assert_eq!(pixels[..3], [0x0c, 0x0b, 0x0a], "its last pixel is at the corner");
        assert!(pixels[4..].iter().all(|&byte| byte == 0));
    }

    #[test]
    fn half_transparent_is_half_of_each() {
        let mut target = [200, 100, 0];
        blend(0x8000_4000, &mut target);
        assert_eq!(target, [100, 64 + 50, 0]);
        blend(0xffff_ffff, &mut target);
        assert_eq!(target, [255, 255, 255]);
        // One that is not times its alpha is a server's lie, and saturates.
        blend(0x00ff_ffff, &mut target);
        assert_eq!(target, [255, 255, 255]);
    }

    #[test]
    fn an_image_that_is_not_what_it_says_is_not_drawn() {
        for (width, height, pixels) in [(2, 2, vec![!0; 3]), (600, 1, vec![!0; 600])] {
            let mut cursor = Cursor::default();
            cursor.set_image(image(width, height, pixels));
            cursor.set_place(Some((5, 5)));
            assert!(!cursor.damage((64, 64), &mut Region::default()));
        }
    }
}
