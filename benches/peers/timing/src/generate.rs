//! Traces to tune on, from fixed seeds: never judged.

use crate::random::Random;
use crate::trace::{Packet, TICKS_PER_MS, Trace};

/// Every model: once long, and once as short as the real traces are.
pub(crate) fn traces() -> Vec<Trace> {
    let mut traces = Vec::new();
    for (index, (name, model)) in MODELS.iter().enumerate() {
        let seed = 1_000 + 2 * index as u64;
        let delays = model(&mut Random::new(seed), LONG);
        traces.push(Trace::new(name, packets(&delays, 20.0), Some(20.0)));
        let count = SHORT + index * 50;
        let delays = model(&mut Random::new(seed + 1), count);
        traces.push(Trace::new(&format!("{name}-short"), packets(&delays, 20.0), Some(20.0)));
    }
    traces
}

/// Packets `packet_ms` apart with these delays in ms; none is lost. The sequence numbers of
/// a long trace wrap.
pub(crate) fn packets(delays: &[Option<f64>], packet_ms: f64) -> Vec<Packet> {
    let sent = delays.iter().enumerate();
    let mut packets: Vec<Packet> = sent
        .filter_map(|(n, delay)| {
            let media_ms = n as f64 * packet_ms;
            Some(Packet {
                arrival_us: ((media_ms + (*delay)?) * 1e3).round() as i64,
                wire_seq: FIRST_SEQ.wrapping_add(n as u16),
                wire_ts: FIRST_TS.wrapping_add((media_ms * TICKS_PER_MS).round() as u32),
                ssrc: SSRC,
                seq: n as i64,
                media_ms,
            })
        })
        .collect();
    packets.sort_by_key(|packet| packet.arrival_us);
    packets
}

/// A delay in ms for each packet of 20 ms.
type Model = fn(&mut Random, usize) -> Vec<Option<f64>>;

const MODELS: [(&str, Model); 13] = [
    ("normal", |random, count| each(count, || normal(random))),
    ("normal-fifo", |random, count| fifo(each(count, || normal(random)))),
    ("pareto", |random, count| each(count, || pareto(random))),
    ("pareto-fifo", |random, count| fifo(each(count, || pareto(random)))),
    ("pareto-normal", |random, count| each(count, || pareto_normal(random))),
    ("pareto-normal-fifo", |random, count| fifo(each(count, || pareto_normal(random)))),
    ("queue-mg1", queue_mg1),
    ("queue-ar1", queue_ar1),
    ("wifi", wifi),
    ("lte", lte),
    ("queue-mg1-loss", |random, count| {
        let delays = queue_mg1(random, count);
        delays.into_iter().map(|delay| delay.filter(|_| !random.chance(0.01))).collect()
    }),
    ("wifi-burst-loss", |random, count| {
        let delays = wifi(random, count);
        burst_loss(random, delays)
    }),
    ("reorder-loss", |random, count| {
        let mut delays = each(count, || 20.0 + random.exponential(8.0));
        for delay in &mut delays {
            // One in 50 takes a longer way, and one in 200 gets lost on it.
            *delay = delay.map(|ms| if random.chance(0.02) { ms + 45.0 } else { ms });
            *delay = delay.filter(|_| !random.chance(0.005));
        }
        delays
    }),
];

fn each(count: usize, mut delay: impl FnMut() -> f64) -> Vec<Option<f64>> {
    (0..count).map(|_| Some(delay())).collect()
}

fn normal(random: &mut Random) -> f64 {
    (60.0 + 12.0 * random.normal()).max(5.0)
}

fn pareto(random: &mut Random) -> f64 {
    random.pareto(10.0, 2.2).min(1_000.0)
}

/// Mostly normal; one packet in 20 has a tail on top.
fn pareto_normal(random: &mut Random) -> f64 {
    let body = (30.0 + 5.0 * random.normal()).max(5.0);
    let tail = if random.chance(0.05) { random.pareto(15.0, 1.8).min(800.0) } else { 0.0 };
    body + tail
}

/// No packet overtakes the one before it.
fn fifo(mut delays: Vec<Option<f64>>) -> Vec<Option<f64>> {
    let mut earliest = f64::MIN;
    for (n, delay) in delays.iter_mut().enumerate() {
        let sent = n as f64 * 20.0;
        if let Some(ms) = delay {
            *ms = ms.max(earliest - sent);
            earliest = sent + *ms;
        }
    }
    delays
}

