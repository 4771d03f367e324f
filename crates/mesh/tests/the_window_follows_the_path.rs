//! A sender, a link with a queue, and a receiver that acknowledges as SCTP does, in
//! virtual time. `--nocapture` shows the figures.
#![allow(clippy::disallowed_methods, reason = "a test needs an epoch")]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use paceline_mesh::{Pacer, PacerConfig};
use proptest::prelude::*;

/// The engine's packets, and its messages.
const PACKET: usize = 1_200;
const MESSAGE: usize = 16_384;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// A path: bits a second from some time on, and how long it is there and back.
#[derive(Clone, Debug)]
struct Path {
    rates: Vec<(Duration, u64)>,
    rtt: Duration,
    /// By how much a packet may be held up on the way, in µs.
    jitter: u64,
    /// Acknowledgements are handed over in bursts so far apart.
    bursts: Duration,
}

impl Path {
    fn new(rate: u64, rtt: Duration) -> Self {
        Self { rates: vec![(Duration::ZERO, rate)], rtt, jitter: 0, bursts: Duration::ZERO }
    }
}

#[derive(Clone, Copy, Debug)]
enum Demand {
    /// More waits at all times.
    Endless,
    /// So many bits a second, as 30 pictures.
    Rate(u64),
}

#[derive(Clone, Copy, Debug)]
enum Step {
    /// A packet is with the receiver.
    Arrival(usize),
    /// The receiver has waited for a second packet.
    Delayed(u64),
    Acked(usize),
    Ping,
    Pong(Instant),
    Picture,
    Probe,
}

#[derive(Debug)]
struct Run {
    path: Path,
    demand: Demand,
    /// How much more every sixtieth picture is, a keyframe.
    keyframes: usize,
    pictures: u32,
    /// `None`: a window that stays as it is.
    pacer: Option<Pacer>,
    start: Instant,
    now: Instant,
    steps: BTreeMap<(Instant, u64), Step>,
    number: u64,
    random: u64,
    link_free: Instant,
    last_arrival: Instant,
    waiting: usize,
    outstanding: usize,
    unacked: (usize, u32),
    acks: u64,
    /// When each packet went through, its bytes, and how long it had waited for that.
    through: Vec<(Instant, usize, Duration)>,
    probes: Vec<(Instant, usize)>,
}

impl Run {
    fn new(path: Path, demand: Demand, pacer: Option<Pacer>) -> Self {
        let start = Instant::now();
        let mut run = Self {
            path,
            demand,
            keyframes: 0,
            pictures: 0,
            pacer,
            start,
            now: start,
            steps: BTreeMap::new(),
            number: 0,
            random: 1,
            link_free: start,
            last_arrival: start,
            waiting: 0,
            outstanding: 0,
            unacked: (0, 0),
            acks: 0,
            through: Vec::new(),
            probes: Vec::new(),
        };
        run.at(start, Step::Ping);
        run.at(start, Step::Picture);
        run
    }

    fn at(&mut self, at: Instant, step: Step) {
        self.number += 1;
        self.steps.insert((at, self.number), step);
    }

    fn rate(&self, at: Instant) -> u64 {
        let since = at - self.start;
        self.path.rates.iter().rev().find(|(from, _)| *from <= since).expect("it begins at 0").1
    }

    /// When a packet that goes now is through the link.
    fn cross(&mut self, bytes: usize) -> Instant {
        let begins = self.link_free.max(self.now);
        let took = Duration::from_nanos(bytes as u64 * 8_000_000_000 / self.rate(begins));
        self.link_free = begins + took;
        self.through.push((self.link_free, bytes, begins - self.now));
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let jitter = Duration::from_micros((self.random >> 33) % (self.path.jitter + 1));
        self.last_arrival = self.last_arrival.max(self.link_free + self.path.rtt / 2 + jitter);
        self.last_arrival
    }

    fn send(&mut self, bytes: usize) {
        if let Some(pacer) = &mut self.pacer {
            pacer.handle_sent(self.now, bytes);
        }
        self.outstanding += bytes;
        let mut left = bytes;
        while left > 0 {
            let packet = left.min(PACKET);
            left -= packet;
            let arrival = self.cross(packet);
            self.at(arrival, Step::Arrival(packet));
        }
    }

