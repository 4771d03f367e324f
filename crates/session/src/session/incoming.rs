//! What peers say, by whom it may be said, and what they are told in turn.

use std::time::{Duration, Instant};

use paceline_framing::{self as framing, Body, Control, Packet, ReceptionReport};
use paceline_mesh::Topology;
use paceline_types::{PeerId, SenderId, StreamId, StreamKey};

use super::{Room, Session, is_defined, is_mix};
use crate::io::{Event, PathReport};
use crate::roster;

impl Session {
    /// The one place where epochs are compared, and roles.
    pub(super) fn handle_packet(
        &mut self,
        now: Instant,
        room: &mut Room,
        peer: PeerId,
        packet: Packet,
    ) {
        // An epoch is a host's: in a mesh nobody is deposed.
        if self.has_host() && packet.epoch.is_some_and(|epoch| epoch < room.epoch) {
            self.stats.stale_epoch += 1;
            if let Body::Control(Control::ApplicationData { data, .. }) = &packet.body {
                // Nobody will read it: its sender must not wait for that.
                room.mesh.consume(now, peer, 1, data.len());
            }
            return;
        }
        let from_host = room.host == Some(peer);
        match packet.body {
            Body::Media(frame) => {
                // A mix is the host's, and under an epoch; in a broadcast all media are his,
                // and nothing is mixed.
                let mix = is_mix(frame.stream);
                let wrong = match self.config.topology() {
                    Topology::Broadcast => !from_host || mix,
                    _ => mix && (!from_host || packet.epoch.is_none()),
                };
                if wrong {
                    self.stats.wrong_role += 1;
                } else if !self.receiver.handle_frame(now, packet.sender, frame) {
                    self.stats.unknown_stream += 1;
                }
            }
            Body::Control(Control::ApplicationData { channel, data }) => {
                self.event(Event::Data { peer, sender: packet.sender, channel, data });
            }
            Body::Control(Control::KeyframeRequest { stream })
                if stream == self.video_for_peers(room) =>
            {
                self.steering.handle_request(stream);
            }
            Body::Control(Control::MixInfo(info)) if from_host => self.event(Event::MixInfo(info)),
            Body::Control(Control::MixInfo(_)) => self.stats.wrong_role += 1,
            Body::Control(Control::Roster(roster)) if from_host => {
                // One of another epoch is another host's room.
                if roster.id.epoch == room.epoch {
                    room.roster = Some(roster);
                }
            }
            Body::Control(Control::Roster(_)) => self.stats.wrong_role += 1,
            Body::Control(Control::ReceiverReport(reports)) => {
                self.handle_reports(room.sender, peer, &reports);
            }
            Body::Control(Control::TrackState { stream, enabled })
                if matches!(stream, StreamId::AUDIO | StreamId::VIDEO) =>
            {
                let stream = StreamKey { sender: packet.sender, stream };
                self.event(Event::TrackState { stream, enabled });
            }
            Body::Control(Control::KeyframeRequest { .. } | Control::TrackState { .. }) => {
                self.stats.unknown_stream += 1;
            }
            _ => self.stats.unused += 1,
        }
    }

    fn handle_reports(&mut self, us: SenderId, peer: PeerId, reports: &[ReceptionReport]) {
        for report in reports {
            // Only our own streams, of which there are four: the map is bounded.
            if report.stream.sender == us && is_defined(report.stream.stream) {
                let path = PathReport {
                    lost: report.lost.into(),
                    jitter: Duration::from_micros(report.jitter.into()),
                    queue_delay: Duration::from_micros(report.queue_delay.into()),
                };
                self.reports.insert((peer, report.stream.stream), path);
            }
        }
    }

    /// Tells the members of a star who is in the room. Viewers of a broadcast have no
    /// business with each other, and in a mesh there is nobody whose word counts.
    pub(super) fn tell_roster(&mut self, now: Instant, room: &mut Room) {
        if self.config.topology() == Topology::Star && room.host == Some(self.peer) {
            let roster = self.roster_of(room);
            room.mesh.broadcast_control(now, Control::Roster(roster));
        }
    }

    pub(super) fn roster_of(&self, room: &Room) -> framing::Roster {
        let others = room.members.values().map(|member| (member.peer, member.sender));
        let people = std::iter::once((self.peer, room.sender)).chain(others);
        roster::roster(room.epoch, room.host, people)
    }

    pub(super) fn send_reports(&mut self, now: Instant, room: &mut Room) {
        for peer in room.mesh.connected().collect::<Vec<_>>() {
            let reports = room.mesh.sender_of(peer).map(|sender| self.receiver.reports(sender));
            if let Some(reports) = reports.filter(|reports| !reports.is_empty()) {
                room.mesh.send_control(now, peer, Control::ReceiverReport(reports));
            }
        }
    }
}
