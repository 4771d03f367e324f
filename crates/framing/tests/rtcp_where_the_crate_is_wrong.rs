//! What the `rtcp` crate, 0.21.1, does that keeps us from using more of it. When one of
//! these fails, the crate has been mended, and something of ours may go.
#![cfg(feature = "rtp")]

use std::panic::catch_unwind;

use bytes::Bytes;
use rtcp::goodbye::Goodbye;
use rtcp::packet::unmarshal;
use rtcp::payload_feedbacks::full_intra_request::FullIntraRequest;
use rtcp::payload_feedbacks::receiver_estimated_maximum_bitrate::ReceiverEstimatedMaximumBitrate as Remb;
use rtcp::raw_packet::RawPacket;
use rtcp::receiver_report::ReceiverReport;
use rtcp::reception_report::ReceptionReport;
use rtcp::source_description::SourceDescription;
use rtcp::transport_feedbacks::transport_layer_cc::{SymbolTypeTcc, TransportLayerCc};
use rtcp::transport_feedbacks::transport_layer_nack::{
    NackPair, TransportLayerNack, nack_pairs_from_sequence_numbers,
};
use shared::marshal::{Marshal, Unmarshal};

fn read<T: Unmarshal>(octets: &'static [u8]) -> Option<T> {
    T::unmarshal(&mut Bytes::from_static(octets)).ok()
}

#[test]
fn a_remb_of_zero_is_8_megabits() {
    let remb: Remb = read(b"\x8f\xce\0\x04\0\0\0\x01\0\0\0\0REMB\0\0\0\0").unwrap();
    assert_eq!(remb.bitrate, 8_388_608.0);
}

#[test]
fn to_print_a_large_remb_panics() {
    let remb: Remb = read(b"\x8f\xce\0\x04\0\0\0\x01\0\0\0\0REMB\0\xff\xff\xff").unwrap();
    assert!(catch_unwind(|| remb.to_string()).is_err());
}

#[test]
fn feedback_of_an_application_that_is_no_remb_refuses_the_datagram() {
    let mut octets = Bytes::from_static(b"\x8f\xce\0\x04\0\0\0\x01\0\0\0\0TEST\0\0\0\0");
    assert!(unmarshal(&mut octets).is_err());
}

#[test]
fn eight_octets_of_twcc_panic_where_overflow_is_checked() {
    let parsed = catch_unwind(|| read::<TransportLayerCc>(b"\x8f\xcd\xff\xff\0\0\0\x01").is_none());
    assert_eq!(parsed.is_err(), cfg!(debug_assertions));
}

#[test]
fn twcc_without_a_delta_is_refused_if_it_fills_its_words() {
    let octets = b"\x8f\xcd\0\x05\0\0\0\x01\0\0\0\x02\0\x64\x20\x01\0\0\0\0\x1f\xff\0\x02";
    assert_eq!(read::<TransportLayerCc>(octets), None);
}

#[test]
fn half_of_a_large_delta_is_a_small_one() {
    let octets = b"\x8f\xcd\0\x05\0\0\0\x01\0\0\0\x02\0\0\0\x02\0\0\0\0\xd8\0\x01\x02";
    let twcc: TransportLayerCc = read(octets).unwrap();
    assert_eq!(twcc.recv_deltas[1].type_tcc_packet, SymbolTypeTcc::PacketReceivedSmallDelta);
}

#[test]
fn a_reference_time_has_no_sign() {
    let octets = b"\x8f\xcd\0\x05\0\0\0\x01\0\0\0\x02\0\0\0\x01\xff\xff\xfe\0\x20\x01\x04\0";
    assert_eq!(read::<TransportLayerCc>(octets).unwrap().reference_time, 0x00ff_fffe);
}

#[test]
fn a_fir_of_64_kibibytes_panics_where_overflow_is_checked() {
    let mut octets = b"\x84\xce\x40\x02".to_vec();
    octets.resize(4 + 4 * 0x4002, 0);
    let parsed = catch_unwind(|| FullIntraRequest::unmarshal(&mut Bytes::from(octets)).is_ok());
    assert_eq!(parsed.is_err(), cfg!(debug_assertions));
}

#[test]
fn padding_is_profile_extensions_or_pairs() {
    let rr: ReceiverReport = read(b"\xa0\xc9\0\x02\0\0\0\x07\0\0\0\x04").unwrap();
    assert_eq!(&rr.profile_extensions[..], b"\0\0\0\x04");
    let nack: TransportLayerNack =
        read(b"\xa1\xcd\0\x04\0\0\0\x01\0\0\0\x02\0\x09\0\0\0\0\0\x04").unwrap();
    assert_eq!(nack.nacks[1], NackPair { packet_id: 0, lost_packets: 4 });
}

#[test]
fn a_bye_without_a_reason_is_padded_with_three_octets() {
    let bye = Goodbye { sources: vec![7], reason: Bytes::new() };
    assert_eq!(&bye.marshal().unwrap()[..], b"\xa1\xcb\0\x02\0\0\0\x07\0\0\0\x03");
}

#[test]
fn an_unknown_item_ends_the_list_and_its_text_is_a_source() {
    let sdes: Option<SourceDescription> =
        read(b"\x82\xca\0\x05\0\0\0\x07\x09\x0axx\0\0\0\x08\x01\x03abc\0\0\0");
    let sdes = sdes.unwrap();
    assert_eq!((sdes.chunks.len(), sdes.chunks[0].items.len()), (2, 0));
    assert_eq!(sdes.chunks[1].source, 8, "of the text of the first");
}

#[test]
fn a_chunk_is_filled_with_octets_that_are_not_null() {
    let octets = b"\x81\xca\0\x03\0\0\0\x07\x01\x03a@b\0\0\0";
    let sdes: SourceDescription = read(octets).unwrap();
    assert_eq!(&sdes.marshal().unwrap()[..], b"\x81\xca\0\x03\0\0\0\x07\x01\x03a@b\0\0\x02");
}

#[test]
fn a_loss_of_25_bits_is_written_as_another() {
    let report = ReceptionReport { total_lost: 0x0100_0001, ..ReceptionReport::default() };
    assert_eq!(&report.marshal().unwrap()[5..8], b"\0\0\x01");
}

#[test]
fn a_nack_of_254_pairs_cannot_be_written() {
    let nack =
        |len| TransportLayerNack { nacks: vec![NackPair::new(1); len], ..Default::default() };
    assert!(nack(253).marshal().is_ok());
    assert!(nack(254).marshal().is_err());
}

#[test]
fn pairs_are_cut_where_numbers_wrap() {
    assert_eq!(nack_pairs_from_sequence_numbers(&[65_535, 0]).len(), 2);
}

#[test]
fn a_type_that_is_not_known_is_forgotten() {
    let mut octets = Bytes::from_static(b"\x80\xd1\0\0");
    let packets = unmarshal(&mut octets).unwrap();
    let raw = packets[0].as_any().downcast_ref::<RawPacket>().unwrap();
    assert_eq!(&raw.0[..], b"\x80\0\0\0");
}
