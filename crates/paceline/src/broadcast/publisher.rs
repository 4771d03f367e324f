//! Who sends.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use paceline_session::{MAX_DATA, MeshStats, PADDING, PeerStats, Quality};
use paceline_signaling::Capabilities;
use paceline_types::{PeerId, WallClock};
use tokio::sync::oneshot;

use super::encoded::{self, Playing};
use super::mailbox::Mailbox;
use super::{BroadcastConfig, Running, SendError, start};
use crate::driver::clock;
use crate::error::{JoinError, PublishError};
use crate::event::{Event, EventQueue, Events};
use crate::outlet::Outlet;
use crate::publish::{self, Reader, VideoInput};
use crate::room::{enter, wall_clock};
use crate::wire::{ForAll, Frames, ToDriver, ToStage, stage_queue};

/// What happened to a broadcast.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum PublisherEvent {
    /// The broadcast is over; nothing follows. We left, somebody else publishes here, or
    /// the signalling server is gone and so is every viewer.
    Closed {
        /// Why.
        reason: String,
    },
    /// A viewer gets nothing any more.
    ViewerGone {
        /// Who. [`ViewerReady`](Self::ViewerReady) follows if the connection broke and is
        /// made again. Whom we gave up, because too much waited for it, is told so and does
        /// not come back by itself: its stream has a gap. Its program may join again, and
        /// is another peer then. Only if that word cannot reach it, because it takes
        /// nothing from the network, does it see a connection that broke, and make another.
        peer: PeerId,
        /// Why.
        reason: String,
    },
    /// A viewer gets what is sent from now on.
    ViewerReady {
        /// Who.
        peer: PeerId,
        /// What the viewer is called. It comes from the network: escape it before it is
        /// shown.
        name: String,
    },
    /// Something went wrong and the broadcast goes on.
    Warning(String),
}

/// A viewer, as the publisher sees it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ViewerStats {
    /// Who.
    pub peer: PeerId,
    /// What the viewer is called. It comes from the network.
    pub name: String,
    /// Bytes that the transport has taken and not let go of. What waits before it is in
    /// `connection.queued_bytes`.
    pub outstanding: usize,
    /// The connection: state, round trip, what is queued, what was shed.
    pub connection: PeerStats,
    /// The last ten seconds of it, brought up to date every second; `None` before the
    /// first.
    pub quality: Option<Quality>,
}

/// The figures of a broadcast.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct PublisherStats {
    /// Every viewer that is connected.
    pub viewers: Vec<ViewerStats>,
    /// What happened to all connections together: viewers refused, given up, called again.
    pub mesh: MeshStats,
    /// Messages that the transport refused. None is expected; each time that viewer's
    /// connection is made again, for what it carried is not whole any more.
    pub transport_refused: u64,
    /// Pictures sent, each counted once for all viewers. They are numbered from 0.
    pub pictures: u64,
    /// Events that the program did not take in time.
    pub events_dropped: u64,
}

/// The one who sends, in a room of one sender and many viewers. Dropping it ends the
/// broadcast; [`leave`](Self::leave) does so too and waits until the viewers have been
/// told.
///
/// What is sent is made a packet, checksummed and cut once, and the queues of all viewers
/// share its bytes. Each viewer has a queue of its own, so a slow one holds nobody up; what
/// is too much for it is shed for it alone, and counted
/// ([`PeerStats::shed`](crate::session::PeerStats::shed)).
///
/// | group | calls |
/// |---|---|
/// | send | [`send`](Self::send), [`start_encoded`](Self::start_encoded), [`start_video`](Self::start_video), [`stop_video`](Self::stop_video) |
/// | hear | [`next`](Self::next), [`stats`](Self::stats) |
/// | network | [`network_changed`](Self::network_changed) |
/// | end | [`leave`](Self::leave) |
///
/// ```
/// use bytes::Bytes;
/// use paceline::{Publisher, Viewer, ViewerEvent};
/// use paceline_signaling::{Server, ServerConfig};
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// #     tokio::time::timeout(std::time::Duration::from_secs(60), broadcast()).await?
/// # }
/// # async fn broadcast() -> Result<(), Box<dyn std::error::Error>> {
/// let server = Server::bind(([127, 0, 0, 1], 0).into(), ServerConfig::default()).await?;
/// let url = server.url("stage");
/// let publisher = Publisher::builder(&url).name("Ada").start().await?;
/// let mut viewer = Viewer::builder(&url).join().await?;
///
/// publisher.ready(1).await;
/// publisher.send(7, Bytes::from_static(b"hello")).await?;
/// let Some(ViewerEvent::Message { channel: 7, data }) = viewer.next().await else { panic!() };
/// assert_eq!(data, "hello");
///
/// publisher.leave().await;
/// assert!(matches!(viewer.next().await, Some(ViewerEvent::Closed { .. })));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Publisher {
    peer: PeerId,
    wall: WallClock,
    viewers: Viewers,
    running: Running,
    /// What a thread that encodes has to tell.
    warnings: EventQueue,
    encoder: publish::Publisher,
    playing: Option<Playing>,
}

