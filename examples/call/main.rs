//! A call in a terminal: see `--help`.

mod args;
mod call;
mod changes;
mod child;
mod crew;
mod failover;
mod joins;
mod keys;
mod lan;
mod layout;
mod measure;
mod member;
mod orders;
mod page;
mod panes;
mod participant;
mod processes;
mod qr;
mod report;
mod screen;
mod seats;
mod shape;
mod signals;
mod sources;
mod system;
mod terminal;
mod view;
mod waits;

use std::process::ExitCode;

use crate::args::{Args, Mode, Parsed};

fn main() -> ExitCode {
    let started = system::unix_micros();
    let args = match Args::parse(std::env::args_os()) {
        Ok(Parsed::Run(args)) => *args,
        Ok(Parsed::Devices { json }) => {
            println!("{}", sources::list_devices(json));
            return ExitCode::SUCCESS;
        }
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
    if args.child.is_some() {
        child::tell("main_us", started);
    }
    let ended = runtime.block_on(async {
        match args.mode {
            Mode::All if args.processes => processes::run(args).await,
            Mode::MeasureFailover => failover::run(args).await,
            Mode::MeasureJoins(_) => joins::run(args).await,
            _ => call::run(args).await,
        }
    });
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("call: {error}");
            ExitCode::FAILURE
        }
    }
}
