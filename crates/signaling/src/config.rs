//! The bounds of a server that are not part of the protocol.

use std::time::Duration;

use crate::limits::MAX_MEMBERS;

/// Limits on what clients can make [`Rooms`](crate::Rooms) hold.
///
/// ```
/// use paceline_signaling::RoomsConfig;
///
/// let config = RoomsConfig::default().max_members(4);
/// ```
#[derive(Clone, Debug)]
pub struct RoomsConfig {
    pub(crate) announce_timeout: Duration,
    pub(crate) idle_timeout: Duration,
    pub(crate) max_connections: usize,
    pub(crate) max_members: usize,
    pub(crate) pong_timeout: Duration,
    pub(crate) witness_rate: u32,
}

impl RoomsConfig {
    /// How long a new connection has to announce itself. Defaults to 5 s.
    ///
    /// After it, the connection is closed: one that says nothing holds no place.
    /// A `Server` gives as long for the HTTP request before that.
    #[must_use]
    pub const fn announce_timeout(mut self, announce_timeout: Duration) -> Self {
        self.announce_timeout = announce_timeout;
        self
    }

    /// How long a member may be silent before it is pinged. Defaults to 30 s.
    ///
    /// Shorter notices the dead sooner; longer sends less over an idle link, but
    /// some address translators forget a TCP connection after a minute.
    #[must_use]
    pub const fn idle_timeout(mut self, idle_timeout: Duration) -> Self {
        self.idle_timeout = idle_timeout;
        self
    }

    /// Connections at once, over all rooms. Defaults to 1,024.
    ///
    /// At the cap a new connection is closed; none is evicted for it.
    #[must_use]
    pub const fn max_connections(mut self, max_connections: usize) -> Self {
        self.max_connections = max_connections;
        self
    }

    /// Members of one room. Defaults to 32.
    ///
    /// At the cap an announce is refused; none is evicted for it.
    ///
    /// # Panics
    ///
    /// If it is not within 1 to [`MAX_MEMBERS`].
    #[must_use]
    pub const fn max_members(mut self, max_members: usize) -> Self {
        assert!(max_members >= 1 && max_members <= MAX_MEMBERS, "max_members is 1 to MAX_MEMBERS");
        self.max_members = max_members;
        self
    }

    /// How long after a ping a member has to send anything. Defaults to 10 s.
    ///
    /// After it, the connection is closed and the others see the member leave.
    #[must_use]
    pub const fn pong_timeout(mut self, pong_timeout: Duration) -> Self {
        self.pong_timeout = pong_timeout;
        self
    }

    /// Calls to the witness that a member has in a second, and at once. Defaults to 50: a
    /// host renews some 13 times a second, a candidate asks some 20 times.
    ///
    /// More are refused. Lower than what a host sends, and its lease runs out; a call costs
    /// the server about what any other small message does. 0 refuses all: there is no
    /// witness then.
    #[must_use]
    pub const fn witness_rate(mut self, calls_per_second: u32) -> Self {
        self.witness_rate = calls_per_second;
        self
    }
}

impl Default for RoomsConfig {
    fn default() -> Self {
        Self {
            announce_timeout: Duration::from_secs(5),
            idle_timeout: Duration::from_secs(30),
            max_connections: 1_024,
            max_members: 32,
            pong_timeout: Duration::from_secs(10),
            witness_rate: 50,
        }
    }
}
