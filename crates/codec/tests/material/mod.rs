//! Pictures to encode, and how well they came out.

#![allow(dead_code, reason = "each test file uses a part")]

use std::cell::Cell;

use bytes::Bytes;
use paceline_codec::types::{
    Coding, EncodedFrame, Frequency, MediaTime, NtpTime, PictureFormat, PixelFormat, SeqNo,
    StreamId, VideoFrame,
};
use paceline_codec::{VideoEncoder, VideoEncoderConfig, video_encoder};

/// An encoder of H.264, where it is built in.
pub(crate) fn h264(config: VideoEncoderConfig) -> Box<dyn VideoEncoder> {
    video_encoder(PictureFormat::H264, config).expect("the feature is on")
}

/// When picture `index` is taken, at 30 a second.
pub(crate) fn time(index: u64) -> MediaTime {
    MediaTime::new(index * 3_000, Frequency::VIDEO)
}

/// When picture `index` is captured.
pub(crate) fn capture(index: u64) -> NtpTime {
    NtpTime::from_bits(index << 28)
}

/// Slopes with waves on them, moving with `index`: smooth, and still not easy.
pub(crate) fn picture(width: u16, height: u16, index: u64) -> VideoFrame {
    let wave = |position: usize, length: f32| {
        ((position as f32 + index as f32 * 2.0) / length).sin() * 40.0
    };
    let (chroma_width, chroma_height) =
        (usize::from(width).div_ceil(2), usize::from(height).div_ceil(2));
    let mut planes = Vec::with_capacity(PixelFormat::I420.bytes(width, height));
    for y in 0..usize::from(height) {
        for x in 0..usize::from(width) {
            planes.push((126.0 + wave(x, 9.0) + wave(y, 7.0)) as u8);
        }
    }
    for slope in [20.0, -20.0] {
        for y in 0..chroma_height {
            for x in 0..chroma_width {
                let across = x as f32 / chroma_width as f32 - y as f32 / chroma_height as f32;
                planes.push((128.0 + slope * across) as u8);
            }
        }
    }
    VideoFrame::new(width, height, time(index), capture(index), planes.into())
        .expect("as many bytes as pixels")
}

/// Noise that differs from picture to picture: all the bits there are.
pub(crate) fn noise(width: u16, height: u16, index: u64) -> VideoFrame {
    let mut state = index.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let planes: Vec<u8> = (0..PixelFormat::I420.bytes(width, height))
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as u8
        })
        .collect();
    VideoFrame::new(width, height, time(index), capture(index), planes.into())
        .expect("as many bytes as pixels")
}

/// Smooth waves and a bit of noise, so that the picture takes the bits it gets.
pub(crate) fn rough(width: u16, height: u16, index: u64) -> VideoFrame {
    let (smooth, rough) = (picture(width, height, index), noise(width, height, index));
    let planes: Vec<u8> = (smooth.planes().iter())
        .zip(rough.planes())
        .map(|(smooth, rough)| smooth - 12 + rough % 24)
        .collect();
    VideoFrame::new(width, height, time(index), capture(index), planes.into()).expect("planes")
}

/// What arrives when `data` was sent as frame `index`.
pub(crate) fn frame(coding: Coding, data: impl Into<Bytes>, index: u64) -> EncodedFrame {
    EncodedFrame {
        stream: StreamId::VIDEO,
        seq: SeqNo::new(index),
        time: time(index),
        capture: capture(index),
        coding,
        data: data.into(),
    }
}

/// Peak signal to noise in dB, over all planes; infinite for equal pictures.
pub(crate) fn psnr(one: &VideoFrame, other: &VideoFrame) -> f64 {
    assert_eq!((one.width(), one.height()), (other.width(), other.height()));
    let squares: u64 = (one.planes().iter())
        .zip(other.planes())
        .map(|(one, other)| u64::from(one.abs_diff(*other)).pow(2))
        .sum();
    let mean = squares as f64 / one.planes().len() as f64;
    10.0 * (255.0 * 255.0 / mean).log10()
}

/// The NAL units of an Annex B byte stream, without their start codes.
pub(crate) fn nal_units(data: &[u8]) -> impl Iterator<Item = &[u8]> {
    let starts: Vec<usize> =
        (3..=data.len()).filter(|&at| data[..at].ends_with(&[0, 0, 1])).collect();
    let ends: Vec<usize> = (starts.iter().skip(1))
        .map(|&next| next - 3 - usize::from(data[next - 4] == 0))
        .chain([data.len()])
        .collect();
    starts.into_iter().zip(ends).map(|(start, end)| &data[start..end])
}

