//! What is sent and taken, and what the `rtp` crate would do.

use ::rtp::codec::vp8::{Vp8Packet, Vp8Payloader};
use ::rtp::packetizer::{Depacketizer as _, Payloader as _};
use proptest::prelude::*;

use super::*;

/// Two frames of grey, 32×16, as libvpx made them (ffmpeg 5.1, `-f lavfi -i
/// color=c=gray:size=32x16:rate=5 -c:v libvpx -b:v 10k -crf 60`).
const KEY: [u8; 29] = [
    0x10, 0x02, 0x00, 0x9d, 0x01, 0x2a, 0x20, 0x00, 0x10, 0x00, 0x00, 0x47, 0x08, 0x85, 0x85, 0x88,
    0x85, 0x84, 0x88, 0x02, 0x02, 0x00, 0x09, 0x12, 0x54, 0x20, 0xfe, 0x68, 0x00,
];
const INTER: [u8; 17] = [
    0xb1, 0x01, 0x00, 0x0e, 0x11, 0xd8, 0x00, 0x18, 0x00, 0x18, 0x58, 0x2f, 0xf4, 0x00, 0x08, 0x40,
    0x00,
];

fn bytes(bytes: &[u8]) -> Bytes {
    Bytes::copy_from_slice(bytes)
}

fn cut(payloader: &mut Payloader, data: &[u8], discardable: bool, max: usize) -> Vec<Bytes> {
    let mut out = Vec::new();
    payloader
        .payloads(&bytes(data), is_key(data[0]), discardable, max, &mut out)
        .expect("a frame of VP8");
    out
}

#[test]
fn a_frame_is_cut_as_section_4_2_draws_it() {
    let mut payloader = Payloader::new(0x1234);
    let payloads = cut(&mut payloader, &INTER, true, 14);
    let first = [&[0xb0, 0x80, 0x92, 0x34], &INTER[..10]].concat();
    let second = [&[0xa0, 0x80, 0x92, 0x34], &INTER[10..]].concat();
    assert_eq!(payloads, [first, second]);

    let payloads = cut(&mut payloader, &KEY, false, 1_200);
    assert_eq!(payloads, [[&[0x90, 0x80, 0x92, 0x35], &KEY[..]].concat()]);
}

#[test]
fn picture_ids_have_fifteen_bits_from_the_first_and_wrap_to_zero() {
    let mut payloader = Payloader::new(0xffff);
    let mut ids = || cut(&mut payloader, &INTER, false, 100)[0].slice(2..4);
    assert_eq!(ids(), [0xff, 0xff][..]);
    assert_eq!(ids(), [0x80, 0x00][..]);
    assert_eq!(ids(), [0x80, 0x01][..]);
}

#[test]
fn a_frame_that_is_not_what_the_encoder_said_is_not_sent() {
    let mut payloader = Payloader::new(7);
    let mut out = Vec::new();
    let mut refuse = |data: &[u8], key| {
        let error = payloader.payloads(&bytes(data), key, false, 100, &mut out);
        error.expect_err("it is refused")
    };
    assert_eq!(refuse(&[], false), PacketizeError::Empty);
    for (data, key) in [(&KEY[..], false), (&INTER[..], true), (&KEY[..5], true)] {
        let error = refuse(data, key);
        assert!(matches!(error, PacketizeError::Malformed { .. }), "{error}");
    }
    assert!(out.is_empty());
    assert_eq!(cut(&mut payloader, &INTER, false, 100)[0][3], 7, "no ID is spent on them");
}

#[test]
#[should_panic(expected = "no room")]
fn a_payload_without_room_is_the_callers_fault() {
    let _ = cut(&mut Payloader::new(0), &INTER, false, 4);
}

#[test]
fn every_descriptor_is_read_to_its_end() {
    let full = [0x90, 0xf0, 0x80, 0x81, 0x05, 0x60, 0xaa];
    let descriptor = Descriptor::parse(&full).unwrap();
    assert_eq!((descriptor.len, descriptor.picture_id), (6, Some(0x0081)));

    // Seven bits of picture ID; each field by itself; TID and KEYIDX in one octet.
    let flags = [(0x80, Some(5), 3), (0x40, None, 3), (0x20, None, 3), (0x10, None, 3)];
    for (flag, id, len) in flags.into_iter().chain([(0x30, None, 3), (0x0f, None, 2)]) {
        let descriptor = Descriptor::parse(&[0x80, flag, 0x05, 0xaa]).unwrap();
        assert_eq!((descriptor.len, descriptor.picture_id), (len, id), "{flag:#04x}");
    }
}

#[test]
fn a_descriptor_without_a_payload_is_refused_wherever_it_ends() {
    let full = [0x90, 0xf0, 0x81, 0x01, 0x05, 0x60, 0xaa];
    assert_eq!(inspect(&bytes(&full)), Ok(true));
    let fields = [
        "payload descriptor",
        "extended control bits",
        "picture ID",
        "picture ID",
        "TL0PICIDX",
        "TID and KEYIDX",
        "payload",
    ];
    for (len, field) in fields.into_iter().enumerate() {
        let error = inspect(&bytes(&full[..len]));
        assert_eq!(error, Err(PayloadError::Truncated { field }), "{len} bytes");
    }
}

