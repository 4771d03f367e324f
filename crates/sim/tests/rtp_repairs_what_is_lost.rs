//! Calls over RTP whose links lose packets: what is asked for again, how often, and what is
//! seen.

use std::time::Duration;

use paceline_sim::types::Carrier;
use paceline_sim::{LinkConfig, NodeId, World, WorldConfig};

fn call(link: LinkConfig, seed: u64) -> (World, NodeId, NodeId) {
    let config = WorldConfig::default().seed(seed).link(link).encodes(true).carrier(Carrier::Rtp);
    let mut world = World::new(config);
    let (ann, ben) = (world.join_to_host("ann"), world.join("ben"));
    world.run_for(Duration::from_secs(30));
    (world, ann, ben)
}

#[test]
fn of_one_packet_in_twenty_nearly_all_come_in_time_and_few_come_twice() {
    for seed in 1..=3 {
        let link = LinkConfig::lan().delay(ms(20)).jitter(ms(2)).loss(0.05);
        let (world, ann, ben) = call(link, seed);
        let stats = world.rtp_stats(ben, ann).expect("it carries RTP");
        let report = world.report();
        let seen = &report.node(ann).perceived[&ben].pictures;
        let lost = stats.sent as f64 * 0.05;
        let again = stats.retransmitted as f64 / lost;
        println!(
            "{} sent, {} again: {again:.2} for each that was lost; {} pictures, {} missing",
            stats.sent, stats.retransmitted, seen.frames, seen.missing
        );
        // One in twenty of these is lost, too, and is sent a third time.
        assert!((0.8..1.3).contains(&again), "{again}");
        assert!(seen.frames > 400, "{}", seen.frames);
        assert!(seen.missing * 20 < seen.frames, "{}", seen.missing);
        let bitrate = world.video_bitrate(ben, paceline_sim::types::StreamId::VIDEO);
        assert!(bitrate.bps() > 800_000, "loss alone does not lower it: {bitrate}");
    }
}

/// A path of 300 ms there and back: each request could be made ten times before the first
/// is answered.
#[test]
fn a_long_way_does_not_multiply_what_is_sent_again() {
    let link = LinkConfig::lan().delay(ms(150)).jitter(ms(10)).loss(0.03);
    let (world, ann, ben) = call(link, 5);
    let stats = world.rtp_stats(ben, ann).expect("it carries RTP");
    let again = stats.retransmitted as f64 / (stats.sent as f64 * 0.03);
    println!("{again:.2} for each that was lost, {} were withheld", stats.withheld);
    assert!(again < 2.0, "{again}");
}

#[test]
fn where_nothing_is_lost_nothing_is_sent_again_and_all_is_shown() {
    let (world, ann, ben) = call(LinkConfig::lan(), 1);
    let stats = world.rtp_stats(ben, ann).expect("it carries RTP");
    assert_eq!((stats.retransmitted, stats.dropped, stats.foreign), (0, 0, 0));
    assert!(stats.sent > 3_000 && stats.received > 3_000, "{stats:?}");
    let report = world.report();
    let (host, guest) = (report.node(ann), report.node(ben));
    assert!(host.perceived[&ben].pictures.frames > 420, "{report}");
    assert!(guest.perceived[&ann].pictures.frames > 420, "{report}");
    assert_eq!((host.errors, guest.errors), (0, 0), "{report}");
    assert!(world.broken_pictures(ann) + world.broken_pictures(ben) < 3);
}

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}
