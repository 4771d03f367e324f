//! What is compared: each is told the same, and asks for delays.

use std::time::{Duration, Instant};

use paceline_jitter::{Media, Playout, StreamSync, SyncConfig};
use paceline_types::{Frequency, MediaTime, NtpTime};

/// Sound, then picture.
pub const HZ: [i64; 2] = [48_000, 90_000];

/// Lip sync of some kind. Times are nanoseconds.
pub trait System {
    /// A sender report came: at timestamp `rtp` the sender's wallclock showed `ntp`.
    fn report(&mut self, now: i64, stream: usize, ntp: i64, rtp: u32);

    /// A frame came, and was captured at `capture` on the sender's wallclock, if frames
    /// say so; its jitter buffer alone would play it `own` later.
    fn frame(&mut self, now: i64, stream: usize, rtp: u32, capture: Option<i64>, own: i64);

    /// Nobody speaks.
    fn quiet(&mut self, _now: i64, _quiet: bool) {}

    /// A jitter buffer found what its media clock is off by.
    fn drift(&mut self, _stream: usize, _ppm: f64, _sigma: f64) {}

    /// A millisecond has passed: the delays that are played now.
    fn delays(&mut self, now: i64, own: [i64; 2]) -> [i64; 2];
}

/// `StreamSync`.
pub struct Ours {
    sync: StreamSync<usize, u32>,
    origin: Instant,
}

impl Ours {
    pub fn new(config: SyncConfig) -> Self {
        let mut sync = StreamSync::new(config);
        sync.add_stream(0, 0, Media::Audio, Frequency::AUDIO);
        sync.add_stream(1, 0, Media::Video, Frequency::VIDEO);
        Self { sync, origin: Instant::now() }
    }

    fn at(&self, now: i64) -> Instant {
        self.origin + Duration::from_nanos(now as u64)
    }
}

impl System for Ours {
    fn report(&mut self, now: i64, stream: usize, ntp: i64, rtp: u32) {
        self.sync.handle_sender_report(self.at(now), stream, wallclock(ntp), rtp);
    }

    fn frame(&mut self, now: i64, stream: usize, rtp: u32, capture: Option<i64>, own: i64) {
        let time = MediaTime::new(rtp.into(), [Frequency::AUDIO, Frequency::VIDEO][stream]);
        if let Some(capture) = capture {
            self.sync.handle_capture(self.at(now), stream, time, wallclock(capture));
        }
        let delay = Duration::from_nanos(own as u64);
        let playout = Playout { time, due: self.at(now + own), delay };
        self.sync.handle_playout(self.at(now), stream, playout);
    }

    fn quiet(&mut self, now: i64, quiet: bool) {
        self.sync.set_quiet(self.at(now), 0, quiet);
    }

    fn drift(&mut self, stream: usize, ppm: f64, sigma: f64) {
        self.sync.set_drift(stream, ppm, sigma);
    }

    fn delays(&mut self, now: i64, own: [i64; 2]) -> [i64; 2] {
        let now = self.at(now);
        if self.sync.poll_timeout().is_some_and(|due| due <= now) {
            self.sync.handle_timeout(now);
        }
        // Steered by the events alone, as a caller would; the values are those of the last.
        while self.sync.poll_output().is_some() {}
        [0, 1].map(|id| own[id].max(self.sync.min_playout_delay(id).as_nanos() as i64))
    }
}

fn wallclock(nanos: i64) -> NtpTime {
    NtpTime::from_unix(Duration::from_nanos(1_790_000_000_000_000_000 + nanos as u64))
}

/// Media time to wallclock as libwebrtc has it: a straight line by least squares through
/// up to 20 reports; two are needed. Readings that are far off restart it after three.
#[derive(Default)]
struct Regression {
    points: Vec<(f64, f64)>,
    invalid: u32,
    line: Option<(f64, f64)>,
}

impl Regression {
    fn push(&mut self, ntp: i64, rtp: u32) {
        let point = (f64::from(rtp), ntp as f64);
        if let (Some(&last), true) = (self.points.last(), self.points.len() > 1) {
            // Backwards, or over an hour ahead, is not believed at first.
            let wrong = point.1 <= last.1 || point.0 < last.0 || point.1 - last.1 > 3.6e12;
            if wrong {
                self.invalid += 1;
                if self.invalid < 3 {
                    return;
                }
                self.points.clear();
            }
        }
        self.invalid = 0;
        self.points.push(point);
        if self.points.len() > 20 {
            self.points.remove(0);
        }
        let n = self.points.len() as f64;
        if n < 2.0 {
            self.line = None;
            return;
        }
        let x = self.points.iter().map(|point| point.0).sum::<f64>() / n;
        let y = self.points.iter().map(|point| point.1).sum::<f64>() / n;
        let xy: f64 = self.points.iter().map(|point| (point.0 - x) * (point.1 - y)).sum();
        let xx: f64 = self.points.iter().map(|point| (point.0 - x).powi(2)).sum();
        self.line = (xx > 0.0).then(|| (xy / xx, y - x * xy / xx));
    }

