//! What goes into the ladder, and what comes out.

use std::fmt;
use std::time::Duration;

use paceline_types::{Bitrate, Content};

/// What is given up last when not all can be kept: the words of the W3C's WebRTC
/// extensions (`RTCDegradationPreference`).
///
/// It is a preference. What it maintains is degraded too once nothing else is left:
/// a picture that is small, or moves little, is worth more than one that stands still.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum DegradationPreference {
    /// Both in turn: how few pictures a second are bearable depends on how large they are.
    #[default]
    Balanced,
    /// Movement: the size goes first.
    MaintainFramerate,
    /// Sharpness, as for text: the frame rate goes first.
    MaintainResolution,
}

/// What became of one picture that the encoder was given.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct FrameReport {
    /// How long whoever encodes was busy with it: with scaling it too, if that is done in
    /// the same thread.
    pub encode_time: Duration,
    /// The quantizer, as [`EncodedPicture::qp`](crate::EncodedPicture::qp) has it.
    pub qp: Option<u8>,
    /// How many bytes came out.
    pub bytes: usize,
    /// The encoder left it out to keep the bitrate.
    pub skipped: bool,
}

/// What the encoder is to do from the next picture on.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Step {
    /// Width and height in pixels that pictures are scaled to. 0 × 0 before there is a
    /// source.
    pub size: (u16, u16),
    /// Pictures a second at most; those that are more are not encoded.
    pub frame_rate: f64,
    /// What the rate control aims at.
    pub bitrate: Bitrate,
    /// As what they are encoded.
    pub content: Content,
}

impl Step {
    /// Pixels of a picture.
    #[must_use]
    pub const fn pixels(&self) -> u32 {
        self.size.0 as u32 * self.size.1 as u32
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { size: (width, height), frame_rate, bitrate, content } = self;
        let content = match content {
            Content::Screen => "screen",
            _ => "camera",
        };
        write!(f, "{width}×{height} {frame_rate:.1} fps {bitrate} {content}")
    }
}

/// A step was taken.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Change {
    /// What held before.
    pub from: Step,
    /// What holds now.
    pub to: Step,
    /// Why.
    pub cause: Cause,
    /// Which way.
    pub direction: Direction,
}

/// Why a step was taken: down, what was short; up, of what there is enough again.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Cause {
    /// Time to encode.
    Cpu,
    /// Room on the path.
    Network(NetworkCause),
    /// The source has another size, rate or content, so that some rungs hold no longer, or
    /// more are needed.
    Source,
}

/// How the path showed it.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum NetworkCause {
    /// The target of [`handle_target`](crate::Ladder::handle_target).
    Bitrate,
    /// Pictures that the encoder leaves out.
    Drops,
    /// The quantizer.
    Qp,
    /// What waits to be sent.
    Queue,
}

/// Which way a step goes.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "there is no third way")]
pub enum Direction {
    /// To less.
    Down,
    /// To more.
    Up,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cpu => "cpu",
            Self::Network(NetworkCause::Bitrate) => "bitrate",
            Self::Network(NetworkCause::Drops) => "drops",
            Self::Network(NetworkCause::Qp) => "qp",
            Self::Network(NetworkCause::Queue) => "queue",
            Self::Source => "source",
        })
    }
}

/// How far down the ladder is, and what took it there.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct LadderStats {
    /// Rungs below the best. What the bitrate does on its own is not counted.
    pub level: usize,
    /// Those of them that CPU pressure took.
    pub cpu_level: usize,
    /// Those of them that network pressure took.
    pub network_level: usize,
    /// Steps down for want of time to encode, ever.
    pub down_cpu: u64,
    /// Steps down because the encoder left out pictures, ever.
    pub down_drops: u64,
    /// Steps down for a coarse quantizer, ever.
    pub down_qp: u64,
    /// Steps up, ever, of both causes. Rungs that a new source took away are not counted.
    pub up: u64,
    /// Steps up that were soon undone, ever: each made the next one wait longer.
    pub undone: u64,
    /// Cuts of the bitrate because too much waited to be sent, ever.
    pub queue_cuts: u64,
    /// Changes that nobody polled in time, ever.
    pub unread: u64,
    /// The part of the time that encoding took in the last window; 1 is all of it.
    pub usage: f64,
    /// The mean quantizer of the last window, if there is one.
    pub qp: Option<f64>,
    /// What the path was last said to take.
    pub target: Bitrate,
}
