//! What every packet type looks like on the wire, and that nothing is lost on the way.
#![cfg(feature = "rtp")]

use bytes::Bytes;
use paceline_framing::rtcp::{
    FirEntry, FullIntraRequest, Goodbye, NackPair, Packet, PictureLossIndication, ReceiverReport,
    ReceptionReport, Remb, RtcpError, SdesChunk, SdesItem, SdesType, SenderReport,
    SourceDescription, Status, Statuses, TransportFeedback, TransportLayerNack, Unknown,
    cumulative_lost, emit, parse, total_lost, validate_compound,
};
use proptest::collection::vec;
use proptest::prelude::*;

fn hex(text: &str) -> Bytes {
    let byte = |at| u8::from_str_radix(&text[at..at + 2], 16).expect("hex");
    (0..text.len()).step_by(2).map(byte).collect()
}

fn block() -> ReceptionReport {
    ReceptionReport {
        ssrc: 0x2222_2222,
        fraction_lost: 51,
        total_lost: total_lost(-2),
        last_sequence_number: 0x0001_fffe,
        jitter: 90,
        last_sender_report: 0xb705_2000,
        delay: 0x0005_4000,
    }
}

/// The octets are what Python's `struct.pack` made of the fields' values.
fn golden() -> Vec<(&'static str, Packet)> {
    let sr = SenderReport {
        ssrc: 0x1111_1111,
        ntp_time: 0xb44d_b705_2000_0000,
        rtp_time: 123_456,
        packet_count: 1_000,
        octet_count: 160_000,
        reports: vec![block()],
        profile_extensions: Bytes::new(),
    };
    let rr =
        ReceiverReport { ssrc: 0x1111_1111, reports: vec![block()], ..ReceiverReport::default() };
    let tool = SdesItem { kind: SdesType::TOOL, text: "t".into() };
    let chunks = vec![
        SdesChunk::new(7, [SdesItem::cname("a@b"), tool]),
        SdesChunk::new(8, [SdesItem::cname("cd")]),
    ];
    let nacks = vec![
        NackPair { packet_id: 65_535, lost_packets: 0x8001 },
        NackPair { packet_id: 100, lost_packets: 0 },
    ];
    let entry = |ssrc, sequence_number| FirEntry { ssrc, sequence_number };
    let mut statuses = vec![Status::Lost; 24];
    statuses[0] = Status::Received { delta: 4 };
    statuses[2] = Status::Received { delta: -2 };
    statuses[23] = Status::ReceivedUntimed;
    let twcc = TransportFeedback {
        sender_ssrc: 1,
        media_ssrc: 2,
        base_sequence: 65_535,
        reference_time: -2,
        feedback_count: 9,
        statuses: Statuses::new(statuses),
    };
    vec![
        (
            "81c8000c11111111b44db705200000000001e240000003e800027100\
             2222222233fffffe0001fffe0000005ab705200000054000",
            Packet::SenderReport(sr),
        ),
        (
            "81c90007111111112222222233fffffe0001fffe0000005ab705200000054000",
            Packet::ReceiverReport(rr),
        ),
        (
            "82ca000700000007010361406206017400000000000000080102636400000000",
            Packet::SourceDescription(SourceDescription { chunks }),
        ),
        (
            "82cb00040000000700000008056c756e63680000",
            Packet::Goodbye(Goodbye { sources: vec![7, 8], reason: Some("lunch".into()) }),
        ),
        (
            "81cd00040000000100000002ffff800100640000",
            Packet::Nack(TransportLayerNack { sender_ssrc: 1, media_ssrc: 2, nacks }),
        ),
        (
            "81ce00020000000100000002",
            Packet::PictureLossIndication(PictureLossIndication { sender_ssrc: 1, media_ssrc: 2 }),
        ),
        (
            "84ce00060000000100000000000000020700000000000003ff000000",
            Packet::FullIntraRequest(FullIntraRequest {
                sender_ssrc: 1,
                media_ssrc: 0,
                fir: vec![entry(2, 7), entry(3, 255)],
            }),
        ),
        (
            "8fce0006000000010000000052454d420212625a0000000200000003",
            Packet::Remb(Remb { sender_ssrc: 1, bitrate: 2_500_000, ssrcs: vec![2, 3] }),
        ),
        (
            "8fcd00070000000100000002ffff0018fffffe09d2000010600104fffe000000",
            Packet::TransportFeedback(twcc),
        ),
        (
            "83cc00030000000754455354deadbeef",
            Packet::Unknown(Unknown::new(hex("83cc00030000000754455354deadbeef"))),
        ),
    ]
}

