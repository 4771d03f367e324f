//! What changes of an H.264 encoder in flight.
#![cfg(feature = "h264")]

mod material;

use material::{SliceHeader, capture, frame, h264, picture, psnr, rough, time};
use paceline_codec::types::{Bitrate, VideoFrame};
use paceline_codec::{
    AnyVideoDecoder, Content, EncodeError, EncoderTarget, VideoDecoder, VideoEncoder,
    VideoEncoderConfig,
};

/// The bits of each picture of a range, 0 for one that was skipped.
fn bits(encoder: &mut dyn VideoEncoder, range: std::ops::Range<u64>) -> Vec<usize> {
    range
        .map(|index| {
            let encoded = encoder.encode(&rough(480, 270, index)).expect("a size it takes");
            encoded.map_or(0, |encoded| encoded.data.len() * 8)
        })
        .collect()
}

#[test]
fn at_half_the_frame_rate_a_picture_has_twice_the_bits() {
    let mut encoder = h264(VideoEncoderConfig::default().bitrate(Bitrate::from_kbps(900)));
    let full: usize = bits(encoder.as_mut(), 0..45)[15..].iter().sum();
    encoder.set_frame_rate(15.0);
    let half: usize = bits(encoder.as_mut(), 45..75)[15..].iter().sum();
    // 30 pictures at 30 a second, and 15 at 15 a second: a second of either.
    let (full, half) = (full / 1_000, half / 1_000);
    assert!((750..1_050).contains(&full), "{full} kbit in a second at 30 frames");
    assert!((750..1_050).contains(&half), "{half} kbit in a second at 15 frames");
}

#[test]
fn a_frame_rate_that_is_none_is_ignored_and_one_out_of_bounds_is_held_within_them() {
    let mut encoder = h264(VideoEncoderConfig::default().max_frame_rate(255));
    for (index, rate) in
        [30.0, f64::NAN, 0.0, -5.0, f64::INFINITY, 1e300, 1e-300, 240.0].into_iter().enumerate()
    {
        encoder.set_frame_rate(rate);
        let encoded = encoder.encode(&picture(64, 64, index as u64)).unwrap();
        // None of them costs a key frame, which a new encoder would.
        let key = encoded.as_ref().is_some_and(|encoded| encoded.coding.is_key());
        assert_eq!(key, index == 0, "{rate}");
    }
}

#[test]
fn another_content_takes_effect_with_an_idr_on_the_very_next_frame_and_loses_nothing() {
    let mut encoder = h264(VideoEncoderConfig::default());
    let mut decoder = AnyVideoDecoder::new();
    for index in 0..40 {
        let content = if index / 10 % 2 == 0 { Content::Camera } else { Content::Screen };
        encoder.set_content(content);
        let sent = picture(320, 180, index);
        let encoded = encoder.encode(&sent).unwrap().expect("none is skipped");
        assert_eq!(encoded.coding.is_key(), index % 10 == 0, "frame {index}");
        let got = decoder.decode(&frame(encoded.coding, encoded.data, index)).unwrap().unwrap();
        assert!(psnr(&sent, &got) > 30.0);
    }
}

#[test]
fn bitrate_and_frame_rate_outlive_another_content_and_another_size() {
    let mut encoder = h264(VideoEncoderConfig::default().bitrate(Bitrate::from_kbps(3_000)));
    bits(encoder.as_mut(), 0..5);
    let bitrate = Some(Bitrate::from_kbps(600));
    encoder.set_target(EncoderTarget { bitrate, keyframe: false });
    encoder.set_frame_rate(15.0);
    encoder.encode(&picture(320, 180, 5)).unwrap();
    let resized: usize = bits(encoder.as_mut(), 6..36)[15..].iter().sum();
    encoder.set_content(Content::Screen);
    encoder.set_content(Content::Camera);
    let restarted: usize = bits(encoder.as_mut(), 36..66)[15..].iter().sum();
    for bits in [resized, restarted] {
        assert!((450_000..750_000).contains(&bits), "{bits} bits in a second at 600 kbit/s");
    }
}

