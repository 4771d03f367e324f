//! Any packet arrives over any channel that loses nothing; nothing else does.
#![allow(clippy::disallowed_methods, reason = "a test needs an epoch")]

use std::time::{Duration, Instant};

use bytes::Bytes;
use paceline_framing::types::{
    AudioCodec, CELL_BYTES, Coding, EncodedFrame, Epoch, Frequency, GLYPHS, MediaTime, MixInfo,
    MixSource, NtpTime, PeerId, PixelFormat, Rect, SenderId, SeqNo, StreamId, StreamKey,
    VideoCodec,
};
use paceline_framing::{
    Body, ByeReason, Control, Fragmenter, Hello, Packet, Reassembler, ReassemblyConfig,
    ReceptionReport, Role,
};
use proptest::prelude::*;
use proptest::sample::select;

fn data() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..5_000)
}

fn coded() -> impl Strategy<Value = (Coding, Vec<u8>)> {
    let audio = (select(vec![AudioCodec::Opus, AudioCodec::PcmF32]), 1..=2_u8, data())
        .prop_map(|(codec, channels, data)| (Coding::Audio { codec, channels }, data));
    let glyph = 0..GLYPHS.len() as u8;
    let cells = (1..40_u16, 1..20_u16, glyph).prop_map(|(columns, rows, glyph)| {
        let cells = usize::from(columns) * usize::from(rows);
        (Coding::Cells { columns, rows }, [glyph; CELL_BYTES].repeat(cells))
    });
    let formats = vec![PixelFormat::I420, PixelFormat::Rgb24, PixelFormat::Rgba];
    let image = (select(formats), 1..40_u16, 1..40_u16).prop_map(|(format, width, height)| {
        (Coding::Image { format, width, height }, vec![7; format.bytes(width, height)])
    });
    let codecs = vec![VideoCodec::H264, VideoCodec::Vp8, VideoCodec::Vp9, VideoCodec::Av1];
    let video = (select(codecs), any::<(bool, bool, u16, u16)>(), data()).prop_map(
        |(codec, (key, discardable, width, height), data)| {
            (Coding::Video { codec, key, discardable, width, height }, data)
        },
    );
    prop_oneof![audio, cells, image, video]
}

fn frame() -> impl Strategy<Value = EncodedFrame> {
    (any::<(u16, u32, u64, u64)>(), coded()).prop_map(
        |((stream, seq, ticks, capture), (coding, data))| EncodedFrame {
            stream: StreamId::new(stream),
            seq: SeqNo::new(seq.into()),
            time: MediaTime::new(
                ticks,
                if coding.is_audio() { Frequency::AUDIO } else { Frequency::VIDEO },
            ),
            capture: NtpTime::from_bits(capture),
            coding,
            data: data.into(),
        },
    )
}

fn hello() -> impl Strategy<Value = Control> {
    let role = select(vec![Role::Host, Role::Member]);
    (any::<([u8; 16], [u8; 16], [u8; 16])>(), any::<(u32, u8, u8, u32, u32, u32)>(), role).prop_map(
        |((session, peer, resume), (sender, min, max, capabilities, message, packet), role)| {
            Control::Hello(Hello {
                session,
                peer: PeerId::from_bytes(peer),
                sender: SenderId::new(sender),
                min_version: min,
                max_version: max,
                role,
                capabilities,
                max_message: message,
                max_packet: packet,
                resume,
            })
        },
    )
}

fn report() -> impl Strategy<Value = ReceptionReport> {
    any::<(u32, u16, u32, u32, u32, u64, u32)>().prop_map(
        |(sender, stream, highest_seq, lost, jitter, capture, queue_delay)| ReceptionReport {
            stream: StreamKey { sender: SenderId::new(sender), stream: StreamId::new(stream) },
            highest_seq,
            lost,
            jitter,
            last_capture: NtpTime::from_bits(capture),
            queue_delay,
        },
    )
}

fn source() -> impl Strategy<Value = MixSource> {
    (any::<(u32, u16, u16, u16, u16, u64, bool)>(), 0..=127_u8).prop_map(
        |((sender, x, y, width, height, capture, muted), level)| MixSource {
            sender: SenderId::new(sender),
            tile: Rect { x, y, width, height },
            level,
            capture: NtpTime::from_bits(capture),
            muted,
        },
    )
}

