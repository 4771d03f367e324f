//! What the reports say of the path: how long its queue is, and what comes through it.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use interceptor::PacketReport;

/// The packets of the last second, as they left and as they arrived.
///
/// All times are seconds: departures on our clock since the first of them, arrivals on the
/// receiver's, which differs by a constant nobody knows and a drift.
#[derive(Debug, Default)]
pub(super) struct Path {
    epoch: Option<Instant>,
    /// Those that arrived, by departure.
    samples: VecDeque<Sample>,
    /// All of which something was said, by departure.
    sent: VecDeque<(f64, usize)>,
    base: Base,
    /// By how much the delay differs from one report to the next while there is no queue.
    noise: f64,
    last_delay: Option<f64>,
    /// Until when, by departure, it is not known yet how long the way is.
    unsettled_until: f64,
}

#[derive(Clone, Copy, Debug)]
struct Sample {
    departure: f64,
    arrival: f64,
    bytes: usize,
    /// From departure to arrival, plus what the clocks differ by.
    transit: f64,
}

/// A time in which packets waited all along.
#[derive(Clone, Copy, Debug)]
pub(super) struct Busy {
    /// Bits in a second that came through: of a queue that was never empty, all it takes of us.
    pub(super) rate: f64,
    /// From its first arrival to the last.
    pub(super) span: f64,
    /// How many arrived after the first.
    pub(super) packets: usize,
}

impl Path {
    /// Seconds since the first departure.
    pub(super) fn seconds(&self, now: Instant) -> f64 {
        let epoch = self.epoch.unwrap_or(now);
        now.saturating_duration_since(epoch).as_secs_f64()
    }

    /// From `now` on it is another way. How much was sent is known all the same, and the noise
    /// is of the last mile, as a rule.
    pub(super) fn begin(&mut self, now: Instant) {
        self.forget();
        self.unsettled_until = self.seconds(now) + SETTLING;
    }

    /// What is the delay from now on is the path's own.
    pub(super) fn forget(&mut self) {
        self.samples.clear();
        self.base = Base::default();
        self.last_delay = None;
    }

    /// Takes in what became of a packet; they come in the order they were sent in.
    pub(super) fn handle(&mut self, report: &PacketReport) {
        let epoch = *self.epoch.get_or_insert(report.departure);
        let departure = report.departure.saturating_duration_since(epoch).as_secs_f64();
        self.sent.push_back((departure, report.size));
        let arrival = report.arrival.filter(|_| report.arrived).map(|at| at.as_secs_f64());
        if let Some(arrival) = arrival {
            self.handle_arrival(departure, arrival, report.size);
        }
        while let Some(&(first, _)) = self.sent.front()
            && (departure - first > MEMORY || self.sent.len() > MAX_SAMPLES)
        {
            self.sent.pop_front();
        }
    }

    fn handle_arrival(&mut self, departure: f64, arrival: f64, bytes: usize) {
        let transit = arrival - departure;
        let is_unsettled = departure < self.unsettled_until;
        let jump = if is_unsettled { UNSETTLED_JUMP } else { MAX_JUMP };
        if let Some(last) = self.samples.back()
            && (transit - last.transit).abs() > jump
        {
            // Another receiver, or its clock began anew.
            self.forget();
        }
        self.base.handle(departure, transit);
        // What was overtaken counts as arrived with what overtook it.
        let arrival = self.samples.back().map_or(arrival, |last| last.arrival.max(arrival));
        self.samples.push_back(Sample { departure, arrival, bytes, transit });
        while let Some(first) = self.samples.front()
            && (arrival - first.arrival > MEMORY || self.samples.len() > MAX_SAMPLES)
        {
            self.samples.pop_front();
        }
    }

    /// Takes note of what the delay is without a queue of ours.
    pub(super) fn calm(&mut self) {
        let delay = self.delay();
        if let Some(last) = self.last_delay.replace(delay) {
            self.noise += ((delay - last).abs() - self.noise) * NOISE_GAIN;
        }
    }

    /// The next delay is not to be compared with the last.
    pub(super) fn upset(&mut self) {
        self.last_delay = None;
    }

    /// How long packets have waited of late, in seconds: the least of the last few, for each
    /// alone may be late for reasons of its own.
    pub(super) fn delay(&self) -> f64 {
        let Some(last) = self.samples.back() else { return 0.0 };
        let from = last.arrival - (WINDOW + NOISE_WINDOWS * self.noise).min(MAX_WINDOW);
        let recent = self.samples.iter().rev().take_while(|sample| sample.arrival >= from);
        let least = recent.map(|sample| sample.transit).fold(f64::MAX, f64::min);
        (least - self.base.least()).max(0.0)
    }

    /// A delay that is a queue.
    pub(super) fn queued(&self) -> f64 {
        (QUEUED + NOISES * self.noise).min(MAX_QUEUED)
    }

    /// A delay that is none.
    pub(super) fn drained(&self) -> f64 {
        self.queued() / 2.0
    }

    /// The time up to the latest arrival in which all of them waited for longer than
    /// `foreign` and what is no queue, or what is remembered of it.
    pub(super) fn busy(&self, foreign: f64) -> Option<Busy> {
        let idle = self.base.least() + foreign + self.drained();
        let waited = self.samples.iter().rev().take_while(|sample| sample.transit > idle);
        let busy = self.measure(waited.count())?;
        // A path that has become another one takes what came through last.
        let window = RECENT + NOISE_WINDOWS * self.noise;
        let recent = self.delivered(self.latest_arrival() - window);
        let recent = recent.filter(|recent| {
            recent.span > window / 2.0 && busy.span > window && recent.rate * ANOTHER < busy.rate
        });
        Some(Busy { rate: recent.map_or(busy.rate, |recent| recent.rate), ..busy })
    }

