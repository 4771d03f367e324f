//! The room's vote in who hosts it.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use paceline_migration::{Lease, RosterId, VoteRequest, Voter};
use paceline_types::{Epoch, SenderId};

/// What a room has promised, to whom, and whose votes count besides its own.
///
/// By itself it decides only at genesis: while nobody votes who is here. Then, and only
/// then, somebody hosts without having asked.
#[derive(Debug, Default)]
pub(crate) struct Witness {
    voter: Voter,
    /// Who votes, by the newest lease.
    electors: BTreeSet<SenderId>,
    /// Who had come last when that came: he, and who came before him, may vote by a later
    /// roster that its host could not tell us any more.
    newest: SenderId,
    /// The host of now has asked for a vote or sent a lease; one who has not hosts for as
    /// long as he is in the room.
    by_lease: bool,
    /// An elector's connection was lost: he may be alive, and elect with others who are.
    scattered: bool,
    /// Nothing before it is promised any more: those who were lost here may have come to it.
    floor: Epoch,
}

impl Witness {
    /// Whether nobody votes but the witness.
    pub(crate) fn is_genesis(&self) -> bool {
        self.electors.is_empty()
    }

    /// Whether hosting is by lease, and no longer by being here.
    pub(crate) const fn is_by_lease(&self) -> bool {
        self.by_lease
    }

    /// The newest epoch that was promised.
    pub(crate) fn promised(&self) -> Epoch {
        self.voter.promised().max(self.floor)
    }

    /// The newest roster that is known of.
    pub(crate) const fn roster(&self) -> RosterId {
        self.voter.roster()
    }

    /// Promises an epoch after `told` and all that were promised to somebody who has not
    /// asked for it, for `hold`. `None`: another's lease has not run out.
    pub(crate) fn appoint(
        &mut self,
        now: Instant,
        told: Epoch,
        who: SenderId,
        hold: Duration,
    ) -> Option<Epoch> {
        let term = told.max(self.promised()).term() + 1;
        // Terms run out after years of lies, and must not take the server with them.
        let epoch = (term >> 48 == 0).then(|| Epoch::new(term, 0))?;
        if !self.voter.vote(now, epoch, who, hold, self.voter.roster()) {
            return None;
        }
        self.by_lease = false;
        Some(epoch)
    }

    /// Takes a lease of somebody who may hold it: he does already, or was voted for, or
    /// would be.
    pub(crate) fn take_lease(
        &mut self,
        now: Instant,
        who: SenderId,
        lease: &Lease,
        electors: BTreeSet<SenderId>,
        newest: SenderId,
    ) -> bool {
        let Lease { epoch, length, roster, .. } = *lease;
        // A holder's roster is older than ours only if what he sent is; his lease holds.
        let holds = (self.voter.promised(), self.voter.holder()) == (epoch, Some(who));
        let granted = (holds
            || epoch >= self.floor
                && self.voter.would_vote(now, epoch, who, self.counting(roster)))
            && self.voter.take_lease(now, epoch, who, Duration::from_micros(length.into()));
        if granted {
            self.voter.set_roster(roster);
            (self.electors, self.newest) = (electors, newest);
            self.by_lease = true;
        }
        granted
    }

    /// Takes in that a holder gives his lease up; `false` if he has none under `epoch`.
    pub(crate) fn release(&mut self, epoch: Epoch, who: SenderId) -> bool {
        let holds = (self.voter.promised(), self.voter.holder()) == (epoch, Some(who));
        self.voter.release(epoch, who);
        holds
    }

    /// Votes, or says whether it would soon: who doubts the host asks before the lease has
    /// run out, so as to be elected when it has.
    pub(crate) fn vote(&mut self, now: Instant, request: &VoteRequest) -> bool {
        let VoteRequest { epoch, candidate, prevote, length, .. } = *request;
        let roster = self.counting(request.roster);
        if epoch < self.floor {
            return false;
        }
        if prevote {
            return self.voter.would_vote(now + FORESIGHT, epoch, candidate, roster);
        }
        let granted =
            self.voter.vote(now, epoch, candidate, Duration::from_micros(length.into()), roster);
        self.by_lease |= granted;
        granted
    }

    /// Takes in that `who` is gone and `left` are here. Who said so himself has given up
    /// what he held; of a lost connection nobody knows whether he hosts on, so his lease
    /// has to run out.
    pub(crate) fn leave(
        &mut self,
        who: SenderId,
        said_so: bool,
        mut left: impl Iterator<Item = SenderId>,
    ) {
        if said_so {
            self.voter.release(self.voter.promised(), who);
        } else {
            self.scattered |= self.electors.contains(&who);
        }
        if !left.any(|sender| sender <= self.newest) {
            if !self.electors.is_empty() && std::mem::take(&mut self.scattered) {
                let term = self.promised().term() + SCATTERED_LEAP;
                // Terms run out after years of lies, and must not take the server with them.
                if term >> 48 == 0 {
                    self.floor = Epoch::new(term, 0);
                }
            }
            self.electors.clear();
        }
    }

    /// What a candidate's roster counts as. Where nobody votes but the witness, none is too
    /// old: whoever has a newer one is gone, or hosts alone.
    fn counting(&self, roster: RosterId) -> RosterId {
        if self.is_genesis() { roster.max(self.voter.roster()) } else { roster }
    }
}

/// How long somebody who is made host at his announcement has for his first lease: what a
/// lease is by default (`MigrationConfig::lease`).
pub(crate) const GENESIS_LEASE: Duration = Duration::from_millis(450);
/// How long before a lease runs out a prevote is granted: what is left of one, by default,
/// when a host is doubted (`MigrationConfig::lease` less `suspicion`).
const FORESIGHT: Duration = Duration::from_millis(150);
/// Terms left to electors who lost the server but not each other: in the quarter of an hour
/// that as many elections take at one a second, they come to no epoch that is given here.
const SCATTERED_LEAP: u64 = 1_024;
