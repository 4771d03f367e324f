//! A server that takes what an uplink sends, on the engine's sans-IO core by its plain API: no
//! code of ours but the loop. It can be ICE-lite, lose datagrams, ask for things and go silent.
#![allow(dead_code, reason = "each test uses its part")]

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes, BytesMut};
use interceptor::{
    Interceptor, NackGeneratorBuilder, Packet, ReceiverReportBuilder, Registry, Slot, StreamInfo,
    TaggedPacket, TwccReceiverBuilder,
};
use paceline_transport::types::{ConnectionEvent, ConnectionOp, PacketKind, Signal};
use paceline_transport::{TrackKind, Uplink, UplinkConfig, UplinkTrack};
use rtc::peer_connection::RTCPeerConnection;
use rtc::peer_connection::RTCPeerConnectionBuilder;
use rtc::peer_connection::configuration::media_engine::MediaEngine;
use rtc::peer_connection::configuration::setting_engine::SettingEngineBuilder;
use rtc::peer_connection::message::{RTCMessage, TaggedRTCMessage};
use rtc::peer_connection::sdp::RTCSessionDescription;
use rtc::peer_connection::transport::{
    CandidateConfig, CandidateHostConfig, RTCDtlsRole, RTCIceCandidate,
};
use rtc::rtp_transceiver::rtp_sender::{
    RTCPFeedback, RTCRtpCodec, RTCRtpCodecParameters, RTCRtpHeaderExtensionCapability, RtpCodecKind,
};
use sansio::Protocol;
use shared::error::Error;
use shared::marshal::Marshal;
use shared::{TaggedBytesMut, TransportContext, TransportProtocol};
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, oneshot};

pub(crate) const WATCHDOG: Duration = Duration::from_secs(20);
pub(crate) const CAMERA: u32 = 0x1111_1111;
pub(crate) const CAMERA_RTX: u32 = 0x1111_2222;
pub(crate) const VOICE: u32 = 0x2222_2222;
pub(crate) const CAMERA_TYPE: u8 = 96;
pub(crate) const CAMERA_RTX_TYPE: u8 = 97;
pub(crate) const VOICE_TYPE: u8 = 111;
const H264: &str = "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f";
const EXTENSIONS: [&str; 5] = [
    "urn:ietf:params:rtp-hdrext:sdes:mid",
    "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id",
    "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id",
    "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time",
    "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01",
];

/// How a server behaves.
#[derive(Clone, Copy)]
pub(crate) struct Behaviour {
    pub(crate) lite: bool,
    pub(crate) dtls_client: bool,
    pub(crate) rtx: bool,
    /// Of 100 datagrams of media, how many are lost.
    pub(crate) loss: u32,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self { lite: true, dtls_client: true, rtx: true, loss: 0 }
    }
}

/// What came, as it came: after SRTP and before anything is made of it.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) rtp: Vec<rtp::packet::Packet>,
    pub(crate) rtcp: Vec<Box<dyn rtcp::Packet>>,
}

impl Seen {
    /// Numbers of the camera's packets that are there, by either road.
    pub(crate) fn camera(&self) -> BTreeSet<u16> {
        let direct = self.rtp.iter().filter(|packet| packet.header.ssrc == CAMERA);
        let direct = direct.map(|packet| packet.header.sequence_number);
        direct.chain(self.repaired().into_keys()).collect()
    }

    /// Numbers of those that came by retransmission, and how often.
    pub(crate) fn repaired(&self) -> BTreeMap<u16, usize> {
        let mut repaired = BTreeMap::new();
        for packet in self.rtp.iter().filter(|packet| packet.header.ssrc == CAMERA_RTX) {
            *repaired.entry((&packet.payload[..]).get_u16()).or_default() += 1;
        }
        repaired
    }

    pub(crate) fn of(&self, ssrc: u32) -> Vec<&rtp::packet::Packet> {
        self.rtp.iter().filter(|packet| packet.header.ssrc == ssrc).collect()
    }
}

enum Command {
    Offer(String, oneshot::Sender<String>),
    Rtcp(Vec<Box<dyn rtcp::Packet>>),
    Silent(bool),
    Close,
}

/// The owner's end of a server.
pub(crate) struct Sfu {
    commands: mpsc::UnboundedSender<Command>,
    pub(crate) seen: Arc<Mutex<Seen>>,
    pub(crate) address: SocketAddr,
    task: tokio::task::JoinHandle<()>,
}

