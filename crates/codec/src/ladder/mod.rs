//! What is given up when a machine or a path cannot keep up, and when it comes back.
//!
//! ```text
//!   handle_source ──► the best ──┐
//!                                ▼        ┌── usage ≥ 85 %, twice ───┐ down: cpu
//!   handle_frame ──► windows ──► level ◄──┤                          │
//!                                │  ▲     └── qp > 37 twice, or      │ down: network
//!                                │  │         60 % of 60 skipped ────┘
//!                                │  └──────── room for the step, for as long as the
//!                                │            back-off: 10 s, doubled when undone  ── up
//!                                ▼
//!   handle_target ──► bitrate ─► step()       at once, never a level
//!   handle_queue ───► cut     ─►
//! ```
//!
//! Each cause has an order of its own in which rungs are taken, one at a time, and gives
//! its own back, the latest first:
//!
//! | | pressure on the CPU | pressure on the path, after the bitrate |
//! |---|---|---|
//! | camera ([`Balanced`]) | frame rate to the floor of the size, size, frame rate to the next floor, …, bitrate | size, at its end frame rate |
//! | [`MaintainFramerate`] | size, frame rate, bitrate | size, frame rate |
//! | screen ([`MaintainResolution`]) | camera mode, frame rate, size, bitrate | frame rate, size |
//!
//! Camera mode is a screen encoded as if a camera saw it: well below half the time, at
//! full size and rate. That is why it is first; what it costs is bits. VP8 and VP9 have no such
//! rung: they take as long either way.
//!
//! | threshold | default | from |
//! |---|---|---|
//! | [`max_usage`] | 85 %, twice | libwebrtc |
//! | [`window`] | 1 s | ours: libwebrtc's 5 s are 10 s of lost pictures |
//! | [`headroom`] | 60 %, foretold | ours |
//! | [`frame_rate_step`], [`pixel_step`] | × 2/3, × 3/5 | libwebrtc |
//! | [`min_pixels`], [`min_frame_rate`] | 320 × 180; 5, balanced 7/10/15 | libwebrtc; 5 ours |
//! | [`qp_low`], [`qp_high`] | 24/37, VP8 29/95, VP9 149/205 | libwebrtc |
//! | [`drop_share`] | 60 % of 60 | libwebrtc |
//! | [`max_queue`], [`queue_recovery`] | 200 ms, 4 s | OBS |
//! | [`back_off`], [`max_back_off`] | 10 s, 240 s | ours (libwebrtc: 40), libwebrtc |
//!
//! [`Balanced`]: DegradationPreference::Balanced
//! [`MaintainFramerate`]: DegradationPreference::MaintainFramerate
//! [`MaintainResolution`]: DegradationPreference::MaintainResolution
//! [`max_usage`]: LadderConfig::max_usage
//! [`window`]: LadderConfig::window
//! [`headroom`]: LadderConfig::headroom
//! [`frame_rate_step`]: LadderConfig::frame_rate_step
//! [`pixel_step`]: LadderConfig::pixel_step
//! [`min_pixels`]: LadderConfig::min_pixels
//! [`min_frame_rate`]: LadderConfig::min_frame_rate
//! [`qp_low`]: LadderConfig::qp_low
//! [`qp_high`]: LadderConfig::qp_high
//! [`drop_share`]: LadderConfig::drop_share
//! [`max_queue`]: LadderConfig::max_queue
//! [`queue_recovery`]: LadderConfig::queue_recovery
//! [`back_off`]: LadderConfig::back_off
//! [`max_back_off`]: LadderConfig::max_back_off

mod backoff;
mod change;
mod config;
mod gauge;
mod queue;
mod rungs;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use paceline_types::{Bitrate, Content};

use backoff::BackOff;
pub use change::{
    Cause, Change, DegradationPreference, Direction, FrameReport, LadderStats, NetworkCause, Step,
};
pub use config::{LadderConfig, LadderConfigError};
use gauge::Window;
use queue::QueueLimit;
use rungs::{Rungs, Side, Source};

