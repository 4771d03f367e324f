//! A camera that runs: buffers, from the driver and back.

use std::os::fd::BorrowedFd;
use std::time::Duration;

use bytes::Bytes;
use paceline_types::{PixelFormat, Pool};
use rustix::io::Errno;
use tracing::debug;

use super::CameraConfig;
use super::convert::{Damage, convert};
use super::driver::{Driver, Filled, Fourcc, Layout, Ready};
use super::jpeg::Jpeg;
use super::modes::{Modes, even, interval, rank};

/// Runs the driver of one camera. It does what there is to do when it is told why waiting was
/// over, and has no thread and no clock.
pub(super) struct Stream<D> {
    driver: D,
    layout: Layout,
    size: (u16, u16),
    frame_rate: f64,
    buffers: u32,
    pool: Pool,
    jpeg: Jpeg,
    tally: Tally,
    /// Times it was begun anew since the last picture.
    failures: u32,
    /// Times in sequence that a buffer was said to be filled and none was.
    early: u32,
}

/// A picture, and how long before it was given out it was captured.
#[derive(Debug)]
pub(super) struct Picture {
    pub(super) planes: Bytes,
    pub(super) age: Duration,
}

/// What the driver had.
enum Newest {
    /// An error, and all buffers were given to it anew.
    Anew,
    Buffer(Filled),
    /// Only what it says is broken, which it has back.
    Damaged,
    Nothing,
}

/// What has become of buffers so far.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Tally {
    /// Taken while a newer one was there.
    pub(super) superseded: u64,
    pub(super) damaged: u64,
    pub(super) restarts: u64,
}

/// The camera gives no more, and why.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Lost(pub(super) String);

impl<D: Driver> Stream<D> {
    /// Agrees with the driver, and starts.
    ///
    /// # Errors
    ///
    /// What does not go, and what to do.
    pub(super) fn open(mut driver: D, config: &CameraConfig) -> Result<Self, String> {
        let modes = Modes::ask(&mut driver, config).map_err(refused("does not say what it has"))?;
        let Some(mode) = modes.choose(config) else {
            return Err(format!(
                "it has no format and size that are read here, but {:?}: take another",
                modes.others
            ));
        };
        let layout = driver.s_fmt(mode.format, mode.size).map_err(refused("takes no format"))?;
        let Some(size) = even(layout.size).filter(|_| rank(layout.format).is_some()) else {
            let Layout { format, size: (width, height), .. } = layout;
            return Err(format!("it gives {width} × {height} in {format:?}, which is not read"));
        };
        let wanted = mode.interval.unwrap_or_else(|| interval(config.frame_rate));
        let frame_rate = match driver.s_parm(wanted) {
            Ok(given) => given.rate(),
            // Many have one rate, and no call to set it.
            Err(Errno::INVAL | Errno::NOTTY) => None,
            Err(errno) => return Err(refused("takes no frame rate")(errno)),
        };
        let frame_rate = frame_rate.or(mode.interval.and_then(|interval| interval.rate()));
        let frame_rate = frame_rate.unwrap_or(config.frame_rate).clamp(1.0, MAX_RATE);

        let buffers = driver.reqbufs(config.buffers).map_err(refused("has no buffers"))?;
        if buffers == 0 || buffers > MAX_BUFFERS {
            return Err(format!("its driver makes {buffers} buffers: report it to its maker"));
        }
        let mut stream = Self {
            driver,
            layout,
            size,
            frame_rate,
            buffers,
            pool: Pool::new(PICTURES),
            jpeg: Jpeg::default(),
            tally: Tally::default(),
            failures: 0,
            early: 0,
        };
        stream.start().map_err(refused("does not start"))?;
        debug!(?layout, frame_rate, buffers, "camera runs");
        Ok(stream)
    }

    /// Width and height of its pictures, even.
    pub(super) fn size(&self) -> (u16, u16) {
        self.size
    }

    /// Pictures a second, as the driver says.
    pub(super) fn frame_rate(&self) -> f64 {
        self.frame_rate
    }

    pub(super) fn tally(&self) -> Tally {
        self.tally
    }

    /// Waits for something to do, as [`Driver::poll`].
    pub(super) fn wait(&mut self, end: BorrowedFd<'_>, silence: Duration) -> Result<Ready, Lost> {
        self.driver.poll(end, silence).map_err(|errno| Lost(errno.to_string()))
    }

    /// Does what there is to do, and gives the newest picture if there is one.
    pub(super) fn handle(&mut self, ready: Ready) -> Result<Option<Picture>, Lost> {
        match ready {
            Ready::End => Ok(None),
            Ready::Hangup => Err(Lost("it was pulled out".to_owned())),
            Ready::Silent => self.restart("it gives nothing"),
            Ready::Filled | Ready::Error => match self.newest()? {
                Newest::Anew => Ok(None),
                Newest::Buffer(filled) => {
                    self.early = 0;
                    self.take(filled)
                }
                Newest::Damaged => {
                    self.early = 0;
                    Ok(None)
                }
                Newest::Nothing => {
                    self.early += 1;
                    if ready == Ready::Error || self.early > MAX_EARLY {
                        return self.restart("it has an error");
                    }
                    Ok(None)
                }
            },
        }
    }

