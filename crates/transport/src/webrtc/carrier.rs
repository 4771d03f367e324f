//! What carries messages and acknowledgements of one connection.
//!
//! It is not a task: it is polled in the engine's own, each time around the engine. So a
//! message costs one wake-up on its way out and none on its way in beyond those of
//! the socket and of who reads it, and the engine's lock has no second taker.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use bytes::{Bytes, BytesMut};
use paceline_types::ConnectionEvent;
use tokio::sync::{mpsc, oneshot};
use tracing::debug;
use webrtc::data_channel::{DataChannel, DataChannelEvent};
use webrtc::error::Error;

use super::connection::{Callback, Reporter};
use super::shared::Shared;

/// The work of carrying, before there is a channel.
pub(super) struct Carrier {
    pub(super) shared: Arc<Shared>,
    pub(super) reporter: Reporter,
    /// The channel, when there is one.
    pub(super) channel: oneshot::Receiver<Arc<dyn DataChannel>>,
    pub(super) messages: mpsc::UnboundedReceiver<Bytes>,
    pub(super) callbacks: mpsc::UnboundedSender<Callback>,
}

impl Carrier {
    /// Until the channel is closed. Says so, also if it is dropped.
    pub(super) async fn run(self) {
        let Self { shared, reporter, channel, messages, callbacks } = self;
        let ended = Ended(callbacks);
        let Ok(channel) = channel.await else { return };
        let (opened, open) = oneshot::channel();
        let sender = Sender { channel: &*channel, shared: &shared, reporter: &reporter, held: 0 };
        tokio::select! {
            () = receive(&*channel, opened, &shared, &reporter) => {}
            result = sender.run(open, messages, &ended.0) => if let Err(error) = result {
                debug!(peer = %reporter.peer, %error, "the channel takes no more");
            }
        }
    }
}

/// Tells at its end that it ended, whatever the reason.
struct Ended(mpsc::UnboundedSender<Callback>);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.send(Callback::Ended);
    }
}

async fn receive(
    channel: &dyn DataChannel,
    opened: oneshot::Sender<()>,
    shared: &Shared,
    reporter: &Reporter,
) {
    let mut opened = Some(opened);
    while let Some(event) = channel.poll().await {
        match event {
            DataChannelEvent::OnOpen => {
                shared.set_open();
                reporter.report(ConnectionEvent::Open).await;
                shared.set_told_open();
                if let Some(opened) = opened.take() {
                    let _ = opened.send(());
                }
            }
            DataChannelEvent::OnMessage(message) => {
                reporter.report(ConnectionEvent::Message(message.data.freeze())).await;
            }
            DataChannelEvent::OnClose => return,
            _ => {}
        }
    }
}

/// The way out, and the acknowledgements that come back.
struct Sender<'a> {
    channel: &'a dyn DataChannel,
    shared: &'a Shared,
    reporter: &'a Reporter,
    /// Bytes that the engine had, unacknowledged, when it was last asked.
    held: usize,
}

/// What there is to do for a [`Sender`].
enum Work {
    /// There may be an acknowledgement.
    Look,
    /// Messages are in the batch.
    Send,
    /// No message will come any more.
    Finish,
}

impl Sender<'_> {
    async fn run(
        mut self,
        open: oneshot::Receiver<()>,
        mut messages: mpsc::UnboundedReceiver<Bytes>,
        callbacks: &mpsc::UnboundedSender<Callback>,
    ) -> Result<(), Error> {
        if open.await.is_err() {
            return Ok(());
        }
        let mut batch = Vec::new();
        let mut finished = false;
        loop {
            match self.work(&mut messages, &mut batch, finished).await {
                Work::Finish => finished = true,
                Work::Look => self.look().await?,
                Work::Send => {
                    for message in batch.drain(..) {
                        self.send(message).await?;
                    }
                }
            }
            if finished && self.held == 0 {
                let _ = callbacks.send(Callback::Drained);
                return std::future::pending().await;
            }
        }
    }

    /// Waits for work. Nobody wakes it for an arrival or for the end of a hold, and
    /// nobody has to: both happen in this very task, before this is polled.
    async fn work(
        &self,
        messages: &mut mpsc::UnboundedReceiver<Bytes>,
        batch: &mut Vec<Bytes>,
        finished: bool,
    ) -> Work {
        poll_fn(|cx| {
            if self.held > 0 && self.shared.take_arrived() {
                return Poll::Ready(Work::Look);
            }
            if finished || self.shared.is_held() {
                return Poll::Pending;
            }
            messages.poll_recv_many(cx, batch, BATCH).map(|count| match count {
                0 => Work::Finish,
                _ => Work::Send,
            })
        })
        .await
    }

    async fn send(&mut self, message: Bytes) -> Result<(), Error> {
        let len = message.len();
        // The engine wants to own what it sends; a message of our own is shared
        // by every peer's queue, so this is the one copy per peer.
        let message = message.try_into_mut().unwrap_or_else(|shared| BytesMut::from(&shared[..]));
        self.channel.send(message).await?;
        self.held += len;
        Ok(())
    }

    async fn look(&mut self) -> Result<(), Error> {
        let held = self.channel.outstanding_bytes().await?.min(self.held);
        let acked = self.held - held;
        self.held = held;
        if acked > 0 && self.shared.acknowledge(acked) {
            // How many they are is filled in when it is read: all until then.
            self.reporter.report(ConnectionEvent::Acked(0)).await;
        }
        Ok(())
    }
}

/// Messages taken at once: enough for what a paced sender hands over in one turn.
const BATCH: usize = 32;
