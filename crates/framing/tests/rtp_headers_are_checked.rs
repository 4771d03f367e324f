//! `rtp::parse` and `rtp::emit`, and why they are not the `rtp` crate's.
#![cfg(feature = "rtp")]

use std::panic::catch_unwind;

use bytes::Bytes;
use paceline_framing::rtp::{Header, Packet, PayloadError, emit, parse};
use proptest::prelude::*;
use proptest::sample::select;
use rtp::header::Extension;
use shared::marshal::{Marshal, Unmarshal};

/// A header with these first bytes, then whatever follows.
fn datagram(first: u8, rest: &[u8]) -> Bytes {
    [&[first, 96, 0, 7, 0, 0, 0, 9, 0, 0, 0, 1], rest].concat().into()
}

/// An extension block of so many words, and a payload of two bytes.
fn extended(profile: u16, block: &[u8]) -> Bytes {
    let words = (block.len() / 4) as u16;
    let head = [profile.to_be_bytes(), words.to_be_bytes()].concat();
    datagram(0x90, &[&head[..], block, b"la"].concat())
}

fn theirs(datagram: &Bytes) -> Result<Packet, shared::error::Error> {
    Packet::unmarshal(&mut datagram.clone())
}

fn truncated(field: &'static str) -> Result<Packet, PayloadError> {
    Err(PayloadError::Truncated { field })
}

#[test]
fn each_field_that_is_cut_off_is_named() {
    let bytes = extended(0xbede, &[0x10, 1, 0, 0]);
    for (len, field) in [
        (0, "version"),
        (1, "payload type"),
        (3, "sequence number"),
        (7, "timestamp"),
        (11, "SSRC"),
        (13, "extension profile"),
        (15, "extension length"),
        (19, "header extension"),
    ] {
        assert_eq!(parse(bytes.slice(..len)), truncated(field));
    }
    assert_eq!(parse(datagram(0x8f, &[0; 59])), truncated("CSRC"));
    assert_eq!(parse(datagram(0x8f, &[0; 60])).unwrap().header.csrc.len(), 15);
}

#[test]
fn only_version_2_is_rtp() {
    for version in [0, 1, 3] {
        let datagram = datagram(version << 6, b"la");
        let error = PayloadError::BadValue { field: "version", value: version.into() };
        assert_eq!(parse(datagram.clone()), Err(error));
        assert!(theirs(&datagram).is_ok(), "the rtp crate takes it");
    }
}

#[test]
fn padding_is_at_least_its_own_byte_and_at_most_all_there_is() {
    let bad = |value| Err(PayloadError::BadValue { field: "padding", value });
    assert_eq!(parse(datagram(0xa0, &[7, 7, 0, 2])).unwrap().payload, [7, 7].as_slice());
    assert_eq!(parse(datagram(0xa0, &[0, 0, 3])).unwrap().payload, Bytes::new());
    assert_eq!(parse(datagram(0xa0, &[0, 0, 4])), bad(4));
    assert_eq!(parse(datagram(0xa0, &[])), truncated("padding"));
    assert_eq!(parse(datagram(0xa0, &[7, 0])), bad(0));
    let packet = theirs(&datagram(0xa0, &[7, 0])).unwrap();
    assert_eq!(packet.payload, [7, 0].as_slice(), "the rtp crate takes it for payload");
}

#[test]
fn an_extension_element_does_not_reach_into_the_payload() {
    for (profile, block) in [(0xbede, [0, 0, 0, 0x11]), (0x1000, [0, 0, 1, 2])] {
        let datagram = extended(profile, &block);
        assert_eq!(parse(datagram.clone()), truncated("extension element"));
        let packet = theirs(&datagram).unwrap();
        assert_eq!(packet.payload, "", "with the rtp crate it does");
        assert_eq!(packet.header.extensions[0].payload, "la");
    }
}

#[test]
fn there_are_no_more_extension_elements_than_ids() {
    assert_eq!(parse(extended(0x1000, &[1, 0].repeat(254))).unwrap().header.extensions.len(), 254);
    let error = PayloadError::TooMany { field: "extension elements", max: 255 };
    assert_eq!(parse(extended(0x1000, &[1, 0].repeat(256))), Err(error));
}

#[test]
fn what_follows_an_element_of_id_15_is_not_payload() {
    let datagram = extended(0xbede, &[0x10, 5, 0xf0, 6]);
    let packet = parse(datagram.clone()).unwrap();
    assert_eq!(packet.payload, "la");
    assert_eq!(packet.header.extensions.len(), 1);
    assert_eq!(theirs(&datagram).unwrap().payload, "\u{6}la", "with the rtp crate it is");
}