    /// The newest buffer that is filled and whole; the others go back.
    fn newest(&mut self) -> Result<Newest, Lost> {
        let mut newest: Option<Filled> = None;
        let mut damaged = false;
        // A driver that fills as fast as we take does not keep us for ever.
        for _ in 0..self.buffers {
            let filled = match self.driver.dqbuf() {
                Ok(filled) => filled,
                Err(Errno::AGAIN) => break,
                Err(Errno::NODEV) => return Err(Lost("it was pulled out".to_owned())),
                Err(errno) => {
                    debug!(%errno, "no buffer comes back");
                    // All buffers are given anew then, also the one that we have.
                    return self.restart(&errno.to_string()).map(|_| Newest::Anew);
                }
            };
            if filled.index >= self.buffers {
                return Err(Lost("its driver has lost count of its buffers".to_owned()));
            }
            let older = if self.is_whole(filled) {
                let older = newest.replace(filled);
                self.tally.superseded += u64::from(older.is_some());
                older
            } else {
                self.tally.damaged += 1;
                damaged = true;
                Some(filled)
            };
            if let Some(older) = older
                && !self.give_back(older.index)?
            {
                return Ok(Newest::Anew);
            }
        }
        Ok(match newest {
            Some(filled) => Newest::Buffer(filled),
            None if damaged => Newest::Damaged,
            None => Newest::Nothing,
        })
    }

    /// Whether the driver believes in it: what it holds is seen when it is converted.
    fn is_whole(&self, filled: Filled) -> bool {
        !filled.damaged && filled.bytes_used > 0
    }

    fn take(&mut self, filled: Filled) -> Result<Option<Picture>, Lost> {
        let mut planes = self.pool.take(PixelFormat::I420.bytes(self.size.0, self.size.1));
        let converted = match self.driver.bytes(filled.index) {
            Some(all) => {
                // Some say that there is more than fits.
                let data = &all[..all.len().min(filled.bytes_used as usize)];
                match self.layout.format {
                    Fourcc::MJPG | Fourcc::JPEG => {
                        self.jpeg.decode(data, self.layout.size, self.size, &mut planes)
                    }
                    _ => convert(&self.layout, data, self.size, &mut planes),
                }
            }
            None => Err(Damage::Short),
        };
        let planes = self.pool.share(planes);
        let picture = match converted {
            Ok(()) => {
                self.failures = 0;
                Some(Picture { planes, age: believed(filled.age) })
            }
            Err(damage) => {
                debug!(?damage, bytes = filled.bytes_used, "a buffer has no picture");
                self.tally.damaged += 1;
                None
            }
        };
        // What it says to this is heard again the next time.
        self.give_back(filled.index)?;
        Ok(picture)
    }

    /// Gives a buffer to the driver; false if it did not take it and all were given anew.
    fn give_back(&mut self, index: u32) -> Result<bool, Lost> {
        match self.driver.qbuf(index) {
            Ok(()) => Ok(true),
            Err(Errno::NODEV) => Err(Lost("it was pulled out".to_owned())),
            Err(errno) => self.restart(&errno.to_string()).map(|_| false),
        }
    }

    /// Begins anew, which ends what hangs; not without end.
    fn restart(&mut self, reason: &str) -> Result<Option<Picture>, Lost> {
        self.failures += 1;
        if self.failures > MAX_RESTARTS {
            return Err(Lost(format!("{reason}, and beginning anew does not help")));
        }
        debug!(reason, "camera is begun anew");
        self.tally.restarts += 1;
        self.early = 0;
        let again = self.driver.streamoff().and_then(|()| self.start());
        again.map_err(|errno| match errno {
            Errno::NODEV => Lost("it was pulled out".to_owned()),
            errno => Lost(format!("{reason}, and it does not begin anew: {errno}")),
        })?;
        Ok(None)
    }

    fn start(&mut self) -> Result<(), Errno> {
        for index in 0..self.buffers {
            self.driver.qbuf(index)?;
        }
        self.driver.streamon()
    }
}

/// An age that can be: some drivers stamp by another clock than they say.
fn believed(age: Duration) -> Duration {
    if age <= MAX_AGE { age } else { Duration::ZERO }
}

/// What a driver refuses, and what to do where it is known.
pub(super) fn refused(what: &'static str) -> impl Fn(Errno) -> String {
    move |errno| {
        let remedy = match errno {
            Errno::ACCESS | Errno::PERM => "; let this user read it (the group is mostly `video`)",
            Errno::BUSY => "; close what else uses it",
            Errno::NODEV | Errno::NOENT | Errno::NXIO => "; it was pulled out",
            Errno::NOSPC => "; take a smaller size, or connect it where fewer devices are",
            _ => "",
        };
        format!("it {what}: {errno}{remedy}")
    }
}

/// Times in sequence that a stream is begun anew without a picture: a signal that was lost for
/// a moment is back at once, and one that is not at the third time is not there. Ours.
const MAX_RESTARTS: u32 = 3;
/// Times in sequence that a driver may say that there is a buffer when there is none: one that
/// does it for ever would keep a core busy. Ours.
const MAX_EARLY: u32 = 100;
/// What V4L2 gives at most of itself (`VIDEO_MAX_FRAME`).
const MAX_BUFFERS: u32 = 32;
/// One waits, one is written, two are with the encoder.
const PICTURES: usize = 4;
/// The longest exposure that cameras have.
const MAX_AGE: Duration = Duration::from_secs(1);
/// More is no camera's.
const MAX_RATE: f64 = 240.0;
