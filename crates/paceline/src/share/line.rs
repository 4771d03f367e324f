//! A way to an SFU, as a share sees it: an SFU's, or in a test anything.

use std::fmt;
use std::time::Instant;

use paceline_publish::Failure;
use paceline_publish::rtp_parameters::Level;
use paceline_types::{Bitrate, EncodedFrame};

use super::{SenderFigures, SfuTarget};

/// Makes lines.
pub(super) trait Dial: Clone + fmt::Debug + Send + Sync + 'static {
    /// What is made.
    type Line: Line;

    /// One attempt: when it returns, media may be sent. When `given_up` comes to its end it is
    /// not wanted any more, and returns as soon as who was called knows.
    fn dial(
        &self,
        target: SfuTarget,
        given_up: impl Future<Output = ()> + Send,
    ) -> impl Future<Output = Result<Self::Line, Failure>> + Send;
}

/// A way on which media may be sent.
pub(super) trait Line: fmt::Debug + Send + 'static {
    /// Makes packets of a frame, and sends them or has them wait; itself it waits for nothing.
    fn send(&mut self, now: Instant, frame: &EncodedFrame) -> Result<(), Missed>;

    /// What happens next. Cancel-safe. After [`LineEvent::Closed`] it is not asked again.
    fn next(&mut self) -> impl Future<Output = LineEvent> + Send;

    /// What it has carried.
    fn figures(&self) -> SenderFigures;

    /// Tells the other end that nothing more comes.
    fn close(self) -> impl Future<Output = ()> + Send;
}

/// A frame was not taken, and will not be.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Missed {
    /// Too much waits to be sent.
    Full,
    /// It is over, and [`Line::next`] is about to tell why: that is no failure of its own.
    Gone,
    /// Another reason, in a line for a person.
    Refused(String),
}

/// What a line tells.
#[derive(Clone, Debug)]
pub(super) enum LineEvent {
    /// What the path takes of the picture.
    Bitrate(Bitrate),
    /// It is over.
    Closed(Failure),
    /// The picture has to begin anew.
    KeyframeNeeded,
    /// Less of H.264 is taken than the pictures may need.
    LevelLowered { wanted: Level, agreed: Level },
    /// There is a path, or none for now.
    Path { up: bool },
}
