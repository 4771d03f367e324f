//! What goes and comes over RTP on one connection.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use bytes::Bytes;
use paceline_framing::rtcp;
use paceline_framing::rtp::{Packetized, Sender, SenderStream, SenderVerdict};
use paceline_types::{Bitrate, EncodedFrame, PacketKind, PeerId, Ssrc, StreamId};

use super::asks::{Asks, pli};
use super::incoming::{Incoming, Taken};
use super::{FRAME_EXTENSION, RtpConfig, RtpStats};
use crate::io::CaptureTime;

#[derive(Debug)]
pub(crate) struct Link {
    us: PeerId,
    peer: PeerId,
    sender: Sender,
    /// What the sender calls our streams.
    streams: BTreeMap<StreamId, usize>,
    /// Those of them whose latest frame was for RTP, not for the channel.
    carried: BTreeSet<StreamId>,
    incoming: Incoming,
    asks: Asks,
    /// His streams whose latest frame came over the channel.
    over_channel: BTreeSet<StreamId>,
    /// Feedback that is to go at once.
    feedback: Vec<Bytes>,
    stats: RtpStats,
}

impl Link {
    pub(crate) fn new(us: PeerId, peer: PeerId, config: &RtpConfig) -> Self {
        let mut sender = Sender::new(config.sender.clone());
        let [.., high, low] = us.to_bytes();
        let cname = Bytes::from(us.to_string());
        let streams = [StreamId::VIDEO, StreamId::AUDIO, StreamId::MIX_VIDEO, StreamId::MIX_AUDIO];
        let mut add = |stream| {
            let ssrc = Ssrc::of(us, stream)?;
            // Random as our id is, below 2¹⁵ and not zero; another for each stream.
            let seq = (u16::from_be_bytes([high, low]) ^ (stream.get() << 5)) & 0x7fff | 1;
            let stream_config = SenderStream::new(ssrc)
                .first_seq(seq)
                .frame_extension(FRAME_EXTENSION)
                .cname(cname.clone())
                .tells_wraps(true);
            Some((stream, sender.add_stream(stream_config)))
        };
        Self {
            streams: streams.into_iter().filter_map(&mut add).collect(),
            sender,
            us,
            peer,
            carried: BTreeSet::new(),
            incoming: Incoming::new(peer, config.clone()),
            asks: Asks::new(config.ask_interval),
            over_channel: BTreeSet::new(),
            feedback: Vec::new(),
            stats: RtpStats::default(),
        }
    }

    /// A frame of ours is to go: whether it is queued. What is not is counted by the sender.
    pub(crate) fn push(&mut self, now: Instant, stream: StreamId, frame: &Packetized) -> bool {
        let Some(&index) = self.streams.get(&stream) else { return false };
        self.carried.insert(stream);
        self.sender.handle_frame(now, index, frame) == SenderVerdict::Queued
    }

    /// One that was kept for him.
    pub(crate) fn push_kept(&mut self, now: Instant, stream: StreamId, frame: &Packetized) -> bool {
        let Some(&index) = self.streams.get(&stream) else { return false };
        self.carried.insert(stream);
        self.sender.handle_kept(now, index, frame) == SenderVerdict::Queued
    }

    /// A frame of ours goes over the channel: whether though it has a payload format.
    pub(crate) fn handle_uncarried(&mut self, stream: StreamId, is_unfit: bool) {
        self.carried.remove(&stream);
        self.stats.unpacketized += u64::from(is_unfit);
    }

    /// Whether the latest frame of a stream of ours is carried here.
    pub(crate) fn carries(&self, stream: StreamId) -> bool {
        self.carried.contains(&stream)
    }

    pub(crate) fn handle_path(&mut self, up: bool) {
        self.sender.handle_path(up);
    }

    pub(crate) fn set_target(&mut self, target: Bitrate) {
        self.sender.set_target(target);
    }

    pub(crate) const fn target(&self) -> Bitrate {
        self.sender.target()
    }

    pub(crate) const fn set_rtt(&mut self, rtt: Duration) {
        self.asks.set_rtt(rtt);
    }

    /// Whether it was RTP.
    pub(crate) fn handle_rtp(&mut self, now: Instant, bytes: Bytes) -> bool {
        match self.incoming.handle_packet(now, bytes, &mut self.stats) {
            Taken::Of(stream) => {
                self.asks.handle_packet(stream);
                self.stats.received_packets += 1;
                true
            }
            Taken::Refused => {
                self.stats.bad_packets += 1;
                false
            }
        }
    }

