//! WAV files.

use std::fs;
use std::path::Path;

use paceline_types::{AudioFrame, MediaTime, NtpTime};

use crate::resample::resample;
use crate::source::FRAME_SAMPLES;
use crate::y4m::{file_len, unreadable};
use crate::{AudioSource, CaptureError};

/// A `.wav` file as one channel at 48 kHz, in memory, looped.
#[derive(Debug)]
pub struct WavFile {
    samples: Vec<f32>,
    at: usize,
}

impl WavFile {
    /// Loads a file: PCM of 16, 24 or 32 bits or 32-bit floats, 8 to 192 kHz, 1 to 8
    /// channels, at most ten minutes. Channels are averaged.
    ///
    /// # Errors
    ///
    /// [`CaptureError`] if it cannot be read, is of another kind, too long, or holds
    /// no sound.
    pub fn open(path: &Path) -> Result<Self, CaptureError> {
        let len = file_len(path)?;
        if len > MAX_BYTES {
            return Err(CaptureError::TooLarge { path: path.to_owned(), len, max: MAX_BYTES });
        }
        let bytes = fs::read(path).map_err(unreadable(path))?;
        let format = |reason: &str| CaptureError::Format {
            path: path.to_owned(),
            reason: reason.to_owned(),
        };
        let empty = || CaptureError::Empty { path: path.to_owned(), what: "sound" };
        if bytes.is_empty() {
            return Err(empty());
        }
        let (kind, data) = chunks(&bytes).ok_or_else(|| format("it is no WAV file"))?;
        let supported = "16, 24 or 32-bit PCM or 32-bit float, 8 to 192 kHz, 1 to 8 channels";
        let kind = kind
            .filter(Kind::is_supported)
            .ok_or_else(|| format(&format!("it is not {supported}: convert it")))?;
        if kind.frames(data) > u64::from(kind.rate) * MAX_SECONDS {
            return Err(format("it is longer than ten minutes: cut it shorter"));
        }
        let samples = resample(&kind.mono(data), kind.rate, 48_000);
        if samples.is_empty() {
            return Err(empty());
        }
        Ok(Self { samples, at: 0 })
    }
}

impl AudioSource for WavFile {
    fn read(
        &mut self,
        time: MediaTime,
        capture: NtpTime,
    ) -> Result<Option<AudioFrame>, CaptureError> {
        let samples = (0..FRAME_SAMPLES)
            .map(|_| {
                let sample = self.samples[self.at];
                self.at = (self.at + 1) % self.samples.len();
                sample
            })
            .collect();
        Ok(Some(AudioFrame { channels: 1, time, capture, samples }))
    }
}

/// What the format chunk says.
#[derive(Clone, Copy, Debug)]
struct Kind {
    float: bool,
    channels: u16,
    rate: u32,
    bits: u16,
}

impl Kind {
    fn parse(chunk: &[u8]) -> Option<Self> {
        let u16_at = |at: usize| Some(u16::from_le_bytes(chunk.get(at..at + 2)?.try_into().ok()?));
        let tag = match u16_at(0)? {
            // WAVE_FORMAT_EXTENSIBLE: the tag is the head of the sub-format.
            0xfffe => u16_at(24)?,
            tag => tag,
        };
        let rate = u32::from_le_bytes(chunk.get(4..8)?.try_into().ok()?);
        let float = tag == 3;
        matches!(tag, 1 | 3).then_some(Self {
            float,
            channels: u16_at(2)?,
            rate,
            bits: u16_at(14)?,
        })
    }

    fn is_supported(&self) -> bool {
        let bits = matches!((self.float, self.bits), (false, 16 | 24 | 32) | (true, 32));
        bits && (1..=8).contains(&self.channels) && (8_000..=192_000).contains(&self.rate)
    }

    /// Samples of each channel.
    fn frames(&self, data: &[u8]) -> u64 {
        data.len() as u64 / u64::from(self.bits / 8 * self.channels)
    }

    fn mono(&self, data: &[u8]) -> Vec<f32> {
        let width = usize::from(self.bits / 8);
        let channels = usize::from(self.channels);
        data.chunks_exact(width * channels)
            .map(|frame| {
                frame.chunks_exact(width).map(|s| self.sample(s)).sum::<f32>()
                    / f32::from(self.channels)
            })
            .collect()
    }

    fn sample(&self, bytes: &[u8]) -> f32 {
        let sample = match *bytes {
            [a, b] => f32::from(i16::from_le_bytes([a, b])) / 32_768.0,
            [a, b, c] => (i32::from_le_bytes([0, a, b, c]) >> 8) as f32 / 8_388_608.0,
            [a, b, c, d] if self.float => f32::from_le_bytes([a, b, c, d]),
            [a, b, c, d] => i32::from_le_bytes([a, b, c, d]) as f32 / 2_147_483_648.0,
            _ => 0.0,
        };
        // A file may hold floats that are none.
        if sample.is_finite() { sample.clamp(-1.0, 1.0) } else { 0.0 }
    }
}

/// The format chunk, if it is one we know, and the data.
fn chunks(bytes: &[u8]) -> Option<(Option<Kind>, &[u8])> {
    if bytes.get(..4)? != b"RIFF" || bytes.get(8..12)? != b"WAVE" {
        return None;
    }
    let (mut kind, mut rest) = (None, bytes.get(12..)?);
    while let (Some(name), Some(len)) = (rest.get(..4), rest.get(4..8)) {
        let len = u32::from_le_bytes(len.try_into().ok()?) as usize;
        let body = &rest[8..];
        match name {
            b"fmt " => kind = Kind::parse(body),
            // A length that is too large, as some writers leave it: what is there.
            b"data" => return Some((kind, &body[..len.min(body.len())])),
            _ => {}
        }
        rest = body.get(len.checked_add(len % 2)?..)?;
    }
    Some((kind, &[]))
}

const MAX_SECONDS: u64 = 600;

/// Ten minutes of eight channels of 32 bits at 48 kHz.
const MAX_BYTES: u64 = 1 << 30;
