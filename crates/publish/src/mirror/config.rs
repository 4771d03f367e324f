//! Where a mirror sends, what, and how much.

use std::error::Error;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use paceline_framing::rtp::Codec;
use paceline_types::{Bitrate, StreamId};

/// What a [`Mirror`](super::Mirror) sends to whom.
///
/// ```
/// use paceline_framing::rtp::Codec;
/// use paceline_publish::mirror::{Mirror, MirrorConfig, MirrorConfigError};
/// use paceline_publish::types::StreamId;
///
/// let config = MirrorConfig::default()
///     .stream(StreamId::VIDEO, Codec::H264)
///     .stream(StreamId::AUDIO, Codec::Opus)
///     .first_port(6_000);
/// assert!(Mirror::new(config.clone()).is_ok());
///
/// let elsewhere = config.address("192.0.2.1".parse()?);
/// let error = Mirror::new(elsewhere.clone()).unwrap_err();
/// assert_eq!(error, MirrorConfigError::BeyondThisMachine("192.0.2.1".parse()?));
/// assert!(Mirror::new(elsewhere.beyond_this_machine()).is_ok());
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[derive(Clone, Debug)]
pub struct MirrorConfig {
    pub(super) address: IpAddr,
    beyond_this_machine: bool,
    first_port: u16,
    pub(super) max_rate: Bitrate,
    pub(super) streams: Vec<(StreamId, Codec)>,
}

impl MirrorConfig {
    /// Where to send. Defaults to 127.0.0.1.
    #[must_use]
    pub const fn address(mut self, address: IpAddr) -> Self {
        self.address = address;
        self
    }

    /// Lets the address be of another machine. Whoever is on the way there can see and hear
    /// all that is sent: for a network that is yours alone.
    #[must_use]
    pub const fn beyond_this_machine(mut self) -> Self {
        self.beyond_this_machine = true;
        self
    }

    /// The port of the first stream; each further one has the next but one, as players
    /// expect RTCP in between. Defaults to 5004.
    #[must_use]
    pub const fn first_port(mut self, first_port: u16) -> Self {
        self.first_port = first_port;
        self
    }

    /// How much is sent at most, over a second. Defaults to 20 Mbit/s: more than any picture
    /// that is sent to an SFU takes.
    ///
    /// What is over it is not mirrored, a whole frame at a time.
    #[must_use]
    pub const fn max_rate(mut self, max_rate: Bitrate) -> Self {
        self.max_rate = max_rate;
        self
    }

    /// Adds a stream, or gives it another codec. By default there is none.
    #[must_use]
    pub fn stream(mut self, stream: StreamId, codec: Codec) -> Self {
        match self.streams.iter_mut().find(|known| known.0 == stream) {
            Some(known) => known.1 = codec,
            None => self.streams.push((stream, codec)),
        }
        self
    }

    pub(super) const fn port(&self, index: usize) -> u16 {
        self.first_port.saturating_add((index as u16).saturating_mul(2))
    }

    pub(super) fn check(&self) -> Result<(), MirrorConfigError> {
        let address = self.address.to_canonical();
        if address.is_unspecified() || address.is_multicast() || address == Ipv4Addr::BROADCAST {
            return Err(MirrorConfigError::NotOneMachine(self.address));
        }
        if !address.is_loopback() && !self.beyond_this_machine {
            return Err(MirrorConfigError::BeyondThisMachine(self.address));
        }
        let ports = usize::from(u16::MAX - self.first_port) / 2 + 1;
        if self.first_port == 0 || self.streams.len() > ports {
            return Err(MirrorConfigError::NoPort);
        }
        Ok(())
    }
}

impl Default for MirrorConfig {
    fn default() -> Self {
        Self {
            address: Ipv4Addr::LOCALHOST.into(),
            beyond_this_machine: false,
            first_port: FIRST_PORT,
            max_rate: MAX_RATE,
            streams: Vec::new(),
        }
    }
}

/// A [`MirrorConfig`] that cannot be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum MirrorConfigError {
    /// The address is not of this machine: say that it may be.
    BeyondThisMachine(IpAddr),
    /// There is no port for each stream: begin with a lower one, but not with 0.
    NoPort,
    /// The address is of no machine or of many.
    NotOneMachine(IpAddr),
}

impl fmt::Display for MirrorConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BeyondThisMachine(address) => {
                write!(f, "{address} is not this machine, and nobody asked for another")
            }
            Self::NoPort => f.write_str("there is no port for each stream"),
            Self::NotOneMachine(address) => write!(f, "{address} is not the address of a machine"),
        }
    }
}

impl Error for MirrorConfigError {}

/// RFC 3551 §8: the port of RTP where nothing else was agreed on.
const FIRST_PORT: u16 = 5_004;

/// Ours: screens in full size take 8 Mbit/s at the most.
const MAX_RATE: Bitrate = Bitrate::from_kbps(20_000);
