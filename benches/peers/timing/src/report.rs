//! What is printed: tables for people, one JSON object for programs.

use std::fmt::Write as _;

use crate::compare::{CONSTANT, FREE, LOSSES, NETEQ, OURS, OURS_BY_MINIMUM, SLEWED, TraceResult};
use crate::goals::{Goal, Ratio, ratios};
use crate::json::Json;
use crate::marker::Cost;
use crate::metrics::Summary;
use crate::pathology::CaseResult;

/// All that was measured.
pub(crate) struct Report {
    pub(crate) results: Vec<TraceResult>,
    pub(crate) cases: Vec<CaseResult>,
    pub(crate) costs: Vec<(&'static str, Cost)>,
    pub(crate) goals: Vec<Goal>,
    /// Files of traces that could not be read, as said on stderr.
    pub(crate) broken: Vec<String>,
}

impl Report {
    /// The tables.
    pub(crate) fn tables(&self) -> String {
        let mut text = String::new();
        self.defaults(&mut text);
        self.curves(&mut text);
        self.ratios(&mut text);
        self.pathologies(&mut text);
        self.costs(&mut text);
        line(&mut text, "\nGoals");
        for goal in &self.goals {
            let met = match goal.met {
                Some(true) => "met",
                Some(false) => "MISSED",
                None => "not measured",
            };
            line(&mut text, &format!("{}  {}: {}  — {met}", goal.id, goal.goal, goal.measured));
        }
        for broken in &self.broken {
            line(&mut text, &format!("left out: {broken}"));
        }
        text
    }

    fn defaults(&self, text: &mut String) {
        line(text, "Base points: delay over the trace's minimum in ms, the rest in % of time");
        line(text, "ours: minimum delay 0, maximum 2 s, the rest as the library has it");
        for result in &self.results {
            let kind = if result.trace.judged { "judged" } else { "generated, not judged" };
            let packets = result.trace.packets.len();
            line(text, &format!("\n{} ({packets} packets, {kind})", result.trace.name));
            line(text, &format!("{:<16}{SUMMARY_HEAD}", ""));
            for default in &result.defaults {
                line(text, &format!("{:<16}{}", default.system, summary_row(&default.summary)));
            }
            result.notes.iter().for_each(|note| line(text, note));
        }
    }

    fn curves(&self, text: &mut String) {
        line(text, "\nMean delay in ms at equal late loss, from the lower envelope of each sweep");
        let systems = [OURS, OURS_BY_MINIMUM, NETEQ, CONSTANT, SLEWED, FREE];
        let head: String = systems.iter().map(|system| format!("{system:>17}")).collect();
        line(text, &format!("{:<34}{:>6}{head}{:>12}", "", "late %", "ours/NetEQ"));
        for result in &self.results {
            for &late in result.losses() {
                let at = |system| result.curve(system).and_then(|curve| curve.delay_at(late));
                let cells: String = systems.iter().map(|&system| cell(at(system), 17, 1)).collect();
                let ratio = at(OURS).zip(at(NETEQ)).map(|(ours, theirs)| ours / theirs);
                let row = format!("{late:>6}{cells}{}", cell(ratio, 12, 3));
                line(text, &format!("{:<34}{row}", result.trace.name));
            }
        }
    }

    fn ratios(&self, text: &mut String) {
        line(text, "\nRatio of mean delays to NetEQ's: geometric mean, 95 % interval, pooled");
        for (name, judged) in [("judged", true), ("generated", false)] {
            for system in [OURS, OURS_BY_MINIMUM, CONSTANT, SLEWED, FREE] {
                for ratio in ratios(&self.results, system, |result| result.trace.judged == judged) {
                    let Some(mean) = ratio.mean else { continue };
                    let interval = match ratio.interval.filter(|_| system != FREE) {
                        Some((low, high)) => format!("[{low:.3}, {high:.3}]"),
                        None => "-".to_owned(),
                    };
                    let at = ratio.at.to_string();
                    let pooled = cell(ratio.pooled.filter(|_| system != FREE), 8, 3);
                    let count = ratio.traces.len();
                    let mut row = format!("{name:<10}{system:<17}{at:<13}{mean:>8.3}");
                    row += &format!("  {interval:<16}{pooled}  {count} traces");
                    if !ratio.unreached.is_empty() {
                        row += &format!("; not reached on {}", ratio.unreached.join(", "));
                    }
                    line(text, &row);
                }
            }
        }
    }

