//! Publishing to a room of a mediasoup server that speaks protoo, as a machine.
//!
//! ```text
//!     us                                            server
//!     │ getRouterRtpCapabilities ─────────────────────▶ │
//!     │ createWebRtcTransport ────────────────────────▶ │  ICE, DTLS: its half
//!     │ join ─────────────────────────────────────────▶ │
//!     │   the engine's offer, our answer to it          │
//!     │ connectWebRtcTransport, once ─────────────────▶ │  DTLS: our half
//!     │ produce, for each stream ─────────────────────▶ │
//!     │ ◀───────────────────────── producerScore, …     │
//! ```
//!
//! [`Flow`] goes these steps. It has no socket and no engine: texts, offers and whether the
//! engine has a path go in; texts, answers and events come out. Servers of mediasoup's demo
//! came in two dialects (the JavaScript one, to 2024, and the TypeScript one after it), which
//! name some fields differently; which it is, is seen from the first answer. The second lets in
//! only who comes from a page of its own host: whoever opens the socket, or asks by HTTP, has to
//! say so with the header `Origin`, as the client of this crate does.
//!
//! A `PlainTransport` is used with SRTP or not at all: a key is needed to ask for one, and a
//! server that does not encrypt is refused.

mod config;
mod dialect;
mod error;
mod flow;
mod output;
mod plain;
mod srtp;

pub use self::config::FlowConfig;
pub use self::error::{ControlError, FlowError, Step};
pub use self::flow::Flow;
pub use self::output::{Output, Producer, ProducerAction};
pub use self::plain::PlainRemote;
pub use self::srtp::{KeyLengthError, SrtpParameters, SrtpSuite};

pub(crate) use self::dialect::Dialect;
pub(crate) use self::plain::PlainError;
