//! Delays, made up.

/// SplitMix64 (Steele, Lea and Flood 2014): small, seeded, the same everywhere.
#[derive(Clone)]
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        let mut random = Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5851_f42d_4c95_7f2d);
        let _ = random.bits();
        random
    }

    fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform in (0, 1).
    pub fn uniform(&mut self) -> f64 {
        ((self.bits() >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    }

    pub fn below(&mut self, bound: usize) -> usize {
        (self.uniform() * bound as f64) as usize
    }

    pub fn normal(&mut self) -> f64 {
        (-2.0 * self.uniform().ln()).sqrt() * (std::f64::consts::TAU * self.uniform()).cos()
    }

    pub fn exponential(&mut self) -> f64 {
        -self.uniform().ln()
    }

    /// A drift of 20…500 ppm, either way, its magnitude uniform on a logarithmic scale.
    pub fn drift(&mut self) -> f64 {
        let magnitude = 20.0 * 25_f64.powf(self.uniform());
        if self.uniform() < 0.5 { -magnitude } else { magnitude }
    }
}

/// A path, by what it does to packets.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Path {
    Gaussian,
    Exponential,
    Gamma,
    Queue,
    Stamps,
    Ramp,
    Routes,
}

impl Path {
    pub const ALL: [(Self, &'static str); 7] = [
        (Self::Gaussian, "Gaussian 5 ms"),
        (Self::Exponential, "exponential 20 ms"),
        (Self::Gamma, "gamma, shape 3, 5 ms"),
        (Self::Queue, "correlated queue, 0.1 ms floor"),
        (Self::Stamps, "exponential 5 ms, 1 ms stamps"),
        (Self::Ramp, "Gaussian 5 ms, ramp 1 ppm/min"),
        (Self::Routes, "exponential 20 ms, 3 routes"),
    ];

    /// Of the slope over `count` packets in `seconds`, the least deviation that an unbiased
    /// estimate can have, in ppm; where there is such a bound.
    pub fn bound(self, count: usize, seconds: f64) -> Option<f64> {
        // Of the location of a gamma distribution of shape 3 the information is 1 / 5 ms².
        let location = match self {
            Self::Gaussian | Self::Gamma => 5e3,
            _ => return None,
        };
        Some(location * (12.0 / count as f64).sqrt() / seconds)
    }
}

/// Packets of 20 ms from a sender whose clock is `drift` ppm fast: the sender's seconds and
/// our microseconds of each, and the drift at its end.
pub struct Stream {
    path: Path,
    random: Random,
    index: u64,
    elapsed: f64,
    queue: f64,
    pub drift: f64,
    length: f64,
}

impl Stream {
    pub fn new(path: Path, drift: f64, seed: u64, length: f64) -> Self {
        let mut stream = Self {
            path,
            random: Random::new(seed),
            index: 0,
            elapsed: 0.0,
            queue: 0.0,
            drift,
            length,
        };
        for _ in 0..1_000 {
            stream.step_queue();
        }
        stream
    }

    fn step_queue(&mut self) -> f64 {
        // A walk that is reflected at an empty queue: exponential with a mean of 5 ms, and
        // correlated over a second.
        self.queue = (self.queue - 0.4e3 + 2e3 * self.random.normal()).max(0.0);
        self.queue
    }

    pub fn next(&mut self) -> (f64, f64) {
        let x = self.index as f64 * PACKET;
        if self.index > 0 {
            if self.path == Path::Ramp {
                self.drift += PACKET / 60.0;
            }
            self.elapsed += PACKET * 1e6 / (1.0 + self.drift * 1e-6);
        }
        self.index += 1;
        let random = &mut self.random;
        let delay = match self.path {
            Path::Gaussian | Path::Ramp => 50e3 + 5e3 * random.normal(),
            Path::Exponential => 20e3 * random.exponential(),
            Path::Gamma => 5e3 * (0..3).map(|_| random.exponential()).sum::<f64>(),
            Path::Queue => 10e3 + self.step_queue() + 0.1e3 * self.random.normal(),
            Path::Stamps => 5e3 * random.exponential(),
            Path::Routes => {
                let level = [40e3, 90e3, 60e3, 75e3][((4.0 * x / self.length) as usize).min(3)];
                level + 20e3 * random.exponential()
            }
        };
        let arrival = self.elapsed + delay;
        (x, if self.path == Path::Stamps { (arrival / 1e3).floor() * 1e3 } else { arrival })
    }
}

/// Seconds of sound in a packet.
pub const PACKET: f64 = 0.02;
