//! RTP packets as units: numbers and timestamps that do not wrap.

use ::rtp::Packet;
use paceline_types::{Frequency, MediaTime, SeqNo};

use crate::Unit;

/// Makes the packets of one RTP stream into units for a
/// [`JitterBuffer`](crate::JitterBuffer).
///
/// A stream that starts anew under another SSRC follows the old one in the same
/// buffer: its numbers are made to jump, and two of them in a row confirm it.
///
/// ```
/// use paceline_jitter::rtp::Units;
/// use paceline_jitter::types::Frequency;
/// use rtp::Packet;
///
/// let mut units = Units::new(Frequency::AUDIO);
/// let mut packet = Packet::default();
/// packet.header.sequence_number = 65_535;
/// let last = units.unit(packet.clone());
/// packet.header.sequence_number = 0;
/// assert_eq!(units.unit(packet).seq, last.seq.next());
/// ```
#[derive(Debug)]
pub struct Units {
    frequency: Frequency,
    source: Option<Source>,
    /// The last packet had another SSRC.
    other: Option<Source>,
}

/// A synchronization source (RFC 3550 §3) and where it is.
#[derive(Clone, Copy, Debug)]
struct Source {
    ssrc: u32,
    seq: u64,
    ticks: u64,
    /// A number far from all others came last.
    odd: Option<u16>,
}

impl Units {
    /// For a stream whose timestamps run at `frequency`.
    #[must_use]
    pub const fn new(frequency: Frequency) -> Self {
        Self { frequency, source: None, other: None }
    }

    /// The unit that a packet is. Whether it was
    /// [retransmitted](Unit::retransmitted) is for the caller to say.
    pub fn unit(&mut self, packet: Packet) -> Unit<Packet> {
        let header = &packet.header;
        let (marker, ssrc) = (header.marker, header.ssrc);
        let source = self.source.get_or_insert_with(|| Source::new(header, FIRST));
        let (seq, ticks) = if source.ssrc == ssrc {
            self.other = None;
            source.extend(header)
        } else {
            // Beyond any gap and any jump that could be taken for the old stream.
            let beyond = (source.seq.max(source.ticks) | (FIRST - 1)).wrapping_add(1);
            match self.other.take().filter(|other| other.ssrc == ssrc) {
                Some(other) => {
                    *source = other;
                    source.extend(header)
                }
                None => {
                    let other = Source::new(header, beyond);
                    self.other = Some(other);
                    (other.seq, other.ticks)
                }
            }
        };
        Unit {
            seq: SeqNo::new(seq),
            time: MediaTime::new(ticks, self.frequency),
            marker,
            retransmitted: false,
            payload: packet,
        }
    }
}

impl Source {
    fn new(header: &::rtp::Header, base: u64) -> Self {
        Self {
            ssrc: header.ssrc,
            // The base is a multiple of `FIRST`, far above either.
            seq: base + u64::from(header.sequence_number),
            ticks: base + u64::from(header.timestamp),
            odd: None,
        }
    }

    fn extend(&mut self, header: &::rtp::Header) -> (u64, u64) {
        let number = header.sequence_number;
        let ahead = number.wrapping_sub(self.seq as u16) as i16;
        let seq = self.seq.wrapping_add_signed(i64::from(ahead));
        let ahead_ticks = header.timestamp.wrapping_sub(self.ticks as u32) as i32;
        let ticks = self.ticks.wrapping_add_signed(i64::from(ahead_ticks));
        // One odd number does not move what the others are counted from.
        let is_odd = ahead.unsigned_abs() > MAX_GAP;
        if !is_odd || self.odd.is_some_and(|odd| odd.wrapping_add(1) == number) {
            // The newest counts, so that a timestamp that was wrong once is undone by
            // the next one.
            if is_odd || seq >= self.seq {
                (self.seq, self.ticks) = (seq, ticks);
            }
            self.odd = None;
        } else {
            self.odd = Some(number);
        }
        (seq, ticks)
    }
}

/// Room below the first number and timestamp for what came before them.
const FIRST: u64 = 1 << 40;

/// RFC 3550 A.1, MAX_DROPOUT.
const MAX_GAP: u16 = 3_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_may_change_more_often_than_there_are_numbers() {
        let mut units = Units::new(Frequency::AUDIO);
        let mut packet = Packet::default();
        let _ = units.unit(packet.clone());
        // As after 2²⁴ changes.
        units.source = Some(Source::new(&packet.header, FIRST.wrapping_neg()));
        packet.header.ssrc = 1;
        let first = units.unit(packet.clone());
        packet.header.sequence_number = 1;
        assert_eq!((first.seq.get(), units.unit(packet).seq.get()), (0, 1));
    }
}
