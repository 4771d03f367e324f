//! The viewers of this process: who comes, who goes, and what each got.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::future::pending;
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use paceline::types::{NtpTime, PeerId, WallClock};
use paceline::{BroadcastConfig, PublisherStats};
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinError, JoinSet};

use crate::histogram::Histogram;
use crate::screen::Row;
use crate::system;
use crate::tally::{Tally, Totals};
use crate::viewer::{Joined, Live, Order, Outcome, State, Task};

/// What every viewer needs.
#[derive(Clone, Debug)]
pub(crate) struct Invitation {
    pub(crate) url: String,
    pub(crate) config: BroadcastConfig,
    pub(crate) wall: WallClock,
}

/// A viewer's place in this process.
struct Seat {
    orders: watch::Sender<Order>,
    live: Arc<Live>,
    peer: Option<PeerId>,
    began: Instant,
    stalls: bool,
    /// It was told to leave before the end.
    left: bool,
    /// It came at the beginning, with all others.
    first: bool,
    /// What came, once it is over.
    tally: Option<Tally>,
}

/// Everybody who watches. Who has left is in the totals alone.
pub(crate) struct Audience {
    invitation: Invitation,
    /// How many are to stall.
    stall: usize,
    /// The publisher is in this process, and so it is known what everybody was to get.
    publishes: bool,
    /// What comes begins with a keyframe.
    keyed: bool,
    seats: BTreeMap<usize, Seat>,
    /// How many there were.
    seated: usize,
    tasks: JoinSet<(usize, Tally)>,
    joined: mpsc::UnboundedReceiver<Joined>,
    join: mpsc::UnboundedSender<Joined>,
    /// Joins that have not come to an end.
    joining: usize,
    /// How long each of the first took, in microseconds.
    pub(crate) open: Histogram,
    pub(crate) open_all: Option<Duration>,
    pub(crate) failed: usize,
    /// Why the first of them failed.
    pub(crate) failure: Option<String>,
    /// The next number when the publisher told that somebody is ready.
    ready: BTreeMap<PeerId, u64>,
    /// How often it told so.
    pub(crate) came: usize,
    /// Who leaves next.
    oldest: VecDeque<usize>,
    /// When viewers stalled, if they have.
    stalled: Arc<OnceLock<NtpTime>>,
    pub(crate) evicted: usize,
    /// What those got who are not here any more.
    pub(crate) totals: Totals,
}

/// Something about a viewer.
pub(crate) enum Change {
    Done(Result<(usize, Tally), JoinError>),
    Joined(Joined),
}

impl Audience {
    pub(crate) fn new(invitation: Invitation, stall: usize, publishes: bool, keyed: bool) -> Self {
        let (join, joined) = mpsc::unbounded_channel();
        Self {
            invitation,
            stall,
            publishes,
            keyed,
            seats: BTreeMap::new(),
            seated: 0,
            tasks: JoinSet::new(),
            joined,
            join,
            joining: 0,
            open: Histogram::new(),
            open_all: None,
            failed: 0,
            failure: None,
            ready: BTreeMap::new(),
            came: 0,
            oldest: VecDeque::new(),
            stalled: Arc::default(),
            evicted: 0,
            totals: Totals::default(),
        }
    }

    /// Lets one more viewer join; the first come all at once.
    pub(crate) fn seat(&mut self, first: bool) {
        let (orders, told) = watch::channel(Order::Watch);
        let (seat, live) = (self.seated, Arc::new(Live::default()));
        let Invitation { url, config, wall } = self.invitation.clone();
        let began = system::now();
        self.tasks.spawn(
            Task {
                seat,
                url,
                config,
                wall,
                stalled: Arc::clone(&self.stalled),
                orders: told,
                live: Arc::clone(&live),
                joined: self.join.clone(),
            }
            .run(),
        );
        self.joining += 1;
        self.seated += 1;
        let stalls = first && seat < self.stall;
        if !stalls {
            self.oldest.push_back(seat);
        }
        let (peer, left, tally) = (None, false, None);
        self.seats.insert(seat, Seat { orders, live, peer, began, stalls, left, first, tally });
    }

    /// Waits for the next change. Cancel-safe.
    pub(crate) async fn next(&mut self) -> Change {
        tokio::select! {
            Some(joined) = self.joined.recv() => Change::Joined(joined),
            Some(done) = self.tasks.join_next() => Change::Done(done),
            else => pending().await,
        }
    }

    /// How the join of a seat went; what to tell of it.
    pub(crate) fn handle_joined(&mut self, (number, outcome): Joined) -> Option<String> {
        self.joining -= 1;
        let called = self.seats.values().next().map(|seat| seat.began);
        let seat = self.seats.get_mut(&number)?;
        match outcome {
            Outcome::There(peer, at) => {
                seat.peer = Some(peer);
                if seat.first {
                    let took = at.saturating_duration_since(seat.began);
                    self.open.record(u32::try_from(took.as_micros()).unwrap_or(u32::MAX));
                    let all = called.map(|called| at.saturating_duration_since(called));
                    self.open_all = self.open_all.max(all);
                }
                None
            }
            Outcome::Failed(reason) => {
                self.failed += 1;
                (self.failed == 1).then(|| {
                    let text = format!("viewer {} is not there: {reason}", number + 1);
                    self.failure = Some(reason);
                    text
                })
            }
            Outcome::Told => None,
        }
    }

