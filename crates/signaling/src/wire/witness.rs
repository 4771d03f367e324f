//! The parameters and results of `witness.lease` and `witness.vote`.

use std::collections::BTreeSet;

use paceline_migration::{Lease, RosterId, Vote, VoteRequest};
use paceline_types::{Epoch, SenderId};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{BadParams, Term};
use crate::limits;
use crate::rpc::RpcError;

/// A [`RosterId`] as its parts.
#[derive(Deserialize, Serialize)]
struct Roster {
    epoch: Term,
    number: u32,
}

impl Roster {
    const fn of(id: RosterId) -> Self {
        Self { epoch: Term::of(id.epoch), number: id.number }
    }

    fn check(&self) -> Result<RosterId, BadParams> {
        Ok(RosterId { epoch: self.epoch.check()?, number: self.number })
    }
}

/// The parameters of `witness.lease`.
#[derive(Deserialize)]
pub(crate) struct AskLease {
    epoch: Term,
    length_us: u32,
    sequence: u32,
    roster: Roster,
    electors: Vec<u32>,
}

impl AskLease {
    pub(crate) fn emit(lease: &Lease, electors: &[SenderId]) -> Value {
        let Lease { epoch, length, sequence, roster } = *lease;
        json!({
            "epoch": Term::of(epoch),
            "length_us": length,
            "sequence": sequence,
            "roster": Roster::of(roster),
            "electors": electors.iter().map(|sender| sender.get()).collect::<Vec<_>>(),
        })
    }

    pub(crate) fn check(self) -> Result<(Lease, BTreeSet<SenderId>), RpcError> {
        limits::check_lease(self.length_us, self.electors.len())?;
        let lease = Lease {
            epoch: self.epoch.check()?,
            length: self.length_us,
            sequence: self.sequence,
            roster: self.roster.check()?,
        };
        Ok((lease, self.electors.into_iter().map(SenderId::new).collect()))
    }

    /// The result: the lease as it came, with the roster that the witness has.
    pub(crate) fn reply(lease: &Lease, granted: bool, roster: RosterId) -> Value {
        let Lease { epoch, length, sequence, .. } = *lease;
        json!({
            "granted": granted,
            "epoch": Term::of(epoch),
            "length_us": length,
            "sequence": sequence,
            "roster": Roster::of(roster),
        })
    }
}

/// The result of `witness.lease`.
#[derive(Deserialize)]
pub(crate) struct TookLease {
    granted: bool,
    epoch: Term,
    length_us: u32,
    sequence: u32,
    roster: Roster,
}

impl TookLease {
    /// The answer to `asked`, if it is one.
    pub(crate) fn check(&self, asked: Lease) -> Result<(Lease, bool), BadParams> {
        let roster = self.roster.check()?;
        let (length, sequence) = (self.length_us, self.sequence);
        let lease = Lease { epoch: self.epoch.check()?, length, sequence, roster };
        if lease != (Lease { roster, ..asked }) {
            return Err(BadParams("it answers another lease".into()));
        }
        Ok((lease, self.granted))
    }
}

/// The parameters of `witness.vote`.
#[derive(Deserialize)]
pub(crate) struct AskVote {
    epoch: Term,
    candidate: u32,
    prevote: bool,
    length_us: u32,
    roster: Roster,
}

impl AskVote {
    pub(crate) fn emit(request: &VoteRequest) -> Value {
        let VoteRequest { epoch, candidate, prevote, length, roster } = *request;
        json!({
            "epoch": Term::of(epoch),
            "candidate": candidate.get(),
            "prevote": prevote,
            "length_us": length,
            "roster": Roster::of(roster),
        })
    }

    pub(crate) fn check(self) -> Result<VoteRequest, RpcError> {
        limits::check_length(self.length_us)?;
        Ok(VoteRequest {
            epoch: self.epoch.check()?,
            candidate: SenderId::new(self.candidate),
            prevote: self.prevote,
            length: self.length_us,
            roster: self.roster.check()?,
        })
    }

    /// The result: what was asked, and the answer.
    pub(crate) fn reply(request: &VoteRequest, granted: bool, epoch: Epoch) -> Value {
        let VoteRequest { candidate, prevote, .. } = *request;
        json!({
            "granted": granted,
            "epoch": Term::of(epoch),
            "candidate": candidate.get(),
            "prevote": prevote,
        })
    }
}

/// The result of `witness.vote`.
#[derive(Deserialize)]
pub(crate) struct Voted {
    granted: bool,
    epoch: Term,
    candidate: u32,
    prevote: bool,
}

impl Voted {
    /// The answer to `asked`, if it is one.
    pub(crate) fn check(&self, asked: VoteRequest) -> Result<Vote, BadParams> {
        let epoch = self.epoch.check()?;
        // A refusal may tell of a later one.
        let fits = epoch == asked.epoch || epoch > asked.epoch && !self.granted;
        let named = (SenderId::new(self.candidate), self.prevote);
        if !fits || named != (asked.candidate, asked.prevote) {
            return Err(BadParams("it answers another request".into()));
        }
        Ok(Vote { epoch, ..answer(asked, self.granted) })
    }
}

/// The vote that answers `request`.
pub(crate) const fn answer(request: VoteRequest, granted: bool) -> Vote {
    let VoteRequest { epoch, candidate, prevote, .. } = request;
    Vote { epoch, candidate, prevote, granted }
}
