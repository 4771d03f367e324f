//! Which size keeps the shape of a picture.

use crate::size::MIN_SIDE;

/// The largest size within `room`, width and height, that has the shape of `size`, with
/// even sides; `size` itself, made even, if it is within already.
///
/// A side that would come out below 16, the least that encoders take, is 16; a room of
/// less is taken as that much. What has no pixels is returned as it is.
///
/// ```
/// use paceline_codec::fit;
///
/// assert_eq!(fit((1_920, 1_080), (1_280, 1_280)), (1_280, 720));
/// assert_eq!(fit((640, 480), (320, 180)), (240, 180));
/// assert_eq!(fit((641, 361), (1_280, 720)), (640, 360));
/// ```
#[must_use]
pub fn fit((width, height): (u16, u16), room: (u16, u16)) -> (u16, u16) {
    let room = (even(room.0.max(MIN_SIDE)), even(room.1.max(MIN_SIDE)));
    if width == 0 || height == 0 {
        return (width, height);
    }
    if width <= room.0 && height <= room.1 {
        return (even(width), even(height));
    }
    let scale = (f64::from(room.0) / f64::from(width)).min(f64::from(room.1) / f64::from(height));
    let side = |side: u16, most: u16| {
        let halves = (f64::from(side) * scale / 2.0).round() as u16;
        // A long thin picture may not become too thin for an encoder.
        (halves * 2).max(MIN_SIDE).min(most).min(even(side))
    };
    (side(width, room.0), side(height, room.1))
}

/// The next smaller even side. One that no encoder takes stays what it is.
pub(crate) const fn even(side: u16) -> u16 {
    if side < MIN_SIDE { side } else { side & !1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fits_keeps_its_shape_and_is_even() {
        for (from, room, to) in [
            ((480, 270), (320, 180), (320, 180)),
            ((640, 480), (320, 180), (240, 180)),
            ((100, 300), (320, 180), (60, 180)),
            ((3_840, 16), (320, 180), (320, 16)),
            ((320, 180), (480, 270), (320, 180)),
            ((1_081, 721), (1_920, 1_080), (1_080, 720)),
            ((1_920, 1_080), (321, 181), (320, 180)),
        ] {
            assert_eq!(fit(from, room), to, "{from:?} in {room:?}");
        }
    }

    #[test]
    fn no_size_and_no_room_is_too_odd_for_it() {
        let sides = [0, 1, 15, 16, 17, 640, 3_839, 65_535];
        for size in sides.iter().flat_map(|&w| sides.map(|h| (w, h))) {
            for room in sides.iter().flat_map(|&w| sides.map(|h| (w, h))) {
                let (width, height) = fit(size, room);
                if size.0 == 0 || size.1 == 0 {
                    assert_eq!((width, height), size);
                    continue;
                }
                assert!(width <= size.0 && height <= size.1, "{size:?} in {room:?}");
                assert!(
                    width <= room.0.max(16) && height <= room.1.max(16),
                    "{size:?} in {room:?}"
                );
                assert!(
                    width >= size.0.min(16) && height >= size.1.min(16),
                    "{size:?} in {room:?}"
                );
            }
        }
    }
}
