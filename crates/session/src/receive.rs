//! The way of a media packet: demux, jitter buffer, drift, lip sync, decoder.
//!
//! The two streams of the mix are the same whoever hosts: one number line, one media
//! clock, and so one buffer and one decoder for the whole call. What changes with the
//! host is kept beside:
//!
//! ```text
//!             planned: the old buffer goes on          not planned: a new one follows
//!  old host   … 97 98 99 100 101                        … 97 98
//!  new host            99 100 101 102 …                            (silence)  131 132 …
//!  comes out  … 97 98 99*100*101*102 …                  … 97 98               131 132 …
//!             * both, to be crossfaded                  nothing between is counted lost
//! ```
//!
//! Whether a host may be heard at all was decided before: an epoch that comes here is
//! one that holds.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use paceline_drift::{DriftConfig, DriftEstimator, Estimate};
use paceline_framing::ReceptionReport;
use paceline_jitter::{
    JitterBuffer, JitterConfig, JitterStats, Media, Output, Playout, StreamSync, SyncOutput, Unit,
    Verdict,
};
use paceline_types::{
    EncodedFrame, Epoch, Frequency, NtpTime, PlayoutRate, SenderId, SeqExtender, SeqNo, StreamId,
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
    /// Of a mix, frames of which both hosts of a handover sent one, and both were given
    /// out. Not those of which the second came when the first had been.
    pub overlapped: u64,
    /// How often a mix went on in a new buffer, because the host before did not hand it
    /// over or the way to him broke. What was not sent in between is not in
    /// [`lost`](JitterStats::lost).
    pub restarts: u64,
}

/// What is to be done with a frame, or instead of it.
#[derive(Debug)]
pub(crate) enum Due {
    /// The same 20 ms of the mix by two hosts; `epoch` and `arrival` are those of `new`.
    Crossfade {
        stream: StreamKey,
        due: Instant,
        arrival: Instant,
        old: EncodedFrame,
        new: EncodedFrame,
        epoch: Epoch,
    },
    Lost {
        stream: StreamKey,
        count: u64,
    },
    /// Of a mix with the epoch it was made under. `arrival` is when it came, for whoever
    /// follows the host's media clock.
    Play {
        stream: StreamKey,
        due: Instant,
        frame: EncodedFrame,
        epoch: Option<Epoch>,
        arrival: Instant,
    },
    Rate {
        stream: StreamKey,
        rate: PlayoutRate,
    },
}

/// The sender in the [`StreamKey`]s of the mix, whoever hosts: the server gives numbers
/// from 1.
pub(crate) const MIX: SenderId = SenderId::new(0);

/// What `sender` has sent as `stream` is known by.
pub(crate) const fn key_of(sender: SenderId, stream: StreamId) -> StreamKey {
    let sender = if is_mix(stream) { MIX } else { sender };
    StreamKey { sender, stream }
}

/// All streams that come in.
#[derive(Debug)]
pub(crate) struct Receiver {
    config: SessionConfig,
    streams: BTreeMap<StreamKey, Stream>,
    /// A sound and a picture made by the same clock belong together.
    sync: StreamSync<StreamKey, Clock>,
    /// Who sends the mix, and under which epoch.
    host: Option<(Epoch, SenderId)>,
    /// Rates that have changed.
    rates: VecDeque<(StreamKey, PlayoutRate)>,
}

/// Whose clock stamps a stream. Another host has another wallclock: his sound does not
/// belong to the picture of the one before.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Clock {
    Mix(Option<Epoch>),
    Own(SenderId),
}

/// A frame that waits.
#[derive(Debug)]
struct Queued {
    frame: EncodedFrame,
    epoch: Option<Epoch>,
    arrival: Instant,
}

