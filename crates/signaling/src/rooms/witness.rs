//! The witness's two methods.

use std::time::Instant;

use serde_json::Value;
use tracing::{debug, info};

use super::{Rooms, not_announced};
use crate::code;
use crate::output::ConnId;
use crate::room::Room;
use crate::rpc::RpcError;
use crate::wire::{self, AskLease, AskVote};

impl Rooms {
    /// `witness.lease`: who hosts says so again.
    pub(super) fn take_lease(
        &mut self,
        now: Instant,
        conn: ConnId,
        params: Option<&Value>,
    ) -> Result<Value, RpcError> {
        let (peer, name) = self.seat(conn)?;
        self.spend(now, conn)?;
        let (lease, electors) = wire::read::<AskLease>(params)?.check()?;
        let room = self.room(&name)?;
        let (granted, changed) = room.take_lease(now, peer, &lease, electors)?;
        let result = AskLease::reply(&lease, granted, room.roster());
        self.stats.leases += u64::from(granted);
        if changed {
            info!(room = name, %peer, epoch = %lease.epoch, "another hosts");
            self.tell_host(&name, None);
        }
        Ok(result)
    }

    /// `witness.vote`: who wants to host asks.
    pub(super) fn vote(
        &mut self,
        now: Instant,
        conn: ConnId,
        params: Option<&Value>,
    ) -> Result<Value, RpcError> {
        let (peer, name) = self.seat(conn)?;
        self.spend(now, conn)?;
        let request = wire::read::<AskVote>(params)?.check()?;
        let (granted, epoch) = self.room(&name)?.vote(now, peer, &request)?;
        debug!(room = name, %peer, epoch = %request.epoch, request.prevote, granted, "voted");
        self.stats.votes += u64::from(granted && !request.prevote);
        Ok(AskVote::reply(&request, granted, epoch))
    }

    fn room(&mut self, name: &str) -> Result<&mut Room, RpcError> {
        self.rooms.get_mut(name).ok_or_else(not_announced)
    }

    /// Counts a call against what the member on `conn` may ask in a second.
    fn spend(&mut self, now: Instant, conn: ConnId) -> Result<(), RpcError> {
        let rate = self.config.witness_rate;
        let state = self.conns.get_mut(&conn).ok_or_else(not_announced)?;
        if state.witness.take(now, rate) {
            return Ok(());
        }
        let why = format!("the witness was asked more than {rate} times in a second: wait");
        Err(RpcError::new(code::OVER_LIMIT, why).bound("witness_rate", rate as usize))
    }
}
