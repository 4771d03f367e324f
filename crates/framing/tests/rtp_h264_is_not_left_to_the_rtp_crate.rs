//! Why the payload format of H.264 is ours: what `H264Payloader` and `H264Packet` of
//! rtc-rtp 0.21.1 do. A test that fails here after an update is good news.
#![cfg(feature = "rtp")]

use std::panic::catch_unwind;

use bytes::Bytes;
use rtp::codec::h264::{H264Packet, H264Payloader};
use rtp::packetizer::{Depacketizer, Payloader};

const SPS: &[u8] = &[0x67, 0x42, 0xc0, 0x1f, 0x80];
const PPS: &[u8] = &[0x68, 0xc0];
const OTHER_PPS: &[u8] = &[0x68, 0x58];
const IDR: &[u8] = &[0x65, 0x88, 0x80];

fn stream(units: &[&[u8]]) -> Bytes {
    units.iter().flat_map(|unit| [&[0, 0, 0, 1], *unit]).flatten().copied().collect()
}

fn sent(payloader: &mut H264Payloader, units: &[&[u8]], max: usize) -> Vec<Bytes> {
    payloader.payload(max, &stream(units)).expect("it never fails")
}

fn joined(packet: &mut H264Packet, payload: &'static [u8]) -> Option<Bytes> {
    packet.depacketize(&Bytes::from_static(payload)).ok()
}

#[test]
fn its_depacketizer_panics_on_a_stap_a_with_a_byte_left_over() {
    let parse = || H264Packet::default().depacketize(&Bytes::from_static(&[24, 0, 1, 0x67, 0]));
    assert!(catch_unwind(parse).is_err());
}

#[test]
fn its_depacketizer_takes_empty_and_nested_units() {
    let data = joined(&mut H264Packet::default(), &[24, 0, 0, 0, 1, 24]);
    assert_eq!(data.unwrap(), [0, 0, 0, 1, 0, 0, 0, 1, 24].as_slice());
}

#[test]
fn its_depacketizer_joins_fragments_across_a_loss() {
    let mut packet = H264Packet::default();
    joined(&mut packet, &[0x7c, 0x81, 1]);
    // The end of that unit is lost, and the start of the next.
    let data = joined(&mut packet, &[0x7c, 0x45, 2]).unwrap();
    assert_eq!(data, [0, 0, 0, 1, 0x65, 1, 2].as_slice());
}

#[test]
fn its_depacketizer_joins_fragments_without_a_start() {
    let data = joined(&mut H264Packet::default(), &[0x7c, 0x45, 2]).unwrap();
    assert_eq!(data, [0, 0, 0, 1, 0x65, 2].as_slice());
}

#[test]
fn its_depacketizer_drops_the_f_bit_of_a_fragmented_unit() {
    let mut packet = H264Packet::default();
    joined(&mut packet, &[0xfc, 0x81, 1]);
    let data = joined(&mut packet, &[0xfc, 0x41, 2]).unwrap();
    assert_eq!(data[4], 0x61, "0xe1 was sent");
}

#[test]
fn its_depacketizer_refuses_units_of_two_bytes() {
    assert_eq!(joined(&mut H264Packet::default(), &[0x68, 0xc0]), None);
}

#[test]
fn its_payloader_loses_parameter_sets_that_do_not_fit_one_packet() {
    let sps = [SPS, &[9; 20]].concat();
    let sent = sent(&mut H264Payloader::default(), &[&sps, PPS, IDR], 20);
    assert_eq!(sent, [IDR]);
}

#[test]
fn its_payloader_keeps_but_one_pps() {
    let sent = sent(&mut H264Payloader::default(), &[SPS, PPS, OTHER_PPS, IDR], 100);
    let stap = [&[0x78, 0, 5], SPS, &[0, 2], OTHER_PPS].concat();
    assert_eq!(sent, [&stap, IDR]);
}

#[test]
fn its_payloader_does_not_repeat_parameter_sets() {
    let mut payloader = H264Payloader::default();
    assert_eq!(sent(&mut payloader, &[SPS, PPS, IDR], 100).len(), 2);
    assert_eq!(sent(&mut payloader, &[IDR], 100), [IDR]);
}

#[test]
fn its_payloader_keeps_parameter_sets_for_a_later_access_unit() {
    let mut payloader = H264Payloader::default();
    assert_eq!(sent(&mut payloader, &[SPS, PPS], 100), [] as [Bytes; 0]);
}

#[test]
fn its_payloader_drops_the_f_bit_and_makes_a_last_packet_of_a_byte() {
    let unit = [&[0xe1][..], &[7; 37]].concat();
    let sent = sent(&mut H264Payloader::default(), &[&unit], 20);
    let sizes: Vec<_> = sent.iter().map(Bytes::len).collect();
    assert_eq!((sent[0][0], sizes), (0x7c, vec![20, 20, 3]));
}

#[test]
fn its_payloader_sends_the_zeros_of_the_byte_stream() {
    let data = Bytes::from_static(&[0, 0, 1, 0x65, 1, 0, 0]);
    let sent = H264Payloader::default().payload(100, &data).unwrap();
    assert_eq!(sent, [[0x65, 1, 0, 0].as_slice()]);
}

#[test]
fn its_payloader_sends_what_is_no_byte_stream() {
    let data = Bytes::from_static(b"AAC");
    let sent = H264Payloader::default().payload(100, &data).unwrap();
    assert_eq!(sent, ["AAC"]);
}
