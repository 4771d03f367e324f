//! Under whose authority a packet was sent.

use std::fmt;

/// A term and a ballot: which host a packet belongs to.
///
/// Compared as a whole, the term first (Raft §5.1 calls this the term). On the
/// wire it is one u64: the term in the upper 48 bits, the ballot in the lower 16.
///
/// ```
/// use paceline_types::Epoch;
///
/// let old = Epoch::new(1, 0);
/// assert!(old < Epoch::new(1, 1) && Epoch::new(1, 1) < Epoch::new(2, 0));
/// assert_eq!(Epoch::from_bits(old.to_bits()), old);
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Epoch(u64);

impl Epoch {
    /// An epoch of `term` and `ballot`.
    ///
    /// # Panics
    ///
    /// If `term` does not fit 48 bits: at one election a millisecond that takes
    /// 8,900 years.
    #[must_use]
    pub const fn new(term: u64, ballot: u16) -> Self {
        assert!(term < 1 << 48, "term must fit 48 bits");
        Self(term << 16 | ballot as u64)
    }

    /// The epoch as the wire has it.
    #[must_use]
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// The epoch for the wire.
    #[must_use]
    pub const fn to_bits(self) -> u64 {
        self.0
    }

    /// The term.
    #[must_use]
    pub const fn term(self) -> u64 {
        self.0 >> 16
    }

    /// The ballot.
    #[must_use]
    pub const fn ballot(self) -> u16 {
        self.0 as u16
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.term(), self.ballot())
    }
}
