//! The goals of the jitter buffer, each beside what was measured in this run.

use std::fmt;

use crate::compare::{Curve, LOSSES, NETEQ, OURS, TraceResult};
use crate::curve::{LEAST_LATE, Pair, Sweep, delay_at, envelope, geometric_mean, ratio_interval};
use crate::marker::Cost;
use crate::metrics::{BLOCK_MS, BlockSums, quantile};
use crate::pathology::{CAP, CAP_MS, CLEAN_MIN, CaseResult, MIN_MS, STAMPS, STEP, STEP_AT_MS};

/// One goal.
pub(crate) struct Goal {
    pub(crate) id: &'static str,
    pub(crate) goal: String,
    pub(crate) measured: String,
    /// None if it could not be measured here.
    pub(crate) met: Option<bool>,
}

/// Where two curves are compared.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum At {
    /// At this late loss in %, on the traces that are long enough to tell it.
    Late(f64),
    /// At the late loss that NetEQ has by default, trace by trace; no less than 0.1 %.
    NetEq,
}

impl At {
    /// All of them.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        LOSSES.into_iter().map(Self::Late).chain([Self::NetEq])
    }

    fn on(self, result: &TraceResult) -> Option<f64> {
        match self {
            Self::Late(late) => result.losses().contains(&late).then_some(late),
            Self::NetEq => {
                result.default(NETEQ).map(|default| default.summary.late.max(LEAST_LATE))
            }
        }
    }
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Late(late) => write!(f, "{late} % late"),
            Self::NetEq => f.write_str("NetEQ's loss"),
        }
    }
}

/// One system's delay against NetEQ's.
pub(crate) struct Ratio {
    pub(crate) at: At,
    /// Per trace that both reach.
    pub(crate) traces: Vec<(String, f64)>,
    /// Traces on which NetEQ reaches that loss and the system does not: none is in the mean.
    pub(crate) unreached: Vec<String>,
    pub(crate) mean: Option<f64>,
    pub(crate) interval: Option<(f64, f64)>,
    /// Of the sums over all traces, point by point of the sweeps.
    pub(crate) pooled: Option<f64>,
}

/// Ratios of the delay of `system` to NetEQ's over the results that `take` says.
pub(crate) fn ratios(
    results: &[TraceResult],
    system: &str,
    take: impl Fn(&TraceResult) -> bool,
) -> Vec<Ratio> {
    let ratio = |at: At| {
        let of: Vec<(&TraceResult, f64)> = results
            .iter()
            .filter(|result| take(result))
            .filter_map(|result| Some((result, at.on(result)?)))
            .collect();
        let (mut traces, mut unreached, mut pairs) = (Vec::new(), Vec::new(), Vec::new());
        for &(result, late) in &of {
            let (Some(ours), Some(theirs)) = (result.curve(system), result.curve(NETEQ)) else {
                continue;
            };
            match (ours.delay_at(late), theirs.delay_at(late)) {
                (Some(a), Some(b)) if b > 0.0 => {
                    // A delay of nothing has no logarithm; a microsecond is near enough.
                    traces.push((result.trace.name.clone(), a.max(1e-3) / b));
                    let fixed = (at != At::NetEq).then_some(late);
                    pairs.push(Pair { ours: ours.sweep(), theirs: theirs.sweep(), late: fixed });
                }
                (None, Some(_)) => unreached.push(result.trace.name.clone()),
                _ => {}
            }
        }
        let values: Vec<f64> = traces.iter().map(|&(_, ratio)| ratio).collect();
        let of: Vec<&TraceResult> = of.into_iter().map(|(result, _)| result).collect();
        let pooled = match at {
            At::Late(late) => pooled(&of, system, late).zip(pooled(&of, NETEQ, late)),
            At::NetEq => None,
        };
        Ratio {
            at,
            mean: geometric_mean(&values),
            interval: ratio_interval(&pairs),
            pooled: pooled.map(|(ours, theirs)| ours / theirs),
            traces,
            unreached,
        }
    };
    At::all().map(ratio).collect()
}

