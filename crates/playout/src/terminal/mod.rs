//! A picture as characters.
//!
//! [`Renderer`] makes the bytes that draw a picture into a terminal, [`Canvas`] those
//! that draw several pictures and text, and that turn one frame into the next.
//! [`TerminalKind`] finds what a terminal can show. Writing the bytes, raw mode and the
//! size of the window are the caller's.
//!
//! Nothing is emitted but:
//!
//! | | |
//! |---|---|
//! | `ESC [ row ; column H` | where the next glyph goes |
//! | `ESC [ K` | clears to the end of the row |
//! | `ESC [ 0 m` | the terminal's own colours again |
//! | `ESC [ 38 ; 2 ; r ; g ; b m`, `48` | 24-bit colour of a glyph, and behind it |
//! | `ESC [ 38 ; 5 ; n m`, `48` | the same of 256 colours |
//! | `ESC [ 30…37, 90…97 m`, `40…47, 100…107` | the same of sixteen |
//! | `ESC [ 39 m`, `49` | the same as the terminal has it |
//! | [`GLYPHS`](crate::types::GLYPHS), `░▒▓` | a picture |
//! | any character that [`sanitize`] lets pass | text |
//!
//! Text that comes from a peer, such as a name, goes through [`sanitize`];
//! [`Canvas::text`] does that itself.
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

mod canvas;
mod cell;
mod kind;
mod painter;
mod palette;
mod render;
mod sanitize;

pub use canvas::{Area, Canvas, Style};
pub use kind::{Colours, TerminalKind};
pub use render::{RenderConfig, RenderMode, Renderer};
pub use sanitize::sanitize;
