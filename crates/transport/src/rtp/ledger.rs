//! What was sent, against what is said of it.
//!
//! Feedback of some 40 bytes tells of 65,535 packets, if the other end wants to, and each of
//! them is looked up; a request of 64 KiB asks for 278,000, each of which is copied before it is
//! seen that it may not go; what nobody tells of is kept until somebody lets time pass. All of
//! it is bounded here, next to the network, and so are the jumps in the numbers of what comes
//! ([`Numbers`]).

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use interceptor::{Interceptor, Packet, StreamInfo, TaggedPacket};
use rtcp::transport_feedbacks::cc_feedback_report::CcFeedbackReport;
use rtcp::transport_feedbacks::transport_layer_cc::{PacketStatusChunk, TransportLayerCc};
use rtcp::transport_feedbacks::transport_layer_nack::TransportLayerNack;
use sansio::Protocol;
use shared::error::Error;

use super::numbers::Numbers;

/// Refuses feedback and requests of more packets than can have been meant, and RTP that jumps, and
/// wakes the chain once a second while packets leave, so that congestion control forgets those of
/// which nobody tells.
pub(crate) struct Ledger<F> {
    /// Packets of which still may be told.
    credit: usize,
    /// Packets that still may be asked for.
    asks: usize,
    numbers: Numbers,
    /// Is told what was refused.
    on_refused: F,
    prune: Option<Instant>,
    reads: VecDeque<TaggedPacket>,
    writes: VecDeque<TaggedPacket>,
}

/// What was refused of one datagram.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Refused {
    /// Packets of feedback, and requests.
    pub(crate) feedback: u64,
    /// Numbers that those asked for.
    pub(crate) asked: u64,
    /// Packets of RTP.
    pub(crate) rtp: u64,
}

impl<F: Fn(Refused) + Send + Sync> Ledger<F> {
    pub(crate) fn new(on_refused: F) -> Self {
        let (reads, writes) = (VecDeque::new(), VecDeque::new());
        let numbers = Numbers::default();
        Self { credit: 0, asks: 0, numbers, on_refused, prune: None, reads, writes }
    }

    /// Whether there is credit for all that the packet tells of or asks for.
    fn admits(&mut self, packet: &dyn rtcp::Packet, refused: &mut Refused) -> bool {
        let (told, asked) = (told(packet), asked(packet));
        let admits = told <= self.credit && asked <= self.asks;
        if admits {
            self.credit -= told;
            self.asks -= asked;
        } else {
            refused.feedback += 1;
            refused.asked += asked as u64;
        }
        admits
    }
}

/// Of how many packets it is told: what is looked up, whatever the header says.
fn told(packet: &dyn rtcp::Packet) -> usize {
    let packet = packet.as_any();
    if let Some(feedback) = packet.downcast_ref::<TransportLayerCc>() {
        let chunks = feedback.packet_chunks.iter().map(|chunk| match chunk {
            PacketStatusChunk::RunLengthChunk(run) => usize::from(run.run_length),
            PacketStatusChunk::StatusVectorChunk(vector) => vector.symbol_list.len(),
        });
        return chunks.sum();
    }
    if let Some(feedback) = packet.downcast_ref::<CcFeedbackReport>() {
        return feedback.report_blocks.iter().map(|block| block.metric_blocks.len()).sum();
    }
    0
}

/// How many packets it asks for (RFC 4585 §6.2.1).
fn asked(packet: &dyn rtcp::Packet) -> usize {
    let Some(request) = packet.as_any().downcast_ref::<TransportLayerNack>() else { return 0 };
    request.nacks.iter().map(|pair| 1 + pair.lost_packets.count_ones() as usize).sum()
}

impl<F: Fn(Refused) + Send + Sync> Protocol<TaggedPacket, TaggedPacket, ()> for Ledger<F> {
    type Rout = TaggedPacket;
    type Wout = TaggedPacket;
    type Eout = ();
    type Error = Error;
    type Time = Instant;

    fn handle_read(&mut self, mut packet: TaggedPacket) -> Result<(), Error> {
        let mut refused = Refused::default();
        let has_some = match &mut packet.message.packet {
            Packet::Rtcp(packets) => {
                packets.retain(|packet| self.admits(&**packet, &mut refused));
                !packets.is_empty()
            }
            Packet::Rtp(rtp) => {
                let admits = self.numbers.admits(packet.now, rtp);
                refused.rtp = u64::from(!admits);
                admits
            }
            _ => true,
        };
        if refused.feedback + refused.rtp > 0 {
            (self.on_refused)(refused);
        }
        if has_some {
            self.reads.push_back(packet);
        }
        Ok(())
    }

    fn poll_read(&mut self) -> Option<TaggedPacket> {
        self.reads.pop_front()
    }

    fn handle_write(&mut self, packet: TaggedPacket) -> Result<(), Error> {
        if matches!(packet.message.packet, Packet::Rtp(_)) {
            self.credit = (self.credit + TOLD_OFTEN).min(MOST_CREDIT);
            self.asks = (self.asks + ASKED_OFTEN).min(MOST_ASKS);
            // What is beyond any clock is never due.
            self.prune = self.prune.or_else(|| packet.now.checked_add(PRUNE));
        }
        self.writes.push_back(packet);
        Ok(())
    }

    fn poll_write(&mut self) -> Option<TaggedPacket> {
        self.writes.pop_front()
    }

    fn handle_timeout(&mut self, now: Instant) -> Result<(), Error> {
        // Whoever comes after this one is told of the time, too: that is all there is to do.
        self.prune = self.prune.filter(|at| *at > now);
        Ok(())
    }

    fn poll_timeout(&mut self) -> Option<Instant> {
        self.prune
    }
}

impl<F: Fn(Refused) + Send + Sync> Interceptor for Ledger<F> {
    fn bind_local_stream(&mut self, _: &StreamInfo) {}
    fn unbind_local_stream(&mut self, _: &StreamInfo) {}

    fn bind_remote_stream(&mut self, info: &StreamInfo) {
        self.numbers.bind(info);
    }

    fn unbind_remote_stream(&mut self, info: &StreamInfo) {
        self.numbers.unbind(info);
    }
}

/// So often each packet that was sent may be told of. Once is the rule; who waits for one that
/// was overtaken tells of the last half second anew, and mediasoup and libwebrtc do so each
/// 100 and 50 ms (remote_estimator_proxy.cc: `kBackWindow` is 500 ms).
const TOLD_OFTEN: usize = 64;

/// As many as have a number (draft-holmer-rmcat-transport-wide-cc-extensions-01 §2: 16 bits):
/// after an outage it is told of all of them at once that they are lost.
const MOST_CREDIT: usize = 1 << 16;

/// So often each packet that was sent may be asked for: libwebrtc and mediasoup give up after ten
/// times (nack_requester.cc, `kMaxNackRetries`; NackGenerator.cpp, `MaxNackRetries`).
const ASKED_OFTEN: usize = 16;

/// As many as can be there to be sent again, twice: a receiver that saw nothing for long asks for
/// at most 1,000 of a stream (nack_requester.cc, `kMaxNackPackets`).
const MOST_ASKS: usize = 1 << 13;

/// How often what is two seconds old is forgotten. Of 50 Mbit/s in packets of 1,200 bytes it is
/// 16,000 then, of some 200 bytes each in congestion control.
const PRUNE: Duration = Duration::from_secs(1);

/// Wireward of congestion control, which looks up what it is told of.
pub(crate) const LEDGER: usize = 500;
