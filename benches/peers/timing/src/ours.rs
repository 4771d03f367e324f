//! `paceline-jitter`, run as the library is: insert at arrivals, poll at its own deadlines.

use std::hint::black_box;
use std::time::{Duration, Instant};

use paceline_drift::{DriftConfig, DriftEstimator};
use paceline_jitter::rtp::Units;
use paceline_jitter::{JitterBuffer, JitterConfig, Output, Unit};
use paceline_types::{Frequency, SeqNo};

use crate::allocations;
use crate::marker::{Cost, Marker, Run};
use crate::trace::{Packet, Trace};

/// How the buffer is configured, in ms.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setup {
    pub(crate) min_delay_ms: f64,
    pub(crate) max_delay_ms: f64,
    /// Delay worth paying for 1 % less late loss; none is the default.
    pub(crate) loss_price_ms: Option<f64>,
}

impl Default for Setup {
    /// As the comparison has it: nothing added, and a cap that only an outage reaches.
    fn default() -> Self {
        Self { min_delay_ms: 0.0, max_delay_ms: 2_000.0, loss_price_ms: None }
    }
}

impl Setup {
    fn config(self) -> JitterConfig {
        let config = JitterConfig::default()
            .min_delay(duration(self.min_delay_ms))
            .max_delay(duration(self.max_delay_ms));
        match self.loss_price_ms {
            Some(price) => config.loss_price(duration(price)),
            None => config,
        }
    }
}

/// The wire's numbers, extended.
struct Unwrapper(Units);

impl Default for Unwrapper {
    fn default() -> Self {
        Self(Units::new(Frequency::AUDIO))
    }
}

impl Unwrapper {
    /// A unit whose payload is the index of its packet.
    fn unit(&mut self, index: usize, packet: &Packet) -> Unit<u32> {
        let mut of_rtp = rtp::Packet::default();
        of_rtp.header.sequence_number = packet.wire_seq;
        of_rtp.header.timestamp = packet.wire_ts;
        of_rtp.header.ssrc = packet.ssrc;
        let unit = self.0.unit(of_rtp);
        Unit::new(unit.seq, unit.time, index as u32)
    }
}

/// Drift, fed as a session feeds it: not by what is out of order, or the first after a
/// silence.
struct SenderClock {
    drift: DriftEstimator,
    last: Option<(SeqNo, Instant)>,
}

impl Default for SenderClock {
    fn default() -> Self {
        Self { drift: DriftEstimator::new(DriftConfig::default()), last: None }
    }
}

impl SenderClock {
    fn is_in_turn(&mut self, now: Instant, seq: SeqNo) -> bool {
        let last = self.last;
        if last.is_some_and(|(last, _)| seq <= last) {
            return false;
        }
        self.last = Some((seq, now));
        last.is_none_or(|(last, then)| seq == last.next() && now - then < SILENCE)
    }
}

/// Plays `trace` through a buffer.
///
/// # Panics
///
/// If the buffer asks to be polled again and again without time passing: it is broken.
pub(crate) fn run(trace: &Trace, setup: Setup) -> Run {
    run_with(trace, setup.config())
}

/// The same with any configuration.
pub(crate) fn run_with(trace: &Trace, config: JitterConfig) -> Run {
    let mut player = Player::new(trace, config);
    let mut unwrapper = Unwrapper::default();
    let mut clock = SenderClock::default();
    for (index, packet) in trace.packets.iter().enumerate() {
        let arrival = player.instant(packet.arrival_us);
        player.play_before(arrival);
        let unit = unwrapper.unit(index, packet);
        if clock.is_in_turn(arrival, unit.seq) {
            let _ = clock.drift.handle_observation(arrival, unit.time);
            player.buffer.set_drift(clock.drift.estimate().ppm);
        }
        let _ = player.buffer.insert(arrival, unit);
        player.drain(arrival);
    }
    let last = trace.packets.last().map_or(0, |packet| packet.arrival_us);
    let end = player.instant(last + DRAIN_US);
    player.play_before(end);
    Run { markers: player.markers, reported: Some(player.reported), cost: None }
}

