//! How much the path takes of RTP: by its queue, by what comes through it, and by loss.
//!
//! ```text
//!            the queue is longer than noise is
//!   ┌─────────┐ ─────────────────────────────────────▶ ┌──────────┐
//!   │ growing │   0.85 × what comes through meanwhile,  │ draining │
//!   │ (cubic) │   and less until the queue is gone      │          │
//!   └─────────┘ ◀───────────────────────────────────── └──────────┘
//!        │ more than a tenth lost: less by half of that share
//!        │ no report for a while of what was sent, and sent again: half
//! ```
//!
//! The queue is what a packet took longer than the fastest of the last 16 s. It is an
//! absolute figure: a queue that stands is seen as well as one that grows, and the moment
//! when it is gone, too, which the delay gradient of draft-ietf-rmcat-gcc-02 §4 cannot tell.
//! While all packets wait, what arrives is what the path takes, whatever was sent: so one
//! report after a path became narrow the new target is known, and asking twice does no more
//! than once. All rates are of the receiver's arrival times, never of when we were told:
//! feedback may be late, bundled or lost.
//!
//! A queue that stays as long although we send less, and get through all that we send, is
//! somebody else's: a file being copied, as a rule. Then it counts as part of the path, or we
//! would give way until nothing is left; see [`Estimator`] for what becomes of it.

mod growth;
mod loss;
mod path;
mod silence;

use std::time::{Duration, Instant};

use interceptor::{BandwidthEstimator, EstimatorStats, PacketReport};

use self::growth::Growth;
use self::loss::{Loss, TOO_MUCH};
use self::path::{Path, seconds};
use self::silence::Silence;
use super::RtpConfig;
use super::unanswered::Unanswered;

/// Says what a path takes, from the reports of its other end (transport-wide feedback,
/// draft-holmer-rmcat-transport-wide-cc-extensions-01).
///
/// | group | calls |
/// |---|---|
/// | input | `on_reports`, `handle_timeout`, [`begin_path`](Self::begin_path) |
/// | output | `target_bitrate`, `stats` |
/// | when next | `poll_timeout`: what becomes of silence |
///
/// ```
/// use interceptor::BandwidthEstimator;
/// use paceline_transport::rtp::{Estimator, RtpConfig};
///
/// let estimator = Estimator::new(&RtpConfig::default());
/// assert_eq!(estimator.target_bitrate(), 1_000_000.0);
/// ```
#[derive(Debug)]
pub struct Estimator {
    min: f64,
    max: f64,
    /// Bits in a second, of everything.
    target: f64,
    path: Path,
    loss: Loss,
    phase: Phase,
    /// What the path was found to take last.
    peak: f64,
    /// A queue that is not ours, in seconds, and until when that is believed.
    foreign: f64,
    foreign_until: f64,
    /// The target before silence: it may be had again without being used.
    proven: f64,
    last: Option<Instant>,
    silence: Silence,
    /// When a path began of which nothing was heard yet.
    began: Option<Instant>,
    rtt: Option<Duration>,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    Growing(Growth),
    Draining(Drain),
}

#[derive(Clone, Copy, Debug)]
struct Drain {
    /// When it began, and when it was measured last: by our clock and by the latest arrival.
    since: f64,
    measured: f64,
    arrival: f64,
    /// How long the queue was as far as it was known.
    delay: f64,
    /// What the path takes.
    rate: f64,
    /// The target before.
    before: f64,
}

impl Estimator {
    /// One that begins with [`RtpConfig::start_bitrate`] and stays within
    /// [`min_bitrate`](RtpConfig::min_bitrate) and [`max_bitrate`](RtpConfig::max_bitrate). If
    /// the latter is below the former, it stays at the former.
    #[must_use]
    pub fn new(config: &RtpConfig) -> Self {
        let (min, max) = config.bounds();
        let [start, min, max] = [config.first_target(), min, max].map(|rate| rate.bps() as f64);
        Self {
            min,
            max,
            target: start,
            path: Path::default(),
            loss: Loss::default(),
            phase: Phase::Growing(Growth::Free),
            peak: max,
            foreign: 0.0,
            foreign_until: 0.0,
            proven: 0.0,
            last: None,
            silence: Silence::default(),
            began: None,
            rtt: None,
        }
    }

    /// Takes silence for the path's only after something was sent. Without this it always is.
    pub(crate) fn heeding(mut self, unanswered: Unanswered) -> Self {
        self.silence.heed(unanswered);
        self
    }

    /// From `now` on packets go another way, as after a restart of ICE: what is known of the
    /// delay and the losses is of the one before. The target stays.
    ///
    /// What left before is not heeded any more. For 5 s a delay that changes by more than
    /// 150 ms from one packet to the next is taken for the way's, or for a clock that was put
    /// forward, and not for a queue, which builds up.
    pub fn begin_path(&mut self, now: Instant) {
        self.path.begin(now);
        self.loss = Loss::default();
        (self.foreign, self.foreign_until) = (0.0, 0.0);
        if let Phase::Draining(drain) = self.phase {
            self.grow_from(self.target.max(drain.rate * SHARE), self.peak);
        }
        self.silence.put_off(now);
        self.began = Some(now);
    }

