//! The way of a media packet: demux, jitter buffer, lip sync, decoder.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use paceline_framing::ReceptionReport;
use paceline_jitter::{JitterBuffer, JitterStats, Media, Output, Sample, StreamSync, Verdict};
use paceline_types::{EncodedFrame, NtpTime, SenderId, SeqExtender, StreamId, StreamKey};

use crate::SessionConfig;

/// Counts of one stream that is received.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ReceiveStats {
    /// Of its jitter buffer.
    pub jitter: JitterStats,
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
}

/// All streams that come in.
#[derive(Debug)]
pub(crate) struct Receiver {
    config: SessionConfig,
    streams: BTreeMap<StreamKey, Stream>,
    /// One for each pair of a sound and a picture made by the same clock.
    sync: BTreeMap<(SenderId, Pair), StreamSync>,
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
    last_capture: NtpTime,
    bytes: u64,
    frames: u64,
}

impl Receiver {
    pub(crate) fn new(config: SessionConfig) -> Self {
        Self { config, streams: BTreeMap::new(), sync: BTreeMap::new() }
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
        let stream = self.streams.entry(key).or_insert_with(|| Stream {
            extender: SeqExtender::new(),
            buffer: JitterBuffer::new(self.config.jitter.clone()),
            last_capture: NtpTime::default(),
            bytes: 0,
            frames: 0,
        });
        frame.seq = stream.extender.extend_u32(frame.seq.wrapped());
        stream.bytes += frame.data.len() as u64;
        stream.frames += 1;
        let (seq, time, capture) = (frame.seq, frame.time, frame.capture);
        if stream.buffer.handle_frame(now, seq, time, frame) != Verdict::Queued {
            // Counted by the buffer.
            return true;
        }
        stream.last_capture = capture;
        let sync = self
            .sync
            .entry((sender, pair))
            .or_insert_with(|| StreamSync::new(self.config.sync.clone()));
        if let Some(playout) = stream.buffer.playout_time(time) {
            let delay = stream.buffer.own_delay();
            sync.handle_sample(media, Sample { capture, playout, delay });
        }
        for (key, stream) in self.streams.range_mut(keys_of(sender)) {
            if let Some((other, media)) = role_of(key.stream)
                && other == pair
            {
                stream.buffer.set_min_playout_delay(sync.min_playout_delay(media));
            }
        }
        true
    }

    /// Takes what is due, stream by stream.
    pub(crate) fn poll_due(&mut self, now: Instant) -> Option<Due> {
        for (&stream, Stream { buffer, .. }) in &mut self.streams {
            buffer.handle_timeout(now);
            match buffer.poll_output() {
                Some(Output::Play { payload, due, .. }) => {
                    return Some(Due::Play { stream, due, frame: payload });
                }
                Some(Output::Lost { count, .. }) => return Some(Due::Lost { stream, count }),
                _ => {}
            }
        }
        None
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.streams.values().filter_map(|stream| stream.buffer.poll_timeout()).min()
    }

    /// Forgets what a sender sent: he is gone, or does something else now.
    pub(crate) fn forget(&mut self, sender: SenderId) {
        self.streams.retain(|key, _| key.sender != sender);
        self.sync.retain(|&(other, _), _| other != sender);
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
                    highest_seq: stream.extender.highest().wrapped(),
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
    fn stats(&self) -> ReceiveStats {
        ReceiveStats { jitter: self.buffer.stats(), bytes: self.bytes, frames: self.frames }
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
