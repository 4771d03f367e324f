//! What a member would be worth as host.

use std::time::Duration;

use paceline_types::SenderId;

use super::JudgeConfig;
use super::figures::Figures;

/// What a member would be worth as host, as the others measured him.
///
/// Points are hundredths: 30,000 is a host from whom the slowest member gets the whole mix at
/// once. They begin with the part of the mix that his usable uplink carries to everybody, and
/// the rest takes its part off, each bounded, so that none drowns the others:
///
/// | term | of 300 points | takes off |
/// |---|---|---|
/// | usable uplink ÷ (others × mix) | 0–300 | – |
/// | the 95th percentile of his round trips | – | 0 to 30 %, the most at 400 ms |
/// | frames of his that were lost | – | 0 to 30 %, the most at 10 % |
/// | a relay between him and us | – | 10 % |
/// | no headroom of his processor | – | 0 to 20 %, nothing at a quarter and more |
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Score {
    /// Whose.
    pub member: SenderId,
    /// 0–30,000: hundredths of a point.
    pub points: u16,
    /// The documented simple form, 0–30,000 too: `kbit/s ÷ 10 + (100 − loss %) +
    /// (100 − min(ms, 100))`, each of the three at most 100. It decides nothing.
    pub baseline: u16,
    /// What his uplink carries, in kbit/s.
    pub capacity: u32,
    /// The part of his frames that was lost, as a fraction of 65,536.
    pub loss: u32,
    /// The 95th percentile of round trips to him.
    pub rtt: Duration,
    /// How many measured his uplink.
    pub receivers: usize,
}

/// What is known of a member at first hand, by whoever judges.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sight {
    pub(super) relayed: bool,
    /// In percent.
    pub(super) headroom: Option<u8>,
}

impl Score {
    pub(super) fn of(
        member: SenderId,
        figures: Figures,
        sight: Sight,
        others: usize,
        config: &JudgeConfig,
    ) -> Self {
        Self {
            member,
            points: points(figures, sight, others, config),
            baseline: baseline(figures),
            capacity: figures.capacity,
            loss: figures.loss,
            rtt: Duration::from_micros(figures.tail.into()),
            receivers: figures.receivers,
        }
    }
}

fn points(figures: Figures, sight: Sight, others: usize, config: &JudgeConfig) -> u16 {
    let usable = u128::from(figures.capacity) * 1_000 * u128::from(config.usable.min(100)) / 100;
    let egress = u128::from(config.mix_bitrate.bps()) * others.max(1) as u128;
    let share = (usable * u128::from(FULL) / egress.max(1)).min(FULL.into());
    let relay = if sight.relayed { RELAY_COST } else { 0 };
    let cost = delay_cost(figures.tail) + loss_cost(figures.loss) + relay + busy_cost(sight);
    let points = share * u128::from(WHOLE - cost) / u128::from(WHOLE);
    u16::try_from(points).unwrap_or(u16::MAX)
}

/// ITU-T G.107's delay term in the form of Cole and Rosenbluth (2001), 0.024 a millisecond
/// and 0.11 more beyond 177.3, as a part of the rating without it. Two members who are as far
/// from the host hear each other a whole round trip, mixing and playout later.
fn delay_cost(rtt: u32) -> u64 {
    let rtt = u64::from(rtt);
    let beyond = rtt.saturating_sub(177_300 - PLAYOUT);
    ((24 * rtt + 110 * beyond) * 10 / RATING).min(DELAY_COST)
}

/// ITU-T G.107 §7.5's loss term, 95 · p ÷ (p + Bpl), p in percent, as a part of the rating
/// without it.
fn loss_cost(loss: u32) -> u64 {
    let loss = 100 * u64::from(loss);
    (95 * 1_000 * WHOLE * loss / (RATING * (loss + 65_536 * LOSS_ROBUSTNESS))).min(LOSS_COST)
}

fn busy_cost(sight: Sight) -> u64 {
    let left = sight.headroom.map_or(HEADROOM_ENOUGH, u64::from).min(HEADROOM_ENOUGH);
    BUSY_COST * (HEADROOM_ENOUGH - left) / HEADROOM_ENOUGH
}

fn baseline(figures: Figures) -> u16 {
    let rate = (u64::from(figures.capacity) * 10).min(TERM);
    let loss = u64::from(figures.loss) * TERM / 65_536;
    let rtt = u64::from(figures.rtt) / 10;
    let sum = rate + TERM.saturating_sub(loss) + TERM.saturating_sub(rtt);
    u16::try_from(sum).unwrap_or(u16::MAX)
}

/// 300 points, in hundredths: what goes over the wire.
const FULL: u32 = 30_000;

/// 100 points, in hundredths: each term of the baseline at most.
const TERM: u64 = 10_000;

/// What the costs are parts of.
const WHOLE: u64 = 10_000;

/// ITU-T G.107: 93.2 by default, less 2.4 for the delay of [`PLAYOUT`]; in thousandths.
const RATING: u64 = 90_800;

/// What mixing and two playout buffers take, in µs: 100 ms, the delay that the playout crate
/// aims at on a good line, all in all.
const PLAYOUT: u64 = 100_000;

/// Bpl, in percent: between G.711 with concealment (25.1, ITU-T G.113 Appendix I) and
/// low-rate codecs (16 to 19).
const LOSS_ROBUSTNESS: u64 = 20;

/// 40 %, reached at round trips of 336 ms: enough for a handover by itself,
/// 1 ÷ 0.6 > 1.2, and not so much that a host with half the uplink is better.
const DELAY_COST: u64 = 4_000;

/// 30 %, reached at 8 % of loss: enough for a handover by itself, 1 ÷ 0.7 > 1.2.
const LOSS_COST: u64 = 3_000;

/// 10 %: somebody else pays for it, and what it does to delay and rate is measured already;
/// so not enough for a handover by itself, 1 ÷ 0.9 < 1.2.
const RELAY_COST: u64 = 1_000;

/// 17 %: just enough for a handover by itself, 1 ÷ 0.83 > 1.2, when nothing is left. With the
/// others it is 97 %: who carries the whole mix is never worth nothing.
const BUSY_COST: u64 = 1_700;

/// A quarter, in percent: what is left has to carry a burst of keyframes, which take about
/// twice what other pictures do.
const HEADROOM_ENOUGH: u64 = 25;
