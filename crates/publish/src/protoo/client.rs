//! The machine: who has asked what, and who owes an answer.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::time::{Duration, Instant};

use serde_json::Value;
use tracing::debug;

use super::message::{self, Message};
use super::{ClientConfig, MessageError, RequestError, ResponseError};

/// Names a request of ours.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct RequestId(u32);

impl RequestId {
    pub(super) const fn new(id: u32) -> Self {
        Self(id)
    }

    /// As it is on the wire.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "request {}", self.0)
    }
}

/// Names a request of the server's.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct ServerRequestId(u64);

impl ServerRequestId {
    pub(super) const fn new(id: u64) -> Self {
        Self(id)
    }

    /// As it is on the wire.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for ServerRequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "request {}", self.0)
    }
}

/// What a [`Client`] wants done, or has to tell.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Output {
    /// The server tells something.
    Notification {
        /// What of.
        method: String,
        /// What; an empty object if the server gave none.
        data: Value,
    },
    /// The server asks, and waits for [`Client::accept`] or [`Client::reject`].
    Request {
        /// For the answer.
        id: ServerRequestId,
        /// What for.
        method: String,
        /// Its arguments; an empty object if the server gave none.
        data: Value,
    },
    /// What became of a request of ours. Each has exactly one.
    Response {
        /// Which.
        id: RequestId,
        /// The data of the server's response, or why there is none.
        result: Result<Value, ResponseError>,
    },
    /// A text to send.
    Transmit(String),
}

/// What a [`Client`] has counted since it was made.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct ClientStats {
    /// Texts that were of no use: every [`MessageError`].
    pub malformed: u64,
    /// Notifications of the server's.
    pub notifications: u64,
    /// Requests of ours that the server rejected.
    pub rejected: u64,
    /// Requests of ours.
    pub requests: u64,
    /// Requests of the server's, those included that we had no room for.
    pub server_requests: u64,
    /// Requests of ours that timed out.
    pub timed_out: u64,
}

/// The client's end of one protoo connection, from its opening to its close.
///
/// | group | calls |
/// |---|---|
/// | input | [`handle_text`](Self::handle_text), [`handle_timeout`](Self::handle_timeout), [`handle_closed`](Self::handle_closed) |
/// | asking | [`request`](Self::request), [`notify`](Self::notify) |
/// | answering | [`accept`](Self::accept), [`reject`](Self::reject) |
/// | output | [`poll_output`](Self::poll_output), until `None` |
/// | when next | [`poll_timeout`](Self::poll_timeout) |
///
/// Ids of requests count up from one the caller gives. `protoo-client` draws each at random,
/// which can name two requests alike; servers only hand the number back.
///
/// ```
/// use std::time::Instant;
///
/// use paceline_publish::protoo::{Client, ClientConfig, Output};
/// use serde_json::json;
///
/// let mut client = Client::new(ClientConfig::default(), 7);
/// let id = client.request(Instant::now(), "join", json!({ "displayName": "ada" }))?;
/// assert!(matches!(client.poll_output(), Some(Output::Transmit(text)) if text.contains("join")));
///
/// client.handle_text(r#"{"response":true,"id":7,"ok":true,"data":{"peers":[]}}"#)?;
/// let result = Ok(json!({ "peers": [] }));
/// assert_eq!(client.poll_output(), Some(Output::Response { id, result }));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Client {
    config: ClientConfig,
    next_id: u32,
    /// When each request of ours times out.
    pending: BTreeMap<RequestId, Instant>,
    /// The server's requests that nobody has answered.
    unanswered: BTreeSet<ServerRequestId>,
    outputs: VecDeque<Output>,
    closed: bool,
    stats: ClientStats,
}

impl Client {
    /// The client's end of a connection that has just opened. The first request of ours is
    /// called `first_id`, best a random number.
    #[must_use]
    pub const fn new(config: ClientConfig, first_id: u32) -> Self {
        Self {
            config,
            next_id: first_id,
            pending: BTreeMap::new(),
            unanswered: BTreeSet::new(),
            outputs: VecDeque::new(),
            closed: false,
            stats: ClientStats {
                malformed: 0,
                notifications: 0,
                rejected: 0,
                requests: 0,
                server_requests: 0,
                timed_out: 0,
            },
        }
    }

    /// Asks the server. What becomes of it is an [`Output::Response`], at the latest when
    /// [`time_out`] is over.
    ///
    /// # Errors
    ///
    /// If the connection is closed, too many requests are outstanding, or this one is too long.
    pub fn request(
        &mut self,
        now: Instant,
        method: &str,
        data: Value,
    ) -> Result<RequestId, RequestError> {
        if self.closed {
            return Err(RequestError::Closed);
        }
        let limit = self.config.max_requests;
        if self.pending.len() >= limit {
            return Err(RequestError::TooManyRequests { limit });
        }
        let mut id = RequestId(self.next_id);
        while self.pending.contains_key(&id) {
            id = RequestId(id.0.wrapping_add(1));
        }
        self.transmit(message::request(id, method, data))?;
        self.next_id = id.0.wrapping_add(1);
        self.pending.insert(id, now + time_out(self.pending.len()));
        self.stats.requests += 1;
        Ok(id)
    }

