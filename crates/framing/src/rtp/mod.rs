//! Frames as RTP packets, and RTP packets as frames (RFC 3550).
//!
//! A [`Packetizer`] makes one stream's frames into packets of the payload format of
//! their codec; a [`Depacketizer`] puts one stream's packets back into frames,
//! whatever was lost, doubled or came out of order on the way, and says what is
//! missing. A [`Sender`] sends what packetizers made to one receiver, in time or not at
//! all. Packets are those of the `rtp` crate; [`parse`] and [`emit`] are ours.
//!
//! | codec | payload format | what is made | what is taken |
//! |---|---|---|---|
//! | H.264 | RFC 6184, packetization-mode 1 | single NAL unit, STAP-A (parameter sets), FU-A | the same, any aggregate |
//! | Opus | RFC 7587 | one packet a frame | the same |
//! | VP8 | RFC 7741 | descriptor with a 15-bit picture ID | every descriptor |
//! | VP9 | RFC 9628 | flexible mode off, 15-bit picture ID | both modes, scalability structures |

mod depacketizer;
mod error;
mod format;
mod frames;
mod h264;
mod opus;
mod output;
mod pacer;
mod packet;
mod packetized;
mod packetizer;
mod picture_id;
mod sender;
mod vp8;
mod vp9;
mod window;

pub use self::depacketizer::{Depacketizer, DepacketizerConfig};
pub use self::error::{PacketizeError, PayloadError};
pub use self::format::Codec;
pub use self::output::{DepacketizerStats, Frame, Output, Verdict};
pub use self::pacer::Pacer;
pub use self::packet::{emit, parse};
pub use self::packetized::Packetized;
pub use self::packetizer::{Packetizer, PacketizerConfig, PacketizerStats};
pub use self::sender::{Sender, SenderConfig, SenderStats, SenderStream, SenderVerdict};
pub use ::rtp::{Header, Packet};
