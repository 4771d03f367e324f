//! What the parts of the format do together.

use ::rtp::codec::vp9::{Vp9Packet, Vp9Payloader};
use ::rtp::packetizer::{Depacketizer as _, Payloader as _};
use proptest::prelude::*;

use super::*;

/// Two frames of grey, 32×16, as libvpx made them (ffmpeg 5.1, `-f lavfi -i
/// color=c=gray:size=32x16:rate=5 -c:v libvpx-vp9 -b:v 10k -crf 60`).
const KEY: [u8; 25] = [
    0x82, 0x49, 0x83, 0x42, 0x00, 0x01, 0xf0, 0x00, 0xf6, 0x00, 0x38, 0x24, 0x1c, 0x18, 0x42, 0x00,
    0x00, 0x30, 0x60, 0x00, 0x00, 0x3d, 0x45, 0x1c, 0x80,
];
const INTER: [u8; 15] =
    [0x86, 0x00, 0x40, 0x92, 0x1c, 0x00, 0x5e, 0x00, 0x00, 0x03, 0x20, 0x00, 0x00, 0x16, 0x24];
/// The same picture's first octets in other profiles (`-pix_fmt yuv444p`,
/// `-pix_fmt yuv420p10`).
const PROFILE_1: [u8; 10] = [0xa2, 0x49, 0x83, 0x42, 0x00, 0x00, 0x3e, 0x00, 0x1e, 0xc0];
const PROFILE_2: [u8; 10] = [0x92, 0x49, 0x83, 0x42, 0x00, 0x00, 0xf8, 0x00, 0x7b, 0x00];

fn bytes(bytes: &[u8]) -> Bytes {
    Bytes::copy_from_slice(bytes)
}

fn cut(payloader: &mut Payloader, data: &[u8], max: usize) -> Vec<Bytes> {
    let mut out = Vec::new();
    let key = KeyFrame::parse(data).is_some();
    payloader.payloads(&bytes(data), key, false, max, &mut out).expect("a frame of VP9");
    out
}

#[test]
fn a_key_frame_is_cut_as_section_4_2_draws_it_and_says_its_size() {
    let payloads = cut(&mut Payloader::new(0x1234), &KEY, 20);
    let first = [&[0x8b, 0x92, 0x34, 0x10, 0x00, 0x20, 0x00, 0x10], &KEY[..12]].concat();
    let second = [&[0x85, 0x92, 0x34], &KEY[12..]].concat();
    assert_eq!(payloads, [first, second]);
}

#[test]
fn an_inter_frame_says_that_it_is_one_and_no_size() {
    let payloads = cut(&mut Payloader::new(0x1234), &INTER, 9);
    let part = |first: u8, data: &[u8]| [&[first, 0x92, 0x34], data].concat();
    let expected = [part(0xc9, &INTER[..6]), part(0xc1, &INTER[6..12]), part(0xc5, &INTER[12..])];
    assert_eq!(payloads, expected);

    let whole = cut(&mut Payloader::new(0x1234), &INTER, 100);
    assert_eq!(whole, [part(0xcd, &INTER[..])]);
}

#[test]
fn picture_ids_have_fifteen_bits_from_the_first_and_wrap_to_zero() {
    let mut payloader = Payloader::new(0xffff);
    let mut ids = || cut(&mut payloader, &INTER, 100)[0].slice(1..3);
    assert_eq!(ids(), [0xff, 0xff][..]);
    assert_eq!(ids(), [0x80, 0x00][..]);
    assert_eq!(ids(), [0x80, 0x01][..]);
}

#[test]
fn a_frame_that_is_not_what_the_encoder_said_is_not_sent() {
    let mut payloader = Payloader::new(7);
    let mut out = Vec::new();
    let mut refuse = |data: &[u8], key| {
        payloader.payloads(&bytes(data), key, false, 100, &mut out).expect_err("it is refused")
    };
    assert_eq!(refuse(&[], false), PacketizeError::Empty);
    for (data, key) in [(&KEY[..], false), (&INTER[..], true), (&KEY[..3], true)] {
        let error = refuse(data, key);
        assert!(matches!(error, PacketizeError::Malformed { .. }), "{error}");
    }
    assert!(out.is_empty());
    assert_eq!(cut(&mut payloader, &INTER, 100)[0][2], 7, "no ID is spent on them");
}

