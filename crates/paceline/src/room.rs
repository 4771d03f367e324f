//! What a program holds of a call.

mod builder;
mod entrance;

use std::sync::Arc;
use std::thread::JoinHandle;

use paceline_session::Topology;
use paceline_types::{PeerId, SenderId, StreamId, WallClock};
use tokio::sync::{mpsc, oneshot};

pub use self::builder::RoomBuilder;
pub(crate) use self::entrance::{Entered, enter, roster_of, wall_clock};
use crate::counters::{Counters, Stats};
use crate::error::PublishError;
use crate::event::{Event, EventQueue};
use crate::outlet::Outlet;
use crate::publish::{AudioInput, Publisher, VideoInput, blocking};
use crate::wire::{Switches, ToDriver};

/// A place in a call. Dropping it leaves the room; [`leave`](Self::leave) does so
/// too and waits until the others have been told. A host who leaves hands over first; one
/// who is dropped gives up his place, and the others elect somebody.
///
/// | group | calls |
/// |---|---|
/// | hear | [`next`](Self::next), [`stats`](Self::stats) |
/// | publish | [`start_video`](Self::start_video), [`switch_video`](Self::switch_video), [`stop_video`](Self::stop_video), [`start_audio`](Self::start_audio), [`switch_audio`](Self::switch_audio), [`stop_audio`](Self::stop_audio), [`set_muted`](Self::set_muted), [`local_stream`](Self::local_stream) |
/// | play | [`start_loudspeaker`](Self::start_loudspeaker), [`stop_loudspeaker`](Self::stop_loudspeaker) |
/// | network | [`network_changed`](Self::network_changed) |
/// | host | [`hand_over`](Self::hand_over), [`start_hosting`](Self::start_hosting), [`stop_hosting`](Self::stop_hosting) |
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
    switches: Switches,
    outlet: Outlet,
}

/// How a stream of our own is.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum LocalStream {
    /// It is read and sent.
    Active,
    /// There is a source, which is muted, or a device that is gone and looked for.
    Inactive,
    /// There is none: never started, stopped, or given up.
    Null,
}

impl Room {
    /// Begins to join the room at `ws://HOST:PORT/ROOM`.
    #[must_use]
    pub fn builder(url: impl Into<String>) -> RoomBuilder {
        RoomBuilder::new(url.into())
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
        self.counted(Stats::default())
    }

    /// Publishes a picture.
    ///
    /// # Errors
    ///
    /// [`PublishError`] if it cannot be opened; nothing has changed then.
    pub async fn start_video(&mut self, input: VideoInput) -> Result<(), PublishError> {
        if self.publisher.start_video(input).await? {
            self.tell_track(StreamId::VIDEO, !self.switches.is_muted(StreamId::VIDEO)).await?;
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
            self.tell_track(StreamId::AUDIO, !self.switches.is_muted(StreamId::AUDIO)).await?;
        }
        Ok(())
    }

    /// Stops publishing a sound; the others see that it is off.
    pub async fn stop_audio(&mut self) {
        if self.publisher.stop_audio().await {
            let _ = self.tell_track(StreamId::AUDIO, false).await;
        }
    }

    /// Publishes another picture from now on. What is published goes on until the other can be
    /// read, under the same numbers: the others see no gap. If none is, this is
    /// [`start_video`](Self::start_video).
    ///
    /// # Errors
    ///
    /// [`PublishError`] if it cannot be opened; nothing has changed then. A device that only one
    /// may use cannot be switched to itself: stop it first.
    pub async fn switch_video(&mut self, input: VideoInput) -> Result<(), PublishError> {
        self.publisher.switch_video(input).await?;
        self.tell_track(StreamId::VIDEO, !self.switches.is_muted(StreamId::VIDEO)).await
    }

    /// Publishes another sound from now on, as [`switch_video`](Self::switch_video) does a
    /// picture.
    ///
    /// # Errors
    ///
    /// [`PublishError`] if it cannot be opened; nothing has changed then.
    pub async fn switch_audio(&mut self, input: AudioInput) -> Result<(), PublishError> {
        self.publisher.switch_audio(input).await?;
        self.tell_track(StreamId::AUDIO, !self.switches.is_muted(StreamId::AUDIO)).await
    }

    /// Sends nothing of our [picture](StreamId::VIDEO) or [sound](StreamId::AUDIO), or
    /// something again. The device stays open, so that it is there at once; the others see that
    /// the stream is off. Lasts over a stop and a switch.
    pub async fn set_muted(&self, stream: StreamId, muted: bool) {
        let before = self.switches.set_muted(stream, muted);
        if before != muted && self.publisher.is_running(stream) && !self.switches.is_gone(stream) {
            // The room may be closed already: then nobody has to be told.
            let _ = self.tell_track(stream, !muted).await;
        }
    }

