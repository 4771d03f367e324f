//! Delays chosen in hindsight: fixed ones, the best constant, and the best that moves.
//!
//! A packet plays at base + media time + delay, or not at all if it came later. The base is
//! the trace's true minimum, which no real buffer knows at the start.

use crate::marker::{Marker, Run};
use crate::metrics::{STRETCH, quantile};
use crate::trace::{Sent, Trace};

/// Plays every packet `delay_ms` after the least delay of the trace.
pub(crate) fn fixed(trace: &Trace, delay_ms: f64) -> Run {
    play(trace, |_| delay_ms)
}

/// The least constant delay at which at most `late` % of what was sent is late, in ms.
pub(crate) fn constant(trace: &Trace, late: f64) -> f64 {
    let mut delays: Vec<f64> = arrived(trace).collect();
    delays.sort_by(f64::total_cmp);
    let may_be_late = (late / 100.0 * trace.truth.sent.len() as f64 + 1e-9) as usize;
    let kept = delays.len().saturating_sub(may_be_late).max(1);
    quantile(&delays, kept as f64 / delays.len() as f64)
}

/// A delay for each second of media, free to jump between: the one that costs least if a
/// late packet costs `price_ms` of delay of one packet. Late % and mean delay in ms.
///
/// Nobody pays for its jumps, so it is a bound and no buffer.
pub(crate) fn free(trace: &Trace, price_ms: f64) -> (f64, f64) {
    let (mut late, mut played, mut delay) = (0_usize, 0_usize, 0.0);
    let origin = trace.truth.sent.first().map_or(0.0, |sent| sent.media_ms);
    let second = |sent: &Sent| ((sent.media_ms - origin) / FREE_WINDOW_MS) as i64;
    for window in trace.truth.sent.chunk_by(|a, b| second(a) == second(b)) {
        let mut delays: Vec<f64> = window.iter().filter_map(|sent| sent.relative_ms).collect();
        delays.sort_by(f64::total_cmp);
        let cost = |kept: usize| {
            let at = if kept == 0 { 0.0 } else { delays[kept - 1] };
            at * kept as f64 + price_ms * (delays.len() - kept) as f64
        };
        let best = (0..=delays.len()).min_by(|&a, &b| cost(a).total_cmp(&cost(b)));
        let kept = best.unwrap_or(0);
        late += delays.len() - kept;
        played += kept;
        delay += if kept == 0 { 0.0 } else { delays[kept - 1] * kept as f64 };
    }
    let share = 100.0 * late as f64 / trace.truth.sent.len() as f64;
    (share, if played == 0 { 0.0 } else { delay / played as f64 })
}

/// A delay that moves by up to 5 % per packet: the track that costs least if a late packet
/// costs `price_ms` of delay of one packet, found by dynamic programming. None if that would
/// take more than [`MAX_TABLE`].
pub(crate) fn slewed(trace: &Trace, price_ms: f64) -> Option<Run> {
    let track = slewed_track(trace, price_ms)?;
    Some(play(trace, |index| track[index]))
}

fn slewed_track(trace: &Trace, price_ms: f64) -> Option<Vec<f64>> {
    let step = STRETCH * trace.packet_ms;
    let most = arrived(trace).fold(0.0, f64::max);
    let levels = ((most / step).ceil() as usize + 1).min(MAX_LEVELS);
    let table = levels.checked_mul(trace.truth.sent.len()).filter(|&table| table <= MAX_TABLE)?;
    // From the last packet to the first: the cost to come, then the way from the front.
    let mut to_come = vec![0.0_f64; levels];
    let mut here = vec![0.0_f64; levels];
    let mut choices = vec![0_i8; table];
    for (index, sent) in trace.truth.sent.iter().enumerate().rev() {
        let row = &mut choices[index * levels..][..levels];
        let in_time = sent.relative_ms.map_or(0, |ms| (ms / step - 1e-9).ceil().max(0.0) as usize);
        for level in 0..levels {
            let mut best = (to_come[level], 0);
            if level > 0 && to_come[level - 1] < best.0 {
                best = (to_come[level - 1], -1);
            }
            if level + 1 < levels && to_come[level + 1] < best.0 {
                best = (to_come[level + 1], 1);
            }
            let late = if level < in_time { price_ms } else { 0.0 };
            row[level] = best.1;
            here[level] = best.0 + level as f64 * step + late;
        }
        std::mem::swap(&mut to_come, &mut here);
    }
    let first = (0..levels).min_by(|&a, &b| to_come[a].total_cmp(&to_come[b]));
    let mut level = first.unwrap_or(0);
    let walk = choices.chunks(levels).map(|row| {
        let at = level as f64 * step;
        level = level.saturating_add_signed(isize::from(row[level]));
        at
    });
    Some(walk.collect())
}

/// Plays each packet that was sent at the delay of its index, if it is there by then.
fn play(trace: &Trace, delay_ms: impl Fn(usize) -> f64) -> Run {
    let first = trace.packets.iter().map(|packet| packet.seq).min().unwrap_or(0);
    let mut run = Run { reported: Some(Vec::new()), ..Run::default() };
    for (index, sent) in trace.truth.sent.iter().enumerate() {
        let seq = first + index as i64;
        let delay = delay_ms(index);
        if sent.relative_ms.is_some_and(|ms| ms <= delay + 1e-9) {
            run.markers.push(Marker {
                play_ms: trace.truth.base_ms + sent.media_ms + delay,
                wall_ms: trace.packet_ms,
                media_ms: sent.media_ms,
                squeezed_ms: 0.0,
                seq: Some(seq),
            });
        } else {
            run.reported.get_or_insert_default().push(seq);
        }
    }
    run
}

