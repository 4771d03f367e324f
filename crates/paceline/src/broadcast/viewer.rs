//! Who receives.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use paceline_signaling::Capabilities;
use paceline_types::{EncodedFrame, PeerId, StreamId};
use tokio::sync::{Notify, oneshot, watch};

use super::mailbox::Mailbox;
use super::{BroadcastConfig, Running, start};
use crate::counters::Stats;
use crate::driver::clock;
use crate::error::JoinError;
use crate::event::{Event, Events};
use crate::room::enter;
use crate::wire::{Frames, Read, ToDriver, ToStage};

/// What a viewer gets.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ViewerEvent {
    /// The broadcast is over for us; nothing follows. The publisher has left, or has given us
    /// up because we took too little: then what was sent is not whole for us any more, and
    /// the program may join again, as somebody new.
    Closed {
        /// Why, and what to do if that may help.
        reason: String,
    },
    /// A frame is due: its jitter buffer lets it go. It is encoded.
    Frame(EncodedFrame),
    /// Nothing comes for now. Either the path is lost and another is looked for: what is sent
    /// meanwhile waits at the publisher, within its bounds. Or the connection is down, and is
    /// being made again: what is sent meanwhile is missed. Both may be told one after the
    /// other.
    Interrupted {
        /// Why.
        reason: String,
    },
    /// Frames are missing where some are due.
    Lost {
        /// Of which stream.
        stream: StreamId,
        /// How many.
        count: u64,
    },
    /// What the publisher sent.
    Message {
        /// As the publisher gave it.
        channel: u16,
        /// As the publisher gave them.
        data: Bytes,
    },
    /// There is a path again, or a new connection.
    Reconnected,
    /// Something went wrong and the broadcast goes on.
    Warning(String),
}

/// A place among the viewers of a broadcast. Dropping it leaves; [`leave`](Self::leave)
/// does so too and waits until the publisher has been told.
///
/// A viewer that does not take what comes holds nobody else up:
///
/// * Messages: 256 KiB of them wait here, whatever [`BroadcastConfig::receive_queue`] is.
///   Then the publisher sends no more of them, and keeps them for this viewer. When it keeps
///   256 KiB, or one of them for 4 s, it gives the viewer up and tells it so: after what
///   waits here comes [`Closed`](ViewerEvent::Closed), and no other connection is made,
///   because messages are missing. The program may join again.
/// * Frames: when the queue of [`BroadcastConfig::receive_queue`] bytes is full, nothing more
///   is read from the network. When SCTP's window is full too, pictures wait at the
///   publisher, which sheds those that are late. If it lasts for five seconds, the publisher
///   gives the connection up. If that cannot be told, the viewer finds it broken
///   when it takes again, makes another, and says so by
///   [`Interrupted`](ViewerEvent::Interrupted) and [`Reconnected`](ViewerEvent::Reconnected).
///
/// ```no_run
/// use paceline::{Viewer, ViewerEvent};
///
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let mut viewer = Viewer::builder("ws://127.0.0.1:4455/stage").join().await?;
/// while let Some(event) = viewer.next().await {
///     if let ViewerEvent::Message { data, .. } = event {
///         println!("{} bytes", data.len());
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Viewer {
    peer: PeerId,
    inbox: Inbox,
    running: Running,
}

/// How to join. Made by [`Viewer::builder`].
#[derive(Debug)]
pub struct ViewerBuilder {
    url: String,
    name: String,
    config: BroadcastConfig,
}

impl Viewer {
    /// Begins to join the broadcast at `ws://HOST:PORT/ROOM`.
    #[must_use]
    pub fn builder(url: impl Into<String>) -> ViewerBuilder {
        let (name, config) = ("viewer".to_owned(), BroadcastConfig::default());
        ViewerBuilder { url: url.into(), name, config }
    }

    /// Our id in this broadcast; another one at each join.
    #[must_use]
    pub fn peer(&self) -> PeerId {
        self.peer
    }

    /// Waits for what comes next; `None` once it is over. Cancel-safe.
    pub async fn next(&mut self) -> Option<ViewerEvent> {
        let Item { event, connection } = self.inbox.queue.next().await?;
        if let ViewerEvent::Message { data, .. } = &event {
            self.inbox.reading.handle_read(connection, data.len());
        }
        Some(event)
    }

    /// Says that our addresses are others than before, as a system tells of a new network:
    /// the connection looks for a path at once, and not only when nothing has come for a
    /// while. [`ViewerEvent::Interrupted`] and [`ViewerEvent::Reconnected`] tell how it goes.
    pub async fn network_changed(&self) {
        // What is over has no connection.
        let _ = self.running.driver.send(ToDriver::NetworkChanged).await;
    }

    /// Everything that can be told now; nothing once it is over.
    pub async fn stats(&self) -> Stats {
        let (reply, stats) = oneshot::channel();
        // Who is gone answers nothing.
        let _ = self.running.driver.send(ToDriver::Stats(reply)).await;
        stats.await.unwrap_or_default()
    }

