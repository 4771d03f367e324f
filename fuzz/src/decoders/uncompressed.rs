//! Pixels, text cells and floats.

use bytes::{Buf, Bytes};
use paceline_codec::types::{
    AudioCodec, CELL_BYTES, Coding, EncodedFrame, Frequency, GLYPHS, MediaTime, NtpTime,
    PixelFormat, SeqNo, StreamId,
};
use paceline_codec::{AnyVideoDecoder, VideoDecoder, audio_decoder};

/// A sender of pixels, cells and floats, each frame of another: each step is a format, flags,
/// a size and some bytes, which are repeated to as many as there have to be, or almost.
pub fn decode_pixels(mut script: &[u8]) {
    let mut decoder = AnyVideoDecoder::new();
    while let Some((&[format, flags, width, height, len], rest)) = script.split_first_chunk() {
        script = rest;
        let pattern = script.copy_to_bytes(usize::from(len).min(script.len()));
        // Sizes of thousands come without as many bytes.
        let wide = if flags & 1 == 0 { 1 } else { 257 };
        let (width, height) = (u16::from(width) * wide, u16::from(height) * wide);
        let (coding, bytes) = coding(format, width, height);
        let bytes = match flags >> 1 & 3 {
            0 => bytes.saturating_sub(1),
            1 => bytes + 1,
            _ => bytes,
        };
        let data: Vec<u8> = pattern.iter().copied().cycle().take(bytes.min(MOST)).collect();
        let frame = frame(coding, data.into());
        if coding.is_audio() {
            let Ok(mut decoder) = audio_decoder(&coding) else { continue };
            if let Ok(sound) = decoder.decode(&frame) {
                assert_eq!(sound.samples.len() * 4, frame.data.len());
                assert!(sound.samples.iter().all(|sample| sample.abs() <= 16.0));
            }
            continue;
        }
        match (decoder.decode(&frame), coding) {
            (Ok(picture), Coding::Cells { columns, rows }) => {
                let picture = picture.expect("each frame is one");
                assert_eq!((picture.width(), picture.height()), (columns, 2 * rows));
                let glyphs = frame.data.iter().step_by(CELL_BYTES);
                assert!(glyphs.clone().all(|&glyph| usize::from(glyph) < GLYPHS.len()));
            }
            (Ok(picture), _) => {
                let picture = picture.expect("each frame is one");
                assert_eq!((picture.width(), picture.height()), (width, height));
                assert_eq!(frame.data.len(), bytes);
            }
            (Err(error), _) => assert!(!error.needs_keyframe(), "each frame is one: {error}"),
        }
    }
    let (coding, bytes) = coding(0, 16, 16);
    let good = frame(coding, vec![0; bytes].into());
    assert!(decoder.decode(&good).expect("as many bytes as pixels").is_some());
}

/// Which it is, and how many bytes that has.
fn coding(format: u8, width: u16, height: u16) -> (Coding, usize) {
    let image = |format: PixelFormat| {
        (Coding::Image { format, width, height }, format.bytes(width, height))
    };
    match format % 5 {
        0 => image(PixelFormat::I420),
        1 => image(PixelFormat::Rgb24),
        2 => image(PixelFormat::Rgba),
        3 => {
            let (columns, rows) = (width, height);
            let bytes = usize::from(columns) * usize::from(rows) * CELL_BYTES;
            (Coding::Cells { columns, rows }, bytes)
        }
        _ => {
            let channels = width as u8 % 4;
            let bytes = 960 * 4 * usize::from(channels);
            (Coding::Audio { codec: AudioCodec::PcmF32, channels }, bytes)
        }
    }
}

fn frame(coding: Coding, data: Bytes) -> EncodedFrame {
    let (stream, clock) = if coding.is_audio() {
        (StreamId::AUDIO, Frequency::AUDIO)
    } else {
        (StreamId::VIDEO, Frequency::VIDEO)
    };
    let (seq, time, capture) = (SeqNo::new(0), MediaTime::new(0, clock), NtpTime::default());
    EncodedFrame { stream, seq, time, capture, coding, data }
}

/// Bytes of a frame here: more are not needed to find what is wrong.
const MOST: usize = 255 * 255 * CELL_BYTES;