fn control() -> impl Strategy<Value = Control> {
    let mix = (any::<(u16, u64)>(), prop::collection::vec(source(), 0..33)).prop_map(
        |((stream, ticks), sources)| {
            Control::MixInfo(MixInfo {
                stream: StreamId::new(stream),
                time: MediaTime::new(ticks, Frequency::VIDEO),
                sources,
            })
        },
    );
    prop_oneof![
        select(vec![ByeReason::Failed, ByeReason::Leaving])
            .prop_map(|reason| Control::Bye { reason }),
        hello(),
        any::<u16>().prop_map(|id| Control::KeyframeRequest { stream: StreamId::new(id) }),
        mix,
        any::<u64>().prop_map(|t1| Control::Ping { t1 }),
        any::<(u64, u64, u64)>().prop_map(|(t1, t2, t3)| Control::Pong { t1, t2, t3 }),
        prop::collection::vec(report(), 0..40).prop_map(Control::ReceiverReport),
        any::<(u16, bool)>().prop_map(|(id, enabled)| {
            Control::TrackState { stream: StreamId::new(id), enabled }
        }),
    ]
}

fn packet() -> impl Strategy<Value = Packet> {
    let body = prop_oneof![frame().prop_map(Body::Media), control().prop_map(Body::Control)];
    (any::<u32>(), any::<Option<u64>>(), body).prop_map(|(sender, epoch, body)| Packet {
        sender: SenderId::new(sender),
        epoch: epoch.map(Epoch::from_bits),
        body,
    })
}

/// A packet and its messages, cut small, in any order.
fn shuffled() -> impl Strategy<Value = (Packet, Vec<Bytes>)> {
    (packet(), Fragmenter::MIN_MESSAGE..2_000).prop_flat_map(|(packet, limit)| {
        let messages = Fragmenter::new(limit).cut(&packet).messages().to_vec();
        (Just(packet), Just(messages).prop_shuffle())
    })
}

/// A message that no fragmenter made, with its length and checksum put right.
fn plausible(mut bytes: Vec<u8>) -> Bytes {
    let len = bytes.len() as u32 - 20;
    bytes[..5].copy_from_slice(&[0xDE, 0xAD, 0xBE, 0xEF, 1]);
    bytes[8..12].copy_from_slice(&len.to_be_bytes());
    bytes[12..16].fill(0);
    let checksum = crc32c::crc32c(&bytes);
    bytes[12..16].copy_from_slice(&checksum.to_be_bytes());
    bytes.into()
}

/// A packet of which one byte after the checksum is another.
fn almost() -> impl Strategy<Value = Bytes> {
    (packet(), any::<prop::sample::Index>(), any::<u8>()).prop_map(|(packet, place, byte)| {
        let mut bytes = packet.emit().to_vec();
        let place = 16 + place.index((bytes.len() - 16).min(100));
        bytes[place] = byte;
        plausible(bytes)
    })
}

/// Messages of the types that there are, of few packets, and wild otherwise.
fn hostile() -> impl Strategy<Value = Bytes> {
    let known = select(vec![1_u16, 2, 3, 4, 128, 129, 130, 131, 132, 133, 135, 149, 134, 9]);
    let part = (0..4_u32, 0..4_u16, 0..5_u16);
    let body = prop::collection::vec(any::<u8>(), 0..200);
    let shaped = (known, 0..4_u8, part, body).prop_map(|(kind, flags, part, body)| {
        let mut bytes = vec![0; 20];
        bytes[5] = flags;
        bytes[6..8].copy_from_slice(&kind.to_be_bytes());
        if flags & 2 != 0 {
            bytes.extend([0; 8]);
        }
        bytes.extend(part.0.to_be_bytes());
        bytes.extend(part.1.to_be_bytes());
        bytes.extend(part.2.to_be_bytes());
        bytes.extend(body);
        plausible(bytes)
    });
    let wild = prop::collection::vec(any::<u8>(), 20..200).prop_map(plausible);
    let noise = prop::collection::vec(any::<u8>(), 0..200).prop_map(Bytes::from);
    prop_oneof![6 => shaped, 6 => almost(), 1 => wild, 1 => noise]
}

