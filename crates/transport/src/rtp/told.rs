//! An estimator whose target is told.

use std::time::Instant;

use interceptor::{
    BandwidthEstimator, CongestionControlBuilder, CongestionControlInterceptor, EstimatorStats,
    PacketReport,
};
use paceline_types::Bitrate;

use super::RtpConfig;
use super::estimator::Estimator;
use super::unanswered::Unanswered;

/// Tells each new target, also one that a timeout brought about: the interceptor around it
/// has a way to say only what came with feedback, and silence is what has none.
pub(crate) struct Told<F> {
    estimator: Estimator,
    told: Bitrate,
    tell: F,
}

impl<F: FnMut(Bitrate) + Send + Sync> Told<F> {
    /// Congestion control that tells each target that is another than the one before. The first
    /// is [`RtpConfig::first_target`], and is not told.
    pub(crate) fn control(
        config: &RtpConfig,
        unanswered: Unanswered,
        tell: F,
    ) -> CongestionControlInterceptor<Self> {
        let estimator = Estimator::new(config).heeding(unanswered);
        let told = Self { estimator, told: config.first_target(), tell };
        CongestionControlBuilder::new(told).build()
    }

    fn tell(&mut self) {
        // A cast from a float saturates, and no estimator is meant to be negative.
        let target = Bitrate::from_bps(self.estimator.target_bitrate() as u64);
        if target != self.told {
            self.told = target;
            (self.tell)(target);
        }
    }
}

impl<F: FnMut(Bitrate) + Send + Sync> BandwidthEstimator for Told<F> {
    fn on_reports(&mut self, now: Instant, reports: &[PacketReport]) {
        self.estimator.on_reports(now, reports);
        self.tell();
    }

    fn target_bitrate(&self) -> f64 {
        self.estimator.target_bitrate()
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.estimator.handle_timeout(now);
        self.tell();
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.estimator.poll_timeout()
    }

    fn stats(&self) -> EstimatorStats {
        self.estimator.stats()
    }
}
