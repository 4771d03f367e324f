//! Units by number, in one allocation.

use paceline_types::Frequency;

/// A unit that is held, with its place and its times on the buffer's own clock.
#[derive(Debug)]
pub(crate) struct Held<T> {
    /// Continues over jumps of the stream.
    pub(crate) seq: u64,
    /// Nanoseconds of corrected media time.
    pub(crate) time: i64,
    /// Nanoseconds.
    pub(crate) arrival: i64,
    /// What the sender's media clock said, and how fast it ran.
    pub(crate) ticks: u64,
    pub(crate) frequency: Frequency,
    pub(crate) marker: bool,
    pub(crate) payload: T,
}

/// A window of sequence numbers, as wide as there are slots.
#[derive(Debug)]
pub(crate) struct Ring<T> {
    slots: Box<[Option<Held<T>>]>,
    /// A bit for each slot that is taken.
    taken: Box<[u64]>,
    lowest: u64,
    highest: u64,
    len: usize,
}

impl<T> Ring<T> {
    /// Room for `capacity` numbers, rounded up to a power of two.
    pub(crate) fn new(capacity: usize) -> Self {
        let capacity = capacity.clamp(2, 1 << 16).next_power_of_two();
        Self {
            slots: (0..capacity).map(|_| None).collect(),
            taken: vec![0; capacity.div_ceil(64)].into(),
            lowest: 0,
            highest: 0,
            len: 0,
        }
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(crate) fn holds(&self, seq: u64) -> bool {
        matches!(&self.slots[self.slot(seq)], Some(held) if held.seq == seq)
    }

    /// Whether `seq` and all that is held fit into the window together.
    pub(crate) fn has_room_for(&self, seq: u64) -> bool {
        let (low, high) = (self.lowest.min(seq), self.highest.max(seq));
        self.len == 0 || high - low < self.slots.len() as u64
    }

    /// Takes in what it [has room for](Self::has_room_for) and does not hold.
    pub(crate) fn insert(&mut self, held: Held<T>) {
        let (seq, slot) = (held.seq, self.slot(held.seq));
        debug_assert!(self.has_room_for(seq) && self.slots[slot].is_none());
        if self.len == 0 {
            (self.lowest, self.highest) = (seq, seq);
        }
        self.lowest = self.lowest.min(seq);
        self.highest = self.highest.max(seq);
        self.len += 1;
        self.taken[slot / 64] |= 1 << (slot % 64);
        self.slots[slot] = Some(held);
    }

    /// All that is held, in no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Held<T>> {
        self.slots.iter().flatten()
    }

    pub(crate) fn first(&self) -> Option<&Held<T>> {
        if self.len == 0 { None } else { self.slots[self.slot(self.lowest)].as_ref() }
    }

    pub(crate) fn pop_first(&mut self) -> Option<Held<T>> {
        if self.len == 0 {
            return None;
        }
        let slot = self.slot(self.lowest);
        let held = self.slots[slot].take();
        self.taken[slot / 64] &= !(1 << (slot % 64));
        self.len -= 1;
        if self.len > 0 {
            self.lowest += self.distance_to_taken(slot);
        }
        held
    }

    /// How many slots after `slot` the next one that is taken lies. One is.
    fn distance_to_taken(&self, slot: usize) -> u64 {
        let capacity = self.slots.len();
        let mut at = (slot + 1) % capacity;
        let mut passed = 1;
        loop {
            let bits = self.taken[at / 64] >> (at % 64);
            if bits != 0 {
                return passed + u64::from(bits.trailing_zeros());
            }
            // On to the first slot of the next word.
            let step = (64 - at % 64).min(capacity - at);
            passed += step as u64;
            at = (at + step) % capacity;
        }
    }

    fn slot(&self, seq: u64) -> usize {
        seq as usize & (self.slots.len() - 1)
    }
}
