//! What a frame costs: nanoseconds, and allocations after a second of warm-up.

use std::time::{Duration, Instant};

use paceline_jitter::{
    AlignedSet, Aligner, AlignerConfig, Cadence, Media, Playout, Stamp, StreamSync, SyncConfig,
    Take,
};
use paceline_types::{Frequency, MediaTime, NtpTime};

const FRAMES: u64 = 100_000;

/// What is measured, its nanoseconds a frame, and its allocations.
pub fn all() -> [(&'static str, (f64, u64)); 4] {
    [
        ("StreamSync: capture and playout of a frame, 2 streams", streams(2)),
        ("StreamSync: capture and playout of a frame, 32 streams", streams(32)),
        ("StreamSync: playout of a frame, 2 streams, moving", moving()),
        ("Aligner: a frame and its share of a set, 6 streams", aligner()),
    ]
}

/// The fastest of ten runs: what else the machine does is not ours.
fn measure(mut frame: impl FnMut(u64)) -> (f64, u64) {
    (0..FRAMES).for_each(&mut frame);
    let mut fastest = Duration::MAX;
    let counted = allocation_counter::measure(|| {
        for run in 1..=10 {
            let start = Instant::now();
            (run * FRAMES..(run + 1) * FRAMES).for_each(&mut frame);
            fastest = fastest.min(start.elapsed());
        }
    });
    (fastest.as_nanos() as f64 / FRAMES as f64, counted.count_total)
}

fn kind(id: u64) -> (Media, Frequency) {
    match id % 2 {
        0 => (Media::Audio, Frequency::AUDIO),
        _ => (Media::Video, Frequency::VIDEO),
    }
}

fn streams(count: u64) -> (f64, u64) {
    let mut sync = StreamSync::new(SyncConfig::default());
    for id in 0..count {
        let (media, clock) = kind(id);
        sync.add_stream(id, id / 2, media, clock);
    }
    let start = Instant::now();
    measure(move |n| {
        let id = n % count;
        let at = Duration::from_millis(20 * (n / count));
        let (now, clock) = (start + at, kind(id).1);
        let time = MediaTime::new(0, clock) + at;
        sync.handle_capture(now, id, time, NtpTime::from_unix(at));
        let due = now + Duration::from_millis(50 + 40 * (id % 2));
        sync.handle_playout(now, id, Playout { time, due, delay: Duration::from_millis(50) });
        while sync.poll_output().is_some() {}
    })
}

fn moving() -> (f64, u64) {
    let mut sync = StreamSync::new(SyncConfig::default());
    sync.add_stream(0, 0, Media::Audio, Frequency::AUDIO);
    sync.add_stream(1, 0, Media::Video, Frequency::VIDEO);
    let start = Instant::now();
    for id in 0..2 {
        sync.handle_sender_report(start, id, NtpTime::from_unix(Duration::ZERO), 0);
    }
    measure(move |n| {
        let id = n % 2;
        let at = Duration::from_millis(20 * (n / 2));
        let now = start + at;
        // The picture's delay goes up and down, and sound after it.
        let extra = if id == 1 { n / 512 % 2 * 150 } else { 0 };
        let due = now + Duration::from_millis(50 + extra);
        let time = MediaTime::new(0, kind(id).1) + at;
        sync.handle_playout(now, id, Playout { time, due, delay: Duration::from_millis(50) });
        while sync.poll_output().is_some() {}
    })
}

fn aligner() -> (f64, u64) {
    let interval = Duration::from_millis(33);
    let mut aligner = Aligner::new(AlignerConfig::default(), Cadence::Every(interval));
    for id in 0..6_u64 {
        let take = if id % 2 == 0 { Take::All } else { Take::Newest };
        aligner.add_stream(id, id / 2, take, interval);
    }
    let (start, mut set) = (Instant::now(), AlignedSet::new());
    measure(move |n| {
        let at = Duration::from_millis(33 * (n / 6));
        let now = start + at;
        let stamp = Stamp { capture: NtpTime::from_unix(at), due: now };
        let _ = aligner.handle_frame(now, n % 6, stamp, n);
        while aligner.poll_aligned(&mut set) {}
    })
}
