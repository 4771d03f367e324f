//! The sending half of RTP to one receiver: numbers, reports, pacing, what is left out.

mod config;
mod queue;
mod stream;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;
use paceline_types::{Bitrate, PacketKind};

use self::queue::{Queue, Waiting};
use self::stream::Stream;
use super::packetized::Kind;
use super::{Pacer, Packetized};

pub use self::config::{SenderConfig, SenderStats, SenderStream, SenderVerdict};

/// Sends the frames of some streams to one receiver.
///
/// Each stream has numbers of its own, counted here, so that several senders can share what
/// was [made into packets once](Packetized): only headers are written for each. A report
/// (SR, RFC 3550 §6.4.1) goes before the first packet of a stream, with the next frame again
/// lest it was lost, and then as often as the config says while there are packets: of frames
/// with a time of capture.
///
/// Sound goes at once. Pictures are spread by a leaky bucket at 2.5 times the target, in
/// the order they came. A picture that has waited for too long is left out, whole, with
/// those that build on it up to the next keyframe; what is begun is sent to its end. If no
/// keyframe waits then, none of the stream goes until one comes, and
/// [`poll_needs_keyframe`](Self::poll_needs_keyframe) asks for it. A keyframe takes longer
/// than what is between keyframes: it and what waits behind it have so much more time. One of
/// more than [`MAX_PACKETS`](Self::MAX_PACKETS) does not go, and another is asked for as soon
/// as so much time has passed: it may be smaller.
///
/// | group | calls |
/// |---|---|
/// | input | [`handle_frame`](Self::handle_frame), [`handle_kept`](Self::handle_kept), [`handle_path`](Self::handle_path) |
/// | steering | [`add_stream`](Self::add_stream), [`set_target`](Self::set_target) |
/// | output | [`poll_transmit`](Self::poll_transmit), [`poll_needs_keyframe`](Self::poll_needs_keyframe), until `None` |
/// | when next | [`poll_timeout`](Self::poll_timeout) |
///
/// ```
/// use std::time::Instant;
///
/// use bytes::Bytes;
/// use paceline_framing::rtp::{
///     self, Codec, Packetized, Packetizer, PacketizerConfig, Sender, SenderConfig, SenderStream,
/// };
/// use paceline_framing::types::{
///     AudioCodec, Coding, EncodedFrame, Frequency, MediaTime, NtpTime, PacketKind, SeqNo, Ssrc,
///     StreamId,
/// };
///
/// let now = Instant::now();
/// let mut packetizer = Packetizer::new(PacketizerConfig::new(Codec::Opus, 111, 7));
/// let mut sender = Sender::new(SenderConfig::default());
/// let sound = sender.add_stream(SenderStream::new(Ssrc::new(7)).first_seq(500));
/// let frame = Packetized::new(&mut packetizer, &EncodedFrame {
///     stream: StreamId::AUDIO,
///     seq: SeqNo::new(0),
///     time: MediaTime::new(960, Frequency::AUDIO),
///     capture: NtpTime::from_bits(5 << 32),
///     coding: Coding::Audio { codec: AudioCodec::Opus, channels: 1 },
///     data: Bytes::from_static(&[0x78, 1, 2, 3]),
/// })?;
/// sender.handle_frame(now, sound, &frame);
/// let (kind, _) = sender.poll_transmit(now).expect("the report");
/// assert_eq!(kind, PacketKind::Rtcp);
/// let (kind, bytes) = sender.poll_transmit(now).expect("the packet");
/// assert_eq!((kind, rtp::parse(bytes)?.header.sequence_number), (PacketKind::Rtp, 500));
/// assert!(sender.poll_transmit(now).is_none());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Sender {
    config: SenderConfig,
    streams: Vec<Stream>,
    sound: VecDeque<Waiting>,
    pictures: Queue,
    pacer: Pacer,
    target: Bitrate,
    path_up: bool,
    /// What goes next, whatever the pacer says.
    ready: VecDeque<(PacketKind, Bytes)>,
    needs: VecDeque<usize>,
    stats: SenderStats,
}

