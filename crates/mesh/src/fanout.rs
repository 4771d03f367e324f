//! One packet to many peers: each has a queue of his own, and nobody waits for another.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::time::Instant;

use bytes::Bytes;
use paceline_framing::{Body, Control, Cut, Packet, Watermark};
use paceline_types::{Carrier, EncodedFrame, PacketKind, PeerId, StreamId, StreamKey};

use crate::credit::{Window, credit_cost};
use crate::io::{CaptureTime, Event, Output, Recipients};
use crate::rtp::Framed;
use crate::{GoneReason, Mesh, Meter};

impl Mesh {
    /// Queues a packet for everybody it is for. It is emitted, checksummed and cut
    /// once; all queues share the bytes. Pictures that go to all are kept for newcomers.
    ///
    /// An application's data that [`send_data`](Self::send_data) would refuse are not sent.
    pub fn send(&mut self, now: Instant, to: Recipients, packet: &Packet) {
        let mut cuts = BTreeMap::new();
        let framed = self.packetize(packet);
        let shown = to == Recipients::All && picture(packet).is_some();
        if shown && self.config.carrier == Carrier::Rtp {
            self.keep_shown(now, packet, &framed);
        } else if shown {
            let limit = self.config.max_message;
            let cut = self.cutters.cut(limit, packet);
            self.cache.handle_packet(now, packet, &cut);
            cuts.insert(limit, cut);
        }
        let peers = match to {
            Recipients::All => self.connected().collect(),
            Recipients::One(peer) => vec![peer],
        };
        self.send_cuts(now, peers, packet, cuts, &framed);
    }

    /// Queues a packet for some, as [`send`](Self::send) does, if they are connected.
    /// Nothing of it is kept for newcomers.
    pub fn send_to(
        &mut self,
        now: Instant,
        peers: impl IntoIterator<Item = PeerId>,
        packet: &Packet,
    ) {
        let framed = self.packetize(packet);
        self.send_cuts(now, peers, packet, BTreeMap::new(), &framed);
    }

    fn send_cuts(
        &mut self,
        now: Instant,
        peers: impl IntoIterator<Item = PeerId>,
        packet: &Packet,
        mut cuts: BTreeMap<usize, Cut>,
        framed: &Framed,
    ) {
        if let Body::Control(Control::ApplicationData { channel, data }) = &packet.body
            && check(*channel, data).is_err()
        {
            tracing::debug!(channel, bytes = data.len(), "data that nobody would get");
            return;
        }
        for peer in peers {
            let Some(known) = self.peers.get(&peer).filter(|known| known.connected()) else {
                continue;
            };
            let limit = known.max_message;
            let media = match &packet.body {
                Body::Media(frame) => Some(frame),
                Body::Control(_) => None,
            };
            let carried = media.and_then(|it| self.push_packets(now, peer, it, framed));
            let queued = carried.unwrap_or_else(|| {
                let cut = cuts
                    .entry(limit)
                    .or_insert_with_key(|&limit| self.cutters.cut(limit, packet))
                    .clone();
                self.push(now, peer, cut)
            });
            if queued
                && let Some(frame) = media
                && let Some(quality) =
                    self.peers.get_mut(&peer).and_then(|known| known.quality.as_mut())
            {
                let stream = StreamKey { sender: packet.sender, stream: frame.stream };
                quality.handle_sent(now, stream, &frame.coding, frame.data.len());
            }
            self.schedule(peer);
        }
    }

    /// Queues an application's data under the policy for it. A peer who takes less than he
    /// is sent is given up when its bounds are reached.
    ///
    /// # Errors
    ///
    /// [`DataError`], and nothing is queued.
    pub fn send_data(
        &mut self,
        now: Instant,
        to: Recipients,
        channel: u16,
        data: Bytes,
    ) -> Result<(), DataError> {
        check(channel, &data)?;
        let packet = self.control_packet(Control::ApplicationData { channel, data });
        self.send(now, to, &packet);
        Ok(())
    }

    /// Our application has taken so many packets of `peer`'s data, and so many bytes in
    /// all. Once it has taken half of what may wait for it, he is told that there is room.
    pub fn consume(&mut self, now: Instant, peer: PeerId, packets: usize, bytes: usize) {
        let Some(known) = self.peers.get_mut(&peer) else { return };
        let overhead = credit_cost(0).saturating_mul(packets as u64);
        known.meter.handle_consumed(overhead.saturating_add(bytes as u64));
        if let Some(Window { consumed, allowed }) = known.meter.poll_window() {
            self.send_control(now, peer, Control::Window { consumed, allowed });
        }
    }

    /// Queues a packet, and says whether it is queued.
    pub(crate) fn push(&mut self, now: Instant, peer: PeerId, cut: Cut) -> bool {
        let Some(known) = self.peers.get_mut(&peer) else { return false };
        match known.push(now, cut) {
            Ok(queued) => {
                self.flush(now, peer);
                return queued;
            }
            Err(GoneReason::TooSlow) => self.evict(now, peer, GoneReason::TooSlow),
            Err(reason) => self.give_up(now, peer, reason),
        }
        false
    }

    /// Shows newcomers no more of a stream: it was switched off.
    pub fn forget_stream(&mut self, stream: StreamId) {
        let sender = self.identity.sender;
        self.cache.forget(StreamKey { sender, stream });
        self.shown.forget(StreamKey { sender, stream });
    }

