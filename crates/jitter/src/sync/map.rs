//! Media time to the sender's wallclock: one straight line per stream.
//!
//! All in integers, relative to the first reading, so that the same stream gives the
//! same line wherever its timestamps start.

use super::nanos::saturated;

/// What a reading told.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Reading {
    /// It fits the line, and is part of it now.
    Fits,
    /// It is far off, and alone: ignored.
    Outlier,
    /// It is far off, as those before it were: the wallclock, or the media clock,
    /// jumped. The line is as it was; see [`ClockMap::shift`].
    Stepped {
        /// By how much the wallclock is ahead of the line.
        by: i64,
        /// What the line says of the first reading behind the step.
        since: i64,
    },
}

/// How a reading came, and so what is known of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Source {
    /// One of many: averaged with its neighbours.
    Capture,
    /// One every few seconds.
    Report,
}

/// The line, and the readings it is drawn through.
#[derive(Debug)]
pub(super) struct ClockMap {
    points: [Point; POINTS],
    /// How many of `points` are used, oldest first.
    len: usize,
    line: Option<Line>,
    block: Block,
    candidate: Option<Candidate>,
    /// Variance of a reading about the line, in ns².
    noise: i64,
    /// What the slope is without readings, and how surely, in parts per billion.
    prior: i64,
    prior_sigma: i64,
}

/// A reading: media time, and by how much the wallclock is ahead of it, in ns.
#[derive(Clone, Copy, Debug, Default)]
struct Point {
    media: i64,
    ahead: i64,
}

/// `ahead` as a line over `media`, through the readings' centre.
#[derive(Clone, Copy, Debug)]
struct Line {
    centre: Point,
    /// In parts per billion.
    slope: i64,
}

/// Capture times since the last point, against its first.
#[derive(Clone, Copy, Debug, Default)]
struct Block {
    first: Point,
    media: i128,
    ahead: i128,
    count: i64,
}

/// Readings off the line that agree with each other.
#[derive(Clone, Copy, Debug)]
struct Candidate {
    since: i64,
    first: i64,
    sum: i128,
    count: i64,
}

impl ClockMap {
    pub(super) fn new() -> Self {
        Self {
            points: [Point::default(); POINTS],
            len: 0,
            line: None,
            block: Block::default(),
            candidate: None,
            noise: FIRST_SIGMA * FIRST_SIGMA,
            prior: 0,
            prior_sigma: NOMINAL_SIGMA_PPB,
        }
    }

    /// Pins the slope, in parts per billion.
    pub(super) fn set_prior(&mut self, slope: i64, sigma: i64) {
        self.prior = slope.clamp(-MAX_SLOPE, MAX_SLOPE);
        self.prior_sigma = sigma.clamp(MIN_SIGMA_PPB, NOMINAL_SIGMA_PPB);
        self.draw();
    }

    /// The wallclock at `media`, both in nanoseconds.
    pub(super) fn wallclock(&self, media: i64) -> Option<i64> {
        let line = self.line?;
        Some(media.saturating_add(line.at(media)))
    }

    /// By how many parts per billion the wallclock runs faster than the media clock.
    pub(super) fn slope(&self) -> i64 {
        self.line.map_or(self.prior, |line| line.slope)
    }

    /// What a reading is off by, as a rule, in nanoseconds.
    pub(super) fn sigma(&self) -> i64 {
        self.noise.isqrt()
    }

    /// How many readings the line goes through.
    pub(super) fn points(&self) -> usize {
        self.len
    }

    /// At `media` the wallclock showed `wall`.
    pub(super) fn handle_reading(&mut self, media: i64, wall: i64, source: Source) -> Reading {
        let point = Point { media, ahead: wall.saturating_sub(media) };
        let Some(line) = self.line else {
            self.push(point);
            return Reading::Fits;
        };
        let expected = line.at(media);
        let off = point.ahead.saturating_sub(expected);
        // Squares, as a root costs as much as all the rest.
        let near = off.clamp(-MAX_OUTLIER, MAX_OUTLIER).saturating_abs().saturating_add(1);
        let square = near * near;
        let bound = OUTLIER_SIGMAS * OUTLIER_SIGMAS * self.noise;
        let far = square > bound.clamp(MIN_OUTLIER * MIN_OUTLIER, MAX_OUTLIER * MAX_OUTLIER);
        // What is far off may be a step: it says that there is more noise, not how much,
        // or the readings behind a step would soon pass for noise.
        let counted = if far { square.min(4 * self.noise) } else { square };
        self.noise += (counted - self.noise) / NOISE_MEMORY;
        if far {
            return self.doubt(point, expected, off, source);
        }
        self.candidate = None;
        match source {
            Source::Report => self.push(point),
            Source::Capture => self.gather(point),
        }
        Reading::Fits
    }

    /// Moves the line and all it was drawn through by `by`.
    pub(super) fn shift(&mut self, by: i64) {
        for point in &mut self.points[..self.len] {
            point.ahead = point.ahead.saturating_add(by);
        }
        self.block = Block::default();
        self.candidate = None;
        self.draw();
    }

    /// One reading off the line is an error of its own, some that agree are a step.
    fn doubt(&mut self, point: Point, expected: i64, off: i64, source: Source) -> Reading {
        let threshold = (OUTLIER_SIGMAS * self.sigma()).clamp(MIN_OUTLIER, MAX_OUTLIER);
        let fresh =
            Candidate { since: point.media.saturating_add(expected), first: off, sum: 0, count: 0 };
        let candidate = match self.candidate {
            Some(before) if before.first.saturating_sub(off).saturating_abs() <= threshold => {
                before
            }
            _ => fresh,
        };
        let candidate = Candidate {
            sum: candidate.sum + i128::from(off),
            count: candidate.count + 1,
            ..candidate
        };
        let needed = match source {
            Source::Report => CONFIRM_REPORTS,
            Source::Capture => CONFIRM_CAPTURES,
        };
        if candidate.count < needed {
            self.candidate = Some(candidate);
            return Reading::Outlier;
        }
        self.candidate = None;
        let by = saturated(candidate.sum / i128::from(candidate.count));
        Reading::Stepped { by, since: candidate.since }
    }

