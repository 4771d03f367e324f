//! What a network is like.

use std::time::Duration;

use paceline_transport::rtp::RtpConfig;
use paceline_types::Carrier;

use crate::LinkConfig;
use crate::reliable::Recovery;

/// The links, and the engine at each end of them.
///
/// ```
/// use std::time::Duration;
///
/// use paceline_sim::{LinkConfig, NetworkConfig};
///
/// let config = NetworkConfig::from(LinkConfig::wan()).max_op_delay(Duration::from_millis(5));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct NetworkConfig {
    pub(super) link: LinkConfig,
    pub(super) max_op_delay: Duration,
    pub(super) max_outstanding: usize,
    pub(super) receive_window: usize,
    pub(super) recovery: Recovery,
    pub(super) carrier: Carrier,
    pub(super) rtp: RtpConfig,
}

impl NetworkConfig {
    /// How long an engine may take for each thing it is asked to do, one after the
    /// other: anything from nothing to this is equally likely. Defaults to zero.
    ///
    /// With it there is a time in which an offer is being made and nobody has seen it:
    /// what perfect negotiation calls `makingOffer`.
    #[must_use]
    pub const fn max_op_delay(mut self, delay: Duration) -> Self {
        self.max_op_delay = delay;
        self
    }

    /// Bytes of one connection that may be handed over and not acknowledged. Defaults
    /// to 1 MiB, the engine's own limit.
    ///
    /// Above it a message is refused. It is not meant to be met: the sender's window
    /// is.
    #[must_use]
    pub const fn max_outstanding(mut self, bytes: usize) -> Self {
        self.max_outstanding = bytes;
        self
    }

    /// Bytes of one connection that may wait to be read. Defaults to 1 MiB, as the
    /// engine has it.
    ///
    /// What comes above it is thrown away unacknowledged, and sent again: who does not
    /// read holds up who sends to him.
    #[must_use]
    pub const fn receive_window(mut self, bytes: usize) -> Self {
        self.receive_window = bytes;
        self
    }

    /// How what is lost is sent again. Defaults to [`Recovery::Quick`].
    #[must_use]
    pub const fn recovery(mut self, recovery: Recovery) -> Self {
        self.recovery = recovery;
        self
    }

    /// Whether connections carry RTP beside their messages. Defaults to
    /// [`Carrier::Channel`]: they do not.
    ///
    /// RTP goes over the same links as all else, through the same queues; what is lost there
    /// is asked for again by the same chain as in the engine. It is not encrypted.
    #[must_use]
    pub const fn carrier(mut self, carrier: Carrier) -> Self {
        self.carrier = carrier;
        self
    }

    /// Its reports, retransmissions and congestion control. Defaults to those of
    /// [`RtpConfig`].
    #[must_use]
    pub const fn rtp(mut self, rtp: RtpConfig) -> Self {
        self.rtp = rtp;
        self
    }
}

impl Default for NetworkConfig {
    fn default() -> Self {
        LinkConfig::default().into()
    }
}

impl From<LinkConfig> for NetworkConfig {
    /// All links are this one, with the engine of the defaults.
    fn from(link: LinkConfig) -> Self {
        Self {
            link,
            max_op_delay: Duration::ZERO,
            max_outstanding: 1 << 20,
            receive_window: 1 << 20,
            recovery: Recovery::default(),
            carrier: Carrier::Channel,
            rtp: RtpConfig::default(),
        }
    }
}
