//! How fast the sound of a source is played.
//!
//! A source's clock is not ours, and what comes is uneven. Four parts keep its
//! queue where it should be: [`Resampler`] plays by some parts per million faster
//! or slower, [`Stretcher`] takes out or puts in whole pitch periods,
//! [`Concealer`] fills in when there is nothing left, and [`RateControl`] says
//! how much of which.

mod conceal;
mod control;
mod pitch;
mod resampler;
mod stretch;
mod taps;

pub(crate) use conceal::Concealer;
pub(crate) use control::RateControl;
pub use resampler::{Resampled, Resampler};
pub use stretch::Stretcher;
