//! What a program hears of a room.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use paceline_codec::Change;
use paceline_types::{
    AudioFrame, DeviceKind, Epoch, MixInfo, NtpTime, PeerId, SenderId, StreamId, VideoFrame,
};
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
    /// Under which host it was made. The [media time](VideoFrame::time) of the picture is
    /// that of the mix, and goes on from one host to the next. Zero in a mesh, where each
    /// mixes for himself.
    pub epoch: Epoch,
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
    /// Under which host it was made; the later of two that are heard at once. As with a
    /// [picture](Picture::epoch), the media time of the frame is that of the mix.
    pub epoch: Epoch,
}

/// Something a program may want to know.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// Our own picture is sent larger or smaller, oftener or more seldom, finer or coarser than
    /// before, because our processor or the path takes no more, or takes more again. Its
    /// bitrate alone changes too often to be told: [`Stats::ladder`](crate::Stats::ladder).
    Adapted(Change),
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
    /// A device that was gone is back, and used again.
    DeviceBack {
        /// What it is.
        kind: DeviceKind,
    },
    /// A device of ours is gone. It is looked for once a second, until it is back or somebody
    /// stops or switches what it was used for.
    DeviceGone {
        /// What it was.
        kind: DeviceKind,
        /// One line for a person: which, and what the system says.
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
    /// A handover that was asked for or prepared does not take place: who hosts goes on.
    HandoverAborted {
        /// Why.
        reason: String,
    },
    /// Somebody else is at the front, or nobody.
    HostChanged {
        /// Who.
        host: Option<PeerId>,
        /// It is us.
        us: bool,
        /// The number of his time at the front: greater with each host. If there is none, that
        /// of the last one we know of.
        epoch: Epoch,
        /// The host before handed over. Otherwise he left or was not heard any more, and
        /// the others voted.
        planned: bool,
        /// How long the host before had not been heard when we began to doubt, as seen
        /// from here; `None` if there was no doubt.
        detect: Option<Duration>,
        /// How long after that we knew of the new one.
        promote: Option<Duration>,
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
    /// The newest epoch of a picture and of a sound that the program was given.
    newest: (Epoch, Epoch),
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
                note_epoch(counters, &mut queue.newest.0, picture.epoch);
                queue.picture = Some(picture);
            }
            Event::Sound(sound) => {
                note_epoch(counters, &mut queue.newest.1, sound.epoch);
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

/// Counts what is of a host before one whose mix was given out already. A sound of two hosts
/// at once counts as the later one's, so that nothing is right about an older one after it.
fn note_epoch(counters: &Counters, newest: &mut Epoch, epoch: Epoch) {
    if epoch < *newest {
        counters.stale_epoch_rendered.add(1);
    }
    *newest = epoch.max(*newest);
}
