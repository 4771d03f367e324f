//! A frame's place in its stream.

use std::fmt;

/// A sequence number that does not wrap: +1 for each frame of a stream.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct SeqNo(u64);

impl SeqNo {
    /// The number `seq`.
    #[must_use]
    pub const fn new(seq: u64) -> Self {
        Self(seq)
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The next one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }

    /// As a u32 field of the wire has it; [`SeqExtender::extend_u32`] undoes it.
    #[must_use]
    pub const fn wrapped(self) -> u32 {
        self.0 as u32
    }
}

impl fmt::Display for SeqNo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Makes sequence numbers of 16 or 32 bits into ones that do not wrap
/// (RFC 3550 A.1): each is taken to be the nearest to the highest seen so far.
///
/// One extender serves one stream with one width.
#[derive(Clone, Copy, Debug, Default)]
pub struct SeqExtender {
    highest: Option<u64>,
}

impl SeqExtender {
    /// One that has seen nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self { highest: None }
    }

    /// Extends a 16-bit number, as RTP has it.
    pub fn extend_u16(&mut self, seq: u16) -> SeqNo {
        self.extend(u64::from(seq), 16)
    }

    /// Extends a 32-bit number, as the data channel has it.
    pub fn extend_u32(&mut self, seq: u32) -> SeqNo {
        self.extend(u64::from(seq), 32)
    }

    /// The highest number so far; zero before the first.
    #[must_use]
    pub fn highest(&self) -> SeqNo {
        SeqNo(self.highest.unwrap_or(0))
    }

    fn extend(&mut self, seq: u64, bits: u32) -> SeqNo {
        let span = 1_u64 << bits;
        let extended = match self.highest {
            None => seq,
            Some(highest) => {
                let ahead = seq.wrapping_sub(highest) & (span - 1);
                if ahead < span / 2 {
                    highest + ahead
                } else {
                    // Behind the highest; before the stream's start it is itself.
                    (highest + ahead).checked_sub(span).unwrap_or(seq)
                }
            }
        };
        self.highest = self.highest.max(Some(extended));
        SeqNo(extended)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_number_is_extended_behind_the_highest() {
        let mut extender = SeqExtender::new();
        let _ = extender.extend_u16(65_530);
        let _ = extender.extend_u16(4);
        assert_eq!(extender.extend_u16(65_535), SeqNo::new(65_535));
        assert_eq!(extender.extend_u16(5), SeqNo::new(65_541));
    }

    #[test]
    fn thirty_two_bits_wrap_too() {
        let mut extender = SeqExtender::new();
        let _ = extender.extend_u32(u32::MAX);
        assert_eq!(extender.extend_u32(1), SeqNo::new((1 << 32) + 1));
        assert_eq!(extender.extend_u32(1).wrapped(), 1);
    }

    #[test]
    fn a_number_before_the_first_does_not_underflow() {
        let mut extender = SeqExtender::new();
        let _ = extender.extend_u16(2);
        assert_eq!(extender.extend_u16(65_535), SeqNo::new(65_535));
    }
}
