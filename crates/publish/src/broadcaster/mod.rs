//! Publishing to a room of mediasoup's demo server by HTTP, as a machine: for a sender that
//! wants no WebSocket.
//!
//! ```text
//! GET    /rooms/:room                                            what the router takes
//! POST   /rooms/:room/broadcasters                               here we are
//! POST   /rooms/:room/broadcasters/:id/transports                the server's half
//! POST   /rooms/:room/broadcasters/:id/transports/:tid/connect   our half
//! POST   /rooms/:room/broadcasters/:id/transports/:tid/producers for each stream
//! DELETE /rooms/:room/broadcasters/:id                           at the end
//! ```
//!
//! [`Flow`] makes the [`Request`]s one by one; whoever has an HTTP client sends them. Newer
//! servers have other paths and names; which they are, is seen from the first answer.
//!
//! A plain transport is used with SRTP or not at all. The demo server as it is makes them
//! without: it leaves `enableSrtp` alone and answers without `srtpParameters`, which ends
//! here with [`FlowError::SrtpUnavailable`](crate::mediasoup::FlowError::SrtpUnavailable).
//! A server for this flow passes `enableSrtp`, `srtpCryptoSuite` and, on connecting,
//! `srtpParameters` on to mediasoup.

mod config;
mod flow;
mod request;

pub use self::config::{FlowConfig, NameError};
pub use self::flow::{Flow, Output};
pub use self::request::{Method, Request};
