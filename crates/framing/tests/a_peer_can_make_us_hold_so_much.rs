//! What is refused, what is dropped, and what it is counted as.
#![allow(clippy::disallowed_methods, reason = "a test needs an epoch")]

use std::time::{Duration, Instant};

use bytes::Bytes;
use paceline_framing::types::{
    Coding, EncodedFrame, Frequency, MediaTime, NtpTime, PixelFormat, SenderId, SeqNo, StreamId,
    StreamKey, VideoCodec,
};
use paceline_framing::{
    Body, Control, Fragmenter, Packet, ParseError, Reassembler, ReassemblyConfig, ReceptionReport,
};

/// A picture that `cut` makes into a fragment for each 1,000 bytes.
fn picture(len: usize) -> Packet {
    let coding = Coding::Video {
        codec: VideoCodec::H264,
        key: true,
        discardable: false,
        width: 640,
        height: 360,
    };
    frame(coding, vec![1; len])
}

fn frame(coding: Coding, data: Vec<u8>) -> Packet {
    Packet {
        sender: SenderId::new(1),
        epoch: None,
        body: Body::Media(EncodedFrame {
            stream: StreamId::VIDEO,
            seq: SeqNo::new(0),
            time: MediaTime::new(0, Frequency::VIDEO),
            capture: NtpTime::default(),
            coding,
            data: data.into(),
        }),
    }
}

fn cut(fragmenter: &mut Fragmenter, packet: &Packet) -> Vec<Bytes> {
    fragmenter.cut(packet).messages().to_vec()
}

/// `message` with `bytes` at `place`, and the checksum put right.
fn altered(message: &Bytes, place: usize, bytes: &[u8]) -> Bytes {
    let mut message = message.to_vec();
    message[place..place + bytes.len()].copy_from_slice(bytes);
    message[12..16].fill(0);
    let checksum = crc32c::crc32c(&message);
    message[12..16].copy_from_slice(&checksum.to_be_bytes());
    message.into()
}

#[test]
fn the_rest_of_a_packet_is_waited_for_so_long() {
    let start = Instant::now();
    let mut reassembler = Reassembler::new(ReassemblyConfig::default());
    let messages = cut(&mut Fragmenter::new(1_000), &picture(1_500));
    reassembler.handle_message(start, messages[0].clone()).unwrap();
    let deadline = start + Duration::from_millis(500);
    assert_eq!(reassembler.poll_timeout(), Some(deadline));

    reassembler.handle_timeout(deadline - Duration::from_millis(1));
    assert!(reassembler.held() > 0);
    // What comes at the deadline comes too late, and begins nothing anew.
    assert_eq!(reassembler.handle_message(deadline, messages[1].clone()), Ok(()));
    assert_eq!((reassembler.held(), reassembler.poll_output()), (0, None));
    assert_eq!((reassembler.stats().expired, reassembler.stats().stray), (1, 1));
}

/// Media go before it, for as long as they like; and it is on a reliable channel.
#[test]
fn control_and_an_applications_data_are_waited_for() {
    let start = Instant::now();
    let mut reassembler = Reassembler::new(ReassemblyConfig::default());
    let data = Control::ApplicationData { channel: 0, data: vec![7; 100_000].into() };
    let reports = (0..100).map(|n| ReceptionReport {
        stream: StreamKey { sender: SenderId::new(n), stream: StreamId::VIDEO },
        highest_seq: 0,
        lost: 0,
        jitter: 0,
        last_capture: NtpTime::default(),
        queue_delay: 0,
    });
    let mut fragmenter = Fragmenter::new(1_000);
    for control in [data, Control::ReceiverReport(reports.collect())] {
        let packet = Packet { sender: SenderId::new(1), epoch: None, body: Body::Control(control) };
        let mut now = start;
        for message in cut(&mut fragmenter, &packet) {
            assert!(reassembler.poll_output().is_none());
            reassembler.handle_message(now, message).unwrap();
            now += Duration::from_secs(1);
            reassembler.handle_timeout(now);
        }
        assert!(reassembler.poll_output() == Some(packet));
    }
    assert_eq!((reassembler.stats().expired, reassembler.held()), (0, 0));
}

#[test]
fn for_ever_is_long_enough() {
    let config = ReassemblyConfig::default().max_age(Duration::MAX);
    let mut reassembler = Reassembler::new(config);
    let messages = cut(&mut Fragmenter::new(1_000), &picture(1_500));
    for message in messages {
        reassembler.handle_message(Instant::now(), message).unwrap();
    }
    assert!(reassembler.poll_output().is_some());
}

