//! Every system over every trace: base points, sweeps, and what they cost.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use paceline_jitter::JitterConfig;

use crate::curve::{delay_at, envelope};
use crate::libwebrtc::Libwebrtc;
use crate::marker::{Cost, Run};
use crate::metrics::{Summary, measure};
use crate::ours::{self, Setup};
use crate::trace::Trace;
use crate::{clock, neteq_crate, oracle};

/// Names of the systems, as tables, plots and JSON have them.
pub(crate) const OURS: &str = "ours";
/// Ours as the library is if nobody configures it: no goal is read from it.
pub(crate) const OURS_DEFAULTS: &str = "ours, defaults";
/// Ours by NetEQ's knob, the minimum delay: for comparison, no goal is read from it.
pub(crate) const OURS_BY_MINIMUM: &str = "ours by minimum";
pub(crate) const NETEQ: &str = "NetEQ";
pub(crate) const NETEQ_CRATE: &str = "neteq crate";
pub(crate) const CONSTANT: &str = "constant oracle";
pub(crate) const SLEWED: &str = "slewed oracle";
pub(crate) const FREE: &str = "free oracle";

/// What runs beside ours.
pub(crate) struct Peers {
    /// None where it could not be built.
    pub(crate) libwebrtc: Option<Libwebrtc>,
    pub(crate) speech: Arc<[f32]>,
}

impl Peers {
    /// libwebrtc's NetEQ over `trace`, delays in ms; what fails is said, and is none.
    pub(crate) fn libwebrtc(&self, trace: &Trace, min_ms: u32, max_ms: u32) -> Option<Run> {
        let result = self.libwebrtc.as_ref()?.run(trace, min_ms, max_ms);
        result.inspect_err(|error| eprintln!("{}: {NETEQ}: {error}", trace.name)).ok()
    }

    /// The `neteq` crate over `trace`; what fails, or panics, is said, and is none.
    pub(crate) fn neteq_crate(&self, trace: &Trace, max_ms: u32) -> Option<Run> {
        let run = AssertUnwindSafe(|| neteq_crate::run(trace, &self.speech, max_ms));
        let result = catch_unwind(run);
        // A panic leaves this thread's clock where it was.
        clock::set(None);
        match result {
            Ok(Ok(run)) => Some(run),
            Ok(Err(error)) => {
                eprintln!("{}: {NETEQ_CRATE}: {error}", trace.name);
                None
            }
            Err(_) => {
                eprintln!("{}: {NETEQ_CRATE} panicked", trace.name);
                None
            }
        }
    }
}

/// One configuration of a system on one trace.
pub(crate) struct Point {
    /// What is swept: ms, in its system's own meaning.
    pub(crate) param: f64,
    pub(crate) summary: Summary,
}

/// One system's sweep over one trace.
pub(crate) struct Curve {
    pub(crate) system: &'static str,
    pub(crate) points: Vec<Point>,
}

impl Curve {
    pub(crate) fn envelope(&self) -> Vec<(f64, f64)> {
        let points = self.points.iter().map(|point| (point.summary.late, point.summary.mean));
        envelope(&points.collect::<Vec<_>>())
    }

    /// Mean delay in ms at `late` %.
    pub(crate) fn delay_at(&self, late: f64) -> Option<f64> {
        delay_at(&self.envelope(), late)
    }
}

/// A system at the point from which it is swept, or without a sweep.
pub(crate) struct Default {
    pub(crate) system: String,
    pub(crate) summary: Summary,
    pub(crate) run: Run,
}

/// All systems on one trace.
pub(crate) struct TraceResult {
    pub(crate) trace: Trace,
    pub(crate) defaults: Vec<Default>,
    pub(crate) curves: Vec<Curve>,
    /// What was left out, and why.
    pub(crate) notes: Vec<String>,
}

impl TraceResult {
    pub(crate) fn curve(&self, system: &str) -> Option<&Curve> {
        self.curves.iter().find(|curve| curve.system == system)
    }

    pub(crate) fn default(&self, system: &str) -> Option<&Default> {
        self.defaults.iter().find(|default| default.system == system)
    }

    /// Late losses in % at which its curves are read: rare ones need many packets.
    pub(crate) fn losses(&self) -> &'static [f64] {
        if self.trace.packets.len() >= MANY_PACKETS { &LOSSES } else { &LOSSES[2..] }
    }
}

/// Runs all of it on two threads.
pub(crate) fn compare(traces: Vec<Trace>, peers: &Peers) -> Vec<TraceResult> {
    let next = AtomicUsize::new(0);
    let results = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                while let Some(trace) = traces.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let result = one(trace, peers);
                    eprintln!("{}: {} packets", trace.name, trace.packets.len());
                    results.lock().unwrap_or_else(PoisonError::into_inner).push(result);
                }
            });
        }
    });
    let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    let place = |name: &str| traces.iter().position(|trace| trace.name == name);
    results.sort_by_key(|result| place(&result.trace.name));
    results
}

