//! A sender, two paths and a receiver, on a virtual clock; and the truth about it.

use crate::systems::{HZ, System};

pub const MS: i64 = 1_000_000;

/// A case. Times are milliseconds.
#[derive(Clone)]
pub struct Case {
    pub name: &'static str,
    /// From capture to arrival.
    pub transit: [i64; 2],
    /// At a time, another transit.
    pub route: Option<(i64, [i64; 2])>,
    pub own: [i64; 2],
    pub report_every: i64,
    /// Reports of both streams, in all.
    pub reports: u32,
    /// Standard deviation, and the most, of a report's error, in µs.
    pub noise: i64,
    pub most_noise: i64,
    /// One in so many reports is lost; 0: none.
    pub lose: u64,
    /// At a time the wallclock jumps.
    pub step: Option<(i64, i64)>,
    pub ppm: [i64; 2],
    pub drift_known: bool,
    /// Frames carry their capture, ±1 ms, and there are no reports.
    pub captures: bool,
    /// Speech has pauses, and the receiver knows of them.
    pub pauses: bool,
    pub seconds: i64,
}

impl Case {
    pub const PLAIN: Self = Self {
        name: "",
        transit: [20, 20],
        route: None,
        own: [50, 50],
        report_every: 1_000,
        reports: u32::MAX,
        noise: 0,
        most_noise: i64::MAX,
        lose: 0,
        step: None,
        ppm: [0, 0],
        drift_known: false,
        captures: false,
        pauses: false,
        seconds: 60,
    };
}

/// Numbers drawn from a seed.
pub struct Dice(pub u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn uniform(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }
}

/// What was played: by how much sound came later than its picture, and both delays, each
/// millisecond, in ns.
pub struct Track {
    pub skew: Vec<i64>,
    pub delays: Vec<[i64; 2]>,
    /// When both streams had a report, or their capture times, in ms.
    pub pair: usize,
    /// When both had ten reports, in ms, if they did.
    pub tenth: Option<usize>,
}

pub fn run(case: &Case, system: &mut dyn System, seed: u64) -> Track {
    let mut dice = Dice(seed);
    // Where streams, reports and frames start is drawn too.
    let starts = [dice.next() as u32 >> 2, dice.next() as u32 >> 2];
    let reported =
        [0, 1].map(|_| 200 + (dice.uniform() * case.report_every.min(1_000) as f64) as i64);
    let mut track = Track { skew: Vec::new(), delays: Vec::new(), pair: usize::MAX, tenth: None };
    let mut had = [0_u32; 2];
    let (mut quiet, mut turn) = (false, 0);
    let wall = |ms: i64| {
        let stepped = case.step.filter(|step| ms >= step.0).map_or(0, |step| step.1);
        10_000 * MS + (ms + stepped) * MS
    };
    for now in 0..case.seconds * 1_000 {
        let transit = match case.route {
            Some((at, transit)) if now >= at => transit,
            _ => case.transit,
        };
        if case.pauses && now >= turn {
            // ITU-T P.59: talkspurts of 1.004 s and pauses of 1.587 s, exponential.
            quiet = !quiet;
            let mean = if quiet { 1_587.0 } else { 1_004.0 };
            turn = now + 1 + (-mean * (1.0 - dice.uniform()).ln()) as i64;
            system.quiet(now * MS, quiet);
        }
        for id in 0..2 {
            let rtp = |ms: i64| {
                let ticks =
                    i128::from(ms) * i128::from(HZ[id]) * i128::from(1_000_000 + case.ppm[id]);
                starts[id].wrapping_add((ticks / 1_000_000_000) as u32)
            };
            let due = now >= reported[id] && (now - reported[id]) % case.report_every == 0;
            if due && !case.captures && had[id] < case.reports {
                let most = case.most_noise as f64;
                let noise = (dice.normal() * case.noise as f64).clamp(-most, most);
                if case.lose == 0 || !dice.next().is_multiple_of(case.lose) {
                    had[id] += 1;
                    let said = now - 20;
                    system.report(now * MS, id, wall(said) + (noise * 1e3) as i64, rtp(said));
                }
            }
            // A path that got shorter delivers each frame once, all the same.
            let captured = now - transit[id];
            let every = [20, 33][id];
            if captured >= 0 && captured % every == 0 {
                let noise = (dice.uniform() * 2.0 - 1.0) * MS as f64;
                let capture = case.captures.then(|| wall(captured) + noise as i64);
                if case.captures {
                    had[id] = 1;
                }
                if case.drift_known {
                    // What a drift estimate is worth early in a call, and later.
                    let sigma = (30_000.0 / now as f64).clamp(1.0, 30.0);
                    system.drift(id, case.ppm[id] as f64 + sigma * 0.5, sigma);
                }
                system.frame(now * MS, id, rtp(captured), capture, case.own[id] * MS);
            }
        }
        if had[0] > 0 && had[1] > 0 && track.pair == usize::MAX {
            track.pair = now as usize;
        }
        if had.iter().all(|&had| had >= 10) && track.tenth.is_none() {
            track.tenth = Some(now as usize);
        }
        let own = case.own.map(|own| own * MS);
        let delays = system.delays(now * MS, own);
        track.skew.push(transit[0] * MS + delays[0] - transit[1] * MS - delays[1]);
        track.delays.push(delays);
    }
    track
}

