//! The RTP of a connection of a call, between a mesh and a peer that says what it likes.

use std::time::{Duration, Instant};

use bytes::{Buf, Bytes};
use paceline_framing::{Body, Control, Packet, rtcp, rtp};
use paceline_mesh::types::{
    Bitrate, Carrier, Coding, ConnectionEvent, ConnectionOp, EncodedFrame, Frequency, MediaTime,
    NtpTime, PacketKind, PeerId, SenderId, SeqNo, Signal, Ssrc, StreamId, VideoCodec,
};
use paceline_mesh::{
    Event, Identity, Mesh, MeshConfig, Output, PacerConfig, Recipients, Role, RtpConfig,
};

use crate::packets::epoch;

/// A call of two over RTP: each step is an operation and three numbers, and some take bytes.
pub fn rtp_link(mut script: &[u8]) {
    let mut call = Call::begin();
    while let Some((&[op, a, b, len], rest)) = script.split_first_chunk() {
        script = rest;
        let len = usize::from(len).min(script.len());
        let bytes = if op & 8 == 0 { script.copy_to_bytes(len) } else { vec![1; len].into() };
        call.step(op, a, b, bytes);
        call.look();
    }
    // All that it holds, as text: what he may make us hold, and what is ours to keep, as frames
    // and as packets.
    let held = format!("{:?}", call.mesh).len();
    assert!(held < MAX_HELD + 2 * 4 * call.kept, "{held} bytes of state, {} ours", call.kept);
}

struct Call {
    mesh: Mesh,
    now: Instant,
    /// The number, the timestamp and the frame that he is at, of each of his streams.
    his: [(u16, u32, u32); 4],
    ours: u64,
    /// Bytes of the frames that we have sent.
    kept: usize,
    /// Packets that he has sent, of RTP and of RTCP.
    heard: u64,
    frames: u64,
    asked_of_us: u64,
}

impl Call {
    /// Two who carry RTP and have said so; the other one is not heard of again.
    fn begin() -> Self {
        let rtp = RtpConfig::default().max_bytes(BYTES).max_packets(PACKETS).ask_interval(ASK);
        let pacer = PacerConfig::default().probe_bytes(0);
        let config = MeshConfig::default().pacer(pacer).carrier(Carrier::Rtp).rtp(rtp);
        let now = epoch();
        let mut mesh = Mesh::new(now, identity(US), config.clone());
        let mut other = Mesh::new(now, identity(HIM), config);
        mesh.expect(now, peer(HIM), SenderId::new(HIM.into())).expect("he is new");
        other.call(now, peer(US), SenderId::new(US.into())).expect("we are new");
        let mut is_quiet = false;
        while !is_quiet {
            let ours = exchange(now, &mut mesh, US, &mut other, HIM);
            let his = exchange(now, &mut other, HIM, &mut mesh, US);
            is_quiet = !ours && !his;
        }
        let target = ConnectionEvent::Target(Bitrate::from_kbps(1_000));
        mesh.handle_connection(now, peer(HIM), target);
        assert_eq!(mesh.carrier(peer(HIM)), Some(Carrier::Rtp));
        Self {
            mesh,
            now,
            his: [(u16::MAX - 3, u32::MAX - 9_000, 0); 4],
            ours: 0,
            kept: 0,
            heard: 0,
            frames: 0,
            asked_of_us: 0,
        }
    }

    fn step(&mut self, op: u8, a: u8, b: u8, bytes: Bytes) {
        let stream = usize::from(a & 3);
        match op % 8 {
            0 | 1 => {
                let packet = self.packet(op, a, b, bytes);
                self.hear(ConnectionEvent::Rtp(rtp::emit(&packet)));
            }
            2 => self.hear(match b % 4 {
                0 => ConnectionEvent::Rtp(bytes),
                _ => ConnectionEvent::Rtcp(
                    [&[0x80 | a & 0x1f, 192 + b % 32][..], &bytes].concat().into(),
                ),
            }),
            3 => {
                let report = rtcp::SenderReport {
                    ssrc: ssrc(if op & 64 == 0 { HIM } else { US }, stream),
                    ntp_time: u64::from(b) << (a % 64),
                    rtp_time: self.his[stream].1.wrapping_add(u32::from(a) << (b % 32)),
                    profile_extensions: if op & 32 == 0 { Bytes::new() } else { vec![b; 4].into() },
                    ..rtcp::SenderReport::default()
                };
                self.hear_rtcp(&[rtcp::Packet::SenderReport(report)]);
            }
            4 => {
                let of = |index: u8| {
                    ssrc(
                        if op & 32 == 0 { US } else { HIM },
                        usize::from(a.wrapping_add(index) & 3),
                    )
                };
                let loss = rtcp::Packet::PictureLossIndication(rtcp::PictureLossIndication {
                    sender_ssrc: ssrc(HIM, 0),
                    media_ssrc: of(0),
                });
                let fir = rtcp::Packet::FullIntraRequest(rtcp::FullIntraRequest {
                    sender_ssrc: u32::from(a) << 8,
                    media_ssrc: 0,
                    fir: (0..b % 8 + 1)
                        .map(|index| rtcp::FirEntry { ssrc: of(index), sequence_number: b })
                        .collect(),
                });
                self.hear_rtcp(&if op & 64 == 0 {
                    vec![loss; usize::from(b % 8) + 1]
                } else {
                    vec![fir]
                });
            }
            5 => self.wait(Duration::from_millis(u64::from(a) * 4)),
            6 => match a % 4 {
                0 => self.mesh.request_keyframe(self.now, peer(HIM), STREAMS[usize::from(b & 3)]),
                1 => self.tell(ConnectionEvent::Path { up: b & 1 == 0 }),
                2 => {
                    self.tell(ConnectionEvent::Target(Bitrate::from_bps(u64::from(b) << (a >> 2))))
                }
                _ => self.send(b),
            },
            _ => self.send(b),
        }
        self.take();
    }