/// What this crate's tests want of the first slice header (ITU-T H.264 §7.3.3), of
/// streams such as OpenH264 makes: constrained baseline, frames only, no weights.
#[derive(Debug)]
pub(crate) struct SliceHeader {
    pub(crate) idr_pic_id: Option<u32>,
    pub(crate) qp: u8,
}

impl SliceHeader {
    pub(crate) fn parse(access_unit: &[u8]) -> Self {
        thread_local! {
            /// `log2_max_frame_num`, `pic_order_cnt_type` and its `lsb`'s length, and
            /// `pic_init_qp` of the sets seen last, which only IDRs have.
            static SETS: Cell<(u32, u32, u32, i32)> = const { Cell::new((0, 0, 0, 0)) };
        }
        let (mut frame_num_bits, mut poc_type, mut poc_bits, mut init_qp) = SETS.get();
        for unit in nal_units(access_unit) {
            let mut bits = Bits::new(&unit[1..]);
            match unit[0] & 0x1f {
                7 => {
                    bits.take(24);
                    bits.ue();
                    frame_num_bits = bits.ue() + 4;
                    poc_type = bits.ue();
                    assert_ne!(poc_type, 1, "OpenH264 has none such");
                    poc_bits = if poc_type == 0 { bits.ue() + 4 } else { 0 };
                }
                8 => {
                    bits.ue();
                    bits.ue();
                    assert_eq!(bits.take(1), 0, "CAVLC");
                    bits.take(1);
                    assert_eq!(bits.ue(), 0, "one slice group");
                    bits.ue();
                    bits.ue();
                    bits.take(3);
                    init_qp = 26 + bits.se();
                }
                kind @ (1 | 5) => {
                    SETS.set((frame_num_bits, poc_type, poc_bits, init_qp));
                    let referenced = unit[0] >> 5 & 3 != 0;
                    bits.ue();
                    let predicted = bits.ue().is_multiple_of(5);
                    bits.ue();
                    bits.take(frame_num_bits);
                    let idr_pic_id = (kind == 5).then(|| bits.ue());
                    bits.take(poc_bits);
                    if predicted {
                        if bits.take(1) == 1 {
                            bits.ue();
                        }
                        if bits.take(1) == 1 {
                            while bits.ue() != 3 {
                                bits.ue();
                            }
                        }
                    }
                    if referenced {
                        if kind == 5 {
                            bits.take(2);
                        } else if bits.take(1) == 1 {
                            while let operation @ 1.. = bits.ue() {
                                assert!(operation < 4, "no long-term operation");
                                bits.ue();
                            }
                        }
                    }
                    let qp = (init_qp + bits.se()).try_into().expect("0 to 51");
                    return Self { idr_pic_id, qp };
                }
                _ => {}
            }
        }
        panic!("no slice in the access unit");
    }
}

/// Bits of a NAL unit, most significant first.
struct Bits {
    bytes: Vec<u8>,
    at: usize,
}

impl Bits {
    /// Without the bytes that prevent start codes (§7.4.1.1).
    fn new(payload: &[u8]) -> Self {
        let mut bytes: Vec<u8> = Vec::with_capacity(payload.len());
        let mut zeros = 0;
        for &byte in payload {
            if zeros >= 2 && byte == 3 {
                zeros = 0;
                continue;
            }
            zeros = if byte == 0 { zeros + 1 } else { 0 };
            bytes.push(byte);
        }
        Self { bytes, at: 0 }
    }

    fn take(&mut self, count: u32) -> u32 {
        (0..count).fold(0, |value, _| {
            let bit = self.bytes[self.at / 8] >> (7 - self.at % 8) & 1;
            self.at += 1;
            value << 1 | u32::from(bit)
        })
    }

    /// Exp-Golomb (§9.1).
    fn ue(&mut self) -> u32 {
        let zeros = (0..32).take_while(|_| self.take(1) == 0).count() as u32;
        (1 << zeros) - 1 + self.take(zeros)
    }

    fn se(&mut self) -> i32 {
        let code = self.ue() as i32;
        if code % 2 == 1 { code / 2 + 1 } else { -(code / 2) }
    }
}
