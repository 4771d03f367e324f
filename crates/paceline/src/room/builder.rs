//! How a room is joined.

use std::collections::VecDeque;
use std::sync::Arc;

use paceline_session::{Session, Topology};
use paceline_signaling::Capabilities;
use paceline_transport::WebRtc;
use paceline_types::StreamId;
use tokio::sync::mpsc;

use super::{Entered, Room, enter, roster_of, wall_clock};
use crate::broadcast::Patience;
use crate::config::{Config, ConfigError};
use crate::counters::{Counters, JoinTimeline};
use crate::driver::{Driver, Gathered, SoundLoss, clock};
use crate::error::JoinError;
use crate::event::EventQueue;
use crate::outlet::Outlet;
use crate::publish::{Publish, Publisher, Reader, blocking};
use crate::speaker::Speaker;
use crate::stage::{StageLoop, Surroundings};
use crate::wire::{DRIVER_QUEUE, Switches, ToDriver, stage_queue};

/// How to join. Made by [`Room::builder`].
#[derive(Debug)]
pub struct RoomBuilder {
    url: String,
    name: String,
    publish: Publish,
    /// `None`: if the topology has a host.
    host: Option<bool>,
    /// `None`: what the config says.
    topology: Option<Topology>,
    config: Config,
}

impl RoomBuilder {
    pub(super) fn new(url: String) -> Self {
        Self {
            url,
            name: "guest".to_owned(),
            publish: Publish::default(),
            host: None,
            topology: None,
            config: Config::default(),
        }
    }

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

    /// Whether we may host. Defaults to yes. With a mesh, in which nobody hosts, `true` is
    /// an error.
    ///
    /// The first who may is the host. If he leaves, or is not heard any more, the members
    /// choose another among those who may. Who may not never mixes, whatever happens; a
    /// room in which nobody may has no picture.
    #[must_use]
    pub fn host(mut self, host: bool) -> Self {
        self.host = Some(host);
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
        self.join_counted(Arc::default()).await
    }

    /// As [`join`](Self::join), for whoever has counted before it and goes on after it.
    pub(crate) async fn join_counted(self, counters: Arc<Counters>) -> Result<Room, JoinError> {
        let Self { url, name, publish, host, topology, mut config } = self;
        let began = clock();
        config.topology = topology.unwrap_or(config.topology);
        config.validate()?;
        let topology = config.topology;
        match topology {
            Topology::Broadcast => return Err(ConfigError::BroadcastRoom.into()),
            Topology::Mesh if host == Some(true) => return Err(ConfigError::HostInMesh.into()),
            _ => {}
        }
        let publish = blocking(|| publish.open()).await?;
        let mut timeline =
            JoinTimeline { opened: Some(clock() - began), ..JoinTimeline::default() };
        let host = host.unwrap_or(topology == Topology::Star);
        let capabilities = Capabilities {
            video: vec!["h264".to_owned()],
            audio: vec!["opus".to_owned()],
            host,
            ..Capabilities::default()
        };
        let entered = enter(&url, &name, capabilities, config.join_timeout).await?;
        let Entered { peer, client, connection, connected, joined } = entered;
        timeline.signaling = Some(connected - began);
        timeline.joined = Some(clock() - began);

        let wall = wall_clock();
        let events = EventQueue::new(config.event_queue, Arc::clone(&counters));
        let switches = Switches::default();
        let outlet = Outlet::new(events.clone(), Arc::clone(&counters));
        let (to_driver, inputs) = mpsc::channel(DRIVER_QUEUE);
        let (to_stage, stage_inputs) = stage_queue();
        let sender = joined.sender;

        let stage = StageLoop::new(Surroundings {
            config: config.clone(),
            wall,
            driver: to_driver.downgrade(),
            events: events.clone(),
            counters: Arc::clone(&counters),
            switches: switches.clone(),
            outlet: outlet.clone(),
            us: sender,
        });
        let stage_thread = std::thread::Builder::new()
            .name("paceline-stage".to_owned())
            .spawn(move || stage.run(&stage_inputs))
            .map_err(|error| JoinError::System(error.to_string()))?;

        let driver = Driver {
            session: Session::new(peer, config.session()),
            transport: WebRtc::new(config.transport(peer)),
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
            gathered: Gathered::default(),
            sound_loss: SoundLoss::default(),
            host_changes: 0,
            topology,
            handover_timeout: config.handover_timeout,
            departure: None,
            drained_at: None,
            full_batches: 0,
        };
        tokio::spawn(driver.run(roster_of(joined, host)));

        let mut publisher = Publisher::new(Reader {
            config,
            wall,
            slot: sender,
            driver: to_driver.downgrade(),
            stage: to_stage,
            counters: Arc::clone(&counters),
            events: events.clone(),
            switches: switches.clone(),
            outlet: outlet.clone(),
        });
        // Nobody is to wait for what is not published.
        let off = [
            (StreamId::VIDEO, publish.video.is_none()),
            (StreamId::AUDIO, publish.audio.is_none()),
        ];
        publisher.start(publish)?;
        for (stream, _) in off.into_iter().filter(|&(_, is_off)| is_off) {
            // A room that is closed already tells so by its events.
            let _ = to_driver.send(ToDriver::TrackState { stream, enabled: false }).await;
        }
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
            switches,
            outlet,
        })
    }
}
