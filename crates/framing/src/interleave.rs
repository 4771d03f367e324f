//! What goes next to a peer, and what does not go at all.

use std::collections::{BTreeSet, VecDeque};
use std::mem;
use std::time::Instant;

use bytes::Bytes;
use paceline_types::StreamKey;

use crate::fragment::Picture;
use crate::kind::Class;
use crate::{Cut, InterleaverConfig};

/// What became of a packet given to [`Interleaver::push`].
///
/// ```
/// use std::time::Instant;
///
/// use bytes::Bytes;
/// use paceline_framing::types::SenderId;
/// use paceline_framing::{
///     Body, Control, Fragmenter, Interleaver, InterleaverConfig, Packet, Verdict,
/// };
///
/// let data = Bytes::from(vec![0; 600]);
/// let body = Body::Control(Control::ApplicationData { channel: 1, data });
/// let packet = Packet { sender: SenderId::new(1), epoch: None, body };
/// let cut = Fragmenter::new(16_384).cut(&packet);
///
/// let now = Instant::now();
/// let mut queue = Interleaver::new(InterleaverConfig::default().max_bulk_bytes(1_000));
/// assert_eq!(queue.push(now, cut.clone()), Verdict::Queued);
/// assert_eq!(queue.push(now, cut), Verdict::Full);
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
#[non_exhaustive]
pub enum Verdict {
    /// It is not taken. Control must be, so the peer takes nothing any more: give it
    /// up. Bulk has to wait.
    Full,
    /// It waits for its turn. A picture may still be shed.
    Queued,
    /// It is not sent: a picture that it builds on was shed.
    Shed,
    /// It is not sent: it takes more messages than a packet may have.
    TooLarge,
}

/// What one peer was not sent, since the interleaver was made.
///
/// ```
/// use paceline_framing::{Interleaver, InterleaverConfig, InterleaverStats};
///
/// let queue = Interleaver::new(InterleaverConfig::default());
/// assert_eq!(queue.stats(), InterleaverStats::default());
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct InterleaverStats {
    /// Packets of control or bulk that did not fit.
    pub full: u64,
    /// Pictures not taken because one that they build on was shed.
    pub refused_video: u64,
    /// Packets of sound that had waited too long, or were too many.
    pub shed_audio: u64,
    /// Pictures shed from the queue: too old, too many, or built on such a one.
    /// Not those that were never taken.
    pub shed_video: u64,
    /// Packets of more messages than a packet may have.
    pub too_large: u64,
}

/// The queue of one peer.
///
/// Control goes first, then audio, video and bulk: decided for each message, so
/// sound waits behind one fragment of a picture at most, besides what the transport
/// has already: two messages of the usual limit at the most. Within a class the older
/// packet goes first, and one that is begun is finished before the next.
///
/// Pictures that wait too long are shed: whole packets, oldest first, and never one
/// that is begun. With one that others build on go those others, up to the next
/// keyframe; if none waits, pictures of that stream are refused until one comes,
/// and [`poll_needs_keyframe`](Self::poll_needs_keyframe) asks for it.
///
/// | group | calls |
/// |---|---|
/// | input | [`push`](Self::push), [`clear`](Self::clear) |
/// | output | [`pop`](Self::pop), while the transport takes more |
/// | after both | [`poll_needs_keyframe`](Self::poll_needs_keyframe) |
///
/// ```
/// use std::time::Instant;
///
/// use paceline_framing::types::SenderId;
/// use paceline_framing::{
///     Body, Control, Fragmenter, Interleaver, InterleaverConfig, Packet, Verdict,
/// };
///
/// let now = Instant::now();
/// let body = Body::Control(Control::Ping { t1: 0 });
/// let packet = Packet { sender: SenderId::new(1), epoch: None, body };
/// let cut = Fragmenter::new(16_384).cut(&packet);
///
/// let mut queue = Interleaver::new(InterleaverConfig::default());
/// assert_eq!(queue.push(now, cut), Verdict::Queued);
/// let outstanding = 0; // bytes that the transport has and has not sent
/// assert_eq!(queue.pop(now, outstanding), Some(packet.emit()));
/// assert_eq!(queue.pop(now, outstanding), None);
/// ```
#[derive(Debug)]
pub struct Interleaver {
    config: InterleaverConfig,
    control: Queue,
    audio: Queue,
    video: Queue,
    bulk: Queue,
    /// Streams of which only a keyframe is taken.
    broken: BTreeSet<StreamKey>,
    /// Those of them that nobody was told of yet.
    untold: BTreeSet<StreamKey>,
    stats: InterleaverStats,
}

