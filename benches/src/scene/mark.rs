//! The picture's number, to be read off it at the other end.

use bytes::Bytes;
use paceline_capture::clapper::{self, Mark};
use paceline_types::{Frequency, MediaTime, NtpTime, PixelFormat, Rect, VideoFrame};

use super::{Change, Picture};

/// Where it is.
pub const MARK: Rect = Rect { x: 1_584, y: 16, width: TILE.0, height: TILE.1 / 6 };

/// The number that a picture of the desktop says, modulo 65,536.
#[must_use]
pub fn number(frame: &VideoFrame) -> Option<u16> {
    let tile = Rect { x: MARK.x, y: MARK.y, width: TILE.0, height: TILE.1 };
    clapper::read(frame, tile).map(|mark| mark.frame)
}

pub(super) fn change(number: u32) -> Change {
    let grey = Bytes::from(vec![128; PixelFormat::I420.bytes(TILE.0, TILE.1)]);
    let time = MediaTime::new(0, Frequency::VIDEO);
    let tile = VideoFrame::new(TILE.0, TILE.1, time, NtpTime::default(), grey)
        .expect("the planes are of this size");
    // When it is painted is known to whoever paints it: the time in the mark is always 0.
    let marked = clapper::burn(tile, Mark { frame: number as u16, capture: NtpTime::default() });
    let len = usize::from(MARK.width) * usize::from(MARK.height);
    let pixels = marked.y()[..len].iter().map(|&y| if y > 128 { 0xff_ff_ff } else { 0 });
    let picture =
        Picture { width: MARK.width.into(), height: MARK.height.into(), pixels: pixels.collect() };
    Change::Put { at: (MARK.x, MARK.y), picture }
}

/// A mark is in the upper sixth of its tile, in cells of 16 × 10 pixels.
const TILE: (u16, u16) = (320, 180);
