//! YUV4MPEG2 files: plain pictures behind a line of text.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use paceline_types::{MediaTime, NtpTime, PixelFormat, VideoFrame};

use crate::source::MAX_SIDES;
use crate::{CaptureError, VideoSource};

/// A `.y4m` file, read picture by picture and looped. 4:2:0 with 8 bits.
#[derive(Debug)]
pub struct Y4mFile {
    path: PathBuf,
    reader: BufReader<File>,
    width: u16,
    height: u16,
    frame_rate: f64,
    /// Where each picture's bytes begin.
    frames: Vec<u64>,
}

impl Y4mFile {
    /// Opens a file and finds its pictures. A last one that is cut off is left out.
    ///
    /// # Errors
    ///
    /// [`CaptureError`] if it cannot be read, is no Y4M file, holds no picture, or
    /// pictures of another kind or size than can be sent.
    pub fn open(path: &Path) -> Result<Self, CaptureError> {
        let len = file_len(path)?;
        let file = File::open(path).map_err(unreadable(path))?;
        let mut reader = BufReader::new(file);
        let header = line(&mut reader).map_err(unreadable(path))?;
        if len == 0 {
            return Err(CaptureError::Empty { path: path.to_owned(), what: "picture" });
        }
        let Header { width, height, frame_rate } = Header::parse(path, &header)?;
        let bytes = PixelFormat::I420.bytes(width, height) as u64;
        let mut frames = Vec::new();
        while frames.len() < MAX_FRAMES {
            let marker = line(&mut reader).map_err(unreadable(path))?;
            let at = reader.stream_position().map_err(unreadable(path))?;
            if !marker.starts_with(b"FRAME") || at + bytes > len {
                break;
            }
            frames.push(at);
            reader.seek(SeekFrom::Start(at + bytes)).map_err(unreadable(path))?;
        }
        if frames.is_empty() {
            return Err(CaptureError::Empty { path: path.to_owned(), what: "whole picture" });
        }
        Ok(Self { path: path.to_owned(), reader, width, height, frame_rate, frames })
    }
}

impl VideoSource for Y4mFile {
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
        let at = self.frames[(index % self.frames.len() as u64) as usize];
        let mut planes = vec![0; PixelFormat::I420.bytes(self.width, self.height)];
        self.reader
            .seek(SeekFrom::Start(at))
            .and_then(|_| self.reader.read_exact(&mut planes))
            .map_err(unreadable(&self.path))?;
        let frame = VideoFrame::new(self.width, self.height, time, capture, Bytes::from(planes));
        Ok(Some(frame.expect("the planes are of this size")))
    }
}

/// What the first line says.
struct Header {
    width: u16,
    height: u16,
    frame_rate: f64,
}

impl Header {
    fn parse(path: &Path, line: &[u8]) -> Result<Self, CaptureError> {
        let format = |reason: &str| CaptureError::Format {
            path: path.to_owned(),
            reason: reason.to_owned(),
        };
        let text = std::str::from_utf8(line).ok().and_then(|text| text.strip_prefix("YUV4MPEG2"));
        let text = text.ok_or_else(|| format("it is no YUV4MPEG2 file"))?;
        let (mut width, mut height, mut frame_rate) = (0, 0, 25.0);
        for field in text.split_ascii_whitespace() {
            let (tag, value) = field.split_at_checked(1).unwrap_or((field, ""));
            match tag {
                "W" => width = value.parse().unwrap_or(0),
                "H" => height = value.parse().unwrap_or(0),
                "F" => {
                    frame_rate = rate(value)
                        .ok_or_else(|| format("its frame rate is not 1 to 120 a second"))?
                }
                "C" if !matches!(value, "420" | "420jpeg" | "420mpeg2" | "420paldv") => {
                    return Err(format(
                        "its pixels are not 4:2:0 with 8 bits: convert it with -pix_fmt yuv420p",
                    ));
                }
                _ => {}
            }
        }
        let (width, height) = check_size(path, width, height)?;
        Ok(Self { width, height, frame_rate })
    }
}

/// Both sides even, not zero, and within 3840 × 2160 either way round.
pub(crate) fn check_size(path: &Path, width: u64, height: u64) -> Result<(u16, u16), CaptureError> {
    let (larger, smaller) = (width.max(height), width.min(height));
    let fits = larger <= MAX_SIDES.0 && smaller <= MAX_SIDES.1 && smaller > 0;
    match (u16::try_from(width), u16::try_from(height)) {
        (Ok(w), Ok(h)) if fits && w % 2 == 0 && h % 2 == 0 => Ok((w, h)),
        _ => Err(CaptureError::Size { path: path.to_owned(), width, height }),
    }
}

fn rate(value: &str) -> Option<f64> {
    let (numerator, denominator) = value.split_once(':')?;
    let rate = numerator.parse::<f64>().ok()? / denominator.parse::<f64>().ok()?;
    (1.0..=120.0).contains(&rate).then_some(rate)
}

/// A line of at most 256 bytes, without its end.
fn line(reader: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    reader.take(256).read_until(b'\n', &mut line)?;
    if line.last() == Some(&b'\n') {
        line.pop();
    }
    Ok(line)
}

/// How long a file is. What is no file (a pipe, a device) has no length, and might
/// never end.
pub(crate) fn file_len(path: &Path) -> Result<u64, CaptureError> {
    let metadata = fs::metadata(path).map_err(unreadable(path))?;
    if !metadata.is_file() {
        let reason = "it is no regular file".to_owned();
        return Err(CaptureError::Format { path: path.to_owned(), reason });
    }
    Ok(metadata.len())
}

pub(crate) fn unreadable(path: &Path) -> impl Fn(io::Error) -> CaptureError {
    move |source| CaptureError::Unreadable { path: path.to_owned(), source }
}

/// Pictures of one file that are found: an hour at 60 a second.
const MAX_FRAMES: usize = 216_000;
