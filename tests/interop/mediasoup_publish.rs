//! Our sender, a real mediasoup, and Chromium that looks on.

mod publisher;

use paceline_framing::rtp::Codec;
use paceline_publish::{
    AudioTrack, Auth, FailureKind, PublishError, SfuConfig, SfuEvent, SfuSender, SfuTarget,
    VideoTrack,
};
use paceline_tests::{Clip, Live, Server, TempDir, has_browser, has_ffmpeg, has_mediasoup};
use serde_json::{Value, json};

use self::publisher::{Media, Publisher, Told};

/// H.264 and Opus go in, and are seen and heard: at least 95 of 100 pictures that were sent
/// since the browser was connected to them.
#[test]
fn chromium_decodes_what_we_publish() {
    if !has_browser() || !has_ffmpeg(&["libx264", "libopus"]) {
        return;
    }
    let server = Server::start();
    let viewer = server.consume("r");
    viewer.ready();
    let us =
        Publisher::start(target(&server), config(), Media::new(Codec::H264)).expect("it is up");
    let first = viewer.wait_for("first picture", |report| report.get("first_frame").cloned());
    // What was sent before the browser was ready to take it is not of its counters.
    let begun = server.wait_for("a consumer", |event| {
        (event["event"] == "consumer" && event["kind"] == "video")
            .then(|| event["time"].as_u64())?
    });
    let produced = server.wait_for("a producer", |event| {
        (event["event"] == "producer" && event["kind"] == "video")
            .then(|| event["time"].as_u64())?
    });
    let missed = (begun - produced).div_ceil(40) + 2;
    // What a machine that stands still for a moment leaves out is made up for by what follows.
    let seen = viewer.receives("video", "95 of 100 of more than a hundred", |stream| {
        let decoded = stream["framesDecoded"].as_u64().unwrap_or(0);
        decoded >= 100 && decoded >= us.sent().saturating_sub(missed) * 95 / 100
    });
    assert_eq!(seen["codec"], "video/H264");
    assert_eq!((&seen["frameWidth"], &seen["frameHeight"]), (&json!(320), &json!(180)));
    viewer.receives("audio", "sound", |stream| stream["totalAudioEnergy"].as_f64() > Some(0.0));
    for kind in ["audio", "video"] {
        server.wait_for("score of 10", |event| is_score(event, kind, 10).then_some(()));
    }
    let sent = us.stop();
    let after = first["at"].as_f64().map(|at| at - produced as f64);
    eprintln!("{sent} pictures sent, the first seen {after:.0?} ms after its producer was made");
}

/// A browser that comes late, or has lost the thread, asks; we restart, and only then: what is
/// sent has no keyframe of its own after the first.
#[test]
fn a_keyframe_that_a_viewer_asks_for_is_sent() {
    if !has_mediasoup() || !has_ffmpeg(&["libx264", "libopus"]) {
        return;
    }
    let server = Server::start();
    let us = Publisher::start(target(&server), config(), one_keyframe()).expect("it is up");
    server.wait_for("score of 10", |event| is_score(event, "video", 10).then_some(()));
    let is_asked_for = |told| match told {
        Told::Event(SfuEvent::KeyframeNeeded) => Some(()),
        _ => None,
    };
    // That of the beginning, which nobody has asked for.
    us.wait_for("beginning", is_asked_for);
    server.wait_for("the first", |event| {
        (event["event"] == "trace" && event["type"] == "keyframe").then_some(())
    });
    // Who comes asks, and requests in a row are one: the first is what counts.
    let since = server.now();
    server.ask("watch", &room());
    server.ask("request-keyframe", &room());
    us.wait_for("request", is_asked_for);
    for kind in ["pli", "keyframe"] {
        server.wait_for_since(since, kind, |event| {
            (event["event"] == "trace" && event["type"] == kind).then_some(())
        });
    }
}

