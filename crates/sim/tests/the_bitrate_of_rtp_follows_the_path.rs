//! A link of 4 Mbit/s takes 1 for half a minute, under a call over RTP: what encoders are told
//! to make, how late pictures are shown, and what a ladder makes of it.

#[path = "../../codec/tests/ladder_model/mod.rs"]
mod ladder_model;

use std::time::Duration;

use ladder_model::{Pressure, camera, seconds};
use paceline_codec::LadderConfig;
use paceline_session::{SessionConfig, SyncConfig};
use paceline_sim::types::{Bitrate, Carrier, StreamId};
use paceline_sim::{Bottleneck, LinkConfig, World, WorldConfig};

/// One call, by tenths of a second.
struct Step {
    targets: Vec<f64>,
    /// When each was taken, and how old it was when it had come.
    came: Vec<(f64, f64)>,
    /// How old those were that were shown while the link was narrow, sorted.
    shown: Vec<f64>,
}

/// 20 ± 2 ms each way; the link is narrow from 15 s to 45 s.
fn step(seed: u64) -> Step {
    let link = LinkConfig::lan().delay(Duration::from_millis(20)).jitter(Duration::from_millis(2));
    let session = SessionConfig::default().max_video_bitrate(Bitrate::from_kbps(3_800));
    let config =
        WorldConfig::default().seed(seed).link(link).session(session).records_transits(true);
    let mut world = World::new(config.encodes(true).carrier(Carrier::Rtp));
    let ann = world.join_to_host("ann");
    let ben = world.join("ben");
    let mut step = Step { targets: Vec::new(), came: Vec::new(), shown: Vec::new() };
    for (kbps, tenths) in [(4_000, 150), (1_000, 300), (4_000, 110)] {
        world.set_uplink(ben, Some(Bottleneck::new(Bitrate::from_kbps(kbps))));
        for _ in 0..tenths {
            world.run_for(Duration::from_millis(100));
            step.targets.push(world.video_bitrate(ben, StreamId::VIDEO).bps() as f64);
        }
        if kbps == 1_000 {
            let shown = world.picture_ages(ann, ben).into_iter().rev().take(400);
            step.shown = shown.map(|age| age.as_secs_f64()).collect();
            step.shown.sort_unstable_by(f64::total_cmp);
        }
    }
    let came = world.picture_transits(ann, ben).iter();
    step.came = came.map(|(taken, age)| (taken.as_secs_f64(), age.as_secs_f64())).collect();
    step
}

/// How long after the step the last picture was taken that came more than 300 ms later.
fn last_late(step: &Step) -> f64 {
    let late = step.came.iter().filter(|(at, age)| (15.0..45.0).contains(at) && *age > 0.3);
    late.map(|(at, _)| at - 15.0).fold(0.0, f64::max)
}

/// When nine tenths of the encoder's most were asked for again.
fn back(step: &Step) -> f64 {
    let back = step.targets[450..].iter().position(|target| *target > 0.9 * 3.8e6);
    back.map_or(f64::INFINITY, |tenths| tenths as f64 / 10.0)
}

/// How often a ladder with a camera of 720p30 changes its level in the half minute from the
/// step on.
fn level_changes(step: &Step) -> usize {
    let mut model = camera(LadderConfig::default());
    let pressure = |at: Duration| {
        let tenth = (at.as_millis() / 100) as usize;
        let target = step.targets[tenth.min(step.targets.len() - 1)];
        Pressure { target: (target / 1e3) as u64, ..Pressure::NONE }
    };
    let mut levels = Vec::new();
    model.run(seconds(46), pressure, |sample, _| levels.push((sample.at, sample.level)));
    let narrow = levels.windows(2).filter(|pair| (seconds(15)..seconds(45)).contains(&pair[1].0));
    narrow.filter(|pair| pair[0].1 != pair[1].1).count()
}