#[test]
fn each_type_has_these_octets_and_these_octets_are_it() {
    for (octets, packet) in golden() {
        let octets = hex(&octets.replace(' ', ""));
        assert_eq!(emit(std::slice::from_ref(&packet)), octets, "{packet:?}");
        assert_eq!(parse(octets), Ok(vec![packet]));
    }
}

#[test]
fn all_of_them_are_one_compound() {
    let packets: Vec<_> = golden().into_iter().map(|(_, packet)| packet).collect();
    assert_eq!(parse(emit(&packets)), Ok(packets.clone()));
    assert_eq!(validate_compound(&packets), Ok(()));
}

/// ffmpeg's RTP muxer, µ-law over 127.0.0.1: `ffmpeg -re -f lavfi -i sine -c:a pcm_mulaw
/// -ar 8000 -f rtp 'rtp://127.0.0.1:36000?rtcpport=36001'`, its second report.
const FFMPEG: &str = "80c800061a7f0c40eeac2b1b97ced916539615fe000000d800009cac";

/// GStreamer's rtpbin: `gst-launch-1.0 rtpbin name=b audiotestsrc is-live=true ! mulawenc
/// ! rtppcmupay ! b.send_rtp_sink_0 …`, its report and description over 127.0.0.1.
const GSTREAMER: &str = "80c800062ac00899eeac2b21a38b8ae3b7621c9e000000160000580081ca000c\
    2ac00899011c757365723135343036363435313340686f73742d646134653134663706094753747265616d6572\
    000000";

#[test]
fn what_ffmpeg_and_gstreamer_send_is_read_and_written_the_same() {
    let packets = parse(hex(FFMPEG)).unwrap();
    let [Packet::SenderReport(sr)] = &packets[..] else { panic!("{packets:?}") };
    assert_eq!((sr.packet_count, sr.octet_count), (216, 40_108));
    assert_eq!(emit(&packets), hex(FFMPEG));

    let packets = parse(hex(GSTREAMER)).unwrap();
    let [Packet::SenderReport(sr), Packet::SourceDescription(sdes)] = &packets[..] else {
        panic!("{packets:?}")
    };
    assert_eq!((sr.packet_count, sr.octet_count), (22, 22_528));
    assert_eq!(sdes.chunks[0].source(), sr.ssrc);
    assert_eq!(sdes.chunks[0].cname().as_deref(), Some(&b"user1540664513@host-da4e14f7"[..]));
    assert_eq!(sdes.chunks[0].items().last().unwrap().text, "GStreamer");
    assert_eq!(validate_compound(&packets), Ok(()));
    assert_eq!(emit(&packets), hex(GSTREAMER));
}

#[test]
fn the_loss_of_a_report_may_be_negative() {
    let (octets, _) = golden().swap_remove(1);
    let packets = parse(hex(octets)).unwrap();
    let [Packet::ReceiverReport(rr)] = &packets[..] else { panic!("{packets:?}") };
    assert_eq!(cumulative_lost(&rr.reports[0]), -2);
}

