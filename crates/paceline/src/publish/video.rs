//! The thread that reads pictures, marks them, and has them encoded.

use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use paceline_capture::{CaptureError, VideoSource, clapper};
use paceline_codec::{EncodeError, EncodedPicture};
use paceline_types::{EncodedFrame, Frequency, MediaTime, NtpTime, StreamId, VideoFrame};

use super::device::Eye;
use super::pace::Pace;
use super::reader::Reader;
use super::rig::{Rig, Shape};
use super::task::{Numbering, wait};
use crate::driver::clock;
use crate::event::Event;
use crate::wire::ToStage;

#[derive(Debug)]
pub(super) struct VideoThread {
    reader: Reader,
    device: Option<Eye>,
    numbering: Numbering,
    still: Still,
    /// Our own stage had the picture before this one.
    was_mixed: bool,
    /// When the source was last read.
    read_at: Option<Instant>,
    failures: u32,
}

/// Why nothing more is read.
enum End {
    GiveUp(String),
    Source(CaptureError),
    Stopped,
}

impl VideoThread {
    pub(super) fn new(reader: Reader, device: Option<Eye>, numbering: Numbering) -> Self {
        let still = Still::default();
        Self { reader, device, numbering, still, was_mixed: false, read_at: None, failures: 0 }
    }

    pub(super) fn run(mut self, mut source: Box<dyn VideoSource>, stop: &AtomicBool) {
        let shape = shape_of(source.as_ref());
        let mut rig = match Rig::new(clock(), &self.reader.config, shape) {
            Ok(rig) => rig,
            Err(error) => return self.reader.give_up(stop, StreamId::VIDEO, &error.to_string()),
        };
        loop {
            let reason = match self.watch(source.as_mut(), &mut rig, stop) {
                End::Stopped => return,
                End::GiveUp(reason) => reason,
                End::Source(error) => {
                    let eye = self.device.as_ref().filter(|eye| eye.may_come_back());
                    let Some(eye) = eye.filter(|_| error.is_gone()) else {
                        return self.reader.give_up(stop, StreamId::VIDEO, &error.to_string());
                    };
                    // One that is held cannot always be opened again.
                    drop(source);
                    let back = self.reader.reopen(stop, eye.kind, &error, || eye.open());
                    let Some(back) = back else { return };
                    source = back;
                    continue;
                }
            };
            return self.reader.give_up(stop, StreamId::VIDEO, &reason);
        }
    }

    /// Reads and encodes until the source or somebody else ends it.
    fn watch(&mut self, source: &mut dyn VideoSource, rig: &mut Rig, stop: &AtomicBool) -> End {
        let start = clock();
        rig.handle_source(start, shape_of(source));
        let mut frame_rate = rig.frame_rate();
        let mut pace = Pace::new(start, frame_rate.recip());
        while wait(pace.next_due(), stop) {
            let now = clock();
            let (index, skipped) = pace.advance(now, VIDEO_LATE);
            self.reader.counters.video_superseded.add(skipped);
            let due = pace.due(index);
            if let Err(end) = self.take(source, rig, start, now, due) {
                return end;
            }
            rig.handle_timeout(clock());
            if let Some(ladder) = rig.ladder() {
                self.reader.counters.set_ladder(ladder);
            }
            while let Some(change) = rig.poll_output() {
                self.reader.events.push(Event::Adapted(change));
            }
            if rig.frame_rate() != frame_rate {
                frame_rate = rig.frame_rate();
                pace = Pace::new(
                    due + Duration::from_secs_f64(frame_rate.recip()),
                    frame_rate.recip(),
                );
            }
        }
        End::Stopped
    }

    /// One picture: read, shown to our own stage, encoded, sent.
    fn take(
        &mut self,
        source: &mut dyn VideoSource,
        rig: &mut Rig,
        start: Instant,
        now: Instant,
        due: Instant,
    ) -> Result<(), End> {
        let Reader { switches, counters, wall, config, stage, .. } = &self.reader;
        let is_on = !switches.is_muted(StreamId::VIDEO);
        let (mixed, sent) = (is_on && switches.mixes_picture(), is_on && switches.sends_picture());
        let begins = mixed && !std::mem::replace(&mut self.was_mixed, mixed);
        // A device that nobody wants is read all the same, for nothing: what it has to say must
        // not pile up, and that it is gone is to be known.
        let is_idle = self.read_at.is_some_and(|at| now.saturating_duration_since(at) < IDLE);
        if !mixed && !sent && (self.device.is_none() || is_idle) {
            return Ok(());
        }
        self.read_at = Some(now);
        let time = self.numbering.time(due, Frequency::VIDEO);
        let capture = wall.at(now);
        // The source counts by its own rate. What is between two of ours is never read.
        let elapsed = due.saturating_duration_since(start).as_secs_f64();
        let index = (elapsed * source.frame_rate()).round() as u64;
        let read = source.read(index, time, capture).map_err(End::Source)?;
        let keyframe = sent && switches.take_keyframe();
        // A mark tells when its picture was taken, so that with marks each is another.
        let wanted = keyframe || begins || config.clapper || self.still.is_due(now);
        let Some(frame) = self.still.frame(now, read, wanted, (time, capture)) else {
            if keyframe {
                switches.want_keyframe();
            }
            return Ok(());
        };
        if !mixed && !sent {
            return Ok(());
        }
        let frame = if config.clapper {
            clapper::burn(frame, clapper::Mark { frame: index as u16, capture })
        } else {
            frame
        };
        let frame = match rig.fit(frame) {
            Ok(frame) => frame,
            Err(error) => return Err(End::GiveUp(error.to_string())),
        };
        if mixed && !stage.send(ToStage::LocalVideo(frame.clone())) {
            counters.video_superseded.add(1);
        }
        if !sent {
            return Ok(());
        }
        if keyframe {
            rig.want_keyframe();
        }
        if let Some(bitrate) = switches.video_bitrate() {
            rig.handle_target(now, bitrate);
        }
        let encoded = match rig.encode(&frame) {
            Ok(Some(encoded)) => encoded,
            Ok(None) => {
                counters.video_skipped.add(1);
                return Ok(());
            }
            // One picture that the encoder fails on is one picture lost.
            Err(error @ EncodeError::Native { .. }) if self.failures < MAX_FAILURES => {
                counters.note_failed_picture();
                if self.failures == 0 {
                    let text = format!("a picture of ours was lost: {error}");
                    self.reader.events.push(Event::Warning(text));
                }
                self.failures += 1;
                return Ok(());
            }
            // A source that makes what cannot be encoded goes on doing so.
            Err(error) => return Err(End::GiveUp(error.to_string())),
        };
        self.failures = 0;
        self.send(encoded, time, capture, &frame)
    }

