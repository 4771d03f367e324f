//! Why a stream cannot be sent to a router.

use super::MediaKind;

/// A router that does not take what we send, or an offer that does not fit.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum NegotiationError {
    /// The engine's offer has no media section, or no codec, for a track. Ours is the mistake.
    #[error("the offer has nothing for {kind}: {missing}")]
    NotOffered {
        /// What was to be sent.
        kind: MediaKind,
        /// What is missing.
        missing: &'static str,
    },
    /// The router has no codec that matches.
    #[error("the router does not take {wanted}; it has {}", list(.router))]
    Unsupported {
        /// What we would send.
        wanted: String,
        /// The router's codecs, RTX left out, at most 32.
        router: Vec<String>,
    },
}

fn list(codecs: &[String]) -> String {
    if codecs.is_empty() { "no codec".to_owned() } else { codecs.join(", ") }
}
