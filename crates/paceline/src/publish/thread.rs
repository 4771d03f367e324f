//! The two threads that read a source, mark it, and encode it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use paceline_capture::{AudioSource, VideoSource, clapper};
use paceline_codec::EncodeError;
use paceline_types::{
    EncodedFrame, EncoderTarget, Frequency, MediaTime, SenderId, SeqNo, StreamId, WallClock,
};
use tokio::sync::mpsc;

use super::pace::Pace;
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
    pub(crate) fn video(self, source: Box<dyn VideoSource>) -> Result<Task, PublishError> {
        spawn("paceline-video", move |stop| self.run_video(source, stop))
    }

    pub(crate) fn audio(self, source: Box<dyn AudioSource>) -> Result<Task, PublishError> {
        spawn("paceline-audio", move |stop| self.run_audio(source, stop))
    }

    fn run_video(self, mut source: Box<dyn VideoSource>, stop: &AtomicBool) {
        let mut encoder = match video_encoder(&self.config) {
            Ok(encoder) => encoder,
            Err(error) => return self.give_up("picture", &error.to_string()),
        };
        let mut seq = SeqNo::default();
        let mut pace = Pace::new(clock(), source.frame_rate().max(1.0).recip());
        while wait(pace.next_due(), stop) {
            let now = clock();
            let (index, skipped) = pace.advance(now, VIDEO_LATE);
            self.counters.video_superseded.add(skipped);
            if !self.switches.hosting() && !self.switches.in_room() {
                continue;
            }
            let time = MediaTime::new(0, Frequency::VIDEO) + pace.since_start(index);
            let capture = self.wall.at(now);
            let frame = match source.read(index, time, capture) {
                Ok(frame) if self.config.clapper => {
                    clapper::burn(frame, clapper::Mark { frame: index as u16, capture })
                }
                Ok(frame) => frame,
                Err(error) => return self.give_up("picture", &error.to_string()),
            };
            if self.switches.hosting() {
                if !self.stage.send(ToStage::LocalVideo(frame)) {
                    self.counters.video_superseded.add(1);
                }
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
                Err(error) => return self.give_up("picture", &error.to_string()),
            };
            let len = encoded.data.len();
            if len > MAX_PICTURE {
                let reason = format!(
                    "a picture of {} × {} takes {len} bytes and a packet holds {MAX_PICTURE}: \
                     use H.264, or a smaller picture",
                    frame.width(),
                    frame.height(),
                );
                return self.give_up("picture", &reason);
            }
            self.counters.video_encoded.add(1);
            let frame = EncodedFrame {
                stream: StreamId::VIDEO,
                seq,
                time,
                capture,
                coding: encoded.coding,
                data: encoded.data,
            };
            seq = seq.next();
            if !self.send(frame) {
                self.counters.video_skipped.add(1);
                self.switches.want_keyframe();
            }
        }
    }

    fn run_audio(self, mut source: Box<dyn AudioSource>, stop: &AtomicBool) {
        let mut encoder = match audio_encoder() {
            Ok(encoder) => encoder,
            Err(error) => return self.give_up("sound", &error.to_string()),
        };
        let mut tone = self.config.clapper.then(|| clapper::ToneWriter::new(self.slot.get()));
        let mut seq = SeqNo::default();
        let mut pace = Pace::new(clock(), 0.02);
        while wait(pace.next_due(), stop) {
            let (index, skipped) = pace.advance(clock(), AUDIO_LATE);
            self.counters.audio_overrun.add(skipped);
            // A microphone's samples are taken evenly, however late the thread is.
            let time = MediaTime::new(index * 960, Frequency::AUDIO);
            let capture = self.wall.at(pace.due(index));
            let mut frame = match source.read(time, capture) {
                Ok(frame) => frame,
                Err(error) => return self.give_up("sound", &error.to_string()),
            };
            if let Some(tone) = &mut tone {
                tone.burn(&mut frame);
            }
            if self.switches.hosting() {
                if !self.stage.send(ToStage::LocalAudio(frame)) {
                    self.counters.audio_overrun.add(1);
                }
                continue;
            }
            if !self.switches.in_room() {
                continue;
            }
            match encoder.encode(&frame) {
                Ok(encoded) => {
                    self.counters.audio_encoded.add(1);
                    let frame = EncodedFrame {
                        stream: StreamId::AUDIO,
                        seq,
                        time,
                        capture,
                        coding: encoded.coding,
                        data: encoded.data,
                    };
                    seq = seq.next();
                    if !self.send(frame) {
                        self.counters.audio_overrun.add(1);
                    }
                }
                Err(error) => return self.give_up("sound", &error.to_string()),
            }
        }
    }

    fn send(&self, frame: EncodedFrame) -> bool {
        let driver = self.driver.upgrade();
        driver.is_some_and(|d| d.try_send(ToDriver::Encoded { to: None, frame }).is_ok())
    }

    fn give_up(&self, what: &str, reason: &str) {
        self.counters.encode_errors.add(1);
        self.events.push(Event::Warning(format!("our {what} has stopped: {reason}")));
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
const MAX_PICTURE: usize = (4 << 20) - 256;

/// A picture that is later than two frames is skipped: the newest wins.
const VIDEO_LATE: Duration = Duration::from_millis(70);

/// Queue ① of sound holds 60 ms; what is older is dropped.
const AUDIO_LATE: Duration = Duration::from_millis(60);
