//! Every bound of a room, validated before anything is opened.

mod error;

use std::net::IpAddr;
use std::time::Duration;

use paceline_codec::LadderConfig;
use paceline_playout::StageConfig;
#[cfg(feature = "voice")]
use paceline_playout::VoiceConfig;
use paceline_session::{
    JitterConfig, MeshConfig, MigrationConfig, SessionConfig, SyncConfig, Topology,
};
use paceline_transport::WebRtcConfig;
use paceline_transport::rtp::RtpConfig;
use paceline_types::{Bitrate, Carrier, PeerId, PictureFormat, PixelFormat};

pub use self::error::ConfigError;
use crate::publish::MAX_PICTURE;

/// How a room is joined and what it may cost.
///
/// ```
/// use std::time::Duration;
///
/// use paceline::Config;
///
/// let config = Config::default().jitter(Duration::from_millis(80));
/// assert!(config.validate().is_ok());
///
/// let error = config.max_peers(0).validate().unwrap_err();
/// assert_eq!(error.to_string(), "max_peers is 0: it must be 1 to 31");
/// ```
#[derive(Clone, Debug)]
pub struct Config {
    pub(crate) carrier: Carrier,
    pub(crate) picture: PictureFormat,
    pub(crate) video_bitrate: Bitrate,
    pub(crate) mix: Option<(u16, u16, u32)>,
    pub(crate) max_own_picture: Option<(u16, u16, u32)>,
    pub(crate) topology: Topology,
    /// `None`: as many as the topology allows.
    pub(crate) max_peers: Option<usize>,
    pub(crate) jitter: Duration,
    pub(crate) max_jitter: Duration,
    pub(crate) report_interval: Duration,
    pub(crate) join_timeout: Duration,
    pub(crate) migration: MigrationConfig,
    pub(crate) handover_timeout: Duration,
    /// `None`: nobody has said which.
    pub(crate) bind: Option<IpAddr>,
    pub(crate) stun: Vec<String>,
    pub(crate) clapper: bool,
    pub(crate) event_queue: usize,
    /// `None`: that of the format.
    pub(crate) ladder: Option<LadderConfig>,
    #[cfg(feature = "voice")]
    pub(crate) voice: Option<VoiceConfig>,
}

impl Config {
    /// What pictures are encoded as, our own and, if we host, the mix. Defaults to
    /// H.264. Decoders of all formats are always there.
    #[must_use]
    pub const fn picture(mut self, format: PictureFormat) -> Self {
        self.picture = format;
        self
    }

    /// Bits per second of one H.264, VP8 or VP9 picture, at most. Defaults to 1.2 Mbit/s, which
    /// 640×360 at 30 fps needs to look clean; 64 kbit/s to 20 Mbit/s. In a mesh as much goes to
    /// each of the others.
    ///
    /// Where a path takes less, less is sent, and [`degradation`](Self::degradation) says what becomes of
    /// the picture.
    #[must_use]
    pub const fn video_bitrate(mut self, bitrate: Bitrate) -> Self {
        self.video_bitrate = bitrate;
        self
    }

    /// Width, height and frame rate of the mix if we host, or in a mesh of our own view.
    /// Defaults to 640 × 360 at 30 fps for H.264; to 320 × 180 at 15 fps for RGB, which
    /// costs 2.6 MB/s per member even so; to 160 × 90 at 15 fps for cells, of which there
    /// are 160 × 45.
    #[must_use]
    pub const fn mix(mut self, width: u16, height: u16, frame_rate: u32) -> Self {
        self.mix = Some((width, height, frame_rate));
        self
    }

    /// The largest picture of our own that is shown and sent: width and height, both even
    /// and at least 16, and how many a second, 1 to 120. Defaults to what the source makes.
    ///
    /// A larger one is scaled down into it and keeps its shape; of one that is faster,
    /// pictures are left out. In a mesh everybody decodes everybody. Measured: ten people in
    /// one process, each 320 × 180 at 15 a second, take 1.5 cores.
    #[must_use]
    pub const fn max_own_picture(mut self, width: u16, height: u16, frame_rate: u32) -> Self {
        self.max_own_picture = Some((width, height, frame_rate));
        self
    }

