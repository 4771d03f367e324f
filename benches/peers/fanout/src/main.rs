//! Fan-out over data channels: bare engines and paceline side by side.

#![expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

mod contender;
mod cost;
mod options;
mod places;
mod record;
mod report;
mod rounds;
mod statistics;
mod usage;
mod work;

use std::env;
use std::error::Error;
use std::fs;
use std::process::ExitCode;

use serde_json::json;

use crate::contender::Contender;
use crate::options::{Asked, Options, Part};
use crate::report::Report;
use crate::work::Work;

fn main() -> ExitCode {
    let result = match options::parse(env::args_os().skip(1)) {
        Ok(Asked::Help) => {
            print!("{}", options::HELP);
            Ok(())
        }
        Ok(Asked::Child(job)) => child(&job),
        Ok(Asked::Compare(options)) => {
            compare(&options);
            Ok(())
        }
        Err(error) => Err(format!("{error}\n\n{}", options::HELP).into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("{problem}");
            ExitCode::FAILURE
        }
    }
}

fn child(job: &str) -> Result<(), Box<dyn Error>> {
    let outcome = work::run(serde_json::from_str(job)?)?;
    println!("{}", serde_json::to_string(&outcome)?);
    // Threads of the engines still run.
    std::process::exit(0);
}

fn compare(options: &Options) {
    let mut report = Report::new(machine(options));
    let Options { viewers, duration, .. } = *options;
    let rounds = |default| options.rounds.unwrap_or(default);
    let (rate, bytes) = options.loads[0];
    for part in &options.parts {
        match part {
            Part::Join => {
                let played = rounds::play(options, "join", rounds(5), |_| Some(Work::Join));
                let title = format!("join: {viewers} viewers at once");
                report.figures("join", &title, report::JOIN, &played);
            }
            Part::Fanout => {
                for &(rate, bytes) in &options.loads {
                    let what = Work::Fanout { rate, bytes, seconds: duration.unwrap_or(2.0) };
                    let load = format!("{rate} messages/s of {bytes} bytes");
                    let name = format!("fan-out of {load}");
                    let played = rounds::play(options, &name, rounds(3), |_| Some(what));
                    let title = format!("{name} to {viewers} viewers");
                    let key = format!("fanout_{rate}x{bytes}");
                    report.figures(&key, &title, report::FANOUT, &played);
                }
            }
            Part::Stall => {
                let what = |who| {
                    Some(Work::Stall {
                        rate,
                        bytes,
                        seconds: duration.unwrap_or(0.6),
                        // The bare engine shares the path of the tuned one: only what it
                        // holds is another.
                        rounds: if who == Contender::Bare { 0 } else { rounds(10) },
                        hold: HOLD,
                    })
                };
                let played = rounds::play(options, "stall", 1, what);
                let half = viewers / 2;
                let title =
                    format!("viewers that stand still, as seen by {} others", viewers - half);
                report.stalls("stall", &title, half, &played);
                let title = format!("{half} stand still for {HOLD} s");
                report.figures("hold", &title, report::HOLD, &played);
            }
            Part::Bulk => {
                let what = Work::Bulk { bytes: BULK, seconds: duration.unwrap_or(2.5) };
                let played = rounds::play(options, "bulk", rounds(3), |_| Some(what));
                let title = format!("one channel, messages of {BULK} bytes");
                report.figures("bulk", &title, report::BULK, &played);
            }
            Part::Cost if !cost::is_possible() => {
                eprintln!("`perf` is not there or may not sample: where the time goes is left out");
            }
            Part::Cost => {
                let what = Work::Fanout { rate, bytes, seconds: duration.unwrap_or(2.0) };
                let mut profiles = Vec::new();
                for &who in options.among.iter().filter(|who| **who != Contender::Bare) {
                    eprintln!("cost: {}", who.name());
                    profiles.extend(cost::profile(who, viewers, what));
                }
                let title = format!("where it goes: µs per message of {bytes} bytes");
                report.costs(&title, &profiles);
            }
        }
    }
    if options.json {
        println!("{}", report.into_json());
    } else {
        print!("{}", report.tables());
    }
}

/// What the figures depend on beside the program.
fn machine(options: &Options) -> serde_json::Value {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    json!({
        "cores": std::thread::available_parallelism().map_or(0, usize::from),
        "rmem_max": read("/proc/sys/net/core/rmem_max").trim(),
        "load_before": read("/proc/loadavg").split_whitespace().next(),
        "viewers": options.viewers,
    })
}

/// How long half of the viewers stand still: longer than anything that gives them up.
const HOLD: f64 = 7.0;

/// A message of a bulk transfer: with paceline's header it is one of 16 KiB, the size that
/// every implementation takes (RFC 8831 §6.6).
const BULK: usize = 16_000;
