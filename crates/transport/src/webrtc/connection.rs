//! One connection: a task that owns the engine's objects.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use paceline_types::{ConnectionEvent, ConnectionOp, PeerId, Signal};
use rtc::dtls::extension::extension_use_srtp::SrtpProtectionProfile;
use rtc::interceptor::Registry;
use rtc::peer_connection::configuration::setting_engine::SctpMaxMessageSize;
use tokio::sync::{mpsc, oneshot};
use tracing::debug;
use webrtc::data_channel::DataChannel;
use webrtc::error::Error;
use webrtc::peer_connection::{
    PeerConnection, PeerConnectionBuilder, PeerConnectionEventHandler, RTCConfigurationBuilder,
    RTCIceCandidateInit, RTCIceConnectionState, RTCIceServer, RTCPeerConnectionIceEvent,
    RTCPeerConnectionState, SettingEngineBuilder,
};

use super::carrier::Carrier;
use super::config::WebRtcConfig;
use super::negotiation::Negotiation;
use super::runtime::Tuned;
use super::shared::Shared;
use super::{Tagged, media};

/// Where a connection's events go.
#[derive(Clone, Debug)]
pub(super) struct Reporter {
    pub(super) peer: PeerId,
    pub(super) generation: u64,
    pub(super) queue: mpsc::Sender<Tagged>,
}

impl Reporter {
    /// Waits for room in the queue; nobody listening is not the connection's
    /// concern, it will be closed.
    pub(super) async fn report(&self, event: ConnectionEvent) {
        let Self { peer, generation, .. } = *self;
        let _ = self.queue.send(Tagged { peer, generation, event }).await;
    }

    /// Waits for nothing; `false` if it is not told.
    pub(super) fn try_report(&self, event: ConnectionEvent) -> bool {
        let Self { peer, generation, .. } = *self;
        self.queue.try_send(Tagged { peer, generation, event }).is_ok()
    }
}

/// What the engine calls back with. Handlers run on the engine's own task: they
/// hand over and return, and hold nothing of the engine's.
struct Handler {
    callbacks: mpsc::UnboundedSender<Callback>,
    shared: Arc<Shared>,
    /// Channels that the other end opened.
    channels: AtomicUsize,
}

/// What the connection's task is told by those that work for it.
pub(super) enum Callback {
    Candidate(RTCIceCandidateInit),
    Channel(Arc<dyn DataChannel>),
    /// The last message is with the other end.
    Drained,
    /// What carries messages has ended.
    Ended,
    /// The path works, or does not; or it is another than it was, and works.
    Path {
        anew: bool,
        up: bool,
    },
    State(RTCPeerConnectionState),
}

#[async_trait]
impl PeerConnectionEventHandler for Handler {
    async fn on_ice_candidate(&self, event: RTCPeerConnectionIceEvent) {
        match event.candidate.to_json() {
            Ok(candidate) => drop(self.callbacks.send(Callback::Candidate(candidate))),
            Err(error) => debug!(%error, "a local candidate cannot be written"),
        }
    }

    async fn on_ice_connection_state_change(&self, state: RTCIceConnectionState) {
        let up = match state {
            RTCIceConnectionState::Connected | RTCIceConnectionState::Completed => true,
            RTCIceConnectionState::Disconnected | RTCIceConnectionState::Failed => false,
            _ => return,
        };
        // What waited for a path goes on right here, in the engine's task.
        #[expect(clippy::disallowed_methods, reason = "the edge of the network reads the clock")]
        let anew = up && self.shared.release(Instant::now());
        let _ = self.callbacks.send(Callback::Path { anew, up });
    }

    async fn on_connection_state_change(&self, state: RTCPeerConnectionState) {
        let _ = self.callbacks.send(Callback::State(state));
    }

    async fn on_data_channel(&self, channel: Arc<dyn DataChannel>) {
        // The second ends the connection: more need no telling.
        if self.channels.fetch_add(1, Ordering::AcqRel) < 2 {
            let _ = self.callbacks.send(Callback::Channel(channel));
        }
    }
}

/// What a connection's task is made of.
pub(super) struct Start {
    pub(super) config: Arc<WebRtcConfig>,
    pub(super) shared: Arc<Shared>,
    pub(super) reporter: Reporter,
    pub(super) ops: mpsc::UnboundedReceiver<ConnectionOp>,
    pub(super) messages: mpsc::UnboundedReceiver<Bytes>,
    /// The interceptors, if it may carry RTP.
    pub(super) registry: Option<Registry>,
}