#[test]
fn two_idrs_in_a_row_are_told_apart_by_idr_pic_id_across_a_change_of_size() {
    // ITU-T H.264 §7.4.3: of two consecutive IDRs it differs. Bits behind the header:
    // first_mb_in_slice 0 and slice_type 7, pps id 0, frame_num, then idr_pic_id.
    let mut encoder = h264(VideoEncoderConfig::default());
    let ids: Vec<u32> = (0..6)
        .map(|index| {
            let side = if index % 2 == 0 { 64 } else { 96 };
            let encoded = encoder.encode(&picture(side, side, index)).unwrap().unwrap();
            assert!(encoded.coding.is_key());
            material::SliceHeader::parse(&encoded.data).idr_pic_id.expect("an IDR has one")
        })
        .collect();
    assert!(ids.windows(2).all(|pair| pair[0] != pair[1]), "{ids:?}");
}

#[test]
fn sizes_change_up_and_down_a_hundred_times_without_a_loss() {
    let mut encoder = h264(VideoEncoderConfig::default());
    let mut decoder = AnyVideoDecoder::new();
    for index in 0..100_u64 {
        let (width, height) =
            [(320, 180), (160, 90), (640, 360), (90, 160), (16, 16)][(index % 5) as usize];
        let sent = picture(width, height, index);
        let encoded = encoder.encode(&sent).unwrap().expect("an IDR is not skipped");
        assert!(encoded.coding.is_key());
        let got = decoder.decode(&frame(encoded.coding, encoded.data, index)).unwrap().unwrap();
        assert_eq!((got.width(), got.height()), (width, height));
    }
}

#[test]
fn every_bad_size_is_refused_and_the_encoder_goes_on() {
    let mut encoder = h264(VideoEncoderConfig::default());
    assert!(encoder.encode(&picture(64, 64, 0)).unwrap().unwrap().coding.is_key());
    let mut index = 1;
    for long in [1, 2, 14, 15, 17, 63, 65, 3_841, 3_842, u16::MAX] {
        for (width, height) in [(long, 64), (64, long), (long, 15), (15, long)] {
            // Of the largest a frame is not to be had.
            if usize::from(width) * usize::from(height) > 1 << 20 {
                continue;
            }
            let error = encoder.encode(&picture(width, height, index)).expect_err("no such size");
            let EncodeError::Size { width: w, height: h, nearest } = error else {
                panic!("{error}");
            };
            assert_eq!((w, h), (width, height));
            assert!(encoder.encode(&picture(nearest.0, nearest.1, index)).is_ok(), "{nearest:?}");
            index += 1;
        }
    }
    assert!(VideoFrame::new(0, 0, time(0), capture(0), Vec::new().into()).is_err());
    assert!(encoder.encode(&picture(64, 64, index)).unwrap().is_some());
}

#[test]
fn of_two_idrs_in_a_row_each_has_its_own_id() {
    // ITU-T H.264 §7.4.3, idr_pic_id. Each content is a new native encoder.
    let mut encoder = h264(VideoEncoderConfig::default());
    let mut last = None;
    let mut in_a_row = 0;
    let mut content = Content::Camera;
    for index in 0..60 {
        // Every other one, all, the second of three; and some of those are another size.
        if index % 2 == 1 || index / 10 % 2 == 1 || index % 3 == 1 {
            content = if content == Content::Camera { Content::Screen } else { Content::Camera };
            encoder.set_content(content);
        }
        let size = if index % 7 == 6 { (160, 96) } else { (192, 96) };
        if index % 5 == 0 {
            encoder.set_target(EncoderTarget { bitrate: None, keyframe: true });
        }
        let Some(encoded) = encoder.encode(&picture(size.0, size.1, index)).unwrap() else {
            continue;
        };
        let id = SliceHeader::parse(&encoded.data).idr_pic_id;
        assert_eq!(id.is_some(), encoded.coding.is_key());
        if id.is_some() && last.is_some() {
            assert_ne!(id, last, "picture {index}");
            in_a_row += 1;
        }
        last = id;
    }
    assert!(in_a_row > 20, "{in_a_row}");
}
