//! Our sender and a real mediasoup without ICE: the broadcasters' HTTP, and SRTP.

#[expect(dead_code, reason = "ICE is not restarted where there is none")]
mod publisher;

use paceline_framing::rtp::Codec;
use paceline_publish::{AudioTrack, PublishError, SfuConfig, SfuEvent, SfuTarget, VideoTrack};
use paceline_tests::{Server, has_ffmpeg, has_mediasoup};
use serde_json::{Value, json};

use self::publisher::{Media, Publisher, Told};

/// The worker opens what we seal, counts no loss, and what it asks for we read; at the end
/// nothing of us is left.
#[test]
fn a_broadcaster_is_received_without_loss_and_leaves_nothing_behind() {
    if !has_mediasoup() || !has_ffmpeg(&["libx264", "libopus"]) {
        return;
    }
    let server = Server::start();
    server.ask("create-room", &room());
    let us =
        Publisher::start(target(&server), config(), Media::new(Codec::H264)).expect("it is up");
    for kind in ["audio", "video"] {
        server.wait_for("score of 10", |event| is_score(event, kind, 10).then_some(()));
    }
    let is_asked_for = |told| match told {
        Told::Event(SfuEvent::KeyframeNeeded) => Some(()),
        _ => None,
    };
    // The first is that of the beginning, the second was asked for over SRTCP.
    us.wait_for("beginning", is_asked_for);
    let since = server.now();
    server.ask("watch", &room());
    server.ask("request-keyframe", &room());
    us.wait_for("request", is_asked_for);
    server.wait_for_since(since, "PLI", |event| {
        (event["event"] == "trace" && event["type"] == "pli").then_some(())
    });
    let packets = |stats: &serde_json::Value| {
        let producers = stats["peers"][0]["producers"].as_array().cloned().unwrap_or_default();
        producers.iter().filter_map(|it| it["stats"][0]["packetCount"].as_u64()).min()
    };
    // Each look takes some milliseconds.
    let looks = (0..1_000).map(|_| packets(&server.ask("stats", &room())));
    assert!(looks.into_iter().any(|packets| packets > Some(10)), "too little came");
    us.stop();
    let stats = server.ask("stats", &room());
    let peers = stats["peers"].as_array().expect("a room has peers");
    let producers = peers[0]["producers"].as_array().expect("a peer has producers");
    assert_eq!((peers.len(), producers.len()), (1, 2), "{stats}");
    for producer in producers {
        let stream = &producer["stats"][0];
        assert!(stream["packetCount"].as_u64() > Some(10), "{stream}");
        assert_eq!(stream["packetsLost"], 0, "{stream}");
    }
    drop(us);
    server.wait_for("a goodbye", |event| (event["event"] == "peer-gone").then_some(()));
    let stats = server.ask("stats", &room());
    assert!(stats["peers"].as_array().is_some_and(Vec::is_empty), "{stats}");
}

/// Nobody closes a connection: that nothing comes any more is all there is to see.
#[test]
fn a_worker_that_dies_is_noticed_by_its_silence() {
    if !has_mediasoup() || !has_ffmpeg(&["libx264", "libopus"]) {
        return;
    }
    let server = Server::start();
    server.ask("create-room", &room());
    let us =
        Publisher::start(target(&server), config(), Media::new(Codec::H264)).expect("it is up");
    server.wait_for("score of 10", |event| is_score(event, "video", 10).then_some(()));
    server.ask("kill-worker", &json!({}));
    us.wait_for("path that is down", |told| match told {
        Told::Event(SfuEvent::Path { up }) => {
            assert!(!up, "it was not told to be down");
            Some(())
        }
        _ => None,
    });
    let failure = us.wait_for("an end", |told| match told {
        Told::Event(SfuEvent::Closed { failure }) => Some(failure),
        _ => None,
    });
    eprintln!("its worker killed, our sender says: {failure}");
}

/// A room that nobody has opened is no fault of the network.
#[test]
fn a_room_that_is_not_there_is_refused() {
    if !has_mediasoup() || !has_ffmpeg(&["libx264", "libopus"]) {
        return;
    }
    let server = Server::start();
    let refused = Publisher::start(target(&server), config(), Media::new(Codec::H264));
    let refused = refused.map(drop);
    assert!(
        matches!(&refused, Err(PublishError::Refused { reason }) if reason.contains("404")),
        "{refused:?}"
    );
}

/// Its name is encoded in the URL, and is not in the room.
fn target(server: &Server) -> SfuTarget {
    let text = format!("broadcaster:{}/rooms/a%20room", server.http());
    text.parse().expect("a target")
}

fn config() -> SfuConfig {
    let video = VideoTrack { width: 320, height: 180, ..VideoTrack::default() };
    SfuConfig::default().video(Some(video)).audio(Some(AudioTrack { channels: 2 }))
}

fn room() -> Value {
    json!({ "roomId": "a room" })
}

fn is_score(event: &Value, kind: &str, score: u8) -> bool {
    event["event"] == "score" && event["kind"] == kind && event["score"][0]["score"] == score
}