    /// What arrived of that which left after `since`.
    pub(super) fn delivered(&self, since: f64) -> Option<Busy> {
        self.measure(self.samples.iter().rev().take_while(|one| one.arrival >= since).count())
    }

    fn measure(&self, count: usize) -> Option<Busy> {
        let mut waited = self.samples.iter().skip(self.samples.len() - count);
        let first = waited.next()?;
        let last = self.samples.back()?;
        let span = last.arrival - first.arrival;
        let bytes: f64 = waited.map(|sample| sample.bytes as f64).sum();
        (span > 0.0).then(|| Busy { rate: bytes * 8.0 / span, span, packets: count - 1 })
    }

    /// When the latest packet arrived, by the receiver's clock.
    pub(super) fn latest_arrival(&self) -> f64 {
        self.samples.back().map_or(0.0, |sample| sample.arrival)
    }

    /// When the latest that arrived left.
    pub(super) fn latest_departure(&self) -> f64 {
        self.samples.back().map_or(0.0, |sample| sample.departure)
    }

    /// Packets that are remembered.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.samples.len() + self.sent.len()
    }

    /// Bits in a second that were sent in the last `span` of which something was said.
    pub(super) fn sent_rate(&self, span: f64) -> f64 {
        let Some(&(last, _)) = self.sent.back() else { return 0.0 };
        let recent = self.sent.iter().rev().take_while(|(at, _)| last - at < span);
        let (bytes, first) =
            recent.fold((0.0, last), |(bytes, _), &(at, size)| (bytes + size as f64, at));
        let oldest = self.sent.front().map_or(last, |&(at, _)| at);
        // All that is remembered may have left in less.
        let is_cut = self.sent.len() >= MAX_SAMPLES && first <= oldest;
        bytes * 8.0 / (last - first).max(if is_cut { WINDOW } else { span / 2.0 })
    }
}

/// The least transit of late, in a slot for each second.
#[derive(Debug, Default)]
struct Base {
    slots: VecDeque<(f64, f64)>,
}

impl Base {
    fn handle(&mut self, departure: f64, transit: f64) {
        match self.slots.back_mut() {
            Some((began, least)) if departure - *began < 1.0 => *least = least.min(transit),
            _ => self.slots.push_back((departure, transit)),
        }
        // By age too: in a pause no slots are added, and the clocks drift on.
        while let Some(&(began, _)) = self.slots.front()
            && (self.slots.len() > BASE_SLOTS || departure - began > BASE_SLOTS as f64)
        {
            self.slots.pop_front();
        }
    }

    fn least(&self) -> f64 {
        self.slots.iter().map(|&(_, least)| least).fold(f64::MAX, f64::min)
    }
}

/// In `f64` seconds.
pub(super) const fn seconds(millis: u64) -> f64 {
    Duration::from_millis(millis).as_secs_f64()
}

/// Packets that are remembered for so long: three times what the slowest measurement takes.
const MEMORY: f64 = 1.0;

/// And so many of them at most: a second of 20 Mbit/s in packets of 1,200 bytes. Of a faster path
/// the measurements are made from the latest of them, in the time that those took, and are as good.
const MAX_SAMPLES: usize = 2_048;

/// A transit that changes by so many seconds from one packet to the next is another clock.
const MAX_JUMP: f64 = 10.0;

/// On a way that is new, so many are enough: what a packet of 1,200 bytes adds to a queue at
/// 64 kbit/s. The engine puts its clock forward by 200 ms at least.
const UNSETTLED_JUMP: f64 = 0.15;

/// Seconds after which both ends have found the new way, or neither has: twice what the engine's
/// ICE bears of silence before it calls a path lost.
const SETTLING: f64 = 5.0;

/// The path's own transit is the least of so many seconds. Two clocks that are 500 ppm apart
/// (what a bad crystal has) are 8 ms apart in this time, and what a queue is has to be
/// longer; within it every queue of ours has been drained once.
const BASE_SLOTS: usize = 16;

/// Seconds: a picture's packets at once, of 30 a second.
const WINDOW: f64 = 0.03;

/// The window grows with the noise, for the least of more is quieter.
const NOISE_WINDOWS: f64 = 4.0;

/// Seconds in which a path that is another one is measured; and it is another one if it takes
/// less than before by this factor.
const RECENT: f64 = 0.06;
const ANOTHER: f64 = 1.5;

/// Seconds: the window never hides a queue for longer.
const MAX_WINDOW: f64 = 0.2;

/// Seconds: a queue, if there is no noise. At a path that becomes a quarter of what it was,
/// it takes 13 ms of sending to see it; measured: with 60 ms the step from 4 to 1 Mbit/s is seen a report
/// later, with 25 ms pictures of their own size count as queues.
const QUEUED: f64 = 0.04;

/// So many times the noise more: the mean difference of two readings of uniform noise is a
/// third of its width.
const NOISES: f64 = 3.0;

/// Seconds: on no path a longer queue is taken for noise.
const MAX_QUEUED: f64 = 0.16;

/// A second of reports each 50 ms counts for half.
const NOISE_GAIN: f64 = 1.0 / 32.0;
