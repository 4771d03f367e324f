//! What can be looked at from outside.

use paceline_framing::{Role, RosterMember};
use paceline_mesh::{MeshStats, PeerStats, Quality};
use paceline_migration::MigrationStats;
use paceline_types::{PeerId, SenderId, StreamId, StreamKey};

use super::{Room, Session};
use crate::io::{PathReport, SessionStats};
use crate::receive::ReceiveStats;

impl Session {
    /// Whether this node is the host.
    #[must_use]
    pub fn is_host(&self) -> bool {
        self.room.as_ref().is_some_and(|room| self.role(room) == Role::Host)
    }

    /// Whether this node has handed over, and what it makes is still the mix, up to the
    /// switch that it announced: [`Event::Retired`](crate::Event::Retired) tells when that
    /// is over.
    #[must_use]
    pub fn is_retiring(&self) -> bool {
        let star = self.room.as_ref().and_then(|room| room.star.as_ref());
        star.is_some_and(|star| star.migration.is_retiring())
    }

    /// Who is ready to follow the host of a star.
    #[must_use]
    pub fn standby(&self) -> Option<PeerId> {
        let room = self.room.as_ref()?;
        room.peer_of(self.peer, room.star.as_ref()?.migration.standby()?)
    }

    /// Whether nobody is connected, and no connection is being made.
    #[must_use]
    pub fn is_alone(&self) -> bool {
        self.room.as_ref().is_none_or(|room| !room.mesh.is_busy())
    }

    /// Who is in the room, and what he does there: in a star as the members agreed on last,
    /// or, if they did not yet and elsewhere, as the signalling server has it. Nobody if we
    /// are in none.
    #[must_use]
    pub fn roster(&self) -> Vec<RosterMember> {
        let Some(room) = &self.room else { return Vec::new() };
        let agreed = room.star.as_ref().and_then(|star| star.migration.roster());
        agreed.map_or_else(|| self.members_of(room), |roster| roster.members.clone())
    }

    fn members_of(&self, room: &Room) -> Vec<RosterMember> {
        let others = room.members.values().map(|member| (member.peer, member.sender));
        let member = |(peer, sender): (PeerId, SenderId)| {
            let hosts = self.has_host() && room.host == Some(peer);
            let role = if hosts { Role::Host } else { Role::Member };
            RosterMember { sender, peer, role, votes: false }
        };
        std::iter::once((self.peer, room.sender)).chain(others).map(member).collect()
    }

    /// The last ten seconds of each connection, brought up to date every second or so.
    #[must_use]
    pub fn qualities(&self) -> Vec<(PeerId, Quality)> {
        self.qualities.iter().map(|(&peer, &quality)| (peer, quality)).collect()
    }

    /// Counts of all connections.
    #[must_use]
    pub fn mesh_stats(&self) -> MeshStats {
        self.room.as_ref().map(|room| room.mesh.mesh_stats()).unwrap_or_default()
    }

    /// Counts of who hosts, since we came into the room; all zero but in a star.
    #[must_use]
    pub fn migration_stats(&self) -> MigrationStats {
        let star = self.room.as_ref().and_then(|room| room.star.as_ref());
        star.map(|star| star.migration.stats()).unwrap_or_default()
    }

    /// Counts since the session was made.
    #[must_use]
    pub fn stats(&self) -> SessionStats {
        self.stats
    }

    /// Counts of the connection to each peer that is connected.
    #[must_use]
    pub fn peer_stats(&self) -> Vec<(PeerId, PeerStats)> {
        let Some(room) = &self.room else { return Vec::new() };
        let peers = room.mesh.connected();
        peers.filter_map(|peer| Some((peer, room.mesh.stats(peer)?))).collect()
    }

    /// Counts of each stream that is received.
    #[must_use]
    pub fn receive_stats(&self) -> Vec<(StreamKey, ReceiveStats)> {
        self.receiver.all_stats().collect()
    }

    /// What each receiver last reported of each stream of ours.
    #[must_use]
    pub fn path_reports(&self) -> Vec<(PeerId, StreamId, PathReport)> {
        self.reports.iter().map(|(&(peer, stream), &report)| (peer, stream, report)).collect()
    }
}
