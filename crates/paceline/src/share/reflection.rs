//! The copy of what goes to an SFU, for who looks at it on this machine.

use std::time::{Duration, Instant};

use paceline_framing::rtp::Codec;
use paceline_publish::mirror::{
    Description, Mirror, MirrorConfig, MirrorConfigError, MirrorSocket, MirrorSocketStats,
    MirrorStats,
};
use paceline_types::{EncodedFrame, PictureFormat, StreamId};

use super::builder::ShareError;

/// A mirror and its sockets.
#[derive(Debug)]
pub(super) struct Reflection {
    mirror: Mirror,
    socket: MirrorSocket,
    newcomers: Newcomers,
}

/// Who came and has seen nothing yet.
#[derive(Debug, Default)]
struct Newcomers {
    /// There is somebody.
    wait: bool,
    /// When a keyframe was last wanted for one.
    wanted: Option<Instant>,
}

impl Newcomers {
    /// A keyframe is shown: whoever was there by now can begin.
    fn handle_keyframe(&mut self) {
        self.wait = false;
    }

    /// Somebody has come.
    fn handle_arrival(&mut self) {
        self.wait = true;
    }

    /// Whether a keyframe is to be made now.
    fn poll(&mut self, now: Instant) -> bool {
        let is_early = self.wanted.is_some_and(|at| now.saturating_duration_since(at) < RARELY);
        let wants = self.wait && !is_early;
        if wants {
            (self.wait, self.wanted) = (false, Some(now));
        }
        wants
    }
}

/// How it will be, checked.
#[derive(Clone, Debug)]
pub(super) struct Looks {
    config: MirrorConfig,
    pub(super) description: Description,
}

/// What was copied, and what became of the packets.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct ShareMirrorStats {
    /// Of the frames.
    pub frames: MirrorStats,
    /// Of their packets.
    pub socket: MirrorSocketStats,
}

impl Looks {
    /// Of a picture in this format, and a sound if there is one.
    pub(super) fn new(
        config: MirrorConfig,
        picture: PictureFormat,
        has_audio: bool,
    ) -> Result<Self, MirrorConfigError> {
        let codec = match picture {
            PictureFormat::Vp8 => Codec::Vp8,
            PictureFormat::Vp9 => Codec::Vp9,
            // A plan with a format that has no payload is refused before this.
            _ => Codec::H264,
        };
        let config = config.stream(StreamId::VIDEO, codec);
        let config = if has_audio { config.stream(StreamId::AUDIO, Codec::Opus) } else { config };
        let description = Mirror::new(config.clone())?.description();
        Ok(Self { config, description })
    }
}

impl Reflection {
    pub(super) fn open(looks: &Looks) -> Result<Self, ShareError> {
        let mirror = Mirror::new(looks.config.clone())?;
        let socket = MirrorSocket::open(&mirror).map_err(ShareError::MirrorSocket)?;
        Ok(Self { mirror, socket, newcomers: Newcomers::default() })
    }

    /// Shows what was handed over to be sent; `true` if whoever looks needs a keyframe to begin.
    pub(super) fn handle_frame(&mut self, now: Instant, frame: &EncodedFrame) -> bool {
        if frame.coding.is_key() && !frame.coding.is_audio() {
            self.newcomers.handle_keyframe();
        }
        // What is not shown is counted.
        for datagram in self.mirror.handle_frame(now, frame).into_iter().flatten() {
            self.socket.send(&datagram);
        }
        if self.socket.poll_newcomer() {
            self.newcomers.handle_arrival();
        }
        self.newcomers.poll(now)
    }

    pub(super) fn stats(&self) -> ShareMirrorStats {
        ShareMirrorStats { frames: self.mirror.stats(), socket: self.socket.stats() }
    }
}

/// How often whoever looks may have a keyframe made: it is sent to the SFU as well, and costs as
/// much as ten pictures.
const RARELY: Duration = Duration::from_secs(1);

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "one instant to count from")]
mod tests {
    use super::*;

    #[test]
    fn who_comes_too_soon_after_another_waits_for_a_keyframe_and_is_not_forgotten() {
        let (mut newcomers, begun) = (Newcomers::default(), Instant::now());
        let after = |ms| begun + Duration::from_millis(ms);
        assert!(!newcomers.poll(after(0)), "nobody is there");
        newcomers.handle_arrival();
        assert!(newcomers.poll(after(10)));
        newcomers.handle_keyframe();
        newcomers.handle_arrival();
        assert!(!newcomers.poll(after(20)) && !newcomers.poll(after(1_009)));
        assert!(newcomers.poll(after(1_010)));
        // One who is there when a keyframe comes, for whatever reason, needs no other.
        newcomers.handle_arrival();
        newcomers.handle_keyframe();
        assert!(!newcomers.poll(after(9_000)));
    }
}