/// Decides how large, how often and in how many bits pictures are encoded.
///
/// | group | calls |
/// |---|---|
/// | input | [`handle_source`](Self::handle_source), [`handle_frame`](Self::handle_frame), [`handle_target`](Self::handle_target), [`handle_queue`](Self::handle_queue), [`handle_timeout`](Self::handle_timeout) |
/// | what to do | [`step`](Self::step), before each picture |
/// | what happened | [`poll_output`](Self::poll_output), until `None`; [`stats`](Self::stats), [`level`](Self::level) |
/// | when next | [`poll_timeout`](Self::poll_timeout) |
///
/// Time that goes back stands still. While no picture is encoded nothing is known, and
/// nothing moves but the bitrate.
///
/// ```
/// use std::time::{Duration, Instant};
///
/// use paceline_codec::types::Content;
/// use paceline_codec::{Cause, FrameReport, Ladder, LadderConfig};
///
/// let start = Instant::now();
/// let mut ladder = Ladder::new(LadderConfig::default());
/// ladder.handle_source(start, (1_280, 720), 30.0, Content::Camera);
///
/// // Each picture takes 30 ms, of the 33 that there are: too much for two seconds.
/// let report = FrameReport {
///     encode_time: Duration::from_millis(30),
///     qp: Some(30),
///     bytes: 5_000,
///     ..FrameReport::default()
/// };
/// for frame in 0..75 {
///     ladder.handle_frame(start + Duration::from_millis(33) * frame, report);
/// }
/// let change = ladder.poll_output().expect("it went down");
/// assert_eq!(change.cause, Cause::Cpu);
/// assert_eq!((ladder.step().size, ladder.step().frame_rate), ((1_280, 720), 20.0));
/// ```
#[derive(Debug)]
pub struct Ladder {
    config: LadderConfig,
    source: Option<Source>,
    rungs: Rungs,
    now: Option<Instant>,
    last_step: Option<Instant>,
    cpu: Gauge,
    network: Gauge,
    /// Pictures, and those of them that were skipped, since the share was taken.
    drops: (u32, u32),
    /// The usage at the full interval, while it is known.
    usage: Option<f64>,
    queue: QueueLimit,
    /// The bitrate that was last told.
    told: Bitrate,
    changes: VecDeque<Change>,
    stats: LadderStats,
}

/// What one side of the ladder measures.
#[derive(Debug)]
struct Gauge {
    window: Option<Window>,
    over: u32,
    back_off: BackOff,
}

impl Gauge {
    fn new(config: &LadderConfig) -> Self {
        let back_off = BackOff::new(config.back_off, config.max_back_off);
        Self { window: None, over: 0, back_off }
    }

    /// What was seen so far was of something else.
    fn interrupt(&mut self) {
        self.window = None;
        self.over = 0;
        self.back_off.interrupt();
    }
}

impl Ladder {
    /// A ladder at its top, without a source.
    ///
    /// # Panics
    ///
    /// If the configuration does not [`validate`](LadderConfig::validate).
    #[must_use]
    pub fn new(config: LadderConfig) -> Self {
        if let Err(error) = config.validate() {
            panic!("{error}");
        }
        let mut ladder = Self {
            config,
            source: None,
            rungs: Rungs::default(),
            now: None,
            last_step: None,
            cpu: Gauge::new(&config),
            network: Gauge::new(&config),
            drops: (0, 0),
            usage: None,
            queue: QueueLimit::new(config.start_bitrate),
            told: config.start_bitrate,
            changes: VecDeque::with_capacity(MAX_CHANGES),
            stats: LadderStats { target: config.start_bitrate, ..LadderStats::default() },
        };
        ladder.told = ladder.step().bitrate;
        ladder
    }

