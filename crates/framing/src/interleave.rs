//! What goes next to a peer, and what does not go at all.

use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::kind::Class;
use crate::lane::{Broken, Lane};
use crate::queue::{Queue, cost};
use crate::{Cut, InterleaverConfig};

/// What became of a packet given to [`Interleaver::push`].
///
/// ```
/// use std::time::{Duration, Instant};
///
/// use bytes::Bytes;
/// use paceline_framing::types::SenderId;
/// use paceline_framing::{
///     Body, Control, Fragmenter, Interleaver, InterleaverConfig, Packet, QueuePolicy, Verdict,
/// };
///
/// let data = Bytes::from(vec![0; 600]);
/// let body = Body::Control(Control::ApplicationData { channel: 1, data });
/// let packet = Packet { sender: SenderId::new(1), epoch: None, body };
/// let cut = Fragmenter::new(16_384).cut(&packet);
///
/// let now = Instant::now();
/// let policy = QueuePolicy::Reliable { deadline: Duration::from_secs(2), max_bytes: 1_000 };
/// let mut queue = Interleaver::new(InterleaverConfig::default().data_policy(policy));
/// assert_eq!(queue.push(now, cut.clone()), Verdict::Queued);
/// assert_eq!(queue.push(now, cut), Verdict::Full);
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
#[non_exhaustive]
pub enum Verdict {
    /// It is not taken. Control must be, so the peer takes nothing any more: give it
    /// up. What else is refused so has to wait, or its peer is given up too.
    Full,
    /// It waits for its turn. It may still be shed, as its policy says.
    Queued,
    /// It is not sent: a picture that it builds on was shed, or has to go before it.
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
    /// Packets that did not fit: of control, and of what has a policy that says so.
    pub full: u64,
    /// Pictures not taken because one that they build on was shed.
    pub refused_video: u64,
    /// Packets of application data that a later one of their channel replaced.
    pub replaced_data: u64,
    /// Pictures that a later one of their stream replaced.
    pub replaced_video: u64,
    /// Packets of sound that had waited too long, or were too many.
    pub shed_audio: u64,
    /// Packets of application data that had waited too long, or were too many.
    pub shed_data: u64,
    /// Pictures shed from the queue: too old, too many, or built on such a one.
    /// Not those that were never taken.
    pub shed_video: u64,
    /// Packets of more messages than a packet may have.
    pub too_large: u64,
}

/// Which mark the bytes that wait have passed.
///
/// ```
/// use std::time::Instant;
///
/// use bytes::Bytes;
/// use paceline_framing::types::SenderId;
/// use paceline_framing::{
///     Body, Control, Fragmenter, Interleaver, InterleaverConfig, Packet, Watermark,
/// };
///
/// let data = Bytes::from(vec![0; 2_000]);
/// let body = Body::Control(Control::ApplicationData { channel: 1, data });
/// let packet = Packet { sender: SenderId::new(1), epoch: None, body };
///
/// let now = Instant::now();
/// let mut queue = Interleaver::new(InterleaverConfig::default().watermarks(500, 2_000));
/// let _ = queue.push(now, Fragmenter::new(16_384).cut(&packet));
/// assert_eq!(queue.poll_watermark(), Some(Watermark::Congested));
/// assert!(queue.pop(now, 0).is_some());
/// assert_eq!(queue.poll_watermark(), Some(Watermark::Drained));
/// assert_eq!(queue.poll_watermark(), None);
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "there are two marks")]
pub enum Watermark {
    /// The high one, upwards: more is made than goes.
    Congested,
    /// The low one, downwards: it goes again.
    Drained,
}

