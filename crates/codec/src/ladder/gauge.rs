//! What the reports of a while say together.

use std::time::{Duration, Instant};

use super::change::FrameReport;

/// Reports since a moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    pub(super) since: Instant,
    frames: u32,
    skipped: u32,
    bytes: u64,
    busy: Duration,
    qps: u32,
    qp_sum: u64,
}

impl Window {
    pub(super) fn new(since: Instant) -> Self {
        let busy = Duration::ZERO;
        Self { since, frames: 0, skipped: 0, bytes: 0, busy, qps: 0, qp_sum: 0 }
    }

    pub(super) fn add(&mut self, report: &FrameReport) {
        self.frames = self.frames.saturating_add(1);
        self.skipped = self.skipped.saturating_add(report.skipped.into());
        self.bytes = self.bytes.saturating_add(report.bytes as u64);
        self.busy = self.busy.saturating_add(report.encode_time);
        if let (Some(qp), false) = (report.qp, report.skipped) {
            self.qps = self.qps.saturating_add(1);
            self.qp_sum = self.qp_sum.saturating_add(qp.into());
        }
    }

    pub(super) fn frames(&self) -> u32 {
        self.frames
    }

    /// The part of the time that encoding took.
    pub(super) fn usage(&self, now: Instant) -> f64 {
        let span = now.saturating_duration_since(self.since).max(LEAST_SPAN);
        (self.busy.as_secs_f64() / span.as_secs_f64()).min(MAX_USAGE)
    }

    /// The part of the time that it would take if a picture came at each interval: what
    /// counts for going up, as a source that is idle now will not always be.
    pub(super) fn usage_at(&self, frame_rate: f64) -> f64 {
        self.busy.as_secs_f64() / f64::from(self.frames.max(1)) * frame_rate
    }

    pub(super) fn skipped(&self) -> f64 {
        f64::from(self.skipped) / f64::from(self.frames.max(1))
    }

    pub(super) fn qp(&self) -> Option<f64> {
        (self.qps > 0).then(|| self.qp_sum as f64 / f64::from(self.qps))
    }

    /// Bits per second that came out.
    pub(super) fn bits_per_second(&self, now: Instant) -> f64 {
        let span = now.saturating_duration_since(self.since).max(LEAST_SPAN);
        self.bytes as f64 * 8.0 / span.as_secs_f64()
    }
}

/// What a window is taken to last at least, for a quotient that is a number.
const LEAST_SPAN: Duration = Duration::from_millis(1);
/// Ten encoders' worth. More says nothing more.
const MAX_USAGE: f64 = 10.0;
