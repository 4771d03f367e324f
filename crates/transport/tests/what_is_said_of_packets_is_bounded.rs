//! Who sends remembers what left, and is told what became of it: neither takes more than what
//! was sent, whatever the other end says, or does not say.
#![allow(clippy::disallowed_methods, reason = "one instant to count from")]
#![cfg(feature = "rtp")]

use std::time::{Duration, Instant};

use allocation_counter::measure;
use bytes::Bytes;
use paceline_transport::rtp::{Chain, RtpConfig, Stream};
use paceline_transport::types::{PacketKind, Ssrc};

const VIDEO: Stream = Stream::new(Ssrc::new(0x0A00_0000), 90_000);

fn packet(seq: u16) -> Bytes {
    let mut packet = vec![0x80, 96];
    packet.extend(seq.to_be_bytes());
    packet.extend([0; 4]);
    packet.extend(VIDEO.ssrc.get().to_be_bytes());
    packet.resize(100, 7);
    packet.into()
}

/// Sends a packet each millisecond; what is due is done.
struct Sender {
    chain: Chain,
    now: Instant,
    sent: u64,
}

impl Sender {
    fn new() -> Self {
        let chain = Chain::new(&RtpConfig::default(), &[VIDEO], &[]);
        Self { chain, now: Instant::now(), sent: 0 }
    }

    fn send(&mut self, count: u64) {
        for _ in 0..count {
            let packet = packet(self.sent as u16);
            self.chain.handle_outgoing(self.now, PacketKind::Rtp, packet).expect("room");
            self.sent += 1;
            self.now += Duration::from_millis(1);
            while self.chain.poll_transmit().is_some() {}
            while self.chain.poll_event().is_some() {}
            while let Some(at) = self.chain.poll_timeout().filter(|at| *at <= self.now) {
                self.chain.handle_timeout(self.now.max(at));
            }
        }
    }
}

/// Feedback (draft-holmer-rmcat-transport-wide-cc-extensions-01 §3.1) that says of so many
/// packets from `base` on that they are lost, and of the next, that it came.
fn feedback(base: u16, lost: usize, came: bool) -> Vec<u8> {
    let mut runs: Vec<u16> = std::iter::repeat_n(8_191, lost / 8_191).collect();
    runs.push((lost % 8_191) as u16);
    let mut bytes = Vec::new();
    bytes.extend(1_u32.to_be_bytes());
    bytes.extend(VIDEO.ssrc.get().to_be_bytes());
    bytes.extend(base.to_be_bytes());
    bytes.extend((lost as u16 + u16::from(came)).to_be_bytes());
    bytes.extend([0, 0, 1, 0]);
    for run in runs.iter().filter(|run| **run > 0) {
        bytes.extend(run.to_be_bytes());
    }
    if came {
        // A run of one, with a small delta, and that.
        bytes.extend([0x20, 1, 4]);
    }
    // The parser wants more than a whole chunk after the last.
    bytes.resize(bytes.len().next_multiple_of(4) + 4, 0);
    let mut packet = vec![0x8F, 205, 0, (bytes.len() / 4) as u8];
    packet.extend(bytes);
    packet
}

#[test]
fn packets_of_which_nobody_tells_are_forgotten() {
    let mut sender = Sender::new();
    sender.send(5_000);
    let counted = measure(|| sender.send(100_000));
    println!("{} bytes more, {} at most", counted.bytes_current, counted.bytes_max);
    assert!(counted.bytes_current < 500_000, "{} bytes are kept", counted.bytes_current);
    assert!(counted.bytes_max < 2_000_000, "{} bytes at once", counted.bytes_max);
}

#[test]
fn who_tells_of_the_oldest_only_does_not_have_the_others_kept() {
    let mut sender = Sender::new();
    sender.send(5_000);
    let mut told = 4_000_u16;
    let counted = measure(|| {
        for _ in 0..1_000 {
            sender.send(100);
            // One of a hundred, in their order: the report is never of what was sent last.
            told = told.wrapping_add(1);
            sender.chain.handle_incoming(sender.now, feedback(told, 0, true).into());
        }
    });
    println!("{} bytes more", counted.bytes_current);
    assert!(counted.bytes_current < 500_000, "{} bytes are kept", counted.bytes_current);
}

#[test]
fn feedback_of_packets_that_were_not_sent_is_not_looked_into() {
    let mut sender = Sender::new();
    sender.send(100);
    // As many as a datagram holds, each of all the numbers that there are; and the same with a
    // header that says one.
    let mut all = feedback(0, 65_528, false);
    let one = {
        let mut one = feedback(0, 8_191, false);
        one[14..16].copy_from_slice(&1_u16.to_be_bytes());
        one
    };
    all.extend(&one);
    let compound = |of: &[u8]| Bytes::from(of.repeat(1_200 / of.len()));
    for compound in [compound(&all), compound(&one)] {
        let counted = measure(|| {
            for _ in 0..100 {
                sender.chain.handle_incoming(sender.now, compound.clone());
            }
        });
        println!("{} bytes for 100 datagrams", counted.bytes_total);
        // What it takes to parse them, and no more: 30 bytes for each byte.
        assert!(counted.bytes_total < 100 * 1_200 * 30, "{}", counted.bytes_total);
    }
    let refused = sender.chain.stats().feedback_refused;
    assert!(refused > 100 * 20, "{refused}");
    assert_eq!(sender.chain.malformed(), 0);
}

