//! What a peer sends: one payload looked at, and the payloads of an access unit joined.

use bytes::{BufMut, Bytes, BytesMut};

use super::super::PayloadError;
use super::super::format::{Assembled, Look};
use super::annexb::{KIND_MASK, LAST_KIND};
use super::{
    DELIMITER, END, FU_A, FU_A_HEADER, IDR, NRI_MASK, PPS, SPS, STAP_A, STAP_A_HEADER,
    STAP_A_LENGTH, START,
};

/// What a payload says of its access unit: whether it begins it, or lacks nothing of it
/// that matters. A delimiter does, an SPS, and the slice that has the first macroblock;
/// the first slice of an IDR picture, if no parameter sets went before it.
pub(in super::super) fn inspect(payload: &Bytes) -> Result<Look, PayloadError> {
    Ok(match Structure::parse(payload)? {
        Structure::Single(unit) => look(unit[0], &unit[1..]),
        Structure::Stap(units) => {
            let mut all: Option<Look> = None;
            for unit in units {
                let (header, rest) = unit?;
                let unit = look(header, rest);
                all.get_or_insert(unit).sets |= unit.sets;
            }
            all.unwrap_or(NOTHING)
        }
        Structure::Fu(fu) if fu.start => look(fu.header, fu.fragment),
        Structure::Fu(_) => NOTHING,
    })
}

/// An Annex B byte stream of four-byte start codes, in one allocation of its size.
///
/// `key` says that there is an IDR slice, `discardable` that there are slices, and none
/// that is referred to.
pub(in super::super) fn assemble(payloads: &[Bytes]) -> Result<Assembled, PayloadError> {
    let (mut len, mut key, mut slices, mut referred) = (0, false, false, false);
    visit(payloads, |header, bytes| {
        if let Some(header) = header {
            let kind = header & KIND_MASK;
            len += START_CODE.len() + 1;
            key |= kind == IDR;
            slices |= SLICES.contains(&kind);
            referred |= SLICES.contains(&kind) && header & NRI_MASK != 0;
        }
        len += bytes.len();
    })?;
    if len == 0 {
        return Err(PayloadError::Truncated { field: "access unit" });
    }

    let mut data = BytesMut::with_capacity(len);
    visit(payloads, |header, bytes| {
        if let Some(header) = header {
            data.put_slice(&START_CODE);
            data.put_u8(header);
        }
        data.put_slice(bytes);
    })?;
    Ok(Assembled { data: data.freeze(), key, discardable: slices && !referred })
}

/// Calls `each` with the header of a unit and what follows it; for the later fragments
/// of one, without a header.
fn visit(payloads: &[Bytes], mut each: impl FnMut(Option<u8>, &[u8])) -> Result<(), PayloadError> {
    // The header of the unit whose fragments these are.
    let mut open: Option<u8> = None;
    for payload in payloads {
        let structure = Structure::parse(payload)?;
        match (&structure, open) {
            (Structure::Fu(_), _) | (_, None) => {}
            (_, Some(_)) => {
                let value = u64::from(payload[0] & KIND_MASK);
                return Err(PayloadError::BadValue {
                    field: "type within a fragmented unit",
                    value,
                });
            }
        }
        match structure {
            Structure::Single(unit) => each(Some(unit[0]), &unit[1..]),
            Structure::Stap(units) => {
                for unit in units {
                    let (header, rest) = unit?;
                    each(Some(header), rest);
                }
            }
            Structure::Fu(fu) => {
                if fu.start == open.is_some() {
                    return Err(PayloadError::BadValue { field: "S bit", value: fu.start.into() });
                }
                if open.is_some_and(|header| header != fu.header) {
                    let value = fu.header.into();
                    return Err(PayloadError::BadValue { field: "F, NRI and type of a FU", value });
                }
                each(fu.start.then_some(fu.header), fu.fragment);
                open = (!fu.end).then_some(fu.header);
            }
        }
    }
    if open.is_some() {
        return Err(PayloadError::Truncated { field: "fragmented NAL unit" });
    }
    Ok(())
}

