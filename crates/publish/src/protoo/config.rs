//! Limits of a client.

/// What a server can make a [`Client`](super::Client) hold.
///
/// ```
/// use paceline_publish::protoo::ClientConfig;
///
/// let config = ClientConfig::default().max_message(64 << 10);
/// ```
#[derive(Clone, Debug)]
pub struct ClientConfig {
    pub(super) max_depth: usize,
    pub(super) max_message: usize,
    pub(super) max_requests: usize,
    pub(super) max_unanswered: usize,
}

impl ClientConfig {
    /// How deep the objects and arrays of a message may lie in each other. Defaults to 16.
    ///
    /// mediasoup's deepest, the parameters of a consumer, have 7 levels. A deeper message is
    /// refused before it is parsed.
    #[must_use]
    pub const fn max_depth(mut self, levels: usize) -> Self {
        self.max_depth = levels;
        self
    }

    /// The longest message to take or to send, in bytes. Defaults to 256 KiB.
    ///
    /// The answer to `join` lists everybody in the room, about 150 bytes each. A longer
    /// message is refused before it is parsed; if it was a response, its request times out.
    #[must_use]
    pub const fn max_message(mut self, bytes: usize) -> Self {
        self.max_message = bytes;
        self
    }

    /// How many of our requests may be without a response. Defaults to 32.
    ///
    /// One more is refused with [`RequestError::TooManyRequests`](super::RequestError).
    #[must_use]
    pub const fn max_requests(mut self, requests: usize) -> Self {
        self.max_requests = requests;
        self
    }

    /// How many of the server's requests may wait for our answer. Defaults to 64.
    ///
    /// One more is rejected at once, with code 503, and counted: the server learns it, and
    /// we hold nothing.
    #[must_use]
    pub const fn max_unanswered(mut self, requests: usize) -> Self {
        self.max_unanswered = requests;
        self
    }
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self { max_depth: 16, max_message: 256 << 10, max_requests: 32, max_unanswered: 64 }
    }
}
