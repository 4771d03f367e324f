//! Results as tables for a person, or as one JSON object.

use std::fmt::Write;

use serde_json::{Value, json};

use crate::contender::Contender;
use crate::cost::Profile;
use crate::rounds::Rounds;
use crate::statistics::Estimate;
use crate::work::Outcome;

/// A figure that each round gives.
pub(crate) struct Figure {
    key: &'static str,
    label: &'static str,
    of: fn(&Outcome) -> Option<f64>,
    /// Whether ours is set over the tuned engine's.
    ratio: bool,
}

const fn figure(
    key: &'static str,
    label: &'static str,
    ratio: bool,
    of: fn(&Outcome) -> Option<f64>,
) -> Figure {
    Figure { key, label, of, ratio }
}

pub(crate) const JOIN: &[Figure] = &[
    figure("open_p50_ms", "half of the channels open, ms", true, |o| o.open_p50),
    figure("open_p99_ms", "99 % open, ms", true, |o| o.open_p99),
    figure("open_all_ms", "all open, ms", true, |o| o.open_all),
    figure("hello_all_ms", "all have said hello, ms", false, |o| o.hello_all),
    figure("failures", "not open after 15 s", false, |o| Some(o.failures)),
    figure("cpu_s", "CPU, s", true, |o| Some(o.cpu_s)),
    figure("peak_mib", "peak memory, MiB", true, |o| Some(o.peak_mib)),
];

pub(crate) const FANOUT: &[Figure] = &[
    figure("cpu_us", "CPU per message, µs", true, |o| o.cpu_us),
    figure("kernel_percent", "  of it in the kernel, %", false, |o| {
        Some(100.0 * o.system_s / o.cpu_s)
    }),
    figure("waits_per_message", "thread waits per message", false, |o| o.waits_per_message),
    figure("latency_p50_ms", "latency p50, ms", true, |o| o.latency_p50),
    figure("latency_p99_ms", "latency p99, ms", true, |o| o.latency_p99),
    figure("allocations_per_message", "allocations per message", true, |o| {
        o.allocations_per_message
    }),
    figure("sent_percent", "sent of what was due, %", false, |o| o.sent_percent),
    figure("delivered", "messages delivered", false, |o| Some(o.delivered)),
    figure("lost", "sent and not delivered", false, |o| Some(o.lost)),
    figure("refused", "  of it not taken, or shed", false, |o| Some(o.refused)),
    figure("reordered", "reordered", false, |o| Some(o.reordered)),
    figure("peak_mib", "peak memory, MiB", true, |o| Some(o.peak_mib)),
];

pub(crate) const BULK: &[Figure] = &[
    figure("mb_per_s", "MB/s", true, |o| o.mb_per_s),
    figure("cpu_s_per_gb", "CPU, s per GB", true, |o| o.cpu_s_per_gb),
    figure("peak_mib", "peak memory, MiB", true, |o| Some(o.peak_mib)),
];

pub(crate) const HOLD: &[Figure] = &[
    figure("healthy_lost", "lost by healthy viewers", false, |o| Some(o.healthy_lost)),
    figure("held_max_kib", "held for one at most, KiB", false, |o| o.held_max_kib),
    figure("held_mean_kib", "held on average, KiB", false, |o| o.held_mean_kib),
    figure("grown_kib", "the process grew for each, KiB", false, |o| o.grown_kib),
    figure("evicted", "given up meanwhile", false, |o| Some(o.evicted)),
];

/// A figure of a round's three p99: with none, one and half standing still.
type Shift = fn(&[f64; 3]) -> f64;

/// Tables and the same as JSON.
pub(crate) struct Report {
    tables: String,
    json: serde_json::Map<String, Value>,
}

impl Report {
    pub(crate) fn new(machine: Value) -> Self {
        let json = [("machine".to_owned(), machine)].into_iter().collect();
        Self { tables: String::new(), json }
    }

    pub(crate) fn tables(&self) -> &str {
        &self.tables
    }

    pub(crate) fn into_json(self) -> Value {
        Value::Object(self.json)
    }

