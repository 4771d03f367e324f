//! What H.264 says of its quantizer, and what its slice headers say.
#![cfg(feature = "h264")]

mod material;

use material::{SliceHeader, h264, picture, rough};
use paceline_codec::types::Bitrate;
use paceline_codec::{Content, EncoderTarget, VideoEncoderConfig};

#[test]
fn the_quantizer_of_a_key_frame_is_that_of_its_slice_header() {
    for content in [Content::Camera, Content::Screen] {
        for kbps in [100, 1_000, 8_000] {
            let config = VideoEncoderConfig::default().content(content);
            let mut encoder = h264(config.bitrate(Bitrate::from_kbps(kbps)));
            for index in 0..8 {
                encoder.set_target(EncoderTarget { bitrate: None, keyframe: true });
                let encoded = encoder.encode(&rough(320, 180, index)).unwrap().unwrap();
                let header = SliceHeader::parse(&encoded.data);
                assert_eq!(encoded.qp, Some(header.qp), "{content:?}, {kbps} kbit/s, {index}");
            }
        }
    }
}

#[test]
fn the_quantizer_of_a_picture_is_near_that_of_its_slice_header() {
    let mut encoder = h264(VideoEncoderConfig::default().bitrate(Bitrate::from_kbps(400)));
    let mut distinct = std::collections::BTreeSet::new();
    for index in 0..60 {
        let Some(encoded) = encoder.encode(&picture(480, 270, index)).unwrap() else { continue };
        let (qp, header) = (encoded.qp.unwrap(), SliceHeader::parse(&encoded.data));
        // The mean over the macroblocks against that of the first.
        assert!(qp.abs_diff(header.qp) <= 6, "frame {index}: {qp} and {}", header.qp);
        distinct.insert(qp);
    }
    assert!(distinct.len() > 2, "always {distinct:?}, so this proves little");
}

#[test]
fn less_bitrate_is_a_coarser_quantizer_within_20_and_51() {
    let coarseness = |kbps| {
        let mut encoder = h264(VideoEncoderConfig::default().bitrate(Bitrate::from_kbps(kbps)));
        let qps: Vec<u32> = (0..30)
            .filter_map(|index| encoder.encode(&rough(480, 270, index)).unwrap())
            .map(|encoded| encoded.qp.unwrap().into())
            .collect();
        assert!(qps.iter().all(|qp| (20..=51).contains(qp)), "{kbps} kbit/s: {qps:?}");
        qps.iter().sum::<u32>() / qps.len() as u32
    };
    let (coarse, middle, fine) = (coarseness(300), coarseness(1_500), coarseness(8_000));
    assert!(coarse > middle && middle > fine, "{coarse}, {middle}, {fine}");
}
