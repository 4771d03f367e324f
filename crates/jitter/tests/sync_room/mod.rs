//! A sender with a sound and a picture, and a receiver that aligns them, on a virtual
//! clock. What it measures is the truth, not what the machine says of itself.
#![allow(dead_code, reason = "each test uses a part of it")]
#![allow(clippy::disallowed_methods, reason = "the one place where a virtual clock starts")]

use std::time::{Duration, Instant};

use paceline_jitter::types::{Frequency, MediaTime, NtpTime};
use paceline_jitter::{Media, Playout, StreamSync, SyncConfig, SyncOutput};

pub(crate) const SOUND: u32 = 1;
pub(crate) const PICTURE: u32 = 2;

/// Milliseconds as the i64 nanoseconds the room counts in.
pub(crate) const fn ms(ms: i64) -> i64 {
    ms * 1_000_000
}

#[derive(Clone, Debug)]
pub(crate) struct Path {
    pub(crate) start: u32,
    /// Ticks of the media clock run fast by so many ppm.
    pub(crate) ppm: i64,
    /// From capture to arrival, in ns.
    pub(crate) transit: i64,
    pub(crate) own: i64,
    /// Between reports, 0 for none; and when the first comes, in ns.
    pub(crate) report_every: i64,
    pub(crate) first_report: i64,
    /// Sends only within these times.
    pub(crate) from: i64,
    pub(crate) until: i64,
}

impl Default for Path {
    fn default() -> Self {
        Self {
            start: 0,
            ppm: 0,
            transit: ms(20),
            own: ms(50),
            report_every: ms(1_000),
            first_report: ms(300),
            from: 0,
            until: i64::MAX,
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Room {
    pub(crate) sound: Path,
    pub(crate) picture: Path,
    /// Standard deviation of a report, in ns.
    pub(crate) noise: i64,
    /// Reports that are lost, in percent.
    pub(crate) lose: u64,
    pub(crate) seed: u64,
    /// At a time, in ns, the wallclock jumps by so many ns.
    pub(crate) steps: Vec<(i64, i64)>,
    /// Capture times in frames instead of reports, off by at most so many ns.
    pub(crate) captures: Option<i64>,
    pub(crate) config: SyncConfig,
    pub(crate) drift_known: bool,
}

impl Default for Room {
    fn default() -> Self {
        Self {
            sound: Path::default(),
            picture: Path::default(),
            noise: 0,
            lose: 0,
            seed: 1,
            steps: Vec::new(),
            captures: None,
            config: SyncConfig::default(),
            drift_known: false,
        }
    }
}

/// At a time: by how much sound comes later than the picture it belongs to, and the
/// delay that each is played with, all in ns.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct At {
    pub(crate) time: i64,
    pub(crate) skew: i64,
    pub(crate) sound: i64,
    pub(crate) picture: i64,
}

pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Nearly normal: the sum of twelve uniform numbers.
    pub(crate) fn normal(&mut self, sigma: i64) -> i64 {
        let sum: i64 = (0..12).map(|_| (self.next() >> 44) as i64).sum();
        (i128::from(sum - 6 * (1 << 20)) * i128::from(sigma) / (1 << 20)) as i64
    }

    pub(crate) fn within(&mut self, most: i64) -> i64 {
        if most == 0 { 0 } else { (self.next() % (2 * most as u64 + 1)) as i64 - most }
    }
}

pub(crate) fn run(room: &Room, seconds: i64) -> (Vec<At>, StreamSync<u32, u32>) {
    let origin = Instant::now() + Duration::from_secs(1_000);
    let at = |ns: i64| origin + Duration::from_nanos(ns as u64);
    let epoch = NtpTime::from_unix(Duration::from_secs(1_790_000_000));
    let wall = |ns: i64| {
        let step: i64 = room.steps.iter().filter(|step| step.0 <= ns).map(|step| step.1).sum();
        epoch + Duration::from_nanos((ns + step + 10_000_000_000) as u64)
    };
    let ticks = |path: &Path, hz: i64, ns: i64| {
        let media = i128::from(ns) * i128::from(1_000_000 + path.ppm) / 1_000_000;
        path.start.wrapping_add((media * i128::from(hz) / 1_000_000_000) as u32)
    };
    let mut sync = StreamSync::new(room.config.clone());
    let streams = [
        (SOUND, &room.sound, Media::Audio, Frequency::AUDIO, 20),
        (PICTURE, &room.picture, Media::Video, Frequency::VIDEO, 33),
    ];
    for (id, path, media, clock, _) in streams {
        assert!(sync.add_stream(id, 7, media, clock));
        if room.drift_known {
            sync.set_drift(id, path.ppm as f64, 1.0);
        }
    }
    let mut dice = Dice(room.seed);
    let mut told = [0, 0];
    let mut track = Vec::new();
    for step in 0..seconds * 1_000 {
        let now = ms(step);
        for (id, path, _, clock, every) in streams {
            let hz = i64::from(clock.hz());
            let due = path.report_every != 0
                && now >= path.first_report
                && (now - path.first_report) % path.report_every == 0;
            if due && room.captures.is_none() {
                let noise = dice.normal(room.noise);
                if dice.next() % 100 >= room.lose {
                    // Reports are as fast as anything: what they say was so 20 ms ago.
                    let said = (now - ms(20)).max(0);
                    let rtp = ticks(path, hz, said);
                    sync.handle_sender_report(at(now), id, wall(said + noise), rtp);
                }
            }
            let captured = now - path.transit;
            if captured >= path.from
                && now < path.until
                && captured % ms(every) == 0
                && captured >= 0
            {
                let rtp = u64::from(ticks(path, hz, captured));
                let time = MediaTime::new(rtp, clock);
                if let Some(noise) = room.captures {
                    let noise = dice.within(noise);
                    sync.handle_capture(at(now), id, time, wall(captured + noise));
                }
                let delay = Duration::from_nanos(path.own as u64);
                let playout = Playout { time, due: at(now + path.own), delay };
                sync.handle_playout(at(now), id, playout);
            }
        }
        if sync.poll_timeout().is_some_and(|due| due <= at(now)) {
            sync.handle_timeout(at(now));
        }
        while let Some(SyncOutput::MinPlayoutDelay { stream, delay }) = sync.poll_output() {
            told[stream as usize - 1] = delay.as_nanos() as i64;
        }
        let sound = room.sound.own.max(told[0]);
        let picture = room.picture.own.max(told[1]);
        let skew = room.sound.transit + sound - room.picture.transit - picture;
        track.push(At { time: now, skew, sound, picture });
    }
    (track, sync)
}

/// The largest |skew| of what comes after `from`, in ns.
pub(crate) fn worst_after(track: &[At], from: i64) -> i64 {
    track.iter().filter(|at| at.time >= from).map(|at| at.skew.abs()).max().expect("some time")
}