#[test]
fn it_is_down_in_half_a_second_and_back_in_ten() {
    let half = |seeds: std::ops::RangeInclusive<u64>| move || Vec::from_iter(seeds.map(step));
    let steps = std::thread::scope(|scope| {
        let first = scope.spawn(half(1..=4));
        let mut steps = half(5..=8)();
        steps.extend(first.join().expect("it ran"));
        steps
    });
    let figures = |of: fn(&Step) -> f64| {
        let mut figures = Vec::from_iter(steps.iter().map(of));
        figures.sort_unstable_by(f64::total_cmp);
        figures
    };
    let (late, back) = (figures(last_late), figures(back));
    let levels = Vec::from_iter(steps.iter().map(level_changes));
    println!("last late picture {late:.2?} s after the step");
    println!("back after {back:.1?} s; {levels:?} changes of level");
    for step in &steps {
        let narrow = &step.targets[180..450];
        let mean = narrow.iter().sum::<f64>() / narrow.len() as f64;
        let shown = step.came.iter().filter(|(at, _)| (18.0..45.0).contains(at)).count();
        let p95 = step.shown[step.shown.len() * 95 / 100];
        println!("{:.0} kbit/s, {shown} pictures of 405, shown after {p95:.3} s", mean / 1e3);
        assert!((650e3..1e6).contains(&mean), "{mean}");
        assert!(shown > 390, "{shown}");
    }
    assert!(late[7] <= 0.5, "{late:?}");
    assert!(back[7] <= 10.0, "{back:?}");
    assert!(levels.iter().all(|changes| *changes < 2), "{levels:?}");
}

/// How many pictures of the host's were older than 300 ms when they were seen, later than half a
/// second after his link had become narrow; and when the last was, in seconds.
fn late(seed: u64, max_lead: Duration) -> (usize, f64) {
    let link = LinkConfig::lan().delay(Duration::from_millis(20)).jitter(Duration::from_millis(2));
    let sync = SyncConfig::default().max_lead(max_lead);
    let session = SessionConfig::default().max_video_bitrate(Bitrate::from_kbps(3_800)).sync(sync);
    let config = WorldConfig::default().seed(seed).link(link).session(session).encodes(true);
    let mut world = World::new(config.carrier(Carrier::Rtp));
    let ann = world.join_to_host("ann");
    let ben = world.join("ben");
    world.set_uplink(ann, Some(Bottleneck::new(Bitrate::from_kbps(4_000))));
    world.run_for(Duration::from_secs(15));
    world.set_uplink(ann, Some(Bottleneck::new(Bitrate::from_kbps(1_000))));
    let mut shown = Vec::new();
    for tenth in 0..100 {
        let before = world.picture_ages(ben, ann).len();
        world.run_for(Duration::from_millis(100));
        let ages = world.picture_ages(ben, ann).split_off(before);
        shown.extend(ages.iter().map(|age| (f64::from(tenth) / 10.0, age.as_secs_f64())));
    }
    assert!(shown.len() > 120, "{}", shown.len());
    let late = || shown.iter().filter(|(at, age)| *at >= 0.5 && *age > 0.3).map(|(at, _)| *at);
    (late().count(), late().fold(0.0, f64::max))
}

// M8, of what is seen, wants none. Measured, of 8 seeds: 37 in the median, the last after 3.7 s
// (3.1 to 5.7); where pictures wait for all that sound has to give back, 70 and 5.9 s (5.3 to 6.4).
#[test]
fn the_delay_that_a_queue_has_left_behind_is_not_seen_for_as_long_as_it_is_heard() {
    let mut leading = Vec::new();
    for seed in 1..=5 {
        let together = late(seed, Duration::ZERO);
        let (count, last) = late(seed, Duration::from_millis(125));
        println!("{count} pictures are late, the last after {last} s; together {together:?}");
        assert!(count < together.0 && last < together.1, "{count}, {last}; {together:?}");
        leading.push(count);
    }
    leading.sort_unstable();
    assert!(leading[2] <= 45, "{leading:?}");
}
