//! A call in a terminal: see `--help`.

mod args;
mod call;
mod keys;
mod layout;
mod measure;
mod page;
mod panes;
mod participant;
mod report;
mod system;
mod terminal;
mod view;

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
            eprintln!("call: {error}\nTry `call --help`.");
            return ExitCode::from(2);
        }
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("call: the system gives no threads: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(call::run(args)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("call: {error}");
            ExitCode::FAILURE
        }
    }
}
