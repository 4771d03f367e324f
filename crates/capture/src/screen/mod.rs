//! Screens and windows of X11.
//!
//! ```text
//!  XDamage ─→ Region: where it changed ─┐
//!  XFixes  ─→ Cursor: where it moved  ──┤
//!                                       ▼
//!  Target: where the pixels are ─→ Grabber (MIT-SHM, or the socket)
//!                                       ▼ cursor drawn in, BGRX → I420
//!                                     Canvas: the picture, of which others read the last few
//! ```
//!
//! One read is one question to the server when nothing has changed, one more when something
//! has, and one more when the source was moved or resized. Only what has changed is grabbed
//! and converted.

mod canvas;
mod config;
mod convert;
mod cursor;
mod grab;
mod list;
mod region;
mod server;
mod shm;
mod source;
mod target;
mod title;

pub use self::config::{ScreenConfig, ScreenStats};
pub use self::list::{screens, windows};
pub use self::source::Screen;
