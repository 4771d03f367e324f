//! Drift estimators side by side: error, stated intervals, steps and cost.

#![expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

mod cost;
mod csv;
mod judge;
mod noise;
mod peers;
mod report;
mod trace;

use std::env;
use std::path::PathBuf;
use std::process::ExitCode;

use judge::Judged;

const HELP: &str = "\
Compares drift estimators on generated and on recorded delays.

usage: paceline-bench-drift [--help]

environment:
  TRACES=FOLDER  recordings, files of lines `arrival_us,seq,ts48k` [benches/data/traces]
  JSON=1         one JSON object instead of tables
  SEEDS=N        senders for each table [400]
  DRIFT=PPM      the drift of all of them [20…500 either way, uniform on a logarithmic scale]

Each sender sends a packet every 20 ms. Errors are the root of the mean square over the
senders, in ppm, at the end of each window. `answer 0` is the error of not estimating.
The errors at drifts of 20 and 50 ppm are told over that of answering 0 (1.05 is the goal).
`measured` is ours without the shrinkage toward what is believed beforehand. A recording is
made into ten minutes of blocks of 2…5 s drawn from it at random, and packets that were
overtaken are left out, as a caller of the estimator does.
";

fn main() -> ExitCode {
    if let Some(argument) = env::args().nth(1) {
        let asked = argument == "--help" || argument == "-h";
        if asked {
            print!("{HELP}");
        } else {
            eprintln!("{argument}: unknown\n\n{HELP}");
        }
        return if asked { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("{problem}");
            ExitCode::FAILURE
        }
    }
}

/// The number in an environment variable.
fn number<T: std::str::FromStr>(name: &str) -> Result<Option<T>, String> {
    match env::var(name) {
        Ok(text) if !text.is_empty() => {
            text.parse().map(Some).map_err(|_| format!("{name}={text}: not a number"))
        }
        _ => Ok(None),
    }
}

fn run() -> Result<(), String> {
    let senders = judge::Senders {
        count: number("SEEDS")?.unwrap_or(400_u64).max(2),
        drift: number("DRIFT")?,
        both_ways: false,
    };
    // Next to this package, from wherever it is run; `make` exports what is not set as empty.
    let folder = env::var_os("TRACES").filter(|folder| !folder.is_empty()).map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../data/traces")),
        PathBuf::from,
    );
    let (mut traces, mut left_out) = (Vec::new(), Vec::new());
    for trace in csv::read_folder(&folder).map_err(|error| error.to_string())? {
        match trace {
            Ok(trace) => traces.push(trace),
            Err(error) => {
                eprintln!("left out: {error}");
                left_out.push(error.to_string());
            }
        }
    }
    let json = env::var_os("JSON").is_some_and(|value| value == "1");

    let generated: Vec<Judged> = noise::Path::ALL
        .iter()
        .map(|&(path, name)| judge::generated(path, name, senders))
        .collect();
    let recorded: Vec<Judged> =
        traces.iter().map(|trace| judge::recorded(trace, senders)).collect();
    let results = report::Results {
        generated,
        recorded,
        small: judge::small(&traces, senders),
        steps: judge::steps(senders),
        costs: cost::all(),
        left_out,
    };
    print!("{}", if json { report::json(&results) } else { report::tables(&results) });
    Ok(())
}
