//! How the work passes to another while both are there.

use std::time::{Duration, Instant};

use paceline_framing::{AbortReason, Control, Lease, Migrate, Prepare, Ready};
use paceline_types::{Epoch, Frequency, MediaTime, SenderId, StreamId};
use tracing::{debug, info};

use super::follow::Window;
use super::host::Hosting;
use super::{Migration, State};
use crate::Decision;
use crate::io::{Event, MixerState, Output, Reason, StageOrder, Verdict, WitnessRequest};

/// A handover that is prepared by us.
#[derive(Debug)]
pub(super) struct Handover {
    epoch: Epoch,
    to: SenderId,
    deadline: Instant,
    is_ready: bool,
    /// Whoever is missing: somebody wants to go.
    at_any_price: bool,
    scores: (u16, u16),
}

/// Somebody who is placed better, and gets warm.
#[derive(Debug)]
pub(super) struct Better {
    pub(super) who: SenderId,
    at: Instant,
    scores: (u16, u16),
}

/// What is left to do for who has handed over.
#[derive(Debug)]
pub(super) struct Retiring {
    pub(super) hosting: Box<Hosting>,
    pub(super) next: Epoch,
    /// The first media time that is not ours any more, on the 90 kHz clock.
    pub(super) at: MediaTime,
    /// When our last frame has gone out.
    pub(super) until: Instant,
}

impl Migration {
    /// Hands over to the standby, if we host; [`Event::Retired`] or [`Event::Aborted`] tells
    /// what came of it. `false`: we do not host, there is nobody to hand over to, or it is
    /// being done.
    pub fn hand_over(&mut self, now: Instant) -> bool {
        self.prepare(now, true, (0, 0))
    }

    /// Whether we hand over: it is prepared, or another is named and our mix is not at its end.
    #[must_use]
    pub fn is_handing_over(&self) -> bool {
        let prepares = matches!(&self.state, State::Host(hosting) if hosting.handover.is_some());
        prepares || self.is_retiring()
    }

    /// Whether we have named another and our mix goes on up to the switch, which
    /// [`Event::Retired`] tells the end of.
    #[must_use]
    pub fn is_retiring(&self) -> bool {
        self.retiring.is_some()
    }

    fn prepare(&mut self, now: Instant, at_any_price: bool, scores: (u16, u16)) -> bool {
        let standby = self.standby().filter(|&standby| self.is_connected(standby));
        let State::Host(hosting) = &mut self.state else { return false };
        let Some((to, ballot)) = standby.zip(hosting.epoch.ballot().checked_add(1)) else {
            return false;
        };
        if hosting.handover.is_some() || !hosting.confirmed {
            return false;
        }
        let (ours, epoch) = (hosting.epoch, Epoch::new(hosting.epoch.term(), ballot));
        let deadline = now + self.config.ready_timeout;
        hosting.handover =
            Some(Handover { epoch, to, deadline, is_ready: false, at_any_price, scores });
        info!(%epoch, %to, "a handover is prepared");
        let (_, state) = self.mixer.clone().unwrap_or((now, MixerState::default()));
        let prepare = Prepare {
            epoch,
            switch_time: self.media_time(now),
            numbering: state.numbering,
            tiles: state.tiles,
        };
        self.broadcast(ours, &Control::Prepare(prepare));
        self.duplicate_to(Some(to), deadline + self.config.lease);
        true
    }

    /// What the media clock of our pictures shows.
    fn media_time(&self, now: Instant) -> MediaTime {
        let zero = MediaTime::new(0, Frequency::VIDEO);
        let Some((at, state)) = &self.mixer else { return zero };
        let is_video = |stream: StreamId| stream == StreamId::MIX_VIDEO;
        let video = state.numbering.iter().find(|numbering| is_video(numbering.stream));
        let time = video.map_or(zero, |numbering| numbering.time);
        if time.frequency() != Frequency::VIDEO {
            return zero;
        }
        time + now.saturating_duration_since(*at)
    }