#[derive(Debug)]
struct Stream {
    extender: SeqExtender,
    buffer: JitterBuffer<Queued>,
    /// What the host before left behind is played to its end first.
    draining: Option<JitterBuffer<Queued>>,
    /// The next frame goes on elsewhere, whatever its number is.
    interrupted: bool,
    /// Second copies, of the other host of a handover; not more than [`MAX_OVERLAP`].
    overlap: VecDeque<Queued>,
    /// The newest that a frame had.
    epoch: Option<Epoch>,
    /// What lip sync knows it as.
    synced: Clock,
    /// What lip sync asked for last.
    min_delay: Duration,
    /// The number played last.
    played: Option<SeqNo>,
    overlapped: u64,
    restarts: u64,
    /// Counts of the buffers before, and what was lost when this host began.
    before: JitterStats,
    lost_before: u64,
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
            host: None,
            rates: VecDeque::new(),
            config,
        }
    }

    /// Takes in a frame that came over the channel of `sender`: of a mix with the epoch
    /// it was sent under, which holds, else without one. A stream that nobody defined is
    /// refused.
    pub(crate) fn handle_frame(
        &mut self,
        now: Instant,
        sender: SenderId,
        mut frame: EncodedFrame,
        epoch: Option<Epoch>,
    ) -> bool {
        let Some(media) = media_of(frame.stream) else { return false };
        if frame.coding.is_audio() != (media == Media::Audio) {
            return false;
        }
        let key = key_of(sender, frame.stream);
        let epoch = epoch.filter(|_| is_mix(frame.stream));
        if let Some(epoch) = epoch
            && self.host.is_none_or(|(newest, _)| newest <= epoch)
        {
            self.host = Some((epoch, sender));
        }
        let Self { config, streams, sync, rates, .. } = self;
        let clock = if is_mix(frame.stream) { Clock::Mix(epoch) } else { Clock::Own(sender) };
        let stream = streams.entry(key).or_insert_with(|| {
            // Beyond the bound of lip sync, which counts it, it plays by itself.
            sync.add_stream(key, clock, media, frame.time.frequency());
            Stream::new(config, media, frame.time.frequency(), (epoch, clock))
        });
        stream.handle_epoch(config, media, epoch);
        frame.seq = stream.extender.extend_u32(frame.seq.wrapped());
        stream.bytes += frame.data.len() as u64;
        stream.frames += 1;
        let (seq, time, capture) = (frame.seq, frame.time, frame.capture);
        let queued = Queued { frame, epoch, arrival: now };
        match stream.buffer.insert(now, Unit::new(seq, time, queued)) {
            Verdict::Queued => {}
            Verdict::Duplicate(second) => {
                stream.handle_second(media, second);
                return true;
            }
            // Counted by the buffer.
            _ => return true,
        }
        if stream.has_jumped(seq) {
            stream.clock.restart();
        }
        if stream.epoch != epoch {
            // The host before has the end of his say; his clock counts no more.
            return true;
        }
        if (stream.frequency, stream.synced) != (time.frequency(), clock) {
            (stream.frequency, stream.synced) = (time.frequency(), clock);
            sync.remove_stream(key);
            sync.add_stream(key, clock, media, stream.frequency);
            stream.set_min_delay(Duration::ZERO);
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
                stream.set_min_delay(delay);
            }
        }
    }

    /// Takes what is due, stream by stream.
    pub(crate) fn poll_due(&mut self, now: Instant) -> Option<Due> {
        if let Some((stream, rate)) = self.rates.pop_front() {
            return Some(Due::Rate { stream, rate });
        }
        self.streams.iter_mut().find_map(|(&key, stream)| stream.poll_due(now, key))
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let due = self.streams.values().filter_map(Stream::poll_timeout).min();
        [due, self.sync.poll_timeout()].into_iter().flatten().min()
    }

    /// The way to the host broke, or he hosts no more and was not followed yet: where the
    /// mix goes on, it does not continue what came before, and nothing is lost between.
    pub(crate) fn interrupt_mix(&mut self) {
        for (_, stream) in self.streams.range_mut(keys_of(MIX)) {
            stream.interrupted = true;
        }
    }

    /// What did not come to us for a while comes again, of all who send such a stream: what
    /// is missing between was not lost.
    pub(crate) fn interrupt(&mut self, stream: StreamId) {
        for (_, known) in self.streams.iter_mut().filter(|(key, _)| key.stream == stream) {
            known.interrupted = true;
        }
    }

    /// Forgets what a sender sent: he is gone, or does something else now. The mix is
    /// nobody's, and stays.
    pub(crate) fn forget(&mut self, sender: SenderId) {
        for &key in self.streams.range(keys_of(sender)).map(|(key, _)| key) {
            self.sync.remove_stream(key);
        }
        self.streams.retain(|key, _| key.sender != sender);
    }

    pub(crate) fn all_stats(&self) -> impl Iterator<Item = (StreamKey, ReceiveStats)> + '_ {
        self.streams.iter().map(|(&key, stream)| (key, stream.stats()))
    }

    /// What `sender` is to be told about his streams, and if he hosts, of the mix as his:
    /// what was lost of it since he does.
    pub(crate) fn reports(&self, sender: SenderId) -> Vec<ReceptionReport> {
        let hosts = self.host.is_some_and(|(_, host)| host == sender);
        let mix = hosts.then(|| self.streams.range(keys_of(MIX))).into_iter().flatten();
        let mix = mix.filter(|(_, stream)| stream.epoch == self.host.map(|(epoch, _)| epoch));
        self.streams
            .range(keys_of(sender))
            .chain(mix)
            .map(|(&key, stream)| {
                let stats = stream.buffer.stats();
                let lost = stream.all_stats().lost.saturating_sub(stream.lost_before);
                ReceptionReport {
                    stream: StreamKey { sender, ..key },
                    highest_seq: stream.newest.wrapped(),
                    lost: u32::try_from(lost).unwrap_or(u32::MAX),
                    jitter: micros(stats.jitter),
                    last_capture: stream.last_capture,
                    queue_delay: micros(stats.delay),
                }
            })
            .collect()
    }
}

