//! Everybody connected to everybody, in virtual time.

use std::time::Duration;

use paceline_session::{Event, Topology};
use paceline_sim::{LinkConfig, NodeId, World, WorldConfig};

fn world() -> World {
    World::new(WorldConfig::default().topology(Topology::Mesh).link(LinkConfig::wan()))
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Each sees and hears each, and nobody hears himself.
fn check(world: &World, nodes: &[NodeId], at_least: u64) {
    let report = world.report();
    for &us in nodes {
        let ours = report.node(us);
        assert_eq!(ours.showing, nodes, "{}", ours.name);
        assert_eq!(ours.unreadable, 0, "{ours:?}");
        for &them in nodes {
            let it = &ours.perceived[&them];
            assert!(it.pictures.frames * 3 > at_least, "{}: {it:?}", ours.name);
            if them == us {
                assert_eq!(it.sounds.frames, 0, "{} hears himself", ours.name);
            } else {
                assert!(it.sounds.frames > at_least, "{}: {it:?}", ours.name);
                assert!(world.is_connected(us, them));
            }
        }
    }
}

#[test]
fn each_sees_and_hears_each_with_one_jitter_buffer_on_the_way() {
    let mut world = world();
    let nodes = ["ann", "ben", "cal", "dan"].map(|name| world.join(name));
    world.run_for(seconds(10));
    check(&world, &nodes, 400);
    let report = world.report();
    assert!(report.nodes.iter().all(|node| node.errors == 0), "{report:?}");
    let (ann, ben) = (nodes[0], nodes[1]);
    let direct = report.node(ben).perceived[&ann].pictures.latency.p50;

    // The same way through a host takes two buffers and two links.
    let mut star = World::new(WorldConfig::default().link(LinkConfig::wan()));
    let host = star.join_to_host("host");
    let (ann, ben) = (star.join("ann"), star.join("ben"));
    star.run_for(seconds(10));
    let mixed = star.report().node(ben).perceived[&ann].pictures.latency.p50;
    assert!(direct < mixed, "{direct:?} in a mesh, {mixed:?} by way of {host:?}");
}

#[test]
fn who_leaves_takes_nothing_along_even_if_he_was_the_first() {
    let mut world = world();
    let nodes = ["ann", "ben", "cal"].map(|name| world.join(name));
    world.run_for(seconds(5));
    world.leave(nodes[0]);
    let dan = world.join("dan");
    world.run_for(seconds(10));
    // A connection that ends before its goodbye has come is dialled again, and the server
    // says that nobody is there any more: that counts as an error, and is looked past.
    check(&world, &[nodes[1], nodes[2], dan], 350);
    for node in [nodes[1], nodes[2], dan] {
        let told = world.events(node);
        assert!(!told.iter().any(|(_, event)| matches!(event, Event::HostChanged { .. })));
    }
}

#[test]
fn a_link_that_is_cut_parts_two_and_nobody_else() {
    let mut world = world();
    let [ann, ben, cal] = ["ann", "ben", "cal"].map(|name| world.join(name));
    world.run_for(seconds(5));
    world.cut(ann, ben);
    world.run_for(seconds(60));
    let before = world.report();
    world.run_for(seconds(10));
    let after = world.report();
    assert!(!world.is_connected(ann, ben));
    for (us, them, connected) in
        [(ann, cal, true), (cal, ann, true), (ben, cal, true), (ann, ben, false), (ben, ann, false)]
    {
        let heard = |report: &paceline_sim::Report| report.node(us).perceived[&them].sounds.frames;
        let news = heard(&after) - heard(&before);
        assert_eq!(news > 400, connected, "{news} frames between {us:?} and {them:?}");
    }
}
