//! Which of a stream's packets are waited for: those that came out of order.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use bytes::Bytes;

/// What is kept of a packet.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) arrived: Instant,
    pub(super) time: u32,
    pub(super) marker: bool,
    pub(super) content: Content,
}

#[derive(Debug)]
pub(super) enum Content {
    /// A payload that is none. Its number is kept, so that nobody waits for it.
    Malformed,
    /// Nothing: padding that a sender measures the path with.
    Padding,
    Payload {
        /// It is provably the first of its frame.
        first: bool,
        bytes: Bytes,
    },
}

impl Held {
    /// What it counts as in [`Depacketizer::held`](super::Depacketizer::held).
    pub(super) fn size(&self) -> usize {
        match &self.content {
            Content::Malformed | Content::Padding => PACKET_OVERHEAD,
            Content::Payload { bytes, .. } => PACKET_OVERHEAD + bytes.len(),
        }
    }

    const fn is_first(&self) -> bool {
        matches!(self.content, Content::Payload { first: true, .. })
    }
}

/// Where a number belongs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Place {
    /// Before all that is waited for.
    Behind(u64),
    /// Nowhere near the others.
    Far,
    Free(u64),
    Taken,
}

/// The packets behind the first gap, by number. Every step is logarithmic in how many
/// there are, and none depends on how far apart their numbers are.
#[derive(Debug, Default)]
pub(super) struct Window {
    packets: BTreeMap<u64, Held>,
    arrivals: BTreeSet<(Instant, u64)>,
    bytes: usize,
    /// The first number that is waited for; none as long as the beginning is not known.
    next: Option<u64>,
    /// The highest number so far; none before the first.
    highest: Option<u64>,
}

impl Window {
    /// Extends a number and finds its place (RFC 3550 A.1).
    pub(super) fn place(&self, seq: u16) -> Place {
        // Far enough from zero for what overtook nothing but the first packet.
        let Some(highest) = self.highest else { return Place::Free(SPAN + u64::from(seq)) };
        let seq = nearest(highest, seq.into(), 16);
        if seq > highest.saturating_add(MAX_DROPOUT) {
            return Place::Far;
        }
        let behind = highest.saturating_sub(seq);
        match self.next {
            Some(next) if seq < next && behind > MAX_DROPOUT => Place::Far,
            Some(next) if seq < next => Place::Behind(seq),
            None if behind > MAX_DROPOUT => Place::Far,
            _ if self.packets.contains_key(&seq) => Place::Taken,
            _ => Place::Free(seq),
        }
    }

    /// Passes on the packet that is waited for, and holds any other, at a place that is
    /// free.
    pub(super) fn pass(&mut self, seq: u64, packet: Held) -> Option<Held> {
        if self.next != Some(seq) {
            self.insert(seq, packet);
            return None;
        }
        self.highest = self.highest.max(Some(seq));
        self.next = Some(seq + 1);
        Some(packet)
    }

    /// Holds a packet at a place that is free.
    pub(super) fn insert(&mut self, seq: u64, packet: Held) {
        self.highest = self.highest.max(Some(seq));
        self.bytes += packet.size();
        self.arrivals.insert((packet.arrived, seq));
        self.packets.insert(seq, packet);
    }

    /// The packet that is waited for, if it is there.
    pub(super) fn pop(&mut self) -> Option<(u64, Held)> {
        let entry = self.packets.first_entry()?;
        if Some(*entry.key()) != self.next {
            return None;
        }
        let (seq, packet) = entry.remove_entry();
        self.arrivals.remove(&(packet.arrived, seq));
        self.bytes -= packet.size();
        self.next = Some(seq + 1);
        Some((seq, packet))
    }

    /// Whether the beginning is not known, and the lowest number is provably one.
    pub(super) fn can_begin(&self) -> bool {
        self.next.is_none() && self.packets.values().next().is_some_and(Held::is_first)
    }

    /// Waits no longer for what comes before the lowest number that is held, and returns
    /// that number and what was waited for before: none if the beginning was not known.
    pub(super) fn skip(&mut self) -> Option<(u64, Option<u64>)> {
        let (&lowest, _) = self.packets.first_key_value()?;
        Some((lowest, self.next.replace(lowest)))
    }

    /// Forgets where it was. Numbers go on above all earlier ones, and `seq` comes to the
    /// one that is returned.
    pub(super) fn restart(&mut self, seq: u16) -> u64 {
        let span = self.highest.map_or(0, |highest| highest / SPAN) + 2;
        *self = Self { highest: Some(span * SPAN + u64::from(seq)), ..Self::default() };
        span * SPAN + u64::from(seq)
    }

    /// When the packet came that is held for longest.
    pub(super) fn oldest(&self) -> Option<Instant> {
        self.arrivals.first().map(|&(arrived, _)| arrived)
    }

    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn len(&self) -> usize {
        self.packets.len()
    }
}

/// The number that has `value` as its low `bits` and is nearest to `reference`. One that
/// would be negative is taken to be ahead.
pub(super) fn nearest(reference: u64, value: u32, bits: u32) -> u64 {
    let span = 1_u64 << bits;
    let ahead = u64::from(value).wrapping_sub(reference) & (span - 1);
    let above = reference.wrapping_add(ahead);
    if ahead < span / 2 { above } else { above.checked_sub(span).unwrap_or(above) }
}

/// How far from the highest number one is believed without a second: RFC 3550 A.1 has it
/// as `MAX_DROPOUT`. There a number may be 100 behind; here as far as ahead, because a
/// retransmission comes several hundred packets late and is no restart.
const MAX_DROPOUT: u64 = 3_000;

/// What a packet costs beside its payload: a slot in each of two trees that may be half
/// empty (210 bytes), and the header of a shared buffer (40).
const PACKET_OVERHEAD: usize = 256;

/// RFC 3550 §5.1: sequence numbers have 16 bits.
const SPAN: u64 = 1 << 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_number_is_found_in_both_directions() {
        for offset in 0..64 {
            let reference: u64 = (5 << 32) - 32 + offset;
            for step in [-0x7fff_ffff_i64, -40, -1, 0, 1, 40, 0x7fff_ffff] {
                let number = reference.strict_add_signed(step);
                assert_eq!(nearest(reference, number as u32, 32), number);
                let number = reference.strict_add_signed(step >> 16);
                assert_eq!(nearest(reference, u32::from(number as u16), 16), number);
            }
        }
    }

    #[test]
    fn nothing_is_negative() {
        assert_eq!(nearest(2, 0xffff, 16), 0xffff);
    }

    #[test]
    fn the_overhead_covers_two_half_empty_trees() {
        let slots = 2 * (size_of::<(u64, Held)>() + size_of::<(Instant, u64)>());
        assert!(slots <= PACKET_OVERHEAD - 40, "{slots}");
    }
}
