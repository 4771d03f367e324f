//! Who is compared: each makes a host and its viewers in this process, over sockets of
//! 127.0.0.1, and hands signals over in memory.

mod bare;
mod engine;
mod paceline;
mod sans_io;
mod transport;
mod tuned;

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use crate::places::Places;
use crate::record::Recorder;

/// The systems, in the order of the tables.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Contender {
    Bare,
    Tuned,
    Batched,
    Str0m,
    Transport,
    Paceline,
}

impl Contender {
    pub(crate) const ALL: [Self; 6] =
        [Self::Bare, Self::Tuned, Self::Batched, Self::Str0m, Self::Transport, Self::Paceline];

    /// Those that are compared unless others are asked for.
    pub(crate) const USUAL: [Self; 4] = [Self::Bare, Self::Tuned, Self::Str0m, Self::Paceline];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Bare => "bare",
            Self::Tuned => "tuned",
            Self::Batched => "batched",
            Self::Str0m => "str0m",
            Self::Transport => "transport",
            Self::Paceline => "paceline",
        }
    }
}

/// What a join is made of.
#[derive(Clone, Debug)]
pub(crate) struct Scene {
    pub(crate) viewers: usize,
    pub(crate) places: Places,
    pub(crate) recorder: Arc<Recorder>,
    /// Whether one viewer is to be sent as much as goes, so that an engine without a limit
    /// needs one.
    pub(crate) bulk: bool,
}

/// The viewers and their host, as far as they came.
pub(crate) struct Joined {
    pub(crate) fan: Box<dyn Fan>,
    /// From the start until both ends of a channel were open, for each viewer that got
    /// there, in milliseconds, sorted.
    pub(crate) open_ms: Vec<f64>,
    /// The same until both ends had said hello, where there is such a thing.
    pub(crate) hello_ms: Vec<f64>,
}

/// The sending end.
#[async_trait]
pub(crate) trait Fan: Send {
    /// Sends a message to every viewer. Whoever does not take it is passed over and counted.
    async fn send(&mut self, message: &Bytes);

    /// Lets the host work until then.
    async fn run_until(&mut self, until: Instant);

    /// Sends the message to the only viewer, again and again, as fast as it takes them.
    async fn flood(&mut self, message: &Bytes, until: Instant);

    /// Bytes that the host holds for each viewer, its engine's included.
    async fn held(&mut self) -> Vec<usize>;

    /// Messages that a viewer did not take, and viewers that were given up, so far.
    fn losses(&self) -> Losses;
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Losses {
    pub(crate) refused: u64,
    pub(crate) evicted: u64,
}

/// Makes the host and lets all viewers join at once.
pub(crate) async fn join(who: Contender, scene: &Scene) -> Result<Joined, String> {
    match who {
        Contender::Bare => bare::join(scene, false, None).await,
        Contender::Tuned => bare::join(scene, true, None).await,
        Contender::Batched => bare::join(scene, true, Some(BATCH)).await,
        Contender::Str0m => sans_io::join(scene).await,
        Contender::Transport => transport::join(scene).await,
        Contender::Paceline => paceline::join(scene).await,
    }
}

/// Which end of a viewer's connection has got where, and when.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Step {
    HostOpen,
    ViewerOpen,
    HostHello,
    ViewerHello,
}

/// Collects the steps of all viewers.
#[derive(Debug)]
pub(crate) struct Gate {
    start: Instant,
    steps: mpsc::UnboundedReceiver<(usize, Step, Instant)>,
    tell: Teller,
    seen: Vec<[Option<Duration>; 4]>,
    left: usize,
}

/// Tells the gate.
#[derive(Clone, Debug)]
pub(crate) struct Teller(mpsc::UnboundedSender<(usize, Step, Instant)>);

impl Teller {
    pub(crate) fn tell(&self, viewer: usize, step: Step) {
        // After the join nobody wants to know.
        let _ = self.0.send((viewer, step, Instant::now()));
    }
}

impl Gate {
    /// `steps` of the four have to come for each viewer.
    pub(crate) fn new(viewers: usize, steps: usize) -> Self {
        let (tell, receiver) = mpsc::unbounded_channel();
        let seen = vec![[None; 4]; viewers];
        let left = viewers * steps;
        Self { start: Instant::now(), steps: receiver, tell: Teller(tell), seen, left }
    }

    pub(crate) fn teller(&self) -> Teller {
        self.tell.clone()
    }

    /// Waits until all have come, or the patience is at its end. Cancel-safe.
    pub(crate) async fn wait(&mut self) {
        let deadline = tokio::time::Instant::from_std(self.start + PATIENCE);
        while self.left > 0 {
            match tokio::time::timeout_at(deadline, self.steps.recv()).await {
                Ok(Some(step)) => self.note(step),
                _ => return,
            }
        }
    }

    fn note(&mut self, (viewer, step, at): (usize, Step, Instant)) {
        let slot = self.seen.get_mut(viewer).and_then(|seen| seen.get_mut(step as usize));
        if let Some(slot @ None) = slot {
            *slot = Some(at.saturating_duration_since(self.start));
            self.left -= 1;
        }
    }

    /// When both ends had got there, sorted.
    pub(crate) fn times(&self, [host, viewer]: [Step; 2]) -> Vec<f64> {
        let both = |seen: &[Option<Duration>; 4]| {
            Some(seen[host as usize]?.max(seen[viewer as usize]?).as_secs_f64() * 1e3)
        };
        let mut times: Vec<f64> = self.seen.iter().filter_map(both).collect();
        times.sort_by(f64::total_cmp);
        times
    }
}

/// The steps that every contender has.
pub(crate) const OPEN: [Step; 2] = [Step::HostOpen, Step::ViewerOpen];
/// The steps that only ours has.
pub(crate) const HELLO: [Step; 2] = [Step::HostHello, Step::ViewerHello];

/// Datagrams of one send of `batched`: what a message of 4 KiB is cut into.
const BATCH: usize = 4;

/// How long a join may take before what is missing is a failure: ten times the slowest seen.
const PATIENCE: Duration = Duration::from_secs(15);

/// Sleeps until an instant of the standard clock.
pub(crate) async fn sleep_until(at: Instant) {
    tokio::time::sleep_until(tokio::time::Instant::from_std(at)).await;
}
