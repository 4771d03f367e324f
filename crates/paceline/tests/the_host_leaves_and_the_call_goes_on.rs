//! A host who goes, over real connections on loopback.
#![allow(clippy::disallowed_methods, reason = "a program reads the clock")]

#[allow(dead_code, unreachable_pub, reason = "each test file uses a part of it")]
mod common;

use common::watch::{
    Seen, Watched, assert_goes_on, assert_in_order, assert_undisturbed, until_warm,
};
use common::{join, server, until};
use paceline::types::{SenderId, StreamId};
use paceline::{Event, Room};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_leaves_hands_over_and_those_who_stay_hear_no_hole() {
    let server = server().await;
    let mut rooms = Vec::new();
    for name in ["ada", "ben", "cem"] {
        rooms.push(Watched::new(join(&server, name, true).await));
    }
    until_warm(&mut rooms).await;
    let ada = rooms.remove(0);
    let stats = ada.leave().await;
    assert_eq!(stats.host_changes, 2, "{:?}", stats.migration);
    assert_undisturbed(&stats);

    for room in &mut rooms {
        let seen = room
            .until(|seen| {
                let (pictures, sounds) = seen.of_newest();
                seen.changes.len() == 2
                    && seen.sources == 2
                    && pictures > 30
                    && sounds > 50
                    && seen.all_move()
            })
            .await;
        assert!(seen.changes[1].planned, "{:?}", seen.changes);
        assert_goes_on(&seen, false);
    }
    for room in rooms.drain(..).rev() {
        assert_undisturbed(&room.leave().await);
    }
    server.shutdown().await;
}

/// He has named another, and the mix is his up to the switch all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_leaves_when_he_hears_that_another_hosts_cuts_nothing_off() {
    let server = server().await;
    let mut rooms = Vec::new();
    for name in ["ada", "ben", "cem"] {
        rooms.push(Watched::new(join(&server, name, true).await));
    }
    until_warm(&mut rooms).await;
    let mut ada = rooms.remove(0);
    ada.hand_over();
    ada.until(|seen| seen.changes.len() == 2).await;
    let stats = ada.leave().await;
    assert_eq!(stats.host_changes, 2, "{:?}", stats.migration);
    for room in &mut rooms {
        let seen = room
            .until(|seen| {
                let (pictures, sounds) = seen.of_newest();
                seen.changes.len() == 2 && pictures > 30 && sounds > 50 && seen.all_move()
            })
            .await;
        assert!(seen.changes[1].planned, "{:?}", seen.changes);
        assert_goes_on(&seen, false);
    }
    for room in rooms {
        room.leave().await;
    }
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_shows_nothing_says_so_and_nobody_waits_for_his_picture() {
    let server = server().await;
    let mut ada = join(&server, "ada", true).await;
    let quiet = Room::builder(server.url("room")).name("ben").host(false);
    let ben = quiet.join().await.expect("the room is open");
    let ben_is = ben.sender();
    let off = |of: SenderId| {
        let mut missing = vec![StreamId::AUDIO, StreamId::VIDEO];
        move |event: Event| {
            if let Event::TrackState { sender, stream, enabled: false } = event
                && sender == of
            {
                missing.retain(|&other| other != stream);
            }
            missing.is_empty().then_some(())
        }
    };
    until(&mut ada, off(ben_is)).await;
    ada.leave().await;
    ben.leave().await;
    server.shutdown().await;
}

/// Who is dropped does not wait for another, and says that he goes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_dropped_while_he_hosts_is_followed_by_another() {
    let server = server().await;
    let mut rooms = Vec::new();
    for name in ["ada", "ben", "cem"] {
        rooms.push(Watched::new(join(&server, name, true).await));
    }
    until_warm(&mut rooms).await;
    rooms.remove(0).drop_room();
    let goes_on = |hosts: usize, people: usize| {
        move |seen: &Seen| {
            let (pictures, sounds) = seen.of_newest();
            let hosted = seen.changes.iter().filter(|change| change.host.is_some()).count();
            hosted == hosts
                && seen.sources == people
                && pictures > 30
                && sounds > 50
                && seen.all_move()
        }
    };
    let mut hosts = Vec::new();
    for room in &mut rooms {
        let seen = room.until(goes_on(2, 2)).await;
        let change = seen.changes.last().expect("somebody hosts");
        assert!(!change.planned);
        assert_in_order(&seen.pictures);
        hosts.push(change.host);
    }
    assert_eq!(hosts[0], hosts[1]);
    // And the one who then hosts, so that one is left: with the server, he is enough.
    let host = rooms.iter().position(|room| Some(room.peer) == hosts[0]).expect("one of them");
    rooms.remove(host).drop_room();
    let mut last = rooms.pop().expect("one is left");
    let seen = last.until(goes_on(3, 1)).await;
    assert!(seen.changes.last().is_some_and(|change| change.us));
    assert_in_order(&seen.pictures);
    assert_undisturbed(&last.leave().await);
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_not_host_any_more_is_followed_by_another() {
    let server = server().await;
    let mut rooms = Vec::new();
    for name in ["ada", "ben", "cem"] {
        rooms.push(Watched::new(join(&server, name, true).await));
    }
    until_warm(&mut rooms).await;
    let ada = rooms[0].peer;
    rooms[0].stop_hosting();
    for room in &mut rooms {
        let seen = room
            .until(|seen| {
                let (pictures, sounds) = seen.of_newest();
                seen.changes.len() == 2 && pictures > 30 && sounds > 50 && seen.all_move()
            })
            .await;
        assert!(seen.changes[1].planned && seen.changes[1].host != Some(ada));
        assert_goes_on(&seen, room.peer == ada);
    }
    for room in rooms {
        assert_undisturbed(&room.leave().await);
    }
    server.shutdown().await;
}
