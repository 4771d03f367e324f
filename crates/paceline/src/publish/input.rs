//! Where a picture or a sound comes from.

use std::path::{Path, PathBuf};

use paceline_capture::{
    AudioSource, CaptureError, H264File, Silence, TestPattern, Tone, VideoSource, WavFile, Y4mFile,
};
use paceline_codec::{AnyVideoDecoder, VideoDecoder};
use paceline_types::{
    Coding, Content, DeviceKind, EncodedFrame, MediaTime, NtpTime, SeqNo, StreamId, VideoCodec,
    VideoFrame,
};

use super::content::seen_as;
use super::device::{Ear, Eye};
use crate::error::PublishError;

/// What a picture is taken from.
///
/// A device is opened by the id that [`devices`](crate::devices) lists; one that is pulled out
/// is opened anew when it is back. In a build without the feature that brings it, opening is
/// an error which says so.
#[derive(Debug)]
#[non_exhaustive]
pub enum VideoInput {
    /// A camera; `None`: the system's first.
    Camera(Option<String>),
    /// A `.y4m` or `.h264` file, looped.
    File(PathBuf),
    /// All that a monitor shows; `None`: the first one.
    Screen(Option<String>),
    /// Your own.
    Source(Box<dyn VideoSource>),
    /// A moving test pattern.
    Test,
    /// What one window shows, wherever it is moved, until it is closed.
    Window(String),
}

/// What a sound is taken from.
#[derive(Debug)]
#[non_exhaustive]
pub enum AudioInput {
    /// A `.wav` file, looped.
    File(PathBuf),
    /// A microphone; `None`: the system's choice. One that is pulled out is opened anew when it
    /// is back.
    Microphone(Option<String>),
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
    content: Option<Content>,
    /// Sources that are open already: these, and none of the above.
    opened: Option<Opened>,
}

/// Sources that can be read.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) video: Option<OpenVideo>,
    pub(crate) audio: Option<OpenAudio>,
}

/// A source of pictures, and how to open it again.
#[derive(Debug)]
pub(crate) struct OpenVideo {
    pub(crate) source: Box<dyn VideoSource>,
    pub(crate) device: Option<Eye>,
}

impl OpenVideo {
    /// From now on, also when it is opened again.
    fn seen_as(self, content: Option<Content>) -> Self {
        let device = self.device.map(|device| Eye { content, ..device });
        Self { source: seen_as(self.source, content), device }
    }
}

/// A source of sound, and how to open it again.
#[derive(Debug)]
pub(crate) struct OpenAudio {
    pub(crate) source: Box<dyn AudioSource>,
    pub(crate) device: Option<Ear>,
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

    /// What the picture shows, as far as an encoder cares. Defaults to what its source says: of
    /// a screen or a window [`Content::Screen`], of all else [`Content::Camera`].
    ///
    /// A screen on which a film runs is better taken for a camera's picture: in H.264 that takes
    /// less than half the processor time, and text is coarser at the same bitrate (measured:
    /// [`Content`] has the figures). VP8 and VP9 take as long either way.
    #[must_use]
    pub const fn content(mut self, content: Content) -> Self {
        self.content = Some(content);
        self
    }

    /// Sources that are open already.
    #[cfg(feature = "publish")]
    pub(crate) fn opened(opened: Opened) -> Self {
        Self { opened: Some(opened), ..Self::default() }
    }

    /// Opens what there is to open; a long file takes a while.
    pub(crate) fn open(self) -> Result<Opened, PublishError> {
        if let Some(opened) = self.opened {
            return Ok(opened);
        }
        let video = self.video.map(VideoInput::open).transpose()?;
        Ok(Opened {
            video: video.map(|video| video.seen_as(self.content)),
            audio: self.audio.map(AudioInput::open).transpose()?,
        })
    }
}

impl VideoInput {
    pub(crate) fn open(self) -> Result<OpenVideo, PublishError> {
        let eye = |kind, id| {
            let device = Eye { kind, id, content: None };
            let source = device.open()?;
            Ok(OpenVideo { source, device: Some(device) })
        };
        let source: Box<dyn VideoSource> = match self {
            Self::Camera(id) => return eye(DeviceKind::Camera, id),
            Self::Screen(id) => return eye(DeviceKind::Screen, id),
            Self::Window(id) => return eye(DeviceKind::Window, Some(id)),
            Self::File(path) => match extension(&path) {
                "y4m" => Box::new(Y4mFile::open(&path)?),
                "h264" | "264" => Box::new(DecodedFile::open(&path)?),
                _ => return Err(PublishError::UnknownFile { path }),
            },
            Self::Source(source) => source,
            Self::Test => Box::new(TestPattern::new(480, 270, 30.0)?),
        };
        Ok(OpenVideo { source, device: None })
    }
}

impl AudioInput {
    pub(crate) fn open(self) -> Result<OpenAudio, PublishError> {
        let source: Box<dyn AudioSource> = match self {
            Self::Microphone(id) => {
                let device = Ear { id };
                let source = device.open()?;
                return Ok(OpenAudio { source, device: Some(device) });
            }
            Self::File(path) if extension(&path) == "wav" => Box::new(WavFile::open(&path)?),
            Self::File(path) => return Err(PublishError::UnknownFile { path }),
            Self::Silence => Box::new(Silence),
            Self::Source(source) => source,
            Self::Tone => Box::new(Tone::new(440.0)),
        };
        Ok(OpenAudio { source, device: None })
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
    ) -> Result<Option<VideoFrame>, CaptureError> {
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
        let frame = VideoFrame::new(width, height, time, capture, planes);
        Ok(Some(frame.expect("the size is its own")))
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