/// Mean delay at `late` % when every trace is played with one parameter.
fn pooled(results: &[&TraceResult], system: &str, late: f64) -> Option<f64> {
    let curves: Vec<_> = results.iter().filter_map(|result| result.curve(system)).collect();
    let points = curves.iter().map(|curve| curve.points.len()).min()?;
    let sums = (0..points).map(|index| {
        let mut sums = BlockSums::default();
        let blocks = curves.iter().flat_map(|curve| &curve.points[index].summary.blocks);
        blocks.for_each(|block| sums.add(block));
        (sums.late(), sums.mean())
    });
    delay_at(&envelope(&sums.collect::<Vec<_>>()), late)
}

/// J1 to J6.
pub(crate) fn goals(
    results: &[TraceResult],
    cases: &[CaseResult],
    costs: &[(&'static str, Cost)],
) -> Vec<Goal> {
    let mut goals = Vec::new();
    j1(results, &mut goals);
    j2_to_j4(results, cases, &mut goals);
    j5(costs, &mut goals);
    goals.extend(cases.iter().find(|case| case.name == STEP).and_then(j6));
    goals
}

fn j1(results: &[TraceResult], goals: &mut Vec<Goal>) {
    for ratio in ratios(results, OURS, |result| result.trace.judged) {
        let worst = ratio.traces.iter().max_by(|a, b| a.1.total_cmp(&b.1));
        if ratio.traces.is_empty() && ratio.unreached.is_empty() && ratio.at != At::Late(1.0) {
            // No judged trace is long enough.
            continue;
        }
        let goal = format!("at {}: mean delay ≤ 0.80 × NetEQ, ≤ 1.05 × on any", ratio.at);
        let mut measured = match (ratio.mean, worst) {
            (Some(mean), Some((name, worst))) => {
                let interval = ratio
                    .interval
                    .map_or(String::new(), |(low, high)| format!(" [{low:.3}, {high:.3}]"));
                let count = ratio.traces.len();
                format!("{mean:.3}{interval} over {count} traces, worst {worst:.3} on {name}")
            }
            _ => "no trace on which both reach it".to_owned(),
        };
        if !ratio.unreached.is_empty() {
            measured += &format!("; ours does not reach it on {}", ratio.unreached.join(", "));
        }
        let met = match (ratio.mean, worst) {
            _ if !ratio.unreached.is_empty() => Some(false),
            (Some(mean), Some((_, worst))) => Some(mean <= 0.80 && *worst <= 1.05),
            _ => None,
        };
        goals.push(Goal { id: "J1", goal, measured, met });
    }
}

fn j2_to_j4(results: &[TraceResult], cases: &[CaseResult], goals: &mut Vec<Goal>) {
    let ours =
        |name: &str| cases.iter().find(|case| case.name == name).and_then(|case| case.ours());
    if let Some((_, summary, _)) = ours(CAP) {
        goals.push(Goal {
            id: "J2",
            goal: format!("delay ≤ {} ms with a cap of {CAP_MS}", CAP_MS + 20),
            measured: format!("p95 {:.1} ms, max {:.1} ms", summary.p95, summary.max),
            met: Some(summary.max <= f64::from(CAP_MS + 20)),
        });
    }
    if let Some((_, summary, run)) = ours(CLEAN_MIN) {
        let off = (summary.max - MIN_MS).abs().max((summary.mean - MIN_MS).abs());
        goals.push(Goal {
            id: "J2",
            goal: format!("a clean stream plays at exactly the minimum of {MIN_MS} ms"),
            measured: format!("off by ≤ {off:.3} ms over {} packets", run.markers.len()),
            met: Some(off < 0.001 && !run.markers.is_empty()),
        });
    }
    if let Some((_, summary, _)) = ours(STAMPS) {
        goals.push(Goal {
            id: "J3",
            goal: "0 % concealed under timestamps ±8 samples".to_owned(),
            measured: format!("{:.3} %", summary.concealed),
            met: Some(summary.concealed == 0.0),
        });
    }
    let summaries = results
        .iter()
        .filter_map(|result| Some((&result.trace.name, &result.default(OURS)?.summary)))
        .chain(cases.iter().filter_map(|case| Some((&case.name, &case.ours()?.1))));
    let (mut order, mut twice, mut unsaid, mut wrong) = (0, 0, 0, 0);
    let mut at_fault = Vec::new();
    for (name, summary) in summaries {
        let faults =
            summary.out_of_order + summary.duplicated + summary.unreported + summary.misreported;
        if faults > 0 {
            at_fault.push(name.as_str());
        }
        order += summary.out_of_order;
        twice += summary.duplicated;
        unsaid += summary.unreported;
        wrong += summary.misreported;
    }
    let different: Vec<&str> =
        cases.iter().filter(|case| !case.same_at_wraps).map(|case| case.name.as_str()).collect();
    let mut measured = format!(
        "{order} out of order, {twice} played twice, {unsaid} unsaid, {wrong} said wrongly"
    );
    if !at_fault.is_empty() {
        measured += &format!(" (on {})", at_fault.join(", "));
    }
    measured += &match different.as_slice() {
        [] => "; the same".to_owned(),
        _ => format!("; not the same at every offset: {}", different.join(", ")),
    };
    goals.push(Goal {
        id: "J4",
        goal: "0 out of order, 0 played twice, every loss said once, the same wherever it wraps"
            .to_owned(),
        measured,
        met: Some(at_fault.is_empty() && different.is_empty()),
    });
}

fn j5(costs: &[(&'static str, Cost)], goals: &mut Vec<Goal>) {
    let Some((_, cost)) = costs.iter().find(|(system, _)| *system == OURS) else {
        return;
    };
    let allocations = cost.insert_allocations + cost.poll_allocations;
    goals.push(Goal {
        id: "J5",
        goal: "0 allocations, insert ≤ 40 ns, poll ≤ 40 ns, ≤ 8 KiB".to_owned(),
        measured: format!(
            "{allocations} allocations, insert {:.1} ns, poll {:.1} ns, {:.1} KiB",
            cost.insert_ns,
            cost.poll_ns,
            cost.bytes / 1024.0
        ),
        met: Some(
            allocations == 0.0
                && cost.insert_ns <= 40.0
                && cost.poll_ns <= 40.0
                && cost.bytes <= 8.0 * 1024.0,
        ),
    });
}

/// The optimum after the step is the constant delay at which 1 % would be late.
fn j6(case: &CaseResult) -> Option<Goal> {
    let (_, summary, run) = case.ours()?;
    let base_ms = case.trace.truth.base_ms;
    let mut after: Vec<f64> = case
        .trace
        .truth
        .sent
        .iter()
        .filter(|sent| sent.media_ms >= STEP_AT_MS)
        .filter_map(|sent| sent.relative_ms)
        .collect();
    after.sort_by(f64::total_cmp);
    let optimum = quantile(&after, 0.99);
    let off = run
        .markers
        .iter()
        .filter(|marker| marker.media_ms >= STEP_AT_MS)
        .filter(|marker| {
            let delay = marker.play_ms - marker.media_ms - base_ms;
            (delay - optimum).abs() > 20.0
        })
        .map(|marker| marker.media_ms + case.trace.packet_ms - STEP_AT_MS)
        .fold(0.0, f64::max);
    let whole: f64 = summary.blocks.iter().map(|block| block.concealed + block.skipped).sum();
    let before = (STEP_AT_MS / BLOCK_MS) as usize;
    let early: f64 =
        summary.blocks.iter().take(before).map(|block| block.concealed + block.skipped).sum();
    let concealed = whole - early;
    // A packet is either played or not: the last of the step may be one more.
    let allowed = 80.0 + case.trace.packet_ms;
    Some(Goal {
        id: "J6",
        goal: format!("+80 ms step: conceal ≤ {allowed} ms, within 20 ms of the optimum in 3 s"),
        measured: format!("concealed {concealed:.0} ms, within 20 ms after {:.2} s", off / 1e3),
        met: Some(concealed <= allowed && off <= 3_000.0),
    })
}

impl Curve {
    fn sweep(&self) -> Sweep<'_> {
        self.points.iter().map(|point| &point.summary.blocks[..]).collect()
    }
}
