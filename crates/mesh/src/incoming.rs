//! What comes over a channel.

use std::time::{Duration, Instant};

use bytes::Bytes;
use paceline_framing::{
    Body, ByeReason, Control, Fragmenter, Hello, PROTOCOL_VERSION, Packet, ParseError,
};
use paceline_types::{Carrier, PeerId, StreamKey};

use crate::io::{CaptureTime, Event, Identity, Output};
use crate::lifecycle::tell;
use crate::mesh::MIN_MESSAGE;
use crate::peer::Stage;
use crate::rtp::Link;
use crate::{GoneReason, Mesh, QualityMeter, Refusal, Topology};

impl Mesh {
    pub(crate) fn handle_message(&mut self, now: Instant, peer: PeerId, bytes: Bytes) {
        let Some(known) = self.peers.get_mut(&peer) else { return };
        known.stats.received_bytes += bytes.len() as u64;
        if let Err(error) = known.reassembler.handle_message(now, bytes) {
            // What a later version says beside media is no fault of his.
            if known.newer && matches!(error, ParseError::UnknownType(128..)) {
                return;
            }
            known.stats.bad_messages += 1;
            tell!(debug, self, peer, %error, "a message is no packet");
            return;
        }
        if known.connected() {
            // Only what parses counts as a sign of life.
            self.handle_heard(now, peer);
        }
        while let Some(packet) = self.peers.get_mut(&peer).and_then(|p| p.reassembler.poll_output())
        {
            self.handle_packet(now, peer, packet);
        }
    }

    fn handle_packet(&mut self, now: Instant, peer: PeerId, packet: Packet) {
        let t4 = self.micros(now);
        let Some(known) = self.peers.get_mut(&peer) else { return };
        // Authority is the channel: nobody speaks for somebody else.
        if packet.sender != known.sender {
            known.stats.spoofed += 1;
            tell!(debug, self, peer, claimed = %packet.sender, "a packet in somebody else's name");
            return;
        }
        if packet.epoch.is_none() && matches!(packet.body, Body::Control(_)) {
            known.stats.bad_messages += 1;
            tell!(debug, self, peer, "a control packet without an epoch");
            return;
        }
        match packet.body {
            Body::Control(Control::Hello(hello)) => self.handle_hello(now, peer, &hello),
            // Before the hello nothing else counts.
            _ if !known.connected() => known.stats.bad_messages += 1,
            // In a call who was too slow may be faster with another connection; a
            // broadcast that was missed in part is for his program to take up again.
            Body::Control(Control::Bye { reason: reason @ ByeReason::TooSlow })
                if self.config.topology() != Topology::Broadcast =>
            {
                self.give_up(now, peer, GoneReason::Bye(reason));
            }
            Body::Control(Control::Bye { reason }) => self.gone(now, peer, GoneReason::Bye(reason)),
            Body::Control(Control::Ping { t1 }) => {
                self.send_control(now, peer, Control::Pong { t1, t2: t4, t3: t4 });
            }
            Body::Control(Control::Pong { t1, t2, t3 }) => {
                let there = t3.saturating_sub(t2);
                let all = t4.saturating_sub(t1);
                let rtt = Duration::from_micros(all.saturating_sub(there));
                known.stats.rtt = Some(rtt);
                known.pacer.handle_rtt(now, rtt);
                if let Some(quality) = &mut known.quality {
                    quality.handle_rtt(now, rtt);
                }
                if let Some(link) = &mut known.rtp {
                    link.set_rtt(rtt);
                }
                self.outputs.push_back(Output::Event(Event::RoundTrip { peer, rtt }));
            }
            Body::Control(Control::Window { consumed, allowed }) => {
                known.credit.handle_window(consumed, allowed);
                self.flush(now, peer);
            }
            Body::Control(Control::ApplicationData { .. }) => self.handle_data(now, peer, packet),
            _ => {
                if let Some(quality) = &mut known.quality {
                    note_quality(quality, now, &packet);
                }
                if let (Body::Media(frame), Some(link)) = (&packet.body, &mut known.rtp) {
                    link.handle_over_channel(frame);
                }
                self.outputs.push_back(Output::Event(Event::Packet {
                    peer,
                    packet,
                    capture: CaptureTime::Own,
                }));
            }
        }
    }

