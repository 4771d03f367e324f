//! Rooms on a server of the test's own, with a watchdog.

pub mod watch;

use std::time::Duration;

use paceline::signaling::{Server, ServerConfig};
use paceline::{Event, Publish, Room, RoomBuilder};

/// How long any one thing may take before a test is stuck.
pub const WATCHDOG: Duration = Duration::from_secs(20);

pub async fn server() -> Server {
    server_with(ServerConfig::default()).await
}

pub async fn server_with(config: ServerConfig) -> Server {
    Server::bind(([127, 0, 0, 1], 0).into(), config).await.expect("a free port on loopback")
}

pub fn builder(server: &Server, name: &str) -> RoomBuilder {
    Room::builder(server.url("room")).name(name).publish(Publish::test())
}

pub async fn join(server: &Server, name: &str, host: bool) -> Room {
    builder(server, name).host(host).join().await.expect("the room is open")
}

/// Takes events until one is wanted.
pub async fn until<T>(room: &mut Room, mut wanted: impl FnMut(Event) -> Option<T>) -> T {
    let search = async {
        while let Some(event) = room.next().await {
            if let Some(found) = wanted(event) {
                return found;
            }
        }
        panic!("the room closed first");
    };
    tokio::time::timeout(WATCHDOG, search).await.expect("nothing of the kind happened in time")
}

pub async fn until_picture(room: &mut Room) {
    until(room, |event| matches!(event, Event::Picture(_)).then_some(())).await;
}
