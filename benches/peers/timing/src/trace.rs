//! What arrived when: the input of every system, and the truth it is judged by.

/// Ticks of the 48 kHz clock of a trace in a millisecond.
pub(crate) const TICKS_PER_MS: f64 = 48.0;

/// One packet, as it arrived.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Packet {
    /// When it arrived, in µs.
    pub(crate) arrival_us: i64,
    /// The sequence number as the wire has it.
    pub(crate) wire_seq: u16,
    /// The timestamp as the wire has it.
    pub(crate) wire_ts: u32,
    /// Its source: systems are given it, or a new stream, when it changes.
    pub(crate) ssrc: u32,
    /// Its true place in the stream, whatever the wire says; no wraps, no restarts.
    pub(crate) seq: i64,
    /// When its first sample was taken, in ms of the receiver's clock: true media time.
    pub(crate) media_ms: f64,
}

/// A named list of packets in order of arrival.
#[derive(Clone, Debug)]
pub(crate) struct Trace {
    pub(crate) name: String,
    /// Never empty; arrival never goes back.
    pub(crate) packets: Vec<Packet>,
    /// Sound in a packet, in ms.
    pub(crate) packet_ms: f64,
    /// Whether its figures count for the goals: real or handed in, not generated.
    pub(crate) judged: bool,
    /// Truth derived from the packets, kept because every measure asks for it.
    pub(crate) truth: Truth,
}

/// What the packets of a trace imply.
#[derive(Clone, Debug, Default)]
pub(crate) struct Truth {
    /// The least of arrival − media time, in ms: delay is counted from here.
    pub(crate) base_ms: f64,
    /// Media time of each sequence number from the first sent to the last, whether it
    /// arrived and when first: those lost are put between their neighbours.
    pub(crate) sent: Vec<Sent>,
    /// Spans of media time, in ms, in which nothing was sent: discontinuous transmission.
    pub(crate) silences: Vec<(f64, f64)>,
    /// End of the last packet, in ms of media time.
    pub(crate) end_ms: f64,
}

/// One packet as it was sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Sent {
    pub(crate) media_ms: f64,
    /// The first arrival of it less its media time and the base, in ms; none if lost.
    pub(crate) relative_ms: Option<f64>,
}

impl Trace {
    /// A trace of `packets`, which must not be empty; `packet_ms` of none is found.
    pub(crate) fn new(name: &str, mut packets: Vec<Packet>, packet_ms: Option<f64>) -> Self {
        packets.sort_by_key(|packet| packet.arrival_us);
        let packet_ms = packet_ms.unwrap_or_else(|| common_packet_ms(&packets));
        let truth = Truth::new(&packets, packet_ms);
        Self { name: name.to_owned(), packets, packet_ms, judged: false, truth }
    }

    /// The same trace, counted for the goals.
    pub(crate) fn judged(self) -> Self {
        Self { judged: true, ..self }
    }

    /// Samples of a packet at 48 kHz.
    pub(crate) fn packet_samples(&self) -> u32 {
        (self.packet_ms * TICKS_PER_MS).round() as u32
    }

    /// True media time of what has the timestamp `wire_ts` and is played at `play_ms`: the
    /// nearest packet of the two seconds that arrived before says which clock it is of.
    pub(crate) fn media_of(&self, wire_ts: u32, play_ms: f64) -> Option<f64> {
        let now_us = (play_ms * 1e3) as i64;
        let arrived = self.packets.partition_point(|packet| packet.arrival_us <= now_us);
        let mut best: Option<(u32, f64)> = None;
        for packet in self.packets[..arrived].iter().rev().take(NEAREST_OF) {
            let ahead = wire_ts.wrapping_sub(packet.wire_ts) as i32;
            if best.is_none_or(|(distance, _)| ahead.unsigned_abs() < distance) {
                let media = packet.media_ms + f64::from(ahead) / TICKS_PER_MS;
                best = Some((ahead.unsigned_abs(), media));
            }
            if ahead.unsigned_abs() <= self.packet_samples() {
                break;
            }
        }
        best.map(|(_, media)| media)
    }

    /// Media time from `from` to `to`, without the silences.
    pub(crate) fn sound_between(&self, from: f64, to: f64) -> f64 {
        (to - from).max(0.0) - self.silence_between(from, to)
    }

    /// Silence from `from` to `to`, in ms of media time.
    pub(crate) fn silence_between(&self, from: f64, to: f64) -> f64 {
        let first = self.truth.silences.partition_point(|&(_, end)| end <= from);
        self.truth.silences[first..]
            .iter()
            .take_while(|&&(start, _)| start < to)
            .map(|&(start, end)| end.min(to) - start.max(from))
            .sum()
    }

    /// Packets that were sent and never arrived, from the media time `from` on.
    pub(crate) fn lost_from(&self, from: f64) -> impl Iterator<Item = &Sent> {
        let sent = self.truth.sent.iter();
        sent.filter(move |sent| sent.relative_ms.is_none() && sent.media_ms >= from)
    }
}

