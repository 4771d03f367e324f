//! Temporal layers of H.264.
#![cfg(feature = "h264")]

mod material;

use material::{frame, h264, picture, psnr};
use paceline_codec::types::Coding;
use paceline_codec::{
    AnyVideoDecoder, Content, EncodedPicture, EncoderTarget, VideoDecoder, VideoEncoderConfig,
};

fn is_discardable(encoded: &EncodedPicture) -> bool {
    matches!(encoded.coding, Coding::Video { discardable: true, .. })
}

/// Pictures 0 to 32 in layers; the tenth is asked to be a key frame.
fn layered(layers: u8, content: Content) -> Vec<(u64, EncodedPicture)> {
    let config = VideoEncoderConfig::default().temporal_layers(layers).content(content);
    let mut encoder = h264(config);
    (0..32)
        .map(|index| {
            encoder.set_target(EncoderTarget { bitrate: None, keyframe: index == 10 });
            let encoded = encoder.encode(&picture(320, 180, index)).expect("a size it takes");
            (index, encoded.expect("none is skipped"))
        })
        .collect()
}

#[test]
fn layers_come_in_the_order_of_their_number_and_begin_anew_with_each_idr() {
    for (layers, period) in [(1, &[0][..]), (2, &[0, 1]), (3, &[0, 2, 1, 2])] {
        for (index, encoded) in layered(layers, Content::Camera) {
            let since_idr = if index < 10 { index } else { index - 10 } as usize;
            let layer = period[since_idr % period.len()];
            assert_eq!(encoded.temporal_layer, layer, "{layers} layers, frame {index}");
            assert_eq!(encoded.coding.is_key(), since_idr == 0);
            assert_eq!(is_discardable(&encoded), layers > 1 && layer == layers - 1);
        }
    }
}

#[test]
fn what_is_above_any_layer_can_be_left_out_and_the_others_decode() {
    for layers in 1..=3 {
        for top in 0..layers {
            let mut decoder = AnyVideoDecoder::new();
            let mut decoded = 0;
            for (index, encoded) in layered(layers, Content::Camera) {
                if encoded.temporal_layer > top {
                    continue;
                }
                let got = decoder.decode(&frame(encoded.coding, encoded.data, index));
                let got = got.unwrap_or_else(|error| {
                    panic!("{layers} layers up to {top}, frame {index}: {error}")
                });
                assert!(psnr(&picture(320, 180, index), &got.expect("a picture")) > 28.0);
                decoded += 1;
            }
            assert!(decoded >= 8, "{layers} layers up to {top}: {decoded} pictures");
        }
    }
}

#[test]
fn what_is_discardable_can_be_left_out_one_at_a_time() {
    let mut decoder = AnyVideoDecoder::new();
    for (index, encoded) in layered(3, Content::Camera) {
        if is_discardable(&encoded) && index % 3 == 0 {
            continue;
        }
        assert!(decoder.decode(&frame(encoded.coding, encoded.data, index)).unwrap().is_some());
    }
}

#[test]
fn a_screen_has_two_layers_even_if_three_are_asked_for() {
    for layers in 1..=3 {
        let screen = layered(layers, Content::Screen);
        let top = screen.iter().map(|(_, encoded)| encoded.temporal_layer).max();
        assert_eq!(top, Some(layers.min(2) - 1));
    }
}

#[test]
fn a_screen_that_is_still_has_two_layers_even_if_three_are_asked_for() {
    // OpenH264 with three ends the process at the fourth picture.
    let config = VideoEncoderConfig::default().temporal_layers(3).content(Content::Screen);
    let mut encoder = h264(config);
    for index in 0..12 {
        let encoded = encoder.encode(&picture(320, 180, 0)).unwrap().expect("none is skipped");
        assert_eq!(u64::from(encoded.temporal_layer), index % 2, "frame {index}");
        assert_eq!(encoded.coding.is_key(), index == 0);
    }
}

#[test]
fn a_screen_that_becomes_a_camera_has_its_third_layer() {
    let config = VideoEncoderConfig::default().temporal_layers(3).content(Content::Screen);
    let mut encoder = h264(config);
    let mut layers = |range: std::ops::Range<u64>| -> Vec<u8> {
        let layer =
            |index| encoder.encode(&picture(64, 64, index)).unwrap().unwrap().temporal_layer;
        let layers = range.map(layer).collect();
        encoder.set_content(Content::Camera);
        layers
    };
    assert_eq!(layers(0..4), [0, 1, 0, 1]);
    assert_eq!(layers(4..8), [0, 2, 1, 2]);
}

#[test]
fn numbers_of_layers_out_of_bounds_are_held_within_them() {
    for (asked, top) in [(0, 0), (255, 2)] {
        let encoded = layered(asked, Content::Camera);
        assert_eq!(encoded.iter().map(|(_, encoded)| encoded.temporal_layer).max(), Some(top));
    }
}