    /// Our picture goes to one more, until it is told otherwise or the time is up.
    fn duplicate_to(&mut self, to: Option<SenderId>, until: Instant) {
        let to = to.filter(|&to| to != self.identity.sender);
        let before = self.duplicate.and_then(|(to, _)| to);
        self.duplicate = Some((to, until));
        if before != to {
            self.outputs.push_back(Output::VideoAlsoTo(to));
        }
    }

    fn end_duplicate(&mut self) {
        if let Some((Some(_), _)) = self.duplicate.take() {
            self.outputs.push_back(Output::VideoAlsoTo(None));
        }
    }

    pub(super) fn handle_prepare(&mut self, now: Instant, prepare: &Prepare) -> Verdict {
        if !self.is_next(prepare.epoch) {
            return Verdict::WrongRole;
        }
        let standby = self.standby();
        let until = now + self.config.ready_timeout + self.config.lease;
        self.duplicate_to(standby, until);
        if standby == Some(self.identity.sender) && !self.identity.may_host {
            // He learns it now, and asks somebody else.
            if let Some(host) = self.host {
                let ready = Ready { epoch: prepare.epoch, missing: vec![self.identity.sender] };
                self.send(host, self.fence, Control::Ready(ready));
            }
        } else if standby == Some(self.identity.sender) {
            let Prepare { epoch, numbering, tiles, .. } = prepare.clone();
            let state = MixerState { numbering, tiles };
            self.order(StageOrder::Prepare { epoch, state });
        }
        Verdict::Taken
    }

    /// Whether an epoch is that of a handover by who hosts now.
    fn is_next(&self, epoch: Epoch) -> bool {
        let ballot = self.fence.ballot().checked_add(1);
        ballot.is_some_and(|ballot| epoch == Epoch::new(self.fence.term(), ballot))
    }

    /// Takes in that our stage is ready to take over under `epoch`, and whose media it lacks.
    pub fn handle_stage_ready(&mut self, _now: Instant, epoch: Epoch, missing: Vec<SenderId>) {
        let prepares = matches!(&self.stage, StageOrder::Prepare { epoch: of, .. } if *of == epoch);
        if let Some(host) = self.host.filter(|_| prepares) {
            self.send(host, self.fence, Control::Ready(Ready { epoch, missing }));
        }
    }

    pub(super) fn handle_ready(&mut self, now: Instant, from: SenderId, ready: &Ready) -> Verdict {
        let State::Host(hosting) = &self.state else { return Verdict::WrongRole };
        let Some(handover) = &hosting.handover else {
            // What was prepared has been aborted.
            return if self.standby() == Some(from) { Verdict::Stale } else { Verdict::WrongRole };
        };
        if (handover.to, handover.epoch) != (from, ready.epoch) {
            return Verdict::WrongRole;
        }
        if ready.missing.contains(&from) {
            // He does not want to any more.
            if let Some(known) = self.members.get_mut(&from) {
                known.candidate.may_host = false;
                let _ = self.judge.handle_member(now, known.candidate);
                self.rank_anew(now);
            }
            self.abort(now, AbortReason::Refused);
            return Verdict::Taken;
        }
        let lacks = ready.missing.iter().any(|&member| self.is_connected(member));
        if lacks && !handover.at_any_price {
            self.abort(now, AbortReason::Refused);
            return Verdict::Taken;
        }
        if let State::Host(hosting) = &mut self.state
            && let Some(handover) = &mut hosting.handover
        {
            handover.is_ready = true;
        }
        self.migrate_if_ready(now);
        Verdict::Taken
    }

    /// Who has an older roster than the others would count by other voters than they do: he
    /// is named when he has sent back the newest.
    pub(super) fn migrate_if_ready(&mut self, now: Instant) {
        let roster = self.voter.roster();
        if let State::Host(hosting) = &self.state
            && let Some(handover) = &hosting.handover
            && handover.is_ready
            && hosting.has_roster(handover.to, roster)
        {
            self.migrate(now);
        }
    }

