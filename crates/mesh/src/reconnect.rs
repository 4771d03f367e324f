//! A path that was lost, and what is tried to find one.

use std::time::{Duration, Instant};

use paceline_types::PeerId;

use crate::Mesh;
use crate::io::{Event, Output, Recipients};
use crate::lifecycle::tell;

/// From the moment a path seems lost until one works, or the connection is given up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Recovery {
    began: Instant,
    turns: u32,
}

impl Recovery {
    /// The first try is due at once.
    pub(crate) const fn new(now: Instant) -> Self {
        Self { began: now, turns: 0 }
    }

    /// When the next try is due, if there is one.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        (self.turns < RESTARTS).then(|| self.began + RESTART_STEP * self.turns)
    }

    /// Whether a try is due, which is then taken.
    pub(crate) fn take_turn(&mut self, now: Instant) -> bool {
        let due = self.poll_timeout().is_some_and(|at| at <= now);
        // Who slept through two turns has one.
        while self.poll_timeout().is_some_and(|at| at <= now) {
            self.turns += 1;
        }
        due
    }

    /// The engine has found one: it is waited for a word over it, and nothing more tried.
    pub(crate) const fn handle_found(&mut self) {
        self.turns = RESTARTS;
    }

    /// Whether what is heard now was surely sent after the path was lost.
    pub(crate) fn is_later(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.began) >= RESTART_STEP
    }
}

impl Mesh {
    /// Looks for a path anew, for a caller who knows that the network has changed.
    /// Nothing that is open is closed, and nothing that waits is lost.
    pub fn restart_ice(&mut self, now: Instant, to: Recipients) {
        let peers = match to {
            Recipients::All => self.connected().collect(),
            Recipients::One(peer) => vec![peer],
        };
        for peer in peers {
            let Some(known) = self.peers.get_mut(&peer).filter(|known| known.connected()) else {
                continue;
            };
            // What was tried on the network before counts no more.
            if let Some(recovery) = &mut known.recovery {
                *recovery = Recovery::new(now);
            }
            self.recover(now, peer);
            self.schedule(peer);
        }
    }

    /// The path seems lost: takes the turns to look for one that are due.
    pub(crate) fn recover(&mut self, now: Instant, peer: PeerId) {
        let Some(known) = self.peers.get_mut(&peer) else { return };
        if known.recovery.is_none() {
            let event = Event::Reconnecting { peer, sender: known.sender };
            known.recovery = Some(Recovery::new(now));
            self.outputs.push_back(Output::Event(event));
            tell!(info, self, peer, "looks for a path");
        }
        let Some(known) = self.peers.get_mut(&peer) else { return };
        if known.recovery.as_mut().is_some_and(|recovery| recovery.take_turn(now)) {
            self.try_restart(now, peer);
        }
    }

    pub(crate) fn try_restart(&mut self, now: Instant, peer: PeerId) {
        let Some(known) = self.peers.get_mut(&peer) else { return };
        let begun = known.negotiator.restart();
        self.drain_negotiator(now, peer);
        tell!(debug, self, peer, begun, "restart");
    }

    /// The engine has a path: what waited goes, and a word over it is waited for.
    pub(crate) fn path_found(&mut self, now: Instant, peer: PeerId) {
        let Some(known) = self.peers.get_mut(&peer) else { return };
        known.path_up = true;
        if let Some(recovery) = &mut known.recovery {
            recovery.handle_found();
            known.next_ping = Some(now);
            // Whoever answers the engine's checks is there (RFC 7675 §5.1), and what he
            // says may take as long as the channel's retransmission timer (RFC 9260
            // §6.3). But an engine that is alive does not vouch for ever.
            if !known.vouched {
                (known.vouched, known.heard) = (true, Some(now));
            }
        }
        self.flush(now, peer);
        tell!(debug, self, peer, "the engine has a path");
    }

    /// A path works.
    fn recovered(&mut self, now: Instant, peer: PeerId) {
        let Some(known) = self.peers.get_mut(&peer) else { return };
        known.path_up = true;
        if known.recovery.take().is_some() {
            known.stalled = (known.outstanding > 0).then_some(now);
            known.queue.restart_deadlines(now);
            let event = Event::Reconnected { peer, sender: known.sender };
            self.outputs.push_back(Output::Event(event));
            tell!(info, self, peer, "has a path again");
        }
        self.flush(now, peer);
    }

    /// Something of a peer who is connected was understood.
    pub(crate) fn handle_heard(&mut self, now: Instant, peer: PeerId) {
        let Some(known) = self.peers.get_mut(&peer) else { return };
        known.heard = Some(now);
        known.vouched = false;
        if let Some(recovery) = &known.recovery {
            // What the engine calls lost may have sent this before; but an engine that
            // never says that it is back is not waited for.
            if known.path_up || recovery.is_later(now) {
                self.recovered(now, peer);
            }
        }
    }
}

/// A path is looked for at once, and after 2 and 4 s: what changed networks mostly has
/// an address again within a second or two, and after 5 s of silence it is given up.
const RESTART_STEP: Duration = Duration::from_secs(2);
const RESTARTS: u32 = 3;