    /// Leaves, and returns the final figures. Takes at most about two seconds.
    pub async fn leave(self) -> Stats {
        let (done, left) = oneshot::channel();
        let _ = self.running.driver.send(ToDriver::Leave(done)).await;
        left.await.unwrap_or_default()
    }
}

impl ViewerBuilder {
    /// What the publisher calls us. Defaults to `viewer`; at most 64 characters.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Every bound. Defaults to those of [`BroadcastConfig`].
    #[must_use]
    pub fn config(mut self, config: BroadcastConfig) -> Self {
        self.config = config;
        self
    }

    /// Joins, on the current tokio runtime: waits until the channel is open, so that
    /// what the publisher sends from then on comes.
    ///
    /// # Errors
    ///
    /// [`JoinError`], whose text is one line for a person.
    pub async fn join(self) -> Result<Viewer, JoinError> {
        let Self { url, name, config } = self;
        let began = clock();
        config.validate()?;
        let timeout = config.call().join_timeout;
        let entered = enter(&url, &name, Capabilities::default(), timeout).await?;
        let peer = entered.peer;
        let (step, mut steps) = watch::channel(Step::Alone);
        let queue = Mailbox::new(config.queue());
        let inbox = Inbox { queue, step, reading: Arc::default() };
        // What waits there too is not taken by the program.
        let transport = config.transport(peer).event_queue(TRANSPORT_QUEUE);
        let ends = (inbox.clone(), inbox.clone());
        let running = start(entered, transport, name, began, &config, ends.0, ends.1);

        let left = timeout.saturating_sub(clock() - began).max(LEAST_WAIT);
        let ready = |step: &Step| matches!(step, Step::Connected | Step::Over(_));
        // Where it stands then is what counts.
        let _ = tokio::time::timeout(left, steps.wait_for(ready)).await.is_ok();
        let step = steps.borrow().clone();
        match step {
            Step::Connected => Ok(Viewer { peer, inbox, running }),
            Step::Alone => Err(JoinError::NobodyPublishes { url, timeout }),
            Step::Called => {
                let reason = format!("it did not answer within {timeout:?}");
                Err(JoinError::NotTaken { url, reason })
            }
            Step::Over(reason) => Err(JoinError::NotTaken { url, reason }),
        }
    }
}

/// How far joining has come.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Step {
    /// Nobody publishes.
    Alone,
    /// Somebody does.
    Called,
    Connected,
    Over(String),
}

/// What waits for the program.
#[derive(Debug)]
struct Item {
    event: ViewerEvent,
    /// By which of the connections, counted from 0, it came.
    connection: u64,
}

/// What the driver fills and the program empties.
#[derive(Clone, Debug)]
struct Inbox {
    queue: Mailbox<Item>,
    step: watch::Sender<Step>,
    reading: Arc<Reading>,
}

/// How far the program is with the messages that the publisher sent.
#[derive(Debug, Default)]
struct Reading {
    progress: Mutex<Progress>,
    much: Notify,
}

#[derive(Debug, Default)]
struct Progress {
    /// The connection there is, counted from 0. What came by an earlier one does not count
    /// for it.
    connection: u64,
    /// Messages of it that the program has not read.
    unread: usize,
    /// What it has read, and the mesh has not heard.
    untold: Read,
}

impl Reading {
    fn progress(&self) -> MutexGuard<'_, Progress> {
        // Whoever panicked left numbers that are whole.
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn connection(&self) -> u64 {
        self.progress().connection
    }

    fn handle_message(&self, from: PeerId) {
        let mut progress = self.progress();
        progress.untold.from = Some(from);
        progress.unread += 1;
    }

    /// The mesh has to hear of all that was read when nothing is left to read: the next
    /// message may be as large as half of the window, and the publisher then waits for the
    /// last byte of the other half.
    fn handle_read(&self, connection: u64, bytes: usize) {
        let mut progress = self.progress();
        if connection != progress.connection {
            return;
        }
        progress.unread = progress.unread.saturating_sub(1);
        let Progress { unread, untold, .. } = &mut *progress;
        untold.packets += 1;
        untold.bytes += bytes;
        let tells = *unread == 0 || untold.bytes + untold.packets * OVERHEAD >= MUCH;
        drop(progress);
        if tells {
            self.much.notify_one();
        }
    }

    fn handle_connection_end(&self) {
        let mut progress = self.progress();
        *progress = Progress { connection: progress.connection + 1, ..Progress::default() };
    }

    fn take_untold(&self) -> Read {
        let mut progress = self.progress();
        let Read { from, .. } = progress.untold;
        std::mem::replace(&mut progress.untold, Read { from, packets: 0, bytes: 0 })
    }

    async fn much(&self) -> Read {
        self.much.notified().await;
        self.take_untold()
    }
}

impl Inbox {
    fn put(&self, event: ViewerEvent) {
        let weight = match &event {
            ViewerEvent::Frame(frame) => frame.data.len() + OVERHEAD,
            // As many may come as the window lets, and no more.
            ViewerEvent::Message { .. } => 0,
            _ => OVERHEAD,
        };
        self.queue.push(self.item(event), weight);
    }

    fn item(&self, event: ViewerEvent) -> Item {
        Item { event, connection: self.reading.connection() }
    }

