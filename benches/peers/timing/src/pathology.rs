//! Streams that go wrong in one way each, on a network that is otherwise good.

use crate::compare::{NETEQ, NETEQ_CRATE, OURS, Peers};
use crate::generate::packets;
use crate::marker::Run;
use crate::metrics::{Summary, measure};
use crate::ours::{self, Setup};
use crate::random::Random;
use crate::trace::{Packet, Trace};

/// One way to go wrong.
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) trace: Trace,
    /// Maximum delay given to the systems, in ms; 0 is none.
    pub(crate) cap_ms: u32,
    /// Where it goes wrong, in ms of media time, if that is one place.
    event_ms: Option<f64>,
}

/// What a case came to, system by system.
pub(crate) struct CaseResult {
    pub(crate) name: String,
    pub(crate) trace: Trace,
    pub(crate) systems: Vec<(&'static str, Summary, Run)>,
    /// Whether ours gave the same markers and reports wherever the numbers wrapped.
    pub(crate) same_at_wraps: bool,
}

impl CaseResult {
    pub(crate) fn ours(&self) -> Option<&(&'static str, Summary, Run)> {
        self.systems.iter().find(|(system, ..)| *system == OURS)
    }
}

pub(crate) const CLEAN: &str = "clean";
/// Ours with its default minimum; nothing is set for the others.
pub(crate) const CLEAN_MIN: &str = "clean, minimum 20 ms";
pub(crate) const STAMPS: &str = "timestamps ±8";
pub(crate) const STEP: &str = "+80 ms step";
pub(crate) const CAP: &str = "cap 200 ms";

/// Where the step is, in ms of media time.
pub(crate) const STEP_AT_MS: f64 = 30_000.0;

/// Minimum delay of the case of that name, in ms.
pub(crate) const MIN_MS: f64 = 20.0;

/// Cap of the case of that name, in ms.
pub(crate) const CAP_MS: u32 = 200;

/// Runs every case.
pub(crate) fn run(peers: &Peers) -> Vec<CaseResult> {
    cases().into_iter().map(|case| one(case, peers)).collect()
}

fn one(case: Case, peers: &Peers) -> CaseResult {
    let trace = &case.trace;
    let mut setup = Setup::default();
    if case.cap_ms > 0 {
        setup.max_delay_ms = f64::from(case.cap_ms);
    }
    if case.name == CLEAN_MIN {
        setup.min_delay_ms = MIN_MS;
    }
    let ours = ours::run(trace, setup);
    let same_at_wraps = wraps(trace, case.event_ms).all(|wrapped| {
        let run = ours::run(&wrapped, setup);
        run.markers == ours.markers && run.reported == ours.reported
    });
    let mut runs = vec![(OURS, ours)];
    runs.extend(peers.libwebrtc(trace, 0, case.cap_ms).map(|run| (NETEQ, run)));
    runs.extend(peers.neteq_crate(trace, case.cap_ms).map(|run| (NETEQ_CRATE, run)));
    let systems =
        runs.into_iter().map(|(system, run)| (system, measure(trace, &run), run)).collect();
    CaseResult { name: case.name, trace: case.trace, systems, same_at_wraps }
}

/// The same packets with other numbers: early in the stream, and around the event, where the
/// two wrap at one packet, and as far before it as behind it.
fn wraps(trace: &Trace, event_ms: Option<f64>) -> impl Iterator<Item = Trace> {
    let early = (0..WRAP_OFFSETS).map(move |offset| around_wraps(trace, offset));
    let event = event_ms
        .and_then(|event_ms| trace.packets.iter().position(|packet| packet.media_ms >= event_ms));
    let near = event.into_iter().flat_map(move |event| {
        let last = trace.packets.len() - 1;
        (0..=2 * AROUND_EVENT).flat_map(move |offset| {
            let at = |offset: usize| (event + offset).saturating_sub(AROUND_EVENT).min(last);
            let (here, mirrored) = (at(offset), at(2 * AROUND_EVENT - offset));
            [wrapping_at(trace, here, here), wrapping_at(trace, here, mirrored)]
        })
    });
    early.chain(near)
}

/// The same packets with the first sequence number and timestamp `offset` in 64 before
/// their wraps: they fall early in the stream, one or both at a time.
fn around_wraps(trace: &Trace, offset: u16) -> Trace {
    let first = trace.packets[0];
    let seq = 0_u16.wrapping_sub(offset).wrapping_sub(first.wire_seq);
    let step = trace.packet_samples();
    let ticks = 0_u32.wrapping_sub(u32::from(offset) * step / 3).wrapping_sub(first.wire_ts);
    moved(trace, seq, ticks)
}

/// The same packets with the sequence number 0 at the one of index `seq_at`, and the
/// timestamp 0 at that of `ts_at`.
fn wrapping_at(trace: &Trace, seq_at: usize, ts_at: usize) -> Trace {
    let seq = 0_u16.wrapping_sub(trace.packets[seq_at].wire_seq);
    moved(trace, seq, 0_u32.wrapping_sub(trace.packets[ts_at].wire_ts))
}

/// The same packets with so much more in their numbers.
fn moved(trace: &Trace, seq: u16, ticks: u32) -> Trace {
    let mut wrapped = trace.clone();
    for packet in &mut wrapped.packets {
        packet.wire_seq = packet.wire_seq.wrapping_add(seq);
        packet.wire_ts = packet.wire_ts.wrapping_add(ticks);
    }
    wrapped
}

fn cases() -> Vec<Case> {
    let mut random = Random::new(SEED);
    let mut cases = Vec::new();
    let mut add = |name: &str, packets: Vec<Packet>, cap_ms: u32| {
        let trace = Trace::new(name, packets, Some(20.0));
        cases.push(Case { name: name.to_owned(), trace, cap_ms, event_ms: None });
    };

    add(CLEAN, steady(), 0);
    add(CLEAN_MIN, steady(), 0);
    let mut stamps = steady();
    for packet in &mut stamps {
        packet.wire_ts = packet.wire_ts.wrapping_add(random.below(17) as u32).wrapping_sub(8);
    }
    add(STAMPS, stamps, 0);

    // In order, so those behind the first wait for it.
    let mut first_late = steady();
    let earliest = first_late[0].arrival_us + 150_000;
    for packet in &mut first_late {
        packet.arrival_us = packet.arrival_us.max(earliest);
    }
    add("first 150 ms late", first_late, 0);

    let mut step = noisy(&mut random, COUNT);
    for packet in step.iter_mut().filter(|packet| packet.media_ms >= STEP_AT_MS) {
        packet.arrival_us += 80_000;
    }
    add(STEP, step, 0);

    let mut outage = noisy(&mut random, COUNT);
    outage.retain(|packet| !(30_000.0..31_000.0).contains(&packet.media_ms));
    add("1 s outage", outage, 0);

    for jump in [20_000_u16, 20_000_u16.wrapping_neg()] {
        let mut jumped = noisy(&mut random, COUNT);
        for packet in jumped.iter_mut().filter(|packet| packet.media_ms >= STEP_AT_MS) {
            packet.wire_seq = packet.wire_seq.wrapping_add(jump);
        }
        let sign = if jump == 20_000 { '+' } else { '−' };
        add(&format!("sequence {sign}20,000"), jumped, 0);
    }

    let mut restarted = noisy(&mut random, COUNT);
    for packet in restarted.iter_mut().filter(|packet| packet.media_ms >= STEP_AT_MS) {
        packet.ssrc = packet.ssrc.wrapping_add(1);
        packet.wire_seq = packet.wire_seq.wrapping_add(31_111);
        packet.wire_ts = packet.wire_ts.wrapping_add(1_777_777_777);
    }
    add("SSRC change", restarted, 0);

    // Five seconds of sound, two of silence: the timestamps go on, nothing is sent.
    let mut dtx = noisy(&mut random, COUNT);
    for packet in &mut dtx {
        let silent_ms = (packet.seq / 250) * 2_000;
        packet.media_ms += silent_ms as f64;
        packet.arrival_us += silent_ms * 1_000;
        packet.wire_ts = packet.wire_ts.wrapping_add(silent_ms as u32 * 48);
    }
    add("DTX gaps", dtx, 0);

    let mut storm = noisy(&mut random, COUNT);
    for n in 0..storm.len() {
        for _ in 0..random.below(5) {
            let mut again = storm[n];
            again.arrival_us += (random.uniform() * 300_000.0) as i64;
            storm.push(again);
        }
    }
    add("duplicate storm", storm, 0);

    for ppm in [20, -20, 50, -50, 100, -100, 200, -200, 500, -500, 10_000, -10_000] {
        add(&format!("drift {ppm:+} ppm"), drifting(&mut random, f64::from(ppm)), 0);
    }
    add(CAP, heavy(&mut random), CAP_MS);
    for case in &mut cases {
        case.event_ms = match case.name.as_str() {
            STEP | "1 s outage" | "sequence +20,000" | "sequence −20,000" | "SSRC change" => {
                Some(STEP_AT_MS)
            }
            // The first packet after the first silence.
            "DTX gaps" => Some(7_000.0),
            CAP => Some(10_000.0),
            _ => None,
        };
    }
    cases
}

/// A minute with a constant delay.
fn steady() -> Vec<Packet> {
    packets(&vec![Some(30.0); COUNT], 20.0)
}

/// With a few ms of jitter: too little to reorder.
fn noisy(random: &mut Random, count: usize) -> Vec<Packet> {
    let delays: Vec<_> =
        (0..count).map(|_| Some(30.0 + random.exponential(2.0).min(15.0))).collect();
    packets(&delays, 20.0)
}

/// The sender's clock runs fast by `ppm`: packets come sooner, their timestamps do not say.
fn drifting(random: &mut Random, ppm: f64) -> Vec<Packet> {
    let mut packets = noisy(random, DRIFT_COUNT);
    for packet in &mut packets {
        let delay_us = packet.arrival_us as f64 - packet.media_ms * 1e3;
        packet.media_ms /= 1.0 + ppm * 1e-6;
        packet.arrival_us = (packet.media_ms * 1e3 + delay_us).round() as i64;
    }
    packets
}

/// Every ten seconds a second's worth of delays up to 800 ms, in order.
fn heavy(random: &mut Random) -> Vec<Packet> {
    let mut packets = noisy(random, COUNT);
    let mut earliest = 0;
    for packet in &mut packets {
        let within = packet.media_ms % 10_000.0;
        if packet.media_ms > 5_000.0 && within < 1_000.0 {
            packet.arrival_us += ((800.0 - within).max(0.0) * random.uniform() * 1e3) as i64;
        }
        packet.arrival_us = packet.arrival_us.max(earliest);
        earliest = packet.arrival_us;
    }
    packets
}

/// A minute of packets of 20 ms.
const COUNT: usize = 3_000;

/// Two minutes: ±500 ppm are 60 ms by then.
const DRIFT_COUNT: usize = 6_000;

/// Packets before and behind an event at which the numbers wrap.
const AROUND_EVENT: usize = 32;

/// Offsets of the wraps that ours is run at early in the stream.
const WRAP_OFFSETS: u16 = 64;

const SEED: u64 = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::TICKS_PER_MS;

