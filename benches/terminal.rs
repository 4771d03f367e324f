//! What drawing a call costs: nine tiles, real pictures at 30 a second, by cells that
//! changed.
//!
//! `cargo bench -p paceline-benches --bench terminal`. The figure is of one frame; a core
//! has 33,333 µs for each, of which 3 % are 1,000 µs.
#![allow(missing_docs, reason = "a bench")]

use std::path::Path;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use paceline_capture::H264File;
use paceline_codec::{AnyVideoDecoder, VideoDecoder};
use paceline_playout::terminal::{Canvas, RenderMode, Style};
use paceline_playout::types::{
    Coding, EncodedFrame, Frequency, MediaTime, NtpTime, PixelFormat, Rect, SeqNo, StreamId,
    VideoCodec, VideoFrame,
};

/// The pictures of a bundled clip.
fn clip(name: &str) -> Vec<VideoFrame> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/media").join(name);
    let file = H264File::open(&path, 30.0).expect("a clip");
    let mut decoder = AnyVideoDecoder::default();
    let units = 0..PICTURES.min(file.len()) as u64;
    units
        .filter_map(|index| {
            let coding = Coding::Video {
                codec: VideoCodec::H264,
                key: file.is_key(index),
                discardable: false,
                width: 0,
                height: 0,
            };
            let frame = EncodedFrame {
                stream: StreamId::VIDEO,
                seq: SeqNo::new(index),
                time: MediaTime::new(index * 3_000, Frequency::VIDEO),
                capture: NtpTime::default(),
                coding,
                data: file.unit(index),
            };
            decoder.decode(&frame).expect("a picture")
        })
        .collect()
}

/// Nine tiles of 213 × 120, by the nearest pixel; each begins at another picture.
fn mix(clips: &[Vec<VideoFrame>], index: usize) -> VideoFrame {
    let tile = |n: usize| {
        let clip = &clips[n % clips.len()];
        &clip[(index + 7 * n) % clip.len()]
    };
    let plane = |width: usize,
                 height: usize,
                 of: fn(&VideoFrame) -> &[u8],
                 stride: fn(&VideoFrame) -> usize| {
        let mut plane = Vec::with_capacity(width * height);
        for y in 0..height {
            for x in 0..width {
                let source = tile(3 * (3 * y / height) + 3 * x / width);
                let from = of(source);
                let (w, rows) = (stride(source), from.len() / stride(source));
                let (u, v) = (3 * x % width * w / width, 3 * y % height * rows / height);
                plane.push(from[v * w + u]);
            }
        }
        plane
    };
    let (width, height) = (WIDTH.into(), HEIGHT.into());
    let luma = plane(width, height, |f| f.y(), |f| f.width().into());
    let blue = plane(width / 2, height / 2, |f| f.u(), |f| f.chroma_width());
    let red = plane(width / 2, height / 2, |f| f.v(), |f| f.chroma_width());
    let planes = [luma, blue, red].concat();
    assert_eq!(planes.len(), PixelFormat::I420.bytes(WIDTH, HEIGHT));
    let time = MediaTime::new(0, Frequency::VIDEO);
    VideoFrame::new(WIDTH, HEIGHT, time, NtpTime::default(), planes.into()).expect("a picture")
}

fn draw(c: &mut Criterion) {
    let clips = ["ada.h264", "ben.h264", "cem.h264"].map(clip);
    let mixes: Vec<_> = (0..PICTURES).map(|index| mix(&clips, index)).collect();
    let whole = Rect { x: 0, y: 0, width: WIDTH, height: HEIGHT };
    for (columns, rows) in [(200, 60), (80, 24)] {
        let mut group = c.benchmark_group(format!("nine tiles on {columns} x {rows}"));
        let modes = [
            RenderMode::HalfBlock,
            RenderMode::HalfBlock256,
            RenderMode::HalfBlock16,
            RenderMode::Shade,
            RenderMode::Ascii,
        ];
        for mode in modes {
            let mut canvas = Canvas::new(mode);
            let mut next = mixes.iter().cycle();
            group.bench_function(BenchmarkId::from_parameter(format!("{mode:?}")), |b| {
                b.iter(|| {
                    canvas.start(columns, rows);
                    let mut area = canvas.area();
                    area.rows -= 1;
                    canvas.picture(next.next().expect("it goes on"), whole, area);
                    canvas.text(0, rows - 1, columns, "9 peers|host Ada", Style::Plain);
                    canvas.finish().len()
                });
            });
        }
    }
}

criterion_group!(benches, draw);
criterion_main!(benches);

const PICTURES: usize = 150;
const WIDTH: u16 = 640;
const HEIGHT: u16 = 360;
