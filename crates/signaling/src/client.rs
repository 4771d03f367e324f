//! The client: one peer's place in one room, without a socket.

use std::collections::{BTreeMap, VecDeque};

use paceline_migration::{Lease, VoteRequest, WitnessReply, WitnessRequest};
use paceline_types::{PeerId, Signal};
use serde_json::{Value, json};

use crate::code;
use crate::event::{ClientError, ClientEvent, ClientOutput};
use crate::limits::{MAX_FRAME, MAX_REPLY};
use crate::message::{Capabilities, PROTOCOL, check_signal};
use crate::rpc::{self, Message, RpcError};
use crate::wire::{
    self, AskLease, AskVote, BadParams, Entry, From, Hosting, Left, TookLease, Uuid, Voted, Welcome,
};

/// Who joins.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    peer: PeerId,
    name: String,
    capabilities: Capabilities,
}

impl ClientConfig {
    /// A peer called `name`; its id is made anew at each join. The server refuses
    /// a name of more than 64 characters, or with a control character.
    #[must_use]
    pub fn new(peer: PeerId, name: impl Into<String>) -> Self {
        Self { peer, name: name.into(), capabilities: Capabilities::default() }
    }

    /// What the peer can do. Defaults to nothing: no codec, and no wish to host.
    #[must_use]
    pub fn capabilities(mut self, capabilities: Capabilities) -> Self {
        self.capabilities = capabilities;
        self
    }
}

/// What a request was for.
#[derive(Clone, Copy, Debug)]
enum Pending {
    Announce,
    Disconnect,
    Host,
    Lease(Lease),
    Signal { to: PeerId },
    Vote(VoteRequest),
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Phase {
    /// The connection is not open yet.
    Closed,
    Announcing,
    Joined,
    /// Refused, or left.
    Out,
}

/// One peer in one room, over one connection. To join again, make another.
///
/// | group | calls |
/// |---|---|
/// | input | [`handle_open`](Self::handle_open), [`handle_text`](Self::handle_text) |
/// | commands | [`send`](Self::send), [`set_hosting`](Self::set_hosting), [`witness`](Self::witness), [`leave`](Self::leave) |
/// | output | [`poll_output`](Self::poll_output), until `None` |
///
/// Nothing here depends on time: the server keeps the timeouts, and a lost
/// connection is the socket's news.
#[derive(Debug)]
pub struct Client {
    config: ClientConfig,
    phase: Phase,
    last_id: u64,
    pending: BTreeMap<u64, Pending>,
    outputs: VecDeque<ClientOutput>,
}

impl Client {
    /// A peer that is not connected yet.
    #[must_use]
    pub const fn new(config: ClientConfig) -> Self {
        Self {
            config,
            phase: Phase::Closed,
            last_id: 0,
            pending: BTreeMap::new(),
            outputs: VecDeque::new(),
        }
    }

    /// Takes in that the connection is open: announces this peer. Doing so twice
    /// does nothing.
    pub fn handle_open(&mut self) {
        if self.phase != Phase::Closed {
            return;
        }
        self.phase = Phase::Announcing;
        let params = json!({
            "peer": Uuid(self.config.peer),
            "name": self.config.name,
            "capabilities": self.config.capabilities,
            "protocol": PROTOCOL,
        });
        let text = self.compose(wire::ANNOUNCE, &params);
        self.request(Pending::Announce, text);
    }

    /// Takes in a text message from the server.
    ///
    /// # Errors
    ///
    /// The first thing wrong with it. What is right in it, as in the rest of a
    /// batch, has taken effect.
    pub fn handle_text(&mut self, text: &str) -> Result<(), ClientError> {
        if text.len() > MAX_REPLY {
            return Err(ClientError::FrameTooLong { len: text.len() });
        }
        let mut first = Ok(());
        let reply = rpc::dispatch(text, |message| {
            let (outcome, reply) = self.handle_message(message);
            if first.is_ok() {
                first = outcome;
            }
            reply
        });
        let reply = reply.map_err(|error| ClientError::NotJsonRpc { why: error.message })?;
        self.outputs.extend(reply.map(|reply| ClientOutput::Send(reply.to_string())));
        first
    }

