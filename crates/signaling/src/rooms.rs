//! The server: every room, without a socket.

mod witness;

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use paceline_types::PeerId;
use serde_json::{Value, json};
use tracing::{debug, info};

use crate::allowance::Allowance;
use crate::code;
use crate::config::RoomsConfig;
use crate::limits::{self, MAX_FRAME};
use crate::message::{PROTOCOL, check_signal};
use crate::output::{CloseReason, ConnId, RoomsOutput, RoomsStats};
use crate::room::Room;
use crate::rpc::{self, Message, RpcError};
use crate::wire::{self, Announce, BadParams, Entry, Hosting, SetHost, To, Uuid, Welcome};

#[derive(Debug)]
struct Conn {
    room: String,
    phase: Phase,
    opened: Instant,
    heard: Instant,
    pinged: Option<Instant>,
    witness: Allowance,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Phase {
    Announcing,
    Joined(PeerId),
    Left,
}

/// All rooms of a server. Rooms know nothing of each other.
///
/// | group | calls |
/// |---|---|
/// | input | [`handle_open`](Self::handle_open), [`handle_text`](Self::handle_text), [`handle_pong`](Self::handle_pong), [`handle_close`](Self::handle_close), [`handle_timeout`](Self::handle_timeout) |
/// | output | [`poll_output`](Self::poll_output), until `None` |
/// | when next | [`poll_timeout`](Self::poll_timeout) |
///
/// Outputs depend on the inputs and the seed alone. Drain them after each input:
/// one input makes at most [`MAX_BATCH`](limits::MAX_BATCH) + 2 messages for each
/// member of one room.
///
/// Whoever sends the outputs bounds what waits for a slow client, and calls
/// [`handle_close`](Self::handle_close) when that is too much.
#[derive(Debug)]
pub struct Rooms {
    config: RoomsConfig,
    random: u64,
    conns: BTreeMap<ConnId, Conn>,
    rooms: BTreeMap<String, Room>,
    outputs: VecDeque<RoomsOutput>,
    stats: RoomsStats,
}

impl Rooms {
    /// No room yet. `seed` decides which UUIDs the rooms get: a server draws one,
    /// a simulation sets it.
    #[must_use]
    pub fn new(config: RoomsConfig, seed: u64) -> Self {
        Self {
            config,
            random: seed,
            conns: BTreeMap::new(),
            rooms: BTreeMap::new(),
            outputs: VecDeque::new(),
            stats: RoomsStats::default(),
        }
    }

    /// Takes in a connection to the room that its URL's path names.
    ///
    /// # Panics
    ///
    /// If `conn` is open already.
    pub fn handle_open(&mut self, now: Instant, conn: ConnId, room: &str) {
        assert!(!self.conns.contains_key(&conn), "a connection is opened once");
        let refusal = if !limits::is_room(room) {
            Some(CloseReason::BadRoom)
        } else if self.conns.len() >= self.config.max_connections {
            Some(CloseReason::TooManyConnections)
        } else {
            None
        };
        if let Some(reason) = refusal {
            debug!(conn = conn.get(), %reason, "connection is refused");
            self.stats.closed += 1;
            self.outputs.push_back(RoomsOutput::Close { conn, reason });
            return;
        }
        let state = Conn {
            room: room.to_owned(),
            phase: Phase::Announcing,
            opened: now,
            heard: now,
            pinged: None,
            witness: Allowance::default(),
        };
        self.conns.insert(conn, state);
    }

    /// Takes in a text message. One from a connection that is not open is ignored.
    pub fn handle_text(&mut self, now: Instant, conn: ConnId, text: &str) {
        self.handle_pong(now, conn);
        if !self.conns.contains_key(&conn) {
            return;
        }
        if text.len() > MAX_FRAME {
            self.close(conn, CloseReason::FrameTooLong);
            return;
        }
        let reply = rpc::dispatch(text, |message| self.answer(now, conn, message));
        let reply = reply.unwrap_or_else(|error| {
            self.stats.refused += 1;
            Some(rpc::reply(Value::Null, Err(error)))
        });
        if let Some(reply) = reply {
            self.send(conn, reply.to_string());
        }
        if self.conns.get(&conn).is_some_and(|state| state.phase == Phase::Left) {
            self.close(conn, CloseReason::Left);
        }
    }

    /// Takes in a sign of life: a pong, or a ping of the client's own.
    pub fn handle_pong(&mut self, now: Instant, conn: ConnId) {
        if let Some(state) = self.conns.get_mut(&conn) {
            state.heard = now;
            state.pinged = None;
        }
    }