    /// The source makes pictures of this size, so many a second, of this content. Call it
    /// when it starts, when any of it changes and when it is another source; more often
    /// does nothing.
    ///
    /// What is known of the machine and the path stays: a larger source begins with the
    /// pixels that the one before was held to, a smaller one without the rungs that do not
    /// limit it. A rate that is no rate is taken as 30, and what has no pixels is ignored.
    pub fn handle_source(
        &mut self,
        now: Instant,
        size: (u16, u16),
        frame_rate: f64,
        content: Content,
    ) {
        self.advance(now);
        let Some(source) = Source::new(size, frame_rate, content) else { return };
        let Some(old) = self.source.replace(source) else { return };
        if old == source {
            return;
        }
        let (from, level) = (self.step_of(&old), self.level());
        self.rungs.rebase(&old, &source, &self.config);
        self.interrupt();
        let direction = match self.level() {
            now if now > level => Direction::Down,
            now if now < level => Direction::Up,
            _ => return,
        };
        let to = self.step();
        self.tell(Change { from, to, cause: Cause::Source, direction });
    }

    /// What became of a picture. `now` is when it was encoded.
    pub fn handle_frame(&mut self, now: Instant, report: FrameReport) {
        let now = self.advance(now);
        let Some(source) = self.source else { return };
        self.drops.0 += 1;
        self.drops.1 += u32::from(report.skipped);
        // The first one opens the window, and its time was before it.
        for gauge in [&mut self.cpu, &mut self.network] {
            match &mut gauge.window {
                Some(window) => window.add(&report),
                None => gauge.window = Some(Window::new(now)),
            }
        }
        self.close_cpu_window(now, &source);
        self.close_network_window(now, &source);
    }

    /// What the path takes, as the session found it. The bitrate follows at once.
    pub fn handle_target(&mut self, now: Instant, target: Bitrate) {
        self.advance(now);
        let cause = NetworkCause::Bitrate;
        self.queue.handle_target(target);
        self.stats.target = target;
        self.tell_bitrate(cause);
    }

    /// How long what waits to be sent will take.
    ///
    /// For whoever has no other control of it, such as a publisher over RTP. Where the
    /// target comes of a session it is not to be called: that target reckons with what
    /// waits already, and the queue would be paid for twice. The facade `paceline` does not.
    pub fn handle_queue(&mut self, now: Instant, delay: Duration) {
        let now = self.advance(now);
        if self.queue.handle_delay(now, delay, &self.config) {
            self.stats.queue_cuts += 1;
        }
        self.tell_bitrate(NetworkCause::Queue);
    }

    /// Lets time pass. Calling it early or twice does nothing.
    pub fn handle_timeout(&mut self, now: Instant) {
        let now = self.advance(now);
        self.queue.handle_timeout(now, &self.config);
        self.tell_bitrate(NetworkCause::Queue);
    }

    /// What the encoder is to do with the next picture.
    #[must_use]
    pub fn step(&self) -> Step {
        let Some(source) = &self.source else {
            return Step { bitrate: self.bitrate(), ..Step::default() };
        };
        self.step_of(source)
    }

    /// Takes a change that was made, the oldest first. All that is to be done is in
    /// [`step`](Self::step): this is for events and logs. A bitrate that moves by less than
    /// a tenth is no change. Of more than 16 that nobody takes the oldest are dropped.
    #[must_use]
    pub fn poll_output(&mut self) -> Option<Change> {
        self.changes.pop_front()
    }

