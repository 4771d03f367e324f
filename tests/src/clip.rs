//! What is sent: a short clip, encoded once.

use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use paceline_framing::rtp::Codec;
use paceline_framing::types::{
    AudioCodec, Coding, EncodedFrame, MediaTime, NtpTime, SeqNo, StreamId, VideoCodec,
};

use crate::container::{access_units, ivf_frames};
use crate::{Peer, TempDir, nal_units, opus_packets};

/// Two seconds of a moving picture, or of a tone, in a file and as frames.
#[derive(Debug)]
pub struct Clip {
    /// What it is encoded with.
    pub codec: Codec,
    /// Annex B with delimiters, IVF or Ogg.
    pub file: PathBuf,
    /// What is in the file.
    pub frames: Vec<EncodedFrame>,
}

impl Clip {
    /// Has ffmpeg encode one.
    ///
    /// Pictures come 25 times a second, with a key frame each second. Slices of H.264 are
    /// of 3,000 bytes at most: key frames have several that do not fit a packet, and
    /// later frames have one that does.
    ///
    /// # Panics
    ///
    /// If ffmpeg cannot.
    #[must_use]
    pub fn encode(codec: Codec, dir: &TempDir) -> Self {
        let picture = format!("-f lavfi -i testsrc2=size={WIDTH}x{HEIGHT}:rate=25 -t 2 -g 25");
        let (name, how) = match codec {
            Codec::H264 => (
                "clip.h264",
                "-c:v libx264 -preset veryfast -bf 0 -x264-params \
                aud=1:scenecut=0:slice-max-size=3000 -pix_fmt yuv420p",
            ),
            Codec::Vp8 => ("clip8.ivf", "-c:v libvpx -deadline realtime -cpu-used 8"),
            Codec::Vp9 => (
                "clip9.ivf",
                "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 \
                -pix_fmt yuv420p",
            ),
            _ => ("clip.ogg", "-c:a libopus"),
        };
        let source = match codec {
            Codec::Opus => "-f lavfi -i sine=duration=2 -ac 2",
            _ => &picture,
        };
        let file = dir.file(name);
        let _ = Peer::ffmpeg(&format!("{source} {how} {}", file.display())).finish();
        let bytes = Bytes::from(fs::read(&file).expect("ffmpeg wrote it"));
        let (units, step) = match codec {
            Codec::H264 => (access_units(&bytes), 3_600),
            Codec::Opus => (opus_packets(bytes), 960),
            _ => (ivf_frames(bytes), 3_600),
        };
        let frame = |(seq, data): (u64, Bytes)| EncodedFrame {
            stream: StreamId::VIDEO,
            seq: SeqNo::new(seq),
            time: MediaTime::new(seq * step, codec.clock()),
            capture: NtpTime::default(),
            coding: coding(codec, &data),
            data,
        };
        let frames: Vec<_> = (0..).zip(units).map(frame).collect();
        assert!(frames.len() >= 50, "{} frames", frames.len());
        Self { codec, file, frames }
    }

    /// How many of its frames a decoder can start with.
    #[must_use]
    pub fn keys(&self) -> usize {
        self.frames.iter().filter(|frame| frame.coding.is_key()).count()
    }
}

fn coding(codec: Codec, data: &Bytes) -> Coding {
    let (codec, key) = match codec {
        Codec::Opus => return Coding::Audio { codec: AudioCodec::Opus, channels: 2 },
        // H.264 table 7-1: a slice of an IDR picture.
        Codec::H264 => (VideoCodec::H264, nal_units(data).iter().any(|unit| unit[0] & 0x1f == 5)),
        // RFC 6386 §9.1: the lowest bit is clear.
        Codec::Vp8 => (VideoCodec::Vp8, data[0] & 1 == 0),
        // VP9 bitstream §6.2, profile 0: neither show_existing_frame nor frame_type.
        _ => (VideoCodec::Vp9, data[0] & 0x0c == 0),
    };
    Coding::Video { codec, key, discardable: false, width: WIDTH, height: HEIGHT }
}

/// What ffmpeg decodes a file to: the MD5 of each picture.
///
/// # Panics
///
/// If it does not decode.
#[must_use]
pub fn hashes(file: &Path) -> Vec<String> {
    let decode = format!("-i {} -fps_mode passthrough -f framemd5 -", file.display());
    hashes_in(&Peer::ffmpeg(&decode).finish())
}

/// The hashes in ffmpeg's framemd5: stream, two times, duration, size, hash, and what is
/// to be known beside the data.
#[must_use]
pub fn hashes_in(table: &[u8]) -> Vec<String> {
    let table = String::from_utf8_lossy(table);
    let lines = table.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| Some(line.split(',').nth(5)?.trim().to_owned())).collect()
}

/// Ours: small, so that a test is short.
pub(crate) const WIDTH: u16 = 320;
pub(crate) const HEIGHT: u16 = 180;
