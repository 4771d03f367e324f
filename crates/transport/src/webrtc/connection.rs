//! One connection: a task that owns the engine's objects.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use paceline_types::{ConnectionEvent, ConnectionOp, PeerId, Signal};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tracing::debug;
use webrtc::data_channel::{DataChannel, DataChannelEvent};
use webrtc::error::Error;
use webrtc::peer_connection::{
    PeerConnection, PeerConnectionBuilder, PeerConnectionEventHandler, RTCConfigurationBuilder,
    RTCIceCandidateInit, RTCIceServer, RTCPeerConnectionIceEvent, RTCPeerConnectionState,
    RTCSessionDescription, SettingEngineBuilder,
};

use super::runtime::Tuned;
use super::{Shared, Tagged, WebRtcConfig};

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
    async fn report(&self, event: ConnectionEvent) {
        let Self { peer, generation, .. } = *self;
        let _ = self.queue.send(Tagged { peer, generation, event }).await;
    }
}

/// What the engine calls back with. Handlers run on the engine's own task: they
/// hand over and return, and hold nothing of the engine's.
struct Handler(mpsc::UnboundedSender<Callback>);

enum Callback {
    Candidate(RTCIceCandidateInit),
    Channel(Arc<dyn DataChannel>),
    State(RTCPeerConnectionState),
}

#[async_trait]
impl PeerConnectionEventHandler for Handler {
    async fn on_ice_candidate(&self, event: RTCPeerConnectionIceEvent) {
        match event.candidate.to_json() {
            Ok(candidate) => drop(self.0.send(Callback::Candidate(candidate))),
            Err(error) => debug!(%error, "a local candidate cannot be written"),
        }
    }

    async fn on_connection_state_change(&self, state: RTCPeerConnectionState) {
        let _ = self.0.send(Callback::State(state));
    }

    async fn on_data_channel(&self, channel: Arc<dyn DataChannel>) {
        let _ = self.0.send(Callback::Channel(channel));
    }
}

/// Lives as long as the connection; its last words are `Closed`, unless it was
/// told to close.
pub(super) async fn run(
    config: Arc<WebRtcConfig>,
    shared: Arc<Shared>,
    reporter: Reporter,
    mut ops: mpsc::UnboundedReceiver<ConnectionOp>,
    messages: mpsc::UnboundedReceiver<Bytes>,
) {
    let (callbacks, mut called_back) = mpsc::unbounded_channel();
    let connection = match build(&config, &shared, callbacks).await {
        Ok(connection) => connection,
        Err(error) => {
            let reason = format!("no connection could be made at {}: {error}", config.bind);
            reporter.report(ConnectionEvent::Closed { reason }).await;
            return;
        }
    };
    let mut channel =
        Channel { messages: Some(messages), receiving: JoinSet::new(), sending: JoinSet::new() };

    let reason = loop {
        let result = tokio::select! {
            op = ops.recv() => match op {
                None | Some(ConnectionOp::Close) => break None,
                Some(op) => apply(&*connection, op, &shared, &reporter, &mut channel).await,
            },
            Some(callback) = called_back.recv() => match callback {
                Callback::Candidate(candidate) => {
                    reporter.report(ConnectionEvent::Local(candidate_signal(candidate))).await;
                    Ok(())
                }
                Callback::Channel(found) => {
                    if !channel.carry(found, &shared, &reporter) {
                        // The engine would keep what comes on it, without a bound.
                        break Some("the peer opened a second channel".to_owned());
                    }
                    Ok(())
                }
                Callback::State(RTCPeerConnectionState::Failed) => {
                    break Some("the peer cannot be reached any more".to_owned());
                }
                Callback::State(state) => {
                    debug!(peer = %reporter.peer, %state, "connection state");
                    Ok(())
                }
            },
            Some(_) = channel.receiving.join_next() => {
                break Some("the channel was closed".to_owned());
            }
            Some(_) = channel.sending.join_next() => {
                break Some("the channel takes no messages any more".to_owned());
            }
        };
        if let Err(error) = result {
            break Some(format!("the engine refused: {error}"));
        }
    };

    shared.open.store(false, Ordering::Release);
    if reason.is_none() {
        // Who closes has let go of the queue: it ends when its last message, a
        // goodbye mostly, is with the engine.
        let last_words = async { while channel.sending.join_next().await.is_some() {} };
        if tokio::time::timeout(LAST_WORDS, last_words).await.is_err() {
            debug!(peer = %reporter.peer, "the last messages were not sent");
        }
    }
    channel.sending.abort_all();
    channel.receiving.abort_all();
    if tokio::time::timeout(config.close_timeout, connection.close()).await.is_err() {
        debug!(peer = %reporter.peer, "closing took too long: dropped");
    }
    if let Some(reason) = reason {
        reporter.report(ConnectionEvent::Closed { reason }).await;
    }
}

async fn build(
    config: &WebRtcConfig,
    shared: &Arc<Shared>,
    callbacks: mpsc::UnboundedSender<Callback>,
) -> Result<Box<dyn PeerConnection>, Error> {
    let servers = (!config.ice_servers.is_empty())
        .then(|| RTCIceServer { urls: config.ice_servers.clone(), ..RTCIceServer::default() });
    let settings = SettingEngineBuilder::new()
        // An mDNS socket joins a multicast group, which fails where there is only
        // a loopback interface.
        .with_multicast_dns_mode(rtc::ice::mdns::MulticastDnsMode::Disabled)
        // A check that overtakes the candidate it comes from makes that candidate
        // peer-reflexive, and ICE would wait a second for something better before
        // it nominates it: seen in 18 of 300 connections on loopback, 0 without.
        .with_prflx_acceptance_min_wait(Some(Duration::ZERO))
        .with_include_loopback_candidate(config.bind.is_loopback());
    let connection = PeerConnectionBuilder::new()
        .with_configuration(
            RTCConfigurationBuilder::new().with_ice_servers(Vec::from_iter(servers)).build(),
        )
        .with_setting_engine(settings.build())
        .with_runtime(Arc::new(Tuned {
            shared: Arc::clone(shared),
            receive_buffer: config.receive_buffer,
        }))
        .with_handler(Arc::new(Handler(callbacks)))
        .with_udp_addrs(vec![(config.bind, 0)])
        .with_data_channel_send_buffer_limit(config.max_outstanding)
        .build()
        .await?;
    Ok(Box::new(connection))
}