    fn pathologies(&self, text: &mut String) {
        line(text, "\nPathologies");
        line(text, &format!("{:<22}{:<13}{SUMMARY_HEAD}", "", ""));
        for case in &self.cases {
            for (system, summary, _) in &case.systems {
                let name = if *system == OURS { case.name.as_str() } else { "" };
                line(text, &format!("{name:<22}{system:<13}{}", summary_row(summary)));
            }
            if !case.same_at_wraps {
                line(text, &format!("{:<22}ours is not the same at every wrap offset", ""));
            }
        }
    }

    fn costs(&self, text: &mut String) {
        line(text, "\nCost: medians of a call in ns, allocations of a call after warm-up");
        let head = "insert ns   poll ns  insert allocs  poll allocs  KiB a stream";
        line(text, &format!("{:<13}{head}", ""));
        for (system, cost) in &self.costs {
            let Cost { insert_ns, poll_ns, insert_allocations, poll_allocations, bytes } = cost;
            let row = format!("{insert_ns:>9.1}{poll_ns:>10.1}{insert_allocations:>15.2}");
            let kib = bytes / 1024.0;
            line(text, &format!("{system:<13}{row}{poll_allocations:>13.2}{kib:>14.1}"));
        }
        line(text, "A poll of NetEQ and of the neteq crate makes 10 ms of sound, and their bytes");
        line(text, "hold payloads; ours only says what to play.");
    }

