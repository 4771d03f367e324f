//! One room: its members, its host, and what each may send.

use std::collections::BTreeMap;

use paceline_types::{Epoch, PeerId, SenderId, Signal};

use crate::code;
use crate::limits::MAX_CANDIDATES;
use crate::message::{Joined, Member};
use crate::output::ConnId;
use crate::rpc::RpcError;
use crate::wire::Announce;

/// A member and how to reach it.
#[derive(Debug)]
struct Seat {
    conn: ConnId,
    member: Member,
    /// Candidates sent to each other member since the last description to it.
    candidates: BTreeMap<PeerId, usize>,
}

/// The members of one room. It exists while there is one.
#[derive(Debug)]
pub(crate) struct Room {
    session: [u8; 16],
    /// What the last member to join was given.
    last_sender: u32,
    pub(crate) epoch: Epoch,
    pub(crate) host: Option<PeerId>,
    seats: BTreeMap<PeerId, Seat>,
}

impl Room {
    pub(crate) const fn new(session: [u8; 16]) -> Self {
        Self {
            session,
            last_sender: 0,
            epoch: Epoch::new(0, 0),
            host: None,
            seats: BTreeMap::new(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.seats.is_empty()
    }

    /// Everybody's connection, in the order of their peer ids.
    pub(crate) fn conns(&self) -> impl Iterator<Item = ConnId> {
        self.seats.values().map(|seat| seat.conn)
    }

    pub(crate) fn member(&self, peer: PeerId) -> Option<&Member> {
        self.seats.get(&peer).map(|seat| &seat.member)
    }

    /// Seats a peer, as the host if it wants to and there is none.
    pub(crate) fn join(
        &mut self,
        conn: ConnId,
        announce: Announce,
        max_members: usize,
    ) -> Result<Joined, RpcError> {
        let peer = announce.peer.0;
        if self.seats.contains_key(&peer) {
            let why = format!("peer {peer} is in the room already: make a new id for each join");
            return Err(RpcError::new(code::PEER_TAKEN, why).bound("connections_per_peer", 1));
        }
        let taken = self.seats.len();
        if taken >= max_members {
            let why = format!("the room is full: {taken} of {max_members} are in it");
            return Err(RpcError::new(code::ROOM_FULL, why).bound("max_members", max_members));
        }
        let Some(sender) = self.last_sender.checked_add(1) else {
            let why = "the room has no sender number left: let it end and start anew";
            return Err(RpcError::new(code::ROOM_FULL, why).bound("senders", u32::MAX as usize));
        };
        self.last_sender = sender;
        let sender = SenderId::new(sender);
        let members = self.seats.values().map(|seat| seat.member.clone()).collect();
        let Announce { name, capabilities, .. } = announce;
        if capabilities.host && self.host.is_none() {
            self.change_host(Some(peer));
        }
        let member = Member { peer, sender, name, capabilities };
        self.seats.insert(peer, Seat { conn, member, candidates: BTreeMap::new() });
        Ok(Joined { session: self.session, sender, epoch: self.epoch, host: self.host, members })
    }

    /// Frees the seat of `peer` and tells whether the room lost its host.
    pub(crate) fn leave(&mut self, peer: PeerId) -> bool {
        self.seats.remove(&peer);
        for seat in self.seats.values_mut() {
            seat.candidates.remove(&peer);
        }
        let hosted = self.host == Some(peer);
        if hosted {
            self.change_host(None);
        }
        hosted
    }

    /// Claims hosting or gives it up, and tells whether that changed anything.
    pub(crate) fn set_host(&mut self, peer: PeerId, host: bool) -> Result<bool, RpcError> {
        match (self.host, host) {
            (None, true) => self.change_host(Some(peer)),
            (Some(current), false) if current == peer => self.change_host(None),
            (Some(current), true) if current != peer => {
                let why = format!("peer {current} hosts: it has to give that up first");
                return Err(RpcError::new(code::HOST_TAKEN, why).bound("hosts", 1));
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// The connection that a signal goes to, if `from` may send it.
    pub(crate) fn route(
        &mut self,
        from: PeerId,
        to: PeerId,
        signal: &Signal,
    ) -> Result<ConnId, RpcError> {
        if from == to {
            return Err(RpcError::invalid_params("`to` is the sender itself"));
        }
        let Some(conn) = self.seats.get(&to).map(|seat| seat.conn) else {
            let why = format!("peer {to} is not in this room");
            return Err(RpcError::new(code::UNKNOWN_PEER, why));
        };
        let Some(seat) = self.seats.get_mut(&from) else {
            return Err(RpcError::new(code::INTERNAL_ERROR, "the sender has no seat"));
        };
        match signal {
            // A new description starts a new round of candidates (RFC 8838 §15).
            Signal::Answer { .. } | Signal::Offer { .. } => {
                seat.candidates.remove(&to);
            }
            Signal::Candidate { .. } => {
                let sent = seat.candidates.entry(to).or_default();
                if *sent >= MAX_CANDIDATES {
                    let why = format!(
                        "{MAX_CANDIDATES} candidates have gone to peer {to} since the last offer \
                         or answer: send a new one first"
                    );
                    let error = RpcError::new(code::OVER_LIMIT, why);
                    return Err(error.bound("candidates", MAX_CANDIDATES));
                }
                *sent += 1;
            }
        }
        Ok(conn)
    }

    fn change_host(&mut self, host: Option<PeerId>) {
        self.host = host;
        self.epoch = Epoch::new(self.epoch.term() + 1, 0);
    }
}