    /// A viewer has ended, when `next` was the next number. Whether nobody is left, and not
    /// because we said so.
    pub(crate) fn handle_done(
        &mut self,
        done: Result<(usize, Tally), JoinError>,
        next: u64,
    ) -> Result<bool, JoinError> {
        let (number, tally) = done?;
        // It said so before.
        while let Ok(joined) = self.joined.try_recv() {
            self.handle_joined(joined);
        }
        let seat = self.seats.get_mut(&number);
        let left = seat.is_some_and(|seat| {
            seat.tally = Some(tally);
            seat.left
        });
        if left {
            self.fold(number, next);
        }
        Ok(!left && self.tasks.is_empty() && self.joining == 0)
    }

    /// Adds what somebody got who has ended to the totals.
    fn fold(&mut self, number: usize, next: u64) {
        let Some(Seat { peer, stalls, left, tally, .. }) = self.seats.remove(&number) else {
            return;
        };
        let (Some(peer), Some(tally), false) = (peer, tally, stalls) else { return };
        // Who left early left what was on its way too.
        let newest = tally.newest().map_or(0, |newest| newest + 1);
        let end = if self.publishes && !left { next } else { newest };
        let from = self.ready.remove(&peer).unwrap_or(end);
        let keyed = !self.publishes || self.keyed;
        self.totals.add(&tally, tally.expected(from, keyed, end));
    }

    pub(crate) fn handle_ready(&mut self, peer: PeerId, next: u64) {
        self.ready.entry(peer).or_insert_with(|| {
            self.came += 1;
            next
        });
    }

    pub(crate) fn handle_gone(&mut self, peer: PeerId) {
        let is_it = |seat: &Seat| seat.stalls && seat.peer == Some(peer);
        self.evicted += usize::from(self.seats.values().any(is_it));
    }

    /// Forgets of whom the publisher spoke who is neither connected nor here.
    pub(crate) fn forget_others(&mut self, stats: &PublisherStats) {
        let connected = stats.viewers.iter().map(|viewer| viewer.peer);
        let here = self.seats.values().filter_map(|seat| seat.peer);
        let known: BTreeSet<_> = connected.chain(here).collect();
        self.ready.retain(|peer, _| known.contains(peer));
    }

    /// Whether everybody who could join is there, at both ends.
    pub(crate) fn is_ready(&self) -> bool {
        self.joining == 0 && (!self.publishes || self.ready.len() >= self.there())
    }

    /// How many could join.
    pub(crate) fn there(&self) -> usize {
        self.seats.len().saturating_sub(self.failed)
    }

    pub(crate) fn has_stalled(&self) -> bool {
        self.stalled.get().is_some()
    }

    pub(crate) fn stall(&mut self) {
        self.stalled.get_or_init(|| self.invitation.wall.at(system::now()));
        for seat in self.seats.values().filter(|seat| seat.stalls) {
            seat.orders.send_replace(Order::Stall);
        }
    }

    /// Somebody leaves if `viewers` are there, else somebody comes.
    pub(crate) fn come_or_go(&mut self, viewers: usize, next: u64) {
        if self.seats.values().filter(|seat| !seat.left).count() < viewers {
            return self.seat(false);
        }
        let Some(number) = self.oldest.pop_front() else { return };
        match self.seats.get_mut(&number) {
            // It is over already, and not because we said so: what it missed is lost.
            Some(Seat { tally: Some(_), .. }) => self.fold(number, next),
            Some(seat) => {
                seat.left = true;
                seat.orders.send_replace(Order::Leave);
            }
            None => {}
        }
    }

    /// Gives everybody the order to end, and waits until they have. Who is not done when
    /// `hurry` is leaves at once.
    pub(crate) async fn close(
        &mut self,
        order: Order,
        next: u64,
        hurry: impl Future<Output = ()>,
    ) -> Result<(), JoinError> {
        tokio::pin!(hurry);
        self.order_all(order);
        let mut hurried = false;
        loop {
            tokio::select! {
                done = self.tasks.join_next() => match done {
                    Some(done) => drop(self.handle_done(done, next)?),
                    None => break,
                },
                () = &mut hurry, if !hurried => {
                    hurried = true;
                    self.order_all(Order::Leave);
                }
            }
        }
        for number in self.seats.keys().copied().collect::<Vec<_>>() {
            self.fold(number, next);
        }
        Ok(())
    }

    fn order_all(&self, order: Order) {
        for seat in self.seats.values().filter(|seat| !seat.left) {
            seat.orders.send_replace(order);
        }
    }

    /// The most bytes that wait for one of those who stalled.
    pub(crate) fn held(&self, stats: &PublisherStats) -> usize {
        let stalled = self.seats.values().filter(|seat| seat.live.state() == State::Stalled);
        stalled.filter_map(|seat| held_for(stats, seat.peer)).max().unwrap_or(0)
    }

    pub(crate) fn count(&self, state: State) -> usize {
        self.seats.values().filter(|seat| seat.live.state() == state).count()
    }

    /// How much came to all until now.
    pub(crate) fn delivered(&self) -> u64 {
        let delivered = |seat: &Seat| seat.live.delivered.load(Ordering::Relaxed);
        self.totals.delivered + self.seats.values().map(delivered).sum::<u64>()
    }

    pub(crate) fn rows(&self, stats: &PublisherStats) -> Vec<Row> {
        let row = |(&number, seat): (&usize, &Seat)| Row {
            number: number + 1,
            state: seat.live.state(),
            delivered: seat.live.delivered.load(Ordering::Relaxed),
            latency: f64::from(seat.live.latency.load(Ordering::Relaxed)) / 1e3,
            held: held_for(stats, seat.peer),
        };
        self.seats.iter().map(row).collect()
    }
}

fn held_for(stats: &PublisherStats, peer: Option<PeerId>) -> Option<usize> {
    let viewer = stats.viewers.iter().find(|viewer| Some(viewer.peer) == peer)?;
    Some(viewer.connection.queued_bytes + viewer.outstanding)
}