    /// What carries the media between us and those who chose the same; all in a room should.
    /// Defaults to [`Carrier::Channel`], the data channel, where nothing is lost and what is
    /// sent again comes late.
    ///
    /// [`Carrier::Rtp`] sends SRTP tracks: what comes late is not waited for. H.264, VP8 and
    /// VP9 pictures and Opus go by it; cells and plain pixels have no payload format and go
    /// over the channel. While somebody reports that sound is lost, and for half a minute
    /// after it, sound is coded as speech, with a copy of the frame before in each, at
    /// 40 kbit/s: where every tenth is lost 10.7 dB are left then and not 1.8. Otherwise, and
    /// over the channel always, it is coded as music, at 48 kbit/s.
    #[must_use]
    pub const fn carrier(mut self, carrier: Carrier) -> Self {
        self.carrier = carrier;
        self
    }

    /// The shape of the room. Defaults to [`Topology::Star`]: one hosts and mixes.
    ///
    /// In a [`Topology::Mesh`] everybody sends to everybody, nobody hosts, and each mixes
    /// what he sees and hears. Nothing on the wire says which it is: all in a room have to
    /// choose the same, or they do not get connected.
    #[must_use]
    pub const fn topology(mut self, topology: Topology) -> Self {
        self.topology = topology;
        self
    }

    /// Connections at a time. Defaults to what the [topology](Self::topology) allows, which
    /// is also the most: 31 in a star, where a mix has 32 places and the host takes one; 9 in
    /// a mesh, where each sends to all. Who finds no place waits until one is free.
    #[must_use]
    pub const fn max_peers(mut self, peers: usize) -> Self {
        self.max_peers = Some(peers);
        self
    }

    /// How long frames wait at least before they are played. Defaults to 20 ms;
    /// 10 to 200 ms. Counts twice on the way through a host.
    ///
    /// It is what a clean network costs; on another one the wait follows the network.
    #[must_use]
    pub const fn jitter(mut self, delay: Duration) -> Self {
        self.jitter = delay;
        self
    }

    /// How far that wait may grow when the network needs it. Defaults to 400 ms, what
    /// ITU-T G.114 still tolerates; up to 1 s, and not below `jitter`.
    ///
    /// What the network lost is sent again, which takes a round trip and some, or two if
    /// it is lost again. A frame that is later than this is not played.
    #[must_use]
    pub const fn max_jitter(mut self, delay: Duration) -> Self {
        self.max_jitter = delay;
        self
    }

    /// How often receivers report. Defaults to 1 s; 100 ms to 10 s.
    #[must_use]
    pub const fn report_interval(mut self, interval: Duration) -> Self {
        self.report_interval = interval;
        self
    }

    /// How long joining may take. Defaults to 5 s; 100 ms to 60 s.
    #[must_use]
    pub const fn join_timeout(mut self, timeout: Duration) -> Self {
        self.join_timeout = timeout;
        self
    }

    /// How the host of a star is kept, doubted and followed. Defaults to those of
    /// [`MigrationConfig`]; all in a room should have the same.
    #[must_use]
    pub fn migration(mut self, config: MigrationConfig) -> Self {
        self.migration = config;
        self
    }

    /// How long a host who leaves waits until another hosts. Defaults to 1.5 s, three times
    /// what getting ready may take; 0 to 10 s.
    ///
    /// After it he leaves nevertheless: somebody is elected, and for half a second nothing
    /// new is seen and heard.
    #[must_use]
    pub const fn handover_timeout(mut self, timeout: Duration) -> Self {
        self.handover_timeout = timeout;
        self
    }

    /// The local address of all sockets. Defaults to 127.0.0.1, this machine only; of a
    /// [`Share`](crate::Share) to the one that reaches the target.
    ///
    /// `0.0.0.0` stands for every address of this machine but loopback and link-local:
    /// each connection then has one socket for each of them.
    #[must_use]
    pub const fn bind(mut self, address: IpAddr) -> Self {
        self.bind = Some(address);
        self
    }

    /// STUN servers as `stun:HOST:PORT`. Defaults to none, which is an error unless
    /// `bind` is a loopback or a private address, or stands for all: nobody outside could
    /// connect.
    #[must_use]
    pub fn stun(mut self, urls: Vec<String>) -> Self {
        self.stun = urls;
        self
    }

