//! H.264.
#![cfg(feature = "h264")]

mod material;

use material::{frame, h264 as encoder, noise, picture, psnr};
use paceline_codec::types::{Bitrate, Coding, EncodedFrame, PictureFormat, VideoCodec, VideoFrame};
use paceline_codec::{
    AnyVideoDecoder, Content, DecodeError, EncodeError, EncodedPicture, EncoderTarget,
    VideoDecoder, VideoEncoder, VideoEncoderConfig, video_encoder,
};

const KEY_NOW: EncoderTarget = EncoderTarget { bitrate: None, keyframe: true };

/// Pictures 0 to `count` of one size, as they arrive.
fn clip(encoder: &mut dyn VideoEncoder, width: u16, height: u16, count: u64) -> Vec<EncodedFrame> {
    (0..count)
        .filter_map(|index| {
            let encoded = encoder.encode(&picture(width, height, index)).expect("a size it takes");
            encoded.map(|encoded| frame(encoded.coding, encoded.data, index))
        })
        .collect()
}

fn is_key(encoded: &EncodedPicture) -> bool {
    encoded.coding.is_key()
}

/// The types of the NAL units in an Annex B byte stream.
fn nal_types(data: &[u8]) -> Vec<u8> {
    data.windows(4).filter(|at| at.starts_with(&[0, 0, 1])).map(|at| at[3] & 0x1f).collect()
}

#[test]
fn pictures_come_back_well_and_on_time() {
    for content in [Content::Camera, Content::Screen] {
        let mut encoder = encoder(VideoEncoderConfig::default().content(content));
        let mut decoder = AnyVideoDecoder::new();
        let frames = clip(encoder.as_mut(), 480, 270, 30);
        assert!(frames.len() > 25, "{} of 30 were not skipped", frames.len());
        for encoded in &frames {
            let got = decoder.decode(encoded).unwrap().unwrap();
            assert_eq!((got.time(), got.capture()), (encoded.time, encoded.capture));
            let psnr = psnr(&picture(480, 270, encoded.seq.get()), &got);
            assert!(psnr > 40.0, "{content:?}, frame {}: {psnr:.1} dB", encoded.seq);
        }
    }
}

#[test]
fn key_is_set_for_idrs_and_only_idrs_have_parameter_sets() {
    let mut encoder = encoder(VideoEncoderConfig::default());
    for index in 0..60 {
        encoder.set_target(EncoderTarget { bitrate: None, keyframe: index % 20 == 7 });
        let Some(encoded) = encoder.encode(&picture(480, 270, index)).unwrap() else { continue };
        let types = nal_types(&encoded.data);
        if is_key(&encoded) {
            assert_eq!(types, [7, 8, 5], "SPS, PPS, IDR");
            // Constrained baseline: profile 66 with constraint_set1_flag.
            let sps = encoded.data.windows(4).position(|at| at == [0, 0, 1, 0x67]).unwrap();
            assert_eq!(encoded.data[sps + 4], 66);
            assert_eq!(encoded.data[sps + 5] & 0x40, 0x40);
        } else {
            assert_eq!(types, [1], "one slice");
        }
        assert_eq!(is_key(&encoded), index == 0 || index % 20 == 7, "frame {index}");
        assert!(matches!(
            encoded.coding,
            Coding::Video {
                codec: VideoCodec::H264,
                discardable: false,
                width: 480,
                height: 270,
                ..
            }
        ));
    }
}

#[test]
fn an_idr_comes_on_the_very_next_frame_even_when_frames_are_skipped() {
    // Noise at the lowest rate there is: the rate control skips what it can.
    let mut encoder = encoder(VideoEncoderConfig::default().bitrate(Bitrate::from_kbps(30)));
    let mut skipped = 0;
    for index in 0..60 {
        let wanted = index % 6 == 5;
        if wanted {
            encoder.set_target(KEY_NOW);
        }
        let encoded = encoder.encode(&noise(320, 180, index)).unwrap();
        skipped += u32::from(encoded.is_none());
        if wanted {
            assert!(encoded.as_ref().is_some_and(is_key), "frame {index}: {encoded:?}");
        }
    }
    assert!(skipped > 10, "only {skipped} were skipped, so this proves nothing");
}

