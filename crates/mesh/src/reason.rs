//! Why a connection is over.

use std::error::Error;
use std::fmt;

use paceline_framing::ByeReason;

/// Why a connection is over, or is made anew.
///
/// ```
/// use paceline_mesh::{GoneReason, Phase};
///
/// let reason = GoneReason::NotOpened { phase: Phase::Answer };
/// assert_eq!(reason.to_string(), "it did not answer our offer in time");
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum GoneReason {
    /// It said goodbye.
    Bye(ByeReason),
    /// It confirms nothing that we send, though it is there.
    NoProgress,
    /// It was not connected in time.
    NotOpened {
        /// What took too long.
        phase: Phase,
    },
    /// Our engine said that the channel is open before it was given a description of
    /// the other end.
    OpenedEarly,
    /// More control packets wait for it than may.
    Overflow,
    /// It said hello, and not as the one we are to talk to.
    Refused(Refusal),
    /// It made a new connection: a reload, or it gave the old one up before we did.
    Replaced,
    /// Nothing was heard of it for too long.
    Silent,
    /// It takes less than is sent to it: over the bounds of what may wait.
    TooSlow,
    /// It sent more of its application's data than we said that we take.
    Overrun,
    /// The engine gave it up, and says why.
    Transport(String),
}

/// What somebody who is being connected to is waited for.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[expect(clippy::exhaustive_enums, reason = "they follow each other, and there are three")]
pub enum Phase {
    /// Our engine's own description: an offer, or the answer to his.
    Offer,
    /// The other end's answer to our offer.
    Answer,
    /// The channel, and the other end's hello.
    Open,
}

/// What was wrong with a hello.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Refusal {
    /// It takes only messages that are too short for a packet's headers.
    MessageLimit,
    /// It is that of another peer, or of another room.
    Stranger,
    /// It speaks no version that we do.
    Version,
}

impl GoneReason {
    /// Without an engine's own words, which may hold an address.
    pub(crate) fn for_log(&self) -> tracing::field::DisplayValue<&dyn fmt::Display> {
        tracing::field::display(match self {
            Self::Transport(_) => &"the engine gave it up",
            other => other,
        })
    }
}

impl fmt::Display for GoneReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bye(ByeReason::Failed) => "something went wrong at the other end",
            Self::Bye(ByeReason::Leaving) => "it left",
            Self::Bye(ByeReason::TooSlow) => "we were too slow for it",
            Self::Bye(_) => "it said goodbye",
            Self::NoProgress => "it takes nothing of what is sent to it",
            Self::NotOpened { phase: Phase::Offer } => "our own description was not made in time",
            Self::NotOpened { phase: Phase::Answer } => "it did not answer our offer in time",
            Self::NotOpened { phase: Phase::Open } => "the connection did not open in time",
            Self::OpenedEarly => "our engine opened it before it could",
            Self::Overflow => "it takes no control packets any more",
            Self::Refused(refusal) => return refusal.fmt(f),
            Self::Replaced => "it made a new connection",
            Self::Silent => "nothing was heard of it",
            Self::TooSlow => "it takes less than is sent to it",
            Self::Overrun => "it sent more than we take",
            Self::Transport(reason) => reason,
        })
    }
}

impl Error for GoneReason {}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::MessageLimit => "it accepts too short messages",
            Self::Stranger => "its hello is not that of the peer we know",
            Self::Version => "it speaks no version that we do",
        })
    }
}
