//! What a participant's screen shows, and what its viewer can ask for.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use paceline::Stats;
use paceline::types::{Bitrate, MixInfo, SenderId, VideoFrame};
use tokio::sync::mpsc;

use crate::changes::Change;

/// What a participant's screen shows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Screen {
    pub(crate) picture: Option<VideoFrame>,
    pub(crate) info: Option<Arc<MixInfo>>,
    pub(crate) names: BTreeMap<SenderId, String>,
    /// In a mesh there is none.
    pub(crate) host: Option<String>,
    /// His number in the room.
    pub(crate) hosting: Option<SenderId>,
    /// What changes of the host have been like.
    pub(crate) changes: Arc<Vec<Change>>,
    pub(crate) mesh: bool,
    pub(crate) speaker: Option<String>,
    pub(crate) stats: Stats,
    /// Pictures a second, over the last second.
    pub(crate) fps: f64,
    /// What all connections carry, both ways, over the last second.
    pub(crate) bitrate: Bitrate,
    /// Of the whole process, over the last second, in parts of one core; `None` where
    /// the system does not tell.
    pub(crate) cpu: Option<f64>,
    /// Each connection, by name.
    pub(crate) peers: Vec<(String, PeerStats)>,
    pub(crate) notice: Option<String>,
    /// How others join, line by line.
    pub(crate) invitation: Arc<Vec<String>>,
    /// Who speaks, by the mix's own levels.
    pub(crate) speaking: Option<SenderId>,
    pub(crate) muted: bool,
    pub(crate) camera_off: bool,
    /// Does what the viewer's keys ask for; `None` before anything was seen.
    pub(crate) control: Option<mpsc::UnboundedSender<Control>>,
}

/// What a person can ask his participant for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Control {
    /// The camera off, or on again.
    Camera,
    /// To let somebody else host, if he does.
    HandOver,
    /// The sound off, or on again.
    Mute,
}

/// One connection, and what comes in from its other end.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct PeerStats {
    pub(crate) rtt: Option<Duration>,
    /// The worst of his streams; `None` if nothing comes from him.
    pub(crate) streams: Option<StreamStats>,
}

/// The worst of several streams.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct StreamStats {
    /// Frames, of all streams together.
    pub(crate) lost: u64,
    pub(crate) jitter: Duration,
    pub(crate) delay: Duration,
}
