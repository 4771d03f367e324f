//! Elections: who stands, when, and who wins.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use paceline_framing::{Control, Vote, VoteRequest};
use paceline_types::{Epoch, SenderId};
use tracing::info;

use super::{Migration, Mutant, State};
use crate::io::{Output, Reason, Verdict, WitnessRequest};
use crate::rank::first_host;

/// Our wish to host.
#[derive(Debug)]
pub(super) struct Candidacy {
    epoch: Epoch,
    prevote: bool,
    /// It is a later one than we began with: somebody had promised that.
    raised: bool,
    yes: BTreeSet<SenderId>,
    witness: bool,
    /// When the votes that count were first asked for.
    asked: Instant,
    /// When those who did not say yes are asked again.
    again: Instant,
    /// When we give up, for others to stand.
    until: Instant,
}

impl Candidacy {
    /// Somebody came who was not asked.
    pub(super) const fn ask_again(&mut self, now: Instant) {
        self.again = now;
    }
}

impl Migration {
    /// Becomes a candidate in its turn, if it may be one at all.
    pub(super) fn schedule(&mut self, now: Instant) {
        let idle = matches!(self.state, State::Follower) && self.stand_at.is_none();
        if let Some(rank) = self.rank_of_us().filter(|_| idle && self.identity.may_host) {
            let stagger = self.config.stagger.saturating_mul(rank);
            let jitter = JITTER + self.random(self.config.stagger / 8);
            self.stand_at = now.checked_add(stagger + jitter);
        }
    }

    /// Stands later, if there is no host then.
    pub(super) fn postpone(&mut self, now: Instant, pause: Duration) {
        self.stand_at = None;
        if self.host.is_none() || self.suspected.is_some() {
            let pause = pause + self.random(self.config.stagger / 2);
            self.schedule(now + pause);
        }
    }

    /// Somebody wants to host who is to follow the host before we are: he goes first.
    pub(super) fn step_back(&mut self, now: Instant, other: SenderId) {
        let is_ahead = self.place_of(other) < self.place_of(self.identity.sender);
        let asks = matches!(&self.state, State::Candidate(candidacy) if candidacy.prevote);
        // Once until we have tried ourselves: he may be cut off from the others, and try for
        // ever.
        if is_ahead && (asks || self.stand_at.is_some()) && !self.yielded {
            self.yielded = true;
            if asks {
                self.state = State::Follower;
            }
            self.postpone(now, self.config.lease);
        }
    }

    /// How many follow the host before we do; `None` if we may not.
    fn rank_of_us(&self) -> Option<u32> {
        u32::try_from(self.place_of(self.identity.sender)).ok().filter(|&place| place < NOBODY)
    }

    /// How many follow the host before somebody does, who is of those who vote.
    pub(super) fn place_of(&self, sender: SenderId) -> usize {
        // For the others it is he who is doubted.
        let is_deposed = self.deposed && sender == self.identity.sender;
        let place = if let Some(roster) = &self.roster {
            let others = roster.members.iter().filter(|member| Some(member.sender) != self.host);
            let mut voters = others.filter(|member| member.votes || self.votes_alone());
            let newcomers = || self.votes_alone().then(|| self.newcomer(sender)).flatten();
            voters.position(|member| member.sender == sender).or_else(newcomers)
        } else if self.electorate.witness {
            let others = self.members.values().map(|known| known.candidate);
            let all = Vec::from_iter(others.chain([self.ourselves()]));
            first_host(&all).iter().position(|&candidate| candidate == sender)
        } else {
            None
        };
        let behind = if is_deposed { self.members.len() } else { 0 };
        place.map_or(NOBODY as usize, |place| place.saturating_add(behind))
    }

