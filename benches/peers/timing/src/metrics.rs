//! The measure: the same code for every system, from its markers alone.
//!
//! Between two markers there is a gap of wall time `W` and of media time `M` (without the
//! silences of the sender). Up to [`STRETCH`] of the media time from the one's beginning to
//! the other's, a difference of the two is stretching. Beyond it, `W` is time in which no real sound plays: *concealed*; and media
//! time over `W` was cut out: *skipped*. A lost packet is `W = M`, one packet long; growing
//! the delay at once is `W > M`; shrinking it at once is `W < M`. What was sent before the
//! first marker, and after the last, is concealed. *Late loss* is what is concealed and
//! skipped in a gap beyond what the network lost in that same gap.

use crate::marker::{Marker, Run};
use crate::trace::Trace;

/// What one run over one trace came to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Summary {
    /// Playout delay over the trace's minimum, in ms.
    pub(crate) mean: f64,
    pub(crate) p50: f64,
    pub(crate) p95: f64,
    pub(crate) max: f64,
    /// % of the time in which no real sound plays.
    pub(crate) concealed: f64,
    /// % that the network lost of what was sent.
    pub(crate) network: f64,
    /// % concealed and skipped beyond that.
    pub(crate) late: f64,
    /// % of media time cut out.
    pub(crate) skipped: f64,
    /// % of the time in which the pace is not 1, gaps aside.
    pub(crate) stretched: f64,
    /// Stretches of concealment, in a minute.
    pub(crate) events: f64,
    /// Markers that begin before one played earlier.
    pub(crate) out_of_order: u64,
    /// Packets played twice.
    pub(crate) duplicated: u64,
    /// Packets that were not played and not said to be lost.
    pub(crate) unreported: u64,
    /// Packets said to be lost twice, or said to be lost and played.
    pub(crate) misreported: u64,
    /// The sums it was made from, for each [`BLOCK_MS`] of media time.
    pub(crate) blocks: Vec<BlockSums>,
}

/// Sums over a block of media time, in ms.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct BlockSums {
    pub(crate) wall: f64,
    pub(crate) concealed: f64,
    pub(crate) skipped: f64,
    /// Lost by the network.
    pub(crate) network: f64,
    /// Concealed and skipped, and no fault of the buffer's: the network lost it there.
    pub(crate) excused: f64,
    pub(crate) played: f64,
    /// Delay times the length it was played with.
    pub(crate) delay: f64,
}

impl BlockSums {
    pub(crate) fn add(&mut self, other: &Self) {
        self.wall += other.wall;
        self.concealed += other.concealed;
        self.skipped += other.skipped;
        self.network += other.network;
        self.excused += other.excused;
        self.played += other.played;
        self.delay += other.delay;
    }

    /// Late loss, in %.
    pub(crate) fn late(&self) -> f64 {
        percent(self.concealed + self.skipped - self.excused, self.wall)
    }

    /// Mean delay, in ms.
    pub(crate) fn mean(&self) -> f64 {
        if self.played > 0.0 { self.delay / self.played } else { 0.0 }
    }
}

