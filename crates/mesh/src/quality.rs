//! How it goes with one peer: the last ten seconds, in figures.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use paceline_framing::ReceptionReport;
use paceline_types::{Bitrate, Coding, StreamKey};

/// The bounds of a [`QualityMeter`].
///
/// ```
/// use std::time::Duration;
///
/// use paceline_mesh::QualityConfig;
///
/// let config = QualityConfig::default().update_every(Duration::from_secs(5));
/// ```
#[derive(Clone, Debug)]
pub struct QualityConfig {
    pub(crate) max_streams: usize,
    pub(crate) update_every: Duration,
}

impl QualityConfig {
    /// Streams of each direction. Defaults to 8.
    ///
    /// Those above are not measured. Each costs some 500 bytes.
    #[must_use]
    pub const fn max_streams(mut self, streams: usize) -> Self {
        self.max_streams = streams;
        self
    }

    /// How often figures are given out. Defaults to 1 s; from 1 to 5 s.
    ///
    /// # Panics
    ///
    /// If it is not within that.
    #[must_use]
    pub const fn update_every(mut self, interval: Duration) -> Self {
        let millis = interval.as_millis();
        assert!(millis >= 1_000 && millis <= 5_000, "figures are given out every 1 to 5 s");
        self.update_every = interval;
        self
    }
}

impl Default for QualityConfig {
    fn default() -> Self {
        Self { max_streams: 8, update_every: Duration::from_secs(1) }
    }
}

/// The connection to one peer, over the last 10 s.
///
/// ```
/// use std::time::{Duration, Instant};
///
/// use paceline_mesh::{Quality, QualityConfig, QualityMeter};
///
/// let now = Instant::now();
/// let meter = QualityMeter::new(now, QualityConfig::default());
/// assert_eq!(meter.quality(now), Quality::default());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Quality {
    /// Round trips; `None` if none was measured.
    pub rtt: Option<RttRange>,
    /// Frames of ours that he was to get, as far as he reported.
    pub expected: u64,
    /// Those of them that he never got.
    pub lost: u64,
    /// The largest interarrival jitter that he reported of any stream.
    pub jitter: Option<Duration>,
    /// What the path takes, as [`Pacer::capacity`](crate::Pacer::capacity) has it; if it
    /// carries RTP, as the transport's congestion control says once that is another than it
    /// began with.
    pub capacity: Option<Bitrate>,
    /// Media that went to the transport, without what the transport adds.
    pub sent: Bitrate,
    /// Media that came.
    pub received: Bitrate,
    /// Bytes of that which went.
    pub sent_bytes: u64,
    /// Bytes of that which came.
    pub received_bytes: u64,
}

impl Quality {
    /// The part of our frames that was lost, from 0 to 1; 0 if nothing was reported.
    #[must_use]
    pub fn loss(&self) -> f32 {
        if self.expected == 0 { 0.0 } else { self.lost as f32 / self.expected as f32 }
    }
}

/// Round trips of a while.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "there is no more to a range")]
pub struct RttRange {
    /// The least.
    pub min: Duration,
    /// The mean.
    pub mean: Duration,
    /// The most.
    pub max: Duration,
}

/// Which way a stream goes.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
#[expect(clippy::exhaustive_enums, reason = "there are two ways")]
pub enum Direction {
    /// From him to us.
    Received,
    /// From us to him.
    Sent,
}

/// One stream, over the last 10 s.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct StreamQuality {
    /// Which.
    pub stream: StreamKey,
    /// Which way.
    pub direction: Direction,
    /// Bytes of its packets.
    pub bytes: u64,
    /// The same in a second.
    pub bitrate: Bitrate,
    /// Frames in a second, of pictures and of sound.
    pub frame_rate: f32,
    /// Width and height of the latest picture that told them: of those that come over RTP none
    /// does, for they are in the bitstream. `None` if there was none, and for sound and text
    /// cells.
    pub resolution: Option<(u16, u16)>,
    /// Frames expected and lost, as he reported them; zero of streams of his.
    pub expected: u64,
    /// See [`expected`](Self::expected).
    pub lost: u64,
}

