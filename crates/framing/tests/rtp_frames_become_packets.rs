//! The headers that a packetizer makes.
#![cfg(feature = "rtp")]
#![allow(clippy::disallowed_methods, reason = "a test needs an epoch")]

use std::time::{Duration, Instant};

use bytes::Bytes;
use paceline_framing::rtp::{
    Codec, Depacketizer, DepacketizerConfig, Output, PacketizeError, Packetizer, PacketizerConfig,
    PacketizerStats, parse,
};
use paceline_framing::types::{
    AudioCodec, Coding, EncodedFrame, Frequency, MediaTime, NtpTime, SeqNo, StreamId, VideoCodec,
};

fn frame(ticks: u64, clock: Frequency, coding: Coding, data: Vec<u8>) -> EncodedFrame {
    EncodedFrame {
        stream: StreamId::VIDEO,
        seq: SeqNo::new(0),
        time: MediaTime::new(ticks, clock),
        capture: NtpTime::default(),
        coding,
        data: data.into(),
    }
}

fn picture(ticks: u64, data: Vec<u8>) -> EncodedFrame {
    let codec = VideoCodec::H264;
    let coding = Coding::Video { codec, key: false, discardable: false, width: 16, height: 16 };
    frame(ticks, Frequency::VIDEO, coding, data)
}

/// One slice of so many bytes.
fn slice(ticks: u64, len: usize) -> EncodedFrame {
    picture(ticks, [vec![0, 0, 1, 0x41], vec![7; len - 1]].concat())
}

/// 20 ms.
fn sound(ticks: u64) -> EncodedFrame {
    let coding = Coding::Audio { codec: AudioCodec::Opus, channels: 1 };
    frame(ticks, Frequency::AUDIO, coding, vec![0x78, 1, 2])
}

#[test]
fn the_marker_ends_a_picture_and_all_its_packets_have_its_time() {
    let config = PacketizerConfig::new(Codec::H264, 96, 0x5eed).first_seq(u16::MAX);
    let mut packetizer = Packetizer::new(config.time_offset(u32::MAX).max_payload(100));
    let packets = packetizer.packetize(&slice((1 << 32) + 3_001, 250)).unwrap();
    let headers: Vec<_> = packets.iter().map(|packet| &packet.header).collect();
    assert_eq!(headers.iter().map(|h| h.marker).collect::<Vec<_>>(), [false, false, true]);
    assert_eq!(headers.iter().map(|h| h.sequence_number).collect::<Vec<_>>(), [u16::MAX, 0, 1]);
    assert!(headers.iter().all(|h| (h.timestamp, h.payload_type, h.ssrc) == (3_000, 96, 0x5eed)));
    assert_eq!(packetizer.next_seq(), 2);
    // 249 bytes, and two of FU header each.
    let stats = PacketizerStats { frames: 1, packets: 3, bytes: 249 + 6 };
    assert_eq!(packetizer.stats(), stats);
    for packet in packets {
        assert_eq!(parse(paceline_framing::rtp::emit(&packet)), Ok(packet));
    }
}

/// Parameter sets may go in the session description (RFC 6184 §8.1).
#[test]
fn keyframes_without_parameter_sets_come_back_if_none_ever_came() {
    let coding = |key| Coding::Video {
        codec: VideoCodec::H264,
        key,
        discardable: false,
        width: 16,
        height: 16,
    };
    let idr = frame(0, Frequency::VIDEO, coding(true), vec![0, 0, 1, 0x65, 0x88, 0x80]);
    let with_sets = [&[0, 0, 1, 0x67, 0x42, 0xc0, 0x1e, 0xd9][..], &idr.data].concat();
    let with_sets = frame(0, Frequency::VIDEO, coding(true), with_sets);
    for first in [&idr, &with_sets] {
        let mut packetizer = Packetizer::new(PacketizerConfig::new(Codec::H264, 96, 1));
        let config = DepacketizerConfig::default();
        let mut depacketizer = Depacketizer::new(1, Codec::H264, config);
        let now = Instant::now();
        let mut frames = Vec::new();
        for (index, ticks) in (0..4).zip((0..).step_by(3_000)) {
            let frame =
                EncodedFrame { time: MediaTime::new(ticks, Frequency::VIDEO), ..first.clone() };
            let packets = packetizer.packetize(&frame).unwrap();
            // Of the third, what is first is lost.
            for packet in packets.into_iter().skip(usize::from(index == 2)) {
                let _ = depacketizer.handle_packet(now, packet);
            }
        }
        depacketizer.handle_timeout(now + Duration::from_secs(1));
        while let Some(output) = depacketizer.poll_output() {
            if let Output::Frame(frame) = output {
                assert!(frame.key);
                frames.push(frame.time.ticks() as u32);
            }
        }
        // Without the third, if it lacks what may be its sets.
        assert_eq!(frames, [0, 3_000, 9_000]);
    }
}

