//! The process that sends as paceline does.

use std::io::Read;
use std::net::UdpSocket;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use paceline_capture::{Screen, ScreenConfig, VideoSource};
use paceline_codec::types::{
    Bitrate, EncodedFrame, Frequency, MediaTime, NtpTime, PictureFormat, SeqNo, StreamId,
};
use paceline_codec::{Content, VideoEncoderConfig, video_encoder};
use paceline_framing::rtp::{self, Codec, Packetizer, PacketizerConfig};
use serde::{Deserialize, Serialize};

use crate::Failure;
use crate::painting::since_unix;
use crate::statistics::share;

/// What such a process is told.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Job {
    pub(crate) display: String,
    pub(crate) port: u16,
    pub(crate) kbps: u64,
    /// As for a screen, and not as for a camera.
    pub(crate) screen: bool,
}

/// What it says at the end: of pictures that were sent, in ms, what 50 and 95 of 100 were
/// within. From when it began to grab.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub(crate) struct Account {
    /// Until it had the picture.
    pub(crate) grab_ms: [f64; 2],
    /// Until it was encoded, without what came before.
    pub(crate) encode_ms: [f64; 2],
    /// Until the first packet was sent.
    pub(crate) first_ms: [f64; 2],
    /// Until the last one was.
    pub(crate) last_ms: [f64; 2],
    /// Pictures that were sent, that the encoder left out, and turns without news.
    pub(crate) sent: u64,
    pub(crate) skipped: u64,
    pub(crate) unchanged: u64,
}

/// Sends until its input ends.
pub(crate) fn child(job: &str) -> Result<(), Failure> {
    let job: Job = serde_json::from_str(job)?;
    let socket = UdpSocket::bind(("127.0.0.1", 0))?;
    socket.connect(("127.0.0.1", job.port))?;
    let config = ScreenConfig::default().display(job.display.clone()).frame_rate(30.0);
    let mut screen = Screen::open(None, config.cursor(false))?;
    let content = if job.screen { Content::Screen } else { Content::Camera };
    let config = VideoEncoderConfig::default().content(content).max_frame_rate(30);
    let config = config.bitrate(Bitrate::from_kbps(job.kbps));
    let mut encoder = video_encoder(PictureFormat::H264, config)?;
    let mut packetizer = Packetizer::new(PacketizerConfig::new(Codec::H264, 96, 0x5eed));

    let (told, stopped) = channel::<()>();
    thread::Builder::new().name("input".into()).spawn(move || {
        // What it says does not matter, that it ends does.
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        drop(told);
    })?;

    let begin = Instant::now();
    let mut times = Times::default();
    let (mut sent, mut skipped, mut unchanged) = (0, 0, 0);
    for index in 0_u64.. {
        let due = begin + Duration::from_secs(1) * index as u32 / 30;
        let wait = due.saturating_duration_since(Instant::now());
        if stopped.recv_timeout(wait) != Err(RecvTimeoutError::Timeout) {
            break;
        }
        let grabs = Instant::now();
        let time = MediaTime::new(index * 3_000, Frequency::VIDEO);
        let capture = NtpTime::from_unix(since_unix()?);
        let Some(frame) = screen.read(index, time, capture)? else {
            unchanged += 1;
            continue;
        };
        let grabbed = Instant::now();
        let Some(picture) = encoder.encode(&frame)? else {
            skipped += 1;
            continue;
        };
        let encoded = Instant::now();
        let frame = EncodedFrame {
            stream: StreamId::VIDEO,
            seq: SeqNo::new(sent),
            time,
            capture,
            coding: picture.coding,
            data: picture.data,
        };
        let mut first = None;
        for packet in packetizer.packetize(&frame)? {
            socket.send(&rtp::emit(&packet))?;
            first.get_or_insert_with(Instant::now);
        }
        sent += 1;
        // The first ones warm up.
        if index > 30
            && let Some(first) = first
        {
            times.add(grabs, [grabbed, encoded, first, Instant::now()]);
        }
    }
    let [grab_ms, encode_ms, first_ms, last_ms] = times.shares();
    let account = Account { grab_ms, encode_ms, first_ms, last_ms, sent, skipped, unchanged };
    println!("{}", serde_json::to_string(&account)?);
    Ok(())
}

/// How long the parts took, in ms.
#[derive(Debug, Default)]
struct Times([Vec<f64>; 4]);

impl Times {
    fn add(&mut self, grabs: Instant, [grabbed, encoded, first, last]: [Instant; 4]) {
        let parts = [(grabs, grabbed), (grabbed, encoded), (grabs, first), (grabs, last)];
        for (times, (from, to)) in self.0.iter_mut().zip(parts) {
            times.push((to - from).as_secs_f64() * 1e3);
        }
    }

    /// An idle desktop has none, which is 0.
    fn shares(&self) -> [[f64; 2]; 4] {
        let of = |times: &Vec<f64>, at| share(times, at).unwrap_or_default();
        std::array::from_fn(|part| [of(&self.0[part], 0.5), of(&self.0[part], 0.95)])
    }
}
