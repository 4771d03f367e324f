//! Closing, when the other end does not answer any more.
#![allow(clippy::disallowed_methods, reason = "the edge of the network reads the clock")]
#![cfg(feature = "webrtc")]

mod pair;

use std::time::Duration;

use paceline_transport::types::ConnectionOp;
use pair::link::Link;
use pair::{Pair, WATCHDOG, numbered};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closing_is_over_before_ice_finds_out_that_the_peer_is_silent() {
    let Pair { mut a, mut b, link } = Pair::over(Link::new(Duration::ZERO).await).await;
    let link = link.expect("a link");
    link.set_cut(true);
    for number in 0..20 {
        a.send(numbered(number, 4_096)).expect("room");
    }
    let found_out = async {
        while b.paths.is_empty() {
            b.transport.ready().await;
            b.drain();
        }
    };
    let race = async {
        tokio::select! {
            () = a.transport.shutdown() => {}
            () = found_out => panic!("closing waited for the peer"),
        }
    };
    tokio::time::timeout(WATCHDOG, race).await.expect("one of both");
    b.transport.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_never_answered_is_not_waited_for_either() {
    let mut pair = Pair::new(Default::default(), None);
    pair.a.apply(ConnectionOp::Call);
    let offered = async {
        while pair.a.signals.is_empty() {
            pair.turn().await;
        }
    };
    tokio::time::timeout(WATCHDOG, offered).await.expect("an offer");
    tokio::time::timeout(WATCHDOG, pair.shutdown()).await.expect("closed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_message_before_a_close_arrives_over_a_slow_path() {
    let mut pair = Pair::over(Link::new(Duration::from_millis(40)).await).await;
    pair.a.send(numbered(0, 40_000)).expect("open");
    pair.a.send("goodbye").expect("open");
    pair.a.apply(ConnectionOp::Close);
    pair.until(|_, b| b.closed.is_some()).await;
    let lens: Vec<usize> = pair.b.messages.iter().map(|message| message.len()).collect();
    assert_eq!(lens, [40_000, 7]);
    pair.shutdown().await;
}
