//! H.264 in RTP (RFC 6184), packetization-mode 1.
//!
//! Three structures of RFC 6184 §5.2 are made and taken; those of the interleaved mode
//! are not. The first byte tells which it is, and is a NAL unit's own where the payload
//! is one:
//!
//! ```text
//!  0 1 2 3 4 5 6 7
//! +-+---+---------+
//! |F|NRI|  type   |  1–23 one NAL unit · 24 STAP-A: (u16 length, NAL unit)+
//! +-+-+-+---------+
//! |S|E|R|  type   |  28 FU-A: this byte too, then a part of a NAL unit's payload
//! +-+-+-+---------+
//! ```
//!
//! Parameter sets go before every IDR picture, also where the encoder gave them only
//! once: who joins late, or lost them, can start at any IDR. Only the sets that its
//! slices name are repeated, because some encoders (OpenH264 by default) give each IDR
//! new ids, and the old sets would pile up. An IDR slice that names a set never seen
//! goes without: it may have been given out of band (RFC 6184 §8.1).

mod annexb;
mod payload;
#[cfg(test)]
mod round_trip;
mod sets;

use bytes::{BufMut, Bytes, BytesMut};

use self::annexb::{KIND_MASK, Unit};
pub(super) use self::payload::{assemble, inspect};
use self::sets::ParameterSets;
use super::PacketizeError;

/// Makes payloads of access units, and remembers parameter sets.
#[derive(Debug, Default)]
pub(super) struct Payloader {
    sets: ParameterSets,
}

impl Payloader {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// Appends the payloads of an access unit, each of at most `max` bytes, in order.
    ///
    /// NAL units that fit are slices of `data`. Delimiters, ends and filler are not
    /// sent: RTP says where an access unit ends.
    ///
    /// `max` is at least 3, or what must be fragmented cannot be.
    ///
    /// # Errors
    ///
    /// [`PacketizeError::Malformed`] if `data` is no Annex B byte stream,
    /// [`PacketizeError::Empty`] if nothing in it is to be sent. Then nothing is
    /// appended, and nothing remembered.
    pub(super) fn payloads(
        &mut self,
        data: &Bytes,
        max: usize,
        out: &mut Vec<Bytes>,
    ) -> Result<(), PacketizeError> {
        if data.is_empty() {
            return Err(PacketizeError::Empty);
        }
        let mut units = annexb::units(data)?;
        units.retain(|unit| !DROPPED.contains(&unit.kind));
        if units.is_empty() {
            return Err(PacketizeError::Empty);
        }
        self.sets.learn(&units)?;

        if units.iter().any(|unit| unit.kind == IDR) {
            aggregate(&self.sets.needed(&units), max, out);
            units.retain(|unit| !is_set(unit));
        }
        for run in units.chunk_by(|a, b| is_set(a) && is_set(b)) {
            if is_set(&run[0]) {
                let sets: Vec<_> = run.iter().map(|unit| unit.bytes.clone()).collect();
                aggregate(&sets, max, out);
            } else {
                single(&run[0].bytes, max, out);
            }
        }
        Ok(())
    }
}

fn is_set(unit: &Unit) -> bool {
    matches!(unit.kind, SPS | PPS)
}

/// All units in one STAP-A (RFC 6184 §5.7.1), or, if there is but one or they are too
/// large together, each by itself.
fn aggregate(units: &[Bytes], max: usize, out: &mut Vec<Bytes>) {
    let len = STAP_A_HEADER + units.iter().map(|unit| STAP_A_LENGTH + unit.len()).sum::<usize>();
    let lengths = units.iter().map(|unit| u16::try_from(unit.len()));
    let lengths: Result<Vec<_>, _> = lengths.collect();
    match lengths {
        Ok(lengths) if units.len() > 1 && len <= max => {
            let forbidden = units.iter().fold(0, |bits, unit| bits | unit[0] & FORBIDDEN);
            let nri = units.iter().map(|unit| unit[0] & NRI_MASK).max().unwrap_or(0);
            let mut payload = BytesMut::with_capacity(len);
            payload.put_u8(forbidden | nri | STAP_A);
            for (unit, len) in units.iter().zip(lengths) {
                payload.put_u16(len);
                payload.put_slice(unit);
            }
            out.push(payload.freeze());
        }
        _ => units.iter().for_each(|unit| single(unit, max, out)),
    }
}

