//! The `webrtc` crate with as little around it as goes: a connection per viewer at the
//! host, a task for each, and a loop that hands each of them the message.

use std::sync::{Arc, Mutex};
use std::time::Instant;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use tokio::sync::mpsc::unbounded_channel;
use webrtc::data_channel::{DataChannel, DataChannelEvent};
use webrtc::error::Error;

use super::engine::{End, Manner};
use super::{Fan, Gate, Joined, Losses, OPEN, Scene, Step, sleep_until};

/// What an engine may hold unacknowledged for one viewer, where it has a limit.
const LIMIT: usize = 1 << 20;

type Channels = Arc<Mutex<Vec<Option<Arc<dyn DataChannel>>>>>;

pub(super) async fn join(
    scene: &Scene,
    tuned: bool,
    batch: Option<usize>,
) -> Result<Joined, String> {
    let manner = Manner { tuned, batch, limit: (tuned || scene.bulk).then_some(LIMIT) };
    let mut gate = Gate::new(scene.viewers, OPEN.len());
    let channels: Channels = Arc::new(Mutex::new(vec![None; scene.viewers]));
    let failed = Arc::new(Mutex::new(None));
    for viewer in 0..scene.viewers {
        let (to_host, from_viewer) = unbounded_channel();
        let (to_viewer, from_host) = unbounded_channel();
        let (teller, recorder) = (gate.teller(), Arc::clone(&scene.recorder));
        let there = End {
            manner,
            calls: true,
            inbox: from_host,
            outbox: to_host,
            on_event: move |_: &Arc<dyn DataChannel>, event| match event {
                DataChannelEvent::OnOpen => teller.tell(viewer, Step::ViewerOpen),
                DataChannelEvent::OnMessage(message) => recorder.take(viewer, &message.data),
                _ => {}
            },
        };
        let (teller, channels) = (gate.teller(), Arc::clone(&channels));
        let here = End {
            manner,
            calls: false,
            inbox: from_viewer,
            outbox: to_viewer,
            on_event: move |channel: &Arc<dyn DataChannel>, event| {
                if matches!(event, DataChannelEvent::OnOpen) {
                    if let Ok(mut channels) = channels.lock() {
                        channels[viewer] = Some(Arc::clone(channel));
                    }
                    teller.tell(viewer, Step::HostOpen);
                }
            },
        };
        scene.places.of(viewer).spawn(note(there.run(), Arc::clone(&failed)));
        tokio::spawn(note(here.run(), Arc::clone(&failed)));
    }
    gate.wait().await;
    let open_ms = gate.times(OPEN);
    if let Some(error) = failed.lock().ok().and_then(|mut failed| failed.take())
        && open_ms.is_empty()
    {
        return Err(format!("no connection could be made: {error}"));
    }
    let channels = channels.lock().map_err(|_| "a task has panicked")?.clone();
    let fan = Box::new(Bare { channels, losses: Losses::default() });
    Ok(Joined { fan, open_ms, hello_ms: Vec::new() })
}

/// Keeps the first error of all ends.
async fn note(end: impl Future<Output = Result<(), Error>>, failed: Arc<Mutex<Option<Error>>>) {
    if let (Err(error), Ok(mut failed)) = (end.await, failed.lock()) {
        failed.get_or_insert(error);
    }
}

struct Bare {
    channels: Vec<Option<Arc<dyn DataChannel>>>,
    losses: Losses,
}

#[async_trait]
impl Fan for Bare {
    async fn send(&mut self, message: &Bytes) {
        for channel in self.channels.iter().flatten() {
            // The engine wants to own what it sends.
            if channel.try_send(BytesMut::from(&message[..])).await.is_err() {
                self.losses.refused += 1;
            }
        }
    }

    async fn run_until(&mut self, until: Instant) {
        sleep_until(until).await;
    }

    async fn flood(&mut self, message: &Bytes, until: Instant) {
        let Some(channel) = self.channels.iter().flatten().next() else { return };
        while Instant::now() < until {
            // Waits while the limit is reached.
            let sent = channel.send(BytesMut::from(&message[..]));
            if !matches!(tokio::time::timeout_at(until.into(), sent).await, Ok(Ok(()))) {
                return;
            }
        }
    }

    async fn held(&mut self) -> Vec<usize> {
        let mut held = Vec::new();
        for channel in &self.channels {
            held.push(match channel {
                Some(channel) => channel.outstanding_bytes().await.unwrap_or(0),
                None => 0,
            });
        }
        held
    }

    fn losses(&self) -> Losses {
        self.losses
    }
}
