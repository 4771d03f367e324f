//! What is sent arrives, whatever the access unit and the size of packets.

use bytes::Bytes;
use proptest::prelude::*;
use proptest::sample::select;

use super::super::PacketizeError;
use super::{DROPPED, IDR, KIND_MASK, PPS, Payloader, SPS, assemble, inspect};

/// ue(v) of all the values, as bits, then a stop bit and some bytes without zeros.
fn coded(head: &[u8], values: &[u32], tail: &[u8]) -> Vec<u8> {
    let mut bits = String::new();
    for value in values {
        let code = format!("{:b}", value + 1);
        bits.push_str(&"0".repeat(code.len() - 1));
        bits.push_str(&code);
    }
    bits.push('1');
    while !bits.len().is_multiple_of(8) {
        bits.push('1');
    }
    let byte = |at| u8::from_str_radix(&bits[at..at + 8], 2).expect("eight bits");
    let body = (0..bits.len()).step_by(8).map(byte);
    head.iter().copied().chain(body).chain(tail.iter().copied()).collect()
}

fn tail() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![4 => 1..80_usize, 1 => 80..5_000_usize]
        .prop_flat_map(|len| prop::collection::vec(select(vec![0_u8, 1, 2, 3, 0x80, 0xff]), len))
        .prop_map(|mut bytes| {
            // As an encoder does it: no start code within, no zero at the end.
            for at in 2..bytes.len() {
                if bytes[at - 2] == 0 && bytes[at - 1] == 0 && bytes[at] < 3 {
                    bytes[at] = 3;
                }
            }
            *bytes.last_mut().expect("at least one byte") = 0x80;
            bytes[0] |= 1;
            bytes
        })
}

fn unit() -> impl Strategy<Value = Vec<u8>> {
    let any_kind = prop_oneof![4 => 1..=23_u8, 1 => Just(IDR), 1 => Just(SPS), 1 => Just(PPS)];
    (any_kind, 0..4_u8, 0..3_u32, 0..3_u32, tail()).prop_map(|(kind, nri, id, other, tail)| {
        let header = nri << 5 | kind;
        match kind {
            SPS => coded(&[header, 0x42, 0xc0, 0x1f], &[id], &tail),
            PPS => coded(&[header], &[id, other], &tail),
            // First macroblock, slice type, PPS.
            IDR => coded(&[header], &[other, 7, id], &tail),
            _ => [&[header], &tail[..]].concat(),
        }
    })
}

fn kind(unit: &[u8]) -> u8 {
    unit[0] & KIND_MASK
}

fn is_set(unit: &[u8]) -> bool {
    matches!(kind(unit), SPS | PPS)
}

/// A naive reading: three-byte start codes, byte by byte.
fn split(stream: &[u8]) -> Vec<Vec<u8>> {
    let mut units: Vec<Vec<u8>> = Vec::new();
    let mut at = 0;
    while at < stream.len() {
        if stream[at..].starts_with(&[0, 0, 1]) {
            units.push(Vec::new());
            at += 3;
        } else {
            if let Some(unit) = units.last_mut() {
                unit.push(stream[at]);
            }
            at += 1;
        }
    }
    for unit in &mut units {
        while unit.last() == Some(&0) {
            unit.pop();
        }
    }
    units
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Whatever the sizes, what arrives are the units that were sent, in order; before an
    /// IDR, the newest of each parameter set of the access unit instead of all of them.
    #[test]
    fn an_access_unit_arrives_as_it_was(
        units in prop::collection::vec((unit(), 0..4_usize), 1..8),
        max in 64..1_500_usize,
    ) {
        let mut stream = Vec::new();
        for (index, (unit, zeros)) in units.iter().enumerate() {
            stream.extend(vec![0; zeros + usize::from(index == 0)]);
            stream.extend([0, 0, 1]);
            stream.extend(unit);
        }
        let units: Vec<_> = units.into_iter().map(|(unit, _)| unit).collect();
        let kept: Vec<_> =
            units.into_iter().filter(|unit| !DROPPED.contains(&kind(unit))).collect();

        let mut payloads = Vec::new();
        let result = Payloader::new().payloads(&Bytes::from(stream), max, &mut payloads);
        if kept.is_empty() {
            prop_assert_eq!(result, Err(PacketizeError::Empty));
            return Ok(());
        }
        prop_assert_eq!(result, Ok(()));
        for payload in &payloads {
            prop_assert!(payload.len() <= max);
            prop_assert!(inspect(payload).is_ok(), "{payload:?}");
        }
        let frame = assemble(&payloads).unwrap();
        let arrived = split(&frame.data);

        let key = kept.iter().any(|unit| kind(unit) == IDR);
        prop_assert_eq!(frame.key, key);
        if key {
            let sets = arrived.iter().take_while(|unit| is_set(unit)).count();
            prop_assert!(arrived[..sets].is_sorted_by_key(|unit| kind(unit)));
            prop_assert!(arrived[..sets].iter().all(|unit| kept.contains(unit)));
            let others: Vec<_> = kept.iter().filter(|unit| !is_set(unit)).cloned().collect();
            prop_assert_eq!(&arrived[sets..], &others[..]);
            // The last of each kind is the newest of its id.
            for wanted in [SPS, PPS] {
                let last = kept.iter().rfind(|unit| kind(unit) == wanted);
                prop_assert!(last.is_none_or(|set| arrived[..sets].contains(set)));
            }
        } else {
            prop_assert_eq!(arrived, kept);
        }
    }

    /// Whatever a peer sends is refused or read, and read the same by both functions.
    #[test]
    fn any_bytes_are_a_payload_or_an_error(
        payloads in prop::collection::vec(
            (0..=255_u8, prop::collection::vec(prop_oneof![0..4_u8, any::<u8>()], 0..40)), 1..5),
        structure in select(vec![None, Some(24_u8), Some(28)]),
    ) {
        let payloads: Vec<Bytes> = payloads
            .into_iter()
            .map(|(first, rest)| {
                let first = structure.map_or(first, |kind| first & !KIND_MASK | kind);
                [&[first], &rest[..]].concat().into()
            })
            .collect();
        let refused = payloads.iter().find_map(|payload| inspect(payload).err());
        let assembled = assemble(&payloads);
        prop_assert!(refused.is_none() || assembled.is_err());
        if let Ok(frame) = assembled {
            let len: usize = payloads.iter().map(Bytes::len).sum();
            // A unit of a STAP-A has two bytes more of length, and at least one of its own.
            prop_assert!(frame.data.len() <= 4 * payloads.len() + 5 * len);
        }
    }
}
