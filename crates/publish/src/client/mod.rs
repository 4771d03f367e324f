//! One attempt at one SFU: sockets, the engine and the clock around the machines.
//!
//! [`SfuSender::connect`] goes the steps of [`mediasoup::Flow`](crate::mediasoup::Flow) or
//! [`broadcaster::Flow`](crate::broadcaster::Flow); then frames go in and what the server
//! wants comes out. Whether to try again, or elsewhere, is for
//! [`Supervisor`](crate::Supervisor) to say.

mod address;
mod config;
mod engine;
mod error;
mod keyframes;
mod link;
mod mailbox;
mod names;
mod rest;
mod signalling;
mod socket;
mod task;
mod tracks;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use paceline_types::{Bitrate, EncodedFrame};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;

pub use self::config::{AudioTrack, Auth, SfuConfig, SfuTarget, VideoTrack};
pub use self::error::{PublishError, TargetError};
use self::mailbox::Mailbox;
use crate::rtp_parameters::{Level, MediaKind};
use crate::{Failure, FailureKind};

/// Sends one picture and one sound to an SFU. Lives on a tokio runtime.
///
/// ```no_run
/// use paceline_publish::types::EncodedFrame;
/// use paceline_publish::{PublishError, SfuConfig, SfuEvent, SfuSender, SfuTarget};
///
/// async fn share(target: SfuTarget, mut frames: impl Iterator<Item = EncodedFrame>)
///     -> Result<(), PublishError>
/// {
///     let mut sender = SfuSender::connect(target, SfuConfig::default()).await?;
///     while let (Some(frame), event) = (frames.next(), sender.try_next()) {
///         match event {
///             Some(SfuEvent::KeyframeNeeded) => { /* tell the encoder */ }
///             Some(SfuEvent::Closed { failure }) => return Ok(println!("{failure}")),
///             _ => {}
///         }
///         let _ = sender.send(frame);
///     }
///     sender.close().await;
///     Ok(())
/// }
/// ```
#[derive(Debug)]
pub struct SfuSender {
    frames: mpsc::Sender<EncodedFrame>,
    orders: mpsc::UnboundedSender<Order>,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
    patience: Duration,
}

/// What a sender tells. Of each kind the newest is kept until it is read.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum SfuEvent {
    /// The path takes so much, of picture and sound together.
    Bitrate(Bitrate),
    /// It is over. Nothing follows.
    Closed {
        /// Why.
        failure: Failure,
    },
    /// Somebody can go on only from a keyframe. Two a second at most.
    KeyframeNeeded,
    /// The router takes less of H.264 than the configured size and rate need: pictures beyond
    /// the level agreed on (H.264 table A-1) may be shown to nobody.
    LevelLowered {
        /// What the configured pictures need.
        wanted: Level,
        /// What the router takes.
        agreed: Level,
    },
    /// The path to the server works no more, or works again.
    Path {
        /// Whether it does.
        up: bool,
    },
    /// How well a stream arrives, from 0 to 10 (mediasoup's `ProducerScore`).
    Score {
        /// Sound or pictures.
        kind: MediaKind,
        /// Ten is without loss.
        score: u8,
    },
}

/// What was sent, and how it stands.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct SfuStats {
    /// Frames of which the last packet went.
    pub frames: u64,
    /// Pictures that were left out whole: the path did not take them in time, or they build on
    /// one that was lost before it was made into packets. Not those that there was no path for.
    pub left_out: u64,
    /// Frames of picture and sound that came, or waited, while there was
    /// [no path](SfuEvent::Path).
    pub without_path: u64,
    /// Frames that are of no track, or cannot be made into packets.
    pub refused: u64,
    /// RTP packets sent for the first time.
    pub packets: u64,
    /// Their bytes, with headers, without those of SRTP and below.
    pub bytes: u64,
    /// Packets sent again because the server asked for them.
    pub retransmissions: u64,
    /// Packets that the engine did not take.
    pub send_errors: u64,
    /// Keyframes that the server asked for, each request counted.
    pub keyframe_requests: u64,
    /// Bytes that wait for their turn.
    pub queued_bytes: usize,
    /// How long the oldest picture has waited.
    pub queue_delay: Duration,
    /// The round trip by the newest report; nothing before the first.
    pub rtt: Option<Duration>,
    /// The share of packets that the newest report calls lost, 0 to 1.
    pub lost: f64,
    /// What the path takes.
    pub target: Bitrate,
    /// How well the picture arrives, 0 to 10, as last told.
    pub video_score: Option<u8>,
    /// The same of the sound.
    pub audio_score: Option<u8>,
    /// From the call of [`connect`](SfuSender::connect) until media could flow.
    pub connected_after: Duration,
}

