//! Marks in pictures and sounds, to measure a call by.
//!
//! Like the clapper board of a film: each picture carries a block code with its
//! number and the time it was captured, each source's sound a short burst of tones
//! with the time of its first sample. Whoever reads them at the other end knows how
//! long each was under way, and how far sound and picture are apart, without asking
//! any machine in between what it believes.
//!
//! ```
//! use bytes::Bytes;
//! use paceline_capture::clapper::{self, Mark};
//! use paceline_capture::types::{Frequency, MediaTime, NtpTime, Rect, VideoFrame};
//!
//! let time = MediaTime::new(0, Frequency::VIDEO);
//! let capture = NtpTime::from_unix(std::time::Duration::from_millis(123_456));
//! let grey = Bytes::from(vec![128; 320 * 180 * 3 / 2]);
//! let picture = VideoFrame::new(320, 180, time, capture, grey)?;
//!
//! let marked = clapper::burn(picture, Mark { frame: 7, capture });
//! let tile = Rect { x: 0, y: 0, width: 320, height: 180 };
//! let mark = clapper::read(&marked, tile).expect("it is there");
//! assert_eq!(mark.frame, 7);
//!
//! let later = capture + std::time::Duration::from_millis(80);
//! let latency = clapper::latency(later, mark.capture_ms, clapper::PICTURE_MODULUS);
//! assert_eq!(latency.as_millis(), 80);
//! # Ok::<(), paceline_capture::types::FrameError>(())
//! ```

mod picture;
mod spectrum;
mod tone;

use std::time::Duration;

use paceline_types::NtpTime;

pub use self::picture::{Mark, PictureMark, burn, read};
pub use self::tone::{SoundMark, ToneReader, ToneWriter, slot};

/// A picture's mark tells its capture time in milliseconds modulo this: 4.6 hours.
pub const PICTURE_MODULUS: u64 = 1 << 24;

/// A sound's mark tells its capture time in milliseconds modulo this: 65 s.
pub const SOUND_MODULUS: u64 = 1 << 16;

/// How long before `now` something was captured, given its time modulo `modulus`.
/// Right, to the millisecond, for anything younger than half the modulus; what seems
/// older is from a clock that is ahead of ours, and has no latency.
#[must_use]
pub fn latency(now: NtpTime, capture_ms: u32, modulus: u64) -> Duration {
    let age = (now.millis() % modulus + modulus - u64::from(capture_ms) % modulus) % modulus;
    Duration::from_millis(if age > modulus / 2 { 0 } else { age })
}