/// The path is asked for again, and what is sent arrives as before: nobody joins anew.
#[test]
fn media_goes_on_after_an_ice_restart() {
    if !has_browser() || !has_ffmpeg(&["libx264", "libopus"]) {
        return;
    }
    let server = Server::start();
    let viewer = server.consume("r");
    viewer.ready();
    let us =
        Publisher::start(target(&server), config(), Media::new(Codec::H264)).expect("it is up");
    let decoded = |stream: &Value| stream["framesDecoded"].as_u64().unwrap_or(0);
    viewer.receives("video", "pictures", |stream| decoded(stream) > 0);
    let since = server.now();
    us.restart_ice();
    server.wait_for_since(since, "a restart", |event| {
        (event["method"] == "restartIce" && event["response"]["password"].is_string()).then_some(())
    });
    // Until then media goes on by the old path, whatever becomes of the new one.
    us.wait_for("new path", |told| match told {
        Told::Event(SfuEvent::Path { up }) => up.then_some(()),
        _ => None,
    });
    let restarted = server.now();
    // Two seconds of pictures, from then on.
    let mut before = None;
    server.wait_for_since(restarted, "pictures after it", |event| {
        let streams = event["streams"].as_array()?;
        let video = streams.iter().find(|stream| stream["kind"] == "video")?;
        (decoded(video) >= *before.get_or_insert(decoded(video)) + 50).then_some(())
    });
    let joins = server.events().into_iter().filter(|event| event["method"] == "join").count();
    assert_eq!(joins, 2, "the browser and we, once each");
}

/// The process that carries the media is gone: that is told, and as what it is.
#[test]
fn a_worker_that_dies_is_a_failure_that_we_name() {
    if !has_mediasoup() || !has_ffmpeg(&["libx264", "libopus"]) {
        return;
    }
    let server = Server::start();
    let us =
        Publisher::start(target(&server), config(), Media::new(Codec::H264)).expect("it is up");
    server.wait_for("score of 10", |event| is_score(event, "video", 10).then_some(()));
    server.ask("kill-worker", &json!({}));
    let failure = us.wait_for("an end", |told| match told {
        Told::Event(SfuEvent::Closed { failure }) => Some(failure),
        _ => None,
    });
    eprintln!("its worker killed, our sender says: {failure}");
    // The server closes every socket of a room whose worker is gone.
    assert_eq!(failure.kind(), FailureKind::ServerClosed, "{failure}");
}

/// Twenty times up and down: each has its producers, and leaves nothing in the room.
#[tokio::test]
async fn starting_and_stopping_leaves_nothing_behind() {
    if !has_mediasoup() {
        return;
    }
    let server = Server::start();
    for round in 0..20 {
        let sender = SfuSender::connect(target(&server), config()).await.expect("it is up");
        sender.close().await;
        let mut left = 0;
        server.wait_for("a goodbye", |event| {
            left += usize::from(event["event"] == "peer-gone");
            (left > round).then_some(())
        });
    }
    let stats = server.ask("stats", &room());
    assert!(stats["peers"].as_array().is_some_and(Vec::is_empty), "{stats}");
    let produced = server.events().into_iter().filter(|event| event["event"] == "producer");
    assert_eq!(produced.count(), 40);
}

/// Without the token we are told so, and it is not a matter of trying again.
#[tokio::test]
async fn a_token_that_is_missing_is_refused() {
    if !has_mediasoup() {
        return;
    }
    let server = Server::guarded("secret");
    let refused = SfuSender::connect(target(&server), config()).await;
    assert!(matches!(refused, Err(PublishError::AuthRefused { .. })), "{refused:?}");
    let known = config().auth(Some(Auth::Token("secret".to_owned())));
    SfuSender::connect(target(&server), known).await.expect("it is known").close().await;
}

/// A keyframe, and then none for longer than a server lives, unless it begins anew: no picture
/// that anybody could look at.
fn one_keyframe() -> Media {
    let mut clip = Clip::encode(Codec::H264, &TempDir::new());
    let others: Vec<_> = clip.frames.iter().filter(|it| !it.coding.is_key()).cloned().collect();
    let all = others.into_iter().cycle().take(FRAMES);
    clip.frames = clip.frames[..1].iter().cloned().chain(all).collect();
    Media { video: Live::of(&clip), ..Media::new(Codec::H264) }
}

fn target(server: &Server) -> SfuTarget {
    let text = format!("mediasoup:{}", server.url("r", "we"));
    text.parse().expect("a target")
}

fn config() -> SfuConfig {
    let video = VideoTrack { width: 320, height: 180, ..VideoTrack::default() };
    let audio = AudioTrack { channels: 2 };
    SfuConfig::default().video(Some(video)).audio(Some(audio)).bind([127, 0, 0, 1].into())
}

fn room() -> Value {
    json!({ "roomId": "r" })
}

fn is_score(event: &Value, kind: &str, score: u8) -> bool {
    event["event"] == "score" && event["kind"] == kind && event["score"][0]["score"] == score
}

/// Five minutes of 25 a second.
const FRAMES: usize = 5 * 60 * 25;
