//! What an engine says of a connection, what is due, and how a connection ends.

use std::time::{Duration, Instant};

use paceline_framing::{ByeReason, Control};
use paceline_types::{ConnectionEvent, PacketKind, PeerId, Signal};

use crate::io::{Event, Output, Reason};
use crate::peer::Stage;
use crate::{GoneReason, Mesh, Phase};

/// One line about a peer's connection, with what tells it from any other.
macro_rules! tell {
    ($level:ident, $mesh:expr, $peer:expr, $($rest:tt)+) => {{
        let negotiator = $mesh.peers.get(&$peer).map(|known| &known.negotiator);
        tracing::$level!(
            // A UUID, written as one.
            session = %paceline_types::PeerId::from_bytes($mesh.identity.session),
            peer = %$peer,
            handshake = format_args!("{:016x}", negotiator.map_or(0, |it| it.handshake())),
            generation = negotiator.map_or(0, |it| it.generation()),
            $($rest)+
        );
    }};
}
pub(crate) use tell;

impl Mesh {
    /// Takes in what the transport says of a connection.
    pub fn handle_connection(&mut self, now: Instant, peer: PeerId, event: ConnectionEvent) {
        let Some(known) = self.peers.get_mut(&peer) else { return };
        let up = known.connected();
        // Of a connection that is given up nothing is of interest any more.
        if !up && !known.joining() {
            return;
        }
        match event {
            ConnectionEvent::Acked(bytes) => {
                known.handle_acked(now, bytes);
                self.flush(now, peer);
            }
            ConnectionEvent::Closed { reason } => {
                known.negotiator.handle_closed();
                self.broken(now, peer, GoneReason::Transport(reason));
            }
            ConnectionEvent::Local(signal) => {
                let phase = match &signal {
                    Signal::Answer { .. } => Some(Phase::Open),
                    Signal::Candidate { .. } => None,
                    Signal::Offer { .. } => Some(Phase::Answer),
                };
                known.negotiator.handle_local(signal);
                if let (Stage::Joining(joining), Some(phase)) = (&mut known.stage, phase) {
                    joining.enter(now, phase);
                    tell!(debug, self, peer, ?phase, "described");
                }
                self.drain_negotiator(now, peer);
            }
            ConnectionEvent::Message(bytes) => self.handle_message(now, peer, bytes),
            ConnectionEvent::Rtcp(bytes) => {
                self.handle_carried(now, peer, PacketKind::Rtcp, bytes);
            }
            ConnectionEvent::Rtp(bytes) => self.handle_carried(now, peer, PacketKind::Rtp, bytes),
            // It may come before his hello does, and is said again only when it changes.
            ConnectionEvent::Target(target) => known.handle_target(target),
            ConnectionEvent::Open if !known.negotiator.is_described() => {
                self.counts.opened_early += 1;
                self.give_up(now, peer, GoneReason::OpenedEarly);
            }
            ConnectionEvent::Open if !known.open => {
                known.open = true;
                self.send_hello(now, peer);
            }
            ConnectionEvent::Path { up: false } if up => {
                known.path_up = false;
                self.flush_rtp(now, peer);
                self.recover(now, peer);
            }
            ConnectionEvent::Path { up: true } if up => self.path_found(now, peer),
            _ => {}
        }
        self.schedule(peer);
    }

    pub(crate) fn handle_deadline(&mut self, now: Instant, peer: PeerId, reason: Reason) {
        let Some(known) = self.peers.get_mut(&peer) else { return };
        match (reason, &known.stage) {
            (Reason::Reassembly, _) => known.reassembler.handle_timeout(now),
            (_, Stage::Joining(joining)) => {
                let phase = joining.phase;
                self.give_up(now, peer, GoneReason::NotOpened { phase });
            }
            (_, Stage::Broken { .. }) if known.redials(self.identity.peer > peer) => {
                known.stats.retries += 1;
                self.counts.retries += 1;
                self.begin(now, peer, None);
            }
            // He would have called again by now.
            (_, Stage::Broken { .. }) => self.gone(now, peer, GoneReason::Silent),
            (Reason::Answer, _) => {
                if !known.negotiator.rollback() {
                    // An engine that cannot make an offer cannot be helped.
                    let phase = Phase::Offer;
                    return self.give_up(now, peer, GoneReason::NotOpened { phase });
                }
                self.drain_negotiator(now, peer);
                tell!(debug, self, peer, "the offer to restart was not answered");
            }
            (Reason::Ping, _) => {
                known.next_ping = now.checked_add(self.config.heartbeat);
                self.tell_quality(now, peer);
                let t1 = self.micros(now);
                self.send_control(now, peer, Control::Ping { t1 });
            }
            (Reason::Restart, _) => self.recover(now, peer),
            (Reason::Silence, _) => self.give_up(now, peer, GoneReason::Silent),
            (Reason::Overdue, _) => {
                // A pong is missing: he may be cut off, which is found out first.
                let patience = self.config.heartbeat.saturating_mul(3) / 2;
                let heard = known.heard.and_then(|at| at.checked_add(patience));
                if heard.is_some_and(|at| at <= now) {
                    self.recover(now, peer);
                } else {
                    self.evict(now, peer, GoneReason::TooSlow);
                }
            }
            (Reason::Probe, _) => self.probe(now, peer),
            (Reason::Rtp, _) => self.handle_rtp_timeout(now, peer),
            (Reason::Stall, _) => self.evict(now, peer, GoneReason::NoProgress),
            _ => {}
        }
    }

