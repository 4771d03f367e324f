//! A clip as our packets.

use bytes::Bytes;
use paceline_framing::rtcp::{
    self, Goodbye, Packet, SdesChunk, SdesItem, SenderReport, SourceDescription,
};
use paceline_framing::rtp::{self, Codec, Packetizer, PacketizerConfig};

use crate::{Clip, Receiver, send, socket};

/// The packets that our packetizer makes of a clip. Their numbers and timestamps wrap on
/// the way.
#[derive(Debug)]
pub struct Stream {
    codec: Codec,
    frames: Vec<Vec<Bytes>>,
    last_seq: u16,
    report: SenderReport,
}

impl Stream {
    /// The packets of a clip.
    ///
    /// # Panics
    ///
    /// If a frame is refused.
    #[must_use]
    pub fn of(clip: &Clip) -> Self {
        let config = PacketizerConfig::new(clip.codec, PAYLOAD_TYPE, SSRC)
            .first_seq(u16::MAX - 20)
            .time_offset(u32::MAX - 30_000);
        let mut packetizer = Packetizer::new(config);
        let mut rtp_time = 0;
        let mut frames = Vec::new();
        for frame in &clip.frames {
            let packets = packetizer.packetize(frame).expect("a frame that ffmpeg made");
            rtp_time = packets[0].header.timestamp;
            frames.push(packets.iter().map(rtp::emit).collect());
        }
        let stats = packetizer.stats();
        let report = SenderReport {
            ssrc: SSRC,
            ntp_time: NTP_TIME,
            rtp_time,
            packet_count: u32::try_from(stats.packets).expect("a short clip"),
            octet_count: u32::try_from(stats.bytes).expect("a short clip"),
            ..SenderReport::default()
        };
        let last_seq = packetizer.next_seq().wrapping_sub(1);
        Self { codec: clip.codec, frames, last_seq, report }
    }

    /// The same with transport-wide sequence numbers from `first` on, in a header
    /// extension (draft-holmer-rmcat-transport-wide-cc-extensions-01 §2).
    ///
    /// # Panics
    ///
    /// If a packet is none.
    #[must_use]
    pub fn numbered(mut self, first: u16) -> Self {
        let mut number = first;
        for bytes in self.frames.iter_mut().flatten() {
            let mut packet = rtp::parse(bytes.clone()).expect("ours");
            let value = Bytes::copy_from_slice(&number.to_be_bytes());
            packet.header.set_extension(EXTENSION, value).expect("two bytes fit");
            *bytes = rtp::emit(&packet);
            number = number.wrapping_add(1);
        }
        self
    }

    /// How many packets there are.
    #[must_use]
    pub fn packets(&self) -> usize {
        self.frames.iter().map(Vec::len).sum()
    }

    /// The sequence number of the last one.
    #[must_use]
    pub const fn last_seq(&self) -> u16 {
        self.last_seq
    }

    /// What a peer has to know of it, as SDP (RFC 8866).
    #[must_use]
    pub fn sdp(&self, port: u16) -> String {
        let (media, name, parameters) = match self.codec {
            Codec::H264 => ("video", "H264/90000", "a=fmtp:96 packetization-mode=1\r\n"),
            Codec::Vp8 => ("video", "VP8/90000", ""),
            Codec::Vp9 => ("video", "VP9/90000", ""),
            _ => ("audio", "opus/48000/2", ""),
        };
        format!(
            "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=clip\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
             m={media} {port} RTP/AVP {PAYLOAD_TYPE}\r\na=rtpmap:{PAYLOAD_TYPE} {name}\r\n\
             {parameters}"
        )
    }

    /// What a peer has to know of it, as GStreamer's capabilities.
    #[must_use]
    pub fn caps(&self) -> String {
        let (media, name, clock) = match self.codec {
            Codec::H264 => ("video", "H264", 90_000),
            Codec::Vp8 => ("video", "VP8", 90_000),
            Codec::Vp9 => ("video", "VP9", 90_000),
            _ => ("audio", "OPUS", 48_000),
        };
        format!(
            "application/x-rtp,media={media},encoding-name={name},clock-rate={clock},\
             payload={PAYLOAD_TYPE},rtcp-fb-transport-cc=true,extmap-{EXTENSION}={TWCC}"
        )
    }

    /// Sends all packets, as fast as the peer reads them.
    ///
    /// # Panics
    ///
    /// If the peer is not there, or stops to read.
    pub fn send(&self, receiver: &mut Receiver) {
        self.send_without(receiver, &[]);
    }

    /// The same, but for the packets with these indices.
    ///
    /// # Panics
    ///
    /// As [`send`](Self::send).
    pub fn send_without(&self, receiver: &mut Receiver, left_out: &[usize]) {
        let socket = socket();
        for (index, packet) in self.frames.iter().flatten().enumerate() {
            if left_out.contains(&index) {
                continue;
            }
            receiver.wait_for_queue(MAX_QUEUE);
            send(&socket, packet, receiver.port);
        }
    }

    /// Sends the end of it by RTCP, when the peer has read all the packets: RTCP is not
    /// ordered with RTP, and ffmpeg looks at it first.
    ///
    /// # Panics
    ///
    /// As [`send`](Self::send).
    pub fn end(&self, receiver: &mut Receiver) {
        receiver.wait_for_queue(0);
        send(&socket(), &rtcp::emit(&self.farewell()), receiver.port + 1);
    }

    /// A sender report of the whole stream, and who it is from.
    #[must_use]
    pub fn report(&self) -> Vec<Packet> {
        let chunks = vec![SdesChunk::new(SSRC, [SdesItem::cname("clip@paceline")])];
        let sdes = Packet::SourceDescription(SourceDescription { chunks });
        vec![Packet::SenderReport(self.report.clone()), sdes]
    }

    /// The same, and that it is over.
    fn farewell(&self) -> Vec<Packet> {
        let bye = Goodbye { sources: vec![SSRC], reason: Some("over".into()) };
        let mut packets = self.report();
        packets.push(Packet::Goodbye(bye));
        packets
    }
}

/// Ours: the first that is dynamic (RFC 3551 §6).
const PAYLOAD_TYPE: u8 = 96;

/// Its id. Ours: some of the one-byte form (RFC 8285 §4.2).
pub const EXTENSION: u8 = 5;

/// What the extension is called that has transport-wide sequence numbers.
pub const TWCC: &str = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01";

const SSRC: u32 = 0x5eed_5eed;

/// Some time in 2026.
const NTP_TIME: u64 = 0xeeac_3000_8000_0000;

/// Ours: a third of what Linux lets a socket have by default, and the kernel counts a
/// packet twice.
const MAX_QUEUE: usize = 64 << 10;
