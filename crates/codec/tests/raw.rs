//! What is not compressed: pixels and floats.

mod material;

use std::f32::consts::TAU;

use material::{capture, frame, picture, psnr, time};
use paceline_codec::types::{
    AudioCodec, AudioFrame, Coding, Frequency, MediaTime, NtpTime, PictureFormat, PixelFormat,
    VideoCodec,
};
use paceline_codec::{
    AnyVideoDecoder, AudioEncoder, AudioEncoderConfig, DecodeError, EncodeError, PassThrough, Pcm,
    VideoDecoder, VideoEncoder, VideoEncoderConfig, audio_decoder, audio_encoder, video_decoder,
    video_encoder,
};

#[test]
fn the_pass_through_shares_its_bytes_both_ways() {
    let sent = picture(33, 17, 5);
    let encoded = PassThrough.encode(&sent).unwrap().unwrap();
    assert!(encoded.coding.is_key());
    let got = PassThrough.decode(&frame(encoded.coding, encoded.data, 5)).unwrap().unwrap();
    assert_eq!(got, sent);
    assert_eq!(got.planes().as_ptr(), sent.planes().as_ptr());
}

#[test]
fn rgb_brings_a_picture_back_whatever_its_size() {
    for (width, height) in [(1, 1), (2, 2), (3, 5), (16, 9), (161, 91), (480, 270)] {
        let sent = picture(width, height, 3);
        let mut encoder = video_encoder(PictureFormat::Rgb, VideoEncoderConfig::default()).unwrap();
        let encoded = encoder.encode(&sent).unwrap().unwrap();
        let image = Coding::Image { format: PixelFormat::Rgb24, width, height };
        assert_eq!(encoded.coding, image);

        let frame = frame(encoded.coding, encoded.data, 3);
        let got = video_decoder(&image).unwrap().decode(&frame).unwrap().unwrap();
        assert_eq!((got.time(), got.capture()), (time(3), capture(3)));
        let psnr = psnr(&sent, &got);
        assert!(psnr > 40.0, "{width} × {height}: {psnr:.1} dB");
    }
}

#[test]
fn rgb_and_rgba_of_known_colours_are_bt_601_limited() {
    // ITU-R BT.601-7 §2.5: black 16, white 235, both without colour; red by its
    // luma coefficient 0.299 and at the end of the scale of Cr.
    for (colour, yuv) in [
        ([0, 0, 0], [16, 128, 128]),
        ([255, 255, 255], [235, 128, 128]),
        ([255, 0, 0], [81, 90, 240]),
    ] {
        let rgb: Vec<u8> = colour.iter().copied().cycle().take(4 * 3).collect();
        let rgba: Vec<u8> = [colour[0], colour[1], colour[2], 99].repeat(4);
        for (format, data) in [(PixelFormat::Rgb24, rgb), (PixelFormat::Rgba, rgba)] {
            let coding = Coding::Image { format, width: 2, height: 2 };
            let mut decoder = video_decoder(&coding).unwrap();
            let got = decoder.decode(&frame(coding, data, 0)).unwrap().unwrap();
            let found = [got.y()[3], got.u()[0], got.v()[0]];
            let close = found.iter().zip(&yuv).all(|(found, yuv)| found.abs_diff(*yuv) <= 1);
            assert!(close, "{format:?} {colour:?}: {found:?}, expected {yuv:?}");
        }
    }
}

#[test]
fn pixels_of_another_length_than_the_header_says_are_refused() {
    for format in [PixelFormat::I420, PixelFormat::Rgb24, PixelFormat::Rgba] {
        let sides = [(0, 0), (0, 9), (9, 0), (4, 4), (u16::MAX, u16::MAX), (u16::MAX, 1)];
        for (width, height) in sides {
            let coding = Coding::Image { format, width, height };
            let mut decoder = video_decoder(&coding).unwrap();
            for len in [0, 1, 23, 25, 47, 49, 63, 65, 4_096] {
                let result = decoder.decode(&frame(coding, vec![0; len], 0));
                let error = result.expect_err("not this length");
                assert!(!error.needs_keyframe(), "{error}");
            }
        }
    }
}

#[test]
fn a_decoder_of_one_coding_refuses_another() {
    let rgb = Coding::Image { format: PixelFormat::Rgb24, width: 2, height: 2 };
    let result = PassThrough.decode(&frame(rgb, vec![0; 12], 0));
    assert_eq!(result, Err(DecodeError::OtherCoding(rgb)));
    let cells = Coding::Cells { columns: 1, rows: 1 };
    let result = video_decoder(&rgb).unwrap().decode(&frame(cells, vec![0; 7], 0));
    assert_eq!(result, Err(DecodeError::OtherCoding(cells)));
}

