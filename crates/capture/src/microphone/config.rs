//! What a microphone is opened with, and what it counts.

use std::time::Duration;

/// How a [`Microphone`](super::Microphone) is opened.
///
/// ```
/// use std::time::Duration;
///
/// use paceline_capture::MicrophoneConfig;
///
/// let config = MicrophoneConfig::default().buffer(Duration::from_millis(40));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct MicrophoneConfig {
    pub(super) block: Duration,
    pub(super) buffer: Duration,
    pub(super) max_block: Duration,
    pub(super) close_timeout: Duration,
    pub(super) open_timeout: Duration,
}

impl MicrophoneConfig {
    /// How much sound the device is asked to give at a time. Defaults to 10 ms.
    ///
    /// It is a part of the latency; what a block costs, waking three threads and asking the
    /// server for the time, is most of what a microphone costs. PulseAudio keeps four blocks for us
    /// and loses what comes on top; left to itself it gives up to 2 s at a time. A device that
    /// cannot do it gives what it can.
    #[must_use]
    pub const fn block(mut self, block: Duration) -> Self {
        self.block = block;
        self
    }

    /// How much sound waits for its reader, besides the block that came last. Defaults to
    /// 60 ms: three frames.
    ///
    /// Over it the oldest is dropped and counted, and the media time goes on by it. Less makes
    /// a reader that is late lose sound; more lets it lag behind as far for good.
    #[must_use]
    pub const fn buffer(mut self, buffer: Duration) -> Self {
        self.buffer = buffer;
        self
    }

    /// How long [dropping](Drop) a microphone may wait for its device. Defaults to 1 s.
    ///
    /// Over it the thread that has the device is left to end when the device lets it, which
    /// no one waits for.
    #[must_use]
    pub const fn close_timeout(mut self, timeout: Duration) -> Self {
        self.close_timeout = timeout;
        self
    }

    /// The largest block that is taken whole, at most 2 s. Defaults to 250 ms.
    ///
    /// Of a larger one the oldest is dropped and counted. With [`buffer`](Self::buffer) it
    /// bounds the memory: 310 ms of a device at 48 kHz are 58 KiB.
    #[must_use]
    pub const fn max_block(mut self, max_block: Duration) -> Self {
        self.max_block = max_block;
        self
    }

    /// How long a device may take to be listed or opened. Defaults to 5 s.
    ///
    /// Over it a sound server that hangs is [unavailable](crate::CaptureError::Unavailable).
    /// One that does not answer its first message is given up after 2 s all the same.
    #[must_use]
    pub const fn open_timeout(mut self, timeout: Duration) -> Self {
        self.open_timeout = timeout;
        self
    }
}

impl Default for MicrophoneConfig {
    fn default() -> Self {
        Self {
            block: Duration::from_millis(10),
            buffer: Duration::from_millis(60),
            max_block: Duration::from_millis(250),
            close_timeout: Duration::from_secs(1),
            open_timeout: Duration::from_secs(5),
        }
    }
}

/// What a [`Microphone`](super::Microphone) has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct MicrophoneStats {
    /// Frames of 20 ms that were read. Not what waits.
    pub frames: u64,
    /// Samples at 48 kHz that were dropped because nobody read them in time, those of a time
    /// when it was muted included. Counted when it is read again.
    pub overrun: u64,
    /// How often the device, or its server, left sound out. Not overruns.
    pub gaps: u64,
    /// Samples at 48 kHz that were left out so, as its clock tells.
    pub lost: u64,
    /// What the device reported as wrong, the error that ended it included, and those that
    /// came after it.
    pub device_errors: u64,
    /// Samples a second the device gives. 48,000 where a server converts.
    pub rate: u32,
    /// Channels the device gives, mixed to one.
    pub channels: u16,
    /// From the capture of the first sample of the last frame to when it was read: the frame's
    /// own 20 ms, the device's latency as it tells, and what waited.
    pub latency: Duration,
    /// How much faster than this machine's clock the device runs, in parts per million, as
    /// far as is known: at most 300 either way.
    pub skew: f64,
}