/// A payload, told by its first byte (RFC 6184 §5.2).
enum Structure<'a> {
    /// At least a byte.
    Single(&'a [u8]),
    Stap(StapUnits<'a>),
    Fu(Fu<'a>),
}

impl<'a> Structure<'a> {
    fn parse(payload: &'a [u8]) -> Result<Self, PayloadError> {
        let Some(&first) = payload.first() else {
            return Err(PayloadError::Truncated { field: "NAL unit header" });
        };
        let unsupported = |what| Err(PayloadError::Unsupported { what });
        match first & KIND_MASK {
            1..=LAST_KIND => Ok(Self::Single(payload)),
            STAP_A => match &payload[STAP_A_HEADER..] {
                [] => Err(PayloadError::Truncated { field: "STAP-A" }),
                units => Ok(Self::Stap(StapUnits(units))),
            },
            25 => unsupported("STAP-B of the interleaved mode"),
            26 => unsupported("MTAP16 of the interleaved mode"),
            27 => unsupported("MTAP24 of the interleaved mode"),
            FU_A => Fu::parse(payload).map(Self::Fu),
            29 => unsupported("FU-B of the interleaved mode"),
            kind => Err(PayloadError::BadValue { field: "NAL unit type", value: kind.into() }),
        }
    }
}

/// What is left of a STAP-A. Nothing comes after an error.
struct StapUnits<'a>(&'a [u8]);

impl<'a> StapUnits<'a> {
    fn split(&mut self) -> Result<(u8, &'a [u8]), PayloadError> {
        let Some((len, rest)) = self.0.split_first_chunk::<STAP_A_LENGTH>() else {
            return Err(PayloadError::Truncated { field: "NAL unit length" });
        };
        let Some((unit, rest)) = rest.split_at_checked(u16::from_be_bytes(*len).into()) else {
            return Err(PayloadError::Truncated { field: "aggregated NAL unit" });
        };
        self.0 = rest;
        let Some((&header, bytes)) = unit.split_first() else {
            return Err(PayloadError::BadValue { field: "NAL unit length", value: 0 });
        };
        plain("aggregated NAL unit type", header)?;
        Ok((header, bytes))
    }
}

impl<'a> Iterator for StapUnits<'a> {
    type Item = Result<(u8, &'a [u8]), PayloadError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let unit = self.split();
        if unit.is_err() {
            self.0 = &[];
        }
        Some(unit)
    }
}

/// A fragmentation unit (RFC 6184 §5.8).
struct Fu<'a> {
    start: bool,
    end: bool,
    /// That of the fragmented unit: F and NRI of the indicator, the type of the FU header.
    header: u8,
    /// May be empty, which harms nobody.
    fragment: &'a [u8],
}

impl<'a> Fu<'a> {
    fn parse(payload: &'a [u8]) -> Result<Self, PayloadError> {
        let Some((&[indicator, fu], fragment)) = payload.split_first_chunk::<FU_A_HEADER>() else {
            return Err(PayloadError::Truncated { field: "FU header" });
        };
        plain("FU type", fu)?;
        let (start, end) = (fu & START != 0, fu & END != 0);
        if start && end {
            return Err(PayloadError::BadValue { field: "FU header", value: fu.into() });
        }
        // The R bit between is ignored, as it asks to be.
        let header = indicator & !KIND_MASK | fu & KIND_MASK;
        Ok(Self { start, end, header, fragment })
    }
}

/// That a type is of H.264 itself, and no structure within another.
fn plain(field: &'static str, header: u8) -> Result<(), PayloadError> {
    match header & KIND_MASK {
        1..=LAST_KIND => Ok(()),
        kind => Err(PayloadError::BadValue { field, value: kind.into() }),
    }
}

