//! What we show and say: sources, and the threads that read and encode them.

mod content;
mod device;
mod input;
mod opus;
mod pace;
mod reader;
mod rig;
mod sound;
mod task;
mod video;

use paceline_codec::{EncodeError, VideoEncoder, VideoEncoderConfig};
use paceline_types::{Content, StreamId};

pub use self::device::devices;
#[cfg(not(feature = "sound"))]
pub(crate) use self::device::not_built_in;
#[cfg(feature = "publish")]
pub(crate) use self::input::OpenVideo;
pub use self::input::{AudioInput, Publish, VideoInput};
pub(crate) use self::input::{Opened, access_unit};
pub(crate) use self::opus::SoundEncoder;
pub(crate) use self::pace::Pace;
#[cfg(feature = "sound")]
pub(crate) use self::reader::RETRY;
pub(crate) use self::reader::Reader;
pub(crate) use self::task::Numbering;
use self::task::Task;
pub(crate) use self::video::MAX_PICTURE;
use crate::config::Config;
use crate::driver::clock;
use crate::error::PublishError;

/// Starts and stops the threads that publish.
#[derive(Debug)]
pub(crate) struct Publisher {
    reader: Reader,
    video: Option<Task>,
    audio: Option<Task>,
    video_numbering: Numbering,
    audio_numbering: Numbering,
}

impl Publisher {
    /// One that publishes nothing yet, by way of `reader`.
    pub(crate) fn new(reader: Reader) -> Self {
        let numbering = || Numbering::new(clock());
        let (video_numbering, audio_numbering) = (numbering(), numbering());
        Self { reader, video: None, audio: None, video_numbering, audio_numbering }
    }

    /// How pictures are numbered, whoever makes them.
    pub(crate) fn numbering(&self) -> Numbering {
        self.video_numbering.clone()
    }

    /// Starts what was opened before the room was joined.
    pub(crate) fn start(&mut self, opened: Opened) -> Result<(), PublishError> {
        if let Some(source) = opened.video {
            self.video = Some(self.reader.clone().video(source, self.video_numbering.clone())?);
        }
        if let Some(source) = opened.audio {
            self.audio = Some(self.reader.clone().audio(source, self.audio_numbering.clone())?);
        }
        Ok(())
    }

    /// `false` if a picture is published already.
    pub(crate) async fn start_video(&mut self, input: VideoInput) -> Result<bool, PublishError> {
        if self.video.as_ref().is_some_and(Task::is_running) {
            return Ok(false);
        }
        let source = blocking(|| input.open()).await?;
        self.video = Some(self.reader.clone().video(source, self.video_numbering.clone())?);
        Ok(true)
    }

    /// `false` if a sound is published already.
    pub(crate) async fn start_audio(&mut self, input: AudioInput) -> Result<bool, PublishError> {
        if self.audio.as_ref().is_some_and(Task::is_running) {
            return Ok(false);
        }
        let source = blocking(|| input.open()).await?;
        self.audio = Some(self.reader.clone().audio(source, self.audio_numbering.clone())?);
        Ok(true)
    }

    /// Publishes another picture instead of what is published, if anything is.
    pub(crate) async fn switch_video(&mut self, input: VideoInput) -> Result<(), PublishError> {
        // The one before goes on until the other is there.
        let source = blocking(|| input.open()).await?;
        stop(self.video.take()).await;
        self.video = Some(self.reader.clone().video(source, self.video_numbering.clone())?);
        Ok(())
    }

    /// Publishes another sound instead of what is published, if anything is.
    pub(crate) async fn switch_audio(&mut self, input: AudioInput) -> Result<(), PublishError> {
        let source = blocking(|| input.open()).await?;
        stop(self.audio.take()).await;
        self.audio = Some(self.reader.clone().audio(source, self.audio_numbering.clone())?);
        Ok(())
    }

    /// Whether something of ours is published under this stream, muted or not.
    pub(crate) fn is_running(&self, stream: StreamId) -> bool {
        let task = if stream == StreamId::AUDIO { &self.audio } else { &self.video };
        task.as_ref().is_some_and(Task::is_running)
    }

    /// `false` if no picture was published.
    pub(crate) async fn stop_video(&mut self) -> bool {
        stop(self.video.take()).await
    }

    /// `false` if no sound was published.
    pub(crate) async fn stop_audio(&mut self) -> bool {
        stop(self.audio.take()).await
    }
}

/// Opens a source where it holds nobody up.
pub(crate) async fn blocking<T: Send + 'static>(
    open: impl FnOnce() -> Result<T, PublishError> + Send + 'static,
) -> Result<T, PublishError> {
    let opened = tokio::task::spawn_blocking(open).await;
    opened.map_err(|error| PublishError::Thread(error.to_string()))?
}

async fn stop(task: Option<Task>) -> bool {
    match task {
        Some(task) => {
            task.stop().await;
            true
        }
        None => false,
    }
}

/// The encoder of a picture, ours or the mix.
pub(crate) fn video_encoder(
    config: &Config,
    frame_rate: f64,
    content: Content,
) -> Result<Box<dyn VideoEncoder>, EncodeError> {
    let encoder = VideoEncoderConfig::default()
        .bitrate(config.video_bitrate)
        .content(content)
        .max_frame_rate(frame_rate.ceil().clamp(1.0, 120.0) as u8);
    paceline_codec::video_encoder(config.picture, encoder)
}
