//! The encoder of our own picture, and what tells it how much to make of it.

use std::time::Instant;

use paceline_codec::{
    Change, EncodeError, EncodedPicture, EncoderTarget, FrameReport, Ladder, LadderStats,
    ScaleError, Scaler, Step, VideoEncoder, fit,
};
use paceline_types::{Bitrate, Content, PictureFormat, VideoFrame};

use super::video_encoder;
use crate::config::Config;
use crate::driver::clock;

/// What a source makes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Shape {
    pub(super) size: (u16, u16),
    pub(super) frame_rate: f64,
    pub(super) content: Content,
}

/// An encoder that does as the ladder says. Pictures that are larger than ours may be are
/// scaled for everybody, our own stage too; what the ladder takes off, only for the encoder.
#[derive(Debug)]
pub(super) struct Rig {
    encoder: Box<dyn VideoEncoder>,
    /// `None` for formats that have no bitrate.
    ladder: Option<Ladder>,
    /// What the encoder was told last.
    told: Option<Step>,
    /// The largest picture of our own, and how many of it a second.
    room: Option<(u16, u16, u32)>,
    shape: Shape,
    fitting: Scaler,
    scaler: Scaler,
}

impl Rig {
    pub(super) fn new(now: Instant, config: &Config, shape: Shape) -> Result<Self, EncodeError> {
        let encoder = video_encoder(config, shape.frame_rate, shape.content)?;
        let has_rate =
            matches!(config.picture, PictureFormat::H264 | PictureFormat::Vp8 | PictureFormat::Vp9);
        let mut rig = Self {
            encoder,
            ladder: has_rate.then(|| Ladder::new(config.ladder())),
            told: None,
            room: config.max_own_picture,
            shape,
            fitting: Scaler::new(),
            scaler: Scaler::new(),
        };
        rig.handle_source(now, shape);
        rig.handle_target(now, config.video_bitrate);
        Ok(rig)
    }

    /// The source is another, or makes something else from now on.
    pub(super) fn handle_source(&mut self, now: Instant, shape: Shape) {
        let most = self.room.map_or(f64::INFINITY, |(.., rate)| rate.into());
        let size =
            self.room.map_or(shape.size, |(width, height, _)| fit(shape.size, (width, height)));
        self.shape = Shape { size, frame_rate: shape.frame_rate.min(most), ..shape };
        let Shape { size, frame_rate, content } = self.shape;
        match &mut self.ladder {
            Some(ladder) => ladder.handle_source(now, size, frame_rate, content),
            None => self.encoder.set_content(content),
        }
        self.obey();
    }

    /// What the paths take. The session has reckoned with what waits to be sent: a ladder that
    /// is told of that too would cut twice.
    pub(super) fn handle_target(&mut self, now: Instant, bitrate: Bitrate) {
        if let Some(ladder) = &mut self.ladder {
            ladder.handle_target(now, bitrate);
        }
        self.obey();
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        if let Some(ladder) = &mut self.ladder {
            ladder.handle_timeout(now);
        }
        self.obey();
    }

    pub(super) fn poll_output(&mut self) -> Option<Change> {
        self.ladder.as_mut()?.poll_output()
    }

    /// What is sent, and why not all; `None` if there is no ladder.
    pub(super) fn ladder(&self) -> Option<(Step, LadderStats)> {
        self.ladder.as_ref().map(|ladder| (ladder.step(), ladder.stats()))
    }

    /// Pictures a second that are to be read.
    pub(super) fn frame_rate(&self) -> f64 {
        self.told.as_ref().map_or(self.shape.frame_rate, |step| step.frame_rate)
    }

    pub(super) fn want_keyframe(&mut self) {
        self.encoder.set_target(EncoderTarget { keyframe: true, bitrate: None });
    }

    /// A picture no larger than ours may be.
    pub(super) fn fit(&mut self, frame: VideoFrame) -> Result<VideoFrame, ScaleError> {
        let Some((width, height, _)) = self.room else { return Ok(frame) };
        let from = (frame.width(), frame.height());
        let size = fit(from, (width, height));
        if size == from { Ok(frame) } else { self.fitting.scale(&frame, size) }
    }

    pub(super) fn encode(
        &mut self,
        frame: &VideoFrame,
    ) -> Result<Option<EncodedPicture>, EncodeError> {
        let began = clock();
        let from = (frame.width(), frame.height());
        if from != self.shape.size {
            self.handle_source(began, Shape { size: from, ..self.shape });
        }
        let size = self.told.as_ref().map_or(from, |step| step.size);
        let scaled = (size != from).then(|| self.scaler.scale(frame, size));
        // One that cannot be scaled is encoded as it is.
        let frame = scaled.as_ref().and_then(|scaled| scaled.as_ref().ok()).unwrap_or(frame);
        let encoded = self.encoder.encode(frame)?;
        let now = clock();
        if let Some(ladder) = &mut self.ladder {
            ladder.handle_frame(
                now,
                FrameReport {
                    encode_time: now - began,
                    qp: encoded.as_ref().and_then(|encoded| encoded.qp),
                    bytes: encoded.as_ref().map_or(0, |encoded| encoded.data.len()),
                    skipped: encoded.is_none(),
                },
            );
        }
        Ok(encoded)
    }

    /// Tells the encoder what has changed.
    fn obey(&mut self) {
        let Some(step) = self.ladder.as_ref().map(Ladder::step) else { return };
        if self.told.as_ref() == Some(&step) {
            return;
        }
        let told = self.told.as_ref();
        if told.is_none_or(|told| told.bitrate != step.bitrate) {
            let bitrate = Some(step.bitrate);
            self.encoder.set_target(EncoderTarget { keyframe: false, bitrate });
        }
        if told.is_none_or(|told| told.frame_rate != step.frame_rate) {
            self.encoder.set_frame_rate(step.frame_rate);
        }
        if told.is_none_or(|told| told.content != step.content) {
            self.encoder.set_content(step.content);
        }
        self.told = Some(step);
    }
}
