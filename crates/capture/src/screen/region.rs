//! A few rectangles that together hold all that has changed.

use paceline_types::Rect;

/// At most [`MAX_RECTS`] rectangles in a picture, at even places and of even sizes, as
/// chroma wants them. They may overlap.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Region {
    rects: [Rect; MAX_RECTS],
    len: usize,
}

impl Region {
    /// One rectangle.
    pub(super) fn of(rect: Rect) -> Self {
        let mut region = Self::default();
        region.add(rect);
        region
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(super) fn rects(&self) -> &[Rect] {
        &self.rects[..self.len]
    }

    /// Pixels, those of overlaps more than once.
    pub(super) fn area(&self) -> u64 {
        self.rects().iter().map(|&rect| area(rect)).sum()
    }

    /// Adds a rectangle, and joins those that cost less together than apart.
    pub(super) fn add(&mut self, rect: Rect) {
        if area(rect) == 0 {
            return;
        }
        let mut joined = rect;
        loop {
            let price =
                |other: Rect| area(union(joined, other)).saturating_sub(area(joined) + area(other));
            let cheapest = (0..self.len).min_by_key(|&at| price(self.rects[at]));
            match cheapest {
                Some(at) if self.len == MAX_RECTS || price(self.rects[at]) <= REQUEST_PRICE => {
                    joined = union(joined, self.rects[at]);
                    self.len -= 1;
                    self.rects[at] = self.rects[self.len];
                }
                _ => break,
            }
        }
        self.rects[self.len] = joined;
        self.len += 1;
    }

    /// Adds all of another.
    pub(super) fn join(&mut self, other: &Self) {
        for &rect in other.rects() {
            self.add(rect);
        }
    }

    /// What of it lies within `bounds`.
    pub(super) fn within(&self, bounds: Rect) -> Self {
        let mut inside = Self::default();
        for &rect in self.rects() {
            inside.add(intersection(rect, bounds));
        }
        // Rectangles that overlap can be more to grab than the one around them.
        let around = inside.rects().iter().copied().reduce(union).unwrap_or_default();
        if inside.area() > area(around) { Self::of(around) } else { inside }
    }
}

/// The part of a rectangle that lies in a picture of `size`, made even: outwards, as far as
/// the picture goes. Of no pixels if there is none.
pub(super) fn clip(x: i32, y: i32, width: u16, height: u16, size: (u16, u16)) -> Rect {
    let side = |at: i32, len: u16, end: u16| {
        let end = i32::from(end & !1);
        let from = at.clamp(0, end) & !1;
        let to = (at.saturating_add(i32::from(len)).clamp(0, end) + 1) & !1;
        // Both are within 0…65,534.
        (from as u16, (to - from).max(0) as u16)
    };
    let ((x, width), (y, height)) = (side(x, width, size.0), side(y, height, size.1));
    if width == 0 || height == 0 { Rect::default() } else { Rect { x, y, width, height } }
}

pub(super) fn intersection(one: Rect, other: Rect) -> Rect {
    let side = |a: u16, a_len: u16, b: u16, b_len: u16| {
        let from = a.max(b);
        (from, a.saturating_add(a_len).min(b.saturating_add(b_len)).saturating_sub(from))
    };
    let (x, width) = side(one.x, one.width, other.x, other.width);
    let (y, height) = side(one.y, one.height, other.y, other.height);
    if width == 0 || height == 0 { Rect::default() } else { Rect { x, y, width, height } }
}

fn union(one: Rect, other: Rect) -> Rect {
    let side = |a: u16, a_len: u16, b: u16, b_len: u16| {
        let from = a.min(b);
        (from, a.saturating_add(a_len).max(b.saturating_add(b_len)) - from)
    };
    let (x, width) = side(one.x, one.width, other.x, other.width);
    let (y, height) = side(one.y, one.height, other.y, other.height);
    Rect { x, y, width, height }
}

pub(super) fn area(rect: Rect) -> u64 {
    u64::from(rect.width) * u64::from(rect.height)
}

/// Enough to keep a clock in one corner from a pointer in another, and few enough that to
/// look through them costs nothing.
pub(super) const MAX_RECTS: usize = 4;
/// So many pixels more are grabbed and converted in the time that one more request takes:
/// about 10 µs, at 0.6 ns a pixel (1.22 ms for 1080p, `design/media.md`).
const REQUEST_PRICE: u64 = 1 << 14;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PICTURE: (u16, u16) = (640, 480);

    fn holds(region: &Region, x: u16, y: u16) -> bool {
        region.rects().iter().any(|rect| {
            (rect.x..rect.x + rect.width).contains(&x)
                && (rect.y..rect.y + rect.height).contains(&y)
        })
    }

    proptest! {
        /// Whatever is added, no pixel of it is forgotten, all is even, and within the
        /// picture, and no more is grabbed than the picture has.
        #[test]
        fn all_that_was_damaged_is_held_in_even_rectangles(
            parts in prop::collection::vec(
                (-700_i32..1_400, -500_i32..1_000, any::<u16>(), any::<u16>()), 1..20,
            ),
            point in (0..PICTURE.0, 0..PICTURE.1),
        ) {
            let mut region = Region::default();
            let mut hit = false;
            for (x, y, width, height) in parts {
                let (width, height) = (width % 300, height % 300);
                region.add(clip(x, y, width, height, PICTURE));
                let (at_x, at_y) = (i32::from(point.0), i32::from(point.1));
                hit |= (x..x + i32::from(width)).contains(&at_x)
                    && (y..y + i32::from(height)).contains(&at_y);
            }
            let whole = Rect { x: 0, y: 0, width: PICTURE.0, height: PICTURE.1 };
            let region = region.within(whole);
            prop_assert!(!hit || holds(&region, point.0, point.1));
            prop_assert!(region.area() <= area(whole));
            for rect in region.rects() {
                prop_assert!((rect.x | rect.y | rect.width | rect.height) & 1 == 0);
                prop_assert_eq!(intersection(*rect, whole), *rect);
                prop_assert!(area(*rect) > 0);
            }
        }
    }

    #[test]
    fn far_corners_stay_apart_and_neighbours_are_joined() {
        let corner = |x, y| Rect { x, y, width: 20, height: 20 };
        let mut region = Region::of(corner(0, 0));
        region.add(corner(600, 400));
        assert_eq!(region.rects().len(), 2);
        region.add(corner(20, 0));
        assert_eq!(region.rects().len(), 2);
        assert_eq!(region.area(), 400 + 800);
    }
}
