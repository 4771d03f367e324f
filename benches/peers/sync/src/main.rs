//! Lip sync, judged beside the algorithms that are in use.

#![allow(clippy::disallowed_methods, reason = "what it costs is measured on a clock")]

mod cost;
mod room;
mod systems;

use std::env;
use std::process::ExitCode;

use paceline_jitter::SyncConfig;
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
  JSON=1     one line of JSON for each row
  SVG=FILE   also the skew of each system over time, of one case

Columns, in ms unless said otherwise, over all seeds:
  p95@1s    of |skew|, in the second from 1 s to 2 s after the first pair of reports (or
            a change of route)
  p95       of |skew|, from 1 s after the first pair of reports (or a change of route)
  p95@10    the same from 1 s after the tenth report on
  in45      until |skew| stays within 45 (ITU-R BT.1359), the worst seed; - is never
  in+40/-60 until sound stays at most 40 early and 60 late (EBU R37)
  median    the same of half of the seeds
  over      how far beyond zero
  hold      the longest time that a picture stood still beyond its turn
  stretch   the largest change of sound's delay over a second, in % (moves in pauses
            of speech are in it, and not heard)
  moved     by how much a delay moved in the second half of the case
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
        println!(
            "{:34} {:10} {:>6} {:>6} {:>7} {:>6} {:>9} {:>6} {:>6} {:>6} {:>7} {:>6}",
            "case",
            "system",
            "p95@1s",
            "p95",
            "p95@10",
            "in45",
            "in+40/-60",
            "median",
            "over",
            "hold",
            "stretch",
            "moved"
        );
    }
    let rows: Vec<_> =
        cases().iter().map(|case| (case.clone(), judge(case, seeds, json))).collect();
    goals(&rows, json);
    cost::print(json);
    if let Some(path) = env::var_os("SVG")
        && let Err(error) = std::fs::write(&path, svg(&rows[6].0))
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

fn judge(case: &Case, seeds: u64, json: bool) -> Vec<Figures> {
    let one = |&(name, make): &(&str, Make)| {
        let figures = measure(case, &make, seeds);
        print(case, name, &figures, json);
        figures
    };
    // Frames with capture times are nothing the others know.
    let all = SYSTEMS[..if case.captures { 1 } else { 3 }].iter().map(one).collect();
    if case.name == "200 ms: picture late" {
        // What the goal would take.
        let make =
            || -> Box<dyn System> { Box::new(Ours::new(SyncConfig::default().audio_rate(80_000))) };
        print(case, "ours, 8 %", &measure(case, &make, seeds), json);
    }
    all
}

fn print(case: &Case, system: &str, figures: &Figures, json: bool) {
    let Figures { p95, p95_second, p95_tenth, into_45, into_ebu, median_ebu, .. } = *figures;
    let Figures { overshoot, hold, stretch, moved, .. } = *figures;
    if json {
        let or_null = |ms: Option<f64>| ms.map_or("null".into(), |ms| ms.to_string());
        println!(
            "{{\"case\":\"{}\",\"system\":\"{system}\",\"p95_second_ms\":{p95_second:.3},\"p95_ms\":{p95:.3},\"p95_after_ten_ms\":{p95_tenth:.3},\"into_45_ms\":{},\"into_ebu_ms\":{},\"median_ebu_ms\":{},\"overshoot_ms\":{overshoot:.3},\"hold_ms\":{hold:.3},\"stretch_percent\":{stretch:.3},\"moved_ms\":{moved:.3}}}",
            case.name,
            or_null(into_45),
            or_null(into_ebu),
            or_null(Some(median_ebu).filter(|ms| ms.is_finite())),
        );
        return;
    }
    let or_never = |ms: Option<f64>| ms.map_or("-".into(), |ms| format!("{ms:.0}"));
    println!(
        "{:34} {system:10} {p95_second:6.1} {p95:6.1} {p95_tenth:7.1} {:>6} {:>9} {:>6} {overshoot:6.1} {hold:6.1} {stretch:7.1} {moved:6.1}",
        case.name,
        or_never(into_45),
        or_never(into_ebu),
        or_never(Some(median_ebu).filter(|ms| ms.is_finite())),
    );
}

/// The goals, with what was measured of ours; each row names its case.
fn goals(rows: &[(Case, Vec<Figures>)], json: bool) {
    if !json {
        println!("\n{:5} {:62} {:>10} {:>8}  met", "goal", "", "measured", "at most");
    }
    let of = |name: &str| {
        rows.iter()
            .find(|(case, _)| {
                name.starts_with(case.name) && name.trim_end_matches(" (median)") == case.name
            })
            .map(|(_, all)| all[0])
    };
    type Figure = fn(&Figures) -> f64;
    let p95: Figure = |figures| figures.p95_second;
    let tenth: Figure = |figures| figures.p95_tenth;
    let ebu: Figure = |figures| figures.into_ebu.unwrap_or(f64::INFINITY);
    let median: Figure = |figures| figures.median_ebu;
    let moved: Figure = |figures| figures.moved;
    let frame = 33.4;
    let goals: [(&str, &str, Figure, f64); 18] = [
        ("S1", "one SR, 1 ms, picture +40 ms", p95, 5.0),
        ("S1", "one SR, 1 ms, sound +40 ms", p95, 5.0),
        ("S1", "one SR, 1 ms, picture +120 ms", p95, 5.0),
        ("S1", "SR 1 s, 5 ms noise", tenth, 5.0),
        ("S1", "SR 5 s, 5 ms noise", tenth, 5.0),
        ("S1", "the same, drift fed forward", tenth, 5.0),
        ("S2", "200 ms: sound late", ebu, 2_000.0),
        ("S2", "200 ms: picture late", ebu, 2_000.0),
        ("S2", "200 ms: picture late, pauses", ebu, 2_000.0),
        ("S2", "200 ms: picture late, pauses (median)", median, 2_000.0),
        ("S2", "route +200 ms: sound", ebu, 2_000.0),
        ("S2", "route +200 ms: picture", ebu, 2_000.0),
        ("S2", "route +200 ms: picture, pauses", ebu, 2_000.0),
        ("S2", "route +200 ms: picture, pauses (median)", median, 2_000.0),
        ("S2", "NTP +500 ms, SR 1 s", moved, frame),
        ("S2", "NTP -500 ms, SR 1 s", moved, frame),
        ("S2", "NTP +500 ms, SR 5 s, 5 ms noise", moved, frame),
        ("S2", "NTP -500 ms, SR 5 s, no noise", moved, frame),
    ];
    for (goal, name, figure, most) in goals {
        let Some(figures) = of(name) else { continue };
        let measured = figure(&figures);
        let met = measured <= most;
        if json {
            println!(
                "{{\"goal\":\"{goal}\",\"case\":\"{name}\",\"measured\":{measured:.3},\"at_most\":{most},\"met\":{met}}}"
            );
        } else {
            let met = if met { "yes" } else { "NO" };
            println!("{goal:5} {name:62} {measured:10.1} {most:8.1}  {met}");
        }
    }
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