#[test]
#[should_panic(expected = "no room")]
fn a_payload_without_room_is_the_callers_fault() {
    let _ = cut(&mut Payloader::new(0), &INTER, 8);
}

#[test]
fn the_size_is_read_in_every_profile() {
    let size = |frame: &[u8]| KeyFrame::parse(frame).and_then(|frame| frame.size);
    for frame in [&KEY[..], &PROFILE_1, &PROFILE_2] {
        assert_eq!(size(frame), Some((32, 16)));
    }
    // Profile 3, made by hand: a reserved bit behind the profile, one for the depth,
    // three of color space, range, two of subsampling and a reserved one.
    let profile_3 = [0xb1, 0x24, 0xc1, 0xa1, 0x00, 0x00, 0x0f, 0x80, 0x07, 0x80];
    assert_eq!(size(&profile_3), Some((32, 16)));
    // sRGB, in profile 1 and where it may not be.
    assert_eq!(size(&[0xa2, 0x49, 0x83, 0x42, 0xe0, 0x01, 0xf0, 0x00, 0xf0]), Some((32, 16)));
    assert_eq!(size(&[0x82, 0x49, 0x83, 0x42, 0xe0, 0x01, 0xf0, 0x00, 0xf0]), None);
}

#[test]
fn a_key_frame_whose_size_cannot_be_said_goes_without() {
    // 65,536 pixels wide; and cut off within the height.
    let wide = [0x82, 0x49, 0x83, 0x42, 0x0f, 0xff, 0xf0, 0x00, 0xf0];
    for frame in [&wide[..], &KEY[..8]] {
        assert_eq!(KeyFrame::parse(frame), Some(KeyFrame { size: None }));
        let payloads = cut(&mut Payloader::new(0), frame, 100);
        assert_eq!(payloads, [[&[0x8d, 0x80, 0x00], frame].concat()]);
    }
}

#[test]
fn a_descriptor_without_a_payload_is_refused_wherever_it_ends() {
    // Flexible: two references, two layers with their sizes, a group of one picture
    // that has two references.
    let flexible =
        [0xfa, 0x81, 0x01, 0x00, 0x03, 0x04, 0x38, 0, 32, 0, 16, 0, 64, 0, 32, 1, 0x08, 1, 2, 0xaa];
    assert_eq!(inspect(&bytes(&flexible)), Ok(true));
    let mut fields = vec!["payload descriptor", "picture ID", "picture ID", "layer indices"];
    fields.extend(["P_DIFF", "P_DIFF", "scalability structure"]);
    fields.extend(["layer sizes"; 8]);
    fields.extend(["N_G", "picture group", "picture group", "picture group", "payload"]);
    for (len, field) in fields.into_iter().enumerate() {
        let error = inspect(&bytes(&flexible[..len]));
        assert_eq!(error, Err(PayloadError::Truncated { field }), "{len} bytes");
    }

    let rigid = [0xe8, 0x05, 0x00, 0x2a, 0xaa];
    assert_eq!(inspect(&bytes(&rigid)), Ok(true));
    let fields = ["payload descriptor", "picture ID", "layer indices", "TL0PICIDX", "payload"];
    for (len, field) in fields.into_iter().enumerate() {
        let error = inspect(&bytes(&rigid[..len]));
        assert_eq!(error, Err(PayloadError::Truncated { field }), "{len} bytes");
    }
}

#[test]
fn flexible_mode_asks_for_a_picture_id_and_at_most_three_references() {
    let wrong = |payload: &[u8], field, value| {
        let error = inspect(&bytes(payload));
        assert_eq!(error, Err(PayloadError::BadValue { field, value }));
    };
    wrong(&[0x18, 0xaa], "I", 0);
    wrong(&[0xd8, 0x05, 0x03, 0x05, 0x07, 0x08, 0xaa], "N", 1);
    assert_eq!(inspect(&bytes(&[0xd8, 0x05, 0x03, 0x05, 0x06, 0xaa])), Ok(true));
}

