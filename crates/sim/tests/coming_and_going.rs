//! Members and hosts come and go.

use std::time::Duration;

use paceline_session::Event;
use paceline_sim::{LinkConfig, NodeId, World, WorldConfig};

fn world() -> World {
    World::new(WorldConfig::default().link(LinkConfig::wan()))
}

/// What a node's session told since `since`.
fn news(world: &World, node: NodeId, since: Duration) -> Vec<&Event> {
    let events = world.events(node).iter().filter(|(at, _)| *at >= since);
    events.map(|(_, event)| event).collect()
}

#[test]
fn who_comes_late_is_in_and_who_leaves_is_out() {
    let mut world = world();
    let ann = world.join_to_host("ann");
    let ben = world.join("ben");
    let cal = world.join("cal");
    world.run_for(Duration::from_secs(10));
    let dan = world.join("dan");
    world.run_for(Duration::from_secs(10));

    let report = world.report();
    assert!(report.node(dan).connect.is_some_and(|span| span < Duration::from_millis(400)));
    for (us, them) in [(dan, ann), (dan, ben), (dan, cal), (ann, dan), (ben, dan), (cal, dan)] {
        let it = &report.node(us).perceived[&them];
        assert!(it.sounds.frames > 440 && it.pictures.frames > 130, "{it:?}");
        assert_eq!(it.sounds.out_of_order + it.pictures.out_of_order, 0, "{it:?}");
    }

    let left_at = world.elapsed();
    world.leave(ben);
    world.run_for(Duration::from_secs(1));
    let after = world.report();
    world.run_for(Duration::from_secs(9));
    let end = world.report();
    let peer = world.peer(ben);
    for us in [ann, cal, dan] {
        let told = news(&world, us, left_at);
        let left =
            |event: &&Event| matches!(event, Event::MemberLeft { peer: it, .. } if *it == peer);
        assert!(told.iter().any(left), "{told:?}");
        // Who has left is neither seen nor heard, and the others are as before.
        assert_eq!(end.node(us).showing, [ann, cal, dan]);
        assert_eq!(end.node(us).perceived[&ben], after.node(us).perceived[&ben]);
        assert_eq!(end.node(us).errors, 0);
        for them in [ann, cal, dan].into_iter().filter(|&them| them != us) {
            let (before, it) = (&after.node(us).perceived[&them], &end.node(us).perceived[&them]);
            // Of 450; where sound is stretched it cannot be told when it was captured.
            assert!(it.sounds.frames - before.sounds.frames > 425, "{before:?} {it:?}");
            assert!(it.pictures.frames - before.pictures.frames > 132, "{before:?} {it:?}");
            assert_eq!(it.sounds.out_of_order + it.pictures.out_of_order, 0, "{it:?}");
        }
    }
    assert!(!world.is_connected(ann, ben) && world.is_connected(ann, dan));
}

/// His goodbye may be lost, or wait for something that was, and then the news that
/// he left comes when his connection is gone already.
#[test]
fn who_leaves_is_out_of_the_mix_whatever_gets_lost() {
    for seed in 1..=15 {
        let mut world = World::new(WorldConfig::default().seed(seed).link(LinkConfig::wan()));
        let ann = world.join_to_host("ann");
        let ben = world.join("ben");
        let cal = world.join("cal");
        world.run_for(Duration::from_secs(5));
        world.leave(cal);
        world.run_for(Duration::from_secs(2));
        assert_eq!(world.report().node(ben).showing, [ann, ben], "seed {seed}");
    }
}

#[test]
fn without_its_host_a_call_waits_for_another() {
    let mut world = world();
    let ann = world.join_to_host("ann");
    let ben = world.join("ben");
    let cal = world.join("cal");
    world.run_for(Duration::from_secs(10));
    let left_at = world.elapsed();
    world.leave(ann);
    world.run_for(Duration::from_secs(2));
    let peer = world.peer(ann);
    for us in [ben, cal] {
        let told = news(&world, us, left_at);
        let count = |is: fn(&Event) -> bool| told.iter().filter(|event| is(event)).count();
        assert_eq!(count(|event| matches!(event, Event::Suspected { .. })), 1, "{told:?}");
        assert_eq!(count(|event| matches!(event, Event::HostChanged { .. })), 0, "{told:?}");
        assert_eq!(count(|event| matches!(event, Event::MemberLeft { .. })), 1, "{told:?}");
        assert_eq!(count(|event| matches!(event, Event::Disconnected { .. })), 1, "{told:?}");
        assert!(!world.is_connected(us, ann));
    }
    assert!(news(&world, ben, left_at).iter().all(|event| match event {
        Event::MemberLeft { peer: it, .. } | Event::Disconnected { peer: it, .. } => *it == peer,
        _ => true,
    }));

    let alone = world.report();
    world.set_hosting(ben, true);
    world.run_for(Duration::from_secs(5));
    let report = world.report();
    let hosts = |event: &&Event| matches!(event, Event::HostChanged { host: Some(host), .. } if *host == world.peer(ben));
    for (us, them) in [(ben, cal), (cal, ben)] {
        assert!(news(&world, us, left_at).iter().any(hosts));
        assert!(world.is_connected(us, them));
        let before = alone.node(us).perceived[&them].sounds.frames;
        let it = &report.node(us).perceived[&them];
        assert!(it.sounds.frames - before > 200, "{it:?}");
        assert_eq!(it.sounds.out_of_order + it.pictures.out_of_order, 0, "{it:?}");
        assert_eq!(report.node(us).errors, 0);
    }
}