/// Measures the connection to one peer.
///
/// It remembers 10 s, in steps of half a second. What a peer reports is not believed: a
/// count that goes back, or on by more than any stream has, begins anew and says nothing,
/// and no more are lost than were to come.
///
/// | group | calls |
/// |---|---|
/// | input | [`handle_rtt`](Self::handle_rtt), [`handle_report`](Self::handle_report), [`handle_sent`](Self::handle_sent), [`handle_received`](Self::handle_received) |
/// | steering | [`set_capacity`](Self::set_capacity) |
/// | output | [`poll_update`](Self::poll_update), [`quality`](Self::quality), [`streams`](Self::streams) |
/// | when next | [`poll_timeout`](Self::poll_timeout) |
///
/// ```
/// use std::time::{Duration, Instant};
///
/// use paceline_mesh::types::{Coding, SenderId, StreamId, StreamKey, VideoCodec};
/// use paceline_mesh::{QualityConfig, QualityMeter};
///
/// let start = Instant::now();
/// let mut meter = QualityMeter::new(start, QualityConfig::default());
/// let stream = StreamKey { sender: SenderId::new(7), stream: StreamId::VIDEO };
/// let codec = VideoCodec::H264;
/// let coding = Coding::Video { codec, key: true, discardable: false, width: 640, height: 360 };
/// for frame in 0..60 {
///     let now = start + Duration::from_micros(33_333) * frame;
///     meter.handle_sent(now, stream, &coding, 5_000);
/// }
/// let now = start + Duration::from_secs(2);
/// meter.handle_rtt(now, Duration::from_millis(40));
/// assert_eq!(meter.quality(now).sent.bps(), 1_200_000);
/// let video = meter.streams(now).next().expect("there is one");
/// assert_eq!((video.frame_rate, video.resolution), (30.0, Some((640, 360))));
/// ```
#[derive(Debug)]
pub struct QualityMeter {
    config: QualityConfig,
    start: Instant,
    next_update: Instant,
    capacity: Option<Bitrate>,
    rtt: Slots<Rtt>,
    streams: BTreeMap<(Direction, StreamKey), Stream>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Rtt {
    range: Option<(Duration, Duration)>,
    sum: Duration,
    count: u32,
}

#[derive(Debug, Default)]
struct Stream {
    slots: Slots<Counts>,
    resolution: Option<(u16, u16)>,
    /// The latest report: highest number, frames lost, and jitter.
    report: Option<(Instant, u32, u32, Duration)>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    bytes: u64,
    frames: u64,
    expected: u64,
    lost: u64,
}

impl QualityMeter {
    /// Of a connection that is up since now.
    #[must_use]
    pub fn new(now: Instant, config: QualityConfig) -> Self {
        Self {
            start: now,
            next_update: now + config.update_every,
            capacity: None,
            rtt: Slots::default(),
            streams: BTreeMap::new(),
            config,
        }
    }

    /// A round trip was measured. One of more than a minute is none.
    pub fn handle_rtt(&mut self, now: Instant, rtt: Duration) {
        if rtt > MAX_RTT {
            return;
        }
        let slot = self.rtt.current(self.number(now));
        let (min, max) = slot.range.unwrap_or((rtt, rtt));
        slot.range = Some((min.min(rtt), max.max(rtt)));
        slot.sum = slot.sum.saturating_add(rtt);
        slot.count = slot.count.saturating_add(1);
    }

    /// He told how a stream of ours arrives. Of streams that were never sent to him nothing
    /// is believed.
    pub fn handle_report(&mut self, now: Instant, report: &ReceptionReport) {
        let number = self.number(now);
        let Some(stream) = self.streams.get_mut(&(Direction::Sent, report.stream)) else { return };
        let jitter = Duration::from_micros(report.jitter.into()).min(MAX_RTT);
        let before = stream.report.replace((now, report.highest_seq, report.lost, jitter));
        let Some((_, highest, lost, _)) = before else { return };
        let frames = report.highest_seq.wrapping_sub(highest);
        if frames > MAX_STEP {
            return;
        }
        // Fewer lost than before: late ones came after all (RFC 3550 §6.4.1).
        let lost = report.lost.wrapping_sub(lost);
        let lost = if lost > MAX_STEP { 0 } else { lost.min(frames) };
        let slot = stream.slots.current(number);
        slot.expected = slot.expected.saturating_add(frames.into());
        slot.lost = slot.lost.saturating_add(lost.into());
    }

