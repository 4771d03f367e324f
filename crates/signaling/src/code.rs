//! The error codes of the protocol.
//!
//! The first five are JSON-RPC's own (specification §5.1); the rest are from the
//! range it leaves to servers, −32099 to −32000.

/// The text is not JSON.
pub const PARSE_ERROR: i64 = -32700;
/// The JSON is not a request object.
pub const INVALID_REQUEST: i64 = -32600;
/// No such method.
pub const METHOD_NOT_FOUND: i64 = -32601;
/// The parameters are not those of the method, or break a limit of [`limits`](crate::limits).
pub const INVALID_PARAMS: i64 = -32602;
/// Something that is the server's own fault.
pub const INTERNAL_ERROR: i64 = -32603;

/// The caller is in no room yet.
pub const NOT_ANNOUNCED: i64 = -32000;
/// The caller is in the room already.
pub const ALREADY_ANNOUNCED: i64 = -32001;
/// Another connection has this peer id.
pub const PEER_TAKEN: i64 = -32002;
/// The room has as many members as it may.
pub const ROOM_FULL: i64 = -32003;
/// The server does not speak this version of the protocol.
pub const UNSUPPORTED_PROTOCOL: i64 = -32004;
/// Nobody in the room has the peer id in `to`.
pub const UNKNOWN_PEER: i64 = -32005;
/// Somebody else hosts the room.
pub const HOST_TAKEN: i64 = -32006;
/// A bound on nesting, batches, candidates, sizes or rates is exceeded.
pub const OVER_LIMIT: i64 = -32007;
/// Who hosts is decided by votes: ask by `witness.vote`.
pub const ELECTED: i64 = -32008;
/// A vote is asked for on behalf of somebody else.
pub const NOT_CANDIDATE: i64 = -32009;