    fn send(
        &self,
        encoded: EncodedPicture,
        time: MediaTime,
        capture: NtpTime,
        frame: &VideoFrame,
    ) -> Result<(), End> {
        let len = encoded.data.len();
        if len > MAX_PICTURE {
            return Err(End::GiveUp(format!(
                "a picture of {} × {} takes {len} bytes and a packet holds {MAX_PICTURE}: \
                 use H.264, or a smaller picture",
                frame.width(),
                frame.height(),
            )));
        }
        self.reader.counters.video_encoded.add(1);
        let frame = EncodedFrame {
            stream: StreamId::VIDEO,
            seq: self.numbering.next(),
            time,
            capture,
            coding: encoded.coding,
            data: encoded.data,
        };
        if !self.reader.send(frame) {
            self.reader.counters.video_unsent.add(1);
            self.reader.switches.want_keyframe();
        }
        Ok(())
    }
}

fn shape_of(source: &dyn VideoSource) -> Shape {
    Shape {
        size: source.size(),
        frame_rate: source.frame_rate().clamp(1.0, 120.0),
        content: source.content(),
    }
}

/// The last picture of a source that tells when nothing has changed, and when it is sent
/// again: soon, while the encoder still makes it better, and then seldom.
#[derive(Debug, Default)]
struct Still {
    frame: Option<VideoFrame>,
    /// When the next copy is due, and how long after the one before.
    repeat: Option<(Instant, Duration)>,
}

impl Still {
    fn is_due(&self, now: Instant) -> bool {
        self.repeat.is_some_and(|(at, _)| at <= now)
    }

    /// What is to be encoded now: the picture that was read, or if it is wanted the one before
    /// as it is now.
    fn frame(
        &mut self,
        now: Instant,
        read: Option<VideoFrame>,
        wanted: bool,
        (time, capture): (MediaTime, NtpTime),
    ) -> Option<VideoFrame> {
        if let Some(frame) = read {
            self.repeat = Some((now + FIRST_REPEAT, FIRST_REPEAT));
            self.frame = Some(frame.clone());
            return Some(frame);
        }
        let last = self.frame.as_ref().filter(|_| wanted)?;
        let gap = self.repeat.map_or(FIRST_REPEAT, |(_, gap)| (gap * 2).min(LAST_REPEAT));
        self.repeat = Some((now + gap, gap));
        let (width, height) = (last.width(), last.height());
        VideoFrame::new(width, height, time, capture, last.planes().clone()).ok()
    }
}

/// Bytes of one encoded picture: a packet of 4 MiB less its headers, rounded down.
pub(crate) const MAX_PICTURE: usize = (4 << 20) - 256;

/// Pictures in a row that the encoder fails on before we give up: a second of them. It starts
/// anew with each.
const MAX_FAILURES: u32 = 30;

/// How long a device is left alone that nobody wants a picture of.
const IDLE: Duration = Duration::from_secs(1);

/// A picture that is later than two frames is skipped: the newest wins.
const VIDEO_LATE: Duration = Duration::from_millis(70);

/// After the last change of a still picture its next copy: two frames. A rate control that was
/// short of bits for the change spends them on the copies.
const FIRST_REPEAT: Duration = Duration::from_millis(66);

/// And after four of them, each twice as late as the one before: so that a receiver who lost
/// the last one has another within a second. Measured: a picture of a desktop of 1080p that
/// moves takes 17 ms in screen mode, so one a second is at most 1.7 % of a core.
const LAST_REPEAT: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    #![allow(clippy::disallowed_methods, reason = "a test needs an epoch")]

    use super::*;

    #[test]
    fn a_still_picture_is_sent_again_soon_and_then_once_a_second() {
        let start = Instant::now();
        let mut still = Still::default();
        let times = (MediaTime::new(9, Frequency::VIDEO), NtpTime::default());
        let planes = vec![7; 16 * 16 * 3 / 2];
        let picture = VideoFrame::new(16, 16, times.0, times.1, planes.into()).expect("it fits");
        assert!(still.frame(start, None, true, times).is_none(), "there was none yet");
        assert_eq!(still.frame(start, Some(picture.clone()), false, times), Some(picture.clone()));
        let mut sent = Vec::new();
        for ms in (0..4_000).step_by(33) {
            let now = start + Duration::from_millis(ms);
            let later = (times.0 + Duration::from_millis(ms), times.1);
            let is_due = still.is_due(now);
            if let Some(copy) = still.frame(now, None, is_due, later) {
                assert_eq!((copy.planes(), copy.time()), (picture.planes(), later.0));
                sent.push(ms);
            }
        }
        assert_eq!(sent, [66, 198, 462, 990, 2_013, 3_036]);
    }
}
