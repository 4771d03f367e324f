//! Frames to RTP packets.

use bytes::Bytes;
use paceline_types::{AudioCodec, Coding, EncodedFrame, VideoCodec};

use super::{Codec, Header, Packet, PacketizeError, h264, opus, vp8, vp9};

/// What the packets of one stream say in their headers, and how large they may be.
///
/// ```
/// use paceline_framing::rtp::{Codec, PacketizerConfig};
///
/// let config = PacketizerConfig::new(Codec::H264, 96, 0x5eed).max_payload(900).first_seq(7);
/// ```
#[derive(Clone, Debug)]
pub struct PacketizerConfig {
    codec: Codec,
    payload_type: u8,
    ssrc: u32,
    max_payload: usize,
    first_seq: u16,
    time_offset: u32,
    first_picture_id: u16,
}

impl PacketizerConfig {
    /// Packets of a codec, with the payload type that was agreed on for it and the SSRC
    /// that the stream goes by.
    ///
    /// # Panics
    ///
    /// If the payload type has more than seven bits (RFC 3550 §5.1).
    #[must_use]
    pub const fn new(codec: Codec, payload_type: u8, ssrc: u32) -> Self {
        assert!(payload_type <= MAX_PAYLOAD_TYPE, "a payload type has seven bits");
        Self {
            codec,
            payload_type,
            ssrc,
            max_payload: DEFAULT_MAX_PAYLOAD,
            first_seq: 0,
            time_offset: 0,
            first_picture_id: 0,
        }
    }

    /// Bytes that a packet may have after the twelve of its header. Defaults to 1,188,
    /// which makes packets of 1,200 bytes.
    ///
    /// Leave room for what is added later: header extensions, the tag of SRTP. A
    /// packet that the path must fragment is lost with any of its fragments.
    ///
    /// # Panics
    ///
    /// If it is less than 64: payload headers would be more than what they head.
    #[must_use]
    pub const fn max_payload(mut self, max_payload: usize) -> Self {
        assert!(max_payload >= MIN_MAX_PAYLOAD, "a payload of less than 64 bytes");
        self.max_payload = max_payload;
        self
    }

    /// The sequence number of the first packet. Defaults to 0.
    ///
    /// RFC 3550 §5.1 wants it random, against attacks on encryption that know the plain
    /// text. There is no randomness here: bring it.
    #[must_use]
    pub const fn first_seq(mut self, first_seq: u16) -> Self {
        self.first_seq = first_seq;
        self
    }

    /// Added to the media time of a frame, modulo 2³², in ticks of the codec's clock.
    /// Defaults to 0.
    ///
    /// RFC 3550 §5.1 wants it random too.
    #[must_use]
    pub const fn time_offset(mut self, time_offset: u32) -> Self {
        self.time_offset = time_offset;
        self
    }

    /// The picture ID of the first VP8 or VP9 frame, of which the low 15 bits count.
    /// Defaults to 0. Other codecs have none.
    ///
    /// RFC 7741 §4.2 and RFC 9628 §4.2 let it start anywhere, at random best.
    #[must_use]
    pub const fn first_picture_id(mut self, first_picture_id: u16) -> Self {
        self.first_picture_id = first_picture_id;
        self
    }
}

/// Counts since it was made. What is sent again, and RTCP, is not in them.
///
/// ```
/// use paceline_framing::rtp::{Codec, Packetizer, PacketizerConfig, PacketizerStats};
///
/// let packetizer = Packetizer::new(PacketizerConfig::new(Codec::H264, 96, 0x5eed));
/// assert_eq!(packetizer.stats(), PacketizerStats::default());
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct PacketizerStats {
    /// Frames that became packets. Not those that were an error.
    pub frames: u64,
    /// Packets made: the sender's packet count of RFC 3550 §6.4.1, before it wraps.
    pub packets: u64,
    /// Bytes of their payloads, without headers and padding: the sender's octet count
    /// of RFC 3550 §6.4.1, before it wraps.
    pub bytes: u64,
}

/// Makes the frames of one stream into packets.
///
/// ```
/// use bytes::Bytes;
/// use paceline_framing::rtp::{Codec, Packetizer, PacketizerConfig};
/// use paceline_framing::types::{
///     AudioCodec, Coding, EncodedFrame, Frequency, MediaTime, NtpTime, SeqNo, StreamId,
/// };
///
/// let config = PacketizerConfig::new(Codec::Opus, 111, 0x5eed).time_offset(1_000);
/// let mut packetizer = Packetizer::new(config);
/// let packets = packetizer.packetize(&EncodedFrame {
///     stream: StreamId::AUDIO,
///     seq: SeqNo::new(0),
///     time: MediaTime::new(960, Frequency::AUDIO),
///     capture: NtpTime::default(),
///     coding: Coding::Audio { codec: AudioCodec::Opus, channels: 1 },
///     data: Bytes::from_static(&[0x78, 1, 2, 3]),
/// })?;
/// assert_eq!(packets.len(), 1);
/// assert_eq!(packets[0].header.timestamp, 1_960);
/// assert_eq!(packetizer.stats().bytes, 4);
/// # Ok::<(), paceline_framing::rtp::PacketizeError>(())
/// ```
#[derive(Debug)]
pub struct Packetizer {
    config: PacketizerConfig,
    payloader: Payloader,
    next_seq: u16,
    stats: PacketizerStats,
}

/// What each codec has to remember from frame to frame.
#[derive(Debug)]
enum Payloader {
    H264(h264::Payloader),
    /// Where the packet before ends, on the stream's clock.
    Opus(Option<u64>),
    Vp8(vp8::Payloader),
    Vp9(vp9::Payloader),
}