impl Sfu {
    pub(crate) async fn new(behaviour: Behaviour) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
        let address = socket.local_addr().expect("bound");
        let seen = Arc::new(Mutex::new(Seen::default()));
        let connection = connection(behaviour, address, Arc::clone(&seen));
        let (commands, queue) = mpsc::unbounded_channel();
        let task = tokio::spawn(run(socket, connection, queue, behaviour.loss));
        Self { commands, seen, address, task }
    }

    pub(crate) async fn answer(&self, offer: String) -> String {
        let (reply, answer) = oneshot::channel();
        drop(self.commands.send(Command::Offer(offer, reply)));
        answer.await.expect("it answers")
    }

    pub(crate) fn send(&self, packet: impl rtcp::Packet + 'static) {
        drop(self.commands.send(Command::Rtcp(vec![Box::new(packet)])));
    }

    pub(crate) fn silent(&self, silent: bool) {
        drop(self.commands.send(Command::Silent(silent)));
    }

    pub(crate) fn close(&self) {
        drop(self.commands.send(Command::Close));
    }

    /// Without a word.
    pub(crate) async fn vanish(self) {
        self.task.abort();
        drop(self.task.await);
    }
}

fn connection(
    behaviour: Behaviour,
    address: SocketAddr,
    seen: Arc<Mutex<Seen>>,
) -> RTCPeerConnection {
    let feedback = |typ: &str, parameter: &str| RTCPFeedback {
        typ: typ.to_owned(),
        parameter: parameter.to_owned(),
    };
    let all = ["", "pli"].map(|parameter| feedback("nack", parameter));
    let all = all.into_iter().chain([feedback("ccm", "fir"), feedback("transport-cc", "")]);
    let mut media = MediaEngine::default();
    let mut codec = |mime: &str, rate, channels, fmtp: &str, payload_type, rtcp_feedback, kind| {
        let rtp_codec = RTCRtpCodec {
            mime_type: mime.to_owned(),
            clock_rate: rate,
            channels,
            sdp_fmtp_line: fmtp.to_owned(),
            rtcp_feedback,
        };
        let parameters = RTCRtpCodecParameters { rtp_codec, payload_type };
        media.register_codec(parameters, kind).expect("a codec");
    };
    codec("video/H264", 90_000, 0, H264, 96, all.collect(), RtpCodecKind::Video);
    if behaviour.rtx {
        codec("video/rtx", 90_000, 0, "apt=96", 97, vec![], RtpCodecKind::Video);
    }
    codec(
        "audio/opus",
        48_000,
        2,
        "",
        111,
        vec![feedback("transport-cc", "")],
        RtpCodecKind::Audio,
    );
    for uri in EXTENSIONS {
        for kind in [RtpCodecKind::Audio, RtpCodecKind::Video] {
            let uri = uri.to_owned();
            media
                .register_header_extension(RTCRtpHeaderExtensionCapability { uri }, kind, None)
                .expect("an extension");
        }
    }
    // What is retransmitted is unwrapped beyond the generator, so it asks on: fifty times.
    let nacks = NackGeneratorBuilder::new()
        .with_interval(Duration::from_millis(20))
        .with_max_nacks_per_packet(50);
    let feedback = TwccReceiverBuilder::new().with_interval(Duration::from_millis(50));
    let reports = ReceiverReportBuilder::new().with_interval(Duration::from_millis(100));
    let registry = Registry::new()
        .with(Slot::CongestionControl, Recorder { seen, ..Recorder::default() })
        .with(Slot::NackGenerator, nacks.build())
        .with(Slot::TwccReceiver, feedback.build())
        .with(Slot::ReceiverReport, reports.build());
    let role = if behaviour.dtls_client { RTCDtlsRole::Client } else { RTCDtlsRole::Server };
    let settings = SettingEngineBuilder::new()
        .with_multicast_dns_mode(rtc::ice::mdns::MulticastDnsMode::Disabled)
        .with_lite(behaviour.lite)
        .with_answering_dtls_role(role)
        .with_include_loopback_candidate(true);
    let mut connection = RTCPeerConnectionBuilder::new()
        .with_media_engine(media)
        .with_setting_engine(settings.build())
        .with_interceptor_registry(registry)
        .build(Instant::now())
        .expect("a connection");
    let candidate = CandidateHostConfig {
        base_config: CandidateConfig {
            network: "udp".to_owned(),
            address: address.ip().to_string(),
            port: address.port(),
            component: 1,
            ..CandidateConfig::default()
        },
        ..CandidateHostConfig::default()
    };
    let candidate = candidate.new_candidate_host().expect("a candidate");
    let candidate = RTCIceCandidate::from(&candidate).to_json().expect("a candidate");
    connection.add_local_candidate(candidate).expect("a candidate");
    connection
}

