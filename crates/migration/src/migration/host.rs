//! What a host does to be one: renew, count who knows of it, and keep the roster.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use paceline_framing::{
    AbortReason, Control, Lease, Role, Roster, RosterId, RosterMember, Vote, VoteRequest,
};
use paceline_types::{Epoch, MediaTime, SenderId, StreamId};
use tracing::warn;

use super::follow::is_before;
use super::handover::{Better, Handover};
use super::{Migration, Mutant, State};
use crate::Electorate;
use crate::io::{Event, Output, Reason, StageOrder, WitnessRequest};

/// Our time at the front.
#[derive(Debug)]
pub(super) struct Hosting {
    pub(super) epoch: Epoch,
    /// The first media time that is ours, if somebody handed over to us.
    pub(super) from: Option<MediaTime>,
    sequence: u32,
    renew_at: Instant,
    length: Duration,
    /// When each renewal went out, the oldest first.
    sent: VecDeque<(u32, Instant)>,
    began: Instant,
    /// What each has echoed last; `None` is the witness.
    echoes: BTreeMap<Option<SenderId>, Echo>,
    /// Until when nobody else can be elected.
    pub(super) valid_until: Instant,
    /// A majority knows of us.
    pub(super) confirmed: bool,
    /// A majority has echoed a renewal.
    echoed: bool,
    /// For how long we wait for that.
    patience: Instant,
    pub(super) handover: Option<Handover>,
    /// Who is to host instead.
    pub(super) better: Option<Better>,
    again: Option<Again>,
    again_after: Instant,
    /// When each was last told the newest roster.
    told: BTreeMap<SenderId, Instant>,
    /// Who was told it before the others.
    first: BTreeSet<SenderId>,
    /// Who is told it next, one after another.
    line: VecDeque<SenderId>,
    /// The newest that all are told.
    public: RosterId,
}

/// That somebody knows of a renewal.
#[derive(Clone, Copy, Debug)]
struct Echo {
    sequence: u32,
    /// When that went out.
    sent: Instant,
    /// The newest that he has.
    roster: RosterId,
}

/// An election of ours while we host: some promised a later epoch to who failed.
#[derive(Debug)]
struct Again {
    epoch: Epoch,
    yes: BTreeSet<SenderId>,
    witness: bool,
    asked: Instant,
}

impl Hosting {
    pub(super) fn lease(&self, roster: RosterId) -> Lease {
        let length = u32::try_from(self.length.as_micros()).unwrap_or(u32::MAX);
        Lease { epoch: self.epoch, length, sequence: self.sequence, roster }
    }

    /// Somebody knows of a renewal; `None`: the witness does.
    pub(super) fn note_echo(&mut self, from: Option<SenderId>, lease: &Lease) {
        let ours = self.sent.iter().find(|&&(sequence, _)| sequence == lease.sequence);
        let Some(&(sequence, sent)) = ours.filter(|_| lease.epoch == self.epoch) else { return };
        let age = |sequence: u32| self.sequence.wrapping_sub(sequence);
        let known = self.echoes.get(&from);
        if known.is_none_or(|known| age(known.sequence) > age(sequence)) {
            self.echoes.insert(from, Echo { sequence, sent, roster: lease.roster });
        }
    }

    /// When we are not host any more if nobody is heard. The votes of an election may be
    /// about to run out when the last is counted: no frame goes out then before a renewal is
    /// echoed, but there is time for that.
    fn ends_at(&self) -> Instant {
        match self.echoed {
            true => self.valid_until,
            false => self.valid_until.max(self.patience),
        }
    }

    /// Whether somebody has sent back a renewal that went out so lately.
    pub(super) fn has_echoed_within(&self, now: Instant, member: SenderId, span: Duration) -> bool {
        let echo = self.echoes.get(&Some(member));
        echo.is_some_and(|echo| now.saturating_duration_since(echo.sent) <= span)
    }

    /// Whether somebody has the roster that we made last.
    pub(super) fn has_roster(&self, member: SenderId, roster: RosterId) -> bool {
        self.echoes.get(&Some(member)).is_some_and(|echo| echo.roster >= roster)
    }