/// Measures `run` over `trace`.
pub(crate) fn measure(trace: &Trace, run: &Run) -> Summary {
    let Some(first) = run.markers.first() else {
        return Summary { concealed: 100.0, late: 100.0, ..Summary::default() };
    };
    let packet_ms = trace.packet_ms;
    let origin = trace.truth.sent.first().map_or(first.media_ms, |sent| sent.media_ms);
    let mut excuses = Excuses::new(trace);
    let mut blocks: Vec<BlockSums> = Vec::new();
    let mut at = |media_ms: f64| {
        let index = ((media_ms - origin).max(0.0) / BLOCK_MS) as usize;
        if blocks.len() <= index {
            blocks.resize(index + 1, BlockSums::default());
        }
        index
    };
    // Indices first, sums after: a block may be grown by a later one.
    let mut entries: Vec<(usize, BlockSums)> = Vec::with_capacity(run.markers.len());
    let mut delays = Vec::with_capacity(run.markers.len());
    let (mut events, mut stretched, mut out_of_order) = (0_u64, 0.0, 0);
    let mut cut_out = 0.0;
    let mut furthest = f64::MIN;
    let mut before: Option<&Marker> = None;
    // Sound at the beginning that was never played is concealed.
    let head = trace.sound_between(origin, first.media_ms);
    if head > packet_ms / 2.0 {
        let excused = excuses.take(origin, first.media_ms, head);
        let sums = BlockSums { wall: head, concealed: head, excused, ..BlockSums::default() };
        entries.push((at(origin), sums));
        events += 1;
    }
    for marker in &run.markers {
        let delay = marker.play_ms - marker.media_ms - trace.truth.base_ms;
        delays.push(delay);
        let mut sums = BlockSums {
            wall: marker.wall_ms,
            played: marker.wall_ms,
            delay: delay * marker.wall_ms,
            ..BlockSums::default()
        };
        if marker.media_ms < furthest - packet_ms / 2.0 {
            out_of_order += 1;
        }
        furthest = furthest.max(marker.media_ms);
        if let Some(last) = before {
            let gap = Gap::between(trace, last, marker);
            sums.wall += gap.wall;
            sums.concealed = gap.concealed;
            sums.skipped = gap.skipped;
            let sound_end = last.media_ms + last.wall_ms;
            sums.excused = excuses.take(sound_end, marker.media_ms, gap.concealed + gap.skipped);
            stretched += gap.stretched;
            events += u64::from(gap.concealed > 0.0);
            cut_out += gap.skipped;
        }
        entries.push((at(marker.media_ms), sums));
        before = Some(marker);
    }
    // And so is sound at the end.
    if let Some(last) = before {
        let sound_end = last.media_ms + last.wall_ms;
        let tail = trace.sound_between(sound_end, trace.truth.end_ms);
        if tail > packet_ms / 2.0 {
            let excused = excuses.take(sound_end, trace.truth.end_ms, tail);
            let sums = BlockSums { wall: tail, concealed: tail, excused, ..BlockSums::default() };
            entries.push((at(trace.truth.end_ms - packet_ms), sums));
            events += 1;
        }
    }
    for lost in trace.lost_from(f64::MIN) {
        let sums = BlockSums { network: packet_ms, ..BlockSums::default() };
        entries.push((at(lost.media_ms), sums));
    }
    for (index, sums) in &entries {
        blocks[*index].add(sums);
    }

    let mut total = BlockSums::default();
    blocks.iter().for_each(|block| total.add(block));
    delays.sort_by(f64::total_cmp);
    let places = Places::of(run, cut_out / packet_ms);
    Summary {
        mean: total.mean(),
        p50: quantile(&delays, 0.5),
        p95: quantile(&delays, 0.95),
        max: quantile(&delays, 1.0),
        concealed: percent(total.concealed, total.wall),
        network: percent(total.network, total.wall),
        late: total.late(),
        skipped: percent(total.skipped, total.wall),
        stretched: percent(stretched, total.wall),
        events: events as f64 / (total.wall / 60_000.0),
        out_of_order,
        duplicated: places.duplicated,
        unreported: places.unreported,
        misreported: places.misreported,
        blocks,
    }
}

/// What the network lost, each packet of it an excuse for one gap.
struct Excuses {
    /// Middles of the lost packets in ms of media time, in order, and whether each was used.
    lost: Vec<(f64, bool)>,
    packet_ms: f64,
}

impl Excuses {
    fn new(trace: &Trace) -> Self {
        let packet_ms = trace.packet_ms;
        let lost = trace.lost_from(f64::MIN).map(|sent| (sent.media_ms + packet_ms / 2.0, false));
        Self { lost: lost.collect(), packet_ms }
    }

    /// How much of `missed`, concealed and skipped between two media times, is excused. The
    /// middle of a lost packet may lie half a packet outside: a system that plays blocks
    /// joins it to its neighbours.
    fn take(&mut self, from_ms: f64, to_ms: f64, missed: f64) -> f64 {
        if missed <= 0.0 {
            return 0.0;
        }
        let slack = self.packet_ms / 2.0;
        let first = self.lost.partition_point(|&(middle, _)| middle < from_ms - slack);
        let mut lost = 0.0;
        for (middle, used) in &mut self.lost[first..] {
            if *middle > to_ms + slack {
                break;
            }
            if !std::mem::replace(used, true) {
                lost += self.packet_ms;
            }
        }
        missed.min(lost)
    }
}

