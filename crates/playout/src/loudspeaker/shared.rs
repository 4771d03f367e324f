//! What who pushes and the device's callback know of each other.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::LoudspeakerStats;

/// Numbers, each for itself: no two of them have to fit together, so none is ordered.
#[derive(Debug)]
pub(super) struct Shared {
    epoch: Instant,
    /// Frames a second of the device.
    pub(super) rate: u32,
    /// Odd while it plays; another number after each start, stop and drop.
    pub(super) generation: AtomicU32,
    /// Frames that are to wait, and that may.
    pub(super) target: AtomicU32,
    pub(super) limit: AtomicU32,
    /// The most frames that the device took at a time since who pushes looked last.
    pub(super) largest: AtomicU32,
    /// Until when what the device took lasts; nanoseconds since the epoch.
    until: AtomicU64,
    pub(super) underruns: AtomicU64,
    /// Frames.
    pub(super) missing: AtomicU64,
    pub(super) dropped: AtomicU64,
    /// Nanoseconds.
    pub(super) device_latency: AtomicU64,
}

impl Shared {
    pub(super) fn new(epoch: Instant, rate: u32) -> Self {
        Self {
            epoch,
            rate: rate.max(1),
            generation: AtomicU32::new(0),
            target: AtomicU32::new(0),
            limit: AtomicU32::new(0),
            largest: AtomicU32::new(0),
            until: AtomicU64::new(0),
            underruns: AtomicU64::new(0),
            missing: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            device_latency: AtomicU64::new(0),
        }
    }

    /// The device took `frames` at `now`.
    pub(super) fn took(&self, now: Instant, frames: usize) {
        let lasts = self.duration(frames as u64).as_nanos() as u64;
        self.until.store(self.since_epoch(now).saturating_add(lasts), Ordering::Relaxed);
        self.largest.fetch_max(frames.try_into().unwrap_or(u32::MAX), Ordering::Relaxed);
    }

    /// How long what the device took lasts still; less than nothing if it is overdue. Seconds.
    pub(super) fn lasts(&self, now: Instant) -> f64 {
        let until = self.until.load(Ordering::Relaxed) as i64;
        until.saturating_sub(self.since_epoch(now) as i64) as f64 * 1e-9
    }

    pub(super) fn seconds(&self, frames: usize) -> f64 {
        frames as f64 / f64::from(self.rate)
    }

    /// Frames in a span, of which there are never more than `u32` holds.
    pub(super) fn frames(&self, span: Duration) -> u32 {
        (span.as_secs_f64() * f64::from(self.rate)).round() as u32
    }

    pub(super) fn duration(&self, frames: u64) -> Duration {
        Duration::from_secs_f64(frames as f64 / f64::from(self.rate))
    }

    pub(super) fn stats(&self) -> LoudspeakerStats {
        LoudspeakerStats {
            underruns: self.underruns.load(Ordering::Relaxed),
            missing: self.duration(self.missing.load(Ordering::Relaxed)),
            dropped: self.duration(self.dropped.load(Ordering::Relaxed)),
            device_latency: Duration::from_nanos(self.device_latency.load(Ordering::Relaxed)),
            ..LoudspeakerStats::default()
        }
    }

    fn since_epoch(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.epoch).as_nanos() as u64
    }
}

/// What is heard 5 ms long, as `frames`: too short to be heard as a fade, too long to be heard
/// as a click.
pub(super) const fn fade(rate: u32) -> usize {
    let frames = rate / 200;
    if frames == 0 { 1 } else { frames as usize }
}