async fn run(
    socket: UdpSocket,
    mut connection: RTCPeerConnection,
    mut commands: mpsc::UnboundedReceiver<Command>,
    loss: u32,
) {
    let local_addr = socket.local_addr().expect("bound");
    let mut buffer = [0; 4_096];
    let (mut silent, mut dice) = (false, 1_u32);
    loop {
        loop {
            let mut more = false;
            while let Some(transmit) = connection.poll_write() {
                more = true;
                if !silent {
                    drop(socket.send_to(&transmit.message, transmit.transport.peer_addr).await);
                }
            }
            while connection.poll_event().is_some() || connection.poll_read().is_some() {
                more = true;
            }
            if !more {
                break;
            }
        }
        let timeout = connection.poll_timeout().unwrap_or(Instant::now() + Duration::from_secs(60));
        let timeout = timeout.max(Instant::now() + Duration::from_millis(1));
        tokio::select! {
            command = commands.recv() => match command {
                None => return,
                Some(Command::Offer(sdp, reply)) => {
                    let now = Instant::now();
                    let offer = RTCSessionDescription::offer(sdp).expect("an offer");
                    connection.set_remote_description(now, offer).expect("an offer");
                    let answer = connection.create_answer(None).expect("an answer");
                    connection.set_local_description(now, answer.clone()).expect("an answer");
                    drop(reply.send(answer.sdp));
                }
                Some(Command::Rtcp(packets)) => {
                    let message = RTCMessage::RtcpPacket(String::new(), packets);
                    let message = TaggedRTCMessage { now: Instant::now(), message };
                    connection.handle_write(message).expect("taken");
                }
                Some(Command::Silent(now)) => silent = now,
                Some(Command::Close) => connection.close().expect("closed"),
            },
            Ok((len, from)) = socket.recv_from(&mut buffer) => {
                // RFC 7983 §7, RFC 5761 §4: media, and not its reports.
                let media = (128..192).contains(&buffer[0]) && !(192..224).contains(&buffer[1]);
                dice = dice.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                if silent || media && (dice >> 16) % 100 < loss {
                    continue;
                }
                let transport = TransportContext {
                    local_addr,
                    peer_addr: from,
                    transport_protocol: TransportProtocol::UDP,
                    ecn: None,
                };
                let message = BytesMut::from(&buffer[..len]);
                drop(connection.handle_read(TaggedBytesMut { now: Instant::now(), transport, message }));
            }
            () = tokio::time::sleep_until(timeout.into()) => {
                drop(connection.handle_timeout(Instant::now()));
            }
        }
    }
}

/// Writes down what comes, nearest to the wire.
#[derive(Default)]
struct Recorder {
    seen: Arc<Mutex<Seen>>,
    reads: std::collections::VecDeque<TaggedPacket>,
    writes: std::collections::VecDeque<TaggedPacket>,
}

impl Protocol<TaggedPacket, TaggedPacket, ()> for Recorder {
    type Rout = TaggedPacket;
    type Wout = TaggedPacket;
    type Eout = ();
    type Error = Error;
    type Time = Instant;

    fn handle_read(&mut self, packet: TaggedPacket) -> Result<(), Error> {
        let mut seen = self.seen.lock().expect("whole");
        match &packet.message.packet {
            Packet::Rtp(rtp) => seen.rtp.push(rtp.clone()),
            Packet::Rtcp(rtcp) => seen.rtcp.extend(rtcp.iter().cloned()),
            _ => {}
        }
        self.reads.push_back(packet);
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
        self.writes.pop_front()
    }
}

impl Interceptor for Recorder {
    fn bind_local_stream(&mut self, _: &StreamInfo) {}
    fn unbind_local_stream(&mut self, _: &StreamInfo) {}
    fn bind_remote_stream(&mut self, _: &StreamInfo) {}
    fn unbind_remote_stream(&mut self, _: &StreamInfo) {}
}

pub(crate) fn camera() -> UplinkTrack {
    UplinkTrack::new(TrackKind::Video, "video/H264", 90_000, CAMERA_TYPE, CAMERA)
        .fmtp(H264)
        .rtx(CAMERA_RTX_TYPE, CAMERA_RTX)
}

pub(crate) fn voice() -> UplinkTrack {
    UplinkTrack::new(TrackKind::Audio, "audio/opus", 48_000, VOICE_TYPE, VOICE).channels(2)
}

pub(crate) fn config() -> UplinkConfig {
    UplinkConfig::default().track(camera()).track(voice())
}

