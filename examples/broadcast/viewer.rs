//! One viewer: takes what comes, and counts it.

use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use paceline::types::{NtpTime, PeerId, WallClock};
use paceline::{BroadcastConfig, Viewer, ViewerEvent};
use tokio::sync::{mpsc, watch};

use crate::system;
use crate::tally::{self, Tally};

/// What a viewer is to do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Order {
    /// Take what was sent before `end`, then leave.
    Finish {
        end: u64,
    },
    Leave,
    /// Take nothing.
    Stall,
    Watch,
}

/// Where a viewer stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum State {
    Joining,
    Watching,
    Stalled,
    Interrupted,
    Gone,
}

/// What is shown of a viewer while it runs.
#[derive(Debug, Default)]
pub(crate) struct Live {
    state: AtomicU8,
    pub(crate) delivered: AtomicU64,
    /// The latest, in microseconds.
    pub(crate) latency: AtomicU32,
}

impl Live {
    pub(crate) fn state(&self) -> State {
        match self.state.load(Ordering::Relaxed) {
            0 => State::Joining,
            1 => State::Watching,
            2 => State::Stalled,
            3 => State::Interrupted,
            _ => State::Gone,
        }
    }

    fn set(&self, state: State) {
        self.state.store(state as u8, Ordering::Relaxed);
    }
}

/// How the join of a seat went.
pub(crate) type Joined = (usize, Outcome);

/// How a join went.
#[derive(Clone, Debug)]
pub(crate) enum Outcome {
    /// It did not come about, and why.
    Failed(String),
    /// The channel was open then.
    There(PeerId, Instant),
    /// It was told to leave before.
    Told,
}

/// What a viewer works with.
#[derive(Debug)]
pub(crate) struct Task {
    pub(crate) seat: usize,
    pub(crate) url: String,
    pub(crate) config: BroadcastConfig,
    pub(crate) wall: WallClock,
    /// When viewers stalled, if they have.
    pub(crate) stalled: Arc<OnceLock<NtpTime>>,
    pub(crate) orders: watch::Receiver<Order>,
    pub(crate) live: Arc<Live>,
    pub(crate) joined: mpsc::UnboundedSender<Joined>,
}

impl Task {
    /// Joins, watches until told otherwise, leaves. What came is returned with its seat.
    pub(crate) async fn run(mut self) -> (usize, Tally) {
        let name = format!("viewer {}", self.seat + 1);
        let joining = Viewer::builder(&self.url).name(name).config(self.config.clone()).join();
        let joined = tokio::select! {
            joined = joining => Some(joined),
            () = told_to_end(&mut self.orders) => None,
        };
        let mut tally = Tally::new();
        let outcome = match &joined {
            Some(Ok(viewer)) => Outcome::There(viewer.peer(), system::now()),
            Some(Err(error)) => Outcome::Failed(error.to_string()),
            None => Outcome::Told,
        };
        // Whoever ended it all listens no more.
        let _ = self.joined.send((self.seat, outcome));
        if let Some(Ok(mut viewer)) = joined {
            self.live.set(State::Watching);
            self.watch(&mut viewer, &mut tally).await;
            viewer.leave().await;
        }
        self.live.set(State::Gone);
        (self.seat, tally)
    }

    async fn watch(&mut self, viewer: &mut Viewer, tally: &mut Tally) {
        loop {
            let order = *self.orders.borrow_and_update();
            let patience = match order {
                Order::Leave => return,
                Order::Finish { end } if tally.newest().is_some_and(|newest| newest + 1 >= end) => {
                    return;
                }
                Order::Finish { .. } if self.live.state() == State::Stalled => return,
                Order::Finish { .. } => DRAIN,
                Order::Stall => {
                    self.live.set(State::Stalled);
                    if self.orders.changed().await.is_err() {
                        return;
                    }
                    continue;
                }
                Order::Watch => Duration::MAX,
            };
            tokio::select! {
                changed = self.orders.changed() => if changed.is_err() { return },
                event = viewer.next() => match event {
                    Some(event) => self.handle(event, tally),
                    None => return,
                },
                () = tokio::time::sleep(patience) => return,
            }
        }
    }

    fn handle(&self, event: ViewerEvent, tally: &mut Tally) {
        let (seq, sent) = match event {
            ViewerEvent::Message { data, .. } => match tally::read(&data) {
                Some(stamp) => stamp,
                None => return,
            },
            ViewerEvent::Frame(frame) => (frame.seq.get(), frame.capture),
            ViewerEvent::Interrupted { .. } => return self.live.set(State::Interrupted),
            ViewerEvent::Reconnected => return self.live.set(State::Watching),
            // What is lost is missing.
            _ => return,
        };
        tally.handle(seq, sent, self.wall.at(system::now()), self.stalled.get().copied());
        self.live.delivered.store(tally.delivered, Ordering::Relaxed);
        self.live.latency.store(tally.latest, Ordering::Relaxed);
    }
}

/// Waits until nothing more is to be watched.
async fn told_to_end(orders: &mut watch::Receiver<Order>) {
    let ends = |order: &Order| matches!(order, Order::Finish { .. } | Order::Leave);
    if orders.wait_for(ends).await.is_err() {
        std::future::pending().await
    }
}

/// How long nothing may come before what has not come counts as lost: SCTP sends again
/// after a second (RFC 9260 §16), and once more after two.
const DRAIN: Duration = Duration::from_secs(4);
