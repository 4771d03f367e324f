//! The task that does what the supervisor decides, and moves frames from the encoders to
//! whoever is sent to.

mod media;
mod places;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use paceline_codec::Change;
use paceline_publish::{
    Attempt, Event as TargetEvent, Failure, FailureKind, Output, State, Supervisor, Target,
};
use tokio::sync::mpsc;

use self::media::{Heard, Media};
use self::places::{Arrival, Place, PlaceEvent, UnderWay};
use super::builder::Plan;
use super::line::{Dial, LineEvent};
#[cfg(feature = "mirror")]
use super::reflection::Reflection;
use super::supply::Supply;
use super::{Order, ShareEnd, ShareEvent, ShareStats, ShareTarget};
use crate::broadcast::Mailbox;
use crate::driver::clock;
use crate::event::Event;
use crate::publish::Opened;

/// A share that runs.
#[derive(Debug)]
pub(super) struct Worker<D: Dial> {
    plan: Plan,
    supply: Arc<Supply>,
    dial: D,
    /// Ends when nobody holds the share any more.
    orders: Option<mpsc::Receiver<Order>>,
    events: Mailbox<ShareEvent>,
    supervisor: Supervisor,
    media: Media,
    /// What is open, or is being opened or closed, and where, by its place in the list.
    attempt: Option<Attempt>,
    target: usize,
    /// Those that are spoken with in the clear, and have been warned of.
    warned: BTreeSet<usize>,
    place: Place<D::Line>,
    under_way: UnderWay<D::Line>,
    /// Why it ends, once that is known.
    end: Option<ShareEnd>,
    /// The newest failure of a target.
    failure: Option<Failure>,
}

/// What wakes the worker.
enum Wake<L> {
    Arrival(Arrival<L>),
    Deadline,
    Media(Heard),
    Order(Option<Order>),
    Place(PlaceEvent),
}

impl<D: Dial> Worker<D> {
    pub(super) fn new(
        plan: Plan,
        supply: Arc<Supply>,
        opened: Opened,
        dial: D,
        orders: mpsc::Receiver<Order>,
        events: Mailbox<ShareEvent>,
    ) -> Self {
        let is_ours = |target: &&ShareTarget| !matches!(target, ShareTarget::External);
        let senders = plan.targets.iter().filter(is_ours).count();
        Self {
            supervisor: Supervisor::new(senders, plan.supervision()),
            media: Media::new(&plan.config, opened),
            plan,
            supply,
            dial,
            orders: Some(orders),
            events,
            attempt: None,
            target: 0,
            warned: BTreeSet::new(),
            place: Place::Nowhere,
            under_way: UnderWay::nothing(),
            end: None,
            failure: None,
        }
    }

    #[cfg(feature = "mirror")]
    pub(super) fn mirrored(mut self, reflection: Reflection) -> Self {
        self.media.mirror(reflection);
        self
    }

    /// Until it is told to end, has nothing to share, or nobody to share it with.
    pub(super) async fn run(self) -> ShareStats {
        // Dropped after the worker: whoever hears of the end may start another at once.
        let _ending = Ending(self.events.clone());
        self.work().await
    }

    async fn work(mut self) -> ShareStats {
        self.supervisor.start(clock());
        self.obey().await;
        while !self.is_over() {
            let wake = self.wake().await;
            self.handle(clock(), wake).await;
            self.obey().await;
        }
        self.under_way.settle().await;
        self.media.stop().await;
        let stats = self.stats(clock()).await;
        let end = self.end.take().unwrap_or_else(|| match self.supervisor_state() {
            State::External => ShareEnd::External,
            _ => ShareEnd::NoTarget(self.failure.take().unwrap_or_else(closed)),
        });
        // Whoever hears of the end may start another at once.
        self.orders = None;
        self.events.close(ShareEvent::Ended(end));
        stats
    }

    fn is_over(&self) -> bool {
        matches!(self.supervisor_state(), State::External | State::Stopped)
    }

    fn supervisor_state(&self) -> State {
        self.supervisor.health(clock(), 0).state
    }