impl Sender {
    /// Packets of a frame at most. One of more never comes out of a
    /// [`Depacketizer`](super::Depacketizer) with its defaults, which holds 1,024; some may be
    /// of the next frame.
    pub const MAX_PACKETS: usize = 1_000;

    /// One without streams, to a receiver who can be reached.
    #[must_use]
    pub fn new(config: SenderConfig) -> Self {
        let target = config.start_bitrate;
        Self {
            streams: Vec::new(),
            sound: VecDeque::new(),
            pictures: Queue::default(),
            pacer: Pacer::new(paced(target)),
            target,
            path_up: true,
            ready: VecDeque::new(),
            needs: VecDeque::new(),
            stats: SenderStats::default(),
            config,
        }
    }

    /// One more stream; what it is called from now on: 0, 1 and so on.
    ///
    /// # Panics
    ///
    /// If its header extension's id is not 1 to 14.
    pub fn add_stream(&mut self, stream: SenderStream) -> usize {
        self.streams.push(Stream::new(stream));
        self.streams.len() - 1
    }

    /// A frame of a stream is to go.
    ///
    /// # Panics
    ///
    /// If there is no such stream.
    pub fn handle_frame(
        &mut self,
        now: Instant,
        stream: usize,
        frame: &Packetized,
    ) -> SenderVerdict {
        self.push(now, stream, frame, self.config.max_age)
    }

    /// A frame that others were sent before is to go, to who comes later. It may wait for as
    /// long as a keyframe may, and so may what comes behind it: it is much at once.
    ///
    /// # Panics
    ///
    /// If there is no such stream.
    pub fn handle_kept(
        &mut self,
        now: Instant,
        stream: usize,
        frame: &Packetized,
    ) -> SenderVerdict {
        self.push(now, stream, frame, self.config.max_extra)
    }

    fn push(
        &mut self,
        now: Instant,
        index: usize,
        frame: &Packetized,
        age: Duration,
    ) -> SenderVerdict {
        let stream = &mut self.streams[index];
        let waiting = |by| Waiting { stream: index, frame: frame.clone(), sent: 0, since: now, by };
        let Kind::Picture { key, discardable } = frame.kind else {
            if !self.path_up {
                self.stats.left_out += 1;
                return SenderVerdict::Unreachable;
            }
            self.sound.push_back(waiting(now));
            return SenderVerdict::Queued;
        };
        let is_too_large = frame.count() > Self::MAX_PACKETS;
        if key && is_too_large {
            // Whoever is asked for another at once makes as large a one.
            stream.put_off(now.checked_add(self.config.max_extra));
        }
        if !self.path_up {
            stream.break_off();
            // What was asked for came, and is lost.
            stream.asked &= !key || is_too_large;
            self.stats.left_out += 1;
            return SenderVerdict::Unreachable;
        }
        if is_too_large {
            if !discardable {
                stream.break_off();
                if stream.ask() {
                    self.needs.push_back(index);
                }
            }
            self.stats.left_out += 1;
            return SenderVerdict::TooLarge;
        }
        if stream.awaits_key && !key {
            if stream.ask_again(now) {
                self.needs.push_back(index);
            }
            self.stats.left_out += 1;
            return SenderVerdict::NeedsKeyframe;
        }
        if key {
            stream.resume();
        }
        let extra = if key { behind(self.pacer.span(frame.bytes())) } else { Duration::ZERO };
        let age = age.max(self.config.max_age);
        let by = now + age.saturating_add(extra.min(self.config.max_extra)).min(LONGEST);
        self.pictures.push(waiting(by));
        while self.pictures.bytes() > self.config.max_bytes && self.pictures.waiting() > 1 {
            self.leave_out_oldest();
        }
        if self.streams[index].awaits_key {
            return SenderVerdict::NeedsKeyframe;
        }
        SenderVerdict::Queued
    }

    /// The path takes so much, of everything.
    pub fn set_target(&mut self, target: Bitrate) {
        self.target = target;
        self.pacer.set_rate(paced(target));
    }

