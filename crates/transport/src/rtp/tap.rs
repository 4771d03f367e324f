//! The application's end of a chain of interceptors.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use interceptor::{Interceptor, Packet, StreamInfo, TaggedPacket};
use paceline_types::{Bitrate, ConnectionEvent, PacketKind, Ssrc};
use rtcp::goodbye::Goodbye;
use rtcp::payload_feedbacks::full_intra_request::FullIntraRequest;
use rtcp::payload_feedbacks::picture_loss_indication::PictureLossIndication;
use rtcp::receiver_report::ReceiverReport;
use rtcp::sender_report::SenderReport;
use sansio::Protocol;
use shared::TransportContext;
use shared::error::Error;
use shared::marshal::{Marshal, MarshalSize, Unmarshal};

use super::RtpConfig;
use super::unanswered::Unanswered;
use crate::SendError;

/// Where packets are put into a chain of interceptors, and where they come out.
///
/// Both ways have a queue, which is bounded. Clones are of the same tap. What comes and is larger
/// than 2,048 bytes is not taken: what is sent should fit the path's MTU.
///
/// | group | calls |
/// |---|---|
/// | input | [`try_send`](Self::try_send) |
/// | output | [`poll_event`](Self::poll_event), until `None` |
/// | steering | [`set_streams`](Self::set_streams) |
#[derive(Clone)]
pub struct Tap(Arc<Mutex<Queues>>);

/// What went through a [`Tap`], and what did not.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct TapStats {
    /// Packets of RTP that came and found the queue full.
    pub dropped: u64,
    /// Packets of congestion control feedback that told of far more than was sent, and requests
    /// that asked for far more; they were not heeded.
    pub feedback_refused: u64,
    /// Packets of RTP and RTCP from sources that are not the other end's, or from elsewhere.
    pub foreign: u64,
    /// Packets that wait to go out now.
    pub queued: usize,
    /// RTP packets that came, without those that were dropped.
    pub received: u64,
    /// Packets of RTP that came and were not taken: the first of those whose numbers jump by more
    /// than 4,096, all that do so again within 250 ms, and what is larger than 2,048 bytes.
    pub refused: u64,
    /// RTP packets that were sent again.
    pub retransmitted: u64,
    /// Compounds of RTCP that came, were for the owner, and found no room, or were larger than
    /// 2,048 bytes.
    pub rtcp_dropped: u64,
    /// The round trip, as the last receiver report had it (RFC 3550 §6.4.1).
    pub round_trip: Option<Duration>,
    /// RTP packets that were handed over, retransmissions not counted.
    pub sent: u64,
    /// Bytes of them, RTP headers included.
    pub sent_bytes: u64,
    /// RTP packets that were asked for again and not sent: they were already on their way
    /// again, more was asked for than the target leaves room for, or far more than was sent.
    pub withheld: u64,
}

impl TapStats {
    /// One that came is dropped after all.
    #[cfg(feature = "webrtc")]
    pub(crate) fn drop_received(&mut self) {
        self.received = self.received.saturating_sub(1);
        self.dropped += 1;
    }
}

struct Queues {
    outgoing: VecDeque<(Instant, Packet)>,
    incoming: VecDeque<ConnectionEvent>,
    limit: usize,
    /// Sources that may be sent, and that may come; everything if nobody said.
    local: Option<Vec<Ssrc>>,
    remote: Option<Vec<Ssrc>>,
    target: Bitrate,
    target_told: bool,
    /// Where congestion control learns what became of the path.
    unanswered: Unanswered,
    stats: TapStats,
    waker: Option<Waker>,
    /// How many may still leave before it is looked again whether something waits: an engine
    /// that writes until there is nothing more would never come to its socket while somebody
    /// goes on putting in. `None` for who does not look.
    turn: Option<usize>,
}

impl Tap {
    pub(super) fn new(config: &RtpConfig) -> (Self, TapEnd) {
        let tap = Self(Arc::new(Mutex::new(Queues {
            outgoing: VecDeque::new(),
            incoming: VecDeque::new(),
            limit: config.queue.max(1),
            local: None,
            remote: None,
            target: config.first_target(),
            target_told: false,
            unanswered: Unanswered::default(),
            stats: TapStats::default(),
            waker: None,
            turn: None,
        })));
        let end = TapEnd { tap: tap.clone(), reads: VecDeque::new(), writes: VecDeque::new() };
        (tap, end)
    }

    /// From now on only RTP of these sources goes out and comes in. Without this, all does.
    pub fn set_streams(
        &self,
        local: impl IntoIterator<Item = Ssrc>,
        remote: impl IntoIterator<Item = Ssrc>,
    ) {
        let mut queues = self.lock();
        queues.local = Some(local.into_iter().collect());
        queues.remote = Some(remote.into_iter().collect());
    }

