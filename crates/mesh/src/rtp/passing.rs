//! Between a mesh and the RTP of its connections.

use std::time::Instant;

use bytes::Bytes;
use paceline_framing::rtp::Packetized;
use paceline_framing::{Body, Control, Packet};
use paceline_types::{Bitrate, Carrier, EncodedFrame, PacketKind, PeerId, StreamId};

use super::Framed;
#[cfg(doc)]
use crate::CacheConfig;
use crate::Mesh;
use crate::incoming::note_quality;
use crate::io::{CaptureTime, Event, Output};

/// A picture that newcomers are shown, where RTP is carried.
#[derive(Clone, Debug)]
pub(crate) struct Shown {
    packet: Packet,
    /// As packets of RTP, if it has any.
    packets: Option<Packetized>,
}

impl Shown {
    /// Its bytes, once though it is there in two forms, as [`CacheConfig::max_bytes`] says; and
    /// what the allocator adds for itself and its first packet.
    fn cost(&self) -> usize {
        let frame = match &self.packet.body {
            Body::Media(frame) => frame.data.len(),
            Body::Control(_) => 0,
        };
        let packets = self.packets.as_ref().map_or(0, Packetized::bytes);
        frame.max(packets) + size_of::<Self>() + 192
    }
}

impl Mesh {
    /// What carries the media between us and `peer`: RTP if both ends have said that they
    /// carry it. `None` if he is not connected.
    #[must_use]
    pub fn carrier(&self, peer: PeerId) -> Option<Carrier> {
        let known = self.peers.get(&peer).filter(|known| known.connected())?;
        Some(known.carrier())
    }

    /// What the path to `peer` takes, of everything, as the transport's congestion control
    /// has it: before it has said so, what
    /// [`SenderConfig::start_bitrate`](paceline_framing::rtp::SenderConfig::start_bitrate)
    /// says. `None` if the connection carries no RTP: then acknowledgements tell
    /// ([`load`](Self::load)).
    #[must_use]
    pub fn target(&self, peer: PeerId) -> Option<Bitrate> {
        let known = self.peers.get(&peer).filter(|known| known.connected())?;
        known.rtp.as_ref().map(|link| link.target())
    }

    /// [`target`](Self::target), if the latest frame of that stream of ours to `peer` went by
    /// it. `None` if it went over the channel, as one does for which RTP has no format: then
    /// acknowledgements tell.
    #[must_use]
    pub fn target_of(&self, peer: PeerId, stream: StreamId) -> Option<Bitrate> {
        let known = self.peers.get(&peer).filter(|known| known.connected())?;
        known.rtp.as_ref().filter(|link| link.carries(stream)).map(|link| link.target())
    }

    /// Asks `peer` for a keyframe of a stream of his, by a picture loss indication (RFC 4585
    /// §6.3.1) if its frames come over RTP: once, and again if none comes. If he is connected.
    pub fn request_keyframe(&mut self, now: Instant, peer: PeerId, stream: StreamId) {
        let Some(known) = self.peers.get_mut(&peer).filter(|known| known.connected()) else {
            return;
        };
        if known.rtp.as_mut().is_some_and(|link| link.ask(now, stream)) {
            self.flush(now, peer);
            self.schedule(peer);
        } else {
            self.send_control(now, peer, Control::KeyframeRequest { stream });
        }
    }

    /// The packets of a frame of ours; none if it goes over the channel to everybody.
    pub(crate) fn packetize(&mut self, packet: &Packet) -> Framed {
        let Body::Media(frame) = &packet.body else { return Framed::None };
        if self.config.carrier != Carrier::Rtp || packet.sender != self.identity.sender {
            return Framed::None;
        }
        self.packetizers.packetize(self.identity.peer, frame)
    }

    /// Keeps a picture for newcomers, where RTP is carried.
    pub(crate) fn keep_shown(&mut self, now: Instant, packet: &Packet, framed: &Framed) {
        let packets = match framed {
            Framed::Packets(packets) => Some(packets.clone()),
            Framed::None | Framed::Unfit => None,
        };
        let shown = Shown { packet: packet.clone(), packets };
        let cost = shown.cost();
        self.shown.handle_packet(now, packet, &shown, cost, true);
    }

    /// Shows a newcomer what was kept, by what carries it to him.
    pub(crate) fn show_kept(&mut self, now: Instant, peer: PeerId) {
        let streams: Vec<_> = self.shown.streams(now).collect();
        if streams.is_empty() {
            self.outputs.push_back(Output::Event(Event::NeedsKeyframe { peer }));
        }
        for stream in streams {
            let kept: Vec<_> = self.shown.replay(now, stream).into_iter().flatten().collect();
            for Shown { packet, packets } in kept.into_iter().cloned() {
                let Some(known) = self.peers.get_mut(&peer) else { return };
                match (packets, &mut known.rtp) {
                    (Some(packets), Some(link)) => {
                        let queued = link.push_kept(now, stream.stream, &packets);
                        self.counts.replayed += u64::from(queued);
                    }
                    _ => {
                        let cut = self.cutters.cut(known.max_message, &packet);
                        let queued = known.push(now, cut) == Ok(true);
                        self.counts.replayed += u64::from(queued);
                    }
                }
            }
        }
        self.flush(now, peer);
    }

