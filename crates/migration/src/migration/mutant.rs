//! Machines that break one rule, to see that the tests notice.

use super::Migration;

/// Which rule is broken. Only with the feature `__mutants`, and only for tests.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[cfg_attr(not(feature = "__mutants"), expect(unreachable_pub, reason = "tests alone see it"))]
#[non_exhaustive]
pub enum Mutant {
    /// What comes under an old epoch is rendered.
    NoFence,
    /// One vote is enough.
    NoQuorum,
    /// A host goes on whoever hears of it.
    NoSelfFencing,
    /// A voter forgets what he promised.
    VoteAmnesia,
}

impl Migration {
    #[cfg(feature = "__mutants")]
    pub(super) fn mutant(&self, mutant: Mutant) -> bool {
        self.config.mutant == Some(mutant)
    }

    #[cfg(not(feature = "__mutants"))]
    #[expect(clippy::unused_self, reason = "with the feature it is used")]
    pub(super) const fn mutant(&self, _mutant: Mutant) -> bool {
        false
    }
}
