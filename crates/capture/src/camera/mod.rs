//! Cameras, by V4L2.
//!
//! ```text
//!  driver ─→ Modes: what it can, and what is nearest to what is wanted
//!     │
//!     ▼ a thread: poll, dequeue       the reader's
//!  Stream ─→ I420 in a pool ─→ Slot: the newest ─→ read()
//! ```
//!
//! What decides is over a trait that has the kernel's calls, so that it is tested with a model
//! of drivers that are well and of some that are not. Of what the kernel is given, sizes, places
//! and numbers are compared with its own header by a C compiler. It has not been run with a
//! camera: there was none where it was written.
//!
//! Formats are YU12, NV12, YUYV and MJPEG; a picture of 720p takes the thread 0.04, 0.18, 1.0 and
//! 2.9 ms (measured: a release build on a shared core, the JPEG of 80 kB), and 0.65 ms more if it
//! is raw and of full range.
//!
//! Formats of several planes, which cameras on the bus of a small computer have, Bayer and H.264
//! are not read. Matrices other than BT.601 are taken for it: a camera that says BT.709 is a little
//! off in its greens.

mod config;
mod convert;
mod device;
mod driver;
mod jpeg;
mod kernel;
mod list;
mod modes;
mod slot;
mod source;
mod stream;
#[cfg(test)]
mod tests;
mod wait;

pub use self::config::{CameraConfig, CameraStats};
pub use self::list::cameras;
pub use self::source::Camera;
