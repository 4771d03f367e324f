//! What to publish, and how.

use std::time::Duration;

use super::SrtpParameters;
use crate::protoo::ClientConfig;
use crate::rtp_parameters::{Codec, Stream};

/// What a [`Flow`](super::Flow) publishes, and over which kind of transport.
///
/// ```
/// use std::time::Duration;
///
/// use paceline_publish::mediasoup::FlowConfig;
/// use paceline_publish::rtp_parameters::Codec;
///
/// let video = Codec::h264(1280, 720, 30).expect("within H.264's levels");
/// let config = FlowConfig::web_rtc(vec![video, Codec::opus()])
///     .display_name("ada")
///     .connect_timeout(Duration::from_secs(10));
/// ```
#[derive(Clone, Debug)]
pub struct FlowConfig {
    pub(super) route: Route,
    pub(super) client: ClientConfig,
    pub(super) connect_timeout: Duration,
    pub(super) display_name: String,
    pub(super) force_tcp: bool,
    pub(super) restart_when_down: bool,
    pub(super) video_source: String,
}

/// Which transport, and what it needs.
#[derive(Clone, Debug)]
pub(super) enum Route {
    Plain { streams: Vec<(Codec, Stream)>, srtp: SrtpParameters },
    WebRtc { codecs: Vec<Codec> },
}

impl FlowConfig {
    /// Over a `WebRtcTransport`: ICE, DTLS-SRTP, and the numbers of an engine's offer. What
    /// is to be preferred. Streams are produced in the order given.
    #[must_use]
    pub fn web_rtc(codecs: Vec<Codec>) -> Self {
        Self::new(Route::WebRtc { codecs })
    }

    /// Over a `PlainTransport` with SRTP under our key, for a server in the same network:
    /// no ICE, and the server learns where we are from our first packet. The server must know
    /// `createPlainTransport` and `connectPlainTransport`; mediasoup's demo does not.
    #[must_use]
    pub fn plain(streams: Vec<(Codec, Stream)>, srtp: SrtpParameters) -> Self {
        Self::new(Route::Plain { streams, srtp })
    }

    fn new(route: Route) -> Self {
        Self {
            route,
            client: ClientConfig::default(),
            connect_timeout: Duration::from_secs(30),
            display_name: "paceline".to_owned(),
            force_tcp: false,
            restart_when_down: true,
            video_source: "screensharing".to_owned(),
        }
    }

    /// Limits on what the server can make us hold.
    #[must_use]
    pub fn client(mut self, client: ClientConfig) -> Self {
        self.client = client;
        self
    }

    /// From the open socket until media can flow. Defaults to 30 s.
    ///
    /// Longer than that, and the flow has failed. A single request times out after 22.5 s
    /// (see [`time_out`](crate::protoo::time_out)), so a shorter time hides which one it was.
    #[must_use]
    pub const fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// The name others in the room see. Defaults to `paceline`.
    #[must_use]
    pub fn display_name(mut self, name: impl Into<String>) -> Self {
        self.display_name = name.into();
        self
    }

    /// Whether the server is to offer TCP alone. It is not by default.
    #[must_use]
    pub const fn force_tcp(mut self, force_tcp: bool) -> Self {
        self.force_tcp = force_tcp;
        self
    }

    /// Whether ICE is restarted when the engine lost its path. It is by default; without, the
    /// path can only come back by itself.
    #[must_use]
    pub const fn restart_when_down(mut self, restart: bool) -> Self {
        self.restart_when_down = restart;
        self
    }

    /// What newer demo servers show the pictures as: `screensharing`, the default, or `video`.
    #[must_use]
    pub fn video_source(mut self, source: impl Into<String>) -> Self {
        self.video_source = source.into();
        self
    }
}
