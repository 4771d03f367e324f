//! RTP over a link that loses one in twenty.
#![allow(clippy::disallowed_methods, reason = "the edge of the network reads the clock")]
#![cfg(feature = "webrtc")]

mod pair;

use std::collections::BTreeSet;
use std::time::Duration;

use paceline_transport::rtp::RtpConfig;
use pair::link::Link;
use pair::packet::{STREAMS, parse, rtp, sender_report, source};
use pair::{A, B, Pair, WATCHDOG, rtp_config};

const COUNT: u16 = 1_500;

/// All of it comes; of so many losses at most so many are sent again in vain. (None comes
/// twice: SRTP lets no number in twice.)
async fn repair(delay: Duration, most: impl Fn(u64) -> u64) {
    // Asked for for a second: of what is asked for three times, one in thousands never comes.
    let config = rtp_config().rtp(RtpConfig::default().max_nacks(33));
    let mut pair = Pair::new(config, Some(Link::new(delay).await)).opened().await;
    let link = pair.link.as_ref().expect("a link");
    link.lose_media(20);
    let (stream, payload_type) = STREAMS[0];
    let ours = source(A, stream);
    let mut tick = tokio::time::interval(Duration::from_millis(2));
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut seq = 0;
    let work = async {
        // The first is on its way whole, or nobody would know of it.
        while pair.b.rtp.len() < usize::from(COUNT) {
            tokio::select! {
                _ = tick.tick(), if seq < COUNT => {
                    if seq % 250 == 0 {
                        let report = sender_report(ours, u64::from(seq + 1) << 20);
                        pair.a.send_rtcp(report).expect("room");
                    }
                    // What is lost last is not missed by anybody: the link is whole by then.
                    if seq + 50 == COUNT {
                        pair.link.as_ref().expect("a link").lose_media(0);
                    }
                    let packet = rtp(ours, payload_type, seq, u32::from(seq), &[7; 500]);
                    pair.a.send_rtp(packet).expect("room");
                    seq += 1;
                }
                () = pair.turn() => pair.bring(),
            }
        }
    };
    tokio::time::timeout(WATCHDOG, work).await.expect("something never came");
    let came: BTreeSet<u16> = pair.b.rtp.iter().map(|packet| parse(packet).seq).collect();
    assert_eq!(came.len(), usize::from(COUNT));
    let stats = pair.a.transport.rtp_stats(B).expect("it carries RTP");
    let [lost, _] = pair.link.as_ref().expect("a link").lost();
    assert!(lost > u32::from(COUNT) / 40, "only {lost} were lost");
    let (lost, again) = (u64::from(lost), stats.retransmitted);
    // Each loss is made good by one that comes, itself lost or not.
    assert!(again >= lost, "{again} sent again for {lost} lost");
    let (duplicates, asked) = (again - lost, again + stats.withheld);
    println!(
        "RTT {:?}: {lost} lost, {again} sent again, {duplicates} duplicates ({:.2} per lost packet), \
         asked for {:.2} times per lost packet; round trip by reports {:?}",
        delay * 2,
        duplicates as f64 / lost as f64,
        asked as f64 / lost as f64,
        stats.round_trip,
    );
    assert!(duplicates <= most(lost), "{duplicates} duplicates for {lost} lost");
    assert!(asked <= 10 * lost, "asked {asked} times for {lost} lost");
    assert!(!pair.a.targets.is_empty());
    pair.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_a_short_way_what_is_lost_comes_and_is_seldom_sent_in_vain() {
    // A round trip is shorter here than what a busy machine is late by.
    repair(Duration::ZERO, |lost| 2 * lost).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_a_long_way_what_is_lost_is_sent_again_once_nearly_always() {
    // One in twenty, as a rule; more where a task is late by half a round trip.
    repair(Duration::from_millis(40), |lost| lost / 2).await;
}
