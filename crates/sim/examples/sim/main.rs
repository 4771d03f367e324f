//! Calls in virtual time: one of three people, or very many whose hosts are killed.
//!
//! ```text
//! cargo run --release -p paceline-sim --example sim -- --seed 1 --minutes 10
//! cargo run --release -p paceline-sim --example sim -- --kills 1000 --seed 1 --json
//! cargo run --release -p paceline-sim --example sim -- --kills 1 --seed 4711 --profile wan8 --trace
//! ```

mod kills;
mod options;
mod three_people;

use std::error::Error;
use std::time::Instant;

use options::Options;

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse(std::env::args().skip(1))?;
    match options.kills {
        Some(count) => kills::run(&options, count),
        None => three_people::run(options.seed, options.minutes),
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "how long it took is for a person; no machine sees it"
)]
fn clock() -> Instant {
    Instant::now()
}
