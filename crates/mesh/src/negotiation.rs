//! Who of two is right when both make an offer.

use std::collections::VecDeque;

use paceline_types::{ConnectionOp, Signal};

use crate::candidates::{Candidates, Fragments};
use crate::description::{Description, ufrag_of};
use crate::signaling::{NegotiatorConfig, NegotiatorOutput, SignalVerdict, SignalingState};

/// Perfect negotiation for the connection to one peer, and for those that replace it.
///
/// Both ends may make an offer at any time. If two meet, the impolite end's stands: it
/// ignores the other's and what belongs to that. The polite end takes its own back, or
/// closes it if it was a call. Both know who is who from the two peer ids.
///
/// An offer whose `o=` line has the session id of the other end's description continues
/// the connection (an ICE restart); any other begins a new one.
///
/// An answer does not say which offer it is for. One that comes after all for an offer
/// that was taken back can so be taken for the answer to the next; it shows when that
/// one's own comes too, and then the verdict is [`Doubtful`](SignalVerdict::Doubtful).
///
/// | group | calls |
/// |---|---|
/// | wishes | [`call`](Self::call), [`restart`](Self::restart), [`rollback`](Self::rollback), [`close`](Self::close) |
/// | input | [`handle_local`](Self::handle_local), [`handle_remote`](Self::handle_remote), [`handle_closed`](Self::handle_closed) |
/// | output | [`poll_output`](Self::poll_output), until `None` |
/// | looking | [`signaling`](Self::signaling), [`is_described`](Self::is_described), [`generation`](Self::generation) |
///
/// ```
/// use paceline_mesh::types::{ConnectionOp, Signal};
/// use paceline_mesh::{Negotiator, NegotiatorConfig, NegotiatorOutput, SignalVerdict};
///
/// let mut polite = Negotiator::new(true, NegotiatorConfig::default());
/// polite.call();
/// assert_eq!(polite.poll_output(), Some(NegotiatorOutput::Op(ConnectionOp::Call)));
///
/// // Before its offer is made, that of the other end is here: ours gives way.
/// let offer = Signal::Offer { sdp: "v=0\r\no=- 7 1 IN IP4 0.0.0.0\r\n".to_owned() };
/// assert_eq!(polite.handle_remote(offer.clone()), SignalVerdict::Begun);
/// assert_eq!(polite.poll_output(), Some(NegotiatorOutput::Op(ConnectionOp::Close)));
/// let remote = ConnectionOp::Remote(offer);
/// assert_eq!(polite.poll_output(), Some(NegotiatorOutput::Op(remote)));
/// ```
#[derive(Debug)]
pub struct Negotiator {
    config: NegotiatorConfig,
    polite: bool,
    connection: Option<Connection>,
    candidates: Candidates,
    /// The session of the other end's last connection that is over here.
    over: Option<u64>,
    /// Offers that went out and were taken back, and whose answers may still come.
    suspects: u32,
    outputs: VecDeque<NegotiatorOutput>,
}

/// What is so of the engine's connection once it has done all it was told.
#[derive(Debug)]
struct Connection {
    signaling: SignalingState,
    /// Our offer went out: an answer can come.
    told: bool,
    /// Offers that the engine still tells and that are taken back.
    swallow: u32,
    /// Ours, the latest that the engine told.
    local: Description,
    /// The other end's, in force.
    remote: Option<Description>,
    /// An offer that waits until the one before is answered.
    next: Option<(String, Description)>,
    /// Fragments of ours that the other end is told nothing of any more.
    withdrawn: Fragments,
    /// Our latest description is withdrawn: so is what names no fragment.
    muted: bool,
    handshake: u64,
    generation: u32,
}

impl Negotiator {
    /// One without a connection. Of two ends, one is polite: that with the larger id.
    #[must_use]
    pub fn new(polite: bool, config: NegotiatorConfig) -> Self {
        Self {
            config,
            polite,
            connection: None,
            candidates: Candidates::new(config),
            over: None,
            suspects: 0,
            outputs: VecDeque::new(),
        }
    }

    /// Makes a connection, in place of the one there is.
    pub fn call(&mut self) {
        self.close();
        self.op(ConnectionOp::Call);
        self.connection = Some(Connection::new(SignalingState::HaveLocalOffer));
    }

    /// Looks for a path anew. An offer of ours that is not answered is taken back for
    /// it; one that the engine still makes is as good as a new one. `false` if there is
    /// no connection, or if it is just answering the other end's offer, which serves as
    /// well.
    pub fn restart(&mut self) -> bool {
        self.rollback();
        let Some(connection) = &mut self.connection else { return false };
        if connection.remote.is_none() || connection.signaling == SignalingState::HaveRemoteOffer {
            return false;
        }
        if connection.signaling == SignalingState::Stable {
            connection.signaling = SignalingState::HaveLocalOffer;
            self.op(ConnectionOp::RestartIce);
        }
        true
    }