fn arrived(trace: &Trace) -> impl Iterator<Item = f64> {
    trace.truth.sent.iter().filter_map(|sent| sent.relative_ms)
}

/// The free oracle's delay changes this often: about a talkspurt.
const FREE_WINDOW_MS: f64 = 1_000.0;

/// Two seconds in steps of 1 ms: what comes later still is late for the slewed oracle.
const MAX_LEVELS: usize = 2_001;

/// Bytes of the slewed oracle's choices: with delays of two seconds, half an hour of packets
/// of 20 ms. Two threads have one each.
pub(crate) const MAX_TABLE: usize = 200_000_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::measure;
    use crate::random::Random;
    use crate::trace::{Packet, TICKS_PER_MS};

    fn trace(delays: &[f64]) -> Trace {
        let packets = delays.iter().enumerate().map(|(n, delay)| Packet {
            arrival_us: n as i64 * 20_000 + (delay * 1e3) as i64,
            wire_seq: n as u16,
            wire_ts: n as u32 * 960,
            ssrc: 1,
            seq: n as i64,
            media_ms: (n * 960) as f64 / TICKS_PER_MS,
        });
        Trace::new("t", packets.collect(), Some(20.0))
    }

    fn random_delays(seed: u64, count: usize, most: usize) -> Vec<f64> {
        let mut random = Random::new(seed);
        let mut delays: Vec<f64> = (0..count).map(|_| random.below(most) as f64).collect();
        delays[0] = 0.0;
        delays
    }

    #[test]
    fn the_constant_oracle_is_the_least_of_all_constants() {
        for seed in 0..20 {
            let trace = trace(&random_delays(seed, 50, 80));
            for late in [0.0, 2.0, 10.0] {
                let brute = (0..80).map(f64::from).find(|&delay| {
                    let late_ones = arrived(&trace).filter(|&ms| ms > delay).count();
                    late_ones as f64 <= late / 100.0 * 50.0
                });
                assert_eq!(Some(constant(&trace, late)), brute, "seed {seed}, {late} %");
            }
        }
    }

    #[test]
    fn the_slewed_oracle_is_the_least_of_all_tracks() {
        for seed in 0..20 {
            let delays = random_delays(seed, 6, 5);
            let trace = trace(&delays);
            let cost = |track: &[f64]| {
                let late = track.iter().zip(&delays).filter(|(at, ms)| at < ms).count();
                track.iter().sum::<f64>() + 3.0 * late as f64
            };
            let mut brute = f64::MAX;
            for start in 0..5 {
                for moves in 0..3_i32.pow(5) {
                    let mut track = vec![f64::from(start)];
                    for n in 0..5 {
                        let step = f64::from(moves / 3_i32.pow(n) % 3 - 1);
                        track.push(track[n as usize] + step);
                    }
                    if track.iter().all(|&at| at >= 0.0) {
                        brute = brute.min(cost(&track));
                    }
                }
            }
            assert_eq!(cost(&slewed_track(&trace, 3.0).unwrap()), brute, "seed {seed}");
        }
    }

    #[test]
    fn the_slewed_oracle_is_measured_as_stretched_and_never_as_skipped() {
        let mut delays = vec![0.0; 100];
        delays[50] = 30.0;
        let summary = measure(&trace(&delays), &slewed(&trace(&delays), 1e6).unwrap());
        assert_eq!((summary.late, summary.skipped, summary.max), (0.0, 0.0, 30.0));
        assert!(summary.stretched > 50.0, "{summary:?}");
    }

    #[test]
    fn the_slewed_oracle_takes_no_more_memory_than_it_may() {
        let mut delays = vec![0.0; MAX_TABLE / MAX_LEVELS + 1];
        delays[1] = 1e6;
        assert!(slewed(&trace(&delays), 10.0).is_none());
    }

    #[test]
    fn the_free_oracle_is_the_least_of_all_choices_in_a_second() {
        for seed in 0..20 {
            let delays = random_delays(seed, 40, 60);
            let (late, mean) = free(&trace(&delays), 90.0);
            let kept = 40.0 - late * 0.4;
            let cost = mean * kept + 90.0 * (40.0 - kept);
            let brute = (0..60).map(f64::from).map(|at| {
                let kept = delays.iter().filter(|&&ms| ms <= at).count() as f64;
                at * kept + 90.0 * (40.0 - kept)
            });
            let brute = brute.fold(40.0 * 90.0, f64::min);
            assert!((cost - brute).abs() < 1e-6, "seed {seed}: {cost} {brute}");
        }
    }

    #[test]
    fn a_fixed_delay_loses_what_comes_later() {
        let summary =
            measure(&trace(&[0.0, 10.0, 70.0, 5.0]), &fixed(&trace(&[0.0, 10.0, 70.0, 5.0]), 60.0));
        assert_eq!((summary.mean, summary.late, summary.unreported), (60.0, 25.0, 0));
    }
}