    /// Tells the server something it does not answer.
    ///
    /// # Errors
    ///
    /// If the connection is closed, or the text is too long.
    pub fn notify(&mut self, method: &str, data: Value) -> Result<(), RequestError> {
        self.transmit(message::notification(method, data))
    }

    /// Answers a request of the server's with yes.
    ///
    /// # Errors
    ///
    /// If no such request waits, the connection is closed, or the answer is too long.
    pub fn accept(&mut self, id: ServerRequestId, data: Value) -> Result<(), RequestError> {
        self.answer(id, message::accepted(id, data))
    }

    /// Answers a request of the server's with no. Codes are those of HTTP, by custom.
    ///
    /// # Errors
    ///
    /// If no such request waits, the connection is closed, or the answer is too long.
    pub fn reject(
        &mut self,
        id: ServerRequestId,
        code: u16,
        reason: &str,
    ) -> Result<(), RequestError> {
        self.answer(id, message::rejected(id, code, reason))
    }

    /// Takes in a text from the socket. At most one output comes of it, and none after
    /// [`handle_closed`](Self::handle_closed).
    ///
    /// # Errors
    ///
    /// If it is of no use. It is counted, and nothing else is lost by it.
    pub fn handle_text(&mut self, text: &str) -> Result<(), MessageError> {
        if self.closed {
            return Ok(());
        }
        let (max_message, max_depth) = (self.config.max_message, self.config.max_depth);
        Message::parse(text, max_message, max_depth)
            .and_then(|message| self.handle_message(message))
            .inspect_err(|error| {
                self.stats.malformed += 1;
                debug!(%error, "message is of no use");
            })
    }

    /// Lets time pass. Calling it early or twice does nothing.
    pub fn handle_timeout(&mut self, now: Instant) {
        let late: Vec<_> =
            self.pending.iter().filter(|(_, due)| **due <= now).map(|(id, _)| *id).collect();
        for id in late {
            self.pending.remove(&id);
            self.stats.timed_out += 1;
            self.outputs.push_back(Output::Response { id, result: Err(ResponseError::TimedOut) });
        }
    }

    /// The connection is gone: every request of ours ends, and nothing can be sent.
    pub fn handle_closed(&mut self) {
        self.closed = true;
        self.unanswered.clear();
        for (id, _) in std::mem::take(&mut self.pending) {
            self.outputs.push_back(Output::Response { id, result: Err(ResponseError::Closed) });
        }
    }

    /// Takes what is to be done or told, in order.
    #[must_use]
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When the next request of ours times out, if one is outstanding.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.pending.values().min().copied()
    }

    /// What was counted.
    #[must_use]
    pub const fn stats(&self) -> ClientStats {
        self.stats
    }

    fn handle_message(&mut self, message: Message) -> Result<(), MessageError> {
        let output = match message {
            Message::Notification { method, data } => {
                self.stats.notifications += 1;
                Output::Notification { method, data }
            }
            Message::Request { id, method, data } => {
                self.stats.server_requests += 1;
                self.hold(id)?;
                Output::Request { id, method, data }
            }
            Message::Response { id, result } => {
                self.pending.remove(&id).ok_or(MessageError::Unsolicited(id))?;
                self.stats.rejected += u64::from(result.is_err());
                Output::Response { id, result }
            }
        };
        self.outputs.push_back(output);
        Ok(())
    }

    /// Remembers that the server waits.
    fn hold(&mut self, id: ServerRequestId) -> Result<(), MessageError> {
        let limit = self.config.max_unanswered;
        if self.unanswered.contains(&id) {
            return Err(MessageError::DuplicateRequest(id));
        }
        if self.unanswered.len() >= limit {
            let busy = message::rejected(id, BUSY, "too many requests");
            self.outputs.push_back(Output::Transmit(busy));
            return Err(MessageError::TooManyRequests { limit });
        }
        self.unanswered.insert(id);
        Ok(())
    }

    fn answer(&mut self, id: ServerRequestId, text: String) -> Result<(), RequestError> {
        if self.closed {
            return Err(RequestError::Closed);
        }
        if !self.unanswered.contains(&id) {
            return Err(RequestError::NotAsked(id));
        }
        self.transmit(text)?;
        self.unanswered.remove(&id);
        Ok(())
    }

    fn transmit(&mut self, text: String) -> Result<(), RequestError> {
        let (len, limit) = (text.len(), self.config.max_message);
        if self.closed {
            return Err(RequestError::Closed);
        }
        if len > limit {
            return Err(RequestError::TooLarge { len, limit });
        }
        self.outputs.push_back(Output::Transmit(text));
        Ok(())
    }
}

/// How long to wait for a response if so many other requests are outstanding:
/// 1,500 ms × (15 + 0.1 × n), as `protoo-client` has it (`Peer.request`).
///
/// ```
/// use std::time::Duration;
///
/// assert_eq!(paceline_publish::protoo::time_out(0), Duration::from_millis(22_500));
/// ```
#[must_use]
pub fn time_out(outstanding: usize) -> Duration {
    let outstanding = u64::try_from(outstanding).unwrap_or(u64::MAX);
    Duration::from_millis(outstanding.saturating_mul(150).saturating_add(22_500))
}

/// "Service unavailable" (RFC 9110 §15.6.4).
const BUSY: u16 = 503;