struct Player<'a> {
    trace: &'a Trace,
    buffer: JitterBuffer<u32>,
    start: Instant,
    first_us: i64,
    markers: Vec<Marker>,
    reported: Vec<i64>,
    /// What to add to the buffer's sequence numbers to have the true ones.
    seq_offset: i64,
    /// Lost ones reported since the last unit: they are placed by the unit behind them.
    lost: Vec<(u64, u64)>,
}

impl<'a> Player<'a> {
    fn new(trace: &'a Trace, config: JitterConfig) -> Self {
        Self {
            trace,
            buffer: JitterBuffer::new(config),
            start: Instant::now(),
            first_us: trace.packets[0].arrival_us,
            markers: Vec::with_capacity(trace.packets.len()),
            reported: Vec::new(),
            seq_offset: 0,
            lost: Vec::new(),
        }
    }

    fn instant(&self, us: i64) -> Instant {
        self.start + Duration::from_micros((us - self.first_us).max(0) as u64)
    }

    /// Polls at every deadline before `until`.
    fn play_before(&mut self, until: Instant) {
        let mut at = None;
        let mut again = 0;
        while let Some(deadline) = self.buffer.poll_timeout().filter(|&due| due < until) {
            again = if at == Some(deadline) { again + 1 } else { 0 };
            assert!(again < 1_000, "the buffer asks for {deadline:?} over and over");
            at = Some(deadline);
            self.drain(deadline);
        }
    }

    /// Takes all that is due at `now`.
    fn drain(&mut self, now: Instant) {
        loop {
            match self.buffer.poll(now) {
                Output::Play { seq, payload, .. } => self.played(now, seq.get(), payload),
                Output::Lost { first, count, .. } => self.lost.push((first.get(), count)),
                _ => return,
            }
        }
    }

    fn played(&mut self, now: Instant, seq: u64, index: u32) {
        let packet = &self.trace.packets[index as usize];
        self.seq_offset = packet.seq - seq as i64;
        for (first, count) in self.lost.drain(..) {
            let first = first as i64 + self.seq_offset;
            self.reported.extend(first..first + count as i64);
        }
        let since = now.saturating_duration_since(self.start).as_secs_f64() * 1e3;
        self.markers.push(Marker {
            play_ms: self.first_us as f64 / 1e3 + since,
            wall_ms: self.trace.packet_ms,
            media_ms: packet.media_ms,
            squeezed_ms: 0.0,
            seq: Some(packet.seq),
        });
    }
}

