//! Pictures as encoders make them: as large as the bitrate says, keyframes larger.
//!
//! They are H.264 to whoever looks at no more than NAL units (ITU-T H.264 Annex B): a slice,
//! before that of a keyframe the parameter sets. What is in the slice is one bit for each
//! pixel, light or dark, which is all that a mark needs; the rest is padding. A picture builds on the one before it: the decoder shows
//! nothing after a gap until the next keyframe.

use bytes::{Bytes, BytesMut};
use paceline_types::{
    AudioCodec, AudioFrame, Bitrate, Coding, EncodedFrame, EncoderTarget, PixelFormat, SeqNo,
    StreamId, VideoCodec, VideoFrame,
};

use crate::source::FRAME_RATE;

/// An encoder that does what it is told with the next picture.
#[derive(Debug)]
pub(crate) struct Encoder {
    bitrate: Bitrate,
    wants_key: bool,
    /// Bytes that keyframes took beyond what a picture may, and the pictures after them
    /// have to do without.
    debt: usize,
}

impl Encoder {
    pub(crate) const fn new(bitrate: Bitrate) -> Self {
        Self { bitrate, wants_key: true, debt: 0 }
    }

    pub(crate) fn set_target(&mut self, target: EncoderTarget) {
        self.bitrate = target.bitrate.unwrap_or(self.bitrate);
        self.wants_key |= target.keyframe;
    }

    /// The picture as a frame of `stream`, with the next number.
    pub(crate) fn encode(
        &mut self,
        stream: StreamId,
        seq: &mut SeqNo,
        picture: &VideoFrame,
    ) -> EncodedFrame {
        let key = std::mem::take(&mut self.wants_key);
        let usual = (self.bitrate.bps() / 8 / u64::from(FRAME_RATE)) as usize;
        let size = if key {
            self.debt += (KEYFRAME - 1) * usual;
            KEYFRAME * usual
        } else {
            let saved = (self.debt / FRAME_RATE as usize).max(1).min(usual / 2).min(self.debt);
            self.debt -= saved;
            usual - saved
        };
        let frame = EncodedFrame {
            stream,
            seq: *seq,
            time: picture.time(),
            capture: picture.capture(),
            coding: Coding::Video {
                codec: VideoCodec::H264,
                key,
                discardable: false,
                width: picture.width(),
                height: picture.height(),
            },
            data: pack(picture, key, size),
        };
        *seq = seq.next();
        frame
    }
}

/// An access unit of `size` bytes, or more if the pixels take more.
fn pack(picture: &VideoFrame, key: bool, size: usize) -> Bytes {
    let (sets, slice): (&[&[u8]], u8) = if key { (&[&SPS, &PPS], IDR) } else { (&[], SLICE) };
    let mut data = BytesMut::new();
    for set in sets {
        data.extend_from_slice(&START);
        data.extend_from_slice(set);
    }
    data.extend_from_slice(&START);
    data.extend_from_slice(&[slice]);
    // RTP does not say how large a picture is.
    data.extend([picture.width(), picture.height()].into_iter().flat_map(emit_side));
    data.extend_from_slice(&pixels_of(picture));
    data.resize(data.len().max(size), PADDING);
    data.freeze()
}

/// Seven pixels to a byte, of which the highest bit is set: so no start code is in it, nor
/// anything that has to be escaped (ITU-T H.264 §7.4.1).
fn pixels_of(picture: &VideoFrame) -> Vec<u8> {
    let pixels = usize::from(picture.width()) * usize::from(picture.height());
    let pixels = picture.y().get(..pixels).unwrap_or_default().chunks(7);
    let byte = |pixels: &[u8]| {
        pixels.iter().enumerate().fold(0x80, |byte, (at, &y)| byte | u8::from(y > GREY) << at)
    };
    pixels.map(byte).collect()
}

/// Seven bits to a byte, too.
fn emit_side(side: u16) -> [u8; 3] {
    [14, 7, 0].map(|shift| 0x80 | (side >> shift) as u8 & 0x7f)
}

fn parse_side(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |side, byte| side << 7 | u16::from(byte & 0x7f))
}

/// The sides of the picture in an access unit, and its pixels.
fn slice_of(data: &[u8]) -> Option<(u16, u16, &[u8])> {
    // RTP has start codes of three bytes or four, as it likes.
    let mut units = data.windows(4).enumerate().filter(|(_, bytes)| bytes[..3] == [0, 0, 1]);
    let (at, _) = units.find(|(_, bytes)| matches!(bytes[3], IDR | SLICE))?;
    let (sides, pixels) = data.get(at + 4..)?.split_at_checked(6)?;
    Some((parse_side(&sides[..3]), parse_side(&sides[3..]), pixels))
}

/// What a decoder knows of a stream.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    last: Option<SeqNo>,
}

