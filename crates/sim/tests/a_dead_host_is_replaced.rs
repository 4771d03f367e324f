//! The host is gone from one moment to the next, and another takes over.

use std::time::Duration;

use paceline_session::Event;
use paceline_sim::{LinkConfig, NodeId, World, WorldConfig};

const NAMES: [&str; 5] = ["ann", "ben", "cal", "dan", "eve"];

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

/// Kills the host of a call; how long each of the others had no news of anybody, to see and
/// to hear.
fn dies(count: usize, link: LinkConfig, seed: u64, hangs: bool) -> Vec<(Duration, Duration)> {
    let (mut world, nodes) = call(count, link, seed);
    let dead = host(&world);
    let at = world.elapsed();
    let then = world.report();
    world.kill(dead, hangs);
    world.run_for(Duration::from_secs(6));
    let next = host(&world);
    assert_ne!(next, dead);
    let report = world.report();
    let others = nodes.iter().copied().filter(|&node| node != dead);
    let gaps = others.map(|us| {
        let (node, before) = (report.node(us), then.node(us));
        let who = world.peer(next);
        let is_who = |event: &Event| {
            matches!(event, Event::HostChanged { host, planned: false, .. } if *host == Some(who))
        };
        let told = world.events(us).iter().filter(|(when, event)| *when >= at && is_who(event));
        assert_eq!(told.count(), 1, "seed {seed}, {}: {:?}", node.name, world.events(us));
        let wrong = (node.stale_epoch_rendered, node.stale_dropped, node.errors);
        assert_eq!(wrong, (0, 0, 0), "seed {seed}, {}", node.name);
        // What nobody made is not lost, and nothing is shown again.
        let concealed = node.concealed - before.concealed;
        assert!(concealed <= 10, "seed {seed}, {}: {concealed}", node.name);
        assert_eq!(node.mix_pictures_again, before.mix_pictures_again, "seed {seed}");
        let mixes: Vec<_> = nodes.iter().filter(|&&them| them != us && them != dead).collect();
        for &&them in &mixes {
            let it = &node.perceived[&them];
            let was = &before.perceived[&them];
            assert!(
                it.pictures.frames - was.pictures.frames > 60
                    && it.sounds.frames - was.sounds.frames > 200,
                "seed {seed}, {} of {}: {it:?} {was:?}",
                node.name,
                report.node(them).name,
            );
        }
        assert!(!node.showing.contains(&dead), "seed {seed}");
        (node.longest_still(at), node.longest_silence(at))
    });
    gaps.collect()
}

/// Whether half of these are no longer than one span, and all than another.
fn assert_within(gaps: impl Iterator<Item = Duration>, half: u64, all: u64) {
    let mut sorted = Vec::from_iter(gaps);
    sorted.sort_unstable();
    let (p50, max) = (sorted[sorted.len() / 2], sorted[sorted.len() - 1]);
    assert!(p50 <= ms(half) && max <= ms(all), "{p50:?}, {max:?}");
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// The goal is 600 ms for half of all failovers and a second for all but one in a hundred,
/// by what is seen and heard.
#[test]
fn on_a_lan_within_half_a_second() {
    let mut gaps = Vec::new();
    for seed in 1..=4 {
        for count in [3, 5] {
            gaps.extend(dies(count, LinkConfig::lan(), seed, seed % 2 == 0));
        }
    }
    assert_within(gaps.iter().map(|&(still, _)| still), 600, 1_000);
    assert_within(gaps.iter().map(|&(_, silent)| silent), 600, 1_000);
}

/// Pictures of the members have to come to the new host first: he had none of them before.
#[test]
fn over_the_internet_within_a_second() {
    let mut gaps = Vec::new();
    for seed in 1..=4 {
        for count in [3, 5] {
            gaps.extend(dies(count, LinkConfig::wan(), seed, seed % 2 == 0));
        }
    }
    assert_within(gaps.iter().map(|&(still, _)| still), 800, 1_300);
    assert_within(gaps.iter().map(|&(_, silent)| silent), 650, 1_000);
}

/// Of two, the witness decides.
#[test]
fn the_last_one_hosts_himself() {
    for seed in 1..=4 {
        let (mut world, nodes) = call(2, LinkConfig::lan(), seed);
        let dead = host(&world);
        world.kill(dead, seed % 2 == 0);
        world.run_for(Duration::from_secs(3));
        let next = host(&world);
        assert!(next != dead && nodes.contains(&next), "seed {seed}");
        let cal = world.join_to_host("cal");
        world.run_for(Duration::from_secs(6));
        let report = world.report();
        for (us, them) in [(next, cal), (cal, next)] {
            let it = &report.node(us).perceived[&them];
            assert!(it.sounds.frames > 190 && it.pictures.frames > 60, "seed {seed}: {it:?}");
        }
    }
}

/// Who dies and comes back is another: he votes and hosts under a number of his own.
#[test]
fn who_comes_back_may_host_again() {
    let (mut world, _) = call(3, LinkConfig::lan(), 9);
    let mut dead = Vec::new();
    for round in 0..4 {
        let now = host(&world);
        assert!(!dead.contains(&now), "round {round}");
        world.kill(now, round % 2 == 0);
        dead.push(now);
        let again = world.join_to_host("again");
        world.run_for(Duration::from_secs(8));
        let report = world.report();
        let next = host(&world);
        let there: Vec<_> = report.node(next).showing.clone();
        assert!(there.contains(&again) && there.len() == 3, "round {round}: {there:?}");
        for &us in &there {
            assert_eq!(report.node(us).stale_epoch_rendered, 0, "round {round}");
        }
    }
}
