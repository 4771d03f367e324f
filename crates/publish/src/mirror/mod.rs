//! A copy of what is sent, as plain RTP, for looking at it with a player.
//!
//! It is for diagnostics: nothing in it is encrypted, nobody has to prove who he is, and no
//! feedback is taken. So it goes to this machine alone, unless
//! [`beyond_this_machine`](MirrorConfig::beyond_this_machine) is asked for, and then it says
//! so in the log. Reports (RTCP) are not sent: a player that has sound and picture begins
//! with each when it comes.
//!
//! ```
//! use std::time::Instant;
//!
//! use bytes::Bytes;
//! use paceline_publish::mirror::{Mirror, MirrorConfig};
//! use paceline_publish::types::{
//!     AudioCodec, Coding, EncodedFrame, Frequency, MediaTime, NtpTime, SeqNo, StreamId,
//! };
//! use paceline_framing::rtp::Codec;
//!
//! let mut mirror = Mirror::new(MirrorConfig::default().stream(StreamId::AUDIO, Codec::Opus))?;
//! // For `ffplay -protocol_whitelist file,udp,rtp mirror.sdp`.
//! assert!(mirror.description().to_string().contains("m=audio 5004 RTP/AVP 111\r\n"));
//!
//! let frame = EncodedFrame {
//!     stream: StreamId::AUDIO,
//!     seq: SeqNo::new(0),
//!     time: MediaTime::new(0, Frequency::AUDIO),
//!     capture: NtpTime::default(),
//!     coding: Coding::Audio { codec: AudioCodec::Opus, channels: 1 },
//!     data: Bytes::from_static(&[0x78, 1, 2, 3]),
//! };
//! for datagram in mirror.handle_frame(Instant::now(), &frame).expect("it is mirrored") {
//!     assert_eq!(datagram.to, "127.0.0.1:5004".parse::<std::net::SocketAddr>()?);
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod config;
mod description;
#[cfg(feature = "client")]
mod socket;

use std::error::Error;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use bytes::Bytes;
use paceline_framing::rtp::{Codec, PacketizeError, Packetizer, PacketizerConfig, emit};
use paceline_types::{AudioCodec, Bitrate, Coding, EncodedFrame, StreamId, VideoCodec};

pub use self::config::{MirrorConfig, MirrorConfigError};
pub use self::description::{Description, Media};
#[cfg(feature = "client")]
pub use self::socket::{MirrorSocket, MirrorSocketStats};

/// One datagram to be sent.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Datagram {
    /// Where.
    pub to: SocketAddr,
    /// An RTP packet.
    pub bytes: Bytes,
}

/// Why a frame was not mirrored. None of it is worth stopping for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Unmirrored {
    /// A frame before it was not mirrored, and it is not a keyframe.
    AwaitsKeyframe,
    /// It cannot be put into packets.
    Packetize(PacketizeError),
    /// It would be more than [`MirrorConfig::max_rate`].
    TooFast,
    /// Its stream is not mirrored, or has another codec.
    UnknownStream,
}

impl fmt::Display for Unmirrored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AwaitsKeyframe => f.write_str("a keyframe has to come first"),
            Self::Packetize(error) => error.fmt(f),
            Self::TooFast => f.write_str("more than the mirror may send"),
            Self::UnknownStream => f.write_str("a stream or codec that is not mirrored"),
        }
    }
}

impl Error for Unmirrored {}

/// Counts since it was made.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct MirrorStats {
    /// Frames that were mirrored.
    pub frames: u64,
    /// Their packets.
    pub packets: u64,
    /// Frames that were not, for whatever reason.
    pub unmirrored: u64,
}

/// Makes packets of frames, and says where they go. The socket is the caller's.
#[derive(Debug)]
pub struct Mirror {
    address: IpAddr,
    max_rate: Bitrate,
    streams: Vec<Stream>,
    /// When all that was mirrored would have been sent at the greatest rate.
    sent_by: Option<Instant>,
    stats: MirrorStats,
}

#[derive(Debug)]
struct Stream {
    stream: StreamId,
    codec: Codec,
    port: u16,
    packetizer: Packetizer,
    /// A decoder could not make anything of what is not a keyframe.
    awaits_key: bool,
}

