//! Marks that are burned are read, through what a call does to them.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use paceline_capture::clapper::{self, Mark, ToneReader, ToneWriter};
use paceline_capture::types::{AudioFrame, Frequency, MediaTime, NtpTime, Rect, VideoFrame};
use paceline_capture::{AudioSource, Silence, TestPattern, VideoSource, WavFile};

/// A small generator for noise.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.0 >> 40) as f32 / (1 << 23) as f32 - 1.0
    }
}

fn at(ms: u64) -> NtpTime {
    NtpTime::from_unix(Duration::from_millis(1_700_000_000_000 + ms))
}

/// Nearest-neighbour scaling into a tile of a larger picture.
fn paste(source: &VideoFrame, width: u16, height: u16, tile: Rect) -> VideoFrame {
    let mut planes = vec![60; usize::from(width) * usize::from(height) * 3 / 2];
    for y in 0..usize::from(tile.height) {
        for x in 0..usize::from(tile.width) {
            let sx = x * usize::from(source.width()) / usize::from(tile.width);
            let sy = y * usize::from(source.height()) / usize::from(tile.height);
            let to = (y + usize::from(tile.y)) * usize::from(width) + x + usize::from(tile.x);
            planes[to] = source.y()[sy * usize::from(source.width()) + sx];
        }
    }
    VideoFrame::new(width, height, source.time(), source.capture(), Bytes::from(planes))
        .expect("sized")
}

#[test]
fn a_picture_mark_is_read_from_a_tile_of_any_usual_size_and_place() {
    let mut pattern = TestPattern::new(480, 270, 25.0).expect("even");
    for (index, (width, height)) in
        [(480, 270), (320, 180), (160, 90), (212, 120), (106, 60), (80, 44)].into_iter().enumerate()
    {
        let mark = Mark { frame: 1_000 + index as u16, capture: at(index as u64 * 37) };
        let time = MediaTime::new(0, Frequency::VIDEO);
        let picture = pattern
            .read(index as u64, time, mark.capture)
            .expect("it never ends")
            .expect("each is new");
        let tile = Rect { x: 14, y: 22, width, height };
        let mixed = paste(&clapper::burn(picture, mark), 640, 360, tile);
        let read = clapper::read(&mixed, tile).unwrap_or_else(|| panic!("{width} × {height}"));
        assert_eq!(read.frame, mark.frame);
        let now = mark.capture + Duration::from_millis(123);
        let latency = clapper::latency(now, read.capture_ms, clapper::PICTURE_MODULUS);
        // Both ends round to whole milliseconds.
        assert!(latency.abs_diff(Duration::from_millis(123)) <= Duration::from_millis(1));
    }
}

#[test]
fn noise_and_tiles_outside_the_picture_carry_no_mark() {
    let mut noise = Noise(7);
    let full = Rect { x: 0, y: 0, width: 320, height: 180 };
    for _ in 0..300 {
        // Blocks as large as cells: the likeliest noise to be taken for a mark.
        let cells: Vec<bool> = (0..20 * 18).map(|_| noise.next() > 0.0).collect();
        let mut planes = vec![128; 320 * 180 * 3 / 2];
        for (n, luma) in planes[..320 * 180].iter_mut().enumerate() {
            *luma = if cells[n / 320 / 10 * 20 + n % 320 / 16] { 235 } else { 16 };
        }
        let picture =
            VideoFrame::new(320, 180, MediaTime::new(0, Frequency::VIDEO), at(0), planes.into());
        let picture = picture.expect("sized");
        assert_eq!(clapper::read(&picture, full), None);
        assert_eq!(clapper::read(&picture, Rect { x: 1, ..full }), None);
        assert_eq!(clapper::read(&picture, Rect { y: u16::MAX, ..full }), None);
        assert_eq!(clapper::read(&picture, Rect { width: 10, ..full }), None);
    }
}

