//! What every source can do.

use std::fmt::Debug;
use std::thread::Thread;

use paceline_types::{AudioFrame, Content, MediaTime, NtpTime, VideoFrame};

use crate::CaptureError;

/// Something that gives pictures.
pub trait VideoSource: Debug + Send {
    /// Width and height in pixels, both even, of the picture that is read next. Those of a
    /// window change when it does; each picture has its own.
    fn size(&self) -> (u16, u16);

    /// Pictures a second, at most.
    fn frame_rate(&self) -> f64;

    /// What the pictures show.
    fn content(&self) -> Content {
        Content::Camera
    }

    /// The picture that is due, stamped with the times given. `None` if it is the one before:
    /// nothing has changed on a screen. `index` counts the pictures of the source's own rate
    /// from 0, skipped ones included; what has an end begins again, and what is live has no
    /// past and gives what there is now.
    ///
    /// # Errors
    ///
    /// [`CaptureError`] if the source can give no more. A device that
    /// [is gone](CaptureError::is_gone) may come back: open it anew then.
    fn read(
        &mut self,
        index: u64,
        time: MediaTime,
        capture: NtpTime,
    ) -> Result<Option<VideoFrame>, CaptureError>;
}

/// Something that gives sound.
pub trait AudioSource: Debug + Send {
    /// The next 20 ms: 960 samples at 48 kHz, one channel, stamped with the times
    /// given. What has an end begins again.
    ///
    /// What is [live](Self::is_live) returns `None` while they are not there yet. The times
    /// given are those of now, and it stamps by its own clock: the media time goes on by 960
    /// from one frame to the next, and by more where sound was lost; the capture time is that
    /// of the first sample.
    ///
    /// # Errors
    ///
    /// [`CaptureError`] if the source can give no more. A device that
    /// [is gone](CaptureError::is_gone) may come back: open it anew then.
    fn read(
        &mut self,
        time: MediaTime,
        capture: NtpTime,
    ) -> Result<Option<AudioFrame>, CaptureError>;

    /// Whether its sound comes when it comes, as a microphone's. Any other is read 50 times a
    /// second by the reader's clock.
    fn is_live(&self) -> bool {
        false
    }

    /// Has `reader` unparked whenever 20 ms more are there, or the source has ended. Only what
    /// is live does.
    fn wake(&mut self, reader: Thread) {
        drop(reader);
    }
}

/// Samples in a frame of sound: 20 ms at 48 kHz.
pub(crate) const FRAME_SAMPLES: usize = 960;

/// The largest picture, the larger side first: what H.264 level 5.1 holds, and
/// what OpenH264 encodes.
pub(crate) const MAX_SIDES: (u64, u64) = (3_840, 2_160);