    /// Whether somebody has been silent for so long.
    fn is_silent(&self, now: Instant, member: SenderId, silence: Duration) -> bool {
        let heard = self.echoes.get(&Some(member)).map_or(self.began, |echo| echo.sent);
        now.saturating_duration_since(heard) > silence
    }

    /// Whether somebody may still answer: he did lately, or has had no time to.
    fn is_there(&self, now: Instant, member: SenderId, patience: Duration) -> bool {
        let echoed = self.echoes.contains_key(&Some(member));
        !self.is_silent(now, member, if echoed { FRESH } else { patience })
    }

    /// Whether those who answered lately, and we, are a majority of an electorate.
    fn is_backed(&self, now: Instant, us: SenderId, electorate: &Electorate) -> bool {
        let fresh = |echo: &Echo| now.saturating_duration_since(echo.sent) <= FRESH;
        let fresh = self.echoes.iter().filter(|(_, echo)| fresh(echo)).map(|(who, _)| *who);
        let fresh = BTreeSet::from_iter(fresh);
        let members = fresh.iter().copied().flatten().chain([us]);
        electorate.is_quorum(members, fresh.contains(&None))
    }

    /// Somebody is not there any more: what he said does not count.
    pub(super) fn forget(&mut self, member: SenderId) {
        self.echoes.remove(&Some(member));
        self.told.remove(&member);
    }
}

impl Migration {
    /// We host: elected by those who were `asked` then, or named by the host before, from a
    /// media time on.
    pub(super) fn become_host(
        &mut self,
        now: Instant,
        epoch: Epoch,
        asked: Option<Instant>,
        heard: Option<(Option<Instant>, Option<Instant>)>,
    ) {
        let config = &self.config;
        let valid_until = asked.map(|asked| asked + config.vote_hold - config.margin);
        // Only a handover has a window.
        self.window = None;
        self.begin_hosting(now, epoch, valid_until, None);
        let (last_heard, suspected) = heard.unwrap_or_default();
        let host = self.identity.sender;
        self.event(Event::Elected { epoch, host, planned: false, last_heard, suspected });
        self.order(StageOrder::Host { epoch, from: None });
        self.renew(now);
    }

    pub(super) fn begin_hosting(
        &mut self,
        now: Instant,
        epoch: Epoch,
        valid_until: Option<Instant>,
        from: Option<MediaTime>,
    ) {
        let us = self.identity.sender;
        let config = &self.config;
        self.state = State::Host(Box::new(Hosting {
            epoch,
            from,
            sequence: 0,
            renew_at: now,
            length: config.lease,
            sent: VecDeque::new(),
            began: now,
            echoes: BTreeMap::new(),
            valid_until: valid_until.unwrap_or(now),
            confirmed: valid_until.is_some(),
            echoed: false,
            patience: now + config.lease * 2,
            handover: None,
            better: None,
            again: None,
            again_after: now,
            told: BTreeMap::new(),
            first: BTreeSet::new(),
            line: VecDeque::new(),
            public: self.voter.roster(),
        }));
        (self.fence, self.host) = (epoch, Some(us));
        (self.heard, self.suspected, self.stand_at) = (None, None, None);
        self.set_scattered(false);
        (self.deposed, self.yielded, self.later, self.failures) = (false, false, None, 0);
        self.deferred.clear();
        // What we still had to send of a time at the front before is over.
        self.retiring = None;
        self.stats.host_changes += 1;
        self.judge.set_host(now, Some(us));
        self.rank_anew(now);
        self.tell_role();
        // Who does not know yet that we host takes no roster of ours.
        self.renew(now);
        self.issue(now, self.electorate.clone());
    }

    /// Makes a roster of this electorate, and tells those first who were to follow us until
    /// now, one after another. Who has a newer one than they have would not vote for them, and
    /// it is to them that everybody has a connection, not yet to who is new: all others, and
    /// the witness, are told when they know.
    fn issue(&mut self, now: Instant, electorate: Electorate) {
        let State::Host(hosting) = &self.state else { return };
        let epoch = hosting.epoch;
        let number = match &self.roster {
            Some(roster) if roster.id.epoch == epoch => roster.id.number.saturating_add(1),
            _ => 0,
        };
        let roster = Roster {
            id: RosterId { epoch, number },
            witness: electorate.witness,
            members: self.places(now, &electorate),
        };
        let before = self.successors.clone();
        self.adopt(roster);
        let is_left = |who: &SenderId| *who != self.identity.sender && self.is_connected(*who);
        let mut line = VecDeque::from_iter(before.into_iter().filter(is_left));
        if line.is_empty() {
            line.extend(self.successors.iter().copied().filter(is_left));
        }
        if let State::Host(hosting) = &mut self.state {
            hosting.told.clear();
            hosting.first.clear();
            hosting.line = line;
        }
        self.spread_roster(now);
    }

