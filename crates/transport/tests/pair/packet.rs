//! Packets of RTP and RTCP, byte by byte as RFC 3550 has them.

use bytes::Bytes;
use paceline_transport::types::{PeerId, Ssrc, StreamId};

/// The streams of a call, with a payload type that each may have.
pub(crate) const STREAMS: [(StreamId, u8); 4] = [
    (StreamId::VIDEO, 96),
    (StreamId::AUDIO, 111),
    (StreamId::MIX_VIDEO, 97),
    (StreamId::MIX_AUDIO, 111),
];

pub(crate) fn source(peer: PeerId, stream: StreamId) -> u32 {
    Ssrc::of(peer, stream).expect("a stream that there is").get()
}

/// A packet with the number of its frame in header extension 8 (RFC 8285 §4.2).
pub(crate) fn rtp(source: u32, payload_type: u8, seq: u16, frame: u32, payload: &[u8]) -> Bytes {
    let marker = if frame % 2 == 1 { 0x80 } else { 0 };
    let mut packet = vec![0x90, payload_type | marker];
    packet.extend(seq.to_be_bytes());
    packet.extend((frame * 3_000).to_be_bytes());
    packet.extend(source.to_be_bytes());
    packet.extend([0xBE, 0xDE, 0, 2, 0x83]);
    packet.extend(frame.to_be_bytes());
    packet.extend([0, 0, 0]);
    packet.extend(payload);
    packet.into()
}

/// What a packet says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Parsed {
    pub(crate) source: u32,
    pub(crate) payload_type: u8,
    pub(crate) marker: bool,
    pub(crate) seq: u16,
    pub(crate) time: u32,
    /// Header extension 8.
    pub(crate) frame: Option<u32>,
    pub(crate) payload: Vec<u8>,
}

pub(crate) fn parse(packet: &[u8]) -> Parsed {
    let word = |at: usize| u32::from_be_bytes(packet[at..at + 4].try_into().expect("four"));
    let mut parsed = Parsed {
        source: word(8),
        payload_type: packet[1] & 0x7F,
        marker: packet[1] & 0x80 != 0,
        seq: word(0) as u16,
        time: word(4),
        frame: None,
        payload: Vec::new(),
    };
    let mut at = 12 + 4 * usize::from(packet[0] & 15);
    if packet[0] & 0x10 != 0 {
        assert_eq!(word(at) >> 16, 0xBEDE, "one-byte headers");
        let end = at + 4 + 4 * (word(at) as usize & 0xFFFF);
        at += 4;
        while at < end {
            let (id, len) = (packet[at] >> 4, usize::from(packet[at] & 15) + 1);
            if id == 0 {
                at += 1;
                continue;
            }
            if id == 8 {
                assert_eq!(len, 4);
                parsed.frame = Some(word(at + 1));
            }
            at += 1 + len;
        }
        at = end;
    }
    parsed.payload = packet[at..].to_vec();
    parsed
}

/// A sender report without blocks (RFC 3550 §6.4.1).
pub(crate) fn sender_report(source: u32, ntp: u64) -> Bytes {
    let mut packet = vec![0x80, 200, 0, 6];
    packet.extend(source.to_be_bytes());
    packet.extend(ntp.to_be_bytes());
    packet.extend([0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3]);
    packet.into()
}

/// RFC 4585 §6.3.1.
pub(crate) fn picture_loss(by: u32, of: u32) -> Bytes {
    [&[0x81, 206, 0, 2][..], &by.to_be_bytes(), &of.to_be_bytes()].concat().into()
}

/// RFC 5104 §4.3.1.
pub(crate) fn full_intra_request(by: u32, of: u32, number: u8) -> Bytes {
    let (head, none) = ([0x84, 206, 0, 4], [0; 4]);
    [&head[..], &by.to_be_bytes(), &none, &of.to_be_bytes(), &[number, 0, 0, 0]].concat().into()
}