impl Interleaver {
    /// An empty queue.
    #[must_use]
    pub fn new(config: InterleaverConfig) -> Self {
        Self {
            config,
            control: Queue::default(),
            audio: Queue::default(),
            video: Queue::default(),
            bulk: Queue::default(),
            broken: BTreeSet::new(),
            untold: BTreeSet::new(),
            stats: InterleaverStats::default(),
        }
    }

    /// Queues a packet, and sheds what it makes too much.
    pub fn push(&mut self, now: Instant, cut: Cut) -> Verdict {
        self.expire(now);
        if cut.messages().is_empty() {
            self.stats.too_large += 1;
            if let Some(Picture { stream, needed: true }) = cut.picture() {
                self.break_off(stream);
            }
            return Verdict::TooLarge;
        }
        if let Some(picture) = cut.picture() {
            return self.push_video(now, cut, picture);
        }
        let queue = match cut.class() {
            Class::Audio => {
                self.push_audio(now, cut);
                return Verdict::Queued;
            }
            Class::Control => &mut self.control,
            _ => &mut self.bulk,
        };
        let full = match cut.class() {
            Class::Control => queue.held + cost(&cut) > self.config.max_control_bytes,
            _ => queue.held > 0 && queue.held + cost(&cut) > self.config.max_bulk_bytes,
        };
        if full {
            self.stats.full += 1;
            return Verdict::Full;
        }
        queue.push(now, cut);
        Verdict::Queued
    }

    /// The next message, if one waits and the transport, which has `outstanding` bytes
    /// that it did not send yet, may be given one.
    #[must_use]
    pub fn pop(&mut self, now: Instant, outstanding: usize) -> Option<Bytes> {
        self.expire(now);
        if outstanding >= self.config.max_outstanding {
            return None;
        }
        [&mut self.control, &mut self.audio, &mut self.video, &mut self.bulk]
            .into_iter()
            .find_map(Queue::pop)
    }

    /// Whether a picture was shed that the peer cannot go on without. Answers
    /// `true` once for each time that this begins.
    #[must_use]
    pub fn poll_needs_keyframe(&mut self) -> bool {
        !mem::take(&mut self.untold).is_empty()
    }

    /// Bytes that wait, bookkeeping included.
    #[must_use]
    pub const fn queued_bytes(&self) -> usize {
        self.control.held + self.audio.held + self.video.held + self.bulk.held
    }

    /// Forgets all that waits, for a connection that is made anew. Counts go on.
    pub fn clear(&mut self) {
        let Self { config, stats, .. } = self;
        *self = Self { stats: *stats, ..Self::new(config.clone()) };
    }

    /// Counts since it was made.
    #[must_use]
    pub const fn stats(&self) -> InterleaverStats {
        self.stats
    }

    fn push_audio(&mut self, now: Instant, cut: Cut) {
        while self.audio.held + cost(&cut) > self.config.max_audio_bytes
            && self.audio.remove(self.audio.begun()).is_some()
        {
            self.stats.shed_audio += 1;
        }
        self.audio.push(now, cut);
    }