/// Lives as long as the connection; its last words are `Closed`, unless it was
/// told to close.
pub(super) async fn run(start: Start) {
    let Start { config, shared, reporter, mut ops, messages, registry } = start;
    let (callbacks, mut called_back) = mpsc::unbounded_channel();
    let (found, channel) = oneshot::channel();
    let carrier = Carrier {
        shared: Arc::clone(&shared),
        reporter: reporter.clone(),
        channel,
        messages,
        callbacks: callbacks.clone(),
    };
    let connection = match build(&config, &shared, callbacks, carrier, registry).await {
        Ok(connection) => connection,
        Err(error) => {
            let reason = format!("no connection could be made at {}: {error}", config.bind);
            reporter.report(ConnectionEvent::Closed { reason }).await;
            return;
        }
    };
    let mut connected = Connected {
        negotiation: Negotiation::new(
            Arc::clone(&connection),
            Arc::clone(&shared),
            config.local_peer,
        ),
        shared: Arc::clone(&shared),
        reporter: reporter.clone(),
        found: Some(found),
        path_up: true,
    };

    let reason = loop {
        let ended = tokio::select! {
            op = ops.recv() => match op {
                None | Some(ConnectionOp::Close) => break None,
                Some(op) => connected.apply(op).await,
            },
            Some(callback) = called_back.recv() => connected.called_back(callback).await,
        };
        if let Err(reason) = ended {
            break Some(reason);
        }
    };

    shared.set_closed();
    if reason.is_none() {
        // Who closes has let go of the queue: it is drained when its last message, a
        // goodbye mostly, is with the other end.
        let drained = async {
            while !matches!(called_back.recv().await, Some(Callback::Drained | Callback::Ended)) {}
        };
        let patience = LAST_WORDS.min(config.close_timeout);
        if connected.found.is_none() && tokio::time::timeout(patience, drained).await.is_err() {
            debug!(peer = %reporter.peer, "the last messages were not acknowledged");
        }
    }
    if tokio::time::timeout(config.close_timeout, connection.close()).await.is_err() {
        debug!(peer = %reporter.peer, "closing took too long: dropped");
    }
    if let Some(reason) = reason {
        reporter.report(ConnectionEvent::Closed { reason }).await;
    }
}

/// A connection that is not closed yet.
struct Connected {
    negotiation: Negotiation,
    shared: Arc<Shared>,
    reporter: Reporter,
    /// Taken by the one channel.
    found: Option<oneshot::Sender<Arc<dyn DataChannel>>>,
    /// What was last told of the path.
    path_up: bool,
}

impl Connected {
    /// The error is the reason to close.
    async fn apply(&mut self, op: ConnectionOp) -> Result<(), String> {
        let done = match op {
            ConnectionOp::Call => match self.negotiation.call().await {
                Ok(Some((channel, offer))) => {
                    self.carry(channel)?;
                    Ok(Some(offer))
                }
                done => done.map(|_| None),
            },
            ConnectionOp::Remote(Signal::Answer { sdp }) => {
                self.negotiation.answer(sdp).await.map(|()| None)
            }
            ConnectionOp::Remote(Signal::Candidate { candidate, mid, mline_index, ufrag }) => {
                let candidate = RTCIceCandidateInit {
                    candidate,
                    sdp_mid: Some(mid),
                    sdp_mline_index: Some(mline_index),
                    username_fragment: (!ufrag.is_empty()).then_some(ufrag),
                    ..RTCIceCandidateInit::default()
                };
                self.negotiation.candidate(candidate).await;
                Ok(None)
            }
            ConnectionOp::Remote(Signal::Offer { sdp }) => self.negotiation.offer(sdp).await,
            ConnectionOp::RestartIce => self.negotiation.restart().await,
            ConnectionOp::Rollback => {
                self.negotiation.roll_back();
                Ok(None)
            }
            _ => Ok(None),
        };
        if let Some(signal) = done.map_err(|error| format!("the engine refused: {error}"))? {
            self.reporter.report(ConnectionEvent::Local(signal)).await;
        }
        Ok(())
    }

    /// The error is the reason to close.
    async fn called_back(&mut self, callback: Callback) -> Result<(), String> {
        match callback {
            Callback::Candidate(candidate) => {
                let signal = self.negotiation.local_candidate(candidate);
                self.reporter.report(ConnectionEvent::Local(signal)).await;
            }
            Callback::Channel(channel) => self.carry(channel)?,
            Callback::Drained => {}
            Callback::Ended => return Err("the channel was closed".to_owned()),
            Callback::Path { anew, up } => {
                if self.shared.told_open() && (anew || up != self.path_up) {
                    self.path_up = up;
                    self.reporter.report(ConnectionEvent::Path { up }).await;
                }
            }
            Callback::State(state) => {
                debug!(peer = %self.reporter.peer, %state, "connection state");
                match state {
                    RTCPeerConnectionState::Closed => return Err("it was closed".to_owned()),
                    // A path that is lost may be found again by a restart, and whoever
                    // owns the connection says when to give up. One that never was will
                    // not be found.
                    RTCPeerConnectionState::Failed if !self.shared.told_open() => {
                        return Err("the peer cannot be reached".to_owned());
                    }
                    _ => {}
                }
            }
        }
        Ok(())
    }

