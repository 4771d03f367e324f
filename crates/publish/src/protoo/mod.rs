//! protoo, the signalling protocol of mediasoup's demo server: requests, responses and
//! notifications as JSON, in both directions, over a WebSocket of sub-protocol
//! [`SUBPROTOCOL`].
//!
//! ```text
//! request      {"request":true, "id":7, "method":"…", "data":{…}}
//! response     {"response":true, "id":7, "ok":true, "data":{…}}
//!              {"response":true, "id":7, "ok":false, "errorCode":403, "errorReason":"…"}
//! notification {"notification":true, "method":"…", "data":{…}}
//! ```
//!
//! [`Client`] takes texts in and gives texts out; the socket is somebody else's.

mod client;
mod config;
mod error;
mod message;

pub use self::client::{Client, ClientStats, Output, RequestId, ServerRequestId, time_out};
pub use self::config::ClientConfig;
pub use self::error::{MessageError, RequestError, ResponseError};

/// The WebSocket sub-protocol to ask for (`protoo-client`, `WebSocketTransport`).
pub const SUBPROTOCOL: &str = "protoo";

pub(crate) use crate::failure::printable;
