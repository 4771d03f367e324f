//! Restraint in sending again.
//!
//! A receiver asks for what is missing until it comes, each few milliseconds; what it asked
//! for comes a round trip later. Without restraint each of its requests in between is a
//! duplicate. And all of it together has to be bounded ([`Allowance`]).

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use interceptor::{Attribute, Interceptor, Packet, StreamInfo, TaggedPacket};
use sansio::Protocol;
use shared::error::Error;
use shared::marshal::MarshalSize;

use super::allowance::Allowance;
use super::round_trip::{RoundTrip, reception_reports};
use super::signed::sign;
use super::tap::Tap;
use super::unanswered::Unanswered;

/// Lets a packet go again once a round trip, and all of them as long as the target has room. All
/// that leaves comes by here: so reports are signed here, and what is sent is noted.
pub(super) struct Again {
    tap: Tap,
    unanswered: Unanswered,
    reads: VecDeque<TaggedPacket>,
    writes: VecDeque<TaggedPacket>,
    reports: RoundTrip,
    /// The path that they are of.
    path: u64,
    round_trip: Duration,
    /// When each went last, by source and sequence number, and the same in order of time.
    gone: BTreeMap<(u32, u16), Instant>,
    order: VecDeque<(Instant, (u32, u16))>,
    allowance: Allowance,
}

impl Again {
    pub(super) fn new(tap: Tap, unanswered: Unanswered) -> Self {
        Self {
            tap,
            unanswered,
            reads: VecDeque::new(),
            writes: VecDeque::new(),
            reports: RoundTrip::default(),
            path: 0,
            round_trip: FIRST_ROUND_TRIP,
            gone: BTreeMap::new(),
            order: VecDeque::new(),
            allowance: Allowance::default(),
        }
    }

    fn look_at_path(&mut self) {
        let path = self.unanswered.paths();
        if self.path != path {
            self.path = path;
            self.reports.begin_path();
        }
    }

    fn may_go(&mut self, now: Instant, packet: &rtp::Packet) -> bool {
        let key = (packet.header.ssrc, packet.header.sequence_number);
        let patience = self.round_trip + self.round_trip / 4 + SLACK;
        while let Some((at, key)) = self.order.front().copied() {
            if now.saturating_duration_since(at) < patience && self.order.len() < MAX_GONE {
                break;
            }
            self.order.pop_front();
            if self.gone.get(&key) == Some(&at) {
                self.gone.remove(&key);
            }
        }
        let (target, size) = (self.tap.target(), packet.marshal_size());
        if self.gone.contains_key(&key) || !self.allowance.take(now, target, size) {
            return false;
        }
        self.gone.insert(key, now);
        self.order.push_back((now, key));
        true
    }
}

impl Protocol<TaggedPacket, TaggedPacket, ()> for Again {
    type Rout = TaggedPacket;
    type Wout = TaggedPacket;
    type Eout = ();
    type Error = Error;
    type Time = Instant;

    fn handle_read(&mut self, packet: TaggedPacket) -> Result<(), Error> {
        if let Packet::Rtcp(packets) = &packet.message.packet {
            self.look_at_path();
            for report in reception_reports(packets) {
                let Some(round_trip) = self.reports.of(packet.now, report) else { continue };
                self.round_trip = round_trip.min(MAX_ROUND_TRIP);
                self.tap.count(|stats| stats.round_trip = Some(round_trip));
            }
        }
        self.reads.push_back(packet);
        Ok(())
    }

    fn poll_read(&mut self) -> Option<TaggedPacket> {
        self.reads.pop_front()
    }

    fn handle_write(&mut self, mut packet: TaggedPacket) -> Result<(), Error> {
        if let Packet::Rtcp(packets) = &mut packet.message.packet
            && let Some(ours) = self.tap.local()
        {
            sign(packets, &ours);
        }
        match &packet.message.packet {
            Packet::Rtcp(packets) => {
                self.look_at_path();
                self.reports.handle_sent(packet.now, packets);
            }
            Packet::Rtp(rtp) if packet.message.has(&Attribute::Retransmission) => {
                if !self.may_go(packet.now, rtp) {
                    self.tap.count(|stats| stats.withheld += 1);
                    return Ok(());
                }
                self.tap.count(|stats| stats.retransmitted += 1);
            }
            _ => {}
        }
        if matches!(packet.message.packet, Packet::Rtp(_)) {
            self.unanswered.note_sent(packet.now);
        }
        self.writes.push_back(packet);
        Ok(())
    }

    fn poll_write(&mut self) -> Option<TaggedPacket> {
        self.writes.pop_front()
    }
}

impl Interceptor for Again {
    fn bind_local_stream(&mut self, _: &StreamInfo) {}
    fn unbind_local_stream(&mut self, _: &StreamInfo) {}
    fn bind_remote_stream(&mut self, _: &StreamInfo) {}
    fn unbind_remote_stream(&mut self, _: &StreamInfo) {}
}

/// The round trip until a report has told it: of a long way across a continent.
const FIRST_ROUND_TRIP: Duration = Duration::from_millis(100);

/// A round trip that is longer is not believed: the other end says how long it held a report.
const MAX_ROUND_TRIP: Duration = Duration::from_secs(1);

/// Beyond a round trip and a quarter: what two tasks that wait for a processor are late.
const SLACK: Duration = Duration::from_millis(5);

/// Packets that are remembered: all that is kept of four streams.
const MAX_GONE: usize = 4_096;
