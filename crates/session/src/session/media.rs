//! Who gets what is encoded here, and what becomes of what comes.

use std::time::Instant;

use paceline_framing::{Body, Control, Packet, Role};
use paceline_mesh::{CaptureTime, Recipients, Topology};
use paceline_migration::{Admission, Verdict};
use paceline_types::{Carrier, EncodedFrame, Epoch, MediaTime, MixInfo, PeerId, StreamId};
use tracing::debug;

use super::early::Held;
use super::rates::Noted;
use super::{Room, Session, is_mix};
use crate::event::Event;

impl Session {
    /// A frame of ours goes to whom it is for.
    pub(super) fn handle_encoded(
        &mut self,
        now: Instant,
        room: &mut Room,
        to: Recipients,
        frame: EncodedFrame,
    ) {
        let is_star = room.star.is_some();
        if is_mix(frame.stream) {
            let epoch = self.may_send(now, room, frame.stream, frame.time);
            let Some(epoch) = epoch.filter(|&epoch| goes_on(room, epoch, &frame)) else {
                return self.miss_of_mix(room, epoch, frame.stream);
            };
            self.note_keyframe(now, &frame);
            let noted = Noted::of(&frame);
            let packet =
                Packet { sender: room.sender, epoch: Some(epoch), body: Body::Media(frame) };
            self.send_mix(now, room, to, epoch, &packet);
            self.note_sent(now, room, everybody(room, to), noted);
        } else if is_star {
            self.send_own(now, room, frame);
        } else {
            self.note_keyframe(now, &frame);
            let noted = Noted::of(&frame);
            let packet = Packet { sender: room.sender, epoch: None, body: Body::Media(frame) };
            room.mesh.send(now, to, &packet);
            self.note_sent(now, room, everybody(room, to), noted);
        }
    }

    /// A frame of the mix does not go out. The pictures after it need it, up to a keyframe:
    /// one is asked for when it can go out.
    fn miss_of_mix(&mut self, room: &mut Room, epoch: Option<Epoch>, stream: StreamId) {
        let hosts = self.role(room) == Role::Host;
        let Some(star) = room.star.as_mut().filter(|_| stream == StreamId::MIX_VIDEO) else {
            return;
        };
        if epoch.is_some() {
            self.steering.handle_request(stream);
        } else if hosts {
            star.mix_keyed = None;
        }
    }

    pub(super) fn handle_own_mix_info(&mut self, now: Instant, room: &mut Room, info: MixInfo) {
        if let Some(epoch) = self.may_send(now, room, info.stream, info.time) {
            let body = Body::Control(Control::MixInfo(info));
            let packet = Packet { sender: room.sender, epoch: Some(epoch), body };
            self.send_mix(now, room, Recipients::All, epoch, &packet);
        }
    }

    /// Under which epoch a mix of this media time may go out, and what tells of it.
    fn may_send(
        &self,
        now: Instant,
        room: &Room,
        stream: StreamId,
        time: MediaTime,
    ) -> Option<Epoch> {
        match &room.star {
            Some(star) => star.migration.may_send(now, stream, time),
            None => (room.host == Some(self.peer)).then_some(room.epoch),
        }
    }

    /// Newcomers are shown what is of the newest epoch only: of another they would refuse
    /// it.
    fn send_mix(
        &mut self,
        now: Instant,
        room: &mut Room,
        to: Recipients,
        epoch: Epoch,
        packet: &Packet,
    ) {
        if to == Recipients::All && epoch != room.epoch() {
            let everybody: Vec<_> = room.mesh.connected().collect();
            room.mesh.send_to(now, everybody, packet);
        } else {
            room.mesh.send(now, to, packet);
        }
    }

    /// What a member of a star makes is for who mixes it now or may have to in a moment.
    fn send_own(&mut self, now: Instant, room: &mut Room, frame: EncodedFrame) {
        let is_sound = frame.coding.is_audio();
        let is_key = frame.coding.is_key();
        let stream = frame.stream;
        let mut to = self.recipients(now, room, is_sound);
        to.retain(|&peer| room.mesh.connected().any(|other| other == peer));
        if !is_sound {
            if !to.is_empty() {
                self.note_keyframe(now, &frame);
            }
            let Some(star) = &mut room.star else { return };
            if is_key {
                star.keyed.clone_from(&to.iter().copied().collect());
            } else {
                // Who came to it since the last keyframe can do nothing with this one.
                star.keyed.retain(|peer| to.contains(peer));
                let all = to.len();
                to.retain(|peer| star.keyed.contains(peer));
                if to.len() < all {
                    self.steering.handle_request(stream);
                }
            }
        }
        let noted = Noted::of(&frame);
        let packet = Packet { sender: room.sender, epoch: None, body: Body::Media(frame) };
        room.mesh.send_to(now, to.iter().copied(), &packet);
        self.note_sent(now, room, to, noted);
    }

