//! Who is in the room, as the signalling server tells.

use std::time::Instant;

use paceline_framing::Role;
use paceline_mesh::{Identity, Mesh, Topology};
use paceline_types::{Epoch, PeerId};
use tracing::info;

use super::links::Links;
use super::measure::Measure;
use super::migrating::{self, Star};
use super::rates::Rates;
use super::{Room, Session};
use crate::event::Event;
use crate::io::{Member, Output, Roster};

impl Session {
    pub(super) fn handle_joined(&mut self, now: Instant, roster: Roster) {
        let is_star = self.config.topology() == Topology::Star;
        // In a mesh nobody hosts: whoever says he does has no mix for us.
        let host = roster.host.filter(|_| self.has_host());
        let Roster { session, sender, epoch, ref members, .. } = roster;
        let role = if host == Some(self.peer) { Role::Host } else { Role::Member };
        let identity = Identity { session, peer: self.peer, sender, role };
        let mut mesh = Mesh::new(now, identity, self.config.mesh.clone());
        mesh.set_epoch(epoch);
        let star = is_star.then(|| Star::new(now, self.peer, &roster, &self.config, self.nat));
        let mut room = Room {
            mesh,
            sender,
            epoch,
            host,
            members: members.iter().map(|member| (member.peer, member.clone())).collect(),
            told: Default::default(),
            links: Links::default(),
            measure: Measure::new(now, is_star.then_some(self.config.quality_interval)),
            star,
            leaves: false,
        };
        if is_star {
            self.announce(now, &mut room);
        } else {
            self.outputs.push_back(Output::Role { role, epoch, host });
            if self.has_host() {
                self.host_changed(host, epoch);
            }
        }
        for member in roster.members {
            self.admit_member(now, &mut room, member);
        }
        self.rates = Rates::new(&self.config.steering);
        self.next_report = now.checked_add(self.config.steering.report_interval);
        self.room = Some(room);
    }

    pub(super) fn handle_member_joined(&mut self, now: Instant, room: &mut Room, member: Member) {
        room.members.insert(member.peer, member.clone());
        self.admit_member(now, room, member);
    }

    fn admit_member(&mut self, now: Instant, room: &mut Room, member: Member) {
        let peer = member.peer;
        if let Some(star) = &mut room.star {
            star.migration.handle_member_joined(now, migrating::candidate(&member));
            self.relink(now, room);
        }
        if !room.links.is_needed(peer) {
            self.connect(now, room, peer);
        }
        let Member { sender, name, .. } = member;
        self.event(Event::MemberJoined { peer, sender, name });
    }

    pub(super) fn handle_member_left(&mut self, now: Instant, room: &mut Room, peer: PeerId) {
        let Some(member) = room.members.remove(&peer) else { return };
        self.forget_member(now, room, &member, "it left the room");
        if let Some(star) = &mut room.star {
            star.migration.handle_member_left(now, member.sender);
            star.forget(member.sender);
            self.relink(now, room);
        }
        let Member { sender, name, .. } = member;
        self.event(Event::MemberLeft { peer, sender, name });
        self.fill_places(now, room);
    }

    /// The server says who hosts, where nobody else does.
    pub(super) fn set_host(
        &mut self,
        now: Instant,
        room: &mut Room,
        host: Option<PeerId>,
        epoch: Epoch,
    ) {
        let changed = host != room.host;
        room.epoch = epoch;
        room.mesh.set_epoch(epoch);
        if !changed || !self.has_host() || room.leaves {
            return;
        }
        info!(?host, %epoch, "the host changed");
        for member in room.members.values().cloned().collect::<Vec<_>>() {
            self.drop_peer(now, room, member.peer, member.sender, "the host changed");
        }
        room.host = host;
        let role = self.role(room);
        room.mesh.set_role(role);
        self.outputs.push_back(Output::Role { role, epoch, host });
        self.host_changed(host, epoch);
        for peer in room.members.keys().copied().collect::<Vec<_>>() {
            self.connect(now, room, peer);
        }
    }

    fn host_changed(&mut self, host: Option<PeerId>, epoch: Epoch) {
        let (planned, last_heard, suspected) = (false, None, None);
        self.event(Event::HostChanged { host, epoch, planned, last_heard, suspected });
    }
}
