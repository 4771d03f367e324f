//! One end of a connection of the bare `webrtc` crate.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use rtc::ice::mdns::MulticastDnsMode;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use webrtc::data_channel::{DataChannel, DataChannelEvent};
use webrtc::error::Error;
use webrtc::peer_connection::{
    PeerConnection, PeerConnectionBuilder, PeerConnectionEventHandler, RTCIceCandidateInit,
    RTCPeerConnectionIceEvent, RTCSessionDescription, SettingEngineBuilder,
};

use super::tuned::Tuned;

/// What one end tells the other.
pub(super) enum Said {
    Answer(RTCSessionDescription),
    Candidate(RTCIceCandidateInit),
    Offer(RTCSessionDescription),
}

/// What the engine calls back with.
enum Callback {
    Candidate(RTCIceCandidateInit),
    Channel(Arc<dyn DataChannel>),
}

struct Handler(UnboundedSender<Callback>);

#[async_trait]
impl PeerConnectionEventHandler for Handler {
    async fn on_ice_candidate(&self, event: RTCPeerConnectionIceEvent) {
        if let Ok(candidate) = event.candidate.to_json() {
            let _ = self.0.send(Callback::Candidate(candidate));
        }
    }

    async fn on_data_channel(&self, channel: Arc<dyn DataChannel>) {
        let _ = self.0.send(Callback::Channel(channel));
    }
}

/// How the engine is made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Manner {
    pub(super) tuned: bool,
    /// Datagrams in one send at most, if it is tuned.
    pub(super) batch: Option<usize>,
    pub(super) limit: Option<usize>,
}

/// One end: where its signals go and come from, and who handles its channel.
pub(super) struct End<F> {
    pub(super) manner: Manner,
    pub(super) calls: bool,
    pub(super) inbox: UnboundedReceiver<Said>,
    pub(super) outbox: UnboundedSender<Said>,
    /// Called with each event of the channel, on a task of the channel's.
    pub(super) on_event: F,
}

impl<F> End<F>
where
    F: FnMut(&Arc<dyn DataChannel>, DataChannelEvent) + Send + 'static,
{
    /// Works until the process ends.
    pub(super) async fn run(self) -> Result<(), Error> {
        let Self { manner, calls, mut inbox, outbox, on_event } = self;
        let (callbacks, mut called_back) = unbounded_channel();
        let open = Arc::new(AtomicBool::new(false));
        let connection = build(manner, &open, callbacks).await?;
        let mut on_event = Some(on_event);
        let mut carry = |channel: Arc<dyn DataChannel>| {
            if let Some(on_event) = on_event.take() {
                tokio::spawn(read(channel, Arc::clone(&open), on_event));
            }
        };
        // If the other end has failed, that is told there.
        let tell = |said| drop(outbox.send(said));
        if calls {
            carry(connection.create_data_channel("fanout", None).await?);
            let offer = connection.create_offer(None).await?;
            connection.set_local_description(offer.clone()).await?;
            tell(Said::Offer(offer));
        }
        loop {
            tokio::select! {
                Some(said) = inbox.recv() => match said {
                    Said::Answer(answer) => connection.set_remote_description(answer).await?,
                    Said::Candidate(candidate) => connection.add_ice_candidate(candidate).await?,
                    Said::Offer(offer) => {
                        connection.set_remote_description(offer).await?;
                        let answer = connection.create_answer(None).await?;
                        connection.set_local_description(answer.clone()).await?;
                        tell(Said::Answer(answer));
                    }
                },
                Some(callback) = called_back.recv() => match callback {
                    Callback::Candidate(candidate) => tell(Said::Candidate(candidate)),
                    Callback::Channel(channel) => carry(channel),
                },
                else => return Ok(()),
            }
        }
    }
}

async fn build(
    manner: Manner,
    open: &Arc<AtomicBool>,
    callbacks: UnboundedSender<Callback>,
) -> Result<impl PeerConnection, Error> {
    let mut settings = SettingEngineBuilder::new();
    if manner.tuned {
        settings = settings
            .with_multicast_dns_mode(MulticastDnsMode::Disabled)
            .with_prflx_acceptance_min_wait(Some(Duration::ZERO))
            .with_include_loopback_candidate(true);
    }
    let mut builder = PeerConnectionBuilder::new()
        .with_handler(Arc::new(Handler(callbacks)))
        .with_udp_addrs(vec![("127.0.0.1", 0)])
        .with_setting_engine(settings.build());
    if manner.tuned {
        let runtime = Tuned { open: Arc::clone(open), batch: manner.batch };
        builder = builder.with_runtime(Arc::new(runtime));
    }
    if let Some(limit) = manner.limit {
        builder = builder.with_data_channel_send_buffer_limit(limit);
    }
    builder.build().await
}

async fn read<F>(channel: Arc<dyn DataChannel>, open: Arc<AtomicBool>, mut on_event: F)
where
    F: FnMut(&Arc<dyn DataChannel>, DataChannelEvent),
{
    while let Some(event) = channel.poll().await {
        if matches!(event, DataChannelEvent::OnOpen) {
            open.store(true, Ordering::Release);
        }
        on_event(&channel, event);
    }
}