async fn apply(
    connection: &dyn PeerConnection,
    op: ConnectionOp,
    shared: &Arc<Shared>,
    reporter: &Reporter,
    channel: &mut Channel,
) -> Result<(), Error> {
    match op {
        ConnectionOp::Call => {
            let made = connection.create_data_channel(LABEL, None).await?;
            // A connection calls once, and its first channel has its place.
            let _ = channel.carry(made, shared, reporter);
            let offer = connection.create_offer(None).await?;
            connection.set_local_description(offer.clone()).await?;
            let signal = Signal::Offer { sdp: offer.sdp };
            reporter.report(ConnectionEvent::Local(signal)).await;
        }
        ConnectionOp::Remote(Signal::Offer { sdp }) => {
            connection.set_remote_description(RTCSessionDescription::offer(sdp)?).await?;
            let answer = connection.create_answer(None).await?;
            connection.set_local_description(answer.clone()).await?;
            let signal = Signal::Answer { sdp: answer.sdp };
            reporter.report(ConnectionEvent::Local(signal)).await;
        }
        ConnectionOp::Remote(Signal::Answer { sdp }) => {
            connection.set_remote_description(RTCSessionDescription::answer(sdp)?).await?;
        }
        ConnectionOp::Remote(Signal::Candidate { candidate, mid, mline_index, ufrag }) => {
            let candidate = RTCIceCandidateInit {
                candidate,
                sdp_mid: Some(mid),
                sdp_mline_index: Some(mline_index),
                username_fragment: (!ufrag.is_empty()).then_some(ufrag),
                ..RTCIceCandidateInit::default()
            };
            // One candidate that is of no use does not end a connection.
            if let Err(error) = connection.add_ice_candidate(candidate).await {
                debug!(peer = %reporter.peer, %error, "a remote candidate is of no use");
            }
        }
        _ => {}
    }
    Ok(())
}

fn candidate_signal(candidate: RTCIceCandidateInit) -> Signal {
    Signal::Candidate {
        candidate: candidate.candidate,
        mid: candidate.sdp_mid.unwrap_or_default(),
        mline_index: candidate.sdp_mline_index.unwrap_or_default(),
        ufrag: candidate.username_fragment.unwrap_or_default(),
    }
}

/// The one channel of a connection, and the two tasks that work it.
struct Channel {
    /// Taken by the sending task.
    messages: Option<mpsc::UnboundedReceiver<Bytes>>,
    receiving: JoinSet<()>,
    sending: JoinSet<()>,
}

impl Channel {
    /// Starts to carry messages; `false` if there is a channel already.
    fn carry(
        &mut self,
        channel: Arc<dyn DataChannel>,
        shared: &Arc<Shared>,
        reporter: &Reporter,
    ) -> bool {
        let Some(messages) = self.messages.take() else { return false };
        let (opened, open) = tokio::sync::oneshot::channel();
        let (shared, reporter) = (Arc::clone(shared), reporter.clone());
        self.receiving.spawn(receive(
            Arc::clone(&channel),
            opened,
            Arc::clone(&shared),
            reporter.clone(),
        ));
        self.sending.spawn(send(channel, open, messages, shared, reporter));
        true
    }
}

async fn receive(
    channel: Arc<dyn DataChannel>,
    opened: tokio::sync::oneshot::Sender<()>,
    shared: Arc<Shared>,
    reporter: Reporter,
) {
    let mut opened = Some(opened);
    while let Some(event) = channel.poll().await {
        match event {
            DataChannelEvent::OnOpen => {
                shared.open.store(true, Ordering::Release);
                reporter.report(ConnectionEvent::Open).await;
                if let Some(opened) = opened.take() {
                    let _ = opened.send(());
                }
            }
            DataChannelEvent::OnMessage(message) => {
                reporter.report(ConnectionEvent::Message(message.data.freeze())).await;
            }
            DataChannelEvent::OnClose => break,
            _ => {}
        }
    }
}

async fn send(
    channel: Arc<dyn DataChannel>,
    open: tokio::sync::oneshot::Receiver<()>,
    mut messages: mpsc::UnboundedReceiver<Bytes>,
    shared: Arc<Shared>,
    reporter: Reporter,
) {
    if open.await.is_err() {
        return;
    }
    while let Some(message) = messages.recv().await {
        let len = message.len();
        // The engine wants to own what it sends; a message of our own is shared
        // by every peer's queue, so this is the one copy per peer.
        let message = message.try_into_mut().unwrap_or_else(|shared| BytesMut::from(&shared[..]));
        if let Err(error) = channel.send(message).await {
            debug!(peer = %reporter.peer, %error, "the channel takes no more");
            return;
        }
        shared.outstanding.fetch_sub(len, Ordering::AcqRel);
        reporter.report(ConnectionEvent::Acked(len)).await;
    }
}

/// How long the last messages may take to the engine: ten round trips of a usual
/// path, and little beside the second that closing may take.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// The label of the one channel.
const LABEL: &str = "paceline";
