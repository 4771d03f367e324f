//! One kill, and what it took until others saw a host again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use paceline_types::{Epoch, SenderId};

use super::oracle::Frame;

/// A host that was killed, and who saw another when.
///
/// A frame counts if it was *made* after the kill by somebody else under a later epoch:
/// what the dead had under way is no recovery.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Kill {
    /// When, since the room was opened.
    pub at: Duration,
    /// Who: the host first.
    pub victims: Vec<SenderId>,
    /// Those who saw and heard him, and live.
    pub survivors: BTreeSet<SenderId>,
    /// Whether enough are left, and connected, to choose another: only then is anything
    /// promised.
    pub promised: bool,
    /// Who is first in line, as the last roster has it.
    pub heir: Option<SenderId>,
    /// From when on a host can be expected: the kill, or the end of a cut.
    pub(super) due: Duration,
    pub(super) epoch: Epoch,
    pub(super) host: Option<(SenderId, Duration)>,
    /// Whom the new host was connected to when he began.
    pub(super) reach: BTreeSet<SenderId>,
    pub(super) seen: BTreeMap<SenderId, Duration>,
}

impl Kill {
    pub(super) fn sent(&mut self, frame: &Frame) {
        if self.is_after(frame) && self.host.is_none() {
            self.host = Some((frame.from, frame.made));
            // He shows it to himself.
            self.seen.insert(frame.from, frame.made);
        }
    }

    pub(super) fn rendered(&mut self, now: Duration, at: SenderId, frame: &Frame) {
        if self.is_after(frame) {
            self.seen.entry(at).or_insert(now);
        }
    }

    /// The first to send as host after it.
    #[must_use]
    pub fn host(&self) -> Option<SenderId> {
        self.host.map(|(who, _)| who)
    }

    /// How long until most of the survivors saw the new host, himself included; but one
    /// other at least, if there is one.
    #[must_use]
    pub fn failover(&self) -> Option<Duration> {
        let most = self.survivors.len() / 2 + 1;
        self.after(most.max(2.min(self.survivors.len())))
    }

    /// How long until the last of the survivors saw him whom he was connected to when he
    /// began.
    #[must_use]
    pub fn last(&self) -> Option<Duration> {
        let seen = self.connected().map(|who| self.seen.get(&who));
        let last = seen.collect::<Option<Vec<_>>>()?.into_iter().max()?;
        Some(*last - self.at)
    }

    fn connected(&self) -> impl Iterator<Item = SenderId> {
        let is_reached = |who: &&SenderId| self.reach.contains(who) || self.host() == Some(**who);
        self.survivors.iter().filter(is_reached).copied()
    }

    /// Connected survivors who did not see him.
    pub(super) fn unseeing(&self) -> Vec<SenderId> {
        self.connected().filter(|who| !self.seen.contains_key(who)).collect()
    }

    fn after(&self, how_many: usize) -> Option<Duration> {
        let mut times: Vec<_> =
            self.seen.iter().filter(|(who, _)| self.survivors.contains(who)).collect();
        times.sort_unstable_by_key(|(_, at)| **at);
        let (_, at) = times.get(how_many.checked_sub(1)?)?;
        Some(**at - self.at)
    }

    fn is_after(&self, frame: &Frame) -> bool {
        frame.made > self.at && frame.epoch > self.epoch && !self.victims.contains(&frame.from)
    }
}

#[cfg(test)]
mod tests {
    use paceline_types::StreamId;

    use super::*;

    const AT: Duration = Duration::from_secs(5);

    fn frame(from: u32, term: u64, made: Duration) -> Frame {
        let (stream, time) = (StreamId::MIX_AUDIO, made);
        Frame { from: SenderId::new(from), epoch: Epoch::new(term, 0), stream, time, made }
    }

    fn kill() -> Kill {
        Kill {
            at: AT,
            victims: vec![SenderId::new(1)],
            survivors: [2, 3, 4].map(SenderId::new).into(),
            promised: true,
            heir: None,
            due: AT,
            epoch: Epoch::new(1, 0),
            host: None,
            reach: [3, 4].map(SenderId::new).into(),
            seen: BTreeMap::new(),
        }
    }

    #[test]
    fn what_was_made_before_or_by_the_dead_is_no_recovery() {
        let (before, after) = (AT - Duration::from_millis(1), AT + Duration::from_millis(300));
        let mut kill = kill();
        for frame in [frame(1, 1, before), frame(1, 2, after), frame(2, 1, after)] {
            kill.sent(&frame);
            kill.rendered(after, SenderId::new(3), &frame);
        }
        kill.rendered(after, SenderId::new(3), &frame(2, 2, before));
        assert_eq!((kill.host(), kill.failover(), kill.last()), (None, None, None));
    }

    #[test]
    fn most_and_the_last_of_the_survivors_are_two_times() {
        let after = |millis| AT + Duration::from_millis(millis);
        let mut kill = kill();
        let first = frame(2, 2, after(400));
        kill.sent(&first);
        assert_eq!(kill.failover(), None);
        kill.rendered(after(450), SenderId::new(3), &first);
        assert_eq!((kill.failover(), kill.last()), (Some(Duration::from_millis(450)), None));
        kill.rendered(after(700), SenderId::new(4), &first);
        assert_eq!(kill.last(), Some(Duration::from_millis(700)));
    }
}
