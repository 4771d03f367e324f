//! RTP timestamps on one axis that does not wrap.

use paceline_types::Frequency;

/// Extends the timestamps of a stream's media and of its reports.
///
/// Media is read against media alone: what a report says does not move it. A report
/// is read against the latest media, and before there is any against the latest report.
#[derive(Debug)]
pub(super) struct Timeline {
    clock: Frequency,
    /// The first timestamp that came: the axis counts from it.
    origin: Option<u32>,
    media: Option<i64>,
    report: i64,
}

impl Timeline {
    pub(super) const fn new(clock: Frequency) -> Self {
        Self { clock, origin: None, media: None, report: 0 }
    }

    pub(super) const fn clock(&self) -> Frequency {
        self.clock
    }

    /// Where a media timestamp lies, in nanoseconds from the first.
    pub(super) fn media(&mut self, ticks: u32) -> i64 {
        let reference = self.media.unwrap_or(self.report);
        let extended = self.extend(ticks, reference);
        self.media = Some(extended);
        self.nanos(extended)
    }

    /// Where a report's timestamp lies, in nanoseconds from the first.
    pub(super) fn report(&mut self, ticks: u32) -> i64 {
        let extended = self.extend(ticks, self.media.unwrap_or(self.report));
        self.report = extended;
        self.nanos(extended)
    }

    fn extend(&mut self, ticks: u32, reference: i64) -> i64 {
        let from_origin = ticks.wrapping_sub(*self.origin.get_or_insert(ticks));
        let ahead = from_origin.wrapping_sub(reference as u32).cast_signed();
        reference.wrapping_add(i64::from(ahead))
    }

    fn nanos(&self, ticks: i64) -> i64 {
        let hz = i64::from(self.clock.hz());
        // The rest is less than 2³², and a billion times that fits.
        let rest = ticks.rem_euclid(hz) * 1_000_000_000 / hz;
        ticks.div_euclid(hz).saturating_mul(1_000_000_000).saturating_add(rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_axis_is_the_same_wherever_timestamps_start() {
        let read = |start: u32| {
            let mut timeline = Timeline::new(Frequency::VIDEO);
            let at = |ticks: u32| start.wrapping_add(ticks);
            [
                timeline.report(at(0)),
                timeline.media(at(90_000)),
                timeline.media(at(45_000)),
                timeline.report(at(180_000)),
                timeline.media(at(0_u32.wrapping_sub(90_000))),
            ]
        };
        let expected = [0, 1_000_000_000, 500_000_000, 2_000_000_000, -1_000_000_000];
        for offset in 0..64 {
            assert_eq!(
                read(0_u32.wrapping_sub(32 * 45_000).wrapping_add(offset * 45_000)),
                expected
            );
        }
    }

    #[test]
    fn media_that_runs_for_days_without_a_report_still_meets_the_next_one() {
        let mut timeline = Timeline::new(Frequency::VIDEO);
        let mut last = timeline.report(7);
        for step in 1..=200_u32 {
            // An hour at a time, through four wraps of 13 hours.
            let now = timeline.media(step.wrapping_mul(324_000_000).wrapping_add(7));
            assert_eq!(now - last, 3_600_000_000_000);
            last = now;
        }
        assert_eq!(timeline.report(200_u32.wrapping_mul(324_000_000).wrapping_add(7)), last);
    }
}
