//! Restarts, ends, and what is left.
#![allow(clippy::disallowed_methods, reason = "the edge of the network reads the clock")]
#![cfg(feature = "webrtc")]

mod sfu;

use std::time::{Duration, Instant};

use paceline_transport::UplinkLimits;
use paceline_transport::types::{ConnectionOp, PacketKind, Signal};
use sfu::*;

fn ufrag(sdp: &str) -> &str {
    sdp.lines().find_map(|line| line.strip_prefix("a=ice-ufrag:")).expect("credentials")
}

#[tokio::test]
async fn a_restart_brings_new_credentials_and_media_goes_on() {
    let sfu = Sfu::new(Behaviour::default()).await;
    let mut sender = Sender::open(config(), &sfu).await;
    let mut seq = 0;
    for round in 1..=3 {
        sender.paths.clear();
        let begun = Instant::now();
        sender.restart(&sfu).await;
        sender.until("path", |sender| sender.paths.last() == Some(&true)).await;
        println!("restart {round}: {:?}", begun.elapsed());
        assert_ne!(ufrag(&sender.offers[round]), ufrag(&sender.offers[round - 1]));
        // What was underway while this server had no path is lost, and its receivers begin
        // anew with what they get next. All from then on has to arrive.
        let (seen, from, until) = (sfu.seen.clone(), seq + 1, seq + 20);
        let next = || {
            seq += 1;
            Some(packet(CAMERA_TYPE, CAMERA, seq))
        };
        let all = |_: &mut Sender| {
            let camera = seen.lock().expect("whole").camera();
            (from..=until).all(|seq| camera.contains(&seq))
        };
        sender.send_until(Duration::from_millis(1), next, all).await;
    }
    sender.uplink.shutdown().await;
}

#[tokio::test]
async fn media_goes_on_by_the_old_path_while_a_restart_is_not_answered_or_taken_back() {
    let sfu = Sfu::new(Behaviour::default()).await;
    let mut sender = Sender::open(config(), &sfu).await;
    sender.apply(ConnectionOp::RestartIce);
    sender.until("restart", |sender| sender.offers.len() == 2).await;
    let (mut seq, seen) = (0, sfu.seen.clone());
    let mut next = || {
        seq += 1;
        Some(packet(CAMERA_TYPE, CAMERA, seq))
    };
    let many = |count| {
        let seen = seen.clone();
        move |_: &mut Sender| seen.lock().expect("whole").rtp.len() > count
    };
    sender.send_until(Duration::from_millis(1), &mut next, many(20)).await;
    sender.apply(ConnectionOp::Rollback);
    sender.send_until(Duration::from_millis(1), &mut next, many(40)).await;
    // An answer to what was taken back is nothing.
    let answer = sfu.answer(sender.offers[1].clone()).await;
    sender.apply(ConnectionOp::Remote(Signal::Answer { sdp: answer }));
    sender.restart(&sfu).await;
    sender.until("path", |sender| sender.paths.last() == Some(&true)).await;
    sender.send_until(Duration::from_millis(1), &mut next, many(60)).await;
    assert_eq!(sender.closed, None);
    sender.uplink.shutdown().await;
}

#[tokio::test]
async fn a_path_that_is_silent_is_told_and_told_again_when_it_speaks() {
    let sfu = Sfu::new(Behaviour::default()).await;
    let mut sender = Sender::open(config(), &sfu).await;
    sfu.silent(true);
    sender.until("silence", |sender| sender.paths.contains(&false)).await;
    sfu.silent(false);
    sender.until("recovery", |sender| sender.paths.last() == Some(&true)).await;
    assert_eq!(sender.closed, None);
    sender.uplink.shutdown().await;
}

#[tokio::test]
async fn a_server_that_closes_is_told_with_the_reason() {
    let sfu = Sfu::new(Behaviour::default()).await;
    let mut sender = Sender::open(config(), &sfu).await;
    sender.established(&sfu).await;
    sfu.close();
    sender.until("end", |sender| sender.closed.is_some()).await;
    println!("{:?}", sender.closed);
    let late =
        sender.uplink.try_send(Instant::now(), PacketKind::Rtp, packet(CAMERA_TYPE, CAMERA, 1));
    assert_eq!(late, Err(paceline_transport::UplinkError::NotOpen));
}

