//! The room of a signalling server, as far as it votes.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use paceline_framing::{Lease, Vote};
use paceline_migration::Voter;
use paceline_session::types::{Epoch, SenderId};
use paceline_session::{WitnessReply, WitnessRequest};

#[derive(Debug, Default)]
pub(super) struct Witness {
    voter: Voter,
    electors: BTreeSet<SenderId>,
}

impl Witness {
    pub(super) fn epoch(&self) -> Epoch {
        self.voter.promised()
    }

    /// Who hosts, if he is there.
    pub(super) fn host(&self, there: &[u8]) -> Option<u8> {
        let holder = self.voter.holder()?;
        there.iter().copied().find(|&n| super::sender(n) == holder)
    }

    /// Whether nobody who votes is there.
    pub(super) fn is_free(&self, there: &[u8]) -> bool {
        !there.iter().any(|&n| self.electors.contains(&super::sender(n)))
    }

    pub(super) fn choose(&mut self, now: Instant, n: u8) {
        let epoch = Epoch::new(self.voter.promised().term() + 1, 0);
        assert!(self.voter.take_lease(now, epoch, super::sender(n), LEASE));
    }

    pub(super) fn handle_request(
        &mut self,
        now: Instant,
        from: SenderId,
        request: WitnessRequest,
    ) -> Option<WitnessReply> {
        match request {
            WitnessRequest::Lease { lease, .. } if lease.length == 0 => {
                self.voter.release(lease.epoch, from);
                None
            }
            WitnessRequest::Lease { lease, electors } => {
                let length = Duration::from_micros(lease.length.into());
                let holds =
                    (self.voter.promised(), self.voter.holder()) == (lease.epoch, Some(from));
                let may = holds || self.voter.would_vote(now, lease.epoch, from, lease.roster);
                let granted = may && self.voter.take_lease(now, lease.epoch, from, length);
                if granted {
                    self.voter.set_roster(lease.roster);
                    self.electors = electors.into_iter().collect();
                }
                let lease = Lease { roster: self.voter.roster(), ..lease };
                Some(WitnessReply::Lease { lease, granted })
            }
            WitnessRequest::Vote(request) => {
                let paceline_framing::VoteRequest { epoch, candidate, prevote, length, roster } =
                    request;
                let granted = if prevote {
                    self.voter.would_vote(now, epoch, candidate, roster)
                } else {
                    {
                        let hold = Duration::from_micros(length.into());
                        self.voter.vote(now, epoch, candidate, hold, roster)
                    }
                };
                Some(WitnessReply::Vote(Vote { epoch, candidate, prevote, granted }))
            }
        }
    }
}

const LEASE: Duration = Duration::from_millis(450);
