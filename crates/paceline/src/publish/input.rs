//! Where a picture or a sound comes from.

use std::path::{Path, PathBuf};

use paceline_capture::{
    AudioSource, CaptureError, H264File, Silence, TestPattern, Tone, VideoSource, WavFile, Y4mFile,
};
use paceline_codec::{AnyVideoDecoder, VideoDecoder};
use paceline_types::{
    Coding, EncodedFrame, MediaTime, NtpTime, SeqNo, StreamId, VideoCodec, VideoFrame,
};

use crate::error::PublishError;

/// What a picture is taken from.
#[derive(Debug)]
#[non_exhaustive]
pub enum VideoInput {
    /// A `.y4m` or `.h264` file, looped.
    File(PathBuf),
    /// Your own.
    Source(Box<dyn VideoSource>),
    /// A moving test pattern.
    Test,
}

/// What a sound is taken from.
#[derive(Debug)]
#[non_exhaustive]
pub enum AudioInput {
    /// A `.wav` file, looped.
    File(PathBuf),
    /// Nothing, 50 times a second.
    Silence,
    /// Your own.
    Source(Box<dyn AudioSource>),
    /// A sine of 440 Hz.
    Tone,
}

/// What to publish on joining.
///
/// ```
/// use paceline::{AudioInput, Publish, VideoInput};
///
/// let publish = Publish::default()
///     .video(VideoInput::File("me.h264".into()))
///     .audio(AudioInput::Silence);
/// ```
#[derive(Debug, Default)]
pub struct Publish {
    video: Option<VideoInput>,
    audio: Option<AudioInput>,
}

/// Sources that can be read.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) video: Option<Box<dyn VideoSource>>,
    pub(crate) audio: Option<Box<dyn AudioSource>>,
}

impl Publish {
    /// A test pattern and a tone: what needs no file and no device.
    #[must_use]
    pub fn test() -> Self {
        Self::default().video(VideoInput::Test).audio(AudioInput::Tone)
    }

    /// The picture. Defaults to none.
    #[must_use]
    pub fn video(mut self, input: VideoInput) -> Self {
        self.video = Some(input);
        self
    }

    /// The sound. Defaults to none.
    #[must_use]
    pub fn audio(mut self, input: AudioInput) -> Self {
        self.audio = Some(input);
        self
    }

    /// Opens what there is to open; a long file takes a while.
    pub(crate) fn open(self) -> Result<Opened, PublishError> {
        Ok(Opened {
            video: self.video.map(VideoInput::open).transpose()?,
            audio: self.audio.map(AudioInput::open).transpose()?,
        })
    }
}

impl VideoInput {
    pub(crate) fn open(self) -> Result<Box<dyn VideoSource>, PublishError> {
        Ok(match self {
            Self::File(path) => match extension(&path) {
                "y4m" => Box::new(Y4mFile::open(&path)?),
                "h264" | "264" => Box::new(DecodedFile::open(&path)?),
                _ => return Err(PublishError::UnknownFile { path }),
            },
            Self::Source(source) => source,
            Self::Test => Box::new(TestPattern::new(480, 270, 30.0)?),
        })
    }
}

impl AudioInput {
    pub(crate) fn open(self) -> Result<Box<dyn AudioSource>, PublishError> {
        Ok(match self {
            Self::File(path) if extension(&path) == "wav" => Box::new(WavFile::open(&path)?),
            Self::File(path) => return Err(PublishError::UnknownFile { path }),
            Self::Silence => Box::new(Silence),
            Self::Source(source) => source,
            Self::Tone => Box::new(Tone::new(440.0)),
        })
    }
}

fn extension(path: &Path) -> &str {
    path.extension().and_then(|extension| extension.to_str()).unwrap_or_default()
}

/// An H.264 file as pictures: they are decoded because what we publish may carry
/// marks, another size or another bitrate than the file.
#[derive(Debug)]
struct DecodedFile {
    file: H264File,
    decoder: AnyVideoDecoder,
    /// The next access unit to decode.
    next: u64,
    last: VideoFrame,
}

impl DecodedFile {
    fn open(path: &Path) -> Result<Self, PublishError> {
        let file = H264File::open(path, FRAME_RATE)?;
        let mut decoder = AnyVideoDecoder::default();
        let time = MediaTime::new(0, paceline_types::Frequency::VIDEO);
        let mut reason = "it holds no keyframe".to_owned();
        for index in 0..file.len() as u64 {
            match decoder.decode(&access_unit(&file, index, time, NtpTime::default())) {
                Ok(Some(last)) => return Ok(Self { file, decoder, next: index + 1, last }),
                Ok(None) => {}
                Err(error) => reason = error.to_string(),
            }
        }
        Err(PublishError::NoPicture { path: path.to_owned(), reason })
    }
}

impl VideoSource for DecodedFile {
    fn size(&self) -> (u16, u16) {
        (self.last.width(), self.last.height())
    }

    fn frame_rate(&self) -> f64 {
        self.file.frame_rate()
    }

    fn read(
        &mut self,
        index: u64,
        time: MediaTime,
        capture: NtpTime,
    ) -> Result<VideoFrame, CaptureError> {
        // Each unit builds on the one before: those of skipped frames are decoded
        // too, but never more than one round of the clip.
        let behind = (index + 1).saturating_sub(self.next).min(self.file.len() as u64);
        self.next = (index + 1).saturating_sub(behind);
        while self.next <= index {
            let encoded = access_unit(&self.file, self.next, time, capture);
            // A unit that cannot be decoded leaves the last picture standing.
            if let Ok(Some(picture)) = self.decoder.decode(&encoded) {
                self.last = picture;
            }
            self.next += 1;
        }
        let Self { last, .. } = self;
        let (width, height) = (last.width(), last.height());
        let planes = last.planes().clone();
        Ok(VideoFrame::new(width, height, time, capture, planes).expect("the size is its own"))
    }
}

/// Picture `index` of a file, as it is there.
pub(crate) fn access_unit(
    file: &H264File,
    index: u64,
    time: MediaTime,
    capture: NtpTime,
) -> EncodedFrame {
    let data = file.unit(index);
    let coding = Coding::Video {
        codec: VideoCodec::H264,
        key: file.is_key(index),
        discardable: false,
        width: 0,
        height: 0,
    };
    EncodedFrame { stream: StreamId::VIDEO, seq: SeqNo::new(index), time, capture, coding, data }
}

/// A byte stream has no clock; this is what the bundled clips run at.
const FRAME_RATE: f64 = 25.0;
