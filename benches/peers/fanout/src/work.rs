//! What one child process does for one contender.

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tokio::runtime::{Builder, Handle};

use crate::contender::{Contender, Fan, Joined, Scene, join};
use crate::places::{Freezer, Places};
use crate::record::{Recorder, quantile};
use crate::usage::{Cpu, allocations, monotonic_s, peak_kib, resident_kib};

/// One thing to do.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub(crate) struct Job {
    pub(crate) who: Contender,
    pub(crate) viewers: usize,
    pub(crate) what: Work,
}

#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub(crate) enum Work {
    /// One viewer gets messages of `bytes` as fast as they go.
    Bulk { bytes: usize, seconds: f64 },
    /// All get `rate` messages of `bytes` a second.
    Fanout { rate: f64, bytes: usize, seconds: f64 },
    /// They only join.
    Join,
    /// The same as a fan-out while no, one or half of the viewers stand still in turn; then
    /// half of them for `hold` seconds.
    Stall { rate: f64, bytes: usize, seconds: f64, rounds: usize, hold: f64 },
}

impl Work {
    /// How long it takes beside the join.
    fn seconds(self) -> f64 {
        match self {
            Self::Bulk { seconds, .. } | Self::Fanout { seconds, .. } => seconds,
            Self::Join => 0.0,
            Self::Stall { seconds, rounds, hold, .. } => {
                (rounds * 3) as f64 * (seconds + SETTLE.as_secs_f64()) + hold
            }
        }
    }
}

/// What came of it. Times in milliseconds if not said otherwise.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct Outcome {
    pub(crate) open_p50: Option<f64>,
    pub(crate) open_p99: Option<f64>,
    pub(crate) open_all: Option<f64>,
    pub(crate) hello_all: Option<f64>,
    /// Viewers whose channel was not open in time.
    pub(crate) failures: f64,
    pub(crate) user_s: f64,
    pub(crate) system_s: f64,
    pub(crate) cpu_s: f64,
    /// Voluntary context switches.
    pub(crate) waits: f64,
    pub(crate) peak_mib: f64,
    pub(crate) delivered: f64,
    pub(crate) lost: f64,
    pub(crate) reordered: f64,
    pub(crate) refused: f64,
    pub(crate) evicted: f64,
    /// Processor time for each delivered message, in microseconds.
    pub(crate) cpu_us: Option<f64>,
    pub(crate) waits_per_message: Option<f64>,
    pub(crate) allocations_per_message: Option<f64>,
    /// Messages that were sent, of those that the rate asks for.
    pub(crate) sent_percent: Option<f64>,
    /// When the stretch that is measured began and ended, in seconds of `CLOCK_MONOTONIC`.
    pub(crate) window: Option<[f64; 2]>,
    pub(crate) latency_p50: Option<f64>,
    pub(crate) latency_p99: Option<f64>,
    pub(crate) mb_per_s: Option<f64>,
    pub(crate) cpu_s_per_gb: Option<f64>,
    /// The healthy viewers' p99 in each round, with none, one and half standing still.
    pub(crate) stalls: Vec<[f64; 3]>,
    /// Messages that healthy viewers did not get during all that.
    pub(crate) healthy_lost: f64,
    /// The most that the host held for one viewer that stood still, and their mean, in KiB.
    pub(crate) held_max_kib: Option<f64>,
    pub(crate) held_mean_kib: Option<f64>,
    /// What the process grew by meanwhile, for each of them, in KiB.
    pub(crate) grown_kib: Option<f64>,
}

/// Does the job on a runtime of its own.
pub(crate) fn run(job: Job) -> Result<Outcome, Box<dyn Error>> {
    let runtime = Builder::new_multi_thread().enable_all().build()?;
    let patience = Duration::from_secs_f64(job.what.seconds()) + WATCHDOG;
    let work = async move {
        // A task as any other: the main thread is no worker.
        let task = tokio::spawn(async move { work(job).await.map_err(|error| error.to_string()) });
        tokio::time::timeout(patience, task).await
    };
    let outcome = runtime.block_on(work).map_err(|_| "it is stuck")???;
    // Thousands of tasks and sockets: the kernel is quicker.
    std::mem::forget(runtime);
    Ok(outcome)
}

type Failure = Box<dyn Error + Send + Sync>;

