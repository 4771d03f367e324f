//! Between an engine that speaks SDP and a server that does not.
//!
//! mediasoup gives ICE, DTLS and RTP parameters as JSON; an engine wants an offer answered
//! (RFC 8866, RFC 9429). [`Offer`] is what has to be read from the engine's, [`RemoteTransport`]
//! what a server's `WebRtcTransport` is, and [`Answer`] the one that puts them together.
//! An answer is made of values that were parsed; no text of the server's is copied into it,
//! and a value that is odd is refused by the name of its field.

mod answer;
mod error;
mod offer;
mod remote;

pub use self::answer::{Answer, DtlsRole};
pub use self::error::SdpError;
pub use self::offer::{MAX_SDP, Offer, OfferCodec, OfferSection, Setup};
pub(crate) use self::remote::candidate_address;
pub use self::remote::{
    CandidateAddress, IceCandidate, IceParameters, MAX_CANDIDATES, RemoteTransport,
};
