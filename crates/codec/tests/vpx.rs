//! VP8 and VP9.
#![cfg(feature = "vpx")]

mod material;

use material::{capture, frame, picture, psnr, time};
use paceline_codec::types::{
    Bitrate, Coding, EncodedFrame, PictureFormat, SeqNo, VideoCodec, VideoFrame,
};
use paceline_codec::{
    AnyVideoDecoder, Content, DecodeError, EncodeError, EncodedPicture, EncoderTarget,
    VideoDecoder, VideoEncoder, VideoEncoderConfig, video_encoder,
};

const BOTH: [(PictureFormat, VideoCodec); 2] =
    [(PictureFormat::Vp8, VideoCodec::Vp8), (PictureFormat::Vp9, VideoCodec::Vp9)];

const KEY_NOW: EncoderTarget = EncoderTarget { bitrate: None, keyframe: true };

fn encoder(format: PictureFormat, config: VideoEncoderConfig) -> Box<dyn VideoEncoder> {
    video_encoder(format, config).expect("the feature is on")
}

/// Pictures 0 to `count` of one size as they arrive, and which they are of.
fn clip(
    encoder: &mut dyn VideoEncoder,
    (width, height): (u16, u16),
    count: u64,
) -> Vec<(u64, EncodedFrame)> {
    let mut frames = Vec::new();
    for index in 0..count {
        let encoded = encoder.encode(&picture(width, height, index)).expect("a size it takes");
        if let Some(encoded) = encoded {
            frames.push((index, numbered(encoded, frames.len() as u64)));
        }
    }
    frames
}

/// What arrives of it: those that were left out have no number.
fn numbered(encoded: EncodedPicture, seq: u64) -> EncodedFrame {
    frame(encoded.coding, encoded.data, seq)
}

fn small_clip(format: PictureFormat, count: u64) -> Vec<EncodedFrame> {
    let mut encoder = encoder(format, VideoEncoderConfig::default());
    let frames = clip(encoder.as_mut(), (160, 96), count);
    assert_eq!(frames.len() as u64, count, "none is left out at this size");
    frames.into_iter().map(|(_, frame)| frame).collect()
}

fn is_key(encoded: &EncodedPicture) -> bool {
    encoded.coding.is_key()
}

/// Numbers that are the same each time.
fn random(mut state: u64) -> impl FnMut() -> usize {
    move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 33) as usize
    }
}

/// A picture with `strength` of noise on it, which differs from one to the next.
fn rough(width: u16, height: u16, index: u64, strength: usize) -> VideoFrame {
    let mut random = random(index);
    let smooth = picture(width, height, index);
    let planes: Vec<u8> = (smooth.planes().iter())
        .map(|sample| {
            (usize::from(*sample) + random() % strength).saturating_sub(strength / 2).min(255) as u8
        })
        .collect();
    VideoFrame::new(width, height, time(index), capture(index), planes.into()).expect("planes")
}

#[test]
fn pictures_come_back_well_and_on_time() {
    for (format, codec) in BOTH {
        for content in [Content::Camera, Content::Screen] {
            let mut encoder = encoder(format, VideoEncoderConfig::default().content(content));
            let mut decoder = AnyVideoDecoder::new();
            let frames = clip(encoder.as_mut(), (480, 270), 30);
            assert!(frames.len() > 25, "{} of 30 were not left out", frames.len());
            let mut worst = f64::INFINITY;
            for (index, encoded) in &frames {
                assert!(matches!(
                    encoded.coding,
                    Coding::Video { codec: c, discardable: false, width: 480, height: 270, .. }
                        if c == codec
                ));
                let got = decoder.decode(encoded).unwrap().unwrap();
                assert_eq!((got.time(), got.capture()), (encoded.time, encoded.capture));
                worst = worst.min(psnr(&picture(480, 270, *index), &got));
            }
            println!("{format:?} {content:?}: {worst:.1} dB at worst");
            assert!(worst > 30.0, "{format:?} {content:?}: {worst:.1} dB");
        }
    }
}

