//! One room: its members, its host, and what each may send.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use paceline_migration::{Lease, RosterId, VoteRequest};
use paceline_types::{Epoch, PeerId, SenderId, Signal};

use crate::code;
use crate::limits::MAX_CANDIDATES;
use crate::message::{Joined, Member};
use crate::output::ConnId;
use crate::rpc::RpcError;
use crate::wire::Announce;
use crate::witness::{GENESIS_LEASE, Witness};

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
    witness: Witness,
    seats: BTreeMap<PeerId, Seat>,
}

impl Room {
    pub(crate) fn new(session: [u8; 16]) -> Self {
        Self {
            session,
            last_sender: 0,
            epoch: Epoch::new(0, 0),
            host: None,
            witness: Witness::default(),
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

    /// Seats a peer, as the host if it may, there is none, and nobody votes who is here.
    pub(crate) fn join(
        &mut self,
        now: Instant,
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
        let genesis = self.witness.is_genesis();
        if genesis && capabilities.host && self.host.is_none() {
            self.appoint(now, peer, sender, GENESIS_LEASE);
        }
        let member = Member { peer, sender, name, capabilities };
        self.seats.insert(peer, Seat { conn, member, candidates: BTreeMap::new() });
        let Self { session, host, .. } = *self;
        // While nobody hosts, a promise to somebody who failed counts too: who asks for that
        // epoch again does so in vain.
        let promised = if host.is_none() { self.witness.promised() } else { self.epoch };
        let epoch = self.epoch.max(promised);
        Ok(Joined { session, sender, epoch, host, genesis, members })
    }

    /// Frees the seat of `peer`, who said so himself or was lost, and tells whether the room
    /// lost its host.
    pub(crate) fn leave(&mut self, peer: PeerId, said_so: bool) -> bool {
        let Some(Seat { member: Member { sender, .. }, .. }) = self.seats.remove(&peer) else {
            return false;
        };
        for seat in self.seats.values_mut() {
            seat.candidates.remove(&peer);
        }
        let left = self.seats.values().map(|seat| seat.member.sender);
        self.witness.leave(sender, said_so, left);
        let hosted = self.host == Some(peer);
        if hosted {
            self.lose_host();
        }
        hosted
    }

    /// Claims hosting or gives it up, and tells whether that changed anything.
    pub(crate) fn set_host(
        &mut self,
        now: Instant,
        peer: PeerId,
        host: bool,
    ) -> Result<bool, RpcError> {
        if self.witness.is_by_lease() {
            let why = "who hosts this room is decided by votes: send witness.vote";
            return Err(RpcError::new(code::ELECTED, why));
        }
        let sender = self.sender(peer)?;
        match (self.host, host) {
            (None, true) => {
                // No hold: whoever claims hosts until he gives it up or goes.
                if !self.appoint(now, peer, sender, Duration::ZERO) {
                    let why = "the time of the host before is not over: ask again in a second";
                    return Err(RpcError::new(code::HOST_TAKEN, why).bound("hosts", 1));
                }
            }
            (Some(current), false) if current == peer => {
                self.witness.release(self.epoch, sender);
                self.lose_host();
            }
            (Some(current), true) if current != peer => {
                let why = format!("peer {current} hosts: it has to give that up first");
                return Err(RpcError::new(code::HOST_TAKEN, why).bound("hosts", 1));
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Takes a lease, or that it is given up if it has no length. Tells whether it was
    /// granted, and whether the host changed by it.
    pub(crate) fn take_lease(
        &mut self,
        now: Instant,
        peer: PeerId,
        lease: &Lease,
        electors: BTreeSet<SenderId>,
    ) -> Result<(bool, bool), RpcError> {
        let sender = self.sender(peer)?;
        if lease.length == 0 {
            return Ok((self.witness.release(lease.epoch, sender), false));
        }
        let granted = self.may_elect(peer, lease.epoch)
            && self.witness.take_lease(
                now,
                sender,
                lease,
                electors,
                SenderId::new(self.last_sender),
            );
        let changed = granted && (self.host, self.epoch) != (Some(peer), lease.epoch);
        if changed {
            (self.host, self.epoch) = (Some(peer), lease.epoch);
        }
        Ok((granted, changed))
    }

    /// Votes on `peer`, or says whether it would. With the epoch asked for; when refused,
    /// with the newest that was promised if that is later, for him to ask for one after it.
    pub(crate) fn vote(
        &mut self,
        now: Instant,
        peer: PeerId,
        request: &VoteRequest,
    ) -> Result<(bool, Epoch), RpcError> {
        if request.candidate != self.sender(peer)? {
            let why = "the candidate is not who asks: each asks for himself";
            return Err(RpcError::new(code::NOT_CANDIDATE, why));
        }
        let granted = self.may_elect(peer, request.epoch) && self.witness.vote(now, request);
        let promised = self.witness.promised().max(self.epoch);
        Ok((granted, if granted { request.epoch } else { promised.max(request.epoch) }))
    }

    /// The newest roster that was in a lease.
    pub(crate) const fn roster(&self) -> RosterId {
        self.witness.roster()
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

    fn sender(&self, peer: PeerId) -> Result<SenderId, RpcError> {
        let seat = self.seats.get(&peer);
        let missing = || RpcError::new(code::INTERNAL_ERROR, "the caller has no seat");
        seat.map(|seat| seat.member.sender).ok_or_else(missing)
    }

    /// Whether `peer` may ask the witness for `epoch`. The place of a host without a lease,
    /// as the publisher of a broadcast is, is not up for election while he is here.
    fn may_elect(&self, peer: PeerId, epoch: Epoch) -> bool {
        let is_open = self.witness.is_by_lease() || self.host.is_none_or(|host| host == peer);
        is_open && epoch >= self.epoch
    }

    /// Makes `peer` the host without a vote, unless another's lease has not run out.
    fn appoint(&mut self, now: Instant, peer: PeerId, sender: SenderId, hold: Duration) -> bool {
        let epoch = self.witness.appoint(now, self.epoch, sender, hold);
        if let Some(epoch) = epoch {
            (self.host, self.epoch) = (Some(peer), epoch);
        }
        epoch.is_some()
    }

    /// Nobody hosts any more. Where hosts are elected, the epoch is for members to raise.
    fn lose_host(&mut self) {
        self.host = None;
        let next = self.epoch.term() + 1;
        if !self.witness.is_by_lease() && next >> 48 == 0 {
            self.epoch = Epoch::new(next, 0);
        }
    }
}
