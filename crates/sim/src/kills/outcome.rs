//! What came of one room, and of many.

use std::collections::BTreeMap;
use std::time::Duration;

use super::kill::Kill;
use super::oracle::{Oracle, Split, Violation};
use super::transcript::Transcript;

/// What the observer saw in one room.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Outcome {
    /// Every kill.
    pub kills: Vec<Kill>,
    /// Everything that must not be. Each pair of an epoch and a node is in it once per
    /// kind.
    pub violations: Vec<Violation>,
    /// When another came to host without a reason: nobody had gone or been asked to hand
    /// over, and no line was cut and nobody stood still within two seconds before.
    pub flaps: Vec<Duration>,
    /// Handovers that took place.
    pub handovers: u32,
    /// There was no host for ten seconds, though enough were left to choose one.
    pub hostless: bool,
    /// There was no host for ten seconds, and too few of those who vote were left.
    pub lost: bool,
    /// A machine wanted to be woken at once, again and again: then the room was closed.
    pub spins: bool,
    /// How long the room was open.
    pub elapsed: Duration,
    /// Every packet, if that was wanted.
    pub transcript: Option<String>,
}

impl Outcome {
    pub(super) fn of(oracle: Oracle, transcript: Transcript, elapsed: Duration) -> Self {
        Self {
            kills: oracle.kills,
            violations: oracle.violations,
            flaps: oracle.flaps,
            handovers: oracle.handovers,
            hostless: oracle.hostless,
            lost: oracle.lost,
            spins: oracle.spins,
            elapsed,
            transcript: transcript.into_text(),
        }
    }

    /// Kills after which a host was promised, and none came.
    pub fn stuck(&self) -> usize {
        let is_stuck = |kill: &&Kill| kill.promised && kill.failover().is_none();
        let rooms = usize::from(self.hostless) + usize::from(self.spins);
        self.kills.iter().filter(is_stuck).count() + rooms
    }
}

/// What the observers of many rooms of one profile saw.
///
/// ```
/// use paceline_sim::kills::{Profile, Room, Tally};
///
/// let profile = Profile::named("lan5").expect("there is one");
/// let mut tally = Tally::new(&profile);
/// for seed in 0..3 {
///     tally.add(seed, &Room::new(&profile, seed).run(1));
/// }
/// assert_eq!((tally.kills, tally.split_brains()), (3, 0));
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Tally {
    /// Of which profile.
    pub name: &'static str,
    /// Hosts killed.
    pub kills: usize,
    /// What must not be, by kind.
    pub splits: BTreeMap<Split, usize>,
    /// From the kill until most of the survivors saw the new host: of kills after which one
    /// was promised and no line was cut.
    pub failover: Vec<Duration>,
    /// Those of them in which the host died alone.
    pub alone: Vec<Duration>,
    /// Those in which the first in line died with him.
    pub with_heir: Vec<Duration>,
    /// Until the last of them did.
    pub last: Vec<Duration>,
    /// Changes of hosts without a reason.
    pub flaps: usize,
    /// Kills after which a host was promised and none came within five seconds.
    pub stuck: usize,
    /// Kills after which too few were left, or reached each other, to choose another.
    pub unpromised: usize,
    /// Rooms that ended for good, as too few of those who vote were left in them.
    pub lost: usize,
    /// Promised kills after which somebody who was connected to the new host did not see
    /// him within five seconds.
    pub left_out: usize,
    /// Kills after which the first in line took over.
    pub heirs: usize,
    /// Handovers that took place.
    pub handovers: usize,
    /// For how long the rooms were open, together.
    pub elapsed: Duration,
    /// The seed of the longest failover.
    pub worst: Option<(Duration, u64)>,
    /// Seeds of what must not be or did not come, and what that was; at most
    /// [`MAX_FINDINGS`](Self::MAX_FINDINGS).
    pub findings: Vec<(u64, String)>,
}

impl Tally {
    /// Seeds kept of rooms in which something was wrong.
    pub const MAX_FINDINGS: usize = 20;

