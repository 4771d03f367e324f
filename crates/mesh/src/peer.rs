//! One peer: its connection's life, its queue, its heartbeat.

use std::time::{Duration, Instant};

use bytes::Bytes;
use paceline_framing::{Class, Cut, Interleaver, Reassembler, Role, Verdict};
use paceline_types::{ConnectionState, SenderId};

use crate::MeshConfig;

/// Counts of one peer's connection, since it was first called or expected.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PeerStats {
    /// Where its connection stands.
    pub state: ConnectionState,
    /// Round trip by four timestamps, the latest; `None` before the first pong.
    pub rtt: Option<Duration>,
    /// Bytes handed to the transport. Not what the transport adds.
    pub sent_bytes: u64,
    /// Bytes taken from the transport.
    pub received_bytes: u64,
    /// Bytes that wait in our queue.
    pub queued_bytes: usize,
    /// Packets that were not sent because they waited too long, or are larger than
    /// he takes.
    pub shed: u64,
    /// Messages that were no packet, or broke a bound.
    pub bad_messages: u64,
    /// Packets in the name of somebody else.
    pub spoofed: u64,
    /// Times the connection was made again.
    pub retries: u64,
}

/// Which end makes the connection, and so makes it again when it breaks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Side {
    Callee,
    Caller,
}

#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) sender: SenderId,
    pub(crate) side: Side,
    pub(crate) state: ConnectionState,
    pub(crate) role: Role,
    pub(crate) max_message: usize,
    pub(crate) max_packet: usize,
    /// He speaks versions of the format that we do not.
    pub(crate) newer: bool,
    pub(crate) open: bool,
    pub(crate) queue: Interleaver,
    pub(crate) reassembler: Reassembler,
    pub(crate) outstanding: usize,
    /// He has had no keyframe yet: what builds on one is of no use to him.
    awaits_key: bool,
    /// When the connection is given up if there is no hello.
    pub(crate) open_by: Option<Instant>,
    /// When a broken connection is made again.
    pub(crate) redial_at: Option<Instant>,
    pub(crate) attempts: u32,
    pub(crate) next_ping: Option<Instant>,
    pub(crate) heard: Option<Instant>,
    pub(crate) stats: PeerStats,
}

impl Peer {
    pub(crate) fn new(sender: SenderId, side: Side, config: &MeshConfig) -> Self {
        Self {
            sender,
            side,
            state: ConnectionState::New,
            role: Role::Member,
            max_message: config.max_message,
            max_packet: config.reassembly.max_packet_bytes(),
            newer: false,
            open: false,
            queue: Interleaver::new(config.interleaver.clone()),
            reassembler: Reassembler::new(config.reassembly.clone()),
            outstanding: 0,
            awaits_key: true,
            open_by: None,
            redial_at: None,
            attempts: 0,
            next_ping: None,
            heard: None,
            stats: PeerStats::default(),
        }
    }

    /// Forgets the connection there was; the peer itself stays known.
    pub(crate) fn reset(&mut self, state: ConnectionState, config: &MeshConfig) {
        self.state = state;
        self.open = false;
        self.queue = Interleaver::new(config.interleaver.clone());
        self.reassembler = Reassembler::new(config.reassembly.clone());
        self.outstanding = 0;
        self.awaits_key = true;
        self.open_by = None;
        self.redial_at = None;
        self.next_ping = None;
        self.heard = None;
    }

    pub(crate) fn connected(&self) -> bool {
        self.state == ConnectionState::Connected
    }

    /// Queues a packet; `false` if a control packet does not fit, which is the
    /// end of the connection.
    pub(crate) fn push(&mut self, now: Instant, cut: Cut) -> bool {
        let (is_video, is_key, class) = (cut.is_video(), cut.is_key(), cut.class());
        if is_video && self.awaits_key && !is_key {
            return true;
        }
        if cut.packet_bytes() > self.max_packet {
            self.stats.shed += 1;
            return true;
        }
        match self.queue.push(now, cut) {
            Verdict::Full if class == Class::Control => return false,
            Verdict::Queued => self.awaits_key &= !(is_video && is_key),
            _ => self.stats.shed += 1,
        }
        true
    }

    /// The next message, if the transport may be given one.
    pub(crate) fn pop(&mut self, now: Instant) -> Option<Bytes> {
        self.pop_behind(now, self.outstanding)
    }

    /// The next message, whatever the transport has already.
    pub(crate) fn pop_at_once(&mut self, now: Instant) -> Option<Bytes> {
        self.pop_behind(now, 0)
    }

    fn pop_behind(&mut self, now: Instant, outstanding: usize) -> Option<Bytes> {
        if !self.open {
            return None;
        }
        let message = self.queue.pop(now, outstanding)?;
        self.outstanding += message.len();
        self.stats.sent_bytes += message.len() as u64;
        Some(message)
    }

    pub(crate) fn stats(&self) -> PeerStats {
        PeerStats { state: self.state, queued_bytes: self.queue.queued_bytes(), ..self.stats }
    }

    /// When something of this peer has to be done, and what.
    pub(crate) fn deadline(&self, gone_after: Duration) -> Option<(Instant, crate::Reason)> {
        use crate::Reason;

        [
            self.open_by.map(|at| (at, Reason::Open)),
            self.redial_at.map(|at| (at, Reason::Redial)),
            self.next_ping.map(|at| (at, Reason::Ping)),
            self.heard.map(|at| (at + gone_after, Reason::Silence)),
            self.reassembler.poll_timeout().map(|at| (at, Reason::Reassembly)),
        ]
        .into_iter()
        .flatten()
        .min_by_key(|&(at, _)| at)
    }
}
