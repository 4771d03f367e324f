//! Who takes part in this process, in tasks of their own.

use std::future::pending;
use std::sync::Arc;

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::watch;
use tokio::task::{Id, JoinError, JoinSet};

use crate::args::{Args, Mode};
use crate::call::Failure;
use crate::changes::Change;
use crate::orders::Front;
use crate::participant::{Outcome, Participant};
use crate::screen::{Control, Screen};

/// Everybody of this process.
#[derive(Debug)]
pub(crate) struct Seats {
    tasks: JoinSet<Outcome>,
    seats: Vec<Seat>,
    /// Whom the viewer sees; another if he is killed.
    viewer: usize,
    front: watch::Sender<Front>,
    left: Left,
}

/// Those who are not there any more.
#[derive(Debug, Default)]
pub(crate) struct Left {
    pub(crate) outcomes: Vec<Outcome>,
    /// What changes of the host were like for each who stayed.
    pub(crate) changes: Vec<Arc<Vec<Change>>>,
    /// And for each who was killed, until then.
    pub(crate) killed: Vec<Arc<Vec<Change>>>,
    /// Who ended in a way that is a bug.
    pub(crate) problems: Vec<String>,
}

#[derive(Debug)]
struct Seat {
    index: usize,
    name: String,
    task: Id,
    screen: watch::Receiver<Screen>,
    stop: watch::Sender<bool>,
    /// What all of him runs on, if he may be killed: his sockets too.
    home: Option<Home>,
    killed: bool,
    ended: bool,
}

/// A runtime that may be dropped within another: nobody waits for what runs on it.
#[derive(Debug)]
struct Home(Option<Runtime>);

impl Home {
    fn new() -> std::io::Result<Self> {
        Builder::new_multi_thread().worker_threads(1).enable_all().build().map(|it| Self(Some(it)))
    }

