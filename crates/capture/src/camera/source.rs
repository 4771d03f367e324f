//! A camera, on a thread of its own.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use paceline_types::{DeviceKind, MediaTime, NtpTime, VideoFrame};
use rustix::event::{EventfdFlags, eventfd};

use super::device::Node;
use super::driver::{Driver, Ready};
use super::list::{DEFAULT, Places, find, unavailable};
use super::slot::Slot;
use super::stream::{Lost, Stream};
use super::{CameraConfig, CameraStats};
use crate::{CaptureError, VideoSource};

/// A device that sees.
///
/// A thread takes what the driver fills, and keeps the newest picture: one that is not read in
/// time is superseded, so that what is read is never old. A picture is stamped with the media
/// time given; its capture time is the one given less its age, of which the driver tells.
///
/// It has been run with a model of drivers and compared with the kernel's own header, and not
/// with a camera: there was none.
///
/// ```no_run
/// use std::time::Duration;
///
/// use paceline_capture::types::{Frequency, MediaTime, NtpTime};
/// use paceline_capture::{Camera, CameraConfig, VideoSource};
///
/// let mut camera = Camera::open(None, CameraConfig::default())?;
/// let mut index = 0;
/// while camera.wait(Duration::from_secs(1)) {
///     let time = MediaTime::new(index * 3_000, Frequency::VIDEO);
///     if let Some(picture) = camera.read(index, time, NtpTime::default())? {
///         println!("{} × {}", picture.width(), picture.height());
///     }
///     index += 1;
/// }
/// # Ok::<(), paceline_capture::CaptureError>(())
/// ```
#[derive(Debug)]
pub struct Camera {
    id: String,
    size: (u16, u16),
    frame_rate: f64,
    slot: Arc<Slot>,
    _thread: Ending,
}

/// What has the thread end, and waits for it.
#[derive(Debug)]
struct Ending {
    /// Written to, it ends the thread's waiting.
    end: Arc<OwnedFd>,
    ended: Receiver<()>,
    timeout: Duration,
}

/// What the thread opened.
struct Opened {
    id: String,
    size: (u16, u16),
    frame_rate: f64,
}

impl Camera {
    /// Opens a camera by the id that [`cameras`](super::cameras) gives or by its node, or the
    /// default one.
    ///
    /// # Errors
    ///
    /// [`CaptureError::UnknownDevice`], with those that there are, or
    /// [`CaptureError::Unavailable`] if it is there and does not open: another program uses it,
    /// this user may not, or none of its formats is read here.
    pub fn open(id: Option<&str>, config: CameraConfig) -> Result<Self, CaptureError> {
        let wanted = id.map(str::to_owned);
        Self::open_with(id.unwrap_or(DEFAULT), config, move || {
            find(wanted.as_deref(), &Places::default(), Node::open)
        })
    }

