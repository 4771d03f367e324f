//! One attempt to publish: what was asked for, and who is to hear of the answer.

mod answer;
mod steps;
mod told;

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use serde_json::{Value, json};
use tracing::debug;

use super::config::Route;
use super::{
    ControlError, Dialect, FlowConfig, FlowError, Output, PlainRemote, Producer, ProducerAction,
    Step,
};
use crate::protoo::{self, ClientStats, MessageError, RequestId, ResponseError};
use crate::rtp_parameters::{Codec, MediaKind, Negotiated, RtpCapabilities};
use crate::sdp::{IceParameters, Offer, RemoteTransport};

/// One attempt to publish in one room, over one connection that has just opened.
///
/// | group | calls |
/// |---|---|
/// | from the socket | [`handle_text`](Self::handle_text), [`handle_closed`](Self::handle_closed) |
/// | from the engine | [`handle_offer`](Self::handle_offer), [`handle_up`](Self::handle_up), [`handle_down`](Self::handle_down) |
/// | from the clock | [`handle_timeout`](Self::handle_timeout) |
/// | steering | [`restart_ice`](Self::restart_ice), [`control`](Self::control) |
/// | output | [`poll_output`](Self::poll_output), until `None` |
/// | when next | [`poll_timeout`](Self::poll_timeout) |
///
/// The engine's offer may come at any time, best at once. An offer that follows the first is
/// answered too; if it restarts ICE, the server is made to restart its half before.
///
/// To end it, close the socket: the server then closes all that belongs to it.
///
/// ```
/// use std::time::Instant;
///
/// use paceline_publish::mediasoup::{Flow, FlowConfig, FlowError, Output};
/// use paceline_publish::rtp_parameters::Codec;
///
/// let now = Instant::now();
/// let mut flow = Flow::new(now, FlowConfig::web_rtc(vec![Codec::Vp8]), 7);
/// let Some(Output::Transmit(text)) = flow.poll_output() else { unreachable!() };
/// assert!(text.contains("getRouterRtpCapabilities"));
///
/// // A router without VP8 is refused before anything is made.
/// flow.handle_text(now, r#"{"response":true,"id":7,"ok":true,"data":{"codecs":[]}}"#)?;
/// let Some(Output::Failed(error)) = flow.poll_output() else { unreachable!() };
/// assert_eq!(error.to_string(), "the router does not take video/VP8 90000; it has no codec");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Flow {
    config: FlowConfig,
    client: protoo::Client,
    step: Step,
    /// Until media can flow.
    deadline: Option<Instant>,
    is_over: bool,
    /// What each outstanding request is for.
    asked: BTreeMap<RequestId, Asked>,
    dialect: Dialect,
    router: RtpCapabilities,
    transport: Option<Transport>,
    /// An offer that is not answered yet.
    offer: Option<Offer>,
    /// The ICE user name of the offer answered last.
    answered: Option<String>,
    answers: u64,
    is_restarting: bool,
    /// The server's half of an ICE restart that the engine has not answered yet.
    restarted: Option<IceParameters>,
    negotiated: Vec<Negotiated>,
    /// By place in the configuration.
    producers: BTreeMap<usize, Producer>,
    is_up: bool,
    outputs: VecDeque<Output>,
}

/// What a request was for.
#[derive(Clone, Copy, Debug)]
enum Asked {
    Capabilities,
    Connect,
    Control { action: ProducerAction, kind: MediaKind },
    Join,
    Produce(usize),
    RestartIce,
    Transport,
}

/// The server's transport.
#[derive(Debug)]
struct Transport {
    id: String,
    remote: Remote,
}

#[derive(Debug)]
enum Remote {
    Plain(PlainRemote),
    WebRtc(RemoteTransport),
}

