//! A path is looked for anew while data flows both ways.
#![allow(clippy::disallowed_methods, reason = "the edge of the network reads the clock")]
#![cfg(feature = "webrtc")]

mod pair;

use std::time::{Duration, Instant};

use paceline_transport::types::{ConnectionOp, Signal};
use pair::link::Link;
use pair::{Pair, Side, WATCHDOG, assert_numbered, numbered};

const LEN: usize = 1_200;

/// Data both ways, a message each 2 ms, while this is done at a message of A's.
/// Returns the longest time without a message from then on, of either end.
async fn stream(pair: &mut Pair, count: u32, at: u32, act: impl Fn(&mut Pair)) -> Duration {
    let mut tick = tokio::time::interval(Duration::from_millis(2));
    let (mut sent, mut acted) = (0, None);
    let mut heard = [(0, Instant::now()); 2];
    let mut longest = Duration::ZERO;
    let work = async {
        while pair.a.messages.len() < count as usize || pair.b.messages.len() < count as usize {
            tokio::select! {
                _ = tick.tick(), if sent < count => {
                    pair.a.send(numbered(sent, LEN)).expect("room");
                    pair.b.send(numbered(sent, LEN)).expect("room");
                    sent += 1;
                    if sent == at {
                        act(pair);
                        acted = Some(Instant::now());
                    }
                }
                () = pair.turn() => pair.bring(),
            }
            for (side, (count, last)) in [&pair.a, &pair.b].into_iter().zip(&mut heard) {
                if side.messages.len() > *count {
                    if acted.is_some() {
                        longest = longest.max(last.elapsed());
                    }
                    (*count, *last) = (side.messages.len(), Instant::now());
                }
            }
        }
    };
    tokio::time::timeout(WATCHDOG, work).await.expect("data stopped");
    assert_numbered(&pair.a.messages, count, LEN);
    assert_numbered(&pair.b.messages, count, LEN);
    longest
}

