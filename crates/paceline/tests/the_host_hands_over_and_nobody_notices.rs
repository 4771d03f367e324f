//! A handover, over real connections on loopback: the mix goes on where it was.
#![allow(clippy::disallowed_methods, reason = "a program reads the clock")]

#[allow(dead_code, unreachable_pub, reason = "each test file uses a part of it")]
mod common;

use common::watch::{Seen, Watched, assert_goes_on, assert_undisturbed, until_warm};
use common::{join, server};
use paceline::types::{SenderId, StreamKey};

/// Enough of the new host's mix to see that it goes on.
fn has_followed(seen: &Seen) -> bool {
    let (pictures, sounds) = seen.of_newest();
    let is_planned = seen.changes.last().is_some_and(|change| change.planned);
    is_planned && pictures > 45 && sounds > 75 && seen.all_move()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_mix_goes_on_without_a_hole_and_never_goes_back() {
    let server = server().await;
    let mut rooms = Vec::new();
    for name in ["ada", "ben", "cem"] {
        rooms.push(Watched::new(join(&server, name, true).await));
    }
    until_warm(&mut rooms).await;
    let ada = rooms[0].peer;
    assert!(rooms[0].seen().changes.last().is_some_and(|change| change.us));
    rooms[0].hand_over();

    let mut changes = Vec::new();
    for room in &mut rooms {
        let seen = room.until(has_followed).await;
        assert_eq!(seen.aborted, [""; 0]);
        // Who makes the mix himself is ahead of the others by the network and the buffers:
        // when that ends, he hears so much of it twice.
        assert_goes_on(&seen, room.peer == ada);
        changes.push(*seen.changes.last().expect("it was told"));
    }
    let host = changes[0].host.expect("somebody hosts");
    assert_ne!(host, ada);
    for (change, room) in changes.iter().zip(&rooms) {
        assert_eq!((change.host, change.epoch), (Some(host), changes[0].epoch));
        assert_eq!(change.us, room.peer == host);
        // Nobody was doubted.
        assert_eq!((change.detect, change.promote), (None, None));
    }
    // For who was a member all the time it is one stream, of which nothing is missing.
    let member = rooms.iter().position(|room| room.peer != ada && room.peer != host);
    let stats = rooms.remove(member.expect("the third")).leave().await;
    let mix = |(key, _): &&(StreamKey, _)| key.sender == SenderId::new(0);
    let mixes: Vec<_> = stats.streams.iter().filter(mix).collect();
    assert_eq!(mixes.len(), 2);
    for (key, stream) in mixes {
        let jitter = &stream.jitter;
        assert_eq!((jitter.lost, jitter.resyncs, stream.restarts), (0, 0, 0), "{key:?}");
    }
    assert_eq!(stats.host_changes, 2);
    assert_undisturbed(&stats);
    for room in rooms {
        assert_undisturbed(&room.leave().await);
    }
    server.shutdown().await;
}

/// There and back: what was host stands by, and is host again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hand_the_call_to_each_other_again_and_again() {
    let server = server().await;
    let mut rooms = Vec::new();
    for name in ["ada", "ben"] {
        rooms.push(Watched::new(join(&server, name, true).await));
    }
    until_warm(&mut rooms).await;
    let peers = [rooms[0].peer, rooms[1].peer];
    for round in 0..3 {
        let (from, to) = (round % 2, (round + 1) % 2);
        rooms[from].hand_over();
        for room in &mut rooms {
            let seen = room
                .until(|seen| {
                    let newest = seen.changes.last().and_then(|change| change.host);
                    newest == Some(peers[to]) && has_followed(seen)
                })
                .await;
            assert_eq!(seen.aborted, [""; 0], "round {round}");
            assert_goes_on(&seen, true);
        }
    }
    for room in rooms {
        assert_undisturbed(&room.leave().await);
    }
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_nobody_to_hand_over_to_goes_on_hosting() {
    let server = server().await;
    let mut ada = Watched::new(join(&server, "ada", true).await);
    let mut ben = Watched::new(join(&server, "ben", false).await);
    for room in [&mut ada, &mut ben] {
        room.until(|seen| seen.sources == 2).await;
    }
    ada.hand_over();
    ben.hand_over();
    let aborted = |seen: &Seen| !seen.aborted.is_empty();
    assert_eq!(ada.until(aborted).await.aborted, ["nobody is ready to follow"]);
    assert_eq!(ben.until(aborted).await.aborted, ["somebody else hosts, or nobody"]);
    let pictures = ben.seen().pictures.len();
    ben.until(|seen| seen.pictures.len() > pictures + 30).await;
    assert_eq!(ben.seen().changes.len(), 1);
    ben.leave().await;
    ada.leave().await;
    server.shutdown().await;
}
