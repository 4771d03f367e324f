//! Frames come back whole from what a network does to packets, and what is missing is
//! said once.
#![cfg(feature = "rtp")]
#![allow(clippy::disallowed_methods, reason = "a test needs an epoch")]

use std::time::{Duration, Instant};

use bytes::Bytes;
use paceline_framing::rtp::{
    Codec, Depacketizer, DepacketizerConfig, Header, Output, Packet, PayloadError, Verdict,
};

const SSRC: u32 = 0x1234;
const MAX_AGE: Duration = Duration::from_millis(200);

fn packet(seq: u16, time: u32, marker: bool, payload: Vec<u8>) -> Packet {
    Packet {
        header: Header {
            version: 2,
            ssrc: SSRC,
            sequence_number: seq,
            timestamp: time,
            marker,
            ..Header::default()
        },
        payload: Bytes::from(payload),
    }
}

/// A VP8 packet of an inter frame that carries its own number.
fn video(seq: u16, time: u32, first: bool, last: bool) -> Packet {
    let mut payload = if first { vec![0x10, 0x01, 0, 0] } else { vec![0x00] };
    payload.extend(seq.to_be_bytes());
    packet(seq, time, last, payload)
}

/// Frames of three packets, beginning at the number `from`.
fn frames(from: u16, count: u16) -> Vec<Packet> {
    let of_three = |index: u16| {
        let seq = from.wrapping_add(index);
        video(seq, 3_000 * u32::from(index / 3), index.is_multiple_of(3), index % 3 == 2)
    };
    (0..3 * count).map(of_three).collect()
}

/// A machine and what came out of it: `F` with the wire's number for a frame, `M` with
/// numbers for what is missing, `D` for what is dropped, `R` for a restart.
struct Bench {
    start: Instant,
    machine: Depacketizer,
}

impl Bench {
    fn new() -> Self {
        Self::with(DepacketizerConfig::default())
    }

    fn with(config: DepacketizerConfig) -> Self {
        let machine = Depacketizer::new(SSRC, Codec::Vp8, config);
        Self { start: Instant::now(), machine }
    }

    fn give(&mut self, millis: u64, packets: impl IntoIterator<Item = Packet>) -> String {
        let now = self.start + Duration::from_millis(millis);
        for packet in packets {
            let _ = self.machine.handle_packet(now, packet);
        }
        self.drain()
    }

    fn wait(&mut self, millis: u64) -> String {
        self.machine.handle_timeout(self.start + Duration::from_millis(millis));
        self.drain()
    }

    fn drain(&mut self) -> String {
        let mut said = Vec::new();
        while let Some(output) = self.machine.poll_output() {
            said.push(match output {
                Output::Frame(frame) => format!("F{}", frame.first_seq.wrapped() as u16),
                Output::Missing { first, count } => format!("M{}+{count}", first.wrapped() as u16),
                Output::Dropped { first, count } => format!("D{}+{count}", first.wrapped() as u16),
                Output::Restart { first } => format!("R{}", first.wrapped() as u16),
                other => format!("{other:?}"),
            });
        }
        said.join(" ")
    }
}

fn pick(packets: &[Packet], order: &[usize]) -> Vec<Packet> {
    order.iter().map(|&index| packets[index].clone()).collect()
}

#[test]
fn order_and_copies_do_not_matter() {
    let sent = frames(10, 3);
    let mut bench = Bench::new();
    assert_eq!(bench.give(0, pick(&sent, &[0, 2, 4, 3, 2, 5, 1, 1, 8, 7, 6])), "F10 F13 F16");
    let stats = bench.machine.stats();
    assert_eq!((stats.frames, stats.duplicate, stats.late, stats.missing), (3, 1, 1, 0));
    assert_eq!((bench.machine.held(), bench.machine.poll_timeout()), (0, None));
}

