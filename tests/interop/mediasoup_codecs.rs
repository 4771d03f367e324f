//! VP8 and VP9 of our own encoders, a real mediasoup, and Chromium that looks on.

#[expect(dead_code, reason = "ICE is not restarted here")]
mod publisher;

use paceline_codec::types::{
    Bitrate, EncodedFrame, EncoderTarget, Frequency, MediaTime, NtpTime, PictureFormat,
    PixelFormat, SeqNo, StreamId, VideoCodec, VideoFrame,
};
use paceline_codec::{VideoEncoderConfig, video_encoder};
use paceline_framing::rtp::Codec;
use paceline_publish::{AudioTrack, SfuConfig, SfuEvent, SfuTarget, VideoTrack};
use paceline_tests::{Clip, Live, Server, TempDir, has_browser, has_ffmpeg};
use serde_json::{Value, json};

use self::publisher::{Media, Publisher, Told};

#[test]
fn chromium_decodes_the_vp8_that_we_publish() {
    let from = (PictureFormat::Vp8, Codec::Vp8, VideoCodec::Vp8);
    is_decoded(from, "video/VP8");
}

#[test]
fn chromium_decodes_the_vp9_that_we_publish() {
    let from = (PictureFormat::Vp9, Codec::Vp9, VideoCodec::Vp9);
    is_decoded(from, "video/VP9");
}

/// The worker finds no fault with it and knows its key frames, and Chromium shows it.
fn is_decoded((format, payload, codec): (PictureFormat, Codec, VideoCodec), mime: &str) {
    if !has_browser() || !has_ffmpeg(&["libopus"]) {
        return;
    }
    let media = Media {
        video: pictures(format, payload),
        audio: Live::of(&Clip::encode(Codec::Opus, &TempDir::new())),
    };
    let server = Server::start();
    let viewer = server.consume("r");
    viewer.ready();
    let video = VideoTrack { codec, width: WIDTH, height: HEIGHT, ..VideoTrack::default() };
    let config = SfuConfig::default().video(Some(video)).audio(Some(AudioTrack { channels: 2 }));
    let target: SfuTarget =
        format!("mediasoup:{}", server.url("r", "we")).parse().expect("a target");
    let us = Publisher::start(target, config.bind([127, 0, 0, 1].into()), media).expect("it is up");

    let seen = viewer.receives("video", "a second of pictures", |stream| {
        stream["framesDecoded"].as_u64() >= Some(25)
    });
    assert_eq!(seen["codec"], mime);
    assert_eq!((&seen["frameWidth"], &seen["frameHeight"]), (&json!(WIDTH), &json!(HEIGHT)));
    assert!(seen["keyFramesDecoded"].as_u64() >= Some(1), "{seen}");
    viewer.receives("audio", "sound", |stream| stream["totalAudioEnergy"].as_f64() > Some(0.0));
    for kind in ["audio", "video"] {
        server.wait_for("score of 10", |event| is_score(event, kind).then_some(()));
    }
    us.wait_for("its score", |told| match told {
        Told::Event(SfuEvent::Score { score: 10, .. }) => Some(()),
        _ => None,
    });

    // Key frames are known by our payload descriptors: one that is asked for is seen as one.
    let since = server.now();
    server.ask("request-keyframe", &json!({ "roomId": "r" }));
    for kind in ["pli", "keyframe"] {
        server.wait_for_since(since, kind, |event| {
            (event["event"] == "trace" && event["type"] == kind).then_some(())
        });
    }
    let sent = us.stop();
    eprintln!(
        "{mime}: {sent} sent; when 25 were, {} decoded of {}, {} packets lost, {}",
        seen["framesDecoded"],
        seen["framesReceived"],
        seen["packetsLost"],
        seen["decoderImplementation"],
    );
}

/// Two seconds of a pattern that moves, the first picture a key frame, by our encoder.
fn pictures(format: PictureFormat, codec: Codec) -> Live {
    let config = VideoEncoderConfig::default().bitrate(Bitrate::from_kbps(400));
    let mut encoder = video_encoder(format, config).expect("built in");
    let mut frames = Vec::new();
    for index in 0..50_u64 {
        let picture = picture(index);
        encoder.set_target(EncoderTarget { bitrate: None, keyframe: index == 0 });
        // One that is left out for its rate is missing, which nobody minds.
        let Some(encoded) = encoder.encode(&picture).expect("a picture") else { continue };
        frames.push(EncodedFrame {
            stream: StreamId::VIDEO,
            seq: SeqNo::new(index),
            time: MediaTime::new(frames.len() as u64 * 3_600, Frequency::VIDEO),
            capture: NtpTime::default(),
            coding: encoded.coding,
            data: encoded.data,
        });
    }
    assert!(frames.len() > 25 && frames[0].coding.is_key(), "{} pictures", frames.len());
    Live::of(&Clip { codec, file: "none".into(), frames })
}

fn picture(index: u64) -> VideoFrame {
    let mut planes = vec![128; PixelFormat::I420.bytes(WIDTH, HEIGHT)];
    let (width, height) = (usize::from(WIDTH), usize::from(HEIGHT));
    let moved = index as usize * 3;
    for (at, sample) in planes[..width * height].iter_mut().enumerate() {
        let (x, y) = (at % width + moved, at / width);
        *sample = (40 + x % 128 + (x / 16 + y / 16) % 2 * 60) as u8;
    }
    let time = MediaTime::new(index * 3_600, Frequency::VIDEO);
    VideoFrame::new(WIDTH, HEIGHT, time, NtpTime::default(), planes.into()).expect("planes")
}

fn is_score(event: &Value, kind: &str) -> bool {
    event["event"] == "score" && event["kind"] == kind && event["score"][0]["score"] == 10
}

/// Ours: small, as the clips of the other tests.
const WIDTH: u16 = 320;
const HEIGHT: u16 = 180;