    fn flush(&mut self) {
        let mut waits = true;
        let window = |run: &Self| run.pacer.as_ref().map_or(2 * MESSAGE, Pacer::window);
        let room = window(self).saturating_sub(self.outstanding);
        let more = matches!(self.demand, Demand::Endless) || self.waiting > room;
        if let Some(pacer) = self.pacer.as_mut().filter(|_| more) {
            // Said before the first goes, as the mesh does.
            pacer.set_waiting(self.now, true);
        }
        loop {
            let bytes = match self.demand {
                Demand::Endless => MESSAGE,
                Demand::Rate(_) => self.waiting.min(MESSAGE),
            };
            if bytes == 0 {
                waits = false;
                break;
            }
            if self.outstanding + bytes > window(self) {
                break;
            }
            self.waiting = self.waiting.saturating_sub(bytes);
            self.send(bytes);
        }
        if let Some(pacer) = &mut self.pacer {
            pacer.set_waiting(self.now, waits);
        }
        if let Some(at) = self.pacer.as_ref().and_then(Pacer::poll_timeout) {
            self.at(at.max(self.now), Step::Probe);
        }
    }

    fn acknowledge(&mut self) {
        let (bytes, _) = std::mem::take(&mut self.unacked);
        self.acks += 1;
        let mut at = self.now + self.path.rtt / 2;
        if !self.path.bursts.is_zero() {
            let burst = self.path.bursts.as_nanos();
            let number = (at - self.start).as_nanos().div_ceil(burst);
            at = self.start + Duration::from_nanos((number * burst) as u64);
        }
        self.at(at, Step::Acked(bytes));
    }

    fn until(&mut self, end: Duration) {
        while let Some((&(at, number), &step)) = self.steps.first_key_value() {
            if at > self.start + end {
                break;
            }
            self.steps.remove(&(at, number));
            self.now = at;
            match step {
                Step::Arrival(bytes) => {
                    self.unacked.0 += bytes;
                    self.unacked.1 += 1;
                    if self.unacked.1 == 2 {
                        self.acknowledge();
                    } else {
                        self.at(at + ms(200), Step::Delayed(self.acks));
                    }
                    continue;
                }
                Step::Delayed(acks) => {
                    if acks == self.acks && self.unacked.1 > 0 {
                        self.acknowledge();
                    }
                    continue;
                }
                Step::Acked(bytes) => {
                    self.outstanding -= bytes;
                    if let Some(pacer) = &mut self.pacer {
                        pacer.handle_acked(at, bytes);
                    }
                }
                Step::Ping => {
                    let arrival = self.cross(40);
                    self.at(arrival + self.path.rtt / 2, Step::Pong(at));
                    self.at(at + ms(1_000), Step::Ping);
                }
                Step::Pong(sent) => {
                    if let Some(pacer) = &mut self.pacer {
                        pacer.handle_rtt(at, at - sent);
                    }
                }
                Step::Picture => {
                    if let Demand::Rate(rate) = self.demand {
                        self.waiting += (rate / 8 / 30) as usize;
                        self.pictures += 1;
                        if self.pictures.is_multiple_of(60) {
                            self.waiting += self.keyframes;
                        }
                        self.at(at + Duration::from_micros(33_333), Step::Picture);
                    }
                }
                Step::Probe => {
                    let probe = self.pacer.as_mut().and_then(|pacer| pacer.poll_probe(at));
                    let Some(probe) = probe else { continue };
                    self.probes.push((at, probe.bytes));
                    for _ in 0..probe.bytes / MESSAGE {
                        self.send(MESSAGE);
                    }
                }
            }
            self.flush();
        }
        self.now = self.start + end;
    }

    fn capacity(&self) -> f64 {
        let capacity = self.pacer.as_ref().and_then(Pacer::capacity);
        capacity.map_or(f64::NAN, |capacity| capacity.bps() as f64)
    }

    /// Of the time after `from`: the part of the link that was used, and how long packets
    /// waited for it on average and at the 95th percentile, in ms.
    fn figures(&self, from: Duration) -> (f64, f64, f64) {
        let from = self.start + from;
        let after: Vec<_> = self.through.iter().filter(|t| t.0 > from && t.0 <= self.now).collect();
        let bytes: usize = after.iter().map(|t| t.1).sum();
        let used = bytes as f64 * 8.0 / (self.now - from).as_secs_f64() / self.rate(from) as f64;
        let mut waits: Vec<_> = after.iter().map(|t| t.2.as_secs_f64() * 1e3).collect();
        waits.sort_by(f64::total_cmp);
        let mean = waits.iter().sum::<f64>() / waits.len() as f64;
        (used, mean, waits[waits.len() * 95 / 100])
    }
}

fn pacer() -> Option<Pacer> {
    Some(Pacer::new(PacerConfig::default()))
}

