//! Lost packets, and requests for them.

use super::{NackPair, TransportLayerNack};

/// Lost sequence numbers as pairs of a number and a mask of the sixteen after it
/// (RFC 4585 §6.2.1).
///
/// In the order that they were lost, the pairs are as few as can be. Ours, not that of
/// the `rtcp` crate, which begins a new pair where the numbers wrap.
///
/// ```
/// use paceline_framing::rtcp::{NackPair, nack_pairs};
///
/// let pairs = nack_pairs([65_535, 0, 15]);
/// assert_eq!(pairs, [NackPair { packet_id: 65_535, lost_packets: 0x8001 }]);
/// ```
#[must_use]
pub fn nack_pairs(lost: impl IntoIterator<Item = u16>) -> Vec<NackPair> {
    let mut pairs: Vec<NackPair> = Vec::new();
    for sequence in lost {
        let Some(pair) = pairs.last_mut() else {
            pairs.push(NackPair::new(sequence));
            continue;
        };
        match sequence.wrapping_sub(pair.packet_id) {
            0 => {}
            after @ 1..=MASK_BITS => pair.lost_packets |= 1 << (after - 1),
            _ => pairs.push(NackPair::new(sequence)),
        }
    }
    pairs
}

/// The sequence numbers that a request asks for: up to seventeen for every four octets
/// of it, some perhaps twice.
///
/// ```
/// use paceline_framing::rtcp::{TransportLayerNack, lost_sequences, nack_pairs};
///
/// let nack = TransportLayerNack { nacks: nack_pairs([9, 65_535, 0]), ..Default::default() };
/// assert!(lost_sequences(&nack).eq([9, 65_535, 0]));
/// ```
pub fn lost_sequences(nack: &TransportLayerNack) -> impl Iterator<Item = u16> {
    nack.nacks.iter().copied().flatten()
}

/// RFC 4585 §6.2.1: the width of the mask.
const MASK_BITS: u16 = 16;
