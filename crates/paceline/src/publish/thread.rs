//! The two threads that read a source, mark it, and encode it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use paceline_capture::{AudioSource, VideoSource, clapper};
use paceline_codec::EncodeError;
use paceline_types::{
    EncodedFrame, EncoderTarget, Frequency, MediaTime, SenderId, SeqNo, StreamId, WallClock,
};
use tokio::sync::mpsc;

use super::pace::Pace;
use super::shrink::Shrunk;
use super::{audio_encoder, video_encoder};
use crate::config::Config;
use crate::counters::Counters;
use crate::driver::clock;
use crate::error::PublishError;
use crate::event::{Event, EventQueue};
use crate::wire::{StageSender, Switches, ToDriver, ToStage};

/// A running thread. Dropping it stops the thread too.
#[derive(Debug)]
pub(crate) struct Task {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Task {
    /// Stops it and waits for its end: at most one frame.
    pub(crate) async fn stop(mut self) {
        self.signal();
        if let Some(thread) = self.thread.take() {
            // A panic of the thread has been printed; there is nothing left to stop.
            let _ = tokio::task::spawn_blocking(move || thread.join()).await;
        }
    }

    /// Whether it goes on; one that was stopped or gave up does not.
    pub(crate) fn is_running(&self) -> bool {
        let finished = self.thread.as_ref().is_none_or(JoinHandle::is_finished);
        !finished && !self.stop.load(Ordering::Acquire)
    }

    fn signal(&self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.signal();
    }
}

/// The sequence numbers and the media clock of a track: they go on when it is
/// switched off and on again, so that receivers see one stream.
#[derive(Clone, Debug)]
pub(crate) struct Numbering {
    origin: Instant,
    next: Arc<AtomicU64>,
}

impl Numbering {
    pub(crate) fn new(origin: Instant) -> Self {
        Self { origin, next: Arc::new(AtomicU64::new(0)) }
    }

    pub(crate) fn next(&self) -> SeqNo {
        SeqNo::new(self.next.fetch_add(1, Ordering::Relaxed))
    }

    /// How many numbers were given out.
    pub(crate) fn count(&self) -> u64 {
        self.next.load(Ordering::Relaxed)
    }

    /// What the media clock reads at `at`.
    pub(crate) fn time(&self, at: Instant, frequency: Frequency) -> MediaTime {
        MediaTime::new(0, frequency) + at.saturating_duration_since(self.origin)
    }
}

/// What a publishing thread works with.
#[derive(Clone, Debug)]
pub(crate) struct Reader {
    pub(crate) config: Config,
    pub(crate) wall: WallClock,
    /// Which clapper slot is ours.
    pub(crate) slot: SenderId,
    /// Weak, so that a publishing thread does not keep a dropped room alive.
    pub(crate) driver: mpsc::WeakSender<ToDriver>,
    pub(crate) stage: StageSender,
    pub(crate) counters: Arc<Counters>,
    pub(crate) events: EventQueue,
    pub(crate) switches: Switches,
}

impl Reader {
    pub(crate) fn video(
        self,
        source: Box<dyn VideoSource>,
        numbering: Numbering,
    ) -> Result<Task, PublishError> {
        let source = match self.config.max_own_picture {
            Some(most) => Shrunk::within(source, most),
            None => source,
        };
        spawn("paceline-video", move |stop| self.run_video(source, &numbering, stop))
    }

    pub(crate) fn audio(
        self,
        source: Box<dyn AudioSource>,
        numbering: Numbering,
    ) -> Result<Task, PublishError> {
        spawn("paceline-audio", move |stop| self.run_audio(source, &numbering, stop))
    }

    fn run_video(self, mut source: Box<dyn VideoSource>, numbering: &Numbering, stop: &AtomicBool) {
        let frame_rate = source.frame_rate().clamp(1.0, 120.0);
        let mut encoder = match video_encoder(&self.config, frame_rate) {
            Ok(encoder) => encoder,
            Err(error) => return self.give_up(stop, StreamId::VIDEO, &error.to_string()),
        };
        let mut pace = Pace::new(clock(), frame_rate.recip());
        while wait(pace.next_due(), stop) {
            let now = clock();
            let (index, skipped) = pace.advance(now, VIDEO_LATE);
            self.counters.video_superseded.add(skipped);
            let (mixed, sent) = (self.switches.mixes_picture(), self.switches.sends_picture());
            if !mixed && !sent {
                continue;
            }
            let time = numbering.time(pace.due(index), Frequency::VIDEO);
            let capture = self.wall.at(now);
            let frame = match source.read(index, time, capture) {
                Ok(frame) if self.config.clapper => {
                    clapper::burn(frame, clapper::Mark { frame: index as u16, capture })
                }
                Ok(frame) => frame,
                Err(error) => return self.give_up(stop, StreamId::VIDEO, &error.to_string()),
            };
            if mixed && !self.stage.send(ToStage::LocalVideo(frame.clone())) {
                self.counters.video_superseded.add(1);
            }
            if !sent {
                continue;
            }
            if self.switches.take_keyframe() {
                encoder.set_target(EncoderTarget { keyframe: true, bitrate: None });
            }
            let encoded = match encoder.encode(&frame) {
                Ok(Some(encoded)) => encoded,
                Ok(None) => {
                    self.counters.video_skipped.add(1);
                    continue;
                }
                // One picture that the encoder fails on is one picture lost.
                Err(EncodeError::Native { .. }) => {
                    self.counters.encode_errors.add(1);
                    continue;
                }
                // A source that makes what cannot be encoded goes on doing so.
                Err(error) => return self.give_up(stop, StreamId::VIDEO, &error.to_string()),
            };
            let len = encoded.data.len();
            if len > MAX_PICTURE {
                let reason = format!(
                    "a picture of {} × {} takes {len} bytes and a packet holds {MAX_PICTURE}: \
                     use H.264, or a smaller picture",
                    frame.width(),
                    frame.height(),
                );
                return self.give_up(stop, StreamId::VIDEO, &reason);
            }
            self.counters.video_encoded.add(1);
            let frame = EncodedFrame {
                stream: StreamId::VIDEO,
                seq: numbering.next(),
                time,
                capture,
                coding: encoded.coding,
                data: encoded.data,
            };
            if !self.send(frame) {
                self.counters.video_skipped.add(1);
                self.switches.want_keyframe();
            }
        }
    }