#[test]
fn padding_carries_nothing_and_is_not_kept() {
    // An empty receiver report with a word of padding; the crate takes it for extensions.
    let padded = hex("a0c900020000000700000004");
    let packets = parse(padded).unwrap();
    let report = ReceiverReport { ssrc: 7, ..ReceiverReport::default() };
    assert_eq!(packets, [Packet::ReceiverReport(report)]);
    assert_eq!(emit(&packets), hex("80c9000100000007"));
}

#[test]
fn twcc_may_be_padded_before_the_last_packet_and_others_not() {
    // One packet received after 1 ms, and one octet of padding, as libwebrtc has it.
    let twcc = "afcd0005000000010000000200640001000000002001".to_owned() + "0401";
    let pli = "81ce00020000000100000002";
    let packets = parse(hex(&(twcc.clone() + pli))).unwrap();
    assert_eq!(packets.len(), 2);
    assert_eq!(emit(&packets), hex(&(twcc.replace("af", "8f").replace("0401", "0400") + pli)));

    let padded = "a0c900020000000700000004".to_owned() + pli;
    assert_eq!(parse(hex(&padded)), Err(RtcpError::BadPadding { len: 4 }));
}

#[test]
fn a_remb_of_zero_is_zero() {
    let remb = Packet::Remb(Remb { sender_ssrc: 1, bitrate: 0, ssrcs: vec![2] });
    assert_eq!(parse(emit(std::slice::from_ref(&remb))), Ok(vec![remb]));
}

#[test]
fn feedback_that_fills_its_words_without_a_delta_is_feedback() {
    // Two runs of lost packets, and nothing behind.
    let packets = parse(hex("8fcd0005000000010000000200642001000000001fff0002")).unwrap();
    let [Packet::TransportFeedback(feedback)] = &packets[..] else { panic!("{packets:?}") };
    assert_eq!(feedback.statuses.len(), 0x2001);
    assert!(feedback.statuses.iter().all(|status| status == Status::Lost));
}

#[test]
fn items_that_nobody_knows_are_kept() {
    // Type 9 is not assigned; the crate takes it for the end.
    let octets = hex("81ca0003000000070903787878000000");
    let packets = parse(octets.clone()).unwrap();
    let [Packet::SourceDescription(sdes)] = &packets[..] else { panic!("{packets:?}") };
    let item = SdesItem { kind: SdesType(9), text: "xxx".into() };
    assert!(sdes.chunks[0].items().eq([item]));
    assert_eq!(emit(&packets), octets);
}

fn reports() -> impl Strategy<Value = Vec<ReceptionReport>> {
    let block = any::<(u32, u8, i32, u32, u32, u32, u32)>().prop_map(|f| ReceptionReport {
        ssrc: f.0,
        fraction_lost: f.1,
        total_lost: total_lost(f.2.into()),
        last_sequence_number: f.3,
        jitter: f.4,
        last_sender_report: f.5,
        delay: f.6,
    });
    vec(block, 0..=31)
}

fn text() -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), 0..=255).prop_map(Bytes::from)
}

fn words() -> impl Strategy<Value = Bytes> {
    vec(any::<u32>(), 0..4).prop_map(|w| w.iter().flat_map(|w| w.to_be_bytes()).collect())
}

fn status() -> impl Strategy<Value = Status> {
    prop_oneof![
        4 => Just(Status::Lost),
        4 => (0..=255_i16).prop_map(|delta| Status::Received { delta }),
        1 => any::<i16>().prop_map(|delta| Status::Received { delta }),
        1 => Just(Status::ReceivedUntimed),
    ]
}

