//! The engine's interceptors for an uplink: who only sends needs no more than these.
//!
//! From the wire on: a ledger, congestion control, transport-wide numbers, retransmissions, an
//! ear. The engine's own responder would do, but it answers as often as it is asked, and what it
//! sends again has no transport-wide number, so congestion control does not see it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use interceptor::{
    Attribute, AttributedPacket, Interceptor, Packet, Registry, Slot, StreamInfo, TaggedPacket,
    TwccSenderBuilder,
};
use paceline_types::Bitrate;
use rtcp::transport_feedbacks::transport_layer_cc::TransportLayerCc;
use rtcp::transport_feedbacks::transport_layer_nack::TransportLayerNack;
use sansio::Protocol;
use shared::TransportContext;
use shared::error::Error;
use shared::marshal::MarshalSize;

use super::config::UplinkConfig;
use super::{History, Reports};
use crate::rtp::{LEDGER, Ledger, Refused, Told, Unanswered};

/// What the interceptors know and the engine's driver asks for.
#[derive(Debug, Default)]
pub(super) struct Heard {
    /// Compounds for the owner.
    pub(super) rtcp: VecDeque<Vec<Box<dyn rtcp::Packet>>>,
    /// What the path takes, and whether the owner has not been told.
    pub(super) target: Bitrate,
    pub(super) target_is_new: bool,
    pub(super) rtt: Option<Duration>,
    pub(super) fraction_lost: Option<u8>,
    pub(super) retransmissions: u64,
    pub(super) retransmitted_bytes: u64,
    pub(super) not_retransmitted: u64,
    pub(super) feedback_refused: u64,
}

/// Where the interceptors leave it: one thread at a time drives the engine and all in it.
#[derive(Clone, Debug, Default)]
pub(super) struct Ear(Arc<Mutex<Heard>>);

impl Ear {
    pub(super) fn heard(&self) -> MutexGuard<'_, Heard> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The chain of one uplink, the ear in it, and where its congestion control is told of another
/// path.
pub(super) fn registry(config: &UplinkConfig) -> (Registry, Ear, Unanswered) {
    let ear = Ear::default();
    ear.heard().target = config.rates.first_target();
    let unanswered = Unanswered::default();
    let told = ear.clone();
    let tell = move |target| {
        let mut heard = told.heard();
        (heard.target, heard.target_is_new) = (target, true);
    };
    let control = Told::control(&config.rates, unanswered.clone(), tell);
    let refused = ear.clone();
    let ledger = Ledger::new(move |of: Refused| {
        let mut heard = refused.heard();
        heard.feedback_refused += of.feedback;
        heard.not_retransmitted += of.asked;
    });
    let registry = Registry::new()
        .with(Slot::from(LEDGER), ledger)
        .with(Slot::CongestionControl, Both(control))
        .with(Slot::TwccSender, Both(TwccSenderBuilder::new().build()))
        .with(Slot::NackResponder, Responder::new(config, ear.clone(), unanswered.clone()))
        .with(Slot::JitterBuffer, Listener::new(config, ear.clone(), unanswered.clone()));
    (registry, ear, unanswered)
}

/// An interceptor that takes the retransmissions of a stream for a stream too.
struct Both<I>(I);

impl<I: Interceptor> Protocol<TaggedPacket, TaggedPacket, ()> for Both<I> {
    type Rout = TaggedPacket;
    type Wout = TaggedPacket;
    type Eout = ();
    type Error = Error;
    type Time = Instant;

    fn handle_read(&mut self, packet: TaggedPacket) -> Result<(), Error> {
        self.0.handle_read(packet)
    }

    fn poll_read(&mut self) -> Option<TaggedPacket> {
        self.0.poll_read()
    }

    fn handle_write(&mut self, packet: TaggedPacket) -> Result<(), Error> {
        self.0.handle_write(packet)
    }

    fn poll_write(&mut self) -> Option<TaggedPacket> {
        self.0.poll_write()
    }

    fn handle_timeout(&mut self, now: Instant) -> Result<(), Error> {
        self.0.handle_timeout(now)
    }

    fn poll_timeout(&mut self) -> Option<Instant> {
        self.0.poll_timeout()
    }

    fn close(&mut self) -> Result<(), Error> {
        self.0.close()
    }
}

/// The stream that retransmissions make, if they do.
fn retransmissions(info: &StreamInfo) -> Option<StreamInfo> {
    let (ssrc, payload_type) = info.ssrc_rtx.zip(info.payload_type_rtx)?;
    Some(StreamInfo { ssrc, payload_type, ssrc_rtx: None, payload_type_rtx: None, ..info.clone() })
}

impl<I: Interceptor> Interceptor for Both<I> {
    fn bind_local_stream(&mut self, info: &StreamInfo) {
        self.0.bind_local_stream(info);
        if let Some(info) = retransmissions(info) {
            self.0.bind_local_stream(&info);
        }
    }