#[test]
fn a_change_of_scene_is_no_idr_of_a_camera() {
    let mut encoder = encoder(VideoEncoderConfig::default());
    for index in 0..90 {
        let scene = picture(320, 180, index);
        let mut planes = scene.planes().to_vec();
        if index / 30 == 1 {
            planes.reverse();
        }
        let (time, capture) = (scene.time(), scene.capture());
        let scene = VideoFrame::new(320, 180, time, capture, planes.into()).unwrap();
        let encoded = encoder.encode(&scene).unwrap();
        assert_eq!(encoded.as_ref().is_some_and(is_key), index == 0, "frame {index}");
    }
}

#[test]
fn after_a_picture_that_openh264_fails_at_comes_an_idr() {
    let mut encoder = encoder(VideoEncoderConfig::default());
    let mut failed = false;
    let mut failures = 0;
    for index in 0..90 {
        // Still, so that the quantizer gets as fine as can be, then full of noise.
        let scene = if index % 30 < 29 { picture(320, 180, 0) } else { noise(320, 180, index) };
        match encoder.encode(&scene) {
            Ok(encoded) => {
                let key = encoded.as_ref().is_some_and(is_key);
                assert_eq!(key, index == 0 || failed, "frame {index}");
                failed = false;
            }
            Err(error) => {
                assert!(matches!(error, EncodeError::Native { .. }), "{error}");
                failed = true;
                failures += 1;
            }
        }
    }
    assert!(failures > 0, "nothing failed, so this proves nothing");
}

#[test]
fn a_change_of_size_is_an_idr_of_the_new_size() {
    let mut encoder = encoder(VideoEncoderConfig::default());
    let mut decoder = AnyVideoDecoder::new();
    for (step, (width, height)) in
        [(320, 180), (640, 360), (180, 320), (16, 16), (322, 182)].into_iter().enumerate()
    {
        for index in 0..4 {
            let seq = step as u64 * 4 + index;
            let sent = picture(width, height, seq);
            let Some(encoded) = encoder.encode(&sent).unwrap() else { continue };
            assert_eq!(is_key(&encoded), index == 0, "{width} × {height}, frame {index}");
            let got = decoder.decode(&frame(encoded.coding, encoded.data, seq)).unwrap().unwrap();
            assert_eq!((got.width(), got.height()), (width, height));
            let psnr = psnr(&sent, &got);
            assert!(psnr > 25.0, "{width} × {height}: {psnr:.1} dB");
        }
    }
}

#[test]
fn a_quarter_of_the_bitrate_and_twice_of_it_take_effect_in_15_frames() {
    let mut encoder = encoder(VideoEncoderConfig::default().bitrate(Bitrate::from_kbps(1_200)));
    let mut bits_of = |from: u64, kbps: u64| {
        encoder
            .set_target(EncoderTarget { bitrate: Some(Bitrate::from_kbps(kbps)), keyframe: false });
        let mut bits = 0;
        for index in from..from + 45 {
            // Half a wave of noise over the picture, so that it takes the bits it gets.
            let (smooth, rough) = (picture(480, 270, index), noise(480, 270, index));
            let planes: Vec<u8> = (smooth.planes().iter())
                .zip(rough.planes())
                .map(|(smooth, rough)| smooth - 12 + rough % 24)
                .collect();
            let (time, capture) = (smooth.time(), smooth.capture());
            let mixed = VideoFrame::new(480, 270, time, capture, planes.into()).expect("planes");
            let encoded = encoder.encode(&mixed).expect("a size it takes");
            assert!(index == 0 || !encoded.as_ref().is_some_and(is_key), "no IDR for a bitrate");
            // The 30 frames after the first 15.
            if index >= from + 15 {
                bits += encoded.map_or(0, |encoded| encoded.data.len() * 8);
            }
        }
        bits / 1_000
    };
    let (full, quarter, twice) = (bits_of(0, 1_200), bits_of(45, 300), bits_of(90, 2_400));
    assert!((1_000..1_400).contains(&full), "{full} kbit in the second at 1200");
    assert!((220..380).contains(&quarter), "{quarter} kbit in the second at 300");
    assert!((2_000..2_800).contains(&twice), "{twice} kbit in the second at 2400");
}