/// What is told of a case, in ms unless said otherwise.
#[derive(Clone, Copy, Debug)]
pub struct Figures {
    /// Of |skew|, from a second after the first pair of reports on.
    pub p95: f64,
    /// The same, within the second that follows then.
    pub p95_second: f64,
    /// From the pair (or the change of route) until |skew| stays below 45: the worst seed.
    pub into_45: Option<f64>,
    /// The same, for sound at most 40 early and 60 late.
    pub into_ebu: Option<f64>,
    /// The same of half of the seeds.
    pub median_ebu: f64,
    /// How far the skew went beyond zero, after the pair.
    pub overshoot: f64,
    /// The longest time a picture was held still, beyond its turn.
    pub hold: f64,
    /// The largest change of pace of sound over a second that was heard, in %.
    pub stretch: f64,
    /// By how much a delay moved from a second before the wallclock's step on, or from half
    /// way on where there is none.
    pub moved: f64,
    /// Of |skew|, from a second after the tenth report of both that came; NaN if none did.
    pub p95_tenth: f64,
}

pub fn measure(case: &Case, make: &dyn Fn() -> Box<dyn System>, seeds: u64) -> Figures {
    let (mut after, mut second, mut tenth) = (Vec::new(), Vec::new(), Vec::new());
    let mut ebu_times = Vec::new();
    let mut figures = Figures {
        p95: 0.0,
        p95_second: 0.0,
        median_ebu: 0.0,
        into_45: Some(0.0),
        into_ebu: Some(0.0),
        overshoot: 0.0,
        hold: 0.0,
        stretch: 0.0,
        moved: 0.0,
        p95_tenth: 0.0,
    };
    for seed in 0..seeds {
        let track = run(case, make().as_mut(), seed);
        let skew = &track.skew;
        if track.pair >= skew.len() {
            continue;
        }
        let from = case.route.map_or(track.pair, |route| route.0 as usize);
        after.extend(skew.iter().skip(from + 1_000).map(|skew| skew.abs()));
        second.extend(skew.iter().skip(from + 1_000).take(1_000).map(|skew| skew.abs()));
        let ten = track.tenth.map_or(skew.len(), |tenth| tenth + 1_000);
        tenth.extend(skew.iter().skip(ten).map(|skew| skew.abs()));
        let settle = |outside: &dyn Fn(i64) -> bool| {
            let last = skew.iter().rposition(|&skew| outside(skew));
            match last {
                Some(last) if last + 1 == skew.len() => None,
                Some(last) if last >= from => Some((last + 1 - from) as f64),
                _ => Some(0.0),
            }
        };
        let worse = |a: Option<f64>, b: Option<f64>| Some(a?.max(b?));
        figures.into_45 = worse(figures.into_45, settle(&|skew| skew.abs() > 45 * MS));
        let ebu = |skew: i64| !(-40 * MS..=60 * MS).contains(&skew);
        let settled = settle(&ebu);
        ebu_times.push(settled.unwrap_or(f64::INFINITY));
        figures.into_ebu = worse(figures.into_ebu, settled);
        let sign = skew[from].signum();
        let beyond = skew[from..].iter().map(|skew| -skew * sign).max().unwrap_or(0);
        figures.overshoot = figures.overshoot.max(beyond as f64 / MS as f64);
        let held = track.delays.windows(34).map(|span| span[33][1] - span[0][1]).max();
        figures.hold = figures.hold.max(held.unwrap_or(0) as f64 / MS as f64);
        let pace = track.delays.windows(1_001).map(|span| (span[1_000][0] - span[0][0]).abs());
        figures.stretch = figures.stretch.max(pace.max().unwrap_or(0) as f64 / MS as f64 / 10.0);
        for id in 0..2 {
            let delays = track.delays.iter().skip(steady_from(case)).map(|delays| delays[id]);
            let span = delays.clone().max().unwrap_or(0) - delays.min().unwrap_or(0);
            figures.moved = figures.moved.max(span as f64 / MS as f64);
        }
    }
    figures.p95 = p95(&mut after);
    figures.p95_second = p95(&mut second);
    ebu_times.sort_by(f64::total_cmp);
    figures.median_ebu = ebu_times.get(ebu_times.len() / 2).copied().unwrap_or(f64::NAN);
    figures.p95_tenth = p95(&mut tenth);
    figures
}