async fn work(job: Job) -> Result<Outcome, Failure> {
    let recorder = Arc::new(Recorder::new(job.viewers));
    let stalls = matches!(job.what, Work::Stall { .. });
    let freezers = if stalls { vec![Freezer::new()?, Freezer::new()?] } else { Vec::new() };
    let below = [1, job.viewers / 2];
    let apart = below.into_iter().zip(freezers.iter().map(|freezer| freezer.handle.clone()));
    let places = Places { apart: apart.collect(), main: Handle::current() };
    let bulk = matches!(job.what, Work::Bulk { .. });
    let scene = Scene { viewers: job.viewers, places, recorder: Arc::clone(&recorder), bulk };

    let before = Cpu::now();
    let Joined { mut fan, open_ms, hello_ms } = join(job.who, &scene).await?;
    let mut outcome = Outcome::default();
    outcome.spend(Cpu::now().since(before));
    outcome.failures = (job.viewers - open_ms.len()) as f64;
    if !open_ms.is_empty() {
        outcome.open_p50 = Some(quantile(&open_ms, 0.5));
        outcome.open_p99 = Some(quantile(&open_ms, 0.99));
        outcome.open_all = open_ms.last().copied();
    }
    outcome.hello_all = hello_ms.last().copied();
    match job.what {
        Work::Join => {}
        Work::Bulk { bytes, seconds } => {
            outcome.bulk(&mut *fan, &recorder, bytes, seconds).await;
        }
        Work::Fanout { rate, bytes, seconds } => {
            let mut pace = Pace::new(Arc::clone(&recorder), rate, bytes);
            pace.run(&mut *fan, 0, SETTLE).await;
            let (start, losses) = (Cpu::now(), fan.losses());
            let (began, allocated) = (monotonic_s(), allocations());
            let sent = pace.run(&mut *fan, 1, Duration::from_secs_f64(seconds)).await;
            drain(&mut *fan, &recorder, sent * job.viewers as u64).await;
            outcome.spend(Cpu::now().since(start));
            outcome.window = Some([began, monotonic_s()]);
            outcome.sent_percent = Some(100.0 * sent as f64 / (rate * seconds));
            let latencies = recorder.latencies(1, 0);
            outcome.delivered = latencies.len() as f64;
            outcome.lost = (sent * job.viewers as u64) as f64 - outcome.delivered;
            outcome.refused = (fan.losses().refused - losses.refused) as f64;
            if outcome.delivered > 0.0 {
                outcome.cpu_us = Some(1e6 * outcome.cpu_s / outcome.delivered);
                outcome.waits_per_message = Some(outcome.waits / outcome.delivered);
                let allocated = allocations().zip(allocated).map(|(now, then)| now - then);
                outcome.allocations_per_message = allocated.map(|all| all / outcome.delivered);
                outcome.latency_p50 = Some(f64::from(quantile(&latencies, 0.5)) / 1e3);
                outcome.latency_p99 = Some(f64::from(quantile(&latencies, 0.99)) / 1e3);
            }
        }
        Work::Stall { rate, bytes, seconds, rounds, hold } => {
            let seconds = Duration::from_secs_f64(seconds);
            let mut pace = Pace::new(Arc::clone(&recorder), rate, bytes);
            let stage = Stage { freezers: &freezers, recorder: &recorder, viewers: job.viewers };
            outcome.stalls(&mut *fan, &mut pace, stage, rounds, seconds).await;
            outcome.hold(&mut *fan, &mut pace, stage, Duration::from_secs_f64(hold)).await;
        }
    }
    outcome.reordered = recorder.reordered() as f64;
    outcome.evicted = fan.losses().evicted as f64;
    outcome.peak_mib = peak_kib() / 1024.0;
    // Closing thousands of sockets in order is not what is measured.
    std::mem::forget(fan);
    Ok(outcome)
}

/// What the rounds with viewers that stand still are played on.
#[derive(Clone, Copy)]
struct Stage<'a> {
    freezers: &'a [Freezer],
    recorder: &'a Recorder,
    viewers: usize,
}

impl Outcome {
    fn spend(&mut self, cpu: Cpu) {
        self.user_s = cpu.user_s;
        self.system_s = cpu.system_s;
        self.cpu_s = cpu.seconds();
        self.waits = cpu.waits;
    }

    async fn bulk(&mut self, fan: &mut dyn Fan, recorder: &Recorder, bytes: usize, seconds: f64) {
        // Opens the congestion window before the clock runs.
        let message = recorder.message(0, 0, bytes);
        fan.flood(&message, Instant::now() + SETTLE).await;
        let (cpu, start, had) = (Cpu::now(), Instant::now(), recorder.bytes(0));
        fan.flood(&message, start + Duration::from_secs_f64(seconds)).await;
        let received = (recorder.bytes(0) - had) as f64;
        let elapsed = start.elapsed().as_secs_f64();
        self.spend(Cpu::now().since(cpu));
        self.delivered = received / bytes as f64;
        self.mb_per_s = Some(received / 1e6 / elapsed);
        self.cpu_s_per_gb = (received > 0.0).then(|| self.cpu_s / (received / 1e9));
    }

