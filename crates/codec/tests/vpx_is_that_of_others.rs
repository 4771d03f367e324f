//! That others decode what is encoded here, and that what others encode is decoded here.
#![cfg(feature = "vpx")]

mod material;

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use material::{frame, picture, psnr};
use paceline_codec::types::{Bitrate, Coding, PictureFormat, VideoCodec, VideoFrame};
use paceline_codec::{AnyVideoDecoder, VideoDecoder, VideoEncoderConfig, video_encoder};

const BOTH: [(PictureFormat, VideoCodec, &[u8; 4], &str); 2] = [
    (PictureFormat::Vp8, VideoCodec::Vp8, b"VP80", "libvpx"),
    (PictureFormat::Vp9, VideoCodec::Vp9, b"VP90", "libvpx-vp9"),
];

const SIZE: (u16, u16) = (320, 180);
const COUNT: u64 = 45;

/// Whether `ffmpeg` is there; where it must be and is not, that is a failure.
fn has_ffmpeg() -> bool {
    let found = Command::new("ffmpeg").arg("-version").stdout(Stdio::null()).status();
    let found = found.is_ok_and(|status| status.success());
    let required = std::env::var_os("PACELINE_INTEROP").is_some_and(|value| value == "required");
    assert!(found || !required, "ffmpeg is not installed, and PACELINE_INTEROP=required");
    if !found {
        println!("skipped: ffmpeg is not installed");
    }
    found
}

/// A file of this test's alone, gone with it.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        Self(std::env::temp_dir().join(format!("paceline-{}-{name}", std::process::id())))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn ffmpeg(arguments: &[&str]) {
    let run = Command::new("ffmpeg")
        .args(["-nostdin", "-loglevel", "error", "-xerror", "-y"])
        .args(arguments)
        .output()
        .expect("ffmpeg is installed");
    let said = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success() && said.is_empty(), "{arguments:?}: {said}");
}

fn path(scratch: &Scratch) -> &str {
    scratch.0.to_str().expect("a temporary folder of plain letters")
}

/// The pictures of a file of raw I420.
fn raw_pictures(scratch: &Scratch) -> Vec<VideoFrame> {
    let bytes = fs::read(&scratch.0).expect("ffmpeg wrote it");
    let of_one = usize::from(SIZE.0) * usize::from(SIZE.1) * 3 / 2;
    assert_eq!(bytes.len() % of_one, 0);
    (0..)
        .zip(bytes.chunks_exact(of_one))
        .map(|(index, planes)| {
            let (time, capture) = (material::time(index), material::capture(index));
            VideoFrame::new(SIZE.0, SIZE.1, time, capture, planes.to_vec().into()).expect("planes")
        })
        .collect()
}

/// A file as libvpx's own tools write it: a header of 32 bytes, and 12 before each frame.
fn ivf(fourcc: &[u8; 4], frames: &[(u64, Vec<u8>)]) -> Vec<u8> {
    let mut file = b"DKIF\0\0\x20\0".to_vec();
    file.extend_from_slice(fourcc);
    file.extend_from_slice(&SIZE.0.to_le_bytes());
    file.extend_from_slice(&SIZE.1.to_le_bytes());
    for number in [30, 1, frames.len() as u32, 0] {
        file.extend_from_slice(&number.to_le_bytes());
    }
    for (time, data) in frames {
        file.extend_from_slice(&(data.len() as u32).to_le_bytes());
        file.extend_from_slice(&time.to_le_bytes());
        file.extend_from_slice(data);
    }
    file
}

/// The frames of such a file.
fn frames_of(ivf: &[u8]) -> Vec<Vec<u8>> {
    let mut rest = &ivf[32..];
    let mut frames = Vec::new();
    while let Some((header, after)) = rest.split_at_checked(12) {
        let len = u32::from_le_bytes([header[0], header[1], header[2], header[3]]) as usize;
        let (frame, after) = after.split_at(len);
        frames.push(frame.to_vec());
        rest = after;
    }
    frames
}

#[test]
fn ffmpeg_decodes_every_frame_that_is_encoded_here() {
    if !has_ffmpeg() {
        return;
    }
    for (format, _, fourcc, _) in BOTH {
        let config = VideoEncoderConfig::default().bitrate(Bitrate::from_kbps(2_000));
        let mut encoder = video_encoder(format, config).expect("the feature is on");
        let frames: Vec<_> = (0..COUNT)
            .filter_map(|index| {
                let sent = picture(SIZE.0, SIZE.1, index);
                Some((index, encoder.encode(&sent).expect("a size")?.data.to_vec()))
            })
            .collect();
        assert!(frames.len() > 40, "{} of {COUNT} were not left out", frames.len());
        let (coded, raw) =
            (Scratch::new(&format!("{format:?}.ivf")), Scratch::new(&format!("{format:?}.i420")));
        fs::write(&coded.0, ivf(fourcc, &frames)).expect("a place for the file");
        let arguments = ["-i", path(&coded), "-fps_mode", "passthrough", "-f", "rawvideo"];
        ffmpeg(&[&arguments[..], &["-pix_fmt", "yuv420p", path(&raw)]].concat());
        let shown = raw_pictures(&raw);
        assert_eq!(shown.len(), frames.len(), "{format:?}");
        for ((index, _), shown) in frames.iter().zip(shown) {
            let psnr = psnr(&picture(SIZE.0, SIZE.1, *index), &shown);
            assert!(psnr > 30.0, "{format:?}, frame {index}: {psnr:.1} dB");
        }
    }
}

#[test]
fn what_ffmpeg_encodes_is_decoded_here_to_the_last_frame() {
    if !has_ffmpeg() {
        return;
    }
    for (format, codec, _, name) in BOTH {
        let (raw, coded) =
            (Scratch::new(&format!("{name}.i420")), Scratch::new(&format!("{name}.ivf")));
        let sent: Vec<_> = (0..COUNT).map(|index| picture(SIZE.0, SIZE.1, index)).collect();
        let planes: Vec<u8> = sent.iter().flat_map(|sent| sent.planes().to_vec()).collect();
        fs::write(&raw.0, planes).expect("a place for the file");
        let size = format!("{}x{}", SIZE.0, SIZE.1);
        // Two passes' worth of looking ahead: frames that are not shown, in superframes of VP9.
        let before = ["-f", "rawvideo", "-pix_fmt", "yuv420p", "-s", &size, "-r", "30", "-i"];
        let after = ["-c:v", name, "-b:v", "1M", "-auto-alt-ref", "1", "-lag-in-frames", "16"];
        let as_ivf = ["-cpu-used", "4", "-f", "ivf", path(&coded)];
        ffmpeg(&[&before[..], &[path(&raw)], &after, &as_ivf].concat());

        let mut decoder = AnyVideoDecoder::new();
        let mut shown = 0;
        for (seq, data) in (0..).zip(frames_of(&fs::read(&coded.0).expect("ffmpeg wrote it"))) {
            let (key, discardable, width, height) = (seq == 0, false, SIZE.0, SIZE.1);
            let coding = Coding::Video { codec, key, discardable, width, height };
            if let Some(got) = decoder.decode(&frame(coding, data, seq)).expect("a frame") {
                let psnr = psnr(&sent[shown], &got);
                assert!(psnr > 30.0, "{format:?}, picture {shown}: {psnr:.1} dB");
                shown += 1;
            }
        }
        assert_eq!(shown as u64, COUNT, "{format:?}");
    }
}
