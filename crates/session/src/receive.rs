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

mod clock;
mod stream;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use paceline_drift::Estimate;
use paceline_framing::ReceptionReport;
use paceline_jitter::{JitterStats, Media, Playout, StreamSync, SyncOutput, Unit, Verdict};
use paceline_mesh::CaptureTime;
use paceline_types::{EncodedFrame, Epoch, NtpTime, PlayoutRate, SenderId, StreamId, StreamKey};

use self::stream::{Queued, Stream};
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

    /// Takes in a frame of `sender`, and how its time of capture is known: of a mix with the
    /// epoch it was sent under, which holds, else without one. A stream that nobody defined is
    /// refused.
    pub(crate) fn handle_frame(
        &mut self,
        now: Instant,
        sender: SenderId,
        (mut frame, known): (EncodedFrame, CaptureTime),
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
        // Whatever becomes of this frame, the next is stamped by the same report.
        stream.is_reported |= known == CaptureTime::Reported && stream.epoch == epoch;
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
            stream.is_reported = true;
        }
        let is_known = capture != NtpTime::default();
        if is_known {
            stream.last_capture = capture;
        }
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
        // Over RTP it is not, up to the first report.
        if is_known && known == CaptureTime::Own {
            sync.handle_capture(now, key, time, capture);
        } else if is_known && std::mem::take(&mut stream.is_reported) {
            // The report says the same of this frame as of its own; of those after it too, but
            // that is no other reading.
            sync.handle_sender_report(now, key, capture, time.ticks() as u32);
        }
        if let Some(due) = stream.buffer.playout_time(time) {
            let delay = stream.buffer.own_delay();
            if media == Media::Audio {
                let stats = stream.buffer.stats();
                sync.set_excess(key, stats.delay.saturating_sub(stats.target));
            }
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

    /// Whether somebody is to be asked for a keyframe that a stream can go on from. Not while
    /// one waits to be played: it comes sooner than any that is yet to be made. Should that one
    /// go without being played, [`poll_needs_keyframe`](Self::poll_needs_keyframe) tells.
    pub(crate) fn needs_keyframe(&mut self, key: StreamKey) -> bool {
        let Some(stream) = self.streams.get_mut(&key) else { return true };
        stream.counts_on_key = stream.holds_key();
        !stream.counts_on_key
    }

    /// A stream whose keyframe was counted on, and is there no more: one is to be asked for
    /// after all.
    pub(crate) fn poll_needs_keyframe(&mut self) -> Option<StreamKey> {
        self.streams.iter_mut().find_map(|(&key, stream)| {
            let is_gone = stream.counts_on_key && !stream.holds_key();
            stream.counts_on_key &= !is_gone;
            is_gone.then_some(key)
        })
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
    /// nobody's, and stays; over the next connection he is told only what is lost on that.
    pub(crate) fn forget(&mut self, sender: SenderId) {
        if self.host.is_some_and(|(_, host)| host == sender) {
            for (_, stream) in self.streams.range_mut(keys_of(MIX)) {
                stream.lost_before = stream.all_stats().lost;
            }
        }
        for &key in self.streams.range(keys_of(sender)).map(|(key, _)| key) {
            self.sync.remove_stream(key);
        }
        self.streams.retain(|key, _| key.sender != sender);
    }

    pub(crate) fn all_stats(&self) -> impl Iterator<Item = (StreamKey, ReceiveStats)> + '_ {
        self.streams.iter().map(|(&key, stream)| (key, stream.stats()))
    }

    /// What `sender` is to be told about his streams, and if he hosts, of the mix as his:
    /// what was lost of it since he does, over this connection.
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

fn micros(span: Duration) -> u32 {
    u32::try_from(span.as_micros()).unwrap_or(u32::MAX)
}
