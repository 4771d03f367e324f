//! A log of all that goes into a jitter buffer and comes out, and its replay.
//!
//! A [`Recorder`] is a [`JitterBuffer`](crate::JitterBuffer) that writes down each
//! call. Its [`Log`] replays anywhere, at any epoch: the buffer reads no clock and
//! computes with additions, multiplications, divisions and square roots only, all
//! of which IEEE 754 rounds in one way. The first call whose outcome differs is told
//! by a [`Difference`]. So a log is a bug report, a regression test, and the proof
//! that two builds behave alike.
//!
//! Payloads are not in it, nor any address, name or time of day: only numbers, media
//! times and when they came.
//!
//! ```
//! use std::time::{Duration, Instant};
//!
//! use paceline_jitter::replay::{Log, Recorder, RecorderConfig};
//! use paceline_jitter::types::{Frequency, MediaTime, SeqNo};
//! use paceline_jitter::{JitterConfig, Unit};
//!
//! let start = Instant::now();
//! let mut buffer = Recorder::new(JitterConfig::default(), RecorderConfig::default());
//! for seq in 0..50 {
//!     let now = start + Duration::from_millis(20 * seq);
//!     let time = MediaTime::new(960 * seq, Frequency::AUDIO);
//!     let _ = buffer.insert(now, Unit::new(SeqNo::new(seq), time, "sound"));
//!     let _ = buffer.poll(now);
//! }
//! let file = buffer.log().emit().to_vec();
//!
//! // Elsewhere, on another day.
//! let log = Log::parse(&file)?;
//! let stats = log.replay(start + Duration::from_secs(86_400)).run()?;
//! assert_eq!((log.calls(), stats), (100, buffer.stats()));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # The form of a log
//!
//! A header, an entry for each call in their order, and a last entry with the
//! statistics. These are what numbers look like:
//!
//! | in the tables | is |
//! |---|---|
//! | `u8` | a byte |
//! | `f64` | 8 bytes, IEEE 754, the lowest first |
//! | `uint` | 1 to 10 bytes, 7 bits in each, the lowest first; the highest bit of a byte says that more follow (LEB128) |
//! | `int` | a `uint`: 0, −1, 1, −2, … are 0, 1, 2, 3, … |
//! | `span` | two `uint`: seconds, and nanoseconds below 1,000,000,000 |
//! | `check` | `u8`: the CRC-8 (polynomial 0x07) of all before it since the last `check`, begun with that `check`; with 0 at first |
//!
//! The header:
//!
//! | field | form |
//! |---|---|
//! | magic: 89 `P` `L` `J` 0D 0A 1A 0A, which a transfer as text would damage | 8 × `u8` |
//! | version of the form: 1 | `u8` |
//! | version of this crate | length as `u8`, then so much UTF-8 |
//! | capacity | `uint` |
//! | loss_price, max_delay | 2 × `span` |
//! | max_gap | `uint` |
//! | max_jump, max_late | 2 × `span` |
//! | max_pace | `f64` |
//! | min_delay, start_delay | 2 × `span` |
//! | talkspurts: 0 or 1 | `u8` |
//! | | `check` |
//!
//! An entry begins with a `u8`: the call in its lower half, a variant in its upper one.
//! It ends with a `check`.
//!
//! | call | variant | fields |
//! |---|---|---|
//! | 0 `insert` | 0 `Duplicate`, 1 `Full`, 2 `Late`, 3 `Probation`, 4 `Queued` | at, unit |
//! | 1 `poll` | 0 `Empty` | at |
//! | 1 | 1 `Lost` | at, first `int`, count `uint` |
//! | 1 | 2 `Play` | at, unit, due |
//! | 1 | 3 `Wait` | at, due |
//! | 2 `set_drift` | 0 | ppm `f64` |
//! | 3 `set_min_playout_delay` | 0 | `span` |
//! | 4 `set_round_trip` | 0 `None` | |
//! | 4 | 1 `Some` | `span` |
//! | 5 the last one | 0 | queued, played, lost, late, duplicate, outliers, resyncs, early, full: 9 × `uint`; waited, jitter, delay, target, max_delay: 5 × `span` |
//!
//! *at* is an `int`: nanoseconds since the last call with a time, which is 0 at the
//! first. *due* is an `int`: nanoseconds since *at*. A *unit* is
//!
//! | field | form |
//! |---|---|
//! | bit 0: marker; bit 1: retransmitted; bit 2: another frequency; the rest 0 | `u8` |
//! | number, less the last one that went the same way | `int` |
//! | ticks, less the last ones that went the same way | `int` |
//! | with bit 2: ticks in a second, for all from here on, whichever way; at first 0 | `uint` |
//!
//! where all differences wrap at 2⁶⁴ and are from 0 at first. *first* of `Lost` is less
//! the last number that went out, and the last of the lost counts as gone out.
//!
//! Sound in packets of 20 ms with some jitter, polled twice each, takes 31 bytes a packet
//! (measured): 4 MiB hold 45 minutes.

mod call;
mod log;
mod player;
mod recorder;
mod wire;

pub use call::{Call, Outcome};
pub use log::{Log, LogError};
pub use player::{Difference, Replay, ReplayError, Step};
pub use recorder::{Recorder, RecorderConfig, RecorderStats, StopReason};

#[cfg(test)]
mod tests;
