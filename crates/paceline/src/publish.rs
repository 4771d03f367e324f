//! What we show and say: sources, and the threads that read and encode them.

mod input;
mod pace;
mod thread;

use paceline_codec::{
    AudioEncoder, AudioEncoderConfig, EncodeError, VideoEncoder, VideoEncoderConfig,
};
use paceline_types::AudioCodec;

pub(crate) use self::input::Opened;
pub use self::input::{AudioInput, Publish, VideoInput};
pub(crate) use self::thread::Reader;
use self::thread::Task;
use crate::config::Config;
use crate::error::PublishError;

/// Starts and stops the threads that publish.
#[derive(Debug)]
pub(crate) struct Publisher {
    reader: Reader,
    video: Option<Task>,
    audio: Option<Task>,
}

impl Publisher {
    /// One that publishes nothing yet, by way of `reader`.
    pub(crate) fn new(reader: Reader) -> Self {
        Self { reader, video: None, audio: None }
    }

    /// Starts what was opened before the room was joined.
    pub(crate) fn start(&mut self, opened: Opened) -> Result<(), PublishError> {
        if let Some(source) = opened.video {
            self.video = Some(self.reader.clone().video(source)?);
        }
        if let Some(source) = opened.audio {
            self.audio = Some(self.reader.clone().audio(source)?);
        }
        Ok(())
    }

    /// `false` if a picture is published already.
    pub(crate) async fn start_video(&mut self, input: VideoInput) -> Result<bool, PublishError> {
        if self.video.is_some() {
            return Ok(false);
        }
        let source = blocking(|| input.open()).await?;
        self.video = Some(self.reader.clone().video(source)?);
        Ok(true)
    }

    /// `false` if a sound is published already.
    pub(crate) async fn start_audio(&mut self, input: AudioInput) -> Result<bool, PublishError> {
        if self.audio.is_some() {
            return Ok(false);
        }
        let source = blocking(|| input.open()).await?;
        self.audio = Some(self.reader.clone().audio(source)?);
        Ok(true)
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
pub(crate) fn video_encoder(config: &Config) -> Result<Box<dyn VideoEncoder>, EncodeError> {
    let encoder = VideoEncoderConfig::default().bitrate(config.video_bitrate);
    paceline_codec::video_encoder(config.picture, encoder)
}

/// The encoder of a sound, ours or one member's mix.
pub(crate) fn audio_encoder() -> Result<Box<dyn AudioEncoder>, EncodeError> {
    paceline_codec::audio_encoder(AudioCodec::Opus, AudioEncoderConfig::default())
}