    /// The object.
    pub(crate) fn json(&self) -> Json {
        let traces = self.results.iter().map(trace_json).collect();
        let cases = self.cases.iter().map(|case| {
            let systems = case
                .systems
                .iter()
                .map(|(system, summary, _)| ((*system).to_owned(), summary_json(summary)))
                .collect();
            Json::object([
                ("name", Json::text(&case.name)),
                ("same_at_wraps", Json::Bool(case.same_at_wraps)),
                ("systems", Json::Object(systems)),
            ])
        });
        let costs = self.costs.iter().map(|(system, cost)| ((*system).to_owned(), cost_json(cost)));
        let goals = self.goals.iter().map(|goal| {
            Json::object([
                ("id", Json::text(goal.id)),
                ("goal", Json::text(&goal.goal)),
                ("measured", Json::text(&goal.measured)),
                ("met", goal.met.map_or(Json::Null, Json::Bool)),
            ])
        });
        let ratio = |judged: bool| {
            let ratios = ratios(&self.results, OURS, |result| result.trace.judged == judged);
            Json::List(ratios.iter().map(ratio_json).collect())
        };
        Json::object([
            ("traces", Json::List(traces)),
            (
                "ratios_to_neteq",
                Json::object([("judged", ratio(true)), ("generated", ratio(false))]),
            ),
            ("pathologies", Json::List(cases.collect())),
            ("costs", Json::Object(costs.collect())),
            ("goals", Json::List(goals.collect())),
            ("left_out", Json::List(self.broken.iter().map(|text| Json::text(text)).collect())),
        ])
    }
}

fn trace_json(result: &TraceResult) -> Json {
    let systems = result.defaults.iter().map(|default| {
        let mut members = summary_json(&default.summary);
        if let (Json::Object(members), Some(cost)) = (&mut members, &default.run.cost) {
            members.push(("cost".to_owned(), cost_json(cost)));
        }
        (default.system.clone(), members)
    });
    let curves = result.curves.iter().map(|curve| {
        let points = curve.points.iter().map(|point| {
            Json::object([
                ("param_ms", Json::Number(point.param)),
                ("late_percent", Json::Number(point.summary.late)),
                ("mean_delay_ms", Json::Number(point.summary.mean)),
            ])
        });
        let at = LOSSES.iter().filter(|late| result.losses().contains(late));
        let at = at.map(|&late| (late.to_string(), Json::optional(curve.delay_at(late))));
        let members = [
            ("points", Json::List(points.collect())),
            ("mean_delay_ms_at_late_percent", Json::Object(at.collect())),
        ];
        (curve.system.to_owned(), Json::object(members))
    });
    Json::object([
        ("name", Json::text(&result.trace.name)),
        ("judged", Json::Bool(result.trace.judged)),
        ("packets", Json::Number(result.trace.packets.len() as f64)),
        ("packet_ms", Json::Number(result.trace.packet_ms)),
        ("systems", Json::Object(systems.collect())),
        ("curves", Json::Object(curves.collect())),
        ("notes", Json::List(result.notes.iter().map(|note| Json::text(note)).collect())),
    ])
}

fn summary_json(summary: &Summary) -> Json {
    Json::object([
        ("mean_delay_ms", Json::Number(summary.mean)),
        ("p50_delay_ms", Json::Number(summary.p50)),
        ("p95_delay_ms", Json::Number(summary.p95)),
        ("max_delay_ms", Json::Number(summary.max)),
        ("concealed_percent", Json::Number(summary.concealed)),
        ("network_loss_percent", Json::Number(summary.network)),
        ("late_percent", Json::Number(summary.late)),
        ("skipped_percent", Json::Number(summary.skipped)),
        ("stretched_percent", Json::Number(summary.stretched)),
        ("events_per_minute", Json::Number(summary.events)),
        ("out_of_order", Json::Number(summary.out_of_order as f64)),
        ("duplicated", Json::Number(summary.duplicated as f64)),
        ("unreported_losses", Json::Number(summary.unreported as f64)),
        ("misreported_losses", Json::Number(summary.misreported as f64)),
    ])
}

fn cost_json(cost: &Cost) -> Json {
    Json::object([
        ("insert_ns", Json::Number(cost.insert_ns)),
        ("poll_ns", Json::Number(cost.poll_ns)),
        ("insert_allocations", Json::Number(cost.insert_allocations)),
        ("poll_allocations", Json::Number(cost.poll_allocations)),
        ("bytes", Json::Number(cost.bytes)),
    ])
}

fn ratio_json(ratio: &Ratio) -> Json {
    let traces =
        ratio.traces.iter().map(|(name, ratio)| (name.clone(), Json::Number(*ratio))).collect();
    let interval = ratio
        .interval
        .map_or(Json::Null, |(low, high)| Json::List(vec![Json::Number(low), Json::Number(high)]));
    Json::object([
        ("at", Json::text(&ratio.at.to_string())),
        ("geometric_mean", Json::optional(ratio.mean)),
        ("interval_95", interval),
        ("pooled", Json::optional(ratio.pooled)),
        ("traces", Json::Object(traces)),
        ("not_reached", Json::List(ratio.unreached.iter().map(|name| Json::text(name)).collect())),
    ])
}

const SUMMARY_HEAD: &str = "    mean     p50     p95     max  conceal  network     late    skip  \
                            stretch  events/min  order  twice  unsaid  wrong";

fn summary_row(summary: &Summary) -> String {
    let Summary { mean, p50, p95, max, concealed, network, late, .. } = summary;
    let Summary { skipped, stretched, events, out_of_order, duplicated, .. } = summary;
    let Summary { unreported, misreported, .. } = summary;
    format!(
        "{mean:>8.1}{p50:>8.1}{p95:>8.1}{max:>8.1}{concealed:>9.3}{network:>9.3}{late:>9.3}\
         {skipped:>8.3}{stretched:>9.2}{events:>12.2}{out_of_order:>7}{duplicated:>7}\
         {unreported:>8}{misreported:>7}"
    )
}

fn cell(value: Option<f64>, width: usize, decimals: usize) -> String {
    value.map_or(format!("{:>width$}", "-"), |value| format!("{value:>width$.decimals$}"))
}

fn line(text: &mut String, line: &str) {
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{line}");
}