#[test]
fn the_quantizer_is_told_on_the_scale_of_the_codec() {
    for (format, _) in BOTH {
        let quantizer = |kbps| {
            let config = VideoEncoderConfig::default().bitrate(Bitrate::from_kbps(kbps));
            let mut encoder = encoder(format, config);
            let told: Vec<u8> = (0..30)
                .filter_map(|index| encoder.encode(&rough(320, 180, index, 40)).expect("a size"))
                .map(|encoded| encoded.qp.expect("these have one"))
                .collect();
            *told.last().expect("some are not left out")
        };
        let (fine, coarse) = (quantizer(8_000), quantizer(100));
        // Of 63, libvpx's own scale, 56 is the coarsest it may take: that is above 63 on both.
        assert!(coarse > 63 && fine < coarse, "{format:?}: {fine} and {coarse}");
        assert!(format == PictureFormat::Vp9 || coarse <= 127, "{coarse}");
    }
}

#[test]
fn a_key_frame_comes_on_the_very_next_frame_even_when_frames_are_left_out() {
    for (format, _) in BOTH {
        let config = VideoEncoderConfig::default().bitrate(Bitrate::from_kbps(30));
        let mut encoder = encoder(format, config);
        let mut skipped = 0;
        for index in 0..60 {
            let wanted = index % 20 == 7;
            if wanted {
                encoder.set_target(KEY_NOW);
            }
            let encoded = encoder.encode(&rough(320, 180, index, 200)).unwrap();
            skipped += u32::from(encoded.is_none());
            let key = encoded.as_ref().is_some_and(is_key);
            assert_eq!(key, index == 0 || wanted, "{format:?}, frame {index}");
        }
        println!("{format:?}: {skipped} of 60 left out");
        assert!(skipped > 10, "only {skipped} were left out, so this proves nothing");
    }
}

#[test]
fn a_quarter_of_the_bitrate_and_eight_times_that_take_effect_in_30_frames() {
    for (format, _) in BOTH {
        let mut encoder = encoder(format, VideoEncoderConfig::default());
        let mut bits_of = |from: u64, kbps: u64| {
            let bitrate = Some(Bitrate::from_kbps(kbps));
            encoder.set_target(EncoderTarget { bitrate, keyframe: false });
            let mut bits = 0;
            for index in from..from + 60 {
                let encoded = encoder.encode(&rough(480, 270, index, 24)).expect("a size");
                assert!(index == 0 || !encoded.as_ref().is_some_and(is_key), "no key for a rate");
                // The second after the first 30.
                if index >= from + 30 {
                    bits += encoded.map_or(0, |encoded| encoded.data.len() * 8);
                }
            }
            bits / 1_000
        };
        let (full, quarter, twice) = (bits_of(0, 1_200), bits_of(60, 300), bits_of(120, 2_400));
        println!("{format:?}: {full}, {quarter} and {twice} kbit in a second");
        for (target, got) in [(1_200, full), (300, quarter), (2_400, twice)] {
            let within = target * 3 / 4..target * 5 / 4;
            assert!(within.contains(&got), "{format:?}: {got} kbit in the second at {target}");
        }
    }
}

#[test]
fn at_half_the_frame_rate_each_picture_has_twice_the_bits() {
    for (format, _) in BOTH {
        let mut encoder = encoder(format, VideoEncoderConfig::default());
        for (from, rate) in [(0, 30), (60, 15), (120, 60)] {
            encoder.set_frame_rate(f64::from(rate));
            let mut bits = 0;
            for index in from..from + 60 {
                let encoded = encoder.encode(&rough(320, 180, index, 40)).expect("a size");
                // The 30 after the first 30.
                bits += if index < from + 30 { 0 } else { encoded.map_or(0, |e| 8 * e.data.len()) };
            }
            let kbps = bits / 30 * rate as usize / 1_000;
            println!("{format:?}: {kbps} kbit/s at {rate} pictures a second");
            assert!((900..1_500).contains(&kbps), "{format:?}: {kbps} kbit/s at {rate}");
        }
        // What is no rate changes nothing, and what cannot be is held to what can.
        for rate in [f64::NAN, 0.0, -1.0, f64::INFINITY] {
            encoder.set_frame_rate(rate);
            encoder.encode(&rough(320, 180, 180, 40)).expect("a size");
        }
    }
}

