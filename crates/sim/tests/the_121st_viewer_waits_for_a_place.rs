//! A host has 120 places. Nobody loses his for who comes later.

use std::time::Duration;

use paceline_mesh::Topology;
use paceline_sim::{Fabric, FabricConfig, LinkConfig};

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

#[test]
fn he_is_told_and_gets_in_when_one_leaves() {
    for seed in 1..=10 {
        let config = FabricConfig::new(Topology::Broadcast)
            .seed(seed)
            .network(LinkConfig::wan().loss(0.0))
            .data(ms(2_000), 100);
        let mut fabric = Fabric::new(config);
        let host = fabric.join();
        fabric.run_for(ms(100));
        let viewers: Vec<_> = (0..120).map(|_| fabric.join()).collect();
        fabric.run_for(ms(1_000));
        assert!(viewers.iter().all(|&it| fabric.is_connected(it, host)), "seed {seed}");
        assert_eq!(fabric.tally().refused, 0, "seed {seed}");

        let late = [fabric.join(), fabric.join()];
        fabric.run_for(ms(8_000));
        assert_eq!(fabric.tally().refused, 2, "seed {seed}");
        assert_eq!(fabric.waiting(host).len(), 2, "seed {seed}");
        for it in late {
            assert!(fabric.turned_away(it, host), "seed {seed}: he is told");
            assert!(!fabric.is_connected(it, host), "seed {seed}");
        }
        assert!(viewers.iter().all(|&it| fabric.is_connected(it, host)), "seed {seed}");
        assert_eq!(fabric.tally().interrupted + fabric.tally().gone, 0, "seed {seed}");

        let first = fabric.waiting(host)[0];
        fabric.leave(viewers[seed as usize]);
        let up = |fabric: &Fabric| fabric.is_connected(first, host);
        let took = fabric.run_until(ms(2_000), up);
        assert!(took.is_some_and(|took| took < ms(1_000)), "seed {seed}: {took:?}");
        fabric.run_for(ms(1_000));
        assert_eq!(fabric.waiting(host).len(), 1, "seed {seed}: the other still waits");
        assert_eq!(fabric.holding().connected, 240, "seed {seed}");
        assert_eq!((fabric.tally().wrong, fabric.network().refused), (0, 0), "seed {seed}");
    }
}
