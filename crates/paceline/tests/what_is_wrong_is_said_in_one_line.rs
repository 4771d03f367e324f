//! Bad input: each failure is one line that says what to do.

#[allow(dead_code, unreachable_pub, reason = "each test file uses a part of it")]
mod common;

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use common::{builder, join, server, server_with};
use paceline::signaling::{RoomsConfig, ServerConfig};
use paceline::types::PictureFormat;
use paceline::{AudioInput, Config, Publish, Room, Topology, VideoInput};

/// A file of the test's own, gone when the test is.
struct File(PathBuf);

impl File {
    fn new(name: &str, bytes: &[u8]) -> Self {
        let path = std::env::temp_dir().join(format!("paceline-{}-{name}", std::process::id()));
        fs::write(&path, bytes).expect("the temporary directory can be written");
        Self(path)
    }
}

impl Drop for File {
    fn drop(&mut self) {
        // What cannot be removed is left to the system.
        let _ = fs::remove_file(&self.0);
    }
}

async fn failure(builder: paceline::RoomBuilder) -> String {
    let error = builder.join().await.expect_err("it cannot be joined");
    let text = error.to_string();
    assert_eq!(text.lines().count(), 1, "{text}");
    text
}

#[tokio::test]
async fn a_server_that_does_not_answer() {
    let server = server().await;
    let url = server.url("room");
    server.shutdown().await;
    let text = failure(Room::builder(&url)).await;
    assert!(text.contains(&url) && text.contains("no signalling server"), "{text}");
}

#[tokio::test]
async fn something_that_listens_and_says_nothing() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("ws://{}/room", listener.local_addr().expect("bound"));
    let config = Config::default().join_timeout(Duration::from_millis(300));
    let text = failure(Room::builder(&url).config(config)).await;
    assert!(text.contains(&url), "{text}");
}

#[tokio::test]
async fn a_url_that_is_none() {
    for url in ["room", "http://127.0.0.1/room", "ws://127.0.0.1:1", "wss://127.0.0.1:1/room"] {
        let text = failure(Room::builder(url)).await;
        assert!(text.contains(url) && text.contains("ws://HOST:PORT/ROOM"), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_room() {
    let rooms = RoomsConfig::default().max_members(1);
    let server = server_with(ServerConfig::default().rooms(rooms)).await;
    let first = join(&server, "ada", true).await;
    let text = failure(builder(&server, "ben")).await;
    assert!(text.contains("full"), "{text}");
    first.leave().await;
}

#[tokio::test]
async fn a_clip_that_cannot_be_read() {
    let server = server().await;
    let video = |path: &PathBuf| {
        builder(&server, "ada").publish(Publish::default().video(VideoInput::File(path.clone())))
    };
    let audio = |path: &PathBuf| {
        builder(&server, "ada").publish(Publish::default().audio(AudioInput::File(path.clone())))
    };
    let missing = PathBuf::from("no-such-clip.h264");
    assert!(failure(video(&missing)).await.contains("no-such-clip.h264"));
    for (name, bytes) in [("empty.h264", &b""[..]), ("noise.h264", &[7; 4_000])] {
        let file = File::new(name, bytes);
        let text = failure(video(&file.0)).await;
        assert!(text.contains(name), "{text}");
    }
    for (name, bytes) in [
        ("empty.y4m", &b""[..]),
        ("odd.y4m", b"YUV4MPEG2 W321 H181 F25:1 C420jpeg\nFRAME\n"),
        ("huge.y4m", b"YUV4MPEG2 W30000 H20000 F25:1 C420jpeg\nFRAME\n"),
    ] {
        let file = File::new(name, bytes);
        let text = failure(video(&file.0)).await;
        assert!(text.contains(name), "{text}");
    }
    for (name, bytes) in [("empty.wav", &b""[..]), ("noise.wav", &[7; 400])] {
        let file = File::new(name, bytes);
        let text = failure(audio(&file.0)).await;
        assert!(text.contains(name), "{text}");
    }
    let text = failure(video(&PathBuf::from("clip.mp4"))).await;
    assert!(text.contains("clip.mp4") && text.contains(".h264"), "{text}");
    server.shutdown().await;
}

#[tokio::test]
async fn a_bound_out_of_its_bounds() {
    let text = failure(
        Room::builder("ws://127.0.0.1:1/room")
            .config(Config::default().jitter(Duration::from_millis(900))),
    )
    .await;
    assert_eq!(text, "jitter is 900 ms: it must be 10 to 200 ms");
    let text =
        failure(Room::builder("ws://127.0.0.1:1/room").config(Config::default().mix(641, 360, 30)))
            .await;
    assert!(text.contains("width is 641"), "{text}");
    let text = failure(
        Room::builder("ws://127.0.0.1:1/room")
            .config(Config::default().bind([203, 0, 113, 7].into())),
    )
    .await;
    assert!(text.contains("stun"), "{text}");
    let cells = Config::default().picture(PictureFormat::Cells).mix(320, 180, 15);
    let text = failure(Room::builder("ws://127.0.0.1:1/room").config(cells)).await;
    assert_eq!(text, "mix width for cells is 320: it must be 160 to 160");
}

#[tokio::test]
async fn a_shape_that_the_room_cannot_have() {
    let room = || Room::builder("ws://127.0.0.1:1/room");
    let mesh = |peers| Config::default().topology(Topology::Mesh).max_peers(peers);
    let text = failure(room().config(mesh(10))).await;
    assert_eq!(
        text,
        "max_peers is 10: in a mesh each sends to all, and it must be 1 to 9; with Topology::Star \
         one hosts for up to 31"
    );
    assert_eq!(failure(room().config(mesh(0))).await, "max_peers is 0: it must be 1 to 9");
    assert_eq!(mesh(9).validate(), Ok(()));
    assert_eq!(Config::default().max_peers(31).validate(), Ok(()));
    let star = Config::default().max_peers(32);
    assert_eq!(failure(room().config(star)).await, "max_peers is 32: it must be 1 to 31");
    // What is right for a star is too much for the mesh that the builder asks for.
    let builder = room().config(Config::default().max_peers(31)).topology(Topology::Mesh);
    assert!(failure(builder).await.starts_with("max_peers is 31: in a mesh"));
    let text = failure(room().topology(Topology::Broadcast)).await;
    assert!(text.contains("Topology::Mesh or Topology::Star"), "{text}");
}

#[tokio::test]
async fn a_picture_of_our_own_that_no_encoder_takes() {
    let own = |width, height, rate| Config::default().max_own_picture(width, height, rate);
    for (config, expected) in [
        (own(8, 180, 15), "max_own_picture width is 8: it must be 16 to 3840"),
        (own(320, 181, 15), "max_own_picture height is 181: it must be even"),
        (
            own(320, 180, 0),
            "max_own_picture frame rate is 0 a second: it must be 1 to 120 a second",
        ),
    ] {
        let text = failure(Room::builder("ws://127.0.0.1:1/room").config(config)).await;
        assert_eq!(text, expected);
    }
    assert_eq!(own(320, 180, 15).validate(), Ok(()));
}