/// A frame that was not taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// It is over: see [`SfuEvent::Closed`].
    #[error("the sender is closed")]
    Closed,
    /// Sixteen frames wait to be made into packets: the machine does not keep up.
    #[error("too many frames wait to be made into packets")]
    Full,
}

/// What the owner wants of the task.
#[derive(Debug)]
enum Order {
    Close,
    RestartIce,
}

/// What the task and the owner both see.
#[derive(Debug, Default)]
struct Shared {
    stats: Mutex<SfuStats>,
    mailbox: Mailbox,
    hole: Hole,
}

/// Pictures that were lost on their way to the task: nothing later shows that they are
/// missing, for they have no number yet.
#[derive(Debug, Default)]
struct Hole {
    awaits_key: AtomicBool,
    left_out: AtomicU64,
    news: Notify,
}

impl Hole {
    /// Whether a picture may go: behind a hole, only a keyframe.
    fn admits(&self, is_key: bool) -> bool {
        let is_admitted = is_key || !self.awaits_key.load(Ordering::Relaxed);
        if !is_admitted {
            self.left_out.fetch_add(1, Ordering::Relaxed);
            self.news.notify_one();
        }
        is_admitted
    }

    /// What became of one that might go.
    fn note(&self, is_key: bool, is_taken: bool) {
        if !is_taken {
            self.awaits_key.store(true, Ordering::Relaxed);
            self.news.notify_one();
        } else if is_key {
            self.awaits_key.store(false, Ordering::Relaxed);
        }
    }
}

