//! What a participant shows and says: marked pictures and sounds.

use std::time::{Duration, Instant};

use paceline_types::{AudioFrame, Frequency, MediaTime, SenderId, VideoFrame, WallClock};

use crate::mark::{self, Mark};
use crate::{Random, epoch, voice, wall_clock};

/// Pictures in a second, of each camera and of the mix.
pub(crate) const FRAME_RATE: u32 = 15;

/// A camera and a microphone. Both begin on a step of their own, as devices do.
#[derive(Debug)]
pub(crate) struct Source {
    sender: SenderId,
    wall: WallClock,
    pictures: Beat,
    sounds: Beat,
}

impl Source {
    /// One whose clocks run `ppm` fast.
    pub(crate) fn new(now: Instant, sender: SenderId, ppm: i32, random: &mut Random) -> Self {
        Self {
            sender,
            wall: wall_clock(),
            pictures: Beat::new(now, FRAME_RATE, ppm, random),
            sounds: Beat::new(now, SOUND_RATE, ppm, random),
        }
    }

    /// The picture that is due, if one is.
    pub(crate) fn poll_picture(&mut self, now: Instant) -> Option<VideoFrame> {
        let (number, at) = self.pictures.poll(now)?;
        let time = MediaTime::new(number * 90_000 / u64::from(FRAME_RATE), Frequency::VIDEO);
        let capture = since_epoch(at);
        let planes = Mark { sender: self.sender, number: number as u32, capture }.draw();
        let frame = VideoFrame::new(mark::WIDTH, mark::HEIGHT, time, self.wall.at(at), planes);
        Some(frame.expect("a mark is drawn in its size"))
    }

    /// The 20 ms of sound that are due, if they are.
    pub(crate) fn poll_sound(&mut self, now: Instant) -> Option<AudioFrame> {
        let (number, at) = self.sounds.poll(now)?;
        let time = MediaTime::new(number * voice::SAMPLES as u64, Frequency::AUDIO);
        let span = self.sounds.next() - at;
        let samples = voice::sing(self.sender, since_epoch(at), span).into();
        Some(AudioFrame { channels: 1, time, capture: self.wall.at(at), samples })
    }

    pub(crate) fn poll_timeout(&self) -> Instant {
        self.pictures.next().min(self.sounds.next())
    }
}

/// In whole microseconds, as a mark has it.
fn since_epoch(at: Instant) -> Duration {
    Duration::from_micros((at - epoch()).as_micros() as u64)
}

/// Something that happens so many times a second.
#[derive(Debug)]
struct Beat {
    start: Instant,
    rate: u32,
    ppm: i32,
    number: u64,
}

impl Beat {
    /// Begins within one interval from `now`.
    fn new(now: Instant, rate: u32, ppm: i32, random: &mut Random) -> Self {
        let start = now + Duration::from_secs_f64(random.fraction() / f64::from(rate));
        Self { start, rate, ppm, number: 0 }
    }

    fn next(&self) -> Instant {
        let rate = u64::from(self.rate);
        let nanos = self.number % rate * 1_000_000_000 / rate;
        let of_its_own = Duration::new(self.number / rate, nanos as u32);
        let fast = of_its_own.as_nanos() as i128 * i128::from(self.ppm);
        let of_ours = of_its_own.as_nanos() as i128 - fast / (1_000_000 + i128::from(self.ppm));
        self.start + Duration::from_nanos(of_ours as u64)
    }

    fn poll(&mut self, now: Instant) -> Option<(u64, Instant)> {
        let (number, at) = (self.number, self.next());
        (at <= now).then(|| {
            self.number += 1;
            (number, at)
        })
    }
}

/// Frames of 20 ms.
const SOUND_RATE: u32 = 50;