fn packet() -> impl Strategy<Value = Packet> {
    let sr = (any::<(u32, u64, u32, u32, u32)>(), reports(), words()).prop_map(
        |(f, reports, profile_extensions)| {
            Packet::SenderReport(SenderReport {
                ssrc: f.0,
                ntp_time: f.1,
                rtp_time: f.2,
                packet_count: f.3,
                octet_count: f.4,
                reports,
                profile_extensions,
            })
        },
    );
    let rr = (any::<u32>(), reports(), words()).prop_map(|(ssrc, reports, profile_extensions)| {
        Packet::ReceiverReport(ReceiverReport { ssrc, reports, profile_extensions })
    });
    let item =
        (1..=255_u8, text()).prop_map(|(kind, text)| SdesItem { kind: SdesType(kind), text });
    let chunk =
        (any::<u32>(), vec(item, 0..4)).prop_map(|(source, items)| SdesChunk::new(source, items));
    let sdes = vec(chunk, 0..=31)
        .prop_map(|chunks| Packet::SourceDescription(SourceDescription { chunks }));
    let bye = (vec(any::<u32>(), 0..=31), prop::option::of(text()))
        .prop_map(|(sources, reason)| Packet::Goodbye(Goodbye { sources, reason }));
    let pair = any::<(u16, u16)>().prop_map(|f| NackPair { packet_id: f.0, lost_packets: f.1 });
    let nack = (any::<(u32, u32)>(), vec(pair, 1..400)).prop_map(|(f, nacks)| {
        Packet::Nack(TransportLayerNack { sender_ssrc: f.0, media_ssrc: f.1, nacks })
    });
    let pli = any::<(u32, u32)>().prop_map(|f| {
        Packet::PictureLossIndication(PictureLossIndication { sender_ssrc: f.0, media_ssrc: f.1 })
    });
    let entry = any::<(u32, u8)>().prop_map(|f| FirEntry { ssrc: f.0, sequence_number: f.1 });
    let fir = (any::<(u32, u32)>(), vec(entry, 1..40)).prop_map(|(f, fir)| {
        Packet::FullIntraRequest(FullIntraRequest { sender_ssrc: f.0, media_ssrc: f.1, fir })
    });
    let remb = (any::<u32>(), 0..1_u64 << 18, 0..46_u32, vec(any::<u32>(), 0..=255)).prop_map(
        |(sender_ssrc, mantissa, exponent, ssrcs)| {
            Packet::Remb(Remb { sender_ssrc, bitrate: mantissa << exponent, ssrcs })
        },
    );
    let twcc = (any::<(u32, u32, u16, u8)>(), -(1 << 23)..1 << 23, vec(status(), 1..300)).prop_map(
        |(f, reference_time, statuses)| {
            Packet::TransportFeedback(TransportFeedback {
                sender_ssrc: f.0,
                media_ssrc: f.1,
                base_sequence: f.2,
                reference_time,
                feedback_count: f.3,
                statuses: Statuses::new(statuses),
            })
        },
    );
    prop_oneof![sr, rr, sdes, bye, nack, pli, fir, remb, twcc]
}

proptest! {
    #[test]
    fn what_is_emitted_is_parsed_the_same(packets in vec(packet(), 1..4)) {
        prop_assert_eq!(parse(emit(&packets)), Ok(packets));
    }

    #[test]
    fn statuses_are_those_that_went_in(statuses in vec(status(), 1..2_000)) {
        let held = Statuses::new(statuses.iter().copied());
        prop_assert_eq!(held.iter().collect::<Vec<_>>(), statuses);
    }

    #[test]
    fn a_long_run_is_one_chunk_for_each_8191(len in 1..=65_535_usize) {
        let held = Statuses::new(std::iter::repeat_n(Status::Lost, len));
        prop_assert_eq!(held.len(), len);
        prop_assert_eq!(held.iter().count(), len);
        let feedback = TransportFeedback {
            sender_ssrc: 1,
            media_ssrc: 2,
            base_sequence: 0,
            reference_time: 0,
            feedback_count: 0,
            statuses: held,
        };
        let octets = emit(&[Packet::TransportFeedback(feedback)]);
        prop_assert_eq!(octets.len(), 20 + (2 * len.div_ceil(8_191)).next_multiple_of(4));
    }
}
