//! What H.264 allocates, of Rust's: OpenH264 has its own memory.
#![cfg(feature = "h264")]

mod material;

use std::collections::VecDeque;

use material::{frame, h264, picture, rough};
use paceline_codec::types::Bitrate;
use paceline_codec::{Content, VideoEncoderConfig, video_decoder};

#[test]
fn in_a_steady_state_encoding_and_decoding_allocate_nothing() {
    for content in [Content::Camera, Content::Screen] {
        let config = VideoEncoderConfig::default()
            .bitrate(Bitrate::from_kbps(4_000))
            .content(content)
            .max_slice_bytes(Some(1_300));
        let mut encoder = h264(config);
        let first = encoder.encode(&rough(320, 180, 0)).unwrap().unwrap();
        let mut decoder = video_decoder(&first.coding).unwrap();
        decoder.decode(&frame(first.coding, first.data, 0)).unwrap();

        // As many packets and pictures under way as a jitter buffer holds.
        let mut under_way = VecDeque::new();
        let mut worst = 0;
        for index in 1..180 {
            // Packets of many sizes.
            let hard = index % 3 == 0 || index % 7 == 0;
            let sent = if hard { rough(320, 180, index) } else { picture(320, 180, index) };
            let (mut packet, mut shown) = (None, None);
            let encoding = allocation_counter::measure(|| packet = encoder.encode(&sent).unwrap());
            let Some(packet) = packet else { continue };
            let packet = frame(packet.coding, packet.data, index);
            let decoding = allocation_counter::measure(|| shown = decoder.decode(&packet).unwrap());
            under_way.push_back((packet, shown.expect("a picture")));
            if under_way.len() > 6 {
                under_way.pop_front();
            }
            if index > 90 {
                worst = worst.max(encoding.count_total).max(decoding.count_total);
            }
        }
        assert_eq!(worst, 0, "{content:?}: allocations of a frame");
    }
}
