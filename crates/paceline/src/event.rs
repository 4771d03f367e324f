//! What a program hears of a room.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use paceline_types::{AudioFrame, MixInfo, NtpTime, PeerId, SenderId, StreamId, VideoFrame};
use tokio::sync::Notify;

use crate::counters::Counters;

/// The mixed picture of everybody.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Picture {
    /// The picture.
    pub frame: VideoFrame,
    /// When it was ready to be shown.
    pub ready: NtpTime,
}

/// The mixed sound of everybody else.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Sound {
    /// The sound, 20 ms of it.
    pub frame: AudioFrame,
    /// When its first sample was ready to be played.
    pub ready: NtpTime,
    /// It was made up because the real one is missing.
    pub concealed: bool,
}

/// Something a program may want to know.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// A connection is up: media flow.
    Connected {
        /// To whom.
        peer: PeerId,
    },
    /// The room is over for us; nothing follows. We left, or the signalling server is
    /// gone and so is everybody else.
    Closed {
        /// Why.
        reason: String,
    },
    /// A connection is down.
    Disconnected {
        /// To whom.
        peer: PeerId,
        /// Why.
        reason: String,
        /// It is being made again: [`Connected`](Self::Connected) may follow.
        again: bool,
    },
    /// Somebody else is at the front, or nobody.
    HostChanged {
        /// Who.
        host: Option<PeerId>,
        /// It is us.
        us: bool,
    },
    /// Somebody is in the room.
    MemberJoined {
        /// Who.
        peer: PeerId,
        /// His number in the room.
        sender: SenderId,
        /// What he calls himself. It comes from the network.
        name: String,
    },
    /// Somebody left.
    MemberLeft {
        /// Who.
        peer: PeerId,
        /// His number in the room.
        sender: SenderId,
        /// What he called himself.
        name: String,
    },
    /// Who is where in the picture, and how loud.
    MixInfo(MixInfo),
    /// A picture. Only the newest waits.
    Picture(Picture),
    /// There is a path again: nothing that was sent is lost.
    Reconnected {
        /// To whom.
        peer: PeerId,
    },
    /// The path is lost and another is looked for, as when a network has changed. What is
    /// sent waits, within the bounds of each queue. Next is
    /// [`Reconnected`](Self::Reconnected), or [`Disconnected`](Self::Disconnected) if none
    /// is found.
    Reconnecting {
        /// To whom.
        peer: PeerId,
    },
    /// 20 ms of sound.
    Sound(Sound),
    /// Another than before is speaking, ourselves included, or nobody.
    Speaking {
        /// Who.
        sender: Option<SenderId>,
        /// What he calls himself.
        name: Option<String>,
    },
    /// Somebody switched a stream on or off.
    TrackState {
        /// Who.
        sender: SenderId,
        /// Which of his streams.
        stream: StreamId,
        /// Whether it is on.
        enabled: bool,
    },
    /// Something went wrong and the call goes on.
    Warning(String),
}

/// Where a driver's events go. Taking one never waits.
pub(crate) trait Events: Clone + fmt::Debug + Send + Sync + 'static {
    /// Takes an event.
    fn push(&self, event: Event);

    /// Whether nothing more can come of the room, so that it is to be left.
    fn is_over(&self) -> bool {
        false
    }
}

impl Events for EventQueue {
    fn push(&self, event: Event) {
        Self::push(self, event);
    }
}

/// Between the threads of a room and the program: bounded, never blocks.
#[derive(Clone, Debug)]
pub(crate) struct EventQueue {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    queue: Mutex<Queue>,
    wake: Notify,
    counters: Arc<Counters>,
    limit: usize,
}

#[derive(Debug, Default)]
struct Queue {
    events: VecDeque<Event>,
    sounds: VecDeque<Sound>,
    picture: Option<Picture>,
    closed: bool,
}

impl EventQueue {
    pub(crate) fn new(limit: usize, counters: Arc<Counters>) -> Self {
        let shared = Shared { queue: Mutex::default(), wake: Notify::new(), counters, limit };
        Self { shared: Arc::new(shared) }
    }

    pub(crate) fn push(&self, event: Event) {
        let Shared { counters, limit, .. } = &*self.shared;
        let mut queue = self.queue();
        match event {
            Event::Picture(picture) => {
                counters.video_shown.add(1);
                queue.picture = Some(picture);
            }
            Event::Sound(sound) => {
                queue.sounds.push_back(sound);
                if queue.sounds.len() > *limit {
                    queue.sounds.pop_front();
                    counters.events_dropped.add(1);
                }
            }
            event => {
                queue.closed |= matches!(event, Event::Closed { .. });
                queue.events.push_back(event);
                if queue.events.len() > *limit {
                    queue.events.pop_front();
                    counters.events_dropped.add(1);
                }
            }
        }
        drop(queue);
        self.shared.wake.notify_one();
    }

    /// What happened first, then what is heard, then what is seen. Cancel-safe.
    pub(crate) async fn next(&self) -> Option<Event> {
        loop {
            {
                let mut queue = self.queue();
                let sound = |queue: &mut Queue| queue.sounds.pop_front().map(Event::Sound);
                let picture = |queue: &mut Queue| queue.picture.take().map(Event::Picture);
                let event = queue.events.pop_front();
                if let Some(event) =
                    event.or_else(|| sound(&mut queue)).or_else(|| picture(&mut queue))
                {
                    return Some(event);
                }
                if queue.closed {
                    return None;
                }
            }
            self.shared.wake.notified().await;
        }
    }

    /// A thread that panicked while it pushed leaves a queue that is whole.
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.shared.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
