//! *When* a frame is played: a jitter buffer, its delay control, and lip sync.
//!
//! [`JitterBuffer`] takes the frames of one stream as they come, in any order, and
//! releases them in order, each when it is due. [`StreamSync`] makes the sound and
//! the picture of one participant due together. The payload is anything; nothing
//! here knows a codec, a clock or a socket.
//!
//! # Example
//!
//! ```
//! use std::time::{Duration, Instant};
//!
//! use paceline_jitter::types::{Frequency, MediaTime, SeqNo};
//! use paceline_jitter::{JitterBuffer, JitterConfig, Output, Verdict};
//!
//! let mut buffer = JitterBuffer::new(JitterConfig::default());
//! let arrival = Instant::now();
//! let time = MediaTime::new(0, Frequency::AUDIO);
//! let verdict = buffer.handle_frame(arrival, SeqNo::new(1), time, "hello");
//! assert_eq!(verdict, Verdict::Queued);
//! assert_eq!(buffer.poll_output(), None);
//!
//! let due = buffer.poll_timeout().expect("a frame is held");
//! assert_eq!(due - arrival, Duration::from_millis(50));
//! buffer.handle_timeout(due);
//! let played = Output::Play { seq: SeqNo::new(1), due, payload: "hello" };
//! assert_eq!(buffer.poll_output(), Some(played));
//! ```
//!
//! # Where to start reading
//!
//! [`JitterBuffer`] is the machine; `transit` below it follows the network's delay;
//! [`StreamSync`] stands beside it.

mod buffer;
mod config;
mod sync;
mod transit;

pub use buffer::{JitterBuffer, JitterStats, Output, State, Verdict};
pub use config::JitterConfig;
pub use paceline_types as types;
pub use sync::{Media, Sample, StreamSync, SyncConfig};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