    /// Who gets our own sound, or our picture: the host; and the standby, or who is about to
    /// take over; and the host of before while his mix goes on.
    fn recipients(&self, now: Instant, room: &Room, is_sound: bool) -> Vec<PeerId> {
        let Some(star) = &room.star else { return Vec::new() };
        let next = if is_sound { star.migration.standby() } else { star.picture_also_to };
        let next = next.and_then(|next| room.peer_of(self.peer, next));
        let before = star.before.filter(|&(_, until)| now < until).map(|(peer, _)| peer);
        let mut to: Vec<_> = [room.host, next, before].into_iter().flatten().collect();
        to.sort_unstable();
        to.dedup();
        to.retain(|&peer| peer != self.peer);
        to
    }

    /// The pictures that a peer gets of us: what he may ask keyframes of.
    pub(super) fn pictures_for(&self, now: Instant, room: &Room, peer: PeerId) -> Vec<StreamId> {
        let Some(_) = &room.star else { return vec![StreamId::VIDEO] };
        let mix = (self.role(room) == Role::Host).then_some(StreamId::MIX_VIDEO);
        let own = self.recipients(now, room, false).contains(&peer).then_some(StreamId::VIDEO);
        mix.into_iter().chain(own).collect()
    }

    /// Sound counts as key too, and has nothing to steer.
    fn note_keyframe(&mut self, now: Instant, frame: &EncodedFrame) {
        if frame.coding.is_key() && !frame.coding.is_audio() {
            self.steering.handle_keyframe(now, frame.stream);
        }
    }

    /// Whom application data go to. What a member of a star has for everybody goes to the
    /// host, as if it were connected to nobody else; to nobody if there is none.
    pub(super) fn data_recipients(&self, room: &Room, to: Recipients) -> Option<Recipients> {
        if to != Recipients::All || room.star.is_none() || room.host == Some(self.peer) {
            return Some(to);
        }
        room.host.map(Recipients::One)
    }

    /// A frame came from `peer`.
    pub(super) fn handle_frame(
        &mut self,
        now: Instant,
        room: &mut Room,
        peer: PeerId,
        (packet, capture): (Packet, CaptureTime),
    ) {
        let Packet { sender, epoch, body: Body::Media(frame) } = packet else { return };
        let mix = is_mix(frame.stream);
        match self.config.topology() {
            // All media are the host's, and nothing is mixed.
            Topology::Broadcast if room.host != Some(peer) || mix => self.stats.wrong_role += 1,
            Topology::Mesh if mix => self.stats.wrong_role += 1,
            Topology::Star if mix => {
                let packet = Packet { sender, epoch, body: Body::Media(frame) };
                self.handle_of_mix(now, room, peer, (packet, capture));
            }
            Topology::Star if !serves(now, room) => self.stats.unused += 1,
            _ if self.receiver.handle_frame(now, sender, (frame, capture), None) => {}
            _ => self.stats.unknown_stream += 1,
        }
    }

    /// A frame of the mix, or what tells of it, came: whether it counts is for one machine
    /// to say.
    pub(super) fn handle_of_mix(
        &mut self,
        now: Instant,
        room: &mut Room,
        peer: PeerId,
        (mut packet, capture): (Packet, CaptureTime),
    ) {
        match self.admit(now, room, peer, &mut packet) {
            Admission::Accepted => self.take_of_mix(now, (packet, capture)),
            Admission::Early => self.hold(now, room, peer, (packet, capture)),
            other => self.count(other),
        }
    }

    /// Keeps what is of an epoch that we have not come to.
    pub(super) fn hold(
        &mut self,
        now: Instant,
        room: &mut Room,
        peer: PeerId,
        packet: (Packet, CaptureTime),
    ) {
        self.stats.early += 1;
        if let Some(star) = &mut room.star {
            self.stats.early_dropped += star.early.push(now, peer, packet);
        }
    }

