//! Rooms that are looked at while they run, and what was seen of them.

use std::collections::BTreeMap;
use std::time::Duration;

use paceline::types::{Epoch, NtpTime, PeerId, SenderId};
use paceline::{Event, Room, Stats};
use tokio::sync::{mpsc, watch};

use super::WATCHDOG;

/// A picture or 20 ms of sound, as the program got it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Shown {
    pub epoch: Epoch,
    /// The media time of the mix.
    pub ticks: u64,
    pub concealed: bool,
}

/// That another came to host.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Change {
    pub host: Option<PeerId>,
    pub us: bool,
    pub epoch: Epoch,
    pub planned: bool,
    pub detect: Option<Duration>,
    pub promote: Option<Duration>,
}

/// What a program got of a room up to now.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    pub pictures: Vec<Shown>,
    pub sounds: Vec<Shown>,
    pub changes: Vec<Change>,
    pub aborted: Vec<String>,
    /// How many were in the mix last.
    pub sources: usize,
    /// When what was shown last of each was captured.
    pub captures: BTreeMap<SenderId, NtpTime>,
    /// The same when another came to host.
    pub captures_before: BTreeMap<SenderId, NtpTime>,
    pub closed: bool,
}

impl Seen {
    /// Whether everybody in the mix has moved since another came to host.
    pub fn all_move(&self) -> bool {
        let before = |sender| self.captures_before.get(sender).copied().unwrap_or_default();
        self.captures.iter().all(|(sender, &capture)| capture > before(sender))
    }

    /// Pictures and sounds of the newest host that was told of.
    pub fn of_newest(&self) -> (usize, usize) {
        let newest = self.changes.last().map(|change| change.epoch).unwrap_or_default();
        let count = |shown: &[Shown]| shown.iter().filter(|it| it.epoch == newest).count();
        (count(&self.pictures), count(&self.sounds))
    }
}

/// A room in a task of its own, whose events are taken as they come.
pub struct Watched {
    pub peer: PeerId,
    seen: watch::Receiver<Seen>,
    orders: mpsc::UnboundedSender<Order>,
    task: tokio::task::JoinHandle<Option<Stats>>,
}

enum Order {
    Drop,
    HandOver,
    Leave,
    StopHosting,
}

impl Watched {
    pub fn new(mut room: Room) -> Self {
        let (orders, mut wanted) = mpsc::unbounded_channel();
        let (told, seen) = watch::channel(Seen::default());
        let peer = room.peer();
        let task = tokio::spawn(async move {
            loop {
                tokio::select! {
                    order = wanted.recv() => match order {
                        Some(Order::HandOver) => room.hand_over().await,
                        Some(Order::StopHosting) => room.stop_hosting().await,
                        Some(Order::Leave) => return Some(room.leave().await),
                        Some(Order::Drop) | None => return None,
                    },
                    event = room.next() => told.send_modify(|seen| note(seen, event)),
                }
            }
        });
        Self { peer, seen, orders, task }
    }

    /// Waits until what was seen is so.
    pub async fn until(&mut self, wanted: impl FnMut(&Seen) -> bool) -> Seen {
        let waited = tokio::time::timeout(WATCHDOG, self.seen.wait_for(wanted)).await;
        waited.expect("it did not come to that in time").expect("the room is watched").clone()
    }

    /// What was seen up to now.
    pub fn seen(&self) -> Seen {
        self.seen.borrow().clone()
    }

    pub fn hand_over(&self) {
        self.orders.send(Order::HandOver).expect("the room is watched");
    }

    pub fn stop_hosting(&self) {
        self.orders.send(Order::StopHosting).expect("the room is watched");
    }

    /// Drops the room, without a word to anybody but by that.
    pub fn drop_room(self) {
        self.orders.send(Order::Drop).expect("the room is watched");
    }

