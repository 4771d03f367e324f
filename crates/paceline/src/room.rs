//! What a program holds of a call.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use paceline_playout::terminal::sanitize;
use paceline_session::{Roster, Session, Topology};
use paceline_signaling::{
    Capabilities, Client, ClientConfig, ClientEvent, ClientOutput, ConnectError, Connection, Joined,
};
use paceline_transport::WebRtc;
use paceline_types::{NtpTime, PeerId, SenderId, StreamId, WallClock};
use tokio::sync::{mpsc, oneshot};

use crate::broadcast::Patience;
use crate::config::{Config, ConfigError};
use crate::counters::{Counters, JoinTimeline, Stats};
use crate::driver::{Driver, MAX_REASON, clock, member_of};
use crate::error::{JoinError, PublishError};
use crate::event::{Event, EventQueue};
use crate::publish::{AudioInput, Publish, Publisher, Reader, VideoInput, blocking};
use crate::speaker::Speaker;
use crate::stage::StageLoop;
use crate::wire::{DRIVER_QUEUE, Switches, ToDriver, stage_queue};

/// A place in a call. Dropping it leaves the room; [`leave`](Self::leave) does so
/// too and waits until the others have been told.
///
/// | group | calls |
/// |---|---|
/// | hear | [`next`](Self::next), [`stats`](Self::stats) |
/// | publish | [`start_video`](Self::start_video), [`stop_video`](Self::stop_video), [`start_audio`](Self::start_audio), [`stop_audio`](Self::stop_audio) |
/// | network | [`network_changed`](Self::network_changed) |
/// | host | [`start_hosting`](Self::start_hosting), [`stop_hosting`](Self::stop_hosting) |
/// | end | [`leave`](Self::leave) |
///
/// Starting what runs and stopping what does not is no error and does nothing.
#[derive(Debug)]
pub struct Room {
    peer: PeerId,
    sender: SenderId,
    events: EventQueue,
    driver: mpsc::Sender<ToDriver>,
    counters: Arc<Counters>,
    publisher: Publisher,
    stage_thread: Option<JoinHandle<()>>,
    wall: WallClock,
    topology: Topology,
}

/// How to join. Made by [`Room::builder`].
#[derive(Debug)]
pub struct RoomBuilder {
    url: String,
    name: String,
    publish: Publish,
    host: bool,
    /// `None`: what the config says.
    topology: Option<Topology>,
    config: Config,
}

impl Room {
    /// Begins to join the room at `ws://HOST:PORT/ROOM`.
    #[must_use]
    pub fn builder(url: impl Into<String>) -> RoomBuilder {
        RoomBuilder {
            url: url.into(),
            name: "guest".to_owned(),
            publish: Publish::default(),
            host: false,
            topology: None,
            config: Config::default(),
        }
    }

    /// Our id in this call; another one at each join.
    #[must_use]
    pub fn peer(&self) -> PeerId {
        self.peer
    }

    /// Our number in the room.
    #[must_use]
    pub fn sender(&self) -> SenderId {
        self.sender
    }

    /// The clock that pictures and sounds are stamped by.
    #[must_use]
    pub fn wall_clock(&self) -> WallClock {
        self.wall
    }

    /// Waits for what happens next; `None` once the room is closed. Cancel-safe.
    pub async fn next(&mut self) -> Option<Event> {
        self.events.next().await
    }

    /// Everything that can be told now; what there is without the driver once the
    /// room is closed.
    pub async fn stats(&self) -> Stats {
        let (reply, stats) = oneshot::channel();
        if self.driver.send(ToDriver::Stats(reply)).await.is_ok()
            && let Ok(stats) = stats.await
        {
            return stats;
        }
        Stats { media: self.counters.media(), ..Stats::default() }
    }

    /// Publishes a picture.
    ///
    /// # Errors
    ///
    /// [`PublishError`] if it cannot be opened; nothing has changed then.
    pub async fn start_video(&mut self, input: VideoInput) -> Result<(), PublishError> {
        if self.publisher.start_video(input).await? {
            self.tell_track(StreamId::VIDEO, true).await?;
        }
        Ok(())
    }

    /// Stops publishing a picture; the others see that it is off.
    pub async fn stop_video(&mut self) {
        if self.publisher.stop_video().await {
            // The room may be closed already: then nobody has to be told.
            let _ = self.tell_track(StreamId::VIDEO, false).await;
        }
    }

    /// Publishes a sound.
    ///
    /// # Errors
    ///
    /// [`PublishError`] if it cannot be opened; nothing has changed then.
    pub async fn start_audio(&mut self, input: AudioInput) -> Result<(), PublishError> {
        if self.publisher.start_audio(input).await? {
            self.tell_track(StreamId::AUDIO, true).await?;
        }
        Ok(())
    }