    /// Opens the camera that `find` finds, on the thread that is to have it.
    pub(super) fn open_with<D: Driver>(
        asked: &str,
        config: CameraConfig,
        find: impl FnOnce() -> Result<(String, D), CaptureError> + Send + 'static,
    ) -> Result<Self, CaptureError> {
        let end = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)
            .map_err(|errno| unavailable(asked, format!("no descriptors are left: {errno}")))?;
        let (end, slot) = (Arc::new(end), Arc::new(Slot::default()));
        let (told, tell) = mpsc::sync_channel(1);
        let (ending, ended) = mpsc::channel();
        let (their_end, their_slot) = (Arc::clone(&end), Arc::clone(&slot));
        let thread = thread::Builder::new().name("camera".to_owned()).spawn(move || {
            // Dropped last: it says that the device is closed.
            let _ending: Sender<()> = ending;
            let opened = find().and_then(|(id, driver)| {
                let stream = Stream::open(driver, &config);
                stream.map(|stream| (id.clone(), stream)).map_err(|why| unavailable(&id, why))
            });
            match opened {
                // Whoever asked may have given up.
                Err(error) => drop(told.send(Err(error))),
                Ok((id, stream)) => {
                    let (size, frame_rate) = (stream.size(), stream.frame_rate());
                    if told.send(Ok(Opened { id, size, frame_rate })).is_ok() {
                        run(stream, &their_end, &their_slot, config.silence);
                    }
                }
            }
        });
        // It is detached: `ended` tells when it is over.
        thread.map_err(|error| unavailable(asked, error.to_string()))?;
        let _thread = Ending { end, ended, timeout: config.close_timeout };
        match tell.recv_timeout(config.open_timeout) {
            Ok(opened) => {
                let Opened { id, size, frame_rate } = opened?;
                Ok(Self { id, size, frame_rate, slot, _thread })
            }
            Err(RecvTimeoutError::Timeout) => {
                let waited = config.open_timeout;
                let reason = format!("it did not open in {waited:?}: connect it again");
                Err(unavailable(asked, reason))
            }
            Err(RecvTimeoutError::Disconnected) => {
                Err(unavailable(asked, "its thread broke off: report it".to_owned()))
            }
        }
    }

    /// The id it can be opened by again: that of the default one, if it was opened without.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What it has done so far.
    #[must_use]
    pub fn stats(&self) -> CameraStats {
        self.slot.stats()
    }

    /// Waits until a picture can be read or the camera is gone, and at most for `timeout`. False
    /// if it was that long. For those who read what comes and have no rate of their own.
    #[must_use]
    pub fn wait(&self, timeout: Duration) -> bool {
        self.slot.wait(timeout)
    }
}

impl VideoSource for Camera {
    fn size(&self) -> (u16, u16) {
        self.size
    }

    fn frame_rate(&self) -> f64 {
        self.frame_rate
    }

    fn read(
        &mut self,
        _index: u64,
        time: MediaTime,
        capture: NtpTime,
    ) -> Result<Option<VideoFrame>, CaptureError> {
        let gone = |reason: String| CaptureError::Gone {
            kind: DeviceKind::Camera,
            id: self.id.clone(),
            reason,
        };
        match self.slot.take(now()) {
            Ok(None) => Ok(None),
            Ok(Some((planes, age))) => {
                let (width, height) = self.size;
                let frame = VideoFrame::new(width, height, time, earlier(capture, age), planes);
                frame.map(Some).map_err(|error| gone(error.to_string()))
            }
            Err(Lost(reason)) => Err(gone(reason)),
        }
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        // Cannot fail but when it was written to 2^64 - 2 times.
        let _ = rustix::io::write(&*self.end, &1_u64.to_ne_bytes());
        if self.ended.recv_timeout(self.timeout) == Err(RecvTimeoutError::Timeout) {
            tracing::debug!("the camera is slow to close");
        }
    }
}

/// Runs a camera until it is lost or nobody wants it.
fn run<D: Driver>(mut stream: Stream<D>, end: &OwnedFd, slot: &Slot, silence: Duration) {
    let _broken = Broken(slot);
    loop {
        let ready = stream.wait(end.as_fd(), silence);
        if ready == Ok(Ready::End) {
            return;
        }
        let handled = ready.and_then(|ready| stream.handle(ready));
        let tally = stream.tally();
        match handled {
            Ok(picture) => slot.put(now(), picture, tally),
            Err(lost) => {
                slot.put(now(), None, tally);
                slot.end(lost);
                return;
            }
        }
    }
}

/// Whatever ends the thread, whoever reads hears of it.
struct Broken<'a>(&'a Slot);

impl Drop for Broken<'_> {
    fn drop(&mut self) {
        self.0.end(Lost("its thread broke off: report it".to_owned()));
    }
}

/// `span` before `time`.
fn earlier(time: NtpTime, span: Duration) -> NtpTime {
    let bits = (NtpTime::default() + span).to_bits();
    NtpTime::from_bits(time.to_bits().saturating_sub(bits))
}

/// The time, where a device stamps what it gives.
#[expect(clippy::disallowed_methods, reason = "a device stamps by this machine's clock")]
fn now() -> Instant {
    Instant::now()
}