    /// A packet of a stream went to him, of so many bytes.
    pub fn handle_sent(&mut self, now: Instant, stream: StreamKey, coding: &Coding, bytes: usize) {
        self.handle_frame(now, Direction::Sent, stream, coding, bytes);
    }

    /// A packet of a stream came from him, of so many bytes.
    pub fn handle_received(
        &mut self,
        now: Instant,
        stream: StreamKey,
        coding: &Coding,
        bytes: usize,
    ) {
        self.handle_frame(now, Direction::Received, stream, coding, bytes);
    }

    /// What the path takes.
    pub fn set_capacity(&mut self, capacity: Option<Bitrate>) {
        self.capacity = capacity;
    }

    /// The figures, when they are due.
    #[must_use]
    pub fn poll_update(&mut self, now: Instant) -> Option<Quality> {
        if now < self.next_update {
            return None;
        }
        self.next_update = now + self.config.update_every;
        Some(self.quality(now))
    }

    /// When figures are due.
    #[must_use]
    pub const fn poll_timeout(&self) -> Instant {
        self.next_update
    }

    /// The figures as they are now.
    #[must_use]
    pub fn quality(&self, now: Instant) -> Quality {
        let mut quality =
            Quality { rtt: self.rtt_range(now), capacity: self.capacity, ..Quality::default() };
        for (&(direction, _), stream) in &self.streams {
            let counts = self.counts(now, stream);
            match direction {
                Direction::Received => quality.received_bytes += counts.bytes,
                Direction::Sent => quality.sent_bytes += counts.bytes,
            }
            quality.expected += counts.expected;
            quality.lost += counts.lost;
            let fresh =
                stream.report.filter(|&(at, ..)| now.saturating_duration_since(at) <= WINDOW);
            quality.jitter = quality.jitter.max(fresh.map(|(.., jitter)| jitter));
        }
        quality.sent = Bitrate::of(quality.sent_bytes, self.span(now));
        quality.received = Bitrate::of(quality.received_bytes, self.span(now));
        quality
    }

    /// The figures of each stream of which anything went or came, his before ours.
    pub fn streams(&self, now: Instant) -> impl Iterator<Item = StreamQuality> {
        let span = self.span(now);
        self.streams.iter().filter_map(move |(&(direction, key), stream)| {
            let counts = self.counts(now, stream);
            (counts.frames > 0).then(|| StreamQuality {
                stream: key,
                direction,
                bytes: counts.bytes,
                bitrate: Bitrate::of(counts.bytes, span),
                frame_rate: (counts.frames as f64 / span.as_secs_f64()) as f32,
                resolution: stream.resolution,
                expected: counts.expected,
                lost: counts.lost,
            })
        })
    }

    fn handle_frame(
        &mut self,
        now: Instant,
        direction: Direction,
        key: StreamKey,
        coding: &Coding,
        bytes: usize,
    ) {
        let number = self.number(now);
        if !self.streams.contains_key(&(direction, key)) {
            let of_direction = self.streams.keys().filter(|(other, _)| *other == direction).count();
            if of_direction >= self.config.max_streams {
                // One that has long ended makes room.
                self.streams.retain(|(other, _), stream| {
                    *other != direction
                        || stream
                            .slots
                            .newest()
                            .is_some_and(|newest| number.saturating_sub(newest) < SLOTS)
                });
                let left = self.streams.keys().filter(|(other, _)| *other == direction).count();
                if left >= self.config.max_streams {
                    return;
                }
            }
        }
        let stream = self.streams.entry((direction, key)).or_default();
        stream.resolution = match *coding {
            Coding::Image { width, height, .. } | Coding::Video { width, height, .. } => {
                Some((width, height)).filter(|&size| size != (0, 0)).or(stream.resolution)
            }
            _ => None,
        };
        let slot = stream.slots.current(number);
        slot.bytes = slot.bytes.saturating_add(bytes as u64);
        slot.frames = slot.frames.saturating_add(1);
    }

