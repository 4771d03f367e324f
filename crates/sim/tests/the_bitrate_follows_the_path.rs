//! Links that get narrow and wide, in virtual time: what encoders are told to make, what
//! waits, and what is seen at the other end.

use std::time::Duration;

use paceline_session::{Event, MeshConfig, SessionConfig, Topology};
use paceline_sim::types::{Bitrate, StreamId};
use paceline_sim::{Bottleneck, LinkConfig, NodeId, World, WorldConfig};

/// 100 ms of it.
struct Step {
    target: f64,
    delay: Duration,
    /// Bits in a second that the other end has confirmed.
    acked: f64,
    /// How old the pictures were that were shown.
    ages: Vec<Duration>,
}

/// The pictures of one at another.
struct Watch {
    from: NodeId,
    to: NodeId,
    stream: StreamId,
    steps: Vec<Step>,
}

impl Watch {
    fn new(from: NodeId, to: NodeId) -> Self {
        Self { from, to, stream: StreamId::VIDEO, steps: Vec::new() }
    }

    fn acked(&self, world: &World) -> u64 {
        let stats = world.peer_stats(self.from, self.to).unwrap_or_default();
        stats.sent_bytes - stats.outstanding as u64
    }

    fn shown(&self, world: &World) -> Vec<Duration> {
        world.picture_ages(self.to, self.from)
    }

    /// One line for each second.
    fn print(&self) {
        println!("   s  target kbit/s  acked  waits ms  age p95 ms  shown");
        for (second, steps) in self.steps.chunks(10).enumerate() {
            let waits = steps.iter().map(|step| step.delay.as_millis()).max().unwrap_or(0);
            let target = steps.last().map_or(0.0, |step| step.target) / 1e3;
            let ages = ages(steps);
            println!(
                "{second:4}  {target:13.0}  {:5.0}  {waits:8}  {:10}  {:5}",
                acked(steps) / 1e3,
                quantile(&ages, 95).as_millis(),
                ages.len(),
            );
        }
    }

    fn seconds(&self, from: usize, to: usize) -> &[Step] {
        &self.steps[from * 10..to * 10]
    }
}

fn run(world: &mut World, watches: &mut [&mut Watch], seconds: u32) {
    for _ in 0..seconds * 10 {
        let before = Vec::from_iter(
            watches.iter().map(|watch| (watch.acked(world), watch.shown(world).len())),
        );
        world.run_for(ms(100));
        for (watch, (acked, shown)) in watches.iter_mut().zip(before) {
            let step = Step {
                target: world.video_bitrate(watch.from, watch.stream).bps() as f64,
                delay: world.send_delay(watch.from, watch.stream),
                acked: watch.acked(world).saturating_sub(acked) as f64 * 80.0,
                ages: watch.shown(world).split_off(shown),
            };
            watch.steps.push(step);
        }
    }
}

fn acked(steps: &[Step]) -> f64 {
    steps.iter().map(|step| step.acked).sum::<f64>() / steps.len() as f64
}

fn ages(steps: &[Step]) -> Vec<Duration> {
    let mut ages = Vec::from_iter(steps.iter().flat_map(|step| step.ages.iter().copied()));
    ages.sort_unstable();
    ages
}

fn waits(steps: &[Step]) -> Vec<Duration> {
    let mut delays = Vec::from_iter(steps.iter().map(|step| step.delay));
    delays.sort_unstable();
    delays
}

fn least(steps: &[Step]) -> f64 {
    steps.iter().map(|step| step.target).fold(f64::MAX, f64::min)
}

fn quantile(sorted: &[Duration], percent: usize) -> Duration {
    let at = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
    sorted.get(at).copied().unwrap_or_default()
}

/// 20 ± 2 ms each way, encoders of at most `kbps`, and the windows of a real call.
fn world(link: LinkConfig, kbps: u64) -> World {
    let session = SessionConfig::default().max_video_bitrate(Bitrate::from_kbps(kbps));
    let config = WorldConfig::default().seed(3).link(link).session(session).encodes(true);
    World::new(config.mesh(MeshConfig::new(Topology::Star)).seats(9))
}

fn link() -> LinkConfig {
    LinkConfig::lan().delay(ms(20)).jitter(ms(2))
}

fn kbps(kbps: u64) -> Option<Bottleneck> {
    Some(Bottleneck::new(Bitrate::from_kbps(kbps)))
}

