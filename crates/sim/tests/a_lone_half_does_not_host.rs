//! A network that falls in two: one half goes on, and the other waits.

use std::time::Duration;

use paceline_session::Event;
use paceline_sim::{LinkConfig, NodeId, World, WorldConfig};

fn call(count: usize, link: LinkConfig, seed: u64) -> (World, Vec<NodeId>) {
    let config = WorldConfig::default().seed(seed).link(link).seats(9);
    let mut world = World::new(config);
    let names = ["ann", "ben", "cal", "dan", "eve"];
    let nodes: Vec<_> = names[..count].iter().map(|name| world.join_to_host(name)).collect();
    world.run_for(Duration::from_secs(10));
    let [(host, _)] = world.hosts()[..] else { panic!("{:?}", world.hosts()) };
    assert_eq!(host, nodes[0]);
    (world, nodes)
}

fn part(world: &mut World, some: &[NodeId], others: &[NodeId]) {
    for &a in some {
        for &b in others {
            world.cut(a, b);
        }
    }
}

/// Lets time pass, and looks again and again at who hosts: no two under one epoch.
fn run(world: &mut World, span: Duration) {
    let end = world.elapsed() + span;
    while world.elapsed() < end {
        world.run_for(Duration::from_millis(20));
        let hosts = world.hosts();
        for (index, (_, epoch)) in hosts.iter().enumerate() {
            assert!(hosts[..index].iter().all(|(_, other)| other != epoch), "{hosts:?}");
        }
    }
}

#[test]
fn the_host_in_the_smaller_half_stops_and_the_larger_one_elects() {
    for seed in 1..=3 {
        let (mut world, nodes) = call(5, LinkConfig::lan(), seed);
        let (few, many) = nodes.split_at(2);
        part(&mut world, few, many);
        run(&mut world, Duration::from_secs(2));
        let fenced = |(_, event): &(Duration, Event)| matches!(event, Event::Fenced { .. });
        assert!(world.events(few[0]).iter().any(fenced), "seed {seed}");
        let [(next, _)] = world.hosts()[..] else { panic!("seed {seed}: {:?}", world.hosts()) };
        assert!(many.contains(&next), "seed {seed}");

        // A picture that stands still is better than two hosts.
        let before = world.report();
        run(&mut world, Duration::from_secs(4));
        let after = world.report();
        for &us in few {
            assert_eq!(after.node(us).pictures, before.node(us).pictures, "seed {seed}");
            assert_eq!(after.node(us).sounds, before.node(us).sounds, "seed {seed}");
        }
        for &us in many {
            assert!(after.node(us).sounds - before.node(us).sounds > 190, "seed {seed}");
            for &them in many.iter().filter(|&&them| them != us) {
                let it = &after.node(us).perceived[&them];
                let was = &before.node(us).perceived[&them];
                assert!(it.sounds.frames - was.sounds.frames > 170, "seed {seed}: {it:?} {was:?}");
            }
        }

        world.heal();
        run(&mut world, Duration::from_secs(20));
        let before = world.report();
        run(&mut world, Duration::from_secs(4));
        let after = world.report();
        assert_eq!(world.hosts().len(), 1, "seed {seed}");
        for &us in &nodes {
            let name = &after.node(us).name;
            assert_eq!(after.node(us).stale_epoch_rendered, 0, "seed {seed}, {name}");
            let mut showing = after.node(us).showing.clone();
            showing.sort_unstable();
            assert_eq!(showing, nodes, "seed {seed}, {name}");
            for &them in nodes.iter().filter(|&&them| them != us) {
                let it = &after.node(us).perceived[&them];
                let was = before.node(us).perceived.get(&them).cloned().unwrap_or_default();
                assert!(it.sounds.frames - was.sounds.frames > 170, "seed {seed}, {name}: {it:?}");
            }
        }
    }
}

#[test]
fn those_without_the_host_wait_if_they_are_fewer() {
    let (mut world, nodes) = call(5, LinkConfig::lan(), 7);
    let (many, few) = nodes.split_at(3);
    part(&mut world, many, few);
    run(&mut world, Duration::from_secs(2));
    let before = world.report();
    run(&mut world, Duration::from_secs(4));
    let after = world.report();
    let [(host, _)] = world.hosts()[..] else { panic!("{:?}", world.hosts()) };
    assert_eq!(host, nodes[0]);
    for &us in few {
        assert_eq!(after.node(us).pictures, before.node(us).pictures);
        assert_eq!(after.node(us).sounds, before.node(us).sounds);
    }
    for &us in many {
        assert!(after.node(us).sounds - before.node(us).sounds > 190);
    }
}