/// Runs a link that is always asked for more, and says what came of it.
fn endless(name: &str, path: &Path, rate: u64) -> (f64, f64, f64) {
    let mut today = Run::new(path.clone(), Demand::Endless, None);
    today.until(ms(30_000));
    let mut run = Run::new(path.clone(), Demand::Endless, pacer());
    run.until(ms(30_000));
    let (before, ..) = today.figures(ms(5_000));
    let (used, mean, p95) = run.figures(ms(5_000));
    let capacity = run.capacity() / rate as f64;
    let window = run.pacer.as_ref().map_or(0, Pacer::window);
    println!(
        "{name:>24}: used {:.1} % (32 KiB: {:.1} %), waits {mean:.1} ms, p95 {p95:.1} ms, \
         capacity {:.1} %, window {window}",
        used * 100.0,
        before * 100.0,
        capacity * 100.0,
    );
    (used, mean, capacity)
}

#[test]
fn a_link_that_is_asked_for_more_is_full_and_its_queue_is_not() {
    // (name, rate, RTT, the most that packets may wait on average, in ms)
    for (name, rate, rtt, most) in [
        ("10 Mbit/s 100 ms", 10_000_000, 100, 30.0),
        ("10 Mbit/s 50 ms", 10_000_000, 50, 30.0),
        // All of the least window but what is on its way is in the queue.
        ("2 Mbit/s 20 ms", 2_000_000, 20, 131.0),
        ("100 Mbit/s 1 ms", 100_000_000, 1, 5.0),
        ("50 Mbit/s 100 ms", 50_000_000, 100, 30.0),
    ] {
        let (used, mean, capacity) = endless(name, &Path::new(rate, ms(rtt)), rate);
        assert!(used >= 0.9, "{name}: {used}");
        assert!(mean <= most, "{name}: {mean} ms");
        assert!((0.8..=1.2).contains(&capacity), "{name}: {capacity}");
    }
}

#[test]
fn neither_jitter_nor_acknowledgements_in_bursts_mislead() {
    let mut path = Path::new(10_000_000, ms(100));
    path.jitter = 20_000;
    let jitter = endless("10 Mbit/s 100 ms ± 20", &path, 10_000_000);
    path.jitter = 0;
    path.bursts = ms(25);
    let bursts = endless("10 Mbit/s 100 ms, bursts", &path, 10_000_000);
    let mut path = Path::new(100_000_000, ms(1));
    path.jitter = 500;
    let lan = endless("100 Mbit/s 1 ms ± 0.5", &path, 100_000_000);
    for (used, _, capacity) in [jitter, bursts, lan] {
        assert!(used >= 0.9, "{used}");
        assert!((0.8..=1.2).contains(&capacity), "{capacity}");
    }
}

#[test]
fn a_link_that_becomes_slower_or_faster_is_followed() {
    for (name, from, to) in
        [("4 → 1 Mbit/s", 4, 1), ("1 → 4 Mbit/s", 1, 4), ("4 → 20 Mbit/s", 4, 20)]
    {
        let path = Path {
            rates: vec![(ms(0), from * 1_000_000), (ms(10_000), to * 1_000_000)],
            ..Path::new(0, ms(80))
        };
        let mut run = Run::new(path, Demand::Endless, pacer());
        run.until(ms(10_000));
        let before = run.capacity() / (from * 1_000_000) as f64;
        let mut took = None;
        for at in (10_100..30_000).step_by(100) {
            run.until(ms(at));
            let capacity = run.capacity() / (to * 1_000_000) as f64;
            if took.is_none() && (0.8..=1.2).contains(&capacity) {
                took = Some(at - 10_000);
            }
        }
        let (used, mean, p95) = run.figures(ms(15_000));
        let after = run.capacity() / (to * 1_000_000) as f64;
        println!(
            "{name:>24}: followed after {took:?} ms, then used {:.1} %, waits {mean:.1} ms, p95 {p95:.1} ms, capacity {:.1} %",
            used * 100.0,
            after * 100.0
        );
        assert!((0.8..=1.2).contains(&before), "{name}: {before}");
        assert!((0.8..=1.2).contains(&after), "{name}: {after}");
        assert!(took.is_some_and(|took| took <= 4_000), "{name}: {took:?}");
        assert!(used >= 0.9, "{name}: {used}");
    }
}