#[test]
fn a_bitrate_out_of_bounds_is_held_within_them() {
    let mut encoder = encoder(VideoEncoderConfig::default().bitrate(Bitrate::from_bps(0)));
    for (index, bps) in [0, u64::MAX, 1, 300_000_000].into_iter().enumerate() {
        encoder.set_target(EncoderTarget { bitrate: Some(Bitrate::from_bps(bps)), keyframe: true });
        let encoded = encoder.encode(&picture(64, 64, index as u64)).unwrap();
        assert!(encoded.as_ref().is_some_and(is_key), "{bps} bit/s");
    }
}

#[test]
fn sizes_that_h264_cannot_have_are_refused_with_the_nearest_that_it_can() {
    let mut encoder = encoder(VideoEncoderConfig::default());
    for ((width, height), nearest) in [
        ((481, 270), (480, 270)),
        ((480, 271), (480, 270)),
        ((1, 1), (16, 16)),
        ((2, 480), (16, 480)),
        ((3_842, 16), (3_840, 16)),
        ((3_840, 2_162), (3_840, 2_160)),
        ((2_162, 3_840), (2_160, 3_840)),
    ] {
        let error = encoder.encode(&picture(width, height, 0)).expect_err("no such size");
        assert_eq!(error, EncodeError::Size { width, height, nearest });
        let text = error.to_string();
        let named = [format!("{width} × {height}"), format!("{} × {}", nearest.0, nearest.1)];
        assert!(named.iter().all(|size| text.contains(size)), "{text}");
    }
    assert!(encoder.encode(&picture(480, 270, 0)).unwrap().as_ref().is_some_and(is_key));
}

/// As of a file, in which each access unit is as large as it says within.
#[test]
fn a_size_that_is_not_said_is_found_in_the_stream() {
    let mut encoder = encoder(VideoEncoderConfig::default());
    let mut decoder = AnyVideoDecoder::new();
    for mut encoded in clip(encoder.as_mut(), 320, 180, 5) {
        if let Coding::Video { width, height, .. } = &mut encoded.coding {
            (*width, *height) = (0, 0);
        }
        let got = decoder.decode(&encoded).unwrap().unwrap();
        assert_eq!((got.width(), got.height()), (320, 180));
    }
}

#[test]
fn a_decoder_starts_with_a_key_frame() {
    let frames = clip(encoder(VideoEncoderConfig::default()).as_mut(), 320, 180, 3);
    let mut decoder = AnyVideoDecoder::new();
    let error = decoder.decode(&frames[1]).expect_err("no key frame yet");
    assert_eq!(error, DecodeError::NeedsKeyframe);
    assert!(error.needs_keyframe());
    assert!(decoder.decode(&frames[0]).unwrap().is_some());
    assert!(decoder.decode(&frames[1]).unwrap().is_some());
}

#[test]
fn a_missing_frame_is_noticed_and_the_next_idr_recovers() {
    let mut encoder = encoder(VideoEncoderConfig::default());
    let mut frames = clip(encoder.as_mut(), 320, 180, 6);
    encoder.set_target(KEY_NOW);
    let next = encoder.encode(&picture(320, 180, 6)).unwrap().unwrap();
    frames.remove(3);

    let mut decoder = AnyVideoDecoder::new();
    for good in &frames[..3] {
        assert!(decoder.decode(good).unwrap().is_some());
    }
    for lost in &frames[3..] {
        assert!(decoder.decode(lost).expect_err("its reference is missing").needs_keyframe());
    }
    let got = decoder.decode(&frame(next.coding, next.data, 6)).unwrap().unwrap();
    assert!(psnr(&picture(320, 180, 6), &got) > 30.0);
}

#[test]
fn access_units_cut_short_anywhere_never_panic_and_the_next_idr_recovers() {
    let frames = clip(encoder(VideoEncoderConfig::default()).as_mut(), 160, 96, 3);
    let mut decoder = AnyVideoDecoder::new();
    for victim in 0..2 {
        let whole = &frames[victim];
        for len in (0..whole.data.len()).step_by(7) {
            for before in &frames[..victim] {
                decoder.decode(before).unwrap();
            }
            let cut = EncodedFrame { data: whole.data.slice(..len), ..whole.clone() };
            let _ = decoder.decode(&cut);
            assert!(decoder.decode(&frames[0]).unwrap().is_some(), "after {len} bytes");
        }
    }
}