impl Truth {
    fn new(packets: &[Packet], packet_ms: f64) -> Self {
        let mut by_seq: Vec<(i64, f64, f64)> = packets
            .iter()
            .map(|packet| (packet.seq, packet.media_ms, packet.arrival_us as f64 / 1e3))
            .collect();
        // The first arrival of each: the sort is stable.
        by_seq.sort_by_key(|&(seq, ..)| seq);
        by_seq.dedup_by_key(|&mut (seq, ..)| seq);
        let base_ms =
            by_seq.iter().map(|&(_, media, arrival)| arrival - media).fold(f64::MAX, f64::min);

        let mut sent: Vec<Sent> = Vec::new();
        let mut silences = Vec::new();
        let mut before: Option<(i64, f64)> = None;
        for (seq, media_ms, arrival) in by_seq {
            if let Some((last_seq, last_media)) = before {
                let lost = seq - last_seq - 1;
                let steps = (seq - last_seq) as f64;
                let sound_end = last_media + steps * packet_ms;
                if media_ms > sound_end + packet_ms / 2.0 {
                    silences.push((sound_end, media_ms));
                }
                let step = ((media_ms - last_media) / steps).min(packet_ms);
                sent.extend(
                    (1..=lost).map(|n| Sent {
                        media_ms: last_media + n as f64 * step,
                        relative_ms: None,
                    }),
                );
            }
            sent.push(Sent { media_ms, relative_ms: Some(arrival - media_ms - base_ms) });
            before = Some((seq, media_ms));
        }
        let end_ms = sent.last().map_or(0.0, |last| last.media_ms + packet_ms);
        Self { base_ms, sent, silences, end_ms }
    }
}

/// The step of media time that most pairs of consecutive packets have, in ms.
fn common_packet_ms(packets: &[Packet]) -> f64 {
    let mut by_seq: Vec<(i64, f64)> =
        packets.iter().map(|packet| (packet.seq, packet.media_ms)).collect();
    by_seq.sort_by_key(|&(seq, _)| seq);
    by_seq.dedup_by_key(|&mut (seq, _)| seq);
    let mut steps: Vec<i64> = by_seq
        .windows(2)
        .filter(|pair| pair[1].0 - pair[0].0 == 1)
        // Half milliseconds: stamps that jitter by ±8 ticks fall together.
        .map(|pair| ((pair[1].1 - pair[0].1) * 2.0).round() as i64)
        .filter(|step| (1..=2 * MAX_PACKET_MS).contains(step))
        .collect();
    steps.sort_unstable();
    let common = steps.chunk_by(|a, b| a == b).max_by_key(|chunk| chunk.len());
    common.map_or(DEFAULT_PACKET_MS, |chunk| chunk[0] as f64 / 2.0)
}

/// Packets looked through for the clock of a timestamp: two seconds of 10 ms each.
const NEAREST_OF: usize = 200;

/// RFC 7587 §4.2: an Opus packet has up to 120 ms.
const MAX_PACKET_MS: i64 = 120;

/// RFC 7587 §4.2: what most senders use.
const DEFAULT_PACKET_MS: f64 = 20.0;

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(seq: i64, media_ms: f64, arrival_ms: f64) -> Packet {
        Packet {
            arrival_us: (arrival_ms * 1e3) as i64,
            wire_seq: seq as u16,
            wire_ts: (media_ms * TICKS_PER_MS) as u32,
            ssrc: 1,
            seq,
            media_ms,
        }
    }

    #[test]
    fn a_lost_packet_is_put_between_its_neighbours_and_silence_is_no_loss() {
        let packets = vec![
            packet(1, 0.0, 5.0),
            packet(2, 20.0, 23.0),
            packet(4, 60.0, 70.0),
            packet(5, 400.0, 410.0),
            packet(6, 420.0, 425.0),
        ];
        let trace = Trace::new("five", packets, None);
        assert_eq!(trace.packet_ms, 20.0);
        assert_eq!(trace.truth.base_ms, 3.0);
        assert_eq!(trace.truth.sent[2], Sent { media_ms: 40.0, relative_ms: None });
        assert_eq!(trace.truth.silences, [(80.0, 400.0)]);
        assert_eq!(trace.sound_between(60.0, 410.0), 30.0);
        assert_eq!(trace.lost_from(0.0).count(), 1);
        assert_eq!(trace.lost_from(60.0).count(), 0);
    }

    #[test]
    fn a_timestamp_is_of_the_clock_of_the_packets_near_it() {
        let mut restarted = packet(2, 20.0, 30.0);
        restarted.wire_ts = 3_000_000_000;
        let trace = Trace::new("restart", vec![packet(1, 0.0, 0.0), restarted], Some(20.0));
        assert_eq!(trace.media_of(480, 10.0), Some(10.0));
        assert_eq!(trace.media_of(480, 40.0), Some(10.0));
        assert_eq!(trace.media_of(3_000_000_480, 40.0), Some(30.0));
    }
}