/// How to start. Made by [`Publisher::builder`].
#[derive(Debug)]
pub struct PublisherBuilder {
    url: String,
    name: String,
    config: BroadcastConfig,
}

impl Publisher {
    /// Begins to publish in the room at `ws://HOST:PORT/ROOM`.
    #[must_use]
    pub fn builder(url: impl Into<String>) -> PublisherBuilder {
        let (name, config) = ("publisher".to_owned(), BroadcastConfig::default());
        PublisherBuilder { url: url.into(), name, config }
    }

    /// Our id in this broadcast.
    #[must_use]
    pub fn peer(&self) -> PeerId {
        self.peer
    }

    /// The clock that frames are stamped by.
    #[must_use]
    pub fn wall_clock(&self) -> WallClock {
        self.wall
    }

    /// Waits for what happens next; `None` once it is over. Cancel-safe.
    pub async fn next(&mut self) -> Option<PublisherEvent> {
        loop {
            tokio::select! {
                event = self.viewers.events.next() => return event,
                warning = self.warnings.next() => {
                    if let Some(Event::Warning(text)) = warning {
                        return Some(PublisherEvent::Warning(text));
                    }
                }
            }
        }
    }

    /// Waits until at least so many viewers are connected, or the broadcast is over.
    pub async fn ready(&self, viewers: usize) {
        let mut connected = self.viewers.connected.subscribe();
        // It is not gone while we have it.
        let _ = connected
            .wait_for(|&connected| connected >= viewers || self.viewers.events.is_closed())
            .await;
    }

    /// Sends a message to every viewer that is connected, reliably and in order.
    /// `channel` is for the program to tell one use from another.
    ///
    /// Waits while much waits for some viewer, so that a burst goes as fast as the viewers
    /// take it: for each of them 50 ms at most, and not again before he has kept up for
    /// 5 s. Who then is still behind is given up when 256 KiB wait for him, or when
    /// something has waited for 4 s; what he has not taken of the 256 KiB that were sent to
    /// him before is on top of that. He does not come back by himself, for messages are
    /// missing then: his program may join again.
    ///
    /// # Errors
    ///
    /// [`SendError`] if it is larger than [`MAX_DATA`] (131,040 bytes), or for channel 65,535, or the broadcast is over.
    pub async fn send(&self, channel: u16, data: Bytes) -> Result<(), SendError> {
        let len = data.len();
        if len > MAX_DATA {
            return Err(SendError::TooLarge { len, max: MAX_DATA });
        }
        if channel == PADDING {
            return Err(SendError::Reserved);
        }
        let (taken, sent) = oneshot::channel();
        let message = ToDriver::Data(ForAll { channel, data, taken });
        self.running.driver.send(message).await.map_err(|_| SendError::Closed)?;
        sent.await.map_err(|_| SendError::Closed)
    }

    /// Publishes the pictures of an H.264 byte stream (Annex B) as they are, looped, at
    /// `frame_rate` pictures a second (1 to 120) of real time. Nothing is decoded or
    /// encoded: a viewer sees something from the next keyframe of the file on. Does nothing
    /// if a picture is published already.
    ///
    /// # Errors
    ///
    /// [`PublishError`] if the file cannot be used; nothing has changed then.
    pub async fn start_encoded(
        &mut self,
        path: impl Into<PathBuf>,
        frame_rate: f64,
    ) -> Result<(), PublishError> {
        if self.playing.as_ref().is_some_and(Playing::is_running) {
            return Ok(());
        }
        let path = path.into();
        let frame_rate = frame_rate.clamp(1.0, 120.0);
        let file = publish::blocking(move || encoded::open(&path, frame_rate)).await?;
        self.encoder.stop_video().await;
        let driver = self.running.driver.downgrade();
        self.playing = Some(encoded::play(file, self.encoder.numbering(), self.wall, driver));
        Ok(())
    }

    /// Publishes a picture, encoded once for all viewers. Does nothing if one is
    /// published already.
    ///
    /// # Errors
    ///
    /// [`PublishError`] if it cannot be opened; nothing has changed then.
    pub async fn start_video(&mut self, input: VideoInput) -> Result<(), PublishError> {
        if self.playing.as_ref().is_some_and(Playing::is_running) {
            return Ok(());
        }
        self.encoder.start_video(input).await.map(drop)
    }

    /// Stops publishing a picture.
    pub async fn stop_video(&mut self) {
        if let Some(playing) = self.playing.take() {
            playing.stop().await;
        }
        self.encoder.stop_video().await;
    }