    fn push_video(&mut self, now: Instant, cut: Cut, picture: Picture) -> Verdict {
        if self.refuses(&cut, picture) {
            return Verdict::Shed;
        }
        while self.video.held + cost(&cut) > self.config.max_video_bytes && self.shed_oldest() {}
        // What was shed just now may be what it builds on.
        if self.refuses(&cut, picture) {
            return Verdict::Shed;
        }
        if cut.is_key() {
            self.broken.remove(&picture.stream);
            self.untold.remove(&picture.stream);
        }
        self.video.push(now, cut);
        Verdict::Queued
    }

    fn refuses(&mut self, cut: &Cut, picture: Picture) -> bool {
        let refused = !cut.is_key() && self.broken.contains(&picture.stream);
        self.stats.refused_video += u64::from(refused);
        refused
    }

    fn expire(&mut self, now: Instant) {
        while self.audio.oldest_whole().is_some_and(|waiting| {
            now.saturating_duration_since(waiting.since) > self.config.max_audio_age
        }) {
            self.audio.remove(self.audio.begun());
            self.stats.shed_audio += 1;
        }
        while self.video.oldest_whole().is_some_and(|waiting| {
            now.saturating_duration_since(waiting.since) > self.config.max_video_age
        }) {
            self.shed_oldest();
        }
    }

    /// Sheds the oldest picture that is not begun, and what builds on it; `false`
    /// if there is none.
    fn shed_oldest(&mut self) -> bool {
        let oldest = self.video.begun();
        let Some(cut) = self.video.remove(oldest) else { return false };
        self.stats.shed_video += 1;
        let Some(Picture { stream, needed: true }) = cut.picture() else { return true };

        let mut at = oldest;
        while let Some(next) = self.video.waiting.get(at) {
            if next.cut.picture().is_none_or(|picture| picture.stream != stream) {
                at += 1;
            } else if next.cut.is_key() {
                return true;
            } else {
                self.video.remove(at);
                self.stats.shed_video += 1;
            }
        }
        self.break_off(stream);
        true
    }

    fn break_off(&mut self, stream: StreamKey) {
        if self.broken.insert(stream) {
            self.untold.insert(stream);
        }
    }
}

/// The packets of one class, oldest first. Only the first can be begun.
#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<Waiting>,
    /// The cost of the packets that are not sent yet, and of the rest of one that is
    /// begun.
    held: usize,
}

#[derive(Debug)]
struct Waiting {
    cut: Cut,
    since: Instant,
    /// How many of its messages are sent.
    sent: usize,
}

impl Queue {
    fn push(&mut self, now: Instant, cut: Cut) {
        self.held += cost(&cut);
        self.waiting.push_back(Waiting { cut, since: now, sent: 0 });
    }

    fn pop(&mut self) -> Option<Bytes> {
        let first = self.waiting.front_mut()?;
        let message = first.cut.messages().get(first.sent)?.clone();
        first.sent += 1;
        self.held -= message.len() + MESSAGE_OVERHEAD;
        if first.sent == first.cut.messages().len() {
            self.waiting.pop_front();
            self.held -= PACKET_OVERHEAD;
        }
        Some(message)
    }

    /// How many are begun: none or the first.
    fn begun(&self) -> usize {
        self.waiting.front().map_or(0, |first| usize::from(first.sent > 0))
    }

    fn oldest_whole(&self) -> Option<&Waiting> {
        self.waiting.get(self.begun())
    }

    /// Takes out one that is not begun.
    fn remove(&mut self, at: usize) -> Option<Cut> {
        let Waiting { cut, .. } = self.waiting.remove(at)?;
        self.held -= cost(&cut);
        Some(cut)
    }
}

/// What a packet counts as while it waits.
fn cost(cut: &Cut) -> usize {
    cut.bytes() + MESSAGE_OVERHEAD * cut.messages().len() + PACKET_OVERHEAD
}

/// What a message costs beside its bytes: its place in the cut (32 bytes), and what
/// the allocator adds (16) to it and to that.
const MESSAGE_OVERHEAD: usize = 64;

/// What a packet costs beside its messages: its place in a queue that may be half
/// empty (64 bytes), and what its messages have in common (112).
const PACKET_OVERHEAD: usize = 192;