    fn at(&self, rtp: u32) -> Option<f64> {
        self.line.map(|(slope, start)| start + slope * f64::from(rtp))
    }
}

/// libwebrtc's stream synchronization, after its published behaviour: once a second the
/// relative delay is averaged over four, left alone below 30 ms, and else half of it, at
/// most 80 ms, is taken from the extra delay of the later stream, or given to the other.
/// Playout follows as there: pictures by 100 ms/s, sound by time stretching (10 % here).
#[derive(Default)]
pub struct Libwebrtc {
    map: [Regression; 2],
    /// When the newest frame came, and its timestamp.
    latest: [Option<(i64, u32)>; 2],
    extra: [f64; 2],
    average: f64,
    updated: i64,
    played: [Option<i64>; 2],
}

impl System for Libwebrtc {
    fn report(&mut self, _now: i64, stream: usize, ntp: i64, rtp: u32) {
        self.map[stream].push(ntp, rtp);
    }

    fn frame(&mut self, now: i64, stream: usize, rtp: u32, _capture: Option<i64>, _own: i64) {
        self.latest[stream] = Some((now, rtp));
    }

    fn delays(&mut self, now: i64, own: [i64; 2]) -> [i64; 2] {
        let wanted = [0, 1].map(|id| own[id].max((self.extra[id] * 1e6) as i64));
        let now_played = [0, 1].map(|id| {
            let before = self.played[id].unwrap_or(own[id]);
            before + (wanted[id] - before).clamp(-100_000, 100_000)
        });
        self.played = now_played.map(Some);
        if now - self.updated >= 1_000_000_000 {
            self.updated = now;
            self.update(now_played);
        }
        now_played
    }
}

impl Libwebrtc {
    fn update(&mut self, current: [i64; 2]) {
        let [Some(sound), Some(picture)] = self.latest else { return };
        let captured = (self.map[0].at(sound.1), self.map[1].at(picture.1));
        let (Some(sound_at), Some(picture_at)) = captured else { return };
        let relative = ((picture.0 - sound.0) as f64 - (picture_at - sound_at)) / 1e6;
        if relative.abs() > 10_000.0 {
            return;
        }
        let difference = (current[1] - current[0]) as f64 / 1e6 + relative;
        self.average = (3.0 * self.average + difference) / 4.0;
        if self.average.abs() < 30.0 {
            return;
        }
        let step = (self.average / 2.0).clamp(-80.0, 80.0);
        self.average = 0.0;
        // What each is held back beyond nothing; the base of both is zero here.
        let (late, early) = if step > 0.0 { (1, 0) } else { (0, 1) };
        let step = step.abs();
        if self.extra[late] > 0.0 {
            self.extra[late] = (self.extra[late] - step).max(0.0);
            self.extra[early] = 0.0;
        } else {
            // An extra counts from the delay that is played now: there it counts from zero,
            // and is without effect until it is more than that.
            self.extra[early] = self.extra[early].max(current[early] as f64 / 1e6) + step;
            self.extra[late] = 0.0;
        }
    }
}

/// Waits for four reports of each stream, believes the latest, and slews the early stream
/// by 5 ms/s, as receivers around `rtpbin` do.
#[derive(Default)]
pub struct Slewing {
    reports: [u32; 2],
    /// Wallclock less media time of the last report, per stream.
    ahead: [i64; 2],
    transit: [Option<i64>; 2],
    extra: [i64; 2],
}

impl System for Slewing {
    fn report(&mut self, _now: i64, stream: usize, ntp: i64, rtp: u32) {
        self.reports[stream] += 1;
        self.ahead[stream] = ntp - media(stream, rtp);
    }

    fn frame(&mut self, now: i64, stream: usize, rtp: u32, _capture: Option<i64>, own: i64) {
        self.transit[stream] = Some(now + own - media(stream, rtp));
    }

    fn delays(&mut self, _now: i64, own: [i64; 2]) -> [i64; 2] {
        let reported = self.reports.iter().all(|&reports| reports >= 4);
        if let ([Some(sound), Some(picture)], true) = (self.transit, reported) {
            let late = (picture - self.ahead[1]) - (sound - self.ahead[0]);
            let wanted = [late.max(0), (-late).max(0)];
            for (extra, wanted) in self.extra.iter_mut().zip(wanted) {
                *extra += (wanted - *extra).clamp(-5_000, 5_000);
            }
        }
        [own[0] + self.extra[0], own[1] + self.extra[1]]
    }
}

fn media(stream: usize, rtp: u32) -> i64 {
    (i128::from(rtp) * 1_000_000_000 / i128::from(HZ[stream])) as i64
}
