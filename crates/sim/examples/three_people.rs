//! Three people talk for some minutes over a bad network, in seconds.
//!
//! ```text
//! cargo run --release -p paceline-sim --example three_people -- --seed 1 --minutes 10
//! ```

use std::error::Error;
use std::time::{Duration, Instant};

use paceline_sim::{LinkConfig, World, WorldConfig};

fn main() -> Result<(), Box<dyn Error>> {
    let (mut seed, mut minutes) = (1, 10);
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let value = args.next().ok_or_else(|| format!("{arg} needs a number after it"))?.parse()?;
        match arg.as_str() {
            "--minutes" => minutes = value,
            "--seed" => seed = value,
            _ => return Err(format!("{arg} is unknown: there are --minutes and --seed").into()),
        }
    }

    let began = clock();
    let mut world = World::new(WorldConfig::default().seed(seed).link(LinkConfig::wan()));
    world.join_to_host("ann");
    world.join("ben");
    world.join("cal");
    world.run_for(Duration::from_secs(60 * minutes));
    let report = world.report();
    let wall = began.elapsed();

    print!("{report}");
    println!(
        "seed {seed}: {} s of virtual time took {:.2} s, digest {:016x}",
        report.elapsed.as_secs(),
        wall.as_secs_f64(),
        report.digest()
    );
    Ok(())
}

#[expect(
    clippy::disallowed_methods,
    reason = "how long it took is for a person; no machine sees it"
)]
fn clock() -> Instant {
    Instant::now()
}
