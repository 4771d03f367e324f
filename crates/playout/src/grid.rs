//! Where in the mix each picture lies.
//!
//! One source has it all, two lie side by side, from three on it is the smallest
//! square of cells that holds them: row by row, by ascending id. All edges are
//! even, for the chroma planes have half the size.

use paceline_types::Rect;

/// The cell of source `index` out of `count` in a mix of `size`.
pub(crate) fn cell(index: usize, count: usize, size: (u16, u16)) -> Rect {
    let columns = (1..).find(|side| side * side >= count).unwrap_or(1);
    let rows = if count == 2 { 1 } else { columns };
    let (x, width) = span(index % columns, columns, size.0);
    let (y, height) = span(index / columns, rows, size.1);
    Rect { x, y, width, height }
}

/// The largest rectangle of the aspect of `picture` in the middle of `room`,
/// its sides being multiples of `align` (as those of `room` must be).
pub(crate) fn fit(picture: (u16, u16), room: Rect, align: (u16, u16)) -> Rect {
    let (w, h) = (u64::from(picture.0), u64::from(picture.1));
    let (room_w, room_h) = (u64::from(room.width), u64::from(room.height));
    let (width, height) = if w * room_h >= h * room_w {
        (room.width, nearest(h * room_w, w, align.1).min(room.height))
    } else {
        (nearest(w * room_h, h, align.0).min(room.width), room.height)
    };
    Rect {
        x: room.x + (room.width - width) / 2 / align.0 * align.0,
        y: room.y + (room.height - height) / 2 / align.1 * align.1,
        width,
        height,
    }
}

/// Start and length of part `index` out of `count` of a side.
fn span(index: usize, count: usize, side: u16) -> (u16, u16) {
    let edge = |index| (index * usize::from(side) / count) as u16 & !1;
    (edge(index), edge(index + 1) - edge(index))
}

/// The multiple of `align` that is nearest to the fraction, and not zero.
fn nearest(numerator: u64, denominator: u64, align: u16) -> u16 {
    let unit = denominator * u64::from(align);
    let steps = (2 * numerator + unit) / (2 * unit);
    (steps.max(1) * u64::from(align)) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn rect(x: u16, y: u16, width: u16, height: u16) -> Rect {
        Rect { x, y, width, height }
    }

    #[test]
    fn the_grid_grows_by_squares() {
        // How many sources, and where the last one lies.
        let table = [
            (1, rect(0, 0, 640, 360)),
            (2, rect(320, 0, 320, 360)),
            (3, rect(0, 180, 320, 180)),
            (4, rect(320, 180, 320, 180)),
            (5, rect(212, 120, 214, 120)),
            (9, rect(426, 240, 214, 120)),
            (10, rect(160, 180, 160, 90)),
            (16, rect(480, 270, 160, 90)),
            (17, rect(128, 216, 128, 72)),
            (32, rect(106, 300, 106, 60)),
        ];
        for (count, last) in table {
            assert_eq!(cell(count - 1, count, (640, 360)), last, "{count} sources");
        }
    }

    #[test]
    fn cells_are_even_and_do_not_overlap_in_any_mix() {
        for size in [(16, 16), (640, 360), (1_918, 1_078)] {
            for count in 1..=32 {
                let cells: Vec<_> = (0..count).map(|index| cell(index, count, size)).collect();
                for (i, a) in cells.iter().enumerate() {
                    assert!(a.width >= 2 && a.height >= 2);
                    assert_eq!((a.x | a.y | a.width | a.height) % 2, 0);
                    assert!(a.x + a.width <= size.0 && a.y + a.height <= size.1);
                    for b in &cells[..i] {
                        let apart_x = b.x + b.width <= a.x || a.x + a.width <= b.x;
                        let apart_y = b.y + b.height <= a.y || a.y + a.height <= b.y;
                        assert!(apart_x || apart_y, "{a:?} and {b:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_picture_of_any_shape_fits_its_cell() {
        let sides = [1, 2, 3, 7, 90, 360, 641, 1_920, 65_535];
        for room in [rect(10, 20, 2, 2), rect(0, 0, 640, 360), rect(106, 300, 106, 60)] {
            for (w, h) in sides.iter().flat_map(|&w| sides.map(|h| (w, h))) {
                let tile = fit((w, h), room, (2, 2));
                assert_eq!((tile.x | tile.y | tile.width | tile.height) % 2, 0);
                assert!(tile.width >= 2 && tile.height >= 2);
                assert!(tile.x >= room.x && tile.x + tile.width <= room.x + room.width);
                assert!(tile.y >= room.y && tile.y + tile.height <= room.y + room.height);
                assert!(tile.width == room.width || tile.height == room.height);
            }
        }
    }

    #[test]
    fn the_aspect_is_kept() {
        let room = rect(0, 0, 320, 360);
        assert_eq!(fit((1_280, 720), room, (2, 2)), rect(0, 90, 320, 180));
        assert_eq!(fit((9, 16), room, (2, 2)), rect(58, 0, 202, 360));
    }
}