/// Sound of several marked sources with noise, played `delay` after its capture.
fn marks(senders: &[u32], noise_level: f32, delay_us: u64, lost: &[u64]) -> Vec<(u32, u32, f64)> {
    let mut noise = Noise(3);
    let mut writers: Vec<_> = senders.iter().map(|&sender| ToneWriter::new(sender)).collect();
    let mut reader = ToneReader::new();
    let mut found = Vec::new();
    for tick in 0..500 {
        let capture = at(tick * 20 + 7);
        let mut mix = [0.0; 960];
        for writer in &mut writers {
            let time = MediaTime::new(tick * 960, Frequency::AUDIO);
            let mut frame: AudioFrame =
                Silence.read(time, capture).expect("it never ends").expect("each is new");
            writer.burn(&mut frame);
            for (sum, sample) in mix.iter_mut().zip(frame.samples.iter()) {
                *sum += sample;
            }
        }
        for sample in &mut mix {
            *sample += noise_level * noise.next();
        }
        if lost.contains(&tick) {
            mix = [0.0; 960];
        }
        reader.handle_audio(capture + Duration::from_micros(delay_us), &mix);
        while let Some(mark) = reader.poll_output() {
            let age = mark.played.millis() as f64 % 65_536.0 - f64::from(mark.capture_ms);
            found.push((mark.slot, mark.capture_ms, (age + 65_536.0) % 65_536.0));
        }
    }
    found
}

#[test]
fn every_burst_of_three_sources_in_noise_is_found_to_two_milliseconds() {
    let found = marks(&[1, 2, 3], 0.1, 83_000, &[]);
    for sender in [1, 2, 3] {
        let of = found.iter().filter(|(slot, ..)| *slot == sender).count();
        assert!((8..=10).contains(&of), "sender {sender}: {of} of 9 bursts");
    }
    for (slot, capture_ms, age) in found {
        assert!((age - 83.0).abs() <= 2.0, "slot {slot} at {capture_ms}: {age}");
    }
}

#[test]
fn ten_senders_are_told_apart_and_a_lost_frame_costs_one_mark() {
    let senders: Vec<u32> = (1..=10).collect();
    let found = marks(&senders, 0.02, 40_000, &[]);
    let slots: std::collections::BTreeSet<u32> = found.iter().map(|&(slot, ..)| slot).collect();
    assert_eq!(slots.len(), 10);
    let fewer = marks(&senders, 0.02, 40_000, &[200]);
    assert!(fewer.len() < found.len() && fewer.len() + 3 > found.len());
    assert!(fewer.iter().all(|mark| (mark.2 - 40.0).abs() <= 2.0));
}

#[test]
fn noise_alone_is_no_burst() {
    assert_eq!(marks(&[], 0.8, 0, &[]), []);
}

#[test]
fn speech_of_three_is_never_taken_for_a_mark() {
    let media = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/media");
    let mut people: Vec<_> = (1..)
        .zip(["ada", "ben", "cem"])
        .map(|(sender, name)| {
            let voice = WavFile::open(&media.join(format!("{name}.wav"))).expect("it is bundled");
            (voice, ToneWriter::new(sender))
        })
        .collect();
    let mut reader = ToneReader::new();
    let mut found = 0;
    for tick in 0..3_000 {
        let mut mix = [0.0; 960];
        for (voice, writer) in &mut people {
            let time = MediaTime::new(tick * 960, Frequency::AUDIO);
            let mut frame =
                voice.read(time, at(tick * 20)).expect("it never ends").expect("each is new");
            writer.burn(&mut frame);
            for (sum, sample) in mix.iter_mut().zip(frame.samples.iter()) {
                *sum += sample;
            }
        }
        reader.handle_audio(at(tick * 20), &mix);
        while let Some(mark) = reader.poll_output() {
            // 10 ms more than the true age, which is 0 within 2 ms.
            let later = mark.played + Duration::from_millis(10);
            let age = clapper::latency(later, mark.capture_ms, clapper::SOUND_MODULUS);
            assert!(age.abs_diff(Duration::from_millis(10)).as_millis() <= 3, "{mark:?}: {age:?}");
            assert!((1..=3).contains(&mark.slot), "{mark:?}");
            found += 1;
        }
    }
    assert!(found >= 150, "{found} of 163 bursts");
}
