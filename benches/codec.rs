//! What a picture costs on its way from a screen to the network: other colours, another size,
//! H.264; and what it costs to see it.
//!
//! `cargo bench -p paceline-benches --bench codec`. The figures are processor time, of one
//! picture; a core has 33.3 ms for each of 30 a second, of which 25 % are 8.3 ms and 55 % are
//! 18.3. *Desktop* is a page of text that scrolls and its surroundings, *typing* a terminal in
//! which somebody types, *camera* movement and noise everywhere.
#![allow(missing_docs, reason = "a bench")]

mod measure;

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use paceline_benches::scene::{self, Kind, Picture, Scene};
use paceline_codec::types::{
    Bitrate, EncodedFrame, Frequency, MediaTime, NtpTime, PictureFormat, Rect, SeqNo, StreamId,
    VideoFrame,
};
use paceline_codec::{
    AnyVideoDecoder, Content, Scaler, VideoDecoder, VideoEncoder, VideoEncoderConfig, video_encoder,
};

use crate::measure::ProcessorTime;

/// Colours that a screen has to those that an encoder takes.
fn convert(c: &mut Criterion<ProcessorTime>) {
    let mut group = c.benchmark_group("BGRA to I420");
    for (width, height) in SIZES {
        let bgra = scene::film(0, (width, height)).bgra();
        let len = scene::to_i420_len(width.into(), height.into());
        let mut planes = vec![0; len];
        group.bench_function(BenchmarkId::from_parameter(format!("{height}p")), |b| {
            b.iter(|| scene::to_i420(black_box(&bgra), width, height, &mut planes));
        });
    }
}

fn scale(c: &mut Criterion<ProcessorTime>) {
    let picture = scene::film(0, (1_920, 1_080)).frame();
    let mut group = c.benchmark_group("1080p to another size");
    for size in [(1_280, 720), (960, 540), (640, 360)] {
        let mut scaler = Scaler::new();
        group.bench_function(BenchmarkId::from_parameter(format!("{}p", size.1)), |b| {
            b.iter(|| scaler.scale(black_box(&picture), size).expect("a size it takes"));
        });
    }
}

fn encode(c: &mut Criterion<ProcessorTime>) {
    for size in SIZES {
        let mut group = c.benchmark_group(format!("encode {}p", size.1));
        for (what, pictures) in moving(size) {
            for content in [Content::Camera, Content::Screen] {
                let mut encoder = encoder(size, content);
                let (mut number, mut skipped) = (0, 0);
                // The first picture is of another kind: it is encoded beforehand.
                let _ = encoder.encode(&at(&pictures[0], 0)).expect("a picture");
                group.bench_function(format!("{what} as {content:?}"), |b| {
                    b.iter(|| {
                        number += 1;
                        let picture = &pictures[number as usize % pictures.len()];
                        let encoded = encoder.encode(&at(picture, number)).expect("a picture");
                        skipped += u64::from(encoded.is_none());
                        encoded
                    });
                });
                // Those take next to no time, and are in the mean.
                if skipped > 0 {
                    println!("{skipped} of {number} pictures were skipped to keep the bitrate");
                }
            }
        }
    }
}

fn decode(c: &mut Criterion<ProcessorTime>) {
    for size in SIZES {
        let mut group = c.benchmark_group(format!("decode {}p", size.1));
        for (what, pictures) in moving(size) {
            let mut encoder = encoder(size, Content::Camera);
            let pictures = (0..).zip(&pictures).filter_map(|(number, picture)| {
                let encoded = encoder.encode(&at(picture, number)).expect("a picture")?;
                Some(EncodedFrame {
                    stream: StreamId::VIDEO,
                    seq: SeqNo::new(number),
                    time: MediaTime::new(number * 3_000, Frequency::VIDEO),
                    capture: NtpTime::default(),
                    coding: encoded.coding,
                    data: encoded.data,
                })
            });
            let frames: Vec<_> = pictures.collect();
            let mut decoder = AnyVideoDecoder::new();
            // It begins again with the key frame.
            let mut next = frames.iter().cycle();
            group.bench_function(what, |b| {
                b.iter(|| decoder.decode(next.next().expect("it goes on")).expect("it is whole"));
            });
        }
    }
}

/// What one second or so of a source looks like at a size.
fn moving(size: (u16, u16)) -> [(&'static str, Vec<VideoFrame>); 3] {
    let desktop = |kind, x, y| -> Vec<VideoFrame> {
        let scene = Scene::new(kind);
        let (width, height) = size;
        let area = Rect { x, y, width, height };
        let part = |picture: Picture| {
            if size == (1_920, 1_080) { picture } else { picture.part(area) }
        };
        // Forth and back, so that the last picture leads to the first.
        let numbers = (0..PICTURES).chain((1..PICTURES - 1).rev());
        numbers.map(|number| part(scene.picture(number)).frame()).collect()
    };
    let corner = |x, y| if size == (1_920, 1_080) { (0, 0) } else { (x, y) };
    let (text, terminal) = (corner(320, 160), corner(160, 300));
    [
        ("desktop", desktop(Kind::Scroll, text.0, text.1)),
        ("typing", desktop(Kind::Typing, terminal.0, terminal.1)),
        ("camera", (0..24).map(|number| scene::film(number, size).frame()).collect()),
    ]
}

fn encoder((_, height): (u16, u16), content: Content) -> Box<dyn VideoEncoder> {
    let kbps = match height {
        360 => 600,
        720 => 2_000,
        _ => 4_000,
    };
    let config = VideoEncoderConfig::default().bitrate(Bitrate::from_kbps(kbps)).content(content);
    video_encoder(PictureFormat::H264, config).expect("it is built in")
}

/// A picture at its time.
fn at(picture: &VideoFrame, number: u64) -> VideoFrame {
    let time = MediaTime::new(number * 3_000, Frequency::VIDEO);
    let planes = picture.planes().clone();
    VideoFrame::new(picture.width(), picture.height(), time, NtpTime::default(), planes)
        .expect("it has the size it had")
}

criterion_group! {
    name = benches;
    config = Criterion::default().with_measurement(ProcessorTime).sample_size(20);
    targets = convert, scale, encode, decode
}
criterion_main!(benches);

const SIZES: [(u16, u16); 3] = [(640, 360), (1_280, 720), (1_920, 1_080)];
const PICTURES: u32 = 12;