    /// Averages capture times: their noise is white, and there are many.
    fn gather(&mut self, point: Point) {
        let block = &mut self.block;
        if block.count == 0 {
            *block = Block { first: point, ..Block::default() };
        }
        block.media += i128::from(point.media.saturating_sub(block.first.media));
        block.ahead += i128::from(point.ahead.saturating_sub(block.first.ahead));
        block.count += 1;
        if block.count < BLOCK && point.media.saturating_sub(block.first.media) < BLOCK_NANOS {
            return;
        }
        let count = i128::from(block.count);
        let mean = Point {
            media: block.first.media.saturating_add(saturated(block.media / count)),
            ahead: block.first.ahead.saturating_add(saturated(block.ahead / count)),
        };
        self.block = Block::default();
        self.push(mean);
    }

    fn push(&mut self, point: Point) {
        // Only what is near the newest reading bears on it.
        let mut kept = 0;
        for index in 0..self.len {
            let old = self.points[index];
            if old.media.saturating_sub(point.media).saturating_abs() <= WINDOW {
                self.points[kept] = old;
                kept += 1;
            }
        }
        if kept == POINTS {
            self.points.rotate_left(1);
            kept -= 1;
        }
        self.points[kept] = point;
        self.len = kept + 1;
        self.draw();
    }

    /// Least squares through the centre, with the prior as one more witness of the slope:
    /// (Sxy + λ·prior) / (Sxx + λ), λ = noise² / prior sigma².
    fn draw(&mut self) {
        let points = &self.points[..self.len];
        let Some(&origin) = points.first() else { return };
        let count = points.len() as i128;
        let (mut media, mut ahead) = (0, 0);
        for point in points {
            media += i128::from(point.media.saturating_sub(origin.media));
            ahead += i128::from(point.ahead.saturating_sub(origin.ahead));
        }
        let centre = Point {
            media: origin.media.saturating_add(saturated(media / count)),
            ahead: origin.ahead.saturating_add(saturated(ahead / count)),
        };
        let (mut xx, mut xy) = (0, 0);
        for point in points {
            let x = i128::from(point.media.saturating_sub(centre.media));
            let y = point.ahead.saturating_sub(centre.ahead).clamp(-MAX_SPREAD, MAX_SPREAD);
            xx += x * x;
            xy += x * i128::from(y);
        }
        let sigma = i128::from(self.prior_sigma);
        let pin = i128::from(self.noise.max(1)) * (BILLION * BILLION) / (sigma * sigma);
        let slope = (xy * BILLION + pin * i128::from(self.prior)) / (xx + pin).max(1);
        let slope = saturated(slope).clamp(-MAX_SLOPE, MAX_SLOPE);
        self.line = Some(Line { centre, slope });
    }
}

impl Line {
    fn at(self, media: i64) -> i64 {
        let along = media.saturating_sub(self.centre.media);
        let rise = match along.checked_mul(self.slope) {
            Some(product) => product / 1_000_000_000,
            // Far from all readings; the same, at the price of a long division.
            None => saturated(i128::from(along) * i128::from(self.slope) / BILLION),
        };
        self.centre.ahead.saturating_add(rise)
    }
}

const BILLION: i128 = 1_000_000_000;

/// Readings that a line goes through: at one a second half a minute, at one in 5 s all
/// of [`WINDOW`]. At 5 ms of noise, 24 readings place it within 1 ms.
const POINTS: usize = 32;

/// Readings older than 2 minutes, in media time, are forgotten: a wallclock that NTP
/// slews at its limit of 500 ppm (RFC 5905 §11.3) bends by 60 ms in that time.
const WINDOW: i64 = 120_000_000_000;

/// Capture times in a point, and the span they may cover: a quarter of a second, so
/// that [`POINTS`] of them make 8 s.
const BLOCK: i64 = 16;
const BLOCK_NANOS: i64 = 250_000_000;

/// Two consistent reports are a step, as the two packets in a row of RFC 3550 A.1.
const CONFIRM_REPORTS: i64 = 2;

/// Capture times come with every frame, and what upsets one upsets its neighbours:
/// a quarter of a second of pictures is a step.
const CONFIRM_CAPTURES: i64 = 8;

/// A reading is off the line beyond 5 sigma, and never within 25 ms: 5 sigma of the
/// 5 ms that a busy sender's reports are off by.
const OUTLIER_SIGMAS: i64 = 5;
const MIN_OUTLIER: i64 = 25_000_000;
const MAX_OUTLIER: i64 = 250_000_000;

/// Readings are taken to be off by 2 ms until they have shown by how much.
const FIRST_SIGMA: i64 = 2_000_000;
const NOISE_MEMORY: i64 = 8;

/// The clock of a sound card against the system's: crystals are within ±50 ppm.
const NOMINAL_SIGMA_PPB: i64 = 50_000;

/// A drift estimate is never believed beyond 1 ppm: temperature moves crystals so.
const MIN_SIGMA_PPB: i64 = 1_000;

/// 1 %: no clock is off by more, only one that lies.
const MAX_SLOPE: i64 = 10_000_000;

/// Readings on a line differ by no more than a slope of 1 % makes of [`WINDOW`], and
/// noise. The bound keeps the sums within an i128 whatever is read.
const MAX_SPREAD: i64 = 10_000_000_000;