    fn handle_hello(&mut self, now: Instant, peer: PeerId, hello: &Hello) {
        let Some(known) = self.peers.get_mut(&peer) else { return };
        // One is enough; and before our engine had his description there is nobody to say
        // it.
        if !known.joining() || !known.negotiator.is_described() {
            known.stats.bad_messages += 1;
            return;
        }
        let ours = &self.identity;
        let limit = usize::try_from(hello.max_message).unwrap_or(usize::MAX);
        let refusal = if hello.session != ours.session
            || hello.peer != peer
            || hello.sender != known.sender
        {
            Some(Refusal::Stranger)
        } else if !(hello.min_version..=hello.max_version).contains(&PROTOCOL_VERSION) {
            Some(Refusal::Version)
        } else {
            (limit < MIN_MESSAGE).then_some(Refusal::MessageLimit)
        };
        if let Some(refusal) = refusal {
            return self.give_up(now, peer, GoneReason::Refused(refusal));
        }
        known.max_message = self.config.max_message.min(limit);
        known.max_packet = usize::try_from(hello.max_packet).unwrap_or(usize::MAX);
        known.role = hello.role;
        known.newer = hello.max_version > PROTOCOL_VERSION;
        if self.config.carrier == Carrier::Rtp && hello.capabilities & Hello::CARRIES_RTP != 0 {
            let mut link = Link::new(ours.peer, peer, &self.config.rtp);
            if let Some(target) = known.target {
                link.set_target(target);
            }
            known.rtp = Some(Box::new(link));
        }
        known.stage = Stage::Up;
        known.up_since = Some(now);
        known.heard = Some(now);
        // Not at once, and not all in one beat: a hundred who come together would ping
        // together from then on.
        let [.., high, low] = peer.to_bytes();
        let share = f64::from(u16::from_be_bytes([high, low])) / f64::from(u16::MAX);
        known.next_ping = now.checked_add(self.config.heartbeat.min(LONG).mul_f64(share));
        let quality = QualityMeter::new(now, self.config.quality.clone());
        known.quality = Some(Box::new(quality));
        self.cutters.join(known.max_message);
        let (sender, role) = (known.sender, hello.role);
        tell!(info, self, peer, %sender, ?role, "connected");
        self.outputs.push_back(Output::Event(Event::Connected { peer, sender, role }));
        self.show(now, peer);
        self.handle_early(now, peer);
        self.release(now);
    }

    /// Hello is the one packet that goes to a peer who is not connected yet.
    pub(crate) fn send_hello(&mut self, now: Instant, peer: PeerId) {
        let Identity { session, peer: us, sender, role } = self.identity;
        let hello = Hello {
            session,
            peer: us,
            sender,
            min_version: PROTOCOL_VERSION,
            max_version: PROTOCOL_VERSION,
            role,
            capabilities: match self.config.carrier {
                Carrier::Rtp => Hello::CARRIES_RTP,
                _ => 0,
            },
            max_message: self.config.max_message as u32,
            max_packet: self.config.reassembly.max_packet_bytes() as u32,
            resume: [0; 16],
        };
        let packet = self.control_packet(Control::Hello(hello));
        // It is one message, and so takes no number of its peer's fragmenter.
        let cut = Fragmenter::new(self.config.max_message).cut(&packet);
        self.push(now, peer, cut);
    }

    pub(crate) fn micros(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.origin).as_micros() as u64
    }
}

/// Takes note of what a packet tells of the connection.
pub(crate) fn note_quality(quality: &mut QualityMeter, now: Instant, packet: &Packet) {
    match &packet.body {
        Body::Media(frame) => {
            let stream = StreamKey { sender: packet.sender, stream: frame.stream };
            quality.handle_received(now, stream, &frame.coding, frame.data.len());
        }
        Body::Control(Control::ReceiverReport(reports)) => {
            for report in reports {
                quality.handle_report(now, report);
            }
        }
        _ => {}
    }
}

/// A heartbeat that is longer is none: an hour.
const LONG: Duration = Duration::from_secs(3_600);
