//! Leases, rosters, and doubt: what a member does who does not host.

use std::time::{Duration, Instant};

use paceline_framing::{Control, Lease, Role, Roster, Vote, VoteRequest};
use paceline_types::{Epoch, Frequency, MediaTime, SenderId, StreamId};
use tracing::debug;

use super::{Migration, Mutant, State};
use crate::Electorate;
use crate::config::MAX_LEASE;
use crate::io::{Event, Output, Reason, StageOrder, Verdict};

/// In which the host of before is heard beside the one after him.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    pub(super) host: SenderId,
    pub(super) epoch: Epoch,
    /// The first media time that is not his any more, on the 90 kHz clock.
    pub(super) at: MediaTime,
    pub(super) until: Instant,
    /// Until when he may send: a lease from when he gave it up, at most.
    pub(super) shared_until: Instant,
}

impl Window {
    /// Whether a frame is one of those that may still come.
    pub(super) fn has(
        &self,
        now: Instant,
        from: SenderId,
        epoch: Epoch,
        stream: StreamId,
        time: MediaTime,
        crossfade: Duration,
    ) -> bool {
        (self.host, self.epoch) == (from, epoch)
            && now <= self.until
            && is_before(stream, time, self.at, crossfade)
    }
}

/// Whether a frame of the mix belongs to who hosts until `at`: sound does for a crossfade
/// longer.
pub(super) fn is_before(
    stream: StreamId,
    time: MediaTime,
    at: MediaTime,
    crossfade: Duration,
) -> bool {
    let at = if stream == StreamId::MIX_AUDIO { at + crossfade } else { at };
    compare(time, at).is_lt()
}

/// Compares media times of different clocks.
pub(super) fn compare(a: MediaTime, b: MediaTime) -> std::cmp::Ordering {
    let scaled =
        |time: MediaTime, other: Frequency| u128::from(time.ticks()) * u128::from(other.hz());
    scaled(a, b.frequency()).cmp(&scaled(b, a.frequency()))
}

impl Migration {
    pub(super) fn handle_lease(&mut self, now: Instant, from: SenderId, lease: &Lease) -> Verdict {
        if let State::Host(hosting) = &self.state
            && lease.epoch == hosting.epoch
        {
            self.handle_echo(now, Some(from), lease);
            return Verdict::Taken;
        }
        if let Some(retiring) = &mut self.retiring
            && lease.epoch == retiring.hosting.epoch
        {
            // What was renewed just before we handed over.
            retiring.hosting.note_echo(Some(from), lease);
            self.validate();
            return Verdict::Taken;
        }
        if lease.epoch < self.fence {
            return Verdict::Stale;
        }
        if lease.epoch == self.fence && self.host.is_some_and(|host| host != from) {
            return Verdict::WrongRole;
        }
        let promised = self.voter.promised();
        let is_holder = (promised, self.voter.holder()) == (lease.epoch, Some(from));
        let is_anothers = lease.epoch == promised && self.voter.holder().is_some() && !is_holder;
        if lease.epoch < promised || is_anothers {
            if lease.length > 0 {
                // We promised a later one, or this one, to a candidate who failed. He has to
                // know, for nothing else brings us back: only what is later still will do.
                let later = promised.to_bits().saturating_add(is_anothers.into());
                let epoch = Epoch::from_bits(later);
                let vote = Vote { epoch, candidate: from, prevote: false, granted: false };
                self.send(from, self.fence, Control::Vote(vote));
            }
            return Verdict::Stale;
        }
        if lease.length == 0 {
            return self.handle_given_up(now, from, lease.epoch, is_holder);
        }
        if !is_holder {
            // Who asked before he claimed it goes first.
            self.answer_deferred(now);
        }
        let length = Duration::from_micros(lease.length.into()).min(MAX_LEASE);
        let may_claim = || self.voter.would_vote(now, lease.epoch, from, lease.roster);
        if !is_holder && !may_claim() {
            return Verdict::Early;
        }
        if !self.voter.take_lease(now, lease.epoch, from, length) {
            return Verdict::WrongRole;
        }
        if (self.fence, self.host) == (lease.epoch, Some(from)) {
            self.heard = Some(now);
            self.trust();
        } else {
            self.follow(now, lease.epoch, from, None);
        }
        let echo = Lease { roster: self.voter.roster(), ..*lease };
        self.send(from, lease.epoch, Control::Lease(echo));
        Verdict::Taken
    }

