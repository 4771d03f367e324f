//! How much an uplink may hold.

use std::time::Duration;

/// What an uplink may hold, and how long it may take to close.
///
/// ```
/// use paceline_transport::UplinkLimits;
///
/// let limits = UplinkLimits::default().queue(256).history(2_048);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct UplinkLimits {
    pub(crate) history: u16,
    pub(crate) queue: usize,
    pub(crate) reports: usize,
    pub(crate) max_packet: usize,
    pub(crate) close_timeout: Duration,
}

impl UplinkLimits {
    /// Packets of each track that are kept to be sent again. Defaults to 1,024; at most 16,384,
    /// so that new ones are never taken for old ones.
    ///
    /// At 4 Mbit/s 1,024 is 3 s, and 1.2 MB of memory. What was asked for later than that
    /// is not sent again, and the other end asks for a keyframe.
    #[must_use]
    pub const fn history(mut self, packets: u16) -> Self {
        self.history = packets;
        self
    }

    /// Packets that are handed over and not yet with the kernel. Defaults to 512; at least 1, at
    /// most 65,536.
    ///
    /// When it is full, `try_send` refuses and the refusal is counted. It fills only while ICE
    /// looks for a path anew or the processor is short.
    #[must_use]
    pub const fn queue(mut self, packets: usize) -> Self {
        self.queue = packets;
        self
    }

    /// Compounds of RTCP that wait to be polled. Defaults to 64.
    ///
    /// When it is full the newest is dropped and counted: whoever wants a keyframe
    /// asks again.
    #[must_use]
    pub const fn reports(mut self, compounds: usize) -> Self {
        self.reports = compounds;
        self
    }

    /// Bytes of the largest packet that is taken. Defaults to 1,250.
    ///
    /// Header extensions, what SRTP adds (20 at most), UDP and IP (48) come on top: with them,
    /// 1,250 fits an MTU of 1,350, that of most tunnels.
    #[must_use]
    pub const fn max_packet(mut self, bytes: usize) -> Self {
        self.max_packet = bytes;
        self
    }

    /// How long closing may take before the task is dropped. Defaults to 1 s.
    #[must_use]
    pub const fn close_timeout(mut self, timeout: Duration) -> Self {
        self.close_timeout = timeout;
        self
    }
}

impl Default for UplinkLimits {
    fn default() -> Self {
        Self {
            history: 1_024,
            queue: 512,
            reports: 64,
            max_packet: 1_250,
            close_timeout: Duration::from_secs(1),
        }
    }
}