/// Where a case has settled, and delays have no reason to move: in ms.
fn steady_from(case: &Case) -> usize {
    case.step.map_or(case.seconds * 500, |(at, _)| at - 1_000).max(0) as usize
}

fn p95(skews: &mut [i64]) -> f64 {
    if skews.is_empty() {
        return f64::NAN;
    }
    let at = (skews.len() - 1) * 95 / 100;
    *skews.select_nth_unstable(at).1 as f64 / MS as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Believes every report at once, by moving sound to it.
    #[derive(Default)]
    struct Gullible {
        first: Option<i64>,
        extra: i64,
    }

    impl System for Gullible {
        fn report(&mut self, now: i64, stream: usize, ntp: i64, _rtp: u32) {
            if stream == 0 {
                let ahead = ntp - now;
                self.extra = ahead - *self.first.get_or_insert(ahead);
            }
        }

        fn frame(&mut self, _: i64, _: usize, _: u32, _: Option<i64>, _: i64) {}

        fn delays(&mut self, _now: i64, own: [i64; 2]) -> [i64; 2] {
            [own[0] + self.extra, own[1]]
        }
    }

    #[test]
    fn what_a_step_of_the_wallclock_moves_is_measured_from_before_the_step() {
        for at in [10_000, 40_000] {
            let case = Case { step: Some((at, 500)), ..Case::PLAIN };
            let figures = measure(&case, &|| Box::<Gullible>::default(), 2);
            assert_eq!(figures.moved, 500.0, "a step at {at}");
        }
    }

    #[test]
    fn the_tenth_report_is_the_tenth_that_came() {
        let tenth = |case: &Case| run(case, &mut Gullible::default(), 0).tenth;
        let all = tenth(&Case::PLAIN).expect("a minute has sixty");
        assert!((9_200..=10_200).contains(&all), "{all}");
        let half = tenth(&Case { lose: 2, ..Case::PLAIN }).expect("thirty");
        assert!(half > 12_000, "{half}");
        assert_eq!(tenth(&Case { reports: 1, ..Case::PLAIN }), None);
    }
}
