//! Native media in: files and test sources, with clapper marks to measure by.
//!
//! A source is *pulled*: whoever reads it says which frame it wants and what time
//! it is, so that a source has no thread and no clock of its own. [`clapper`]
//! burns marks into pictures and sounds and reads them at the other end of a call,
//! which is how latency and lip sync are measured from the media themselves.
//!
//! # Example
//!
//! ```
//! use paceline_capture::types::{Frequency, MediaTime, NtpTime};
//! use paceline_capture::{AudioSource, TestPattern, Tone, VideoSource};
//!
//! let mut pattern = TestPattern::new(320, 180, 30.0)?;
//! let time = MediaTime::new(0, Frequency::VIDEO);
//! let picture = pattern.read(0, time, NtpTime::default())?;
//! assert_eq!((picture.width(), picture.height()), (320, 180));
//!
//! let time = MediaTime::new(0, Frequency::AUDIO);
//! let sound = Tone::new(440.0).read(time, NtpTime::default())?;
//! assert_eq!(sound.samples.len(), 960);
//! # Ok::<(), paceline_capture::CaptureError>(())
//! ```
//!
//! # Where to start reading
//!
//! [`VideoSource`] and [`AudioSource`] are the two traits; each file beside them is
//! one source.

pub mod clapper;
mod error;
mod h264;
mod resample;
mod source;
mod test_source;
mod wav;
mod y4m;

pub use error::CaptureError;
pub use h264::H264File;
pub use paceline_types as types;
pub use source::{AudioSource, VideoSource};
pub use test_source::{Silence, TestPattern, Tone};
pub use wav::WavFile;
pub use y4m::Y4mFile;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