    fn handle_given_up(
        &mut self,
        now: Instant,
        from: SenderId,
        epoch: Epoch,
        is_holder: bool,
    ) -> Verdict {
        if !is_holder {
            return Verdict::WrongRole;
        }
        self.release(now, epoch, from);
        if self.host == Some(from) {
            self.doubt(now);
        }
        Verdict::Taken
    }

    /// Somebody proved that he hosts, or the witness says so.
    pub(super) fn follow(
        &mut self,
        now: Instant,
        epoch: Epoch,
        host: SenderId,
        window: Option<Window>,
    ) {
        debug!(%epoch, %host, planned = window.is_some(), "another hosts");
        if let State::Host(_) = self.state {
            self.stop_hosting(now);
        }
        let (last_heard, suspected) = (self.heard, self.suspected);
        self.state = State::Follower;
        (self.fence, self.host) = (epoch, Some(host));
        self.heard = Some(now);
        self.trust();
        self.window = window;
        if self.retiring.as_ref().is_some_and(|retiring| retiring.next != epoch) {
            self.retiring = None;
        }
        self.stats.host_changes += 1;
        self.judge.set_host(now, Some(host));
        self.rank_anew(now);
        self.rank();
        self.event(Event::Elected {
            epoch,
            host,
            planned: window.is_some(),
            last_heard,
            suspected,
        });
        self.tell_role();
        self.update_stage();
    }

    /// The host is alive.
    pub(super) fn trust(&mut self) {
        (self.suspected, self.stand_at) = (None, None);
        self.set_scattered(false);
        (self.deposed, self.yielded, self.later, self.failures) = (false, false, None, 0);
        self.deferred.clear();
        if let State::Candidate(_) = self.state {
            self.state = State::Follower;
        }
    }

    /// Who hosts may be gone.
    pub(super) fn doubt(&mut self, now: Instant) {
        if self.suspected.is_some() {
            return;
        }
        self.suspected = Some(now);
        if let Some(host) = self.host {
            self.event(Event::Suspected { host });
        }
        self.schedule(now);
        self.answer_deferred(now);
    }

    /// A connection ended.
    pub(super) fn lose(&mut self, now: Instant, member: SenderId, bye: bool) {
        if self.host != Some(member) || matches!(self.state, State::Host(_)) {
            return;
        }
        if bye {
            self.release(now, self.fence, member);
        }
        self.doubt(now);
    }

    /// Who hosts does not want to any more. While the host before him may still send what
    /// was his, nobody else is to follow: that one has given nothing up.
    fn release(&mut self, now: Instant, epoch: Epoch, holder: SenderId) {
        if !self.is_shared(now) {
            self.voter.release(epoch, holder);
            self.answer_deferred(now);
        }
    }

    /// Whether the host before the one who holds the lease may still send what was his: then
    /// not even the holder is voted for under a later epoch.
    pub(super) fn is_shared(&self, now: Instant) -> bool {
        self.window.as_ref().is_some_and(|window| now < window.shared_until)
    }

    pub(super) fn handle_roster(&mut self, now: Instant, roster: &Roster) -> Verdict {
        // Who voted and left is in it until he is voted out. Each host numbers his own: one
        // of another epoch would never be outdone.
        if roster.members.len() > self.config.max_members * 2 || roster.id.epoch != self.fence {
            return Verdict::WrongRole;
        }
        if self.roster.as_ref().is_some_and(|known| known.id >= roster.id) {
            return Verdict::Stale;
        }
        self.adopt(roster.clone());
        // Who was in the room before us may be told of by the host alone.
        if self.suspected.is_some() {
            self.schedule(now);
        }
        Verdict::Taken
    }

