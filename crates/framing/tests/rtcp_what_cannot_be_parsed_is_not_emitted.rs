//! What a caller does wrong is a panic, not a datagram that the peer refuses.
#![cfg(feature = "rtp")]

use std::panic::catch_unwind;

use bytes::Bytes;
use paceline_framing::rtcp::{
    CompoundError, FullIntraRequest, Goodbye, MAX_PACKETS, Packet, PictureLossIndication,
    ReceiverReport, ReceptionReport, Remb, SdesChunk, SdesItem, SdesType, SourceDescription,
    Status, Statuses, TransportFeedback, TransportLayerNack, Unknown, emit, validate_compound,
};

fn panics(packet: Packet) {
    let text = format!("{packet:?}");
    assert!(catch_unwind(|| emit(&[packet])).is_err(), "{text}");
}

fn feedback(reference_time: i32) -> Packet {
    Packet::TransportFeedback(TransportFeedback {
        sender_ssrc: 1,
        media_ssrc: 2,
        base_sequence: 0,
        reference_time,
        feedback_count: 0,
        statuses: Statuses::new([Status::Lost]),
    })
}

fn sdes(source: u32, items: impl IntoIterator<Item = SdesItem>) -> Packet {
    let chunks = vec![SdesChunk::new(source, items)];
    Packet::SourceDescription(SourceDescription { chunks })
}

#[test]
fn more_than_a_field_can_say_panics() {
    let reports = vec![ReceptionReport::default(); 32];
    panics(Packet::ReceiverReport(ReceiverReport { reports, ..Default::default() }));
    let reports = vec![ReceptionReport { total_lost: 1 << 24, ..Default::default() }];
    panics(Packet::ReceiverReport(ReceiverReport { reports, ..Default::default() }));
    let profile_extensions = Bytes::from_static(&[1]);
    panics(Packet::ReceiverReport(ReceiverReport { profile_extensions, ..Default::default() }));
    panics(Packet::Goodbye(Goodbye { sources: vec![1; 32], reason: None }));
    panics(Packet::Goodbye(Goodbye { sources: vec![], reason: Some(vec![b'x'; 256].into()) }));
    let chunks = vec![SdesChunk::default(); 32];
    panics(Packet::SourceDescription(SourceDescription { chunks }));
    panics(Packet::Remb(Remb { sender_ssrc: 1, bitrate: 1, ssrcs: vec![1; 256] }));
    panics(feedback(1 << 23));
    panics(feedback(-(1 << 23) - 1));
}

#[test]
fn feedback_about_nothing_panics() {
    panics(Packet::Nack(TransportLayerNack::default()));
    panics(Packet::FullIntraRequest(FullIntraRequest::default()));
    assert!(catch_unwind(|| Statuses::new([])).is_err());
    assert!(catch_unwind(|| Statuses::new([Status::Lost; 65_536])).is_err());
    assert!(catch_unwind(|| emit(&[])).is_err());
}

#[test]
fn items_and_unknown_packets_are_checked_when_they_are_made() {
    let long = || SdesItem::cname(vec![b'x'; 256]);
    assert!(catch_unwind(|| SdesChunk::new(7, [long()])).is_err());
    let end = || SdesItem { kind: SdesType::END, text: Bytes::new() };
    assert!(catch_unwind(|| SdesChunk::new(7, [end()])).is_err());
    for raw in [&b"\x80\xcc\0"[..], b"\x40\xcc\0\0", b"\x80\xcc\0\x01"] {
        assert!(catch_unwind(|| Unknown::new(raw.into())).is_err(), "{raw:x?}");
    }
}

#[test]
fn only_the_last_packet_is_padded() {
    let padded = || Packet::Unknown(Unknown::new(b"\xa0\xcc\0\x01\0\0\0\x04"[..].into()));
    assert_eq!(emit(&[padded()]).len(), 8);
    assert!(catch_unwind(|| emit(&[padded(), padded()])).is_err());
}

#[test]
fn a_datagram_has_bounds() {
    let pli = Packet::PictureLossIndication(PictureLossIndication::default());
    assert_eq!(emit(&vec![pli.clone(); MAX_PACKETS]).len(), 12 * MAX_PACKETS);
    assert!(catch_unwind(|| emit(&vec![pli.clone(); MAX_PACKETS + 1])).is_err());
    let mut raw = vec![0; 32_768];
    raw[..4].copy_from_slice(&[0x80, 204, 0x1f, 0xff]);
    let app = Packet::Unknown(Unknown::new(raw.into()));
    assert!(catch_unwind(|| emit(&[app.clone(), app.clone()])).is_err());
}

#[test]
fn a_full_compound_has_a_report_first_and_a_name() {
    let report = || Packet::ReceiverReport(ReceiverReport::default());
    let named = || sdes(0, [SdesItem::cname("a@b")]);
    let pli = || Packet::PictureLossIndication(PictureLossIndication::default());
    assert_eq!(validate_compound(&[report(), named(), pli()]), Ok(()));
    assert_eq!(validate_compound(&[report(), pli(), named()]), Ok(()));
    assert_eq!(validate_compound(&[report(), pli()]), Err(CompoundError::NoCname));
    assert_eq!(validate_compound(&[report(), sdes(0, [])]), Err(CompoundError::NoCname));
    assert_eq!(validate_compound(&[named(), report()]), Err(CompoundError::NoReport));
    assert_eq!(validate_compound(&[]), Err(CompoundError::NoReport));
}