    /// There is a path, or there is none. Without one nothing goes and nothing waits: what is
    /// old when there is one again is of no use to anybody.
    pub fn handle_path(&mut self, up: bool) {
        if up && !self.path_up {
            for (index, stream) in self.streams.iter_mut().enumerate() {
                if stream.broken_off && stream.ask() {
                    self.needs.push_back(index);
                }
            }
        }
        if !up {
            while let Some(waiting) = self.pictures.pop() {
                self.streams[waiting.stream].break_off();
                self.stats.left_out += 1;
            }
            self.stats.left_out += self.sound.len() as u64;
            self.sound.clear();
            self.ready.clear();
        }
        self.path_up = up;
    }

    /// The next packet that may go now, and what it is.
    #[must_use]
    pub fn poll_transmit(&mut self, now: Instant) -> Option<(PacketKind, Bytes)> {
        if let Some(next) = self.ready.pop_front() {
            return Some(next);
        }
        if let Some(waiting) = self.sound.front_mut() {
            let stream = &mut self.streams[waiting.stream];
            let done = stream.emit(now, waiting, &self.config, &mut self.ready, &mut self.stats);
            if done {
                self.sound.pop_front();
            }
            return self.ready.pop_front();
        }
        while self.pictures.first_by().is_some_and(|by| by < now) {
            self.leave_out_oldest();
        }
        if !self.pacer.is_free(now) {
            return None;
        }
        let waiting = self.pictures.front_mut()?;
        let stream = &mut self.streams[waiting.stream];
        let done = stream.emit(now, waiting, &self.config, &mut self.ready, &mut self.stats);
        let bytes = self.ready.iter().map(|(_, bytes)| bytes.len()).sum();
        self.pacer.handle_sent(now, bytes);
        if done {
            self.pictures.pop();
        }
        self.ready.pop_front()
    }

    /// A stream that goes on only from a keyframe, told once.
    #[must_use]
    pub fn poll_needs_keyframe(&mut self) -> Option<usize> {
        self.needs.pop_front()
    }

    /// When something that waits may go.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let first = self.pictures.front()?;
        Some(self.pacer.poll_timeout().map_or(first.since, |at| at.max(first.since)))
    }

    /// Bytes that wait, bookkeeping included.
    #[must_use]
    pub const fn queued_bytes(&self) -> usize {
        self.pictures.bytes()
    }

    /// How long the oldest picture has waited.
    #[must_use]
    pub fn oldest_age(&self, now: Instant) -> Duration {
        let since = self.pictures.front().map(|waiting| waiting.since);
        since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since))
    }

    /// What the path takes: what was set last, or what the config begins with.
    #[must_use]
    pub const fn target(&self) -> Bitrate {
        self.target
    }

    /// Counts since it was made.
    #[must_use]
    pub const fn stats(&self) -> SenderStats {
        self.stats
    }

    /// Leaves out the oldest picture that is not begun, with those that build on it.
    fn leave_out_oldest(&mut self) {
        let Some((index, count, resumes)) = self.pictures.leave_out() else { return };
        self.stats.left_out += count;
        let stream = &mut self.streams[index];
        if !resumes {
            stream.break_off();
            if stream.ask() {
                self.needs.push_back(index);
            }
        }
    }
}

/// For how long a keyframe keeps others waiting that takes so long: what comes meanwhile, at
/// the target, takes two fifths of it more, and what comes in that time two fifths of that.
fn behind(keyframe: Duration) -> Duration {
    keyframe.saturating_mul(5) / 3
}

/// What pictures are paced at: libwebrtc's `kDefaultPaceMultiplier` times the target, so that
/// a keyframe is through soon and what the estimate counts on is seen to go.
fn paced(target: Bitrate) -> Bitrate {
    Bitrate::from_bps(target.bps().saturating_mul(5) / 2)
}

/// What may wait for longer waits for ever; an hour.
const LONGEST: Duration = Duration::from_secs(3_600);
