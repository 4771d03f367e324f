//! Results as tables, or as one JSON object.

use std::fmt::Write;

use crate::cost::Cost;
use crate::judge::{Judged, Small, Step, WINDOWS, geometric_mean};
use crate::peers::NAMES;

pub struct Results {
    pub generated: Vec<Judged>,
    pub recorded: Vec<Judged>,
    pub small: Vec<Small>,
    pub steps: Vec<Step>,
    pub costs: Vec<Cost>,
    /// Recordings that could not be read, and why.
    pub left_out: Vec<String>,
}

/// The rows of a table of errors: ours, then what it is made of, then the others.
fn rows() -> impl Iterator<Item = &'static str> {
    [NAMES[0], "measured"].into_iter().chain(NAMES[1..].iter().copied()).chain(["answer 0"])
}

pub fn tables(results: &Results) -> String {
    let mut out = String::new();
    let mut line = |text: String| {
        out.push_str(text.trim_end());
        out.push('\n');
    };
    let row = |name: &str, cells: [String; WINDOWS.len()]| {
        let cells: String = cells.iter().map(|cell| format!("{cell:>10}")).collect();
        format!("  {name:<20}{cells}")
    };
    let header = || row("ppm after seconds", WINDOWS.map(|window| format!("{window}")));
    for judged in results.generated.iter().chain(&results.recorded) {
        line(format!("{}\n{}", judged.name, header()));
        for name in rows() {
            line(row(name, judged.errors[name].map(ppm)));
        }
        if judged.bound.iter().any(Option::is_some) {
            line(row("Cramér–Rao bound", judged.bound.map(|bound| bound.map_or("-".into(), ppm))));
        }
        line(row("stated error", judged.stated.map(ppm)));
        line(row(
            "interval holds, %",
            judged.coverage.map(|share| format!("{:.1}", 100.0 * share)),
        ));
        line(String::new());
    }
    line(format!("geometric mean of {} recordings\n{}", results.recorded.len(), header()));
    for name in rows() {
        line(row(name, geometric_mean(&results.recorded, name).map(ppm)));
    }
    line(format!("\nerror of ours over that of answering 0, at small drifts\n{}", header()));
    for Small { name, drift, over_zero } in &results.small {
        line(format!("  ±{drift} ppm, {name}"));
        line(row("", over_zero.map(|ratio| format!("{ratio:.3}"))));
    }
    line("\na step of 50 ms after 60 s: sigmas that the estimate moves within 30 s".into());
    line(format!("  {:<26}{:>10}{:>10}{:>22}", "", "usual", "worst", "reported as one, %"));
    for Step { name, usual, worst, reported } in &results.steps {
        line(format!("  {name:<26}{usual:>10.2}{worst:>10.2}{:>22.1}", 100.0 * reported));
    }
    line("\ncost of ours".into());
    line(format!("  {:<20}{:>10}{:>14}{:>10}", "seconds", "ns each", "allocations", "bytes"));
    for Cost { seconds, nanoseconds, allocations, bytes } in &results.costs {
        line(format!("  {seconds:<20}{nanoseconds:>10.1}{allocations:>14}{bytes:>10}"));
    }
    for left_out in &results.left_out {
        line(format!("left out: {left_out}"));
    }
    out
}

fn ppm(value: f64) -> String {
    match value {
        _ if !value.is_finite() => "-".into(),
        _ if value >= 1_000.0 => format!("{value:.0}"),
        _ => format!("{value:.2}"),
    }
}

pub fn json(results: &Results) -> String {
    let judged = |list: &[Judged]| {
        let objects: Vec<String> = list.iter().map(one).collect();
        format!("[{}]", objects.join(","))
    };
    let means: Vec<String> = rows()
        .map(|name| {
            format!("{}:{}", quoted(name), numbers(&geometric_mean(&results.recorded, name)))
        })
        .collect();
    let small: Vec<String> = results
        .small
        .iter()
        .map(|small| {
            let Small { name, drift, over_zero } = small;
            format!(
                "{{\"delay\":{},\"drift_ppm\":{drift},\"error_over_answering_0\":{}}}",
                quoted(name),
                numbers(over_zero)
            )
        })
        .collect();
    let left_out: Vec<String> = results.left_out.iter().map(|text| quoted(text)).collect();
    let steps: Vec<String> = results.steps.iter().map(|step| {
        let Step { name, usual, worst, reported } = step;
        let (usual, worst, reported) = (number(*usual), number(*worst), number(*reported));
        format!("{{\"delay\":{},\"usual_sigmas\":{usual},\"worst_sigmas\":{worst},\"reported_share\":{reported}}}", quoted(name))
    }).collect();
    let costs: Vec<String> = results.costs.iter().map(|cost| {
        let Cost { seconds, nanoseconds, allocations, bytes } = cost;
        format!("{{\"seconds\":{seconds},\"ns_per_observation\":{},\"allocations\":{allocations},\"bytes\":{bytes}}}", number(*nanoseconds))
    }).collect();
    format!(
        "{{\"windows_s\":{},\"generated\":{},\"recorded\":{},\"recorded_geometric_mean_ppm\":{{{}}},\"small_drifts\":[{}],\"steps\":[{}],\"cost\":[{}],\"left_out\":[{}]}}\n",
        numbers(&WINDOWS),
        judged(&results.generated),
        judged(&results.recorded),
        means.join(","),
        small.join(","),
        steps.join(","),
        costs.join(","),
        left_out.join(","),
    )
}

fn one(judged: &Judged) -> String {
    let errors: Vec<String> =
        rows().map(|name| format!("{}:{}", quoted(name), numbers(&judged.errors[name]))).collect();
    let bound = judged.bound.map(|bound| bound.unwrap_or(f64::NAN));
    format!(
        "{{\"delay\":{},\"rms_error_ppm\":{{{}}},\"cramer_rao_ppm\":{},\"stated_error_ppm\":{},\"coverage\":{}}}",
        quoted(&judged.name),
        errors.join(","),
        numbers(&bound),
        numbers(&judged.stated),
        numbers(&judged.coverage),
    )
}

fn numbers(values: &[f64]) -> String {
    let values: Vec<String> = values.iter().map(|&value| number(value)).collect();
    format!("[{}]", values.join(","))
}

/// A number; JSON has no other name than `null` for what is none.
fn number(value: f64) -> String {
    if value.is_finite() { format!("{value:.4}") } else { "null".into() }
}

fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' | '\\' => {
                out.push('\\');
                out.push(letter);
            }
            _ if letter.is_control() => {
                let _ = write!(out, "\\u{:04x}", u32::from(letter));
            }
            _ => out.push(letter),
        }
    }
    out.push('"');
    out
}