impl Decoder {
    /// The picture; `None` if it builds on one that is not there.
    pub(crate) fn decode(&mut self, frame: &EncodedFrame) -> Option<VideoFrame> {
        let Coding::Video { key, .. } = frame.coding else { return None };
        let follows = self.last.is_some_and(|last| last.next() == frame.seq);
        self.last = (key || follows).then_some(frame.seq);
        self.last?;
        let (width, height, bits) = slice_of(&frame.data)?;
        let pixels = usize::from(width) * usize::from(height);
        let mut planes = vec![GREY; PixelFormat::I420.bytes(width, height)];
        for (at, y) in planes.iter_mut().take(pixels).enumerate() {
            let is_light = bits.get(at / 7)? >> (at % 7) & 1 == 1;
            *y = if is_light { LIGHT } else { DARK };
        }
        VideoFrame::new(width, height, frame.time, frame.capture, planes.into()).ok()
    }
}

/// The sound as a frame as long as those of Opus are, of which nothing is heard.
pub(crate) fn hush(stream: StreamId, seq: &mut SeqNo, sound: &AudioFrame) -> EncodedFrame {
    let frame = EncodedFrame {
        stream,
        seq: *seq,
        time: sound.time,
        capture: sound.capture,
        coding: Coding::Audio { codec: AudioCodec::Opus, channels: 1 },
        data: Bytes::from_static(&HUSHED),
    };
    *seq = seq.next();
    frame
}

/// Silence.
pub(crate) fn unhush(frame: &EncodedFrame) -> AudioFrame {
    let samples = vec![0.0; 960].into();
    AudioFrame { channels: 1, time: frame.time, capture: frame.capture, samples }
}

/// Times as large as another picture, of 15 a second: of 30 it would be eight times, which is
/// as much of a second. A larger one takes longer than pictures wait in a queue (250 ms) when
/// the link is what limits it, and each would cost the next.
const KEYFRAME: usize = 4;

/// 20 ms at 32 kbit/s.
const SOUND: usize = 80;

/// One frame of 20 ms, one channel (RFC 6716 §3.1).
const TOC: u8 = 31 << 3;

const HUSHED: [u8; SOUND] = {
    let mut sound = [0; SOUND];
    sound[0] = TOC;
    sound
};

/// ITU-T H.264 Annex B.
const START: [u8; 4] = [0, 0, 0, 1];

/// Of ITU-T H.264 §7.4.1: parameter sets, as of a picture of 320 × 180 in constrained baseline,
/// and the headers of slices. Nobody looks into them but for the profile.
const SPS: [u8; 9] = [0x67, 0x42, 0xe0, 0x1f, 0xda, 0x05, 0x07, 0xe4, 0x80];
const PPS: [u8; 4] = [0x68, 0xce, 0x3c, 0x80];
const IDR: u8 = 0x65;
const SLICE: u8 = 0x41;

const PADDING: u8 = 0xff;

const GREY: u8 = 128;
const LIGHT: u8 = 200;
const DARK: u8 = 50;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use paceline_types::{Frequency, MediaTime, NtpTime, Rect, SenderId};

    use super::*;
    use crate::mark::{HEIGHT, Mark, WIDTH};

    fn picture(number: u32) -> (Mark, VideoFrame) {
        let mark = Mark { sender: SenderId::new(3), number, capture: Duration::from_micros(99) };
        let time = MediaTime::new(u64::from(number) * 6_000, Frequency::VIDEO);
        let frame = VideoFrame::new(WIDTH, HEIGHT, time, NtpTime::default(), mark.draw());
        (mark, frame.unwrap())
    }

    #[test]
    fn a_mark_comes_through_and_nothing_does_after_a_gap_but_a_keyframe() {
        let mut encoder = Encoder::new(Bitrate::from_kbps(480));
        let (mut decoder, mut seq) = (Decoder::default(), SeqNo::default());
        let whole = Rect { x: 0, y: 0, width: WIDTH, height: HEIGHT };
        for number in 0..9 {
            let (mark, picture) = picture(number);
            if number == 6 {
                encoder.set_target(EncoderTarget { keyframe: true, bitrate: None });
            }
            let frame = encoder.encode(StreamId::VIDEO, &mut seq, &picture);
            if number == 3 {
                continue;
            }
            let seen = decoder.decode(&frame).and_then(|seen| Mark::read(&seen, whole));
            assert_eq!(seen, (!(3..6).contains(&number)).then_some(mark), "{number}");
        }
    }

    #[test]
    fn it_makes_what_it_is_told_to_keyframes_included() {
        let mut encoder = Encoder::new(Bitrate::from_kbps(480));
        let mut seq = SeqNo::default();
        for kbps in [480, 2_400, 240] {
            encoder.set_target(EncoderTarget {
                keyframe: true,
                bitrate: Some(Bitrate::from_kbps(kbps)),
            });
            let made = (0..150).map(|number| {
                encoder.encode(StreamId::VIDEO, &mut seq, &picture(number).1).data.len()
            });
            let made = made.sum::<usize>() as u64 * 8 / 10_000;
            assert!(made.abs_diff(kbps) < kbps / 8, "{made} of {kbps}");
        }
    }
}