#[test]
fn only_the_lowest_layer_is_provably_the_start_of_a_picture() {
    let starts = [
        (&[0x08, 0xaa][..], true),
        (&[0x04, 0xaa], false),
        // Layer 0; layer 1; layer 0 that says it needs one below.
        (&[0x28, 0x00, 0x2a, 0xaa], true),
        (&[0x28, 0x02, 0x2a, 0xaa], false),
        (&[0x28, 0x01, 0x2a, 0xaa], false),
    ];
    for (payload, start) in starts {
        assert_eq!(inspect(&bytes(payload)), Ok(start), "{payload:02x?}");
    }
}

/// One of two payloads of a layer frame, in flexible mode.
fn layer(first: u8, spatial: u8, id: u8, data: &[u8]) -> Bytes {
    Bytes::from([&[0xb0 | first, id, spatial << 1 | u8::from(spatial > 0)], data].concat())
}

#[test]
fn layer_frames_become_a_superframe() {
    let payloads = [
        layer(B, 0, 5, &KEY[..10]),
        layer(E, 0, 5, &KEY[10..]),
        layer(B, 2, 5, &[0x86; 200]),
        layer(E, 2, 5, &[0x86; 100]),
    ];
    let frame = assemble(&payloads).unwrap();
    // Two frames, two octets of size each, the lowest first.
    let index = [0xc9, 25, 0, 0x2c, 0x01, 0xc9];
    assert_eq!(frame.data, [&KEY[..], &[0x86; 300], &index].concat());
    assert!(frame.key && is_superframe(&frame.data));

    let error = assemble(&[layer(B | E, 0, 5, &frame.data), layer(B | E, 1, 5, &KEY)]);
    assert!(matches!(error, Err(PayloadError::Unsupported { .. })), "{error:?}");
    // Alone it is what an encoder gave that hides a frame in another.
    assert_eq!(assemble(&[layer(B | E, 0, 5, &frame.data)]).unwrap().data, frame.data);
}

#[test]
fn payloads_that_are_not_of_one_picture_are_not_joined() {
    let (whole, data) = (B | E, &[0x86, 0x00][..]);
    let wrong = |payloads: &[Bytes], field, value| {
        let error = assemble(payloads).expect_err("it is refused");
        assert_eq!(error, PayloadError::BadValue { field, value });
    };
    wrong(&[layer(E, 0, 5, data)], "B", 0);
    wrong(&[layer(B, 0, 5, data), layer(whole, 0, 5, data)], "B", 1);
    wrong(&[layer(B, 0, 5, data)], "E", 0);
    wrong(&[layer(B, 0, 5, data), layer(E, 0, 6, data)], "picture ID", 6);
    wrong(&[layer(B, 0, 5, data), layer(E, 1, 5, data)], "SID", 1);
    wrong(&[layer(whole, 0, 5, data), layer(whole, 0, 5, data)], "SID", 0);
    wrong(&[layer(whole, 1, 5, data)], "D", 1);
    assert_eq!(assemble(&[]), Err(PayloadError::Truncated { field: "payload" }));
}

#[test]
fn a_frame_is_key_if_descriptor_and_header_say_so() {
    let key =
        |first: u8, data: &[u8]| assemble(&[Bytes::from([&[first], data].concat())]).unwrap().key;
    assert!(key(0x0c, &KEY));
    assert!(!key(0x4c, &KEY));
    // What the rtp crate's payloader says of every inter frame.
    assert!(!key(0x0c, &INTER));
    // An existing frame shown again.
    assert!(!key(0x0c, &[0x88, 0x49, 0x83, 0x42]));
}

/// Why [`Payloader`] is ours.
#[test]
fn the_rtp_crates_payloader_says_that_no_frame_refers_to_another() {
    let mut theirs = Vp9Payloader::default();
    let inter = theirs.payload(100, &bytes(&INTER)).unwrap().remove(0);
    // P is 0: RFC 9628 §4.2 has a receiver take it for a frame that stands alone.
    assert_eq!(inter[0], 0x9c);
    // Nothing arrives, nothing is said.
    assert!(theirs.payload(3, &bytes(&INTER)).unwrap().is_empty());
}

