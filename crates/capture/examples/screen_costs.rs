//! What a picture of 1080p costs, in CPU time of the reader and of the server, on an Xvfb of
//! its own; two minutes.
//!
//! `cargo run --release -p paceline-capture --features screen --example screen_costs`
#![allow(clippy::disallowed_methods, reason = "it is paced as a call is")]

#[path = "../tests/desktop/mod.rs"]
mod desktop;

use std::fs;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use desktop::Desktop;
use paceline_capture::types::{Frequency, MediaTime, NtpTime};
use paceline_capture::{Screen, ScreenConfig, VideoSource};

/// Milliseconds that the tasks of a process, or one of them, were on a CPU.
fn cpu_ms(tasks: &str) -> f64 {
    let nanoseconds = |path: std::path::PathBuf| {
        let text = fs::read_to_string(path.join("schedstat")).expect("the task is there");
        let first = text.split(' ').next().expect("it has three numbers");
        first.parse::<f64>().expect("it is a number")
    };
    if tasks == "thread-self" {
        // What runs is accounted when it stops.
        thread::yield_now();
        return nanoseconds("/proc/thread-self".into()) / 1e6;
    }
    let all = fs::read_dir(format!("/proc/{tasks}/task")).expect("the server is up");
    all.map(|task| nanoseconds(task.expect("it is there").path())).sum::<f64>() / 1e6
}

/// The reader's and the server's milliseconds for each picture.
fn run(
    desktop: &Desktop,
    screen: Option<Screen>,
    draw: impl Fn(u32) + Send,
) -> (f64, f64, Option<paceline_capture::ScreenStats>) {
    thread::scope(|scope| {
        let (ask, asked) = mpsc::channel::<u32>();
        let (tell, drawn) = mpsc::channel::<()>();
        scope.spawn(move || {
            for round in asked {
                draw(round);
                let _ = tell.send(());
            }
        });
        let mut screen = screen;
        let time = MediaTime::new(0, Frequency::VIDEO);
        let mut last = None;
        let mut turn = |round: u32| {
            ask.send(round).expect("it draws");
            drawn.recv().expect("it draws");
            if let Some(screen) = &mut screen {
                // The last is let go of when the next is there, as an encoder does.
                last = screen.read(0, time, NtpTime::default()).expect("it is up").or(last.take());
            }
        };
        for round in 0..5 {
            turn(round);
        }
        let pid = desktop.pid().to_string();
        let before = (cpu_ms("thread-self"), cpu_ms(&pid));
        let start = Instant::now();
        for round in 0..PICTURES {
            turn(round);
            let due = start + Duration::from_secs(1) * (round + 1) / 30;
            thread::sleep(due.saturating_duration_since(Instant::now()));
        }
        let each = f64::from(PICTURES);
        let client = (cpu_ms("thread-self") - before.0) / each;
        let server = (cpu_ms(&pid) - before.1) / each;
        drop(ask);
        (client, server, screen.map(|screen| screen.stats()))
    })
}

fn main() {
    let Some(desktop) = Desktop::start(1_920, 1_080) else { return };
    let board = desktop.board(0, 0, 1_920, 1_080);
    let config = || ScreenConfig::default().display(desktop.display());
    let open = |config| Some(Screen::open(None, config).expect("it is up"));
    let part = |round: u32| board.fill(200, 200, 480, 270, round * 9_973);
    let all = |round: u32| board.fill(0, 0, 1_920, 1_080, round * 9_973);
    let corners = |round: u32| {
        board.fill(10, 10, 60, 20, round * 9_973);
        board.fill(1_800, 1_000, 60, 20, round * 9_973);
    };
    let none = |_| {};
    type Draw<'a> = &'a (dyn Fn(u32) + Sync);
    let rows: [(&str, Option<Screen>, Draw<'_>); 11] = [
        ("drawing nothing, nobody reads", None, &none),
        ("drawing 480 × 270, nobody reads", None, &part),
        ("drawing two corners, nobody reads", None, &corners),
        ("drawing all, nobody reads", None, &all),
        ("idle", open(config().cursor(false)), &none),
        ("idle, with the pointer", open(config()), &none),
        ("480 × 270 changes", open(config()), &part),
        ("two corners change", open(config()), &corners),
        ("all changes", open(config()), &all),
        ("whole, without damage", open(config().damage(false)), &none),
        ("whole, over the socket", open(config().damage(false).shared_memory(false)), &none),
    ];
    println!("{:<36} {:>9} {:>9}", "ms of CPU for each of 30 a second", "reader", "server");
    for (name, screen, draw) in rows {
        let (client, server, stats) = run(&desktop, screen, draw);
        println!("{name:<36} {client:>9.3} {server:>9.3}  {stats:?}");
    }
}

const PICTURES: u32 = 240;
