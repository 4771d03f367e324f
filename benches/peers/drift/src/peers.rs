//! What others do. Each takes the sender's seconds and our microseconds of a packet.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use paceline_drift::types::{Frequency, MediaTime};
use paceline_drift::{DriftConfig, DriftEstimator};

/// An estimator: packets in, ppm out.
pub trait Estimator {
    fn take(&mut self, x: f64, arrival: f64);
    /// How much faster the sender's clock is, in ppm.
    fn ppm(&self) -> f64;
}

pub struct Ours {
    pub drift: DriftEstimator,
    start: Instant,
}

impl Ours {
    pub fn new(start: Instant) -> Self {
        Self { drift: DriftEstimator::new(DriftConfig::default()), start }
    }
}

impl Estimator for Ours {
    fn take(&mut self, x: f64, arrival: f64) {
        let time = MediaTime::new((x * 48_000.0).round() as u64, Frequency::AUDIO);
        let arrival = self.start + Duration::from_nanos((arrival * 1e3).round().max(0.0) as u64);
        let _ = self.drift.handle_observation(arrival, time);
    }

    fn ppm(&self) -> f64 {
        self.drift.estimate().ppm
    }
}

/// From a slope of delay, in ppm, to the sender's drift.
fn drift(slope: f64) -> f64 {
    1e6 / (1.0 + slope * 1e-6) - 1e6
}

/// Ordinary least squares over all packets.
#[derive(Default)]
pub struct Ols {
    n: f64,
    x: f64,
    y: f64,
    xx: f64,
    xy: f64,
}

impl Estimator for Ols {
    fn take(&mut self, x: f64, arrival: f64) {
        let y = arrival - x * 1e6;
        self.n += 1.0;
        let (dx, dy) = (x - self.x, y - self.y);
        self.x += dx / self.n;
        self.y += dy / self.n;
        self.xx += dx * (x - self.x);
        self.xy += dx * (y - self.y);
    }

    fn ppm(&self) -> f64 {
        if self.n < 2.0 { 0.0 } else { drift(self.xy / self.xx) }
    }
}

/// Recursive least squares that forgets over 30 s (1,500 packets).
#[derive(Default)]
pub struct Rls {
    n: f64,
    x: f64,
    y: f64,
    xx: f64,
    xy: f64,
}

impl Estimator for Rls {
    fn take(&mut self, x: f64, arrival: f64) {
        const FORGET: f64 = 1.0 - 1.0 / 1_500.0;
        let y = arrival - x * 1e6;
        self.n = FORGET * self.n + 1.0;
        let (dx, dy) = (x - self.x, y - self.y);
        self.x += dx / self.n;
        self.y += dy / self.n;
        self.xx = FORGET * self.xx + dx * (x - self.x);
        self.xy = FORGET * self.xy + dx * (y - self.y);
    }

    fn ppm(&self) -> f64 {
        if self.xx > 0.0 { drift(self.xy / self.xx) } else { 0.0 }
    }
}

/// The edge of the lower convex hull below the mean of the times: the line under all
/// packets with the least sum of distances (Moon, Skelly and Towsley 1999).
#[derive(Default)]
pub struct Hull {
    hull: Vec<(f64, f64)>,
    n: f64,
    sum: f64,
}

impl Estimator for Hull {
    fn take(&mut self, x: f64, arrival: f64) {
        let c = (x, arrival - x * 1e6);
        while let [.., a, b] = self.hull[..] {
            if (b.1 - a.1) * (c.0 - a.0) < (c.1 - a.1) * (b.0 - a.0) {
                break;
            }
            self.hull.pop();
        }
        self.hull.push(c);
        self.n += 1.0;
        self.sum += x;
    }

    fn ppm(&self) -> f64 {
        let middle = self.sum / self.n;
        let edge = self.hull.windows(2).find(|edge| edge[1].0 > middle);
        edge.map_or(0.0, |edge| drift((edge[1].1 - edge[0].1) / (edge[1].0 - edge[0].0)))
    }
}

/// Fober, Orlarey and Letz 2005, as GStreamer's rtpjitterbuffer has it: the least delay of
/// the last 2 s, through a low-pass of 125 packets. Its skew, over the time since the first
/// window was full, as ppm.
#[derive(Default)]
pub struct Fober {
    window: VecDeque<(f64, f64)>,
    skew: f64,
    first: Option<(f64, f64)>,
    x: f64,
}

impl Estimator for Fober {
    fn take(&mut self, x: f64, arrival: f64) {
        let y = arrival - x * 1e6;
        // Only what may yet be the least is kept: rising from the front.
        while self.window.back().is_some_and(|back| back.1 >= y) {
            self.window.pop_back();
        }
        self.window.push_back((x, y));
        while self.window.front().is_some_and(|front| front.0 < x - 2.0) {
            self.window.pop_front();
        }
        let least = self.window[0].1;
        if x < 2.0 {
            self.skew = least;
        } else {
            self.skew += (least - self.skew) / 125.0;
            self.first.get_or_insert((x, self.skew));
        }
        self.x = x;
    }

    fn ppm(&self) -> f64 {
        match self.first {
            Some((x, skew)) if self.x > x => drift((self.skew - skew) / (self.x - x)),
            _ => 0.0,
        }
    }
}

/// A delay-locked loop of second order with a bandwidth of 0.02 Hz (Adriaensen 2005).
#[derive(Default)]
pub struct Dll {
    next: Option<f64>,
    /// Microseconds of ours in a second of the sender's, beyond a million.
    rate: f64,
    x: f64,
}

impl Estimator for Dll {
    fn take(&mut self, x: f64, arrival: f64) {
        let omega = std::f64::consts::TAU * 0.02 * (x - self.x);
        match &mut self.next {
            None => self.next = Some(arrival),
            Some(next) => {
                let predicted = *next + (1e6 + self.rate) * (x - self.x);
                let error = arrival - predicted;
                *next = predicted + std::f64::consts::SQRT_2 * omega * error;
                self.rate += omega * omega * error / (x - self.x);
            }
        }
        self.x = x;
    }

    fn ppm(&self) -> f64 {
        drift(self.rate)
    }
}

/// All but ours, named.
pub fn others() -> Vec<(&'static str, Box<dyn Estimator>)> {
    vec![
        ("least squares", Box::<Ols>::default()),
        ("recursive", Box::<Rls>::default()),
        ("hull", Box::<Hull>::default()),
        ("Fober", Box::<Fober>::default()),
        ("DLL", Box::<Dll>::default()),
    ]
}

pub const NAMES: [&str; 6] = ["ours", "least squares", "recursive", "hull", "Fober", "DLL"];
