//! Who decides who hosts.

use std::collections::BTreeSet;

use paceline_framing::{Roster, RosterId};
use paceline_types::SenderId;

/// Those whose votes count, and which roster says so.
///
/// ```
/// use paceline_migration::Electorate;
/// use paceline_migration::types::SenderId;
///
/// let (ann, ben) = (SenderId::new(1), SenderId::new(2));
/// let mut electorate = Electorate::genesis();
/// assert_eq!(electorate.quorum(), 1); // the witness alone
/// electorate.members.extend([ann, ben]);
/// assert_eq!(electorate.quorum(), 2);
/// assert!(electorate.is_quorum([ann], true) && !electorate.is_quorum([ann], false));
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "callers make it")]
pub struct Electorate {
    /// The roster that has it.
    pub id: RosterId,
    /// Members that vote.
    pub members: BTreeSet<SenderId>,
    /// Whether the witness does.
    pub witness: bool,
}

impl Electorate {
    /// That of a room in which nobody was yet: the witness decides alone.
    #[must_use]
    pub const fn genesis() -> Self {
        Self {
            id: RosterId { epoch: paceline_types::Epoch::new(0, 0), number: 0 },
            members: BTreeSet::new(),
            witness: true,
        }
    }

    /// That of a roster.
    #[must_use]
    pub fn of(roster: &Roster) -> Self {
        let members = roster.members.iter().filter(|member| member.votes);
        Self {
            id: roster.id,
            members: members.map(|member| member.sender).collect(),
            witness: roster.witness,
        }
    }

    /// How many votes are a majority.
    #[must_use]
    pub fn quorum(&self) -> usize {
        (self.members.len() + usize::from(self.witness)) / 2 + 1
    }

    /// Whether these, and the witness if it does, are a majority. Who does not vote does not
    /// count, and nobody counts twice.
    #[must_use]
    pub fn is_quorum(&self, yes: impl IntoIterator<Item = SenderId>, witness: bool) -> bool {
        let yes: BTreeSet<_> = yes.into_iter().filter(|who| self.members.contains(who)).collect();
        yes.len() + usize::from(witness && self.witness) >= self.quorum()
    }
}