    /// Sends `signal` to another member. If it cannot get there,
    /// [`ClientEvent::SendFailed`] tells, now or when the server has answered.
    pub fn send(&mut self, to: PeerId, signal: Signal) {
        if let Err(RpcError { code, message, .. }) = self.may_send(&signal) {
            self.event(ClientEvent::SendFailed { to, code, message });
            return;
        }
        let (method, params) = wire::emit_signal(signal, "to", to);
        let text = self.compose(method, &params);
        // JSON writes a line end as two bytes.
        if text.len() > MAX_FRAME {
            let message = format!("the signal makes a frame of more than {MAX_FRAME} bytes");
            self.event(ClientEvent::SendFailed { to, code: code::OVER_LIMIT, message });
            return;
        }
        self.request(Pending::Signal { to }, text);
    }

    /// Asks to be the host of a room without elections, or gives it up. [`ClientEvent::Host`] or
    /// [`ClientEvent::HostRefused`] tells what came of it; asking for what is
    /// already so brings neither.
    pub fn set_hosting(&mut self, host: bool) {
        if self.phase == Phase::Joined {
            let text = self.compose(wire::HOST, &json!({ "host": host }));
            self.request(Pending::Host, text);
        } else {
            let RpcError { code, message, .. } = not_joined();
            self.event(ClientEvent::HostRefused { code, message });
        }
    }

    /// Asks the witness for its vote, or tells it that we host.
    /// [`ClientEvent::Witness`] brings the answer; none that a connection which ends has
    /// taken along. What the server refuses to hear, as what is asked outside a room, is not
    /// granted.
    pub fn witness(&mut self, request: WitnessRequest) {
        let (pending, method, params) = match request {
            WitnessRequest::Lease { lease, electors } => {
                (Pending::Lease(lease), wire::LEASE, AskLease::emit(&lease, &electors))
            }
            WitnessRequest::Vote(request) => {
                (Pending::Vote(request), wire::VOTE, AskVote::emit(&request))
            }
        };
        if self.phase == Phase::Joined {
            let text = self.compose(method, &params);
            self.request(pending, text);
        } else {
            self.outputs.extend(denied(pending).map(ClientOutput::Event));
        }
    }

    /// Leaves the room; the server then closes the connection. Outside a room it
    /// does nothing.
    pub fn leave(&mut self) {
        if matches!(self.phase, Phase::Announcing | Phase::Joined) {
            self.phase = Phase::Out;
            let text = self.compose(wire::DISCONNECT, &json!({}));
            self.request(Pending::Disconnect, text);
        }
    }

    /// Takes what is to be sent and told, in order.
    #[must_use]
    pub fn poll_output(&mut self) -> Option<ClientOutput> {
        self.outputs.pop_front()
    }

    fn may_send(&self, signal: &Signal) -> Result<(), RpcError> {
        if self.phase != Phase::Joined {
            return Err(not_joined());
        }
        Ok(check_signal(signal)?)
    }

    fn handle_message(&mut self, message: Message) -> (Result<(), ClientError>, Option<Value>) {
        match message {
            Message::Invalid { why, .. } => {
                (Err(ClientError::NotJsonRpc { why: why.into() }), None)
            }
            Message::Response { id, outcome } => (self.handle_response(&id, outcome), None),
            // A client has no methods; notifications are not answered.
            Message::Request { id: Some(id), .. } => {
                (Ok(()), Some(rpc::reply(id, Err(RpcError::method_not_found()))))
            }
            Message::Request { id: None, method, params } => {
                (self.handle_notification(&method, params.as_ref()), None)
            }
        }
    }

    fn handle_response(
        &mut self,
        id: &Value,
        outcome: Result<Value, RpcError>,
    ) -> Result<(), ClientError> {
        let Some(pending) = id.as_u64().and_then(|id| self.pending.remove(&id)) else {
            return Err(match outcome {
                Err(RpcError { code, message, .. }) if id.is_null() => {
                    ClientError::Complaint { code, message }
                }
                _ => ClientError::UnknownResponse,
            });
        };
        match (pending, outcome) {
            (Pending::Announce, Ok(result)) => {
                let joined = wire::read(Some(&result))
                    .and_then(Welcome::check)
                    .map_err(blame(wire::ANNOUNCE))?;
                if self.phase == Phase::Announcing {
                    self.phase = Phase::Joined;
                    self.event(ClientEvent::Joined(joined));
                }
            }
            (Pending::Announce, Err(RpcError { code, message, .. })) => {
                self.phase = Phase::Out;
                self.event(ClientEvent::Refused { code, message });
            }
            (Pending::Host, Err(RpcError { code, message, .. })) => {
                self.event(ClientEvent::HostRefused { code, message });
            }
            (Pending::Signal { to }, Err(RpcError { code, message, .. })) => {
                self.event(ClientEvent::SendFailed { to, code, message });
            }
            (Pending::Lease(asked), Ok(result)) => {
                let reply = wire::read(Some(&result))
                    .and_then(|took: TookLease| took.check(asked))
                    .map_err(blame(wire::LEASE))?;
                let (lease, granted) = reply;
                self.event(ClientEvent::Witness(WitnessReply::Lease { lease, granted }));
            }
            (Pending::Vote(asked), Ok(result)) => {
                let vote = wire::read(Some(&result))
                    .and_then(|voted: Voted| voted.check(asked))
                    .map_err(blame(wire::VOTE))?;
                self.event(ClientEvent::Witness(WitnessReply::Vote(vote)));
            }
            (Pending::Lease(_) | Pending::Vote(_), Err(_)) => {
                self.outputs.extend(denied(pending).map(ClientOutput::Event));
            }
            // A change of the host is told to all, so to us as well.
            (Pending::Host | Pending::Signal { .. }, Ok(_)) | (Pending::Disconnect, _) => {}
        }
        Ok(())
    }