    /// How our [picture](StreamId::VIDEO) or [sound](StreamId::AUDIO) is.
    #[must_use]
    pub fn local_stream(&self, stream: StreamId) -> LocalStream {
        let is_held = self.switches.is_muted(stream) || self.switches.is_gone(stream);
        match (self.publisher.is_running(stream), is_held) {
            (false, _) => LocalStream::Null,
            (true, true) => LocalStream::Inactive,
            (true, false) => LocalStream::Active,
        }
    }

    /// Plays what the program gets as [`Event::Sound`] on a loudspeaker too, by its id of
    /// [`devices`](crate::devices) or the system's choice, from now on. One that is gone is
    /// looked for. With another id, another one is used.
    ///
    /// # Errors
    ///
    /// [`PublishError`] if it cannot be opened; what is used goes on then.
    pub async fn start_loudspeaker(&mut self, id: Option<String>) -> Result<(), PublishError> {
        let outlet = self.outlet.clone();
        blocking(move || outlet.open(id)).await
    }

    /// Plays nothing any more.
    pub fn stop_loudspeaker(&mut self) {
        self.outlet.close();
    }

    /// We may host from now on. We do so if nobody else does or can: then
    /// [`Event::HostChanged`] tells. In a mesh nobody hosts, and [`Event::Warning`] says so.
    pub async fn start_hosting(&self) {
        if self.topology == Topology::Mesh {
            let text = "we do not host: in a mesh nobody does, each mixes for himself";
            return self.events.push(Event::Warning(text.to_owned()));
        }
        // A closed room has told so by `Event::Closed`.
        let _ = self.driver.send(ToDriver::Hosting(true)).await;
    }

    /// We may not host any more. If we do, another takes over first, as with
    /// [`hand_over`](Self::hand_over); if nobody can, the others elect somebody, or wait for
    /// one who may. In a mesh there is nothing to give up.
    pub async fn stop_hosting(&self) {
        if self.topology == Topology::Mesh {
            return;
        }
        let _ = self.driver.send(ToDriver::Hosting(false)).await;
    }

    /// If we host, has the one who is best placed to follow us host from now on. Nobody
    /// sees or hears it: the mix goes on where ours ends, under the same numbers.
    ///
    /// [`Event::HostChanged`] tells who it is: he has been named, and from a moment on that is
    /// a quarter of a second or so ahead, the mix is his. Up to then it is ours, and
    /// [`leave`](Self::leave) waits for that; to drop the room cuts it off.
    /// [`Event::HandoverAborted`] tells that it did not come about: then we go on hosting. We
    /// may be made host again. To ask again while a handover is under way changes nothing, and
    /// what comes of it is told once.
    pub async fn hand_over(&self) {
        if self.topology == Topology::Mesh {
            let reason = "in a mesh nobody hosts".to_owned();
            return self.events.push(Event::HandoverAborted { reason });
        }
        let _ = self.driver.send(ToDriver::HandOver).await;
    }

    /// Says that our addresses are others than before, as a system tells of a new network:
    /// each connection looks for a path at once, and not only when nothing has been heard
    /// for a while. [`Event::Reconnecting`] and [`Event::Reconnected`] tell how it goes.
    pub async fn network_changed(&self) {
        // A closed room has no connections.
        let _ = self.driver.send(ToDriver::NetworkChanged).await;
    }

    /// Leaves: stops publishing, hands over if we host, tells the others, closes every
    /// connection, and returns the final figures. The others see that our streams are off
    /// before they see us go. If nobody can follow, or who was to is not ready, we go all the
    /// same, and the others elect somebody.
    ///
    /// Takes at most about two seconds, and who hosts, or has just handed over,
    /// [`Config::handover_timeout`](crate::Config::handover_timeout) more at most.
    pub async fn leave(mut self) -> Stats {
        // Who is to host next would wait for our picture.
        self.stop_video().await;
        self.stop_audio().await;
        #[cfg(feature = "sound")]
        let loudspeaker = self.outlet.stats();
        self.outlet.close();
        let (done, left) = oneshot::channel();
        let asked = self.driver.send(ToDriver::Leave(done)).await;
        let stats = match asked {
            Ok(()) => left.await.unwrap_or_default(),
            Err(_) => Stats::default(),
        };
        if let Some(thread) = self.stage_thread.take() {
            // It has been told to quit. What it counted until then is the end.
            let _ = tokio::task::spawn_blocking(move || thread.join()).await;
        }
        let stats = self.counted(stats);
        #[cfg(feature = "sound")]
        let stats = Stats { loudspeaker, ..stats };
        stats
    }

    /// With what the threads of the room have counted up to now.
    fn counted(&self, mut stats: Stats) -> Stats {
        stats.media = self.counters.media();
        #[cfg(feature = "sound")]
        {
            stats.loudspeaker = self.outlet.stats();
        }
        stats.stale_epoch_rendered = self.counters.stale_epoch_rendered.get();
        stats
    }

    async fn tell_track(&self, stream: StreamId, enabled: bool) -> Result<(), PublishError> {
        let told = self.driver.send(ToDriver::TrackState { stream, enabled }).await;
        told.map_err(|_| PublishError::RoomLeft)
    }
}