    /// Puts one RTP packet or compound of RTCP packets in, to leave when the chain is next
    /// polled for what to write.
    ///
    /// # Errors
    ///
    /// [`SendError::Full`] if as many wait as may, and [`SendError::Malformed`] if it is not
    /// what it is said to be, or of a source that is not ours. In any case it is gone.
    pub fn try_send(&self, now: Instant, kind: PacketKind, bytes: Bytes) -> Result<(), SendError> {
        let len = bytes.len() as u64;
        let packet = parse(kind, bytes).ok_or(SendError::Malformed)?;
        let mut queues = self.lock();
        if queues.outgoing.len() >= queues.limit {
            return Err(SendError::Full);
        }
        if let Packet::Rtp(packet) = &packet {
            if !is_one_of(queues.local.as_deref(), packet.header.ssrc) {
                return Err(SendError::Malformed);
            }
            queues.stats.sent += 1;
            queues.stats.sent_bytes += len;
        }
        queues.outgoing.push_back((now, packet));
        let waker = queues.waker.take();
        drop(queues);
        if let Some(waker) = waker {
            waker.wake();
        }
        Ok(())
    }

    /// What came, oldest first, and the target before it if that has changed:
    /// [`Rtp`](ConnectionEvent::Rtp), [`Rtcp`](ConnectionEvent::Rtcp) with sender and receiver
    /// reports, picture loss, full intra requests and goodbyes, and
    /// [`Target`](ConnectionEvent::Target). The first is the target that it starts with.
    #[must_use]
    pub fn poll_event(&self) -> Option<ConnectionEvent> {
        let mut queues = self.lock();
        if !queues.target_told {
            queues.target_told = true;
            return Some(ConnectionEvent::Target(queues.target));
        }
        queues.incoming.pop_front()
    }

    /// What went through so far.
    #[must_use]
    pub fn stats(&self) -> TapStats {
        let queues = self.lock();
        TapStats { queued: queues.outgoing.len(), ..queues.stats }
    }

    /// The target of congestion control.
    #[must_use]
    pub fn target(&self) -> Bitrate {
        self.lock().target
    }

    /// Whether something waits to go out. If not, who asks is woken when something does. Of who
    /// asks once no more leaves than waited then, until he asks again.
    pub fn poll_outgoing(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut queues = self.lock();
        queues.turn = Some(queues.outgoing.len());
        if !queues.outgoing.is_empty() {
            return Poll::Ready(());
        }
        match &mut queues.waker {
            Some(waker) => waker.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
        Poll::Pending
    }

    /// Sources that may be sent, if somebody said.
    pub(super) fn local(&self) -> Option<Vec<Ssrc>> {
        self.lock().local.clone()
    }

    /// Whether what is protected may come, by the source that it says it is from. One that may
    /// not is counted.
    #[cfg(feature = "webrtc")]
    pub(crate) fn admits(&self, datagram: &[u8]) -> bool {
        // RFC 5761 §4: what is RTCP. The source is in the open in both (RFC 3711 §3.1, §3.4).
        let source = match datagram.get(1) {
            Some(192..=223) => datagram.get(4..8),
            _ => datagram.get(8..12),
        };
        let source = source.and_then(|source| source.try_into().ok()).map(u32::from_be_bytes);
        let mut queues = self.lock();
        let admits = source.is_some_and(|ssrc| is_one_of(queues.remote.as_deref(), ssrc));
        if !admits {
            queues.stats.foreign += 1;
        }
        admits
    }

    pub(super) fn set_target(&self, target: Bitrate) {
        let mut queues = self.lock();
        if queues.target != target {
            (queues.target, queues.target_told) = (target, false);
        }
    }

    /// Has [`poll_event`](Self::poll_event) tell the target once more.
    #[cfg(feature = "webrtc")]
    pub(crate) fn tell_target_again(&self) {
        self.lock().target_told = false;
    }

    /// Congestion control learns of a new path by this.
    pub(crate) fn heed(&self, unanswered: Unanswered) {
        self.lock().unanswered = unanswered;
    }

    /// From now on packets take another path, or are stamped by a clock that was put forward.
    pub(crate) fn begin_path(&self) {
        self.lock().unanswered.begin_path();
    }

    pub(crate) fn count(&self, count: impl FnOnce(&mut TapStats)) {
        count(&mut self.lock().stats);
    }

    fn lock(&self) -> MutexGuard<'_, Queues> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Tap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tap").field("stats", &self.stats()).finish_non_exhaustive()
    }
}