    pub async fn leave(self) -> Stats {
        self.orders.send(Order::Leave).expect("the room is watched");
        let left = tokio::time::timeout(WATCHDOG, self.task).await;
        left.expect("it left in time").expect("no panic").expect("it was told to")
    }
}

fn note(seen: &mut Seen, event: Option<Event>) {
    match event {
        Some(Event::Picture(picture)) => seen.pictures.push(Shown {
            epoch: picture.epoch,
            ticks: picture.frame.time().ticks(),
            concealed: false,
        }),
        Some(Event::Sound(sound)) => seen.sounds.push(Shown {
            epoch: sound.epoch,
            ticks: sound.frame.time.ticks(),
            concealed: sound.concealed,
        }),
        Some(Event::HostChanged { host, us, epoch, planned, detect, promote }) => {
            seen.captures_before = seen.captures.clone();
            seen.changes.push(Change { host, us, epoch, planned, detect, promote });
        }
        Some(Event::HandoverAborted { reason }) => seen.aborted.push(reason),
        Some(Event::MixInfo(info)) => {
            seen.captures = info.sources.iter().map(|it| (it.sender, it.capture)).collect();
            seen.sources = info.sources.iter().filter(|source| source.tile.width > 0).count();
        }
        Some(_) => {}
        None => seen.closed = true,
    }
}

/// Waits until everybody sees everybody, and whoever follows the host has had the time to.
pub async fn until_warm(rooms: &mut [Watched]) {
    let all = rooms.len();
    for room in rooms {
        room.until(|seen| seen.sources == all && seen.pictures.len() > 60).await;
    }
}

/// That the mix went on from one host to the next: no sound is left out where they meet, none
/// comes of a host of before but in the window in which both make it, and nothing goes back,
/// but for sound where `twice` is right.
pub fn assert_goes_on(seen: &Seen, twice: bool) {
    let newest = seen.changes.last().expect("there is a host").epoch;
    let first = seen.sounds.iter().position(|sound| sound.epoch == newest).expect("it is heard");
    // A second around the change.
    let around = &seen.sounds[first.saturating_sub(25)..seen.sounds.len().min(first + 25)];
    let window_ends = seen.sounds[first].ticks + WINDOW;
    for (index, pair) in around.windows(2).enumerate() {
        let [one, next] = [pair[0], pair[1]];
        // Where the new host's piece came too late, the one before is heard once more.
        let is_in_window = next.ticks < window_ends;
        assert!(one.epoch <= next.epoch || is_in_window, "sound {index}: {one:?}, {next:?}");
        let is_seam = one.epoch < next.epoch;
        if is_seam && twice {
            assert!(next.ticks <= one.ticks + FRAME, "a hole: {one:?}, {next:?}");
            assert!(one.ticks - next.ticks.min(one.ticks) <= MOST_TWICE, "{one:?}, {next:?}");
        } else {
            assert_eq!(next.ticks, one.ticks + FRAME, "sound {index}: {one:?}, {next:?}");
        }
    }
    assert_in_order(&seen.pictures);
}

/// That what is shown never goes back.
pub fn assert_in_order(shown: &[Shown]) {
    for pair in shown.windows(2) {
        let [one, next] = [pair[0], pair[1]];
        assert!(one.ticks < next.ticks && one.epoch <= next.epoch, "{one:?}, {next:?}");
    }
}

/// That no decoder had to begin anew, and nothing of a host of before was given out.
pub fn assert_undisturbed(stats: &Stats) {
    assert_eq!(stats.media.decoder_resets, 0);
    assert_eq!(stats.stale_epoch_rendered, 0);
    assert_eq!(stats.transport_refused, 0);
}

/// Samples in 20 ms.
const FRAME: u64 = 960;

/// For 40 ms both hosts of a handover make the mix.
const WINDOW: u64 = 2 * FRAME;

/// What jitter buffers hold at most by default: 400 ms.
const MOST_TWICE: u64 = 20 * FRAME;
