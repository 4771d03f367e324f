//! Which of the last numbers have been here.

/// A bit for each of the last 256 numbers before the next one to play.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    bits: [u64; 4],
}

impl Seen {
    /// Whether `seq`, which is before `next`, has been here; of those further back
    /// nothing is known.
    #[inline]
    pub(crate) const fn contains(&self, next: u64, seq: u64) -> bool {
        let back = next - seq - 1;
        back < DEPTH && self.bits[(back / 64) as usize] >> (back % 64) & 1 == 1
    }

    /// `seq`, which is before `next`, has been here.
    #[inline]
    pub(crate) const fn insert(&mut self, next: u64, seq: u64) {
        let back = next - seq - 1;
        if back < DEPTH {
            self.bits[(back / 64) as usize] |= 1 << (back % 64);
        }
    }

    /// The next one to play is `count` further on.
    #[inline]
    pub(crate) fn advance(&mut self, count: u64) {
        if count >= DEPTH {
            self.bits = [0; 4];
            return;
        }
        let (words, shift) = ((count / 64) as usize, count % 64);
        for word in (0..4_usize).rev() {
            let low = word.checked_sub(words).map_or(0, |from| self.bits[from]);
            let below = word.checked_sub(words + 1).map_or(0, |from| self.bits[from]);
            let carried = if shift == 0 { 0 } else { below >> (64 - shift) };
            self.bits[word] = low << shift | carried;
        }
    }
}

/// How far back it is known.
pub(crate) const DEPTH: u64 = 256;
