//! Parameter sets, to be repeated.

use bytes::Bytes;

use super::super::PacketizeError;
use super::annexb::{self, Unit};
use super::{IDR, PPS, SPS};

/// The parameter sets of a stream, by their ids.
#[derive(Debug, Default)]
pub(super) struct ParameterSets {
    sps: Vec<Set>,
    pps: Vec<Set>,
}

/// An SPS, or a PPS.
#[derive(Clone, Debug)]
struct Set {
    id: u8,
    /// Of the SPS that it refers to, or is.
    sps: u8,
    bytes: Bytes,
}

impl Set {
    /// What a NAL unit is, if it is a set.
    fn parse(unit: &Unit) -> Result<Option<Self>, PacketizeError> {
        let bytes = &unit.bytes;
        let (id, sps) = match unit.kind {
            SPS => annexb::sps_id(bytes).map(|id| (id, id))?,
            PPS => annexb::pps_ids(bytes)?,
            _ => return Ok(None),
        };
        Ok(Some(Self { id, sps, bytes: bytes.clone() }))
    }
}

impl ParameterSets {
    /// Remembers those of an access unit, all or, after an error, none.
    pub(super) fn learn(&mut self, units: &[Unit]) -> Result<(), PacketizeError> {
        let mut learned = Vec::new();
        for unit in units {
            learned.extend(Set::parse(unit)?.map(|set| (unit.kind, set)));
        }
        for (kind, set) in learned {
            let sets = if kind == SPS { &mut self.sps } else { &mut self.pps };
            remember(sets, set);
        }
        Ok(())
    }

    /// Those that an access unit carries, each id once, and those that its IDR slices
    /// name besides: all SPS, then all PPS.
    pub(super) fn needed(&self, units: &[Unit]) -> Vec<Bytes> {
        let (mut sps, mut pps) = (Vec::new(), Vec::new());
        for unit in units {
            // `learn` has seen that they can be parsed.
            if let Ok(Some(set)) = Set::parse(unit) {
                let sets = if unit.kind == SPS { &mut sps } else { &mut pps };
                sets.retain(|known: &Set| known.id != set.id);
                sets.push(set);
            }
        }
        for slice in units.iter().filter(|unit| unit.kind == IDR) {
            let id = annexb::slice_pps_id(&slice.bytes);
            pps.extend(id.and_then(|id| missing(&pps, &self.pps, id)));
        }
        for set in &pps {
            sps.extend(missing(&sps, &self.sps, set.sps));
        }
        sps.into_iter().chain(pps).map(|set| set.bytes).collect()
    }
}

/// The set of an id that is known, and not there yet.
fn missing(there: &[Set], known: &[Set], id: u8) -> Option<Set> {
    let is_it = |set: &&Set| set.id == id;
    if there.iter().any(|set| set.id == id) { None } else { known.iter().find(is_it).cloned() }
}

fn remember(sets: &mut Vec<Set>, set: Set) {
    if let Some(known) = sets.iter().position(|known| known.id == set.id) {
        let known = sets.remove(known);
        if known.bytes == set.bytes {
            sets.push(known);
            return;
        }
    } else if sets.len() == MAX_SETS {
        sets.remove(0);
    }
    // A copy: a slice would keep the whole access unit.
    let bytes = Bytes::copy_from_slice(&set.bytes);
    sets.push(Set { bytes, ..set });
}

/// As many as an SPS has ids (H.264 §7.4.2.1.1). Of the 256 that a PPS may have, no
/// encoder we know uses more at a time; what was given longest ago is forgotten.
const MAX_SETS: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_remembered_is_bounded_and_the_newest_is_in_it() {
        let mut sets = Vec::new();
        for id in 0..=255 {
            remember(&mut sets, Set { id, sps: 0, bytes: Bytes::copy_from_slice(&[0x68, id]) });
        }
        assert_eq!(sets.len(), MAX_SETS);
        assert!(missing(&[], &sets, 255).is_some());
        assert!(missing(&[], &sets, 0).is_none());
    }
}