#[test]
fn the_bitrate_follows_a_link_that_gets_narrow_and_wide_again() {
    let mut world = world(link(), 4_000);
    let ann = world.join_to_host("ann");
    let ben = world.join("ben");
    let mut watch = Watch::new(ben, ann);
    for (limit, seconds) in [(10_000, 10), (1_000, 20), (5_000, 20)] {
        world.set_uplink(ben, kbps(limit));
        run(&mut world, &mut [&mut watch], seconds);
    }
    watch.print();
    println!("{} pictures built on one that was left out", world.broken_pictures(ann));

    assert!(watch.seconds(0, 10).iter().all(|step| step.target == 4e6), "it was wide enough");
    let fall = watch.seconds(10, 30).iter().position(|step| step.target < 1e6);
    let rise = watch.seconds(30, 50).iter().position(|step| step.target == 4e6);
    let (narrow, wide) = (watch.seconds(13, 30), watch.seconds(40, 50));
    let calm = watch.seconds(10, 30).iter().rposition(|step| step.delay > ms(300));
    println!("less than 300 ms wait after {calm:?} tenths of a second");
    println!("down in {fall:?} tenths of a second, up in {rise:?}");
    println!(
        "narrow: {:.0} kbit/s, waits p95 {:?}, ages p95 {:?}",
        acked(narrow) / 1e3,
        quantile(&waits(narrow), 95),
        quantile(&ages(narrow), 95),
    );
    assert!(fall.is_some_and(|tenths| tenths < 10), "{fall:?}");
    assert!(rise.is_some_and(|tenths| tenths < 100), "{rise:?}");
    assert!(acked(narrow) > 700e3 && acked(narrow) < 1e6, "{}", acked(narrow));
    assert!(quantile(&waits(narrow), 95) < ms(250));
    assert!(quantile(&ages(narrow), 95) < ms(450));
    assert!(ages(narrow).len() >= 17 * 15 - 5, "{}", ages(narrow).len());
    assert!(ages(wide).len() >= 10 * 15 - 2, "{}", ages(wide).len());
}

#[test]
fn two_who_meet_in_one_link_share_it() {
    let mut world = world(link(), 4_000);
    let ann = world.join_to_host("ann");
    let ben = world.join("ben");
    world.set_downlink(ann, kbps(3_000));
    let mut bens = Watch::new(ben, ann);
    run(&mut world, &mut [&mut bens], 20);
    let cal = world.join("cal");
    let mut cals = Watch::new(cal, ann);
    run(&mut world, &mut [&mut bens, &mut cals], 60);
    bens.print();
    cals.print();
    let (b, c) = (acked(bens.seconds(50, 80)), acked(cals.seconds(30, 60)));
    // Jain, Chiu, Hawe, "A Quantitative Measure of Fairness", DEC TR-301 (1984).
    let jain = (b + c) * (b + c) / (2.0 * (b * b + c * c));
    println!("ben {:.0}, cal {:.0} kbit/s, Jain {jain:.3}", b / 1e3, c / 1e3);
    assert!(jain > 0.9, "{jain}");
    assert!((b + c) > 0.7 * 3e6, "{}", b + c);
}

#[test]
fn one_slow_member_of_five_makes_nobody_elses_picture_worse() {
    let mut world = world(link(), 1_200);
    let ann = world.join_to_host("ann");
    let others: Vec<_> = ["ben", "cal", "dan"].map(|name| world.join(name)).into();
    let eve = world.join("eve");
    world.set_downlink(eve, kbps(600));
    let mut mix = Watch { stream: StreamId::MIX_VIDEO, ..Watch::new(ann, others[0]) };
    let mut slow = Watch { stream: StreamId::MIX_VIDEO, ..Watch::new(ann, eve) };
    run(&mut world, &mut [&mut mix, &mut slow], 40);
    mix.print();
    slow.print();
    assert!(mix.seconds(5, 40).iter().all(|step| step.target == 1.2e6), "eve decides");
    let (seen, seen_by_eve) = (ages(mix.seconds(5, 40)), ages(slow.seconds(5, 40)));
    println!("{} pictures of ann at ben, {} at eve", seen.len(), seen_by_eve.len());
    assert!(seen.len() >= 35 * 15 - 5, "{}", seen.len());
    assert!(seen_by_eve.len() >= 5, "{}", seen_by_eve.len());
    assert!(quantile(&ages(mix.seconds(5, 40)), 95) < ms(300));
    // Sound goes first: hers is there.
    let eves = world.report().node(eve).concealed;
    println!("{eves} of her 2,000 sounds were made up");
    assert!(eves < 40 * 50 / 20, "{eves} of her sounds were made up");
}

