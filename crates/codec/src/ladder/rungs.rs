//! The rungs that were taken, and what they make of a source.

use paceline_types::Content;

use super::LadderConfig;
use super::change::DegradationPreference;
use crate::fit::{even, fit};
use crate::size::{MIN_SIDE, largest};

/// One thing that is less than the best.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Rung {
    Bitrate,
    /// A screen as if it were what a camera sees.
    CameraMode,
    FrameRate,
    Resolution,
}

/// On whose account a rung was taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Side {
    Cpu,
    Network,
}

#[derive(Clone, Copy, Debug)]
struct Taken {
    rung: Rung,
    side: Side,
    /// What is left of what was, of 1.
    ratio: f64,
}

/// How many times more it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cost {
    /// Time to encode.
    pub(super) work: f64,
    /// Pixels a second in as many bits.
    pub(super) pixels: f64,
}

/// What the source makes at best.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Source {
    pub(super) size: (u16, u16),
    pub(super) frame_rate: f64,
    pub(super) content: Content,
}

impl Source {
    /// One that encoders can take, or `None` if it has no pixels.
    pub(super) fn new(
        (width, height): (u16, u16),
        frame_rate: f64,
        content: Content,
    ) -> Option<Self> {
        if width == 0 || height == 0 {
            return None;
        }
        let frame_rate =
            if frame_rate.is_nan() || frame_rate <= 0.0 { USUAL_RATE } else { frame_rate };
        let frame_rate = frame_rate.clamp(MIN_RATE, MAX_RATE);
        Some(Self { size: fit((width, height), largest(width, height)), frame_rate, content })
    }

    fn pixels(&self) -> f64 {
        f64::from(self.size.0) * f64::from(self.size.1)
    }
}

/// All that are taken, the latest last. They multiply, so that each can be given back
/// without the others.
#[derive(Debug, Default)]
pub(super) struct Rungs {
    taken: Vec<Taken>,
}

impl Rungs {
    pub(super) fn len(&self, side: Side) -> usize {
        self.taken.iter().filter(|taken| taken.side == side).count()
    }

    fn left(&self, rung: Rung) -> f64 {
        self.taken.iter().filter(|taken| taken.rung == rung).map(|taken| taken.ratio).product()
    }

    pub(super) fn frame_rate(&self, source: &Source) -> f64 {
        source.frame_rate * self.left(Rung::FrameRate)
    }

    pub(super) fn bitrate(&self) -> f64 {
        self.left(Rung::Bitrate)
    }

    pub(super) fn content(&self, source: &Source) -> Content {
        let camera = self.taken.iter().any(|taken| taken.rung == Rung::CameraMode);
        if camera { Content::Camera } else { source.content }
    }

    /// Sides are rounded up, so that no floor is undercut by rounding.
    pub(super) fn size(&self, source: &Source) -> (u16, u16) {
        let scale = self.left(Rung::Resolution).sqrt();
        let side = |full: u16| {
            let halves = ((f64::from(full) * scale - ROUNDING) / 2.0).ceil() as u16;
            halves.saturating_mul(2).max(MIN_SIDE).min(even(full))
        };
        (side(source.size.0), side(source.size.1))
    }

    /// Takes the next rung down, if there is one.
    pub(super) fn take(&mut self, side: Side, source: &Source, config: &LadderConfig) -> bool {
        let preference = match source.content {
            Content::Screen => config.screen,
            _ => config.camera,
        };
        let order = order(side, preference);
        let next = order.iter().find_map(|&rung| {
            let ratio = self.ratio(rung, preference, source, config)?;
            Some(Taken { rung, side, ratio })
        });
        self.taken.extend(next);
        next.is_some()
    }

