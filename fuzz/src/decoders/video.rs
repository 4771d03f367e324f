//! H.264, VP8 and VP9.

use paceline_codec::types::{
    Coding, EncodedFrame, Frequency, MediaTime, NtpTime, SeqNo, StreamId, VideoCodec, VideoFrame,
};
use paceline_codec::{VideoDecoder, video_decoder};

use super::script::{Script, Stream};

/// A sender of H.264.
pub fn decode_h264(script: &[u8]) {
    decode(VideoCodec::H264, "h264", script);
}

/// A sender of VP8: the first byte of the script says which stream it has.
pub fn decode_vp8(script: &[u8]) {
    let Some((&stream, script)) = script.split_first() else { return };
    decode(VideoCodec::Vp8, if stream & 1 == 0 { "vp8" } else { "vp8_others" }, script);
}

/// A sender of VP9: the first byte of the script says which stream it has.
pub fn decode_vp9(script: &[u8]) {
    let Some((&stream, script)) = script.split_first() else { return };
    decode(VideoCodec::Vp9, if stream & 1 == 0 { "vp9" } else { "vp9_others" }, script);
}

fn decode(codec: VideoCodec, stream: &str, script: &[u8]) {
    let stream = Stream::named(stream);
    let mut script = Script::new(script, stream);
    let mut decoder = new_decoder(codec);
    let mut seq = 0_u64;
    let mut lost_its_references = true;
    while let Some(step) = script.step() {
        seq += 1 + u64::from(step.missing);
        let frame = frame(codec, step.key, step.size.unwrap_or(SIZE), seq, step.data);
        match decoder.decode(&frame) {
            Ok(picture) => {
                // What was not changed refers to something.
                assert!(!(lost_its_references && step.untouched && !step.key), "{frame:?}");
                lost_its_references = false;
                if let Some(picture) = picture {
                    check(&picture, &frame);
                }
            }
            Err(error) => lost_its_references |= error.needs_keyframe(),
        }
    }
    // Whatever came before, a key frame is the same picture as at the start.
    let (_, data) = stream.frames().into_iter().find(|(key, _)| *key).expect("a key frame");
    let frame = frame(codec, true, SIZE, seq + 1, data);
    let shown = decoder.decode(&frame).expect("nothing is wrong with it");
    assert_eq!(shown, new_decoder(codec).decode(&frame).expect("nor here"));
    assert!(shown.is_some(), "it is a picture");
}

fn new_decoder(codec: VideoCodec) -> Box<dyn VideoDecoder> {
    video_decoder(&coding(codec, true, SIZE)).expect("built in")
}

fn check(picture: &VideoFrame, frame: &EncodedFrame) {
    let (width, height) = (picture.width(), picture.height());
    let (long, short) = (width.max(height), width.min(height));
    assert!(long <= 3_840 && short <= 2_160, "{width} × {height}");
    assert_eq!((picture.time(), picture.capture()), (frame.time, frame.capture));
}

fn frame(
    codec: VideoCodec,
    key: bool,
    size: (u16, u16),
    seq: u64,
    data: bytes::Bytes,
) -> EncodedFrame {
    EncodedFrame {
        stream: StreamId::VIDEO,
        seq: SeqNo::new(seq),
        time: MediaTime::new(seq * 3_000, Frequency::VIDEO),
        capture: NtpTime::from_bits(seq << 28),
        coding: coding(codec, key, size),
        data,
    }
}

const fn coding(codec: VideoCodec, key: bool, (width, height): (u16, u16)) -> Coding {
    Coding::Video { codec, key, discardable: false, width, height }
}

/// Of the pictures in `fuzz/streams`, at first.
const SIZE: (u16, u16) = (64, 48);
