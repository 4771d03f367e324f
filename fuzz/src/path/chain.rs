//! Both ends of a path: what is sent, what comes, and what is asked for again.

use std::time::{Duration, Instant};

use bytes::{Buf, BufMut, Bytes};
use paceline_framing::{rtcp, rtp};
use paceline_transport::rtp::{Chain, RtpConfig, Stream};
use paceline_transport::types::{Bitrate, ConnectionEvent, PacketKind, Ssrc};

use crate::packets::epoch;

/// A chain whose other end says what it likes: each step is an operation and two numbers, and
/// some take bytes. A second one hears the same, and does the same.
pub fn rtp_path(mut script: &[u8]) {
    let Ok(first) = script.try_get_u8() else { return };
    let mut ends = [End::new(first), End::new(first)];
    while let Some((&[op, a, b], rest)) = script.split_first_chunk() {
        script = rest;
        let len = usize::from(b).min(script.len());
        let bytes = if op % 16 > 10 { script.copy_to_bytes(len) } else { Bytes::new() };
        let [one, other] = &mut ends;
        let said = one.step(op, a, b, &bytes);
        assert_eq!(said, other.step(op, a, b, &bytes), "not the same for the same");
    }
    for end in &mut ends {
        end.end();
    }
}

struct End {
    chain: Chain,
    /// Whether somebody takes what came.
    is_read: bool,
    began: Instant,
    now: Instant,
    sent: [u16; 2],
    /// RTP packets that were sent for the first time.
    accepted: u64,
    came: u16,
    number: u16,
    /// Bytes that were sent again.
    again: usize,
    events: usize,
    target: Option<Bitrate>,
}

impl End {
    fn new(first: u8) -> Self {
        let config = RtpConfig::default()
            .start_bitrate(Bitrate::from_kbps(500))
            .min_bitrate(MIN)
            .max_bitrate(MAX)
            .nack_buffer(64)
            .max_nacks(3)
            .queue(QUEUE);
        let stream = |ssrc| Stream::new(Ssrc::new(ssrc), 90_000);
        let chain = Chain::new(&config, &OURS.map(stream), &THEIRS.map(stream));
        let now = epoch_once();
        Self {
            chain,
            is_read: first & 1 == 0,
            began: now,
            now,
            sent: [u16::MAX - 20, 7],
            accepted: 0,
            came: u16::MAX - 9,
            number: u16::MAX - 40,
            again: 0,
            events: 0,
            target: None,
        }
    }

    /// What is to go to the other end, and what came of it.
    fn step(&mut self, op: u8, a: u8, b: u8, bytes: &Bytes) -> (Vec<Bytes>, Vec<ConnectionEvent>) {
        match op % 16 {
            0..=2 => self.send(usize::from(a & 1), a >> 3, b),
            3 | 4 => self.wait(Duration::from_millis(u64::from(a) << (b % 6))),
            5 => self.report(a, b),
            6 => {
                let step = if op & 16 == 0 { i16::from(a as i8) } else { i16::from(a as i8) << 8 };
                self.came = self.came.wrapping_add_signed(step);
                self.number = self.number.wrapping_add_signed(i16::from(b as i8) << (op >> 5));
                let ssrc = if b == 0 { 99 } else { THEIRS[usize::from(op >> 4 & 1)] };
                self.hear(media(ssrc, self.came, Some(self.number), usize::from(a)));
            }
            7 => {
                let ssrc = OURS[usize::from(op >> 4 & 1)];
                let last = self.sent[usize::from(op >> 4 & 1)];
                let pair = |index: u16| {
                    let packet_id = last.wrapping_sub(a.into()).wrapping_sub(index * 17);
                    let lost_packets = u16::from_be_bytes([b, b.rotate_left(3)]);
                    rtcp::NackPair { packet_id, lost_packets }
                };
                let nacks = (0..u16::from(a % 4) + 1).map(pair).collect();
                let nack =
                    rtcp::TransportLayerNack { sender_ssrc: THEIRS[0], media_ssrc: ssrc, nacks };
                self.hear(rtcp::emit(&[rtcp::Packet::Nack(nack)]));
            }
            8 => {
                let report = rtcp::ReceptionReport {
                    ssrc: OURS[0],
                    fraction_lost: a,
                    last_sequence_number: self.sent[0].into(),
                    last_sender_report: middle(self.now.saturating_duration_since(self.began)),
                    delay: u32::from(a) << (b % 32),
                    ..rtcp::ReceptionReport::default()
                };
                let report = rtcp::ReceiverReport {
                    ssrc: THEIRS[0],
                    reports: vec![report; usize::from(b % 8)],
                    ..rtcp::ReceiverReport::default()
                };
                self.hear(rtcp::emit(&[rtcp::Packet::ReceiverReport(report)]));
            }
            9 => {
                let loss = rtcp::PictureLossIndication {
                    sender_ssrc: THEIRS[0],
                    media_ssrc: OURS[usize::from(b & 1)],
                };
                let loss = rtcp::Packet::PictureLossIndication(loss);
                self.hear(rtcp::emit(&vec![loss; usize::from(a % 16) + 1]));
            }
            10 => {
                let time = self.now.saturating_duration_since(self.began);
                let report = rtcp::SenderReport {
                    ssrc: OURS[0],
                    ntp_time: u64::from(middle(time)) << 16,
                    ..rtcp::SenderReport::default()
                };
                let report = rtcp::emit(&[rtcp::Packet::SenderReport(report)]);
                // Refused is what does not fit.
                let _ = self.chain.handle_outgoing(self.now, PacketKind::Rtcp, report);
            }
            11 | 12 => self.hear(feedback(self.accepted as u16, a, b, bytes)),
            13 => self.hear(bytes.clone()),
            14 => {
                let kind = if a & 1 == 0 { PacketKind::Rtp } else { PacketKind::Rtcp };
                // Refused is what is neither, or is not ours to send.
                if self.chain.handle_outgoing(self.now, kind, bytes.clone()).is_ok()
                    && kind == PacketKind::Rtp
                {
                    self.accepted += 1;
                }
            }
            _ => self.hear([&[0x80, 192 + a % 32][..], bytes].concat().into()),
        }
        self.look(op)
    }