    fn counts(&self, now: Instant, stream: &Stream) -> Counts {
        let mut all = Counts::default();
        for counts in stream.slots.recent(self.number(now)) {
            all.bytes = all.bytes.saturating_add(counts.bytes);
            all.frames = all.frames.saturating_add(counts.frames);
            all.expected = all.expected.saturating_add(counts.expected);
            all.lost = all.lost.saturating_add(counts.lost);
        }
        all
    }

    fn rtt_range(&self, now: Instant) -> Option<RttRange> {
        let (mut min, mut max) = (Duration::MAX, Duration::ZERO);
        let (mut sum, mut count) = (Duration::ZERO, 0_u32);
        for slot in self.rtt.recent(self.number(now)) {
            if let Some((least, most)) = slot.range {
                (min, max) = (min.min(least), max.max(most));
                sum = sum.saturating_add(slot.sum);
                count = count.saturating_add(slot.count);
            }
        }
        (count > 0).then(|| RttRange { min, mean: sum / count, max })
    }

    /// The half second that `now` is in.
    fn number(&self, now: Instant) -> u64 {
        let since = now.saturating_duration_since(self.start);
        u64::try_from(since.as_nanos() / SLOT.as_nanos()).unwrap_or(u64::MAX)
    }

    /// How long the slots that are looked at are together: the current one only as far as
    /// it has gone.
    fn span(&self, now: Instant) -> Duration {
        let since = now.saturating_duration_since(self.start);
        let first = self.number(now).saturating_sub(SLOTS - 1);
        let begins = SLOT.saturating_mul(u32::try_from(first).unwrap_or(u32::MAX));
        // In the first moments a rate would be anything.
        since.saturating_sub(begins).max(SLOT)
    }
}

/// What was counted in each half second. At most [`SLOTS`], in their order.
#[derive(Debug)]
struct Slots<T> {
    slots: VecDeque<(u64, T)>,
}

impl<T> Default for Slots<T> {
    fn default() -> Self {
        Self { slots: VecDeque::new() }
    }
}

impl<T: Default> Slots<T> {
    /// The one of this number, or the newest if that is later: time does not go back.
    fn current(&mut self, number: u64) -> &mut T {
        if self.newest().is_none_or(|newest| newest < number) {
            self.slots.push_back((number, T::default()));
            while self.slots.front().is_some_and(|&(at, _)| number - at >= SLOTS) {
                self.slots.pop_front();
            }
        }
        let newest = self.slots.len() - 1;
        &mut self.slots[newest].1
    }

    fn newest(&self) -> Option<u64> {
        self.slots.back().map(|&(number, _)| number)
    }

    fn recent(&self, number: u64) -> impl Iterator<Item = &T> {
        self.slots.iter().filter(move |(at, _)| number.saturating_sub(*at) < SLOTS).map(|(_, t)| t)
    }
}

/// Long enough for a mean, short enough to be the present.
const WINDOW: Duration = Duration::from_secs(10);

/// Figures change twice a second at the most.
const SLOT: Duration = Duration::from_millis(500);

/// 10 s.
const SLOTS: u64 = 20;

/// Frames that a stream may go on by between two reports: 10 s at 1,000 a second, more
/// than any stream has.
const MAX_STEP: u32 = 10_000;

/// A connection is given up long before.
const MAX_RTT: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_of_a_day_holds_twenty_slots() {
        let mut slots = Slots::<Counts>::default();
        for number in (0..172_800).chain([1 << 40, u64::MAX]) {
            slots.current(number).frames += 1;
            assert!(slots.slots.len() as u64 <= SLOTS);
        }
        assert_eq!(slots.recent(u64::MAX).count(), 1);
    }
}
