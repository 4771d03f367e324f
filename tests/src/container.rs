//! Files: encoded frames out of them, and into them.

use std::fs;
use std::path::Path;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use paceline_framing::rtp::Codec;

/// The NAL units of an Annex B byte stream, without start codes and the zeros around
/// them (H.264 B.1).
#[must_use]
pub fn nal_units(stream: &Bytes) -> Vec<Bytes> {
    starts(stream).map(|(from, to)| stream.slice(from + START.len()..to)).collect()
}

/// The access units of an Annex B byte stream of which each begins with a delimiter.
pub(crate) fn access_units(stream: &Bytes) -> Vec<Bytes> {
    let mut units = Vec::new();
    let mut start = None;
    for (from, _) in starts(stream) {
        if stream[from + START.len()] & 0x1f == DELIMITER {
            units.extend(start.replace(from).map(|start| stream.slice(start..from)));
        }
    }
    units.extend(start.map(|start| stream.slice(start..)));
    units
}

/// Where start codes are, and where what follows each ends.
fn starts(stream: &Bytes) -> impl Iterator<Item = (usize, usize)> {
    let found = stream.windows(START.len()).enumerate().filter(|(_, bytes)| *bytes == START);
    let mut from: Vec<_> = found.map(|(at, _)| at).collect();
    from.push(stream.len());
    let ends = |pair: &[usize]| {
        let zeros = stream[..pair[1]].iter().rev().take_while(|byte| **byte == 0).count();
        (pair[0], pair[1] - zeros)
    };
    from.windows(2).map(ends).collect::<Vec<_>>().into_iter()
}

/// The frames of an IVF file: a header that says how long it is, then each with its
/// length and time.
pub(crate) fn ivf_frames(mut file: Bytes) -> Vec<Bytes> {
    assert_eq!(&file[..4], b"DKIF", "an IVF file");
    file.advance(6);
    let header = file.get_u16_le();
    file.advance(usize::from(header) - 8);
    let mut frames = Vec::new();
    while file.has_remaining() {
        let len = file.get_u32_le();
        file.advance(8);
        frames.push(file.split_to(len as usize));
    }
    frames
}

/// The packets of an Ogg file with one Opus stream, without its two headers (RFC 7845
/// §3, RFC 3533 §6).
///
/// # Panics
///
/// If it is none.
#[must_use]
pub fn opus_packets(mut file: Bytes) -> Vec<Bytes> {
    let mut packets = Vec::new();
    let mut packet = BytesMut::new();
    while file.has_remaining() {
        assert_eq!(&file[..4], b"OggS", "an Ogg page");
        file.advance(26);
        let segments = file.get_u8();
        let lengths = file.split_to(segments.into());
        for &len in &lengths {
            packet.extend_from_slice(&file.split_to(len.into()));
            // A segment that is not full ends its packet.
            if len < u8::MAX {
                packets.push(packet.split().freeze());
            }
        }
    }
    packets.split_off(2)
}

/// Writes frames into a file that a peer can read. Pictures come 25 times a second.
///
/// # Panics
///
/// If the codec has no container here, or the file cannot be written.
pub fn write_frames(path: &Path, codec: Codec, frames: &[Bytes]) {
    let mut file = BytesMut::new();
    let fourcc = match codec {
        Codec::H264 => None,
        Codec::Vp8 => Some(b"VP80"),
        Codec::Vp9 => Some(b"VP90"),
        _ => panic!("no container for {codec:?}"),
    };
    if let Some(fourcc) = fourcc {
        file.put_slice(b"DKIF");
        file.put_u16_le(0);
        file.put_u16_le(32);
        file.put_slice(fourcc);
        file.put_u16_le(crate::clip::WIDTH);
        file.put_u16_le(crate::clip::HEIGHT);
        file.put_u32_le(25);
        file.put_u32_le(1);
        file.put_u32_le(u32::try_from(frames.len()).expect("a short clip"));
        file.put_u32_le(0);
    }
    for (time, frame) in (0..).zip(frames) {
        if fourcc.is_some() {
            file.put_u32_le(u32::try_from(frame.len()).expect("a small frame"));
            file.put_u64_le(time);
        }
        file.put_slice(frame);
    }
    fs::write(path, file).expect("a temporary file can be written");
}

/// H.264 B.1.2.
const START: [u8; 3] = [0, 0, 1];

/// H.264 table 7-1: an access unit delimiter.
const DELIMITER: u8 = 9;