#[test]
fn what_was_parsed_can_be_emitted() {
    // A word of padding more than there need be.
    let datagram = extended(0xbede, &[0x10, 5, 0, 0, 0, 0, 0, 0]);
    let packet = parse(datagram.clone()).unwrap();
    assert_eq!(emit(&packet), extended(0xbede, &[0x10, 5, 0, 0]));
    assert_eq!(packet.marshal().unwrap(), emit(&packet), "the rtp crate agrees");
    assert!(theirs(&datagram).unwrap().marshal().is_err(), "but not with itself");
}

#[test]
fn the_rtp_crate_panics_on_an_empty_element() {
    let header = Header {
        extension: true,
        extension_profile: 0xbede,
        extensions: vec![Extension { id: 1, payload: Bytes::new() }],
        ..Header::default()
    };
    let panicked = catch_unwind(|| header.marshal().is_ok()).is_err();
    assert_eq!(panicked, cfg!(debug_assertions), "it subtracts 1 from 0");
}

#[test]
#[should_panic(expected = "an extension of 0 bytes")]
fn an_empty_one_byte_element_is_a_bug_of_the_caller() {
    let header = Header {
        extension: true,
        extension_profile: 0xbede,
        extensions: vec![Extension { id: 1, payload: Bytes::new() }],
        ..Header::default()
    };
    let _ = emit(&Packet { header, payload: Bytes::new() });
}

fn packet() -> impl Strategy<Value = Packet> {
    let data = |len| prop::collection::vec(any::<u8>(), len).prop_map(Bytes::from);
    let one = (1..=14_u8, data(1..=16)).prop_map(|(id, payload)| Extension { id, payload });
    let two = (1..=255_u8, data(0..=255)).prop_map(|(id, payload)| Extension { id, payload });
    let other =
        (0..9_usize).prop_map(|words| Extension { id: 0, payload: vec![7; 4 * words].into() });
    let extensions = prop_oneof![
        Just((0, vec![])),
        (Just(0xbede), prop::collection::vec(one, 0..4)),
        (Just(0x1000), prop::collection::vec(two, 0..4)),
        (Just(7), prop::collection::vec(other, 1)),
    ];
    let bits = any::<(bool, bool, u16, u32, u32)>();
    let csrc = prop::collection::vec(any::<u32>(), 0..=15);
    (bits, 0..128_u8, csrc, extensions, data(0..=49)).prop_map(
        |(
            (padding, marker, sequence_number, timestamp, ssrc),
            payload_type,
            csrc,
            ext,
            payload,
        )| {
            let (extension_profile, extensions) = ext;
            let mut header = Header {
                version: 2,
                padding,
                extension: extension_profile != 0,
                marker,
                payload_type,
                sequence_number,
                timestamp,
                ssrc,
                csrc,
                extension_profile,
                extensions,
                extensions_padding: 0,
            };
            let len = header.get_extension_payload_len();
            header.extensions_padding = len.next_multiple_of(4) - len;
            Packet { header, payload }
        },
    )
}

proptest! {
    #[test]
    fn what_is_emitted_is_parsed_to_the_same(packet in packet()) {
        prop_assert_eq!(parse(emit(&packet)), Ok(packet));
    }

    /// The `rtp` crate makes the same bytes of a packet, and the same packet of the bytes.
    #[test]
    fn the_rtp_crate_agrees_on_what_is_well_formed(packet in packet()) {
        let datagram = emit(&packet);
        prop_assert_eq!(&packet.marshal().unwrap()[..], &datagram[..]);
        prop_assert_eq!(theirs(&datagram).unwrap(), packet);
    }

    /// No datagram is a panic, and what is a packet can be sent on.
    #[test]
    fn any_datagram_is_a_packet_or_an_error(
        first in prop_oneof![0x80..=0xbf_u8, any::<u8>()],
        fixed in any::<[u8; 11]>(),
        profile in select(vec![0xbede_u16, 0x1000, 0x1001, 7]),
        words in 0..6_u16,
        rest in prop::collection::vec(prop_oneof![0..4_u8, any::<u8>()], 0..80),
    ) {
        let extension = [profile.to_be_bytes(), words.to_be_bytes()].concat();
        let datagram = Bytes::from([&[first], &fixed[..], &extension, &rest].concat());
        if let Ok(packet) = parse(datagram.clone()) {
            prop_assert_eq!(parse(emit(&packet)), Ok(packet));
        }
        let _ = theirs(&datagram);
    }
}