/// The tap, as the last interceptor of a chain.
pub(super) struct TapEnd {
    tap: Tap,
    /// What goes on to the engine: bare attributes.
    reads: VecDeque<TaggedPacket>,
    /// What the engine's own interface was given.
    writes: VecDeque<TaggedPacket>,
}

impl TapEnd {
    fn take_rtp(&self, packet: &rtp::Packet) {
        let mut queues = self.tap.lock();
        if !is_one_of(queues.remote.as_deref(), packet.header.ssrc) {
            queues.stats.foreign += 1;
            return;
        }
        if queues.incoming.len() >= queues.limit {
            queues.stats.dropped += 1;
            return;
        }
        if packet.marshal_size() > MAX_PACKET {
            queues.stats.refused += 1;
            return;
        }
        // What was parsed can be written.
        let Ok(bytes) = packet.marshal() else { return };
        queues.stats.received += 1;
        queues.incoming.push_back(ConnectionEvent::Rtp(bytes.freeze()));
    }

    fn take_rtcp(&self, packets: &[Box<dyn rtcp::Packet>]) {
        let ours: Vec<_> =
            packets.iter().filter(|packet| is_for_the_owner(&***packet)).cloned().collect();
        let Ok(bytes) = rtcp::packet::marshal(&ours) else { return };
        let mut queues = self.tap.lock();
        if ours.is_empty() {
            return;
        }
        let has_room = queues.incoming.len() < queues.limit.saturating_add(RTCP_ROOM);
        if !has_room || bytes.len() > MAX_PACKET {
            queues.stats.rtcp_dropped += 1;
            return;
        }
        queues.incoming.push_back(ConnectionEvent::Rtcp(bytes.freeze()));
    }
}

impl Protocol<TaggedPacket, TaggedPacket, ()> for TapEnd {
    type Rout = TaggedPacket;
    type Wout = TaggedPacket;
    type Eout = ();
    type Error = Error;
    type Time = Instant;

    fn handle_read(&mut self, packet: TaggedPacket) -> Result<(), Error> {
        match &packet.message.packet {
            Packet::Rtp(packet) => self.take_rtp(packet),
            Packet::Rtcp(packets) => {
                self.take_rtcp(packets);
                if !packet.message.attributes.is_empty() {
                    self.reads.push_back(packet);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn poll_read(&mut self) -> Option<TaggedPacket> {
        self.reads.pop_front()
    }

    fn handle_write(&mut self, packet: TaggedPacket) -> Result<(), Error> {
        self.writes.push_back(packet);
        Ok(())
    }

    fn poll_write(&mut self) -> Option<TaggedPacket> {
        self.writes.pop_front().or_else(|| {
            let mut queues = self.tap.lock();
            queues.turn = match queues.turn {
                Some(left) => Some(left.checked_sub(1)?),
                None => None,
            };
            let (now, packet) = queues.outgoing.pop_front()?;
            let transport = TransportContext::default();
            Some(TaggedPacket { now, transport, message: packet.into() })
        })
    }
}

impl Interceptor for TapEnd {
    fn bind_local_stream(&mut self, _: &StreamInfo) {}
    fn unbind_local_stream(&mut self, _: &StreamInfo) {}
    fn bind_remote_stream(&mut self, _: &StreamInfo) {}
    fn unbind_remote_stream(&mut self, _: &StreamInfo) {}
}

/// What the bytes are, if they are that.
pub(super) fn parse(kind: PacketKind, mut bytes: Bytes) -> Option<Packet> {
    match kind {
        PacketKind::Message => None,
        PacketKind::Rtcp => rtcp::packet::unmarshal(&mut bytes).ok().map(Packet::Rtcp),
        PacketKind::Rtp => {
            let packet = rtp::Packet::unmarshal(&mut bytes).ok()?;
            (packet.header.version == 2).then_some(Packet::Rtp(packet))
        }
    }
}

fn is_one_of(sources: Option<&[Ssrc]>, ssrc: u32) -> bool {
    sources.is_none_or(|sources| sources.contains(&Ssrc::new(ssrc)))
}

fn is_for_the_owner(packet: &dyn rtcp::Packet) -> bool {
    let packet = packet.as_any();
    packet.is::<SenderReport>()
        || packet.is::<ReceiverReport>()
        || packet.is::<PictureLossIndication>()
        || packet.is::<FullIntraRequest>()
        || packet.is::<Goodbye>()
}

/// Bytes of the largest packet and compound that are taken: with an MTU of 1,500 none is larger. A
/// datagram may have 64 KiB, and as many wait as are counted, before anybody takes them.
const MAX_PACKET: usize = 2_048;

/// Compounds of RTCP that are taken when the queue is full of RTP: one of them may be what
/// tells the other end to send less.
const RTCP_ROOM: usize = 64;
