//! `screen-share` with a real mediasoup, and Chromium as whoever looks.
#![allow(clippy::disallowed_methods, reason = "a test is at the edge, where clocks are")]

#[path = "../../crates/capture/tests/desktop/mod.rs"]
mod desktop;
mod programs;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

#[cfg(feature = "mirror")]
use paceline_tests::has_ffmpeg;
use paceline_tests::{Server, has_browser, has_mediasoup};
use serde_json::Value;

use self::desktop::Desktop;
use self::programs::{CALL, Program, json, signal, start};

const SHARE: &str = env!("CARGO_BIN_EXE_screen-share");
const SPEECH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/media/ada.wav");

fn target(server: &Server) -> String {
    format!("mediasoup:{}", server.url("r", "us"))
}

/// A screen with something on it that moves for as long as it is held.
fn busy(desktop: &Desktop) -> impl Drop + use<> {
    struct Busy(Arc<AtomicBool>, Option<thread::JoinHandle<()>>);
    impl Drop for Busy {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Release);
            // What it came to is the program's to say.
            let _ = self.1.take().map(thread::JoinHandle::join);
        }
    }
    let board = desktop.board(40, 30, 320, 180);
    board.show_number(1);
    let stop = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&stop);
    let thread = thread::spawn(move || {
        let mut at = 0_i16;
        while !told.load(Ordering::Acquire) {
            at = (at + 7) % 280;
            board.move_to(40 + at, 30 + at / 2);
            board.show_number(at as u16);
            thread::sleep(Duration::from_millis(30));
        }
    });
    Busy(stop, Some(thread))
}

#[test]
fn a_screen_and_a_file_of_speech_are_seen_and_heard_in_chromium() {
    if !has_browser() {
        return;
    }
    let Some(desktop) = Desktop::start(640, 360) else { return };
    let server = Server::start();
    let viewer = server.consume("r");
    viewer.ready();
    let moving = busy(&desktop);
    let display = format!("DISPLAY={}", desktop.display());
    let line = ["env", &display, SHARE, "--to", &target(&server), "--source", "screen"];
    let share = start(&[&line[..], &["--audio", SPEECH, "--json"]].concat());
    let count = |stream: &Value, name: &str| stream[name].as_f64().unwrap_or(0.0);
    // What came a moment ago is still to be decoded.
    let seen = viewer.receives("video", "seconds of the screen, all but the last few", |stream| {
        let (decoded, received) = (count(stream, "framesDecoded"), count(stream, "framesReceived"));
        decoded >= 60.0 && decoded >= 0.95 * received
    });
    let decoded = count(&seen, "framesDecoded") / count(&seen, "framesReceived");
    assert_eq!((&seen["frameWidth"], &seen["frameHeight"]), (&640.into(), &360.into()), "{seen}");
    viewer.receives("audio", "speech", |stream| stream["totalAudioEnergy"].as_f64() > Some(0.0));
    for kind in ["audio", "video"] {
        server.wait_for("score of 10", |event| {
            let is_it = event["event"] == "score" && event["kind"] == kind;
            (is_it && event["score"][0]["score"] == 10).then_some(())
        });
    }
    signal("INT", share.id());
    let report = json(&share.finish());
    drop(moving);
    eprintln!(
        "Chromium decoded {:.1} % of the pictures it received, the first after {} ms; from capture to RTP {}",
        100.0 * decoded,
        seen["first_frame_ms"],
        report["capture_to_rtp_ms"],
    );
    assert_eq!((&report["ended"], &report["fallbacks"]), (&"asked".into(), &Value::Array(vec![])));
}

#[cfg(feature = "mirror")]
#[test]
fn a_player_that_comes_late_reads_the_mirror_by_its_description() {
    use std::net::{Ipv4Addr, UdpSocket};

    if !has_mediasoup() || !has_ffmpeg(&[]) {
        return;
    }
    let server = Server::start();
    let sdp = programs::temp::File::new("sdp");
    let path = sdp.path().to_str().expect("a plain name");
    // Four that are free, RTP and RTCP of picture and sound, below those that Linux and a worker
    // of mediasoup give out.
    let is_free = |port: u16| UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port)).is_ok();
    let first = (6_000..9_990).step_by(4).find(|&first| (first..first + 4).all(is_free));
    let mirror = format!("127.0.0.1:{}", first.expect("ports"));
    let to = target(&server);
    // Of a screen the size is what is kept longest.
    let line = [
        SHARE,
        "--to",
        &to,
        "--source",
        "test",
        "--content",
        "screen",
        "--audio",
        "test",
        "--json",
    ];
    let mut share = start(&[&line[..], &["--mirror", &mirror, "--sdp", path]].concat());
    share.wait_for(&format!("mirror at {mirror}: ffplay "));
    share.wait_for("shared with mediasoup:");
    // A picture and a sound have gone to nobody by now.
    server.wait_for("score of 10", |event| {
        (event["event"] == "score" && event["score"][0]["score"] == 10).then_some(())
    });
    let player = ["ffmpeg", "-hide_banner", "-nostdin", "-protocol_whitelist", "file,udp,rtp"];
    let what = ["-i", path, "-map", "0:v", "-frames:v", "30", "-f", "null", "-"];
    let player = start(&[&player[..], &what].concat()).finish();
    let said = String::from_utf8_lossy(&player.stderr).into_owned();
    assert!(player.status.success(), "{said}");
    assert!(said.contains("frame=   30") && said.contains("Video: h264"), "{said}");
    assert!(said.contains("Audio: opus"), "{said}");
    assert!(said.contains("480x270"), "{said}");
    signal("INT", share.id());
    json(&share.finish());
}

/// Somebody who hosts a room, and its URL.
fn room() -> (Program, String) {
    let line = [CALL, "host", "--duration", "120", "--json", "--video", "test"];
    let mut host = start(&[&line[..], &["--audio", "silence"]].concat());
    let invitation = host.wait_for("ws://127.0.0.1:");
    let url = invitation.trim().rsplit(' ').next().expect("a last word").to_owned();
    (host, format!("room:{url}"))
}

#[test]
fn when_the_worker_dies_the_share_goes_on_elsewhere_and_says_why_once() {
    if !has_mediasoup() {
        return;
    }
    let server = Server::start();
    let (host, room) = room();
    let to = target(&server);
    let line = [SHARE, "--to", &to, "--fallback", &room, "--source", "test", "--json"];
    let mut share = start(&line);
    share.wait_for("shared with mediasoup:");
    server.wait_for("score of 10", |event| {
        (event["event"] == "score" && event["score"][0]["score"] == 10).then_some(())
    });
    server.ask("kill-worker", &serde_json::json!({}));
    share.wait_for("shared with room:");
    // The first may follow at once, the second comes 5 s after it.
    for _ in 0..2 {
        share.wait_for("kbit/s");
    }
    signal("INT", share.id());
    let report = json(&share.finish());
    let fallbacks = report["fallbacks"].as_array().expect("a list");
    assert_eq!(fallbacks.len(), 1, "{report}");
    let kind = fallbacks[0]["kind"].as_str().expect("a word");
    assert!(["server_closed", "transport_closed"].contains(&kind), "{report}");
    assert_eq!((&fallbacks[0]["from"], &fallbacks[0]["to"]), (&0.into(), &1.into()), "{report}");
    eprintln!("the worker killed: one fallback, {}", fallbacks[0]["text"]);
    signal("INT", host.id());
    let hosted = json(&host.finish());
    assert!(hosted["video"]["decoded"].as_u64() > Some(0), "{hosted}");
}