#[test]
fn only_the_start_of_partition_0_is_the_start_of_a_frame() {
    // The reserved bits say nothing.
    for (first, start) in [(0x10, true), (0x58, true), (0x11, false), (0x00, false)] {
        assert_eq!(inspect(&bytes(&[first, 0xaa])), Ok(start), "{first:#04x}");
    }
}

#[test]
fn payloads_that_are_not_of_one_frame_are_not_joined() {
    let start = bytes(&[0x90, 0x80, 0x05, 0xb1]);
    let wrong = |payloads: &[Bytes], field, value| {
        let error = assemble(payloads).expect_err("it is refused");
        assert_eq!(error, PayloadError::BadValue { field, value });
    };
    wrong(&[bytes(&[0x80, 0x80, 0x05, 0xb1])], "S", 0);
    wrong(&[start.clone(), start.clone()], "S", 1);
    wrong(&[start.clone(), bytes(&[0x80, 0x80, 0x06, 0xaa])], "picture ID", 6);
    assert_eq!(assemble(&[]), Err(PayloadError::Truncated { field: "payload" }));

    // A later partition, and a packet that says no picture ID, are of the frame.
    let joined = assemble(&[start, bytes(&[0x11, 0xbb]), bytes(&[0x02, 0xcc])]).unwrap();
    assert_eq!(joined.data, [0xb1, 0xbb, 0xcc][..]);
}

#[test]
fn a_key_frame_has_its_start_code() {
    let refused = |data: &[u8]| assemble(&[bytes(&[&[0x10], data].concat())]).unwrap_err();
    let error = refused(&[0x10, 0x02, 0x00, 0x9d, 0x01, 0x2b]);
    assert_eq!(error, PayloadError::BadValue { field: "start code", value: 0x9d_01_2b });
    assert_eq!(refused(&KEY[..5]), PayloadError::Truncated { field: "start code" });
}

/// Why [`Payloader`] is ours.
#[test]
fn the_rtp_crates_payloader_starts_at_zero_and_drops_what_does_not_fit() {
    let mut theirs = Vp8Payloader::default();
    theirs.enable_picture_id = true;
    // Nothing arrives, nothing is said.
    assert!(theirs.payload(3, &bytes(&KEY)).unwrap().is_empty());
    // No way to set N, nor the ID of the first frame; seven bits of it, …
    let first = theirs.payload(100, &bytes(&INTER)).unwrap().remove(0);
    assert_eq!(first[..3], [0x90, 0x80, 0x00]);
    // … fifteen of the 129th. That is legal: RFC 7741 §4.2 forbids only to rely on
    // either.
    for _ in 1..128 {
        let _ = theirs.payload(100, &bytes(&INTER)).unwrap();
    }
    let later = theirs.payload(100, &bytes(&INTER)).unwrap().remove(0);
    assert_eq!(later[..4], [0x90, 0x80, 0x80, 0x80]);
}

/// Why [`Descriptor`] is ours.
#[test]
fn the_rtp_crates_depacketizer_reads_fields_that_are_not_there() {
    let mut theirs = Vp8Packet::default();
    let with_id = bytes(&[0x90, 0x80, 0x05, 0xaa, 0xbb]);
    assert_eq!(theirs.depacketize(&with_id).unwrap(), [0xaa, 0xbb][..]);
    // X is 0: the four octets behind the first are the frame's (RFC 7741 §4.2).
    let without = bytes(&[0x00, 0x11, 0x22, 0x33, 0x44]);
    assert_eq!(theirs.depacketize(&without).unwrap(), [0x22, 0x33, 0x44][..]);
    assert_eq!(Descriptor::parse(&without).unwrap().len, 1);

    // The last octet of a frame may come alone.
    let small = bytes(&[0x00, 0xaa]);
    assert!(Vp8Packet::default().depacketize(&small).is_err());
    assert_eq!(inspect(&small), Ok(false));
}

proptest! {
    #[test]
    fn a_frame_is_what_its_payloads_are_joined_to(
        mut data in prop::collection::vec(any::<u8>(), 6..3_000),
        discardable: bool,
        max in 5_usize..1_500,
        id: u16,
    ) {
        if is_key(data[0]) {
            data[START_CODE_AT..][..3].copy_from_slice(&START_CODE);
        }
        let payloads = cut(&mut Payloader::new(id), &data, discardable, max);
        for (index, payload) in payloads.iter().enumerate() {
            prop_assert!(payload.len() == max || index + 1 == payloads.len());
            prop_assert!(payload.len() <= max);
            prop_assert_eq!(inspect(payload), Ok(index == 0));
        }
        let key = is_key(data[0]);
        let frame = Assembled { data: data.into(), key, discardable };
        prop_assert_eq!(assemble(&payloads), Ok(frame));
    }

    #[test]
    fn no_bytes_make_us_panic_or_hold_more_than_they_are(
        payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..6),
    ) {
        let payloads: Vec<_> = payloads.into_iter().map(Bytes::from).collect();
        for payload in &payloads {
            let _ = inspect(payload);
            let _ = assemble(std::slice::from_ref(payload));
        }
        let len: usize = payloads.iter().map(Bytes::len).sum();
        if let Ok(frame) = assemble(&payloads) {
            prop_assert!(frame.data.len() < len);
        }
    }
}