    fn close(&self, reason: String) {
        self.step.send_if_modified(|step| {
            let changes = !matches!(step, Step::Connected | Step::Over(_));
            if changes {
                *step = Step::Over(reason.clone());
            }
            changes
        });
        self.queue.close(self.item(ViewerEvent::Closed { reason }));
    }

    fn was_connected(&self) -> bool {
        *self.step.borrow() == Step::Connected
    }
}

impl Frames for Inbox {
    fn send(&self, message: ToStage) -> bool {
        match message {
            ToStage::Decode { frame, .. } => self.put(ViewerEvent::Frame(frame)),
            ToStage::Lost { stream, count } => {
                self.put(ViewerEvent::Lost { stream: stream.stream, count });
            }
            _ => {}
        }
        true
    }

    fn data(&self, from: PeerId, channel: u16, data: Bytes) -> bool {
        self.reading.handle_message(from);
        self.put(ViewerEvent::Message { channel, data });
        true
    }

    async fn read(&self) -> Read {
        self.reading.much().await
    }

    fn has_room(&self) -> bool {
        self.queue.has_room()
    }

    async fn room(&self) {
        self.queue.room().await;
    }
}

impl Events for Inbox {
    fn push(&self, event: Event) {
        if let Event::Disconnected { .. } = event {
            self.reading.handle_connection_end();
        }
        match event {
            Event::Connected { .. } if self.was_connected() => self.put(ViewerEvent::Reconnected),
            Event::Connected { .. } => drop(self.step.send_replace(Step::Connected)),
            Event::Disconnected { reason, again: true, .. } if self.was_connected() => {
                self.put(ViewerEvent::Interrupted { reason });
            }
            Event::Disconnected { reason, again: false, .. } => {
                self.close(format!("the connection to the publisher is over: {reason}"));
            }
            Event::Reconnecting { .. } if self.was_connected() => {
                let reason = "the path to the publisher is lost, and another is looked for";
                self.put(ViewerEvent::Interrupted { reason: reason.to_owned() });
            }
            Event::Reconnected { .. } if self.was_connected() => self.put(ViewerEvent::Reconnected),
            Event::HostChanged { .. } if self.was_connected() => {
                self.close("the publisher has left".to_owned());
            }
            Event::HostChanged { host, .. } => {
                let step = if host.is_some() { Step::Called } else { Step::Alone };
                self.step.send_replace(step);
            }
            Event::Warning(text) => self.put(ViewerEvent::Warning(text)),
            Event::Closed { reason } => self.close(reason),
            _ => {}
        }
    }

    fn is_over(&self) -> bool {
        self.queue.is_closed()
    }
}

/// What an item weighs besides its bytes: itself, and a flood of empty ones is not free.
const OVERHEAD: usize = 256;

/// Messages of 16 KiB at most that wait in the transport: as much as in our own queue.
const TRANSPORT_QUEUE: usize = 16;

/// Who entered the room in the last moment still gets one: a round trip or two.
const LEAST_WAIT: Duration = Duration::from_millis(100);

/// Bytes that the program reads before the mesh hears of it while more is there to read: it
/// tells the publisher at half of a window of 256 KiB.
const MUCH: usize = 32 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    const ADA: PeerId = PeerId::from_bytes([1; 16]);

    fn told(reading: &Reading) -> (usize, usize) {
        let Read { packets, bytes, .. } = reading.take_untold();
        (packets, bytes)
    }

    /// What is there without waiting.
    async fn now<T>(future: impl Future<Output = T>) -> Option<T> {
        tokio::time::timeout(Duration::ZERO, future).await.ok()
    }

    #[tokio::test]
    async fn the_mesh_hears_of_everything_once_nothing_is_left_to_read() {
        let reading = Reading::default();
        (0..3).for_each(|_| reading.handle_message(ADA));
        (0..2).for_each(|_| reading.handle_read(0, 100));
        assert_eq!(now(reading.much()).await, None);
        reading.handle_read(0, 100);
        let all = Read { from: Some(ADA), packets: 3, bytes: 300 };
        assert_eq!(now(reading.much()).await, Some(all));

        // And of much at once, though more is there.
        (0..9).for_each(|_| reading.handle_message(ADA));
        reading.handle_read(0, MUCH);
        let much = Read { from: Some(ADA), packets: 1, bytes: MUCH };
        assert_eq!(now(reading.much()).await, Some(much));
    }

    #[test]
    fn what_came_by_an_earlier_connection_does_not_count_for_the_next() {
        let reading = Reading::default();
        (0..3).for_each(|_| reading.handle_message(ADA));
        reading.handle_read(0, 100);
        reading.handle_connection_end();
        assert_eq!(told(&reading), (0, 0), "it was read, and its connection is no more");
        assert_eq!(reading.connection(), 1);
        reading.handle_message(ADA);
        (0..2).for_each(|_| reading.handle_read(0, 100));
        assert_eq!(told(&reading), (0, 0), "they came by the first connection");
        reading.handle_read(1, 7);
        assert_eq!(told(&reading), (1, 7));
    }
}