    pub(super) fn adopt(&mut self, roster: Roster) {
        self.electorate = Electorate::of(&roster);
        self.voter.set_roster(roster.id);
        self.roster = Some(roster);
        self.rank();
        self.tell_role();
        self.update_stage();
    }

    /// Who follows the host, by the newest roster: who hosts follows nobody.
    pub(super) fn rank(&mut self) {
        let standbys = self.roster.iter().flat_map(|roster| &roster.members);
        let standbys = standbys.filter(|member| member.role == Role::Standby);
        let successors = Vec::from_iter(
            standbys.map(|member| member.sender).filter(|&sender| Some(sender) != self.host),
        );
        self.successors = successors;
        self.tell_successors();
    }

    /// Says whom everybody is to be connected to, if that is news. While nobody follows the
    /// host for long, that is all who vote: those who could be elected may have newer rosters
    /// than the successors, and no way yet to those who would elect them.
    fn tell_successors(&mut self) {
        let mut all = self.successors.clone();
        if self.scattered {
            let us = self.identity.sender;
            let others = self.electorate.members.iter().copied().filter(|&who| who != us);
            let new = Vec::from_iter(others.filter(|who| !all.contains(who)));
            all.extend(new);
        }
        if all != self.told_successors {
            self.told_successors.clone_from(&all);
            self.outputs.push_back(Output::Successors(all));
        }
    }

    /// Whether nobody hosts for so long that those who vote look for each other.
    pub(super) fn set_scattered(&mut self, scattered: bool) {
        if self.scattered != scattered {
            self.scattered = scattered;
            self.tell_successors();
        }
    }

    /// When all who vote look for each other.
    fn scatters_at(&self) -> Option<Instant> {
        let since = self.suspected.filter(|_| !self.scattered)?;
        since.checked_add(self.config.lease.saturating_mul(SCATTERED))
    }

    pub(super) fn handle_vote_request(
        &mut self,
        now: Instant,
        from: SenderId,
        request: &VoteRequest,
    ) -> Verdict {
        if request.candidate != from {
            return Verdict::WrongRole;
        }
        if self.mutant(Mutant::VoteAmnesia) {
            self.voter = crate::Voter::new();
        }
        let &VoteRequest { epoch, prevote, roster, .. } = request;
        if request.epoch < self.voter.promised() {
            self.answer(now, request);
            return Verdict::Stale;
        }
        self.step_back(now, from);
        let may_wait = !matches!(self.state, State::Host(_))
            && self.voter.holder() != Some(from)
            && roster >= self.voter.roster()
            && epoch > self.voter.promised();
        if may_wait && !self.is_ready_for(now, prevote) {
            // He is answered when we doubt the host too, or the lease has run out here.
            self.deferred.insert(from, *request);
        } else {
            self.answer(now, request);
        }
        Verdict::Taken
    }

    /// Whether a wish to host is answered now: doubt is enough for a prevote.
    fn is_ready_for(&self, now: Instant, prevote: bool) -> bool {
        let is_free = self.voter.held_until().is_none_or(|until| until <= now);
        is_free || prevote && self.suspected.is_some()
    }