    /// The place of who came after the roster was made, behind all who are in it: where the
    /// witness decides alone he may be all that is left.
    fn newcomer(&self, sender: SenderId) -> Option<usize> {
        let listed = &self.roster.as_ref()?.members;
        let is_new = |who: &SenderId| listed.iter().all(|member| member.sender != *who);
        let known = self.members.keys().copied().chain([self.identity.sender]);
        let mut new = Vec::from_iter(known.filter(is_new));
        new.sort_unstable();
        Some(listed.len() + new.iter().position(|&who| who == sender)?)
    }

    /// Whether nobody votes but the witness.
    fn votes_alone(&self) -> bool {
        self.electorate.members.is_empty() && self.electorate.witness
    }

    pub(super) fn candidacy_timeout(&mut self, now: Instant) {
        if self.stand_at.is_some_and(|at| at <= now) {
            self.stand_at = None;
            if matches!(self.state, State::Follower) {
                self.stand_next(now);
            }
        }
        let State::Candidate(candidacy) = &self.state else { return };
        if candidacy.until <= now {
            let prevote = candidacy.prevote;
            // Somebody may have promised this epoch who does not say so, as the witness does
            // not: the next is a later one.
            self.failures += u32::from(prevote && self.failures < MAX_LEARNT);
            self.state = State::Follower;
            // Two who stand at a time stand in each other's way: the one behind yields again.
            self.yielded = false;
            let pause = match prevote {
                true => Duration::ZERO,
                false => self.random(self.config.vote_hold),
            };
            return self.postpone(now, pause);
        }
        if candidacy.again <= now {
            self.ask(now);
        }
        self.try_to_win(now);
    }

    pub(super) fn next_candidacy(&self) -> Option<(Instant, Reason)> {
        let at = match &self.state {
            State::Candidate(candidacy) => Some(candidacy.again.min(candidacy.until)),
            State::Follower => self.stand_at,
            State::Host(_) => None,
        };
        at.map(|at| (at, Reason::Election))
    }

    /// Asks who would vote for us under an epoch later than all that we know of.
    fn stand_next(&mut self, now: Instant) {
        let later = self.later.unwrap_or_default().max(self.voter.promised()).max(self.asked);
        // Nobody stands under a term that cannot be: only liars bring it that far.
        let term = later.term() + 1 + u64::from(self.failures);
        if term < 1 << 48 {
            self.stats.candidacies += 1;
            self.stand(now, Epoch::new(term, 0), true);
        }
    }

    fn stand(&mut self, now: Instant, epoch: Epoch, prevote: bool) {
        let patience = match prevote {
            true => self.config.lease + self.config.retry * 2,
            // Votes that came first run out then.
            false => self.config.vote_hold.saturating_sub(self.config.margin),
        };
        self.state = State::Candidate(Candidacy {
            epoch,
            prevote,
            raised: false,
            yes: BTreeSet::new(),
            witness: false,
            asked: now,
            again: now,
            until: now + patience,
        });
        self.candidacy_timeout(now);
    }

    /// Asks those who have not said yes.
    fn ask(&mut self, now: Instant) {
        let us = self.identity.sender;
        let (roster, fence) = (self.voter.roster(), self.fence);
        let retry = self.config.retry;
        let is_shared = self.is_shared(now);
        let State::Candidate(candidacy) = &mut self.state else { return };
        let mut again = now + retry;
        if candidacy.prevote {
            candidacy.yes.insert(us);
        } else if !candidacy.yes.contains(&us) {
            // Those who vote answer when the lease has run out at theirs; ours counts too.
            match self.voter.held_until().filter(|&until| until > now) {
                Some(until) if self.voter.holder() != Some(us) || is_shared => {
                    again = again.min(until);
                }
                _ => {
                    let hold = self.config.vote_hold;
                    if !self.voter.vote(now, candidacy.epoch, us, hold, roster) {
                        candidacy.until = now;
                        return;
                    }
                    candidacy.yes.insert(us);
                }
            }
        }
        candidacy.again = again;
        if !candidacy.prevote {
            self.asked = self.asked.max(candidacy.epoch);
        }
        let request = VoteRequest {
            epoch: candidacy.epoch,
            candidate: us,
            prevote: candidacy.prevote,
            length: self.config.vote_length(),
            roster,
        };
        let electors = self.electorate.members.iter().copied();
        let missing = Vec::from_iter(electors.filter(|who| !candidacy.yes.contains(who)));
        let ask_witness = self.electorate.witness && !candidacy.witness;
        for to in missing {
            if self.is_connected(to) {
                self.send(to, fence, Control::VoteRequest(request));
            }
        }
        if ask_witness {
            self.outputs.push_back(Output::Witness(WitnessRequest::Vote(request)));
        }
    }

