//! The steps of publishing by HTTP.

use std::collections::VecDeque;

use serde_json::{Value, json};

use super::config::Route;
use super::{FlowConfig, Method, Request};
use crate::mediasoup::{Dialect, FlowError, PlainError, PlainRemote, Producer, Step};
use crate::protoo::printable;
use crate::rtp_parameters::{Codec, MediaKind, Negotiated, RtpCapabilities, Stream, negotiate};
use crate::sdp::{Answer, Offer, RemoteTransport};

/// What a [`Flow`] wants done, or has to tell.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Output {
    /// An answer to apply to the engine, as SDP.
    Answer(String),
    /// It is over, and what was made is to be deleted: see [`Flow::close`].
    Failed(FlowError),
    /// What the router and we agreed on, for the one who packetizes; before the first packet.
    Negotiated(Vec<Negotiated>),
    /// Where to send to over a plain transport, and under which keys.
    Plain(PlainRemote),
    /// Every producer exists, and there is a path: media can flow. Comes once.
    Ready {
        /// In the order of the configuration.
        producers: Vec<Producer>,
    },
    /// A request to send. None follows before its response.
    Request(Request),
}

/// One attempt to publish in one room.
///
/// | group | calls |
/// |---|---|
/// | from HTTP | [`handle_response`](Self::handle_response), [`handle_failure`](Self::handle_failure), [`handle_unreachable`](Self::handle_unreachable) |
/// | from the engine | [`handle_offer`](Self::handle_offer), [`handle_up`](Self::handle_up) |
/// | the end | [`close`](Self::close) |
/// | output | [`poll_output`](Self::poll_output), until `None` |
///
/// It has no clock: an HTTP client has a time-out of its own for each request.
///
/// ```
/// use paceline_publish::broadcaster::{Flow, FlowConfig, Output};
/// use paceline_publish::rtp_parameters::Codec;
///
/// let config = FlowConfig::web_rtc("a room", "screen-1", vec![Codec::Vp8])?;
/// let mut flow = Flow::new(config);
/// let Some(Output::Request(request)) = flow.poll_output() else { unreachable!() };
/// assert_eq!(request.to_string(), "GET /rooms/a%20room");
/// # Ok::<(), paceline_publish::broadcaster::NameError>(())
/// ```
#[derive(Debug)]
pub struct Flow {
    config: FlowConfig,
    step: Step,
    /// Whether the newer server waits for us to join after the transport is made.
    is_joining: bool,
    /// Whether the server knows of us, as far as we can tell, and has to be told when we go:
    /// from the request on, whose response may be lost.
    is_known: bool,
    is_over: bool,
    is_up: bool,
    dialect: Dialect,
    router: RtpCapabilities,
    transport: Option<(String, Remote)>,
    offer: Option<Offer>,
    negotiated: Vec<Negotiated>,
    producers: Vec<Producer>,
    outputs: VecDeque<Output>,
}

#[derive(Debug)]
enum Remote {
    Plain(PlainRemote),
    WebRtc(RemoteTransport),
}

impl Flow {
    /// Begins, with a request for the router's capabilities.
    #[must_use]
    pub fn new(config: FlowConfig) -> Self {
        let first = Request::new(Method::Get, &["rooms", &config.room], None);
        Self {
            config,
            step: Step::Capabilities,
            is_joining: false,
            is_known: false,
            is_over: false,
            is_up: false,
            dialect: Dialect::Bare,
            router: RtpCapabilities::default(),
            transport: None,
            offer: None,
            negotiated: Vec::new(),
            producers: Vec::new(),
            outputs: [Output::Request(first)].into(),
        }
    }

    /// Takes in the response to the last request.
    pub fn handle_response(&mut self, status: u16, body: &str) {
        if self.is_over {
            return;
        }
        let outcome = if (200..300).contains(&status) {
            self.responded(body)
        } else {
            // Refused, we are not there; and the name may be that of another who is.
            if self.step == Step::Join && (400..500).contains(&status) && !self.is_joining {
                self.is_known = false;
            }
            let (step, code) = (self.step, i64::from(status));
            Err(FlowError::Rejected { step, code, reason: printable(body) })
        };
        if let Err(error) = outcome {
            self.fail(error);
        }
    }

    /// The last request has no response: the connection broke, or it took too long.
    pub fn handle_failure(&mut self, timed_out: bool) {
        let step = self.step;
        self.fail(if timed_out {
            FlowError::TimedOut { step }
        } else {
            FlowError::Closed { step }
        });
    }

    /// The last request has no response, for a reason that is known: nobody is there, or what
    /// came broke off.
    pub fn handle_unreachable(&mut self, reason: &str) {
        self.fail(FlowError::Unreachable { step: self.step, reason: printable(reason) });
    }

