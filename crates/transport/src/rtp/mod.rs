//! What both ends of a path of RTP have: reports, retransmissions and congestion control.
//!
//! [`registry`] makes a chain of interceptors and a [`Tap`] at its end: what is sent goes in
//! at the tap, what came comes out of it, and so does the target of congestion control.
//! An engine takes the chain; whoever has none, as a simulator, wraps it into a [`Chain`].
//! Nothing here reads a clock, has a socket, or encrypts.

mod again;
mod allowance;
mod chain;
mod config;
mod estimator;
mod ledger;
mod numbers;
mod registry;
mod rest;
mod round_trip;
mod signed;
mod tap;
mod told;
mod unanswered;

#[cfg(feature = "srtp")]
pub(crate) use self::allowance::Allowance;
pub use self::chain::{Chain, Stream};
pub use self::config::RtpConfig;
pub use self::estimator::Estimator;
#[cfg(feature = "webrtc")]
pub(crate) use self::ledger::{LEDGER, Ledger, Refused};
#[cfg(feature = "srtp")]
pub(crate) use self::registry::MAX_KEPT;
pub use self::registry::registry;
#[cfg(feature = "srtp")]
pub(crate) use self::round_trip::{RoundTrip, reception_reports};
pub use self::tap::{Tap, TapStats};
#[cfg(feature = "webrtc")]
pub(crate) use self::told::Told;
#[cfg(feature = "webrtc")]
pub(crate) use self::unanswered::Unanswered;
