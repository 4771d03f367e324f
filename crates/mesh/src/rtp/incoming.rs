//! A peer's packets, as the frames of his streams.

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use bytes::Bytes;
use paceline_framing::rtcp::SenderReport;
use paceline_framing::rtp::{self, Codec, Depacketizer, Output};
use paceline_types::{
    AudioCodec, Coding, EncodedFrame, MediaTime, NtpTime, PeerId, SeqNo, Ssrc, StreamId, VideoCodec,
};

use super::{FRAME_EXTENSION, RtpConfig, RtpStats, codec_at};
use crate::io::CaptureTime;

/// The streams that come from one peer; four at most.
#[derive(Debug)]
pub(crate) struct Incoming {
    peer: PeerId,
    config: RtpConfig,
    streams: BTreeMap<StreamId, Stream>,
}

/// What a packet was of.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Taken {
    /// Of a stream of his.
    Of(StreamId),
    /// Of nothing that he may send.
    Refused,
}

#[derive(Debug)]
struct Stream {
    media: Media,
    /// The latest media time, which the next is near.
    reference: Option<u64>,
    /// What the newest report says: when was captured what has this timestamp.
    report: Option<(NtpTime, u32)>,
    /// No frame was stamped by it.
    is_new: bool,
    ready: VecDeque<(EncodedFrame, CaptureTime)>,
}

#[derive(Debug)]
enum Media {
    /// Nothing came yet.
    None,
    Pictures(Box<Pictures>),
    Sound {
        /// The most that any packet had: an encoder of two may code some frames as one.
        channels: u8,
    },
}

#[derive(Debug)]
struct Pictures {
    codec: Codec,
    /// The latest sequence number.
    newest: u16,
    depacketizer: Depacketizer,
    /// The number of the frame with each timestamp, in the order they came first.
    numbers: VecDeque<(u32, u32)>,
}

impl Incoming {
    pub(crate) const fn new(peer: PeerId, config: RtpConfig) -> Self {
        Self { peer, config, streams: BTreeMap::new() }
    }

    pub(crate) fn handle_packet(
        &mut self,
        now: Instant,
        bytes: Bytes,
        stats: &mut RtpStats,
    ) -> Taken {
        let Ok(packet) = rtp::parse(bytes) else { return Taken::Refused };
        let source = Ssrc::new(packet.header.ssrc);
        let Some(id) = source.stream_of(self.peer) else { return Taken::Refused };
        let Some(codec) = codec_at(packet.header.payload_type, id) else { return Taken::Refused };
        let number = packet.header.get_extension(FRAME_EXTENSION);
        let number = number.and_then(|bytes| <[u8; 4]>::try_from(&bytes[..]).ok());
        let number = number.map(u32::from_be_bytes);
        if number.is_none() && !packet.payload.is_empty() {
            return Taken::Refused;
        }
        let config = &self.config;
        let stream = self.streams.entry(id).or_insert_with(Stream::new);
        if codec == Codec::Opus {
            stream.take_sound(id, packet, number, stats);
            return Taken::Of(id);
        }
        let seq = packet.header.sequence_number;
        match &mut stream.media {
            Media::Pictures(pictures) if pictures.codec == codec => pictures.note_seq(seq),
            // Sent again, of the codec before: what that made is over.
            Media::Pictures(pictures) if pictures.is_behind(seq) => return Taken::Refused,
            media => {
                *media = Media::Pictures(Box::new(Pictures {
                    codec,
                    newest: seq,
                    depacketizer: Depacketizer::new(source.get(), codec, config.depacketizer()),
                    numbers: VecDeque::new(),
                }));
            }
        }
        if let Media::Pictures(pictures) = &mut stream.media {
            if let Some(number) = number {
                // As each has one packet at least, and one more is just coming.
                let most = config.max_packets.max(MAX_FRAMES).saturating_add(1);
                pictures.note_number(packet.header.timestamp, number, most);
            }
            // What it is is in its counts.
            let _ = pictures.depacketizer.handle_packet(now, packet);
        }
        stream.take_pictures(id, stats);
        Taken::Of(id)
    }

