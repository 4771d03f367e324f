//! What the threads of a room say to each other.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use paceline_session::Role;
use paceline_types::{
    AudioFrame, EncodedFrame, EncoderTarget, MixInfo, PeerId, SenderId, StreamId, StreamKey,
    VideoFrame,
};
use tokio::sync::oneshot;

use crate::counters::Stats;

/// For the driver.
#[derive(Debug)]
pub(crate) enum ToDriver {
    /// A frame of ours, for everybody or for one.
    Encoded { to: Option<PeerId>, frame: EncodedFrame },
    /// We want to host, or no more.
    Hosting(bool),
    /// Leave, and say so when it is done.
    Leave(oneshot::Sender<Stats>),
    /// What the mix shows.
    MixInfo(MixInfo),
    /// A decoder is stuck.
    NeedsKeyframe(StreamKey),
    /// Tell what there is to tell.
    Stats(oneshot::Sender<Stats>),
    /// A stream of ours went on or off.
    TrackState { stream: StreamId, enabled: bool },
}

/// For the stage thread.
#[derive(Debug)]
pub(crate) enum ToStage {
    /// Somebody can be heard and seen, and can hear and see.
    Connected { peer: PeerId, sender: SenderId },
    /// A frame is due.
    Decode { stream: StreamKey, due: Instant, frame: EncodedFrame },
    /// He cannot any more.
    Gone { sender: SenderId },
    /// Our own sound, unencoded: we host.
    LocalAudio(AudioFrame),
    /// Our own picture, unencoded: we host.
    LocalVideo(VideoFrame),
    /// Frames are missing.
    Lost { stream: StreamKey, count: u64 },
    /// Stop.
    Quit,
    /// We do something else now.
    Role { role: Role, us: SenderId },
    /// The mix's encoder has to change.
    Steer(EncoderTarget),
    /// Somebody's stream went on or off.
    TrackState { stream: StreamKey, enabled: bool },
}

impl ToStage {
    fn is_media(&self) -> bool {
        matches!(
            self,
            Self::Decode { .. } | Self::LocalAudio(_) | Self::LocalVideo(_) | Self::Lost { .. }
        )
    }
}

/// What the publishing threads have to know, and may change under them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Switches(Arc<Flags>);

#[derive(Debug, Default)]
struct Flags {
    hosting: AtomicBool,
    in_room: AtomicBool,
    keyframe: AtomicBool,
}

impl Switches {
    /// Whether our frames go to our own stage instead of to an encoder.
    pub(crate) fn hosting(&self) -> bool {
        self.0.hosting.load(Ordering::Acquire)
    }

    pub(crate) fn set_hosting(&self, on: bool) {
        self.0.hosting.store(on, Ordering::Release);
    }

    /// Whether anybody gets our frames.
    pub(crate) fn in_room(&self) -> bool {
        self.0.in_room.load(Ordering::Acquire)
    }

    pub(crate) fn set_in_room(&self, on: bool) {
        self.0.in_room.store(on, Ordering::Release);
    }

    /// Whether the next picture has to be a keyframe; asking takes the wish back.
    pub(crate) fn take_keyframe(&self) -> bool {
        self.0.keyframe.swap(false, Ordering::AcqRel)
    }

    pub(crate) fn want_keyframe(&self) {
        self.0.keyframe.store(true, Ordering::Release);
    }
}

/// Frames that may wait between the stage thread and the driver (queue ② holds
/// three per encoder, and a host has one encoder per peer).
pub(crate) const DRIVER_QUEUE: usize = 256;

/// Frames that may wait for the stage thread: a second of 32 members' frames.
const STAGE_QUEUE: usize = 4_096;

/// The way to the stage thread. Sending never waits: media are refused when too
/// much of anything is waiting, control never.
#[derive(Clone, Debug)]
pub(crate) struct StageSender {
    queue: Sender<ToStage>,
    waiting: Arc<AtomicUsize>,
}

/// Its other end.
#[derive(Debug)]
pub(crate) struct StageReceiver {
    queue: Receiver<ToStage>,
    waiting: Arc<AtomicUsize>,
}

pub(crate) fn stage_queue() -> (StageSender, StageReceiver) {
    let (sender, receiver) = channel();
    let waiting = Arc::new(AtomicUsize::new(0));
    let receiver = StageReceiver { queue: receiver, waiting: Arc::clone(&waiting) };
    (StageSender { queue: sender, waiting }, receiver)
}

impl StageSender {
    /// `false` if it was not taken: the stage is far behind, or gone.
    pub(crate) fn send(&self, message: ToStage) -> bool {
        if message.is_media() && self.waiting.load(Ordering::Acquire) >= STAGE_QUEUE {
            return false;
        }
        self.waiting.fetch_add(1, Ordering::AcqRel);
        self.queue.send(message).is_ok()
    }
}

impl StageReceiver {
    /// Waits until `deadline`, or for ever, for what comes, and takes all there is.
    /// `None` once nobody can send any more.
    pub(crate) fn receive(&self, wait: Option<Duration>) -> Option<Vec<ToStage>> {
        let first = match wait {
            Some(wait) => self.queue.recv_timeout(wait),
            None => self.queue.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        let first = match first {
            Ok(message) => Some(message),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => return None,
        };
        let messages: Vec<_> = first.into_iter().chain(self.queue.try_iter()).collect();
        self.waiting.fetch_sub(messages.len(), Ordering::AcqRel);
        Some(messages)
    }
}