/// What one unit says. Others may begin an access unit too (H.264 §7.4.1.2.3: SEI, PPS,
/// 14 to 18), but may as well come after the SPS of a keyframe.
fn look(header: u8, rest: &[u8]) -> Look {
    // `first_mb_in_slice` is 0 if the first bit of a slice is set.
    let first_slice = rest.first().is_some_and(|byte| byte & 0x80 != 0);
    let kind = header & KIND_MASK;
    Look {
        // 2 is a slice's partition A.
        first: matches!(kind, SPS | DELIMITER) || (matches!(kind, 1 | 2) && first_slice),
        idr: kind == IDR && first_slice,
        sets: matches!(kind, SPS | PPS),
    }
}

const NOTHING: Look = Look { first: false, idr: false, sets: false };

/// H.264 §B.1.1, with the `zero_byte` that the first unit of an access unit must have.
const START_CODE: [u8; 4] = [0, 0, 0, 1];

/// H.264 table 7-1: slices, partitions and those of IDR pictures.
const SLICES: std::ops::RangeInclusive<u8> = 1..=IDR;

#[cfg(test)]
mod tests {
    use super::*;

    fn look(payload: &[u8]) -> Result<bool, PayloadError> {
        inspect(&Bytes::copy_from_slice(payload)).map(|look| look.first)
    }

    fn join(payloads: &[&[u8]]) -> Result<Assembled, PayloadError> {
        let payloads: Vec<_> = payloads.iter().map(|bytes| Bytes::copy_from_slice(bytes)).collect();
        assemble(&payloads)
    }

    const fn bad(field: &'static str, value: u64) -> PayloadError {
        PayloadError::BadValue { field, value }
    }

    const fn truncated(field: &'static str) -> PayloadError {
        PayloadError::Truncated { field }
    }

    #[test]
    fn an_idr_begins_if_no_sets_go_before() {
        let look = |payload: &[u8]| inspect(&Bytes::copy_from_slice(payload));
        let idr = Look { first: false, idr: true, sets: false };
        assert_eq!(look(&[0x65, 0x88]), Ok(idr));
        assert_eq!(look(&[0x7c, 0x85, 0x88]), Ok(idr), "its first fragment");
        assert_eq!(look(&[0x7c, 0x05, 0x88]), Ok(NOTHING), "a later one");
        assert_eq!(look(&[0x65, 0x48]), Ok(NOTHING), "a later slice");
        let sets = Look { first: true, idr: false, sets: true };
        assert_eq!(look(&[0x78, 0, 2, 0x67, 1, 0, 1, 0x68]), Ok(sets));
        assert_eq!(look(&[0x78, 0, 2, 9, 1, 0, 1, 0x68]), Ok(sets), "behind a delimiter");
    }

    #[test]
    fn only_what_comes_first_begins_an_access_unit() {
        for kind in 1..=23 {
            let begins = matches!(kind, 1 | 2 | 7 | 9);
            assert_eq!(look(&[0x60 | kind, 0x80]), Ok(begins), "type {kind}, macroblock 0");
            let begins = begins && kind > 2;
            assert_eq!(look(&[0x60 | kind, 0x40]), Ok(begins), "type {kind}, another macroblock");
        }
        assert_eq!(look(&[0x61]), Ok(false));
        assert_eq!(look(&[0x7c, 0x81, 0x80]), Ok(true), "the first fragment of the first slice");
        assert_eq!(look(&[0x7c, 0x01, 0x80]), Ok(false), "a later fragment");
        assert_eq!(look(&[0x7c, 0x85, 0x80]), Ok(false), "of an IDR");
        assert_eq!(look(&[0x78, 0, 2, 0x67, 1, 0, 1, 0x65]), Ok(true));
        assert_eq!(look(&[0x78, 0, 1, 0x65, 0, 2, 0x67, 1]), Ok(false), "an SPS, but second");
    }

