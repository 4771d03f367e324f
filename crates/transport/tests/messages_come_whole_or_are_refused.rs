//! Every size of message is either delivered as it is or refused at once.
#![allow(clippy::disallowed_methods, reason = "the edge of the network reads the clock")]
#![cfg(feature = "webrtc")]

mod pair;

use paceline_transport::{SendError, WebRtcConfig};
use pair::{Pair, numbered};

/// Sends these, expects them all at the other end, and refusals of those too large.
async fn deliver(pair: &mut Pair, sizes: &[usize], too_large: &[usize]) {
    let message = |len: usize| match len {
        0..4 => vec![9; len].into(),
        _ => numbered(7, len),
    };
    pair.b.messages.clear();
    for &size in sizes {
        pair.until(|a, _| a.outstanding() < 512 << 10).await;
        pair.a.send(message(size)).expect("it is not too large");
        for &size in too_large {
            assert_eq!(pair.a.send(vec![0; size]), Err(SendError::TooLarge), "{size}");
        }
    }
    pair.until(|a, b| b.messages.len() == sizes.len() && a.outstanding() == 0).await;
    for (got, &size) in pair.b.messages.iter().zip(sizes) {
        assert_eq!(got, &message(size));
    }
}

const K: usize = 1 << 10;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn up_to_the_limit_of_both_ends_whole_and_one_byte_more_refused() {
    let mut pair = Pair::open().await;
    let sizes = [0, 1, 0, 1_200, 16 * K, 64 * K - 1, 64 * K, 0];
    deliver(&mut pair, &sizes, &[64 * K + 1, 256 * K, 256 * K + 1]).await;
    pair.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_larger_limit_is_a_limit_too() {
    let config = WebRtcConfig::default().max_message(256 * K);
    let mut pair = Pair::new(config, None).opened().await;
    let sizes = [0, 1, 16 * K, 64 * K, 64 * K + 1, 256 * K, 256 * K, 1];
    deliver(&mut pair, &sizes, &[256 * K + 1, 4 << 20]).await;
    pair.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_lower_limit_of_both_ends_holds() {
    let config = WebRtcConfig::default();
    let [mut pair, other] =
        [16 * K, 256 * K].map(|limit| Pair::new(config.clone().max_message(limit), None));
    // The caller's limit is the higher one.
    pair.a = other.a;
    let mut pair = pair.opened().await;
    deliver(&mut pair, &[16 * K, 1], &[16 * K + 1, 64 * K]).await;
    std::mem::swap(&mut pair.a, &mut pair.b);
    deliver(&mut pair, &[16 * K, 1], &[16 * K + 1, 256 * K]).await;
    pair.shutdown().await;
}