impl SfuSender {
    /// Goes all the steps, until media can flow.
    ///
    /// If the future is dropped, so is what was begun, as far as the runtime still goes on:
    /// [`connect_unless`](Self::connect_unless) waits until the server has been told.
    ///
    /// # Errors
    ///
    /// [`PublishError`], within the config's `connect_timeout`; then everything is closed again,
    /// which takes its `close_timeout` at most.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub async fn connect(target: SfuTarget, config: SfuConfig) -> Result<Self, PublishError> {
        Self::connect_unless(std::future::pending(), target, config).await
    }

    /// The same, until `given_up` comes to its end: then the server is told, if it knows of us,
    /// within the config's `close_timeout`. A broadcaster that just vanishes stays in its room.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect), or [`PublishError::GivenUp`].
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub async fn connect_unless(
        given_up: impl Future<Output = ()>,
        target: SfuTarget,
        config: SfuConfig,
    ) -> Result<Self, PublishError> {
        let (frames, frame_queue) = mpsc::channel(FRAMES);
        let (orders, order_queue) = mpsc::unbounded_channel();
        let (ready, is_ready) = oneshot::channel();
        let shared = Arc::new(Shared::default());
        let config = config.bounded();
        let patience = config.close_timeout;
        let start = task::Start {
            target,
            config,
            frames: frame_queue,
            orders: order_queue,
            shared: Arc::clone(&shared),
        };
        let task = tokio::spawn(task::run(start, ready));
        // From here on, to drop this is to end that.
        let this = Self { frames, orders, shared, task, patience };
        let opened = tokio::select! {
            opened = is_ready => opened,
            () = given_up => {
                this.close().await;
                return Err(PublishError::GivenUp);
            }
        };
        match opened {
            Ok(Ok(())) => Ok(this),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(PublishError::Engine { reason: "its task has ended".to_owned() }),
        }
    }

    /// Hands over a frame of a track. It does not wait.
    ///
    /// # Errors
    ///
    /// [`SendError`], and the frame is gone. If it was a picture, those that follow are left out
    /// and counted until a keyframe comes, which is asked for.
    pub fn send(&self, frame: EncodedFrame) -> Result<(), SendError> {
        if self.frames.is_closed() {
            return Err(SendError::Closed);
        }
        let (is_picture, is_key) = (!frame.coding.is_audio(), frame.coding.is_key());
        let hole = &self.shared.hole;
        if is_picture && !hole.admits(is_key) {
            return Ok(());
        }
        let sent = self.frames.try_send(frame).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => SendError::Full,
            mpsc::error::TrySendError::Closed(_) => SendError::Closed,
        });
        if is_picture {
            hole.note(is_key, sent.is_ok());
        }
        sent
    }

    /// Waits for what there is to tell; `None` after [`SfuEvent::Closed`]. Cancel-safe.
    pub async fn next(&mut self) -> Option<SfuEvent> {
        self.shared.mailbox.next().await
    }

    /// The same without waiting; `None` if there is nothing to tell now.
    pub fn try_next(&mut self) -> Option<SfuEvent> {
        self.shared.mailbox.poll()
    }

    /// Has both ends look for a path anew (RFC 8445 §2.4). Over a plain transport there is
    /// nothing to restart.
    pub fn restart_ice(&self) {
        // Who has ended has no path.
        let _ = self.orders.send(Order::RestartIce);
    }

    /// What was sent, and how it stands.
    #[must_use]
    pub fn stats(&self) -> SfuStats {
        let mut stats = *self.shared.stats.lock().unwrap_or_else(PoisonError::into_inner);
        stats.left_out += self.shared.hole.left_out.load(Ordering::Relaxed);
        stats
    }

    /// Tells the server, and ends; within the config's `close_timeout`.
    pub async fn close(self) {
        let _ = self.orders.send(Order::Close);
        let Self { mut task, patience, .. } = self;
        if timeout(patience.saturating_add(GRACE), &mut task).await.is_err() {
            task.abort();
        }
    }
}

impl From<&PublishError> for Failure {
    fn from(error: &PublishError) -> Self {
        let kind = match error {
            PublishError::AuthRefused { .. } => FailureKind::AuthRefused,
            PublishError::BadRequest { .. }
            | PublishError::BadTarget(_)
            | PublishError::Bind { .. }
            | PublishError::Insecure { .. }
            | PublishError::Negotiation { .. }
            | PublishError::Refused { .. } => FailureKind::NegotiationFailed,
            PublishError::Closed { .. } => FailureKind::ServerClosed,
            PublishError::GivenUp => FailureKind::TransportClosed,
            PublishError::NoPath { .. } => FailureKind::NoPath,
            PublishError::TimedOut { .. } => FailureKind::TimedOut,
            // ICE or DTLS that came to nothing may have been a lost packet: another try is due.
            PublishError::Engine { .. }
            | PublishError::Name { .. }
            | PublishError::Unreachable { .. } => FailureKind::Unreachable,
        };
        Self::new(kind, &error.to_string())
    }
}

/// Frames that wait to be made into packets: a third of a second of pictures and sound.
const FRAMES: usize = 16;

/// Ours: for a task that does not get its turn at once; by itself it ends in time.
const GRACE: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_that_was_not_taken_holds_up_those_behind_it_until_a_keyframe() {
        let hole = Hole::default();
        assert!(hole.admits(false));
        hole.note(false, false);
        assert!(!hole.admits(false) && !hole.admits(false));
        // A keyframe that is not taken either mends nothing.
        assert!(hole.admits(true));
        hole.note(true, false);
        assert!(!hole.admits(false));
        assert!(hole.admits(true));
        hole.note(true, true);
        assert!(hole.admits(false));
        assert_eq!(hole.left_out.load(Ordering::Relaxed), 3);
    }
}
