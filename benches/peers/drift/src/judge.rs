//! Runs every estimator over the same packets, and notes how far each was off.

use std::collections::BTreeMap;
use std::time::Instant;

use crate::noise::{PACKET, Path, Random, Stream};
use crate::peers::{Estimator, NAMES, Ours, others};
use crate::trace::Trace;

/// Estimators by name.
type Others = Vec<(&'static str, Box<dyn Estimator>)>;

/// Seconds after which the estimates are taken.
pub const WINDOWS: [f64; 9] = [0.2, 1.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0];

/// Who sends.
#[derive(Clone, Copy)]
pub struct Senders {
    pub count: u64,
    pub drift: Option<f64>,
    /// Every other sender is off the other way.
    pub both_ways: bool,
}

impl Senders {
    fn drift(self, seed: u64) -> f64 {
        let drift = self.drift.unwrap_or_else(|| Random::new(seed ^ 0x0064_7269_6674).drift());
        if self.both_ways && seed % 2 == 1 { -drift } else { drift }
    }
}

/// The errors of all estimators over one kind of delay.
pub struct Judged {
    pub name: String,
    /// By name, a root mean square for each window, in ppm.
    pub errors: BTreeMap<&'static str, [f64; WINDOWS.len()]>,
    /// The Cramér–Rao bound, where there is one.
    pub bound: [Option<f64>; WINDOWS.len()],
    /// The share of the stated intervals that hold the truth.
    pub coverage: [f64; WINDOWS.len()],
    /// The mean standard error that ours states of what it measured.
    pub stated: [f64; WINDOWS.len()],
}

/// Sums of squares and counts, until all senders are through.
struct Sums {
    squares: BTreeMap<&'static str, [f64; WINDOWS.len()]>,
    held: [f64; WINDOWS.len()],
    stated: [f64; WINDOWS.len()],
    count: f64,
    /// Who else is played to.
    others: fn() -> Others,
}

impl Sums {
    fn new(others: fn() -> Others) -> Self {
        let nothing = [0.0; WINDOWS.len()];
        Self { squares: BTreeMap::new(), held: nothing, stated: nothing, count: 0.0, others }
    }

    /// Plays packets to everyone and notes the errors at those of the windows.
    fn play(
        &mut self,
        packets: &[(f64, f64)],
        windows: std::ops::Range<usize>,
        truth: impl Fn(f64) -> f64,
    ) {
        let mut ours = Ours::new(Instant::now());
        let mut others = (self.others)();
        let mut window = windows.start;
        for (index, &(x, arrival)) in packets.iter().enumerate() {
            ours.take(x, arrival);
            for (_, other) in &mut others {
                other.take(x, arrival);
            }
            let next = packets.get(index + 1).map_or(f64::INFINITY, |packet| packet.0);
            while window < windows.end && next > WINDOWS[window] - 0.5 * PACKET {
                let drift = truth(WINDOWS[window]);
                let mut note = |name, ppm: f64| {
                    let squares = self.squares.entry(name).or_default();
                    squares[window] += (ppm - drift) * (ppm - drift);
                };
                let estimate = ours.drift.estimate();
                note(NAMES[0], ours.ppm());
                note("measured", estimate.measured);
                note("answer 0", 0.0);
                for (name, other) in &others {
                    note(name, other.ppm());
                }
                let (low, high) = estimate.interval95();
                self.held[window] += f64::from(u8::from((low..=high).contains(&drift)));
                self.stated[window] += estimate.error;
                window += 1;
            }
        }
    }

    fn judged(self, name: &str, bound: impl Fn(f64) -> Option<f64>) -> Judged {
        let count = self.count;
        let root = |squares: [f64; WINDOWS.len()]| squares.map(|sum| (sum / count).sqrt());
        Judged {
            name: name.to_owned(),
            errors: self.squares.into_iter().map(|(name, sums)| (name, root(sums))).collect(),
            bound: WINDOWS.map(bound),
            coverage: self.held.map(|held| held / count),
            stated: self.stated.map(|sum| sum / count),
        }
    }
}

/// Everyone on made-up delays.
pub fn generated(path: Path, name: &str, senders: Senders) -> Judged {
    generate(path, name, senders, Sums::new(others))
}

fn generate(path: Path, name: &str, senders: Senders, mut sums: Sums) -> Judged {
    for seed in 0..senders.count {
        let drift = senders.drift(seed);
        let mut play = |windows: std::ops::Range<usize>| {
            let length = WINDOWS[windows.end - 1];
            let mut stream = Stream::new(path, drift, seed, length);
            let packets: Vec<_> =
                (0..(length / PACKET).round() as usize).map(|_| stream.next()).collect();
            let ramp = if path == Path::Ramp { 1.0 / 60.0 } else { 0.0 };
            sums.play(&packets, windows, |seconds| drift + ramp * seconds);
        };
        if path == Path::Routes {
            // The routes change at the quarters of each window.
            (0..WINDOWS.len()).for_each(|window| play(window..window + 1));
        } else {
            play(0..WINDOWS.len());
        }
        sums.count += 1.0;
    }
    sums.judged(name, |seconds| path.bound((seconds / PACKET).round() as usize, seconds))
}

/// Everyone on delays from a recording.
pub fn recorded(trace: &Trace, senders: Senders) -> Judged {
    replay(trace, senders, Sums::new(others))
}

fn replay(trace: &Trace, senders: Senders, mut sums: Sums) -> Judged {
    let longest = WINDOWS[WINDOWS.len() - 1];
    for seed in 0..senders.count {
        let drift = senders.drift(seed);
        let packets = trace.play(drift, seed, longest);
        sums.play(&packets, 0..WINDOWS.len(), |_| drift);
        sums.count += 1.0;
    }
    sums.judged(&trace.name, |_| None)
}

/// How far ours is off when the sender hardly is, over how far answering 0 is.
pub struct Small {
    pub name: String,
    /// The drift of all senders in ppm, half of them fast and half slow.
    pub drift: f64,
    pub over_zero: [f64; WINDOWS.len()],
}

/// All paths and recordings at drifts of 20 and 50 ppm, either way.
pub fn small(traces: &[Trace], senders: Senders) -> Vec<Small> {
    let at = |drift: f64| {
        let senders = Senders { drift: Some(drift), both_ways: true, ..senders };
        let generated = Path::ALL
            .iter()
            .map(move |&(path, name)| generate(path, name, senders, Sums::new(Vec::new)));
        let recorded = traces.iter().map(move |trace| replay(trace, senders, Sums::new(Vec::new)));
        generated.chain(recorded).map(move |judged| Small {
            over_zero: std::array::from_fn(|window| {
                judged.errors[NAMES[0]][window] / judged.errors["answer 0"][window]
            }),
            name: judged.name,
            drift,
        })
    };
    [20.0, 50.0].into_iter().flat_map(at).collect()
}

/// What a step of 50 ms after 60 s does to our estimate.
pub struct Step {
    pub name: &'static str,
    /// The farthest that any sender's estimate moved within 30 s, in its sigmas before.
    pub worst: f64,
    /// The root mean square of the farthest of each.
    pub usual: f64,
    /// The share of senders whose step was reported as one level shift.
    pub reported: f64,
}

/// A step up and down, over three kinds of delay.
pub fn steps(senders: Senders) -> Vec<Step> {
    [Path::Gaussian, Path::Exponential, Path::Gamma]
        .into_iter()
        .flat_map(|path| [(path, 50e3), (path, -50e3)])
        .map(|(path, step)| one_step(path, step, senders))
        .collect()
}

fn one_step(path: Path, step: f64, senders: Senders) -> Step {
    let (mut worst, mut squares, mut reported) = (0.0_f64, 0.0, 0.0);
    for seed in 0..senders.count {
        let mut stream = Stream::new(path, senders.drift(seed), seed, 90.0);
        let mut ours = Ours::new(Instant::now());
        let mut before = None;
        let mut most = 0.0_f64;
        for _ in 0..4_500 {
            let (x, arrival) = stream.next();
            ours.take(x, arrival + 100e3 + if x >= 60.0 { step } else { 0.0 });
            let estimate = ours.drift.estimate();
            if x >= 60.0 {
                let (ppm, sigma) = *before.get_or_insert((estimate.ppm, estimate.sigma));
                most = most.max((estimate.ppm - ppm).abs() / sigma);
            }
        }
        worst = worst.max(most);
        squares += most * most;
        reported += f64::from(u8::from(ours.drift.stats().shifts == 1));
    }
    let count = senders.count as f64;
    let name = match (path, step > 0.0) {
        (Path::Gaussian, true) => "Gaussian 5 ms, up",
        (Path::Gaussian, false) => "Gaussian 5 ms, down",
        (Path::Exponential, true) => "exponential 20 ms, up",
        (Path::Exponential, false) => "exponential 20 ms, down",
        (_, true) => "gamma, up",
        (_, false) => "gamma, down",
    };
    Step { name, worst, usual: (squares / count).sqrt(), reported: reported / count }
}

/// The geometric mean over recordings of the error of one estimator.
pub fn geometric_mean(recorded: &[Judged], name: &str) -> [f64; WINDOWS.len()] {
    // Of nothing there is none.
    let mut logs = [if recorded.is_empty() { f64::NAN } else { 0.0 }; WINDOWS.len()];
    for judged in recorded {
        for (log, error) in logs.iter_mut().zip(judged.errors[name]) {
            // Blocks of one recording repeat, stamps and all, and so can be matched exactly.
            *log += error.max(0.01).ln() / recorded.len() as f64;
        }
    }
    logs.map(f64::exp)
}