    fn unbind_local_stream(&mut self, info: &StreamInfo) {
        self.0.unbind_local_stream(info);
        if let Some(info) = retransmissions(info) {
            self.0.unbind_local_stream(&info);
        }
    }

    fn bind_remote_stream(&mut self, info: &StreamInfo) {
        self.0.bind_remote_stream(info);
    }

    fn unbind_remote_stream(&mut self, info: &StreamInfo) {
        self.0.unbind_remote_stream(info);
    }
}

/// Sends again what is asked for.
struct Responder {
    history: History,
    /// Sources whose retransmissions were to have a source of their own.
    with_rtx: Vec<u32>,
    ear: Ear,
    unanswered: Unanswered,
    reads: VecDeque<TaggedPacket>,
    writes: VecDeque<TaggedPacket>,
}

impl Responder {
    fn new(config: &UplinkConfig, ear: Ear, unanswered: Unanswered) -> Self {
        let with_rtx = config.tracks.iter().filter(|track| track.rtx.is_some());
        Self {
            history: History::new(config.limits.history, config.rates.first_target()),
            with_rtx: with_rtx.map(|track| track.ssrc).collect(),
            ear,
            unanswered,
            reads: VecDeque::new(),
            writes: VecDeque::new(),
        }
    }

    fn answer(&mut self, now: Instant, nack: &TransportLayerNack) {
        {
            let heard = self.ear.heard();
            self.history.set_target(heard.target);
            if let Some(rtt) = heard.rtt {
                self.history.set_rtt(rtt);
            }
        }
        let mut again = Vec::new();
        let refused = self.history.answer(now, nack, &mut again);
        let mut heard = self.ear.heard();
        heard.not_retransmitted += refused as u64;
        for packet in again {
            heard.retransmissions += 1;
            heard.retransmitted_bytes += packet.marshal_size() as u64;
            let message =
                AttributedPacket::new(Packet::Rtp(packet)).with(Attribute::Retransmission);
            let transport = TransportContext::default();
            self.writes.push_back(TaggedPacket { now, transport, message });
        }
    }
}

impl Protocol<TaggedPacket, TaggedPacket, ()> for Responder {
    type Rout = TaggedPacket;
    type Wout = TaggedPacket;
    type Eout = ();
    type Error = Error;
    type Time = Instant;

    fn handle_read(&mut self, packet: TaggedPacket) -> Result<(), Error> {
        if let Packet::Rtcp(compound) = &packet.message.packet {
            for nack in compound.iter().filter_map(|rtcp| rtcp.as_any().downcast_ref()) {
                self.answer(packet.now, nack);
            }
        }
        self.reads.push_back(packet);
        Ok(())
    }

    fn poll_read(&mut self) -> Option<TaggedPacket> {
        self.reads.pop_front()
    }

    fn handle_write(&mut self, packet: TaggedPacket) -> Result<(), Error> {
        if let Packet::Rtp(rtp) = &packet.message.packet {
            self.history.record(rtp);
            self.unanswered.note_sent(packet.now);
        }
        self.writes.push_back(packet);
        Ok(())
    }

    fn poll_write(&mut self) -> Option<TaggedPacket> {
        self.writes.pop_front()
    }
}

impl Interceptor for Responder {
    fn bind_local_stream(&mut self, info: &StreamInfo) {
        let nack = info.rtcp_feedback.iter().any(|feedback| {
            feedback.typ.eq_ignore_ascii_case("nack") && feedback.parameter.is_empty()
        });
        let rtx = info.payload_type_rtx.zip(info.ssrc_rtx);
        // Where retransmissions were offered a source of their own and have none, the cipher may
        // be one of those that must not see one sequence number in two packets (RFC 7714
        // §8.1), and a transport-wide number makes them two.
        if nack && (rtx.is_some() || !self.with_rtx.contains(&info.ssrc)) {
            self.history.add_stream(info.ssrc, rtx);
        }
    }

    fn unbind_local_stream(&mut self, _: &StreamInfo) {}

    fn bind_remote_stream(&mut self, _: &StreamInfo) {}

    fn unbind_remote_stream(&mut self, _: &StreamInfo) {}
}

/// Hears all that comes, at the application's end.
struct Listener {
    ear: Ear,
    reports: Reports,
    unanswered: Unanswered,
    /// The path that the reports are of.
    path: u64,
    writes: VecDeque<TaggedPacket>,
}

impl Listener {
    fn new(config: &UplinkConfig, ear: Ear, unanswered: Unanswered) -> Self {
        let reports = Reports::new(&config.tracks);
        Self { ear, reports, unanswered, path: 0, writes: VecDeque::new() }
    }

