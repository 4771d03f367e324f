//! Two ends of the bare `webrtc` crate, with the interceptors that it has by default.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use async_trait::async_trait;
use bytes::Bytes;
use rtc::media_stream::MediaStreamTrack;
use rtc::peer_connection::configuration::interceptor_registry::register_default_interceptors;
use rtc::peer_connection::configuration::media_engine::{MIME_TYPE_H264, MediaEngine};
use rtc::rtp_transceiver::rtp_sender::{
    RTCRtpCodec, RTCRtpCodecParameters, RTCRtpCodingParameters, RTCRtpEncodingParameters,
    RtpCodecKind,
};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;
use webrtc::error::Error;
use webrtc::media_stream::track_local::TrackLocal;
use webrtc::media_stream::track_local::static_rtp::TrackLocalStaticRTP;
use webrtc::media_stream::track_remote::{TrackRemote, TrackRemoteEvent};
use webrtc::peer_connection::{
    PeerConnection, PeerConnectionBuilder, PeerConnectionEventHandler, RTCIceCandidateInit,
    RTCPeerConnectionIceEvent, RTCPeerConnectionState, Registry, SettingEngineBuilder,
};

use crate::Arrived;

/// The sending end. The other is a task.
pub(crate) struct Sender {
    track: Arc<TrackLocalStaticRTP>,
    header: rtc::rtp::Header,
    payload: Bytes,
    /// They live as long as it does.
    _ends: [Arc<dyn PeerConnection>; 2],
}

struct Handler {
    candidates: UnboundedSender<RTCIceCandidateInit>,
    connected: UnboundedSender<()>,
    arrived: Arrived,
}

#[async_trait]
impl PeerConnectionEventHandler for Handler {
    async fn on_ice_candidate(&self, event: RTCPeerConnectionIceEvent) {
        let _ = event.candidate.to_json().map(|candidate| self.candidates.send(candidate));
    }

    async fn on_connection_state_change(&self, state: RTCPeerConnectionState) {
        if state == RTCPeerConnectionState::Connected {
            let _ = self.connected.send(());
        }
    }

    async fn on_track(&self, track: Arc<dyn TrackRemote>) {
        let arrived = Arc::clone(&self.arrived);
        tokio::spawn(async move {
            while let Some(event) = track.poll().await {
                if matches!(event, TrackRemoteEvent::OnRtpPacket(_)) {
                    arrived.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
    }
}

pub(crate) async fn open(arrived: Arrived) -> Sender {
    connect(arrived).await.expect("the engine connects to itself")
}

async fn connect(arrived: Arrived) -> Result<Sender, Error> {
    let (connected, mut is_connected) = unbounded_channel();
    let (from_a, mut of_a) = unbounded_channel();
    let (from_b, mut of_b) = unbounded_channel();
    let a = build(from_a, connected.clone(), Arc::clone(&arrived)).await?;
    let b = build(from_b, connected, arrived).await?;
    let coding = RTCRtpCodingParameters { ssrc: Some(SSRC), ..RTCRtpCodingParameters::default() };
    let encoding = RTCRtpEncodingParameters {
        rtp_coding_parameters: coding,
        active: true,
        codec: codec().rtp_codec,
        ..RTCRtpEncodingParameters::default()
    };
    let named = || "video".to_owned();
    let track =
        MediaStreamTrack::new(named(), named(), named(), RtpCodecKind::Video, vec![encoding]);
    let track = Arc::new(TrackLocalStaticRTP::new(track));
    a.add_track(Arc::clone(&track) as Arc<dyn TrackLocal>).await?;
    let offer = a.create_offer(None).await?;
    a.set_local_description(offer.clone()).await?;
    b.set_remote_description(offer).await?;
    let answer = b.create_answer(None).await?;
    b.set_local_description(answer.clone()).await?;
    a.set_remote_description(answer).await?;
    let (done, mut is_done) = oneshot::channel::<()>();
    let ends: [Arc<dyn PeerConnection>; 2] = [Arc::clone(&a), Arc::clone(&b)];
    tokio::spawn(async move {
        let _done = done;
        loop {
            let added = tokio::select! {
                Some(candidate) = of_a.recv() => b.add_ice_candidate(candidate).await,
                Some(candidate) = of_b.recv() => a.add_ice_candidate(candidate).await,
                else => return,
            };
            if added.is_err() {
                return;
            }
        }
    });
    for _ in 0..2 {
        tokio::select! {
            Some(()) = is_connected.recv() => {}
            _ = &mut is_done => panic!("a candidate was not taken"),
        }
    }
    let header = rtc::rtp::Header {
        version: 2,
        payload_type: codec().payload_type,
        ssrc: SSRC,
        ..rtc::rtp::Header::default()
    };
    Ok(Sender { track, header, payload: vec![7; PAYLOAD].into(), _ends: ends })
}

async fn build(
    candidates: UnboundedSender<RTCIceCandidateInit>,
    connected: UnboundedSender<()>,
    arrived: Arrived,
) -> Result<Arc<dyn PeerConnection>, Error> {
    let mut engine = MediaEngine::default();
    engine.register_codec(codec(), RtpCodecKind::Video)?;
    let registry = register_default_interceptors(Registry::new(), &mut engine)?;
    let settings = SettingEngineBuilder::new()
        .with_multicast_dns_mode(rtc::ice::mdns::MulticastDnsMode::Disabled)
        .with_include_loopback_candidate(true)
        .build();
    let connection = PeerConnectionBuilder::new()
        .with_media_engine(engine)
        .with_interceptor_registry(registry)
        .with_setting_engine(settings)
        .with_handler(Arc::new(Handler { candidates, connected, arrived }))
        .with_udp_addrs(vec![("127.0.0.1", 0)])
        .build()
        .await?;
    Ok(Arc::new(connection))
}

fn codec() -> RTCRtpCodecParameters {
    let rtp_codec = RTCRtpCodec {
        mime_type: MIME_TYPE_H264.to_owned(),
        clock_rate: 90_000,
        sdp_fmtp_line: "packetization-mode=1;profile-level-id=42e01f".to_owned(),
        ..RTCRtpCodec::default()
    };
    RTCRtpCodecParameters { rtp_codec, payload_type: 96 }
}

impl Sender {
    pub(crate) async fn send(&mut self) {
        self.header.sequence_number = self.header.sequence_number.wrapping_add(1);
        let packet =
            rtc::rtp::Packet { header: self.header.clone(), payload: self.payload.clone() };
        // What is refused does not arrive, which is told.
        let _ = self.track.write_rtp(packet).await;
    }
}

const SSRC: u32 = 77;

/// With 12 bytes of header, and 8 or so of extensions that interceptors put in, 1,200.
const PAYLOAD: usize = 1_180;
