//! RTP and RTCP datagrams.

use std::time::Duration;

use bytes::{Buf, Bytes};
use paceline_framing::rtcp;
use paceline_framing::rtp::{
    Codec, Depacketizer, DepacketizerConfig, Header, Output, Packet, PacketizeError, Packetizer,
    PacketizerConfig, emit, parse,
};
use paceline_framing::types::{
    AudioCodec, Coding, EncodedFrame, MediaTime, NtpTime, SeqNo, StreamId, VideoCodec,
};

use crate::packets::epoch;

/// A packet, as far as its payload.
pub fn rtp_header(datagram: &[u8]) {
    if let Ok(packet) = parse(Bytes::copy_from_slice(datagram)) {
        assert!(packet.payload.len() <= datagram.len());
        // What was padding is none any more; all else is as it was.
        let again = parse(emit(&packet)).expect("what was read can be written");
        assert_eq!(again.payload, packet.payload);
        assert_eq!(again.header.sequence_number, packet.header.sequence_number);
        assert_eq!(again.header.timestamp, packet.header.timestamp);
        assert_eq!(again.header.csrc, packet.header.csrc);
        assert_eq!(again.header.extensions, packet.header.extensions);
    }
}

/// A datagram of reports and feedback, and all that a program asks it.
pub fn rtcp(datagram: &[u8]) {
    let Ok(packets) = rtcp::parse(Bytes::copy_from_slice(datagram)) else { return };
    let _ = rtcp::validate_compound(&packets);
    let again = rtcp::emit(&packets);
    assert_eq!(rtcp::parse(again).as_ref(), Ok(&packets));
    let mut commands = rtcp::FirReceiver::new();
    for packet in &packets {
        match packet {
            rtcp::Packet::FullIntraRequest(request) => {
                let new = commands.handle_request(request, |media| media % 2 == 0);
                assert!(new.len() <= request.fir.len());
            }
            rtcp::Packet::Nack(nack) => {
                let lost: Vec<_> = rtcp::lost_sequences(nack).collect();
                let nacks = rtcp::nack_pairs(lost.iter().copied());
                let nack = rtcp::TransportLayerNack { nacks, ..nack.clone() };
                // Those that were named twice are named once.
                assert!(rtcp::lost_sequences(&nack).all(|seq| lost.contains(&seq)));
                assert!(lost.iter().all(|seq| rtcp::lost_sequences(&nack).any(|s| s == *seq)));
            }
            rtcp::Packet::ReceiverReport(report) => {
                for report in &report.reports {
                    let _ = rtcp::round_trip(NtpTime::from_bits(1 << 40), report);
                    let _ = rtcp::cumulative_lost(report);
                }
            }
            rtcp::Packet::SourceDescription(description) => {
                for chunk in &description.chunks {
                    let again = rtcp::SdesChunk::new(chunk.source(), chunk.items());
                    assert_eq!((&again, again.cname()), (chunk, chunk.cname()));
                }
            }
            rtcp::Packet::TransportFeedback(feedback) => {
                let statuses = rtcp::Statuses::new(feedback.statuses.iter());
                assert!(statuses.iter().eq(feedback.statuses.iter()));
                assert!(feedback.arrivals().count() <= feedback.statuses.len());
            }
            rtcp::Packet::Unknown(unknown) => {
                assert_eq!(unknown.raw()[1], unknown.packet_type());
                assert!(unknown.count() < 32);
            }
            _ => {}
        }
    }
}

/// Payloads of H.264.
pub fn rtp_h264(script: &[u8]) {
    payloads(Codec::H264, script);
}

/// Payloads of Opus.
pub fn rtp_opus(script: &[u8]) {
    payloads(Codec::Opus, script);
}

/// Payloads of VP8.
pub fn rtp_vp8(script: &[u8]) {
    payloads(Codec::Vp8, script);
}

/// Payloads of VP9.
pub fn rtp_vp9(script: &[u8]) {
    payloads(Codec::Vp9, script);
}

/// A sender of one codec whose packets all come, in order: each step is flags and a
/// payload. What comes back is sent again, and comes back the same.
fn payloads(codec: Codec, mut script: &[u8]) {
    let mut depacketizer = Depacketizer::new(1, codec, DepacketizerConfig::default());
    let now = epoch();
    let (mut seq, mut timestamp) = (0_u16, 0_u32);
    while let Some((&[flags, len], rest)) = script.split_first_chunk() {
        script = rest;
        let len = usize::from(len).min(script.len());
        let payload = Bytes::copy_from_slice(&script[..len]);
        script.advance(len);
        seq = seq.wrapping_add(1);
        timestamp = timestamp.wrapping_add(u32::from(flags & 2) * 1_500);
        let packet = packet(seq, timestamp, flags & 1 != 0, payload);
        let _ = depacketizer.handle_packet(now, packet);
        while let Some(output) = depacketizer.poll_output() {
            if let Output::Frame(frame) = output {
                send_again(codec, &frame.data, frame.key, frame.discardable);
            }
        }
    }
}