    /// Takes in the offer of the engine's, as SDP, at any time; once.
    pub fn handle_offer(&mut self, sdp: &str) {
        if self.is_over {
            return;
        }
        let outcome = Offer::parse(sdp)
            .map_err(|error| FlowError::Sdp { step: Step::Offer, error })
            .and_then(|offer| {
                self.offer = Some(offer);
                self.connect()
            });
        if let Err(error) = outcome {
            self.fail(error);
        }
    }

    /// The engine has a path to the server; of a plain transport, its socket is open.
    pub fn handle_up(&mut self) {
        self.is_up = true;
        self.settle();
    }

    /// Ends it, whatever came before: gives the last request, if the server knows of us, or
    /// may. It need not wait for a response that is outstanding, and its own is of no
    /// interest.
    pub fn close(&mut self) {
        if std::mem::take(&mut self.is_known) {
            // What was not asked for yet is not wanted any more.
            self.outputs.retain(|output| !matches!(output, Output::Request(_)));
            let path = ["rooms", &self.config.room, "broadcasters", &self.config.broadcaster];
            self.outputs.push_back(Output::Request(Request::new(Method::Delete, &path, None)));
        }
        self.is_over = true;
    }

    /// Takes what is to be done or told, in order.
    #[must_use]
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Where it is.
    #[must_use]
    pub const fn step(&self) -> Step {
        self.step
    }

    fn fail(&mut self, error: FlowError) {
        if !self.is_over {
            self.is_over = true;
            self.outputs.push_back(Output::Failed(error));
        }
    }

    fn responded(&mut self, body: &str) -> Result<(), FlowError> {
        match self.step {
            Step::Capabilities => self.handle_capabilities(&self.json(body)?),
            Step::Join if self.is_joining => {
                self.step = Step::Offer;
                self.connect()
            }
            Step::Join => {
                self.ask_transport();
                Ok(())
            }
            Step::Transport => self.handle_transport(&self.json(body)?),
            Step::Connect => self.begin_producing(),
            Step::Produce => self.handle_produced(&self.json(body)?),
            Step::Offer | Step::Path | Step::Ready => Ok(()),
        }
    }

    fn json(&self, body: &str) -> Result<Value, FlowError> {
        let malformed = || self.malformed("body");
        if body.len() > MAX_BODY {
            return Err(malformed());
        }
        serde_json::from_str(body).map_err(|_| malformed())
    }

    fn malformed(&self, field: &'static str) -> FlowError {
        FlowError::Malformed { step: self.step, field }
    }

    fn post(&mut self, below: &[&str], body: Value) {
        let mut path = vec!["rooms", &self.config.room, "broadcasters"];
        path.extend(below);
        let request = Request::new(Method::Post, &path, Some(body));
        self.outputs.push_back(Output::Request(request));
    }

    fn handle_capabilities(&mut self, data: &Value) -> Result<(), FlowError> {
        let (dialect, router) = Dialect::of(data).ok_or_else(|| self.malformed("codecs"))?;
        // What the router does not take is known before anything is made.
        for codec in self.codecs() {
            negotiate(&codec, &Stream::new(0, 0, ""), &router)?;
        }
        (self.dialect, self.router) = (dialect, router);
        self.step = Step::Join;
        let id = match dialect {
            Dialect::Bare => "id",
            Dialect::Named => "peerId",
        };
        let body = json!({
            id: self.config.broadcaster,
            "displayName": self.config.display_name,
            "device": { "flag": "unknown", "name": "paceline", "version": env!("CARGO_PKG_VERSION") },
        });
        self.post(&[], body);
        self.is_known = true;
        Ok(())
    }

    fn codecs(&self) -> Vec<Codec> {
        match &self.config.route {
            Route::Plain { streams, .. } => streams.iter().map(|(codec, _)| *codec).collect(),
            Route::WebRtc { codecs } => codecs.clone(),
        }
    }

    fn ask_transport(&mut self) {
        self.step = Step::Transport;
        let mut body = serde_json::Map::new();
        let mut say = |name: &str, value| body.insert(name.to_owned(), value);
        if self.dialect == Dialect::Named {
            say("direction", json!("producer"));
        }
        match &self.config.route {
            Route::Plain { srtp, .. } => {
                say("type", json!("plain"));
                for (name, value) in PlainRemote::request(srtp) {
                    say(name, value);
                }
            }
            Route::WebRtc { .. } => {
                say("type", json!("webrtc"));
            }
        }
        let broadcaster = self.config.broadcaster.clone();
        self.post(&[&broadcaster, "transports"], Value::Object(body));
    }

