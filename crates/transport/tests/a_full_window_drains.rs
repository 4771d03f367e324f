//! A receiver that does not read, and then does.
#![allow(clippy::disallowed_methods, reason = "the edge of the network reads the clock")]
#![cfg(feature = "webrtc")]

mod pair;

use std::time::Duration;

use paceline_transport::WebRtcConfig;
use paceline_transport::types::ConnectionOp;
use pair::{Pair, WATCHDOG, assert_numbered, numbered};

const LEN: usize = 16_384;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_burst_that_fills_the_receive_window_arrives_when_the_receiver_reads_again() {
    // All queues of the receiver together hold 8 MiB beside the window.
    let mut pair = Pair::new(WebRtcConfig::default().event_queue(4), None).opened().await;
    let mut sent = 0;
    let filled = async {
        loop {
            while pair.a.send(numbered(sent, LEN)).is_ok() {
                sent += 1;
            }
            // Nothing is acknowledged any more: the window is closed.
            let quiet = Duration::from_millis(500);
            match tokio::time::timeout(quiet, pair.a.transport.ready()).await {
                Ok(()) => pair.a.drain(),
                Err(_) => break,
            }
        }
    };
    tokio::time::timeout(WATCHDOG, filled).await.expect("it stopped taking");
    assert!(pair.a.outstanding() >= 1 << 20, "{}", pair.a.outstanding());
    assert!((9 << 20..32 << 20).contains(&(sent as usize * LEN)), "{sent} messages were taken");
    assert!(pair.b.messages.is_empty());
    pair.until(|a, b| b.messages.len() == sent as usize && a.outstanding() == 0).await;
    assert_numbered(&pair.b.messages, sent, LEN);
    pair.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_does_not_read_can_close() {
    let mut pair = Pair::new(WebRtcConfig::default().event_queue(4), None).opened().await;
    for number in 0..60 {
        pair.a.send(numbered(number, LEN)).expect("room");
    }
    pair.b.apply(ConnectionOp::Close);
    pair.until(|a, _| a.closed.is_some()).await;
    tokio::time::timeout(WATCHDOG, pair.shutdown()).await.expect("closed");
}