    #[test]
    fn what_is_no_payload_is_refused_by_name() {
        let unsupported = |what| PayloadError::Unsupported { what };
        for (payload, error) in [
            (&[][..], truncated("NAL unit header")),
            (&[0x60, 1], bad("NAL unit type", 0)),
            (&[30, 1], bad("NAL unit type", 30)),
            (&[31, 1], bad("NAL unit type", 31)),
            (&[25, 1], unsupported("STAP-B of the interleaved mode")),
            (&[26, 1], unsupported("MTAP16 of the interleaved mode")),
            (&[27, 1], unsupported("MTAP24 of the interleaved mode")),
            (&[29, 1], unsupported("FU-B of the interleaved mode")),
            (&[24], truncated("STAP-A")),
            (&[24, 0], truncated("NAL unit length")),
            (&[24, 0, 1, 0x67, 7], truncated("NAL unit length")),
            (&[24, 0, 2, 0x67], truncated("aggregated NAL unit")),
            (&[24, 0, 1, 0x67, 0, 0], bad("NAL unit length", 0)),
            (&[24, 0, 1, 24], bad("aggregated NAL unit type", 24)),
            (&[24, 0, 1, 28], bad("aggregated NAL unit type", 28)),
            (&[28], truncated("FU header")),
            (&[28, 0xc1, 0], bad("FU header", 0xc1)),
            (&[28, 0x80, 0], bad("FU type", 0)),
            (&[28, 0x98, 0], bad("FU type", 24)),
        ] {
            assert_eq!(look(payload), Err(error), "{payload:?}");
            assert_eq!(join(&[payload]), Err(error), "{payload:?}");
        }
    }

    #[test]
    fn a_fragmented_unit_is_joined_only_if_nothing_is_missing() {
        let (first, middle, last): (&[u8], &[u8], &[u8]) =
            (&[0x7c, 0x81, 1], &[0x7c, 0x01, 2], &[0x7c, 0x41, 3]);
        let joined = join(&[first, middle, last]).unwrap();
        assert_eq!(joined.data, [0, 0, 0, 1, 0x61, 1, 2, 3].as_slice());
        assert_eq!(join(&[first, middle]), Err(truncated("fragmented NAL unit")));
        assert_eq!(join(&[middle, last]), Err(bad("S bit", 0)));
        assert_eq!(join(&[first, first, last]), Err(bad("S bit", 1)));
        assert_eq!(join(&[first, last, last]), Err(bad("S bit", 0)));
        for other in [&[0x7c, 0x42, 3], &[0x5c, 0x41, 3], &[0xfc, 0x41, 3]] {
            assert!(matches!(join(&[first, other]), Err(PayloadError::BadValue { .. })));
        }
        assert_eq!(
            join(&[first, &[0x41, 0x80], last]),
            Err(bad("type within a fragmented unit", 1))
        );
        assert_eq!(join(&[]), Err(truncated("access unit")));
    }

    #[test]
    fn slices_say_whether_a_frame_is_key_or_discardable() {
        let flags = |payloads: &[&[u8]]| {
            join(payloads).map(|frame| (frame.key, frame.discardable)).unwrap()
        };
        assert_eq!(flags(&[&[0x67, 1], &[0x65, 1]]), (true, false));
        assert_eq!(flags(&[&[0x78, 0, 1, 0x67, 0, 1, 0x65]]), (true, false));
        assert_eq!(flags(&[&[0x67, 1]]), (false, false));
        assert_eq!(flags(&[&[0x06, 1], &[0x01, 1]]), (false, true));
        assert_eq!(flags(&[&[0x01, 1], &[0x41, 1]]), (false, false));
        assert_eq!(flags(&[&[0x67, 1], &[0x01, 1]]), (false, true), "sets are no slices");
    }

    #[test]
    fn the_byte_stream_has_exactly_its_size() {
        let joined = join(&[&[0x78, 0, 2, 0x67, 1, 0, 1, 0x68], &[0x7c, 0x85, 1], &[0x7c, 0x45]]);
        let data = joined.unwrap().data;
        assert_eq!(data, [0, 0, 0, 1, 0x67, 1, 0, 0, 0, 1, 0x68, 0, 0, 0, 1, 0x65, 1].as_slice());
        let data = BytesMut::from(data);
        assert_eq!(data.capacity(), data.len());
    }
}
