//! Both ends call at once, and the polite one takes its own call back for that of the other.
#![allow(clippy::disallowed_methods, reason = "the edge of the network reads the clock")]
#![cfg(feature = "webrtc")]

mod pair;

use paceline_transport::types::{ConnectionOp, Signal};
use paceline_transport::{SendError, WebRtcConfig};
use pair::packet::{STREAMS, parse, rtp, source};
use pair::{A, B, Pair, WATCHDOG, numbered, rtp_config};

/// Two offers that cross; B has taken back its own.
async fn crossed(a: WebRtcConfig, b: WebRtcConfig) -> Pair {
    let mut pair = Pair::of(a, b, None);
    pair.a.apply(ConnectionOp::Call);
    pair.b.apply(ConnectionOp::Call);
    let is_offer = |signal: &Signal| matches!(signal, Signal::Offer { .. });
    let offered = async {
        while !pair.a.signals.iter().any(is_offer) || !pair.b.signals.iter().any(is_offer) {
            pair.turn().await;
        }
    };
    tokio::time::timeout(WATCHDOG, offered).await.expect("both offered");
    // A is impolite, and is told nothing of it.
    pair.b.apply(ConnectionOp::Rollback);
    pair.b.signals.clear();
    pair.bring();
    pair
}

/// Messages both ways, and a restart of each.
async fn assert_works(pair: &mut Pair) {
    pair.until(|a, b| a.open && b.open).await;
    for side in [&mut pair.a, &mut pair.b] {
        side.send(numbered(0, 9_000)).expect("room");
    }
    pair.until(|a, b| a.messages.len() == 1 && b.messages.len() == 1).await;
    for first in [true, false] {
        pair.a.paths.clear();
        pair.b.paths.clear();
        let side = if first { &mut pair.a } else { &mut pair.b };
        side.apply(ConnectionOp::RestartIce);
        pair.until(|a, b| [a, b].iter().all(|side| side.paths.last() == Some(&true))).await;
    }
    assert_eq!((pair.a.closed.clone(), pair.b.closed.clone()), (None, None));
}

/// Sections of media that an offer of this end has.
async fn sections(pair: &mut Pair, of_a: bool) -> usize {
    let side = if of_a { &mut pair.a } else { &mut pair.b };
    side.apply(ConnectionOp::RestartIce);
    let offer = async {
        loop {
            pair.turn().await;
            let side = if of_a { &pair.a } else { &pair.b };
            for signal in &side.signals {
                if let Signal::Offer { sdp } = signal {
                    return sdp.lines().filter(|line| line.starts_with("m=")).count() - 1;
                }
            }
        }
    };
    tokio::time::timeout(WATCHDOG, offer).await.expect("an offer")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_calls_with_rtp_the_one_that_is_left_carries_it_both_ways() {
    let mut pair = crossed(rtp_config(), rtp_config()).await;
    assert_works(&mut pair).await;
    for seq in 1..=20 {
        for (stream, payload_type) in STREAMS {
            let packet = rtp(source(A, stream), payload_type, seq, 7, b"of the one who calls");
            pair.a.send_rtp(packet).expect("room");
            let packet = rtp(source(B, stream), payload_type, seq, 7, b"of the one who is called");
            pair.b.send_rtp(packet).expect("room");
        }
        let all = 4 * usize::from(seq);
        pair.until(|a, b| a.rtp.len() == all && b.rtp.len() == all).await;
    }
    for (side, from) in [(&pair.a, B), (&pair.b, A)] {
        for (stream, _) in STREAMS {
            let of = |packet: &&bytes::Bytes| parse(packet).source == source(from, stream);
            assert_eq!(side.rtp.iter().filter(of).count(), 20);
        }
    }
    assert_eq!((sections(&mut pair, true).await, sections(&mut pair, false).await), (4, 4));
    pair.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_with_rtp_that_gives_way_to_one_without_leaves_no_section_of_media() {
    let mut pair = crossed(WebRtcConfig::default(), rtp_config()).await;
    assert_works(&mut pair).await;
    let packet = rtp(source(B, STREAMS[0].0), STREAMS[0].1, 1, 1, b"a picture");
    assert_eq!(pair.b.send_rtp(packet), Err(SendError::NotOpen));
    assert_eq!((sections(&mut pair, true).await, sections(&mut pair, false).await), (0, 0));
    assert!(pair.a.targets.is_empty() && pair.b.targets.is_empty());
    pair.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_without_rtp_gives_way_to_one_with_it() {
    let mut pair = crossed(rtp_config(), WebRtcConfig::default()).await;
    assert_works(&mut pair).await;
    let packet = rtp(source(A, STREAMS[0].0), STREAMS[0].1, 1, 1, b"a picture");
    assert_eq!(pair.a.send_rtp(packet), Err(SendError::NotOpen));
    pair.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_took_a_call_back_can_call_again() {
    let mut pair = Pair::of(rtp_config(), rtp_config(), None);
    for _ in 0..3 {
        pair.a.apply(ConnectionOp::Call);
        pair.a.apply(ConnectionOp::Rollback);
        // Of nothing.
        pair.a.apply(ConnectionOp::Rollback);
    }
    pair.a.apply(ConnectionOp::Call);
    assert_works(&mut pair).await;
    // Of a call that was answered.
    pair.a.apply(ConnectionOp::Rollback);
    pair.a.send(numbered(1, 100)).expect("room");
    pair.until(|_, b| b.messages.len() == 2).await;
    pair.shutdown().await;
}