    /// Takes in that a connection is gone. Doing so twice does nothing.
    pub fn handle_close(&mut self, _now: Instant, conn: ConnId) {
        self.unseat(conn, "the connection was lost", false);
        self.conns.remove(&conn);
    }

    /// Lets time pass: pings who is silent, closes who stays so. Calling it early
    /// or twice does nothing.
    pub fn handle_timeout(&mut self, now: Instant) {
        let due = |(conn, state): (&ConnId, &Conn)| (self.deadline(state) <= now).then_some(*conn);
        let due: Vec<_> = self.conns.iter().filter_map(due).collect();
        for conn in due {
            let Some(state) = self.conns.get_mut(&conn) else { continue };
            if state.phase == Phase::Announcing {
                self.close(conn, CloseReason::AnnounceTimeout);
            } else if state.pinged.is_some() {
                self.close(conn, CloseReason::Idle);
            } else {
                state.pinged = Some(now);
                self.outputs.push_back(RoomsOutput::Ping { conn });
            }
        }
    }

    /// Takes what is to be done, in order.
    #[must_use]
    pub fn poll_output(&mut self) -> Option<RoomsOutput> {
        self.outputs.pop_front()
    }

    /// When [`handle_timeout`](Self::handle_timeout) has something to do.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.conns.values().map(|state| self.deadline(state)).min()
    }

    /// What has been done so far.
    #[must_use]
    pub fn stats(&self) -> RoomsStats {
        RoomsStats { connections: self.conns.len(), rooms: self.rooms.len(), ..self.stats }
    }

    fn deadline(&self, state: &Conn) -> Instant {
        match (state.phase, state.pinged) {
            (Phase::Announcing, _) => state.opened + self.config.announce_timeout,
            (_, Some(pinged)) => pinged + self.config.pong_timeout,
            (_, None) => state.heard + self.config.idle_timeout,
        }
    }

    fn answer(&mut self, now: Instant, conn: ConnId, message: Message) -> Option<Value> {
        let (id, outcome) = match message {
            // Nothing was asked, so nothing was answered; an error sent back could
            // go to and fro for ever.
            Message::Response { .. } => return None,
            Message::Invalid { id, why } => {
                let why = format!("Invalid Request: {why}");
                (Some(id), Err(RpcError::new(code::INVALID_REQUEST, why)))
            }
            Message::Request { id, method, params } => {
                let outcome = self.call(now, conn, &method, params.as_ref());
                (id, outcome)
            }
        };
        if let Err(error) = &outcome {
            debug!(conn = conn.get(), code = error.code, "call is refused");
            self.stats.refused += 1;
        }
        id.map(|id| rpc::reply(id, outcome))
    }

    fn call(
        &mut self,
        now: Instant,
        conn: ConnId,
        method: &str,
        params: Option<&Value>,
    ) -> Result<Value, RpcError> {
        match method {
            wire::ANNOUNCE => self.announce(now, conn, wire::read(params)?),
            wire::DISCONNECT => {
                let _: serde_json::Map<String, Value> = wire::read(params)?;
                self.seat(conn)?;
                self.unseat(conn, "left", true);
                Ok(json!({}))
            }
            wire::HOST => self.set_host(now, conn, &wire::read(params)?),
            wire::LEASE => self.take_lease(now, conn, params),
            wire::VOTE => self.vote(now, conn, params),
            method if wire::is_signal(method) => self.forward(conn, method, params),
            _ => Err(RpcError::method_not_found()),
        }
    }

    fn announce(
        &mut self,
        now: Instant,
        conn: ConnId,
        announce: Announce,
    ) -> Result<Value, RpcError> {
        limits::check_name(&announce.name)?;
        announce.capabilities.check()?;
        if announce.protocol != PROTOCOL {
            let why = format!("protocol {} is not spoken here, {PROTOCOL} is", announce.protocol);
            let error = RpcError::new(code::UNSUPPORTED_PROTOCOL, why);
            return Err(error.bound("protocol", PROTOCOL as usize));
        }
        let state = self.conns.get_mut(&conn).ok_or_else(not_announced)?;
        if state.phase != Phase::Announcing {
            let why = "a connection announces once: open another";
            let error = RpcError::new(code::ALREADY_ANNOUNCED, why);
            return Err(error.bound("announces_per_connection", 1));
        }
        let name = state.room.clone();
        let peer = announce.peer.0;
        let session = [splitmix(&mut self.random), splitmix(&mut self.random)];
        let room = self.rooms.entry(name.clone()).or_insert_with(|| {
            let bytes = u128::from(session[0]) << 64 | u128::from(session[1]);
            Room::new(PeerId::from_random(bytes.to_be_bytes()).to_bytes())
        });
        let epoch = room.epoch;
        let joined = room.join(now, conn, announce, self.config.max_members)?;
        let newcomer = room.member(peer).map(Entry::emit);
        let hosts = room.epoch != epoch;
        state.phase = Phase::Joined(peer);
        self.stats.joined += 1;
        info!(room = name, sender = joined.sender.get(), "peer joined");

        // The newcomer's reply says it all; the others hear it one by one.
        self.broadcast(&name, Some(conn), wire::JOINED, &newcomer.unwrap_or_default());
        if hosts {
            self.tell_host(&name, Some(conn));
        }
        Ok(Welcome::emit(&joined))
    }

