//! Where frames go, and what is on its way there or back.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use paceline_publish::{Attempt, Failure, FailureKind};
use paceline_signaling::ConnectError;
use paceline_types::StreamId;
use tokio::sync::oneshot;

use crate::counters::Counters;
use crate::error::{JoinError, PublishError};
use crate::event::Event;
use crate::publish::{Opened, Publish, blocking};
use crate::room::{LocalStream, Room};
use crate::share::builder::Plan;
use crate::share::line::{Dial, Line, LineEvent};
use crate::share::target::without_secrets;
use crate::share::way::towards;
use crate::share::{SenderFigures, SfuTarget};

/// What is open.
#[derive(Debug)]
pub(super) enum Place<L> {
    Line(L),
    Nowhere,
    Room(Box<InRoom>),
}

/// A room that shares what it opened itself.
#[derive(Debug)]
pub(super) struct InRoom(Room);

/// What a place tells.
pub(super) enum PlaceEvent {
    Line(LineEvent),
    /// `None`: it has closed.
    Room(Option<Event>),
}

/// What came of what was under way.
pub(super) enum Arrival<L> {
    Closed(Attempt),
    /// Nobody is there, or not for us; and the sources, if they were opened on the way.
    Failed(Failure, Option<Opened>),
    /// A line, and the sources if they were opened on the way.
    Line(L, Option<Opened>),
    /// The sources cannot be opened: it is the same wherever they are to go.
    NoSource(PublishError),
    Room(Box<InRoom>),
}

/// What takes a while: to open something, or to close it. Whoever drops it does not wait until
/// the other end knows of that.
pub(super) struct UnderWay<L> {
    step: Option<Step<L>>,
    /// To drop it tells what is being opened that nobody wants it any more.
    wish: Option<oneshot::Sender<()>>,
}

type Step<L> = Pin<Box<dyn Future<Output = Arrival<L>> + Send>>;

impl<L: Line> Place<L> {
    /// Waits for what happens there. Cancel-safe.
    pub(super) async fn next(&mut self) -> PlaceEvent {
        match self {
            Self::Line(line) => PlaceEvent::Line(line.next().await),
            Self::Nowhere => std::future::pending().await,
            Self::Room(room) => PlaceEvent::Room(room.0.next().await),
        }
    }

    /// What it has carried; `None` of nowhere.
    pub(super) async fn figures(&mut self) -> Option<SenderFigures> {
        match self {
            Self::Line(line) => Some(line.figures()),
            Self::Nowhere => None,
            Self::Room(room) => Some(room.figures().await),
        }
    }
}

impl InRoom {
    /// Whether what was to be shown is shown no more, and will not be.
    pub(super) fn has_lost_picture(&self) -> bool {
        self.0.local_stream(StreamId::VIDEO) == LocalStream::Null
    }

    /// Of all connections together; the round trip is the longest.
    async fn figures(&self) -> SenderFigures {
        let stats = self.0.stats().await;
        let peers = stats.peers.iter().map(|(_, peer)| peer);
        peers.fold(SenderFigures::default(), |sum, peer| SenderFigures {
            rtt: sum.rtt.max(peer.rtt),
            bytes: sum.bytes + peer.sent_bytes,
            queued_bytes: sum.queued_bytes + peer.queued_bytes as u64,
            shed: sum.shed + peer.shed,
            ..sum
        })
    }
}

impl<L: Line> UnderWay<L> {
    pub(super) fn nothing() -> Self {
        Self { step: None, wish: None }
    }

    fn of(step: impl Future<Output = Arrival<L>> + Send + 'static) -> Self {
        Self { step: Some(Box::pin(step)), wish: None }
    }

