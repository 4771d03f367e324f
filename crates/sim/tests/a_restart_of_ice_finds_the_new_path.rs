//! The network of a node changes under its connections. Restarting ICE finds the new path,
//! and all goes on where it was.

use std::time::Duration;

use paceline_mesh::{Recipients, Topology};
use paceline_sim::{Fabric, FabricConfig, LinkConfig, NetworkConfig, Random, RoadConfig};

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Links of so much one way, and a road that takes as long from one node to another.
fn fabric(nodes: usize, seed: u64, delay: Duration) -> Fabric {
    let link = LinkConfig::lan().delay(delay).jitter(Duration::ZERO);
    let config = FabricConfig::new(Topology::Mesh)
        .seed(seed)
        .network(link)
        .road(RoadConfig::default().delay(delay / 2, delay / 2))
        .data(ms(10), 100);
    let mut fabric = Fabric::new(config);
    for _ in 0..nodes {
        let _ = fabric.join();
    }
    fabric.run_for(ms(3_000));
    assert_eq!(fabric.holding().connected, nodes * (nodes - 1), "seed {seed}");
    fabric
}

fn assert_same_connections(fabric: &mut Fabric, seed: u64) {
    fabric.run_for(ms(3_000));
    fabric.set_sending(false);
    fabric.run_for(ms(1_000));
    let tally = fabric.tally();
    assert!(fabric.agree(), "seed {seed}: {tally:?}");
    assert_eq!(
        (tally.interrupted, tally.gone, tally.reconnected),
        (0, 0, 0),
        "seed {seed}: {tally:?}"
    );
    assert_eq!((tally.wrong, tally.untaken, fabric.missing()), (0, 0, 0), "seed {seed}: {tally:?}");
    assert_eq!(fabric.network().refused, 0, "seed {seed}: {tally:?}");
}

/// From the restart until each peer has got a message that was sent after the change, and
/// has sent one that came: two round trips, of which one is the signals', and 50 ms.
#[test]
fn within_two_round_trips_and_50_ms_of_the_restart() {
    let mut slowest = Duration::ZERO;
    for (delay, seed) in [5, 20, 40].into_iter().flat_map(|delay| (1..=20).map(move |s| (delay, s)))
    {
        let mut fabric = fabric(4, seed, ms(delay));
        let nodes = fabric.present();
        let moved = nodes[(seed % 4) as usize];
        fabric.change_path(moved);
        // Some of what is sent in between is lost.
        fabric.run_for(ms(seed * 40));
        let count = |fabric: &Fabric, at, from| -> u64 {
            let latencies = fabric.latencies(at);
            latencies.iter().filter(|((who, _), _)| *who == from).map(|(_, count)| count).sum()
        };
        let others = Vec::from_iter(nodes.into_iter().filter(|&node| node != moved));
        let before = Vec::from_iter(
            others.iter().map(|&it| (count(&fabric, it, moved), count(&fabric, moved, it))),
        );
        fabric.with_mesh(moved, |mesh, now| mesh.restart_ice(now, Recipients::All));
        let resumed = |fabric: &Fabric| {
            others.iter().zip(&before).all(|(&it, &(out, back))| {
                count(fabric, it, moved) > out && count(fabric, moved, it) > back
            })
        };
        let took = fabric.run_until(ms(5_000), resumed).expect("it goes on");
        assert!(took <= ms(4 * delay + 50), "seed {seed}, {delay} ms one way: {took:?}");
        slowest = slowest.max(took.saturating_sub(ms(4 * delay)));
        assert_same_connections(&mut fabric, seed);
    }
    println!("two round trips and {slowest:?} at the most");
}

/// Nobody is told that the network changed: silence says so after two seconds.
#[test]
fn nobody_has_to_say_so() {
    for seed in 1..=50 {
        let mut fabric = fabric(4, seed, ms(20));
        let moved = fabric.present()[(seed % 4) as usize];
        fabric.run_for(ms(seed * 20));
        fabric.change_path(moved);
        fabric.run_for(ms(4_900));
        assert_same_connections(&mut fabric, seed);
    }
}

/// Four nodes restart again and again at random times, often both ends of a pair at once:
/// with engines that take up to 20 ms for everything, and paths that change in between.
fn restart_at_random(seed: u64, reorder: bool) -> Fabric {
    let network = NetworkConfig::from(LinkConfig::wan().loss(0.0)).max_op_delay(ms(20));
    let config = FabricConfig::new(Topology::Mesh)
        .seed(seed)
        .network(network)
        .both_call(seed.is_multiple_of(2))
        .road(RoadConfig::default().delay(ms(1), ms(50)).reorder(reorder))
        .data(ms(200), 100);
    let mut fabric = Fabric::new(config);
    let nodes: Vec<_> = (0..4).map(|_| fabric.join()).collect();
    fabric.run_for(ms(2_000));
    assert_eq!(fabric.holding().connected, 12, "seed {seed}: {:?}", fabric.tally());
    let mut random = Random::new(seed);
    for _ in 0..30 {
        let who = nodes[(random.bits() % 4) as usize];
        if random.bits().is_multiple_of(8) {
            fabric.change_path(who);
        }
        fabric.with_mesh(who, |mesh, now| mesh.restart_ice(now, Recipients::All));
        fabric.run_for(Duration::from_micros(random.bits() % 150_000));
    }
    fabric.run_for(ms(3_000));
    fabric
}

#[test]
fn both_may_restart_at_once() {
    for seed in 1..=200 {
        let mut fabric = restart_at_random(seed, false);
        assert_same_connections(&mut fabric, seed);
    }
}

/// An answer does not say which offer it is for. Where answers overtake each other, one of
/// an offer that was taken back may be taken for that of the next, and then the engines
/// look for a path in vain: what is open goes on over the one there is. The next restart
/// that is left in peace finds one.
#[test]
fn restarts_that_are_told_out_of_order_lose_nothing() {
    for seed in 1..=100 {
        let mut fabric = restart_at_random(seed, true);
        fabric.run_for(ms(10_000));
        let tally = fabric.tally();
        assert_eq!((tally.interrupted, tally.gone), (0, 0), "seed {seed}: {tally:?}");
        fabric.set_road(RoadConfig::default());
        for who in fabric.present() {
            fabric.change_path(who);
            fabric.with_mesh(who, |mesh, now| mesh.restart_ice(now, Recipients::All));
            fabric.run_for(ms(1_000));
        }
        assert_same_connections(&mut fabric, seed);
    }
}