    fn look(&mut self, now: Instant) {
        if self.silence.is_of_another_path() {
            self.begin_path(now);
        }
    }

    /// Whether this tells of a path that is no more, or of the time before both ends had the new
    /// one: what came too early is lost.
    fn is_of_the_past(&mut self, report: &PacketReport) -> bool {
        let Some(began) = self.began else { return false };
        let is_past = report.departure < began || !report.arrived;
        if !is_past {
            self.began = None;
        }
        is_past
    }

    /// How long what is sent now waits, as far as is known: queues of others included.
    #[must_use]
    pub fn queue(&self) -> Duration {
        Duration::from_secs_f64(self.path.delay())
    }

    /// It is too much, or is it?
    fn judge(&mut self, now: f64, delay: f64) {
        let Some(busy) = self.path.busy(self.foreign) else { return };
        if busy.span < LEAST_SPAN || busy.packets < LEAST_PACKETS {
            return;
        }
        if self.target <= busy.rate * SHARE {
            // A keyframe that waits for itself: more came through than we are to send.
            return;
        }
        // RFC 9438 §4.7: with less than last time, somebody else is there.
        let peak = busy.rate;
        self.peak = if peak < self.peak { peak * (1.0 + SHARE) / 2.0 } else { peak };
        let before = self.target;
        self.proven = 0.0;
        self.drain_at(now, delay, busy.rate);
        let arrival = self.path.latest_arrival();
        let rate = busy.rate;
        let drain = Drain { since: now, measured: now, arrival, delay, rate, before };
        self.phase = Phase::Draining(drain);
        self.loss.restart();
        self.path.upset();
        tracing::debug!(
            rate = busy.rate as u64,
            target = self.target as u64,
            queue_ms = (delay * 1e3) as u64,
            "too much for the path"
        );
    }

    /// Less than the path takes, by as much as brings the queue away within [`DRAIN`].
    fn drain_at(&mut self, now: f64, delay: f64, rate: f64) {
        // Since the latest packet that arrived left, we sent on at the old rate.
        let flight = (now - self.path.latest_departure()).max(0.0);
        let excess = self.path.sent_rate(RECENT) / rate.max(1.0) - 1.0;
        let queue = delay - self.foreign + flight * excess.clamp(-1.0, MAX_EXCESS);
        let share = (SHARE - queue.max(0.0) / DRAIN).max(LEAST_SHARE);
        self.target = self.within(rate * share).min(self.target);
    }

    fn drain(&mut self, now: f64, mut drain: Drain, delay: f64) {
        if delay <= self.foreign + self.path.drained() {
            self.grow_from(drain.rate * SHARE, self.peak);
            return;
        }
        let is_worse = delay > drain.delay + self.path.queued();
        if now - drain.measured < if is_worse { LEAST_SPAN } else { DRAIN_CHECK } {
            return;
        }
        let Some(came) = self.path.delivered(drain.arrival) else { return };
        // Of what left before, nothing is to be told of what it made better.
        let is_told = self.path.latest_departure() > drain.since + DRAIN_CHECK;
        let sent = self.path.sent_rate(DRAIN_CHECK);
        let is_through = came.rate > sent * THROUGH;
        let has_made_room =
            sent < drain.rate * OBEYED && is_through && came.rate < (sent + drain.rate) / 2.0;
        // Less than the least cannot be tried. If that comes through, the path takes it.
        let is_least = self.target <= self.min && is_through;
        if is_told && (has_made_room || is_least) && delay > drain.delay * STANDS {
            if delay > MAX_FOREIGN {
                // It would be too much at each report.
                self.path.forget();
            } else {
                (self.foreign, self.foreign_until) = (delay, now + FOREIGN);
            }
            let target = if has_made_room { drain.before } else { self.min };
            self.grow_from(target, drain.before);
            return;
        }
        if !has_made_room {
            drain.rate = came.rate;
        }
        (drain.measured, drain.arrival) = (now, self.path.latest_arrival());
        if is_told {
            (drain.since, drain.delay) = (now, delay);
        } else if is_worse {
            drain.delay = delay;
        }
        self.drain_at(now, delay, drain.rate);
        self.phase = Phase::Draining(drain);
    }

    fn grow_from(&mut self, target: f64, peak: f64) {
        self.target = self.within(target);
        self.phase = Phase::Growing(Growth::back(self.target, peak.max(self.target)));
    }

    fn grow(&mut self, passed: f64) {
        let Phase::Growing(growth) = &mut self.phase else { return };
        // What is not used shows nothing.
        let most = (self.path.sent_rate(1.0) * MAX_UNUSED + SLACK).max(self.proven);
        if self.target < most.min(self.max) && self.loss.is_usual() {
            self.target = growth.grow(self.target, passed).min(most).min(self.max);
        }
    }