    pub(crate) fn handle_report(&mut self, report: &SenderReport) -> Taken {
        let Some(id) = Ssrc::new(report.ssrc).stream_of(self.peer) else { return Taken::Refused };
        let stream = self.streams.entry(id).or_insert_with(Stream::new);
        let told = Some((NtpTime::from_bits(report.ntp_time), report.rtp_time));
        // The same again is no other reading.
        stream.is_new |= stream.report != told;
        stream.report = told;
        if let Ok(wraps) = <[u8; 4]>::try_from(&report.profile_extensions[..]) {
            let wraps = u64::from(u32::from_be_bytes(wraps));
            stream.reference = Some(wraps << 32 | u64::from(report.rtp_time));
        }
        Taken::Of(id)
    }

    /// Gives up what has been waited for too long.
    pub(crate) fn handle_timeout(&mut self, now: Instant, stats: &mut RtpStats) {
        for (&id, stream) in &mut self.streams {
            if let Media::Pictures(pictures) = &mut stream.media {
                pictures.depacketizer.handle_timeout(now);
                stream.take_pictures(id, stats);
            }
        }
    }

    /// Whether a frame of a stream of pictures is there in part, waits for one that is, or was
    /// not looked at.
    pub(crate) fn holds(&self, stream: StreamId) -> bool {
        self.streams.get(&stream).is_some_and(|stream| match &stream.media {
            Media::Pictures(pictures) => {
                pictures.depacketizer.held() > 0 || !stream.ready.is_empty()
            }
            Media::None | Media::Sound { .. } => false,
        })
    }

    /// The next frame that is whole.
    pub(crate) fn poll_frame(&mut self) -> Option<(EncodedFrame, CaptureTime)> {
        self.streams.values_mut().find_map(|stream| stream.ready.pop_front())
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let timeout = |stream: &Stream| match &stream.media {
            Media::Pictures(pictures) => pictures.depacketizer.poll_timeout(),
            Media::None | Media::Sound { .. } => None,
        };
        self.streams.values().filter_map(timeout).min()
    }
}

impl Stream {
    const fn new() -> Self {
        Self {
            media: Media::None,
            reference: None,
            report: None,
            is_new: false,
            ready: VecDeque::new(),
        }
    }

    /// Every packet of sound is a frame, in any order: a jitter buffer puts them in theirs,
    /// and knows those that came twice.
    fn take_sound(
        &mut self,
        stream: StreamId,
        packet: rtp::Packet,
        number: Option<u32>,
        stats: &mut RtpStats,
    ) {
        let (Some(&toc), Some(number)) = (packet.payload.first(), number) else { return };
        let before = match self.media {
            Media::Sound { channels } => channels,
            Media::None | Media::Pictures(_) => 1,
        };
        let channels = before.max(if toc & STEREO == 0 { 1 } else { 2 });
        self.media = Media::Sound { channels };
        let coding = Coding::Audio { codec: AudioCodec::Opus, channels };
        let timestamp = packet.header.timestamp;
        self.give_out(stream, number, timestamp, Codec::Opus, coding, packet.payload);
        stats.received_frames += 1;
    }

    fn take_pictures(&mut self, stream: StreamId, stats: &mut RtpStats) {
        let Media::Pictures(pictures) = &mut self.media else { return };
        let codec = pictures.codec;
        let mut whole = Vec::new();
        while let Some(output) = pictures.depacketizer.poll_output() {
            match output {
                Output::Frame(frame) => {
                    // The low half is the packets' timestamp.
                    let timestamp = frame.time.ticks() as u32;
                    match pictures.number_of(timestamp) {
                        Some(number) => whole.push((number, timestamp, frame)),
                        None => stats.broken_frames += 1,
                    }
                }
                Output::Missing { count, .. } => stats.missing_packets += count,
                Output::Dropped { .. } => stats.broken_frames += 1,
                _ => {}
            }
        }
        for (number, timestamp, frame) in whole {
            let coding = Coding::Video {
                codec: match codec {
                    Codec::Vp8 => VideoCodec::Vp8,
                    Codec::Vp9 => VideoCodec::Vp9,
                    _ => VideoCodec::H264,
                },
                key: frame.key,
                discardable: frame.discardable,
                // Not said: it is in the bitstream.
                width: 0,
                height: 0,
            };
            self.give_out(stream, number, timestamp, codec, coding, frame.data);
            stats.received_frames += 1;
        }
    }