#[test]
fn any_video_decoder_follows_a_change_of_coding() {
    let mut decoder = AnyVideoDecoder::new();
    let sent = picture(32, 18, 0);
    for (index, format) in
        [PictureFormat::Rgb, PictureFormat::Cells, PictureFormat::Rgb].into_iter().enumerate()
    {
        let config = VideoEncoderConfig::default().cells(32, 9);
        let encoded = video_encoder(format, config).unwrap().encode(&sent).unwrap().unwrap();
        let index = index as u64;
        let got = decoder.decode(&frame(encoded.coding, encoded.data, index)).unwrap().unwrap();
        assert_eq!((got.width(), got.height(), got.time()), (32, 18, time(index)));
    }
}

#[test]
fn what_is_not_built_in_is_an_error_that_says_so() {
    let coding = Coding::Video {
        codec: VideoCodec::Av1,
        key: true,
        discardable: false,
        width: 16,
        height: 16,
    };
    let error = video_decoder(&coding).expect_err("there is no AV1");
    assert_eq!(error, DecodeError::NotBuiltIn(coding));
    let error = audio_decoder(&coding).expect_err("no sound");
    assert_eq!(error, DecodeError::NotBuiltIn(coding));
    assert!(AnyVideoDecoder::new().decode(&frame(coding, vec![0; 9], 0)).is_err());
}

#[test]
#[cfg(not(feature = "h264"))]
fn without_the_feature_there_is_no_h264() {
    let error = video_encoder(PictureFormat::H264, VideoEncoderConfig::default())
        .expect_err("not built in");
    assert_eq!(error, EncodeError::NotBuiltIn(PictureFormat::H264));
    assert!(error.to_string().contains("`h264`"), "{error}");
}

#[test]
#[cfg(not(feature = "opus"))]
fn without_the_feature_there_is_no_opus() {
    let error =
        audio_encoder(AudioCodec::Opus, AudioEncoderConfig::default()).expect_err("not built in");
    assert_eq!(error, EncodeError::SoundNotBuiltIn(AudioCodec::Opus));
}

fn sound(channels: u8) -> AudioFrame {
    let samples: Vec<f32> = (0..960 * usize::from(channels))
        .map(|index| (index as f32 * TAU / 109.0).sin() * 1.2)
        .collect();
    AudioFrame {
        channels,
        time: MediaTime::new(960, Frequency::AUDIO),
        capture: NtpTime::from_bits(7),
        samples: samples.into(),
    }
}

#[test]
fn floats_come_back_as_they_were() {
    for channels in [1, 2] {
        let sent = sound(channels);
        let config = AudioEncoderConfig::default().channels(channels);
        let mut encoder = audio_encoder(AudioCodec::PcmF32, config).unwrap();
        let encoded = encoder.encode(&sent).unwrap();
        let mut frame = frame(encoded.coding, encoded.data, 0);
        (frame.time, frame.capture) = (sent.time, sent.capture);
        let mut decoder = audio_decoder(&encoded.coding).unwrap();
        assert_eq!(decoder.decode(&frame).unwrap(), sent);

        let concealed = decoder.conceal(sent.time, sent.capture);
        assert_eq!(concealed.samples.len(), 960 * usize::from(channels));
        assert!(concealed.samples.iter().all(|sample| *sample == 0.0));
    }
}

#[test]
fn floats_that_are_no_sound_are_refused() {
    let coding = Coding::Audio { codec: AudioCodec::PcmF32, channels: 1 };
    let mut decoder = audio_decoder(&coding).unwrap();
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, -16.1] {
        let mut samples = [0.5; 960];
        samples[700] = bad;
        let data: Vec<u8> = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
        let result = decoder.decode(&frame(coding, data, 0));
        assert_eq!(result, Err(DecodeError::Sample { index: 700 }));
    }
    for len in [0, 1, 3_839, 3_841, 7_680] {
        let result = decoder.decode(&frame(coding, vec![0; len], 0));
        assert_eq!(result, Err(DecodeError::Length { coding, expected: 3_840, found: len }));
    }
    let stereo = Coding::Audio { codec: AudioCodec::PcmF32, channels: 2 };
    let result = decoder.decode(&frame(stereo, vec![0; 7_680], 0));
    assert_eq!(result, Err(DecodeError::OtherCoding(stereo)));
}

#[test]
fn sound_of_the_wrong_shape_is_not_encoded() {
    let mut mono = Pcm::new(1).unwrap();
    let error = AudioEncoder::encode(&mut mono, &sound(2)).expect_err("stereo");
    assert_eq!(error, EncodeError::Channels { expected: 1, found: 2 });
    let short = AudioFrame { samples: [0.0; 480].into(), ..sound(1) };
    let error = AudioEncoder::encode(&mut mono, &short).expect_err("10 ms");
    assert_eq!(error, EncodeError::Samples { expected: 960, found: 480 });
    for channels in [0, 3, 255] {
        assert_eq!(Pcm::new(channels).err(), Some(EncodeError::Layout(channels)));
        let config = AudioEncoderConfig::default().channels(channels);
        assert!(audio_encoder(AudioCodec::PcmF32, config).is_err());
        let coding = Coding::Audio { codec: AudioCodec::PcmF32, channels };
        assert!(audio_decoder(&coding).is_err());
    }
}