    /// Takes back our offer to restart that went out and is not answered; `false` if
    /// there is none. If it was answered after all, the verdict on that is
    /// [`Doubtful`](SignalVerdict::Doubtful): the other end has gone on without us.
    pub fn rollback(&mut self) -> bool {
        let told = self.connection.as_ref().is_some_and(|connection| connection.told);
        told && self.take_back()
    }

    fn take_back(&mut self) -> bool {
        let Some(connection) = &mut self.connection else { return false };
        if connection.remote.is_none() || connection.signaling != SignalingState::HaveLocalOffer {
            return false;
        }
        if connection.told {
            self.suspects += 1;
            connection.withdraw();
        } else {
            connection.swallow += 1;
        }
        connection.signaling = SignalingState::Stable;
        connection.told = false;
        self.op(ConnectionOp::Rollback);
        true
    }

    /// Ends the connection, and forgets what waits for a description. Does nothing if
    /// there is none.
    pub fn close(&mut self) {
        if self.connection.is_some() {
            self.op(ConnectionOp::Close);
        }
        self.forget(true);
    }

    /// Takes in that the engine's connection is gone.
    pub fn handle_closed(&mut self) {
        self.forget(true);
    }

    fn forget(&mut self, candidates: bool) {
        let gone = self.connection.take();
        let remote = gone.as_ref().and_then(|gone| gone.remote.as_ref());
        self.over = remote.and_then(|remote| remote.session).or(self.over);
        let answerable = gone.as_ref().is_some_and(|gone| gone.told);
        self.suspects += u32::from(answerable);
        if gone.as_ref().is_some_and(|gone| gone.next.is_some()) {
            self.candidates.handle_waiting(true);
        }
        self.candidates.handle_gone(remote, candidates);
    }

    /// Takes in what the engine says to the other end.
    pub fn handle_local(&mut self, signal: Signal) {
        let Some(connection) = &mut self.connection else { return };
        match &signal {
            Signal::Offer { sdp } => {
                connection.local = Description::peek(sdp);
                if connection.swallow > 0 {
                    connection.swallow -= 1;
                    connection.withdraw();
                    return;
                }
                if connection.signaling != SignalingState::HaveLocalOffer || connection.told {
                    return;
                }
                connection.told = true;
                if connection.remote.is_none() {
                    connection.handshake = connection.local.session.unwrap_or_default();
                }
            }
            Signal::Answer { sdp } => {
                if connection.signaling != SignalingState::HaveRemoteOffer {
                    return;
                }
                connection.local = Description::peek(sdp);
                if let Some((sdp, description)) = connection.next.take() {
                    // The offer it is for was taken back before it was answered.
                    connection.withdraw();
                    return self.answer(sdp, description);
                }
                connection.signaling = SignalingState::Stable;
                connection.generation += 1;
            }
            Signal::Candidate { candidate, ufrag, .. } => {
                let withdrawn = match ufrag_of(candidate, ufrag) {
                    Some(ufrag) => connection.withdrawn.contains(ufrag),
                    None => connection.muted,
                };
                if withdrawn {
                    return;
                }
            }
        }
        if !matches!(signal, Signal::Candidate { .. }) {
            connection.muted = false;
        }
        self.outputs.push_back(NegotiatorOutput::Signal(signal));
    }

    /// Takes in what the other end says.
    pub fn handle_remote(&mut self, signal: Signal) -> SignalVerdict {
        match signal {
            Signal::Offer { sdp } | Signal::Answer { sdp }
                if sdp.len() > self.config.max_sdp_bytes =>
            {
                SignalVerdict::TooMuch
            }
            Signal::Answer { sdp } => self.handle_answer(sdp),
            Signal::Offer { sdp } => self.handle_offer(sdp),
            candidate @ Signal::Candidate { .. } => {
                let connection = self.connection.as_ref();
                let current = connection.and_then(|connection| connection.remote.as_ref());
                let awaits = connection.is_some_and(|connection| connection.next.is_some());
                let (verdict, due) = self.candidates.handle(candidate, current, awaits);
                if let Some(candidate) = due {
                    self.op(ConnectionOp::Remote(candidate));
                }
                verdict
            }
        }
    }

    fn handle_offer(&mut self, sdp: String) -> SignalVerdict {
        let offer = Description::peek(&sdp);
        if offer.session.is_some() && offer.session == self.over {
            self.candidates.handle_ignored(&offer);
            return SignalVerdict::Stale;
        }
        let Some(connection) = &mut self.connection else {
            return self.begin(sdp, offer);
        };
        let calls = connection.remote.is_none();
        let continues = connection.remote.as_ref().is_some_and(|remote| offer.continues(remote));
        match connection.signaling {
            // Who has another connection than the one we restart has none to restart.
            SignalingState::HaveLocalOffer if !self.polite && (calls || continues) => {
                self.candidates.handle_ignored(&offer);
                SignalVerdict::Ignored
            }
            _ if !continues => self.begin(sdp, offer),
            SignalingState::HaveRemoteOffer => {
                let before = connection.next.replace((sdp, offer));
                self.candidates.handle_waiting(before.is_some());
                SignalVerdict::Kept
            }
            _ => {
                self.take_back();
                self.candidates.handle_waiting(false);
                self.answer(sdp, offer);
                SignalVerdict::Applied
            }
        }
    }

