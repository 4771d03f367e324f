//! A peer that is not ours, and opens more than the one channel.
#![allow(clippy::disallowed_methods, reason = "the edge of the network reads the clock")]
#![cfg(feature = "webrtc")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use paceline_transport::types::{ConnectionEvent, ConnectionOp, PeerId, Signal};
use paceline_transport::{Transport, WebRtc, WebRtcConfig};
use rtc::peer_connection::configuration::setting_engine::SettingEngineBuilder;
use tokio::sync::mpsc;
use webrtc::peer_connection::{
    PeerConnection, PeerConnectionBuilder, PeerConnectionEventHandler, RTCIceCandidateInit,
    RTCPeerConnectionIceEvent, RTCSessionDescription,
};

/// Hands candidates over.
struct Handler(mpsc::UnboundedSender<RTCIceCandidateInit>);

#[async_trait]
impl PeerConnectionEventHandler for Handler {
    async fn on_ice_candidate(&self, event: RTCPeerConnectionIceEvent) {
        let _ = self.0.send(event.candidate.to_json().expect("it can be written"));
    }
}

/// Connects a bare peer with so many channels, and tells why we ended it, if we did
/// within the time.
async fn connect(channels: usize, patience: Duration) -> Option<String> {
    let (found, mut candidates) = mpsc::unbounded_channel();
    let settings = SettingEngineBuilder::new()
        .with_multicast_dns_mode(rtc::ice::mdns::MulticastDnsMode::Disabled)
        .with_include_loopback_candidate(true)
        .build();
    let bare = PeerConnectionBuilder::new()
        .with_setting_engine(settings)
        .with_handler(Arc::new(Handler(found)))
        .with_udp_addrs(vec!["127.0.0.1:0"])
        .build()
        .await
        .expect("a connection");
    let mut held = Vec::new();
    for label in 0..channels {
        let made = bare.create_data_channel(&format!("channel {label}"), None).await;
        held.push(made.expect("a channel"));
    }
    let offer = bare.create_offer(None).await.expect("an offer");
    bare.set_local_description(offer.clone()).await.expect("it is ours");

    let peer = PeerId::from_bytes([9; 16]);
    let mut ours = WebRtc::new(WebRtcConfig::default());
    let remote = |signal| ConnectionOp::Remote(signal);
    ours.apply(Instant::now(), peer, remote(Signal::Offer { sdp: offer.sdp }));
    let work = async {
        loop {
            tokio::select! {
                Some(candidate) = candidates.recv() => {
                    let signal = Signal::Candidate {
                        candidate: candidate.candidate,
                        mid: candidate.sdp_mid.unwrap_or_default(),
                        mline_index: candidate.sdp_mline_index.unwrap_or_default(),
                        ufrag: candidate.username_fragment.unwrap_or_default(),
                    };
                    ours.apply(Instant::now(), peer, remote(signal));
                }
                () = ours.ready() => {}
            }
            while let Some((_, event)) = ours.poll_event() {
                match event {
                    ConnectionEvent::Local(Signal::Answer { sdp }) => {
                        let answer = RTCSessionDescription::answer(sdp).expect("SDP");
                        bare.set_remote_description(answer).await.expect("it fits");
                    }
                    ConnectionEvent::Local(Signal::Candidate { candidate, .. }) => {
                        let init = RTCIceCandidateInit {
                            candidate,
                            sdp_mid: Some(String::new()),
                            sdp_mline_index: Some(0),
                            ..RTCIceCandidateInit::default()
                        };
                        bare.add_ice_candidate(init).await.expect("a candidate");
                    }
                    ConnectionEvent::Open if channels == 1 => return None,
                    ConnectionEvent::Closed { reason } => return Some(reason),
                    _ => {}
                }
            }
        }
    };
    let ended = tokio::time::timeout(patience, work).await.expect("something came of it");
    ours.shutdown().await;
    let _ = bare.close().await;
    ended
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_channel_is_carried_and_a_second_ends_the_connection() {
    assert_eq!(connect(1, Duration::from_secs(10)).await, None);
    let reason = connect(2, Duration::from_secs(10)).await.expect("it ended");
    assert_eq!(reason, "the peer opened a second channel");
}