    /// A table of figures; ratios are of the rounds, pair by pair.
    pub(crate) fn figures(&mut self, key: &str, title: &str, figures: &[Figure], rounds: &Rounds) {
        let ours = Contender::Paceline;
        let ratio = |figure: &Figure, who| ratio(figure, rounds, who);
        self.head(title, rounds.iter().map(|(who, _)| who.name()), "ours/tuned");
        let mut all = serde_json::Map::new();
        for figure in figures {
            let outcomes = || rounds.iter().flat_map(|(_, outcomes)| outcomes).flatten();
            if outcomes().all(|outcome| (figure.of)(outcome).is_none()) {
                continue;
            }
            let mut cells = Vec::new();
            for (who, outcomes) in rounds {
                let values = outcomes.iter().flatten().filter_map(figure.of);
                let estimate = Estimate::of(values);
                cells.push(cell(estimate));
                let of_who = all.entry(who.name()).or_insert_with(|| json!({}));
                of_who[figure.key] = json!(estimate);
                if figure.ratio && *who != Contender::Tuned {
                    of_who[format!("{}_over_tuned", figure.key)] = json!(ratio(figure, *who));
                }
            }
            cells.push(if figure.ratio { cell(ratio(figure, ours)) } else { String::new() });
            self.row(figure.label, cells);
        }
        self.tables.push('\n');
        self.add(key, Value::Object(all));
    }

    /// How the healthy viewers' p99 moves.
    pub(crate) fn stalls(&mut self, key: &str, title: &str, half: usize, rounds: &Rounds) {
        self.head(title, rounds.iter().map(|(who, _)| who.name()), "");
        let half = format!("{half} stand still: p99 moves, ms");
        let rows: [(&str, &str, Shift); 3] = [
            ("p99_ms", "none stands still: p99, ms", |p99| p99[0]),
            ("one_stalled_shift_ms", "1 stands still: p99 moves, ms", |p99| p99[1] - p99[0]),
            ("half_stalled_shift_ms", &half, |p99| p99[2] - p99[0]),
        ];
        let mut all = serde_json::Map::new();
        for (key, label, of) in rows {
            let mut cells = Vec::new();
            for (who, outcomes) in rounds {
                let stalls = outcomes.iter().flatten().flat_map(|outcome| &outcome.stalls);
                let estimate = Estimate::of(stalls.map(of));
                cells.push(cell(estimate));
                all.entry(who.name()).or_insert_with(|| json!({}))[key] = json!(estimate);
            }
            self.row(label, cells);
        }
        self.tables.push('\n');
        self.add(key, Value::Object(all));
    }

    pub(crate) fn costs(&mut self, title: &str, profiles: &[Profile]) {
        self.head(title, profiles.iter().map(|profile| profile.who.name()), "");
        let groups = profiles.first().map_or(0, |profile| profile.us.len());
        for group in 0..groups {
            let cells = profiles.iter().map(|profile| format!("{:.1}", profile.us[group].1));
            self.row(profiles[0].us[group].0, cells.collect());
        }
        for profile in profiles {
            let _ = writeln!(self.tables, "\n  most in {}, % of the samples", profile.who.name());
            for (name, share) in &profile.hottest {
                let _ = writeln!(self.tables, "    {:>5.1}  {name:.100}", 100.0 * share);
            }
        }
        self.tables.push('\n');
        self.add("cost", json!(profiles));
    }

    fn add(&mut self, key: &str, value: Value) {
        self.json.insert(key.to_owned(), value);
    }

    fn head<'a>(&mut self, title: &str, names: impl Iterator<Item = &'a str>, last: &'a str) {
        let _ = writeln!(self.tables, "{title}");
        self.row("", names.chain([last]).map(str::to_owned).collect());
    }

    fn row(&mut self, label: &str, cells: Vec<String>) {
        let mut line = format!("  {label:<32}");
        for cell in cells {
            let _ = write!(line, "{cell:>23}");
        }
        let _ = writeln!(self.tables, "{}", line.trim_end());
    }
}

fn ratio(figure: &Figure, rounds: &Rounds, who: Contender) -> Option<Estimate> {
    let of = |who| rounds.iter().find(|(other, _)| *other == who).map(|(_, outcomes)| outcomes);
    let (ours, tuned) = (of(who)?, of(Contender::Tuned)?);
    let pairs = ours.iter().zip(tuned).filter_map(|(ours, tuned)| {
        Some((figure.of)(ours.as_ref()?)? / (figure.of)(tuned.as_ref()?)?)
    });
    Estimate::of(pairs)
}

fn cell(estimate: Option<Estimate>) -> String {
    let Some(Estimate { median, low, high, .. }) = estimate else { return "-".to_owned() };
    if low == high {
        return number(median);
    }
    format!("{} [{} {}]", number(median), number(low), number(high))
}

/// Three digits or so.
fn number(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        size if size < 0.095 => format!("{value:.3}"),
        size if size < 9.95 => format!("{value:.2}"),
        size if size < 99.5 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}