    /// Burns a clapper mark into all that we publish, so that latency and lip sync
    /// can be read from the media at the other end. Defaults to off.
    #[must_use]
    pub const fn clapper(mut self, on: bool) -> Self {
        self.clapper = on;
        self
    }

    /// Events, and frames of sound, that may wait for [`Room::next`](crate::Room::next).
    /// Defaults to 256 of each; 16 to 65,536. Over it the oldest is dropped and
    /// counted. Of pictures only the newest waits.
    #[must_use]
    pub const fn event_queue(mut self, events: usize) -> Self {
        self.event_queue = events;
        self
    }

    /// What of our own picture is given up, and when, if our processor or the path takes too
    /// little. Defaults to that of the [format](LadderConfig::of). H.264, VP8 and VP9 only: the
    /// other formats have no bitrate.
    #[must_use]
    pub const fn degradation(mut self, ladder: LadderConfig) -> Self {
        self.ladder = Some(ladder);
        self
    }

    /// What is done to the sound of a microphone before it is sent: echo of what is heard
    /// here, noise, and level. Defaults to all of [`VoiceConfig`]; `None` leaves it as it is,
    /// as one with headphones, or with music, wants it. Files and sources of your own are
    /// always left as they are.
    ///
    /// What is heard here is what the program is given as [`Event::Sound`](crate::Event::Sound),
    /// whether the room's loudspeaker plays it or the program does.
    #[cfg(feature = "voice")]
    #[must_use]
    pub fn voice(mut self, voice: Option<VoiceConfig>) -> Self {
        self.voice = voice;
        self
    }

    /// Checks every field against its bounds.
    ///
    /// # Errors
    ///
    /// The first field that is out of its bounds.
    pub fn validate(&self) -> Result<(), ConfigError> {
        self.validate_media()?;
        let bind = self.local_address();
        if self.stun.is_empty() && !is_local(bind) {
            return Err(ConfigError::NoStun { bind });
        }
        Ok(())
    }

    /// The same for who is connected with servers alone, which are found without STUN.
    pub(crate) fn validate_media(&self) -> Result<(), ConfigError> {
        fn within(
            field: &'static str,
            value: u128,
            min: u128,
            max: u128,
            unit: &'static str,
        ) -> Result<(), ConfigError> {
            if (min..=max).contains(&value) {
                return Ok(());
            }
            Err(ConfigError::OutOfBounds { field, value, min, max, unit })
        }
        let (peers, most) = (self.peers(), self.topology.max_peers());
        if self.topology == Topology::Mesh && peers > most {
            return Err(ConfigError::TooManyForMesh { max_peers: peers });
        }
        within("max_peers", peers as u128, 1, most as u128, "")?;
        if let Some((width, height, frame_rate)) = self.max_own_picture {
            for (field, side, most) in
                [("max_own_picture width", width, 3_840), ("max_own_picture height", height, 2_160)]
            {
                within(field, side.into(), 16, most, "")?;
                if side % 2 != 0 {
                    return Err(ConfigError::Odd { field, value: side });
                }
            }
            within("max_own_picture frame rate", frame_rate.into(), 1, 120, " a second")?;
        }
        within("video_bitrate", self.video_bitrate.bps().into(), 64_000, 20_000_000, " bit/s")?;
        within("jitter", self.jitter.as_millis(), 10, 200, " ms")?;
        within("max_jitter", self.max_jitter.as_millis(), self.jitter.as_millis(), 1_000, " ms")?;
        within("report_interval", self.report_interval.as_millis(), 100, 10_000, " ms")?;
        within("join_timeout", self.join_timeout.as_millis(), 100, 60_000, " ms")?;
        within("handover_timeout", self.handover_timeout.as_millis(), 0, 10_000, " ms")?;
        within("event_queue", self.event_queue as u128, 16, 65_536, "")?;
        if let Some(url) = self.stun.iter().find(|url| !url.starts_with("stun:")) {
            return Err(ConfigError::BadStun { url: url.clone() });
        }
        self.ladder().validate().map_err(ConfigError::Ladder)?;
        self.stage().validate().map_err(ConfigError::Mix)?;
        let (width, height, _) = self.mix_size();
        if self.picture == PictureFormat::Cells {
            within("mix width for cells", width.into(), 160, 160, "")?;
            within("mix height for cells", height.into(), 90, 90, "")?;
        }
        let bytes = match self.picture {
            PictureFormat::Rgb => PixelFormat::Rgb24.bytes(width, height),
            _ => 0,
        };
        within("mix", bytes as u128, 0, MAX_PICTURE as u128, " bytes a picture")
    }

