//! Three people talk for some minutes over a bad network, in seconds.

use std::error::Error;
use std::time::Duration;

use paceline_sim::{LinkConfig, World, WorldConfig};

use crate::clock;

pub(crate) fn run(seed: u64, minutes: u64) -> Result<(), Box<dyn Error>> {
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