    /// When [`handle_timeout`](Self::handle_timeout) is next of use: only while the bitrate
    /// recovers from a cut. All else happens when a picture is encoded.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.queue.poll_timeout(&self.config)
    }

    /// What has happened so far.
    #[must_use]
    pub fn stats(&self) -> LadderStats {
        let level = self.level();
        let cpu_level = self.rungs.len(Side::Cpu);
        LadderStats { level, cpu_level, network_level: level - cpu_level, ..self.stats }
    }

    /// Rungs below the best: 0 is the source as it is.
    #[must_use]
    pub fn level(&self) -> usize {
        self.rungs.len(Side::Cpu) + self.rungs.len(Side::Network)
    }

    fn close_cpu_window(&mut self, now: Instant, source: &Source) {
        let Some(window) = self.cpu.window else { return };
        if now.saturating_duration_since(window.since) < self.config.window || window.frames() == 0
        {
            return;
        }
        self.cpu.window = Some(Window::new(now));
        let busy = window.usage(now);
        let usage = window.usage_at(self.rungs.frame_rate(source));
        self.stats.usage = busy;
        self.usage = Some(usage);

        let over = busy >= self.config.max_usage;
        self.cpu.over = if over { self.cpu.over.saturating_add(1) } else { 0 };
        let roomy = !over
            && self.rungs.cost_of_return(Side::Cpu).is_some_and(|cost| {
                let coarser =
                    self.stats.qp.is_some_and(|qp| self.after(qp, cost.pixels) > self.qp_high());
                usage * cost.work <= self.config.headroom && !coarser
            });
        let may_rise = self.cpu.back_off.handle_window(window.since, now, roomy);
        if !self.may_step(now) {
            return;
        }
        if self.cpu.over >= self.config.in_a_row {
            self.go_down(now, source, Side::Cpu, Cause::Cpu);
        } else if may_rise {
            self.go_up(now, Side::Cpu, Cause::Cpu);
        }
    }

    fn close_network_window(&mut self, now: Instant, source: &Source) {
        let dropping = self.drops.0 >= self.config.drop_frames && {
            let (frames, skipped) = std::mem::take(&mut self.drops);
            f64::from(skipped) > self.config.drop_share * f64::from(frames)
        };
        if dropping && self.may_step(now) {
            let cause = Cause::Network(NetworkCause::Drops);
            self.go_down(now, source, Side::Network, cause);
            return;
        }
        let Some(window) = self.network.window else { return };
        let span = now.saturating_duration_since(window.since);
        if span < self.config.qp_window || window.frames() < MIN_QP_FRAMES {
            return;
        }
        self.network.window = Some(Window::new(now));
        let qp = window.qp();
        self.stats.qp = qp;

        let over = qp.is_some_and(|qp| qp > self.qp_high());
        self.network.over = if over { self.network.over.saturating_add(1) } else { 0 };
        let roomy = !over && self.path_has_room(&window, qp, now);
        let may_rise = self.network.back_off.handle_window(window.since, now, roomy);
        if !self.may_step(now) {
            return;
        }
        let cause = Cause::Network(NetworkCause::Qp);
        if self.network.over >= self.config.in_a_row {
            self.go_down(now, source, Side::Network, cause);
        } else if may_rise {
            self.go_up(now, Side::Network, cause);
        }
    }

    /// Whether the path, and then the machine, would bear one rung less.
    fn path_has_room(&self, window: &Window, qp: Option<f64>, now: Instant) -> bool {
        let Some(cost) = self.rungs.cost_of_return(Side::Network) else { return false };
        let fine = qp.map_or(window.skipped() == 0.0, |qp| {
            let low = f64::from(self.config.qp_low);
            qp <= low && self.after(qp, cost.pixels) <= (low + self.qp_high()) / 2.0
        });
        let within = window.bits_per_second(now) <= self.bitrate().bps() as f64 * OVERSHOOT;
        fine && within
            && window.skipped() <= FEW_SKIPPED
            && !self.queue.is_limiting()
            && self.usage.is_some_and(|usage| usage * cost.work < self.config.max_usage)
    }

    /// The quantizer once there are `pixels` times as many to encode in as many bits. One step
    /// of H.264's doubles every 6; the other scales are as many times wider as their
    /// thresholds are apart.
    fn after(&self, qp: f64, pixels: f64) -> f64 {
        let doubling = (self.qp_high() - f64::from(self.config.qp_low)) * H264_DOUBLING;
        qp + doubling * pixels.log2()
    }

    fn qp_high(&self) -> f64 {
        self.config.qp_high.into()
    }

    fn may_step(&self, now: Instant) -> bool {
        self.last_step.is_none_or(|last| now.saturating_duration_since(last) >= self.config.hold)
    }

    fn go_down(&mut self, now: Instant, source: &Source, side: Side, cause: Cause) {
        let from = self.step();
        if !self.rungs.take(side, source, &self.config) {
            return;
        }
        // What one side was given back may be what the other is now short of.
        for gauge in [&mut self.cpu, &mut self.network] {
            self.stats.undone += u64::from(gauge.back_off.handle_down(now));
        }
        match cause {
            Cause::Cpu => self.stats.down_cpu += 1,
            Cause::Network(NetworkCause::Drops) => self.stats.down_drops += 1,
            _ => self.stats.down_qp += 1,
        }
        self.made(now, Change { from, to: self.step(), cause, direction: Direction::Down });
    }

    fn go_up(&mut self, now: Instant, side: Side, cause: Cause) {
        let from = self.step();
        if !self.rungs.give_back(side) {
            return;
        }
        self.gauge(side).back_off.handle_up(now);
        self.stats.up += 1;
        self.made(now, Change { from, to: self.step(), cause, direction: Direction::Up });
    }

    fn made(&mut self, now: Instant, change: Change) {
        self.last_step = Some(now);
        self.interrupt();
        self.tell(change);
    }

    fn interrupt(&mut self) {
        self.cpu.interrupt();
        self.network.interrupt();
        self.drops = (0, 0);
        self.usage = None;
        self.stats.qp = None;
    }

    fn tell(&mut self, change: Change) {
        self.told = change.to.bitrate;
        if self.changes.len() >= MAX_CHANGES {
            self.changes.pop_front();
            self.stats.unread += 1;
        }
        self.changes.push_back(change);
    }

    fn tell_bitrate(&mut self, cause: NetworkCause) {
        let to = self.step();
        let (old, new) = (self.told.bps(), to.bitrate.bps());
        if old.abs_diff(new) < (old / TELLING).max(1) {
            return;
        }
        let from = Step { bitrate: self.told, ..to };
        let direction = if new < old { Direction::Down } else { Direction::Up };
        self.tell(Change { from, to, cause: Cause::Network(cause), direction });
    }

    fn step_of(&self, source: &Source) -> Step {
        Step {
            size: self.rungs.size(source),
            frame_rate: self.rungs.frame_rate(source),
            bitrate: self.bitrate(),
            content: self.rungs.content(source),
        }
    }

    fn bitrate(&self) -> Bitrate {
        let bps = (self.queue.bitrate().bps() as f64 * self.rungs.bitrate()) as u64;
        let (min, max) = (self.config.min_bitrate.bps(), self.config.max_bitrate.bps());
        Bitrate::from_bps(bps.clamp(min, max))
    }

    fn gauge(&mut self, side: Side) -> &mut Gauge {
        match side {
            Side::Cpu => &mut self.cpu,
            Side::Network => &mut self.network,
        }
    }

    fn advance(&mut self, now: Instant) -> Instant {
        let now = self.now.map_or(now, |last| last.max(now));
        self.now = Some(now);
        now
    }
}

/// Changes that wait to be polled: more than there can be between two pictures.
const MAX_CHANGES: usize = 16;
/// A mean of fewer quantizers is of one scene, or of a key frame.
const MIN_QP_FRAMES: u32 = 10;
/// ITU-T H.264 §8.5.9 (scaling by 2^(qP/6)), as a part of the 13 between libwebrtc's
/// thresholds: so many for each doubling.
const H264_DOUBLING: f64 = 6.0 / 13.0;
/// Bits that come out may be so many times the target without being too many: a key frame
/// that a peer asked for is within a window, too.
const OVERSHOOT: f64 = 1.5;
/// One picture of ten skipped is what a key frame may cause.
const FEW_SKIPPED: f64 = 0.1;
/// A bitrate is told when it has moved by one part of these.
const TELLING: u64 = 10;