/// What a packet costs: [`STREAMS`] buffers are fed the trace in step, as a server's are,
/// so that one reading of the clock spans as many calls.
pub(crate) fn cost(trace: &Trace, setup: Setup) -> Cost {
    let mut buffers: Vec<JitterBuffer<u32>> =
        (0..STREAMS).map(|_| JitterBuffer::new(setup.config())).collect();
    // Lists that the measure itself grows are made before.
    let mut spent_inserting = Vec::with_capacity(trace.packets.len());
    let mut spent_polling = Vec::with_capacity(trace.packets.len() * 8);

    let start = Instant::now();
    let first_us = trace.packets[0].arrival_us;
    let mut unwrapper = Unwrapper::default();
    let (mut inserts, mut polls) = (0_u64, 0_u64);
    let (mut insert_allocations, mut poll_allocations) = (0, 0);
    for (index, packet) in trace.packets.iter().enumerate() {
        let arrival = start + Duration::from_micros((packet.arrival_us - first_us) as u64);
        let mut at = buffers[0].poll_timeout().filter(|&due| due < arrival);
        let mut inserted = false;
        loop {
            let now = at.unwrap_or(arrival);
            if at.is_none() && !inserted {
                inserted = true;
                let unit = unwrapper.unit(index, packet);
                let before = allocations::calls();
                let clock = Instant::now();
                for buffer in &mut buffers {
                    let _ = black_box(buffer.insert(now, unit));
                }
                spent_inserting.push(clock.elapsed().as_nanos() as f64);
                if index >= WARM_UP {
                    inserts += STREAMS as u64;
                    insert_allocations += allocations::calls() - before;
                }
            }
            let before = allocations::calls();
            let clock = Instant::now();
            let mut more = false;
            for buffer in &mut buffers {
                more = matches!(
                    black_box(buffer.poll(now)),
                    Output::Play { .. } | Output::Lost { .. }
                );
            }
            spent_polling.push(clock.elapsed().as_nanos() as f64);
            if index >= WARM_UP {
                polls += STREAMS as u64;
                poll_allocations += allocations::calls() - before;
            }
            if more {
                continue;
            }
            if inserted {
                break;
            }
            at = buffers[0].poll_timeout().filter(|&due| due < arrival);
        }
    }
    let clock_ns = median(&mut (0..1_000).map(|_| empty_reading()).collect::<Vec<_>>());
    let each = |spent: &mut Vec<f64>| (median(spent) - clock_ns).max(0.0) / STREAMS as f64;
    Cost {
        insert_ns: each(&mut spent_inserting),
        poll_ns: each(&mut spent_polling),
        insert_allocations: insert_allocations as f64 / inserts.max(1) as f64,
        poll_allocations: poll_allocations as f64 / polls.max(1) as f64,
        bytes: bytes_without_payloads(setup),
    }
}

/// What a buffer holds, and what it is itself.
fn bytes_without_payloads(setup: Setup) -> f64 {
    let held = allocations::held();
    let buffer = JitterBuffer::<()>::new(setup.config());
    (allocations::held() - held) as f64 + size_of_val(&buffer) as f64
}

fn empty_reading() -> f64 {
    let clock = Instant::now();
    clock.elapsed().as_nanos() as f64
}

/// The middle one of `values`; zero of none.
pub(crate) fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

fn duration(ms: f64) -> Duration {
    Duration::from_secs_f64(ms / 1e3)
}

/// As in `paceline-session`.
const SILENCE: Duration = Duration::from_millis(200);

/// Buffers fed in step when cost is measured.
const STREAMS: usize = 32;

/// Ten seconds of packets of 20 ms, as for NetEQ.
const WARM_UP: usize = 500;

/// Longer than any cap of the comparison: then all that is held has been played.
const DRAIN_US: i64 = 10_000_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate::packets;

    /// Packets with a delay that comes again every seven, two of which are lost.
    fn trace() -> Trace {
        let delay = |n: i32| (n % 100 != 50 || n > 250).then(|| 10.0 + f64::from(n * 5 % 7));
        Trace::new("t", packets(&(0..500).map(delay).collect::<Vec<_>>(), 20.0), Some(20.0))
    }

    #[test]
    fn every_packet_is_played_once_and_what_was_lost_is_said() {
        let run = run(&trace(), Setup { min_delay_ms: 40.0, ..Setup::default() });
        let played: Vec<i64> = run.markers.iter().filter_map(|marker| marker.seq).collect();
        let lost = [50, 150, 250];
        assert_eq!(played, (0..500).filter(|seq| !lost.contains(seq)).collect::<Vec<_>>());
        assert_eq!(run.reported.as_deref(), Some(&lost[..]));
        let first = &run.markers[0];
        assert_eq!((first.play_ms, first.media_ms), (50.0, 0.0), "10 ms on the way, 40 held");
    }

    #[test]
    fn a_call_costs_more_than_nothing() {
        let cost = cost(&trace(), Setup::default());
        assert!(cost.insert_ns > 0.0 && cost.poll_ns > 0.0 && cost.bytes > 0.0, "{cost:?}");
    }
}