    fn answer(&mut self, now: Instant, request: &VoteRequest) {
        let &VoteRequest { epoch, candidate, prevote, length, roster } = request;
        let length = Duration::from_micros(length.into());
        let granted = if prevote {
            let doubts = self.suspected.is_some() && !matches!(self.state, State::Host(_));
            let is_same = self.voter.holder() == Some(candidate);
            epoch > self.voter.promised() && (doubts || is_same) && roster >= self.voter.roster()
        } else {
            // One that we would hold for less long than he counts on is worse than none.
            !matches!(self.state, State::Host(_))
                && length <= MAX_LEASE
                && !self.is_shared(now)
                && self.voter.vote(now, epoch, candidate, length, roster)
        };
        if granted
            && !prevote
            && let State::Candidate(_) = self.state
        {
            // He is ahead of us.
            self.state = State::Follower;
            self.stand_at = None;
        }
        if granted && !prevote {
            // He has the time that he needs; then somebody else may try.
            self.postpone(now, length);
        }
        let epoch = if granted { epoch } else { self.voter.promised().max(epoch) };
        let vote = Vote { epoch, candidate, prevote, granted };
        self.send(candidate, self.fence, Control::Vote(vote));
    }

    /// Answers who waited, those first who are to follow the host first.
    pub(super) fn answer_deferred(&mut self, now: Instant) {
        if self.deferred.is_empty() {
            return;
        }
        let mut ready = Vec::from_iter(
            self.deferred.values().filter(|it| self.is_ready_for(now, it.prevote)).copied(),
        );
        ready.sort_by_key(|request| self.place_of(request.candidate));
        for request in ready {
            self.deferred.remove(&request.candidate);
            self.answer(now, &request);
        }
    }

    pub(super) fn following_timeout(&mut self, now: Instant) {
        if matches!(self.state, State::Host(_)) {
            return;
        }
        if self.host.is_some()
            && self.suspected.is_none()
            && self.silent_at().is_some_and(|at| at <= now)
        {
            self.doubt(now);
        }
        if self.scatters_at().is_some_and(|at| at <= now) {
            self.set_scattered(true);
        }
    }

    pub(super) fn next_following(&self) -> Option<(Instant, Reason)> {
        let waits = !matches!(self.state, State::Host(_)) && self.suspected.is_none();
        let at = if waits && self.host.is_some() { self.silent_at() } else { None };
        let hint = self.hint.filter(|_| self.suspected.is_some());
        let free = |epoch| epoch > self.voter.promised();
        let hint = hint.filter(|&(_, epoch)| free(epoch));
        let hint = hint.and_then(|_| self.voter.held_until()).map(|at| (at, Reason::Lease));
        let scatters = self.scatters_at().map(|at| (at, Reason::Suspicion));
        let scatters = scatters.filter(|_| !matches!(self.state, State::Host(_)));
        [at.map(|at| (at, Reason::Suspicion)), hint, scatters]
            .into_iter()
            .flatten()
            .min_by_key(|&(at, _)| at)
    }

    /// When the silence of the host is too long: later where round trips vary, but not so
    /// late that the lease has run out long since.
    fn silent_at(&self) -> Option<Instant> {
        let rtt = self.host.and_then(|host| self.members.get(&host)?.rtt);
        let variation = rtt.map_or(Duration::ZERO, |rtt| rtt.variation * 4);
        let silence = self.config.suspicion + variation.min(self.config.lease / 3);
        Some(self.heard? + silence)
    }

    /// We do not host any more, whoever does.
    pub(super) fn stop_hosting(&mut self, now: Instant) {
        self.drop_handover();
        self.state = State::Follower;
        // We hold it no more, and know; our vote is free.
        self.release(now, self.voter.promised(), self.identity.sender);
        (self.host, self.deposed) = (None, true);
        self.heard = None;
        self.suspected = Some(now);
        self.window = None;
        self.tell_role();
        if self.retiring.is_none() {
            // It may be us again who is elected: then the mix goes on where everybody knows
            // it. Who follows somebody else is told what his stage does then.
            let may_host = self.identity.may_host;
            self.order(if may_host { StageOrder::Follow } else { StageOrder::Idle });
        }
        self.schedule(now);
    }
}

/// Leases after which those who vote look for each other: two elections have come to nothing
/// by then.
const SCATTERED: u32 = 2;
