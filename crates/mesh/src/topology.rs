//! Who of a room is connected to whom, and who calls.

/// The shape of a room (RFC 7667 §3).
///
/// | | connected | peers of the busiest by default |
/// |---|---|---|
/// | `Broadcast` | everybody to the host, who sends and receives no media | 120 |
/// | `Mesh` | everybody to everybody | 9 |
/// | `Star` | everybody to the host, who mixes, and to those who may follow him | 31 |
///
/// ```
/// use paceline_mesh::{Link, Place, Topology};
///
/// let (host, successor, member) = (Place::Host, Place::Successor, Place::Member);
/// assert_eq!(Topology::Star.link(member, host, true), Some(Link::Call));
/// assert_eq!(Topology::Star.link(host, member, true), Some(Link::Call));
/// assert_eq!(Topology::Star.link(member, successor, false), Some(Link::Expect));
/// assert_eq!(Topology::Star.link(member, member, true), None);
/// assert_eq!(Topology::Broadcast.link(host, member, true), Some(Link::Expect));
/// assert_eq!(Topology::Mesh.link(member, member, true), Some(Link::Call));
/// assert_eq!(Topology::Mesh.link(member, member, false), Some(Link::Expect));
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Topology {
    /// One sends to all the others.
    Broadcast,
    /// Everybody sends to everybody (RFC 7667 §3.4, Topo-Mesh).
    Mesh,
    /// Everybody sends to the host and gets his mix (RFC 7667 §3.6, Topo-Mixer); some are
    /// ready to follow him.
    #[default]
    Star,
}

/// What somebody is in a room's topology.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "one hosts, may follow, or does neither")]
pub enum Place {
    /// The one that the others are connected to. Means nothing in a mesh.
    Host,
    /// Anybody else.
    Member,
    /// One who may follow the host of a star. Somebody like any other elsewhere.
    Successor,
}

/// What to do about another member of the room.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a connection has two ends")]
pub enum Link {
    /// Make a connection to him.
    Call,
    /// Let him make one.
    Expect,
}

impl Topology {
    /// What `us` has to do about `them`, who was in the room before us or was not: who was
    /// has the smaller number there. `None` if the two are not connected.
    ///
    /// In a star as in a mesh the one who came later calls, whoever hosts: so it stays the
    /// same one when another does.
    #[must_use]
    pub const fn link(self, us: Place, them: Place, was_there: bool) -> Option<Link> {
        let by_age = Some(if was_there { Link::Call } else { Link::Expect });
        match (self, us, them) {
            (Self::Mesh, ..) => by_age,
            (Self::Star, Place::Member, Place::Member) => None,
            (Self::Star, ..) => by_age,
            (Self::Broadcast, Place::Host, Place::Host) => None,
            (Self::Broadcast, _, Place::Host) => Some(Link::Call),
            (Self::Broadcast, Place::Host, _) => Some(Link::Expect),
            (Self::Broadcast, ..) => None,
        }
    }

    /// Peers that one may have if nothing else is said. A mesh of ten sends each picture
    /// nine times; a mix has 32 places; one hundred viewers are what a broadcast is
    /// measured with, and twenty may come while others leave.
    #[must_use]
    pub const fn max_peers(self) -> usize {
        match self {
            Self::Broadcast => 120,
            Self::Mesh => 9,
            Self::Star => 31,
        }
    }
}