    fn tell_roster(&mut self, now: Instant, member: SenderId) {
        if !self.is_connected(member) {
            return;
        }
        let (State::Host(hosting), Some(roster)) = (&mut self.state, &self.roster) else { return };
        hosting.told.insert(member, now);
        let (epoch, roster) = (hosting.epoch, roster.clone());
        self.send(member, epoch, Control::Roster(roster));
    }

    /// Tells the newest roster to the next in line when the one before has it, and to
    /// everybody when all of them have.
    fn spread_roster(&mut self, now: Instant) {
        let Some(id) = self.roster.as_ref().map(|roster| roster.id) else { return };
        loop {
            let State::Host(hosting) = &self.state else { return };
            if hosting.public == id {
                return;
            }
            let lacks = |who: &&SenderId| {
                let echo = hosting.echoes.get(&Some(**who));
                echo.is_none_or(|echo| echo.roster < id)
            };
            let waits = hosting.first.iter().filter(lacks).any(|&who| {
                self.is_connected(who) && hosting.is_there(now, who, self.config.suspicion)
            });
            if waits {
                return;
            }
            let State::Host(hosting) = &mut self.state else { return };
            let Some(next) = hosting.line.pop_front() else { break };
            hosting.first.insert(next);
            self.tell_roster(now, next);
        }
        let State::Host(hosting) = &self.state else { return };
        let is_told = |who: &&SenderId| hosting.told.contains_key(*who);
        let others = Vec::from_iter(self.members.keys().filter(|who| !is_told(who)).copied());
        if let State::Host(hosting) = &mut self.state {
            hosting.public = id;
        }
        for member in others {
            self.tell_roster(now, member);
        }
        // The witness is told with the lease.
        self.renew(now);
    }

    /// Tells somebody the newest roster again who does not have it, though what he echoes
    /// went out after it: it came before he knew that we host.
    fn repeat_roster(&mut self, now: Instant, member: SenderId) {
        let (State::Host(hosting), Some(roster)) = (&self.state, &self.roster) else { return };
        let Some(echo) = hosting.echoes.get(&Some(member)) else { return };
        let told = hosting.told.get(&member);
        if echo.roster < roster.id && told.is_some_and(|&told| told < echo.sent) {
            self.tell_roster(now, member);
        }
    }

    /// Everybody, in the order in which they follow us. The standby stays the one he is for
    /// as long as he can: he is warm.
    fn places(&self, now: Instant, electorate: &Electorate) -> Vec<RosterMember> {
        let us = self.identity.sender;
        // Who has not answered us lately may be as dead as the host before.
        let can = |sender: &SenderId| {
            let known = self.members.get(sender);
            let answers = match &self.state {
                State::Host(hosting) => {
                    // Who was to follow is warm: he has the time of an answer.
                    let known = self.successors.contains(sender)
                        || hosting.echoes.contains_key(&Some(*sender));
                    known && hosting.is_there(now, *sender, self.config.suspicion)
                }
                _ => false,
            };
            answers && known.is_some_and(|it| it.connected && it.candidate.may_host)
        };
        let mut able = Vec::from_iter(self.ranking.iter().copied().filter(can));
        let better = match &self.state {
            State::Host(hosting) => hosting.better.as_ref().map(|better| better.who),
            _ => None,
        };
        let standby = better.or(self.successors.first().copied());
        if let Some(standby) = standby.filter(can) {
            able.retain(|&sender| sender != standby);
            able.insert(0, standby);
        }
        let rest = self.members.keys().filter(|sender| !able.contains(sender)).copied();
        let order = Vec::from_iter([us].into_iter().chain(able.iter().copied()).chain(rest));
        let standbys = &able[..able.len().min(self.config.successors)];
        let place = |sender: SenderId| {
            let peer = match self.members.get(&sender) {
                Some(known) => known.candidate.peer,
                None => self.identity.peer,
            };
            let role = match sender {
                _ if sender == us => Role::Host,
                _ if standbys.contains(&sender) => Role::Standby,
                _ => Role::Member,
            };
            RosterMember { sender, peer, role, votes: electorate.members.contains(&sender) }
        };
        let mut places = Vec::from_iter(order.into_iter().map(place));
        // Who votes and is not known here any more votes until he is taken out.
        let strange =
            electorate.members.iter().filter(|&&it| it != us && !self.members.contains_key(&it));
        for &sender in strange {
            let known = self.roster.iter().flat_map(|roster| &roster.members);
            if let Some(member) = known.into_iter().find(|member| member.sender == sender) {
                places.push(RosterMember { role: Role::Member, votes: true, ..*member });
            }
        }
        places
    }

