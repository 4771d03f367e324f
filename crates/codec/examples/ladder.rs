//! What the ladder does when a machine is slow, and when a path is narrow.
//!
//! ```text
//! cargo run -p paceline-codec --example ladder -- [--plot FILE]
//! ```
//!
//! An encoder of which the time grows with the pixels, and the quantizer as the bits for
//! each get fewer, is put under pressure for a while. What the ladder does is printed, line
//! by line and as a picture of text; `--plot` writes it as SVG, too.

#[path = "../tests/ladder_model/mod.rs"]
mod ladder_model;

use std::env;
use std::error::Error;
use std::fmt::Write;
use std::fs;
use std::time::Duration;

use ladder_model::{Model, Pressure, Sample, line};
use paceline_codec::types::Content;
use paceline_codec::{Ladder, LadderConfig};

/// One story: who is pressed, how, and what it looked like.
struct Trace {
    title: &'static str,
    lines: Vec<String>,
    samples: Vec<Sample>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let plot = match (arguments.next().as_deref(), arguments.next(), arguments.next()) {
        (None, ..) => None,
        (Some("--plot"), Some(file), None) => Some(file),
        _ => return Err("usage: ladder [--plot FILE]".into()),
    };
    let pressed = |from: u64, until: u64, pressure: Pressure| {
        move |at: Duration| match (from..until).contains(&at.as_secs()) {
            true => pressure,
            false => Pressure::NONE,
        }
    };
    let slow = Pressure { load: 14.0, ..Pressure::NONE };
    let narrow = Pressure { target: 120, ..Pressure::NONE };
    let slow_share = Pressure { load: 7.0, ..Pressure::NONE };
    let traces = [
        trace(
            "CPU: a camera, 720p30; the machine is 14 times slower from 10 s to 40 s",
            ((1_280, 720), Content::Camera),
            pressed(10, 40, slow),
        ),
        trace(
            "network: a camera, 720p30; the path takes 120 kbit/s from 10 s to 60 s",
            ((1_280, 720), Content::Camera),
            pressed(10, 60, narrow),
        ),
        trace(
            "CPU: a screen, 1080p30; the machine is 7 times slower from 10 s to 40 s",
            ((1_920, 1_080), Content::Screen),
            pressed(10, 40, slow_share),
        ),
    ];
    for trace in &traces {
        println!("{}\n", trace.title);
        for line in &trace.lines {
            println!("{line}");
        }
        println!("\n{}", text(trace));
    }
    if let Some(file) = plot {
        fs::write(file, svg(&traces))?;
    }
    Ok(())
}

fn trace(
    title: &'static str,
    (size, content): ((u16, u16), Content),
    pressure: impl Fn(Duration) -> Pressure,
) -> Trace {
    let ladder = Ladder::new(LadderConfig::default());
    let mut model = Model::new(ladder, size, 30.0, content);
    let (mut lines, mut samples, mut last) = (Vec::new(), Vec::<Sample>::new(), None);
    model.run(Duration::from_secs(120), pressure, |sample, changes| {
        // What the picture after a change was told is the level after it.
        if let Some((at, change)) = last.take() {
            lines.push(line(at, &change, sample.level));
        }
        last = changes.last().map(|change| (sample.at, *change));
        samples.push(*sample);
    });
    Trace { title, lines, samples }
}

/// What is drawn: its name, what is at the top, and the value of a sample.
type Curve = (&'static str, f64, fn(&Sample) -> f64);

fn curves(best: &Sample) -> [Curve; 5] {
    [
        ("level", 8.0, |sample| sample.level as f64),
        ("fps", best.step.frame_rate, |sample| sample.step.frame_rate),
        ("pixels", f64::from(best.step.pixels()), |sample| sample.step.pixels().into()),
        ("usage", 1.0, |sample| sample.usage),
        ("qp", 51.0, |sample| sample.qp.map_or(51.0, f64::from)),
    ]
}

/// A column for each two seconds, eight heights each: full is the value named, and what is
/// above it is full too.
fn text(trace: &Trace) -> String {
    let mut out = String::new();
    let Some(best) = trace.samples.first() else { return out };
    for (name, top, value) in curves(best) {
        let row: String = (0..SECONDS / 2)
            .map(|column| {
                let from = Duration::from_secs(2 * column);
                let sample = trace.samples.iter().find(|sample| sample.at >= from).unwrap_or(best);
                let height = (value(sample) / top * 8.0).round().clamp(0.0, 8.0) as usize;
                HEIGHTS[height]
            })
            .collect();
        // Writing to a string does not fail.
        let _ = writeln!(out, "{name:>8} │{row}│ {top}");
    }
    let _ = writeln!(out, "{:>9}└{}┘ 0 to {SECONDS} s", "", "─".repeat(SECONDS as usize / 2));
    out
}

fn svg(traces: &[Trace]) -> String {
    let height = HEIGHT * traces.len() as f64 + 20.0;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
    );
    for (number, trace) in traces.iter().enumerate() {
        let top = HEIGHT * number as f64 + 34.0;
        let bottom = top + HEIGHT - 64.0;
        let _ = writeln!(out, "<text x=\"{LEFT}\" y=\"{}\">{}</text>", top - 12.0, trace.title);
        let x = |seconds: f64| LEFT + seconds / SECONDS as f64 * (WIDTH - LEFT - RIGHT);
        for tick in (0..=SECONDS).step_by(10) {
            let x = x(tick as f64);
            let _ = writeln!(
                out,
                "<line x1=\"{x}\" x2=\"{x}\" y1=\"{top}\" y2=\"{bottom}\" stroke=\"#ddd\"/>\n\
                 <text x=\"{x}\" y=\"{}\" text-anchor=\"middle\">{tick} s</text>",
                bottom + 16.0
            );
        }
        let Some(best) = trace.samples.first() else { continue };
        for (curve, (name, most, value)) in curves(best).into_iter().enumerate() {
            let color = COLORS[curve];
            // Five points a second are enough to see, and each picture is too many.
            let mut shown = None;
            let points: Vec<_> = trace
                .samples
                .iter()
                .filter(|sample| {
                    shown.replace(sample.at.as_millis() / 200) != Some(sample.at.as_millis() / 200)
                })
                .map(|sample| {
                    let part = (value(sample) / most).clamp(0.0, 1.1);
                    let y = bottom - part * (bottom - top) / 1.1;
                    format!("{:.1},{y:.1}", x(sample.at.as_secs_f64()))
                })
                .collect();
            let _ = writeln!(
                out,
                "<polyline fill=\"none\" stroke=\"{color}\" stroke-width=\"1.5\" points=\"{}\"/>\n\
                 <text x=\"{}\" y=\"{}\" fill=\"{color}\">{name} ({most})</text>",
                points.join(" "),
                WIDTH - RIGHT + 8.0,
                top + 12.0 + 16.0 * curve as f64
            );
        }
    }
    out.push_str("</svg>\n");
    out
}

/// How long each story is.
const SECONDS: u64 = 120;
const HEIGHTS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
const COLORS: [&str; 5] = ["#222", "#1f77b4", "#2ca02c", "#d62728", "#9467bd"];
const WIDTH: f64 = 860.0;
const HEIGHT: f64 = 220.0;
const LEFT: f64 = 30.0;
const RIGHT: f64 = 120.0;
