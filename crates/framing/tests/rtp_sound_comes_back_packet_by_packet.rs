//! A frame of sound is a packet, whatever its marker bit says.
#![cfg(feature = "rtp")]
#![allow(clippy::disallowed_methods, reason = "a test needs an epoch")]

use std::time::{Duration, Instant};

use bytes::Bytes;
use paceline_framing::rtp::{
    Codec, Depacketizer, DepacketizerConfig, Header, Output, Packet, Verdict,
};

#[test]
fn sound_is_a_frame_a_packet_and_a_gap_costs_no_more() {
    let mut sound = Depacketizer::new(1, Codec::Opus, DepacketizerConfig::default());
    let now = Instant::now();
    for seq in [0_u16, 1, 3, 4] {
        let header = Header {
            version: 2,
            ssrc: 1,
            sequence_number: seq,
            timestamp: 960 * u32::from(seq),
            marker: seq == 3,
            ..Header::default()
        };
        let payload = Bytes::from(vec![0xfc, seq as u8]);
        assert_eq!(sound.handle_packet(now, Packet { header, payload }), Verdict::Queued);
    }
    sound.handle_timeout(now + Duration::from_millis(200));
    let said: Vec<_> = std::iter::from_fn(|| sound.poll_output())
        .map(|output| match output {
            Output::Frame(frame) => (frame.data[1], frame.marker),
            Output::Missing { count, .. } => (100 + count as u8, false),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(said, [(0, false), (1, false), (101, false), (3, true), (4, false)]);
}
