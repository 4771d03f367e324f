//! The header extensions that are sent (RFC 8285), by their names.

/// When a packet left, in 6.18 fixed point seconds (libwebrtc, `abs-send-time`).
pub const ABS_SEND_TIME: &str = "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time";
/// Which media section a packet belongs to (RFC 8843 §15.2).
pub const MID: &str = "urn:ietf:params:rtp-hdrext:sdes:mid";
/// A number for each packet of a transport, for feedback about it
/// (draft-holmer-rmcat-transport-wide-cc-extensions-01 §2).
pub const TRANSPORT_CC: &str =
    "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01";
