//! Jitter buffers side by side: ours, libwebrtc's NetEQ, the `neteq` crate, fixed delays and
//! oracles, over the same traces and with the same measure. See the README.
#![allow(clippy::disallowed_methods, reason = "a bench: it has a clock")]

mod allocations;
mod clock;
mod compare;
mod csv;
mod curve;
mod generate;
mod goals;
mod json;
mod libwebrtc;
mod marker;
mod metrics;
mod neteq_crate;
mod oracle;
mod ours;
mod pathology;
mod plot;
mod random;
mod report;
mod speech;
mod trace;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{env, fs};

use crate::compare::{Peers, TraceResult};
use crate::libwebrtc::Libwebrtc;
use crate::report::Report;
use crate::trace::Trace;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match arguments.as_slice() {
        [] => {}
        [help] if help == "--help" || help == "-h" => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        _ => {
            eprintln!("unknown arguments {arguments:?}\n\n{HELP}");
            return ExitCode::from(2);
        }
    }
    match bench() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn bench() -> Result<(), Box<dyn Error>> {
    let out = PathBuf::from(setting("OUT").unwrap_or_else(|| "target/bench-timing".to_owned()));
    fs::create_dir_all(&out).map_err(|error| format!("{}: {error}", out.display()))?;
    let peers = peers(&out)?;

    let mut broken = Vec::new();
    let mut traces = judged(Path::new(OWN_TRACES), &mut broken)?;
    if let Some(folder) = setting("TRACES") {
        traces.extend(judged(Path::new(&folder), &mut broken)?);
    }
    distinguish(&mut traces);
    traces.extend(generate::traces());

    eprintln!("cost");
    let costs = match traces.iter().find(|trace| !trace.judged) {
        Some(long) => compare::costs(long, &peers),
        None => Vec::new(),
    };
    let results = compare::compare(traces, &peers);
    eprintln!("pathologies");
    let cases = pathology::run(&peers);
    let goals = goals::goals(&results, &cases, &costs);
    plots(&results, &out)?;
    let report = Report { results, cases, costs, goals, broken };
    if setting("JSON").is_some_and(|value| value != "0") {
        println!("{}", report.json());
    } else {
        print!("{}", report.tables());
    }
    eprintln!("plots are in {}", out.display());
    Ok(())
}

fn peers(out: &Path) -> Result<Peers, Box<dyn Error>> {
    let speech = speech::synthesise(SPEECH_SECONDS);
    let libwebrtc = match setting("NETEQ_HARNESS") {
        Some(program) => {
            let samples = speech::to_i16(&speech);
            Some(Libwebrtc::new(PathBuf::from(program), &out.join("neteq-input"), &samples)?)
        }
        None => {
            eprintln!("NETEQ_HARNESS is not set: without libwebrtc's NetEQ");
            None
        }
    };
    Ok(Peers { libwebrtc, speech: speech.into() })
}

/// The traces of `folder`; a file that is none is said and left out.
fn judged(folder: &Path, broken: &mut Vec<String>) -> Result<Vec<Trace>, Box<dyn Error>> {
    let mut traces = Vec::new();
    for trace in csv::read_folder(folder)? {
        match trace {
            Ok(trace) => traces.push(trace.judged()),
            Err(error) => {
                eprintln!("left out: {error}");
                broken.push(error.to_string());
            }
        }
    }
    Ok(traces)
}

/// Two folders may have a file of one name.
fn distinguish(traces: &mut [Trace]) {
    for index in 1..traces.len() {
        let (before, rest) = traces.split_at_mut(index);
        let mut copies = 1;
        let name = rest[0].name.clone();
        while before.iter().any(|trace| trace.name == rest[0].name) {
            copies += 1;
            rest[0].name = format!("{name} ({copies})");
        }
    }
}

fn plots(results: &[TraceResult], out: &Path) -> Result<(), Box<dyn Error>> {
    for result in results {
        let name = result.trace.name.replace(['/', ' '], "-");
        fs::write(out.join(format!("{name}-delay.svg")), plot::delays(result))?;
        fs::write(out.join(format!("{name}-curves.svg")), plot::curves(result))?;
    }
    Ok(())
}

/// A variable of the environment that is set and not empty.
fn setting(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

/// Compiled in: the program is run from anywhere, and is of this checkout.
const OWN_TRACES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../data/traces");

/// Longer than the period of any pattern of loss.
const SPEECH_SECONDS: usize = 60;

const HELP: &str = "\
Jitter buffers side by side, over the same traces and with the same measure.

    make bench-timing [TRACES=FOLDER] [JSON=1] [OUT=FOLDER]

Read from the environment:
    TRACES         a folder of further traces to judge: every .csv in it, with a line
                   `arrival_us,seq,ts48k` for each packet in order of arrival
    JSON           1: print one JSON object in place of the tables
    OUT            where the plots go; target/bench-timing if it is not set
    NETEQ_HARNESS  the harness of libwebrtc's NetEQ, which benches/peers/timing/run
                   builds; without it the rest runs

Tables or JSON go to stdout, progress and what is wrong to stderr.
";