/// The queue of one peer.
///
/// Control goes first, then audio, video and bulk: decided for each message, so
/// sound waits behind one fragment of a picture at most, besides what the transport
/// has already: two messages of the usual limit, or as much as the window is. Within a class the older
/// packet goes first, and one that is begun is finished before the next.
///
/// What becomes of pictures and of an application's data that do not go is a
/// [`QueuePolicy`](crate::QueuePolicy) each. If a picture is left out that others build
/// on, none of its stream goes before the next keyframe, and
/// [`poll_needs_keyframe`](Self::poll_needs_keyframe) asks for it.
///
/// | group | calls |
/// |---|---|
/// | input | [`push`](Self::push), [`clear`](Self::clear) |
/// | steering | [`set_window`](Self::set_window) |
/// | output | [`pop`](Self::pop), while the transport takes more |
/// | after both | [`poll_needs_keyframe`](Self::poll_needs_keyframe), [`poll_watermark`](Self::poll_watermark) |
/// | when next | [`poll_timeout`](Self::poll_timeout): ask [`overdue`](Self::overdue) then |
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
/// let outstanding = 0; // bytes that the transport has and the other end has not
/// assert_eq!(queue.pop(now, outstanding), Some(packet.emit()));
/// assert_eq!(queue.pop(now, outstanding), None);
/// ```
#[derive(Debug)]
pub struct Interleaver {
    config: InterleaverConfig,
    window: Option<usize>,
    control: Queue,
    audio: Queue,
    video: Lane,
    data: Lane,
    broken: Broken,
    /// More waits than the low mark, and was more than the high one.
    congested: bool,
    /// What was last told of that.
    told_congested: bool,
    control_full: u64,
    shed_audio: u64,
    too_large: u64,
}

impl Interleaver {
    /// An empty queue.
    #[must_use]
    pub fn new(config: InterleaverConfig) -> Self {
        Self {
            window: None,
            control: Queue::default(),
            audio: Queue::default(),
            video: Lane::new(config.video_policy),
            data: Lane::new(config.data_policy),
            broken: Broken::default(),
            congested: false,
            told_congested: false,
            control_full: 0,
            shed_audio: 0,
            too_large: 0,
            config,
        }
    }

    /// Queues a packet, and sheds what it makes too much.
    pub fn push(&mut self, now: Instant, cut: Cut) -> Verdict {
        self.expire(now);
        let verdict = if cut.messages().is_empty() {
            self.too_large += 1;
            self.broken.handle_left_out(&cut);
            Verdict::TooLarge
        } else {
            match cut.class() {
                Class::Audio => self.push_audio(now, cut),
                Class::Control => self.push_control(now, cut),
                Class::Video => self.video.push(now, cut, &mut self.broken),
                Class::Bulk => self.data.push(now, cut, &mut self.broken),
            }
        };
        self.handle_level();
        verdict
    }

    /// The next message, if one waits and the transport, which has `outstanding` bytes
    /// that it did not send yet or that were not acknowledged, may be given one.
    #[must_use]
    pub fn pop(&mut self, now: Instant, outstanding: usize) -> Option<Bytes> {
        self.pop_admitted(now, outstanding, |_| true)
    }

    /// The same, but before a packet of application data is begun, `admit` is asked: with
    /// `false` it stays, and those behind it. For an owner whose peer has said how much
    /// he takes.
    #[must_use]
    pub fn pop_admitted(
        &mut self,
        now: Instant,
        outstanding: usize,
        admit: impl FnOnce(&Cut) -> bool,
    ) -> Option<Bytes> {
        self.expire(now);
        let message = self.pop_first(now, outstanding, admit);
        self.handle_level();
        message
    }

    /// Bytes that may be with the transport from now on, in place of the config's
    /// `max_outstanding`: the next message goes if it fits, or if nothing is there.
    ///
    /// It is the window of whoever measures the path, and stays across
    /// [`clear`](Self::clear).
    pub const fn set_window(&mut self, bytes: usize) {
        self.window = Some(bytes);
    }

    /// Whether a picture was shed that the peer cannot go on without. Answers
    /// `true` once for each time that this begins.
    #[must_use]
    pub fn poll_needs_keyframe(&mut self) -> bool {
        self.broken.take_untold()
    }

    /// Which watermark was passed since it was last asked. A mark that was passed and
    /// passed back in the meantime is not told: what counts is how it stands.
    #[must_use]
    pub fn poll_watermark(&mut self) -> Option<Watermark> {
        if self.congested == self.told_congested {
            return None;
        }
        self.told_congested = self.congested;
        Some(if self.congested { Watermark::Congested } else { Watermark::Drained })
    }

    /// Whether something that may not be left out has waited for longer than its
    /// policy's deadline: the peer is to be given up.
    #[must_use]
    pub fn overdue(&self, now: Instant) -> bool {
        self.video.overdue(now) || self.data.overdue(now)
    }