    fn handle(&self) -> Handle {
        self.0.as_ref().map_or_else(Handle::current, |runtime| runtime.handle().clone())
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

impl Default for Seats {
    fn default() -> Self {
        Self {
            tasks: JoinSet::new(),
            seats: Vec::new(),
            viewer: 0,
            front: watch::Sender::new(None),
            left: Left::default(),
        }
    }
}

impl Seats {
    /// Lets everybody of this process join: who is wished to host first, then the others at
    /// once, as people do; without a wish all at once.
    pub(crate) async fn fill(&mut self, args: &Args, url: &str) -> Result<(), Failure> {
        let everybody = match args.mode {
            Mode::All => {
                self.viewer = args.viewer();
                Vec::from_iter(0..args.participants)
            }
            Mode::Host => vec![0],
            Mode::Join(_) if args.child.is_some() => vec![args.child.unwrap_or_default()],
            // Guests of several processes should not all look like the first.
            _ => vec![1 + std::process::id() as usize % 2],
        };
        if everybody.len() == 1 {
            self.viewer = everybody[0];
        }
        let (late, first): (Vec<_>, Vec<_>) =
            everybody.into_iter().partition(|&index| args.comes_late(index));
        for group in [first, late] {
            self.admit(args, url, group).await?;
        }
        Ok(())
    }

    /// Lets some join at once.
    async fn admit(&mut self, args: &Args, url: &str, group: Vec<usize>) -> Result<(), Failure> {
        let mut joining = JoinSet::new();
        for index in group {
            let home = match args.kill_host_at.is_empty() {
                true => None,
                false => Some(Home::new()?),
            };
            let (args, url) = (args.clone(), url.to_owned());
            let joins = async move { Participant::join(&args, index, &url).await };
            let handle = home.as_ref().map_or_else(Handle::current, Home::handle);
            let joined = handle.spawn(joins);
            joining.spawn(async move { (index, home, handle, joined.await) });
        }
        let mut failure = None;
        while let Some(joined) = joining.join_next().await {
            let (index, home, handle, joined) = joined?;
            let participant = match joined {
                Ok(Ok(participant)) => participant,
                Ok(Err(error)) => {
                    failure.get_or_insert_with(|| Failure::from(error));
                    continue;
                }
                Err(error) => {
                    failure.get_or_insert_with(|| error.into());
                    continue;
                }
            };
            let (seen, screen) = watch::channel(Screen::default());
            let stop = watch::Sender::new(false);
            let runs = participant.run(stop.subscribe(), seen, self.front.clone());
            let task = self.tasks.spawn_on(runs, &handle).id();
            let name = args.name(index);
            let (killed, ended) = (false, false);
            self.seats.push(Seat { index, name, task, screen, stop, home, killed, ended });
        }
        failure.map_or(Ok(()), Err)
    }

    /// Who is at the front, of these.
    pub(crate) fn front(&self) -> watch::Receiver<Front> {
        self.front.subscribe()
    }

    /// What the viewer sees: if whom he looked at is killed, somebody else.
    pub(crate) fn viewed(&self) -> watch::Receiver<Screen> {
        let living = || self.seats.iter().filter(|seat| !seat.killed);
        let viewer = living().find(|seat| seat.index == self.viewer);
        let seat = viewer.or_else(|| living().next()).or_else(|| self.seats.first());
        seat.map_or_else(|| watch::channel(Screen::default()).1, |seat| seat.screen.clone())
    }

    /// What a participant is called.
    pub(crate) fn name(&self, index: usize) -> String {
        self.seat(index).map_or_else(String::new, |seat| seat.name.clone())
    }

    fn seat(&self, index: usize) -> Option<&Seat> {
        self.seats.iter().find(|seat| seat.index == index)
    }

    /// Asks a participant to hand over; the only one of a process, whatever his number.
    pub(crate) fn hand_over(&self, index: usize) {
        let seat = self.seat(index).or(self.seats.first().filter(|_| self.seats.len() == 1));
        if let Some(control) = seat.and_then(|seat| seat.screen.borrow().control.clone()) {
            // One who has left has nothing to hand over.
            let _ = control.send(Control::HandOver);
        }
    }

    /// Takes a participant away in the midst of what he does, as if his machine had lost its
    /// power: nothing that runs for him is asked, and his sockets are closed under him.
    /// Returns his name.
    pub(crate) fn kill(&mut self, index: usize) -> String {
        let seat = self.seats.iter_mut().find(|seat| seat.index == index);
        let Some((seat, home)) = seat.and_then(|seat| seat.home.take().map(|home| (seat, home)))
        else {
            return self.name(index);
        };
        seat.killed = true;
        drop(home);
        let name = seat.name.clone();
        self.front.send_if_modified(|front| {
            let was = front.is_some_and(|(_, who)| who == index);
            if was {
                *front = None;
            }
            was
        });
        name
    }

    /// Waits until somebody has ended, for whatever reason.
    pub(crate) async fn ended(&mut self) {
        match self.tasks.join_next_with_id().await {
            Some(ended) => self.note(ended),
            None => pending().await,
        }
    }

    fn note(&mut self, ended: Result<(Id, Outcome), JoinError>) {
        let id = ended.as_ref().map_or_else(JoinError::id, |(id, _)| *id);
        let seat = self.seats.iter_mut().find(|seat| seat.task == id);
        let killed = seat.and_then(|seat| {
            seat.ended = true;
            seat.killed.then(|| Arc::clone(&seat.screen.borrow().changes))
        });
        match (ended, killed) {
            (Ok((_, outcome)), _) => {
                self.left.changes.push(Arc::clone(&outcome.changes));
                self.left.outcomes.push(outcome);
            }
            // What he saw last is what there is of him.
            (Err(_), Some(changes)) => self.left.killed.push(changes),
            (Err(error), None) => self.left.problems.push(error.to_string()),
        }
    }

    /// Whether nobody is left.
    pub(crate) fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    /// Lets all leave: whoever is at the front at the end, when there is nobody left to hand
    /// over to.
    pub(crate) async fn dismiss(mut self) -> Left {
        let front = self.front.borrow().map(|(_, index)| index);
        for last in [false, true] {
            for seat in self.seats.iter().filter(|seat| (Some(seat.index) == front) == last) {
                seat.stop.send_replace(true);
            }
            let stays = |seat: &&Seat| !last && Some(seat.index) == front && !seat.ended;
            while self.tasks.len() > self.seats.iter().filter(stays).count() {
                self.ended().await;
            }
        }
        self.left
    }
}
