//! Some nodes cannot reach the others for a while, though all reach the server.

use std::time::Duration;

use paceline_mesh::Topology;
use paceline_sim::{Fabric, FabricConfig, LinkConfig, NetworkConfig};

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Six nodes of which two cannot reach the other four for so long; then all is well again
/// within `within` of the healing.
fn part(topology: Topology, seed: u64, span: Duration, within: Duration) -> Fabric {
    let network = NetworkConfig::from(LinkConfig::wan().loss(0.0)).max_op_delay(ms(5));
    let mut fabric = Fabric::new(FabricConfig::new(topology).seed(seed).network(network));
    let nodes: Vec<_> = (0..6).map(|_| fabric.join()).collect();
    let ends = if topology == Topology::Mesh { 30 } else { 10 };
    // At any phase of the heartbeats.
    fabric.run_for(ms(2_000 + seed * 37 % 1_000));
    assert_eq!(fabric.holding().connected, ends, "seed {seed}");
    fabric.part(&[nodes[1], nodes[4]]);
    fabric.run_for(span);
    fabric.heal();
    let whole = |fabric: &Fabric| fabric.holding().connected == ends && fabric.agree();
    let took = fabric.run_until(within, whole);
    assert!(took.is_some(), "seed {seed}: {:?} {:?}", fabric.holding(), fabric.tally());
    fabric.run_for(ms(3_000));
    fabric.set_sending(false);
    fabric.run_for(ms(2_000));
    let tally = fabric.tally();
    assert_eq!(fabric.holding().connected, ends, "seed {seed}: {tally:?}");
    assert!(fabric.agree(), "seed {seed}: {tally:?}");
    assert_eq!((tally.wrong, tally.untaken, fabric.missing()), (0, 0, 0), "seed {seed}: {tally:?}");
    assert_eq!(fabric.network().refused, 0, "seed {seed}: {tally:?}");
    fabric
}

/// ICE may be restarted; no connection is made anew, and what waited goes on.
#[test]
fn after_two_seconds_the_connections_are_the_same() {
    for seed in 1..=100 {
        for topology in [Topology::Mesh, Topology::Broadcast] {
            let fabric = part(topology, seed, ms(2_000), ms(3_000));
            let tally = fabric.tally();
            assert_eq!((tally.interrupted, tally.gone), (0, 0), "seed {seed}: {tally:?}");
            assert_eq!(tally.reconnected, 0, "seed {seed}: {tally:?}");
        }
    }
}

/// Silence was noticed after 5 s and the first calls went nowhere: the next is made within
/// 10 s and 4 s, and is connected in less than one.
#[test]
fn after_eight_seconds_they_are_made_anew() {
    for seed in 1..=100 {
        for topology in [Topology::Mesh, Topology::Broadcast] {
            let fabric = part(topology, seed, ms(8_000), ms(15_000));
            let tally = fabric.tally();
            assert!(tally.interrupted > 0 && tally.reconnected > 0, "seed {seed}: {tally:?}");
        }
    }
}

/// All tries are used up. Who may call tries again, and as long as he is in the room.
#[test]
fn after_a_minute_all_is_given_up_and_called_again() {
    for seed in 1..=30 {
        for topology in [Topology::Mesh, Topology::Broadcast] {
            let fabric = part(topology, seed, ms(60_000), ms(30_000));
            assert!(fabric.tally().gone > 0, "seed {seed}: {:?}", fabric.tally());
        }
    }
}
