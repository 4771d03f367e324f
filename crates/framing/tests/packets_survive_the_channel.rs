//! Any packet arrives over any channel that loses nothing; nothing else does.
#![allow(clippy::disallowed_methods, reason = "a test needs an epoch")]

use std::time::{Duration, Instant};

use bytes::Bytes;
use paceline_framing::{Fragmenter, Packet, Reassembler, ReassemblyConfig};
use proptest::prelude::*;

use crate::packets::packet;

mod packets;

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
    let known = prop_oneof![1_u16..=5, 127_u16..=150];
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
        // What is left is not media.
        reassembler.handle_timeout(now + Duration::from_millis(500));
        prop_assert_eq!(reassembler.poll_timeout(), None);
    }
}