    /// Names who hosts from soon on, and stops being host.
    fn migrate(&mut self, now: Instant) {
        let longest = self.members.values().filter_map(|known| known.rtt);
        let longest = longest.map(|rtt| rtt.smoothed).max().unwrap_or_default();
        let (identity, config) = (self.identity, &self.config);
        // The lease has to last until our last frame is out.
        let most = config.lease.saturating_sub(config.margin + config.crossfade);
        let lead = (longest * 5 / 2).max(config.lead).min(most);
        let at = self.media_time(now) + lead;
        let State::Host(hosting) = &mut self.state else { return };
        let Some(handover) = hosting.handover.take() else { return };
        // Its echoes are what our last frames go out by.
        self.renew(now);
        let State::Host(mut hosting) = std::mem::replace(&mut self.state, State::Follower) else {
            return;
        };
        hosting.better = None;
        let Handover { epoch: next, to, scores: (score, new_score), .. } = handover;
        let epoch = hosting.epoch;
        let migrate = Migrate {
            session: identity.session,
            host: identity.sender,
            new_host: to,
            epoch: next,
            score,
            new_score,
            switch_time: at,
        };
        self.broadcast(epoch, &Control::Migrate(migrate));
        // What is late on its way to the transport is bounded by its media time, and the lease.
        let until = now + lead + self.config.crossfade + DRAIN;
        self.retiring = Some(Retiring { hosting, next, at, until });
        let _ = self.voter.pass_on(now, next, to, self.config.lease);
        let window = self.window_of(now, self.identity.sender, epoch, at);
        self.follow(now, next, to, Some(window));
        self.order(StageOrder::Stop { at });
        self.duplicate_to(Some(to), window.until);
    }

    fn window_of(&self, now: Instant, host: SenderId, epoch: Epoch, at: MediaTime) -> Window {
        let shared_until = now + self.config.lease;
        Window { host, epoch, at, until: now + WINDOW, shared_until }
    }

    pub(super) fn handle_migrate(
        &mut self,
        now: Instant,
        from: SenderId,
        migrate: &Migrate,
    ) -> Verdict {
        let Migrate { session, host, new_host, epoch, switch_time, .. } = *migrate;
        let us = self.identity.sender;
        let is_known = new_host == us || self.members.contains_key(&new_host);
        let is_right = session == self.identity.session && host == from && new_host != from;
        if !is_right || !is_known || !self.is_next(epoch) {
            return Verdict::WrongRole;
        }
        if !self.voter.pass_on(now, epoch, new_host, self.config.lease) {
            // Promised to a candidate meanwhile: he wins, or the new host asks again.
            return Verdict::Taken;
        }
        let window = self.window_of(now, from, self.fence, switch_time);
        if new_host == us {
            let (last_heard, suspected) = (self.heard, self.suspected);
            self.window = Some(window);
            self.begin_hosting(now, epoch, None, Some(switch_time));
            self.event(Event::Elected { epoch, host: us, planned: true, last_heard, suspected });
            self.order(StageOrder::Host { epoch, from: Some(switch_time) });
            self.hosting_timeout(now);
        } else {
            self.follow(now, epoch, new_host, Some(window));
        }
        // The host of before makes his mix to the end.
        self.duplicate_to(Some(from), window.until);
        Verdict::Taken
    }

    /// Who was to take over is gone.
    pub(super) fn lose_follower(&mut self, now: Instant, member: SenderId) {
        if let State::Host(hosting) = &self.state
            && hosting.handover.as_ref().is_some_and(|handover| handover.to == member)
        {
            self.abort(now, AbortReason::Refused);
        }
    }

    pub(super) fn abort(&mut self, now: Instant, reason: AbortReason) {
        let State::Host(hosting) = &mut self.state else { return };
        let Some(Handover { epoch, .. }) = hosting.handover.take() else { return };
        let ours = hosting.epoch;
        self.stats.aborted += 1;
        self.broadcast(ours, &Control::Abort { epoch, reason });
        self.end_duplicate();
        self.event(Event::Aborted { epoch, reason });
        self.step_roster(now);
    }

    /// We do not host any more, and so nobody is handed over to.
    pub(super) fn drop_handover(&mut self) {
        let State::Host(hosting) = &mut self.state else { return };
        let Some(Handover { epoch, .. }) = hosting.handover.take() else { return };
        self.stats.aborted += 1;
        self.end_duplicate();
        self.event(Event::Aborted { epoch, reason: AbortReason::Superseded });
    }