/// A packet as an owner writes it.
pub(crate) fn packet(payload_type: u8, ssrc: u32, seq: u16) -> Bytes {
    let mut packet = rtp::packet::Packet::default();
    packet.header.version = 2;
    packet.header.payload_type = payload_type;
    packet.header.ssrc = ssrc;
    packet.header.sequence_number = seq;
    packet.header.timestamp = 3_000 * u32::from(seq);
    packet.payload = Bytes::from(vec![seq as u8; 900]);
    packet.marshal().expect("a packet").freeze()
}

/// An uplink and what it was told.
pub(crate) struct Sender {
    pub(crate) uplink: Uplink,
    pub(crate) offers: Vec<String>,
    pub(crate) open: bool,
    pub(crate) closed: Option<String>,
    pub(crate) paths: Vec<bool>,
    pub(crate) targets: Vec<u64>,
    pub(crate) rtcp: Vec<Box<dyn rtcp::Packet>>,
}

impl Sender {
    pub(crate) fn new(config: UplinkConfig) -> Self {
        Self {
            uplink: Uplink::new(config),
            offers: Vec::new(),
            open: false,
            closed: None,
            paths: Vec::new(),
            targets: Vec::new(),
            rtcp: Vec::new(),
        }
    }

    pub(crate) fn apply(&mut self, op: ConnectionOp) {
        self.uplink.apply(Instant::now(), op);
    }

    pub(crate) fn drain(&mut self) {
        while let Some(event) = self.uplink.poll_event() {
            match event {
                ConnectionEvent::Local(Signal::Offer { sdp }) => self.offers.push(sdp),
                ConnectionEvent::Open => self.open = true,
                ConnectionEvent::Closed { reason } => self.closed = Some(reason),
                ConnectionEvent::Path { up } => self.paths.push(up),
                ConnectionEvent::Target(target) => self.targets.push(target.bps()),
                ConnectionEvent::Rtcp(mut bytes) => {
                    self.rtcp.extend(rtcp::packet::unmarshal(&mut bytes).expect("a compound"));
                }
                other => panic!("{other:?}"),
            }
        }
    }

    /// Until it is so, or the watchdog barks.
    pub(crate) async fn until(&mut self, what: &str, mut so: impl FnMut(&mut Self) -> bool) {
        let wait = async {
            loop {
                self.drain();
                if so(self) {
                    return;
                }
                self.uplink.ready().await;
            }
        };
        tokio::time::timeout(WATCHDOG, wait).await.unwrap_or_else(|_| panic!("no {what}"));
    }

    /// Sends one after the other, `apart`, and goes on until it is so.
    pub(crate) async fn send_until(
        &mut self,
        apart: Duration,
        mut next: impl FnMut() -> Option<Bytes>,
        mut so: impl FnMut(&mut Self) -> bool,
    ) {
        let wait = async {
            let mut tick = tokio::time::interval(apart);
            // Who is late does not send it all at once: the server's socket would not hold it.
            tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            loop {
                self.drain();
                if so(self) {
                    return;
                }
                tokio::select! {
                    _ = tick.tick() => if let Some(bytes) = next() {
                        self.uplink
                            .try_send(Instant::now(), PacketKind::Rtp, bytes)
                            .expect("taken");
                    },
                    () = self.uplink.ready() => {}
                }
            }
        };
        tokio::time::timeout(WATCHDOG, wait).await.expect("it does not come about");
    }

    /// Offer, answer, open.
    pub(crate) async fn open(config: UplinkConfig, sfu: &Sfu) -> Self {
        let mut sender = Self::new(config);
        sender.apply(ConnectionOp::Call);
        sender.until("offer", |sender| !sender.offers.is_empty()).await;
        let answer = sfu.answer(sender.offers[0].clone()).await;
        sender.apply(ConnectionOp::Remote(Signal::Answer { sdp: answer }));
        sender.until("connection", |sender| sender.open || sender.closed.is_some()).await;
        assert_eq!(sender.closed, None);
        sender
    }

    /// Until the other end has it open too: it has the last word of DTLS then.
    pub(crate) async fn established(&mut self, sfu: &Sfu) {
        let (mut seq, seen) = (0, sfu.seen.clone());
        let next = || {
            seq += 1;
            Some(packet(VOICE_TYPE, VOICE, seq))
        };
        let any = |_: &mut Self| !seen.lock().expect("whole").rtp.is_empty();
        self.send_until(Duration::from_millis(1), next, any).await;
    }

    pub(crate) async fn restart(&mut self, sfu: &Sfu) {
        let before = self.offers.len();
        self.apply(ConnectionOp::RestartIce);
        self.until("restart", |sender| sender.offers.len() > before).await;
        let answer = sfu.answer(self.offers[before].clone()).await;
        self.apply(ConnectionOp::Remote(Signal::Answer { sdp: answer }));
    }
}