/// What lies between two markers, in ms.
#[derive(Debug, Default)]
struct Gap {
    /// May be negative: the second began before the first ended.
    wall: f64,
    concealed: f64,
    skipped: f64,
    stretched: f64,
}

impl Gap {
    fn between(trace: &Trace, last: &Marker, next: &Marker) -> Self {
        let wall = next.play_ms - last.play_ms - last.wall_ms;
        let sound_end = last.media_ms + last.wall_ms;
        let silence = trace.silence_between(sound_end, next.media_ms);
        let media = (next.media_ms - sound_end).max(0.0) - silence;
        if silence > 0.0 {
            // The delay may be changed in silence for nothing; only lost sound is missed.
            let concealed = if media > trace.packet_ms / 2.0 { media } else { 0.0 };
            return Self { wall: concealed, concealed, ..Self::default() };
        }
        // What was lost between the two may be stretched as well.
        let free = STRETCH * (last.wall_ms + media) + JITTER_MS;
        let mut gap = Self { wall, ..Self::default() };
        if wall > free {
            gap.concealed = wall;
        }
        // A unit that overlaps the one before cuts that much of it off.
        let cut = media - wall - next.squeezed_ms;
        if cut > free {
            gap.skipped = cut;
        }
        let change = wall - (next.media_ms - sound_end);
        if gap.concealed == 0.0 && gap.skipped == 0.0 && change.abs() > PACE_MS {
            gap.stretched = last.wall_ms;
        }
        gap
    }
}

/// The counts that go by a packet's place.
#[derive(Debug, Default)]
struct Places {
    duplicated: u64,
    unreported: u64,
    misreported: u64,
}

impl Places {
    fn of(run: &Run, packets_cut_out: f64) -> Self {
        let mut played: Vec<i64> = run.markers.iter().filter_map(|marker| marker.seq).collect();
        if played.is_empty() {
            // Blocks: what was cut out without a moment of concealment went unsaid.
            return Self { unreported: packets_cut_out.round() as u64, ..Self::default() };
        }
        let count = played.len();
        played.sort_unstable();
        played.dedup();
        let duplicated = (count - played.len()) as u64;
        let span = played[0]..=played[played.len() - 1];
        let missing = (span.end() - span.start() + 1) as u64 - played.len() as u64;
        let Some(reported) = &run.reported else {
            return Self { duplicated, unreported: missing, misreported: 0 };
        };
        let mut said: Vec<i64> =
            reported.iter().copied().filter(|seq| span.contains(seq)).collect();
        let count = said.len();
        said.sort_unstable();
        said.dedup();
        let twice = (count - said.len()) as u64;
        let wrong = said.iter().filter(|seq| played.binary_search(seq).is_ok()).count() as u64;
        Self {
            duplicated,
            unreported: missing - (said.len() as u64 - wrong),
            misreported: twice + wrong,
        }
    }
}

/// The value below which `share` of the sorted `values` lie: the nearest rank.
pub(crate) fn quantile(values: &[f64], share: f64) -> f64 {
    if values.is_empty() {
        return 0.0;
    }
    let rank = (share * values.len() as f64).ceil() as usize;
    values[rank.clamp(1, values.len()) - 1]
}

fn percent(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { 100.0 * part / whole } else { 0.0 }
}

/// Share of its length by which a packet may be played longer or shorter and nobody hears
/// it: 5 % per second of media, as `JitterConfig::max_pace` has it.
pub(crate) const STRETCH: f64 = 0.05;

/// Media time of a block of the bootstrap: longer than any memory of a burst.
pub(crate) const BLOCK_MS: f64 = 10_000.0;

/// Timestamps that jitter by ±8 samples part two packets by a third of a millisecond.
const JITTER_MS: f64 = 0.4;

