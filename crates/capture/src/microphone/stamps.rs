//! When a sample was captured.
//!
//! A device gives blocks, and of each the time its first sample was captured, by this
//! machine's clock: right on average, wrong by some milliseconds each time. A delay-locked
//! loop of the second order (F. Adriaensen, "Using a DLL to filter time", 2005) makes one
//! line of them: the device's own clock.
//!
//! It also tells where sound is missing. Samples whose block says that they are later than
//! the line, and go on saying so for a while, were preceded by a gap. A burst after a time in
//! which nobody ran says so too, of its first blocks, but its last ones are on the line again.

/// The clock of a device, as its blocks show it. Positions are samples of the device; times
/// are seconds from any instant.
#[derive(Debug)]
pub(super) struct Stamps {
    rate: f64,
    line: Option<Line>,
    suspect: Option<Suspect>,
}

/// Sample `position` was captured at `time`, and each after it `1 / rate / (1 + skew)` later.
#[derive(Clone, Copy, Debug)]
struct Line {
    position: u64,
    time: f64,
    skew: f64,
    /// When it was begun.
    since: f64,
}

/// Sound that seems to be missing.
#[derive(Clone, Copy, Debug)]
struct Suspect {
    since: u64,
    seen: f64,
    /// By how much at least, in seconds.
    late: f64,
}

impl Stamps {
    pub(super) fn new(rate: u32) -> Self {
        Self { rate: f64::from(rate), line: None, suspect: None }
    }

    /// Takes in that the sample at `position` was captured at `time`; positions rise. How
    /// many samples are missing before it, if that is certain by now.
    pub(super) fn handle_block(&mut self, position: u64, time: f64) -> Option<u64> {
        let Some(line) = self.line else {
            self.line = Some(Line { position, time, skew: 0.0, since: time });
            return None;
        };
        let expected = self.at(line, position as f64);
        let (error, span) = (time - expected, position.saturating_sub(line.position));
        let span = span as f64 / self.rate;
        if span <= 0.0 {
            return None;
        }
        if error.abs() > GAP && expected - line.since < SETTLE {
            // What a device says of its first blocks may be of a stream not yet running.
            self.line = Some(Line { position, time, skew: 0.0, since: time });
            return None;
        }
        if error > GAP {
            return self.suspect(position, time, error);
        }
        self.suspect = None;
        let age = (expected - line.since).max(SETTLE);
        let omega = std::f64::consts::TAU * (1.0 / age).max(BANDWIDTH) * span;
        let omega = omega.min(MAX_OMEGA);
        let shift = (std::f64::consts::SQRT_2 * omega * error).clamp(-SLEW * span, SLEW * span);
        // Later than expected means slower.
        let skew = line.skew - omega * omega * error / span;
        self.line = Some(Line {
            position,
            time: expected + shift,
            skew: skew.clamp(-MAX_SKEW, MAX_SKEW),
            since: line.since,
        });
        None
    }

    /// When the sample at `position` was captured. `None` before the first block.
    pub(super) fn captured(&self, position: f64) -> Option<f64> {
        self.line.map(|line| self.at(line, position))
    }

    /// How much faster the device is than this machine's clock: 10⁻⁶ is one part per million.
    pub(super) fn skew(&self) -> f64 {
        self.line.map_or(0.0, |line| line.skew)
    }

    fn at(&self, line: Line, position: f64) -> f64 {
        line.time + (position - line.position as f64) / self.rate / (1.0 + line.skew)
    }

    /// Something later than it should be: a gap, if it stays so.
    fn suspect(&mut self, position: u64, time: f64, late: f64) -> Option<u64> {
        let mut suspect = self.suspect.unwrap_or(Suspect { since: position, seen: time, late });
        suspect.late = suspect.late.min(late);
        self.suspect = Some(suspect);
        let given = position.saturating_sub(suspect.since) as f64 / self.rate;
        // Both clocks: a burst has many samples in no time, and a stall much time.
        if given < CERTAIN || time - suspect.seen < CERTAIN / 2.0 {
            return None;
        }
        self.suspect = None;
        let line = self.line.as_mut()?;
        line.time += suspect.late;
        Some((suspect.late * self.rate).round() as u64)
    }
}

/// Blocks whose time is off by less than this are noise: two of 1,024 samples at 48 kHz.
const GAP: f64 = 0.04;

/// Seconds that sound must seem to be missing before it is: the bursts of a process that did
/// not run for a while are over sooner, as each block in them comes at once.
const CERTAIN: f64 = 0.2;

/// Seconds in which a stream finds its time.
const SETTLE: f64 = 0.5;

/// Hz, of the loop. Crystals drift over minutes; measured on a PulseAudio null sink, the times of
/// blocks are off by 1 ms, and this leaves a tenth of it. It begins wider and narrows as the
/// line gets older.
const BANDWIDTH: f64 = 0.05;

/// Radians a block: where a loop of discrete steps is still well damped.
const MAX_OMEGA: f64 = 0.3;

/// Seconds a second that the line may be moved: capture times never go backwards for it.
const SLEW: f64 = 0.1;

/// The largest skew that is believed. Crystals of sound devices are within 100 ppm.
const MAX_SKEW: f64 = 300e-6;

#[cfg(test)]
mod tests {
    use super::*;