    fn give_out(
        &mut self,
        stream: StreamId,
        number: u32,
        timestamp: u32,
        codec: Codec,
        coding: Coding,
        data: Bytes,
    ) {
        let ticks = self.reference.map_or_else(|| timestamp.into(), |it| near(it, timestamp));
        self.reference = Some(ticks);
        let hz = codec.clock().hz();
        let capture = self.report.map(|(ntp, at)| captured(ntp, at, timestamp, hz));
        let frame = EncodedFrame {
            stream,
            seq: SeqNo::new(number.into()),
            time: MediaTime::new(ticks, codec.clock()),
            capture: capture.unwrap_or_default(),
            coding,
            data,
        };
        let is_new = std::mem::take(&mut self.is_new);
        let capture = if is_new { CaptureTime::Reported } else { CaptureTime::Derived };
        self.ready.push_back((frame, capture));
    }
}

impl Pictures {
    fn note_seq(&mut self, seq: u16) {
        if !self.is_behind(seq) {
            self.newest = seq;
        }
    }

    /// Whether a number is the newest, or so little behind that it is of a packet that came
    /// late.
    const fn is_behind(&self, seq: u16) -> bool {
        self.newest.wrapping_sub(seq) < MAX_BEHIND
    }

    /// All packets of a frame say the same; if not, the first counts.
    fn note_number(&mut self, timestamp: u32, number: u32, most: usize) {
        if self.numbers.iter().rev().any(|&(at, _)| at == timestamp) {
            return;
        }
        if self.numbers.len() >= most {
            self.numbers.pop_front();
        }
        self.numbers.push_back((timestamp, number));
    }

    /// The number of the frame that is whole now. Those before it are not asked for again.
    fn number_of(&mut self, timestamp: u32) -> Option<u32> {
        let found = self.numbers.iter().find(|&&(at, _)| at == timestamp).map(|&(_, it)| it);
        self.numbers.retain(|&(at, _)| at.wrapping_sub(timestamp).cast_signed() > 0);
        found
    }
}

/// The media time that has this timestamp and is nearest to another (RFC 3550 A.1). One that
/// would be negative, or beyond all, is the timestamp itself.
fn near(reference: u64, timestamp: u32) -> u64 {
    let step = timestamp.wrapping_sub(reference as u32).cast_signed();
    reference.checked_add_signed(step.into()).unwrap_or_else(|| timestamp.into())
}

/// When was captured what has this timestamp, if what has `at` was at `ntp`.
fn captured(ntp: NtpTime, at: u32, timestamp: u32, hz: u32) -> NtpTime {
    let ticks = i64::from(timestamp.wrapping_sub(at).cast_signed());
    // NTP time is in 32.32 fixed point: at most 2⁶³ here, and it wraps as that does.
    let span = ticks * (1 << 32) / i64::from(hz.max(1));
    NtpTime::from_bits(ntp.to_bits().wrapping_add_signed(span))
}

/// RFC 6716 §3.1: the bit of the first byte that says two channels.
const STEREO: u8 = 0b100;

/// Frames whose numbers are kept, or one more than packets are held if that is more; of them the
/// newest count.
const MAX_FRAMES: usize = 1_024;

