//! A picture as characters.
//!
//! [`Renderer`] makes the bytes that draw a picture into a terminal; writing
//! them, raw mode and the size of the window are the caller's. It emits no bytes
//! but its own: `ESC [ … m`, `ESC [ … H`, `ESC [ K` and the glyphs of
//! [`GLYPHS`](crate::types::GLYPHS). Text that comes from a peer, such as a name,
//! goes through [`sanitize`] first.
//!
//! ```
//! use paceline_playout::terminal::{RenderConfig, RenderMode, Renderer, sanitize};
//! use paceline_playout::types::{Frequency, MediaTime, NtpTime, VideoFrame};
//!
//! let time = MediaTime::new(0, Frequency::VIDEO);
//! let white = vec![235, 235, 235, 235, 128, 128].into();
//! let picture = VideoFrame::new(2, 2, time, NtpTime::default(), white)?;
//!
//! let mut renderer = Renderer::new(RenderConfig::default().mode(RenderMode::Ascii));
//! assert_eq!(renderer.render(&picture, 2, 1), b"\x1b[1;1H@@");
//! assert_eq!(sanitize("\x1b[2JAnn", 20), "[2JAnn");
//! # Ok::<(), paceline_playout::types::FrameError>(())
//! ```

mod render;
mod sanitize;

pub use render::{RenderConfig, RenderMode, Renderer};
pub use sanitize::sanitize;
