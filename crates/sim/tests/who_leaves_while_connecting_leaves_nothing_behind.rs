//! Nodes leave at any moment: before the roster, between offer and answer, while ICE
//! looks for a path, and later. With a goodbye or without.

use std::time::Duration;

use paceline_mesh::Topology;
use paceline_sim::{Fabric, FabricConfig, Holding, LinkConfig, NetworkConfig, Random};

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn come_and_go(topology: Topology, seed: u64) {
    let network = NetworkConfig::from(LinkConfig::wan().loss(0.0)).max_op_delay(ms(5));
    let mut fabric = Fabric::new(FabricConfig::new(topology).seed(seed).network(network));
    let mut random = Random::new(seed);
    // The host of a room that has one stays.
    let host = fabric.join();
    for _ in 0..9 {
        let _ = fabric.join();
    }
    // A join takes 230 ms at the most.
    for _ in 0..6 {
        fabric.run_for(Duration::from_micros(random.bits() % 60_000));
        let there = fabric.present();
        let who = there[(random.bits() % there.len() as u64) as usize];
        if who == host {
            continue;
        }
        if random.bits().is_multiple_of(3) {
            fabric.vanish(who);
        } else {
            fabric.leave(who);
        }
    }
    fabric.run_for(ms(3_000));
    let nodes = fabric.present().len();
    let ends = if topology == Topology::Mesh { nodes * (nodes - 1) } else { 2 * (nodes - 1) };
    let (holding, tally) = (fabric.holding(), fabric.tally());
    assert_eq!((holding.peers, holding.connected), (ends, ends), "seed {seed}: {tally:?}");
    assert_eq!((holding.ends, holding.links), (ends, ends), "seed {seed}: {tally:?}");
    assert_eq!((tally.wrong, tally.untaken), (0, 0), "seed {seed}: {tally:?}");
    assert!(fabric.agree(), "seed {seed}");

    for who in fabric.present() {
        fabric.leave(who);
        // So the last see the others go.
        fabric.run_for(ms(300));
    }
    fabric.run_for(ms(3_000));
    assert_eq!(fabric.holding(), Holding::default(), "seed {seed}");
    assert_eq!(fabric.network().refused, 0, "seed {seed}");
}

#[test]
fn in_a_mesh() {
    for seed in 1..=300 {
        come_and_go(Topology::Mesh, seed);
    }
}

#[test]
fn around_a_host() {
    for seed in 1..=300 {
        come_and_go(Topology::Broadcast, seed);
    }
}
