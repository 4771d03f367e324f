//! The host leaves, with or without a word before, and those who stay go on.

use std::time::Duration;

use paceline_session::Event;
use paceline_sim::{LinkConfig, NodeId, World, WorldConfig};

/// Three who may host, ten seconds into their call.
fn call(link: LinkConfig, seed: u64) -> (World, [NodeId; 3]) {
    let mut world = World::new(WorldConfig::default().seed(seed).link(link));
    let nodes = ["ann", "ben", "cal"].map(|name| world.join_to_host(name));
    world.run_for(Duration::from_secs(10));
    assert_eq!(world.hosts().len(), 1);
    (world, nodes)
}

/// Everybody of these sees and hears the others of them, in the last seconds.
fn assert_goes_on(world: &mut World, nodes: &[NodeId]) {
    let before = world.report();
    world.run_for(Duration::from_secs(5));
    let after = world.report();
    for &us in nodes {
        for &them in nodes.iter().filter(|&&them| them != us) {
            let name = &after.node(us).name;
            let was = before.node(us).perceived.get(&them).cloned().unwrap_or_default();
            let it = &after.node(us).perceived[&them];
            assert!(it.sounds.frames - was.sounds.frames > 215, "{name}: {it:?} {was:?}");
            assert!(it.pictures.frames - was.pictures.frames > 65, "{name}: {it:?} {was:?}");
            let disorder = |it: &paceline_sim::Perceived| it.pictures.out_of_order;
            assert_eq!(disorder(it), disorder(&was), "{name}");
        }
        let node = after.node(us);
        assert_eq!((node.stale_epoch_rendered, node.errors), (0, 0), "{}", node.name);
        let mut showing = node.showing.clone();
        showing.sort_unstable();
        assert_eq!(showing, nodes, "{}", node.name);
    }
}

#[test]
fn who_hands_over_first_leaves_no_gap() {
    for seed in 1..=3 {
        let (mut world, [ann, ben, cal]) = call(LinkConfig::lan(), seed);
        let at = world.elapsed();
        world.hand_over(ann);
        world.run_for(Duration::from_secs(1));
        let retired = |(_, event): &(Duration, Event)| matches!(event, Event::Retired);
        assert!(world.events(ann).iter().any(retired));
        world.leave(ann);
        world.run_for(Duration::from_secs(2));
        let report = world.report();
        for us in [ben, cal] {
            let node = report.node(us);
            assert_eq!(node.mix_sounds_missing + node.mix_pictures_missing, 0, "seed {seed}");
            assert_eq!(node.longest_still(at), Duration::ZERO, "seed {seed}");
            assert_eq!(node.longest_silence(at), Duration::ZERO, "seed {seed}");
        }
        assert_goes_on(&mut world, &[ben, cal]);
    }
}

#[test]
fn who_just_leaves_is_replaced_within_a_second() {
    for seed in 1..=3 {
        let (mut world, [ann, ben, cal]) = call(LinkConfig::wan(), seed);
        let at = world.elapsed();
        world.leave(ann);
        world.run_for(Duration::from_secs(3));
        let [(next, epoch)] = world.hosts()[..] else { panic!("{:?}", world.hosts()) };
        assert!([ben, cal].contains(&next));
        for us in [ben, cal] {
            let who = world.peer(next);
            let changed = world.events(us).iter().find_map(|(when, event)| match event {
                Event::HostChanged { host, epoch: of, .. }
                    if *host == Some(who) && *of == epoch =>
                {
                    Some(*when - at)
                }
                _ => None,
            });
            let changed = changed.expect("he is told");
            assert!(changed < Duration::from_secs(1), "seed {seed}: {changed:?}");
        }
        assert_goes_on(&mut world, &[ben, cal]);
    }
}

#[test]
fn one_by_one_until_one_is_left_and_they_come_back() {
    let (mut world, [ann, ben, cal]) = call(LinkConfig::lan(), 1);
    world.leave(ann);
    world.run_for(Duration::from_secs(4));
    assert_goes_on(&mut world, &[ben, cal]);
    let [(first, _)] = world.hosts()[..] else { panic!("{:?}", world.hosts()) };
    let last = if first == ben { cal } else { ben };
    world.leave(first);
    world.run_for(Duration::from_secs(4));
    let [(alone, _)] = world.hosts()[..] else { panic!("{:?}", world.hosts()) };
    assert_eq!(alone, last);
    let dan = world.join_to_host("dan");
    world.run_for(Duration::from_secs(4));
    assert_goes_on(&mut world, &[last, dan]);
}

#[test]
fn who_may_not_host_does_not_whoever_leaves() {
    let mut world = World::new(WorldConfig::default());
    let ann = world.join_to_host("ann");
    let ben = world.join("ben");
    let cal = world.join_to_host("cal");
    world.run_for(Duration::from_secs(8));
    world.leave(ann);
    world.run_for(Duration::from_secs(3));
    let [(next, _)] = world.hosts()[..] else { panic!("{:?}", world.hosts()) };
    assert_eq!(next, cal);
    world.leave(cal);
    world.run_for(Duration::from_secs(3));
    assert!(world.hosts().is_empty(), "{:?}", world.hosts());
    world.set_hosting(ben, true);
    world.run_for(Duration::from_secs(2));
    let [(last, _)] = world.hosts()[..] else { panic!("{:?}", world.hosts()) };
    assert_eq!(last, ben);
}
