//! Recorded delays, made long enough.

use crate::csv::Packet;
use crate::noise::Random;

/// The delay of each packet of a recording in microseconds over the least, in the order in
/// which they were sent; `None` where one was lost.
#[derive(Debug)]
pub struct Trace {
    pub name: String,
    pub delays: Vec<Option<f64>>,
    /// Seconds of sound in a packet.
    pub packet: f64,
}

impl Trace {
    /// A trace of `packets`, which must not be empty.
    pub fn new(name: &str, packets: &[Packet]) -> Self {
        let seqs = || packets.iter().map(|packet| packet.seq);
        let first = seqs().min().unwrap_or(0);
        let last = seqs().max().unwrap_or(first);
        let delay =
            |packet: &Packet| packet.arrival_us as f64 - packet.ticks as f64 * 1e6 / TICKS_PER_S;
        let least = packets.iter().map(delay).fold(f64::INFINITY, f64::min);
        let mut delays = vec![None; (last - first + 1) as usize];
        for packet in packets {
            delays[(packet.seq - first) as usize].get_or_insert(delay(packet) - least);
        }
        Self { name: name.to_owned(), delays, packet: common_packet(packets) }
    }

    /// So many `seconds` of a sender that is `drift` ppm fast, whose delays are blocks of
    /// 2…5 s drawn from the recording: the sender's seconds and our microseconds of those
    /// that came in order, in that order.
    pub fn play(&self, drift: f64, seed: u64, seconds: f64) -> Vec<(f64, f64)> {
        let count = (seconds / self.packet).round() as usize;
        let in_a_block = |seconds: f64| ((seconds / self.packet).round() as usize).max(1);
        let mut random = Random::new(seed ^ 0x7261_6365);
        let mut packets: Vec<(f64, f64)> = Vec::with_capacity(count);
        let mut index = 0;
        while index < count {
            let length = (in_a_block(2.0) + random.below(in_a_block(3.0))).min(self.delays.len());
            let from = random.below(self.delays.len() - length + 1);
            for delay in &self.delays[from..from + length] {
                let x = index as f64 * self.packet;
                index += 1;
                if let Some(delay) = delay {
                    packets.push((x, x * 1e6 / (1.0 + drift * 1e-6) + delay));
                }
            }
        }
        packets.truncate(count);
        packets.sort_by(|a, b| a.1.total_cmp(&b.1));
        let mut newest = f64::NEG_INFINITY;
        packets.retain(|packet| {
            let in_order = packet.0 > newest;
            newest = newest.max(packet.0);
            in_order
        });
        packets
    }
}

/// The step of the timestamps that most pairs of consecutive packets have, in seconds.
fn common_packet(packets: &[Packet]) -> f64 {
    let mut by_seq: Vec<(i64, i64)> =
        packets.iter().map(|packet| (packet.seq, packet.ticks)).collect();
    by_seq.sort_by_key(|&(seq, _)| seq);
    by_seq.dedup_by_key(|&mut (seq, _)| seq);
    let mut steps: Vec<i64> = by_seq
        .windows(2)
        .filter(|pair| pair[1].0 - pair[0].0 == 1)
        // Half milliseconds: stamps that jitter by ±8 ticks fall together.
        .map(|pair| ((pair[1].1 - pair[0].1) as f64 * 2e3 / TICKS_PER_S).round() as i64)
        .filter(|step| (1..=2 * MAX_PACKET_MS).contains(step))
        .collect();
    steps.sort_unstable();
    let common = steps.chunk_by(|a, b| a == b).max_by_key(|chunk| chunk.len());
    common.map_or(DEFAULT_PACKET, |chunk| chunk[0] as f64 / 2e3)
}

/// The clock of a trace.
const TICKS_PER_S: f64 = 48e3;

/// RFC 7587 §4.2: an Opus packet has up to 120 ms.
const MAX_PACKET_MS: i64 = 120;

/// RFC 7587 §4.2: what most senders use.
const DEFAULT_PACKET: f64 = 0.02;
