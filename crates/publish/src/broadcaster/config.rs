//! Who publishes what, and where.

use crate::mediasoup::SrtpParameters;
use crate::rtp_parameters::{Codec, Stream};

/// What a [`Flow`](super::Flow) publishes, in which room, under which name.
///
/// ```
/// use paceline_publish::broadcaster::FlowConfig;
/// use paceline_publish::rtp_parameters::Codec;
///
/// let config = FlowConfig::web_rtc("lobby", "screen-1", vec![Codec::Vp8])?.display_name("ada");
/// assert!(FlowConfig::web_rtc("..", "screen-1", vec![Codec::Vp8]).is_err());
/// # Ok::<(), paceline_publish::broadcaster::NameError>(())
/// ```
#[derive(Clone, Debug)]
pub struct FlowConfig {
    pub(super) room: String,
    pub(super) broadcaster: String,
    pub(super) display_name: String,
    pub(super) route: Route,
    pub(super) video_source: String,
}

#[derive(Clone, Debug)]
pub(super) enum Route {
    Plain { streams: Vec<(Codec, Stream)>, srtp: SrtpParameters },
    WebRtc { codecs: Vec<Codec> },
}

/// A name of a room or a broadcaster that cannot stand in a path.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the name of the {0} is empty, longer than 128 bytes, or made of dots")]
pub struct NameError(&'static str);

impl FlowConfig {
    /// Over a `WebRtcTransport`: ICE, DTLS-SRTP, and the numbers of an engine's offer. The
    /// older demo server has it for broadcasters, the newer has not.
    ///
    /// # Errors
    ///
    /// If one of the names cannot stand in a path.
    pub fn web_rtc(
        room: impl Into<String>,
        broadcaster: impl Into<String>,
        codecs: Vec<Codec>,
    ) -> Result<Self, NameError> {
        Self::new(room.into(), broadcaster.into(), Route::WebRtc { codecs })
    }

    /// Over a `PlainTransport` with SRTP under our key, for a server in the same network.
    ///
    /// # Errors
    ///
    /// If one of the names cannot stand in a path.
    pub fn plain(
        room: impl Into<String>,
        broadcaster: impl Into<String>,
        streams: Vec<(Codec, Stream)>,
        srtp: SrtpParameters,
    ) -> Result<Self, NameError> {
        Self::new(room.into(), broadcaster.into(), Route::Plain { streams, srtp })
    }

    fn new(room: String, broadcaster: String, route: Route) -> Result<Self, NameError> {
        for (what, name) in [("room", &room), ("broadcaster", &broadcaster)] {
            if name.len() > MAX_NAME || name.chars().all(|c| c == '.') {
                return Err(NameError(what));
            }
        }
        let (display_name, video_source) = ("paceline".to_owned(), "screensharing".to_owned());
        Ok(Self { room, broadcaster, display_name, route, video_source })
    }

    /// The name others in the room see. Defaults to `paceline`.
    #[must_use]
    pub fn display_name(mut self, name: impl Into<String>) -> Self {
        self.display_name = name.into();
        self
    }

    /// What newer demo servers show the pictures as: `screensharing`, the default, or `video`.
    #[must_use]
    pub fn video_source(mut self, source: impl Into<String>) -> Self {
        self.video_source = source.into();
        self
    }
}

/// Of a room or a broadcaster, in bytes: three times that is a line of a request.
const MAX_NAME: usize = 128;
