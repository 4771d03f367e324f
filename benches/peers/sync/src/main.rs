//! Lip sync, judged beside the algorithms that are in use.

#![allow(clippy::disallowed_methods, reason = "what it costs is measured on a clock")]

mod cost;
mod report;
mod room;
mod systems;

use std::env;
use std::process::ExitCode;

use paceline_jitter::SyncConfig;
use report::{Asked, Goal, Row};
use room::{Case, Figures, measure};
use systems::{Libwebrtc, Ours, Slewing, System};

const HELP: &str = "\
Plays cases of lip sync to three systems, all told the same, and prints what was
played. Skew is by how much sound comes later than its picture.

  ours       paceline-jitter, StreamSync
  ours, 8 %  the same with sound moved by 8 % instead of 5 %, in one case
  libwebrtc  its stream synchronization, after its published behaviour: two reports,
             relative delay averaged over four, 30 ms dead band, at most 80 ms a
             second, once a second; pictures follow by 100 ms/s, sound by 10 %
  slew5      four reports, then 5 ms/s, as receivers around rtpbin do

usage: paceline-bench-sync [--help] [--seeds N]

  --seeds N  draws of noise for each case (default 20)
  JSON=1     one JSON object in place of the tables; null is never, or not measured
  SVG=FILE   also the skew of each system over time, of one case

Columns, in ms unless said otherwise, over all seeds:
  p95@1s    of |skew|, in the second from 1 s to 2 s after the first pair of reports (or
            a change of route)
  p95       of |skew|, from 1 s after the first pair of reports (or a change of route)
  p95@10    the same from 1 s after the tenth report of both that came; - without
  in45      until |skew| stays within 45 (ITU-R BT.1359), the worst seed; - is never
  in+40/-60 until sound stays at most 40 early and 60 late (EBU R37)
  median    the same of half of the seeds
  over      how far beyond zero
  hold      the longest time that a picture stood still beyond its turn
  stretch   the largest change of sound's delay over a second, in % (moves in pauses
            of speech are in it, and not heard)
  moved     by how much a delay moved from 1 s before the wallclock's step on, or in the
            second half of a case without
";

