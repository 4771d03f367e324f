//! Five people over RTP: a planned handover, a dead host, and one who has no RTP.

use std::time::Duration;

use paceline_session::Event;
use paceline_sim::types::Carrier;
use paceline_sim::{LinkConfig, NodeId, World, WorldConfig};

const NAMES: [&str; 5] = ["ann", "ben", "cal", "dan", "eve"];

fn call(seed: u64) -> (World, Vec<NodeId>) {
    let link = LinkConfig::lan().delay(Duration::from_millis(20));
    let config = WorldConfig::default().seed(seed).link(link).seats(9);
    let mut world = World::new(config.encodes(true).carrier(Carrier::Rtp));
    let nodes = NAMES.map(|name| world.join_to_host(name)).into();
    world.run_for(Duration::from_secs(10));
    (world, nodes)
}

fn host(world: &World) -> NodeId {
    match world.hosts()[..] {
        [(host, _)] => host,
        ref hosts => panic!("{hosts:?} host"),
    }
}

fn assert_all_see_all(world: &World, nodes: &[NodeId]) {
    for &us in nodes {
        let report = world.report();
        let node = report.node(us);
        for them in nodes.iter().filter(|&&them| them != us) {
            assert!(node.showing.contains(them), "{} does not see all\n{report}", node.name);
        }
        assert_eq!((node.stale_epoch_rendered, node.errors), (0, 0), "{report}");
    }
}

#[test]
fn a_planned_handover_is_hardly_seen() {
    for seed in 1..=2 {
        let (mut world, nodes) = call(seed);
        assert_all_see_all(&world, &nodes);
        let (from, at) = (host(&world), world.elapsed());
        world.hand_over(from);
        world.run_for(Duration::from_secs(8));
        assert_ne!(host(&world), from, "seed {seed}: {:?}", world.events(from).last());
        let report = world.report();
        let still = nodes.iter().map(|&node| report.node(node).longest_still(at)).max();
        println!("seed {seed}: nothing new to see for {still:?} at most");
        assert!(still <= Some(Duration::from_millis(500)), "{still:?}");
        assert_all_see_all(&world, &nodes);
    }
}

#[test]
fn a_dead_host_is_replaced_within_a_second() {
    for seed in 1..=2 {
        let (mut world, mut nodes) = call(seed);
        let (dead, at) = (host(&world), world.elapsed());
        world.kill(dead, seed % 2 == 0);
        world.run_for(Duration::from_secs(8));
        assert_ne!(host(&world), dead);
        nodes.retain(|&node| node != dead);
        let report = world.report();
        let still = nodes.iter().map(|&node| report.node(node).longest_still(at)).max();
        println!("seed {seed}: nothing new to see for {still:?} at most");
        assert!(still <= Some(Duration::from_millis(1_300)), "{still:?}");
        assert_all_see_all(&world, &nodes);
    }
}

#[test]
fn who_has_no_rtp_is_in_the_call_all_the_same() {
    let link = LinkConfig::lan().delay(Duration::from_millis(20));
    let config = WorldConfig::default().link(link).encodes(true).carrier(Carrier::Rtp);
    let mut world = World::new(config);
    let ann = world.join_to_host("ann");
    let ben = world.join("ben");
    let old = world.join_over("old", Carrier::Channel);
    world.run_for(Duration::from_secs(10));
    assert_all_see_all(&world, &[ann, ben, old]);
    let sent = |a, b| world.rtp_stats(a, b).map_or(0, |stats| stats.sent);
    assert!(sent(ann, ben) > 500 && sent(ben, ann) > 500);
    assert_eq!((sent(ann, old), sent(old, ann)), (0, 0));
    let left = |event: &Event| matches!(event, Event::Disconnected { .. });
    assert!(!world.events(old).iter().any(|(_, event)| left(event)));
}

#[test]
#[should_panic(expected = "connections that carry none")]
fn nobody_sends_rtp_where_no_connection_carries_it() {
    World::new(WorldConfig::default().encodes(true)).join_over("ann", Carrier::Rtp);
}

/// The seed decides everything, also what the interceptors would leave to chance.
#[test]
fn the_same_seed_is_the_same_call() {
    let play = |seed| {
        let link = LinkConfig::wan().burst(3.0);
        let config = WorldConfig::default().seed(seed).link(link);
        let mut world = World::new(config.encodes(true).carrier(Carrier::Rtp));
        let ann = world.join_to_host("ann");
        let (ben, _) = (world.join_to_host("ben"), world.join("cal"));
        world.run_for(Duration::from_secs(8));
        world.hand_over(ann);
        world.run_for(Duration::from_secs(8));
        (world.report(), world.rtp_stats(ann, ben), world.rtp_stats(ben, ann))
    };
    assert_eq!(play(7), play(7));
    assert_ne!(play(7).0, play(8).0);
}