/// A queue shared with bursts of others' packets: Poisson arrivals, sizes with a tail.
fn queue_mg1(random: &mut Random, count: usize) -> Vec<Option<f64>> {
    let mut waiting = 0.0_f64;
    each(count, || {
        waiting = (waiting - 20.0).max(0.0);
        let mut next = random.exponential(70.0);
        while next < 20.0 {
            waiting += random.pareto(12.0, 1.9).min(400.0);
            next += random.exponential(70.0);
        }
        15.0 + waiting + random.exponential(1.0)
    })
}

/// A queue whose load wanders: what comes in 20 ms is an AR(1) process around 80 %.
fn queue_ar1(random: &mut Random, count: usize) -> Vec<Option<f64>> {
    let (mut load, mut waiting) = (0.0, 0.0_f64);
    each(count, || {
        load = 0.98 * load + 1.1 * random.normal();
        waiting = (waiting + 16.0 + load + 4.0 * random.normal() - 20.0).clamp(0.0, 600.0);
        10.0 + waiting + random.exponential(2.0)
    })
}

/// A few ms, and every few seconds nothing gets through for a while; then all at once.
fn wifi(random: &mut Random, count: usize) -> Vec<Option<f64>> {
    let (mut blocked, mut until_next) = (0.0_f64, random.exponential(4_000.0));
    let delays = each(count, || {
        blocked = (blocked - 20.0).max(0.0);
        until_next -= 20.0;
        if until_next < 0.0 {
            blocked = random.pareto(40.0, 2.0).min(300.0);
            until_next = random.exponential(4_000.0);
        }
        8.0 + random.exponential(3.0) + blocked
    });
    fifo(delays)
}

/// Sent up when there is a grant, every 10 ms; one in ten again 8 ms later; handovers.
fn lte(random: &mut Random, count: usize) -> Vec<Option<f64>> {
    let (mut gap, mut until_next) = (0.0_f64, 15_000.0);
    let (phase, mut n) = (10.0 * random.uniform(), 0.0);
    let delays = each(count, || {
        gap = (gap - 20.0).max(0.0);
        until_next -= 20.0;
        if until_next < 0.0 {
            gap = 60.0 + 90.0 * random.uniform();
            until_next = 10_000.0 + random.exponential(10_000.0);
        }
        let ready = n * 20.0 + phase + 4.0 * random.uniform() + gap;
        let granted = (ready / 10.0).ceil() * 10.0;
        let again = if random.chance(0.1) { 8.0 } else { 0.0 };
        let delay = 25.0 + granted - n * 20.0 + again + random.exponential(1.0);
        n += 1.0;
        delay
    });
    fifo(delays)
}

/// Gilbert's channel: on average one burst in 100 packets, of three.
fn burst_loss(random: &mut Random, delays: Vec<Option<f64>>) -> Vec<Option<f64>> {
    let mut bad = false;
    let pass = delays.into_iter().map(|delay| {
        bad = if bad { !random.chance(1.0 / 3.0) } else { random.chance(0.01) };
        delay.filter(|_| !bad)
    });
    pass.collect()
}

/// Packets of a long trace: 400 s.
const LONG: usize = 20_000;

/// Packets of the shortest excerpt: 24 s, as the shortest real trace; the longest has 36 s.
const SHORT: usize = 1_200;

/// Wraps after 15,536 packets.
const FIRST_SEQ: u16 = 50_000;
const FIRST_TS: u32 = 50_000;
pub(crate) const SSRC: u32 = 0x1234_5678;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_model_gives_the_same_sane_trace_each_time() {
        let (first, second) = (traces(), traces());
        assert_eq!(first.len(), 2 * MODELS.len());
        for (a, b) in first.iter().zip(&second) {
            assert_eq!(a.packets, b.packets, "{}", a.name);
            assert!(a.packets.len() > 1_000, "{}", a.name);
            let late = a.truth.sent.iter().filter_map(|sent| sent.relative_ms);
            let most = late.fold(0.0, f64::max);
            assert!((10.0..2_500.0).contains(&most), "{}: {most}", a.name);
        }
    }

    #[test]
    fn a_queue_never_reorders_and_a_normal_delay_does() {
        for trace in traces() {
            let back = trace.packets.windows(2).filter(|pair| pair[1].seq < pair[0].seq).count();
            if trace.name.contains("fifo") || trace.name.starts_with("wifi") {
                assert_eq!(back, 0, "{}", trace.name);
            }
            if trace.name == "normal" {
                assert!(back > 1_000, "{back}");
            }
        }
    }
}
