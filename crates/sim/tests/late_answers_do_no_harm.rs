//! Answers that come after their attempt was given up, and signals out of order.

use std::time::Duration;

use paceline_mesh::Topology;
use paceline_sim::{Fabric, FabricConfig, LinkConfig, NetworkConfig, RoadConfig};

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn fabric(topology: Topology, seed: u64, road: RoadConfig) -> Fabric {
    let network = NetworkConfig::from(LinkConfig::wan().loss(0.0)).max_op_delay(ms(5));
    Fabric::new(FabricConfig::new(topology).seed(seed).network(network).road(road))
}

fn assert_whole(fabric: &mut Fabric, ends: usize, seed: u64) {
    fabric.run_for(ms(2_000));
    fabric.set_sending(false);
    fabric.run_for(ms(1_000));
    let tally = fabric.tally();
    assert_eq!(fabric.holding().connected, ends, "seed {seed}: {tally:?}");
    assert!(fabric.agree(), "seed {seed}: {tally:?}");
    assert_eq!((tally.wrong, tally.untaken, fabric.missing()), (0, 0, 0), "seed {seed}: {tally:?}");
    assert_eq!(fabric.network().refused, 0, "seed {seed}: {tally:?}");
}

/// For ten seconds one signal in ten takes 6 s longer than the others: more than the 5 s
/// that an answer may take. What is tried after that works, whatever still comes late:
/// an attempt is over within 10 s, the road is clear of what is late within 6 s, and the
/// next is made 4 s later at the most.
#[test]
fn an_attempt_that_is_answered_too_late_is_given_up_and_the_next_one_works() {
    let mut given_up = 0;
    for seed in 1..=150 {
        let late = RoadConfig::default().late(0.1, ms(6_000));
        let mut fabric = fabric(Topology::Mesh, seed, late);
        for _ in 0..6 {
            let _ = fabric.join();
        }
        fabric.run_for(ms(10_000));
        let before = fabric.tally().offers;
        given_up += before - 15;
        fabric.set_road(RoadConfig::default());
        fabric.run_for(ms(20_000));
        let stuck = fabric.stuck(ms(0));
        assert_eq!(stuck, [], "seed {seed}: {:?}", fabric.tally());
        assert_whole(&mut fabric, 30, seed);
    }
    assert!(given_up > 150, "only {given_up} attempts in 150 rooms were made again");
    println!("{given_up} attempts were made again");
}

/// Each signal is a request of its own, and takes 1 to 200 ms: candidates come before
/// their description, and answers before what was said before them.
#[test]
fn signals_may_come_in_any_order() {
    for seed in 1..=150 {
        let road = RoadConfig::default().delay(ms(1), ms(100)).reorder(true);
        let mut fabric = fabric(Topology::Mesh, seed, road);
        for _ in 0..8 {
            let _ = fabric.join();
        }
        fabric.run_for(ms(2_000));
        assert_eq!(fabric.stuck(ms(0)), [], "seed {seed}: {:?}", fabric.tally());
        assert_eq!(fabric.tally().offers, 28, "seed {seed}: each attempt is the first");
        assert_eq!(fabric.network().stray_candidates, 0, "seed {seed}");
        assert_whole(&mut fabric, 56, seed);
    }
}