    /// A packet of his as it might be: the next one of a stream, or far from it; of a codec that
    /// the stream may have or not; with its frame's number or without.
    fn packet(&mut self, op: u8, a: u8, b: u8, payload: Bytes) -> rtp::Packet {
        let stream = usize::from(a & 3);
        let (seq, timestamp, frame) = &mut self.his[stream];
        *seq = seq.wrapping_add_signed(match b & 7 {
            0 => i16::from(b as i8) << 7,
            1 => -1,
            2 => 2,
            _ => 1,
        });
        if b & 8 != 0 {
            (*timestamp, *frame) =
                (timestamp.wrapping_add(u32::from(b) << (a % 24)), frame.wrapping_add(1));
        }
        let is_sound = stream & 1 == 1;
        let usual = if is_sound { 111 } else { 96 + (a >> 4) % 3 };
        let header = rtp::Header {
            version: 2,
            marker: b & 16 != 0,
            payload_type: if a & 4 == 0 { usual } else { 96 + a % 32 },
            sequence_number: *seq,
            timestamp: *timestamp,
            ssrc: if a == 0xff { 1 } else { ssrc(HIM, stream) },
            ..rtp::Header::default()
        };
        let mut packet = rtp::Packet { header, payload };
        if op & 0x30 != 0x30 {
            let number = Bytes::copy_from_slice(&frame.to_be_bytes());
            let number = number.slice(..if op & 0x40 == 0 { 4 } else { 2 });
            packet.header.set_extension(FRAME, number).expect("a few bytes fit");
        }
        packet
    }

    fn hear_rtcp(&mut self, packets: &[rtcp::Packet]) {
        self.hear(ConnectionEvent::Rtcp(rtcp::emit(packets)));
    }

    /// Whatever he says by RTP, he stays.
    fn hear(&mut self, event: ConnectionEvent) {
        self.heard += 1;
        let before = self.mesh.connected().count();
        self.tell(event);
        assert_eq!(self.mesh.connected().count(), before, "RTP ended a connection");
    }

    fn tell(&mut self, event: ConnectionEvent) {
        self.mesh.handle_connection(self.now, peer(HIM), event);
    }

    /// Lets time pass, deadline by deadline.
    fn wait(&mut self, span: Duration) {
        let end = self.now + span;
        let mut stops = 0;
        while let Some((at, why)) = self.mesh.poll_timeout().filter(|(at, _)| *at <= end) {
            self.now = self.now.max(at);
            self.mesh.handle_timeout(self.now);
            let next = self.mesh.poll_timeout();
            assert!(next.is_none_or(|(next, _)| next > self.now), "{why:?} would come for ever");
            self.take();
            stops += 1;
            assert!(stops < MOST_STOPS, "{why:?} comes each moment");
        }
        self.now = end;
    }

    /// A picture of ours goes: now and then one that it can be begun with.
    fn send(&mut self, len: u8) {
        self.ours += 1;
        let key = self.ours % 8 == 1;
        let mut data = vec![u8::from(!key); usize::from(len) * 16 + 10];
        self.kept += data.len() + OVERHEAD;
        data[3..6].copy_from_slice(&[0x9d, 0x01, 0x2a]);
        let coding = Coding::Video {
            codec: VideoCodec::Vp8,
            key,
            discardable: false,
            width: 64,
            height: 64,
        };
        let frame = EncodedFrame {
            stream: StreamId::VIDEO,
            seq: SeqNo::new(self.ours),
            time: MediaTime::new(self.ours * 3_000, Frequency::VIDEO),
            capture: NtpTime::default(),
            coding,
            data: data.into(),
        };
        let packet =
            Packet { sender: SenderId::new(US.into()), epoch: None, body: Body::Media(frame) };
        self.mesh.send(self.now, Recipients::All, &packet);
    }