impl Mirror {
    /// A mirror of no frame yet.
    ///
    /// # Errors
    ///
    /// [`MirrorConfigError`] if the address is not of this machine and that was not asked
    /// for, is no address of one machine, or there are not enough ports.
    pub fn new(config: MirrorConfig) -> Result<Self, MirrorConfigError> {
        config.check()?;
        if !config.address.to_canonical().is_loopback() {
            let address = config.address;
            tracing::warn!(%address, "a plain copy of all that is sent leaves this machine");
        }
        let stream = |(index, &(stream, codec)): (usize, &(StreamId, Codec))| Stream {
            stream,
            codec,
            port: config.port(index),
            packetizer: Packetizer::new(PacketizerConfig::new(
                codec,
                payload_type(codec),
                FIRST_SSRC | u32::from(stream.get()),
            )),
            awaits_key: true,
        };
        Ok(Self {
            address: config.address,
            max_rate: config.max_rate,
            streams: config.streams.iter().enumerate().map(stream).collect(),
            sent_by: None,
            stats: MirrorStats::default(),
        })
    }

    /// The packets of a frame, in order, at least one.
    ///
    /// # Errors
    ///
    /// [`Unmirrored`] if there are none. After that pictures go on with a keyframe, so that
    /// what is seen is what was sent, or nothing.
    pub fn handle_frame(
        &mut self,
        now: Instant,
        frame: &EncodedFrame,
    ) -> Result<Vec<Datagram>, Unmirrored> {
        let datagrams = self.packetize(now, frame);
        match &datagrams {
            Ok(datagrams) => {
                self.stats.frames += 1;
                self.stats.packets += datagrams.len() as u64;
            }
            Err(_) => self.stats.unmirrored += 1,
        }
        datagrams
    }

    /// What a player has to know, as an SDP.
    #[must_use]
    pub fn description(&self) -> Description {
        let media = |stream: &Stream| Media {
            codec: stream.codec,
            port: stream.port,
            payload_type: payload_type(stream.codec),
        };
        Description { address: self.address, media: self.streams.iter().map(media).collect() }
    }

    /// Where packets go.
    #[must_use]
    pub const fn address(&self) -> IpAddr {
        self.address
    }

    /// What was counted so far.
    #[must_use]
    pub const fn stats(&self) -> MirrorStats {
        self.stats
    }

    fn packetize(
        &mut self,
        now: Instant,
        frame: &EncodedFrame,
    ) -> Result<Vec<Datagram>, Unmirrored> {
        let fits = |stream: &&mut Stream| {
            stream.stream == frame.stream
                && codec_of(&frame.coding) == Some(stream.codec)
                && frame.time.frequency() == stream.codec.clock()
        };
        let stream = self.streams.iter_mut().find(fits).ok_or(Unmirrored::UnknownStream)?;
        if stream.awaits_key && !frame.coding.is_key() {
            return Err(Unmirrored::AwaitsKeyframe);
        }
        stream.awaits_key = true;
        let sent_by = room(now, self.sent_by, frame.data.len(), self.max_rate)?;
        let packets = stream.packetizer.packetize(frame).map_err(Unmirrored::Packetize)?;
        stream.awaits_key = false;
        self.sent_by = Some(sent_by);
        let to = SocketAddr::new(self.address, stream.port);
        Ok(packets.iter().map(|packet| Datagram { to, bytes: emit(packet) }).collect())
    }
}

/// When a frame of so many bytes would have been sent, if it may be: a second's worth may go
/// at once.
fn room(
    now: Instant,
    sent_by: Option<Instant>,
    bytes: usize,
    rate: Bitrate,
) -> Result<Instant, Unmirrored> {
    let nanos = bytes as u128 * 8 * 1_000_000_000 / u128::from(rate.bps().max(1));
    let cost = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
    let begin = sent_by.map_or(now, |sent_by| sent_by.max(now));
    let end = begin.checked_add(cost).ok_or(Unmirrored::TooFast)?;
    if end.saturating_duration_since(now) > BURST {
        return Err(Unmirrored::TooFast);
    }
    Ok(end)
}

const fn codec_of(coding: &Coding) -> Option<Codec> {
    match coding {
        Coding::Audio { codec: AudioCodec::Opus, .. } => Some(Codec::Opus),
        Coding::Video { codec: VideoCodec::H264, .. } => Some(Codec::H264),
        Coding::Video { codec: VideoCodec::Vp8, .. } => Some(Codec::Vp8),
        Coding::Video { codec: VideoCodec::Vp9, .. } => Some(Codec::Vp9),
        _ => None,
    }
}

/// Dynamic numbers (RFC 3551 §6), those of a call.
const fn payload_type(codec: Codec) -> u8 {
    match codec {
        Codec::Opus => 111,
        Codec::H264 => 96,
        Codec::Vp8 => 97,
        _ => 98,
    }
}

/// Ours: what may go at once, so that a keyframe passes.
const BURST: Duration = Duration::from_secs(1);

/// Ours: "mr", then the number of the stream. The same each time, to be found in a capture.
const FIRST_SSRC: u32 = 0x6d72_0000;
