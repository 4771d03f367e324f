//! Both ends of every pair call each other: one offer is answered, and one gives way.

use std::time::Duration;

use paceline_mesh::Topology;
use paceline_sim::{Fabric, FabricConfig, LinkConfig, NetworkConfig, RoadConfig};

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn call(seed: u64, reorder: bool) {
    let network = NetworkConfig::from(LinkConfig::wan().loss(0.0)).max_op_delay(ms(20));
    let config = FabricConfig::new(Topology::Mesh)
        .seed(seed)
        .network(network)
        .both_call(true)
        .road(RoadConfig::default().delay(ms(1), ms(50)).reorder(reorder));
    let mut fabric = Fabric::new(config);
    for _ in 0..6 {
        let _ = fabric.join();
    }
    fabric.run_for(ms(2_000));
    let tally = fabric.tally();
    assert_eq!(fabric.stuck(ms(1_000)), [], "seed {seed}: {tally:?}");
    assert_eq!(fabric.holding().connected, 30, "seed {seed}: {tally:?}");
    fabric.run_for(ms(10_000));
    fabric.set_sending(false);
    fabric.run_for(ms(1_000));
    let tally = fabric.tally();
    assert!(fabric.agree(), "seed {seed}: {tally:?}");
    assert_eq!((tally.interrupted, tally.gone), (0, 0), "seed {seed}: {tally:?}");
    assert_eq!((tally.connected, tally.wrong, fabric.missing()), (30, 0, 0), "seed {seed}");
    let network = fabric.network();
    assert_eq!((network.refused, network.stray_candidates), (0, 0), "seed {seed}: {tally:?}");
    assert_eq!(fabric.holding().ends, 30, "seed {seed}: no half of a connection is left");
}

#[test]
fn in_order() {
    for seed in 1..=300 {
        call(seed, false);
    }
}

#[test]
fn out_of_order() {
    for seed in 1..=300 {
        call(seed, true);
    }
}