/// As far behind the newest a packet is one that was sent again, and no other place in the
/// numbers: as in [`Depacketizer`].
const MAX_BEHIND: u16 = 3_000;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use paceline_framing::rtp::{Packetizer, PacketizerConfig};

    use super::*;

    /// Pictures of one packet each, of a peer and to him.
    struct Pictures {
        packetizer: Packetizer,
        incoming: Incoming,
        stats: RtpStats,
        now: Instant,
    }

    impl Pictures {
        #[expect(clippy::disallowed_methods, reason = "one instant to count from")]
        fn new(config: RtpConfig) -> Self {
            let peer = PeerId::from_bytes([7; 16]);
            let source = Ssrc::of(peer, StreamId::VIDEO).expect("a stream");
            let vp8 = PacketizerConfig::new(Codec::Vp8, 97, source.get()).first_seq(0);
            Self {
                packetizer: Packetizer::new(vp8),
                incoming: Incoming::new(peer, config),
                stats: RtpStats::default(),
                now: Instant::now(),
            }
        }

        fn packet(&mut self, number: u32) -> rtp::Packet {
            let key = number == 0;
            let mut data = vec![if key { 0x10 } else { 0x11 }; 12];
            data[3..10].copy_from_slice(&[0x9d, 0x01, 0x2a, 64, 0, 48, 0]);
            let frame = EncodedFrame {
                stream: StreamId::VIDEO,
                seq: SeqNo::new(number.into()),
                time: MediaTime::new(3_000 * u64::from(number), Codec::Vp8.clock()),
                capture: NtpTime::default(),
                coding: Coding::Video {
                    codec: VideoCodec::Vp8,
                    key,
                    discardable: false,
                    width: 64,
                    height: 48,
                },
                data: data.into(),
            };
            let mut packets = self.packetizer.packetize(&frame).expect("it fits");
            let mut packet = packets.pop().expect("one");
            let number = number.to_be_bytes().to_vec().into();
            packet.header.set_extension(FRAME_EXTENSION, number).expect("it fits");
            packet
        }

        fn come(&mut self, packet: &rtp::Packet) {
            self.incoming.handle_packet(self.now, rtp::emit(packet), &mut self.stats);
        }

        fn numbers(&mut self) -> Vec<u64> {
            std::iter::from_fn(|| self.incoming.poll_frame()).map(|(it, _)| it.seq.get()).collect()
        }
    }

    #[test]
    fn as_many_frames_as_may_be_held_come_out_after_a_gap() {
        let mut pictures = Pictures::new(RtpConfig::default().max_packets(3_000));
        for number in 0..2_900 {
            let packet = pictures.packet(number);
            if number != 1 {
                pictures.come(&packet);
            }
        }
        assert_eq!(pictures.numbers(), [0]);
        pictures.now += Duration::from_secs(1);
        pictures.incoming.handle_timeout(pictures.now, &mut pictures.stats);
        assert_eq!(pictures.numbers(), Vec::from_iter(2..2_900));
        assert_eq!((pictures.stats.received_frames, pictures.stats.broken_frames), (2_899, 0));
    }

    #[test]
    fn a_frame_whose_number_is_not_known_any_more_is_counted() {
        let mut pictures = Pictures::new(RtpConfig::default());
        let first = pictures.packet(0);
        pictures.come(&first);
        pictures.packet(1);
        let waits = pictures.packet(2);
        pictures.come(&waits);
        // What came once is late; with other times it is more than any frame.
        for time in 0..2_000 {
            let mut late = first.clone();
            late.header.timestamp = late.header.timestamp.wrapping_sub(3_000 * time + 1);
            pictures.come(&late);
        }
        pictures.now += Duration::from_secs(1);
        pictures.incoming.handle_timeout(pictures.now, &mut pictures.stats);
        assert_eq!(pictures.numbers(), [0]);
        assert_eq!((pictures.stats.received_frames, pictures.stats.broken_frames), (1, 1));
    }

    #[test]
    fn a_time_is_the_nearest_that_has_the_timestamp() {
        for offset in 0..64_u64 {
            let reference = (5 << 32) - 32 + offset;
            for step in [-0x7fff_ffff_i64, -40, -1, 0, 1, 40, 0x7fff_ffff] {
                let time = reference.strict_add_signed(step);
                assert_eq!(near(reference, time as u32), time);
            }
        }
        assert_eq!(near(2, u32::MAX), u64::from(u32::MAX), "nothing is negative");
        let _ = near(u64::MAX, 7);
    }

    #[test]
    fn a_capture_is_as_far_from_the_reports_as_the_timestamps_are() {
        let ntp = NtpTime::from_unix(Duration::from_secs(1_700_000_000));
        let at = u32::MAX - 10;
        assert_eq!(captured(ntp, at, at, 90_000), ntp);
        let later = captured(ntp, at, at.wrapping_add(90_000), 90_000);
        assert_eq!(later, ntp + Duration::from_secs(1));
        let earlier = captured(ntp, at, at.wrapping_sub(24_000), 48_000);
        assert_eq!(earlier + Duration::from_millis(500), ntp);
        // Whatever a peer says.
        let _ = captured(NtpTime::from_bits(u64::MAX), 0, i32::MIN as u32, 48_000);
    }
}
