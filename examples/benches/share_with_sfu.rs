//! What it costs to share a desktop of 1920 x 1080 with a real mediasoup, 30 pictures a second:
//! to be run on a machine with nothing else to do, as `make bench-sfu`.
//!
//! `SECONDS_EACH=30` makes each scene longer, `SCENES=typing,scroll` leaves the others out, and
//! `OPTIONS='--codec vp8 --bitrate 4000'` goes to `screen-share`.
#![allow(clippy::disallowed_methods, missing_docs, reason = "programs in real time")]

#[path = "../tests/programs/mod.rs"]
mod programs;

use std::env;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use paceline_benches::display::Display;
use paceline_benches::painter::Painter;
use paceline_benches::scene::{HEIGHT, Kind, Scene, WIDTH};
use paceline_tests::{Server, has_browser, has_mediasoup};
use serde_json::Value;

use self::programs::{Program, json, signal, start};

const SHARE: &str = env!("CARGO_BIN_EXE_screen-share");

const SCENES: [(&str, Kind); 5] = [
    ("idle", Kind::Idle),
    ("typing", Kind::Typing),
    ("scroll", Kind::Scroll),
    ("video", Kind::Video),
    ("drag", Kind::Drag),
];

/// A desktop that moves for as long as something is done.
fn painted<T>(display: &Display, scene: &Scene, work: impl FnOnce() -> T) -> T {
    let painter = Painter::open(display.name(), scene).expect("it takes a window");
    let (stop, stopped) = channel::<()>();
    thread::scope(|scope| {
        scope.spawn(move || {
            let begin = Instant::now();
            for number in 1_u32.. {
                let due = begin + PERIOD * number;
                let wait = due.saturating_duration_since(Instant::now());
                if stopped.recv_timeout(wait) != Err(RecvTimeoutError::Timeout) {
                    return;
                }
                painter.paint(scene, number).expect("the server is there");
            }
        });
        let done = work();
        drop(stop);
        done
    })
}

fn share(display: &Display, server: &Server, room: &str) -> Program {
    let display = format!("DISPLAY={}", display.name());
    let to = format!("mediasoup:{}", server.url(room, "us"));
    let line = ["env", &display, SHARE, "--to", &to, "--source", "screen", "--json"];
    let options = env::var("OPTIONS").unwrap_or_default();
    start(&line.into_iter().chain(options.split_whitespace()).collect::<Vec<_>>())
}

/// Processor time so far, in seconds (proc(5): fields 14 and 15, in 1/100 s).
fn processor_time(id: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).expect("it runs");
    let (_, fields) = stat.rsplit_once(')').expect("a name in brackets");
    let ticks = fields.split_whitespace().skip(11).take(2);
    ticks.map(|field| field.parse::<f64>().expect("a number")).sum::<f64>() / 100.0
}

fn wait(seconds: f64) {
    // Nothing tells that time is over but time.
    thread::sleep(Duration::from_secs_f64(seconds));
}

fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().take(3).collect::<Vec<_>>().join(" ")
}

fn cell(value: &Value) -> String {
    value.as_f64().map_or_else(|| "-".to_owned(), |value| format!("{value:.1}"))
}

fn main() {
    what_a_share_of_a_desktop_costs();
    how_soon_the_first_picture_of_a_desktop_is_seen();
}

fn what_a_share_of_a_desktop_costs() {
    if !has_mediasoup() {
        return;
    }
    let seconds = env::var("SECONDS_EACH").ok().and_then(|text| text.parse().ok()).unwrap_or(12.0);
    let wanted = env::var("SCENES").unwrap_or_default();
    let is_wanted = |name: &str| wanted.is_empty() || wanted.split(',').any(|word| word == name);
    let display = Display::start(WIDTH, HEIGHT).expect("Xvfb is installed");
    println!("load {}; {seconds} s each, after {WARM_UP} s", load());
    println!(
        "{:<8}{:>9}{:>8}{:>8}{:>8}{:>8}{:>9}{:>8}{:>9}{:>9}{:>8}",
        "scene",
        "pictures",
        "p50 ms",
        "p95 ms",
        "max ms",
        "cpu %",
        "kbit/s",
        "allocs",
        "picture",
        "rest",
        "level"
    );
    for (name, kind) in SCENES.into_iter().filter(|(name, _)| is_wanted(name)) {
        let scene = Scene::new(kind);
        // Each scene has a server of its own, which is given no more than two minutes.
        let server = Server::start();
        let report = painted(&display, &scene, || {
            let mut share = share(&display, &server, name);
            share.wait_for("shared with mediasoup:");
            wait(WARM_UP);
            let before = (Instant::now(), processor_time(share.id()));
            wait(seconds);
            let cpu = processor_time(share.id()) - before.1;
            let cpu = 100.0 * cpu / before.0.elapsed().as_secs_f64();
            signal("INT", share.id());
            let mut report = json(&share.finish());
            report["cpu"] = cpu.into();
            report
        });
        let (ms, each) = (&report["capture_to_rtp_ms"], &report["allocations_per_frame"]);
        let wall = report["wall_seconds"].as_f64().expect("a time");
        let kbps = report["send"]["bytes"].as_f64().expect("a count") * 8.0 / 1e3 / wall;
        let last = report["ladder"].as_array().and_then(|ladder| ladder.last()).cloned();
        println!(
            "{name:<8}{:>9}{:>8}{:>8}{:>8}{:>8}{kbps:>9.0}{:>8}{:>9}{:>9}{:>8}",
            report["send"]["pictures"].to_string(),
            cell(&ms["p50"]),
            cell(&ms["p95"]),
            cell(&ms["max"]),
            cell(&report["cpu"]),
            cell(&each["process"]),
            cell(&each["picture_thread"]),
            cell(&each["rest"]),
            last.map_or_else(String::new, |last| last["level"].to_string()),
        );
        assert_eq!(report["fallbacks"], Value::Array(Vec::new()), "{report}");
        assert!(report["send"]["pictures"].as_u64() > Some(0), "{report}");
    }
    println!("load {}", load());
}

fn how_soon_the_first_picture_of_a_desktop_is_seen() {
    if !has_browser() {
        return;
    }
    let display = Display::start(WIDTH, HEIGHT).expect("Xvfb is installed");
    let scene = Scene::new(Kind::Typing);
    println!("load {}", load());
    for round in 0..3 {
        let server = Server::start();
        let viewer = server.consume("r");
        viewer.ready();
        painted(&display, &scene, || {
            let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
            let begun = now.expect("after 1970").as_secs_f64() * 1e3;
            let mut share = share(&display, &server, "r");
            let connected = share.wait_for("shared with mediasoup:");
            let seen = viewer.wait_for("first picture", |report| {
                let first = report.get("first_frame")?;
                Some([first["at"].as_f64()?, first["after_ms"].as_f64()?])
            });
            println!(
                "round {round}: {connected}; the first picture is shown {:.0} ms after the start \
                 of the program, {:.0} ms after the viewer knew of it",
                seen[0] - begun,
                seen[1],
            );
            signal("INT", share.id());
            json(&share.finish());
        });
    }
    println!("load {}", load());
}

/// A little more than 1/30 s: so the phase between painting and grabbing goes through all its
/// values, once a second.
const PERIOD: Duration = Duration::from_nanos(34_482_759);

/// From the first packet on: rate control, congestion control and caches settle.
const WARM_UP: f64 = 3.0;