#[test]
fn packets_are_of_1200_bytes_at_most_if_nothing_else_is_said() {
    let mut packetizer = Packetizer::new(PacketizerConfig::new(Codec::H264, 96, 1));
    let packets = packetizer.packetize(&slice(0, 1_188)).unwrap();
    assert_eq!(packets.len(), 1);
    assert_eq!(paceline_framing::rtp::emit(&packets[0]).len(), 1_200);
    assert_eq!(packetizer.packetize(&slice(1, 1_189)).unwrap().len(), 2);
}

#[test]
fn the_marker_begins_a_talkspurt() {
    let mut packetizer = Packetizer::new(PacketizerConfig::new(Codec::Opus, 111, 1));
    let mut marker = |ticks| packetizer.packetize(&sound(ticks)).unwrap()[0].header.marker;
    assert!(marker(5_000), "the first");
    assert!(!marker(5_960), "where the first ends");
    assert!(!marker(6_920));
    assert!(marker(6_920 + 961), "a tick of silence");
    assert!(!marker(6_920 + 961 + 480), "earlier than the end");
}

#[test]
fn an_error_uses_up_nothing() {
    let mut packetizer = Packetizer::new(PacketizerConfig::new(Codec::H264, 96, 1).first_seq(9));
    let no_stream = packetizer.packetize(&picture(0, vec![1, 2, 3]));
    assert_eq!(no_stream, Err(PacketizeError::Malformed { what: "it has no start code" }));
    assert_eq!(packetizer.packetize(&picture(0, vec![])), Err(PacketizeError::Empty));
    assert_eq!(packetizer.next_seq(), 9);
    assert_eq!(packetizer.stats(), PacketizerStats::default());

    let config = PacketizerConfig::new(Codec::Opus, 111, 1).max_payload(64);
    let mut packetizer = Packetizer::new(config);
    let large = EncodedFrame { data: Bytes::from(vec![0x78; 65]), ..sound(0) };
    let error = PacketizeError::TooLarge { len: 65, max: 64 };
    assert_eq!(packetizer.packetize(&large), Err(error));
    assert_eq!(packetizer.next_seq(), 0);
    assert!(packetizer.packetize(&sound(960)).unwrap()[0].header.marker, "still the first");
}

#[test]
#[should_panic(expected = "a frame of another codec")]
fn a_frame_of_another_codec_is_a_bug_of_the_caller() {
    let mut packetizer = Packetizer::new(PacketizerConfig::new(Codec::H264, 96, 1));
    let _ = packetizer.packetize(&sound(0));
}

#[test]
#[should_panic(expected = "a frame on another clock")]
fn a_frame_on_another_clock_is_a_bug_of_the_caller() {
    let mut packetizer = Packetizer::new(PacketizerConfig::new(Codec::Opus, 111, 1));
    let time = MediaTime::new(0, Frequency::VIDEO);
    let _ = packetizer.packetize(&EncodedFrame { time, ..sound(0) });
}

#[test]
#[should_panic(expected = "a payload of less than 64 bytes")]
fn tiny_packets_are_a_bug_of_the_caller() {
    let _ = PacketizerConfig::new(Codec::H264, 96, 1).max_payload(63);
}