    /// When [`overdue`](Self::overdue) becomes true if nothing goes until then.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        [self.video.overdue_at(), self.data.overdue_at()].into_iter().flatten().min()
    }

    /// Lets what waits under [`QueuePolicy::Reliable`](crate::QueuePolicy) wait anew from
    /// now on: until now it could not go for a reason that is not the peer's.
    pub fn restart_deadlines(&mut self, now: Instant) {
        self.video.restart_deadlines(now);
        self.data.restart_deadlines(now);
    }

    /// How long the packet has waited that waits longest, of any class; of one that is
    /// begun, since its latest message.
    #[must_use]
    pub fn oldest_age(&self, now: Instant) -> Option<Duration> {
        let queues = [&self.control, &self.audio, &self.video.queue, &self.data.queue];
        let oldest = queues.into_iter().filter_map(Queue::oldest).min()?;
        Some(now.saturating_duration_since(oldest))
    }

    /// The same of pictures alone: what goes before them does not count, nor what has to
    /// wait for them.
    #[must_use]
    pub fn oldest_picture_age(&self, now: Instant) -> Option<Duration> {
        self.video.queue.oldest().map(|since| now.saturating_duration_since(since))
    }

    /// Bytes of sound and pictures that wait, bookkeeping included.
    #[must_use]
    pub const fn queued_media_bytes(&self) -> usize {
        self.audio.held() + self.video.queue.held()
    }

    /// Bytes that wait, bookkeeping included.
    #[must_use]
    pub const fn queued_bytes(&self) -> usize {
        self.control.held() + self.audio.held() + self.video.queue.held() + self.data.queue.held()
    }

    /// Forgets all that waits, for a connection that is made anew. Counts go on.
    pub fn clear(&mut self) {
        self.control = Queue::default();
        self.audio = Queue::default();
        self.video.clear();
        self.data.clear();
        self.broken = Broken::default();
        self.handle_level();
    }

    /// Counts since it was made.
    #[must_use]
    pub const fn stats(&self) -> InterleaverStats {
        let (video, data) = (self.video.counts, self.data.counts);
        InterleaverStats {
            full: self.control_full + video.full + data.full,
            refused_video: video.refused,
            replaced_data: data.replaced,
            replaced_video: video.replaced,
            shed_audio: self.shed_audio,
            shed_data: data.shed,
            shed_video: video.shed,
            too_large: self.too_large,
        }
    }

    fn push_audio(&mut self, now: Instant, cut: Cut) -> Verdict {
        while self.audio.held() + cost(&cut) > self.config.max_audio_bytes
            && self.audio.remove(self.audio.begun()).is_some()
        {
            self.shed_audio += 1;
        }
        self.audio.push(now, cut);
        Verdict::Queued
    }

    fn push_control(&mut self, now: Instant, cut: Cut) -> Verdict {
        if self.control.held() + cost(&cut) > self.config.max_control_bytes {
            self.control_full += 1;
            return Verdict::Full;
        }
        self.control.push(now, cut);
        Verdict::Queued
    }

    fn pop_first(
        &mut self,
        now: Instant,
        outstanding: usize,
        admit: impl FnOnce(&Cut) -> bool,
    ) -> Option<Bytes> {
        let queues =
            [&mut self.control, &mut self.audio, &mut self.video.queue, &mut self.data.queue];
        let (class, queue, len) = queues
            .into_iter()
            .enumerate()
            .find_map(|(class, queue)| queue.next_len().map(|len| (class, queue, len)))?;
        let fits = match self.window {
            Some(window) => outstanding == 0 || outstanding.saturating_add(len) <= window,
            None => outstanding < self.config.max_outstanding,
        };
        let begins = queue.oldest_whole().filter(|_| class == DATA && queue.begun() == 0);
        let goes = fits && begins.is_none_or(|waiting| admit(&waiting.cut));
        if goes { queue.pop(now) } else { None }
    }

    fn expire(&mut self, now: Instant) {
        while self.audio.oldest_whole().is_some_and(|waiting| {
            now.saturating_duration_since(waiting.since) > self.config.max_audio_age
        }) {
            self.audio.remove(self.audio.begun());
            self.shed_audio += 1;
        }
        self.video.expire(now, &mut self.broken);
        self.data.expire(now, &mut self.broken);
    }

    fn handle_level(&mut self) {
        let queued = self.queued_bytes();
        if queued >= self.config.high_watermark {
            self.congested = true;
        } else if queued <= self.config.low_watermark {
            self.congested = false;
        }
    }
}

/// The place of application data among the classes: last.
const DATA: usize = 3;