    fn look_at_path(&mut self) {
        let path = self.unanswered.paths();
        if self.path != path {
            self.path = path;
            self.reports.begin_path();
        }
    }
}

impl Protocol<TaggedPacket, TaggedPacket, ()> for Listener {
    type Rout = TaggedPacket;
    type Wout = TaggedPacket;
    type Eout = ();
    type Error = Error;
    type Time = Instant;

    fn handle_read(&mut self, packet: TaggedPacket) -> Result<(), Error> {
        // Nobody sends us RTP, and nothing is handed on: this is the end.
        let Packet::Rtcp(mut compound) = packet.message.packet else { return Ok(()) };
        self.look_at_path();
        let mut heard = self.ear.heard();
        let said = self.reports.handle_received(packet.now, &compound);
        heard.rtt = said.rtt.or(heard.rtt);
        heard.fraction_lost = said.fraction_lost.or(heard.fraction_lost);
        // Feedback on each packet is congestion control's; requests for packets were answered.
        compound.retain(|rtcp| {
            let any = rtcp.as_any();
            !any.is::<TransportLayerCc>() && !any.is::<TransportLayerNack>()
        });
        if !compound.is_empty() {
            heard.rtcp.push_back(compound);
        }
        Ok(())
    }

    fn poll_read(&mut self) -> Option<TaggedPacket> {
        None
    }

    fn handle_write(&mut self, packet: TaggedPacket) -> Result<(), Error> {
        if let Packet::Rtcp(compound) = &packet.message.packet {
            self.look_at_path();
            self.reports.handle_sent(packet.now, compound);
        }
        self.writes.push_back(packet);
        Ok(())
    }

    fn poll_write(&mut self) -> Option<TaggedPacket> {
        self.writes.pop_front()
    }
}

impl Interceptor for Listener {
    fn bind_local_stream(&mut self, _: &StreamInfo) {}

    fn unbind_local_stream(&mut self, _: &StreamInfo) {}

    fn bind_remote_stream(&mut self, _: &StreamInfo) {}

    fn unbind_remote_stream(&mut self, _: &StreamInfo) {}
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "one instant to count from")]
mod tests {
    use rtcp::receiver_report::ReceiverReport;
    use rtcp::reception_report::ReceptionReport;
    use rtcp::sender_report::SenderReport;
    use rtcp::transport_feedbacks::transport_layer_nack::NackPair;

    use super::*;

    fn tagged(now: Instant, packet: Box<dyn rtcp::Packet>) -> TaggedPacket {
        let transport = TransportContext::default();
        TaggedPacket { now, transport, message: Packet::Rtcp(vec![packet]).into() }
    }

    #[test]
    fn what_the_ledger_refuses_is_counted() {
        let (registry, ear, _) = registry(&UplinkConfig::default());
        let (mut chain, now) = (registry.build(), Instant::now());
        // Nothing was sent.
        let nacks = vec![NackPair { packet_id: 5, lost_packets: 0b111 }; 10];
        let request = TransportLayerNack { sender_ssrc: 1, media_ssrc: 7, nacks };
        chain.handle_read(tagged(now, Box::new(request))).expect("it is taken");
        let heard = ear.heard();
        assert_eq!((heard.feedback_refused, heard.not_retransmitted), (1, 40));
    }

    #[test]
    fn the_clock_that_was_put_forward_is_no_round_trip() {
        let (registry, ear, unanswered) = registry(&UplinkConfig::default());
        let (mut chain, now) = (registry.build(), Instant::now());
        let millis = Duration::from_millis;
        let mut measure = |ntp: u64, sent: Instant, heard: Instant, is_put_forward: bool| {
            let report = SenderReport { ssrc: 7, ntp_time: ntp << 16, ..SenderReport::default() };
            chain.handle_write(tagged(sent, Box::new(report))).expect("it is taken");
            while chain.poll_write().is_some() {}
            if is_put_forward {
                unanswered.begin_path();
            }
            let report =
                ReceptionReport { ssrc: 7, last_sender_report: ntp as u32, ..Default::default() };
            let reports = ReceiverReport { reports: vec![report], ..ReceiverReport::default() };
            chain.handle_read(tagged(heard, Box::new(reports))).expect("it is taken");
            while chain.poll_read().is_some() {}
            ear.heard().rtt
        };
        assert_eq!(measure(1, now, now + millis(640), true), None);
        let now = now + millis(900);
        assert_eq!(measure(2, now, now + millis(40), false), Some(millis(40)));
    }
}