/// Less than this between two packets of 20 ms is a pace within 0.1 %.
const PACE_MS: f64 = 0.02;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::{Packet, TICKS_PER_MS};

    /// Packets of 20 ms that arrive at once, without those in `lost`.
    fn trace(count: i64, lost: &[i64]) -> Trace {
        let packets = (0..count)
            .filter(|seq| !lost.contains(seq))
            .map(|seq| Packet {
                arrival_us: seq * 20_000,
                wire_seq: seq as u16,
                wire_ts: seq as u32 * 960,
                ssrc: 1,
                seq,
                media_ms: (seq * 960) as f64 / TICKS_PER_MS,
            })
            .collect();
        Trace::new("t", packets, Some(20.0))
    }

    fn marker(seq: i64, delay_ms: f64) -> Marker {
        let media_ms = seq as f64 * 20.0;
        let play_ms = media_ms + delay_ms;
        Marker { play_ms, wall_ms: 20.0, media_ms, squeezed_ms: 0.0, seq: Some(seq) }
    }

    fn run(markers: impl IntoIterator<Item = (i64, f64)>, reported: &[i64]) -> Run {
        let markers = markers.into_iter().map(|(seq, delay)| marker(seq, delay)).collect();
        Run { markers, reported: Some(reported.to_vec()), cost: None }
    }

    #[test]
    fn what_plays_steadily_is_neither_concealed_nor_stretched() {
        let summary = measure(&trace(1_000, &[]), &run((0..1_000).map(|n| (n, 40.0)), &[]));
        assert_eq!((summary.mean, summary.p50, summary.p95, summary.max), (40.0, 40.0, 40.0, 40.0));
        assert_eq!((summary.concealed, summary.late, summary.stretched), (0.0, 0.0, 0.0));
        assert_eq!(summary.blocks.len(), 2);
        assert_eq!(summary.blocks[0].wall, 10_000.0);
    }

    #[test]
    fn a_packet_the_network_lost_is_concealed_but_not_late() {
        let played = (0..100).filter(|&n| n != 50).map(|n| (n, 40.0));
        let summary = measure(&trace(100, &[50]), &run(played, &[50]));
        assert!((summary.concealed - 1.0).abs() < 1e-9, "{summary:?}");
        assert!((summary.network - 1.0).abs() < 1e-9);
        assert_eq!((summary.late, summary.unreported, summary.misreported), (0.0, 0, 0));
        assert!((summary.events - 30.0).abs() < 1e-9, "one in two seconds");
    }

    #[test]
    fn a_packet_that_came_too_late_is_late() {
        let played = (0..100).filter(|&n| n != 50).map(|n| (n, 40.0));
        let summary = measure(&trace(100, &[]), &run(played, &[]));
        assert!((summary.late - 1.0).abs() < 1e-9);
        assert_eq!(summary.network, 0.0);
        assert_eq!(summary.unreported, 1);
    }

    #[test]
    fn what_the_last_packets_do_not_play_is_late() {
        let summary = measure(&trace(100, &[]), &run((0..90).map(|n| (n, 40.0)), &[]));
        assert!((summary.late - 10.0).abs() < 1e-9, "{summary:?}");
    }

    #[test]
    fn what_the_first_packets_do_not_play_is_late() {
        let summary = measure(&trace(100, &[]), &run((10..100).map(|n| (n, 40.0)), &[]));
        assert!((summary.late - 10.0).abs() < 1e-9, "{summary:?}");
        assert_eq!(summary.concealed, summary.late);
        // The network's loss among them is not.
        let summary = measure(&trace(100, &[3, 4]), &run((10..100).map(|n| (n, 40.0)), &[]));
        assert!((summary.concealed - 10.0).abs() < 1e-9, "{summary:?}");
        assert!((summary.late - 8.0).abs() < 1e-9, "{summary:?}");
    }

    #[test]
    fn loss_of_the_network_that_one_gap_does_not_conceal_excuses_no_other() {
        // Of the packet lost at 20 nothing has to be concealed: the one before it is played
        // twice as long. The one that is not played at 70 had come.
        let played = (0..100).filter(|&n| n != 20 && n != 70);
        let mut run = run(played.map(|n| (n, 40.0)), &[20]);
        let at_20 = run.markers.iter_mut().find(|marker| marker.seq == Some(19));
        at_20.unwrap().wall_ms = 40.0;
        let summary = measure(&trace(100, &[20]), &run);
        assert!((summary.network - 1.0).abs() < 1e-9, "{summary:?}");
        assert!((summary.late - 1.0).abs() < 1e-9, "{summary:?}");
    }

    #[test]
    fn a_delay_that_jumps_up_is_concealed_and_one_that_jumps_down_is_skipped() {
        let up = (0..100).map(|n| (n, if n < 50 { 40.0 } else { 120.0 }));
        let summary = measure(&trace(100, &[]), &run(up, &[]));
        assert!((summary.concealed - 100.0 * 80.0 / 2_080.0).abs() < 1e-9, "{summary:?}");
        assert_eq!(summary.late, summary.concealed);
        let down = (0..100).map(|n| (n, if n < 50 { 120.0 } else { 40.0 }));
        let summary = measure(&trace(100, &[]), &run(down, &[]));
        assert_eq!(summary.concealed, 0.0);
        assert!((summary.late - 100.0 * 80.0 / 1_920.0).abs() < 1e-9, "{summary:?}");
        assert_eq!(summary.late, summary.skipped);
    }

    #[test]
    fn a_delay_that_moves_within_five_percent_is_stretched() {
        let slow = (0..101).map(|n| (n, 40.0 + n as f64));
        let summary = measure(&trace(101, &[]), &run(slow, &[]));
        assert_eq!((summary.concealed, summary.skipped), (0.0, 0.0));
        assert!((summary.stretched - 100.0 * 2_000.0 / 2_120.0).abs() < 1e-9, "{summary:?}");
    }

    #[test]
    fn order_duplicates_and_reports_are_counted() {
        let played = [(0, 40.0), (2, 40.0), (1, 60.0), (3, 40.0), (3, 60.0), (6, 40.0)];
        let summary = measure(&trace(7, &[]), &run(played, &[4, 4, 2]));
        assert_eq!(summary.out_of_order, 1);
        assert_eq!(summary.duplicated, 1);
        assert_eq!(summary.unreported, 1, "5");
        assert_eq!(summary.misreported, 2, "4 twice, and 2 was played");
    }

    #[test]
    fn blocks_that_squeeze_time_skip_nothing_and_cut_packets_are_skipped() {
        let block = |n: i64, media_ms: f64, squeezed_ms: f64| Marker {
            play_ms: n as f64 * 10.0 + 100.0,
            wall_ms: 10.0,
            media_ms,
            squeezed_ms,
            seq: None,
        };
        let squeezed = vec![block(0, 0.0, 0.0), block(1, 16.0, 6.0), block(2, 26.0, 0.0)];
        let run = Run { markers: squeezed, reported: None, cost: None };
        let summary = measure(&trace(2, &[]), &run);
        assert_eq!((summary.skipped, summary.late), (0.0, 0.0));
        assert!(summary.stretched > 0.0);
        let cut = vec![block(0, 0.0, 0.0), block(1, 30.0, 0.0), block(2, 40.0, 0.0)];
        let summary = measure(&trace(2, &[]), &Run { markers: cut, reported: None, cost: None });
        assert!((summary.skipped - 100.0 * 20.0 / 30.0).abs() < 1e-9, "{summary:?}");
        assert_eq!(summary.unreported, 1);
    }

    #[test]
    fn growing_in_silence_costs_nothing() {
        let mut packets = trace(100, &[]).packets;
        packets.iter_mut().skip(50).for_each(|packet| packet.media_ms += 500.0);
        let trace = Trace::new("t", packets, Some(20.0));
        let mut run = run((0..100).map(|n| (n, if n < 50 { 40.0 } else { 90.0 })), &[]);
        run.markers.iter_mut().skip(50).for_each(|marker| {
            marker.media_ms += 500.0;
            marker.play_ms += 500.0;
        });
        let summary = measure(&trace, &run);
        assert_eq!((summary.concealed, summary.late, summary.network), (0.0, 0.0, 0.0));
    }
}
