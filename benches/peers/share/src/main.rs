//! A shared screen: paceline, FFmpeg and GStreamer side by side.

#![expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

mod contender;
mod judge;
mod options;
mod ours;
mod painting;
mod receiver;
mod report;
mod round;
mod statistics;
mod stop;
mod usage;

use std::env;
use std::error::Error;
use std::process::ExitCode;

use crate::options::{Asked, Options};
use crate::report::Report;
use crate::stop::Stop;

/// What goes wrong here is said on stderr.
type Failure = Box<dyn Error + Send + Sync>;

fn main() -> ExitCode {
    let result = match options::parse(env::args_os().skip(1)) {
        Ok(Asked::Help) => {
            print!("{}", options::HELP);
            Ok(())
        }
        Ok(Asked::Child(job)) => ours::child(&job),
        Ok(Asked::Compare(options)) => compare(&options),
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

fn compare(options: &Options) -> Result<(), Failure> {
    // Before any thread is started: all of them leave the signals to one.
    let stop = Stop::on_signals()?;
    let mut report = Report::new(options);
    let among: Vec<_> = options.among.iter().copied().filter(|who| who.is_installed()).collect();
    round::play(options, &among, &stop, &mut report)?;
    if options.json {
        println!("{}", report.into_json());
    } else {
        print!("{}", report.tables());
    }
    Ok(())
}