    /// Everything that can be told now; no viewers once it is over.
    pub async fn stats(&self) -> PublisherStats {
        let (reply, stats) = oneshot::channel();
        // Who is gone answers nothing.
        let _ = self.running.driver.send(ToDriver::Viewers(reply)).await;
        let stats = stats.await.unwrap_or_default();
        let pictures = self.encoder.numbering().count();
        PublisherStats { pictures, events_dropped: self.viewers.events.dropped(), ..stats }
    }

    /// Says that our addresses are others than before, as a system tells of a new network:
    /// each connection looks for a path at once. Meanwhile
    /// [`PeerStats::state`](crate::session::PeerStats::state) says so, and what is sent
    /// waits, within the bounds of each viewer's queue.
    pub async fn network_changed(&self) {
        // What is over has no connections.
        let _ = self.running.driver.send(ToDriver::NetworkChanged).await;
    }

    /// Ends the broadcast: tells the viewers, closes every connection, and returns the
    /// figures of the moment before. Takes at most about two seconds.
    pub async fn leave(mut self) -> PublisherStats {
        self.stop_video().await;
        let stats = self.stats().await;
        let (done, left) = oneshot::channel();
        let _ = self.running.driver.send(ToDriver::Leave(done)).await;
        // Over it is in any case.
        let _ = left.await;
        stats
    }
}

impl PublisherBuilder {
    /// What the viewers call us. Defaults to `publisher`; at most 64 characters.
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

    /// Starts, on the current tokio runtime. Viewers may be in the room already.
    ///
    /// # Errors
    ///
    /// [`JoinError`], whose text is one line for a person.
    pub async fn start(self) -> Result<Publisher, JoinError> {
        let Self { url, name, config } = self;
        let began = clock();
        config.validate()?;
        let capabilities = Capabilities { host: true, ..Capabilities::default() };
        let entered = enter(&url, &name, capabilities, config.call().join_timeout).await?;
        let (peer, sender) = (entered.peer, entered.joined.sender);
        if entered.joined.host != Some(peer) {
            entered.connection.close().await;
            return Err(JoinError::SomebodyPublishes { url });
        }
        let wall = wall_clock();
        let viewers = Viewers {
            events: Mailbox::new(config.call().event_queue),
            names: Arc::default(),
            connected: tokio::sync::watch::Sender::new(0),
        };
        let running =
            start(entered, config.transport(peer), name, began, &config, NoFrames, viewers.clone());
        let warnings = EventQueue::new(WARNINGS, Arc::clone(&running.counters));
        let encoder = publish::Publisher::new(Reader {
            config: config.call().clone(),
            wall,
            slot: sender,
            driver: running.driver.downgrade(),
            // Nothing is mixed here.
            stage: stage_queue().0,
            counters: Arc::clone(&running.counters),
            events: warnings.clone(),
            switches: running.switches.clone(),
            outlet: Outlet::new(warnings.clone(), Arc::clone(&running.counters)),
        });
        Ok(Publisher { peer, wall, viewers, running, warnings, encoder, playing: None })
    }
}

/// Nobody sends a publisher frames.
#[derive(Clone, Debug)]
struct NoFrames;

impl Frames for NoFrames {
    fn send(&self, _message: ToStage) -> bool {
        true
    }
}

/// What the driver tells of the viewers.
#[derive(Clone, Debug)]
struct Viewers {
    events: Mailbox<PublisherEvent>,
    names: Arc<Mutex<BTreeMap<PeerId, String>>>,
    connected: tokio::sync::watch::Sender<usize>,
}

impl Events for Viewers {
    fn push(&self, event: Event) {
        // Nothing panics while it holds this.
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::MemberJoined { peer, name, .. } => drop(names.insert(peer, name)),
            Event::MemberLeft { peer, .. } => drop(names.remove(&peer)),
            Event::Connected { peer } => {
                let name = names.get(&peer).cloned().unwrap_or_default();
                self.events.push_newest(PublisherEvent::ViewerReady { peer, name });
                self.connected.send_modify(|connected| *connected += 1);
            }
            Event::Disconnected { peer, reason, .. } => {
                self.events.push_newest(PublisherEvent::ViewerGone { peer, reason });
                self.connected.send_modify(|connected| *connected = connected.saturating_sub(1));
            }
            Event::HostChanged { us: false, .. } => {
                let reason = "we do not publish in this room any more".to_owned();
                self.close(reason);
            }
            Event::Warning(text) => self.events.push_newest(PublisherEvent::Warning(text)),
            Event::Closed { reason } => self.close(reason),
            _ => {}
        }
    }

    fn is_over(&self) -> bool {
        self.events.is_closed()
    }
}

impl Viewers {
    fn close(&self, reason: String) {
        self.events.close(PublisherEvent::Closed { reason });
        self.connected.send_replace(0);
    }
}

/// Warnings of an encoder that wait: it gives up once.
const WARNINGS: usize = 16;