fn one(trace: &Trace, peers: &Peers) -> TraceResult {
    let mut defaults = Vec::new();
    let mut default = |system: &str, run: Run| {
        let summary = measure(trace, &run);
        defaults.push(Default { system: system.to_owned(), summary, run });
    };
    let mut curves = Vec::new();

    let cost = Some(ours::cost(trace, Setup::default()));
    default(OURS, Run { cost, ..ours::run(trace, Setup::default()) });
    default(OURS_DEFAULTS, ours::run_with(trace, JitterConfig::default()));
    let point = |param: f64, run: &Run| Point { param, summary: measure(trace, run) };
    let prices = PRICES_MS.iter().map(|&price| {
        let setup = Setup { loss_price_ms: Some(price), ..Setup::default() };
        point(price, &ours::run(trace, setup))
    });
    curves.push(Curve { system: OURS, points: prices.collect() });
    let minima = MIN_DELAYS_MS.iter().map(|&min_ms| {
        let setup = Setup { min_delay_ms: f64::from(min_ms), ..Setup::default() };
        point(f64::from(min_ms), &ours::run(trace, setup))
    });
    curves.push(Curve { system: OURS_BY_MINIMUM, points: minima.collect() });

    let mut points = Vec::new();
    for min_ms in MIN_DELAYS_MS {
        let Some(run) = peers.libwebrtc(trace, min_ms, 0) else { break };
        points.push(point(f64::from(min_ms), &run));
        if min_ms == 0 {
            default(NETEQ, run);
        }
    }
    if !points.is_empty() {
        curves.push(Curve { system: NETEQ, points });
    }
    if let Some(run) = peers.neteq_crate(trace, 0) {
        default(NETEQ_CRATE, run);
    }
    for delay_ms in FIXED_MS {
        default(&format!("fixed {delay_ms} ms"), oracle::fixed(trace, delay_ms));
    }
    let constants = CONSTANT_LATE.iter().map(|&late| {
        let delay_ms = oracle::constant(trace, late);
        point(delay_ms, &oracle::fixed(trace, delay_ms))
    });
    curves.push(Curve { system: CONSTANT, points: constants.collect() });
    let mut slewed = Vec::new();
    let mut nearest: Option<(f64, Run)> = None;
    for price in oracle_prices() {
        let Some(run) = oracle::slewed(trace, price) else { break };
        let point = point(price, &run);
        let off = (point.summary.late - 1.0).abs();
        if nearest.as_ref().is_none_or(|(best, _)| off < *best) {
            nearest = Some((off, run));
        }
        slewed.push(point);
    }
    let mut notes = Vec::new();
    if let Some((_, run)) = nearest {
        default(SLEWED, run);
        curves.push(Curve { system: SLEWED, points: slewed });
    } else {
        let most = oracle::MAX_TABLE / 1_000_000;
        notes.push(format!("without the {SLEWED}: its table would be above {most} MB"));
    }
    let free = oracle_prices().map(|price| {
        let (late, mean) = oracle::free(trace, price);
        Point { param: price, summary: Summary { late, mean, ..Summary::default() } }
    });
    curves.push(Curve { system: FREE, points: free.collect() });
    TraceResult { trace: trace.clone(), defaults, curves, notes }
}

/// Cost of each system on `trace`, one after the other.
pub(crate) fn costs(trace: &Trace, peers: &Peers) -> Vec<(&'static str, Cost)> {
    let mut runs: Vec<Cost> = (0..COST_RUNS).map(|_| ours::cost(trace, Setup::default())).collect();
    runs.sort_by(|a, b| a.insert_ns.total_cmp(&b.insert_ns));
    let mut costs = vec![(OURS, runs[COST_RUNS / 2])];
    let theirs =
        [(NETEQ, peers.libwebrtc(trace, 0, 0)), (NETEQ_CRATE, peers.neteq_crate(trace, 0))];
    costs.extend(theirs.into_iter().filter_map(|(system, run)| Some((system, run?.cost?))));
    costs
}

/// What a late packet costs the moving oracles, in ms of delay of one packet: a factor of
/// about 1.5 between them.
fn oracle_prices() -> impl Iterator<Item = f64> {
    (4..=28).map(|n| 2_f64.powf(f64::from(n) / 1.75))
}

/// The late losses in % at which curves are compared.
pub(crate) const LOSSES: [f64; 3] = [0.1, 0.5, 1.0];

/// From here on 0.1 % is twenty packets or more.
pub(crate) const MANY_PACKETS: usize = 20_000;

/// Ours is swept over what 1 % of late loss is worth in ms.
const PRICES_MS: [f64; 17] =
    [0.5, 1.0, 2.0, 3.0, 5.0, 8.0, 12.0, 20.0, 35.0, 50.0, 80.0, 150.0, 350.0, 1e3, 3e3, 1e4, 1e5];

/// NetEQ is swept over its minimum delay in ms; 0 is its default.
const MIN_DELAYS_MS: [u32; 14] = [0, 20, 40, 60, 80, 100, 120, 150, 180, 220, 270, 330, 400, 500];

const FIXED_MS: [f64; 3] = [60.0, 100.0, 200.0];

/// The constant oracle is swept over the late loss it may have, in %.
const CONSTANT_LATE: [f64; 12] = [0.0, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0];

/// A core that others use as well makes single runs differ by a fifth.
const COST_RUNS: usize = 7;

/// What this machine is said to have.
const THREADS: usize = 2;
