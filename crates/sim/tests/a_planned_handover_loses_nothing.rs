//! One hands over to another while all are there: nobody notices.

use std::time::Duration;

use paceline_session::Event;
use paceline_sim::{LinkConfig, NodeId, NodeReport, World, WorldConfig};

const NAMES: [&str; 5] = ["ann", "ben", "cal", "dan", "eve"];

/// Members of whom each may host, some seconds into their call.
fn call(count: usize, link: LinkConfig, seed: u64) -> (World, Vec<NodeId>) {
    let seats = if count > 4 { 9 } else { 4 };
    let config = WorldConfig::default().seed(seed).link(link).seats(seats);
    let mut world = World::new(config);
    let nodes = NAMES[..count].iter().map(|name| world.join_to_host(name)).collect();
    world.run_for(Duration::from_secs(10));
    (world, nodes)
}

/// Who hosts, if just one does.
fn host(world: &World) -> NodeId {
    match world.hosts()[..] {
        [(host, _)] => host,
        ref hosts => panic!("{hosts:?} host"),
    }
}

fn hands_over(count: usize, link: LinkConfig, seed: u64) {
    let (mut world, nodes) = call(count, link, seed);
    let before = host(&world);
    let at = world.elapsed();
    let then = world.report();
    world.hand_over(before);
    world.run_for(Duration::from_secs(4));
    let after = host(&world);
    assert_ne!(before, after, "seed {seed}: {:?}", world.events(before));

    let report = world.report();
    for &us in &nodes {
        let (node, before_it) = (report.node(us), then.node(us));
        let told = world.events(us).iter().filter(|(when, _)| *when >= at);
        let planned = |event: &Event| matches!(event, Event::HostChanged { planned: true, .. });
        let who = world.peer(after);
        let is_who =
            |event: &Event| matches!(event, Event::HostChanged { host, .. } if *host == Some(who));
        let changes: Vec<_> = told.map(|(_, event)| event).filter(|event| is_who(event)).collect();
        assert!(matches!(changes[..], [one] if planned(one)), "seed {seed}: {changes:?}");
        // Not a frame of the mix: nothing was given up, nothing made up.
        assert_eq!(node.errors, 0, "seed {seed}, {}", node.name);
        assert_eq!(node.concealed, before_it.concealed, "seed {seed}, {}", node.name);
        let missing = |it: &NodeReport| (it.mix_pictures_missing, it.mix_sounds_missing);
        assert_eq!(missing(node), missing(before_it), "seed {seed}, {}", node.name);
        assert_eq!(node.mix_pictures_again, before_it.mix_pictures_again, "seed {seed}");
        // Who hosted is nearer to the mix than he can be to another's: once he hears the
        // time between the two again.
        let again = u64::from(us == before);
        assert!(node.mix_sounds_again - before_it.mix_sounds_again <= again, "seed {seed}");
        assert_eq!((node.stale_epoch_rendered, node.stale_dropped), (0, 0), "seed {seed}");
    }
}

#[test]
fn on_a_lan_of_three_four_and_five() {
    for count in [3, 4, 5] {
        for seed in 1..=2 {
            hands_over(count, LinkConfig::lan(), seed);
        }
    }
}

#[test]
fn over_the_internet_among_three_four_and_five() {
    for count in [3, 4, 5] {
        hands_over(count, LinkConfig::wan().loss(0.0), 1);
    }
}

/// What a path loses is sent again, and all that came after it waits: now and then something
/// is too old by then, handover or not. But nothing is shown twice, or of a host of before.
#[test]
fn where_packets_are_lost_nothing_is_shown_again_either() {
    for seed in 1..=3 {
        let (mut world, nodes) = call(5, LinkConfig::wan(), seed);
        let before = host(&world);
        let then = world.report();
        // What has to be said in half a second may be lost twice: then it is tried again.
        for _ in 0..3 {
            if host(&world) == before {
                world.hand_over(before);
                world.run_for(Duration::from_secs(4));
            }
        }
        assert_ne!(before, host(&world), "seed {seed}");
        let report = world.report();
        for &us in &nodes {
            let (node, was) = (report.node(us), then.node(us));
            let name = &node.name;
            let pictures = node.mix_pictures_missing - was.mix_pictures_missing;
            let sounds = node.mix_sounds_missing - was.mix_sounds_missing;
            let concealed = node.concealed - was.concealed;
            println!("seed {seed}, {name}: {pictures} pictures, {sounds} + {concealed} sounds");
            assert_eq!(node.mix_pictures_again, was.mix_pictures_again, "seed {seed}, {name}");
            assert_eq!((node.stale_epoch_rendered, node.stale_dropped), (0, 0), "{seed}, {name}");
        }
    }
}
