//! The way of a media packet: demux, jitter buffer, drift, lip sync, decoder.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use paceline_drift::{DriftConfig, DriftEstimator, Estimate};
use paceline_framing::ReceptionReport;
use paceline_jitter::{
    JitterBuffer, JitterStats, Media, Output, Playout, StreamSync, SyncOutput, Unit, Verdict,
};
use paceline_types::{
    EncodedFrame, Frequency, NtpTime, PlayoutRate, SenderId, SeqExtender, SeqNo, StreamId,
    StreamKey,
};

use crate::SessionConfig;

/// Counts of one stream that is received.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct ReceiveStats {
    /// Of its jitter buffer.
    pub jitter: JitterStats,
    /// By how many parts in a million the sender's clock is fast against ours, and the
    /// standard deviation of that; `None` before anything is known.
    pub drift: Option<(f64, f64)>,
    /// Bytes of encoded frames taken in.
    pub bytes: u64,
    /// Frames taken in, those that came too late included.
    pub frames: u64,
}

/// What is to be done with a frame, or instead of it.
#[derive(Debug)]
pub(crate) enum Due {
    Lost { stream: StreamKey, count: u64 },
    Play { stream: StreamKey, due: Instant, frame: EncodedFrame },
    Rate { stream: StreamKey, rate: PlayoutRate },
}

/// All streams that come in.
#[derive(Debug)]
pub(crate) struct Receiver {
    config: SessionConfig,
    streams: BTreeMap<StreamKey, Stream>,
    /// A sound and a picture made by the same clock belong together.
    sync: StreamSync<StreamKey, (SenderId, Pair)>,
    /// Rates that have changed.
    rates: VecDeque<(StreamKey, PlayoutRate)>,
}

/// Which two streams of a sender belong together.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Pair {
    Mix,
    Own,
}

#[derive(Debug)]
struct Stream {
    extender: SeqExtender,
    buffer: JitterBuffer<EncodedFrame>,
    clock: SenderClock,
    frequency: Frequency,
    /// The newest frame, and how often the stream had jumped when it came.
    newest: SeqNo,
    jumps: u64,
    last_capture: NtpTime,
    bytes: u64,
    frames: u64,
}

/// How fast the sender's media clock runs.
#[derive(Debug)]
struct SenderClock {
    /// Kept apart: it is 4 KiB.
    drift: Box<DriftEstimator>,
    /// The last frame that came in its turn, and when.
    last: Option<(SeqNo, Instant)>,
    /// What the buffer and lip sync were told last.
    applied: Option<(f64, f64)>,
    /// What playout was told last.
    told: PlayoutRate,
}

impl Receiver {
    pub(crate) fn new(config: SessionConfig) -> Self {
        Self {
            streams: BTreeMap::new(),
            sync: StreamSync::new(config.sync.clone()),
            rates: VecDeque::new(),
            config,
        }
    }

    /// Takes in a frame of `sender`. A stream that nobody defined is refused.
    pub(crate) fn handle_frame(
        &mut self,
        now: Instant,
        sender: SenderId,
        mut frame: EncodedFrame,
    ) -> bool {
        let Some((pair, media)) = role_of(frame.stream) else { return false };
        if frame.coding.is_audio() != (media == Media::Audio) {
            return false;
        }
        let key = StreamKey { sender, stream: frame.stream };
        let Self { config, streams, sync, rates } = self;
        let stream = streams.entry(key).or_insert_with(|| {
            // Beyond the bound of lip sync, which counts it, it plays by itself.
            sync.add_stream(key, (sender, pair), media, frame.time.frequency());
            Stream::new(config, media, frame.time.frequency())
        });
        frame.seq = stream.extender.extend_u32(frame.seq.wrapped());
        stream.bytes += frame.data.len() as u64;
        stream.frames += 1;
        let (seq, time, capture) = (frame.seq, frame.time, frame.capture);
        if stream.buffer.insert(now, Unit::new(seq, time, frame)) != Verdict::Queued {
            // Counted by the buffer.
            return true;
        }
        if stream.has_jumped(seq) {
            stream.clock.restart();
        }
        if stream.frequency != time.frequency() {
            stream.frequency = time.frequency();
            sync.remove_stream(key);
            sync.add_stream(key, (sender, pair), media, stream.frequency);
        }
        stream.last_capture = capture;
        if stream.clock.is_in_turn(now, seq) {
            let _ = stream.clock.drift.handle_observation(now, time);
            let Estimate { ppm, sigma, .. } = stream.clock.drift.estimate();
            if stream.clock.applied != Some((ppm, sigma)) {
                stream.clock.applied = Some((ppm, sigma));
                stream.buffer.set_drift(ppm);
                sync.set_drift(key, ppm, sigma);
            }
        }
        if media == Media::Audio
            && let Some(rate) = stream.poll_rate()
        {
            rates.push_back((key, rate));
        }
        sync.handle_capture(now, key, time, capture);
        if let Some(due) = stream.buffer.playout_time(time) {
            let delay = stream.buffer.own_delay();
            sync.handle_playout(now, key, Playout { time, due, delay });
        }
        self.apply_sync();
        true
    }

