//! Bytes are outstanding until the other end has them, and no longer.
#![allow(clippy::disallowed_methods, reason = "the edge of the network reads the clock")]
#![cfg(feature = "webrtc")]

mod pair;

use std::time::Duration;

use paceline_transport::SendError;
use paceline_transport::WebRtcConfig;
use pair::link::Link;
use pair::{Pair, assert_numbered, numbered};

const LEN: usize = 4_096;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_byte_is_acknowledged_once() {
    let mut pair = Pair::open().await;
    for number in 0..400 {
        // More than one message at a time is out, fewer than fill it.
        pair.until(|a, _| a.outstanding() < 64 << 10).await;
        pair.a.send(numbered(number, LEN)).expect("room");
    }
    pair.until(|a, _| a.outstanding() == 0).await;
    // What is acknowledged is with the other end, which has yet to read it.
    pair.until(|a, b| a.acked == 400 * LEN && b.messages.len() == 400).await;
    assert_numbered(&pair.b.messages, 400, LEN);
    assert_eq!((pair.b.acked, pair.b.outstanding()), (0, 0));
    pair.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_acknowledged_by_a_peer_that_is_cut_off_until_it_is_back() {
    let mut pair = Pair::over(Link::new(Duration::ZERO).await).await;
    pair.a.send(numbered(0, LEN)).expect("open");
    pair.until(|a, _| a.acked == LEN).await;
    pair.link.as_ref().expect("a link").set_cut(true);
    for number in 1..10 {
        pair.a.send(numbered(number, LEN)).expect("room");
    }
    // ICE has found out, and the caller has had all the time to be told wrongly.
    pair.until(|a, _| a.paths == [false]).await;
    assert_eq!((pair.a.acked, pair.a.outstanding()), (LEN, 9 * LEN));
    assert_eq!(pair.b.messages.len(), 1);
    pair.link.as_ref().expect("a link").set_cut(false);
    pair.until(|a, b| a.acked == 10 * LEN && b.messages.len() == 10).await;
    assert_eq!(pair.a.outstanding(), 0);
    assert_numbered(&pair.b.messages, 10, LEN);
    pair.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_limit_is_passed_by_one_message_at_most() {
    let config = WebRtcConfig::default().max_outstanding(10_000);
    let mut pair = Pair::new(config, Some(Link::new(Duration::ZERO).await)).opened().await;
    pair.link.as_ref().expect("a link").set_cut(true);
    for expected in [LEN, 2 * LEN, 3 * LEN] {
        pair.a.send(numbered(0, LEN)).expect("below the limit");
        assert_eq!(pair.a.outstanding(), expected);
    }
    assert_eq!(pair.a.send(numbered(0, 4)), Err(SendError::Full));
    assert_eq!(pair.a.outstanding(), 3 * LEN);
    pair.shutdown().await;
}
