//! What the mesh tells of connections.

use std::time::Instant;

use paceline_framing::{ByeReason, Control};
use paceline_mesh::{self as mesh, GoneReason};
use paceline_types::{PeerId, SenderId};

use super::{Room, Session};
use crate::event::Event;
use crate::io::Output;

impl Session {
    pub(super) fn handle_mesh_event(&mut self, now: Instant, room: &mut Room, event: mesh::Event) {
        match event {
            mesh::Event::Connected { peer, sender, .. } => {
                self.handle_connected(now, room, peer, sender);
            }
            mesh::Event::Gone { peer, sender, reason } => {
                self.forget(peer, sender);
                self.interrupt_mix(room, peer);
                room.told.remove(&peer);
                if let Some(star) = &mut room.star {
                    let leaves = reason == GoneReason::Bye(ByeReason::Leaving);
                    star.handle_gone(now, peer, sender, leaves);
                }
                self.note_gone(now, room, peer, &reason);
                let reason = match reason {
                    GoneReason::Bye(ByeReason::TooSlow) => {
                        format!("{reason}: take what comes sooner, and join again")
                    }
                    reason => reason.to_string(),
                };
                self.event(Event::Disconnected { peer, sender, reason, again: false });
            }
            mesh::Event::Interrupted { peer, sender, reason } => {
                self.forget(peer, sender);
                self.interrupt_mix(room, peer);
                room.told.remove(&peer);
                if let Some(star) = &mut room.star {
                    star.handle_gone(now, peer, sender, false);
                }
                let reason = reason.to_string();
                self.event(Event::Disconnected { peer, sender, reason, again: true });
            }
            mesh::Event::Congested { peer } => self.event(Event::Congested { peer }),
            mesh::Event::Drained { peer } => self.event(Event::Drained { peer }),
            mesh::Event::Quality { peer, quality } => {
                self.qualities.insert(peer, quality);
                if room.star.is_some() && room.host == Some(peer) {
                    self.outputs.push_back(Output::OneWay(self.one_way(peer)));
                }
            }
            mesh::Event::Reconnecting { peer, sender } => {
                // What waits for him is not heard: that is a doubt.
                if let Some(star) = &mut room.star {
                    star.migration.handle_gone(now, sender, false);
                }
                self.event(Event::Reconnecting { peer });
            }
            mesh::Event::Reconnected { peer, sender } => {
                if let Some(star) = &mut room.star {
                    star.migration.handle_connected(now, sender);
                }
                self.event(Event::Reconnected { peer });
            }
            mesh::Event::RoundTrip { peer, rtt } => {
                if let (Some(sender), Some(star)) = (room.sender_of(peer), &mut room.star) {
                    star.migration.handle_rtt(now, sender, rtt);
                }
            }
            mesh::Event::NeedsKeyframe { peer } => {
                for stream in self.pictures_for(now, room, peer) {
                    self.handle_keyframe_request(now, peer, stream);
                }
            }
            mesh::Event::Packet { peer, packet, capture } => {
                self.handle_packet(now, room, peer, (packet, capture));
            }
            _ => {}
        }
    }

    /// What the host sent meanwhile is not lost one by one: there was no way for it.
    fn interrupt_mix(&mut self, room: &Room, peer: PeerId) {
        if room.host == Some(peer) {
            self.receiver.interrupt_mix();
        }
    }

    fn handle_connected(&mut self, now: Instant, room: &mut Room, peer: PeerId, sender: SenderId) {
        self.forget(peer, sender);
        Self::note_connected(now, room, peer);
        for stream in self.disabled.clone() {
            let state = Control::TrackState { stream, enabled: false };
            room.mesh.send_control(now, peer, state);
        }
        if let Some(star) = &mut room.star {
            room.mesh.send_control(now, peer, Control::NatState(self.nat));
            star.migration.handle_connected(now, sender);
        }
        room.told.insert(peer);
        self.event(Event::Connected { peer, sender });
    }
}
