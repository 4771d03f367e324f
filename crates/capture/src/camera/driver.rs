//! What is asked of a camera's driver: the calls of V4L2 that are used, typed.

use std::fmt;
use std::os::fd::BorrowedFd;
use std::time::Duration;

use rustix::io::Errno;

/// The driver of one camera that is open. Each call is the one of V4L2 of its name and returns
/// when the driver does; none waits for a picture but [`poll`](Self::poll).
///
/// An error is what the driver says: `EINVAL` of an enumeration is its end, `ENOTTY` says that
/// there is no such call, `ENODEV` that the camera is gone.
pub(super) trait Driver: Send {
    fn query_cap(&mut self) -> Result<Capability, Errno>;

    /// The formats it has, from index 0.
    fn enum_fmt(&mut self, index: u32) -> Result<Fourcc, Errno>;

    /// The sizes it has in a format, from index 0. Of ranges there is one.
    fn enum_framesizes(&mut self, format: Fourcc, index: u32) -> Result<Sizes, Errno>;

    /// The intervals it has in a format and size, from index 0. Of ranges there is one.
    fn enum_frameintervals(
        &mut self,
        format: Fourcc,
        size: (u32, u32),
        index: u32,
    ) -> Result<Intervals, Errno>;

    /// Sets format and size, and says what they are now: drivers give what is near.
    fn s_fmt(&mut self, format: Fourcc, size: (u32, u32)) -> Result<Layout, Errno>;

    /// Sets the interval, and says what it is now.
    fn s_parm(&mut self, interval: Interval) -> Result<Interval, Errno>;

    /// Makes buffers that both have, and says how many: drivers give what they can.
    fn reqbufs(&mut self, count: u32) -> Result<u32, Errno>;

    /// Gives a buffer to the driver, to be filled.
    fn qbuf(&mut self, index: u32) -> Result<(), Errno>;

    /// Takes a buffer that was filled, the oldest first. `EAGAIN` if there is none.
    fn dqbuf(&mut self) -> Result<Filled, Errno>;

    /// All of a buffer, which the driver must not have then. `None` if there is no such one.
    fn bytes(&self, index: u32) -> Option<&[u8]>;

    fn streamon(&mut self) -> Result<(), Errno>;

    /// Stops, and takes all buffers away from the driver.
    fn streamoff(&mut self) -> Result<(), Errno>;

    /// Waits until a buffer is filled, something is wrong, `end` can be read, or `timeout` has
    /// passed.
    fn poll(&mut self, end: BorrowedFd<'_>, timeout: Duration) -> Result<Ready, Errno>;
}

/// What a node of the system is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Capability {
    /// What its maker calls it.
    pub(super) card: String,
    /// Whether it gives pictures, by buffers of one plane that are shared: not the node beside
    /// it which gives metadata.
    pub(super) streams_video: bool,
}

/// Four letters that name a format.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(super) struct Fourcc(pub(super) [u8; 4]);

impl Fourcc {
    pub(super) const JPEG: Self = Self(*b"JPEG");
    pub(super) const MJPG: Self = Self(*b"MJPG");
    pub(super) const NV12: Self = Self(*b"NV12");
    pub(super) const YU12: Self = Self(*b"YU12");
    pub(super) const YUYV: Self = Self(*b"YUYV");
}

impl fmt::Debug for Fourcc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.escape_ascii())
    }
}

/// Sizes in pixels.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Sizes {
    Discrete((u32, u32)),
    Stepwise { min: (u32, u32), max: (u32, u32), step: (u32, u32) },
}

/// Seconds from one picture to the next, as a fraction.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Interval {
    pub(super) numerator: u32,
    pub(super) denominator: u32,
}

impl Interval {
    /// Pictures a second, if it says how many.
    pub(super) fn rate(self) -> Option<f64> {
        (self.numerator > 0 && self.denominator > 0)
            .then(|| f64::from(self.denominator) / f64::from(self.numerator))
    }
}

/// Intervals, of which the shortest comes first in a range.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Intervals {
    Discrete(Interval),
    Range { min: Interval, max: Interval },
}

/// How a picture lies in a buffer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Layout {
    pub(super) format: Fourcc,
    pub(super) size: (u32, u32),
    /// From one row to the next; what is too small is not believed.
    pub(super) bytes_per_row: u32,
    /// Whether black is 0 and not 16.
    pub(super) full_range: bool,
}

/// A buffer that was filled.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Filled {
    pub(super) index: u32,
    pub(super) bytes_used: u32,
    /// The driver knows that something is wrong with it.
    pub(super) damaged: bool,
    /// How long ago it was captured.
    pub(super) age: Duration,
}

/// Why waiting was over.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Ready {
    /// Nobody wants more.
    End,
    /// Something is wrong: the next call tells.
    Error,
    /// A buffer is filled.
    Filled,
    /// The camera is gone.
    Hangup,
    /// The time has passed.
    Silent,
}