    async fn stalls(
        &mut self,
        fan: &mut dyn Fan,
        pace: &mut Pace,
        stage: Stage<'_>,
        rounds: usize,
        seconds: Duration,
    ) {
        let healthy = stage.viewers / 2;
        pace.run(fan, 0, SETTLE).await;
        let mut phase = 0;
        for round in 0..rounds {
            let mut p99 = [f64::NAN; 3];
            // Each round begins with another of the three, so that none is always first.
            for stalled in (0..3).map(|turn| (turn + round) % 3) {
                phase += 1;
                let mut frozen = Vec::new();
                for freezer in &stage.freezers[..stalled] {
                    frozen.push(freezer.freeze().await);
                }
                let sent = pace.run(fan, phase, seconds).await;
                drop(frozen);
                // What waited for the viewers that stood still goes now.
                pace.run(fan, 0, SETTLE).await;
                let latencies = stage.recorder.latencies(phase, healthy);
                let due = sent * (stage.viewers - healthy) as u64;
                self.healthy_lost += due as f64 - latencies.len() as f64;
                p99[stalled] = f64::from(quantile(&latencies, 0.99)) / 1e3;
            }
            self.stalls.push(p99);
        }
    }

    async fn hold(&mut self, fan: &mut dyn Fan, pace: &mut Pace, stage: Stage<'_>, hold: Duration) {
        let stalled = stage.viewers / 2;
        if stalled == 0 || hold.is_zero() {
            return;
        }
        let before = resident_kib();
        let (evicted, mut most, mut mean) = (fan.losses().evicted, 0, 0.0_f64);
        let mut frozen = Vec::new();
        for freezer in stage.freezers {
            frozen.push(freezer.freeze().await);
        }
        let end = Instant::now() + hold;
        while Instant::now() < end {
            pace.run(fan, 0, LOOK).await;
            let held = fan.held().await;
            let held = &held[..stalled];
            most = most.max(held.iter().copied().max().unwrap_or(0));
            mean = mean.max(held.iter().sum::<usize>() as f64 / stalled as f64);
        }
        self.held_max_kib = Some(most as f64 / 1024.0);
        self.held_mean_kib = Some(mean / 1024.0);
        self.grown_kib = Some((resident_kib() - before) / stalled as f64);
        self.evicted = (fan.losses().evicted - evicted) as f64;
    }
}

/// Sends at a rate, on a grid that a late send does not shift.
struct Pace {
    recorder: Arc<Recorder>,
    interval: Duration,
    bytes: usize,
    next: Instant,
    number: u64,
}

impl Pace {
    fn new(recorder: Arc<Recorder>, rate: f64, bytes: usize) -> Self {
        let interval = Duration::from_secs_f64(1.0 / rate);
        Self { recorder, interval, bytes, next: Instant::now(), number: 0 }
    }

    /// Sends for so long, and returns how many messages that were.
    async fn run(&mut self, fan: &mut dyn Fan, phase: u16, duration: Duration) -> u64 {
        let end = Instant::now() + duration;
        let before = self.number;
        loop {
            self.next = (self.next + self.interval).max(Instant::now() - self.interval);
            if self.next >= end {
                self.next = end;
                fan.run_until(end).await;
                return self.number - before;
            }
            fan.run_until(self.next).await;
            let message = self.recorder.message(phase, self.number, self.bytes);
            self.number += 1;
            fan.send(&message).await;
        }
    }
}

/// Waits until all that was sent has come, or nothing more comes.
async fn drain(fan: &mut dyn Fan, recorder: &Recorder, expected: u64) {
    let mut last = (recorder.counted(), Instant::now());
    while recorder.counted() < expected && last.1.elapsed() < GIVE_UP {
        fan.run_until(Instant::now() + Duration::from_millis(5)).await;
        if recorder.counted() > last.0 {
            last = (recorder.counted(), Instant::now());
        }
    }
}

/// What a job may take beyond its time: joining, draining, and a machine that has more to do.
const WATCHDOG: Duration = Duration::from_secs(60);
/// Before a measurement: congestion windows open, caches fill.
const SETTLE: Duration = Duration::from_millis(250);
/// Between two looks at what is held.
const LOOK: Duration = Duration::from_millis(100);
/// A message that takes longer is lost: five times the first retransmission timeout of SCTP.
const GIVE_UP: Duration = Duration::from_secs(5);