/// A unit as it is, or, if it is too large for that, as FU-A of about the same size each
/// (RFC 6184 §5.8): a short last packet would cost as much as a full one.
fn single(unit: &Bytes, max: usize, out: &mut Vec<Bytes>) {
    if unit.len() <= max {
        out.push(unit.clone());
        return;
    }
    let (header, mut rest) = (unit[0], &unit[1..]);
    let indicator = header & !KIND_MASK | FU_A;
    // At least two, as `rest` is not less than `max`: never both S and E.
    let mut count = rest.len().div_ceil(max - FU_A_HEADER);
    let mut buffer = BytesMut::with_capacity(rest.len() + count * FU_A_HEADER);
    let mut edge = START;
    while count > 0 {
        let (fragment, later) = rest.split_at(rest.len().div_ceil(count));
        if count == 1 {
            edge = END;
        }
        buffer.put_u8(indicator);
        buffer.put_u8(edge | header & KIND_MASK);
        buffer.put_slice(fragment);
        out.push(buffer.split().freeze());
        (rest, edge, count) = (later, 0, count - 1);
    }
}

/// RFC 6184 §1.3: the F bit, a unit known to be damaged.
const FORBIDDEN: u8 = 0x80;

/// RFC 6184 §1.3: `nal_ref_idc`; 0 if nothing refers to the unit.
const NRI_MASK: u8 = 0x60;

/// H.264 table 7-1: a slice of an IDR picture.
const IDR: u8 = 5;

/// H.264 table 7-1: sequence parameter set.
const SPS: u8 = 7;

/// H.264 table 7-1: picture parameter set.
const PPS: u8 = 8;

/// H.264 table 7-1: access unit delimiter.
const DELIMITER: u8 = 9;

/// H.264 table 7-1: delimiter, end of sequence, end of stream, filler. After an end
/// comes an IDR picture or nothing (H.264 §7.4.1.2.1), and both speak for themselves.
const DROPPED: [u8; 4] = [DELIMITER, 10, 11, 12];

/// RFC 6184 table 1: a single-time aggregation packet.
const STAP_A: u8 = 24;

/// RFC 6184 §5.7.1: the first byte.
const STAP_A_HEADER: usize = 1;

/// RFC 6184 §5.7.1: the length before each unit.
const STAP_A_LENGTH: usize = 2;

/// RFC 6184 table 1: a fragmentation unit.
const FU_A: u8 = 28;

/// RFC 6184 §5.8: indicator and header.
const FU_A_HEADER: usize = 2;

/// RFC 6184 §5.8: the S bit of the FU header.
const START: u8 = 0x80;

/// RFC 6184 §5.8: the E bit of the FU header.
const END: u8 = 0x40;

#[cfg(test)]
mod tests {
    use super::*;

    const SPS_UNIT: &[u8] = &[0x67, 0x42, 0xc0, 0x1f, 0b1000_0000];
    const PPS_UNIT: &[u8] = &[0x48, 0b1100_0000];
    /// First macroblock 0, an I slice of type 7, PPS 0.
    const IDR_UNIT: &[u8] = &[0x65, 0b1000_1000, 0b1000_0000];
    const SLICE_UNIT: &[u8] = &[0x41, 0b1001_1000];

    fn stream(units: &[&[u8]]) -> Bytes {
        units.iter().flat_map(|unit| [&[0, 0, 0, 1], *unit]).flatten().copied().collect()
    }

    fn sent(payloader: &mut Payloader, units: &[&[u8]], max: usize) -> Vec<Bytes> {
        let mut out = Vec::new();
        payloader.payloads(&stream(units), max, &mut out).unwrap();
        out
    }

    fn stap(header: u8, units: &[&[u8]]) -> Vec<u8> {
        let mut stap = vec![header];
        for unit in units {
            stap.extend((unit.len() as u16).to_be_bytes());
            stap.extend_from_slice(unit);
        }
        stap
    }

    #[test]
    fn parameter_sets_go_before_every_idr_in_one_packet() {
        let mut payloader = Payloader::new();
        // NRI is that of the SPS, the larger one.
        let sets = stap(0x78, &[SPS_UNIT, PPS_UNIT]);
        let first = sent(&mut payloader, &[SPS_UNIT, PPS_UNIT, IDR_UNIT], 100);
        assert_eq!(first, [&sets, IDR_UNIT]);
        assert_eq!(sent(&mut payloader, &[SLICE_UNIT], 100), [SLICE_UNIT]);
        assert_eq!(sent(&mut payloader, &[IDR_UNIT], 100), [&sets, IDR_UNIT]);
    }

    #[test]
    fn parameter_sets_that_do_not_fit_one_packet_go_one_by_one() {
        let mut payloader = Payloader::new();
        let sps = [SPS_UNIT, &[9; 20]].concat();
        let sent = sent(&mut payloader, &[&sps, PPS_UNIT, IDR_UNIT], 20);
        assert_eq!(sent.len(), 4, "two FU-A, PPS, IDR: {sent:?}");
        assert_eq!(sent[0][..3], [0x7c, 0x87, 0x42]);
        assert_eq!(sent[1][..2], [0x7c, 0x47]);
        assert_eq!(sent[2..], [PPS_UNIT, IDR_UNIT]);
    }

