//! Ten to thirty-two nodes come at the same instant, in rooms of every shape.

use std::time::Duration;

use paceline_mesh::{MeshConfig, Topology};
use paceline_sim::{Fabric, FabricConfig, LinkConfig, NetworkConfig, Random, RoadConfig};

/// How many rooms of each shape.
const SEEDS: u64 = 100;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Up to 100 ms from one node to another by the road, engines that take up to 5 ms for
/// each thing, and nothing lost.
fn config(topology: Topology, nodes: usize, seed: u64) -> FabricConfig {
    let network = NetworkConfig::from(LinkConfig::wan().loss(0.0)).max_op_delay(ms(5));
    FabricConfig::new(topology)
        .seed(seed)
        .network(network)
        .road(RoadConfig::default().delay(ms(1), ms(50)))
        .mesh(MeshConfig::new(topology).max_peers(nodes))
        .data(ms(1_000), 100)
}

/// How many of the ends that `nodes` of this shape have.
fn ends(topology: Topology, nodes: usize) -> usize {
    if topology == Topology::Mesh { nodes * (nodes - 1) } else { 2 * (nodes - 1) }
}

fn join_at_once(topology: Topology) -> Duration {
    let mut slowest = Duration::ZERO;
    for seed in 1..=SEEDS {
        let mut random = Random::new(seed);
        // Mostly few, for a mesh of many is the square of it.
        let span = if seed.is_multiple_of(10) { 23 } else { 6 };
        let nodes = 10 + (random.bits() % span) as usize;
        let mut fabric = Fabric::new(config(topology, nodes, seed));
        for _ in 0..nodes {
            let _ = fabric.join();
        }
        fabric.run_for(ms(1_000));
        assert_eq!(fabric.stuck(Duration::ZERO), [], "seed {seed}");
        let (tally, expected) = (fabric.tally().clone(), ends(topology, nodes));
        assert_eq!(fabric.holding().connected, expected, "seed {seed}: {tally:?}");
        assert_eq!(tally.connected, expected as u64, "seed {seed}: {tally:?}");
        assert!(tally.slowest_connect < ms(1_000), "seed {seed}: {tally:?}");
        slowest = slowest.max(tally.slowest_connect);

        fabric.run_for(ms(2_000));
        fabric.set_sending(false);
        fabric.run_for(ms(500));
        assert!(fabric.agree(), "seed {seed}");
        let tally = fabric.tally();
        assert_eq!((tally.wrong, tally.untaken, fabric.missing()), (0, 0, 0), "seed {seed}");
        assert!(tally.sent as usize >= expected && tally.received == tally.sent, "seed {seed}");
        assert_eq!((tally.interrupted, tally.gone, tally.refused), (0, 0, 0), "seed {seed}");
        // One offer for each pair, and no engine was asked for what it refuses.
        assert_eq!(tally.offers as usize, expected / 2, "seed {seed}");
        assert_eq!(fabric.network().refused, 0, "seed {seed}");
        assert_eq!(fabric.network().stray_candidates, 0, "seed {seed}");
    }
    println!("{topology:?}: the slowest join took {slowest:?}");
    slowest
}

#[test]
fn in_a_mesh() {
    let _ = join_at_once(Topology::Mesh);
}

#[test]
fn around_a_host_who_sends_to_all() {
    let _ = join_at_once(Topology::Broadcast);
}

#[test]
fn around_a_host_who_mixes() {
    let _ = join_at_once(Topology::Star);
}

/// What a mesh of ten costs in time: two ways by the road, to the server and down for
/// announce and roster; two for offer and answer; then the link.
#[test]
fn a_mesh_of_ten_over_links_of_20_ms_is_up_within_half_a_second() {
    let link = LinkConfig::lan().delay(ms(20)).jitter(Duration::ZERO);
    let mut slowest = Duration::ZERO;
    for seed in 1..=20 {
        let config = FabricConfig::new(Topology::Mesh)
            .seed(seed)
            .network(link)
            .road(RoadConfig::default().delay(ms(10), ms(10)));
        let mut fabric = Fabric::new(config);
        for _ in 0..10 {
            let _ = fabric.join();
        }
        let up = |fabric: &Fabric| fabric.holding().connected == 90;
        let took = fabric.run_until(ms(5_000), up).expect("all are connected");
        slowest = slowest.max(took);
    }
    println!("a mesh of ten is up after {slowest:?}");
    // Two ways of 20 ms by the road and one way down and up before; then knock, let in and
    // hello, of 20 ms each.
    assert!(slowest <= ms(20 + 40 + 60) + ms(1), "{slowest:?}");
}