    /// Makes the next roster, if one is due and the last is known to a majority.
    pub(super) fn step_roster(&mut self, now: Instant) {
        let State::Host(hosting) = &self.state else { return };
        let Some(roster) = &self.roster else { return };
        let has = |echo: &Echo| echo.roster >= roster.id;
        let us = [self.identity.sender];
        let knows = hosting.echoes.iter().filter(|(_, echo)| has(echo)).map(|(who, _)| *who);
        let knows = BTreeSet::from_iter(knows);
        let members = BTreeSet::from_iter(knows.iter().copied().flatten().chain(us));
        if hosting.public != roster.id
            || hosting.handover.is_some()
            || !self.is_quorum(&members, knows.contains(&None))
        {
            return;
        }
        let next = self.next_electorate(now, hosting);
        if next != self.electorate || self.places(now, &next) != roster.members {
            self.issue(now, next);
            // Who is told has to say that he knows: the sooner, the better.
            self.renew(now);
        }
    }

    /// One step towards those who should vote: everybody who is there, and the witness if
    /// that makes their number odd. One alone is no majority of anything that can go on
    /// without him: then the witness decides.
    fn next_electorate(&self, now: Instant, hosting: &Hosting) -> Electorate {
        let us = self.identity.sender;
        let there = |(sender, known): (&SenderId, &super::Known)| {
            // Who votes by the roster that we inherited may not have answered yet.
            let echoed = hosting.echoes.contains_key(&Some(*sender))
                || self.electorate.members.contains(sender);
            let answers = echoed && !hosting.is_silent(now, *sender, GIVEN_UP);
            (known.connected && answers).then_some(*sender)
        };
        let mut wanted = BTreeSet::from_iter(self.members.iter().filter_map(there));
        wanted.insert(us);
        if wanted.len() == 1 {
            wanted.clear();
        }
        let witness = wanted.len().is_multiple_of(2);
        let mut next = self.electorate.clone();
        let gone = |sender: &&SenderId| {
            let lost = !self.is_connected(**sender) || hosting.is_silent(now, **sender, GIVEN_UP);
            **sender != us && !wanted.contains(sender) && lost
        };
        let gone = next.members.iter().find(gone).copied();
        if let Some(gone) = gone {
            next.members.remove(&gone);
        } else if witness && !next.witness {
            next.witness = true;
        } else if let Some(&new) = wanted.difference(&self.electorate.members).next() {
            next.members.insert(new);
        } else if !wanted.contains(&us) && next.members.iter().eq([&us]) && next.witness {
            next.members.remove(&us);
        } else if !witness && next.witness {
            next.witness = false;
        }
        // A step that nobody confirms would be the last.
        if hosting.is_backed(now, us, &next) { next } else { self.electorate.clone() }
    }

    /// Somebody is connected: he is told what there is.
    pub(super) fn greet(&mut self, now: Instant, member: SenderId) {
        let State::Host(hosting) = &self.state else { return };
        let (epoch, lease) = (hosting.epoch, hosting.lease(self.voter.roster()));
        let newest = self.voter.roster();
        let may_know = hosting.public == newest || hosting.first.contains(&member);
        self.send(member, epoch, Control::Lease(lease));
        if may_know {
            self.tell_roster(now, member);
        }
        self.step_roster(now);
    }

