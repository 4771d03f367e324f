//! Reports and feedback on streams (RFC 3550 §6, RFC 4585).
//!
//! [`parse`] makes a datagram into [`Packet`]s, [`emit`] makes packets into a datagram.
//! A full compound and a reduced-size one (RFC 5506) are parsed alike;
//! [`validate_compound`] tells them apart.
//!
//! | packet | is | from |
//! |---|---|---|
//! | SR, RR | [`SenderReport`], [`ReceiverReport`] | `rtcp`, RFC 3550 §6.4 |
//! | SDES | [`SourceDescription`] | here, RFC 3550 §6.5 |
//! | BYE | [`Goodbye`] | here, RFC 3550 §6.6 |
//! | NACK | [`TransportLayerNack`], with [`nack_pairs`] and [`lost_sequences`] | `rtcp`, RFC 4585 §6.2.1 |
//! | PLI | [`PictureLossIndication`] | `rtcp`, RFC 4585 §6.3.1 |
//! | FIR | [`FullIntraRequest`], with [`FirReceiver`] and [`FirSender`] | `rtcp`, RFC 5104 §4.3.1 |
//! | REMB | [`Remb`] | here, draft-alvestrand-rmcat-remb-03 |
//! | TWCC | [`TransportFeedback`] | here, draft-holmer-rmcat-transport-wide-cc-extensions-01 |
//! | others | [`Unknown`], octet for octet | |
//!
//! The `rtcp` crate parses where it is right, on what [`parse`] has checked; each type
//! that is ours says why. Sources are plain numbers here, as in that crate's types: they
//! are an [`Ssrc`](crate::types::Ssrc) for the rest of paceline.
//!
//! Nothing is proven about who sent a packet: that is SRTCP's (RFC 3711).

mod compound;
mod emit;
mod error;
mod fields;
mod fir;
mod goodbye;
mod kind;
mod nack;
mod packet;
mod parse;
mod remb;
mod sdes;
mod timing;
mod twcc;

pub use self::compound::{CompoundError, validate_compound};
pub use self::emit::emit;
pub use self::error::RtcpError;
pub use self::fir::{FirReceiver, FirSender, FirVerdict, MAX_REQUESTERS};
pub use self::goodbye::Goodbye;
pub use self::nack::{lost_sequences, nack_pairs};
pub use self::packet::{Packet, Unknown};
pub use self::parse::{MAX_COMPOUND, MAX_PACKETS, parse};
pub use self::remb::Remb;
pub use self::sdes::{SdesChunk, SdesItem, SdesType, SourceDescription};
pub use self::timing::{
    cumulative_lost, delay_since_last_sr, delay_to_duration, last_sr, round_trip, total_lost,
};
pub use self::twcc::{Status, Statuses, TransportFeedback};
pub use ::rtcp::payload_feedbacks::full_intra_request::{FirEntry, FullIntraRequest};
pub use ::rtcp::payload_feedbacks::picture_loss_indication::PictureLossIndication;
pub use ::rtcp::receiver_report::ReceiverReport;
pub use ::rtcp::reception_report::ReceptionReport;
pub use ::rtcp::sender_report::SenderReport;
pub use ::rtcp::transport_feedbacks::transport_layer_nack::{NackPair, TransportLayerNack};
