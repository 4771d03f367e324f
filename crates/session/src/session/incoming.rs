//! What peers say, by whom it may be said, and what they are told in turn.

use std::time::{Duration, Instant};

use paceline_framing::{Body, Control, Packet, ReceptionReport};
use paceline_mesh::CaptureTime;
use paceline_migration::Verdict;
use paceline_types::{PeerId, SenderId, StreamId, StreamKey};

use super::media::is_of_mix;
use super::{Room, Session, is_defined};
use crate::event::Event;
use crate::io::PathReport;

impl Session {
    pub(super) fn handle_packet(
        &mut self,
        now: Instant,
        room: &mut Room,
        peer: PeerId,
        (packet, capture): (Packet, CaptureTime),
    ) {
        match self.handle_said(now, room, &packet) {
            Verdict::NotOurs => {}
            // A lease is said again in a moment.
            Verdict::Early if matches!(packet.body, Body::Control(Control::Lease(_))) => return,
            Verdict::Early => return self.hold(now, room, peer, (packet, capture)),
            _ => return,
        }
        if self.is_stale(room, &packet) {
            self.stats.stale_epoch += 1;
            if let Body::Control(Control::ApplicationData { data, .. }) = &packet.body {
                // Nobody will read it: its sender must not wait for that.
                room.mesh.consume(now, peer, 1, data.len());
            }
            return;
        }
        match packet.body {
            Body::Media(_) => self.handle_frame(now, room, peer, (packet, capture)),
            Body::Control(Control::MixInfo(_)) if room.star.is_some() => {
                self.handle_of_mix(now, room, peer, (packet, capture));
            }
            Body::Control(control) => {
                self.handle_control(now, room, (peer, packet.sender), control)
            }
        }
    }

    /// Lets the machine that knows who hosts judge what is said about that.
    pub(super) fn handle_said(
        &mut self,
        now: Instant,
        room: &mut Room,
        packet: &Packet,
    ) -> Verdict {
        let (Some(star), Body::Control(control)) = (&mut room.star, &packet.body) else {
            return Verdict::NotOurs;
        };
        let verdict = star.migration.handle_control(now, packet.sender, packet.epoch, control);
        match verdict {
            Verdict::Stale => self.stats.stale_epoch += 1,
            Verdict::WrongRole => self.stats.wrong_role += 1,
            _ => {}
        }
        verdict
    }

    /// The one place where epochs are compared of what is not about who hosts, nor of a mix.
    ///
    /// What a member of a star says of himself holds whoever hosts, and is said once: it may
    /// be on its way while the host changes.
    fn is_stale(&self, room: &Room, packet: &Packet) -> bool {
        let of_himself = matches!(
            packet.body,
            Body::Control(
                Control::ApplicationData { .. }
                    | Control::ReceiverReport(_)
                    | Control::TrackState { .. }
            )
        );
        // The machine judges what is of a mix.
        if room.star.is_some() && (of_himself || is_of_mix(packet)) {
            return false;
        }
        // An epoch is a host's: in a mesh nobody is deposed.
        self.has_host() && packet.epoch.is_some_and(|epoch| epoch < room.epoch())
    }

    fn handle_control(
        &mut self,
        now: Instant,
        room: &mut Room,
        (peer, sender): (PeerId, SenderId),
        control: Control,
    ) {
        match control {
            Control::ApplicationData { channel, data } => {
                self.event(Event::Data { peer, sender, channel, data });
            }
            Control::KeyframeRequest { stream } => {
                if self.pictures_for(now, room, peer).contains(&stream) {
                    self.handle_keyframe_request(now, peer, stream);
                } else {
                    self.stats.unknown_stream += 1;
                }
            }
            Control::MixInfo(info) if room.host == Some(peer) => self.event(Event::MixInfo(info)),
            // There is a roster in a star only, and the machine took it.
            Control::MixInfo(_) | Control::Roster(_) => self.stats.wrong_role += 1,
            Control::ReceiverReport(reports) => self.handle_reports(room.sender, peer, &reports),
            Control::TrackState { stream, enabled }
                if matches!(stream, StreamId::AUDIO | StreamId::VIDEO) =>
            {
                let stream = StreamKey { sender, stream };
                self.event(Event::TrackState { stream, enabled });
            }
            Control::TrackState { .. } => self.stats.unknown_stream += 1,
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

    pub(super) fn send_reports(&mut self, now: Instant, room: &mut Room) {
        for peer in room.mesh.connected().collect::<Vec<_>>() {
            let reports = room.mesh.sender_of(peer).map(|sender| self.receiver.reports(sender));
            if let Some(reports) = reports.filter(|reports| !reports.is_empty()) {
                room.mesh.send_control(now, peer, Control::ReceiverReport(reports));
            }
        }
    }
}