#[test]
fn loss_alone_does_not_lower_it() {
    for (delay, loss) in [(20, 0.02), (20, 0.05), (40, 0.05)] {
        let link = link().delay(ms(delay)).loss(loss);
        let mut world = world(link, 1_200);
        let ann = world.join_to_host("ann");
        let ben = world.join("ben");
        let mut watch = Watch::new(ben, ann);
        run(&mut world, &mut [&mut watch], 40);
        let steps = watch.seconds(10, 40);
        let mean = steps.iter().map(|step| step.target).sum::<f64>() / steps.len() as f64;
        println!("{loss} lost, {delay} ms: {:.0} kbit/s", mean / 1e3);
        assert!(mean > 0.9 * 1.2e6, "{loss} lost, {delay} ms: {mean}");
    }
}

#[test]
fn a_new_host_sends_what_his_own_link_takes() {
    let mut world = world(link(), 1_200);
    let ann = world.join_to_host("ann");
    let ben = world.join_to_host("ben");
    let cal = world.join("cal");
    world.set_uplink(ben, kbps(1_500));
    world.run_for(Duration::from_secs(20));
    // What confirms her mix shares ben's link with his picture, so that is late at times.
    let before = world.video_bitrate(ann, StreamId::MIX_VIDEO);
    assert!(before.bps() > 800_000, "{before}");
    world.hand_over(ann);
    let mut watch = Watch { stream: StreamId::MIX_VIDEO, ..Watch::new(ben, cal) };
    run(&mut world, &mut [&mut watch], 40);
    watch.print();
    let handed =
        |(_, event): &&(Duration, Event)| matches!(event, Event::HostChanged { planned: true, .. });
    assert_eq!(world.events(cal).iter().filter(handed).count(), 1);
    // Two copies of the mix share his link.
    let steps = watch.seconds(15, 40);
    let mean = steps.iter().map(|step| step.target).sum::<f64>() / steps.len() as f64;
    println!("{:.0} kbit/s to each", mean / 1e3);
    assert!((450e3..750e3).contains(&mean), "{mean}");
    assert!(ages(steps).len() >= 25 * 14, "{}", ages(steps).len());
}

#[test]
fn who_lost_his_network_does_not_decide_for_who_has_one() {
    let mut world = world(link(), 1_200);
    let ann = world.join_to_host("ann");
    let ben = world.join("ben");
    let cal = world.join("cal");
    let mut watch = Watch { stream: StreamId::MIX_VIDEO, ..Watch::new(ann, ben) };
    run(&mut world, &mut [&mut watch], 10);
    let (told, him) = (world.events(ann).len(), world.peer(cal));
    world.isolate(cal);
    run(&mut world, &mut [&mut watch], 10);
    watch.print();
    let lost = |(_, event): &&(Duration, Event)| matches!(event, Event::Reconnecting { peer, .. } if *peer == him);
    let lost = world.events(ann)[told..].iter().find(lost).expect("it is noticed").0;
    let gone = |(_, event): &&(Duration, Event)| matches!(event, Event::Disconnected { peer, .. } if *peer == him);
    let gone = world.events(ann).iter().find(gone).expect("he is given up").0;
    println!("no path at {lost:?}, given up at {gone:?}");
    assert!(gone > lost + ms(1_000), "there is a time in which he is known to be cut off");
    // Until it is noticed he is as slow as can be.
    assert!(watch.steps.iter().any(|step| step.target < 1.2e6));
    let [lost, gone] = [lost, gone].map(|at| (at.as_millis() / 100) as usize);
    let steps = &watch.steps[lost + 2..gone];
    assert!(steps.iter().all(|step| step.target == 1.2e6), "{:?}", least(steps));
    assert!(steps.iter().all(|step| step.delay < ms(100)), "{:?}", waits(steps).last());
}

#[test]
fn while_nobody_can_be_reached_the_bitrate_stays_as_it_was() {
    let mut world = world(link(), 1_200);
    let ann = world.join_to_host("ann");
    let ben = world.join("ben");
    let mut watch = Watch { stream: StreamId::MIX_VIDEO, ..Watch::new(ann, ben) };
    run(&mut world, &mut [&mut watch], 10);
    let told = world.events(ann).len();
    world.isolate(ben);
    run(&mut world, &mut [&mut watch], 6);
    watch.print();
    let lost = |(_, event): &&(Duration, Event)| matches!(event, Event::Reconnecting { .. });
    let lost = world.events(ann)[told..].iter().find(lost).expect("it is noticed").0;
    let steps = &watch.steps[(lost.as_millis() / 100) as usize + 1..];
    assert!(steps.iter().all(|step| step.target == steps[0].target), "{:?}", least(steps));
    assert!(steps.iter().all(|step| step.delay == Duration::ZERO));
}

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}