/// Why [`Descriptor`] is ours.
#[test]
fn the_rtp_crates_depacketizer_counts_the_references_of_other_packets() {
    let one = bytes(&[0xd8, 0x05, 0x02, 0xaa]);
    let mut theirs = Vp9Packet::default();
    assert!(theirs.depacketize(&one).is_ok());
    assert!(theirs.depacketize(&one).is_ok());
    assert_eq!(theirs.pdiff, [1, 1]);
    assert!(theirs.depacketize(&one).is_err(), "the same bytes, for the third time");

    // RFC 9628 §4.2 allows three.
    let three = bytes(&[0xd8, 0x05, 0x03, 0x05, 0x06, 0xaa]);
    assert!(Vp9Packet::default().depacketize(&three).is_err());
    assert_eq!(Descriptor::parse(&three).unwrap().len, 5);
}

/// Why [`Descriptor`] is ours.
#[test]
fn the_rtp_crates_depacketizer_reads_reserved_bits_and_not_every_layer() {
    // A reserved bit beside G (RFC 9628 §4.2.1): what follows is the frame.
    let reserved = bytes(&[0x0a, 0x04, 0x00, 0xaa]);
    let mut theirs = Vp9Packet::default();
    assert_eq!(theirs.depacketize(&reserved).unwrap(), [0xaa][..]);
    assert!(theirs.g);
    assert_eq!(Descriptor::parse(&reserved).unwrap().len, 2);

    // Three bits of spatial layer (RFC 9628 §4.2).
    let seventh = bytes(&[0xb8, 0x05, 0x0e, 0xaa]);
    assert!(Vp9Packet::default().depacketize(&seventh).is_err());
    assert_eq!(Descriptor::parse(&seventh).unwrap().spatial, 7);

    // A descriptor and nothing.
    let empty = bytes(&[0x08]);
    assert!(Vp9Packet::default().depacketize(&empty).is_ok());
    assert!(inspect(&empty).is_err());
}

proptest! {
    #[test]
    fn a_frame_is_what_its_payloads_are_joined_to(
        tail in prop::collection::vec(any::<u8>(), 1..3_000),
        // Of KEY, so that what follows is a size or a part of one.
        head in 0_usize..25,
        max in 9_usize..1_500,
        id: u16,
    ) {
        let data = [&KEY[..head], &tail[..]].concat();
        let key = KeyFrame::parse(&data).is_some();
        let payloads = cut(&mut Payloader::new(id), &data, max);
        for (index, payload) in payloads.iter().enumerate() {
            prop_assert!(payload.len() == max || index + 1 == payloads.len());
            prop_assert!(payload.len() <= max);
            prop_assert_eq!(inspect(payload), Ok(index == 0));
        }
        let frame = Assembled { data: data.into(), key, discardable: false };
        prop_assert_eq!(assemble(&payloads), Ok(frame));
    }

    /// An index is two octets, and four for each layer at most; what is joined has lost
    /// a descriptor for each.
    #[test]
    fn no_bytes_make_us_panic_or_hold_much_more_than_they_are(
        payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..6),
    ) {
        let payloads: Vec<_> = payloads.into_iter().map(Bytes::from).collect();
        for payload in &payloads {
            let _ = inspect(payload);
            let _ = assemble(std::slice::from_ref(payload));
        }
        let len: usize = payloads.iter().map(Bytes::len).sum();
        if let Ok(frame) = assemble(&payloads) {
            prop_assert!(frame.data.len() <= len + 2 + 4 * payloads.len());
        }
    }

    #[test]
    fn layers_of_any_sizes_are_told_apart_by_their_index(
        layers in prop::collection::btree_map(0_u8..8, 1_usize..70_000, 2..=8),
    ) {
        let payloads: Vec<_> = layers
            .iter()
            .enumerate()
            .map(|(index, (&spatial, &size))| {
                let data = vec![0x86; size];
                let d = u8::from(index > 0);
                Bytes::from([&[0xbc, 5, spatial << 1 | d], &data[..]].concat())
            })
            .collect();
        let frame = assemble(&payloads).unwrap();
        let marker = *frame.data.last().unwrap();
        prop_assert_eq!(usize::from(marker & 7) + 1, layers.len());
        let width = usize::from(marker >> 3 & 3) + 1;
        let index = &frame.data[layers.values().sum::<usize>()..];
        prop_assert_eq!(index.len(), 2 + width * layers.len());
        prop_assert_eq!(index[0], marker);
        for (field, &size) in index[1..].chunks(width).zip(layers.values()) {
            let read = field.iter().rev().fold(0, |value, &byte| value << 8 | usize::from(byte));
            prop_assert_eq!(read, size);
        }
    }
}
