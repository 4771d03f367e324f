//! What every source can do.

use std::fmt::Debug;

use paceline_types::{AudioFrame, MediaTime, NtpTime, VideoFrame};

use crate::CaptureError;

/// Something that gives pictures.
pub trait VideoSource: Debug + Send {
    /// Width and height in pixels, both even. They do not change.
    fn size(&self) -> (u16, u16);

    /// Pictures a second.
    fn frame_rate(&self) -> f64;

    /// The picture that is due, stamped with the times given. `index` counts the
    /// pictures of the source's own rate from 0, skipped ones included; what has
    /// an end begins again.
    ///
    /// # Errors
    ///
    /// [`CaptureError`] if the source can give no more.
    fn read(
        &mut self,
        index: u64,
        time: MediaTime,
        capture: NtpTime,
    ) -> Result<VideoFrame, CaptureError>;
}

/// Something that gives sound.
pub trait AudioSource: Debug + Send {
    /// The next 20 ms: 960 samples at 48 kHz, one channel, stamped with the times
    /// given. What has an end begins again.
    ///
    /// # Errors
    ///
    /// [`CaptureError`] if the source can give no more.
    fn read(&mut self, time: MediaTime, capture: NtpTime) -> Result<AudioFrame, CaptureError>;
}

/// Samples in a frame of sound: 20 ms at 48 kHz.
pub(crate) const FRAME_SAMPLES: usize = 960;

/// The largest picture, the larger side first: what H.264 level 5.1 holds, and
/// what OpenH264 encodes.
pub(crate) const MAX_SIDES: (u64, u64) = (3_840, 2_160);
