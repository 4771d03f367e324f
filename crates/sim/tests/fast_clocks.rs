//! Microphones that are not as fast as they say.

use std::time::Duration;

use paceline_sim::{LinkConfig, NodeId, World, WorldConfig};

/// At 500 ppm, ten minutes have 300 ms of sound more than they should. What is heard
/// is as old as in the first minute, nothing was cut or made up, and the queue of the host is as
/// long as that of somebody whose clock is right.
#[test]
fn a_fast_clock_neither_drifts_nor_glitches_in_ten_minutes() {
    let mut right = std::thread::scope(|scope| {
        let worlds = [1, 2, 7].map(|seed| scope.spawn(move || hears_no_difference(seed, 500, 10)));
        worlds.map(|world| world.join().expect("a world in which all is as it should be"))
    });
    // The delay of a jitter buffer may grow by more than is in a queue: in one world of
    // eight or so some is made up for him whose clock is right.
    right.sort_unstable();
    assert_eq!(right[1], 0, "{right:?}");
}

/// The other way what is missing would have to be made up.
#[test]
fn a_slow_clock_neither_drifts_nor_glitches() {
    // While the delay of a jitter buffer grows, a queue lacks 2 ms once.
    assert!(hears_no_difference(7, -500, 4) <= 150);
}

/// A call, and how many samples were made up in it for him whose clock is right.
fn hears_no_difference(seed: u64, ppm: i32, minutes: u64) -> u64 {
    // Jitter of 30 ms. What is lost and sent again would only blur it.
    let link = LinkConfig::wan().loss(0.0);
    let mut world = World::new(WorldConfig::default().seed(seed).link(link));
    let ann = world.join_to_host("ann");
    let ben = world.join_with_clock("ben", ppm);
    let cal = world.join("cal");
    let minute = Duration::from_secs(60);
    world.run_for(minute);
    let early = world.report();
    world.run_for(minute * (minutes as u32 - 1));
    let report = world.report();
    println!("{report}seed {}", report.seed);

    for of in [ben, cal] {
        let stage = world.source_stats(ann, of).expect("he is on the stage");
        println!("{stage:?}");
        assert_eq!(stage.samples_dropped, 0, "{stage:?}");
        // While the delay of a jitter buffer grows, the queue of a slow clock lacks 2 ms once.
        let most = if ppm > 0 { 0 } else { 150 };
        assert!(of == cal || stage.samples_concealed <= most, "{stage:?}");
        assert!(stage.queue_level < 3 * 960, "{stage:?}");
        // A fifth of a second in a minute: what the jitter buffer's delay moves.
        assert!(stage.samples_stretched < 9_600 * minutes, "{stage:?}");
    }
    let p50 = |report: &paceline_sim::Report, us: NodeId, of: NodeId| {
        report.node(us).perceived[&of].sounds.latency.p50
    };
    for us in [ann, cal] {
        // Without correction it would be 150 ms more in the middle of ten minutes.
        let moved = p50(&report, us, ben).abs_diff(p50(&early, us, ben));
        assert!(moved < Duration::from_millis(15), "{moved:?}");
    }
    let (found, sigma) = world.sound_stats(ann, ben).and_then(|it| it.drift).expect("known");
    assert!((found - f64::from(ppm)).abs() < 5.0, "{found} ± {sigma} ppm");
    world.source_stats(ann, cal).map_or(u64::MAX, |stage| stage.samples_concealed)
}