    /// What one more of these would leave; `None` if it is as low as it goes.
    fn ratio(
        &self,
        rung: Rung,
        preference: DegradationPreference,
        source: &Source,
        config: &LadderConfig,
    ) -> Option<f64> {
        let left = self.left(rung);
        let (step, floor) = match rung {
            Rung::Bitrate => (config.bitrate_step, config.min_bitrate_share),
            Rung::CameraMode => {
                let ratio = 1.0 / config.screen_cost;
                let helps = self.content(source) == Content::Screen && ratio <= WORTH_IT;
                return helps.then_some(ratio);
            }
            Rung::FrameRate => {
                let pixels = source.pixels() * self.left(Rung::Resolution);
                let floor = config.frame_rate_floor(preference, pixels);
                (config.frame_rate_step, floor / source.frame_rate)
            }
            Rung::Resolution => (config.pixel_step, f64::from(config.min_pixels) / source.pixels()),
        };
        let ratio = (left * step).max(floor.min(left)) / left;
        (ratio <= WORTH_IT).then_some(ratio)
    }

    /// What giving back the latest rung of this side costs; `None` if there is none.
    pub(super) fn cost_of_return(&self, side: Side) -> Option<Cost> {
        let latest = self.taken.iter().rfind(|taken| taken.side == side)?;
        let work = 1.0 / latest.ratio;
        let pixels = match latest.rung {
            Rung::FrameRate | Rung::Resolution => work,
            // The quantizer is finer with these.
            Rung::Bitrate | Rung::CameraMode => 1.0,
        };
        Some(Cost { work, pixels })
    }

    /// Gives the latest rung of this side back.
    pub(super) fn give_back(&mut self, side: Side) -> bool {
        let latest = self.taken.iter().rposition(|taken| taken.side == side);
        latest.map(|at| self.taken.remove(at)).is_some()
    }

    /// The source is another one. What was found bearable of the old stays the limit: so
    /// many pixels, and so many of them a second. Rungs that no longer limit it are gone.
    pub(super) fn rebase(&mut self, old: &Source, new: &Source, config: &LadderConfig) {
        if new.content != Content::Screen {
            self.taken.retain(|taken| taken.rung != Rung::CameraMode);
        }
        let pixels = old.pixels() * self.left(Rung::Resolution);
        let pixels = pixels.max(config.min_pixels.into());
        self.hold(Rung::Resolution, pixels / new.pixels(), config.pixel_step);
        let rate = self.frame_rate(old).max(config.min_frame_rate);
        self.hold(Rung::FrameRate, rate / new.frame_rate, config.frame_rate_step);
    }

    /// Makes what is left of one kind `want`, if there are rungs of it.
    fn hold(&mut self, rung: Rung, want: f64, step: f64) {
        while let Some(last) = self.taken.iter().rposition(|taken| taken.rung == rung) {
            let off = want / self.left(rung);
            let ratio = self.taken[last].ratio * off;
            if ratio > WORTH_IT {
                self.taken.remove(last);
                continue;
            }
            // More than two steps in one would never be given back.
            if ratio < step * step {
                let Taken { side, .. } = self.taken[last];
                self.taken[last].ratio = step;
                self.taken.push(Taken { rung, side, ratio: step });
                continue;
            }
            self.taken[last].ratio = ratio;
            break;
        }
    }
}

/// What is given up first, and what next when there is no more of it.
const fn order(side: Side, preference: DegradationPreference) -> &'static [Rung] {
    use DegradationPreference::{Balanced, MaintainFramerate, MaintainResolution};
    match (side, preference) {
        (Side::Cpu, Balanced | MaintainResolution) => {
            &[Rung::CameraMode, Rung::FrameRate, Rung::Resolution, Rung::Bitrate]
        }
        (Side::Cpu, MaintainFramerate) => {
            &[Rung::CameraMode, Rung::Resolution, Rung::FrameRate, Rung::Bitrate]
        }
        (Side::Network, Balanced | MaintainFramerate) => &[Rung::Resolution, Rung::FrameRate],
        (Side::Network, MaintainResolution) => &[Rung::FrameRate, Rung::Resolution],
    }
}

/// A rung that leaves more than this is not worth a change: nobody would notice.
const WORTH_IT: f64 = 0.9;
/// What a side may be too large by through floating point before it is rounded up.
const ROUNDING: f64 = 1e-6;
/// What is assumed of a source that does not know its rate.
const USUAL_RATE: f64 = 30.0;
/// One picture in ten seconds: slower ones are not video.
const MIN_RATE: f64 = 0.1;
/// The fastest displays of today; beyond it a rate is a mistake.
const MAX_RATE: f64 = 240.0;