    pub(super) fn handle_vote(&mut self, now: Instant, from: SenderId, vote: &Vote) -> Verdict {
        if vote.candidate != self.identity.sender {
            return Verdict::WrongRole;
        }
        if let State::Host(hosting) = &self.state {
            // Who takes our renewals has promised nothing later.
            let takes = hosting.has_echoed_within(now, from, self.config.renewal * 2);
            if !vote.granted && !vote.prevote && vote.epoch > hosting.epoch && !takes {
                self.note_later(now, vote.epoch);
            }
            self.handle_vote_again(now, Some(from), vote);
        }
        self.count_vote(now, Some(from), vote);
        Verdict::Taken
    }

    /// A vote of a member, or of the witness.
    pub(super) fn count_vote(&mut self, now: Instant, from: Option<SenderId>, vote: &Vote) {
        let State::Candidate(candidacy) = &mut self.state else { return };
        let is_answer = (vote.epoch, vote.prevote) == (candidacy.epoch, candidacy.prevote);
        if !vote.granted {
            return self.learn(now, vote.epoch);
        }
        if !is_answer {
            return;
        }
        match from {
            Some(from) => drop(candidacy.yes.insert(from)),
            None => candidacy.witness = true,
        }
        self.try_to_win(now);
    }

    /// Takes in that somebody promised a later epoch than we ask for. Not much later: that
    /// would be a lie that nobody votes for.
    fn learn(&mut self, now: Instant, epoch: Epoch) {
        let most = self.voter.promised().term() + u64::from(MAX_LEARNT);
        let State::Candidate(candidacy) = &self.state else { return };
        if epoch <= candidacy.epoch || epoch.term() > most {
            return;
        }
        let raise = candidacy.prevote && !candidacy.raised;
        self.later = self.later.max(Some(epoch));
        if raise {
            self.stand_next(now);
            if let State::Candidate(candidacy) = &mut self.state {
                candidacy.raised = true;
            }
        }
    }

    fn try_to_win(&mut self, now: Instant) {
        let State::Candidate(candidacy) = &self.state else { return };
        let Candidacy { epoch, prevote, yes, witness, asked, until, .. } = candidacy;
        if *until <= now {
            return;
        }
        let (epoch, prevote, asked) = (*epoch, *prevote, *asked);
        if !self.is_quorum(yes, *witness) || !yes.contains(&self.identity.sender) {
            return;
        }
        if prevote {
            return self.stand(now, epoch, false);
        }
        info!(%epoch, "we are elected");
        let heard = (self.heard, self.suspected);
        self.become_host(now, epoch, Some(asked), Some(heard));
    }

    pub(super) fn is_quorum(&self, yes: &BTreeSet<SenderId>, witness: bool) -> bool {
        if self.mutant(Mutant::NoQuorum) {
            return !yes.is_empty() || witness;
        }
        self.electorate.is_quorum(yes.iter().copied(), witness)
    }
}

/// Candidates wait for at least so long: whoever gives up and stands again must not do both
/// at one instant.
const JITTER: Duration = Duration::from_millis(1);

/// Terms beyond what we promised that others are believed to have. Each is an election that
/// failed, half a second or more: half an hour of them. A witness that lost all who voted
/// leaves them 1,024.
const MAX_LEARNT: u32 = 4_096;

/// The place of who may not host.
const NOBODY: u32 = u32::MAX;