/// A request (RFC 4585 §6.2.1) for all packets of which the sixteen bits after each of the first
/// `pairs` numbers from `base` on tell.
fn request(base: u16, pairs: u16) -> Vec<u8> {
    let mut packet = vec![0x81, 205];
    packet.extend((2 + pairs).to_be_bytes());
    packet.extend(1_u32.to_be_bytes());
    packet.extend(VIDEO.ssrc.get().to_be_bytes());
    for pair in 0..pairs {
        packet.extend(base.wrapping_add(pair * 17).to_be_bytes());
        packet.extend([0xFF, 0xFF]);
    }
    packet
}

#[test]
fn what_was_asked_for_far_too_often_is_not_looked_for() {
    let mut sender = Sender::new();
    sender.send(1_000);
    // As much as a datagram holds, of what is there: 278,000 copies, if each were answered.
    let all: Bytes = request(1_000 - 17, 1).repeat(64 * 1_024 / 16).into();
    let counted = measure(|| sender.chain.handle_incoming(sender.now, all.clone()));
    let bytes = counted.bytes_total;
    println!("{bytes} bytes for one datagram");
    // 8,000 copies of what is there, and what it takes to parse it: 30 bytes for each byte.
    assert!(bytes < 8_192 * 1_000 + 64 * 1_024 * 30, "{bytes}");
    assert!(sender.chain.stats().feedback_refused > 3_000, "{:?}", sender.chain.stats());
}

#[test]
fn what_is_missing_may_be_asked_for_ten_times() {
    let mut sender = Sender::new();
    sender.send(1_000);
    for _ in 0..10 {
        sender.chain.handle_incoming(sender.now, request(1_000 - 17 * 40, 40).into());
    }
    assert_eq!(sender.chain.stats().feedback_refused, 0);
}

/// A packet as it arrives, with its own and its transport-wide number.
fn arrival(seq: u16, wide: u16) -> Bytes {
    let mut bytes = packet(seq).to_vec();
    bytes[0] |= 0x10;
    let [high, low] = wide.to_be_bytes();
    // RFC 8285 §4.2: one word, in which number 5 has two bytes.
    bytes.splice(12..12, [0xBE, 0xDE, 0, 1, 0x51, high, low, 0]);
    bytes.into()
}

#[test]
fn numbers_that_jump_with_every_packet_are_not_followed() {
    for [own, wide] in [[32_767, 1], [1, 32_767], [1, 32_769]] {
        let mut receiver = Chain::new(&RtpConfig::default(), &[], &[VIDEO]);
        let mut now = Instant::now();
        for at in 0..1_000_u16 {
            let bytes = arrival(at.wrapping_mul(own), at.wrapping_mul(wide));
            receiver.handle_incoming(now, bytes);
            while receiver.poll_event().is_some() {}
            now += Duration::from_micros(100);
        }
        let stats = receiver.stats();
        assert!(stats.received <= 502 && stats.refused == 1_000 - stats.received, "{stats:?}");
    }
}

#[test]
fn after_an_outage_of_whatever_length_what_comes_goes_on() {
    for lost in [1_000, 4_000, 5_000, 20_000, 40_000] {
        let mut receiver = Chain::new(&RtpConfig::default(), &[], &[VIDEO]);
        let now = Instant::now();
        for at in (0..200).chain(lost..lost + 200) {
            receiver.handle_incoming(now, arrival(at, at.wrapping_add(9_000)));
            while receiver.poll_event().is_some() {}
        }
        assert!(receiver.stats().received >= 399, "{:?}", receiver.stats());
    }
}

#[test]
fn however_much_is_kept_no_more_than_4096_packets_are_missed() {
    let mut receiver = Chain::new(&RtpConfig::default().nack_buffer(u16::MAX), &[], &[VIDEO]);
    let now = Instant::now();
    for seq in (0..16_000).step_by(4_000) {
        receiver.handle_incoming(now, packet(seq));
    }
    receiver.handle_timeout(now + Duration::from_millis(30));
    let mut missed = 0;
    for report in std::iter::from_fn(|| receiver.poll_transmit()) {
        // RFC 4585 §6.2.1: after the header and two sources.
        let pairs = if report[..2] == [0x81, 205] { &report[12..] } else { &[] };
        missed += pairs
            .chunks(4)
            .map(|pair| 1 + pair[2].count_ones() + pair[3].count_ones())
            .sum::<u32>();
    }
    assert!((4_000..=4_096).contains(&missed), "{missed}");
}

#[test]
fn after_an_outage_it_may_be_told_of_all_of_it() {
    let mut sender = Sender::new();
    sender.send(3_000);
    sender.chain.handle_incoming(sender.now, feedback(0, 2_999, true).into());
    assert_eq!(sender.chain.stats().feedback_refused, 0);
    // What was overtaken has it told of anew, some of it often.
    for _ in 0..40 {
        sender.chain.handle_incoming(sender.now, feedback(2_900, 99, true).into());
    }
    assert_eq!(sender.chain.stats().feedback_refused, 0);
}