    /// The streams of ours that he needs a keyframe of; `None` if it was no RTCP.
    pub(crate) fn handle_rtcp(&mut self, bytes: Bytes) -> Option<Vec<StreamId>> {
        let Ok(packets) = rtcp::parse(bytes) else {
            self.stats.bad_packets += 1;
            return None;
        };
        self.stats.received_packets += 1;
        let mut asked = Vec::new();
        let mut bad = 0;
        for packet in packets {
            match packet {
                rtcp::Packet::SenderReport(report) => {
                    bad += u64::from(self.incoming.handle_report(&report) == Taken::Refused);
                }
                rtcp::Packet::PictureLossIndication(pli) => {
                    let stream = Asks::handle_pli(self.us, pli);
                    bad += u64::from(stream.is_none());
                    asked.extend(stream);
                }
                rtcp::Packet::FullIntraRequest(fir) => {
                    let (streams, is_ours) = self.asks.handle_fir(self.us, &fir);
                    bad += u64::from(!is_ours);
                    asked.extend(streams);
                }
                // The transport's.
                _ => {}
            }
        }
        asked.sort_unstable();
        asked.dedup();
        self.stats.bad_packets += bad;
        self.stats.asked_of_us += asked.len() as u64;
        Some(asked)
    }

    /// A frame of his came over the channel.
    pub(crate) fn handle_over_channel(&mut self, frame: &EncodedFrame) {
        if Ssrc::of(self.peer, frame.stream).is_some() {
            self.over_channel.insert(frame.stream);
            if frame.coding.is_key() {
                self.asks.handle_keyframe(frame.stream);
            }
        }
    }

    /// Asks for a keyframe of a stream of his, and says whether it could: not of one whose
    /// frames come over the channel.
    pub(crate) fn ask(&mut self, now: Instant, stream: StreamId) -> bool {
        if super::is_sound_stream(stream) || self.over_channel.contains(&stream) {
            return false;
        }
        let Some(pli) = pli(self.us, self.peer, stream) else { return false };
        if self.asks.ask(now, stream) {
            self.stats.asked += 1;
            self.feedback.push(pli);
        }
        true
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        self.incoming.handle_timeout(now, &mut self.stats);
        while let Some(stream) = self.asks.poll_again(now, |it| self.incoming.holds(it)) {
            self.stats.asked += 1;
            self.feedback.extend(pli(self.us, self.peer, stream));
        }
    }

    pub(crate) fn poll_frame(&mut self) -> Option<(EncodedFrame, CaptureTime)> {
        let (frame, capture) = self.incoming.poll_frame()?;
        self.over_channel.remove(&frame.stream);
        if frame.coding.is_key() {
            self.asks.handle_keyframe(frame.stream);
        }
        Some((frame, capture))
    }

    pub(crate) fn poll_transmit(&mut self, now: Instant) -> Option<(PacketKind, Bytes)> {
        if let Some(bytes) = self.feedback.pop() {
            return Some((PacketKind::Rtcp, bytes));
        }
        self.sender.poll_transmit(now)
    }

    /// Whether some stream of ours goes on only from a keyframe, told once.
    pub(crate) fn poll_needs_keyframe(&mut self) -> bool {
        std::iter::from_fn(|| self.sender.poll_needs_keyframe()).count() > 0
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let again = self.asks.poll_timeout(|stream| self.incoming.holds(stream));
        let timeouts = [self.sender.poll_timeout(), self.incoming.poll_timeout(), again];
        timeouts.into_iter().flatten().min()
    }

    pub(crate) const fn queued_bytes(&self) -> usize {
        self.sender.queued_bytes()
    }

    pub(crate) fn oldest_age(&self, now: Instant) -> Duration {
        self.sender.oldest_age(now)
    }

    pub(crate) const fn stats(&self) -> RtpStats {
        let sender = self.sender.stats();
        RtpStats {
            sent_packets: sender.packets,
            sent_frames: sender.frames,
            shed_frames: sender.left_out,
            ..self.stats
        }
    }
}

/// What came before the hello that it belongs to.
#[derive(Debug, Default)]
pub(crate) struct Early {
    packets: Vec<(PacketKind, Bytes)>,
    bytes: usize,
}

impl Early {
    /// Keeps a packet, if there is room.
    pub(crate) fn push(&mut self, max_bytes: usize, kind: PacketKind, bytes: Bytes) -> bool {
        let cost = bytes.len() + size_of::<(PacketKind, Bytes)>();
        let fits = self.bytes + cost <= max_bytes;
        if fits {
            self.bytes += cost;
            self.packets.push((kind, bytes));
        }
        fits
    }

    pub(crate) fn take(&mut self) -> Vec<(PacketKind, Bytes)> {
        std::mem::take(self).packets
    }
}
