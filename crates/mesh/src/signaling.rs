//! The words of a negotiation.

use paceline_types::{ConnectionOp, Signal};

/// Limits on what one peer can make a [`Negotiator`](crate::Negotiator) hold.
///
/// ```
/// use paceline_mesh::NegotiatorConfig;
///
/// let config = NegotiatorConfig::default().max_candidates(16);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct NegotiatorConfig {
    pub(crate) max_candidates: usize,
    pub(crate) max_candidate_bytes: usize,
    pub(crate) max_sdp_bytes: usize,
}

impl NegotiatorConfig {
    /// Candidates for one description, and of those that wait for theirs. Defaults to 32.
    ///
    /// More are dropped: a way to reach the peer may stay unknown.
    #[must_use]
    pub const fn max_candidates(mut self, candidates: usize) -> Self {
        self.max_candidates = candidates;
        self
    }

    /// Bytes of one candidate, its names included. Defaults to 1,024, ten times one with
    /// IPv6 addresses.
    ///
    /// A longer one is dropped.
    #[must_use]
    pub const fn max_candidate_bytes(mut self, bytes: usize) -> Self {
        self.max_candidate_bytes = bytes;
        self
    }

    /// Bytes of one description. Defaults to 32 KiB, what a signalling server lets pass.
    ///
    /// A longer one is dropped, and who sent it gets no answer.
    #[must_use]
    pub const fn max_sdp_bytes(mut self, bytes: usize) -> Self {
        self.max_sdp_bytes = bytes;
        self
    }
}

impl Default for NegotiatorConfig {
    fn default() -> Self {
        Self { max_candidates: 32, max_candidate_bytes: 1_024, max_sdp_bytes: 32 << 10 }
    }
}

/// What a [`Negotiator`](crate::Negotiator) gives out.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a negotiator stands between two roads")]
pub enum NegotiatorOutput {
    /// For the engine, which does them strictly in order.
    Op(ConnectionOp),
    /// For the other end.
    Signal(Signal),
}

/// Where an offer/answer exchange stands (RFC 9429 §3.2), once the engine has done all
/// that it was told.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "RFC 9429 has no more that last")]
pub enum SignalingState {
    /// The engine makes, or has made, an offer that is not answered.
    HaveLocalOffer,
    /// The engine makes an answer.
    HaveRemoteOffer,
    /// Nothing is open.
    Stable,
}

/// What became of a signal of the other end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
#[non_exhaustive]
pub enum SignalVerdict {
    /// It went to the engine.
    Applied,
    /// An offer that a new connection starts with; an earlier one is closed.
    Begun,
    /// An answer too many, after offers that were taken back: the one that was applied
    /// may have been for such an offer. The owner restarts, or calls again.
    Doubtful,
    /// A candidate that is known already.
    Duplicate,
    /// An offer that collides with ours, which stands; or a candidate of such an offer.
    Ignored,
    /// A candidate whose description has not come; an offer before whose turn an answer
    /// has to be made.
    Kept,
    /// An answer that fits no offer of ours.
    Late,
    /// An offer or a candidate of a connection or a description that is over.
    Stale,
    /// It breaks a bound.
    TooMuch,
}