    fn handle_notification(
        &mut self,
        method: &str,
        params: Option<&Value>,
    ) -> Result<(), ClientError> {
        let event = match method {
            wire::HOST => {
                let hosting: Hosting = wire::read(params).map_err(blame(wire::HOST))?;
                let epoch = hosting.epoch().map_err(blame(wire::HOST))?;
                ClientEvent::Host { host: hosting.host.map(|Uuid(peer)| peer), epoch }
            }
            wire::JOINED => {
                let member =
                    wire::read(params).and_then(Entry::check).map_err(blame(wire::JOINED))?;
                ClientEvent::PeerJoined(member)
            }
            wire::LEFT => {
                let Left { peer: Uuid(peer), reason } =
                    wire::read(params).map_err(blame(wire::LEFT))?;
                ClientEvent::PeerLeft { peer, reason }
            }
            wire::ANSWER => Self::read_signal(wire::ANSWER, params)?,
            wire::CANDIDATE => Self::read_signal(wire::CANDIDATE, params)?,
            wire::OFFER => Self::read_signal(wire::OFFER, params)?,
            // A later version of the protocol may tell more.
            _ => return Ok(()),
        };
        if self.phase == Phase::Joined {
            self.event(event);
        }
        Ok(())
    }

    fn read_signal(
        method: &'static str,
        params: Option<&Value>,
    ) -> Result<ClientEvent, ClientError> {
        let From { from: Uuid(from) } = wire::read(params).map_err(blame(method))?;
        let signal = wire::read_signal(method, params).map_err(blame(method))?;
        match check_signal(&signal) {
            Ok(()) => Ok(ClientEvent::Signal { from, signal }),
            Err(broken) => Err(ClientError::BadParams { method, why: broken.to_string() }),
        }
    }

    /// The text of the next request.
    fn compose(&self, method: &str, params: &Value) -> String {
        rpc::request(self.last_id + 1, method, params).to_string()
    }

    fn request(&mut self, pending: Pending, text: String) {
        // A server that answers nothing must not make us remember everything.
        if self.pending.len() >= MAX_PENDING {
            self.pending.pop_first();
        }
        self.last_id += 1;
        self.pending.insert(self.last_id, pending);
        self.outputs.push_back(ClientOutput::Send(text));
    }

    fn event(&mut self, event: ClientEvent) {
        self.outputs.push_back(ClientOutput::Event(event));
    }
}

fn blame(method: &'static str) -> impl Fn(BadParams) -> ClientError {
    move |BadParams(why)| ClientError::BadParams { method, why }
}

/// What a request to the witness comes to when the server does not hear it.
fn denied(pending: Pending) -> Option<ClientEvent> {
    let reply = match pending {
        Pending::Lease(lease) => WitnessReply::Lease { lease, granted: false },
        Pending::Vote(request) => WitnessReply::Vote(wire::answer(request, false)),
        Pending::Announce | Pending::Disconnect | Pending::Host | Pending::Signal { .. } => {
            return None;
        }
    };
    Some(ClientEvent::Witness(reply))
}

fn not_joined() -> RpcError {
    RpcError::new(code::NOT_ANNOUNCED, "not in the room: wait for Joined")
}

/// Requests that wait for an answer: what joining a full room of 32 sends, with
/// an offer and a dozen candidates to each, and as much again.
const MAX_PENDING: usize = 1_024;
