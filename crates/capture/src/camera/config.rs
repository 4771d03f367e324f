//! How a camera is opened, and what was done.

use std::time::Duration;

/// How a [`Camera`](super::Camera) is opened.
///
/// ```
/// use paceline_capture::CameraConfig;
///
/// let config = CameraConfig::default().size(640, 480).frame_rate(15.0);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CameraConfig {
    pub(super) buffers: u32,
    pub(super) close_timeout: Duration,
    pub(super) frame_rate: f64,
    pub(super) open_timeout: Duration,
    pub(super) silence: Duration,
    pub(super) size: (u16, u16),
}

impl CameraConfig {
    /// How many buffers the driver fills in turn. Defaults to 4.
    ///
    /// Held to 2…32, and a driver may give others. With fewer a thread that is late makes it
    /// lose pictures; more only take memory, for what is read is the newest.
    #[must_use]
    pub const fn buffers(mut self, count: u32) -> Self {
        self.buffers = if count < 2 {
            2
        } else if count > 32 {
            32
        } else {
            count
        };
        self
    }

    /// How long [dropping](Drop) a camera may wait for its driver. Defaults to 1 s.
    ///
    /// Over it the thread that has it is left to end when the driver lets it, which no one
    /// waits for; the camera is busy until then.
    #[must_use]
    pub const fn close_timeout(mut self, timeout: Duration) -> Self {
        self.close_timeout = timeout;
        self
    }

    /// Pictures a second. Defaults to 30, which most cameras have in light.
    ///
    /// Held to 1…120; what is not a number is the default. Of the rates that a camera has it is
    /// the slowest that is as fast, or its fastest.
    #[must_use]
    pub const fn frame_rate(mut self, rate: f64) -> Self {
        self.frame_rate = if rate.is_nan() { FRAME_RATE } else { rate.clamp(1.0, 120.0) };
        self
    }

    /// How long a camera may take to be found and opened. Defaults to 5 s.
    ///
    /// Over it a driver that hangs is [unavailable](crate::CaptureError::Unavailable). One that
    /// sleeps takes some tenths of a second, and some cameras two. It is then waited for until the
    /// [`close_timeout`](Self::close_timeout), too.
    #[must_use]
    pub const fn open_timeout(mut self, timeout: Duration) -> Self {
        self.open_timeout = timeout;
        self
    }

    /// How long an open camera may give nothing. Defaults to 3 s.
    ///
    /// Over it its stream is begun anew, and when that happens a fourth time with no picture in
    /// between it is [gone](crate::CaptureError::Gone). In the dark one picture may take a second.
    #[must_use]
    pub const fn silence(mut self, timeout: Duration) -> Self {
        self.silence = timeout;
        self
    }

    /// Width and height in pixels. Defaults to 1280 × 720.
    ///
    /// Of the sizes that a camera has it is this, or the largest within it, or if all are larger
    /// the smallest. One in which it is too slow, with less than two thirds of the rate that it
    /// should have, comes after all others.
    #[must_use]
    pub const fn size(mut self, width: u16, height: u16) -> Self {
        self.size = (width, height);
        self
    }
}

impl Default for CameraConfig {
    fn default() -> Self {
        Self {
            buffers: 4,
            close_timeout: Duration::from_secs(1),
            frame_rate: FRAME_RATE,
            open_timeout: Duration::from_secs(5),
            silence: Duration::from_secs(3),
            size: (1_280, 720),
        }
    }
}

/// What a [`Camera`](super::Camera) has done so far.
///
/// Each buffer that the driver filled is counted once: as [`pictures`](Self::pictures),
/// [`superseded`](Self::superseded) or [`damaged`](Self::damaged), or nowhere while its picture
/// waits to be read, and if the stream was begun anew before it was taken.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct CameraStats {
    /// Pictures that were read.
    pub pictures: u64,
    /// Pictures that were not, because a newer one came first. Not those that the driver lost for
    /// want of a buffer, of which it does not tell.
    pub superseded: u64,
    /// Buffers with no picture: too short, no JPEG or one of another size, or broken as the
    /// driver says.
    pub damaged: u64,
    /// Times the stream was begun anew, because the driver had an error or was silent.
    pub restarts: u64,
    /// From the capture of the picture that was read last to when it was read.
    pub latency: Duration,
}

const FRAME_RATE: f64 = 30.0;
