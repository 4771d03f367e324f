//! The room as the signalling server has it: a voter, and who votes besides it.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use paceline_framing::Vote;
use paceline_migration::types::{Epoch, SenderId};
use paceline_migration::{Lease, Voter, Welcome, WitnessReply, WitnessRequest};

/// `MigrationConfig::vote_hold` and `lease` by default.
const HOLD: Duration = Duration::from_millis(450);

#[derive(Default)]
pub struct Witness {
    voter: Voter,
    electors: BTreeSet<SenderId>,
    here: BTreeSet<u32>,
    by_lease: bool,
    host: Option<u32>,
    epoch: Epoch,
}

impl Witness {
    /// Lets somebody in: who comes first is made host, if he may be one.
    pub fn join(&mut self, now: Instant, id: u32, may_host: bool) -> Welcome {
        let genesis = self.electors.is_empty();
        if genesis && may_host && self.host.is_none() {
            let term = self.epoch.max(self.voter.promised()).term() + 1;
            let (epoch, roster) = (Epoch::new(term, 0), self.voter.roster());
            if self.voter.vote(now, epoch, SenderId::new(id), HOLD, roster) {
                (self.host, self.epoch, self.by_lease) = (Some(id), epoch, false);
            }
        }
        self.here.insert(id);
        Welcome { epoch: self.epoch, host: self.host.map(SenderId::new), genesis }
    }

    pub const fn roster(&self) -> paceline_migration::RosterId {
        self.voter.roster()
    }

    pub const fn host(&self) -> (Option<u32>, Epoch) {
        (self.host, self.epoch)
    }

    /// Answers, and tells whether another hosts.
    pub fn answer(
        &mut self,
        now: Instant,
        from: u32,
        request: WitnessRequest,
    ) -> (Option<WitnessReply>, bool) {
        let who = SenderId::new(from);
        let is_open = |it: &Self, epoch| {
            (it.by_lease || it.host.is_none_or(|host| host == from)) && epoch >= it.epoch
        };
        if !self.here.contains(&from) {
            return (None, false);
        }
        match request {
            WitnessRequest::Lease { lease, .. } if lease.length == 0 => {
                self.voter.release(lease.epoch, who);
                (None, false)
            }
            WitnessRequest::Lease { lease, electors } => {
                let Lease { epoch, length, roster, .. } = lease;
                let holds = (self.voter.promised(), self.voter.holder()) == (epoch, Some(who));
                let length = Duration::from_micros(length.into());
                let granted = is_open(self, epoch)
                    && (holds || self.voter.would_vote(now, epoch, who, roster))
                    && self.voter.take_lease(now, epoch, who, length);
                let news = granted && (self.host, self.epoch) != (Some(from), epoch);
                if granted {
                    self.voter.set_roster(roster);
                    self.electors = electors.into_iter().collect();
                    (self.host, self.epoch, self.by_lease) = (Some(from), epoch, true);
                }
                let lease = Lease { roster: self.voter.roster(), ..lease };
                (Some(WitnessReply::Lease { lease, granted }), news)
            }
            WitnessRequest::Vote(request) => {
                let paceline_migration::VoteRequest { epoch, candidate, prevote, length, roster } =
                    request;
                let granted = is_open(self, epoch)
                    && match prevote {
                        true => self.voter.would_vote(now, epoch, candidate, roster),
                        false => {
                            let hold = Duration::from_micros(length.into());
                            self.voter.vote(now, epoch, candidate, hold, roster)
                        }
                    };
                self.by_lease |= granted && !prevote;
                let vote = Vote { epoch, candidate, prevote, granted };
                (Some(WitnessReply::Vote(vote)), false)
            }
        }
    }

    /// Somebody is gone. Who said so has given up what he held.
    pub fn leave(&mut self, now: Instant, id: u32, said_so: bool) -> bool {
        self.here.remove(&id);
        if said_so {
            self.voter.release(self.voter.promised(), SenderId::new(id));
        }
        let left = self.electors.iter().any(|elector| self.here.contains(&elector.get()));
        if !self.electors.is_empty() && !left {
            self.electors.clear();
            let (promised, holder) = (self.voter.promised(), self.voter.holder());
            let rest = self.voter.held_until().and_then(|it| it.checked_duration_since(now));
            self.voter = Voter::promised_to(promised, holder);
            if let (Some(holder), Some(rest)) = (holder, rest) {
                let _ = self.voter.take_lease(now, promised, holder, rest);
            }
        }
        let hosted = self.host == Some(id);
        if hosted {
            self.host = None;
            if !self.by_lease {
                self.epoch = Epoch::new(self.epoch.term() + 1, 0);
            }
        }
        hosted
    }
}
