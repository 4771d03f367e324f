//! Makes `fuzz/streams` anew: small pictures and a little sound, by our encoders, and by
//! ffmpeg's for streams that look ahead.
//!
//! `cargo run -p paceline-fuzz --example streams`

use std::fs;
use std::path::Path;
use std::process::Command;

use bytes::Bytes;
use paceline_codec::types::{
    AudioCodec, AudioFrame, Bitrate, Frequency, MediaTime, NtpTime, PictureFormat, PixelFormat,
    VideoFrame,
};
use paceline_codec::{
    AudioContent, AudioEncoderConfig, EncoderTarget, VideoEncoderConfig, audio_encoder,
    video_encoder,
};
use paceline_fuzz::Stream;

type Frames = Vec<(bool, Bytes)>;

fn main() {
    write("h264", &pictures(PictureFormat::H264));
    write("vp8", &pictures(PictureFormat::Vp8));
    write("vp9", &pictures(PictureFormat::Vp9));
    write("vp8_others", &by_ffmpeg("libvpx"));
    write("vp9_others", &by_ffmpeg("libvpx-vp9"));
    write("opus_mono", &sound(1));
    write("opus_stereo", &sound(2));
}

fn write(name: &str, frames: &Frames) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("streams").join(name);
    fs::write(path, Stream::file(frames)).expect("a place for it");
}

fn picture(width: u16, height: u16, index: usize) -> VideoFrame {
    let mut planes = vec![128; PixelFormat::I420.bytes(width, height)];
    let luma = usize::from(width) * usize::from(height);
    for (at, sample) in planes[..luma].iter_mut().enumerate() {
        let (x, y) = (at % usize::from(width) + 3 * index, at / usize::from(width) + index);
        *sample = (60 + x * 2 + (x / 8 + y / 8) % 2 * 60) as u8;
    }
    let time = MediaTime::new(index as u64 * 3_000, Frequency::VIDEO);
    VideoFrame::new(width, height, time, NtpTime::default(), planes.into()).expect("planes")
}

/// Eight pictures, four of another size, and a key frame of the first size that was asked for.
fn pictures(format: PictureFormat) -> Frames {
    let config = VideoEncoderConfig::default().bitrate(Bitrate::from_kbps(100));
    let mut encoder = video_encoder(format, config).expect("built in");
    let mut frames = Vec::new();
    for index in 0..18 {
        let (width, height) = if (8..12).contains(&index) { (32, 64) } else { (64, 48) };
        encoder.set_target(EncoderTarget { bitrate: None, keyframe: index == 15 });
        let picture = picture(width, height, index);
        if let Some(encoded) = encoder.encode(&picture).expect("a size") {
            frames.push((encoded.coding.is_key(), encoded.data));
        }
    }
    frames
}

/// With frames that are not shown, several partitions of VP8, and superframes of VP9.
fn by_ffmpeg(name: &str) -> Frames {
    let raw = std::env::temp_dir().join(format!("paceline-{}.i420", std::process::id()));
    let coded = raw.with_extension("ivf");
    let planes: Vec<u8> =
        (0..20).flat_map(|index| picture(64, 48, index).planes().to_vec()).collect();
    fs::write(&raw, planes).expect("a place for it");
    let status = Command::new("ffmpeg")
        .args(["-nostdin", "-loglevel", "error", "-y", "-f", "rawvideo", "-pix_fmt", "yuv420p"])
        .args(["-s", "64x48", "-r", "30", "-i"])
        .arg(&raw)
        .args(["-c:v", name, "-b:v", "60k", "-auto-alt-ref", "1", "-lag-in-frames", "16"])
        .args(["-slices", "4", "-f", "ivf"])
        .arg(&coded)
        .status()
        .expect("ffmpeg is installed");
    assert!(status.success());
    let file = fs::read(&coded).expect("ffmpeg wrote it");
    for path in [raw, coded] {
        fs::remove_file(path).expect("it is ours");
    }
    let mut rest = &file[32..];
    let mut frames = Vec::new();
    while let Some((header, after)) = rest.split_at_checked(12) {
        let len = u32::from_le_bytes([header[0], header[1], header[2], header[3]]) as usize;
        let (frame, after) = after.split_at(len);
        frames.push((frames.is_empty(), Bytes::copy_from_slice(frame)));
        rest = after;
    }
    frames
}

/// A voice with redundancy, silence, and music.
fn sound(channels: u8) -> Frames {
    let voice = AudioEncoderConfig::default().channels(channels).bitrate(Bitrate::from_kbps(24));
    let voice = voice.content(AudioContent::Voice).expected_loss(20).dtx(true);
    let music = AudioEncoderConfig::default().channels(channels).bitrate(Bitrate::from_kbps(96));
    let mut frames = Vec::new();
    for (config, count) in [(voice, 24), (music, 6)] {
        let mut encoder = audio_encoder(AudioCodec::Opus, config).expect("built in");
        for index in 0..count {
            let silent = (4..20).contains(&index);
            let samples = (0..960 * u64::from(channels)).map(|at| {
                let seconds = (index * 960 + at / u64::from(channels)) as f32 / 48_000.0;
                let pulse = (seconds * 130.0).fract() - 0.5;
                if silent { 0.0 } else { 0.3 * pulse * (seconds * 900.0).sin() }
            });
            let time = MediaTime::new(index * 960, Frequency::AUDIO);
            let (capture, samples) = (NtpTime::default(), samples.collect());
            let frame = AudioFrame { channels, time, capture, samples };
            let encoded = encoder.encode(&frame).expect("20 ms");
            frames.push((true, encoded.data));
        }
    }
    frames
}