#[tokio::test]
async fn a_server_that_never_speaks_is_given_up_in_the_time_that_was_set() {
    let sfu = Sfu::new(Behaviour::default()).await;
    sfu.silent(true);
    let mut sender = Sender::new(config().connect_timeout(Duration::from_millis(700)));
    sender.apply(ConnectionOp::Call);
    sender.until("offer", |sender| !sender.offers.is_empty()).await;
    let answer = sfu.answer(sender.offers[0].clone()).await;
    let begun = Instant::now();
    sender.apply(ConnectionOp::Remote(Signal::Answer { sdp: answer }));
    sender.until("end", |sender| sender.closed.is_some()).await;
    assert!(begun.elapsed() >= Duration::from_millis(700));
    assert!(!sender.open);
}

#[tokio::test]
async fn as_long_as_there_is_time_may_be_had_for_it() {
    let sfu = Sfu::new(Behaviour::default()).await;
    let limits = UplinkLimits::default().close_timeout(Duration::MAX);
    let config = config().connect_timeout(Duration::MAX).limits(limits);
    let mut sender = Sender::open(config, &sfu).await;
    sender.until("target", |sender| !sender.targets.is_empty()).await;
    let closed = tokio::time::timeout(WATCHDOG, sender.uplink.shutdown()).await;
    closed.expect("it waits");
}

#[tokio::test]
async fn nonsense_for_an_answer_closes_with_a_reason_and_harms_nobody() {
    for sdp in ["", "v=0", "v=0\r\no=- 1 1 IN IP4 0\r\ns=-\r\nt=0 0\r\nm=video 9 RTP 96\r\n"] {
        let mut sender = Sender::new(config());
        sender.apply(ConnectionOp::Call);
        sender.until("offer", |sender| !sender.offers.is_empty()).await;
        sender.apply(ConnectionOp::Remote(Signal::Answer { sdp: sdp.to_owned() }));
        sender.until("end", |sender| sender.closed.is_some()).await;
    }
}

#[tokio::test]
async fn closing_does_not_wait_for_a_server_that_is_gone() {
    let sfu = Sfu::new(Behaviour::default()).await;
    // What it may take is longer than the watchdog waits.
    let limits = UplinkLimits::default().close_timeout(Duration::from_secs(3_600));
    let config = config().limits(limits);
    let mut sender = Sender::open(config, &sfu).await;
    sfu.vanish().await;
    let closed = tokio::time::timeout(WATCHDOG, sender.uplink.shutdown()).await;
    closed.expect("it waits");
    // What is gone is gone.
    sender.uplink.shutdown().await;
}

#[tokio::test]
async fn of_what_waited_for_a_path_only_what_is_fresh_is_sent() {
    const WAIT: usize = 20;
    let sfu = Sfu::new(Behaviour::default()).await;
    let mut sender = Sender::open(config(), &sfu).await;
    sender.established(&sfu).await;
    sender.apply(ConnectionOp::RestartIce);
    sender.until("restart", |sender| sender.offers.len() == 2).await;
    let answer = sfu.answer(sender.offers[1].clone()).await;
    sfu.silent(true);
    sender.apply(ConnectionOp::Remote(Signal::Answer { sdp: answer }));
    let now = Instant::now();
    let send = |sender: &mut Sender, at, seq| {
        let sent = sender.uplink.try_send(at, PacketKind::Rtp, packet(CAMERA_TYPE, CAMERA, seq));
        sent.expect("taken");
    };
    // Old, and as good as new however long it takes to find a path.
    let old = now.checked_sub(Duration::from_secs(2)).expect("a machine that is up");
    let fresh = now + Duration::from_secs(3_600);
    // Until the answer is acted on they go by the old path.
    let mut seq = 1_000;
    let waiting = async {
        while sender.uplink.stats().waiting < WAIT {
            send(&mut sender, old, seq);
            seq += 1;
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(WATCHDOG, waiting).await.expect("it has a path all along");
    for seq in 1..=5 {
        send(&mut sender, fresh, seq);
    }
    let before = sender.uplink.stats();
    sfu.silent(false);
    let came = || sender.uplink.stats().packets >= before.packets + 5;
    let sent = async {
        while !came() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(WATCHDOG, sent).await.expect("no path");
    let stats = sender.uplink.stats();
    assert_eq!((stats.stale, stats.packets - before.packets), (WAIT as u64, 5), "{stats:?}");
    sender.uplink.shutdown().await;
}
