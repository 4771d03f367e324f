//! What a camera can, and which of it is nearest to what is wanted.

use std::cmp::Reverse;

use rustix::io::Errno;

use super::CameraConfig;
use super::driver::{Driver, Fourcc, Interval, Intervals, Sizes};

/// One way to run a camera.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Mode {
    pub(super) format: Fourcc,
    pub(super) size: (u32, u32),
    /// None if the driver does not say which it has.
    pub(super) interval: Option<Interval>,
}

/// All that is read here, each size with the interval that is nearest.
#[derive(Debug, Default)]
pub(super) struct Modes {
    pub(super) known: Vec<Mode>,
    /// Formats that are not read here.
    pub(super) others: Vec<Fourcc>,
}

impl Modes {
    /// Asks the driver.
    ///
    /// # Errors
    ///
    /// What the driver says, other than that an enumeration is over or that it has none.
    pub(super) fn ask(driver: &mut impl Driver, config: &CameraConfig) -> Result<Self, Errno> {
        let mut modes = Self::default();
        for format in each(MAX_FORMATS, |index| driver.enum_fmt(index))? {
            if rank(format).is_none() {
                modes.others.push(format);
                continue;
            }
            let mut sizes: Vec<_> = each(MAX_SIZES, |index| driver.enum_framesizes(format, index))?
                .into_iter()
                .map(|sizes| one_of(sizes, config.size))
                .collect();
            if sizes.is_empty() {
                // It has them and does not tell: what it makes of this one is seen then.
                sizes.push((config.size.0.into(), config.size.1.into()));
            }
            for size in sizes {
                let intervals =
                    each(MAX_INTERVALS, |index| driver.enum_frameintervals(format, size, index))?;
                let interval = nearest(&intervals, config.frame_rate);
                modes.known.push(Mode { format, size, interval });
            }
        }
        Ok(modes)
    }

    /// The one nearest to what is wanted, if there is one of a size that can be sent.
    pub(super) fn choose(&self, config: &CameraConfig) -> Option<Mode> {
        let wanted = (u32::from(config.size.0), u32::from(config.size.1));
        let fitting = self.known.iter().filter(|mode| even(mode.size).is_some());
        let best = fitting.min_by_key(|mode| {
            let rate = mode.interval.and_then(Interval::rate).unwrap_or(config.frame_rate);
            let too_slow = rate < config.frame_rate * SLOW;
            let area = u64::from(mode.size.0) * u64::from(mode.size.1);
            let within = mode.size.0 <= wanted.0 && mode.size.1 <= wanted.1;
            // Within, the largest; and the smallest of those that are not.
            let size = if within { (0, Reverse(area), 0) } else { (1, Reverse(0), area) };
            let off = ((rate - config.frame_rate).abs() * 1_000.0) as u64;
            (too_slow, size, off, mode.interval.is_none(), rank(mode.format))
        });
        best.copied()
    }
}

/// The sides made even, if a picture of them can be sent: at least 16 × 16, the smallest that
/// encoders take (macroblocks of H.264 §6.3), and at most what the other sources give.
pub(super) fn even(size: (u32, u32)) -> Option<(u16, u16)> {
    let (width, height) = (size.0 & !1, size.1 & !1);
    let (larger, smaller) = (u64::from(width.max(height)), u64::from(width.min(height)));
    let (max_larger, max_smaller) = crate::source::MAX_SIDES;
    if smaller < 16 || larger > max_larger || smaller > max_smaller {
        return None;
    }
    Some((u16::try_from(width).ok()?, u16::try_from(height).ok()?))
}

/// Formats that are read, by what they cost. What is compressed comes last.
pub(super) fn rank(format: Fourcc) -> Option<usize> {
    [Fourcc::YU12, Fourcc::NV12, Fourcc::YUYV, Fourcc::MJPG, Fourcc::JPEG]
        .iter()
        .position(|&known| known == format)
}

/// What an interval of this rate is, in thousandths of pictures.
pub(super) fn interval(rate: f64) -> Interval {
    Interval { numerator: 1_000, denominator: (rate * 1_000.0).round() as u32 }
}

/// The entries of an enumeration, until the driver says that there are no more, or that it has
/// no such call, or there are too many to be true.
fn each<T>(max: u32, mut ask: impl FnMut(u32) -> Result<T, Errno>) -> Result<Vec<T>, Errno> {
    let mut found = Vec::new();
    for index in 0..max {
        match ask(index) {
            Ok(entry) => found.push(entry),
            Err(Errno::INVAL | Errno::NOTTY) => break,
            Err(errno) => return Err(errno),
        }
    }
    Ok(found)
}

/// Of a range the largest size within what is wanted, or its smallest.
fn one_of(sizes: Sizes, wanted: (u16, u16)) -> (u32, u32) {
    let side = |min: u32, max: u32, step: u32, wanted: u16| {
        let above = u32::from(wanted).min(max).saturating_sub(min);
        min + above / step.max(1) * step.max(1)
    };
    match sizes {
        Sizes::Discrete(size) => size,
        Sizes::Stepwise { min, max, step } => {
            (side(min.0, max.0, step.0, wanted.0), side(min.1, max.1, step.1, wanted.1))
        }
    }
}

/// The slowest that is as fast as wanted, or the fastest.
fn nearest(intervals: &[Intervals], wanted: f64) -> Option<Interval> {
    let of_ranges = |intervals: &Intervals| match *intervals {
        Intervals::Discrete(interval) => interval,
        Intervals::Range { min, max } => {
            let rate = |interval: Interval| interval.rate().unwrap_or(wanted);
            if rate(min) < wanted {
                min
            } else if rate(max) > wanted {
                max
            } else {
                interval(wanted)
            }
        }
    };
    let rated = intervals.iter().map(of_ranges).filter_map(|each| Some((each, each.rate()?)));
    let best = rated.min_by(|(_, a), (_, b)| {
        let order = |rate: f64| if rate >= wanted * AS_FAST { (0, rate) } else { (1, -rate) };
        let ((a_class, a), (b_class, b)) = (order(*a), order(*b));
        a_class.cmp(&b_class).then(a.total_cmp(&b))
    });
    best.map(|(interval, _)| interval)
}

/// 29.97 is as good as 30.
const AS_FAST: f64 = 0.99;
/// A size in which a camera has less than this part of the rate is taken only if there is no
/// other: over USB 2.0, 720p in YUYV comes 10 times a second, and 480p 30 times. Ours.
const SLOW: f64 = 2.0 / 3.0;
/// More than drivers have: those of uvcvideo have up to 5 formats, 30 sizes and 12 intervals.
const MAX_FORMATS: u32 = 64;
const MAX_SIZES: u32 = 128;
const MAX_INTERVALS: u32 = 64;