#[test]
fn the_oldest_unfinished_packet_makes_room() {
    let now = Instant::now();
    let mut fragmenter = Fragmenter::new(1_000);
    let mut reassembler = Reassembler::new(ReassemblyConfig::default().max_unfinished(2));
    let packets = [1_100, 1_200, 1_300].map(picture);
    let messages = packets.each_ref().map(|packet| cut(&mut fragmenter, packet));
    for messages in &messages {
        reassembler.handle_message(now, messages[0].clone()).unwrap();
    }
    assert_eq!(reassembler.stats().evicted, 1);
    for messages in &messages {
        reassembler.handle_message(now, messages[1].clone()).unwrap();
    }
    let arrived: Vec<_> = std::iter::from_fn(|| reassembler.poll_output()).collect();
    assert_eq!(arrived, packets[1..]);
    assert_eq!((reassembler.stats().delivered, reassembler.stats().stray), (2, 1));
}

#[test]
fn a_flood_of_tiny_fragments_is_not_free() {
    let now = Instant::now();
    let mut reassembler = Reassembler::new(ReassemblyConfig::default());
    // One byte of each of 60,000 fragments of one packet.
    let whole = picture(1_500);
    let first = cut(&mut Fragmenter::new(1_000), &whole)[0].slice(..29);
    let first = altered(&altered(&first, 8, &9_u32.to_be_bytes()), 26, &60_000_u16.to_be_bytes());
    for index in 0..59_999_u16 {
        let _ = reassembler.handle_message(now, altered(&first, 24, &index.to_be_bytes()));
        assert!(reassembler.held() <= 8 << 20);
    }
    assert_eq!(reassembler.stats().evicted, 1);
}

#[test]
fn a_packet_that_is_too_large_is_dropped_alone() {
    let now = Instant::now();
    let mut fragmenter = Fragmenter::new(1_000);
    let config = ReassemblyConfig::default().max_packet(2_500).max_message(1_000);
    let mut reassembler = Reassembler::new(config);
    let (small, large) = (picture(2_000), picture(3_000));
    let (small_messages, large_messages) =
        (cut(&mut fragmenter, &small), cut(&mut fragmenter, &large));

    reassembler.handle_message(now, small_messages[0].clone()).unwrap();
    reassembler.handle_message(now, large_messages[0].clone()).unwrap();
    reassembler.handle_message(now, large_messages[1].clone()).unwrap();
    let error = reassembler.handle_message(now, large_messages[2].clone()).unwrap_err();
    assert_eq!(error, ParseError::TooLarge { len: 20 + 3 * (1_000 - 28), max: 2_500 });
    // The rest of it begins nothing anew.
    assert_eq!(reassembler.handle_message(now, large_messages[3].clone()), Ok(()));
    for message in &small_messages[1..] {
        reassembler.handle_message(now, message.clone()).unwrap();
    }
    assert_eq!(reassembler.poll_output(), Some(small));
    assert_eq!((reassembler.held(), reassembler.stats().too_large), (0, 1));
    assert_eq!(reassembler.stats().stray, 1);
}

#[test]
fn control_has_a_bound_of_its_own() {
    let now = Instant::now();
    let report = ReceptionReport {
        stream: StreamKey { sender: SenderId::new(1), stream: StreamId::VIDEO },
        highest_seq: 0,
        lost: 0,
        jitter: 0,
        last_capture: NtpTime::default(),
        queue_delay: 0,
    };
    let body = Body::Control(Control::ReceiverReport(vec![report; 3_000]));
    let packet = Packet { sender: SenderId::new(1), epoch: None, body };
    let mut reassembler = Reassembler::new(ReassemblyConfig::default());
    for message in cut(&mut Fragmenter::new(16_384), &packet) {
        let _ = reassembler.handle_message(now, message);
    }
    assert_eq!((reassembler.stats().too_large, reassembler.poll_output()), (1, None));
}

#[test]
fn a_message_that_is_too_long_is_refused() {
    let now = Instant::now();
    let mut reassembler = Reassembler::new(ReassemblyConfig::default());
    let error = reassembler.handle_message(now, picture(20_000).emit()).unwrap_err();
    assert!(matches!(error, ParseError::TooLarge { max: 16_384, .. }), "{error}");
}

#[test]
fn fragments_of_one_packet_agree_or_are_dropped() {
    let now = Instant::now();
    let mut reassembler = Reassembler::new(ReassemblyConfig::default());
    let packet = picture(1_500);
    let messages = cut(&mut Fragmenter::new(1_000), &packet);
    reassembler.handle_message(now, messages[0].clone()).unwrap();
    let mismatch = Err(ParseError::Mismatch { packet: 0 });
    let other = [
        altered(&messages[1], 7, &[1]),     // an image
        altered(&messages[1], 19, &[9]),    // of another sender
        altered(&messages[1], 26, &[0, 3]), // of three
    ];
    for message in other {
        assert_eq!(reassembler.handle_message(now, message), mismatch);
    }
    assert_eq!(reassembler.stats().mismatched, 3);
    reassembler.handle_message(now, messages[1].clone()).unwrap();
    assert_eq!(reassembler.poll_output(), Some(packet));
}