    /// Lets time pass.
    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        self.sync.handle_timeout(now);
        self.apply_sync();
    }

    fn apply_sync(&mut self) {
        while let Some(SyncOutput::MinPlayoutDelay { stream, delay }) = self.sync.poll_output() {
            if let Some(stream) = self.streams.get_mut(&stream) {
                stream.buffer.set_min_playout_delay(delay);
            }
        }
    }

    /// Takes what is due, stream by stream.
    pub(crate) fn poll_due(&mut self, now: Instant) -> Option<Due> {
        if let Some((stream, rate)) = self.rates.pop_front() {
            return Some(Due::Rate { stream, rate });
        }
        for (&stream, Stream { buffer, .. }) in &mut self.streams {
            match buffer.poll(now) {
                Output::Play { payload, due, .. } => {
                    return Some(Due::Play { stream, due, frame: payload });
                }
                Output::Lost { count, .. } => return Some(Due::Lost { stream, count }),
                _ => {}
            }
        }
        None
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let due = self.streams.values().filter_map(|stream| stream.buffer.poll_timeout()).min();
        [due, self.sync.poll_timeout()].into_iter().flatten().min()
    }

    /// Forgets what a sender sent: he is gone, or does something else now.
    pub(crate) fn forget(&mut self, sender: SenderId) {
        for &key in self.streams.range(keys_of(sender)).map(|(key, _)| key) {
            self.sync.remove_stream(key);
        }
        self.streams.retain(|key, _| key.sender != sender);
    }

    pub(crate) fn all_stats(&self) -> impl Iterator<Item = (StreamKey, ReceiveStats)> + '_ {
        self.streams.iter().map(|(&key, stream)| (key, stream.stats()))
    }

    /// What `sender` is to be told about his streams.
    pub(crate) fn reports(&self, sender: SenderId) -> Vec<ReceptionReport> {
        self.streams
            .range(keys_of(sender))
            .map(|(&key, stream)| {
                let stats = stream.buffer.stats();
                ReceptionReport {
                    stream: key,
                    highest_seq: stream.newest.wrapped(),
                    lost: u32::try_from(stats.lost).unwrap_or(u32::MAX),
                    jitter: micros(stats.jitter),
                    last_capture: stream.last_capture,
                    queue_delay: micros(stats.delay),
                }
            })
            .collect()
    }
}

impl Stream {
    fn new(config: &SessionConfig, media: Media, frequency: Frequency) -> Self {
        // Pictures may move in time as they need to; sound only as it can be stretched.
        let jitter = match media {
            Media::Audio => config.jitter.clone(),
            Media::Video => config.jitter.clone().max_pace(1.0).talkspurts(false),
        };
        Self {
            extender: SeqExtender::new(),
            buffer: JitterBuffer::new(jitter),
            clock: SenderClock {
                drift: Box::new(DriftEstimator::new(DriftConfig::default())),
                last: None,
                applied: None,
                told: PlayoutRate::default(),
            },
            frequency,
            newest: SeqNo::default(),
            jumps: 0,
            last_capture: NtpTime::default(),
            bytes: 0,
            frames: 0,
        }
    }

    /// Whether the stream has jumped since the last frame that was queued; `seq` is one.
    fn has_jumped(&mut self, seq: SeqNo) -> bool {
        let jumps = self.buffer.stats().resyncs;
        let has = jumps != self.jumps;
        self.jumps = jumps;
        self.newest = if has { seq } else { self.newest.max(seq) };
        has
    }

    /// What playout is to be told, if it is something else than before.
    fn poll_rate(&mut self) -> Option<PlayoutRate> {
        // What is less, the level of the queue tells in time.
        let pace = self.buffer.pace();
        let stretch = if pace.abs() < LEAST_STRETCH { 0.0 } else { pace };
        let rate = PlayoutRate { drift_ppm: self.clock.drift.estimate().ppm, stretch };
        let told = &mut self.clock.told;
        let is_news = (rate.drift_ppm - told.drift_ppm).abs() >= NEWS_PPM
            || (rate.stretch - told.stretch).abs() >= LEAST_STRETCH
            || (rate.stretch == 0.0) != (told.stretch == 0.0);
        is_news.then(|| {
            *told = rate;
            rate
        })
    }

    fn stats(&self) -> ReceiveStats {
        let Estimate { ppm, sigma, observations, .. } = self.clock.drift.estimate();
        ReceiveStats {
            jitter: self.buffer.stats(),
            drift: (observations > 0).then_some((ppm, sigma)),
            bytes: self.bytes,
            frames: self.frames,
        }
    }
}

impl SenderClock {
    /// The sender has started anew.
    fn restart(&mut self) {
        self.last = None;
        self.drift.handle_discontinuity();
    }

    /// Whether a frame tells of the clock: not if it is out of order, or the first
    /// after a silence.
    fn is_in_turn(&mut self, now: Instant, seq: SeqNo) -> bool {
        let last = self.last;
        if last.is_some_and(|(last, _)| seq <= last) {
            return false;
        }
        self.last = Some((seq, now));
        last.is_none_or(|(last, then)| {
            seq == last.next() && now.saturating_duration_since(then) < SILENCE
        })
    }
}

fn keys_of(sender: SenderId) -> std::ops::RangeInclusive<StreamKey> {
    StreamKey { sender, stream: StreamId::new(0) }..=StreamKey {
        sender,
        stream: StreamId::new(u16::MAX),
    }
}

fn role_of(stream: StreamId) -> Option<(Pair, Media)> {
    match stream {
        StreamId::AUDIO => Some((Pair::Own, Media::Audio)),
        StreamId::VIDEO => Some((Pair::Own, Media::Video)),
        StreamId::MIX_AUDIO => Some((Pair::Mix, Media::Audio)),
        StreamId::MIX_VIDEO => Some((Pair::Mix, Media::Video)),
        _ => None,
    }
}

fn micros(span: Duration) -> u32 {
    u32::try_from(span.as_micros()).unwrap_or(u32::MAX)
}

/// Ten times less than what moves the level of a queue by a sample in a second.
const NEWS_PPM: f64 = 2.0;

/// A fifth of the largest change of pace.
const LEAST_STRETCH: f64 = 0.01;

/// What comes after so long waited in the sender, or was not sent while nobody spoke.
const SILENCE: Duration = Duration::from_millis(200);