    fn run_audio(self, mut source: Box<dyn AudioSource>, numbering: &Numbering, stop: &AtomicBool) {
        let mut encoder = match audio_encoder() {
            Ok(encoder) => encoder,
            Err(error) => return self.give_up(stop, StreamId::AUDIO, &error.to_string()),
        };
        let mut tone = self.config.clapper.then(|| clapper::ToneWriter::new(self.slot.get()));
        let start = clock();
        let mut pace = Pace::new(start, 0.02);
        let first = numbering.time(start, Frequency::AUDIO).ticks();
        while wait(pace.next_due(), stop) {
            let (index, skipped) = pace.advance(clock(), AUDIO_LATE);
            self.counters.audio_overrun.add(skipped);
            // A microphone's samples are taken evenly, however late the thread is.
            let time = MediaTime::new(first + index * 960, Frequency::AUDIO);
            let capture = self.wall.at(pace.due(index));
            // What was skipped is not said later: lips would be off for good.
            let missed = (0..skipped).try_for_each(|_| source.read(time, capture).map(drop));
            let mut frame = match missed.and_then(|()| source.read(time, capture)) {
                Ok(frame) => frame,
                Err(error) => return self.give_up(stop, StreamId::AUDIO, &error.to_string()),
            };
            if let Some(tone) = &mut tone {
                tone.burn(&mut frame);
            }
            if self.switches.mixes_sound() && !self.stage.send(ToStage::LocalAudio(frame.clone())) {
                self.counters.audio_overrun.add(1);
            }
            // A host says it too: to whoever is ready to follow him.
            if !self.switches.in_room() {
                continue;
            }
            match encoder.encode(&frame) {
                Ok(encoded) => {
                    self.counters.audio_encoded.add(1);
                    let frame = EncodedFrame {
                        stream: StreamId::AUDIO,
                        seq: numbering.next(),
                        time,
                        capture,
                        coding: encoded.coding,
                        data: encoded.data,
                    };
                    if !self.send(frame) {
                        self.counters.audio_overrun.add(1);
                    }
                }
                Err(error) => return self.give_up(stop, StreamId::AUDIO, &error.to_string()),
            }
        }
    }

    fn send(&self, frame: EncodedFrame) -> bool {
        let driver = self.driver.upgrade();
        driver.is_some_and(|d| d.try_send(ToDriver::Encoded { to: None, frame }).is_ok())
    }

    /// Nothing more comes of this track: the program and the others are told.
    fn give_up(&self, stop: &AtomicBool, stream: StreamId, reason: &str) {
        // Whoever hears of it may start another at once.
        stop.store(true, Ordering::Release);
        self.counters.encode_errors.add(1);
        let what = if stream == StreamId::AUDIO { "sound" } else { "picture" };
        self.events.push(Event::Warning(format!("our {what} has stopped: {reason}")));
        if let Some(driver) = self.driver.upgrade() {
            // A driver that is too busy for it sheds more than this.
            let _ = driver.try_send(ToDriver::TrackState { stream, enabled: false });
        }
    }
}

fn spawn(name: &str, run: impl FnOnce(&AtomicBool) + Send + 'static) -> Result<Task, PublishError> {
    let stop = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&stop);
    let thread = std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(move || run(&flag))
        .map_err(|error| PublishError::Thread(error.to_string()))?;
    Ok(Task { stop, thread: Some(thread) })
}

/// Sleeps until `due`; `false` if the thread is to stop.
fn wait(due: Instant, stop: &AtomicBool) -> bool {
    loop {
        if stop.load(Ordering::Acquire) {
            return false;
        }
        let left = due.saturating_duration_since(clock());
        if left.is_zero() {
            return true;
        }
        std::thread::park_timeout(left);
    }
}

/// Bytes of one encoded picture: a packet of 4 MiB less its headers, rounded down.
pub(crate) const MAX_PICTURE: usize = (4 << 20) - 256;

/// A picture that is later than two frames is skipped: the newest wins.
const VIDEO_LATE: Duration = Duration::from_millis(70);

/// Queue ① of sound holds 60 ms; what is older is dropped.
const AUDIO_LATE: Duration = Duration::from_millis(60);