    #[test]
    fn the_truth_of_every_case_is_that_of_a_good_network() {
        for case in cases() {
            let trace = &case.trace;
            let lost = trace.lost_from(f64::MIN).count();
            assert_eq!(lost, if case.name == "1 s outage" { 50 } else { 0 }, "{}", case.name);
            let relative = trace.truth.sent.iter().filter_map(|sent| sent.relative_ms);
            let most = relative.fold(0.0, f64::max);
            let bound = match case.name.as_str() {
                CLEAN | CLEAN_MIN | STAMPS => 0.001,
                STEP => 95.1,
                "first 150 ms late" => 150.001,
                CAP => 820.0,
                _ => 15.1,
            };
            assert!(most <= bound, "{}: {most}", case.name);
        }
    }

    #[test]
    fn at_every_offset_a_number_wraps() {
        let case = &cases()[0];
        for offset in 1..WRAP_OFFSETS {
            let wrapped = around_wraps(&case.trace, offset);
            let seqs = wrapped.packets.iter().map(|packet| packet.wire_seq);
            assert_eq!(seqs.clone().min(), Some(0));
            assert_eq!(seqs.max(), Some(u16::MAX));
            assert_eq!(wrapped.truth.sent, case.trace.truth.sent);
        }
    }

    #[test]
    fn the_numbers_wrap_at_every_packet_around_an_event() {
        let cases = cases();
        let events: Vec<_> = cases.iter().filter(|case| case.event_ms.is_some()).collect();
        assert_eq!(events.len(), 7);
        for case in events {
            let trace = &case.trace;
            let event_ms = case.event_ms.unwrap();
            let event = trace.packets.iter().position(|packet| packet.media_ms >= event_ms);
            let event = event.unwrap();
            let near: Vec<Trace> =
                wraps(trace, case.event_ms).skip(usize::from(WRAP_OFFSETS)).collect();
            assert_eq!(near.len(), 130);
            for at in event - AROUND_EVENT..=event + AROUND_EVENT {
                let zero = |trace: &&Trace| trace.packets[at].wire_seq == 0;
                assert!(near.iter().filter(zero).count() >= 2, "{}: {at}", case.name);
                let both = |trace: &Trace| {
                    trace.packets[at].wire_seq == 0 && trace.packets[at].wire_ts == 0
                };
                assert!(near.iter().any(both), "{}: {at}", case.name);
            }
            for wrapped in &near {
                assert_eq!(wrapped.truth.sent, trace.truth.sent);
            }
        }
    }

    #[test]
    fn a_fast_clock_sends_more_stamps_than_time() {
        let packets = drifting(&mut Random::new(1), 10_000.0);
        let (first, last) = (packets[0], packets[packets.len() - 1]);
        let stamped = f64::from(last.wire_ts.wrapping_sub(first.wire_ts)) / TICKS_PER_MS;
        assert!((stamped / (last.media_ms - first.media_ms) - 1.01).abs() < 1e-6);
    }
}