    fn send(&mut self, stream: usize, count: u8, len: u8) {
        for _ in 0..=count {
            self.sent[stream] = self.sent[stream].wrapping_add(1);
            let packet = media(OURS[stream], self.sent[stream], None, usize::from(len) * 4);
            let sent = self.chain.handle_outgoing(self.now, PacketKind::Rtp, packet);
            assert_eq!(sent, Ok(()), "what is put in goes out at once");
            self.accepted += 1;
        }
    }

    /// Lets time pass, stopping when something is due, but not for ever.
    fn wait(&mut self, span: Duration) {
        let end = self.now + span;
        for _ in 0..MOST_STOPS {
            let Some(at) = self.chain.poll_timeout().filter(|at| *at <= end) else { break };
            self.now = self.now.max(at);
            self.chain.handle_timeout(self.now);
            let next = self.chain.poll_timeout();
            assert!(next.is_none_or(|next| next > self.now), "it would be called for ever");
        }
        self.now = end;
        self.chain.handle_timeout(end);
    }

    fn report(&mut self, a: u8, b: u8) {
        let report = rtcp::SenderReport {
            ssrc: THEIRS[usize::from(a & 1)],
            ntp_time: u64::from(a) << (b % 64),
            ..rtcp::SenderReport::default()
        };
        let bye = rtcp::Goodbye { sources: vec![THEIRS[0]], reason: None };
        let mut packets = vec![rtcp::Packet::SenderReport(report)];
        packets.extend((b > 200).then_some(rtcp::Packet::Goodbye(bye)));
        self.hear(rtcp::emit(&packets));
    }

    /// A datagram comes, and one event of it at most, beside a new target.
    fn hear(&mut self, datagram: Bytes) {
        self.chain.handle_incoming(self.now, datagram);
    }

    fn look(&mut self, op: u8) -> (Vec<Bytes>, Vec<ConnectionEvent>) {
        let transmits: Vec<_> = std::iter::from_fn(|| self.chain.poll_transmit()).collect();
        let is_ours = |op: u8| matches!(op % 16, 0..=2 | 14);
        for bytes in &transmits {
            if matches!(bytes.get(1), Some(192..=223)) {
                let said = rtcp::parse(bytes.clone()).expect("what leaves can be read");
                assert!(!said.is_empty());
                continue;
            }
            let packet = rtp::parse(bytes.clone()).expect("what leaves can be read");
            assert!(OURS.contains(&packet.header.ssrc));
            if !is_ours(op) {
                self.again += bytes.len();
            }
        }
        // What goes again is of the target, and of half a second at once.
        let elapsed = self.now.saturating_duration_since(self.began) + Duration::from_millis(500);
        let most = MAX.bps() as f64 / 8.0 * elapsed.as_secs_f64();
        assert!(self.again as f64 <= most, "{} bytes again", self.again);
        let mut events = Vec::new();
        if self.is_read {
            events.extend(std::iter::from_fn(|| self.chain.poll_event()));
            assert!(events.len() <= 2, "{events:?} of one step");
            self.take(&events);
        }
        let stats = self.chain.stats();
        assert_eq!((stats.sent, stats.queued), (self.accepted, 0));
        (transmits, events)
    }