/// A sender of pictures on a bad path: each step is a step of the sequence number, flags
/// and a size.
pub fn rtp_frames(mut script: &[u8]) {
    const LIMIT: usize = 20_000;
    let config = DepacketizerConfig::default().max_bytes(LIMIT).max_packets(64);
    let mut depacketizer = Depacketizer::new(1, Codec::Vp8, config);
    let mut now = epoch();
    let mut seq = 0_u16;
    let mut after = None;
    while let Some((&[step, flags, time, len], rest)) = script.split_first_chunk() {
        script = rest;
        let jump = if flags & 0x40 != 0 { i16::from(step) << 7 } else { i16::from(step as i8) };
        seq = seq.wrapping_add_signed(jump);
        // Inter frames of VP8: a descriptor, and a header with the lowest bit set.
        let mut payload = vec![if flags & 2 != 0 { 0x10 } else { 0 }, 1];
        payload.resize(2 + usize::from(len), 7);
        if flags & 8 != 0 {
            payload.clear();
        }
        let timestamp = u32::from(time) << (flags & 0x10);
        let packet = packet(seq, timestamp, flags & 1 != 0, payload.into());
        now += Duration::from_millis(u64::from(flags & 4) * 10);
        if flags & 0x20 != 0 {
            depacketizer.handle_timeout(now);
        }
        let _ = depacketizer.handle_packet(now, packet);
        while let Some(output) = depacketizer.poll_output() {
            // In order, nothing twice, and nothing that is both there and missing.
            let (first, next) = match output {
                Output::Frame(frame) => {
                    (frame.first_seq, frame.first_seq.get() + frame.packets as u64)
                }
                Output::Missing { first, count } => (first, first.get() + count),
                _ => continue,
            };
            assert!(after.is_none_or(|after| after <= first.get()));
            after = Some(next);
        }
        assert!(depacketizer.held() <= LIMIT);
        assert!(depacketizer.poll_timeout().is_none_or(|deadline| deadline > now));
    }
    depacketizer.handle_timeout(now + Duration::from_secs(10));
    while depacketizer.poll_output().is_some() {}
    assert_eq!(depacketizer.poll_timeout(), None, "no gap stays for ever");
}

/// An encoder that may be broken: a codec, the largest payload, flags and a frame.
pub fn rtp_send(script: &[u8]) {
    let Some((&[codec, max, flags], data)) = script.split_first_chunk() else { return };
    let codec = [Codec::H264, Codec::Opus, Codec::Vp8, Codec::Vp9][usize::from(codec % 4)];
    let config = PacketizerConfig::new(codec, 96, 1).max_payload(64 + usize::from(max));
    let data = Bytes::copy_from_slice(data);
    let mut packetizer = Packetizer::new(config);
    let frame = frame(codec, data, flags & 1 != 0, flags & 2 != 0);
    let Ok(packets) = packetizer.packetize(&frame) else { return };
    for packet in &packets {
        assert!(packet.payload.len() <= 64 + usize::from(max));
        assert_eq!(parse(emit(packet)).as_ref(), Ok(packet));
    }
    comes_back(codec, packets, &frame);
}

/// Sends what came as a frame; the packets make the same frame.
fn send_again(codec: Codec, data: &Bytes, key: bool, discardable: bool) {
    let mut packetizer = Packetizer::new(PacketizerConfig::new(codec, 96, 1).max_payload(100));
    let frame = frame(codec, data.clone(), key, discardable);
    match packetizer.packetize(&frame) {
        Ok(packets) => comes_back(codec, packets, &frame),
        // Not split; its descriptor called it an inter frame.
        Err(PacketizeError::TooLarge { .. }) if codec == Codec::Opus => {}
        Err(PacketizeError::Malformed { .. }) if codec == Codec::Vp9 => {}
        // No start codes, or no units that are sent.
        Err(_) if codec == Codec::H264 => {}
        Err(error) => panic!("{error}"),
    }
}

/// That the packets of a frame make it again.
fn comes_back(codec: Codec, packets: Vec<Packet>, frame: &EncodedFrame) {
    let mut depacketizer = Depacketizer::new(1, codec, DepacketizerConfig::default());
    for packet in packets {
        let _ = depacketizer.handle_packet(epoch(), packet);
    }
    match depacketizer.poll_output() {
        Some(Output::Frame(again)) if codec != Codec::H264 => {
            assert_eq!((&again.data, again.key), (&frame.data, frame.coding.is_key()));
        }
        // It may lose units that are not sent and get parameter sets, and it may begin
        // with what does not say that it is first.
        _ if codec == Codec::H264 => {}
        other => panic!("{other:?}"),
    }
}

fn packet(sequence_number: u16, timestamp: u32, marker: bool, payload: Bytes) -> Packet {
    let header =
        Header { version: 2, sequence_number, timestamp, marker, ssrc: 1, ..Header::default() };
    Packet { header, payload }
}

fn frame(codec: Codec, data: Bytes, key: bool, discardable: bool) -> EncodedFrame {
    let video = |codec| Coding::Video { codec, key, discardable, width: 64, height: 64 };
    let coding = match codec {
        Codec::H264 => video(VideoCodec::H264),
        Codec::Vp8 => video(VideoCodec::Vp8),
        Codec::Vp9 => video(VideoCodec::Vp9),
        _ => Coding::Audio { codec: AudioCodec::Opus, channels: 2 },
    };
    EncodedFrame {
        stream: StreamId::VIDEO,
        seq: SeqNo::new(0),
        time: MediaTime::new(0, codec.clock()),
        capture: NtpTime::default(),
        coding,
        data,
    }
}
