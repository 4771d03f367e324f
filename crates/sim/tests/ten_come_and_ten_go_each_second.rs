//! Ten minutes in which ten viewers come and ten go each second: 6,000 joins and as many
//! leaves, with about a hundred there. Nobody waits, and nothing grows.

use std::time::Duration;

use paceline_mesh::Topology;
use paceline_sim::{Fabric, FabricConfig, Holding, LinkConfig, NetworkConfig, Random, RoadConfig};

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// What is held when nobody comes or goes: so many viewers, all connected, no more.
fn assert_at_base(fabric: &mut Fabric, second: u64) {
    fabric.run_for(ms(900));
    let ends = 2 * (fabric.present().len() - 1);
    let Holding { peers, connected, ends: there, links, queued_bytes, .. } = fabric.holding();
    assert_eq!((peers, connected, there, links), (ends, ends, ends, ends), "second {second}");
    assert_eq!(queued_bytes, 0, "second {second}");
    assert!(fabric.agree(), "second {second}");
}

/// By the road up to 50 ms to the server and as much from it, so up to 100 ms from one to
/// another, and nothing lost: then every join is connected within a second. That is looked
/// at each second of the ten minutes; each minute begins with a second's pause, in which
/// everything has to be back at what those who are there need.
#[test]
fn for_ten_minutes() {
    let network = NetworkConfig::from(LinkConfig::wan().loss(0.0)).max_op_delay(ms(5));
    let config = FabricConfig::new(Topology::Broadcast)
        .seed(1)
        .network(network)
        .road(RoadConfig::default().delay(ms(1), ms(50)))
        .data(ms(2_000), 100);
    let mut fabric = Fabric::new(config);
    let mut random = Random::new(1);
    let host = fabric.join();
    fabric.run_for(ms(100));
    let mut viewers: Vec<_> = (0..100).map(|_| fabric.join()).collect();
    fabric.run_for(ms(1_000));

    for second in 0..600_u64 {
        if second.is_multiple_of(60) {
            assert_at_base(&mut fabric, second);
        }
        for _ in 0..10 {
            let who = viewers.swap_remove((random.bits() % viewers.len() as u64) as usize);
            match random.bits() % 10 {
                0 => fabric.vanish(who),
                _ => fabric.leave(who),
            }
            fabric.run_for(Duration::from_micros(random.bits() % 50_000));
            viewers.push(fabric.join());
            fabric.run_for(ms(50));
        }
        let stuck = fabric.stuck(ms(1_000));
        assert_eq!(stuck, [], "second {second}: {:?}", fabric.tally());
        // Beside those who are there, only those who left in the last moments.
        let most = 2 * viewers.len() + 20;
        let holding = fabric.holding();
        assert!(holding.peers <= most && holding.ends <= most, "second {second}: {holding:?}");
        assert!(
            holding.links <= most && holding.on_the_road < 1_500,
            "second {second}: {holding:?}"
        );
    }
    assert_at_base(&mut fabric, 600);

    let tally = fabric.tally().clone();
    println!("{tally:?}");
    assert_eq!((tally.joins, tally.leaves), (6_101, 6_000));
    assert_eq!((tally.wrong, tally.untaken, tally.refused), (0, 0, 0), "{tally:?}");
    assert!(tally.slowest_connect < ms(1_000), "{tally:?}");
    assert_eq!(fabric.network().refused, 0);

    for viewer in viewers {
        fabric.leave(viewer);
    }
    fabric.leave(host);
    fabric.run_for(ms(3_000));
    assert_eq!(fabric.holding(), Holding::default());
}
