//! Files that are right are read whole, and begin again; files that are not say so.

use std::fs;
use std::path::{Path, PathBuf};

use paceline_capture::types::{Frequency, MediaTime, NtpTime};
use paceline_capture::{AudioSource, CaptureError, H264File, VideoSource, WavFile, Y4mFile};

/// A file of the test's own, gone when the test is.
struct File(PathBuf);

impl File {
    fn new(name: &str, bytes: &[u8]) -> Self {
        let path =
            std::env::temp_dir().join(format!("paceline-capture-{}-{name}", std::process::id()));
        fs::write(&path, bytes).expect("the temporary directory can be written");
        Self(path)
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn media(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/media").join(name)
}

fn video_time() -> MediaTime {
    MediaTime::new(0, Frequency::VIDEO)
}

fn y4m(header: &str, frames: u8) -> Vec<u8> {
    let mut bytes = format!("YUV4MPEG2 {header}\n").into_bytes();
    for frame in 0..frames {
        bytes.extend_from_slice(b"FRAME\n");
        bytes.extend([frame; 4 * 2 * 3 / 2]);
    }
    bytes
}

#[test]
fn a_y4m_file_gives_its_pictures_and_begins_again() {
    let file = File::new("three.y4m", &y4m("W4 H2 F30000:1001 Ip A1:1 C420jpeg", 3));
    let mut source = Y4mFile::open(&file.0).expect("it is right");
    assert_eq!(source.size(), (4, 2));
    assert!((source.frame_rate() - 29.97).abs() < 0.01);
    for (index, expected) in [(0, 0), (1, 1), (2, 2), (3, 0), (7, 1)] {
        let picture = source
            .read(index, video_time(), NtpTime::default())
            .expect("it is there")
            .expect("each is new");
        assert!(picture.planes().iter().all(|&byte| byte == expected));
    }
}

#[test]
fn a_y4m_file_that_is_cut_off_gives_its_whole_pictures() {
    let mut bytes = y4m("W4 H2 F25:1", 2);
    bytes.truncate(bytes.len() - 1);
    let file = File::new("cut.y4m", &bytes);
    let mut source = Y4mFile::open(&file.0).expect("one picture is whole");
    let picture = source
        .read(1, video_time(), NtpTime::default())
        .expect("it begins again")
        .expect("each is new");
    assert_eq!(picture.planes()[0], 0);
}

#[test]
fn pictures_that_cannot_be_sent_are_refused_with_their_size() {
    for (name, header, part) in [
        ("odd.y4m", "W321 H180 F25:1", "321 × 180"),
        ("zero.y4m", "W0 H180 F25:1", "0 × 180"),
        ("huge.y4m", "W4000 H180 F25:1", "4000 × 180"),
        ("deep.y4m", "W4 H2 F25:1 C444", "4:2:0"),
        ("fast.y4m", "W4 H2 F999:1", "frame rate"),
    ] {
        let file = File::new(name, &y4m(header, 1));
        let text = Y4mFile::open(&file.0).expect_err(name).to_string();
        assert!(text.contains(part) && text.contains(name), "{text}");
    }
}

#[test]
fn the_bundled_clips_are_cut_into_their_pictures() {
    for name in ["ada", "ben", "cem"] {
        let file = H264File::open(&media(&format!("{name}.h264")), 25.0).expect("it is bundled");
        assert_eq!(file.len(), 125, "{name}");
        let keys: Vec<_> = (0..125).filter(|&index| file.is_key(index)).collect();
        assert_eq!(keys, [0, 50, 100], "{name}");
        let whole: usize = (0..125).map(|index| file.unit(index).len()).sum();
        let len = fs::metadata(media(&format!("{name}.h264"))).expect("it is there").len();
        assert_eq!(whole as u64, len, "{name}: every byte is in one unit");
        assert_eq!(file.unit(125), file.unit(0));
    }
}

fn wav(tag: u16, channels: u16, rate: u32, bits: u16, data: &[u8]) -> Vec<u8> {
    let block = channels * bits / 8;
    let mut bytes = b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0".to_vec();
    bytes.extend(tag.to_le_bytes());
    bytes.extend(channels.to_le_bytes());
    bytes.extend(rate.to_le_bytes());
    bytes.extend((rate * u32::from(block)).to_le_bytes());
    bytes.extend(block.to_le_bytes());
    bytes.extend(bits.to_le_bytes());
    bytes.extend(b"LIST\x03\0\0\0odd\0data");
    bytes.extend((data.len() as u32).to_le_bytes());
    bytes.extend(data);
    bytes
}

#[test]
fn every_kind_of_sample_comes_to_the_same_sound() {
    let kinds: [(&str, u16, u16, Vec<u8>); 4] = [
        ("16.wav", 1, 16, 0x2000_i16.to_le_bytes().to_vec()),
        ("24.wav", 1, 24, 0x20_0000_i32.to_le_bytes()[..3].to_vec()),
        ("32.wav", 1, 32, 0x2000_0000_i32.to_le_bytes().to_vec()),
        ("float.wav", 3, 32, 0.25_f32.to_le_bytes().to_vec()),
    ];
    for (name, tag, bits, sample) in kinds {
        // Two channels, one of them silent: the mean is half.
        let frame: Vec<u8> = [sample, vec![0; usize::from(bits / 8)]].concat();
        let file = File::new(name, &wav(tag, 2, 48_000, bits, &frame.repeat(1_000)));
        let mut source = WavFile::open(&file.0).expect(name);
        for _ in 0..3 {
            let time = MediaTime::new(0, Frequency::AUDIO);
            let frame = source
                .read(time, NtpTime::default())
                .expect("it begins again")
                .expect("each is new");
            assert!(frame.samples.iter().all(|sample| (sample - 0.125).abs() < 1e-6), "{name}");
        }
    }
}

#[test]
fn sounds_that_are_none_are_refused() {
    for (name, bytes, part) in [
        ("empty.wav", wav(1, 1, 48_000, 16, &[]), "no sound"),
        ("law.wav", wav(7, 1, 8_000, 8, &[1, 2, 3]), "PCM"),
        ("many.wav", wav(1, 9, 48_000, 16, &[0; 36]), "channels"),
        ("slow.wav", wav(1, 1, 4_000, 16, &[0; 36]), "kHz"),
        ("text.wav", b"not a sound at all".to_vec(), "no WAV"),
    ] {
        let file = File::new(name, &bytes);
        let text = WavFile::open(&file.0).expect_err(name).to_string();
        assert!(text.contains(part) && text.contains(name), "{text}");
    }
    let folder = std::env::temp_dir();
    let text = WavFile::open(&folder).expect_err("a folder").to_string();
    assert!(text.contains("no regular file"), "{text}");
    let missing = WavFile::open(Path::new("no-such-file.wav"));
    assert!(matches!(missing, Err(CaptureError::Unreadable { .. })));
}
