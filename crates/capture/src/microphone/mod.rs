//! Microphones.
//!
//! The device's callback puts samples into a ring; whoever reads takes 20 ms at a time, brings
//! them to 48 kHz and stamps them by the device's own clock.
//!
//! ```text
//!  device ─▶ callback: mix to one channel ─ring─▶ read(): rate, 20 ms, stamps ─▶ AudioFrame
//! ```
//!
//! The callback allocates nothing, waits for nothing and logs nothing; nobody polls: it unparks
//! the reader when the next 20 ms are there.
//!
//! On Linux it is PulseAudio's server that is asked, or PipeWire's in its place, and ALSA where
//! there is none. A server brings any device to one channel at 48 kHz; of a bare device any
//! common rate and format is taken.

mod config;
mod device;
mod frames;
mod rate;
mod ring;
mod stamps;
mod stream;

use std::thread::Thread;
use std::time::{Duration, Instant};

use paceline_types::{AudioFrame, Device, DeviceKind, Frequency, MediaTime, NtpTime};

pub use self::config::{MicrophoneConfig, MicrophoneStats};
use self::frames::Frames;
use self::stream::{Opened, Stream, now};
use crate::{AudioSource, CaptureError};

/// The microphones that are there, the default first. What records the sound of a loudspeaker
/// comes last: its name says that it is a monitor, and a call that listens to it hears itself.
/// It is never the default, also where the system says so, as it does when the last other one
/// was pulled out.
///
/// An id stays the same while the device is there, and when it comes back.
///
/// # Errors
///
/// [`CaptureError::Unavailable`] if there is no sound server and no card, or none that
/// answers in 5 s.
pub fn microphones() -> Result<Vec<Device>, CaptureError> {
    device::within(MicrophoneConfig::default().open_timeout, device::DEFAULT, device::list)
}

/// A device that hears.
///
/// Its frames are stamped by its own clock: the media time of the first is the one given to
/// the [`read`](AudioSource::read) that returned it, and each after it 960 later, and more
/// where samples were dropped or the device left some out. The capture time is that of the first
/// sample: the device's account of its latency, smoothed, so that blocks of any size do not make
/// it jump.
///
/// Not reading it is to mute it: it keeps [`buffer`](MicrophoneConfig::buffer) of the newest
/// sound, and its media time goes on.
///
/// ```no_run
/// use std::thread;
/// use std::time::SystemTime;
///
/// use paceline_capture::types::{Frequency, MediaTime, NtpTime};
/// use paceline_capture::{AudioSource, Microphone, MicrophoneConfig};
///
/// let mut microphone = Microphone::open(None, MicrophoneConfig::default())?;
/// microphone.wake(thread::current());
/// let begin = MediaTime::new(0, Frequency::AUDIO);
/// loop {
///     let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
///     match microphone.read(begin, NtpTime::from_unix(now))? {
///         Some(frame) => println!("{:?}: {} samples", frame.time, frame.samples.len()),
///         None => thread::park(),
///     }
/// }
/// # Ok::<(), paceline_capture::CaptureError>(())
/// ```
#[derive(Debug)]
pub struct Microphone {
    _stream: Stream,
    frames: Frames,
    opened: Opened,
    /// Where the seconds of `stamps` begin.
    epoch: Instant,
    latency: Duration,
}

impl Microphone {
    /// Opens a microphone by the id that [`microphones`] gives, or the one that it marks as the
    /// default: the system's, or any other if that is a monitor. Monitors open by their id only.
    ///
    /// It gives sound from then on, but a silent device may take a while to begin: the
    /// monitor of an idle null sink up to 2 s.
    ///
    /// # Errors
    ///
    /// [`CaptureError::UnknownDevice`], with those that there are, also if no id was given and
    /// they are monitors all: it is called `default` then. [`CaptureError::Unavailable`] if it is
    /// there and does not open, or its server is not.
    pub fn open(id: Option<&str>, config: MicrophoneConfig) -> Result<Self, CaptureError> {
        let (stream, opened) = Stream::open(id, &config)?;
        tracing::debug!(
            id = opened.id.as_str(),
            rate = opened.rate,
            channels = opened.channels,
            "microphone is open"
        );
        let frames = Frames::new(opened.rate, config.buffer);
        Ok(Self { _stream: stream, frames, opened, epoch: now(), latency: Duration::ZERO })
    }

    /// The id it can be opened by again: that of the device which was the default, if it was
    /// opened without.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.opened.id
    }

    /// What it has done so far.
    #[must_use]
    pub fn stats(&self) -> MicrophoneStats {
        let frames = &self.frames;
        MicrophoneStats {
            frames: frames.frames,
            overrun: frames.ticks(frames.missing().dropped),
            gaps: frames.gaps,
            lost: frames.ticks(frames.missing().lost),
            device_errors: self.opened.shared.errors(),
            rate: self.opened.rate,
            channels: self.opened.channels,
            latency: self.latency,
            skew: frames.stamps.skew() * 1e6,
        }
    }
}

impl AudioSource for Microphone {
    fn read(
        &mut self,
        time: MediaTime,
        capture: NtpTime,
    ) -> Result<Option<AudioFrame>, CaptureError> {
        if let Some(reason) = self.opened.shared.failure() {
            return Err(CaptureError::Gone {
                kind: DeviceKind::Microphone,
                id: self.opened.id.clone(),
                reason: reason.to_owned(),
            });
        }
        let epoch = self.epoch;
        let Some(frame) = self.frames.read(&mut self.opened.outlet, epoch, time.ticks()) else {
            return Ok(None);
        };
        let read = now().saturating_duration_since(epoch).as_secs_f64();
        // Of a stream that has just begun the device says what cannot be.
        let latency = Duration::try_from_secs_f64(read - frame.captured).unwrap_or_default();
        self.latency = latency.max(FRAME);
        Ok(Some(AudioFrame {
            channels: 1,
            time: MediaTime::new(frame.ticks, Frequency::AUDIO),
            capture: earlier(capture, self.latency),
            samples: frame.samples,
        }))
    }

    fn is_live(&self) -> bool {
        true
    }

    fn wake(&mut self, reader: Thread) {
        self.opened.shared.set_reader(reader);
    }
}

/// `span` before `time`.
fn earlier(time: NtpTime, span: Duration) -> NtpTime {
    let bits = (NtpTime::default() + span).to_bits();
    NtpTime::from_bits(time.to_bits().saturating_sub(bits))
}

/// What a frame lasts: its first sample is at least as old when it is read.
const FRAME: Duration = Duration::from_millis(20);
