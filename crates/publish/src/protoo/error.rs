//! What goes wrong: with a text, with a request, with its response.

use super::{RequestId, ServerRequestId};

/// A text from the server that is of no use. It is counted and changes nothing else.
///
/// Every variant is the server's doing.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum MessageError {
    /// The server asked again under an id that is not answered yet.
    #[error("the server's request {0} is not answered yet and came again")]
    DuplicateRequest(ServerRequestId),
    /// A field is missing, or has the wrong type.
    #[error("`{0}` is missing or of the wrong type")]
    Field(&'static str),
    /// It is not JSON, or JSON that does not end.
    #[error("not JSON")]
    NotJson,
    /// An object that is neither a request nor a response nor a notification, or no object.
    #[error("neither a request nor a response nor a notification")]
    NotAMessage,
    /// Objects lie in each other deeper than allowed.
    #[error("nested deeper than {limit} levels")]
    TooDeep {
        /// The configured limit.
        limit: usize,
    },
    /// It is longer than allowed.
    #[error("{len} bytes are more than the {limit} allowed")]
    TooLarge {
        /// Its length in bytes.
        len: usize,
        /// The configured limit in bytes.
        limit: usize,
    },
    /// More requests than we hold wait for an answer; this one was rejected.
    #[error("{limit} requests of the server wait for an answer")]
    TooManyRequests {
        /// The configured limit.
        limit: usize,
    },
    /// A response to no request of ours: never asked, answered before, or timed out.
    #[error("a response to {0}, which is no outstanding request")]
    Unsolicited(RequestId),
}

/// Why something could not be sent.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// The connection is gone.
    #[error("the connection is closed")]
    Closed,
    /// No request of the server with that id waits for an answer.
    #[error("{0} is no unanswered request of the server")]
    NotAsked(ServerRequestId),
    /// It would be longer than the configured limit.
    #[error("{len} bytes are more than the {limit} allowed")]
    TooLarge {
        /// Its length in bytes.
        len: usize,
        /// The configured limit in bytes.
        limit: usize,
    },
    /// As many requests as allowed are without a response.
    #[error("{limit} requests are without a response")]
    TooManyRequests {
        /// The configured limit.
        limit: usize,
    },
}

/// Why a request of ours has no result.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ResponseError {
    /// The connection was closed before the server answered.
    #[error("the connection was closed")]
    Closed,
    /// The server said no.
    #[error("rejected with {code}: {reason}")]
    Rejected {
        /// `errorCode`, 0 if the server gave none.
        code: i64,
        /// `errorReason`, its control characters escaped, and at most 256 bytes long.
        reason: String,
    },
    /// The server did not answer in time.
    #[error("timed out")]
    TimedOut,
}