    /// No rooms of a profile.
    #[must_use]
    pub fn new(profile: &super::Profile) -> Self {
        Self {
            name: profile.name(),
            kills: 0,
            splits: BTreeMap::new(),
            failover: Vec::new(),
            alone: Vec::new(),
            with_heir: Vec::new(),
            last: Vec::new(),
            flaps: 0,
            stuck: 0,
            unpromised: 0,
            lost: 0,
            left_out: 0,
            heirs: 0,
            handovers: 0,
            elapsed: Duration::ZERO,
            worst: None,
            findings: Vec::new(),
        }
    }

    /// Adds a room and the seed that it came of.
    pub fn add(&mut self, seed: u64, outcome: &Outcome) {
        for violation in &outcome.violations {
            *self.splits.entry(violation.split).or_default() += 1;
            self.find(seed, || violation.to_string());
        }
        for &at in &outcome.flaps {
            self.find(seed, || format!("{:9.4} s flap", at.as_secs_f64()));
        }
        if outcome.hostless {
            self.find(seed, || "nobody hosts".into());
        }
        if outcome.spins {
            self.find(seed, || "a machine spins".into());
        }
        for kill in &outcome.kills {
            self.add_kill(seed, kill);
        }
        self.flaps += outcome.flaps.len();
        self.stuck += outcome.stuck();
        self.lost += usize::from(outcome.lost);
        self.handovers += outcome.handovers as usize;
        self.elapsed += outcome.elapsed;
    }

    fn add_kill(&mut self, seed: u64, kill: &Kill) {
        self.kills += 1;
        if !kill.promised {
            self.unpromised += 1;
            return;
        }
        let at = kill.at.as_secs_f64();
        let Some(failover) = kill.failover() else {
            self.find(seed, || format!("{at:9.4} s stuck: {:?} not followed", kill.victims));
            return;
        };
        self.heirs += usize::from(kill.host() == kill.heir);
        if kill.due > kill.at {
            return; // As long as the cut took.
        }
        self.failover.push(failover);
        let of_kind = if kill.victims.len() > 1 { &mut self.with_heir } else { &mut self.alone };
        of_kind.push(failover);
        self.worst = self.worst.max(Some((failover, seed)));
        match kill.last() {
            Some(last) => self.last.push(last),
            None => {
                self.left_out += 1;
                self.find(seed, || format!("{at:9.4} s left out: {:?}", kill.unseeing()));
            }
        }
    }

    /// All that must not be, of any kind.
    #[must_use]
    pub fn split_brains(&self) -> usize {
        self.splits.values().sum()
    }

    /// The failover that a share of all stayed below: 0.5 is the median. `None` if there
    /// was none.
    #[must_use]
    pub fn failover(&self, share: f64) -> Option<Duration> {
        quantile(&self.failover, share)
    }

    /// The same where the host died alone.
    #[must_use]
    pub fn failover_alone(&self, share: f64) -> Option<Duration> {
        quantile(&self.alone, share)
    }

    /// The same where the first in line died with him.
    #[must_use]
    pub fn failover_with_heir(&self, share: f64) -> Option<Duration> {
        quantile(&self.with_heir, share)
    }

    /// The same until the last had seen it.
    #[must_use]
    pub fn last(&self, share: f64) -> Option<Duration> {
        quantile(&self.last, share)
    }

    fn find(&mut self, seed: u64, what: impl FnOnce() -> String) {
        if self.findings.len() < Self::MAX_FINDINGS {
            self.findings.push((seed, what()));
        }
    }
}

/// The nearest rank.
fn quantile(of: &[Duration], share: f64) -> Option<Duration> {
    let mut sorted = of.to_vec();
    sorted.sort_unstable();
    let rank = (sorted.len() as f64 * share).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_the_nearest_rank() {
        let of: Vec<_> = (1..=200).map(Duration::from_millis).collect();
        for (share, rank) in [(0.5, 100), (0.95, 190), (0.99, 198), (1.0, 200)] {
            assert_eq!(quantile(&of, share), Some(Duration::from_millis(rank)), "{share}");
        }
        assert_eq!(quantile(&[], 0.5), None);
    }
}