    fn handle_transport(&mut self, data: &Value) -> Result<(), FlowError> {
        let id = self.dialect.transport_id(data).map_err(|field| self.malformed(field))?;
        let remote = match &self.config.route {
            Route::Plain { srtp, .. } => {
                Remote::Plain(PlainRemote::parse(data, srtp).map_err(|error| match error {
                    PlainError::Field(field) => self.malformed(field),
                    PlainError::NoSrtp => FlowError::SrtpUnavailable,
                })?)
            }
            Route::WebRtc { .. } => Remote::WebRtc(
                RemoteTransport::parse(data)
                    .map_err(|error| FlowError::Sdp { step: self.step, error })?,
            ),
        };
        self.transport = Some((id, remote));
        if self.dialect == Dialect::Named {
            self.step = Step::Join;
            self.is_joining = true;
            let broadcaster = self.config.broadcaster.clone();
            self.post(&[&broadcaster, "join"], json!({}));
            return Ok(());
        }
        self.step = Step::Offer;
        self.connect()
    }

    /// Tells our half, when all that is needed for it is there.
    fn connect(&mut self) -> Result<(), FlowError> {
        let is_due = self.step == Step::Offer && !self.is_over;
        let Some((id, remote)) = self.transport.as_ref().filter(|_| is_due) else {
            return Ok(());
        };
        let (mut told, body) = match (remote, &self.config.route, &self.offer) {
            (Remote::Plain(remote), Route::Plain { streams, .. }, _) => {
                let all =
                    streams.iter().map(|(codec, stream)| negotiate(codec, stream, &self.router));
                self.negotiated = all.collect::<Result<_, _>>()?;
                // With comedia, the address is learnt from our packets.
                (Vec::new(), json!({ "srtpParameters": remote.local.emit() }))
            }
            (Remote::WebRtc(remote), Route::WebRtc { codecs }, Some(offer)) => {
                let negotiated = offer.negotiate(codecs, &self.router)?;
                let answer = Answer::new(offer, remote, &negotiated, 0)
                    .map_err(|error| FlowError::Sdp { step: self.step, error })?;
                self.negotiated = negotiated;
                let fingerprint = json!({ "algorithm": "sha-256", "value": offer.fingerprint() });
                let role = answer.local_role().name();
                let dtls = json!({ "role": role, "fingerprints": [fingerprint] });
                let body = json!({ "dtlsParameters": dtls });
                (vec![Output::Answer(answer.sdp().to_owned())], body)
            }
            _ => return Ok(()),
        };
        told.insert(0, Output::Negotiated(self.negotiated.clone()));
        let (id, broadcaster) = (id.clone(), self.config.broadcaster.clone());
        self.outputs.extend(told);
        self.step = Step::Connect;
        self.post(&[&broadcaster, "transports", &id, "connect"], body);
        Ok(())
    }

    fn begin_producing(&mut self) -> Result<(), FlowError> {
        if let Some((_, Remote::Plain(remote))) = &self.transport {
            self.outputs.push_back(Output::Plain(remote.clone()));
        }
        self.step = Step::Produce;
        self.produce_next();
        Ok(())
    }

    fn produce_next(&mut self) {
        let Some((id, _)) = &self.transport else { return };
        let Some(negotiated) = self.negotiated.get(self.producers.len()) else {
            self.step = Step::Path;
            self.settle();
            return;
        };
        let source = match negotiated.kind() {
            MediaKind::Audio => "audio",
            MediaKind::Video => &self.config.video_source,
        };
        let mut body = json!({
            "kind": negotiated.kind(),
            "rtpParameters": negotiated.parameters(),
            "appData": { "source": source },
        });
        let (id, broadcaster) = (id.clone(), self.config.broadcaster.clone());
        match self.dialect {
            Dialect::Bare => self.post(&[&broadcaster, "transports", &id, "producers"], body),
            Dialect::Named => {
                body["transportId"] = json!(id);
                self.post(&[&broadcaster, "producers"], body);
            }
        }
    }

    fn handle_produced(&mut self, data: &Value) -> Result<(), FlowError> {
        let id = self.dialect.producer_id(data).map_err(|field| self.malformed(field))?;
        if let Some(negotiated) = self.negotiated.get(self.producers.len()) {
            self.producers.push(Producer { kind: negotiated.kind(), id });
        }
        self.produce_next();
        Ok(())
    }

    fn settle(&mut self) {
        if self.step == Step::Path && self.is_up && !self.is_over {
            self.step = Step::Ready;
            self.outputs.push_back(Output::Ready { producers: self.producers.clone() });
        }
    }
}

/// The longest response to read, in bytes: capabilities of a router have about 10 KiB.
const MAX_BODY: usize = 256 << 10;