fn restarted(side: &Side) -> bool {
    side.paths.last() == Some(&true)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn data_goes_on_over_a_restart_with_nothing_lost_doubled_or_reordered() {
    let mut pair = Pair::open().await;
    let gap = stream(&mut pair, 500, 100, |pair| pair.a.apply(ConnectionOp::RestartIce)).await;
    pair.until(|a, b| restarted(a) && restarted(b)).await;
    // Each was told once that there is a path, and never that there was none.
    assert_eq!((&pair.a.paths[..], &pair.b.paths[..]), (&[true][..], &[true][..]));
    assert_eq!((pair.a.closed.clone(), pair.b.closed.clone()), (None, None));
    println!("loopback: the longest gap was {gap:?}, of which 2 ms are the sender's");
    // And back, by the one who answered.
    pair.a.messages.clear();
    pair.b.messages.clear();
    let gap = stream(&mut pair, 300, 50, |pair| pair.b.apply(ConnectionOp::RestartIce)).await;
    println!("and by the callee: {gap:?}");
    pair.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn data_goes_on_over_a_link_with_a_round_trip_of_40_ms() {
    let mut pair = Pair::over(Link::new(Duration::from_millis(20)).await).await;
    let gap = stream(&mut pair, 500, 100, |pair| pair.a.apply(ConnectionOp::RestartIce)).await;
    pair.until(|a, b| restarted(a) && restarted(b)).await;
    println!("RTT 40 ms: the longest gap was {gap:?}");
    pair.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_restarts_at_once_the_one_that_is_rolled_back_gives_way() {
    let mut pair = Pair::open().await;
    pair.a.apply(ConnectionOp::RestartIce);
    pair.b.apply(ConnectionOp::RestartIce);
    let crossed = async {
        while pair.a.signals.is_empty() || pair.b.signals.is_empty() {
            pair.turn().await;
        }
    };
    tokio::time::timeout(WATCHDOG, crossed).await.expect("both offered");
    // A is impolite and does not read B's offer; B takes its own back.
    let [ignored] = &pair.b.signals[..] else { panic!("{:?}", pair.b.signals) };
    assert!(matches!(ignored, Signal::Offer { .. }));
    pair.b.signals.clear();
    pair.b.apply(ConnectionOp::Rollback);
    pair.bring();
    pair.until(|a, b| restarted(a) && restarted(b)).await;
    stream(&mut pair, 50, 1, |_| {}).await;
    // The one that gave way can still restart, and the other too.
    for first in [false, true] {
        pair.a.paths.clear();
        pair.b.paths.clear();
        let side = if first { &mut pair.a } else { &mut pair.b };
        side.apply(ConnectionOp::RestartIce);
        pair.until(|a, b| restarted(a) && restarted(b)).await;
    }
    pair.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_offer_that_crosses_ours_is_dropped_if_ours_was_not_rolled_back() {
    let mut pair = Pair::open().await;
    pair.a.apply(ConnectionOp::RestartIce);
    pair.b.apply(ConnectionOp::RestartIce);
    // Both offers are brought to ends that hold on to theirs: neither is answered, and
    // nothing is broken.
    stream(&mut pair, 100, 10, |_| {}).await;
    assert_eq!((&pair.a.paths[..], &pair.b.paths[..]), (&[][..], &[][..]));
    pair.a.apply(ConnectionOp::Rollback);
    pair.b.apply(ConnectionOp::Rollback);
    pair.b.apply(ConnectionOp::RestartIce);
    pair.until(|a, b| restarted(a) && restarted(b)).await;
    pair.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_has_new_credentials_and_candidates_say_whose_they_are() {
    let ufrag = |signal: &Signal| match signal {
        Signal::Offer { sdp } | Signal::Answer { sdp } => {
            let line = sdp.lines().find_map(|line| line.strip_prefix("a=ice-ufrag:"));
            Some(line.expect("it has one").to_owned())
        }
        Signal::Candidate { ufrag, .. } => {
            assert!(!ufrag.is_empty());
            None
        }
    };
    let mut pair = Pair::new(Default::default(), None);
    pair.a.apply(ConnectionOp::Call);
    let (mut said, mut candidates) = ([Vec::new(), Vec::new()], 0);
    let work = async {
        let mut restarting = false;
        while !(restarted(&pair.a) && restarted(&pair.b)) {
            pair.turn().await;
            for (side, said) in [&pair.a, &pair.b].into_iter().zip(&mut said) {
                for signal in &side.signals {
                    said.extend(ufrag(signal));
                    if let Signal::Candidate { ufrag, .. } = signal {
                        candidates += 1;
                        assert_eq!(Some(ufrag), said.last(), "of the description in force");
                    }
                }
            }
            pair.bring();
            if pair.a.open && pair.b.open && !restarting {
                restarting = true;
                pair.a.apply(ConnectionOp::RestartIce);
            }
        }
    };
    tokio::time::timeout(WATCHDOG, work).await.expect("restarted");
    for [before, after] in said.map(|said| <[String; 2]>::try_from(said).expect("two each")) {
        assert_ne!(before, after);
    }
    assert!(candidates > 0);
    pair.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_path_that_is_lost_is_told_and_so_is_its_return() {
    let mut pair = Pair::over(Link::new(Duration::ZERO).await).await;
    let link = pair.link.as_ref().expect("a link");
    link.set_cut(true);
    pair.until(|a, b| a.paths == [false] && b.paths == [false]).await;
    pair.link.as_ref().expect("a link").set_cut(false);
    // No restart is needed where the path itself comes back.
    pair.until(|a, b| a.paths == [false, true] && b.paths == [false, true]).await;
    assert_eq!((pair.a.closed.clone(), pair.b.closed.clone()), (None, None));
    stream(&mut pair, 20, 1, |_| {}).await;
    pair.shutdown().await;
}