#[test]
fn a_fragment_header_that_makes_no_sense_is_refused() {
    let message = &cut(&mut Fragmenter::new(1_000), &picture(1_500))[1];
    let mut reassembler = Reassembler::new(ReassemblyConfig::default());
    let mut refused = |place, bytes: &[u8]| {
        reassembler.handle_message(Instant::now(), altered(message, place, bytes)).unwrap_err()
    };
    let field = "fragment count";
    assert_eq!(refused(26, &[0, 1]), ParseError::BadValue { field, value: 1 });
    let field = "fragment index";
    assert_eq!(refused(24, &[0, 2]), ParseError::BadValue { field, value: 2 });
    assert_eq!((reassembler.held(), reassembler.stats().malformed), (0, 2));
}

#[test]
fn types_that_nobody_knows_are_counted() {
    let mut reassembler = Reassembler::new(ReassemblyConfig::default());
    // Two of the media range, and two of control.
    for kind in [0_u16, 5, 127, 150] {
        let message = altered(&picture(10).emit(), 6, &kind.to_be_bytes());
        let error = reassembler.handle_message(Instant::now(), message);
        assert_eq!(error, Err(ParseError::UnknownType(kind)));
    }
    assert_eq!(reassembler.stats().unknown_type, 4);
}

#[test]
fn each_field_of_the_header_is_checked() {
    let message = picture(10).emit();
    let refused = |place, bytes: &[u8]| Packet::parse(altered(&message, place, bytes)).unwrap_err();
    assert_eq!(refused(0, &[0]), ParseError::BadMagic(0x00AD_BEEF));
    assert_eq!(refused(4, &[2]), ParseError::UnknownVersion(2));
    // Sealed payloads are not specified yet.
    assert_eq!(refused(5, &[4]), ParseError::BadFlags(4));
    let len = message.len() - 20;
    assert_eq!(refused(8, &[0; 4]), ParseError::BadLength { expected: 0, len });
    let mut damaged = message.to_vec();
    damaged[30] ^= 1;
    let error = Packet::parse(damaged.into()).unwrap_err();
    assert!(matches!(error, ParseError::BadChecksum { .. }), "{error}");
    let ping = Body::Control(Control::Ping { t1: 1 });
    let ping = Packet { sender: SenderId::new(1), epoch: None, body: ping }.emit();
    let longer = altered(&[&ping[..], &[0]].concat().into(), 8, &9_u32.to_be_bytes());
    assert_eq!(Packet::parse(longer), Err(ParseError::TrailingBytes { len: 1 }));
    let shorter = altered(&ping.slice(..27), 8, &7_u32.to_be_bytes());
    assert_eq!(Packet::parse(shorter), Err(ParseError::Truncated { field: "t1" }));
}

#[test]
fn a_picture_has_the_bytes_that_its_sides_ask_for() {
    let coding = Coding::Image { format: PixelFormat::Rgba, width: 2, height: 2 };
    let message = frame(coding, vec![0; 16]).emit();
    // The largest sides there are: 17 GB at four bytes a pixel.
    for (width, height) in [(u16::MAX, u16::MAX), (2, 3), (1, 2), (0, 0), (0, 2)] {
        let sides = [width.to_be_bytes(), height.to_be_bytes()].concat();
        let error = Packet::parse(altered(&message, 28, &sides)).unwrap_err();
        assert_eq!(error, ParseError::WrongSize { width, height, len: 16 });
    }
    let message = frame(Coding::Cells { columns: 1, rows: 1 }, vec![0; 7]).emit();
    let error = Packet::parse(altered(&message, 28, &[0, 2])).unwrap_err();
    assert_eq!(error, ParseError::WrongSize { width: 1, height: 2, len: 7 });
    // A glyph that is not on the list could be anything: an escape, say.
    let error = Packet::parse(altered(&message, 46, &[0x1B])).unwrap_err();
    assert_eq!(error, ParseError::BadValue { field: "glyph", value: 0x1B });
}

#[test]
fn a_frame_is_not_copied_out_of_its_message() {
    let message = picture(10).emit();
    let range = message.as_ptr_range();
    let Body::Media(frame) = Packet::parse(message.clone()).unwrap().body else {
        panic!("a picture is media");
    };
    assert!(range.contains(&frame.data.as_ptr()));
}

#[test]
fn a_packet_for_more_messages_than_there_are_numbers_becomes_none() {
    let cut = Fragmenter::new(Fragmenter::MIN_MESSAGE).cut(&picture(100 * 65_536));
    assert!(cut.messages().is_empty());
}