#[test]
fn other_content_is_encoded_so_without_a_key_frame() {
    for (format, _) in BOTH {
        let mut encoder = encoder(format, VideoEncoderConfig::default());
        let mut decoder = AnyVideoDecoder::new();
        let mut seq = 0;
        for index in 0..60 {
            if index % 15 == 14 {
                let screen = index / 15 % 2 == 0;
                encoder.set_content(if screen { Content::Screen } else { Content::Camera });
            }
            let sent = picture(320, 180, index);
            let Some(encoded) = encoder.encode(&sent).unwrap() else { continue };
            assert_eq!(is_key(&encoded), index == 0, "{format:?}, frame {index}");
            let got = decoder.decode(&numbered(encoded, seq)).unwrap().unwrap();
            assert!(psnr(&sent, &got) > 30.0, "{format:?}, frame {index}");
            seq += 1;
        }
    }
}

#[test]
fn a_change_of_size_is_a_key_frame_of_the_new_size() {
    for (format, _) in BOTH {
        let mut encoder = encoder(format, VideoEncoderConfig::default());
        let mut decoder = AnyVideoDecoder::new();
        let mut seq = 0;
        let sizes = [(320, 180), (640, 360), (180, 320), (16, 16), (322, 182)];
        for (step, (width, height)) in (0..).zip(sizes) {
            for index in 0..4 {
                let sent = picture(width, height, step * 4 + index);
                let Some(encoded) = encoder.encode(&sent).unwrap() else { continue };
                assert_eq!(is_key(&encoded), index == 0, "{width} × {height}, frame {index}");
                let got = decoder.decode(&numbered(encoded, seq)).unwrap().unwrap();
                seq += 1;
                assert_eq!((got.width(), got.height()), (width, height));
                let psnr = psnr(&sent, &got);
                assert!(psnr > 25.0, "{format:?}, {width} × {height}: {psnr:.1} dB");
            }
        }
    }
}

#[test]
fn a_bitrate_out_of_bounds_is_held_within_them() {
    for (format, _) in BOTH {
        let config = VideoEncoderConfig::default().bitrate(Bitrate::from_bps(0));
        let mut encoder = encoder(format, config.max_frame_rate(0));
        for (index, bps) in (0..).zip([0, u64::MAX, 1, 300_000_000]) {
            let bitrate = Some(Bitrate::from_bps(bps));
            encoder.set_target(EncoderTarget { bitrate, keyframe: true });
            let encoded = encoder.encode(&picture(64, 64, index)).unwrap();
            assert!(encoded.as_ref().is_some_and(is_key), "{format:?}, {bps} bit/s");
        }
    }
}

#[test]
fn sizes_that_h264_cannot_have_are_refused_here_too() {
    for (format, _) in BOTH {
        let mut encoder = encoder(format, VideoEncoderConfig::default());
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
        }
        assert!(encoder.encode(&picture(480, 270, 0)).unwrap().as_ref().is_some_and(is_key));
    }
}

#[test]
fn what_is_encoded_does_not_depend_on_the_clock() {
    for (format, _) in BOTH {
        let (one, other) = (small_clip(format, 20), small_clip(format, 20));
        assert!(one == other, "{format:?}");
    }
}

#[test]
fn a_decoder_starts_with_a_key_frame() {
    for (format, _) in BOTH {
        let frames = small_clip(format, 3);
        let mut decoder = AnyVideoDecoder::new();
        assert_eq!(decoder.decode(&frames[1]), Err(DecodeError::NeedsKeyframe));
        // Whoever calls it one does not make it one.
        let Coding::Video { codec, discardable, width, height, .. } = frames[1].coding else {
            panic!("{:?}", frames[1].coding)
        };
        let coding = Coding::Video { codec, key: true, discardable, width, height };
        let called_key = EncodedFrame { coding, ..frames[1].clone() };
        assert_eq!(decoder.decode(&called_key), Err(DecodeError::NeedsKeyframe));
        assert!(decoder.decode(&frames[0]).unwrap().is_some());
        assert!(decoder.decode(&frames[1]).unwrap().is_some());
    }
}