    pub(super) fn handle_abort(&mut self, _now: Instant, epoch: Epoch) -> Verdict {
        if !self.is_next(epoch) {
            return Verdict::WrongRole;
        }
        self.end_duplicate();
        self.update_stage();
        Verdict::Taken
    }

    pub(super) fn handle_retire(&self, from: SenderId, epoch: Epoch) -> Verdict {
        match &self.window {
            Some(window) if window.host == from && epoch == self.fence => Verdict::Taken,
            _ if epoch < self.fence => Verdict::Stale,
            _ => Verdict::WrongRole,
        }
    }

    pub(super) fn handover_timeout(&mut self, now: Instant) {
        if let State::Host(hosting) = &self.state
            && hosting.handover.as_ref().is_some_and(|handover| handover.deadline <= now)
        {
            self.abort(now, AbortReason::TimedOut);
        }
        if let Some(retiring) = self.retiring.take_if(|retiring| retiring.until <= now) {
            // The witness too votes for nobody while we may still send.
            let given_up = Lease { length: 0, ..retiring.hosting.lease(self.voter.roster()) };
            let electors = self.electorate.members.iter().copied().collect();
            let request = WitnessRequest::Lease { lease: given_up, electors };
            self.outputs.push_back(Output::Witness(request));
            self.broadcast(self.fence, &Control::Retire { epoch: retiring.next });
            self.event(Event::Retired { epoch: retiring.next });
            self.update_stage();
        }
        if self.duplicate.is_some_and(|(_, until)| until <= now) {
            self.end_duplicate();
        }
        self.judge_host(now);
        if let State::Host(hosting) = &mut self.state
            && let Some(better) = hosting.better.take_if(|better| better.at <= now)
            && self.successors.first() == Some(&better.who)
        {
            let _ = self.prepare(now, false, better.scores);
        }
    }

    /// Looks at what was measured, if it is time.
    fn judge_host(&mut self, now: Instant) {
        if !matches!(self.state, State::Host(_)) || self.judge_at.is_none_or(|at| at > now) {
            return;
        }
        let decision = self.judge.decide(now);
        self.rank_anew(now);
        let Some(decision) = decision else { return };
        let Decision { host, best, baseline_host, baseline_best, migrate, .. } = decision;
        debug!(host, ?best, baseline_host, ?baseline_best, "the hosts were compared");
        self.event(Event::Scored { host, best, baseline_host, baseline_best });
        let State::Host(hosting) = &mut self.state else { return };
        if let Some(who) = migrate.filter(|_| self.config.automatic) {
            let score = best.map_or(0, |(_, score)| score);
            hosting.better = Some(Better { who, at: now + WARM_UP, scores: (host, score) });
            self.step_roster(now);
        }
    }

    pub(super) fn next_handover(&self) -> Option<(Instant, Reason)> {
        let deadline = match &self.state {
            State::Host(hosting) => hosting.handover.as_ref().map(|handover| handover.deadline),
            _ => None,
        };
        let judged = match self.state {
            State::Host(_) => self.judge_at,
            _ => None,
        };
        let better = match &self.state {
            State::Host(hosting) => hosting.better.as_ref().map(|better| better.at),
            _ => None,
        };
        [
            deadline,
            better,
            self.retiring.as_ref().map(|retiring| retiring.until),
            self.duplicate.map(|(_, until)| until),
        ]
        .into_iter()
        .flatten()
        .map(|at| (at, Reason::Handover))
        .chain(judged.map(|at| (at, Reason::Measure)))
        .min_by_key(|&(at, _)| at)
    }
}

/// How late our last frame may reach the transport: an encoder, two queues and a busy machine.
const DRAIN: Duration = Duration::from_millis(100);

/// How long the stage of a standby follows before it is relied on.
const WARM_UP: Duration = Duration::from_secs(1);

/// For how long what the host of before sent may still come: a packet that is lost twice is
/// there by then, and what comes later is heard by nobody.
const WINDOW: Duration = Duration::from_secs(1);
