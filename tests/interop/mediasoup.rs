//! A real mediasoup, and Chromium that consumes from it.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use paceline_tests::{Server, has_browser, has_mediasoup};
use serde_json::{Value, json};

/// The harness itself, without anything of ours: what a browser sends, a browser sees.
#[test]
fn chromium_decodes_what_chromium_sends_by_mediasoup() {
    if !has_browser() {
        return;
    }
    let server = Server::start();
    let viewer = server.consume("r");
    viewer.ready();
    let sender = server.produce("r", "H264");
    let count = |stream: &Value, name: &str| stream[name].as_f64().unwrap_or(0.0);
    // What came a moment ago is still to be decoded.
    let seen = viewer.receives("video", "a second of pictures, all but the last few", |stream| {
        let (decoded, received) = (count(stream, "framesDecoded"), count(stream, "framesReceived"));
        decoded >= 20.0 && decoded >= 0.95 * received
    });
    assert_eq!(seen["codec"], "video/H264");
    assert!(seen["keyFramesDecoded"].as_u64() >= Some(1), "{seen}");
    viewer.receives("audio", "sound", |stream| stream["totalAudioEnergy"].as_f64() > Some(0.0));
    server.wait_for("score of 10", |event| {
        let is_his = event["event"] == "score" && event["peerId"] == *sender.id();
        (is_his && event["score"][0]["score"] == 10).then_some(())
    });
    eprintln!(
        "Chromium decoded {} of {}, the first after {} ms",
        seen["framesDecoded"], seen["framesReceived"], seen["first_frame_ms"]
    );
}

/// What is asked of a consumer reaches the producer, and the server says so.
#[test]
fn a_keyframe_asked_of_mediasoup_is_asked_of_the_producer() {
    if !has_browser() {
        return;
    }
    let server = Server::start();
    let sender = server.produce("r", "VP8");
    let is_of_him = |event: &Value, kind: &str| {
        event["event"] == "trace" && event["peerId"] == *sender.id() && event["type"] == kind
    };
    server.wait_for("key frame", |event| is_of_him(event, "keyframe").then_some(()));
    // The sound's producer may come after the picture's.
    server.wait_for("sound", |event| {
        (event["event"] == "producer" && event["kind"] == "audio").then_some(())
    });
    // Who comes asks, and requests in a row are one: the first is what counts.
    let since = server.now();
    let seen = server.ask("watch", &json!({ "roomId": "r" }));
    assert_eq!(seen.as_array().map(Vec::len), Some(2));
    server.ask("request-keyframe", &json!({ "roomId": "r" }));
    for kind in ["pli", "keyframe"] {
        server.wait_for_since(since, kind, |event| is_of_him(event, kind).then_some(()));
    }
}

/// A worker that is killed takes its rooms with it; the server has a new one then.
#[test]
fn the_server_survives_its_worker() {
    if !has_mediasoup() {
        return;
    }
    let server = Server::start();
    let room = json!({ "roomId": "r" });
    server.ask("create-room", &room);
    assert!(server.ask("stats", &room)["peers"].as_array().is_some_and(Vec::is_empty));
    server.ask("kill-worker", &json!({}));
    server.wait_for("end of the worker", |event| (event["event"] == "worker-died").then_some(()));
    let codecs = server.ask("create-room", &room)["codecs"].clone();
    assert!(codecs.as_u64() >= Some(8), "{codecs}");
}

/// Broadcasters are refused without the token, and before somebody made the room.
#[test]
fn the_server_refuses_as_that_of_the_demo_does() {
    if !has_mediasoup() {
        return;
    }
    let server = Server::guarded("secret");
    assert_eq!(status_of(&server, "/rooms/r"), 401);
    assert_eq!(status_of(&server, "/rooms/r?token=wrong"), 401);
    assert_eq!(status_of(&server, "/rooms/r?token=secret"), 404);
    server.ask("create-room", &json!({ "roomId": "r" }));
    assert_eq!(status_of(&server, "/rooms/r?token=secret"), 200);
    // A browser that has it comes in, one that has not does not.
    if has_browser() {
        let parameters = json!({ "role": "consume", "roomId": "r", "token": "secret" });
        server.browse(&parameters).ready();
    }
}

/// The status of an answer to GET (RFC 9112 §4).
fn status_of(server: &Server, path: &str) -> u16 {
    let address = server.http().replace("http://", "");
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(Duration::from_secs(30))).expect("more than nothing");
    write!(stream, "GET {path} HTTP/1.0\r\n\r\n").expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    let status = answer.split_whitespace().nth(1).and_then(|status| status.parse().ok());
    status.unwrap_or_else(|| panic!("no status: {answer}"))
}