proptest! {
    #[test]
    fn what_is_emitted_parses_to_the_same(packet in packet()) {
        prop_assert_eq!(Packet::parse(packet.emit()), Ok(packet));
    }

    /// What parses has one wire form only, so two readers cannot differ over it.
    #[test]
    fn what_parses_is_emitted_as_it_was(message in hostile()) {
        if let Ok(packet) = Packet::parse(message.clone()) {
            prop_assert_eq!(packet.emit(), message);
        }
    }

    /// The engine is asked for no more than the receiver takes.
    #[test]
    fn no_message_is_longer_than_the_limit(
        packet in packet(),
        limit in Fragmenter::MIN_MESSAGE..2_000,
    ) {
        let cut = Fragmenter::new(limit).cut(&packet);
        prop_assert!(cut.messages().iter().all(|message| message.len() <= limit));
        prop_assert_eq!(cut.bytes(), cut.messages().iter().map(Bytes::len).sum::<usize>());
    }

    /// In whatever order, and with everything doubled.
    #[test]
    fn a_packet_survives_reordered_and_doubled_fragments((packet, messages) in shuffled()) {
        let now = Instant::now();
        let mut reassembler = Reassembler::new(ReassemblyConfig::default());
        let fragmented = messages.len() > 1;
        for message in messages.iter().flat_map(|message| [message, message]) {
            prop_assert_eq!(reassembler.handle_message(now, message.clone()), Ok(()));
        }
        prop_assert_eq!(reassembler.poll_output(), Some(packet.clone()));
        // Only what was cut has a number to be known by.
        prop_assert_eq!(reassembler.poll_output(), (!fragmented).then_some(packet));
        prop_assert_eq!((reassembler.held(), reassembler.poll_timeout()), (0, None));
    }

    #[test]
    fn packets_that_are_mixed_up_are_told_apart(
        packets in prop::collection::vec(packet(), 1..5),
        shuffle in any::<prop::sample::Index>(),
    ) {
        let now = Instant::now();
        let mut fragmenter = Fragmenter::new(700);
        let mut messages: Vec<_> = packets
            .iter()
            .flat_map(|packet| fragmenter.cut(packet).messages().to_vec())
            .collect();
        let middle = shuffle.index(messages.len());
        messages.rotate_left(middle);
        let mut reassembler = Reassembler::new(ReassemblyConfig::default());
        let mut arrived = Vec::new();
        for message in messages {
            prop_assert_eq!(reassembler.handle_message(now, message), Ok(()));
            arrived.extend(reassembler.poll_output());
        }
        prop_assert_eq!(arrived.len(), packets.len());
        prop_assert!(packets.iter().all(|packet| arrived.contains(packet)));
    }

    #[test]
    fn an_incomplete_packet_is_never_delivered(
        (_, mut messages) in shuffled(),
        lost in any::<prop::sample::Index>(),
    ) {
        messages.remove(lost.index(messages.len()));
        let now = Instant::now();
        let mut reassembler = Reassembler::new(ReassemblyConfig::default());
        for message in messages {
            prop_assert_eq!(reassembler.handle_message(now, message), Ok(()));
        }
        prop_assert_eq!(reassembler.poll_output(), None);
    }

    /// The checksum finds any burst of up to 32 bits (CRC-32C is of degree 32).
    #[test]
    fn a_damaged_message_is_refused(
        packet in packet(),
        place in any::<prop::sample::Index>(),
        damage in 1..=255_u8,
    ) {
        let mut bytes = packet.emit().to_vec();
        let place = place.index(bytes.len());
        bytes[place] ^= damage;
        prop_assert!(Packet::parse(bytes.into()).is_err());
    }

    #[test]
    fn a_hostile_peer_stays_within_the_bounds(
        script in prop::collection::vec((hostile(), 0..40_u64), 0..200),
    ) {
        let mut now = Instant::now();
        let config = ReassemblyConfig::default().max_unfinished(3).max_bytes(4_096);
        let mut reassembler = Reassembler::new(config);
        for (message, wait) in script {
            now += Duration::from_millis(wait);
            let _ = Packet::parse(message.clone());
            let _ = reassembler.handle_message(now, message);
            while reassembler.poll_output().is_some() {}
            prop_assert!(reassembler.held() <= 4_096);
            prop_assert!(reassembler.poll_timeout().is_none_or(|deadline| deadline > now));
        }
        reassembler.handle_timeout(now + Duration::from_millis(500));
        prop_assert_eq!((reassembler.held(), reassembler.poll_timeout()), (0, None));
    }
}
