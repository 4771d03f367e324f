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

/// Connects a bare peer with so many channels, has it close and open channels so often
/// once we are open, and tells why we ended it, if we did.
async fn connect(channels: usize, churn: usize) -> Option<String> {
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
                    ConnectionEvent::Open if channels == 1 && churn == 0 => return None,
                    ConnectionEvent::Open => {
                        for round in 0..churn {
                            let made = bare.create_data_channel(&format!("{round}"), None).await;
                            let (Ok(made), Some(old)) = (made, held.pop()) else { break };
                            // Once we have had enough, there is nothing left to close.
                            let _ = old.close().await;
                            held.push(made);
                        }
                    }
                    ConnectionEvent::Closed { reason } => return Some(reason),
                    _ => {}
                }
            }
        }
    };
    let ended = tokio::time::timeout(WATCHDOG, work).await.expect("something came of it");
    ours.shutdown().await;
    let _ = bare.close().await;
    ended
}

/// Connections that were ended leave no task behind.
async fn assert_nothing_is_left() {
    let gone = async {
        while tokio::runtime::Handle::current().metrics().num_alive_tasks() > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(WATCHDOG, gone).await.expect("tasks are left");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_channel_is_carried_and_a_second_ends_the_connection() {
    assert_eq!(connect(1, 0).await, None);
    let reason = connect(2, 0).await.expect("it ended");
    assert_eq!(reason, "the peer opened a second channel");
    assert_nothing_is_left().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stream_ids_that_are_used_again_and_again_end_the_connection_at_once() {
    for churn in [1, 2, 500] {
        let reason = connect(1, churn).await.expect("it ended");
        // Whichever of both came first.
        let known = ["the peer opened a second channel", "the channel was closed"];
        assert!(known.contains(&&*reason), "{reason}");
    }
    assert_nothing_is_left().await;
}

const WATCHDOG: Duration = Duration::from_secs(20);
