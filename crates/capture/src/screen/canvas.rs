//! The picture, kept up to date where it changes.

use bytes::{Bytes, BytesMut};
use paceline_types::{PixelFormat, Rect};

use super::region::{Region, area, intersection};

/// Pictures of one size that are written again once nobody has them.
///
/// The latest is up to date. If nobody else has it, what changed is written into it, and if
/// someone does, into one of before: that one knows what it has missed, and gets it from the
/// latest. So each costs what has changed, and not what there is.
pub(super) struct Canvas {
    size: (u16, u16),
    sheets: Vec<Sheet>,
    /// Index of the sheet that is up to date.
    latest: Option<usize>,
    copied: u64,
}

struct Sheet {
    planes: Bytes,
    /// Where the latest is newer.
    stale: Region,
}

impl Canvas {
    pub(super) fn new(size: (u16, u16)) -> Self {
        Self { size, sheets: Vec::with_capacity(MAX_SHEETS), latest: None, copied: 0 }
    }

    pub(super) fn size(&self) -> (u16, u16) {
        self.size
    }

    /// Pixels copied from one sheet to another so far.
    pub(super) fn copied(&self) -> u64 {
        self.copied
    }

    /// The picture with `paint` applied, which writes `damaged` and nothing else.
    pub(super) fn paint(&mut self, damaged: &Region, paint: impl FnOnce(&mut Planes<'_>)) -> Bytes {
        let at = self.free_sheet();
        let mut buffer = match std::mem::take(&mut self.sheets[at].planes).try_into_mut() {
            Ok(buffer) => buffer,
            // Nobody has it, or we would not be here; a copy is right in any case.
            Err(shared) => BytesMut::from(&shared[..]),
        };
        let mut planes = Planes::of(&mut buffer, self.size);
        if let Some(latest) = self.latest
            && latest != at
        {
            let source = &self.sheets[latest].planes;
            for &rect in self.sheets[at].stale.rects() {
                // Not what is painted over.
                if damaged.rects().iter().any(|&over| intersection(over, rect) == rect) {
                    continue;
                }
                planes.copy(source, rect);
                self.copied += area(rect);
            }
        }
        paint(&mut planes);
        let planes = buffer.freeze();
        for (index, sheet) in self.sheets.iter_mut().enumerate() {
            if index != at {
                sheet.stale.join(damaged);
            }
        }
        self.sheets[at] = Sheet { planes: planes.clone(), stale: Region::default() };
        self.latest = Some(at);
        planes
    }

    /// A sheet that nobody reads: the latest, or another, or a new one.
    fn free_sheet(&mut self) -> usize {
        let free = |at: &usize| self.sheets[*at].planes.is_unique();
        let by_cost = self.latest.into_iter().chain(0..self.sheets.len());
        if let Some(at) = by_cost.into_iter().find(free) {
            return at;
        }
        let sheet = Sheet { planes: blank(self.size), stale: Region::of(whole(self.size)) };
        if self.sheets.len() < MAX_SHEETS {
            self.sheets.push(sheet);
            return self.sheets.len() - 1;
        }
        // All are with slow readers: one is left to its own. Not the latest, which is copied.
        let at = usize::from(self.latest == Some(0));
        self.sheets[at] = sheet;
        at
    }
}

/// The three planes of a picture that is written.
pub(super) struct Planes<'a> {
    pub(super) y: &'a mut [u8],
    pub(super) u: &'a mut [u8],
    pub(super) v: &'a mut [u8],
    width: usize,
}

impl<'a> Planes<'a> {
    fn of(buffer: &'a mut [u8], size: (u16, u16)) -> Self {
        let (width, height) = (usize::from(size.0), usize::from(size.1));
        let (y, chroma) = buffer.split_at_mut(width * height);
        let (u, v) = chroma.split_at_mut(width * height / 4);
        Self { y, u, v, width }
    }

    /// Bytes in a row of luma.
    pub(super) fn width(&self) -> usize {
        self.width
    }

    /// Copies a part of a picture of the same size.
    fn copy(&mut self, source: &[u8], rect: Rect) {
        let (y, chroma) = source.split_at(self.y.len());
        let (u, v) = chroma.split_at(self.u.len());
        copy_rows(self.y, y, self.width, rect);
        let half =
            Rect { x: rect.x / 2, y: rect.y / 2, width: rect.width / 2, height: rect.height / 2 };
        copy_rows(self.u, u, self.width / 2, half);
        copy_rows(self.v, v, self.width / 2, half);
    }
}

fn copy_rows(to: &mut [u8], from: &[u8], stride: usize, rect: Rect) {
    let (x, width) = (usize::from(rect.x), usize::from(rect.width));
    let (y, height) = (usize::from(rect.y), usize::from(rect.height));
    if width == stride {
        let rows = y * stride..(y + height) * stride;
        to[rows.clone()].copy_from_slice(&from[rows]);
        return;
    }
    for row in y..y + height {
        let at = row * stride + x;
        to[at..at + width].copy_from_slice(&from[at..at + width]);
    }
}

/// A black picture.
fn blank(size: (u16, u16)) -> Bytes {
    let len = PixelFormat::I420.bytes(size.0, size.1);
    // Split once, a buffer counts its clones from the start, and does not have to allocate for
    // that each time it is shared.
    let mut buffer = BytesMut::zeroed(len + 1);
    drop(buffer.split_off(len));
    let planes = Planes::of(&mut buffer, size);
    planes.y.fill(BLACK);
    planes.u.fill(NEUTRAL);
    planes.v.fill(NEUTRAL);
    buffer.freeze()
}

pub(super) fn whole(size: (u16, u16)) -> Rect {
    Rect { x: 0, y: 0, width: size.0, height: size.1 }
}

/// The one that is made, the queue before the encoder, the encoder's, a preview's, and one for
/// a reader that is late: all beyond are allocated for a time.
const MAX_SHEETS: usize = 5;
/// Limited range (ITU-R BT.601).
const BLACK: u8 = 16;
const NEUTRAL: u8 = 128;