impl Flow {
    /// Begins over a connection that has just opened, to a room that its URL names. The first
    /// request is called `first_request`, best a random number.
    #[must_use]
    pub fn new(now: Instant, config: FlowConfig, first_request: u32) -> Self {
        let mut flow = Self {
            client: protoo::Client::new(config.client.clone(), first_request),
            step: Step::Capabilities,
            deadline: Some(now + config.connect_timeout),
            config,
            is_over: false,
            asked: BTreeMap::new(),
            dialect: Dialect::Bare,
            router: RtpCapabilities::default(),
            transport: None,
            offer: None,
            answered: None,
            answers: 0,
            is_restarting: false,
            restarted: None,
            negotiated: Vec::new(),
            producers: BTreeMap::new(),
            is_up: false,
            outputs: VecDeque::new(),
        };
        flow.ask(now, Asked::Capabilities, "getRouterRtpCapabilities", json!({}));
        flow.drain(now);
        flow
    }

    /// Takes in a text from the socket.
    ///
    /// # Errors
    ///
    /// If it is of no use. It is counted, and the flow goes on.
    pub fn handle_text(&mut self, now: Instant, text: &str) -> Result<(), MessageError> {
        if self.is_over {
            return Ok(());
        }
        let result = self.client.handle_text(text);
        self.drain(now);
        result
    }

    /// The socket is closed.
    pub fn handle_closed(&mut self) {
        self.fail(FlowError::Closed { step: self.step });
    }

    /// Takes in an offer of the engine's, as SDP. Of two, the newer counts.
    pub fn handle_offer(&mut self, now: Instant, sdp: &str) {
        match Offer::parse(sdp) {
            Err(error) => self.fail(FlowError::Sdp { step: Step::Offer, error }),
            Ok(offer) => {
                self.offer = Some(offer);
                self.answer(now);
                self.drain(now);
            }
        }
    }

    /// The engine has a path to the server, and DTLS is done.
    pub fn handle_up(&mut self, now: Instant) {
        self.is_up = true;
        self.settle();
        self.drain(now);
    }

    /// The engine has lost its path.
    pub fn handle_down(&mut self, now: Instant) {
        self.is_up = false;
        let is_connected = self.step > Step::Connect && !self.is_over;
        if self.config.restart_when_down && is_connected && self.is_web_rtc() {
            self.begin_restart(now);
            self.drain(now);
        }
    }

