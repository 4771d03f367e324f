//! Tables, or JSON.

use std::fmt::Write as _;
use std::fs;

use serde_json::{Map, Value, json};

use crate::contender::Contender;
use crate::options::Options;
use crate::round::Outcome;
use crate::statistics::median;

/// A column.
struct Figure {
    name: &'static str,
    of: fn(&Outcome) -> Option<f64>,
}

const FIGURES: [Figure; 13] = [
    Figure { name: "sender %", of: |outcome| Some(outcome.sender) },
    Figure { name: "X %", of: |outcome| Some(outcome.server) },
    Figure { name: "both %", of: both },
    Figure { name: "1st p5 ms", of: |outcome| Some(outcome.verdict.first_ms?[0]) },
    Figure { name: "1st p50", of: |outcome| Some(outcome.verdict.first_ms?[1]) },
    Figure { name: "1st p95", of: |outcome| Some(outcome.verdict.first_ms?[2]) },
    Figure { name: "last p5", of: |outcome| Some(outcome.verdict.last_ms?[0]) },
    Figure { name: "last p50", of: |outcome| Some(outcome.verdict.last_ms?[1]) },
    Figure { name: "last p95", of: |outcome| Some(outcome.verdict.last_ms?[2]) },
    Figure { name: "PSNR dB", of: |outcome| Some(outcome.verdict.psnr_db) },
    Figure { name: "kbit/s", of: |outcome| Some(outcome.verdict.kbps) },
    Figure { name: "seen %", of: |outcome| Some(outcome.verdict.seen) },
    Figure { name: "broken", of: |outcome| Some(outcome.verdict.broken as f64) },
];

fn both(outcome: &Outcome) -> Option<f64> {
    Some(outcome.sender + outcome.server)
}

pub(crate) struct Report {
    machine: Value,
    tables: String,
    json: Map<String, Value>,
}

impl Report {
    pub(crate) fn new(options: &Options) -> Self {
        let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
        let machine = json!({
            "cores": std::thread::available_parallelism().map_or(0, usize::from),
            "load_before": load.split_whitespace().next(),
            "rounds": options.rounds,
            "seconds": options.seconds,
        });
        Self { machine, tables: String::new(), json: Map::new() }
    }

    /// One scene at one bitrate: medians over the rounds, and ours beside each of the others.
    pub(crate) fn stretch(
        &mut self,
        scene: &str,
        kbps: u64,
        outcomes: Vec<(Contender, Vec<Outcome>)>,
    ) {
        let title = format!("{scene} at {kbps} kbit/s");
        self.row(&title, FIGURES.iter().map(|figure| figure.name.to_owned()));
        for (who, outcomes) in &outcomes {
            let cells = FIGURES.iter().map(|figure| cell(middle(outcomes, figure.of)));
            self.row(who.name(), cells);
        }
        for (who, outcomes) in &outcomes {
            let accounts: Vec<_> = outcomes.iter().filter_map(|outcome| outcome.account).collect();
            if accounts.is_empty() {
                continue;
            }
            let of = |part: fn(&crate::ours::Account) -> f64| {
                cell(median(&accounts.iter().map(part).collect::<Vec<_>>()))
            };
            let _ = writeln!(
                self.tables,
                "  {} of itself, ms, p50 / p95: grab {} / {}, encode {} / {}, grab to first \
                 packet {} / {}, to last {} / {}; pictures sent {}, skipped {}, unchanged {}",
                who.name(),
                of(|of| of.grab_ms[0]),
                of(|of| of.grab_ms[1]),
                of(|of| of.encode_ms[0]),
                of(|of| of.encode_ms[1]),
                of(|of| of.first_ms[0]),
                of(|of| of.first_ms[1]),
                of(|of| of.last_ms[0]),
                of(|of| of.last_ms[1]),
                of(|of| of.sent as f64),
                of(|of| of.skipped as f64),
                of(|of| of.unchanged as f64),
            );
        }
        self.ratios(&outcomes);
        self.tables.push('\n');
        let all: Map<String, Value> = outcomes
            .into_iter()
            .map(|(who, outcomes)| (who.name().to_owned(), json!(outcomes)))
            .collect();
        self.json.insert(title, Value::Object(all));
    }

    /// Round by round, so that what was the same for both falls out.
    fn ratios(&mut self, outcomes: &[(Contender, Vec<Outcome>)]) {
        for (ours, of_ours) in outcomes.iter().filter(|(who, _)| who.is_ours()) {
            for (other, of_other) in outcomes.iter().filter(|(who, _)| !who.is_ours()) {
                let pairs = || of_ours.iter().zip(of_other);
                let ratios: Vec<f64> =
                    pairs().filter_map(|(ours, other)| Some(both(ours)? / both(other)?)).collect();
                let gains: Vec<f64> = pairs()
                    .map(|(ours, other)| ours.verdict.psnr_db - other.verdict.psnr_db)
                    .collect();
                if let (Some(ratio), Some(gain)) = (median(&ratios), median(&gains)) {
                    let _ = writeln!(
                        self.tables,
                        "  {} beside {}: {ratio:.2} of the processor time, {gain:+.1} dB",
                        ours.name(),
                        other.name()
                    );
                }
            }
        }
    }

    pub(crate) fn tables(&self) -> String {
        format!(
            "1920 x 1080 at 30 a second. Medians of {} rounds of {} s, on {} cores (load before: \
             {}).\nsender, X: % of a core, X without what painting takes. 1st, last: from painted \
             to the first and\nlast packet of the picture; half of 33 ms is waiting for the next \
             grab, p5 is next to none of it.\nseen: of the pictures that were painted.\n\n{}",
            self.machine["rounds"],
            self.machine["seconds"],
            self.machine["cores"],
            self.machine["load_before"].as_str().unwrap_or("?"),
            self.tables
        )
    }

    pub(crate) fn into_json(self) -> Value {
        json!({ "machine": self.machine, "stretches": self.json })
    }

    fn row(&mut self, label: &str, cells: impl Iterator<Item = String>) {
        let mut line = format!("  {label:<22}");
        for cell in cells {
            let _ = write!(line, "{cell:>10}");
        }
        let _ = writeln!(self.tables, "{}", line.trim_end());
    }
}

fn middle(outcomes: &[Outcome], of: fn(&Outcome) -> Option<f64>) -> Option<f64> {
    median(&outcomes.iter().filter_map(of).collect::<Vec<_>>())
}

fn cell(value: Option<f64>) -> String {
    match value {
        None => "-".to_owned(),
        Some(value) if value.abs() < 9.95 => format!("{value:.2}"),
        Some(value) if value.abs() < 99.5 => format!("{value:.1}"),
        Some(value) => format!("{value:.0}"),
    }
}
