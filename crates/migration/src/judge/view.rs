//! What is known at an instant, and who is better by it.

use std::cmp::Reverse;
use std::time::Instant;

use paceline_types::SenderId;

use super::figures::{Favour, Figures, Heard};
use super::{Judge, Score};
use crate::rank::place;

/// What a [`Judge`] knows at an instant.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    pub(super) judge: &'a Judge,
    pub(super) now: Instant,
}

impl View<'_> {
    /// Who may host and does not.
    pub(super) fn able(&self) -> impl Iterator<Item = SenderId> {
        let able = self.judge.members.values().map(|member| &member.candidate);
        let able = able.filter(|able| able.may_host && Some(able.sender) != self.judge.host);
        able.map(|able| able.sender)
    }

    /// A score by what all others say.
    pub(super) fn score(&self, of: SenderId) -> Option<Score> {
        self.judged(of, &[], None, Favour::For)
    }

    /// Whether one would be the better host than another, by what third ones say of the two.
    /// Of two different members exactly one wins.
    pub(super) fn wins(&self, one: SenderId, other: SenderId) -> bool {
        let key = |of| {
            let score = self.judged(of, &[one, other], None, Favour::Neither);
            let points = score.map(|score| score.points);
            (Reverse(points), self.place(of, points.is_some()))
        };
        key(one) < key(other)
    }

    /// Who wins against each of the others, with his score and the host's.
    pub(super) fn best(&self) -> Option<(Score, Score)> {
        let mut able = self.able();
        let mut best = able.next()?;
        for other in able {
            if self.wins(other, best) {
                best = other;
            }
        }
        let wins = self.able().all(|other| other == best || self.wins(best, other));
        if wins { self.against_host(best) } else { None }
    }

    /// The scores of somebody and of the host, by what third ones say of the two; what they
    /// do not know of him the host is asked.
    pub(super) fn against_host(&self, able: SenderId) -> Option<(Score, Score)> {
        let host = self.judge.host?;
        let of_able = self.judged(able, &[host], Some(host), Favour::Against)?;
        Some((of_able, self.judged(host, &[able], None, Favour::For)?))
    }

    /// Whether somebody is better than the host by as much as it takes.
    pub(super) fn is_ahead(&self, able: SenderId) -> bool {
        self.against_host(able).is_some_and(|(score, host)| {
            let needed = u64::from(host.points) * u64::from(self.judge.config.advantage);
            score.points > host.points && u64::from(score.points) * 100 >= needed
        })
    }

    /// What tells equals apart: who was measured is not asked about himself.
    pub(super) fn place(&self, of: SenderId, measured: bool) -> impl Ord + use<> {
        let known = self.judge.members.get(&of).map(|member| &member.candidate);
        (known.filter(|_| !measured).map(place), known.map(|known| known.peer), of)
    }

    fn judged(
        &self,
        of: SenderId,
        without: &[SenderId],
        last: Option<SenderId>,
        favour: Favour,
    ) -> Option<Score> {
        let Judge { config, members, .. } = self.judge;
        let member = members.get(&of)?;
        let fresh =
            |heard: &&Heard| self.now.saturating_duration_since(heard.at) < config.stale_after();
        let heard = member.heard.iter().filter(|(from, _)| !without.contains(from));
        let heard: Vec<_> = heard.map(|(_, heard)| heard).filter(fresh).collect();
        let last = last.and_then(|last| member.heard.get(&last)).filter(fresh);
        let figures = Figures::of(&heard, last, favour)?;
        Some(Score::of(of, figures, member.sight, members.len().saturating_sub(1), config))
    }
}
