//! Pictures to encode, and how well they came out.

#![allow(dead_code, reason = "each test file uses a part")]

use bytes::Bytes;
use paceline_codec::types::{
    Coding, EncodedFrame, Frequency, MediaTime, NtpTime, PixelFormat, SeqNo, StreamId, VideoFrame,
};

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
