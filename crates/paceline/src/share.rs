//! A screen and a sound, shared with whoever takes them.

mod builder;
mod event;
mod latency;
mod line;
#[cfg(feature = "mirror")]
mod reflection;
mod sfu;
mod stats;
mod supply;
mod target;
#[cfg(test)]
mod tests;
mod way;
mod worker;

use std::sync::Arc;

use paceline_publish::Health;
#[cfg(feature = "mirror")]
use paceline_publish::mirror::Description;
pub use paceline_publish::{Auth, SfuTarget};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use self::builder::Plan;
pub use self::builder::{ShareBuilder, ShareError};
pub use self::event::{ShareEnd, ShareEvent};
pub use self::latency::CaptureToSend;
use self::line::Dial;
#[cfg(feature = "mirror")]
use self::reflection::Reflection;
#[cfg(feature = "mirror")]
pub use self::reflection::ShareMirrorStats;
use self::sfu::Sfus;
pub use self::stats::{SenderFigures, ShareStats};
use self::supply::Supply;
pub use self::target::ShareTarget;
use self::worker::Worker;
use crate::broadcast::Mailbox;
use crate::publish::{Opened, VideoInput, blocking};

/// A screen, a window or any other picture, and a sound if there is one, sent to the first of
/// several targets that works, and to the next when it does so no more.
///
/// Sources are opened and encoded once for all SFUs that are tried; a room opens them for itself.
/// The newest picture wins: what the encoder or the path is too slow for is left out, and
/// [`Config::degradation`](crate::Config::degradation) says what else is given up.
///
/// [`start`](Self::start) what runs and [`stop`](Self::stop) what does not is no error and does
/// nothing; what was stopped may be started again. Dropping it stops it too, and waits for
/// nothing.
///
/// ```no_run
/// use paceline::{Share, ShareEvent, ShareTarget, SfuTarget, VideoInput};
///
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let sfu: SfuTarget = "mediasoup:wss://sfu.example/?roomId=r&peerId=p".parse()?;
/// let mut share = Share::builder(VideoInput::Screen(None))
///     .target(ShareTarget::Sfu(sfu))
///     .target(ShareTarget::Room { url: "ws://192.168.1.7:4455/call".into() })
///     .build()?;
/// share.start().await?;
/// while let Some(event) = share.next().await {
///     if let ShareEvent::Warning(text) = event {
///         eprintln!("{text}");
///     }
/// }
/// println!("{} pictures", share.stop().await.media.video_encoded);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Share {
    plan: Plan,
    supply: Arc<Supply>,
    running: Option<Running>,
    /// Of what was started last, or is.
    events: Option<Mailbox<ShareEvent>>,
    /// Of what was stopped last.
    last: ShareStats,
}

#[derive(Debug)]
struct Running {
    orders: mpsc::Sender<Order>,
    task: JoinHandle<ShareStats>,
}

/// What a share is asked while it runs; to ask nothing any more ends it.
#[derive(Debug)]
enum Order {
    Stats(oneshot::Sender<ShareStats>),
}

impl Share {
    /// Begins to say what is shared, and where.
    #[must_use]
    pub fn builder(video: VideoInput) -> ShareBuilder {
        ShareBuilder::new(video)
    }

    fn new(plan: Plan, supply: Supply) -> Self {
        let (supply, last) = (Arc::new(supply), ShareStats::default());
        Self { plan, supply, running: None, events: None, last }
    }

    /// Where it goes, the first choice first.
    #[must_use]
    pub fn targets(&self) -> &[ShareTarget] {
        &self.plan.targets
    }

    /// What a player has to know to show the [mirror](ShareBuilder::mirror), as an SDP; `None` if
    /// there is none.
    #[cfg(feature = "mirror")]
    #[must_use]
    pub fn mirror(&self) -> Option<&Description> {
        self.plan.mirror.as_ref().map(|looks| &looks.description)
    }

    /// Opens the sources, and begins to try the targets, on the current tokio runtime. What
    /// comes of that is told by [`next`](Self::next). Does nothing if it runs.
    ///
    /// # Errors
    ///
    /// [`ShareError::Publish`] if a source cannot be opened, or `ShareError::MirrorSocket` if the
    /// mirror cannot send; nothing has been started then.
    pub async fn start(&mut self) -> Result<(), ShareError> {
        let plan = self.plan.clone();
        self.start_over(|opened| Sfus::new(&plan, opened)).await
    }

    async fn start_over<D: Dial>(
        &mut self,
        dial: impl FnOnce(&Opened) -> D,
    ) -> Result<(), ShareError> {
        if self.is_running() {
            return Ok(());
        }
        self.stop().await;
        let publish = self.supply.publish();
        let opened = blocking(|| publish.open()).await?;
        let dial = dial(&opened);
        let events = Mailbox::new(self.plan.config.event_queue);
        let (orders, inbox) = mpsc::channel(ORDERS);
        let supply = Arc::clone(&self.supply);
        let worker = Worker::new(self.plan.clone(), supply, opened, dial, inbox, events.clone());
        #[cfg(feature = "mirror")]
        let worker = match &self.plan.mirror {
            Some(looks) => worker.mirrored(Reflection::open(looks)?),
            None => worker,
        };
        self.running = Some(Running { orders, task: tokio::spawn(worker.run()) });
        self.events = Some(events);
        Ok(())
    }

    /// Whether it has been started and has not ended, by itself or otherwise.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.running.as_ref().is_some_and(|running| !running.orders.is_closed())
    }

    /// Waits for what happens next; `None` once it has ended, until it is started again.
    /// Cancel-safe.
    pub async fn next(&mut self) -> Option<ShareEvent> {
        self.events.as_ref()?.next().await
    }

    /// Everything that can be told now, or of the end if it has ended.
    pub async fn stats(&mut self) -> ShareStats {
        if let Some(running) = &self.running {
            let (reply, stats) = oneshot::channel();
            if running.orders.send(Order::Stats(reply)).await.is_ok()
                && let Ok(stats) = stats.await
            {
                return stats;
            }
        }
        self.stop().await
    }

    /// How it is at a glance; `None` if it has never been started. Part of
    /// [`stats`](Self::stats).
    pub async fn health(&mut self) -> Option<Health> {
        self.stats().await.health
    }

    /// Ends it: stops reading, tells the server that nothing more comes, and returns the final
    /// figures. Takes at most about four seconds, if a server does not answer.
    pub async fn stop(&mut self) -> ShareStats {
        if let Some(Running { orders, task }) = &mut self.running {
            // A sender of its own channel, so that ours is gone and nobody asks any more.
            *orders = mpsc::channel(1).0;
            match task.await {
                Ok(stats) => self.last = stats,
                Err(error) => tracing::error!(%error, "a share has broken off"),
            }
            self.running = None;
        }
        self.last.clone()
    }
}

/// Questions that may wait: a program asks one at a time.
const ORDERS: usize = 4;