    pub(super) fn hosting_timeout(&mut self, now: Instant) {
        let State::Host(hosting) = &self.state else { return };
        if hosting.ends_at() <= now && !self.mutant(Mutant::NoSelfFencing) {
            let epoch = hosting.epoch;
            warn!(%epoch, "too few hear of us: we stop hosting");
            self.stats.fenced += 1;
            self.event(Event::Fenced { epoch });
            return self.stop_hosting(now);
        }
        if hosting.renew_at <= now {
            self.spread_roster(now);
            self.step_roster(now);
            self.renew(now);
        }
    }

    pub(super) fn next_hosting(&self) -> Option<(Instant, Reason)> {
        let State::Host(hosting) = &self.state else { return None };
        let end =
            if self.mutant(Mutant::NoSelfFencing) { hosting.renew_at } else { hosting.ends_at() };
        Some(match hosting.renew_at < end {
            true => (hosting.renew_at, Reason::Renewal),
            false => (end, Reason::Lease),
        })
    }

    pub(super) fn renew(&mut self, now: Instant) {
        let us = self.identity.sender;
        let State::Host(hosting) = &mut self.state else { return };
        let (epoch, length) = (hosting.epoch, hosting.length);
        // We may have promised a later one to ourselves, to be elected again.
        let again = hosting.again.as_ref().map_or(epoch, |again| again.epoch);
        if !self.voter.take_lease(now, epoch.max(again), us, length) {
            hosting.renew_at = now + self.config.renewal;
            return;
        }
        hosting.sequence = hosting.sequence.wrapping_add(1);
        hosting.sent.push_back((hosting.sequence, now));
        if hosting.sent.len() > MAX_SENT {
            hosting.sent.pop_front();
        }
        // Who has just become host waits for a majority that may have heard of it only now.
        let interval = self.config.renewal / if hosting.echoed { 1 } else { 4 };
        hosting.renew_at = now + interval;
        let lease = hosting.lease(self.voter.roster());
        let is_informed = hosting.sequence % INFORM_EVERY == 1;
        if self.electorate.witness || is_informed {
            let electors = self.electorate.members.iter().copied().collect();
            let lease = Lease { roster: hosting.public, ..lease };
            self.outputs.push_back(Output::Witness(WitnessRequest::Lease { lease, electors }));
        }
        self.broadcast(epoch, &Control::Lease(lease));
        self.validate();
    }

    /// Somebody knows of a renewal of ours; `None`: the witness does.
    pub(super) fn handle_echo(&mut self, now: Instant, from: Option<SenderId>, lease: &Lease) {
        let State::Host(hosting) = &mut self.state else { return };
        hosting.note_echo(from, lease);
        self.validate();
        self.migrate_if_ready(now);
        self.spread_roster(now);
        self.step_roster(now);
        if let Some(from) = from {
            self.repeat_roster(now, from);
        }
    }

    /// Until when we may host: a lease after the newest renewal that a majority echoed.
    pub(super) fn validate(&mut self) {
        let us = self.identity.sender;
        let hosting = match (&self.state, &self.retiring) {
            (State::Host(hosting), _) => hosting,
            (_, Some(retiring)) => &retiring.hosting,
            _ => return,
        };
        let valid = hosting.sent.iter().rev().find(|&&(sequence, _)| {
            let age = hosting.sequence.wrapping_sub(sequence);
            let knows = |echo: &Echo| hosting.sequence.wrapping_sub(echo.sequence) <= age;
            let who = hosting.echoes.iter().filter(|(_, echo)| knows(echo)).map(|(who, _)| *who);
            let who = BTreeSet::from_iter(who);
            let members = BTreeSet::from_iter(who.iter().copied().flatten().chain([us]));
            self.is_quorum(&members, who.contains(&None))
        });
        let until = valid.map(|&(_, at)| at + hosting.length - self.config.margin);
        let hosting = match (&mut self.state, &mut self.retiring) {
            (State::Host(hosting), _) => hosting,
            (_, Some(retiring)) => &mut retiring.hosting,
            _ => return,
        };
        if let Some(until) = until {
            (hosting.confirmed, hosting.echoed) = (true, true);
            hosting.valid_until = hosting.valid_until.max(until);
        }
    }