    fn local_address(&self) -> IpAddr {
        self.bind.unwrap_or(IpAddr::from([127, 0, 0, 1]))
    }

    pub(crate) fn peers(&self) -> usize {
        self.max_peers.unwrap_or(self.topology.max_peers())
    }

    pub(crate) fn mix_size(&self) -> (u16, u16, u32) {
        self.mix.unwrap_or(match self.picture {
            // One pixel for each half of a cell: tiles are told in pixels of the mix,
            // and have to be those of the picture that arrives.
            PictureFormat::Cells => (160, 90, 15),
            PictureFormat::Rgb => (320, 180, 15),
            _ => (640, 360, 30),
        })
    }

    pub(crate) fn ladder(&self) -> LadderConfig {
        self.ladder.unwrap_or_else(|| LadderConfig::of(self.picture))
    }

    pub(crate) fn stage(&self) -> StageConfig {
        let (width, height, frame_rate) = self.mix_size();
        StageConfig::default().width(width).height(height).frame_rate(frame_rate)
    }

    pub(crate) fn session(&self) -> SessionConfig {
        let jitter = JitterConfig::default()
            .min_delay(self.jitter)
            .start_delay(self.jitter)
            .max_delay(self.max_jitter)
            .max_late(self.max_jitter);
        let sync = match self.carrier {
            Carrier::Rtp => SyncConfig::default().max_lead(UNNOTICED),
            _ => SyncConfig::default(),
        };
        SessionConfig::default()
            .jitter(jitter)
            .sync(sync)
            .mesh(MeshConfig::new(self.topology).max_peers(self.peers()).carrier(self.carrier))
            .report_interval(self.report_interval)
            .max_video_bitrate(self.video_bitrate)
            .migration(self.migration.clone())
    }

    pub(crate) fn transport(&self, us: PeerId) -> WebRtcConfig {
        WebRtcConfig::default()
            .bind(self.local_address())
            .ice_servers(self.stun.clone())
            .carrier(self.carrier)
            .local_peer(us)
            .rtp(self.rtp())
    }

    /// It begins with what the best picture takes with sound, headers and what is sent again,
    /// and does not look for more than two of them, as around a handover.
    fn rtp(&self) -> RtpConfig {
        let start = self.video_bitrate.bps() * 9 / 8 + 100_000;
        RtpConfig::default()
            .start_bitrate(Bitrate::from_bps(start))
            .max_bitrate(Bitrate::from_bps(start * 2))
    }
}

/// Loopback and private addresses reach their peers without STUN; among all addresses
/// of a machine there may be private ones.
fn is_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            v4.is_loopback() || v4.is_private() || v4.is_link_local() || v4.is_unspecified()
        }
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local(),
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            carrier: Carrier::default(),
            picture: PictureFormat::default(),
            video_bitrate: Bitrate::from_kbps(1_200),
            mix: None,
            max_own_picture: None,
            topology: Topology::Star,
            max_peers: None,
            jitter: Duration::from_millis(20),
            max_jitter: Duration::from_millis(400),
            report_interval: Duration::from_secs(1),
            join_timeout: Duration::from_secs(5),
            migration: MigrationConfig::default(),
            handover_timeout: Duration::from_millis(1_500),
            bind: None,
            stun: Vec::new(),
            clapper: false,
            event_queue: 256,
            ladder: None,
            #[cfg(feature = "voice")]
            voice: Some(VoiceConfig::default()),
        }
    }
}

/// By how much late sound may come after its picture before it is noticed (ITU-R BT.1359-1).
/// With it, in the simulator, pictures over RTP are late for 3.7 s after 4 Mbit/s became 1, and for
/// 5.9 s without.
const UNNOTICED: Duration = Duration::from_millis(125);
