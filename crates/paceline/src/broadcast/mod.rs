//! One sends, many receive.

mod config;
mod encoded;
mod mailbox;
mod patience;
mod publisher;
mod viewer;

use std::collections::VecDeque;
use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use paceline_session::{Session, Topology};
use paceline_transport::{WebRtc, WebRtcConfig};
use tokio::sync::mpsc;

pub use self::config::BroadcastConfig;
#[cfg(feature = "publish")]
pub(crate) use self::mailbox::Mailbox;
pub(crate) use self::patience::Patience;
pub use self::publisher::{
    Publisher, PublisherBuilder, PublisherEvent, PublisherStats, ViewerStats,
};
pub use self::viewer::{Viewer, ViewerBuilder, ViewerEvent};
use crate::counters::{Counters, JoinTimeline};
use crate::driver::{Driver, Gathered, SoundLoss};
use crate::event::Events;
use crate::room::{Entered, roster_of};
use crate::speaker::Speaker;
use crate::wire::{Frames, Switches, ToDriver};

/// Why [`Publisher::send`] did not take a message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum SendError {
    /// The broadcast is over.
    Closed,
    /// Channel 65,535 is for padding.
    Reserved,
    /// It is larger than a packet.
    TooLarge {
        /// Its bytes.
        len: usize,
        /// The most there may be.
        max: usize,
    },
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("the broadcast is over: start another"),
            Self::Reserved => f.write_str("channel 65535 is for padding: take another"),
            Self::TooLarge { len, max } => {
                write!(f, "a message of {len} bytes is too large: send at most {max}, in parts")
            }
        }
    }
}

impl Error for SendError {}

/// A driver that runs, as seen by either end of a broadcast.
#[derive(Debug)]
struct Running {
    driver: mpsc::Sender<ToDriver>,
    counters: Arc<Counters>,
    switches: Switches,
}

/// Starts the driver of somebody who has entered the room.
fn start<F: Frames, E: Events>(
    entered: Entered,
    transport: WebRtcConfig,
    name: String,
    began: Instant,
    config: &BroadcastConfig,
    frames: F,
    events: E,
) -> Running {
    let Entered { peer, client, connection, joined, .. } = entered;
    let (driver, inputs) = mpsc::channel(QUEUE);
    let (counters, switches) = (Arc::new(Counters::default()), Switches::default());
    let us = (peer, joined.sender);
    let this = Driver {
        session: Session::new(peer, config.session()),
        transport: WebRtc::new(transport),
        client,
        connection: Some(connection),
        inputs,
        stage: frames,
        events,
        counters: Arc::clone(&counters),
        switches: switches.clone(),
        us,
        began,
        speaker: Speaker::default(),
        names: vec![(us.0, us.1, name)],
        timeline: JoinTimeline::default(),
        patience: Patience::default(),
        held: VecDeque::new(),
        gathered: Gathered::default(),
        sound_loss: SoundLoss::default(),
        host_changes: 0,
        topology: Topology::Broadcast,
        // A broadcast ends with its host: nobody follows.
        handover_timeout: Duration::ZERO,
        departure: None,
        drained_at: None,
        full_batches: 0,
    };
    tokio::spawn(this.run(roster_of(joined, false)));
    Running { driver, counters, switches }
}

/// What a program has said and the driver has not heard yet: messages of [`MAX_DATA`] bytes
/// and pictures of 4 MiB at most. Who says more waits.
///
/// [`MAX_DATA`]: paceline_session::MAX_DATA
const QUEUE: usize = 16;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;
    use paceline_signaling::{Capabilities, Server, ServerConfig};
    use tokio::sync::oneshot;

    use super::mailbox::Mailbox;
    use super::*;
    use crate::driver::clock;
    use crate::event::Event;
    use crate::room::enter;
    use crate::wire::{ForAll, ToStage};

    const WATCHDOG: Duration = Duration::from_secs(60);

    #[derive(Clone, Debug)]
    struct Heard(Mailbox<Event>);

    impl Events for Heard {
        fn push(&self, event: Event) {
            self.0.push(event, 1);
        }
    }

    #[derive(Clone, Debug)]
    struct Nothing;

    impl Frames for Nothing {
        fn send(&self, _message: ToStage) -> bool {
            true
        }
    }

    #[tokio::test]
    async fn a_message_that_the_transport_refuses_is_counted_and_ends_its_connection() {
        tokio::time::timeout(WATCHDOG, refuse()).await.expect("it did not happen in time");
    }

    async fn refuse() {
        let listening = Server::bind(([127, 0, 0, 1], 0).into(), ServerConfig::default());
        let server = listening.await.expect("loopback");
        let url = server.url("stage");
        let config = BroadcastConfig::default().join_timeout(WATCHDOG);
        let host = Capabilities { host: true, ..Capabilities::default() };
        let entered = enter(&url, "ada", host, WATCHDOG).await.expect("the room is empty");
        // Less than the session hands over at a time.
        let transport = config.transport(entered.peer).max_outstanding(4 << 10);
        let heard = Heard(Mailbox::new(usize::MAX));
        let name = "ada".to_owned();
        let running = start(entered, transport, name, clock(), &config, Nothing, heard.clone());
        let viewer = Viewer::builder(&url).config(config).join().await.expect("ada publishes");

        let (mut refused, mut ended) = (0, None);
        while refused == 0 {
            let (taken, sent) = oneshot::channel();
            let data = Bytes::from(vec![0; 100_000]);
            let message = ToDriver::Data(ForAll { channel: 1, data, taken });
            running.driver.send(message).await.expect("the driver runs");
            sent.await.expect("the driver runs");
            refused = running.counters.transport_refused.get();
        }
        while ended.is_none() {
            if let Some(Event::Disconnected { peer, reason, again }) = heard.0.next().await {
                assert_eq!((peer, again), (viewer.peer(), true));
                ended = Some(reason);
            }
        }
        let reason = ended.expect("it has ended");
        assert!(reason.starts_with("our transport refused a message: "), "{reason}");
        viewer.leave().await;
        drop(running);
        server.shutdown().await;
    }
}
