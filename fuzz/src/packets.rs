//! Single messages of the data channel.

use std::time::Instant;

use bytes::Bytes;
use paceline_framing::{MAGIC, PROTOCOL_VERSION, Packet, Reassembler, ReassemblyConfig};

/// A message as it comes.
pub fn header(message: &[u8]) {
    read(Bytes::copy_from_slice(message));
    read(sealed(message.to_vec()));
}

/// A type, flags and a body, with the rest of the header put right.
pub fn bodies(script: &[u8]) {
    let Some((&[kind, flags], body)) = script.split_first_chunk() else { return };
    let mut message = vec![0; 20];
    message[5] = flags;
    message[7] = kind;
    message.extend_from_slice(body);
    read(sealed(message));
}

fn read(message: Bytes) {
    if let Ok(packet) = Packet::parse(message.clone()) {
        // There is one form of it only, so two readers cannot differ over it.
        assert_eq!(rest(&packet.emit()), rest(&message));
    }
    let mut reassembler = Reassembler::new(ReassemblyConfig::default());
    let _ = reassembler.handle_message(epoch(), message);
}

/// All but the checksum, which fuzz builds do not compare.
fn rest(message: &[u8]) -> [&[u8]; 2] {
    [&message[..12], &message[16..]]
}

/// A message with its magic number, version, length and checksum put right.
pub(crate) fn sealed(mut message: Vec<u8>) -> Bytes {
    if message.len() >= 20 {
        let length = (message.len() - 20) as u32;
        message[..4].copy_from_slice(&MAGIC.to_be_bytes());
        message[4] = PROTOCOL_VERSION;
        message[8..12].copy_from_slice(&length.to_be_bytes());
        message[12..16].fill(0);
        let checksum = crc32c::crc32c(&message);
        message[12..16].copy_from_slice(&checksum.to_be_bytes());
    }
    message.into()
}

/// Some instant: only spans from it count.
#[expect(clippy::disallowed_methods, reason = "there is no other way to get an instant")]
pub(crate) fn epoch() -> Instant {
    Instant::now()
}