    /// Whether a frame of the mix, or what tells of it, counts. What came without an epoch
    /// over RTP has that of its sender then: no packet of RTP says one.
    fn admit(
        &mut self,
        now: Instant,
        room: &mut Room,
        peer: PeerId,
        packet: &mut Packet,
    ) -> Admission {
        let (stream, time) = match &packet.body {
            Body::Media(frame) => (frame.stream, frame.time),
            Body::Control(Control::MixInfo(info)) => (info.stream, info.time),
            Body::Control(_) => return Admission::WrongRole,
        };
        let Some(star) = &mut room.star else { return Admission::WrongRole };
        if let Some(epoch) = packet.epoch {
            return star.migration.admit(now, packet.sender, epoch, stream, time);
        }
        let is_frame = matches!(packet.body, Body::Media(_));
        if !is_frame || room.mesh.carrier(peer) != Some(Carrier::Rtp) {
            // What is of no host is of nobody who may mix.
            return Admission::WrongRole;
        }
        let may_follow = star.may_follow(peer, packet.sender);
        let Some(epoch) = star.epoch_of(packet.sender) else {
            return if may_follow { Admission::Early } else { Admission::WrongRole };
        };
        match star.migration.admit(now, packet.sender, epoch, stream, time) {
            Admission::Accepted => {
                packet.epoch = Some(epoch);
                Admission::Accepted
            }
            Admission::Stale if may_follow => Admission::Early,
            other => other,
        }
    }

    fn count(&mut self, admission: Admission) {
        match admission {
            Admission::Stale => self.stats.stale_epoch += 1,
            _ => self.stats.wrong_role += 1,
        }
    }

    fn take_of_mix(&mut self, now: Instant, (packet, capture): (Packet, CaptureTime)) {
        let Packet { sender, epoch, body } = packet;
        match body {
            Body::Media(frame) => {
                if !self.receiver.handle_frame(now, sender, (frame, capture), epoch) {
                    self.stats.unknown_stream += 1;
                }
            }
            Body::Control(Control::MixInfo(info)) => self.event(Event::MixInfo(info)),
            Body::Control(_) => {}
        }
    }

    /// Somebody else hosts, perhaps the one who sent what waits.
    pub(super) fn retry_early(&mut self, now: Instant, room: &mut Room) {
        let Some(star) = room.star.as_mut().filter(|star| !star.early.is_empty()) else { return };
        for (peer, mut held) in star.early.take() {
            if is_of_mix(&held.packet) {
                match self.admit(now, room, peer, &mut held.packet) {
                    Admission::Accepted => self.take_of_mix(now, (held.packet, held.capture)),
                    Admission::Early => self.put_back(room, peer, held),
                    other => self.count(other),
                }
            } else if self.handle_said(now, room, &held.packet) == Verdict::Early {
                self.put_back(room, peer, held);
            }
        }
        debug!("what came early was looked at again");
    }

    fn put_back(&mut self, room: &mut Room, peer: PeerId, held: Held) {
        if let Some(star) = &mut room.star {
            self.stats.early_dropped += star.early.put_back(peer, held);
        }
    }

    pub(super) fn handle_early_due(&mut self, now: Instant, room: &mut Room) {
        if let Some(star) = &mut room.star {
            self.stats.early_dropped += star.early.handle_timeout(now);
        }
    }
}

/// Who is meant.
fn everybody(room: &Room, to: Recipients) -> Vec<PeerId> {
    match to {
        Recipients::One(peer) => vec![peer],
        _ => room.mesh.connected().collect(),
    }
}

/// Whether others can do something with a frame of our mix that may go out: a picture counts
/// on those before it, of the same host, up to a keyframe.
fn goes_on(room: &mut Room, epoch: Epoch, frame: &EncodedFrame) -> bool {
    let Some(star) = room.star.as_mut().filter(|_| frame.stream == StreamId::MIX_VIDEO) else {
        return true;
    };
    if frame.coding.is_key() {
        star.mix_keyed = Some(epoch);
    }
    star.mix_keyed == Some(epoch)
}

/// Whether members send us their media: we mix them, or did a moment ago.
fn serves(now: Instant, room: &Room) -> bool {
    room.star.as_ref().is_some_and(|star| star.sound.is_at(now))
}

/// Whether a packet is a frame of a mix or tells of one.
pub(super) fn is_of_mix(packet: &Packet) -> bool {
    match &packet.body {
        Body::Media(frame) => is_mix(frame.stream),
        Body::Control(control) => matches!(control, Control::MixInfo(_)),
    }
}