    /// Lets time pass. Calling it early or twice does nothing.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.client.handle_timeout(now);
        self.drain(now);
        if self.deadline.is_some_and(|deadline| deadline <= now) {
            self.fail(FlowError::TimedOut { step: self.step });
        }
    }

    /// Makes both ends look for a path anew (RFC 8445 §2.4): after
    /// [`Output::RestartIce`] the engine's next offer is to restart its half.
    ///
    /// # Errors
    ///
    /// If no WebRTC transport is connected.
    pub fn restart_ice(&mut self, now: Instant) -> Result<(), ControlError> {
        if self.is_over || self.step <= Step::Connect || !self.is_web_rtc() {
            return Err(ControlError::NotConnected);
        }
        self.begin_restart(now);
        self.drain(now);
        Ok(())
    }

    /// Pauses, resumes or closes what is sent of this kind. What became of it is an
    /// [`Output::Controlled`].
    ///
    /// # Errors
    ///
    /// If nothing of this kind is produced, or it could not be sent.
    pub fn control(
        &mut self,
        now: Instant,
        action: ProducerAction,
        kind: MediaKind,
    ) -> Result<(), ControlError> {
        let of_kind = self.producers.iter().find(|(_, producer)| producer.kind == kind);
        let (index, id) = of_kind
            .filter(|_| !self.is_over && self.step > Step::Produce)
            .map(|(index, producer)| (*index, producer.id.clone()))
            .ok_or(ControlError::NotProduced(kind))?;
        let data = json!({ "producerId": id });
        match self.dialect {
            Dialect::Bare => {
                let request = self.client.request(now, action.method(), data)?;
                self.asked.insert(request, Asked::Control { action, kind });
            }
            // Newer servers are told, and do not answer.
            Dialect::Named => {
                self.client.notify(action.method(), data)?;
                self.outputs.push_back(Output::Controlled { action, kind, result: Ok(()) });
            }
        }
        if action == ProducerAction::Close {
            self.producers.remove(&index);
        }
        self.drain(now);
        Ok(())
    }

    /// Takes what is to be done or told, in order.
    #[must_use]
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called, if ever.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.is_over {
            return None;
        }
        [self.deadline, self.client.poll_timeout()].into_iter().flatten().min()
    }

    /// Where it is.
    #[must_use]
    pub const fn step(&self) -> Step {
        self.step
    }

    /// What was counted of the messages.
    #[must_use]
    pub const fn stats(&self) -> ClientStats {
        self.client.stats()
    }

    const fn is_web_rtc(&self) -> bool {
        matches!(self.config.route, Route::WebRtc { .. })
    }

    fn codecs(&self) -> Vec<Codec> {
        match &self.config.route {
            Route::Plain { streams, .. } => streams.iter().map(|(codec, _)| *codec).collect(),
            Route::WebRtc { codecs } => codecs.clone(),
        }
    }

    fn ask(&mut self, now: Instant, asked: Asked, method: &str, data: Value) {
        match self.client.request(now, method, data) {
            Ok(id) => {
                self.asked.insert(id, asked);
            }
            Err(error) => self.fail(FlowError::Request { step: self.step, error }),
        }
    }

    /// Everything ends here that ends badly.
    fn fail(&mut self, error: FlowError) {
        if self.is_over {
            return;
        }
        debug!(%error, "publishing has failed");
        self.is_over = true;
        self.deadline = None;
        self.client.handle_closed();
        self.asked.clear();
        self.outputs.push_back(Output::Failed(error));
    }

    /// Passes on what the client has.
    fn drain(&mut self, now: Instant) {
        while !self.is_over
            && let Some(output) = self.client.poll_output()
        {
            match output {
                protoo::Output::Notification { method, data } => self.notified(&method, data),
                protoo::Output::Request { id, method, .. } => {
                    // Whoever consumes nothing says no, as the demo's own client does. The
                    // server logs it and leaves that consumer paused.
                    let (code, reason) = match method.as_str() {
                        "newConsumer" | "newDataConsumer" => (FORBIDDEN, "this peer only sends"),
                        _ => (NOT_FOUND, "no such method"),
                    };
                    if let Err(error) = self.client.reject(id, code, reason) {
                        self.fail(FlowError::Request { step: self.step, error });
                    }
                }
                protoo::Output::Response { id, result } => {
                    if let Some(asked) = self.asked.remove(&id) {
                        self.responded(now, asked, result);
                    }
                }
                protoo::Output::Transmit(text) => self.outputs.push_back(Output::Transmit(text)),
            }
        }
    }

    fn responded(&mut self, now: Instant, asked: Asked, result: Result<Value, ResponseError>) {
        let outcome = match (asked, result) {
            (Asked::Control { action, kind }, result) => {
                let result = result.map(|_| ());
                self.outputs.push_back(Output::Controlled { action, kind, result });
                Ok(())
            }
            (Asked::RestartIce, Err(error)) => {
                self.is_restarting = false;
                self.outputs.push_back(Output::RestartRefused(error));
                Ok(())
            }
            (_, Err(error)) => Err(FlowError::of_response(self.step, error)),
            (Asked::Capabilities, Ok(data)) => self.handle_capabilities(now, &data),
            (Asked::Transport, Ok(data)) => self.handle_transport(now, &data),
            (Asked::Join, Ok(_)) => {
                self.step = Step::Offer;
                match self.config.route {
                    Route::WebRtc { .. } => self.answer(now),
                    Route::Plain { .. } => self.connect_plain(now),
                }
                Ok(())
            }
            (Asked::Connect, Ok(_)) => {
                self.produce(now);
                Ok(())
            }
            (Asked::Produce(index), Ok(data)) => self.handle_produced(index, &data),
            (Asked::RestartIce, Ok(data)) => self.handle_restarted(now, &data),
        };
        if let Err(error) = outcome {
            self.fail(error);
        }
    }

    fn malformed(&self, field: &'static str) -> FlowError {
        FlowError::Malformed { step: self.step, field }
    }
}

/// RFC 9110 §15.5.4.
const FORBIDDEN: u16 = 403;
/// RFC 9110 §15.5.5.
const NOT_FOUND: u16 = 404;