#[test]
fn flipped_bytes_and_garbage_never_panic_and_the_next_idr_recovers() {
    let frames = clip(encoder(VideoEncoderConfig::default()).as_mut(), 160, 96, 4);
    let mut decoder = AnyVideoDecoder::new();
    let mut state = 7_u64;
    let mut random = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 33) as usize
    };
    for round in 0..300 {
        for good in &frames {
            let mut data = good.data.to_vec();
            if round % 3 == 0 {
                data.iter_mut().skip(random() % 40).for_each(|byte| *byte = random() as u8);
            } else {
                for _ in 0..1 + random() % 4 {
                    let at = random() % data.len();
                    data[at] ^= 1 << (random() % 8);
                }
            }
            match decoder.decode(&EncodedFrame { data: data.into(), ..good.clone() }) {
                Ok(Some(got)) => assert!(got.width() <= 3_840 && got.height() <= 3_840),
                Ok(None) => panic!("one access unit is one picture or an error"),
                Err(_) => {}
            }
        }
        assert!(decoder.decode(&frames[0]).unwrap().is_some(), "round {round}");
    }
}

#[test]
fn hostile_headers_and_lengths_are_refused() {
    let key = clip(encoder(VideoEncoderConfig::default()).as_mut(), 160, 96, 1).remove(0);
    let mut decoder = AnyVideoDecoder::new();
    for data in [vec![], vec![0; (4 << 20) + 1]] {
        let found = data.len();
        let error = decoder.decode(&EncodedFrame { data: data.into(), ..key.clone() });
        let (coding, expected) = (key.coding, 4 << 20);
        assert_eq!(error, Err(DecodeError::Length { coding, expected, found }));
        assert!(error.unwrap_err().needs_keyframe());
    }
    for data in [vec![0], vec![0; 4_096], vec![0xff; 4_096], vec![0, 0, 0, 1], vec![0, 0, 1, 0x65]]
    {
        let error = decoder.decode(&EncodedFrame { data: data.into(), ..key.clone() });
        assert!(error.expect_err("no picture").needs_keyframe());
    }
    let huge = Coding::Video {
        codec: VideoCodec::H264,
        key: true,
        discardable: false,
        width: u16::MAX,
        height: u16::MAX,
    };
    let error = decoder.decode(&EncodedFrame { coding: huge, ..key.clone() });
    assert_eq!(error, Err(DecodeError::Size { coding: huge, width: 65_535, height: 65_535 }));
    assert!(decoder.decode(&key).unwrap().is_some());
}

#[test]
fn when_the_next_frame_is_refused_the_error_has_said_so() {
    let frames = clip(encoder(VideoEncoderConfig::default()).as_mut(), 160, 96, 3);
    let (key, discardable, width, height) = (false, false, 0, 96);
    let empty = Coding::Video { codec: VideoCodec::H264, key, discardable, width, height };
    for bad in [
        EncodedFrame { data: Vec::new().into(), ..frames[1].clone() },
        EncodedFrame { coding: empty, ..frames[1].clone() },
        EncodedFrame { data: vec![0xff; 99].into(), ..frames[1].clone() },
    ] {
        let mut decoder = AnyVideoDecoder::new();
        decoder.decode(&frames[0]).unwrap();
        let error = decoder.decode(&bad).unwrap_err();
        assert_eq!(decoder.decode(&frames[2]), Err(DecodeError::NeedsKeyframe), "after {error}");
        assert!(error.needs_keyframe(), "{error}");
    }
}

#[test]
fn coming_back_from_another_coding_takes_a_key_frame() {
    let frames = clip(encoder(VideoEncoderConfig::default()).as_mut(), 160, 96, 2);
    let mut rgb = video_encoder(PictureFormat::Rgb, VideoEncoderConfig::default()).unwrap();
    let rgb = rgb.encode(&picture(160, 96, 1)).unwrap().unwrap();

    let mut decoder = AnyVideoDecoder::new();
    assert!(decoder.decode(&frames[0]).unwrap().is_some());
    assert!(decoder.decode(&frame(rgb.coding, rgb.data, 1)).unwrap().is_some());
    assert_eq!(decoder.decode(&frames[1]), Err(DecodeError::NeedsKeyframe));
}