#[test]
fn a_tenth_of_the_demand_does_not_look_like_a_tenth_of_the_capacity() {
    for (rate, rtt) in [(10_000_000, 100), (2_000_000, 20), (100_000_000, 1), (30_000_000, 30)] {
        let demand = Demand::Rate(rate / 10);
        let mut run = Run::new(Path::new(rate, ms(rtt)), demand, pacer());
        run.until(ms(30_000));
        let (used, mean, p95) = run.figures(ms(5_000));
        let capacity = run.capacity() / rate as f64;
        println!(
            "10 % of {:>3} Mbit/s {rtt:>3} ms: used {:.1} %, waits {mean:.1} ms, p95 {p95:.1} ms, capacity {:.1} %, {} probes",
            rate / 1_000_000,
            used * 100.0,
            capacity * 100.0,
            run.probes.len(),
        );
        assert!((0.8..=1.2).contains(&capacity), "{rate} {rtt}: {capacity}");
        assert!(run.probes.windows(2).all(|two| two[1].0 - two[0].0 >= ms(5_000)));
        assert!(run.probes.iter().all(|probe| probe.1 == 32 << 10));

        // Without probes it is not known, which is another thing than low; or pictures that
        // filled the window have shown it.
        let pacer = Pacer::new(PacerConfig::default().probe_bytes(0));
        let mut run = Run::new(Path::new(rate, ms(rtt)), demand, Some(pacer));
        run.until(ms(10_000));
        assert!(run.probes.is_empty());
        let known = run.pacer.as_ref().and_then(Pacer::capacity);
        assert!(known.is_none_or(|known| known.bps() as f64 > 0.8 * rate as f64), "{known:?}");
    }
}

/// Keyframes fill the window for a moment, which is no measure of the path.
#[test]
fn large_keyframes_in_a_small_stream_do_not_mislead() {
    for (rate, rtt) in [(10_000_000, 100), (4_000_000, 40), (50_000_000, 20)] {
        let mut run = Run::new(Path::new(rate, ms(rtt)), Demand::Rate(1_200_000), pacer());
        run.keyframes = 100_000;
        for at in (10_000..60_000).step_by(500) {
            run.until(ms(at));
            let capacity = run.capacity() / rate as f64;
            assert!((0.8..=1.2).contains(&capacity), "{rate} {rtt} at {at}: {capacity}");
        }
    }
}

#[test]
fn what_was_measured_is_not_forgotten_for_want_of_demand() {
    let pacer = Pacer::new(PacerConfig::default().probe_bytes(0));
    let mut run = Run::new(Path::new(10_000_000, ms(50)), Demand::Endless, Some(pacer));
    run.until(ms(5_000));
    run.demand = Demand::Rate(300_000);
    run.at(run.now, Step::Picture);
    run.until(ms(120_000));
    let capacity = run.capacity() / 10e6;
    assert!((0.8..=1.2).contains(&capacity), "{capacity}");
}

#[test]
fn a_link_that_becomes_worse_without_demand_is_found_out_by_probes() {
    let path =
        Path { rates: vec![(ms(0), 4_000_000), (ms(20_000), 1_000_000)], ..Path::new(0, ms(50)) };
    let mut run = Run::new(path, Demand::Rate(200_000), pacer());
    run.until(ms(20_000));
    let before = run.capacity() / 4e6;
    run.until(ms(56_000));
    let after = run.capacity() / 1e6;
    assert!((0.8..=1.2).contains(&before) && (0.8..=1.2).contains(&after), "{before} {after}");
}

#[test]
fn nothing_is_probed_while_more_waits() {
    let mut run = Run::new(Path::new(2_000_000, ms(50)), Demand::Endless, pacer());
    run.until(ms(30_000));
    assert!(run.probes.is_empty());
}

proptest! {
    /// Whatever a peer acknowledges, and whenever: the window stays within its bounds,
    /// nothing overflows, and no deadline stays in the past after it was asked about.
    #[test]
    fn no_acknowledgement_leads_astray(
        script in prop::collection::vec((0..6_u8, any::<u32>(), 0..3_000_000_u64), 1..300),
    ) {
        let config = PacerConfig::default();
        let mut pacer = Pacer::new(config);
        let mut now = Instant::now();
        for (step, number, wait) in script {
            match step {
                0 | 1 => pacer.handle_sent(now, number as usize % 20_000),
                2 => pacer.handle_acked(now, number as usize),
                4 => pacer.set_waiting(now, number % 2 == 0),
                3 => pacer.handle_rtt(now, Duration::from_micros(number.into())),
                _ => now += Duration::from_micros(wait),
            }
            prop_assert!((32 << 10..=1 << 20).contains(&pacer.window()));
            let probe = pacer.poll_probe(now);
            prop_assert!(probe.is_none_or(|probe| probe.bytes == 32 << 10));
            prop_assert!(pacer.poll_timeout().is_none_or(|at| at > now));
            let _ = pacer.capacity();
        }
    }
}