    fn set_host(
        &mut self,
        now: Instant,
        conn: ConnId,
        params: &SetHost,
    ) -> Result<Value, RpcError> {
        let (peer, name) = self.seat(conn)?;
        let room = self.rooms.get_mut(&name).ok_or_else(not_announced)?;
        let changed = room.set_host(now, peer, params.host)?;
        let result = Hosting::emit(room.host, room.epoch);
        if changed {
            self.tell_host(&name, None);
        }
        Ok(result)
    }

    fn forward(
        &mut self,
        conn: ConnId,
        method: &str,
        params: Option<&Value>,
    ) -> Result<Value, RpcError> {
        let (peer, name) = self.seat(conn)?;
        let To { to: Uuid(to) } = wire::read(params)?;
        let signal = wire::read_signal(method, params)?;
        check_signal(&signal)?;
        let room = self.rooms.get_mut(&name).ok_or_else(not_announced)?;
        let target = room.route(peer, to, &signal)?;
        let (method, params) = wire::emit_signal(signal, "from", peer);
        let text = rpc::notification(method, &params).to_string();
        if text.len() > MAX_FRAME {
            let why = "the signal does not fit a frame on its way out: make it shorter";
            return Err(RpcError::new(code::OVER_LIMIT, why).bound("frame", MAX_FRAME));
        }
        self.stats.forwarded += 1;
        self.send(target, text);
        Ok(json!({}))
    }

    /// Who sits on `conn`, and in which room.
    fn seat(&self, conn: ConnId) -> Result<(PeerId, String), RpcError> {
        match self.conns.get(&conn) {
            Some(Conn { room, phase: Phase::Joined(peer), .. }) => Ok((*peer, room.clone())),
            _ => Err(not_announced()),
        }
    }

    /// Takes the peer on `conn` out of its room, if it is in one, and tells the others.
    fn unseat(&mut self, conn: ConnId, reason: &str, said_so: bool) {
        let Ok((peer, name)) = self.seat(conn) else { return };
        if let Some(state) = self.conns.get_mut(&conn) {
            state.phase = Phase::Left;
        }
        let Some(room) = self.rooms.get_mut(&name) else { return };
        info!(room = name, reason, "peer left");
        let hosted = room.leave(peer, said_so);
        if room.is_empty() {
            self.rooms.remove(&name);
            return;
        }
        let params = json!({ "peer": Uuid(peer), "reason": reason });
        self.broadcast(&name, None, wire::LEFT, &params);
        if hosted {
            self.tell_host(&name, None);
        }
    }

    fn close(&mut self, conn: ConnId, reason: CloseReason) {
        self.unseat(conn, &reason.to_string(), false);
        self.conns.remove(&conn);
        self.stats.closed += u64::from(reason != CloseReason::Left);
        self.outputs.push_back(RoomsOutput::Close { conn, reason });
    }

    fn tell_host(&mut self, name: &str, except: Option<ConnId>) {
        let Some(room) = self.rooms.get(name) else { return };
        let params = Hosting::emit(room.host, room.epoch);
        self.broadcast(name, except, wire::HOST, &params);
    }

    fn broadcast(&mut self, name: &str, except: Option<ConnId>, method: &str, params: &Value) {
        let Some(room) = self.rooms.get(name) else { return };
        let text = rpc::notification(method, params).to_string();
        let others = room.conns().filter(|conn| Some(*conn) != except);
        self.outputs.extend(others.map(|conn| RoomsOutput::Send { conn, text: text.clone() }));
    }

    fn send(&mut self, conn: ConnId, text: String) {
        self.outputs.push_back(RoomsOutput::Send { conn, text });
    }
}

impl From<BadParams> for RpcError {
    fn from(BadParams(why): BadParams) -> Self {
        Self::invalid_params(why)
    }
}

fn not_announced() -> RpcError {
    RpcError::new(code::NOT_ANNOUNCED, "you are in no room: send peer.announce first")
}

/// SplitMix64 (Steele, Lea, Flood 2014, "Fast splittable pseudorandom number
/// generators"): enough to tell rooms apart; no secret hangs on it.
const fn splitmix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