    /// Starts anew with the other end's offer.
    fn begin(&mut self, sdp: String, offer: Description) -> SignalVerdict {
        if self.connection.is_some() {
            self.op(ConnectionOp::Close);
            self.forget(false);
        }
        let mut connection = Connection::new(SignalingState::HaveRemoteOffer);
        connection.handshake = offer.session.unwrap_or_default();
        self.connection = Some(connection);
        self.candidates.handle_waiting(false);
        self.answer(sdp, offer);
        SignalVerdict::Begun
    }

    fn answer(&mut self, sdp: String, offer: Description) {
        self.op(ConnectionOp::Remote(Signal::Offer { sdp }));
        if let Some(connection) = &mut self.connection {
            connection.signaling = SignalingState::HaveRemoteOffer;
        }
        self.put_in_force(offer);
    }

    fn handle_answer(&mut self, sdp: String) -> SignalVerdict {
        let answer = Description::peek(&sdp);
        let is_over = answer.session.is_some() && answer.session == self.over;
        let remote = self.connection.as_ref().and_then(|connection| connection.remote.as_ref());
        let theirs = remote.map(|remote| remote.session);
        let fits = theirs.is_none_or(|session| session == answer.session);
        if let Some(connection) = self.connection.as_mut().filter(|it| it.told && fits && !is_over)
        {
            connection.told = false;
            connection.signaling = SignalingState::Stable;
            connection.generation += 1;
            self.op(ConnectionOp::Remote(Signal::Answer { sdp }));
            self.candidates.handle_waiting(false);
            self.put_in_force(answer);
            return SignalVerdict::Applied;
        }
        if theirs.is_none() {
            // It is of a connection that we gave up before: what it says later too.
            self.over = answer.session.or(self.over);
        }
        self.candidates.handle_ignored(&answer);
        let suspected = self.suspects > 0;
        self.suspects = self.suspects.saturating_sub(1);
        if suspected && self.connection.is_some() && self.signaling() == SignalingState::Stable {
            SignalVerdict::Doubtful
        } else {
            SignalVerdict::Late
        }
    }

    /// The other end's description is in force, and what waited for it goes after it.
    fn put_in_force(&mut self, description: Description) {
        let Some(connection) = &mut self.connection else { return };
        let before = connection.remote.take();
        let due = self.candidates.handle_description(before.as_ref(), &description);
        connection.remote = Some(description);
        for candidate in due {
            self.op(ConnectionOp::Remote(candidate));
        }
    }

    fn op(&mut self, op: ConnectionOp) {
        self.outputs.push_back(NegotiatorOutput::Op(op));
    }

    /// Whether this offer would begin a connection, in place of the one there is if need
    /// be.
    pub(crate) fn would_begin(&self, sdp: &str) -> bool {
        let offer = Description::peek(sdp);
        let is_over = offer.session.is_some() && offer.session == self.over;
        let continues = self.connection.as_ref().is_some_and(|connection| {
            let calls = connection.signaling == SignalingState::HaveLocalOffer;
            let remote = connection.remote.as_ref();
            remote.map_or(calls && !self.polite, |remote| offer.continues(remote))
        });
        sdp.len() <= self.config.max_sdp_bytes && !is_over && !continues
    }

    /// Takes in that an offer came which the owner keeps, maybe in place of another.
    pub(crate) fn handle_waiting(&mut self, replaces: bool) {
        self.candidates.handle_waiting(replaces);
    }

    /// Takes what has to be done, oldest first, until `None`.
    #[must_use]
    pub fn poll_output(&mut self) -> Option<NegotiatorOutput> {
        self.outputs.pop_front()
    }

    /// Where the exchange stands. Without a connection it is stable.
    #[must_use]
    pub fn signaling(&self) -> SignalingState {
        self.connection.as_ref().map_or(SignalingState::Stable, |it| it.signaling)
    }

    /// Whether there is a connection that has the other end's description.
    #[must_use]
    pub fn is_described(&self) -> bool {
        self.connection.as_ref().is_some_and(|connection| connection.remote.is_some())
    }

    /// Offers that were answered since the connection began.
    #[must_use]
    pub fn generation(&self) -> u32 {
        self.connection.as_ref().map_or(0, |connection| connection.generation)
    }

    /// What both ends' logs call the connection: a hash of the session id of the offer
    /// that it began with; 0 if there is none.
    #[must_use]
    pub fn handshake(&self) -> u64 {
        self.connection.as_ref().map_or(0, |connection| connection.handshake)
    }
}

impl Connection {
    fn new(signaling: SignalingState) -> Self {
        Self {
            signaling,
            told: false,
            swallow: 0,
            local: Description::default(),
            remote: None,
            next: None,
            withdrawn: Fragments::default(),
            muted: false,
            handshake: 0,
            generation: 0,
        }
    }

    /// The other end has no use for our latest description any more.
    fn withdraw(&mut self) {
        self.muted = true;
        for &ufrag in &self.local.ufrags {
            self.withdrawn.push(ufrag);
        }
    }
}