    fn take(&mut self) {
        while let Some(output) = self.mesh.poll_output() {
            match output {
                Output::Event(Event::Packet { packet, .. }) => match packet.body {
                    Body::Media(frame) => {
                        assert!(STREAMS.contains(&frame.stream));
                        assert!(frame.data.len() <= BYTES, "{} bytes", frame.data.len());
                        assert!(frame.coding.is_audio() == is_sound(frame.stream));
                        self.frames += 1;
                    }
                    Body::Control(Control::KeyframeRequest { stream }) => {
                        assert!(STREAMS.contains(&stream) && !is_sound(stream));
                        self.asked_of_us += 1;
                    }
                    other => panic!("{other:?}"),
                },
                Output::Transmit { kind: PacketKind::Rtcp, bytes, .. } => asks(bytes),
                Output::Transmit { kind: PacketKind::Rtp, bytes, .. } => {
                    let packet = rtp::parse(bytes).expect("what leaves can be read");
                    assert_eq!(packet.header.ssrc, ssrc(US, 0));
                }
                Output::Transmit { bytes, .. } => {
                    // What goes over the channel is confirmed, or nothing more would go.
                    self.tell(ConnectionEvent::Acked(bytes.len()));
                }
                _ => {}
            }
        }
    }

    fn look(&self) {
        // Whoever is silent for long is not connected any more, and not heard.
        let stats = self.mesh.stats(peer(HIM)).filter(|_| self.mesh.connected().count() > 0);
        let Some(rtp) = stats.map(|stats| stats.rtp) else { return };
        // What he says is of use or not; a compound may be of use in part.
        assert!(rtp.received_packets <= self.heard);
        assert!(rtp.received_packets + rtp.bad_packets >= self.heard);
        // A packet is of one frame.
        assert!(rtp.received_frames <= rtp.received_packets);
        assert_eq!(rtp.received_frames, self.frames);
        assert_eq!(rtp.asked_of_us, self.asked_of_us);
    }
}

/// Reports, and requests for what he has keyframes of.
fn asks(bytes: Bytes) {
    for packet in rtcp::parse(bytes).expect("what leaves can be read") {
        let rtcp::Packet::PictureLossIndication(loss) = packet else { continue };
        let stream = Ssrc::new(loss.media_ssrc).stream_of(peer(HIM));
        assert!(stream.is_some_and(|stream| !is_sound(stream)), "{loss:?}");
    }
}

/// Carries what one has for the other, and says whether there was anything.
fn exchange(now: Instant, from: &mut Mesh, us: u8, to: &mut Mesh, him: u8) -> bool {
    let mut any = false;
    while let Some(output) = from.poll_output() {
        any = true;
        match output {
            Output::Connection { op, .. } => {
                let (describe, opens) = match op {
                    ConnectionOp::Call => (Some(Signal::Offer { sdp: sdp(us) }), false),
                    ConnectionOp::Remote(Signal::Offer { .. }) => {
                        (Some(Signal::Answer { sdp: sdp(us) }), true)
                    }
                    ConnectionOp::Remote(Signal::Answer { .. }) => (None, true),
                    _ => (None, false),
                };
                let events = describe.map(ConnectionEvent::Local).into_iter();
                for event in events.chain(opens.then_some(ConnectionEvent::Open)) {
                    from.handle_connection(now, peer(him), event);
                }
            }
            Output::Signal { signal, .. } => to.handle_signal(now, peer(us), signal),
            Output::Transmit { kind: PacketKind::Message, bytes, .. } => {
                from.handle_connection(now, peer(him), ConnectionEvent::Acked(bytes.len()));
                to.handle_connection(now, peer(us), ConnectionEvent::Message(bytes));
            }
            _ => {}
        }
    }
    any
}

fn identity(n: u8) -> Identity {
    Identity {
        session: [7; 16],
        peer: peer(n),
        sender: SenderId::new(n.into()),
        role: Role::Member,
    }
}

const fn peer(n: u8) -> PeerId {
    PeerId::from_bytes([n; 16])
}

fn sdp(n: u8) -> String {
    format!("v=0\r\no=- {n} 1 IN IP4 0.0.0.0\r\na=ice-ufrag:{n}\r\n")
}

fn ssrc(n: u8, stream: usize) -> u32 {
    Ssrc::of(peer(n), STREAMS[stream]).expect("there are four").get()
}

const fn is_sound(stream: StreamId) -> bool {
    matches!(stream, StreamId::AUDIO | StreamId::MIX_AUDIO)
}

const STREAMS: [StreamId; 4] =
    [StreamId::VIDEO, StreamId::AUDIO, StreamId::MIX_VIDEO, StreamId::MIX_AUDIO];
const US: u8 = 16;
const HIM: u8 = 32;
/// As `docs/WIRE.md` has it.
const FRAME: u8 = 8;
const ASK: Duration = Duration::from_millis(500);
const BYTES: usize = 8_192;
/// Of a frame and of its packets: headers, as text.
const OVERHEAD: usize = 1_000;
const PACKETS: usize = 64;
/// Of one span: a second, with packets of ours paced in it.
const MOST_STOPS: usize = 2_000;
/// Of `Bytes` each may be four letters, and of a packet's header there are 600.
const MAX_HELD: usize = 2 * (4 * BYTES + 600 * PACKETS) + (128 << 10);