#[test]
fn a_missing_frame_is_noticed_and_the_next_key_frame_recovers() {
    for (format, _) in BOTH {
        let mut encoder = encoder(format, VideoEncoderConfig::default());
        let mut frames = clip(encoder.as_mut(), (160, 96), 6);
        encoder.set_target(KEY_NOW);
        let next = encoder.encode(&picture(160, 96, 6)).unwrap().unwrap();
        frames.remove(3);
        let mut decoder = AnyVideoDecoder::new();
        for (_, good) in &frames[..3] {
            assert!(decoder.decode(good).unwrap().is_some());
        }
        for (_, lost) in &frames[3..] {
            assert_eq!(decoder.decode(lost), Err(DecodeError::NeedsKeyframe), "{format:?}");
        }
        let got = decoder.decode(&numbered(next, 6)).unwrap().unwrap();
        assert!(psnr(&picture(160, 96, 6), &got) > 30.0);
    }
}

#[test]
fn frames_cut_short_anywhere_never_panic_and_the_next_key_frame_recovers() {
    for (format, _) in BOTH {
        let frames = small_clip(format, 3);
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
}

#[test]
fn flipped_bytes_and_garbage_never_panic_and_the_next_key_frame_recovers() {
    for (format, _) in BOTH {
        let frames = small_clip(format, 4);
        let mut decoder = AnyVideoDecoder::new();
        let mut random = random(7);
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
                let decoded = decoder.decode(&EncodedFrame { data: data.into(), ..good.clone() });
                if let Ok(Some(got)) = decoded {
                    assert!(got.width() <= 3_840 && got.height() <= 3_840);
                }
            }
            assert!(decoder.decode(&frames[0]).unwrap().is_some(), "round {round}");
        }
    }
}

#[test]
fn frames_that_name_a_size_that_is_not_decoded_are_refused_unseen() {
    // RFC 6386 §9.1: after the tag and the start code, 14 bits for each side.
    let mut vp8 = small_clip(PictureFormat::Vp8, 1).remove(0);
    let mut data = vp8.data.to_vec();
    data[6..10].copy_from_slice(&[0x01, 0x0f, 0x10, 0]);
    vp8.data = data.into();
    // VP9, §6.2: 4 bits, 0, key, shown, not resilient; sync code; colour; 16 bits a side less 1.
    let mut vp9 = small_clip(PictureFormat::Vp9, 1).remove(0);
    let mut data = vp9.data.to_vec();
    assert_eq!(data[1..4], [0x49, 0x83, 0x42]);
    let large = [data[4] | 0x0f, 0xff, 0xf3, 0xff, data[8] | 0xf0];
    data[4..9].copy_from_slice(&large);
    vp9.data = data.into();
    for (frame, size) in [(vp8, (3_841, 16)), (vp9.clone(), (65_536, 16_384))] {
        let error = AnyVideoDecoder::new().decode(&frame).expect_err("too large");
        let (coding, (width, height)) = (frame.coding, size);
        assert_eq!(error, DecodeError::Size { coding, width, height });
        assert!(error.needs_keyframe());
    }
    // The same as the second of two in a packet, with an index behind them.
    let good = small_clip(PictureFormat::Vp9, 1).remove(0);
    let mut packet = [&good.data[..], &vp9.data].concat();
    packet.push(0b1100_1001);
    for len in [good.data.len(), vp9.data.len()] {
        packet.extend_from_slice(&(len as u16).to_le_bytes());
    }
    packet.push(0b1100_1001);
    let error =
        AnyVideoDecoder::new().decode(&EncodedFrame { data: packet.into(), ..good.clone() });
    let coding = good.coding;
    assert_eq!(error, Err(DecodeError::Size { coding, width: 65_536, height: 16_384 }));
    // And without an index, where only decoding the first tells where the second begins.
    let packet = [&good.data[..], &vp9.data].concat();
    let mut decoder = AnyVideoDecoder::new();
    let decoded = decoder.decode(&EncodedFrame { data: packet.into(), ..good.clone() });
    let picture = decoded.expect("what is behind it is padding").expect("a picture");
    assert_eq!((picture.width(), picture.height()), (160, 96));
}

