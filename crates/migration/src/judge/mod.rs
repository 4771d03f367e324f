//! Who would be the best host, by what the others measured.

mod config;
mod figures;
mod score;
mod view;

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::time::Instant;

use paceline_framing::NetworkQuality;
use paceline_types::SenderId;

use self::figures::Heard;
use self::score::Sight;
use self::view::View;
use crate::Candidate;

pub use self::config::JudgeConfig;
pub use self::score::Score;

/// How the host stands against the best of the others.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Decision {
    /// The host's score, in hundredths of a point, by what all but the two compared said of
    /// him.
    pub host: u16,
    /// Who is better than each other who may host, and his score; `None`: nobody is, or
    /// nobody was measured.
    pub best: Option<(SenderId, u16)>,
    /// The baseline's score of the host.
    pub baseline_host: u16,
    /// Who has most by the baseline, of those who may host and do not, and how much.
    pub baseline_best: Option<(SenderId, u16)>,
    /// Who the host is to hand over to, now. Told once; if nobody takes over, again after
    /// [`JudgeConfig::interval`].
    pub migrate: Option<SenderId>,
}

/// Says who would be the best host, and when it is worth a handover.
///
/// | group | calls |
/// |---|---|
/// | who is there | [`handle_member`](Self::handle_member), [`handle_left`](Self::handle_left), [`set_host`](Self::set_host) |
/// | what was measured | [`handle_quality`](Self::handle_quality), [`set_relayed`](Self::set_relayed), [`set_headroom`](Self::set_headroom) |
/// | the result | [`decide`](Self::decide), [`ranking`](Self::ranking), [`scores`](Self::scores) |
/// | when next | [`poll_timeout`](Self::poll_timeout) |
///
/// Nobody's word about himself counts, and nobody's word about others can make him host:
/// * a figure of a member is the median of what the others measured; of round trips it is
///   their mean, each taken for half the median at least and twice it at most;
/// * when two are compared neither is heard, not about himself and not about the other. So
///   whether somebody is the best does not depend on anything that he says. Only what nobody
///   but the host measured is taken from the host: he could as well not hand over;
/// * the best is who wins against each of the others, one by one;
/// * of two in the middle the host gets the better and who might follow him the worse: one
///   of two who are heard brings no handover about by himself. Two who might follow him get
///   the mean. In [`scores`](Self::scores),
///   where all are heard, everybody gets the better: one of two who lies can lift another,
///   which is of no use to him, and put nobody behind himself.
///
/// With two in a room nobody is left to be heard when they are compared, so nothing is
/// decided.
///
/// ```
/// use std::time::{Duration, Instant};
///
/// use paceline_framing::{MemberQuality, NetworkQuality};
/// use paceline_migration::types::{PeerId, SenderId};
/// use paceline_migration::{Candidate, Judge, JudgeConfig};
///
/// let mut judge = Judge::new(JudgeConfig::default());
/// let mut now = Instant::now();
/// for id in 1..=3 {
///     let (sender, peer) = (SenderId::new(id), PeerId::from_random([id as u8; 16]));
///     judge.handle_member(now, Candidate { sender, peer, may_host: true, nat: None });
/// }
/// judge.set_host(now, Some(SenderId::new(1)));
///
/// // Two mixes of 1,250 kbit/s are too much for the host's 1,000.
/// let of = |id, capacity| MemberQuality {
///     member: SenderId::new(id),
///     capacity,
///     loss: 0,
///     min_rtt: 20_000,
///     mean_rtt: 20_000,
///     max_rtt: 20_000,
///     jitter: 0,
///     received: 900,
///     expected: 900,
/// };
/// let capacities = [1_000, 9_000, 2_000];
/// for from in 1..=3 {
///     let members = (1..=3).map(|id| of(id, capacities[id as usize - 1])).collect();
///     let quality = NetworkQuality { window: 30_000_000, members };
///     judge.handle_quality(now, SenderId::new(from), &quality);
/// }
/// let decision = judge.decide(now).expect("the host was measured");
/// assert_eq!(decision.best.map(|(best, _)| best), Some(SenderId::new(2)));
/// assert_eq!(decision.migrate, None);
///
/// now = judge.poll_timeout().expect("somebody is better");
/// let decision = judge.decide(now).expect("the host was measured");
/// assert_eq!(decision.migrate, Some(SenderId::new(2)));
/// ```
#[derive(Debug)]
pub struct Judge {
    config: JudgeConfig,
    members: BTreeMap<SenderId, Member>,
    host: Option<SenderId>,
    /// No advice before this.
    not_before: Option<Instant>,
    /// When something was last taken in.
    now: Option<Instant>,
    /// Whether something was since it was last looked who is ahead.
    changed: bool,
}