impl Stream {
    fn new(
        config: &SessionConfig,
        media: Media,
        frequency: Frequency,
        (epoch, synced): (Option<Epoch>, Clock),
    ) -> Self {
        Self {
            extender: SeqExtender::new(),
            buffer: JitterBuffer::new(jitter_of(config, media)),
            draining: None,
            interrupted: false,
            overlap: VecDeque::new(),
            epoch,
            synced,
            min_delay: Duration::ZERO,
            played: None,
            overlapped: 0,
            restarts: 0,
            before: JitterStats::default(),
            lost_before: 0,
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

    fn set_min_delay(&mut self, delay: Duration) {
        self.min_delay = delay;
        self.buffer.set_min_playout_delay(delay);
    }

    /// Takes note of the epoch of a frame of the mix.
    ///
    /// Who was handed the call goes on in its numbers, as his ballot follows the one
    /// before. Who was elected goes on some time after: his numbers and his clock are
    /// where he thinks they are, and to wait for what is missing is to wait for nobody.
    fn handle_epoch(&mut self, config: &SessionConfig, media: Media, epoch: Option<Epoch>) {
        let is_newer = epoch > self.epoch;
        let follows = match (self.epoch, epoch) {
            (Some(old), Some(new)) if is_newer => {
                old.term() == new.term() && Some(new.ballot()) == old.ballot().checked_add(1)
            }
            _ => true,
        };
        if is_newer {
            self.epoch = epoch;
            self.clock.restart();
        }
        if !follows || std::mem::take(&mut self.interrupted) {
            self.restart(config, media);
        }
        if is_newer {
            self.lost_before = self.all_stats().lost;
        }
    }

    /// Goes on in a new buffer, with the delay that was found right.
    fn restart(&mut self, config: &SessionConfig, media: Media) {
        let delay = self.buffer.own_delay();
        let next = JitterBuffer::new(jitter_of(config, media).start_delay(delay));
        let buffer = std::mem::replace(&mut self.buffer, next);
        self.before = sum(self.before, buffer.stats());
        // It has counted what it holds as queued; of one that still drains, the rest goes.
        self.draining = Some(buffer);
        self.overlap.clear();
        self.played = None;
        self.interrupted = false;
        // Lip sync takes it for what it was told last.
        self.buffer.set_min_playout_delay(self.min_delay);
        self.jumps = 0;
        self.newest = SeqNo::default();
        self.clock.restart();
        self.restarts += 1;
    }

    /// A frame that is held already: by the other host of a handover, it is kept beside.
    fn handle_second(&mut self, media: Media, second: Queued) {
        let seq = second.frame.seq;
        let is_due = self.played.is_none_or(|played| played < seq);
        let is_new = |held: &Queued| held.frame.seq != seq || held.epoch != second.epoch;
        if media == Media::Audio
            && second.epoch.is_some()
            && is_due
            && self.overlap.len() < MAX_OVERLAP
            && self.overlap.iter().all(is_new)
        {
            self.overlap.push_back(second);
        }
    }

    /// Takes what is due, what the host before left first.
    fn poll_due(&mut self, now: Instant, key: StreamKey) -> Option<Due> {
        if let Some(draining) = &mut self.draining {
            match draining.poll(now) {
                Output::Play { payload, due, .. } => {
                    self.before.played += 1;
                    return Some(self.play(key, due, payload));
                }
                Output::Lost { count, .. } => {
                    self.before.lost += count;
                    // The host before lost it.
                    self.lost_before += count;
                    return Some(Due::Lost { stream: key, count });
                }
                Output::Wait(_) => return None,
                _ => self.draining = None,
            }
        }
        match self.buffer.poll(now) {
            Output::Play { payload, due, .. } => Some(self.play(key, due, payload)),
            Output::Lost { count, .. } => Some(Due::Lost { stream: key, count }),
            _ => None,
        }
    }

    fn play(&mut self, stream: StreamKey, due: Instant, first: Queued) -> Due {
        let seq = first.frame.seq;
        self.played = Some(seq);
        let is_second = |it: &Queued| it.frame.seq == seq && it.epoch != first.epoch;
        let second = self.overlap.iter().position(is_second);
        let second = second.and_then(|index| self.overlap.remove(index));
        self.overlap.retain(|it| it.frame.seq > seq);
        let Some(second) = second else {
            let Queued { frame, epoch, arrival } = first;
            return Due::Play { stream, due, frame, epoch, arrival };
        };
        let (old, new) = if first.epoch < second.epoch { (first, second) } else { (second, first) };
        self.overlapped += 1;
        let epoch = new.epoch.unwrap_or_default();
        let arrival = new.arrival;
        Due::Crossfade { stream, due, arrival, old: old.frame, new: new.frame, epoch }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        let draining = self.draining.as_ref().and_then(JitterBuffer::poll_timeout);
        draining.or_else(|| self.buffer.poll_timeout())
    }

    /// Of this buffer and those before.
    fn all_stats(&self) -> JitterStats {
        sum(self.buffer.stats(), self.before)
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
            jitter: self.all_stats(),
            drift: (observations > 0).then_some((ppm, sigma)),
            bytes: self.bytes,
            frames: self.frames,
            overlapped: self.overlapped,
            restarts: self.restarts,
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

fn media_of(stream: StreamId) -> Option<Media> {
    match stream {
        StreamId::AUDIO | StreamId::MIX_AUDIO => Some(Media::Audio),
        StreamId::VIDEO | StreamId::MIX_VIDEO => Some(Media::Video),
        _ => None,
    }
}

const fn is_mix(stream: StreamId) -> bool {
    matches!(stream, StreamId::MIX_AUDIO | StreamId::MIX_VIDEO)
}

/// Pictures may move in time as they need to; sound only as it can be stretched.
fn jitter_of(config: &SessionConfig, media: Media) -> JitterConfig {
    match media {
        Media::Audio => config.jitter.clone(),
        Media::Video => config.jitter.clone().max_pace(1.0).talkspurts(false),
    }
}

/// The counts of both; where it stands is where `now` does.
fn sum(now: JitterStats, before: JitterStats) -> JitterStats {
    let mut sum = now;
    sum.queued += before.queued;
    sum.played += before.played;
    sum.lost += before.lost;
    sum.late += before.late;
    sum.duplicate += before.duplicate;
    sum.outliers += before.outliers;
    sum.resyncs += before.resyncs;
    sum.early += before.early;
    sum.full += before.full;
    sum.waited += before.waited;
    sum.max_delay = sum.max_delay.max(before.max_delay);
    sum
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

/// 160 ms of sound: four times what both hosts of a handover send.
const MAX_OVERLAP: usize = 8;

#[cfg(test)]
mod tests {
    #![allow(clippy::disallowed_methods, reason = "a test needs an epoch")]

    use paceline_types::{AudioCodec, Coding, MediaTime, PixelFormat};

    use super::*;

    const ANN: SenderId = SenderId::new(1);
    const BEN: SenderId = SenderId::new(2);
    const OF_ANN: Epoch = Epoch::new(1, 0);
    const HANDED_TO_BEN: Epoch = Epoch::new(1, 1);
    const BEN_ELECTED: Epoch = Epoch::new(2, 0);
    const TICK: Duration = Duration::from_millis(20);

    /// 20 ms of a mix, of which the first byte tells who made it.
    fn sound(stream: StreamId, seq: u64, maker: SenderId) -> EncodedFrame {
        EncodedFrame {
            stream,
            seq: SeqNo::new(seq),
            time: MediaTime::new(seq * 960, Frequency::AUDIO),
            capture: NtpTime::default(),
            coding: Coding::Audio { codec: AudioCodec::PcmF32, channels: 1 },
            data: vec![maker.get() as u8; 8].into(),
        }
    }

    fn picture(seq: u64, time: u64) -> EncodedFrame {
        EncodedFrame {
            stream: StreamId::MIX_VIDEO,
            time: MediaTime::new(time, Frequency::VIDEO),
            coding: Coding::Image { format: PixelFormat::I420, width: 2, height: 2 },
            ..sound(StreamId::MIX_VIDEO, seq, ANN)
        }
    }

    #[test]
    fn a_mix_that_goes_on_after_an_interruption_is_as_late_as_lip_sync_wants_it() {
        let mut bench = Bench::new();
        bench.send(ANN, OF_ANN, 0..20, 10);
        bench.run(0..400);
        let key = key_of(ANN, StreamId::MIX_AUDIO);
        let stream = bench.receiver.streams.get_mut(&key).expect("it came");
        stream.set_min_delay(Duration::from_millis(150));
        bench.receiver.interrupt_mix();
        bench.send(ANN, OF_ANN, 50..70, 10);
        bench.run(400..1_500);
        let first = bench.played.iter().find(|&&(_, seq, ..)| seq == 50).expect("it goes on");
        assert!(first.0 >= 50 * 20 + 10 + 140, "at {}", first.0);
    }

    /// A receiver that is given frames and asked for what is due each millisecond.
    struct Bench {
        start: Instant,
        receiver: Receiver,
        frames: Vec<(u64, SenderId, EncodedFrame, Epoch)>,
        /// When, since the start; which number; of whom; with whom crossfaded.
        played: Vec<(u64, u64, u8, Option<u8>)>,
        lost: u64,
    }

    impl Bench {
        fn new() -> Self {
            let receiver = Receiver::new(SessionConfig::default());
            let (frames, played) = (Vec::new(), Vec::new());
            Self { start: Instant::now(), receiver, frames, played, lost: 0 }
        }

        /// `sender` sends these numbers so that number n comes at 20·n + `after` ms.
        fn send(&mut self, sender: SenderId, epoch: Epoch, seqs: std::ops::Range<u64>, after: u64) {
            self.frames.extend(seqs.map(|seq| {
                (20 * seq + after, sender, sound(StreamId::MIX_AUDIO, seq, sender), epoch)
            }));
        }

        fn run(&mut self, millis: std::ops::Range<u64>) {
            self.frames.sort_by_key(|&(at, ..)| at);
            for ms in millis {
                let now = self.start + Duration::from_millis(ms);
                for (_, sender, frame, epoch) in self.frames.iter().filter(|&&(at, ..)| at == ms) {
                    assert!(self.receiver.handle_frame(now, *sender, frame.clone(), Some(*epoch)));
                }
                self.receiver.handle_timeout(now);
                while let Some(due) = self.receiver.poll_due(now) {
                    match due {
                        Due::Crossfade { stream, old, new, epoch, .. } => {
                            assert_eq!((stream.sender, epoch), (MIX, HANDED_TO_BEN));
                            assert_eq!(old.seq, new.seq);
                            let both = (new.data[0], Some(old.data[0]));
                            self.played.push((ms, new.seq.get(), both.0, both.1));
                        }
                        Due::Lost { count, .. } => self.lost += count,
                        Due::Play { stream, frame, .. } => {
                            assert_eq!(stream.sender, MIX);
                            self.played.push((ms, frame.seq.get(), frame.data[0], None));
                        }
                        Due::Rate { .. } => {}
                    }
                }
            }
        }

        fn stats(&self) -> ReceiveStats {
            let sound = StreamKey { sender: MIX, stream: StreamId::MIX_AUDIO };
            let mut all = self.receiver.all_stats();
            all.find(|&(key, _)| key == sound).map(|(_, stats)| stats).unwrap_or_default()
        }
    }

    #[test]
    fn a_handover_is_one_stream_with_both_mixes_where_both_are() {
        let mut bench = Bench::new();
        // Ben is 15 ms nearer: his first frames come before Ann's last.
        bench.send(ANN, OF_ANN, 0..52, 40);
        bench.send(BEN, HANDED_TO_BEN, 50..100, 25);
        bench.run(0..2_200);
        let numbers: Vec<_> = bench.played.iter().map(|&(_, seq, ..)| seq).collect();
        assert_eq!(numbers, Vec::from_iter(0..100));
        assert_eq!(bench.lost, 0);
        for &(_, seq, new, old) in &bench.played {
            let expected = match seq {
                0..50 => (1, None),
                50..52 => (2, Some(1)),
                _ => (2, None),
            };
            assert_eq!((new, old), expected, "{seq}");
        }
        let stats = bench.stats();
        assert_eq!((stats.overlapped, stats.restarts, stats.jitter.resyncs), (2, 0, 0));
    }

    #[test]
    fn who_is_elected_is_heard_at_once_and_nothing_between_is_lost() {
        let mut bench = Bench::new();
        bench.send(ANN, OF_ANN, 0..50, 40);
        // He took 600 ms, his path is slower, and his clock is 700 ms ahead of hers.
        let (ahead, first) = (35, 50 + 30 + 35);
        for seq in first..first + 50 {
            let at = 20 * (seq - ahead) + 90;
            bench.frames.push((at, BEN, sound(StreamId::MIX_AUDIO, seq, BEN), BEN_ELECTED));
        }
        bench.run(0..3_000);
        assert_eq!(bench.played.len(), 100, "{:?}", bench.played);
        assert_eq!(bench.lost, 0);
        assert_eq!(bench.stats().jitter.lost, 0);
        assert_eq!(bench.stats().restarts, 1);
        let (at, seq, ..) = bench.played[50];
        let came = 20 * 80 + 90;
        assert_eq!(seq, first);
        assert!(at <= came + 20, "came at {came}, played at {at}");
    }

    #[test]
    fn what_a_host_left_behind_is_played_before_the_next_ones() {
        let mut bench = Bench::new();
        // He resigned: Ben's first comes while Ann's last still wait.
        bench.receiver.config = bench
            .receiver
            .config
            .clone()
            .jitter(JitterConfig::default().min_delay(Duration::from_millis(100)));
        bench.send(ANN, OF_ANN, 0..50, 40);
        bench.send(BEN, BEN_ELECTED, 53..100, 0);
        bench.run(0..2_500);
        let numbers: Vec<_> = bench.played.iter().map(|&(_, seq, ..)| seq).collect();
        assert_eq!(numbers, Vec::from_iter((0..50).chain(53..100)));
        assert_eq!(bench.lost, 0);
        let stats = bench.stats().jitter;
        assert_eq!((stats.queued, stats.played, stats.lost), (97, 97, 0));
    }

    #[test]
    fn a_second_copy_that_comes_too_late_is_not_heard() {
        let mut bench = Bench::new();
        bench.send(ANN, OF_ANN, 0..52, 40);
        bench.send(BEN, HANDED_TO_BEN, 50..80, 130);
        bench.run(0..2_500);
        let numbers: Vec<_> = bench.played.iter().map(|&(_, seq, ..)| seq).collect();
        assert_eq!(numbers, Vec::from_iter(0..80));
        assert_eq!(bench.stats().overlapped, 0);
        assert_eq!(bench.played[51].2, 1);
        assert_eq!(bench.played[52].2, 2);
    }

    #[test]
    fn copies_of_a_flood_are_not_kept() {
        let mut bench = Bench::new();
        bench.send(ANN, OF_ANN, 0..100, 40);
        for ballot in 1..500 {
            // All at once, while Ann's wait, of the same 20 ms.
            let frame = sound(StreamId::MIX_AUDIO, 50, BEN);
            bench.frames.push((1_045, BEN, frame, Epoch::new(1, ballot)));
        }
        bench.run(0..1_046);
        let key = StreamKey { sender: MIX, stream: StreamId::MIX_AUDIO };
        let stream = &bench.receiver.streams[&key];
        assert!(!stream.overlap.is_empty() && stream.overlap.len() <= MAX_OVERLAP);
        assert_eq!(bench.receiver.streams.len(), 1);
    }

    #[test]
    fn the_mix_outlives_its_host_and_is_reported_to_the_next_as_his() {
        let mut bench = Bench::new();
        // Number 20 is lost on the way from Ann, 70 on the way from Ben.
        bench.send(ANN, OF_ANN, 0..20, 40);
        bench.send(ANN, OF_ANN, 21..50, 40);
        bench.send(BEN, HANDED_TO_BEN, 50..70, 40);
        bench.send(BEN, HANDED_TO_BEN, 71..100, 40);
        bench.run(0..1_000);
        let to_ann = bench.receiver.reports(ANN);
        let of_ann = StreamKey { sender: ANN, stream: StreamId::MIX_AUDIO };
        assert_eq!((to_ann[0].stream, to_ann[0].lost), (of_ann, 1));
        bench.receiver.forget(ANN);
        bench.run(1_000..2_500);
        assert_eq!(bench.played.len(), 98);
        assert!(bench.receiver.reports(ANN).is_empty());
        let to_ben = bench.receiver.reports(BEN);
        let of_ben = StreamKey { sender: BEN, stream: StreamId::MIX_AUDIO };
        assert_eq!((to_ben[0].stream, to_ben[0].lost, to_ben.len()), (of_ben, 1, 1));
        assert_eq!(to_ben[0].highest_seq, 99);
    }

    #[test]
    fn after_a_broken_way_the_mix_goes_on_and_no_picture_counts_as_lost() {
        let start = Instant::now();
        let mut receiver = Receiver::new(SessionConfig::default());
        let mut played = Vec::new();
        let frames = (0..30).chain(180..210).map(|seq| (seq, seq * 3_000));
        for (seq, time) in frames {
            let now = start + Duration::from_micros(seq * 1_000_000 / 30);
            if seq == 180 {
                receiver.interrupt_mix();
            }
            assert!(receiver.handle_frame(now, ANN, picture(seq, time), Some(OF_ANN)));
            receiver.handle_timeout(now);
            while let Some(due) = receiver.poll_due(now) {
                match due {
                    Due::Play { frame, .. } => played.push(frame.seq.get()),
                    other => panic!("{other:?}"),
                }
            }
        }
        assert_eq!(played, Vec::from_iter((0..30).chain(180..209)));
    }

    #[test]
    fn a_member_s_own_sound_does_not_become_the_mix() {
        let mut receiver = Receiver::new(SessionConfig::default());
        let now = Instant::now();
        let own = sound(StreamId::AUDIO, 7, BEN);
        assert!(receiver.handle_frame(now, BEN, own, Some(BEN_ELECTED)));
        assert!(receiver.handle_frame(now, BEN, sound(StreamId::MIX_AUDIO, 7, BEN), Some(OF_ANN)));
        let keys: Vec<_> = receiver.all_stats().map(|(key, _)| key.sender).collect();
        assert_eq!(keys, [MIX, BEN]);
        let now = now + 5 * TICK;
        let due = std::iter::from_fn(|| receiver.poll_due(now));
        let epochs: Vec<_> = due
            .filter_map(|due| match due {
                Due::Play { epoch, .. } => Some(epoch),
                _ => None,
            })
            .collect();
        assert_eq!(epochs, [Some(OF_ANN), None]);
    }
}
