//! A handover that does not come about changes nothing.

use std::time::Duration;

use paceline_session::{AbortReason, Event};
use paceline_sim::{LinkConfig, NodeId, World, WorldConfig};

fn call(count: usize, seed: u64) -> (World, Vec<NodeId>) {
    let mut world = World::new(WorldConfig::default().seed(seed).link(LinkConfig::lan()));
    let names = ["ann", "ben", "cal", "dan"];
    let nodes: Vec<_> = names[..count].iter().map(|name| world.join_to_host(name)).collect();
    world.run_for(Duration::from_secs(8));
    (world, nodes)
}

fn aborted(world: &World, node: NodeId) -> Vec<AbortReason> {
    let events = world.events(node).iter().filter_map(|(_, event)| match event {
        Event::HandoverAborted { reason } => Some(*reason),
        _ => None,
    });
    events.collect()
}

#[test]
fn who_is_to_take_over_and_dies_takes_nobody_along() {
    for seed in 1..=3 {
        let (mut world, nodes) = call(4, seed);
        let hosts = world.hosts();
        let [(host, _)] = hosts[..] else { panic!("{hosts:?}") };
        let standby = world.standby(host).expect("one stands by");
        let then = world.report();
        world.hand_over(host);
        world.run_for(Duration::from_millis(3));
        world.kill(standby, seed % 2 == 0);
        world.run_for(Duration::from_secs(4));
        // If the server knows at once that he is gone, the host does.
        let [reason] = aborted(&world, host)[..] else { panic!("once, at seed {seed}") };
        let hangs = seed % 2 == 0;
        assert_eq!(reason == AbortReason::TimedOut, hangs, "seed {seed}: {reason:?}");
        assert_eq!(world.hosts(), hosts, "seed {seed}");
        let report = world.report();
        for &us in nodes.iter().filter(|&&node| node != standby) {
            let (node, before) = (report.node(us), then.node(us));
            let name = &node.name;
            assert_eq!(node.mix_pictures_missing, before.mix_pictures_missing, "{seed}, {name}");
            assert_eq!(node.mix_sounds_missing, before.mix_sounds_missing, "{seed}, {name}");
            assert_eq!(node.mix_sounds_again + node.mix_pictures_again, 0, "{seed}, {name}");
            assert_eq!((node.stale_epoch_rendered, node.stale_dropped), (0, 0), "{seed}, {name}");
            for &them in nodes.iter().filter(|&&them| them != us && them != standby) {
                let it = &node.perceived[&them];
                let was = &before.perceived[&them];
                assert!(it.sounds.frames - was.sounds.frames > 190, "{seed}, {name}: {it:?}");
                assert!(it.pictures.frames - was.pictures.frames > 56, "{seed}, {name}: {it:?}");
            }
        }
    }
}

#[test]
fn after_one_that_failed_the_next_one_takes_place() {
    let (mut world, nodes) = call(4, 5);
    let [(host, _)] = world.hosts()[..] else { panic!("{:?}", world.hosts()) };
    let standby = world.standby(host).expect("one stands by");
    world.hand_over(host);
    world.run_for(Duration::from_millis(3));
    world.kill(standby, false);
    world.run_for(Duration::from_secs(6));
    world.hand_over(host);
    world.run_for(Duration::from_secs(2));
    let [(next, _)] = world.hosts()[..] else { panic!("{:?}", world.hosts()) };
    assert!(next != host && next != standby && nodes.contains(&next));
}

#[test]
fn who_is_alone_or_does_not_host_is_refused() {
    let (mut world, nodes) = call(1, 1);
    world.hand_over(nodes[0]);
    world.run_for(Duration::from_secs(1));
    assert_eq!(aborted(&world, nodes[0]), [AbortReason::Refused]);
    assert_eq!(world.hosts().len(), 1);

    let (mut world, nodes) = call(3, 1);
    world.hand_over(nodes[2]);
    world.run_for(Duration::from_secs(1));
    assert_eq!(aborted(&world, nodes[2]), [AbortReason::Refused]);
    let [(host, _)] = world.hosts()[..] else { panic!("{:?}", world.hosts()) };
    assert_eq!(host, nodes[0]);
}
