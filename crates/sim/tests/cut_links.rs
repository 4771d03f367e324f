//! A link is cut, with nobody told.

use std::time::Duration;

use paceline_session::Event;
use paceline_sim::{LinkConfig, NodeId, World, WorldConfig};

fn world(link: LinkConfig) -> (World, [NodeId; 3]) {
    let mut world = World::new(WorldConfig::default().link(link));
    let nodes = [world.join_to_host("ann"), world.join("ben"), world.join("cal")];
    world.run_for(Duration::from_secs(10));
    (world, nodes)
}

fn connections(world: &World, node: NodeId) -> usize {
    let events = world.events(node).iter();
    events.filter(|(_, event)| matches!(event, Event::Connected { .. })).count()
}

#[test]
fn a_cut_link_is_noticed_after_five_seconds_and_redialled_when_it_heals() {
    let (mut world, [ann, ben, cal]) = world(LinkConfig::wan());
    world.cut(ann, cal);
    world.run_for(Duration::from_millis(4_500));
    assert!(world.is_connected(ann, cal) && world.is_connected(cal, ann));
    world.run_for(Duration::from_millis(1_000));
    assert!(!world.is_connected(ann, cal) && !world.is_connected(cal, ann));

    let before = world.report();
    world.run_for(Duration::from_secs(5));
    world.heal();
    // A knock in 500 ms at the latest, and two round trips.
    world.run_for(Duration::from_secs(1));
    assert!(world.is_connected(ann, cal) && world.is_connected(cal, ann));
    // Who does not hear the host for long looks for the others who vote: for ben, once.
    assert_eq!((connections(&world, cal), connections(&world, ben)), (3, 2));
    world.run_for(Duration::from_secs(4));

    let report = world.report();
    for (us, them) in [(cal, ann), (cal, ben), (ann, cal), (ben, cal)] {
        let heard = |report: &paceline_sim::Report| report.node(us).perceived[&them].sounds.frames;
        assert!(heard(&report) - heard(&before) > 180, "{report}");
        assert_eq!(report.node(us).perceived[&them].sounds.out_of_order, 0, "{report}");
    }
}

/// For those who had nothing cut every count and time of the pictures is the same, the
/// counts of the sound are to one in a hundred, and p50 and p95 of its latency and of
/// the skew to 5 ms: what `Perceived::resembles` compares. The network draws no dice
/// here, for more packets to one peer would shift them.
#[test]
fn the_others_do_not_notice() {
    let steady = LinkConfig::wan().jitter(Duration::ZERO).loss(0.0);
    let calls = [false, true].map(|cut| {
        let (mut world, [ann, ben, cal]) = world(steady);
        if cut {
            world.cut(ann, cal);
        }
        world.run_for(Duration::from_secs(20));
        world.heal();
        world.run_for(Duration::from_secs(10));
        let report = world.report();
        assert!(world.is_connected(ann, cal));
        let perceived = [(ann, ben), (ben, ann), (ben, ben)]
            .map(|(us, them)| report.node(us).perceived[&them].clone());
        (perceived, world.sound_stats(ann, ben), world.source_stats(ann, ben))
    });
    let [(whole, received, played), (cut, received_too, played_too)] = calls;
    assert!(whole[0].sounds.frames > 1_900);
    // What the host got of him, and what it made of that, is the same to the sample.
    assert_eq!((received, played), (received_too, played_too));
    for (whole, cut) in whole.iter().zip(&cut) {
        assert!(whole.resembles(cut), "{whole:?} {cut:?}");
    }
}

#[test]
fn who_stays_cut_off_is_given_up_and_both_are_told() {
    for seed in 1..=30 {
        let config = WorldConfig::default().seed(seed).link(LinkConfig::wan());
        let mut world = World::new(config);
        let ann = world.join_to_host("ann");
        let cal = world.join("cal");
        world.run_for(Duration::from_secs(5));
        world.isolate(cal);
        // Silence, three calls of 10 s with 0, 2 and 4 s before them, and each time the
        // callee's patience of 38 s.
        world.run_for(Duration::from_secs(5 + 10 + 12 + 14 + 38 + 2));
        let told = |us: NodeId, them: NodeId| {
            let peer = world.peer(them);
            let again = |event: &Event| match event {
                Event::Disconnected { peer: it, again, .. } if *it == peer => Some(*again),
                _ => None,
            };
            world.events(us).iter().filter_map(|(_, event)| again(event)).collect::<Vec<_>>()
        };
        // Once that it is down and tried again, once that it stays so.
        assert_eq!(told(cal, ann), [true, false], "seed {seed}");
        assert_eq!(told(ann, cal), [true, false], "seed {seed}");
    }
}
