//! Senders and networks that do anything, against the machines that keep time.

mod buffer;
mod drift;
mod sync;

pub use self::buffer::jitter_buffer;
pub use self::drift::drift;
pub use self::sync::sync;
