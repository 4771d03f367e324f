//! What the threads of a room say to each other.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use bytes::Bytes;
use paceline_session::{MixerState, StageOrder};
use paceline_types::{
    AudioFrame, Bitrate, EncodedFrame, EncoderTarget, Epoch, MixInfo, PeerId, PlayoutRate,
    SenderId, StreamId, StreamKey, VideoFrame,
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
    /// Another is to host.
    HandOver,
    /// We may host, or no more.
    Hosting(bool),
    /// Leave, and say so when it is done.
    Leave(oneshot::Sender<Stats>),
    /// What the mix shows.
    MixInfo(MixInfo),
    /// How far the mix is that our stage makes.
    Mixer(MixerState),
    /// A decoder is stuck.
    NeedsKeyframe(StreamKey),
    /// Our addresses are others than before.
    NetworkChanged,
    /// Our stage could take over, and lacks these.
    StageReady { epoch: Epoch, missing: Vec<SenderId> },
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
    /// A frame of the mix is due, of two hosts at once: both are to be heard.
    Crossfade {
        stream: StreamKey,
        due: Instant,
        arrival: Instant,
        old: EncodedFrame,
        new: EncodedFrame,
        epoch: Epoch,
    },
    /// A frame is due; of the mix, with the epoch of who made it.
    Decode {
        stream: StreamKey,
        due: Instant,
        arrival: Instant,
        frame: EncodedFrame,
        epoch: Option<Epoch>,
    },
    /// He cannot any more.
    Gone { sender: SenderId },
    /// Our own sound, unencoded: our stage mixes.
    LocalAudio(AudioFrame),
    /// Our own picture, unencoded: our stage mixes.
    LocalVideo(VideoFrame),
    /// Frames are missing.
    Lost { stream: StreamKey, count: u64 },
    /// How long a packet takes from the host at least.
    OneWay(Duration),
    /// What to do with the mix of the room.
    Order(StageOrder),
    /// Stop.
    Quit,
    /// A sound is to be played at another rate.
    Rate { stream: StreamKey, rate: PlayoutRate },
    /// The mix's encoder has to change.
    Steer(EncoderTarget),
    /// Somebody's stream went on or off.
    TrackState { stream: StreamKey, enabled: bool },
}

impl ToStage {
    /// What it counts for in the queue: nothing if it must not be refused.
    fn weight(&self) -> usize {
        let bytes = match self {
            Self::Crossfade { old, new, .. } => old.data.len() + new.data.len(),
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
    fn send(&self, message: ToStage) -> bool {
        Self::send(self, message)
    }
}

/// What the publishing threads have to know, and may change under them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Switches(Arc<Flags>);

#[derive(Debug, Default)]
struct Flags {
    gone_audio: AtomicBool,
    gone_video: AtomicBool,
    in_room: AtomicBool,
    keyframe: AtomicBool,
    lends_picture: AtomicBool,
    loses_sound: AtomicBool,
    mixes_picture: AtomicBool,
    mixes_sound: AtomicBool,
    mutes_audio: AtomicBool,
    mutes_video: AtomicBool,
    shows_own: AtomicBool,
    /// In bits per second; 0 if the path has not said.
    video_bitrate: AtomicU64,
}

impl Switches {
    /// Whether anybody gets our frames.
    pub(crate) fn in_room(&self) -> bool {
        self.0.in_room.load(Ordering::Acquire)
    }

    pub(crate) fn set_in_room(&self, on: bool) {
        self.0.in_room.store(on, Ordering::Release);
    }

    /// Whether our own stage takes our sound as it is: it mixes, be it in the dark.
    pub(crate) fn mixes_sound(&self) -> bool {
        self.0.mixes_sound.load(Ordering::Acquire)
    }

    /// Whether our own stage takes our pictures as they are.
    pub(crate) fn mixes_picture(&self) -> bool {
        self.0.mixes_picture.load(Ordering::Acquire)
    }

    pub(crate) fn set_mixes(&self, sound: bool, picture: bool) {
        self.0.mixes_sound.store(sound, Ordering::Release);
        self.0.mixes_picture.store(picture, Ordering::Release);
    }

    /// Whether others get our pictures by themselves, not only within the mix that we make:
    /// we do not host, or somebody prepares to follow us.
    pub(crate) fn sends_picture(&self) -> bool {
        let is_needed = !self.0.shows_own.load(Ordering::Acquire)
            || self.0.lends_picture.load(Ordering::Acquire);
        is_needed && self.in_room()
    }

    /// Says whether the mix that everybody gets is ours.
    pub(crate) fn set_shows_own(&self, on: bool) {
        self.0.shows_own.store(on, Ordering::Release);
    }

    /// Says whether who prepares to follow us needs our pictures.
    pub(crate) fn set_lends_picture(&self, on: bool) {
        self.0.lends_picture.store(on, Ordering::Release);
    }

    /// Whether receivers say that sound of ours is lost on its way.
    pub(crate) fn loses_sound(&self) -> bool {
        self.0.loses_sound.load(Ordering::Acquire)
    }

    pub(crate) fn set_loses_sound(&self, on: bool) {
        self.0.loses_sound.store(on, Ordering::Release);
    }

    /// Whether what a stream is read from is read for nothing.
    pub(crate) fn is_muted(&self, stream: StreamId) -> bool {
        self.mute(stream).load(Ordering::Acquire)
    }

    /// Says so; returns what was before.
    pub(crate) fn set_muted(&self, stream: StreamId, on: bool) -> bool {
        self.mute(stream).swap(on, Ordering::AcqRel)
    }

    /// Whether the device that a stream is read from is gone.
    pub(crate) fn is_gone(&self, stream: StreamId) -> bool {
        self.gone(stream).load(Ordering::Acquire)
    }

    pub(crate) fn set_gone(&self, stream: StreamId, on: bool) {
        self.gone(stream).store(on, Ordering::Release);
    }

    fn gone(&self, stream: StreamId) -> &AtomicBool {
        if stream == StreamId::AUDIO { &self.0.gone_audio } else { &self.0.gone_video }
    }

    fn mute(&self, stream: StreamId) -> &AtomicBool {
        if stream == StreamId::AUDIO { &self.0.mutes_audio } else { &self.0.mutes_video }
    }

    /// What the paths take of our picture, if they have said.
    pub(crate) fn video_bitrate(&self) -> Option<Bitrate> {
        let bps = self.0.video_bitrate.load(Ordering::Acquire);
        (bps > 0).then(|| Bitrate::from_bps(bps))
    }

    pub(crate) fn set_video_bitrate(&self, bitrate: Bitrate) {
        self.0.video_bitrate.store(bitrate.bps(), Ordering::Release);
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