    /// Stops publishing a sound; the others see that it is off.
    pub async fn stop_audio(&mut self) {
        if self.publisher.stop_audio().await {
            let _ = self.tell_track(StreamId::AUDIO, false).await;
        }
    }

    /// Asks to be the host. [`Event::HostChanged`] tells when we are; if somebody
    /// else is, or in a mesh, where nobody hosts, [`Event::Warning`] does.
    pub async fn start_hosting(&self) {
        if self.topology == Topology::Mesh {
            let text = "we do not host: in a mesh nobody does, each mixes for himself";
            return self.events.push(Event::Warning(text.to_owned()));
        }
        // A closed room has told so by `Event::Closed`.
        let _ = self.driver.send(ToDriver::Hosting(true)).await;
    }

    /// Gives hosting up; the others wait for somebody else. In a mesh there is nothing to
    /// give up.
    pub async fn stop_hosting(&self) {
        if self.topology == Topology::Mesh {
            return;
        }
        let _ = self.driver.send(ToDriver::Hosting(false)).await;
    }

    /// Says that our addresses are others than before, as a system tells of a new network:
    /// each connection looks for a path at once, and not only when nothing has been heard
    /// for a while. [`Event::Reconnecting`] and [`Event::Reconnected`] tell how it goes.
    pub async fn network_changed(&self) {
        // A closed room has no connections.
        let _ = self.driver.send(ToDriver::NetworkChanged).await;
    }

    /// Leaves: stops publishing, tells the others, closes every connection, and
    /// returns the final figures. Takes at most about two seconds.
    pub async fn leave(mut self) -> Stats {
        self.publisher.stop_video().await;
        self.publisher.stop_audio().await;
        let (done, left) = oneshot::channel();
        let asked = self.driver.send(ToDriver::Leave(done)).await;
        let mut stats = match asked {
            Ok(()) => left.await.unwrap_or_default(),
            Err(_) => Stats::default(),
        };
        if let Some(thread) = self.stage_thread.take() {
            // It has been told to quit. What it counted until then is the end.
            let _ = tokio::task::spawn_blocking(move || thread.join()).await;
        }
        stats.media = self.counters.media();
        stats
    }

    async fn tell_track(&self, stream: StreamId, enabled: bool) -> Result<(), PublishError> {
        let told = self.driver.send(ToDriver::TrackState { stream, enabled }).await;
        told.map_err(|_| PublishError::RoomLeft)
    }
}

impl RoomBuilder {
    /// What the others call us. Defaults to `guest`; at most 64 characters.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// What we show and say from the start. Defaults to nothing.
    #[must_use]
    pub fn publish(mut self, publish: Publish) -> Self {
        self.publish = publish;
        self
    }

    /// Whether we host if nobody else does. Defaults to no. With a mesh, in which nobody
    /// hosts, `true` is an error.
    #[must_use]
    pub fn host(mut self, host: bool) -> Self {
        self.host = host;
        self
    }

    /// The shape of the room, whatever the config says: [`Config::topology`] tells what
    /// there is. Defaults to the config's.
    ///
    /// ```no_run
    /// use paceline::{Publish, Room, Topology};
    ///
    /// # async fn run() -> Result<(), paceline::JoinError> {
    /// let room = Room::builder("ws://127.0.0.1:4455/call")
    ///     .topology(Topology::Mesh)
    ///     .publish(Publish::test())
    ///     .join()
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub const fn topology(mut self, topology: Topology) -> Self {
        self.topology = Some(topology);
        self
    }

