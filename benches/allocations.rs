//! How often, on its way from the screen to a packet, a picture makes somebody allocate.
//!
//! `cargo bench -p paceline-benches --bench allocations`. A table and no times: allocations
//! of Rust code and their bytes for each picture, once all is warm. What OpenH264 and the X
//! server allocate for themselves is not counted. The goal is 0.
#![allow(missing_docs, reason = "a bench")]

use allocation_counter::measure;
use bytes::Bytes;
use paceline_benches::display::Display;
use paceline_benches::painter::Painter;
use paceline_benches::scene::{HEIGHT, Kind, Scene, WIDTH};
use paceline_capture::types::{Frequency, MediaTime, NtpTime, VideoFrame};
use paceline_capture::{Screen, ScreenConfig, VideoSource};
use paceline_codec::types::{Bitrate, EncodedFrame, PictureFormat, SeqNo, StreamId};
use paceline_codec::{
    Content, EncodedPicture, Scaler, VideoEncoder, VideoEncoderConfig, video_encoder,
};
use paceline_framing::rtp::{self, Codec, Packet, Packetizer, PacketizerConfig};

fn main() {
    let display = match Display::start(WIDTH, HEIGHT) {
        Ok(display) => display,
        Err(error) => {
            eprintln!("left out: {error}");
            return;
        }
    };
    println!("allocations (bytes) of a picture, the mean of {MEASURED} after {WARM}");
    println!("{:<24}{:>18}{:>18}", "", "as for a camera", "as for a screen");
    let [camera, screen] =
        [Content::Camera, Content::Screen].map(|content| Path::new(&display, content).walk());
    for ((name, camera), (_, screen)) in camera.iter().zip(&screen) {
        println!("{name:<24}{:>18}{:>18}", camera.to_string(), screen.to_string());
    }
    println!("pictures sent: {} and {}", camera[0].1.pictures, screen[0].1.pictures);
}

/// What one step allocated.
#[derive(Clone, Copy, Default)]
struct Cost {
    count: u64,
    bytes: u64,
    pictures: u64,
}

impl Cost {
    fn of<T>(&mut self, step: impl FnOnce() -> T) -> T {
        let mut done = None;
        let info = measure(|| done = Some(step()));
        self.count += info.count_total;
        self.bytes += info.bytes_total;
        self.pictures += 1;
        done.expect("it was done")
    }
}

impl std::fmt::Display for Cost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let each = |sum: u64| sum as f64 / self.pictures.max(1) as f64;
        let cell = format!("{:.2} ({:.0})", each(self.count), each(self.bytes));
        f.pad(&cell)
    }
}

/// From a screen on which a page of text scrolls to datagrams.
struct Path {
    scene: Scene,
    painter: Painter,
    screen: Screen,
    scaler: Scaler,
    encoder: Box<dyn VideoEncoder>,
    packetizer: Packetizer,
}

impl Path {
    fn new(display: &Display, content: Content) -> Self {
        let scene = Scene::new(Kind::Scroll);
        let painter = Painter::open(display.name(), &scene).expect("it takes a window");
        let config = ScreenConfig::default().display(display.name());
        let screen = Screen::open(None, config).expect("it can be captured");
        let config = VideoEncoderConfig::default().content(content);
        let config = config.bitrate(Bitrate::from_kbps(8_000));
        let encoder = video_encoder(PictureFormat::H264, config).expect("it is built in");
        let packetizer = Packetizer::new(PacketizerConfig::new(Codec::H264, 96, 1));
        Self { scene, painter, screen, scaler: Scaler::new(), encoder, packetizer }
    }

    fn walk(mut self) -> Vec<(&'static str, Cost)> {
        let names =
            ["read", "scale to 1280 x 720", "encode", "packets", "datagrams", "all but scaling"];
        let mut costs = names.map(|name| (name, Cost::default()));
        for number in 0..WARM + MEASURED {
            self.painter.paint(&self.scene, number).expect("the server is there");
            let mut each = [Cost::default(); 5];
            if self.step(number.into(), &mut each).is_some() && number >= WARM {
                let mut all = Cost::default();
                for (index, (cost, step)) in costs.iter_mut().zip(each).enumerate() {
                    cost.1.count += step.count;
                    cost.1.bytes += step.bytes;
                    cost.1.pictures += 1;
                    if index != 1 {
                        all.count += step.count;
                        all.bytes += step.bytes;
                    }
                }
                let total = &mut costs[5].1;
                total.count += all.count;
                total.bytes += all.bytes;
                total.pictures += 1;
            }
        }
        costs.to_vec()
    }

    /// `None` of a picture that is not sent.
    fn step(
        &mut self,
        number: u64,
        [read, scale, encode, packets, emit]: &mut [Cost; 5],
    ) -> Option<()> {
        let (time, capture) =
            (MediaTime::new(number * 3_000, Frequency::VIDEO), NtpTime::default());
        let frame: VideoFrame =
            read.of(|| self.screen.read(number, time, capture)).expect("it is there")?;
        scale.of(|| self.scaler.scale(&frame, (1_280, 720))).expect("a size it takes");
        let picture: EncodedPicture =
            encode.of(|| self.encoder.encode(&frame)).expect("a picture")?;
        let encoded = EncodedFrame {
            stream: StreamId::VIDEO,
            seq: SeqNo::new(number),
            time,
            capture,
            coding: picture.coding,
            data: picture.data,
        };
        let made: Vec<Packet> =
            packets.of(|| self.packetizer.packetize(&encoded)).expect("a frame");
        let sent: usize =
            emit.of(|| made.iter().map(rtp::emit).map(|bytes: Bytes| bytes.len()).sum());
        (sent > 0).then_some(())
    }
}

const WARM: u32 = 60;
const MEASURED: u32 = 120;
