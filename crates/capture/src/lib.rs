//! Native media in: screens, microphones, cameras, files and test sources, with clapper marks
//! to measure by.
//!
//! A source is *pulled*: whoever reads it says which frame it wants and what time
//! it is, so that a file or a screen has no thread and no clock of its own; a microphone and a
//! camera have theirs, and say when what they give was taken. [`clapper`]
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
//! let picture = pattern.read(0, time, NtpTime::default())?.expect("each is new");
//! assert_eq!((picture.width(), picture.height()), (320, 180));
//!
//! let time = MediaTime::new(0, Frequency::AUDIO);
//! let sound = Tone::new(440.0).read(time, NtpTime::default())?.expect("it is not live");
//! assert_eq!(sound.samples.len(), 960);
//! # Ok::<(), paceline_capture::CaptureError>(())
//! ```
//!
//! # Features
//!
//! | feature | brings | needs to build |
//! |---|---|---|
//! | `screen` | `Screen`: monitors and windows of X11, on Linux | nothing |
//! | `camera` | `Camera`: V4L2, on Linux | nothing |
//! | `microphone` | `Microphone`: PulseAudio or ALSA on Linux, what `cpal` has elsewhere | on Linux the headers of ALSA |
//!
//! # Where to start reading
//!
//! [`VideoSource`] and [`AudioSource`] are the two traits; each file beside them is
//! one source.

#[cfg(all(feature = "camera", target_os = "linux"))]
mod camera;
pub mod clapper;
mod error;
mod h264;
#[cfg(feature = "microphone")]
mod microphone;
mod resample;
#[cfg(all(feature = "screen", target_os = "linux"))]
mod screen;
mod source;
mod test_source;
mod wav;
mod y4m;

#[cfg(all(feature = "camera", target_os = "linux"))]
pub use camera::{Camera, CameraConfig, CameraStats, cameras};
pub use error::CaptureError;
pub use h264::H264File;
#[cfg(feature = "microphone")]
pub use microphone::{Microphone, MicrophoneConfig, MicrophoneStats, microphones};
pub use paceline_types as types;
#[cfg(all(feature = "screen", target_os = "linux"))]
pub use screen::{Screen, ScreenConfig, ScreenStats, screens, windows};
pub use source::{AudioSource, VideoSource};
pub use test_source::{Silence, TestPattern, Tone};
pub use wav::WavFile;
pub use y4m::Y4mFile;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
