//! The witness: a voter that is always there, and gives out numbers.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use paceline_framing::Vote;
use paceline_migration::{Voter, Welcome, WitnessReply, WitnessRequest};
use paceline_types::{Epoch, SenderId};

/// What the signalling server's room does for hosts, and nothing else of it.
#[derive(Debug, Default)]
pub(super) struct Witness {
    voter: Voter,
    /// Who votes, as the newest lease says.
    electors: BTreeSet<SenderId>,
    /// Who had come last when the newest lease came.
    newest: SenderId,
    present: BTreeSet<SenderId>,
    given_out: u32,
    host: Option<SenderId>,
    epoch: Epoch,
    /// Who was told of last to host.
    told: (Option<SenderId>, Epoch),
    /// An elector was lost who may be alive, and elect with others.
    scattered: bool,
}

impl Witness {
    /// Lets somebody in: his number, and what he is told of the host. He is host himself if
    /// nobody is, and none of those is left who would have to vote.
    pub(super) fn join(&mut self, now: Instant) -> (SenderId, Welcome) {
        self.given_out += 1;
        let sender = SenderId::new(self.given_out);
        let genesis = self.electors.is_empty();
        if genesis && self.host.is_none() {
            self.appoint(now, sender);
        }
        self.present.insert(sender);
        (sender, Welcome { epoch: self.epoch, host: self.host, genesis })
    }

    fn appoint(&mut self, now: Instant, who: SenderId) {
        let epoch = Epoch::new(self.epoch.max(self.voter.promised()).term() + 1, 0);
        if self.voter.vote(now, epoch, who, GENESIS_LEASE, self.voter.roster()) {
            (self.host, self.epoch) = (Some(who), epoch);
        }
    }

    /// Notices that somebody is not there any more.
    pub(super) fn leave(&mut self, now: Instant, who: SenderId, said_so: bool) {
        self.present.remove(&who);
        if said_so {
            self.voter.release(self.voter.promised(), who);
        } else {
            self.scattered |= self.electors.contains(&who);
        }
        if self.host == Some(who) {
            self.host = None;
        }
        let is_any_left = self.present.iter().any(|&who| who <= self.newest);
        if !self.electors.is_empty() && !is_any_left {
            self.electors.clear();
            self.forget_roster(now);
            if std::mem::take(&mut self.scattered) {
                // Whoever is appointed or elected next is so under a later epoch than those
                // may come to who are lost here and elect each other.
                let term = self.epoch.max(self.voter.promised()).term() + SCATTERED_LEAP;
                self.epoch = Epoch::new(term, 0);
            }
        }
    }

    pub(super) fn present(&self) -> impl Iterator<Item = SenderId> {
        self.present.iter().copied()
    }

    /// Who hosts, if that is news to everybody.
    pub(super) fn poll_host(&mut self) -> Option<(Option<SenderId>, Epoch)> {
        let host = (self.host, self.epoch);
        (std::mem::replace(&mut self.told, host) != host).then_some(host)
    }

    pub(super) fn handle(
        &mut self,
        now: Instant,
        from: SenderId,
        request: WitnessRequest,
    ) -> WitnessReply {
        let is_here = self.present.contains(&from);
        match request {
            WitnessRequest::Lease { mut lease, electors } => {
                let holds =
                    (self.voter.promised(), self.voter.holder()) == (lease.epoch, Some(from));
                let length = Duration::from_micros(lease.length.into());
                let granted = is_here && lease.epoch >= self.epoch && length.is_zero() && holds
                    || is_here
                        && lease.epoch >= self.epoch
                        && !length.is_zero()
                        && (holds || self.voter.would_vote(now, lease.epoch, from, lease.roster))
                        && self.voter.take_lease(now, lease.epoch, from, length);
                if granted && length.is_zero() {
                    self.voter.release(lease.epoch, from);
                } else if granted {
                    self.voter.set_roster(lease.roster);
                    self.electors = electors.into_iter().collect();
                    self.newest = SenderId::new(self.given_out);
                    (self.host, self.epoch) = (Some(from), lease.epoch);
                }
                lease.roster = self.voter.roster();
                WitnessReply::Lease { lease, granted }
            }
            WitnessRequest::Vote(asked) => {
                let candidate = asked.candidate;
                let may = is_here && candidate == from && asked.epoch >= self.epoch;
                let granted = may
                    && if asked.prevote {
                        self.voter.would_vote(now, asked.epoch, from, asked.roster)
                    } else {
                        self.voter.vote(
                            now,
                            asked.epoch,
                            from,
                            Duration::from_micros(asked.length.into()),
                            asked.roster,
                        )
                    };
                // Who is refused learns what was promised, as members tell it.
                let promised = self.voter.promised().max(self.epoch);
                let epoch = if granted { asked.epoch } else { promised.max(asked.epoch) };
                let prevote = asked.prevote;
                WitnessReply::Vote(Vote { epoch, candidate, prevote, granted })
            }
        }
    }

    /// Those who are gone do not come back under their numbers: who comes now has no roster,
    /// and need not have theirs. What was promised stays so.
    fn forget_roster(&mut self, now: Instant) {
        let (promised, holder) = (self.voter.promised(), self.voter.holder());
        let held = self.voter.held_until().and_then(|until| until.checked_duration_since(now));
        self.voter = Voter::promised_to(promised, holder);
        if let (Some(holder), Some(rest)) = (holder, held) {
            self.voter.take_lease(now, promised, holder, rest);
        }
    }
}

/// For how long somebody hosts who was let in as host: a lease, as the machine's default.
const GENESIS_LEASE: Duration = Duration::from_millis(450);

/// Terms that are left to electors who lost the witness, but not each other.
const SCATTERED_LEAP: u64 = 1_024;

#[cfg(test)]
mod tests {
    use super::*;
    use paceline_framing::RosterId;

    use crate::epoch;

    #[test]
    fn the_first_hosts_and_the_second_is_told_of_him() {
        let mut witness = Witness::default();
        let (ann, first) = witness.join(epoch());
        let (ben, second) = witness.join(epoch());
        assert_eq!((first.host, first.genesis), (Some(ann), true));
        assert_eq!((second.host, second.epoch), (Some(ann), first.epoch));
        assert_ne!(ann, ben);
        let none = RosterId::default();
        assert!(!witness.voter.would_vote(epoch(), Epoch::new(2, 0), ben, none));
    }
}
