//! Who of a room is connected to whom, and who calls.

/// The shape of a room (RFC 7667 §3).
///
/// | | connected | peers of the busiest by default |
/// |---|---|---|
/// | `Broadcast` | everybody to the host, who sends and receives no media | 120 |
/// | `Mesh` | everybody to everybody | 9 |
/// | `Star` | everybody to the host, who mixes | 31 |
///
/// ```
/// use paceline_mesh::{Link, Place, Topology};
///
/// let (host, member) = (Place::Host, Place::Member);
/// assert_eq!(Topology::Star.link(member, host, true), Some(Link::Call));
/// assert_eq!(Topology::Star.link(member, member, true), None);
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
    /// Everybody sends to the host and gets his mix (RFC 7667 §3.6, Topo-Mixer).
    #[default]
    Star,
}

/// What somebody is in a room's topology.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "one is the host or is not")]
pub enum Place {
    /// The one that the others are connected to. Means nothing in a mesh.
    Host,
    /// Anybody else.
    Member,
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
    /// What `us` has to do about `them`, who was in the room before us or was not;
    /// `None` if the two are not connected.
    #[must_use]
    pub const fn link(self, us: Place, them: Place, was_there: bool) -> Option<Link> {
        match (self, us, them) {
            (Self::Mesh, ..) => Some(if was_there { Link::Call } else { Link::Expect }),
            (_, Place::Member, Place::Host) => Some(Link::Call),
            (_, Place::Host, Place::Member) => Some(Link::Expect),
            _ => None,
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
