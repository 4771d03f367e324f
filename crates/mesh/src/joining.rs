//! How a connection comes about: whose turn it is, and what the two ends say.

use std::time::Instant;

use paceline_types::{ConnectionOp, PeerId, Signal};

use crate::io::Output;
use crate::lifecycle::tell;
use crate::peer::Stage;
use crate::signaling::{NegotiatorOutput, SignalVerdict, SignalingState};
use crate::supervisor::Joining;
use crate::{GoneReason, Mesh, Phase};

impl Mesh {
    /// Takes in what a peer said by the signalling road.
    pub fn handle_signal(&mut self, now: Instant, peer: PeerId, signal: Signal) {
        if !self.peers.contains_key(&peer) {
            tell!(debug, self, peer, "a signal of somebody who is not expected");
            return;
        }
        match signal {
            Signal::Offer { sdp } => self.handle_offer(now, peer, sdp),
            other => self.negotiate(now, peer, other),
        }
        self.schedule(peer);
    }

    fn handle_offer(&mut self, now: Instant, peer: PeerId, sdp: String) {
        let Some(known) = self.peers.get_mut(&peer) else { return };
        if !known.negotiator.would_begin(&sdp) {
            return self.negotiate(now, peer, Signal::Offer { sdp });
        }
        // Also a peer that comes back before we noticed that he was gone.
        known.calls = true;
        if let Stage::Waiting { offer, .. } = &mut known.stage {
            let before = offer.replace(sdp);
            known.negotiator.handle_waiting(before.is_some());
            return;
        }
        if known.connected() {
            self.interrupted(peer, GoneReason::Replaced);
        }
        self.begin(now, peer, Some(sdp));
    }

    /// Makes a connection, by his offer or with one of ours: now if there is a place for
    /// it, or else at its turn.
    pub(crate) fn begin(&mut self, now: Instant, peer: PeerId, offer: Option<String>) {
        let before = self.peers.get(&peer).and_then(|known| match known.stage {
            Stage::Joining(joining) if offer.is_some() => Some(joining),
            _ => None,
        });
        // Who begins anew while he has a place keeps it unless others wait for one.
        self.leave_stage(now, peer, Stage::Expected);
        if self.supervisor.begin() {
            let joining = before.map_or_else(|| Joining::new(now), |it| it.again(now));
            return self.start(now, peer, offer, joining);
        }
        let ticket = self.supervisor.wait(peer);
        if let Some(known) = self.peers.get_mut(&peer) {
            known.negotiator.close();
            if offer.is_some() {
                known.negotiator.handle_waiting(false);
            }
            known.reset(&self.config);
            known.stage = Stage::Waiting { ticket, offer };
        }
        self.drain_negotiator(now, peer);
        tell!(debug, self, peer, ticket, "waits for its turn");
    }

    fn start(&mut self, now: Instant, peer: PeerId, offer: Option<String>, joining: Joining) {
        let Some(known) = self.peers.get_mut(&peer) else { return };
        known.reset(&self.config);
        known.stage = Stage::Joining(joining);
        match offer {
            Some(sdp) => self.negotiate(now, peer, Signal::Offer { sdp }),
            None => {
                known.negotiator.call();
                self.drain_negotiator(now, peer);
                tell!(debug, self, peer, "called");
            }
        }
    }

    /// Leaves the stage a peer is in, and what belongs to that.
    pub(crate) fn leave_stage(&mut self, now: Instant, peer: PeerId, stage: Stage) {
        let Some(known) = self.peers.get_mut(&peer) else { return };
        match std::mem::replace(&mut known.stage, stage) {
            Stage::Joining(_) => {
                self.counts.abandoned += 1;
                self.release(now);
            }
            Stage::Up => self.cutters.leave(known.max_message),
            Stage::Waiting { ticket, .. } => self.supervisor.leave(ticket),
            Stage::Broken { .. } | Stage::Expected => {}
        }
    }

    /// Gives a negotiation's place to who waits for it.
    pub(crate) fn release(&mut self, now: Instant) {
        self.supervisor.end();
        while let Some(next) = self.supervisor.next() {
            let offer = self.peers.get_mut(&next).and_then(|known| match &mut known.stage {
                Stage::Waiting { offer, .. } => offer.take(),
                _ => None,
            });
            self.start(now, next, offer, Joining::new(now));
            self.schedule(next);
        }
    }

    /// Lets the negotiator judge a signal.
    fn negotiate(&mut self, now: Instant, peer: PeerId, signal: Signal) {
        let Some(known) = self.peers.get_mut(&peer) else { return };
        let is_offer = matches!(signal, Signal::Offer { .. });
        let is_candidate = matches!(signal, Signal::Candidate { .. });
        let verdict = known.negotiator.handle_remote(signal);
        let counts = &mut self.counts;
        match verdict {
            SignalVerdict::Applied if is_candidate => {}
            SignalVerdict::Applied | SignalVerdict::Begun if is_offer => counts.offers += 1,
            SignalVerdict::Applied => {
                counts.answers += 1;
                if let Stage::Joining(joining) = &mut known.stage {
                    joining.enter(now, Phase::Open);
                }
            }
            SignalVerdict::Doubtful | SignalVerdict::Late => counts.late_answers += 1,
            SignalVerdict::Ignored | SignalVerdict::Stale if is_offer => counts.ignored_offers += 1,
            SignalVerdict::TooMuch if !is_candidate => counts.oversized += 1,
            SignalVerdict::Kept => {}
            _ => counts.stale_candidates += 1,
        }
        self.drain_negotiator(now, peer);
        if !is_candidate {
            tell!(debug, self, peer, ?verdict, is_offer, "signal");
        }
        if verdict == SignalVerdict::Doubtful {
            self.pair_again(now, peer);
        }
    }

    /// The answer that was applied may be for an offer that was taken back.
    fn pair_again(&mut self, now: Instant, peer: PeerId) {
        match self.peers.get(&peer).map(|known| &known.stage) {
            Some(Stage::Up) => self.try_restart(now, peer),
            Some(Stage::Joining(_)) => self.begin(now, peer, None),
            _ => {}
        }
    }

    /// Moves what the negotiator says to where it belongs.
    pub(crate) fn drain_negotiator(&mut self, now: Instant, peer: PeerId) {
        let Some(known) = self.peers.get_mut(&peer) else { return };
        while let Some(output) = known.negotiator.poll_output() {
            self.outputs.push_back(match output {
                NegotiatorOutput::Op(op) => {
                    if op == ConnectionOp::RestartIce {
                        self.counts.restarts += 1;
                        known.stats.restarts += 1;
                        known.answer_by = now.checked_add(self.config.offer_timeout);
                    }
                    Output::Connection { peer, op }
                }
                NegotiatorOutput::Signal(signal) => {
                    match &signal {
                        Signal::Answer { .. } => self.counts.answers += 1,
                        Signal::Candidate { .. } => {}
                        Signal::Offer { .. } => {
                            self.counts.offers += 1;
                            if known.connected() {
                                known.answer_by = now.checked_add(self.config.answer_timeout);
                            }
                        }
                    }
                    Output::Signal { peer, signal }
                }
            });
        }
        if known.negotiator.signaling() != SignalingState::HaveLocalOffer {
            known.answer_by = None;
        }
    }
}
