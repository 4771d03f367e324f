//! Five packets in a hundred are lost, several in a row (Gilbert and Elliott): what is
//! sent comes out whole, once and in order.

use std::time::Duration;

use paceline_mesh::Topology;
use paceline_sim::{Fabric, FabricConfig, LinkConfig, NetworkConfig, Recovery, RoadConfig};

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn lossy(seed: u64, recovery: Recovery, bursts: [f64; 2]) {
    let burst = bursts[(seed % 2) as usize];
    let link = LinkConfig::wan().loss(0.05).burst(burst);
    let config = FabricConfig::new(Topology::Mesh)
        .seed(seed)
        .network(NetworkConfig::from(link).recovery(recovery))
        .road(RoadConfig::default().delay(ms(1), ms(50)))
        .data(ms(50), 3_000);
    let mut fabric = Fabric::new(config);
    for _ in 0..4 {
        let _ = fabric.join();
    }
    fabric.run_for(ms(20_000));
    assert_eq!(fabric.stuck(ms(15_000)), [], "seed {seed}: {:?}", fabric.tally());
    fabric.set_sending(false);
    // A burst is counted in packets, so on an idle link it may last long enough for a
    // connection to be made anew.
    let whole = |fabric: &Fabric| {
        fabric.missing() == 0 && fabric.holding().connected == 12 && fabric.agree()
    };
    let settled = fabric.run_until(ms(60_000), whole);
    let tally = fabric.tally();
    assert!(settled.is_some(), "seed {seed}: {} are missing: {tally:?}", fabric.missing());
    assert_eq!((tally.wrong, tally.untaken), (0, 0), "seed {seed}: {tally:?}");
    assert!(tally.received > 3_000, "seed {seed}: {tally:?}");
    assert_eq!(fabric.network().refused, 0, "seed {seed}: {tally:?}");
}

#[test]
fn when_losses_are_noticed_quickly() {
    for seed in 1..=40 {
        lossy(seed, Recovery::Quick, [3.0, 8.0]);
    }
}

#[test]
fn when_a_timer_of_a_second_is_all_there_is() {
    for seed in 1..=40 {
        // Who sends one packet a second and then one in two is in a longer burst for
        // long: after five seconds of that a connection is given up.
        lossy(seed, Recovery::Sctp { rto_min: ms(1_000) }, [2.0, 3.0]);
    }
}