    /// Something that gives up when what it is handed comes to its end.
    fn opening<F: Future<Output = Arrival<L>> + Send + 'static>(
        open: impl FnOnce(oneshot::Receiver<()>) -> F,
    ) -> Self {
        let (wish, given_up) = oneshot::channel();
        Self { wish: Some(wish), ..Self::of(open(given_up)) }
    }

    pub(super) fn closing(attempt: Attempt, place: Place<L>) -> Self {
        Self::of(async move {
            close(place).await;
            Arrival::Closed(attempt)
        })
    }

    /// Nobody wants what is being opened any more: it is closed when whoever was called knows.
    pub(super) fn give_up(self, attempt: Attempt) -> Self {
        let Self { step, wish } = self;
        drop(wish);
        Self::of(async move {
            let arrival = match step {
                Some(step) => Some(step.await),
                None => None,
            };
            match arrival {
                Some(Arrival::Line(line, _)) => close(Place::Line(line)).await,
                Some(Arrival::Room(room)) => close(Place::<L>::Room(room)).await,
                _ => {}
            }
            Arrival::Closed(attempt)
        })
    }

    /// To an SFU, with sources that are opened on the way if there are some to open.
    pub(super) fn line<D: Dial<Line = L>>(
        dial: &D,
        target: SfuTarget,
        open: Option<Publish>,
    ) -> Self {
        let dial = dial.clone();
        Self::opening(|mut given_up| async move {
            let opened = match open {
                Some(publish) => tokio::select! {
                    opened = blocking(|| publish.open()) => match opened {
                        Ok(opened) => Some(opened),
                        Err(error) => return Arrival::NoSource(error),
                    },
                    _ = &mut given_up => return unwanted(),
                },
                None => None,
            };
            let given_up = async { drop(given_up.await) };
            match dial.dial(target, given_up).await {
                Ok(line) => Arrival::Line(line, opened),
                Err(failure) => Arrival::Failed(failure, opened),
            }
        })
    }

    /// Into a room that publishes this.
    pub(super) fn room(plan: &Plan, url: &str, publish: Publish, counters: Arc<Counters>) -> Self {
        let (Plan { name, mut config, .. }, url) = (plan.clone(), url.to_owned());
        let shown = without_secrets(&url);
        Self::opening(|given_up| async move {
            let joining = async move {
                if config.bind.is_none() {
                    // As of an SFU: the URL says which server, and its members are to be reached.
                    let url = url.clone();
                    let way = tokio::task::spawn_blocking(move || towards(&url)).await;
                    config.bind = way.ok().flatten();
                }
                let builder = Room::builder(url)
                    .name(name)
                    .config(config)
                    // Who shares does not mix for the others.
                    .host(false)
                    .publish(publish);
                builder.join_counted(counters).await
            };
            let joined = tokio::select! {
                joined = joining => joined,
                // Its server sees that we are gone.
                _ = given_up => return unwanted(),
            };
            match joined {
                Ok(room) => Arrival::Room(Box::new(InRoom(room))),
                Err(JoinError::Publish(error)) => Arrival::NoSource(error),
                Err(error) => Arrival::Failed(failure(error, &shown), None),
            }
        })
    }

    /// Waits for what comes of it, and once that has come for ever. Cancel-safe.
    pub(super) async fn arrival(&mut self) -> Arrival<L> {
        let Some(step) = &mut self.step else { return std::future::pending().await };
        let arrival = step.await;
        *self = Self::nothing();
        arrival
    }

    /// Waits until nothing is under way any more, or it has had its time.
    pub(super) async fn settle(&mut self) {
        if self.step.is_some() && tokio::time::timeout(SETTLE, self.arrival()).await.is_err() {
            tracing::warn!("what was shared with does not take leave");
        }
    }
}

impl<L> fmt::Debug for UnderWay<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("UnderWay").field(&self.step.is_some()).finish()
    }
}

async fn close<L: Line>(place: Place<L>) {
    match place {
        Place::Line(line) => line.close().await,
        Place::Nowhere => {}
        Place::Room(room) => drop(room.0.leave().await),
    }
}

/// What comes of what was given up; nobody asks what.
fn unwanted<L>() -> Arrival<L> {
    Arrival::Failed(Failure::from(FailureKind::TransportClosed), None)
}

/// What not to be let into a room means for a share, in a text that a log may have.
fn failure(mut error: JoinError, shown: &str) -> Failure {
    let kind = kind(&error);
    match &mut error {
        JoinError::Connect(
            ConnectError::BadUrl { url }
            | ConnectError::NotAServer { url, .. }
            | ConnectError::Secure { url }
            | ConnectError::Unreachable { url, .. },
        )
        | JoinError::Refused { url, .. }
        | JoinError::Timeout { url, .. } => shown.clone_into(url),
        _ => {}
    }
    Failure::new(kind, &error.to_string())
}

fn kind(error: &JoinError) -> FailureKind {
    match error {
        JoinError::Connect(ConnectError::Unreachable { .. }) => FailureKind::Unreachable,
        JoinError::Connect(ConnectError::Closed { .. } | ConnectError::Lost { .. }) => {
            FailureKind::ServerClosed
        }
        JoinError::Timeout { .. } => FailureKind::TimedOut,
        // A room that does not let us in wants no token: it is full, or the name is none.
        _ => FailureKind::NegotiationFailed,
    }
}

/// A second more than a room takes to be left ([`Room::leave`]), whoever does not answer.
const SETTLE: Duration = Duration::from_secs(3);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_not_let_into_a_room_is_told_why_and_not_what_is_secret() {
        let url = "ws://ada:hunter2@h:1/call?token=hunter2";
        let shown = without_secrets(url);
        let failed = |error: JoinError| failure(error, &shown);
        let url = || url.to_owned();
        let reason = || "as told".to_owned();
        for error in [
            ConnectError::BadUrl { url: url() },
            ConnectError::NotAServer { url: url(), reason: reason() },
            ConnectError::Secure { url: url() },
            ConnectError::Unreachable { url: url(), reason: reason() },
        ] {
            let text = failed(error.into()).to_string();
            assert!(!text.contains("hunter2") && text.contains("ws://h:1/call"), "{text}");
        }
        let timeout = Duration::from_secs(5);
        let text = failed(JoinError::Timeout { url: url(), timeout }).to_string();
        assert!(!text.contains("hunter2") && text.contains("ws://h:1/call"), "{text}");
        // No other token lets us in where it is full.
        let full = failed(JoinError::Refused { url: url(), message: "the room is full".into() });
        assert_eq!(
            full.to_string(),
            "negotiation failed: ws://h:1/call does not let us in: the room is full"
        );
    }
}