    /// Who takes nothing holds up what is kept for him: his connection is closed, and
    /// only he makes it anew, unless it is ours to make.
    pub(crate) fn evict(&mut self, now: Instant, peer: PeerId, reason: GoneReason) {
        self.say_bye(now, peer, ByeReason::TooSlow);
        let Some(known) = self.peers.get(&peer) else { return };
        self.counts.evicted += 1;
        if known.redials(self.polite(peer)) {
            return self.give_up(now, peer, reason);
        }
        self.gone(now, peer, reason);
    }

    fn tell_quality(&mut self, now: Instant, peer: PeerId) {
        let Some(known) = self.peers.get_mut(&peer) else { return };
        let capacity = known.capacity();
        let Some(meter) = &mut known.quality else { return };
        meter.set_capacity(capacity);
        if let Some(quality) = meter.poll_update(now) {
            self.outputs.push_back(Output::Event(Event::Quality { peer, quality }));
        }
    }

    /// The last words, before all else that waits.
    pub(crate) fn say_bye(&mut self, now: Instant, peer: PeerId, reason: ByeReason) {
        let packet = self.control_packet(Control::Bye { reason });
        let Some(known) = self.peers.get_mut(&peer).filter(|known| known.connected()) else {
            return;
        };
        // What else waits is of no use any more.
        known.queue.clear();
        // There is room for one.
        let _ = known.push(now, self.cutters.cut(known.max_message, &packet));
        if let Some(bytes) = known.pop_at_once(now) {
            self.outputs.push_back(Output::Transmit { peer, kind: PacketKind::Message, bytes });
        }
    }

    /// The transport still has the connection: it is told, then it is broken.
    pub(crate) fn give_up(&mut self, now: Instant, peer: PeerId, reason: GoneReason) {
        if let Some(known) = self.peers.get_mut(&peer) {
            known.negotiator.close();
        }
        self.drain_negotiator(now, peer);
        self.broken(now, peer, reason);
    }

    /// The connection is no more: the caller makes it again, the callee waits for
    /// that as long as the caller would try.
    fn broken(&mut self, now: Instant, peer: PeerId, reason: GoneReason) {
        let Some(known) = self.peers.get_mut(&peer) else { return };
        // A connection that held for a while has made good for those before it.
        let held = known.up_since.and_then(|at| at.checked_add(self.config.gone_after));
        if held.is_some_and(|at| at <= now) {
            known.attempts = 0;
        }
        let (attempt, was_up) = (known.attempts, known.connected());
        if attempt >= self.config.retries {
            return self.gone(now, peer, reason);
        }
        known.attempts += 1;
        let until = if known.redials(self.identity.peer > peer) {
            REDIAL_STEP.checked_mul(attempt)
        } else {
            // The caller decides whether there is another try; the signalling server
            // tells when he has left. But not for ever: he may have given up after
            // fewer breaks than we saw.
            let retries = self.config.retries;
            let steps = REDIAL_STEP.checked_mul(retries.saturating_mul(retries) / 2);
            let tries = self.config.open_timeout.checked_mul(retries.max(1));
            steps.zip(tries).and_then(|(steps, tries)| steps.checked_add(tries))
        };
        let until = until.and_then(|span| now.checked_add(span));
        if was_up {
            self.interrupted(peer, reason);
        } else {
            tell!(debug, self, peer, reason = reason.for_log(), attempt, "not connected");
        }
        self.leave_stage(now, peer, Stage::Broken { until });
        if let Some(known) = self.peers.get_mut(&peer) {
            known.reset(&self.config);
        }
    }

    pub(crate) fn interrupted(&mut self, peer: PeerId, reason: GoneReason) {
        let Some(known) = self.peers.get(&peer) else { return };
        tell!(info, self, peer, reason = reason.for_log(), "connection lost");
        let event = Event::Interrupted { peer, sender: known.sender, reason };
        self.outputs.push_back(Output::Event(event));
    }

    pub(crate) fn gone(&mut self, now: Instant, peer: PeerId, reason: GoneReason) {
        tell!(info, self, peer, reason = reason.for_log(), "gone");
        if let Some(known) = self.remove(now, peer) {
            let event = Event::Gone { peer, sender: known.sender, reason };
            self.outputs.push_back(Output::Event(event));
        }
    }
}

/// A call is made again after 0, 2 and 4 s: at once for a blip, then slowly
/// enough not to hammer a host that everybody lost.
const REDIAL_STEP: Duration = Duration::from_secs(2);
