//! Shares a screen: see `--help`.

mod allocations;
mod args;
#[cfg(feature = "mirror")]
mod mirror;
mod report;
mod share;
#[path = "../call/signals.rs"]
mod signals;
mod sources;
mod status;
#[path = "../call/system.rs"]
#[allow(dead_code, reason = "shared with `call`, which uses more of it")]
mod system;
mod targets;

use std::io::Write;
use std::process::ExitCode;

use crate::args::{Args, Parsed};

fn main() -> ExitCode {
    let args = match Args::parse(std::env::args_os(), std::env::var_os("PACELINE_TOKEN")) {
        Ok(Parsed::Run(args)) => *args,
        Ok(Parsed::Devices { json }) => return say(&sources::list_devices(json)),
        Ok(Parsed::Say(text)) => return say(&text),
        Err(error) => {
            complain(&format!("{error}\nTry `screen-share --help`."));
            return ExitCode::from(2);
        }
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            complain(&format!("the system gives no threads: {error}"));
            return ExitCode::FAILURE;
        }
    };
    if args.debug {
        tracing_subscriber::fmt()
            .with_writer(std::io::stderr)
            .with_max_level(tracing_subscriber::filter::LevelFilter::INFO)
            .with_ansi(false)
            .init();
    }
    let json = args.json;
    let ended = runtime.block_on(share::run(args));
    // A source that does not open and a name that is looked up hold a thread for as long as the
    // system likes. All goodbyes are said, and nobody waits for those.
    runtime.shutdown_background();
    match ended {
        Ok(report) => {
            say(&if json { report.json() } else { report.text() });
            report.exit_code()
        }
        Err(error) => {
            complain(&error);
            ExitCode::FAILURE
        }
    }
}

/// A line for whoever still reads standard error.
pub(crate) fn complain(text: &str) {
    let _ = writeln!(std::io::stderr(), "screen-share: {text}");
}

fn say(text: &str) -> ExitCode {
    // Whoever closed our output does not want it.
    let _ = writeln!(std::io::stdout(), "{text}");
    ExitCode::SUCCESS
}