#[test]
fn hostile_headers_and_lengths_are_refused() {
    for (format, codec) in BOTH {
        let key = small_clip(format, 1).remove(0);
        let mut decoder = AnyVideoDecoder::new();
        for data in [vec![], vec![0; (4 << 20) + 1]] {
            let found = data.len();
            let error = decoder.decode(&EncodedFrame { data: data.into(), ..key.clone() });
            let (coding, expected) = (key.coding, 4 << 20);
            assert_eq!(error, Err(DecodeError::Length { coding, expected, found }));
        }
        for data in [vec![0], vec![0; 4_096], vec![0xff; 4_096], vec![0x82; 3], vec![0xc0; 9]] {
            let error = decoder.decode(&EncodedFrame { data: data.into(), ..key.clone() });
            assert!(error.expect_err("no picture").needs_keyframe());
        }
        let (width, height) = (u16::MAX, u16::MAX);
        let huge = Coding::Video { codec, key: true, discardable: false, width, height };
        let error = decoder.decode(&EncodedFrame { coding: huge, ..key.clone() });
        assert_eq!(error, Err(DecodeError::Size { coding: huge, width: 65_535, height: 65_535 }));
        assert!(decoder.decode(&key).unwrap().is_some());
    }
}

#[test]
fn a_profile_with_more_bits_or_more_chroma_is_refused() {
    let good = small_clip(PictureFormat::Vp9, 1).remove(0);
    for profile in [0x10, 0x20, 0x30] {
        let mut data = good.data.to_vec();
        data[0] |= profile;
        let frame = EncodedFrame { data: data.into(), ..good.clone() };
        assert_eq!(AnyVideoDecoder::new().decode(&frame), Err(DecodeError::Damaged { state: 0 }));
    }
}

#[test]
fn one_codec_is_not_taken_for_the_other() {
    let [vp8, vp9] = BOTH.map(|(format, _)| small_clip(format, 2));
    let mut decoder = AnyVideoDecoder::new();
    assert!(decoder.decode(&vp8[0]).unwrap().is_some());
    assert!(decoder.decode(&vp9[0]).unwrap().is_some());
    assert_eq!(decoder.decode(&vp8[1]), Err(DecodeError::NeedsKeyframe));
    let mislabelled = EncodedFrame { data: vp8[0].data.clone(), ..vp9[0].clone() };
    assert!(decoder.decode(&mislabelled).expect_err("no VP9").needs_keyframe());
}

#[test]
fn in_a_steady_state_nothing_is_allocated_for_a_picture() {
    for (format, _) in BOTH {
        let config = VideoEncoderConfig::default().bitrate(Bitrate::from_kbps(8_000));
        let mut encoder = encoder(format, config);
        let mut decoder = AnyVideoDecoder::new();
        let pictures: Vec<_> = (0..60).map(|index| rough(160, 96, index, 40)).collect();
        let mut seq = 0;
        let mut pass = |pictures: &[VideoFrame]| {
            for picture in pictures {
                if let Some(encoded) = encoder.encode(picture).expect("a size") {
                    let mut frame = numbered(encoded, 0);
                    frame.seq = SeqNo::new(seq);
                    seq += 1;
                    decoder.decode(&frame).expect("the next one").expect("a picture");
                }
            }
        };
        pass(&pictures);
        let info = allocation_counter::measure(|| pass(&pictures));
        assert_eq!(info.count_total, 0, "{format:?}: {info:?}");
    }
}
