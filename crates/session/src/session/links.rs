//! Who is connected to whom, as far as it is ours to see to.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use paceline_framing::ByeReason;
use paceline_mesh::{CallError, GoneReason, Link, Place};
use paceline_types::{PeerId, SenderId};

use super::{Room, Session};
use crate::SessionConfig;
use crate::event::Event;
use crate::io::Member;

/// What is to be done about connections of a star, where who needs one changes with who
/// hosts. Whom it names is a member of the room.
#[derive(Debug, Default)]
pub(super) struct Links {
    /// To whom there is to be one.
    needed: BTreeSet<PeerId>,
    /// To whom there is one that is of no more use, and since when.
    idle: BTreeMap<PeerId, Instant>,
    /// Who closed one that we need, and when we call him again.
    again: BTreeMap<PeerId, Instant>,
}

impl Links {
    pub(super) fn poll_timeout(&self, config: &SessionConfig) -> Option<Instant> {
        let idle = self.idle.values().min().and_then(|at| at.checked_add(config.links.max_idle));
        [idle, self.again.values().min().copied()].into_iter().flatten().min()
    }

    pub(super) fn is_needed(&self, peer: PeerId) -> bool {
        self.needed.contains(&peer)
    }

    fn forget(&mut self, peer: PeerId) {
        self.needed.remove(&peer);
        self.idle.remove(&peer);
        self.again.remove(&peer);
    }
}

impl Session {
    /// Calls or expects a member, as the topology has it. In a star who came later is
    /// expected in any case: he may have heard first that we are to be connected.
    pub(super) fn connect(&mut self, now: Instant, room: &mut Room, peer: PeerId) {
        let Some(sender) = room.sender_of(peer).filter(|_| !room.leaves) else { return };
        let Some(link) = self.link(room, peer) else {
            if room.star.is_some() && sender > room.sender {
                // Who finds no place is needed by nobody.
                let _ = room.mesh.expect(now, peer, sender);
            }
            return;
        };
        let dial = |room: &mut Room| match link {
            Link::Call => room.mesh.call(now, peer, sender),
            Link::Expect => room.mesh.expect(now, peer, sender),
        };
        let mut result = dial(room);
        if matches!(result, Err(CallError::Full { .. })) && self.make_place(now, room) {
            result = dial(room);
        }
        match result {
            Ok(()) => {}
            // A connection that there was anyway.
            Err(CallError::AlreadyKnown) if room.star.is_some() => {}
            Err(error) => self.event(Event::Refused { peer, reason: error.to_string() }),
        }
    }

    /// Gives up a place that nobody needs, if there is one.
    fn make_place(&mut self, now: Instant, room: &mut Room) -> bool {
        if room.star.is_none() {
            return false;
        }
        let is_spare =
            |peer: &PeerId| !room.links.is_needed(*peer) && room.mesh.sender_of(*peer).is_some();
        let spare: Vec<_> = room.members.keys().copied().filter(is_spare).collect();
        // Rather one that is not connected.
        let is_up = |peer: &PeerId| room.mesh.connected().any(|other| other == *peer);
        let Some(peer) = spare.iter().copied().min_by_key(is_up) else { return false };
        self.hang_up(now, room, peer, "its place is needed");
        true
    }

    pub(super) fn link(&self, room: &Room, them: PeerId) -> Option<Link> {
        let sender = room.sender_of(them)?;
        let (us, them) = (place(room, self.peer, room.sender), place(room, them, sender));
        self.config.topology().link(us, them, sender < room.sender)
    }

    /// Looks at who needs a connection to us, in a star, after whatever may have changed it.
    pub(super) fn relink(&mut self, now: Instant, room: &mut Room) {
        if room.star.is_none() || room.leaves {
            return;
        }
        let is_needed = |peer: &PeerId| self.link(room, *peer).is_some();
        let needed: BTreeSet<_> = room.members.keys().copied().filter(is_needed).collect();
        let before = std::mem::replace(&mut room.links.needed, needed.clone());
        for &peer in needed.difference(&before) {
            room.links.idle.remove(&peer);
            self.connect(now, room, peer);
        }
        for &peer in before.difference(&needed) {
            room.links.again.remove(&peer);
            if room.mesh.connected().any(|other| other == peer) {
                room.links.idle.insert(peer, now);
            }
        }
    }

    /// A place is free: members who found none are expected now.
    pub(super) fn fill_places(&mut self, now: Instant, room: &mut Room) {
        for member in room.members.values() {
            if self.link(room, member.peer) == Some(Link::Expect) {
                let expected = room.mesh.expect(now, member.peer, member.sender);
                if matches!(expected, Err(CallError::Full { .. })) {
                    // The others find none either.
                    return;
                }
            }
        }
    }

    /// There is a connection to somebody.
    pub(super) fn note_connected(now: Instant, room: &mut Room, peer: PeerId) {
        room.links.again.remove(&peer);
        if room.star.is_some() && !room.links.is_needed(peer) {
            room.links.idle.insert(peer, now);
        }
    }

