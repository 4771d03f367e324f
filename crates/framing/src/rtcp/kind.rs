//! Packet types, and formats of feedback.

/// RFC 3550 §12.1, as are the next three.
pub(super) const SR: u8 = 200;
pub(super) const RR: u8 = 201;
pub(super) const SDES: u8 = 202;
pub(super) const BYE: u8 = 203;

/// RFC 4585 §6.1: feedback of the transport, and of a payload.
pub(super) const RTPFB: u8 = 205;
pub(super) const PSFB: u8 = 206;

/// RFC 4585 §6.2.1, of [`RTPFB`].
pub(super) const FMT_NACK: u8 = 1;
/// draft-holmer-rmcat-transport-wide-cc-extensions-01 §3.1, of [`RTPFB`].
pub(super) const FMT_TWCC: u8 = 15;

/// RFC 4585 §6.3.1, of [`PSFB`].
pub(super) const FMT_PLI: u8 = 1;
/// RFC 5104 §4.3.1, of [`PSFB`].
pub(super) const FMT_FIR: u8 = 4;
/// RFC 4585 §6.4, of [`PSFB`]: whatever an application likes, REMB among it.
pub(super) const FMT_AFB: u8 = 15;
