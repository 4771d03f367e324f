//! What it costs to have a picture of a screen: all of it, a part that has changed, and none
//! because nothing has.
//!
//! `cargo bench -p paceline-benches --bench capture`. It starts an Xvfb of 1920 × 1080 of its
//! own. The figure is the time of one read, in which the X server works while we wait: it is
//! that of both. What paints the change beforehand is not in it. A third of 1 % of a core are
//! 111 µs, 30 times a second.
#![allow(clippy::disallowed_methods, missing_docs, reason = "a bench: it has a clock")]

use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use paceline_benches::display::Display;
use paceline_benches::painter::Painter;
use paceline_benches::scene::{HEIGHT, Kind, Scene, WIDTH};
use paceline_capture::types::{Frequency, MediaTime, NtpTime};
use paceline_capture::{Screen, ScreenConfig, VideoSource};

fn grab(c: &mut Criterion) {
    let display = match Display::start(WIDTH, HEIGHT) {
        Ok(display) => display,
        Err(error) => {
            eprintln!("left out: {error}");
            return;
        }
    };
    let scene = Scene::new(Kind::Idle);
    let painter = Painter::open(display.name(), &scene).expect("it takes a window");
    let config = ScreenConfig::default().display(display.name()).cursor(false);
    let mut screen = Screen::open(None, config.clone()).expect("it can be captured");
    let mut read = move |index| {
        let time = MediaTime::new(index * 3_000, Frequency::VIDEO);
        screen.read(index, time, NtpTime::default()).expect("it is there")
    };
    while read(0).is_some() {}

    let mut group = c.benchmark_group("grab of 1920 x 1080");
    let changes = [
        ("whole", (0, 0, WIDTH, HEIGHT)),
        ("640 x 360 of it", (300, 200, 640, 360)),
        ("64 x 64 of it", (300, 200, 64, 64)),
    ];
    for (name, (x, y, width, height)) in changes {
        group.bench_function(name, |b| {
            b.iter_custom(|times| {
                let mut taken = Duration::ZERO;
                for index in 0..times {
                    painter.dab(x, y, width, height).expect("the server is there");
                    let begin = Instant::now();
                    // That it has changed may be told a moment later than that it is painted.
                    while read(index).is_none() {}
                    taken += begin.elapsed();
                }
                taken
            });
        });
    }
    group.bench_function("nothing has changed", |b| {
        b.iter(|| assert!(read(0).is_none()));
    });
    drop(group);

    let mut whole = Screen::open(None, config.damage(false)).expect("it can be captured");
    let time = MediaTime::new(0, Frequency::VIDEO);
    c.bench_function("grab of 1920 x 1080/nothing has changed, and nobody is asked", |b| {
        b.iter(|| whole.read(0, time, NtpTime::default()).expect("it is there"));
    });
}

criterion_group!(benches, grab);
criterion_main!(benches);