    fn handle_loss(&mut self, share: f64) {
        if !matches!(self.phase, Phase::Growing(_)) {
            return;
        }
        let before = self.target;
        let left = if share > TOO_MUCH {
            1.0 - 0.5 * share
        } else if self.foreign > 0.0 && self.loss.is_news(share) {
            // In the queue of others the loss is what they and we heed.
            SHARE
        } else {
            return;
        };
        self.proven = 0.0;
        self.grow_from(before * left, before);
    }

    fn within(&self, rate: f64) -> f64 {
        rate.clamp(self.min, self.max)
    }
}

impl BandwidthEstimator for Estimator {
    fn on_reports(&mut self, now: Instant, reports: &[PacketReport]) {
        self.look(now);
        let Some(newest) = reports.iter().rev().find(|report| report.arrived) else { return };
        let passed = self.last.map(|last| now.saturating_duration_since(last));
        let waited = reports
            .first()
            .map_or(Duration::ZERO, |first| now.saturating_duration_since(first.departure));
        let is_one_missing = self.silence.is_one_missing(passed, waited);
        let passed = passed.map_or(0.0, |passed| passed.min(MAX_STEP).as_secs_f64());
        let took = now.saturating_duration_since(newest.departure);
        self.rtt = Some(self.rtt.map_or(took, |rtt| (rtt * 7 + took) / 8));
        self.last = Some(now);
        if let Some(before) = self.silence.end(now, took, self.target) {
            self.proven = before;
            if matches!(self.phase, Phase::Growing(_)) {
                self.grow_from(self.target, before);
            }
        }
        // What a report that was lost told of is given as lost itself: it is not known.
        let unknown = reports.iter().take_while(|report| is_one_missing && !report.arrived).count();
        for report in reports.iter().skip(unknown) {
            if self.is_of_the_past(report) {
                continue;
            }
            self.path.handle(report);
            let departure = self.path.seconds(report.departure);
            if let Some(share) = self.loss.handle(departure, report.arrived) {
                self.handle_loss(share);
            }
        }
        let delay = self.path.delay();
        let seconds = self.path.seconds(now);
        if let Phase::Draining(drain) = self.phase {
            self.drain(seconds, drain, delay);
        } else if delay > self.foreign + self.path.queued() {
            self.judge(seconds, delay);
        } else {
            if delay < self.path.drained() || seconds > self.foreign_until {
                self.foreign = 0.0;
            }
            if delay <= self.foreign + self.path.drained() {
                self.path.calm();
                self.grow(passed);
            }
        }
    }

    fn target_bitrate(&self) -> f64 {
        self.target
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.look(now);
        if self.silence.handle_timeout(now, self.target.max(self.proven)) {
            self.target = (self.target / 2.0).max(self.min);
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.silence.poll_timeout()
    }

    fn stats(&self) -> EstimatorStats {
        let mut stats = EstimatorStats::default();
        stats.delay_based_bitrate = Some(self.target);
        stats.packet_loss = self.loss.share();
        stats.round_trip_time = self.rtt;
        stats
    }
}

/// Of what the path takes, what we use after it was too much (draft-ietf-rmcat-gcc-02 §5.5).
const SHARE: f64 = 0.85;

/// While a queue is there at least so much of it, or pictures would stand still.
const LEAST_SHARE: f64 = 0.1;

/// Seconds in which a queue is to be gone.
const DRAIN: f64 = 0.3;

/// Seconds after which a queue that is still there is measured again, a round trip more.
const DRAIN_CHECK: f64 = 0.3;

/// Who sends less than this of what came through before has made room.
const OBEYED: f64 = 0.95;

/// Of what was sent so much is all, for what is measured ends in the middle of a picture.
const THROUGH: f64 = 0.9;

/// A queue that is still so much of what it was has not been ours to drain: by then it would
/// be shorter by a tenth of a second.
const STANDS: f64 = 0.8;

/// Seconds: few have a longer queue (of homes: 500 ms, as a rule), and ours is never to be that
/// long. What is longer, and not ours, is the path's own from then on.
const MAX_FOREIGN: f64 = 1.0;

/// Seconds after which it is found out anew whose queue it is.
const FOREIGN: f64 = 10.0;

/// Seconds from the first arrival that waited to the last, and packets: what they measure is
/// true to a tenth, of packets of one size.
const LEAST_SPAN: f64 = seconds(40);
const LEAST_PACKETS: usize = 4;

/// Seconds of packets by which it is told how much is under way.
const RECENT: f64 = 0.2;

/// More times as much as comes through than this was not sent, but measured wrongly.
const MAX_EXCESS: f64 = 9.0;

/// Of what is sent the target is so much at most, and so many bits in a second more: as
/// libwebrtc has it (aimd_rate_control.cc: 1.5 times what is acknowledged and 10 kbit/s).
const MAX_UNUSED: f64 = 1.5;
const SLACK: f64 = 10_000.0;

/// Growth is for no longer than this after each report.
const MAX_STEP: Duration = Duration::from_millis(250);

#[cfg(test)]
mod tests;