    fn take(&mut self, events: &[ConnectionEvent]) {
        for event in events {
            match event {
                ConnectionEvent::Rtp(bytes) => {
                    let packet = rtp::parse(bytes.clone()).expect("it was read before");
                    assert!(THEIRS.contains(&packet.header.ssrc));
                    self.events += 1;
                }
                ConnectionEvent::Rtcp(bytes) => assert!(!bytes.is_empty()),
                ConnectionEvent::Target(target) => {
                    assert!((MIN..=MAX).contains(target), "{target:?}");
                    assert_ne!(self.target.replace(*target), Some(*target), "told twice");
                }
                other => panic!("{other:?}"),
            }
        }
    }

    /// What nobody took is within its bound; and when nothing comes any more, nothing is due.
    fn end(&mut self) {
        let events: Vec<_> = std::iter::from_fn(|| self.chain.poll_event()).collect();
        assert!(events.len() <= QUEUE + RTCP_ROOM + 1, "{} events", events.len());
        self.take(&events);
        assert_eq!(self.chain.stats().received, self.events as u64);
        for _ in 0..MOST_STOPS {
            let Some(at) = self.chain.poll_timeout() else { return };
            self.now = self.now.max(at);
            self.chain.handle_timeout(self.now);
        }
        panic!("it never rests");
    }
}

/// A packet of RTP, as long as it is to be.
fn media(ssrc: u32, seq: u16, number: Option<u16>, len: usize) -> Bytes {
    let header = rtp::Header {
        version: 2,
        payload_type: 96,
        sequence_number: seq,
        ssrc,
        ..rtp::Header::default()
    };
    let mut packet = rtp::Packet { header, payload: vec![7; len].into() };
    if let Some(number) = number {
        let value = Bytes::copy_from_slice(&number.to_be_bytes());
        packet.header.set_extension(NUMBER, value).expect("two bytes fit");
    }
    rtp::emit(&packet)
}

/// Feedback of a transport (draft-holmer-rmcat-transport-wide-cc-extensions-01 §3.1): its head
/// as it should be, and what follows it as it comes.
fn feedback(sent: u16, a: u8, b: u8, rest: &[u8]) -> Bytes {
    let mut body = Vec::new();
    body.put_u32(THEIRS[0]);
    body.put_u32(OURS[0]);
    body.put_u16(sent.wrapping_sub(a.into()));
    body.put_u16(if b & 1 == 0 { a.into() } else { u16::from_be_bytes([a, b]) });
    body.put_slice(rest.get(..4).unwrap_or(&[0, 0, b, 1]));
    body.put_slice(rest.get(4..).unwrap_or_default());
    body.resize(body.len().next_multiple_of(4), 0);
    let words = u16::try_from(body.len() / 4).expect("short");
    let mut datagram = vec![0x8f, 205];
    datagram.put_u16(words);
    datagram.put_slice(&body);
    datagram.into()
}

/// The middle of NTP time (RFC 3550 §6.4.1), so long after the beginning.
fn middle(since: Duration) -> u32 {
    (since.as_millis() as u32).wrapping_mul(65_536 / 1_000) | 1
}

/// The beginning of both ends.
fn epoch_once() -> Instant {
    static EPOCH: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    *EPOCH.get_or_init(epoch)
}

const OURS: [u32; 2] = [0x11, 0x12];
const THEIRS: [u32; 2] = [0x21, 0x22];
const MIN: Bitrate = Bitrate::from_kbps(50);
const MAX: Bitrate = Bitrate::from_kbps(5_000);
const QUEUE: usize = 16;
/// As the tap has it.
const RTCP_ROOM: usize = 64;
/// The chain's id for transport-wide numbers.
const NUMBER: u8 = 5;
/// Of one span: 8 s, with something due each 30 ms.
const MOST_STOPS: usize = 2_000;
