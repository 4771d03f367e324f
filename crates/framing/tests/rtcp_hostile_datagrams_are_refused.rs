//! Whatever the octets are, parsing them does not panic, and what passes can be sent on.
#![cfg(feature = "rtp")]

use bytes::Bytes;
use paceline_framing::rtcp::{MAX_COMPOUND, MAX_PACKETS, Packet, RtcpError, emit, parse};
use proptest::collection::vec;
use proptest::prelude::*;

/// One of each type, as `rtcp_every_type_has_its_bytes` has them, and a TWCC with runs.
const SEEDS: &[&[u8]] = &[
    b"\x81\xc8\0\x0c\x11\x11\x11\x11\xb4\x4d\xb7\x05\x20\0\0\0\0\x01\xe2\x40\0\0\x03\xe8\0\x02\
      \x71\0\x22\x22\x22\x22\x33\xff\xff\xfe\0\x01\xff\xfe\0\0\0\x5a\xb7\x05\x20\0\0\x05\x40\0",
    b"\x81\xc9\0\x07\x11\x11\x11\x11\x22\x22\x22\x22\x33\xff\xff\xfe\0\x01\xff\xfe\0\0\0\x5a\xb7\
      \x05\x20\0\0\x05\x40\0",
    b"\x82\xca\0\x07\0\0\0\x07\x01\x03a@b\x06\x01t\0\0\0\0\0\0\0\x08\x01\x02cd\0\0\0\0",
    b"\x82\xcb\0\x04\0\0\0\x07\0\0\0\x08\x05lunch\0\0",
    b"\x81\xcd\0\x04\0\0\0\x01\0\0\0\x02\xff\xff\x80\x01\0\x64\0\0",
    b"\x81\xce\0\x02\0\0\0\x01\0\0\0\x02",
    b"\x84\xce\0\x06\0\0\0\x01\0\0\0\0\0\0\0\x02\x07\0\0\0\0\0\0\x03\xff\0\0\0",
    b"\x8f\xce\0\x06\0\0\0\x01\0\0\0\0REMB\x02\x12\x62\x5a\0\0\0\x02\0\0\0\x03",
    b"\x8f\xcd\0\x07\0\0\0\x01\0\0\0\x02\xff\xff\0\x18\xff\xff\xfe\x09\xd2\0\0\x10\x60\x01\x04\
      \xff\xfe\0\0\0",
    b"\xa3\xcc\0\x03\0\0\0\x07TEST\0\0\0\x04",
];

/// Nothing panics. What is accepted comes out of the next pair of hands as it went in.
fn check(octets: Vec<u8>) {
    let Ok(packets) = parse(octets.into()) else { return };
    let emitted = emit(&packets);
    assert_eq!(parse(emitted.clone()).as_ref(), Ok(&packets));
    assert_eq!(emit(&packets), emitted);
    for packet in &packets {
        let _ = format!("{packet:?}");
        match packet {
            Packet::SourceDescription(sdes) => {
                assert!(sdes.chunks.iter().flat_map(|c| c.items()).count() <= MAX_COMPOUND / 2);
            }
            Packet::TransportFeedback(feedback) => {
                assert!(feedback.arrivals().count() <= feedback.statuses.len());
            }
            _ => {}
        }
    }
}

#[test]
fn every_truncation_is_refused() {
    for seed in SEEDS {
        assert!(parse(Bytes::from_static(seed)).is_ok(), "{seed:x?}");
        for len in 0..seed.len() {
            assert!(parse(seed[..len].to_vec().into()).is_err(), "{seed:x?} to {len}");
        }
    }
}

#[test]
fn every_truncation_with_a_header_that_agrees_is_harmless() {
    for seed in SEEDS {
        for len in (4..seed.len()).step_by(4) {
            let mut octets = seed[..len].to_vec();
            octets[3] = (len / 4 - 1) as u8;
            check(octets);
        }
    }
}

#[test]
fn every_change_of_one_octet_is_harmless() {
    for seed in SEEDS {
        for at in 0..seed.len() {
            for value in 0..=255 {
                let mut octets = seed.to_vec();
                octets[at] = value;
                check(octets.clone());
                // The same as the first of two.
                octets.extend_from_slice(SEEDS[5]);
                check(octets);
            }
        }
    }
}

#[test]
fn a_length_beyond_the_datagram_is_refused() {
    for length in [3_u16, 16_384, 65_535] {
        for seed in SEEDS {
            let mut octets = seed[..12].to_vec();
            octets[2..4].copy_from_slice(&length.to_be_bytes());
            assert_eq!(parse(octets.into()), Err(RtcpError::Truncated { field: "packet" }));
        }
    }
}

