//! Frames as packets: typed, checked, fragmented and interleaved on a data channel.
//!
//! A data channel (RFC 8831) carries messages of a bounded size, and what is sent
//! first goes first. This crate puts frames and control on one: a [`Packet`] is a
//! typed value with a checked wire form; a [`Fragmenter`] cuts it into messages,
//! once for all who get it; an [`Interleaver`] decides, message by message, what
//! goes next to one peer and what is too old to go; a [`Reassembler`] makes packets
//! of a peer's messages again, within bounds.
//!
//! Nothing here reads a clock or a socket. Time is an argument, bytes are returned.
//! The checksum finds bugs and truncation; it proves nothing about who sent a
//! packet, and neither does the sender that a packet names.
//!
//! # Example
//!
//! A picture on its way is overtaken by sound:
//!
//! ```
//! use std::time::Instant;
//!
//! use bytes::Bytes;
//! use paceline_framing::types::{
//!     AudioCodec, Coding, EncodedFrame, Frequency, MediaTime, NtpTime, PixelFormat, SenderId,
//!     SeqNo, StreamId,
//! };
//! use paceline_framing::{
//!     Body, Fragmenter, Interleaver, InterleaverConfig, Packet, Reassembler, ReassemblyConfig,
//! };
//!
//! let packet = |stream, clock, coding, data| Packet {
//!     sender: SenderId::new(1),
//!     epoch: None,
//!     body: Body::Media(EncodedFrame {
//!         stream,
//!         seq: SeqNo::new(0),
//!         time: MediaTime::new(0, clock),
//!         capture: NtpTime::default(),
//!         coding,
//!         data,
//!     }),
//! };
//! let coding = Coding::Image { format: PixelFormat::Rgb24, width: 160, height: 120 };
//! let pixels = Bytes::from(vec![7; 3 * 160 * 120]);
//! let picture = packet(StreamId::VIDEO, Frequency::VIDEO, coding, pixels);
//! let coding = Coding::Audio { codec: AudioCodec::Opus, channels: 1 };
//! let sound = packet(StreamId::AUDIO, Frequency::AUDIO, coding, Bytes::from_static(b"la"));
//!
//! let now = Instant::now();
//! let mut fragmenter = Fragmenter::new(16_384);
//! let mut queue = Interleaver::new(InterleaverConfig::default());
//! let mut reassembler = Reassembler::new(ReassemblyConfig::default());
//!
//! let _ = queue.push(now, fragmenter.cut(&picture));
//! let begun = queue.pop(now, 0).expect("the first of four fragments");
//! reassembler.handle_message(now, begun)?;
//! let _ = queue.push(now, fragmenter.cut(&sound));
//!
//! let mut arrived = Vec::new();
//! while let Some(message) = queue.pop(now, 0) {
//!     reassembler.handle_message(now, message)?;
//!     arrived.extend(reassembler.poll_output());
//! }
//! assert_eq!(arrived, [sound, picture]);
//! # Ok::<(), paceline_framing::ParseError>(())
//! ```
//!
//! # Where to start reading
//!
//! [`Packet`] and [`Control`] are what is said; `header` draws what every message
//! begins with, and `docs/WIRE.md` the whole format. [`Reassembler`] and
//! [`Interleaver`] are the machines, with their bounds in [`ReassemblyConfig`] and
//! [`InterleaverConfig`]; [`QueuePolicy`] is what a queue does with too much.

mod config;
mod control;
mod error;
mod fragment;
mod header;
mod interleave;
mod kind;
mod lane;
mod media;
mod packet;
mod policy;
mod queue;
mod reader;
mod reassembly;
#[cfg(feature = "rtp")]
pub mod rtcp;
#[cfg(feature = "rtp")]
pub mod rtp;

pub use config::{InterleaverConfig, ReassemblyConfig};
pub use control::{
    AbortReason, ByeReason, Control, Hello, Lease, Mapping, MemberQuality, Migrate, NatState,
    NatType, NetworkQuality, Numbering, Prepare, Ready, ReceptionReport, Role, Roster, RosterId,
    RosterMember, Vote, VoteRequest,
};
pub use error::ParseError;
pub use fragment::{Cut, Fragmenter, FragmenterStats};
pub use header::{MAGIC, PROTOCOL_VERSION};
pub use interleave::{Interleaver, InterleaverStats, Verdict, Watermark};
pub use kind::Class;
pub use paceline_types as types;
pub use packet::{Body, Packet};
pub use policy::QueuePolicy;
pub use reassembly::{Reassembler, ReassemblyStats};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