    #[test]
    fn a_new_parameter_set_replaces_that_of_its_id() {
        let mut payloader = Payloader::new();
        let newer = [SPS_UNIT, &[1]].concat();
        sent(&mut payloader, &[SPS_UNIT, PPS_UNIT, IDR_UNIT], 100);
        assert_eq!(sent(&mut payloader, &[&newer], 100), [&newer]);
        let sets = stap(0x78, &[&newer, PPS_UNIT]);
        assert_eq!(sent(&mut payloader, &[IDR_UNIT], 100), [&sets, IDR_UNIT]);
    }

    #[test]
    fn parameter_sets_given_twice_go_once() {
        let units = [SPS_UNIT, PPS_UNIT, SPS_UNIT, PPS_UNIT, IDR_UNIT, IDR_UNIT];
        let sets = stap(0x78, &[SPS_UNIT, PPS_UNIT]);
        let sent = sent(&mut Payloader::new(), &units, 100);
        assert_eq!(sent, [&sets, IDR_UNIT, IDR_UNIT]);
    }

    #[test]
    fn every_pps_is_kept_but_only_those_that_are_needed_are_repeated() {
        let mut payloader = Payloader::new();
        let other_pps: &[u8] = &[0x68, 0b0101_1000];
        let other_idr: &[u8] = &[0x65, 0b1000_1000, 0b0100_0000];
        sent(&mut payloader, &[SPS_UNIT, PPS_UNIT, other_pps, IDR_UNIT], 100);
        let sets = stap(0x78, &[SPS_UNIT, other_pps]);
        assert_eq!(sent(&mut payloader, &[other_idr], 100), [&sets, other_idr]);
        let sets = stap(0x78, &[SPS_UNIT, PPS_UNIT]);
        assert_eq!(sent(&mut payloader, &[IDR_UNIT], 100), [&sets, IDR_UNIT]);
    }

    #[test]
    fn delimiters_and_filler_are_not_sent() {
        let mut payloader = Payloader::new();
        let units = [&[9, 0x10][..], SLICE_UNIT, &[12, 0xff, 0x80], &[10], &[11]];
        assert_eq!(sent(&mut payloader, &units, 100), [SLICE_UNIT]);
        let error = payloader.payloads(&stream(&units[2..]), 100, &mut Vec::new());
        assert_eq!(error, Err(PacketizeError::Empty));
        let error = payloader.payloads(&Bytes::new(), 100, &mut Vec::new());
        assert_eq!(error, Err(PacketizeError::Empty));
    }

    #[test]
    fn slices_that_fit_go_one_a_packet_without_a_copy() {
        let data = stream(&[SLICE_UNIT, SLICE_UNIT]);
        let mut out = Vec::new();
        Payloader::new().payloads(&data, 100, &mut out).unwrap();
        assert_eq!(out, [SLICE_UNIT, SLICE_UNIT]);
        assert_eq!(out[1].as_ptr(), data[4 + SLICE_UNIT.len() + 4..].as_ptr());
    }

    #[test]
    fn fragments_keep_f_and_nri_and_none_both_starts_and_ends() {
        let unit: Vec<u8> = [0xc1].into_iter().chain(1..=200).collect();
        for max in 3..=200 {
            let sent = sent(&mut Payloader::new(), &[&unit], max);
            let last = sent.len() - 1;
            let sizes: Vec<_> = sent.iter().map(Bytes::len).collect();
            assert!(sizes[0] <= max && sizes[0] - sizes[last] <= 1, "{sizes:?}");
            for (index, fragment) in sent.iter().enumerate() {
                let edges = [(0, START), (last, END)];
                let edge = edges.iter().find(|(at, _)| *at == index).map_or(0, |(_, bit)| *bit);
                assert_eq!(fragment[..2], [0x80 | 0x40 | FU_A, edge | 1]);
            }
            let joined: Vec<u8> =
                sent.iter().flat_map(|fragment| &fragment[2..]).copied().collect();
            assert_eq!(joined, unit[1..]);
        }
    }

    #[test]
    fn a_malformed_access_unit_teaches_nothing() {
        let mut payloader = Payloader::new();
        let newer = [SPS_UNIT, &[1]].concat();
        sent(&mut payloader, &[SPS_UNIT, PPS_UNIT], 100);
        let bad = stream(&[&newer, &[0x68, 0, 0, 3]]);
        assert!(payloader.payloads(&bad, 100, &mut Vec::new()).is_err());
        let sets = stap(0x78, &[SPS_UNIT, PPS_UNIT]);
        assert_eq!(sent(&mut payloader, &[IDR_UNIT], 100), [&sets, IDR_UNIT]);
    }
}
