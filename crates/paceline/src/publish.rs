//! What we show and say: sources, and the threads that read and encode them.

mod input;
mod pace;
mod thread;

use std::sync::Arc;

use paceline_codec::{
    AudioEncoder, AudioEncoderConfig, EncodeError, VideoEncoder, VideoEncoderConfig,
};
use paceline_types::{AudioCodec, SenderId, WallClock};
use tokio::sync::mpsc;

pub(crate) use self::input::Opened;
pub use self::input::{AudioInput, Publish, VideoInput};
use self::thread::{Reader, Task};
use crate::config::Config;
use crate::counters::Counters;
use crate::error::PublishError;
use crate::event::EventQueue;
use crate::wire::{StageSender, Switches, ToDriver};

/// Starts and stops the threads that publish.
#[derive(Debug)]
pub(crate) struct Publisher {
    pub(crate) config: Config,
    pub(crate) wall: WallClock,
    /// Which clapper slot is ours.
    pub(crate) slot: SenderId,
    /// Weak, so that a publishing thread does not keep a dropped room alive.
    pub(crate) driver: mpsc::WeakSender<ToDriver>,
    pub(crate) stage: StageSender,
    pub(crate) counters: Arc<Counters>,
    pub(crate) events: EventQueue,
    pub(crate) switches: Switches,
    pub(crate) video: Option<Task>,
    pub(crate) audio: Option<Task>,
}

impl Publisher {
    /// Starts what was opened before the room was joined.
    pub(crate) fn start(&mut self, opened: Opened) -> Result<(), PublishError> {
        if let Some(source) = opened.video {
            self.video = Some(self.reader().video(source)?);
        }
        if let Some(source) = opened.audio {
            self.audio = Some(self.reader().audio(source)?);
        }
        Ok(())
    }

    /// `false` if a picture is published already.
    pub(crate) async fn start_video(&mut self, input: VideoInput) -> Result<bool, PublishError> {
        if self.video.is_some() {
            return Ok(false);
        }
        let source = blocking(|| input.open()).await?;
        self.video = Some(self.reader().video(source)?);
        Ok(true)
    }

    /// `false` if a sound is published already.
    pub(crate) async fn start_audio(&mut self, input: AudioInput) -> Result<bool, PublishError> {
        if self.audio.is_some() {
            return Ok(false);
        }
        let source = blocking(|| input.open()).await?;
        self.audio = Some(self.reader().audio(source)?);
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

    fn reader(&self) -> Reader {
        Reader {
            config: self.config.clone(),
            wall: self.wall,
            slot: self.slot,
            driver: self.driver.clone(),
            stage: self.stage.clone(),
            counters: Arc::clone(&self.counters),
            events: self.events.clone(),
            switches: self.switches.clone(),
        }
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