#[test]
fn a_count_beyond_the_packet_is_refused() {
    let refused = |octets: &'static [u8], field| {
        assert_eq!(parse(Bytes::from_static(octets)), Err(RtcpError::Truncated { field }));
    };
    refused(b"\x9f\xc9\0\x01\0\0\0\x07", "receiver report");
    refused(b"\x9f\xc8\0\x01\0\0\0\x07", "sender report");
    refused(b"\x9f\xca\0\x02\0\0\0\x07\0\0\0\0", "SDES source");
    refused(b"\x81\xca\0\x02\0\0\0\x07\x01\xff\0\0", "SDES item text");
    refused(b"\x81\xcb\0\x02\0\0\0\x07\xffabc", "BYE reason");
    refused(b"\x9f\xcb\0\x01\0\0\0\x07", "BYE source");
    refused(b"\x8f\xce\0\x04\0\0\0\x01\0\0\0\0REMB\xff\0\0\x01", "REMB stream");
    // 65,528 packets received, of which there are no deltas.
    refused(
        b"\x8f\xcd\0\x08\0\0\0\x01\0\0\0\x02\0\0\xff\xf8\0\0\0\0\
          \x3f\xff\x3f\xff\x3f\xff\x3f\xff\x3f\xff\x3f\xff\x3f\xff\x3f\xff",
        "TWCC small delta",
    );
    // A run of none does not end.
    refused(
        b"\x8f\xcd\0\x05\0\0\0\x01\0\0\0\x02\0\0\0\x01\0\0\0\0\0\0\0\0",
        "TWCC packet status chunk",
    );
    // Half of a large delta.
    refused(
        b"\x8f\xcd\0\x05\0\0\0\x01\0\0\0\x02\0\0\0\x02\0\0\0\0\xd8\0\x01\x02",
        "TWCC large delta",
    );
    refused(b"\x81\xcd\0\x02\0\0\0\x01\0\0\0\x02", "NACK");
    refused(b"\x84\xce\0\x02\0\0\0\x01\0\0\0\x02", "FIR");
    refused(b"\x81\xce\0\x01\0\0\0\x01", "PLI");
}

#[test]
fn values_and_padding_that_cannot_be_are_refused() {
    let refused = |octets: &'static [u8], error| {
        assert_eq!(parse(Bytes::from_static(octets)), Err(error));
    };
    refused(b"", RtcpError::Empty);
    refused(b"\x40\xc9\0\x01\0\0\0\x07", RtcpError::UnknownVersion(1));
    refused(b"\xa0\xc9\0\x01\0\0\0\0", RtcpError::BadPadding { len: 0 });
    refused(b"\xa0\xc9\0\x01\0\0\0\x05", RtcpError::BadPadding { len: 5 });
    refused(b"\xa0\xc9\0\0", RtcpError::BadPadding { len: 0 });
    // Padding that leaves a part of a word to the profile.
    let trailing = RtcpError::TrailingBytes { field: "receiver report", len: 1 };
    refused(b"\xa0\xc9\0\x02\0\0\0\x07\0\0\0\x03", trailing);
    let exponent = RtcpError::BadValue { field: "REMB exponent", value: 63 };
    refused(b"\x8f\xce\0\x04\0\0\0\x01\0\0\0\0REMB\0\xff\xff\xff", exponent);
    let count = RtcpError::BadValue { field: "TWCC packet status count", value: 0 };
    refused(b"\x8f\xcd\0\x04\0\0\0\x01\0\0\0\x02\0\0\0\0\0\0\0\0", count);
    let trailing = RtcpError::TrailingBytes { field: "PLI", len: 4 };
    refused(b"\x81\xce\0\x03\0\0\0\x01\0\0\0\x02\0\0\0\0", trailing);
}

#[test]
fn a_datagram_has_bounds() {
    let byes = |count| b"\x80\xcb\0\0".repeat(count);
    assert_eq!(parse(byes(MAX_PACKETS).into()).unwrap().len(), MAX_PACKETS);
    let many = RtcpError::TooManyPackets { max: MAX_PACKETS };
    assert_eq!(parse(byes(MAX_PACKETS + 1).into()), Err(many));
    let large = RtcpError::TooLarge { len: MAX_COMPOUND + 1, max: MAX_COMPOUND };
    assert_eq!(parse(vec![0; MAX_COMPOUND + 1].into()), Err(large));

    // As long as may be, of each type: the sums of the crate do not overflow.
    for seed in SEEDS {
        let mut octets = seed.to_vec();
        octets.resize(MAX_COMPOUND / 4 * 4, 0);
        octets[2..4].copy_from_slice(&16_382_u16.to_be_bytes());
        check(octets);
    }
}

/// Headers that are right in all that a header can be, before octets that are anything.
fn plausible() -> impl Strategy<Value = Vec<u8>> {
    let packet = (0..32_u8, prop::bool::weighted(0.1), 199..208_u8, vec(any::<u8>(), 0..80));
    let packet = packet.prop_map(|(count, padded, kind, mut body)| {
        body.truncate(body.len() / 4 * 4);
        let mut octets = vec![0x80 | u8::from(padded) << 5 | count, kind, 0];
        octets.push((body.len() / 4) as u8);
        octets.extend(body);
        octets
    });
    vec(packet, 1..4).prop_map(|packets| packets.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_096))]

    #[test]
    fn any_octets_are_harmless(octets in vec(any::<u8>(), 0..200)) {
        check(octets);
    }

    #[test]
    fn plausible_octets_are_harmless(octets in plausible()) {
        check(octets);
    }

    #[test]
    fn several_changes_are_harmless(
        seed in 0..SEEDS.len(),
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut octets = SEEDS[seed].to_vec();
        for (at, value) in changes {
            let at = at.index(octets.len());
            octets[at] = value;
        }
        check(octets);
    }
}