fn main() -> ExitCode {
    let mut seeds = 20;
    let mut args = env::args().skip(1);
    while let Some(arg) = args.next() {
        match (arg.as_str(), args.next().and_then(|n| n.parse().ok())) {
            ("--help" | "-h", _) => {
                print!("{HELP}");
                return ExitCode::SUCCESS;
            }
            ("--seeds", Some(n)) if n > 0 => seeds = n,
            _ => {
                eprint!("{HELP}");
                return ExitCode::FAILURE;
            }
        }
    }
    let json = env::var_os("JSON").is_some_and(|value| value == "1");
    if !json {
        report::print_head();
    }
    let cases = cases();
    let rows: Vec<Row> = cases.iter().flat_map(|case| judge(case, seeds, json)).collect();
    let goals = goals(&rows);
    let costs = cost::all();
    if json {
        println!("{}", report::json(seeds, &rows, &goals, &costs));
    } else {
        report::print_goals(&goals);
        report::print_costs(&costs);
    }
    if let Some(path) = env::var_os("SVG")
        && let Err(error) = std::fs::write(&path, svg(&cases[SVG_CASE]))
    {
        eprintln!("{}: {error}", path.display());
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

type Make = fn() -> Box<dyn System>;

const SYSTEMS: [(&str, Make); 3] = [
    ("ours", || Box::new(Ours::new(SyncConfig::default()))),
    ("libwebrtc", || Box::new(Libwebrtc::default())),
    ("slew5", || Box::new(Slewing::default())),
];

fn cases() -> Vec<Case> {
    let plain = Case::PLAIN;
    let noisy = |every: i64| Case {
        report_every: every,
        noise: 5_000,
        transit: [20, 60],
        seconds: 120,
        ..plain.clone()
    };
    let once = |late: i64| Case {
        transit: [20, 20 + late],
        reports: 1,
        noise: 500,
        most_noise: 1_000,
        ..plain.clone()
    };
    vec![
        Case { name: "one SR, 1 ms, picture +40 ms", ..once(40) },
        Case { name: "one SR, 1 ms, sound +40 ms", transit: [60, 20], ..once(0) },
        Case { name: "one SR, 1 ms, picture +120 ms", ..once(120) },
        Case { name: "SR 1 s, 5 ms noise", ..noisy(1_000) },
        Case { name: "SR 5 s, 5 ms noise", ..noisy(5_000) },
        Case { name: "200 ms: sound late", transit: [220, 20], ..plain.clone() },
        Case { name: "200 ms: picture late", transit: [20, 220], ..plain.clone() },
        Case {
            name: "200 ms: picture late, pauses",
            transit: [20, 220],
            pauses: true,
            ..plain.clone()
        },
        Case {
            name: "route +200 ms: sound",
            transit: [20, 40],
            route: Some((30_000, [240, 40])),
            ..plain.clone()
        },
        Case {
            name: "route +200 ms: picture",
            transit: [40, 20],
            route: Some((30_000, [40, 240])),
            ..plain.clone()
        },
        Case {
            name: "route +200 ms: picture, pauses",
            transit: [40, 20],
            route: Some((30_000, [40, 240])),
            pauses: true,
            ..plain.clone()
        },
        Case { name: "NTP +500 ms, SR 1 s", step: Some((40_000, 500)), ..noisy(1_000) },
        Case { name: "NTP -500 ms, SR 1 s", step: Some((40_000, -500)), ..noisy(1_000) },
        Case {
            name: "NTP +500 ms, SR 5 s, no noise",
            step: Some((80_000, 500)),
            noise: 0,
            ..noisy(5_000)
        },
        Case {
            name: "NTP -500 ms, SR 5 s, no noise",
            step: Some((80_000, -500)),
            noise: 0,
            ..noisy(5_000)
        },
        Case { name: "NTP +500 ms, SR 5 s, 5 ms noise", step: Some((80_000, 500)), ..noisy(5_000) },
        Case {
            name: "NTP -500 ms, SR 5 s, 5 ms noise",
            step: Some((80_000, -500)),
            ..noisy(5_000)
        },
        Case {
            name: "sound +100 ppm, SR 5 s",
            ppm: [100, 0],
            noise: 500,
            seconds: 300,
            ..noisy(5_000)
        },
        Case {
            name: "sound +100 ppm, SR 5 s, 5 ms noise",
            ppm: [100, 0],
            seconds: 300,
            ..noisy(5_000)
        },
        Case {
            name: "the same, drift fed forward",
            ppm: [100, 0],
            drift_known: true,
            seconds: 300,
            ..noisy(5_000)
        },
        Case { name: "half of the SRs lost, 1 s, 5 ms", lose: 2, ..noisy(1_000) },
        Case {
            name: "capture times ±1 ms, picture +40", captures: true, noise: 0, ..noisy(1_000)
        },
    ]
}

fn judge(case: &Case, seeds: u64, json: bool) -> Vec<Row> {
    let one = |system: &'static str, make: &dyn Fn() -> Box<dyn System>| {
        let row = Row { case: case.name, system, figures: measure(case, make, seeds) };
        if !json {
            report::print_row(&row);
        }
        row
    };
    // Frames with capture times are nothing the others know.
    let systems = &SYSTEMS[..if case.captures { 1 } else { 3 }];
    let mut rows: Vec<Row> = systems.iter().map(|(name, make)| one(name, make)).collect();
    if case.name == "200 ms: picture late" {
        // What the goal would take.
        let make =
            || -> Box<dyn System> { Box::new(Ours::new(SyncConfig::default().audio_rate(80_000))) };
        rows.push(one("ours, 8 %", &make));
    }
    rows
}

/// The goals, with what was measured of ours; each names its case. A median is told beside
/// them, and is no goal.
fn goals(rows: &[Row]) -> Vec<Goal> {
    type Figure = fn(&Figures) -> f64;
    let p95: Figure = |figures| figures.p95_second;
    let tenth: Figure = |figures| figures.p95_tenth;
    let ebu: Figure = |figures| figures.into_ebu.unwrap_or(f64::INFINITY);
    let median: Figure = |figures| figures.median_ebu;
    let moved: Figure = |figures| figures.moved;
    let s1 = Some(("S1", 5.0));
    let settled = Some(("S2", 2_000.0));
    // A frame of 30 Hz.
    let steady = Some(("S2", 33.4));
    let goals: [(Option<Asked>, &'static str, Figure); 23] = [
        (s1, "one SR, 1 ms, picture +40 ms", p95),
        (s1, "one SR, 1 ms, sound +40 ms", p95),
        (s1, "one SR, 1 ms, picture +120 ms", p95),
        (s1, "SR 1 s, 5 ms noise", tenth),
        (s1, "SR 5 s, 5 ms noise", tenth),
        (s1, "sound +100 ppm, SR 5 s", tenth),
        (s1, "sound +100 ppm, SR 5 s, 5 ms noise", tenth),
        (s1, "the same, drift fed forward", tenth),
        (s1, "half of the SRs lost, 1 s, 5 ms", tenth),
        (settled, "200 ms: sound late", ebu),
        (settled, "200 ms: picture late", ebu),
        (settled, "200 ms: picture late, pauses", ebu),
        (None, "200 ms: picture late, pauses", median),
        (settled, "route +200 ms: sound", ebu),
        (settled, "route +200 ms: picture", ebu),
        (settled, "route +200 ms: picture, pauses", ebu),
        (None, "route +200 ms: picture, pauses", median),
        (steady, "NTP +500 ms, SR 1 s", moved),
        (steady, "NTP -500 ms, SR 1 s", moved),
        (steady, "NTP +500 ms, SR 5 s, no noise", moved),
        (steady, "NTP -500 ms, SR 5 s, no noise", moved),
        (steady, "NTP +500 ms, SR 5 s, 5 ms noise", moved),
        (steady, "NTP -500 ms, SR 5 s, 5 ms noise", moved),
    ];
    let goals = goals.into_iter().filter_map(|(goal, case, figure)| {
        let ours = rows.iter().find(|row| row.case == case && row.system == SYSTEMS[0].0)?;
        Some(Goal { goal, case, median: goal.is_none(), measured: figure(&ours.figures) })
    });
    goals.collect()
}

/// Skew over time, one line for each system.
fn svg(case: &Case) -> String {
    let mut lines = String::new();
    for ((name, make), (colour, y)) in
        SYSTEMS.iter().zip([("#1b7f3b", 30), ("#1f4fbf", 50), ("#b33", 70)])
    {
        let track = room::run(case, make().as_mut(), 0);
        let points: Vec<_> = track
            .skew
            .iter()
            .enumerate()
            .step_by(50)
            .map(|(ms, skew)| {
                let x = 60.0 + ms as f64 * 900.0 / track.skew.len() as f64;
                format!("{x:.1},{:.1}", 200.0 - *skew as f64 / 1e6 * 0.7)
            })
            .collect();
        lines += &format!(
            "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\" points=\"{}\"/>\n<text x=\"880\" y=\"{y}\" fill=\"{colour}\">{name}</text>\n",
            points.join(" ")
        );
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"980\" height=\"400\" font-family=\"sans-serif\" font-size=\"14\">\n<rect width=\"980\" height=\"400\" fill=\"white\"/>\n<rect x=\"60\" y=\"168.5\" width=\"900\" height=\"63\" fill=\"#eee\"/>\n<line x1=\"60\" y1=\"200\" x2=\"960\" y2=\"200\" stroke=\"#999\"/>\n<text x=\"60\" y=\"20\">{}: skew, {} s across; the band is ±45 ms</text>\n{lines}</svg>\n",
        case.name, case.seconds
    )
}

/// The case that is drawn.
const SVG_CASE: usize = 6;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_goal_has_its_case() {
        let figures = measure(&Case { seconds: 1, ..Case::PLAIN }, &SYSTEMS[0].1, 1);
        let rows: Vec<Row> = cases()
            .iter()
            .map(|case| Row { case: case.name, system: SYSTEMS[0].0, figures })
            .collect();
        assert_eq!(goals(&rows).len(), 23);
    }
}