    /// Somebody promised a later epoch than ours to a candidate who failed: our next one is
    /// later still. We host on meanwhile.
    pub(super) fn note_later(&mut self, now: Instant, epoch: Epoch) {
        let us = self.identity.sender;
        let State::Host(hosting) = &mut self.state else { return };
        let newest = epoch.max(self.voter.promised()).max(self.asked);
        let Some(term) = newest.term().checked_add(1).filter(|&term| term < 1 << 48) else {
            return;
        };
        if !hosting.confirmed || hosting.handover.is_some() || now < hosting.again_after {
            return;
        }
        let (ours, epoch, roster) = (hosting.epoch, Epoch::new(term, 0), self.voter.roster());
        hosting.again_after = now + self.config.lease;
        if !self.voter.vote(now, epoch, us, self.config.vote_hold, roster) {
            return;
        }
        self.asked = epoch;
        hosting.again =
            Some(Again { epoch, yes: BTreeSet::from([us]), witness: false, asked: now });
        let request = VoteRequest {
            epoch,
            candidate: us,
            prevote: false,
            length: self.config.vote_length(),
            roster,
        };
        let others = Vec::from_iter(self.electorate.members.iter().copied().filter(|&it| it != us));
        for to in others {
            self.send(to, ours, Control::VoteRequest(request));
        }
        if self.electorate.witness {
            self.outputs.push_back(Output::Witness(WitnessRequest::Vote(request)));
        }
    }

    /// A vote for us while we host.
    pub(super) fn handle_vote_again(&mut self, now: Instant, from: Option<SenderId>, vote: &Vote) {
        let State::Host(hosting) = &mut self.state else { return };
        let Some(again) = &mut hosting.again else { return };
        if !vote.granted || vote.prevote || vote.epoch != again.epoch {
            return;
        }
        match from {
            Some(from) => drop(again.yes.insert(from)),
            None => again.witness = true,
        }
        let Again { epoch, yes, witness, asked } = again;
        let (epoch, yes, witness, asked) = (*epoch, yes.clone(), *witness, *asked);
        let valid_until = asked + self.config.vote_hold - self.config.margin;
        if valid_until <= now || !self.is_quorum(&yes, witness) {
            return;
        }
        // What is prepared is prepared for another epoch.
        self.abort(now, AbortReason::Superseded);
        let State::Host(hosting) = &mut self.state else { return };
        hosting.epoch = epoch;
        hosting.again = None;
        hosting.began = now;
        hosting.sent.clear();
        hosting.echoes.clear();
        hosting.valid_until = hosting.valid_until.max(valid_until);
        self.fence = epoch;
        self.tell_role();
        self.renew(now);
        self.issue(now, self.electorate.clone());
        self.renew(now);
    }

    /// Under which epoch we may send a frame of the mix of this media time, if we may.
    #[must_use]
    pub fn may_send(&self, now: Instant, stream: StreamId, time: MediaTime) -> Option<Epoch> {
        if let Some(retiring) = &self.retiring
            && now < retiring.hosting.valid_until
            && is_before(stream, time, retiring.at, self.config.crossfade)
        {
            return Some(retiring.hosting.epoch);
        }
        let State::Host(hosting) = &self.state else { return None };
        let is_valid =
            hosting.confirmed && now < hosting.valid_until || self.mutant(Mutant::NoSelfFencing);
        let is_ours =
            hosting.from.is_none_or(|from| !is_before(stream, time, from, Duration::ZERO));
        (is_valid && is_ours).then_some(hosting.epoch)
    }
}

/// Who follows us has answered since: twelve renewals.
const FRESH: Duration = Duration::from_secs(1);

/// Who has not answered for so long does not vote any more, though the connection may not
/// be given up yet: others die too.
const GIVEN_UP: Duration = Duration::from_secs(2);

/// Renewals whose echoes count: five seconds of them.
const MAX_SENT: usize = 64;

/// The witness is told who hosts every so many renewals though it does not vote, for those
/// who come.
const INFORM_EVERY: u32 = 4;