impl Packetizer {
    /// A stream that has no packets yet.
    #[must_use]
    pub fn new(config: PacketizerConfig) -> Self {
        let payloader = match config.codec {
            Codec::H264 => Payloader::H264(h264::Payloader::new()),
            Codec::Opus => Payloader::Opus(None),
            Codec::Vp8 => Payloader::Vp8(vp8::Payloader::new(config.first_picture_id)),
            Codec::Vp9 => Payloader::Vp9(vp9::Payloader::new(config.first_picture_id)),
        };
        let next_seq = config.first_seq;
        Self { config, payloader, next_seq, stats: PacketizerStats::default() }
    }

    /// The packets of the next frame, at least one, in order.
    ///
    /// All have the frame's timestamp. The marker is on the last packet of a picture
    /// (RFC 6184 §5.1, RFC 7741 §4.1, RFC 9628 §4.1); of sound, on the first packet of a
    /// talkspurt (RFC 7587 §4.1): the very first, and every one that begins later than
    /// the one before it ends.
    ///
    /// # Errors
    ///
    /// [`PacketizeError`] if the frame's bytes are no bitstream of its codec, or cannot
    /// be sent. No sequence number is used up.
    ///
    /// # Panics
    ///
    /// If the frame is of another codec than the stream, or its clock is not
    /// [`Codec::clock`].
    pub fn packetize(&mut self, frame: &EncodedFrame) -> Result<Vec<Packet>, PacketizeError> {
        let (codec, clock) = (self.config.codec, self.config.codec.clock());
        assert_eq!(codec_of(&frame.coding), Some(codec), "a frame of another codec");
        assert_eq!(frame.time.frequency(), clock, "a frame on another clock");
        let (key, discardable) = match frame.coding {
            Coding::Video { key, discardable, .. } => (key, discardable),
            _ => (true, false),
        };

        let max = self.config.max_payload;
        let mut payloads = Vec::with_capacity(1 + frame.data.len() / max);
        let mut talkspurt = false;
        match &mut self.payloader {
            Payloader::H264(h264) => h264.payloads(&frame.data, max, &mut payloads)?,
            Payloader::Opus(end) => {
                payloads.push(opus::payload(&frame.data, max)?);
                let time = frame.time.ticks();
                talkspurt = end.is_none_or(|end| time > end);
                // If it does not say, no gap is made up where there may be none.
                let ticks = opus::duration_ticks(&frame.data).unwrap_or(opus::MAX_TICKS);
                *end = Some(time.saturating_add(ticks.into()));
            }
            Payloader::Vp8(vp8) => {
                vp8.payloads(&frame.data, key, discardable, max, &mut payloads)?;
            }
            Payloader::Vp9(vp9) => {
                vp9.payloads(&frame.data, key, discardable, max, &mut payloads)?;
            }
        }

        let timestamp = self.config.time_offset.wrapping_add(low_bits(frame.time.ticks()));
        let last = payloads.len().saturating_sub(1);
        self.stats.frames += 1;
        let packets = payloads.into_iter().enumerate().map(|(index, payload)| {
            let marker = if codec == Codec::Opus { talkspurt } else { index == last };
            self.packet(marker, timestamp, payload)
        });
        Ok(packets.collect())
    }

    /// The sequence number that the next packet will have.
    #[must_use]
    pub const fn next_seq(&self) -> u16 {
        self.next_seq
    }

    /// What was made so far.
    #[must_use]
    pub const fn stats(&self) -> PacketizerStats {
        self.stats
    }

    fn packet(&mut self, marker: bool, timestamp: u32, payload: Bytes) -> Packet {
        let sequence_number = self.next_seq;
        self.next_seq = self.next_seq.wrapping_add(1);
        self.stats.packets += 1;
        self.stats.bytes += payload.len() as u64;
        let header = Header {
            version: super::packet::VERSION,
            marker,
            payload_type: self.config.payload_type,
            sequence_number,
            timestamp,
            ssrc: self.config.ssrc,
            ..Header::default()
        };
        Packet { header, payload }
    }
}

/// The payload format of a frame, if there is one here.
const fn codec_of(coding: &Coding) -> Option<Codec> {
    match coding {
        Coding::Audio { codec: AudioCodec::Opus, .. } => Some(Codec::Opus),
        Coding::Video { codec: VideoCodec::H264, .. } => Some(Codec::H264),
        Coding::Video { codec: VideoCodec::Vp8, .. } => Some(Codec::Vp8),
        Coding::Video { codec: VideoCodec::Vp9, .. } => Some(Codec::Vp9),
        _ => None,
    }
}

/// RTP timestamps wrap (RFC 3550 §5.1); media time does not.
const fn low_bits(ticks: u64) -> u32 {
    (ticks & 0xffff_ffff) as u32
}

/// Packets of 1,200 bytes, less the twelve of the header. No RFC of RTP has the number: it
/// is libwebrtc's `kVideoMtu` (`media/base/media_constants.h`), which Firefox and pion have
/// too, and it fits IPv6's least MTU of 1,280 (RFC 8200 §5) with IP and UDP around it.
const DEFAULT_MAX_PAYLOAD: usize = 1_200 - 12;

/// RFC 3550 §5.1: PT has seven bits.
const MAX_PAYLOAD_TYPE: u8 = 0x7f;

/// Ours: more than any payload header, and no path carries so little (IPv4 has 576 as
/// the least that every host takes).
const MIN_MAX_PAYLOAD: usize = 64;