    /// Hands over what may go.
    pub(crate) fn flush(&mut self, now: Instant, peer: PeerId) {
        let Some(known) = self.peers.get_mut(&peer) else { return };
        known.prepare(now);
        while let Some(bytes) = known.pop(now) {
            self.outputs.push_back(Output::Transmit { peer, kind: PacketKind::Message, bytes });
        }
        known.settle(now);
        if known.queue.poll_needs_keyframe() {
            self.outputs.push_back(Output::Event(Event::NeedsKeyframe { peer }));
        }
        match known.queue.poll_watermark() {
            Some(Watermark::Congested) => {
                self.outputs.push_back(Output::Event(Event::Congested { peer }));
            }
            Some(Watermark::Drained) => {
                self.outputs.push_back(Output::Event(Event::Drained { peer }));
            }
            _ => {}
        }
        self.flush_rtp(now, peer);
    }

    /// Shows a newcomer where the others are: the last keyframe and what followed it. If
    /// there is none that is fresh, only a new keyframe will do.
    pub(crate) fn show(&mut self, now: Instant, peer: PeerId) {
        if self.config.carrier == Carrier::Rtp {
            return self.show_kept(now, peer);
        }
        let limit = self.config.max_message;
        let same = self.peers.get(&peer).is_some_and(|known| known.max_message == limit);
        let streams: Vec<_> = self.cache.streams(now).filter(|_| same).collect();
        if streams.is_empty() {
            self.outputs.push_back(Output::Event(Event::NeedsKeyframe { peer }));
        }
        for stream in streams {
            let kept = self.cache.replay(now, stream);
            let cuts: Vec<_> = kept.into_iter().flatten().cloned().collect();
            let Some(known) = self.peers.get_mut(&peer) else { return };
            // All of it waits before the first goes: so it is no little demand.
            let queued = cuts.into_iter().filter(|cut| known.push(now, cut.clone()) == Ok(true));
            self.counts.replayed += queued.count() as u64;
        }
        self.flush(now, peer);
    }

    /// Sends padding, so that its acknowledgements tell what the path takes.
    pub(crate) fn probe(&mut self, now: Instant, peer: PeerId) {
        let Some(known) = self.peers.get_mut(&peer) else { return };
        let Some(probe) = known.pacer.poll_probe(now) else { return };
        let limit = known.max_message;
        let data = Bytes::from(vec![0; probe.bytes.saturating_sub(PADDING_OVERHEAD)]);
        let packet = self.control_packet(Control::ApplicationData { channel: PADDING, data });
        let cut = self.cutters.cut(limit, &packet);
        let Some(known) = self.peers.get_mut(&peer) else { return };
        for message in cut.messages() {
            known.handle_sent(now, message.len());
            self.outputs.push_back(Output::Transmit {
                peer,
                kind: PacketKind::Message,
                bytes: message.clone(),
            });
        }
        known.settle(now);
    }

    /// Data of a peer's application came.
    pub(crate) fn handle_data(&mut self, now: Instant, peer: PeerId, packet: Packet) {
        let Body::Control(Control::ApplicationData { channel, data }) = &packet.body else {
            return;
        };
        if *channel == PADDING {
            return;
        }
        let Some(known) = self.peers.get_mut(&peer) else { return };
        if known.meter.handle_received(credit_cost(data.len())).is_err() {
            return self.give_up(now, peer, GoneReason::Overrun);
        }
        self.outputs.push_back(Output::Event(Event::Packet {
            peer,
            packet,
            capture: CaptureTime::Own,
        }));
    }
}

fn check(channel: u16, data: &Bytes) -> Result<(), DataError> {
    if data.len() > MAX_DATA {
        return Err(DataError::TooLarge { bytes: data.len() });
    }
    if channel == PADDING { Err(DataError::Reserved) } else { Ok(()) }
}

/// The picture in a packet.
fn picture(packet: &Packet) -> Option<&EncodedFrame> {
    match &packet.body {
        Body::Media(frame) if !frame.coding.is_audio() => Some(frame),
        _ => None,
    }
}

/// Why an application's data are not sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum DataError {
    /// The channel is [`PADDING`].
    Reserved,
    /// They are more than [`MAX_DATA`].
    TooLarge {
        /// How many they are.
        bytes: usize,
    },
}

impl fmt::Display for DataError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reserved => write!(f, "channel {PADDING} is padding's: take another"),
            Self::TooLarge { bytes } => {
                write!(f, "{bytes} bytes are too many for one packet: {MAX_DATA} at most")
            }
        }
    }
}

impl Error for DataError {}

/// Bytes of application data in one packet at most: half of the window that every receiver
/// begins with, because he tells of no less (type 134 in `docs/WIRE.md`).
pub const MAX_DATA: usize = Meter::INITIAL as usize / 2 - credit_cost(0) as usize;

/// The channel whose data nobody reads: what probes are made of.
pub const PADDING: u16 = u16::MAX;

/// What a probe of two to four messages has beside padding: each a header (20), an epoch
/// (8) and a fragment header (8), and one channel (2).
const PADDING_OVERHEAD: usize = 4 * 36 + 2;