    /// Every bound. Defaults to those of [`Config`].
    #[must_use]
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// Joins, on the current tokio runtime.
    ///
    /// # Errors
    ///
    /// [`JoinError`], whose text is one line for a person.
    pub async fn join(self) -> Result<Room, JoinError> {
        let Self { url, name, publish, host, topology, mut config } = self;
        let began = clock();
        config.topology = topology.unwrap_or(config.topology);
        config.validate()?;
        let topology = config.topology;
        match topology {
            Topology::Broadcast => return Err(ConfigError::BroadcastRoom.into()),
            Topology::Mesh if host => return Err(ConfigError::HostInMesh.into()),
            _ => {}
        }
        let publish = blocking(|| publish.open()).await?;
        let mut timeline =
            JoinTimeline { opened: Some(clock() - began), ..JoinTimeline::default() };
        let capabilities =
            Capabilities { video: vec!["h264".to_owned()], audio: vec!["opus".to_owned()], host };
        let entered = enter(&url, &name, capabilities, config.join_timeout).await?;
        let Entered { peer, client, connection, connected, joined } = entered;
        timeline.signaling = Some(connected - began);
        timeline.joined = Some(clock() - began);

        let wall = wall_clock();
        let counters = Arc::new(Counters::default());
        let events = EventQueue::new(config.event_queue, Arc::clone(&counters));
        let switches = Switches::default();
        let (to_driver, inputs) = mpsc::channel(DRIVER_QUEUE);
        let (to_stage, stage_inputs) = stage_queue();
        let sender = joined.sender;

        let stage = StageLoop {
            config: config.clone(),
            wall,
            inputs: stage_inputs,
            driver: to_driver.downgrade(),
            events: events.clone(),
            counters: Arc::clone(&counters),
            us: sender,
            peers: BTreeMap::new(),
            video: BTreeMap::new(),
            audio: BTreeMap::new(),
            missing: BTreeMap::new(),
            mixing: None,
            off: BTreeSet::new(),
        };
        let stage_thread = std::thread::Builder::new()
            .name("paceline-stage".to_owned())
            .spawn(move || stage.run())
            .map_err(|error| JoinError::System(error.to_string()))?;

        let driver = Driver {
            session: Session::new(peer, config.session()),
            transport: WebRtc::new(config.transport()),
            client,
            connection: Some(connection),
            inputs,
            stage: to_stage.clone(),
            events: events.clone(),
            counters: Arc::clone(&counters),
            switches: switches.clone(),
            us: (peer, sender),
            began,
            speaker: Speaker::default(),
            names: vec![(peer, sender, name)],
            timeline,
            patience: Patience::default(),
            held: VecDeque::new(),
        };
        tokio::spawn(driver.run(roster_of(joined)));

        let mut publisher = Publisher::new(Reader {
            config,
            wall,
            slot: sender,
            driver: to_driver.downgrade(),
            stage: to_stage,
            counters: Arc::clone(&counters),
            events: events.clone(),
            switches,
        });
        publisher.start(publish)?;
        Ok(Room {
            peer,
            sender,
            events,
            driver: to_driver,
            counters,
            publisher,
            stage_thread: Some(stage_thread),
            wall,
            topology,
        })
    }
}

/// Who is in a room, and by which connection.
pub(crate) struct Entered {
    pub(crate) peer: PeerId,
    pub(crate) client: Client,
    pub(crate) connection: Connection,
    /// When the server had taken the connection.
    pub(crate) connected: Instant,
    pub(crate) joined: Joined,
}

/// Goes into the room as somebody new.
pub(crate) async fn enter(
    url: &str,
    name: &str,
    capabilities: Capabilities,
    timeout: Duration,
) -> Result<Entered, JoinError> {
    let peer = PeerId::from_random(random()?);
    let client = Client::new(ClientConfig::new(peer, name).capabilities(capabilities));
    let announced = tokio::time::timeout(timeout, announce(url, client, timeout)).await;
    let (client, connection, connected, joined) =
        announced.map_err(|_| JoinError::Timeout { url: url.to_owned(), timeout })??;
    Ok(Entered { peer, client, connection, connected, joined })
}

/// Connects to the server and announces us; tells when the server had taken the
/// connection.
async fn announce(
    url: &str,
    mut client: Client,
    timeout: Duration,
) -> Result<(Client, Connection, Instant, Joined), JoinError> {
    let mut connection = Connection::connect(url, timeout).await?;
    let connected = clock();
    client.handle_open();
    loop {
        while let Some(output) = client.poll_output() {
            match output {
                ClientOutput::Send(text) => connection.send(text).await?,
                ClientOutput::Event(ClientEvent::Joined(joined)) => {
                    return Ok((client, connection, connected, joined));
                }
                ClientOutput::Event(ClientEvent::Refused { message, .. }) => {
                    // The server's words: they must not write to a terminal.
                    let message = sanitize(&message, MAX_REASON);
                    return Err(JoinError::Refused { url: url.to_owned(), message });
                }
                _ => {}
            }
        }
        let lost = || ConnectError::Lost { reason: "the server closed the connection".to_owned() };
        let text = connection.recv().await.ok_or_else(lost)??;
        if let Err(error) = client.handle_text(&text) {
            tracing::debug!(%error, "the signalling server said something odd");
        }
    }
}

pub(crate) fn roster_of(joined: Joined) -> Roster {
    let Joined { session, sender, epoch, host, members, .. } = joined;
    Roster { session, sender, epoch, host, members: members.into_iter().map(member_of).collect() }
}

fn random() -> Result<[u8; 16], JoinError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| JoinError::System(error.to_string()))?;
    Ok(bytes)
}

#[expect(clippy::disallowed_methods, reason = "the facade is where the wallclock is read")]
pub(crate) fn wall_clock() -> WallClock {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    WallClock::new(Instant::now(), NtpTime::from_unix(since))
}
