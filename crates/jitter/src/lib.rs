//! *When* a frame is played: a jitter buffer, its delay control, and lip sync.
//!
//! [`JitterBuffer`] takes the frames of one stream as they come, in any order, and
//! releases them in order, each when it is due. [`StreamSync`] makes the sound and
//! the picture of one participant due together. [`Aligner`] gives out frames of several
//! participants side by side. The payload is anything; nothing here knows a codec, a
//! clock or a socket.
//!
//! # Example
//!
//! ```
//! use std::time::{Duration, Instant};
//!
//! use paceline_jitter::types::{Frequency, MediaTime, SeqNo};
//! use paceline_jitter::{JitterBuffer, JitterConfig, Output, Unit, Verdict};
//!
//! let mut buffer = JitterBuffer::new(JitterConfig::default());
//! let arrival = Instant::now();
//! let (seq, time) = (SeqNo::new(1), MediaTime::new(0, Frequency::AUDIO));
//! assert_eq!(buffer.insert(arrival, Unit::new(seq, time, "hello")), Verdict::Queued);
//!
//! let due = arrival + Duration::from_millis(20);
//! assert_eq!(buffer.poll(arrival), Output::Wait(due));
//! let played = Output::Play { seq, time, marker: false, due, payload: "hello" };
//! assert_eq!(buffer.poll(due), played);
//! assert_eq!(buffer.poll(due), Output::Empty);
//! ```
//!
//! # Where to start reading
//!
//! [`JitterBuffer`] is the machine. Below it `stream.rs` says where a unit belongs and
//! when it is due, `delay.rs` how long to wait, `timeline.rs` what a jump of the sender
//! means; `ring.rs` holds the units. [`StreamSync`] and [`Aligner`] stand beside it, in
//! `sync/`. `docs/TIMING.md` derives it all.

mod buffer;
mod config;
mod delay;
mod histogram;
#[cfg(feature = "replay")]
pub mod replay;
mod ring;
#[cfg(feature = "rtp")]
pub mod rtp;
mod seen;
mod stream;
mod sync;
mod timeline;
mod transit;
mod unit;

pub use buffer::JitterBuffer;
pub use config::JitterConfig;
pub use paceline_types as types;
pub use sync::{
    AlignVerdict, AlignedSet, Aligner, AlignerConfig, AlignerStats, Cadence, Media, Overflow, Part,
    Playout, Slot, Stamp, StreamSync, SyncConfig, SyncOutput, SyncState, SyncStats, SyncStatus,
    Take,
};
pub use unit::{JitterStats, Output, State, Unit, Verdict};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
