//! One sends, a hundred receive: see `--help`.

mod args;
mod audience;
mod broadcast;
mod histogram;
mod holdings;
mod keys;
#[path = "../call/lan.rs"]
#[allow(dead_code, reason = "shared with `call`, which uses more of it")]
mod lan;
mod report;
mod screen;
#[path = "../call/signals.rs"]
mod signals;
mod stage;
#[path = "../call/system.rs"]
#[allow(dead_code, reason = "shared with `call`, which uses more of it")]
mod system;
mod tally;
#[path = "../call/terminal.rs"]
mod terminal;
mod viewer;

use std::io::Write;
use std::process::ExitCode;

use crate::args::{Args, Parsed};

fn main() -> ExitCode {
    let args = match Args::parse(std::env::args_os()) {
        Ok(Parsed::Run(args)) => args,
        Ok(Parsed::Say(text)) => {
            println!("{text}");
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("broadcast: {error}\nTry `broadcast --help`.");
            return ExitCode::from(2);
        }
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("broadcast: the system gives no threads: {error}");
            return ExitCode::FAILURE;
        }
    };
    let json = args.json;
    match runtime.block_on(broadcast::run(args)) {
        Ok(report) => {
            let text = if json { report.json() } else { report.text() };
            // Whoever closed our output does not want it.
            let _ = writeln!(std::io::stdout(), "{text}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("broadcast: {error}");
            ExitCode::FAILURE
        }
    }
}
