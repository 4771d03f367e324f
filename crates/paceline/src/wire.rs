//! What the threads of a room say to each other.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use bytes::Bytes;
use paceline_session::Role;
use paceline_types::{
    AudioFrame, EncodedFrame, EncoderTarget, MixInfo, PeerId, PlayoutRate, SenderId, StreamId,
    StreamKey, VideoFrame,
};
use tokio::sync::oneshot;

use crate::broadcast::PublisherStats;
use crate::counters::Stats;

/// For the driver.
#[derive(Debug)]
pub(crate) enum ToDriver {
    /// What an application has for everybody.
    Data(ForAll),
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
    /// Our addresses are others than before.
    NetworkChanged,
    /// Tell what there is to tell.
    Stats(oneshot::Sender<Stats>),
    /// A stream of ours went on or off.
    TrackState { stream: StreamId, enabled: bool },
    /// Tell how each connection is: what a driver knows of a broadcast.
    Viewers(oneshot::Sender<PublisherStats>),
}

/// What an application has for everybody.
#[derive(Debug)]
pub(crate) struct ForAll {
    pub(crate) channel: u16,
    pub(crate) data: Bytes,
    /// Told when it is in everybody's queue.
    pub(crate) taken: oneshot::Sender<()>,
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
    /// Our own sound, unencoded: we host, or are in a mesh.
    LocalAudio(AudioFrame),
    /// Our own picture, unencoded: we host, or are in a mesh.
    LocalVideo(VideoFrame),
    /// Frames are missing.
    Lost { stream: StreamKey, count: u64 },
    /// Stop.
    Quit,
    /// A sound is to be played at another rate.
    Rate { stream: StreamKey, rate: PlayoutRate },
    /// We do something else now.
    Role { role: Role, us: SenderId },
    /// The mix's encoder has to change.
    Steer(EncoderTarget),
    /// Somebody's stream went on or off.
    TrackState { stream: StreamKey, enabled: bool },
}

impl ToStage {
    /// What it counts for in the queue: nothing if it must not be refused.
    fn weight(&self) -> usize {
        let bytes = match self {
            Self::Decode { frame, .. } => frame.data.len(),
            Self::LocalAudio(frame) => size_of_val(&frame.samples[..]),
            Self::LocalVideo(frame) => frame.planes().len(),
            Self::Lost { .. } => 0,
            _ => return 0,
        };
        bytes + 1_024
    }
}

/// What the program has read since it was last told.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Read {
    pub(crate) from: Option<PeerId>,
    pub(crate) packets: usize,
    pub(crate) bytes: usize,
}

/// Where frames go when they are due: the stage thread, or the program itself.
pub(crate) trait Frames: Clone + Send + Sync + 'static {
    /// Whether a host mixes what he gets.
    const MIXES: bool;

    /// Takes a message; `false` if it was not taken.
    fn send(&self, message: ToStage) -> bool;

    /// Takes what somebody's application sent; `false` if nobody here reads such, and so
    /// it counts as read.
    fn data(&self, _from: PeerId, _channel: u16, _data: Bytes) -> bool {
        false
    }

    /// Waits until the program has read much of that. Cancel-safe.
    fn read(&self) -> impl Future<Output = Read> + Send {
        std::future::pending()
    }

    /// Whether more is to be taken from the transport.
    fn has_room(&self) -> bool {
        true
    }

    /// Waits until it is again. Cancel-safe.
    fn room(&self) -> impl Future<Output = ()> + Send {
        std::future::ready(())
    }
}

impl Frames for StageSender {
    const MIXES: bool = true;

    fn send(&self, message: ToStage) -> bool {
        Self::send(self, message)
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
    /// Whether our frames go to our own stage instead of to an encoder: we host.
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

/// Bytes of frames that may wait for the stage thread: seconds of 32 members' H.264,
/// and ten of the largest pictures that there are. Each frame counts for 1 KiB more.
const STAGE_QUEUE: usize = 32 << 20;

/// Frames that the stage thread takes in before it lets time pass.
const STAGE_BATCH: usize = 256;

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
        let weight = message.weight();
        if weight > 0 && self.waiting.load(Ordering::Acquire) >= STAGE_QUEUE {
            return false;
        }
        self.waiting.fetch_add(weight, Ordering::AcqRel);
        self.queue.send(message).is_ok()
    }
}

impl StageReceiver {
    /// Waits so long, or for ever, for what comes, and takes what there is, up to a
    /// batch.
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
        let messages: Vec<_> =
            first.into_iter().chain(self.queue.try_iter()).take(STAGE_BATCH).collect();
        let weight = messages.iter().map(ToStage::weight).sum();
        self.waiting.fetch_sub(weight, Ordering::AcqRel);
        Some(messages)
    }
}
