//! Slices of H.264 that are no larger than a packet.
#![cfg(feature = "h264")]

mod material;

use material::{frame, h264, nal_units, noise, picture, psnr, rough};
use paceline_codec::types::Bitrate;
use paceline_codec::{AnyVideoDecoder, Content, VideoDecoder, VideoEncoderConfig};

#[test]
fn no_slice_is_larger_than_the_bound_but_the_last_by_a_macroblock() {
    for max in [500, 1_300, 4_000] {
        for content in [Content::Camera, Content::Screen] {
            let config = VideoEncoderConfig::default()
                .bitrate(Bitrate::from_kbps(20_000))
                .content(content)
                .max_slice_bytes(Some(max));
            let mut encoder = h264(config);
            let (max, mut largest, mut slices) = (usize::from(max), 0, 0);
            for index in 0..12 {
                let hard = noise(640, 360, index);
                let Some(encoded) = encoder.encode(&hard).unwrap() else { continue };
                let lens: Vec<usize> = nal_units(&encoded.data).map(<[u8]>::len).collect();
                let (last, others) = lens.split_last().expect("a slice");
                assert!(*last <= max + 252, "the last has {last} bytes of {max}");
                assert!(others.iter().all(|len| *len <= max), "{others:?}, of {max}");
                largest = others.iter().copied().max().unwrap_or(0).max(largest);
                slices += lens.len();
            }
            assert!(slices > 100, "{slices} slices of at most {largest} bytes prove little");
            assert!(largest + 250 > max, "at most {largest} bytes of {max}");
        }
    }
}

#[test]
fn with_1300_each_nal_unit_fits_an_rtp_packet_of_1200_bytes() {
    for content in [Content::Camera, Content::Screen] {
        let config = VideoEncoderConfig::default()
            .bitrate(Bitrate::from_kbps(4_000))
            .content(content)
            .max_slice_bytes(Some(1_300));
        let mut encoder = h264(config);
        let mut units = 0;
        for index in 0..30 {
            let Some(encoded) = encoder.encode(&rough(640, 360, index)).unwrap() else { continue };
            for unit in nal_units(&encoded.data) {
                // The header has 12 (RFC 3550 §5.1).
                assert!(unit.len() <= 1_188, "{} bytes", unit.len());
                units += 1;
            }
        }
        assert!(units > 200, "{units} units prove little");
    }
}

#[test]
fn a_picture_of_many_slices_decodes_as_well_as_one_of_one() {
    let quality = |max| {
        let config = VideoEncoderConfig::default().max_slice_bytes(max);
        let mut encoder = h264(config);
        let mut decoder = AnyVideoDecoder::new();
        let (mut worst, mut slices) = (f64::INFINITY, 0);
        for index in 0..20 {
            let sent = picture(480, 270, index);
            let encoded = encoder.encode(&sent).unwrap().expect("none is skipped");
            slices = slices.max(nal_units(&encoded.data).count());
            let got = decoder.decode(&frame(encoded.coding, encoded.data, index)).unwrap();
            worst = psnr(&sent, &got.expect("a picture")).min(worst);
        }
        (worst, slices)
    };
    let ((whole, one), (sliced, many)) = (quality(None), quality(Some(500)));
    assert!(one <= 3 && many > 6, "{one} and {many} NAL units");
    assert!(sliced > whole - 2.0, "{sliced:.1} dB against {whole:.1}");
}

#[test]
fn a_bound_that_no_macroblock_fits_is_held_at_the_least_that_one_does() {
    for max in [0, 1, 499] {
        let config = VideoEncoderConfig::default().max_slice_bytes(Some(max));
        let encoded = h264(config).encode(&noise(320, 180, 0)).unwrap().unwrap();
        assert!(nal_units(&encoded.data).all(|unit| unit.len() <= 500 + 252));
        assert!(nal_units(&encoded.data).count() > 4);
    }
}

#[test]
fn a_picture_of_one_macroblock_is_one_slice_all_the_same() {
    let mut encoder = h264(VideoEncoderConfig::default().max_slice_bytes(Some(1_300)));
    for index in 0..3 {
        assert!(encoder.encode(&picture(16, 16, index)).unwrap().is_some());
    }
    assert!(encoder.encode(&picture(320, 180, 3)).unwrap().is_some());
}