    /// Noise in −1..1 that is the same each time.
    fn noise(n: u64) -> f64 {
        let x = n.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let x = (x ^ (x >> 31)).wrapping_mul(0xd6e8_feb8_6659_fd93);
        (x >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
    }

    /// A device that is `ppm` fast gives blocks of `block` samples for `seconds`, each stamped
    /// wrong by up to `jitter` seconds; the worst error of `captured` after 10 s.
    fn worst(ppm: f64, block: u64, jitter: f64, seconds: u64) -> (f64, Stamps) {
        let mut stamps = Stamps::new(48_000);
        let real = |position: u64| 7.0 + position as f64 / 48_000.0 / (1.0 + ppm * 1e-6);
        let mut worst: f64 = 0.0;
        for n in 0..seconds * 48_000 / block {
            let position = n * block;
            let gap = stamps.handle_block(position, real(position) + jitter * noise(n));
            assert_eq!(gap, None);
            if position > 480_000 {
                let captured = stamps.captured(position as f64).unwrap();
                worst = worst.max((captured - real(position)).abs());
            }
        }
        (worst, stamps)
    }

    #[test]
    fn blocks_of_1024_stamped_wrong_by_10_ms_move_a_capture_time_by_less_than_2_5() {
        for block in [64, 480, 1_024] {
            let (worst, _) = worst(0.0, block, 0.010, 60);
            assert!(worst < 0.002_5, "{block}: {worst}");
        }
    }

    #[test]
    fn a_device_200_ppm_fast_is_followed() {
        let (error, stamps) = worst(200.0, 480, 0.001, 120);
        assert!(error < 0.001, "{error}");
        assert!((stamps.skew() - 200e-6).abs() < 30e-6, "{}", stamps.skew());
        let (error, stamps) = worst(-200.0, 1_024, 0.0, 120);
        assert!(error < 0.000_5, "{error}");
        assert!((stamps.skew() + 200e-6).abs() < 5e-6, "{}", stamps.skew());
    }

    #[test]
    fn a_device_2000_ppm_fast_is_believed_300_and_bounded() {
        let mut stamps = Stamps::new(48_000);
        for n in 0..6_000 {
            let _ = stamps.handle_block(n * 480, n as f64 * 0.01 / 1.002);
            assert!(stamps.skew().abs() <= MAX_SKEW);
        }
        // The line is moved along for the rest.
        let error = stamps.captured(5_999.0 * 480.0).unwrap() - 59.99 / 1.002;
        assert!(error.abs() < 0.03, "{error}");
    }

    #[test]
    fn samples_that_the_device_left_out_are_counted_once() {
        let mut stamps = Stamps::new(48_000);
        let mut gaps = Vec::new();
        for n in 0..1_000_u64 {
            let missing = if n >= 300 { 0.5 } else { 0.0 };
            let time = n as f64 * 0.01 + missing + 0.002 * noise(n);
            gaps.extend(stamps.handle_block(n * 480, time).map(|gap| (n, gap)));
        }
        let [(at, gap)] = gaps[..] else { panic!("{gaps:?}") };
        assert!((300..=325).contains(&at), "{at}");
        // It is the least of what was seen, so a jitter of 2 ms makes it 2 ms less.
        assert!((23_800..=24_100).contains(&gap), "{gap}");
        let captured = stamps.captured(999.0 * 480.0).unwrap();
        assert!((captured - 10.49).abs() < 0.002, "{captured}");
    }

    #[test]
    fn a_device_that_paused_for_ten_seconds_goes_on_ten_seconds_later() {
        let mut stamps = Stamps::new(16_000);
        let mut gaps = Vec::new();
        for n in 0..400_u64 {
            let paused = if n >= 200 { 10.0 } else { 0.0 };
            gaps.extend(stamps.handle_block(n * 320, n as f64 * 0.02 + paused));
        }
        let [gap] = gaps[..] else { panic!("{gaps:?}") };
        assert!((159_900..=160_100).contains(&gap), "{gap}");
    }

    #[test]
    fn a_burst_after_a_stall_is_not_a_gap() {
        let mut stamps = Stamps::new(48_000);
        for n in 0..1_000_u64 {
            // Half a second in which nothing ran: its blocks come at once, and the device
            // knows only 100 ms of how old each is.
            let stalled = (500..550).contains(&n);
            let time = if stalled { (5.5 - 0.1_f64).max(n as f64 * 0.01) } else { n as f64 * 0.01 };
            assert_eq!(stamps.handle_block(n * 480, time), None, "{n}");
        }
        let captured = stamps.captured(999.0 * 480.0).unwrap();
        assert!((captured - 9.99).abs() < 0.002, "{captured}");
    }

    #[test]
    fn what_is_said_of_the_first_blocks_may_be_wrong() {
        let mut stamps = Stamps::new(48_000);
        for n in 0..200_u64 {
            let wrong = if n < 3 { -0.081 } else { 0.0 };
            assert_eq!(stamps.handle_block(n * 480, n as f64 * 0.01 + wrong), None);
        }
        let captured = stamps.captured(199.0 * 480.0).unwrap();
        assert!((captured - 1.99).abs() < 0.002, "{captured}");
    }

    #[test]
    fn once_settled_capture_times_never_go_backwards() {
        let mut stamps = Stamps::new(48_000);
        let mut last = f64::MIN;
        for n in 0..5_000_u64 {
            // Times that go down by half a second, once, and jump about.
            let wrong = if n > 2_000 { -0.5 } else { 0.0 };
            let _ = stamps.handle_block(n * 480, n as f64 * 0.01 + wrong + 0.03 * noise(n));
            let captured = stamps.captured(n as f64 * 480.0).unwrap();
            assert!(n < 60 || captured >= last, "{n}: {captured} after {last}");
            last = captured;
        }
        assert!((last - 49.49).abs() < 0.01, "{last}");
    }
}