/// Somebody in the room.
#[derive(Debug)]
struct Member {
    candidate: Candidate,
    sight: Sight,
    /// What each of the others measured of him.
    heard: BTreeMap<SenderId, Heard>,
    /// Since when he is better than the host by as much as it takes.
    ahead: Option<Instant>,
}

impl Judge {
    /// One that knows nobody.
    #[must_use]
    pub fn new(config: JudgeConfig) -> Self {
        let members = BTreeMap::new();
        Self { config, members, host: None, not_before: None, now: None, changed: false }
    }

    /// Takes in that somebody is in the room, ourselves too; or what is known of him now.
    /// `false`: there are [`JudgeConfig::max_members`] others, he is not judged.
    pub fn handle_member(&mut self, now: Instant, candidate: Candidate) -> bool {
        self.advance(now);
        let known = self.members.get_mut(&candidate.sender);
        if let Some(member) = known.filter(|known| known.candidate.peer == candidate.peer) {
            self.changed |= member.candidate != candidate;
            member.candidate = candidate;
            return true;
        }
        self.handle_left(now, candidate.sender);
        if self.members.len() >= self.config.max_members {
            return false;
        }
        let (sight, heard) = (Sight::default(), BTreeMap::new());
        self.members.insert(candidate.sender, Member { candidate, sight, heard, ahead: None });
        self.changed = true;
        true
    }

    /// Takes in that somebody left: what he said is forgotten with what was said of him.
    pub fn handle_left(&mut self, now: Instant, member: SenderId) {
        self.advance(now);
        if self.members.remove(&member).is_none() {
            return;
        }
        for other in self.members.values_mut() {
            other.heard.remove(&member);
        }
        self.changed = true;
    }

    /// Takes in what `from` measured of the others, as it came over his own channel; what we
    /// measured ourselves too. What he says of himself or of strangers is passed over, and
    /// so is all of it if he is one.
    pub fn handle_quality(&mut self, now: Instant, from: SenderId, quality: &NetworkQuality) {
        self.advance(now);
        if !self.members.contains_key(&from) {
            return;
        }
        for of in quality.members.iter().take(self.config.max_members) {
            let Some(member) = self.members.get_mut(&of.member) else { continue };
            if of.member != from {
                let heard = member.heard.entry(from).or_insert_with(|| Heard::new(now));
                heard.take(now, of, self.config.smoothing);
                self.changed = true;
            }
        }
    }

    /// Says who hosts. A change from one to another begins [`JudgeConfig::interval`].
    pub fn set_host(&mut self, now: Instant, host: Option<SenderId>) {
        self.advance(now);
        if self.host == host {
            return;
        }
        if self.host.is_some() && host.is_some() {
            self.not_before = now.checked_add(self.config.interval);
        }
        self.host = host;
        for member in self.members.values_mut() {
            member.ahead = None;
        }
        self.changed = true;
    }

    /// Says whether our own path to a member goes through a relay. For what we see ourselves:
    /// who says of himself that he needs none would gain by it.
    pub fn set_relayed(&mut self, now: Instant, member: SenderId, relayed: bool) {
        self.advance(now);
        if let Some(member) = self.members.get_mut(&member) {
            member.sight.relayed = relayed;
            self.changed = true;
        }
    }

    /// Says how much of a member's processor is idle, in percent, if that is known. For what
    /// we know at first hand, which is our own; unknown costs nothing.
    pub fn set_headroom(&mut self, now: Instant, member: SenderId, percent: Option<u8>) {
        self.advance(now);
        if let Some(member) = self.members.get_mut(&member) {
            member.sight.headroom = percent;
            self.changed = true;
        }
    }