    /// Waits for what happens next. Cancel-safe in all its parts: what is not taken now is
    /// taken the next time.
    async fn wake(&mut self) -> Wake<D::Line> {
        let Self { supervisor, media, place, under_way, orders, .. } = self;
        let deadline = async {
            match supervisor.poll_timeout() {
                Some(at) => tokio::time::sleep_until(at.into()).await,
                None => std::future::pending().await,
            }
        };
        let order = async {
            match orders {
                Some(orders) => orders.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            order = order => Wake::Order(order),
            arrival = under_way.arrival() => Wake::Arrival(arrival),
            event = place.next() => Wake::Place(event),
            heard = media.next() => Wake::Media(heard),
            () = deadline => Wake::Deadline,
        }
    }

    async fn handle(&mut self, now: Instant, wake: Wake<D::Line>) {
        match wake {
            Wake::Arrival(arrival) => self.handle_arrival(now, arrival),
            Wake::Deadline => self.supervisor.handle_timeout(now),
            Wake::Media(heard) => self.handle_media(now, heard),
            Wake::Order(Some(Order::Stats(reply))) => {
                // Who does not wait for them any more does not want them.
                let _ = reply.send(self.stats(now).await);
            }
            Wake::Order(None) => {
                self.orders = None;
                self.finish(now, ShareEnd::Asked);
            }
            Wake::Place(PlaceEvent::Line(event)) => self.handle_line(now, event),
            Wake::Place(PlaceEvent::Room(event)) => self.handle_room(now, event),
        }
    }

    /// Does what the supervisor has decided.
    async fn obey(&mut self) {
        while let Some(output) = self.supervisor.poll_output() {
            match output {
                Output::Close { attempt } => self.close(attempt).await,
                Output::Event(event) => self.tell(event).await,
                Output::Open { attempt, target } => self.open(attempt, target).await,
            }
        }
    }

    async fn tell(&mut self, event: TargetEvent) {
        match &event {
            TargetEvent::EncodeError { failure, .. }
            | TargetEvent::TransportError { failure, .. } => self.failure = Some(failure.clone()),
            // What has failed on one way does so on the next: another encoder is made.
            TargetEvent::FallbackTriggered(reason)
                if reason.failure.kind() == FailureKind::EncodeFailed =>
            {
                self.media.stop().await;
            }
            // The application may begin as soon as it hears of it.
            TargetEvent::FallbackCompleted { target: Target::External, .. } => {
                self.media.stop().await;
            }
            _ => {}
        }
        self.events.push_newest(ShareEvent::Target(event));
    }

    async fn open(&mut self, attempt: Attempt, place: usize) {
        (self.attempt, self.target) = (Some(attempt), place);
        let Some(target) = self.plan.targets.get(place).cloned() else { return };
        match target {
            // It is not among those that the supervisor knows.
            ShareTarget::External => {}
            ShareTarget::Room { url } => {
                // A device that is in use here cannot always be opened there.
                self.media.close_sources().await;
                let publish = self.media.publish(&self.supply);
                let counters = self.media.counters();
                self.under_way = UnderWay::room(&self.plan, &url, publish, counters);
            }
            ShareTarget::Sfu(target) => {
                if target.is_in_the_clear() && self.warned.insert(place) {
                    let text = format!(
                        "what is said to {target}, a token too, can be read on the way: use wss"
                    );
                    self.events.push_newest(ShareEvent::Warning(text));
                }
                let open = self.media.is_closed().then(|| self.supply.publish());
                self.under_way = UnderWay::line(&self.dial, target, open);
            }
        }
    }

    async fn close(&mut self, attempt: Attempt) {
        let figures = self.place.figures().await;
        self.media.pause(figures);
        self.under_way = match std::mem::replace(&mut self.place, Place::Nowhere) {
            // Whoever was called may know of us already, and is told.
            Place::Nowhere => {
                std::mem::replace(&mut self.under_way, UnderWay::nothing()).give_up(attempt)
            }
            place => UnderWay::closing(attempt, place),
        };
    }

    fn handle_arrival(&mut self, now: Instant, arrival: Arrival<D::Line>) {
        let attempt = match arrival {
            Arrival::Closed(attempt) => return self.supervisor.handle_closed(now, attempt),
            _ => self.attempt,
        };
        let Some(attempt) = attempt else { return };
        let failure = match arrival {
            Arrival::Line(line, opened) => {
                self.place = Place::Line(line);
                return match self.media.start(opened) {
                    Ok(()) => self.supervisor.handle_up(now, attempt),
                    Err(error) => self.finish(now, ShareEnd::Source { reason: error.to_string() }),
                };
            }
            Arrival::Room(room) => {
                self.place = Place::Room(room);
                return self.supervisor.handle_up(now, attempt);
            }
            Arrival::NoSource(error) => {
                return self.finish(now, ShareEnd::Source { reason: error.to_string() });
            }
            Arrival::Failed(failure, opened) => {
                self.media.keep(opened);
                failure
            }
            Arrival::Closed(_) => return,
        };
        self.supervisor.handle_failure(now, attempt, failure);
    }

    fn handle_media(&mut self, now: Instant, heard: Heard) {
        match heard {
            Heard::Event(event) => self.handle_source(now, event),
            Heard::Failed => {
                let failed = self.media.failed_pictures();
                let Some(attempt) = self.attempt else { return };
                for _ in 0..failed {
                    let text = "a picture could not be encoded";
                    self.supervisor.handle_encode(now, attempt, Err(text));
                }
            }
            Heard::Frame(frame) => {
                let Place::Line(line) = &mut self.place else { return };
                let Some(attempt) = self.attempt else { return };
                if let Err(reason) = self.media.send(now, line, &frame) {
                    self.supervisor.handle_send(now, attempt, Err(&reason));
                }
                let news = self.media.queued(line);
                for _ in 0..news.refused {
                    let text = "the transport did not take a packet";
                    self.supervisor.handle_send(now, attempt, Err(text));
                }
                self.supervisor.handle_queue(now, attempt, news.offered, news.dropped);
            }
        }
    }

    fn handle_line(&mut self, now: Instant, event: LineEvent) {
        let Some(attempt) = self.attempt else { return };
        match event {
            LineEvent::Bitrate(bitrate) => {
                self.media.set_bitrate(bitrate.min(self.plan.config.video_bitrate));
            }
            LineEvent::Closed(failure) => self.supervisor.handle_failure(now, attempt, failure),
            LineEvent::KeyframeNeeded => self.media.want_keyframe(),
            LineEvent::LevelLowered { wanted, agreed } => {
                let target = self.target;
                self.events.push_newest(ShareEvent::LevelLowered { target, wanted, agreed });
            }
            LineEvent::Path { up } => self.supervisor.handle_path(now, attempt, up),
        }
    }

    fn handle_room(&mut self, now: Instant, event: Option<Event>) {
        let reason = match event {
            Some(Event::Closed { reason }) => reason,
            Some(event) => return self.handle_source(now, event),
            None => "the room is closed".to_owned(),
        };
        let Some(attempt) = self.attempt else { return };
        let failure = Failure::new(FailureKind::ServerClosed, &reason);
        self.supervisor.handle_failure(now, attempt, failure);
    }

    /// What whoever reads the sources has to say, our own threads or a room's.
    fn handle_source(&mut self, now: Instant, event: Event) {
        let event = match event {
            // Which may be by its bitrate alone, and that with each word of the network.
            Event::Adapted(Change { from, to, .. })
                if (from.size, from.frame_rate, from.content)
                    == (to.size, to.frame_rate, to.content) =>
            {
                return;
            }
            Event::Adapted(change) => ShareEvent::Adapted(change),
            Event::DeviceBack { kind } => ShareEvent::DeviceBack { kind },
            Event::DeviceGone { kind, reason } => ShareEvent::DeviceGone { kind, reason },
            Event::Warning(text) => {
                // A share without a picture is none; without its sound it is one.
                if self.has_lost_picture() {
                    return self.finish(now, ShareEnd::Source { reason: text });
                }
                ShareEvent::Warning(text)
            }
            _ => return,
        };
        self.events.push_newest(event);
    }

    fn has_lost_picture(&self) -> bool {
        match &self.place {
            Place::Room(room) => room.has_lost_picture(),
            _ => self.media.has_lost_picture(),
        }
    }

    /// Closes what is open, and then is over.
    fn finish(&mut self, now: Instant, end: ShareEnd) {
        self.end.get_or_insert(end);
        self.supervisor.stop(now);
    }

    async fn stats(&mut self, now: Instant) -> ShareStats {
        let sender = self.place.figures().await;
        let mut stats = self.media.stats(sender);
        let level = stats.ladder.as_ref().map_or(0, |(_, ladder)| ladder.level);
        let health = self.supervisor.health(now, u32::try_from(level).unwrap_or(u32::MAX));
        stats.target = match (health.state, health.target) {
            (State::Live, Some(Target::Sender(target))) => Some(target),
            _ => None,
        };
        stats.fallbacks = self.supervisor.stats().fallbacks;
        stats.events_dropped = self.events.dropped();
        stats.health = Some(health);
        stats
    }
}

/// However the task ends, whoever listens hears of it.
struct Ending(Mailbox<ShareEvent>);

impl Drop for Ending {
    fn drop(&mut self) {
        // After an end that was told, nothing is taken any more.
        self.0.close(ShareEvent::Ended(ShareEnd::BrokenOff));
    }
}

/// A supervisor that stops by itself has told of a failure; if it has not, this is all that is
/// known.
fn closed() -> Failure {
    Failure::from(FailureKind::TransportClosed)
}
