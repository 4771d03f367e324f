//! Why an SDP, or what an answer would be made of, is refused.

use crate::rtp_parameters::MediaKind;

/// An offer that cannot be read, or a value of the server's that is no such value.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SdpError {
    /// Something is missing, has the wrong type, or is not what its name says.
    #[error("`{field}` {reason}")]
    Field {
        /// Which: of the server, a path in its JSON; of an offer, the name of an attribute.
        field: &'static str,
        /// What about it.
        reason: &'static str,
    },
    /// The server's candidates are at addresses of no host, as `0.0.0.0`: it listens on all of
    /// its addresses, and was not told which of them to announce.
    #[error(
        "the server announces no address of its own for media: its operator has to set \
         `announcedAddress`"
    )]
    NoAddress,
    /// The server has no certificate fingerprint of SHA-256, the only kind the engine checks.
    #[error("no fingerprint of sha-256 in `dtlsParameters.fingerprints`")]
    NoFingerprint,
    /// An accepted section is not in the offer. Ours is the mistake.
    #[error("the offer has no section for {0}")]
    NoSection(MediaKind),
    /// There are more than the bound allows.
    #[error("`{field}` has more than {limit}")]
    TooMany {
        /// Of what.
        field: &'static str,
        /// The bound.
        limit: usize,
    },
    /// The text is longer than the bound allows.
    #[error("an SDP of {len} bytes is longer than {limit}")]
    TooLarge {
        /// Its length in bytes.
        len: usize,
        /// The bound in bytes.
        limit: usize,
    },
}

impl SdpError {
    pub(super) const fn missing(field: &'static str) -> Self {
        Self::Field { field, reason: "is missing or of the wrong type" }
    }

    pub(super) const fn odd(field: &'static str) -> Self {
        Self::Field { field, reason: "has a value that none can have" }
    }
}