    /// A connection is over, and the mesh does not make it again.
    pub(super) fn note_gone(
        &mut self,
        now: Instant,
        room: &mut Room,
        peer: PeerId,
        reason: &GoneReason,
    ) {
        room.links.idle.remove(&peer);
        let Some(sender) = room.sender_of(peer).filter(|_| !room.leaves) else { return };
        let said_bye = matches!(reason, GoneReason::Bye(bye) if *bye != ByeReason::TooSlow);
        // Who could not be reached, or was too slow, may call again while he is in the room,
        // but nobody knows: whom we gave up was told so, and if he heard it, he does not.
        let may_call = matches!(
            reason,
            GoneReason::NoProgress
                | GoneReason::NotOpened { .. }
                | GoneReason::Silent
                | GoneReason::TooSlow
        );
        match self.link(room, peer) {
            // He does not know yet that we are to be connected, or he leaves: then we shall
            // be told in a moment.
            Some(Link::Call) if said_bye && room.star.is_some() => {
                room.links.again.extend(now.checked_add(REDIAL).map(|at| (peer, at)));
            }
            Some(Link::Expect) if may_call || said_bye && room.star.is_some() => {
                // Who finds no place is not expected.
                let _ = room.mesh.expect(now, peer, sender);
            }
            None => self.connect(now, room, peer),
            _ => {}
        }
    }

    /// Closes what is of no more use, and calls again who closed too early.
    pub(super) fn handle_links_due(&mut self, now: Instant, room: &mut Room) {
        let max_idle = self.config.links.max_idle;
        let old =
            |(_, since): &(&PeerId, &Instant)| now.saturating_duration_since(**since) >= max_idle;
        let idle: Vec<_> = room.links.idle.iter().filter(old).map(|(&peer, _)| peer).collect();
        for peer in idle {
            self.hang_up(now, room, peer, "neither hosts any more");
            self.connect(now, room, peer);
        }
        let due = |(_, at): &(&PeerId, &Instant)| **at <= now;
        let again: Vec<_> = room.links.again.iter().filter(due).map(|(&peer, _)| peer).collect();
        for peer in again {
            room.links.again.remove(&peer);
            self.connect(now, room, peer);
        }
    }

    /// Who left the room needs nothing any more.
    pub(super) fn forget_member(
        &mut self,
        now: Instant,
        room: &mut Room,
        member: &Member,
        why: &str,
    ) {
        room.links.forget(member.peer);
        self.drop_peer(now, room, member.peer, member.sender, why);
    }

    fn hang_up(&mut self, now: Instant, room: &mut Room, peer: PeerId, why: &str) {
        room.links.idle.remove(&peer);
        if let Some(sender) = room.sender_of(peer) {
            self.drop_peer(now, room, peer, sender, why);
        }
    }

    pub(super) fn drop_peer(
        &mut self,
        now: Instant,
        room: &mut Room,
        peer: PeerId,
        sender: SenderId,
        reason: &str,
    ) {
        let was_told = room.told.remove(&peer);
        // In a star a goodbye of who leaves frees those who were bound by his lease.
        let is_star = room.star.is_some();
        let bye = if is_star { ByeReason::Failed } else { ByeReason::Leaving };
        room.mesh.hang_up(now, peer, bye);
        self.forget(peer, sender);
        if was_told {
            if let Some(star) = &mut room.star {
                star.handle_gone(now, peer, sender, false);
            }
            let reason = reason.to_owned();
            self.event(Event::Disconnected { peer, sender, reason, again: false });
        }
    }

    /// What came over an earlier connection does not continue on the next one. A mix does:
    /// it is of whoever hosts.
    pub(super) fn forget(&mut self, peer: PeerId, sender: SenderId) {
        self.receiver.forget(sender);
        self.reports.retain(|&(other, _), _| other != peer);
        self.qualities.remove(&peer);
        self.rates.forget(peer);
    }
}

/// What somebody is in the topology. Also whom the signalling server takes for the host is
/// connected to: a new one may be known to it only.
fn place(room: &Room, peer: PeerId, sender: SenderId) -> Place {
    if room.host == Some(peer) {
        return Place::Host;
    }
    match &room.star {
        Some(star) if star.hint == Some(peer) => Place::Host,
        Some(star) if star.successors.contains(&sender) => Place::Successor,
        Some(_) if is_orphaned(room) => Place::Successor,
        _ => Place::Member,
    }
}

/// Whether all whom everybody was connected to have left the room: then those who remain
/// have to elect somebody without them.
fn is_orphaned(room: &Room) -> bool {
    let Some(star) = &room.star else { return false };
    let is_there = |sender: SenderId| {
        sender == room.sender || room.members.values().any(|member| member.sender == sender)
    };
    let hub = star.migration.host().into_iter().chain(star.successors.iter().copied());
    star.migration.roster().is_some() && !hub.into_iter().any(is_there)
}

/// As heartbeats: who leaves the room is reported as gone well within it.
const REDIAL: Duration = Duration::from_secs(1);
