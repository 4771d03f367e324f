//! Sources that need no file and no device.

use std::f64::consts::TAU;
use std::path::PathBuf;

use bytes::Bytes;
use paceline_types::{AudioFrame, MediaTime, NtpTime, VideoFrame};

use crate::source::FRAME_SAMPLES;
use crate::{AudioSource, CaptureError, VideoSource};

/// Colour bars, with a white bar that wanders across them in two seconds.
#[derive(Debug)]
pub struct TestPattern {
    width: u16,
    height: u16,
    frame_rate: f64,
}

impl TestPattern {
    /// A pattern of `width` × `height` pixels, `frame_rate` times a second.
    ///
    /// # Errors
    ///
    /// [`CaptureError::Size`] unless both sides are even and within 3840 × 2160.
    pub fn new(width: u16, height: u16, frame_rate: f64) -> Result<Self, CaptureError> {
        crate::y4m::check_size(&PathBuf::from("the test pattern"), width.into(), height.into())?;
        Ok(Self { width, height, frame_rate })
    }
}

impl VideoSource for TestPattern {
    fn size(&self) -> (u16, u16) {
        (self.width, self.height)
    }

    fn frame_rate(&self) -> f64 {
        self.frame_rate
    }

    fn read(
        &mut self,
        index: u64,
        time: MediaTime,
        capture: NtpTime,
    ) -> Result<Option<VideoFrame>, CaptureError> {
        let (width, height) = (usize::from(self.width), usize::from(self.height));
        let bar = |x: usize| BARS[x * BARS.len() / width];
        let at = (index as f64 / self.frame_rate / 2.0).fract() * width as f64;
        let wanders = |x: usize| (x as f64 - at).abs() * 32.0 < width as f64;
        let mut planes = Vec::with_capacity(width * height * 3 / 2);
        let luma: Vec<u8> = (0..width).map(|x| if wanders(x) { 235 } else { bar(x)[0] }).collect();
        for _ in 0..height {
            planes.extend_from_slice(&luma);
        }
        for plane in [1, 2] {
            let row: Vec<u8> = (0..width)
                .step_by(2)
                .map(|x| if wanders(x) { 128 } else { bar(x)[plane] })
                .collect();
            for _ in 0..height / 2 {
                planes.extend_from_slice(&row);
            }
        }
        let frame = VideoFrame::new(self.width, self.height, time, capture, Bytes::from(planes));
        Ok(Some(frame.expect("the planes are of this size")))
    }
}

/// The 75 % bars of ITU-R BT.601: white, yellow, cyan, green, magenta, red, blue.
const BARS: [[u8; 3]; 7] = [
    [180, 128, 128],
    [162, 44, 142],
    [131, 156, 44],
    [112, 72, 58],
    [84, 184, 198],
    [65, 100, 212],
    [35, 212, 114],
];

/// A sine at −12 dBFS.
#[derive(Debug)]
pub struct Tone {
    step: f64,
    phase: f64,
}

impl Tone {
    /// A sine of `hz`.
    #[must_use]
    pub fn new(hz: f64) -> Self {
        Self { step: hz / 48_000.0, phase: 0.0 }
    }
}

impl AudioSource for Tone {
    fn read(
        &mut self,
        time: MediaTime,
        capture: NtpTime,
    ) -> Result<Option<AudioFrame>, CaptureError> {
        let samples = (0..FRAME_SAMPLES)
            .map(|_| {
                self.phase = (self.phase + self.step).fract();
                (0.25 * (self.phase * TAU).sin()) as f32
            })
            .collect();
        Ok(Some(AudioFrame { channels: 1, time, capture, samples }))
    }
}

/// No sound.
#[derive(Debug)]
pub struct Silence;

impl AudioSource for Silence {
    fn read(
        &mut self,
        time: MediaTime,
        capture: NtpTime,
    ) -> Result<Option<AudioFrame>, CaptureError> {
        let samples = [0.0; FRAME_SAMPLES].into();
        Ok(Some(AudioFrame { channels: 1, time, capture, samples }))
    }
}
