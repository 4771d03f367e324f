//! What is painted.

use paceline_types::Rect;

use super::{Picture, Scene};

/// A part of the desktop that becomes another.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Change {
    /// As a part of a picture that the server has.
    Copy {
        /// Which of [`Scene::stock`].
        stock: usize,
        /// Where in it the part begins: column and row.
        from: (u16, u16),
        /// Where it goes, and how large it is.
        area: Rect,
    },
    /// As these pixels.
    Put {
        /// Where its left upper corner goes.
        at: (u16, u16),
        /// The pixels.
        picture: Picture,
    },
}

impl Change {
    /// What becomes another.
    #[must_use]
    pub const fn area(&self) -> Rect {
        match self {
            Self::Copy { area, .. } => *area,
            Self::Put { at, picture } => {
                let (width, height) = (picture.width as u16, picture.height as u16);
                Rect { x: at.0, y: at.1, width, height }
            }
        }
    }

    /// Does it in memory.
    pub fn apply(&self, scene: &Scene, screen: &mut Picture) {
        match self {
            Self::Copy { stock, from, area } => screen.copy(&scene.stock()[*stock], *from, *area),
            Self::Put { picture, .. } => screen.copy(picture, (0, 0), self.area()),
        }
    }
}
