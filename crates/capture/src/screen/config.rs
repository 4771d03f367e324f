//! How screens and windows are captured, and what was done.

use paceline_types::DeviceKind;

use crate::CaptureError;

/// How a [`Screen`](super::Screen) is captured.
///
/// ```
/// use paceline_capture::ScreenConfig;
///
/// let config = ScreenConfig::default().display(":1").frame_rate(15.0).cursor(false);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct ScreenConfig {
    pub(super) cursor: bool,
    pub(super) damage: bool,
    pub(super) display: Option<String>,
    pub(super) frame_rate: f64,
    pub(super) redirect: bool,
    pub(super) shared_memory: bool,
}

impl ScreenConfig {
    /// Whether the pointer is drawn into the pictures. Defaults to `true`.
    ///
    /// It is drawn where it is, also over a window that hides the captured one there. To move
    /// it is a change of the picture. A pointer that a program has hidden is drawn all the same.
    #[must_use]
    pub const fn cursor(mut self, drawn: bool) -> Self {
        self.cursor = drawn;
        self
    }

    /// Whether the server is asked what has changed (the extension XDamage). Defaults to `true`.
    ///
    /// Without, each picture is grabbed and converted whole, none is ever "as before", and an
    /// idle desktop costs as much as a busy one.
    #[must_use]
    pub const fn damage(mut self, asked: bool) -> Self {
        self.damage = asked;
        self
    }

    /// The X server, as `$DISPLAY` names it (`:0`). Defaults to what `$DISPLAY` says.
    #[must_use]
    pub fn display(mut self, display: impl Into<String>) -> Self {
        self.display = Some(display.into());
        self
    }

    /// Pictures a second, at most. Defaults to 30: a desktop is mostly still, and the goals of
    /// CPU time are for this rate.
    ///
    /// Held to 1…120; what is not a number is the default. The source does not pace itself: it
    /// says the rate, and whoever reads it does.
    #[must_use]
    pub const fn frame_rate(mut self, rate: f64) -> Self {
        self.frame_rate = if rate.is_nan() { FRAME_RATE } else { rate.clamp(1.0, 120.0) };
        self
    }

    /// Whether a window is drawn apart from the screen (the extension Composite), so that it is
    /// captured whole where others hide it or it hangs off the screen. Defaults to `true`.
    ///
    /// Without, what hides it is captured in its place, and what is off the screen is black.
    #[must_use]
    pub const fn redirect(mut self, apart: bool) -> Self {
        self.redirect = apart;
        self
    }

    /// Whether pictures come through memory that is shared with the server (the extension
    /// MIT-SHM 1.2). Defaults to `true`.
    ///
    /// Without, and with servers on other machines always, they come over the socket: 18 ms of
    /// CPU time for each of 1080p instead of 1.2 (measured, `design/media.md`).
    #[must_use]
    pub const fn shared_memory(mut self, shared: bool) -> Self {
        self.shared_memory = shared;
        self
    }
}

impl Default for ScreenConfig {
    fn default() -> Self {
        Self {
            cursor: true,
            damage: true,
            display: None,
            frame_rate: FRAME_RATE,
            redirect: true,
            shared_memory: true,
        }
    }
}

/// What a [`Screen`](super::Screen) did since it was opened.
///
/// Each read ends in one of three: a picture, nothing because it is unchanged, or nothing
/// because the last is held. One that ends in an error is counted nowhere.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct ScreenStats {
    /// Reads that gave a picture.
    pub pictures: u64,
    /// Reads that gave nothing because nothing had changed. Not those that had nothing to grab:
    /// these are [`held`](Self::held).
    pub unchanged: u64,
    /// Reads that gave nothing because nothing could be grabbed: the window was unmapped, off
    /// the screen, smaller than 16 × 16 or too large, or changed its size in between.
    pub held: u64,
    /// Rectangles asked of the server, also those it then refused.
    pub grabs: u64,
    /// Pixels grabbed for the [`pictures`](Self::pictures). Not those of grabs that failed.
    pub grabbed_pixels: u64,
    /// Times memory was shared with the server: once, and again when the picture outgrew it or
    /// became much smaller. Not the times it refused.
    pub segments: u64,
    /// Pictures that came over the socket for want of shared memory.
    pub over_socket: u64,
    /// Pixels copied from the picture before, because whoever has that one still reads it.
    pub copied_pixels: u64,
    /// Times the server was asked anew where and how large the source is. Not the first time,
    /// and once for all that changed between two reads.
    pub geometry_changes: u64,
    /// Changes of the cursor's place or shape that a picture shows. Not its coming and going
    /// between two reads.
    pub cursor_moves: u64,
}

/// Whether pictures of `width` × `height` can be sent: at least 16 × 16, the smallest that
/// encoders take, and at most what the other sources give.
pub(super) fn fits(width: u16, height: u16) -> bool {
    let (larger, smaller) = (width.max(height), width.min(height));
    smaller >= MIN_SIDE
        && u64::from(larger) <= crate::source::MAX_SIDES.0
        && u64::from(smaller) <= crate::source::MAX_SIDES.1
}

/// Why a source of this size cannot be opened.
pub(super) fn misfit(kind: DeviceKind, id: &str, width: u16, height: u16) -> CaptureError {
    let (larger, smaller) = crate::source::MAX_SIDES;
    let reason = format!(
        "it has {width} × {height} pixels, and from {MIN_SIDE} × {MIN_SIDE} to {larger} × \
         {smaller} can be sent: change its size"
    );
    CaptureError::Unavailable { kind, id: id.to_owned(), reason }
}

/// Codecs divide pictures into macroblocks of 16 × 16 (H.264 §6.3).
const MIN_SIDE: u16 = 16;

const FRAME_RATE: f64 = 30.0;
