//! What is remembered of a path: the best rate, the shortest way.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use paceline_types::Bitrate;

/// The best of the rates, in bytes a second, that were seen within ten rounds and 30 s.
///
/// Only rounds that filled the window count, and nothing is forgotten but for something
/// that was measured later: a time without demand lowers nothing.
#[derive(Debug, Default)]
pub(crate) struct Capacity {
    /// Ever lower, ever later.
    rates: VecDeque<Seen>,
    rounds: u64,
    latest: u64,
    measured: bool,
}

#[derive(Clone, Copy, Debug)]
struct Seen {
    rate: u64,
    round: u64,
    at: Instant,
}

impl Capacity {
    pub(crate) fn best(&self) -> u64 {
        self.rates.front().map_or(0, |seen| seen.rate)
    }

    /// Whether it was more than the demand once.
    pub(crate) const fn is_measured(&self) -> bool {
        self.measured
    }

    /// One round more has filled the window.
    pub(crate) fn handle_round(&mut self) {
        self.rounds += 1;
    }

    /// What came while more would have gone.
    pub(crate) fn handle_sample(&mut self, now: Instant, rate: u64) {
        self.latest = rate;
        self.handle_probe(now, rate);
    }

    pub(crate) fn handle_probe(&mut self, now: Instant, rate: u64) {
        self.measured = true;
        while self.rates.back().is_some_and(|seen| seen.rate <= rate) {
            self.rates.pop_back();
        }
        let is_newest_round = self.rates.back().is_some_and(|seen| {
            seen.round == self.rounds && now.saturating_duration_since(seen.at) < LIFETIME / 8
        });
        if !is_newest_round {
            self.rates.push_back(Seen { rate, round: self.rounds, at: now });
        }
        while self.rates.len() > 1
            && self.rates.front().is_some_and(|seen| {
                self.rounds - seen.round > ROUNDS
                    || now.saturating_duration_since(seen.at) > LIFETIME
                    || self.rates.len() > MAX_SEEN
            })
        {
            self.rates.pop_front();
        }
    }

    /// What came while nothing more was there to go.
    pub(crate) fn raise(&mut self, now: Instant, rate: u64) {
        if rate >= self.best() {
            let measured = self.measured;
            self.handle_probe(now, rate);
            self.measured = measured;
        }
    }

    /// The path is another than it was.
    pub(crate) fn forget_but_latest(&mut self) {
        if let Some(&last) = self.rates.back() {
            self.rates.clear();
            self.rates.push_back(Seen { rate: self.latest.max(1), ..last });
        }
    }
}

/// The least of what was seen within 10 s.
#[derive(Debug, Default)]
pub(crate) struct LeastRtt {
    /// Of a second each: from when, and the least of it. Ever higher, ever later.
    seconds: VecDeque<(Instant, Duration)>,
}

impl LeastRtt {
    pub(crate) fn get(&self) -> Option<Duration> {
        self.seconds.front().map(|&(_, least)| least)
    }

    pub(crate) fn handle(&mut self, now: Instant, rtt: Duration) {
        while self.seconds.back().is_some_and(|&(_, least)| least >= rtt) {
            self.seconds.pop_back();
        }
        let is_new = self
            .seconds
            .back()
            .is_none_or(|&(at, _)| now.saturating_duration_since(at) >= Duration::from_secs(1));
        if is_new {
            self.seconds.push_back((now, rtt));
        }
        while self.seconds.len() > 1
            && self
                .seconds
                .front()
                .is_some_and(|&(at, _)| now.saturating_duration_since(at) > MIN_RTT_WINDOW)
        {
            self.seconds.pop_front();
        }
    }
}

/// Bytes in a second.
pub(crate) fn rate(bytes: u64, span: Duration) -> u64 {
    Bitrate::of(bytes, span.max(Duration::from_micros(1))).bps() / 8
}

/// BBR, "Characterizing the Bottleneck": six to ten round trips.
const ROUNDS: u64 = 10;

/// Six probes of the usual interval: what none of them has seen again is gone.
const LIFETIME: Duration = Duration::from_secs(30);

/// One for each round, and each eighth of the lifetime.
const MAX_SEEN: usize = 20;

/// BBR, "Characterizing the Bottleneck": tens of seconds to minutes. The least of that,
/// because a phone in a call changes its routes more often.
const MIN_RTT_WINDOW: Duration = Duration::from_secs(10);

/// A shorter interval says more of the clock than of the path.
pub(crate) const MIN_INTERVAL: Duration = Duration::from_micros(200);
