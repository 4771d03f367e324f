//! A host who is gone without a word, over real connections on loopback.
#![allow(clippy::disallowed_methods, reason = "a program reads the clock")]

#[allow(dead_code, unreachable_pub, reason = "each test file uses a part of it")]
mod common;

use common::watch::{Seen, Watched, assert_in_order, assert_undisturbed, until_warm};
use common::{builder, join, server};
use paceline::Room;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;

/// A participant who can be killed: all his tasks, with the sockets that they have, are on a
/// runtime of his own, which ends in the middle of whatever they do. Nobody is told anything,
/// but for what a system does for a process that is no more: it closes its sockets.
struct Mortal {
    runtime: Runtime,
    _room: Room,
}

impl Mortal {
    async fn join(builder: paceline::RoomBuilder) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a thread");
        let (told, joined) = oneshot::channel();
        runtime.spawn(async move {
            // Nobody waits any more if the test has ended.
            let _ = told.send(builder.join().await);
        });
        let joined = tokio::time::timeout(common::WATCHDOG, joined).await;
        let room = joined.expect("in time").expect("no panic").expect("the room is open");
        Self { runtime, _room: room }
    }

    fn kill(self) {
        self.runtime.shutdown_background();
    }
}

/// Another host than the first one has been heard and seen for a while.
fn has_followed(people: usize) -> impl FnMut(&Seen) -> bool {
    move |seen| {
        let (pictures, sounds) = seen.of_newest();
        let hosted = seen.changes.iter().filter(|change| change.host.is_some()).count();
        hosted == 2 && seen.sources == people && pictures > 30 && sounds > 50 && seen.all_move()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn those_who_are_left_elect_one_and_see_each_other() {
    let server = server().await;
    let ada = Mortal::join(builder(&server, "ada").host(true)).await;
    let mut rooms = Vec::new();
    for name in ["ben", "cem"] {
        rooms.push(Watched::new(join(&server, name, true).await));
    }
    for room in &mut rooms {
        room.until(|seen| seen.sources == 3 && seen.pictures.len() > 60).await;
    }
    ada.kill();
    let mut elected = Vec::new();
    for room in &mut rooms {
        let seen = room.until(has_followed(2)).await;
        let change = *seen.changes.last().expect("somebody hosts");
        assert!(!change.planned && change.promote.is_some(), "{change:?}");
        elected.push((change.host, change.epoch));
        assert_in_order(&seen.pictures);
        for pair in seen.sounds.windows(2) {
            assert!(pair[0].epoch <= pair[1].epoch && pair[0].ticks < pair[1].ticks, "{pair:?}");
        }
    }
    assert_eq!(elected[0], elected[1]);
    let live = rooms.iter().filter(|room| Some(room.peer) == elected[0].0).count();
    assert_eq!(live, 1, "one who is there");
    for room in rooms {
        assert_undisturbed(&room.leave().await);
    }
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_the_one_who_is_left_hosts_and_another_can_join_him() {
    let server = server().await;
    let ada = Mortal::join(builder(&server, "ada").host(true)).await;
    let mut rooms = vec![Watched::new(join(&server, "ben", true).await)];
    rooms[0].until(|seen| seen.sources == 2 && seen.pictures.len() > 60).await;
    ada.kill();
    let seen = rooms[0].until(has_followed(1)).await;
    assert!(seen.changes.last().is_some_and(|change| change.us));
    rooms.push(Watched::new(join(&server, "cem", true).await));
    until_warm(&mut rooms).await;
    for room in rooms.drain(..).rev() {
        assert_undisturbed(&room.leave().await);
    }
    server.shutdown().await;
}
