//! An encoder, a machine and a path as they are in books, for a ladder to be in a loop with.

#![allow(dead_code, reason = "each program that includes this uses a part of it")]

use std::fmt::Write;
use std::time::{Duration, Instant};

use paceline_codec::types::{Bitrate, Content};
use paceline_codec::{Change, Direction, FrameReport, Ladder, LadderConfig, Step};

/// What the ladder has to live with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pressure {
    /// How many times slower the machine is than the one that was measured.
    pub(crate) load: f64,
    /// How many times more bits the pictures need than the usual.
    pub(crate) complexity: f64,
    /// What the session says that the path takes, in kbit/s.
    pub(crate) target: u64,
    /// What it takes, in kbit/s.
    pub(crate) path: u64,
}

impl Pressure {
    pub(crate) const NONE: Self =
        Self { load: 1.0, complexity: 1.0, target: 2_500, path: 1_000_000 };
}

/// What a picture was like.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    pub(crate) at: Duration,
    pub(crate) step: Step,
    pub(crate) level: usize,
    /// Of the interval, how much encoding took.
    pub(crate) usage: f64,
    pub(crate) qp: Option<u8>,
    pub(crate) queue: Duration,
}

/// An encoder of which the time is proportional to the pixels, the quantizer to the bits for
/// each of them, and which skips pictures when it cannot be any coarser.
#[derive(Debug)]
pub(crate) struct Model {
    pub(crate) ladder: Ladder,
    source: ((u16, u16), f64, Content),
    start: Instant,
    now: Instant,
    /// Bits that the rate control may spend.
    budget: f64,
    /// Bits that wait to be sent.
    backlog: f64,
    target: u64,
}

impl Model {
    pub(crate) fn new(ladder: Ladder, size: (u16, u16), frame_rate: f64, content: Content) -> Self {
        let start = epoch();
        let mut model = Self {
            ladder,
            source: (size, frame_rate, content),
            start,
            now: start,
            budget: 0.0,
            backlog: 0.0,
            target: 0,
        };
        model.switch(size, frame_rate, content);
        model
    }

    pub(crate) fn switch(&mut self, size: (u16, u16), frame_rate: f64, content: Content) {
        self.source = (size, frame_rate, content);
        self.ladder.handle_source(self.now, size, frame_rate, content);
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.now - self.start
    }

    /// Encodes pictures for so long. `each` is told of every one, and of the changes since
    /// the one before.
    pub(crate) fn run(
        &mut self,
        span: Duration,
        pressure: impl Fn(Duration) -> Pressure,
        mut each: impl FnMut(&Sample, &[Change]),
    ) {
        let end = self.now + span;
        while self.now < end {
            let now = pressure(self.elapsed());
            let sample = self.encode(&now);
            let changes: Vec<_> = std::iter::from_fn(|| self.ladder.poll_output()).collect();
            each(&sample, &changes);
        }
    }

    fn encode(&mut self, pressure: &Pressure) -> Sample {
        if self.target != pressure.target {
            self.target = pressure.target;
            self.ladder.handle_target(self.now, Bitrate::from_kbps(pressure.target));
        }
        let step = self.ladder.step();
        let pixels = f64::from(step.pixels());
        let interval = 1.0 / step.frame_rate;

        let screen = step.content == Content::Screen;
        let shows_screen = self.source.2 == Content::Screen;
        let each = match (shows_screen, screen) {
            (_, true) => SCREEN_NANOS,
            (true, false) => SCREEN_NANOS_AS_CAMERA,
            (false, false) => NANOS,
        };
        let nanos = pixels * each;
        let time = nanos * pressure.load / 1e9;

        let needs = if screen {
            SCREEN_BITS
        } else if shows_screen {
            SCREEN_AS_CAMERA
        } else {
            1.0
        };
        let usual = pixels * BITS_PER_PIXEL * pressure.complexity * needs;
        let share = step.bitrate.bps() as f64 * interval;
        self.budget = (self.budget + share).min(share.max(usual) * 2.0);
        let ideal = USUAL_QP - 6.0 * (share / usual).log2();
        let qp = ideal.clamp(10.0, 51.0);
        let bits = usual * 2_f64.powf((USUAL_QP - qp) / 6.0);
        let skipped = bits > self.budget + 1.0;
        if !skipped {
            self.budget -= bits;
            self.backlog += bits;
        }
        let qp = (!skipped).then_some(qp.round() as u8);
        let report = FrameReport {
            encode_time: Duration::from_secs_f64(time),
            qp,
            bytes: if skipped { 0 } else { (bits / 8.0) as usize },
            skipped,
        };
        let level = self.ladder.level();
        self.ladder.handle_frame(self.now + report.encode_time, report);

        // One thread: the next picture begins when this one is done.
        let took = interval.max(time);
        self.now += Duration::from_secs_f64(took);
        let rate = pressure.path as f64 * 1_000.0;
        self.backlog = (self.backlog - rate * took).max(0.0);
        let queue = Duration::from_secs_f64((self.backlog / rate).min(60.0));
        self.ladder.handle_queue(self.now, queue);
        if self.ladder.poll_timeout().is_some_and(|due| due <= self.now) {
            self.ladder.handle_timeout(self.now);
        }
        Sample { at: self.now - self.start, step, level, usage: time / interval, qp, queue }
    }
}

/// One line for each change.
pub(crate) fn line(at: Duration, change: &Change, level: usize) -> String {
    let arrow = if change.direction == Direction::Down { "down" } else { "up" };
    let mut out = String::new();
    let cause = change.cause.to_string();
    let _ = write!(
        out,
        "{:6.1} s  {cause:7} {arrow:4}  level {level}  {}",
        at.as_secs_f64(),
        change.to
    );
    out
}

#[expect(clippy::disallowed_methods, reason = "a moment to count from; no time passes here")]
pub(crate) fn epoch() -> Instant {
    Instant::now()
}

/// For each pixel. OpenH264 2.7: 15 ms for 1080p of what a camera sees.
const NANOS: f64 = 7.2;
/// 18.5 ms for a desktop.
const SCREEN_NANOS: f64 = 8.9;
/// 7.5 ms for a desktop in camera mode.
const SCREEN_NANOS_AS_CAMERA: f64 = 3.6;
/// 720p30 in 2 Mbit/s.
const BITS_PER_PIXEL: f64 = 0.072;
const USUAL_QP: f64 = 30.0;
/// A desktop is easier: 951 kbit/s in screen mode, 2,664 in camera mode, at 1080p.
const SCREEN_BITS: f64 = 0.2;
const SCREEN_AS_CAMERA: f64 = 0.6;

/// A camera of 720p30 on a usual machine and path.
pub(crate) fn camera(config: LadderConfig) -> Model {
    Model::new(Ladder::new(config), HD, 30.0, Content::Camera)
}

/// A screen of 1080p30 on the same.
pub(crate) fn screen(config: LadderConfig) -> Model {
    Model::new(Ladder::new(config), FULL_HD, 30.0, Content::Screen)
}

pub(crate) fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Runs, and returns when which changes were made.
pub(crate) fn changes(
    model: &mut Model,
    span: Duration,
    pressure: impl Fn(Duration) -> Pressure,
) -> Vec<(Duration, Change)> {
    let mut all = Vec::new();
    model.run(span, pressure, |sample, changes| {
        all.extend(changes.iter().map(|change| (sample.at, *change)));
    });
    all
}

pub(crate) const HD: (u16, u16) = (1_280, 720);
pub(crate) const FULL_HD: (u16, u16) = (1_920, 1_080);
