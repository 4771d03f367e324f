//! Who is to host before anything is measured.

use std::cmp::Reverse;

use paceline_framing::{Mapping, NatType};
use paceline_types::{PeerId, SenderId};

use crate::Candidate;

/// Those who may host, the one who is placed best first, from what each says of himself.
///
/// Fewer relays needed, then the easier NAT, then the easier mapping, then the higher uplink
/// that was measured (0 is the least), then the shorter round trip to the witness (0, not
/// measured, is the longest), then the lower [`PeerId`]. Of whom nothing is known, he comes
/// after all of whom something is. Everybody who has the same set gets the same order,
/// in whatever order it is given.
///
/// This is for a room in which nobody has measured anybody: what one says of himself counts
/// nowhere else, but to tell equals apart.
///
/// ```
/// use paceline_migration::types::{PeerId, SenderId};
/// use paceline_migration::{Candidate, first_host};
///
/// let candidate = |id: u32, may_host| Candidate {
///     sender: SenderId::new(id),
///     peer: PeerId::from_random([id as u8; 16]),
///     may_host,
///     nat: None,
/// };
/// let room = [candidate(3, true), candidate(1, false), candidate(2, true)];
/// assert_eq!(first_host(&room), [SenderId::new(2), SenderId::new(3)]);
/// ```
#[must_use]
pub fn first_host(candidates: &[Candidate]) -> Vec<SenderId> {
    let mut able: Vec<_> = candidates.iter().filter(|candidate| candidate.may_host).collect();
    able.sort_by_key(|candidate| place(candidate));
    able.into_iter().map(|candidate| candidate.sender).collect()
}

/// What candidates are ordered by, best first. No two of a room have the same.
pub(crate) fn place(candidate: &Candidate) -> impl Ord + use<> {
    let of = candidate.nat.map(|nat| {
        let rtt = if nat.rtt == 0 { u32::MAX } else { nat.rtt };
        (nat.needs_relay, nat.nat, nat.mapping, Reverse(nat.upload), rtt)
    });
    let unknown = (true, NatType::Unknown, Mapping::Unknown, Reverse(0), u32::MAX);
    let identity: (PeerId, SenderId) = (candidate.peer, candidate.sender);
    (of.is_none(), of.unwrap_or(unknown), identity)
}
