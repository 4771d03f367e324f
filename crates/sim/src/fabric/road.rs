//! The road that signals and the roster take: up to a server, and down from it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use paceline_types::{PeerId, Signal};

use crate::Random;

/// How long what is said by the signalling road takes.
///
/// Each message is on its way twice: up to the server, and down from it.
///
/// ```
/// use std::time::Duration;
///
/// use paceline_sim::RoadConfig;
///
/// let slow = RoadConfig::default().late(0.1, Duration::from_secs(6));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct RoadConfig {
    shortest: Duration,
    longest: Duration,
    late: (f64, Duration),
    reorder: bool,
}

impl RoadConfig {
    /// How long each of the two ways takes: anything between is equally likely.
    /// Defaults to 5 to 25 ms.
    #[must_use]
    pub const fn delay(mut self, shortest: Duration, longest: Duration) -> Self {
        self.shortest = shortest;
        self.longest = longest;
        self
    }

    /// The share of signals that take so much longer. What follows such a one to the
    /// same peer waits for it, unless the road [reorders](Self::reorder). Defaults to
    /// none.
    #[must_use]
    pub const fn late(mut self, share: f64, by: Duration) -> Self {
        self.late = (share, by);
        self
    }

    /// Lets signals from one peer to another overtake each other, as they can where each
    /// is a request of its own. Defaults to no. None comes before the news of who sent it.
    #[must_use]
    pub const fn reorder(mut self, reorder: bool) -> Self {
        self.reorder = reorder;
        self
    }

    fn draw(&self, random: &mut Random) -> Duration {
        let span = self.longest.saturating_sub(self.shortest);
        self.shortest + span.mul_f64(random.fraction())
    }
}

impl Default for RoadConfig {
    fn default() -> Self {
        Self {
            shortest: Duration::from_millis(5),
            longest: Duration::from_millis(25),
            late: (0.0, Duration::ZERO),
            reorder: false,
        }
    }
}

/// What is said by the road.
#[derive(Clone, Debug)]
pub(super) enum Errand {
    /// To the server.
    Announce,
    /// From the server: there is room again at this peer.
    Invite(PeerId),
    /// From the server: he has come, with this number.
    Joined(PeerId, u32),
    /// To the server.
    Leave,
    /// From the server: he has left.
    Left(PeerId),
    /// To the server: somebody has no room for the other.
    NoRoom(PeerId),
    /// From the server: this peer has no room for you.
    Refused(PeerId),
    /// To the server: somebody has room for the other again.
    Room(PeerId),
    /// From the server: who was there before, and whom he got as number.
    Roster(u32, Vec<(PeerId, u32)>),
    /// Both: to somebody, or from him.
    Signal(PeerId, Signal),
}

/// Who hears it, or `None` for the server; and about whom.
pub(super) type Arrival = (Option<PeerId>, PeerId, Errand);

/// Everything that is said and not heard.
#[derive(Debug)]
pub(super) struct Road {
    config: RoadConfig,
    random: Random,
    under_way: BTreeMap<(Instant, u64), Arrival>,
    said: u64,
    /// When the last of each kind arrives that may not be overtaken.
    up: BTreeMap<PeerId, Instant>,
    news: BTreeMap<PeerId, Instant>,
    signals: BTreeMap<(PeerId, PeerId), Instant>,
    dice: BTreeMap<PeerId, Random>,
}

impl Road {
    pub(super) const fn new(config: RoadConfig, random: Random) -> Self {
        Self {
            config,
            random,
            under_way: BTreeMap::new(),
            said: 0,
            up: BTreeMap::new(),
            news: BTreeMap::new(),
            signals: BTreeMap::new(),
            dice: BTreeMap::new(),
        }
    }

    pub(super) const fn set_config(&mut self, config: RoadConfig) {
        self.config = config;
    }

    /// Somebody tells the server.
    pub(super) fn say(&mut self, now: Instant, from: PeerId, errand: Errand) {
        let config = self.config;
        let at = now + config.draw(self.dice(from));
        let at = latest(&mut self.up, from, at);
        self.put(at, (None, from, errand));
    }

    /// The server tells somebody.
    pub(super) fn tell(&mut self, now: Instant, to: PeerId, errand: Errand) {
        let config = self.config;
        let mut at = now + config.draw(self.dice(to));
        let from = match &errand {
            &Errand::Signal(from, _) => {
                let (share, by) = config.late;
                if share > 0.0 && self.dice(to).fraction() < share {
                    at += by;
                }
                // Never before the news of who he is.
                at = at.max(self.news.get(&to).copied().unwrap_or(at));
                if !config.reorder {
                    at = latest(&mut self.signals, (from, to), at);
                }
                from
            }
            _ => {
                at = latest(&mut self.news, to, at);
                to
            }
        };
        self.put(at, (Some(to), from, errand));
    }

    /// What arrives by `now`, oldest first.
    pub(super) fn poll_arrival(&mut self, now: Instant) -> Option<Arrival> {
        let first = self.under_way.first_entry()?;
        (first.key().0 <= now).then(|| first.remove())
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.under_way.keys().next().map(|&(at, _)| at)
    }

    pub(super) fn len(&self) -> usize {
        self.under_way.len()
    }

    /// Nothing is remembered of who has left.
    pub(super) fn forget(&mut self, peer: PeerId) {
        self.up.remove(&peer);
        self.news.remove(&peer);
        self.dice.remove(&peer);
        self.signals.retain(|&(from, to), _| from != peer && to != peer);
    }

    fn put(&mut self, at: Instant, arrival: Arrival) {
        self.said += 1;
        self.under_way.insert((at, self.said), arrival);
    }

    /// Each has dice of his own: more that is said to one changes nothing for another.
    fn dice(&mut self, peer: PeerId) -> &mut Random {
        let random = &mut self.random;
        self.dice.entry(peer).or_insert_with(|| random.fork())
    }
}

/// What is said later arrives later, too.
fn latest<K: Ord>(last: &mut BTreeMap<K, Instant>, key: K, at: Instant) -> Instant {
    let last = last.entry(key).or_insert(at);
    *last = at.max(*last);
    *last
}