#[test]
fn a_copy_is_told_from_a_straggler() {
    let sent = frames(10, 1);
    let mut bench = Bench::new();
    let now = bench.start;
    let mut verdict = |index: usize| bench.machine.handle_packet(now, sent[index].clone());
    assert_eq!((verdict(0), verdict(0)), (Verdict::Queued, Verdict::Duplicate));
    assert_eq!((verdict(2), verdict(2)), (Verdict::Queued, Verdict::Duplicate));
    assert_eq!((verdict(1), verdict(1)), (Verdict::Queued, Verdict::Late));
}

#[test]
fn a_loss_costs_its_frame_alone_wherever_it_is() {
    for (lost, said) in
        [(3, "M13+1 D14+2 F16"), (4, "D13+1 M14+1 D15+1 F16"), (5, "D13+2 M15+1 F16")]
    {
        let mut sent = frames(10, 3);
        sent.remove(lost);
        let mut bench = Bench::new();
        assert_eq!(bench.give(0, sent), "F10");
        assert_eq!(bench.wait(199), "");
        assert_eq!(bench.wait(200), said);
        let stats = bench.machine.stats();
        assert_eq!((stats.broken_frames, stats.dropped_packets, stats.missing), (1, 2, 1));
        assert_eq!(bench.machine.held(), 0);
    }
}

#[test]
fn each_gap_is_waited_for_from_when_it_is_known() {
    let sent = frames(10, 4);
    let mut bench = Bench::new();
    assert_eq!(bench.give(0, pick(&sent, &[0, 1, 2, 4, 5])), "F10");
    assert_eq!(bench.give(100, pick(&sent, &[9, 10, 11])), "");
    assert_eq!(bench.machine.poll_timeout(), Some(bench.start + MAX_AGE));
    assert_eq!(bench.wait(200), "M13+1 D14+2");
    assert_eq!(bench.machine.poll_timeout(), Some(bench.start + MAX_AGE + MAX_AGE / 2));
    assert_eq!(bench.wait(300), "M16+3 F19");
    // What was given up stays given up.
    assert_eq!(bench.give(301, pick(&sent, &[3, 6, 7, 8])), "");
    assert_eq!(bench.machine.stats().late, 4);
}

#[test]
fn numbers_and_timestamps_wrap() {
    for offset in 0..64_u16 {
        let mut sent = frames(65_535 - offset, 22);
        for packet in &mut sent {
            packet.header.timestamp =
                packet.header.timestamp.wrapping_sub(3_000 * u32::from(offset / 3));
        }
        // Pairs swapped, but for the first packet.
        sent[1..].chunks_exact_mut(2).for_each(|pair| pair.swap(0, 1));
        let mut bench = Bench::new();
        for packet in sent {
            let _ = bench.machine.handle_packet(bench.start, packet);
        }
        let mut last = None;
        for _ in 0..22 {
            let Some(Output::Frame(frame)) = bench.machine.poll_output() else {
                panic!("{offset}")
            };
            if let Some((seq, ticks)) = last {
                assert_eq!((frame.first_seq.get(), frame.time.ticks()), (seq + 3, ticks + 3_000));
            }
            last = Some((frame.first_seq.get(), frame.time.ticks()));
        }
    }
}

