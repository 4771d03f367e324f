//! A build without libvpx.
#![cfg(not(feature = "vpx"))]

use paceline_codec::types::{Coding, PictureFormat, VideoCodec};
use paceline_codec::{VideoEncoderConfig, video_decoder, video_encoder};

#[test]
fn vp8_and_vp9_are_refused_with_the_name_of_the_feature_that_brings_them() {
    for (format, codec) in
        [(PictureFormat::Vp8, VideoCodec::Vp8), (PictureFormat::Vp9, VideoCodec::Vp9)]
    {
        let error = video_encoder(format, VideoEncoderConfig::default()).expect_err("not built in");
        assert!(error.to_string().contains("`vpx`"), "{error}");
        let (key, discardable, width, height) = (true, false, 64, 48);
        let coding = Coding::Video { codec, key, discardable, width, height };
        let error = video_decoder(&coding).expect_err("not built in");
        assert!(error.to_string().contains("`vpx`"), "{error}");
    }
}
