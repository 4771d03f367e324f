//! Media over RTP, on a connection whose both ends have said that they carry it.
//!
//! ```text
//!  frame ─▶ Packetizers ─▶ Link ─▶ rtp::Sender ─────▶ Output::Transmit { Rtp, Rtcp }
//!           (once for all)  (one a peer)
//!  Event::Packet ◀────────── Link ◀─ Incoming ◀────── ConnectionEvent::{Rtp, Rtcp}
//! ```
//!
//! What comes out is what comes out of the channel: frames with the numbers that their
//! sender gave them, which are on every packet. Retransmissions, feedback on what arrived
//! and the estimate of what the path takes are the transport's.
//!
//! A source is known by the peer and the stream ([`Ssrc::of`]), the payload types are fixed:
//! nothing of them is negotiated here.

mod asks;
mod config;
mod incoming;
mod link;
mod packetizers;
mod passing;
mod stats;

pub(crate) use self::link::{Early, Link};
pub(crate) use self::packetizers::{Framed, Packetizers};
pub(crate) use self::passing::Shown;

pub use self::config::RtpConfig;
pub use self::stats::RtpStats;

use paceline_framing::rtp::Codec;
#[cfg(doc)]
use paceline_types::Ssrc;
use paceline_types::{AudioCodec, Coding, StreamId, VideoCodec};

/// The payload format of a frame; none, and it goes over the channel.
pub(crate) const fn codec_of(coding: &Coding) -> Option<Codec> {
    match coding {
        Coding::Audio { codec: AudioCodec::Opus, .. } => Some(Codec::Opus),
        Coding::Video { codec: VideoCodec::H264, .. } => Some(Codec::H264),
        Coding::Video { codec: VideoCodec::Vp8, .. } => Some(Codec::Vp8),
        Coding::Video { codec: VideoCodec::Vp9, .. } => Some(Codec::Vp9),
        _ => None,
    }
}

/// What a payload type is, for a stream of that kind.
pub(crate) const fn codec_at(payload_type: u8, stream: StreamId) -> Option<Codec> {
    let codec = match payload_type {
        H264 => Codec::H264,
        OPUS => Codec::Opus,
        VP8 => Codec::Vp8,
        VP9 => Codec::Vp9,
        _ => return None,
    };
    let is_sound = matches!(codec, Codec::Opus);
    if is_sound == is_sound_stream(stream) { Some(codec) } else { None }
}

pub(crate) const fn payload_type_of(codec: Codec) -> u8 {
    match codec {
        Codec::Opus => OPUS,
        Codec::Vp8 => VP8,
        Codec::Vp9 => VP9,
        _ => H264,
    }
}

pub(crate) const fn is_sound_stream(stream: StreamId) -> bool {
    matches!(stream, StreamId::AUDIO | StreamId::MIX_AUDIO)
}

/// Ours, for every call: `docs/WIRE.md`. 96 to 127 are for such (RFC 3551 §6).
const H264: u8 = 96;
const VP8: u8 = 97;
const VP9: u8 = 98;
/// As Chromium has it.
const OPUS: u8 = 111;

/// `urn:paceline:frame`: the frame's number, four bytes, on every packet of it.
pub(crate) const FRAME_EXTENSION: u8 = 8;