#[test]
fn time_can_go_back_from_the_first_frame_on() {
    let mut bench = Bench::new();
    for (seq, time) in [(0, 0), (1, 0_u32.wrapping_sub(6_000)), (2, 3_000)] {
        let _ = bench.machine.handle_packet(bench.start, video(seq, time, true, true));
    }
    let ticks: Vec<_> = std::iter::from_fn(|| bench.machine.poll_output())
        .map(|output| match output {
            Output::Frame(frame) => frame.time.ticks(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!((ticks[0] - 6_000, ticks[0] + 3_000), (ticks[1], ticks[2]));
    assert_eq!(ticks[0] as u32, 0);
}

#[test]
fn what_comes_before_the_first_packet_is_waited_for_if_it_must_be_there() {
    let sent = frames(0, 1);
    let mut bench = Bench::new();
    assert_eq!(bench.give(0, pick(&sent, &[2, 1])), "");
    assert_eq!(bench.give(10, pick(&sent, &[0])), "F0");
    // One that joins in the middle of a frame goes on with the next.
    let sent = frames(0, 2);
    let mut bench = Bench::new();
    assert_eq!(bench.give(0, sent[1..].to_vec()), "");
    assert_eq!(bench.wait(200), "D1+2 F3");
}

#[test]
fn without_a_marker_the_next_timestamp_ends_a_frame() {
    let mut sent = frames(10, 4);
    sent.iter_mut().for_each(|packet| packet.header.marker = false);
    let mut bench = Bench::new();
    assert_eq!(bench.give(0, pick(&sent, &[0, 1, 2])), "");
    // However late: nothing is missing.
    assert_eq!(bench.give(60_000, pick(&sent, &[3])), "F10");
    // Lost: the last packet of one frame, which nothing proves to be its last.
    assert_eq!(bench.give(60_000, pick(&sent, &[4, 6, 7, 8])), "");
    assert_eq!(bench.wait(60_200), "D13+2 M15+1");
    assert_eq!(bench.machine.poll_timeout(), None);
    assert_eq!(bench.give(61_000, pick(&sent, &[9])), "F16");
}

#[test]
fn a_frame_that_comes_slowly_and_whole_is_given_out() {
    let sent = frames(10, 2);
    let mut bench = Bench::new();
    assert_eq!(bench.give(0, pick(&sent, &[0, 1])), "");
    assert_eq!(bench.wait(1_000), "");
    assert_eq!(bench.machine.poll_timeout(), None);
    assert_eq!(bench.give(1_000, pick(&sent, &[2, 3, 4, 5])), "F10 F13");
    assert_eq!(bench.machine.stats().broken_frames, 0);
}

#[test]
fn padding_breaks_nothing_and_is_not_missing() {
    let mut sent = frames(10, 3);
    // Within a frame, and between two.
    for (index, time) in [(1, 0), (4, 0)] {
        sent.insert(index, packet(0, time, false, Vec::new()));
    }
    for (seq, packet) in (10..).zip(&mut sent) {
        packet.header.sequence_number = seq;
    }
    let mut bench = Bench::new();
    sent.swap(0, 1);
    sent.swap(3, 4);
    // Padding before the beginning waits for it.
    assert_eq!(bench.give(0, sent.clone()), "F10 F15 F18");
    assert_eq!(bench.machine.stats().padding, 2);
    // Alone it is of no consequence either.
    assert_eq!(bench.give(0, [packet(21, 0, true, Vec::new())]), "");
    assert_eq!((bench.machine.held(), bench.machine.poll_timeout()), (0, None));
}

#[test]
fn a_malformed_packet_is_missing_at_once() {
    let mut sent = frames(10, 3);
    // A descriptor that says it goes on, and does not.
    sent[4].payload = Bytes::from_static(&[0x80]);
    let mut bench = Bench::new();
    let verdict = |verdict| matches!(verdict, Verdict::Malformed(PayloadError::Truncated { .. }));
    for (index, packet) in sent.iter().enumerate() {
        let given = bench.machine.handle_packet(bench.start, packet.clone());
        assert_eq!(verdict(given), index == 4, "{index}: {given:?}");
    }
    assert_eq!(bench.drain(), "F10 D13+1 M14+1 D15+1 F16");
    assert_eq!(bench.machine.stats().malformed_packets, 1);
}

#[test]
fn another_source_is_refused() {
    let mut bench = Bench::new();
    let mut other = video(1, 0, true, true);
    other.header.ssrc ^= 1;
    assert_eq!(bench.machine.handle_packet(bench.start, other), Verdict::OtherSource);
    assert_eq!((bench.drain(), bench.machine.stats().other_source), (String::new(), 1));
}

#[test]
fn a_jump_is_believed_when_the_next_confirms_it() {
    for base in [3_010, 30_000, 50_000] {
        let mut bench = Bench::new();
        assert_eq!(bench.give(0, frames(0, 3)), "F0 F3 F6");
        let after = frames(base, 2);
        let now = bench.start;
        assert_eq!(bench.machine.handle_packet(now, after[0].clone()), Verdict::Jumped);
        assert_eq!(bench.machine.handle_packet(now, after[0].clone()), Verdict::Duplicate);
        assert_eq!(bench.machine.handle_packet(now, after[1].clone()), Verdict::Queued);
        let said = format!("R{base} F{base} F{}", base + 3);
        assert_eq!(bench.give(0, after[2..].to_vec()), said);
        assert_eq!(bench.machine.stats().restarts, 1);
        assert_eq!(bench.machine.held(), 0);
    }
}

#[test]
fn what_was_held_comes_out_before_a_restart() {
    let sent = frames(0, 4);
    let mut bench = Bench::new();
    assert_eq!(bench.give(0, pick(&sent, &[0, 1, 2, 6, 7, 8, 9])), "F0");
    assert_eq!(bench.give(0, frames(20_000, 1)), "M3+3 F6 D9+1 R20000 F20000");
}

#[test]
fn a_single_stray_number_changes_nothing() {
    let sent = frames(0, 3);
    let mut bench = Bench::new();
    assert_eq!(bench.give(0, sent[..4].to_vec()), "F0");
    for stray in [40_000, 20_000, 50_000, 10_000] {
        assert_eq!(bench.give(0, [video(stray, 77, true, true)]), "");
    }
    assert_eq!(bench.give(0, sent[4..].to_vec()), "F3 F6");
    assert_eq!((bench.machine.stats().restarts, bench.machine.stats().dropped_packets), (0, 3));
}

#[test]
fn a_stray_number_is_not_kept_for_ever() {
    let mut bench = Bench::new();
    assert_eq!(bench.give(0, frames(0, 1)), "F0");
    assert_eq!(bench.give(0, [video(40_000, 77, true, true)]), "");
    assert_eq!(bench.wait(4_999), "");
    assert!(bench.machine.held() > 0);
    assert_eq!(bench.wait(5_000), "");
    assert_eq!((bench.machine.held(), bench.machine.poll_timeout()), (0, None));
    assert_eq!(bench.machine.stats().dropped_packets, 1);
}

#[test]
fn a_flood_of_first_packets_stays_within_the_bounds() {
    let config = DepacketizerConfig::default().max_packets(8).max_bytes(4_096);
    let mut bench = Bench::with(config);
    let mut missing = 0;
    // Each leaves the largest gap that is believed.
    for index in 0..10_000_u32 {
        let seq = (index * 3_000) as u16;
        let _ = bench.machine.handle_packet(bench.start, video(seq, index, true, false));
        assert!(bench.machine.held() <= 4_096);
        while let Some(output) = bench.machine.poll_output() {
            if let Output::Missing { count, .. } = output {
                assert_eq!(count, 2_999);
                missing += 1;
            }
        }
    }
    assert!((9_990..10_000).contains(&missing), "{missing}");
}

#[test]
fn a_frame_that_is_too_large_is_dropped_and_the_next_is_not() {
    let mut bench = Bench::with(DepacketizerConfig::default().max_packets(8));
    let large = (0..12).map(|seq| video(seq, 0, seq == 0, seq == 11));
    assert_eq!(bench.give(0, large), "D0+12");
    assert_eq!(bench.give(0, [video(12, 1, true, true)]), "F12");
    assert_eq!(bench.machine.stats().broken_frames, 1);
}

#[test]
fn a_jump_is_as_good_when_it_is_confirmed_late() {
    let mut bench = Bench::new();
    assert_eq!(bench.give(0, frames(0, 1)), "F0");
    // A restart in the middle of a frame, at a packet a second.
    let after = frames(20_000, 2);
    assert_eq!(bench.give(1_000, pick(&after, &[2])), "");
    assert_eq!(bench.give(2_000, pick(&after, &[3])), "");
    assert_eq!(bench.machine.poll_timeout(), Some(bench.start + Duration::from_millis(2_200)));
    assert_eq!(bench.give(2_100, pick(&after, &[1, 0, 4, 5])), "R20000 F20000 F20003");
}