    /// The transport has a packet of a peer's.
    pub(crate) fn handle_carried(
        &mut self,
        now: Instant,
        peer: PeerId,
        kind: PacketKind,
        bytes: Bytes,
    ) {
        let max_early = self.config.rtp.max_early;
        let Some(known) = self.peers.get_mut(&peer) else { return };
        known.stats.received_bytes += bytes.len() as u64;
        if known.connected() {
            return self.take_carried(now, peer, kind, bytes);
        }
        // His hello may be on its way still. Who carries none has no use for it.
        let is_kept =
            self.config.carrier == Carrier::Rtp && known.early.push(max_early, kind, bytes);
        known.stats.rtp.bad_packets += u64::from(!is_kept);
    }

    fn take_carried(&mut self, now: Instant, peer: PeerId, kind: PacketKind, bytes: Bytes) {
        let Some(known) = self.peers.get_mut(&peer) else { return };
        let Some(link) = &mut known.rtp else {
            known.stats.rtp.bad_packets += 1;
            return;
        };
        let mut asked = Vec::new();
        let understood = match kind {
            PacketKind::Rtcp => link.handle_rtcp(bytes).is_some_and(|streams| {
                asked = streams;
                true
            }),
            _ => link.handle_rtp(now, bytes),
        };
        if understood {
            self.handle_heard(now, peer);
        }
        self.take_frames(now, peer);
        let (Some(sender), epoch) = (self.sender_of(peer), Some(self.epoch)) else { return };
        for stream in asked {
            let body = Body::Control(Control::KeyframeRequest { stream });
            let packet = Packet { sender, epoch, body };
            let event = Event::Packet { peer, packet, capture: CaptureTime::Own };
            self.outputs.push_back(Output::Event(event));
        }
    }

    /// What came before his hello.
    pub(crate) fn handle_early(&mut self, now: Instant, peer: PeerId) {
        let Some(known) = self.peers.get_mut(&peer) else { return };
        for (kind, bytes) in known.early.take() {
            self.take_carried(now, peer, kind, bytes);
        }
    }

    pub(crate) fn handle_rtp_timeout(&mut self, now: Instant, peer: PeerId) {
        if let Some(link) = self.peers.get_mut(&peer).and_then(|known| known.rtp.as_mut()) {
            link.handle_timeout(now);
        }
        self.take_frames(now, peer);
        self.flush(now, peer);
    }

    fn take_frames(&mut self, now: Instant, peer: PeerId) {
        let Some(known) = self.peers.get_mut(&peer) else { return };
        let sender = known.sender;
        while let Some((frame, capture)) = known.rtp.as_mut().and_then(|link| link.poll_frame()) {
            let packet = Packet { sender, epoch: None, body: Body::Media(frame) };
            if let Some(quality) = &mut known.quality {
                note_quality(quality, now, &packet);
            }
            self.outputs.push_back(Output::Event(Event::Packet { peer, packet, capture }));
        }
    }

    /// Hands over what may go of a peer's RTP.
    pub(crate) fn flush_rtp(&mut self, now: Instant, peer: PeerId) {
        let Some(known) = self.peers.get_mut(&peer) else { return };
        let Some(link) = &mut known.rtp else { return };
        link.handle_path(known.path_up);
        while let Some((kind, bytes)) = link.poll_transmit(now) {
            known.stats.sent_bytes += bytes.len() as u64;
            self.outputs.push_back(Output::Transmit { peer, kind, bytes });
        }
        if link.poll_needs_keyframe() {
            self.outputs.push_back(Output::Event(Event::NeedsKeyframe { peer }));
        }
    }

    /// Queues a frame for a peer by RTP, and says whether it is queued; `None` if his
    /// connection does not carry it.
    pub(crate) fn push_packets(
        &mut self,
        now: Instant,
        peer: PeerId,
        frame: &EncodedFrame,
        framed: &Framed,
    ) -> Option<bool> {
        let known = self.peers.get_mut(&peer)?;
        let link = known.rtp.as_mut()?;
        let Framed::Packets(packets) = framed else {
            link.handle_uncarried(frame.stream, matches!(framed, Framed::Unfit));
            return None;
        };
        let queued = link.push(now, frame.stream, packets);
        known.handle_media(now);
        self.flush(now, peer);
        Some(queued)
    }
}