    /// How the host stands; `None`: nobody hosts, or nobody measured him. To be called after
    /// [`handle_quality`](Self::handle_quality) and when [`poll_timeout`](Self::poll_timeout)
    /// says so; calling it more often changes nothing.
    pub fn decide(&mut self, now: Instant) -> Option<Decision> {
        self.advance(now);
        self.look(now);
        let view = self.view(now);
        let host = view.score(self.host?)?;
        let best = view.best();
        let by_baseline = view.able().filter_map(|able| view.score(able));
        let by_baseline = by_baseline.max_by_key(|of| (of.baseline, Reverse(of.member)));
        let due = |of: &SenderId| self.due(*of).is_some_and(|due| due <= now);
        let migrate = best.map(|(best, _)| best.member).filter(due);
        let decision = Decision {
            host: best.map_or(host.points, |(_, host)| host.points),
            best: best.map(|(best, _)| (best.member, best.points)),
            baseline_host: host.baseline,
            baseline_best: by_baseline.map(|best| (best.member, best.baseline)),
            migrate,
        };
        if migrate.is_some() {
            self.not_before = now.checked_add(self.config.interval);
        }
        Some(decision)
    }

    /// What everybody is worth who was measured, the best first, those who may not host too.
    #[must_use]
    pub fn scores(&self, now: Instant) -> Vec<Score> {
        let view = self.view(now);
        let mut scores: Vec<_> = self.members.keys().filter_map(|id| view.score(*id)).collect();
        scores.sort_by_key(|score| (Reverse(score.points), view.place(score.member, true)));
        scores
    }

    /// Who may follow the host, the best first: each goes by how many of the others he wins
    /// against, those with as many by their scores. Who was not measured comes last, in the
    /// order of [`first_host`](crate::first_host); before anything is measured it is that order.
    ///
    /// It follows every window: who keeps connections to the first of them does well not to
    /// change them for a place or two.
    #[must_use]
    pub fn ranking(&self, now: Instant) -> Vec<SenderId> {
        let view = self.view(now);
        let able: Vec<_> = view.able().collect();
        let mut ranking: Vec<_> = able
            .iter()
            .map(|one| {
                let others = able.iter().filter(|other| *other != one);
                let won = others.filter(|other| view.wins(*one, **other)).count();
                let points = view.score(*one).map(|score| score.points);
                (Reverse((won, points)), view.place(*one, points.is_some()), *one)
            })
            .collect();
        ranking.sort();
        ranking.into_iter().map(|(_, _, able)| able).collect()
    }

    /// When to call [`decide`](Self::decide): at once if something changed since it was
    /// called, or when somebody will have been ahead for long enough, or what was said is to
    /// be forgotten.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let now = self.now?;
        if self.changed && self.host.is_some() {
            return Some(now);
        }
        let due = self.members.keys().filter_map(|id| self.due(*id));
        let heard = self.members.values().flat_map(|member| member.heard.values());
        let stale = heard.filter_map(|heard| heard.at.checked_add(self.config.stale_after()));
        due.filter(|due| *due > now).chain(stale).min()
    }

    /// Lets time pass. What came at one instant counts together, in whatever order it came.
    fn advance(&mut self, now: Instant) {
        let last = *self.now.get_or_insert(now);
        if now <= last {
            return;
        }
        if self.changed {
            self.look(last);
        }
        self.now = Some(now);
        let stale_after = self.config.stale_after();
        for member in self.members.values_mut() {
            let before = member.heard.len();
            member.heard.retain(|_, heard| now.saturating_duration_since(heard.at) < stale_after);
            self.changed |= member.heard.len() < before;
        }
    }

    /// Notes who is ahead of the host, and since when.
    fn look(&mut self, now: Instant) {
        self.changed = false;
        let view = self.view(now);
        let ahead: Vec<_> = view.able().filter(|able| view.is_ahead(*able)).collect();
        for (id, member) in &mut self.members {
            member.ahead = ahead.contains(id).then(|| member.ahead.unwrap_or(now));
        }
    }

    /// When a handover to him is due, if he stays ahead.
    fn due(&self, able: SenderId) -> Option<Instant> {
        let held = self.members.get(&able)?.ahead?.checked_add(self.config.hold)?;
        Some(self.not_before.map_or(held, |not_before| held.max(not_before)))
    }

    fn view(&self, now: Instant) -> View<'_> {
        View { judge: self, now }
    }
}