    fn carry(&mut self, channel: Arc<dyn DataChannel>) -> Result<(), String> {
        match self.found.take() {
            // If nobody takes it, the engine has stopped, and says so.
            Some(found) => {
                drop(found.send(channel));
                Ok(())
            }
            // The engine would keep what comes on it, without a bound.
            None => Err("the peer opened a second channel".to_owned()),
        }
    }
}

async fn build(
    config: &WebRtcConfig,
    shared: &Arc<Shared>,
    callbacks: mpsc::UnboundedSender<Callback>,
    carrier: Carrier,
    registry: Option<Registry>,
) -> Result<Arc<dyn PeerConnection>, Error> {
    let servers = (!config.ice_servers.is_empty())
        .then(|| RTCIceServer { urls: config.ice_servers.clone(), ..RTCIceServer::default() });
    let max_message = u32::try_from(config.max_message).unwrap_or(u32::MAX);
    let mut settings = SettingEngineBuilder::new()
        // An mDNS socket joins a multicast group, which fails where there is only
        // a loopback interface.
        .with_multicast_dns_mode(rtc::ice::mdns::MulticastDnsMode::Disabled)
        // A check that overtakes the candidate it comes from makes that candidate
        // peer-reflexive, and ICE would wait a second for something better before
        // it nominates it: seen in 18 of 300 connections on loopback, 0 without.
        .with_prflx_acceptance_min_wait(Some(Duration::ZERO))
        .with_include_loopback_candidate(config.bind.is_loopback())
        .with_ice_timeouts(Some(DISCONNECTED), Some(FAILED), Some(KEEPALIVE))
        .with_sctp_max_message_size(SctpMaxMessageSize::Bounded(max_message));
    if registry.is_some() {
        settings = settings
            .with_srtp_replay_protection_window(REPLAY_WINDOW)
            // A packet that is sent again has another transport-wide number, in a header that
            // is authenticated. With an AEAD that would be one nonce for two messages, which
            // gives its key away (RFC 7714 §8.1).
            .with_srtp_protection_profiles(vec![
                SrtpProtectionProfile::Srtp_Aes128_Cm_Hmac_Sha1_80,
            ]);
    }
    let handler = Handler { callbacks, shared: Arc::clone(shared), channels: AtomicUsize::new(0) };
    // No limit of the engine's own: `try_send` has one, and the engine's would wake
    // whoever might wait for it each time around.
    let mut builder = PeerConnectionBuilder::new();
    if let Some(registry) = registry {
        builder = builder.with_media_engine(media::engine()?).with_interceptor_registry(registry);
    }
    let connection = builder
        .with_configuration(
            RTCConfigurationBuilder::new().with_ice_servers(Vec::from_iter(servers)).build(),
        )
        .with_setting_engine(settings.build())
        .with_runtime(Arc::new(Tuned::new(Arc::clone(shared), config.receive_buffer, carrier)))
        .with_handler(Arc::new(handler))
        .with_udp_addrs(vec![(config.bind, 0)])
        .build()
        .await?;
    Ok(Arc::new(connection))
}

/// Nothing heard for this long, and the path is down. The other end is asked each
/// [`KEEPALIVE`]: two answers are missing by then, and a third is due.
const DISCONNECTED: Duration = Duration::from_millis(2_500);

/// And for this long after it, and ICE gives up: together 30 s, when consent to send has
/// expired (RFC 7675 §5.1). Whoever restarts or closes does so long before.
const FAILED: Duration = Duration::from_millis(27_500);

/// How often the other end is asked whether it is there. Half of what RFC 7675 §5.1
/// suggests would not tell within [`DISCONNECTED`].
const KEEPALIVE: Duration = Duration::from_secs(1);

/// How long the last messages may take to the other end: two round trips of a slow
/// path, and little beside the second that closing may take.
const LAST_WORDS: Duration = Duration::from_millis(400);

/// Packets of a stream over which one may be late and is still let in (RFC 3711 §3.3.2). The
/// engine's 64 would shut out what is sent again a round trip later: at 10 Mbit/s that is 64 ms.
const REPLAY_WINDOW: usize = 8_192;
