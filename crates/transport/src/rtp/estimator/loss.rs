//! How much is lost, and whether it is more than this path always loses.

use std::collections::VecDeque;

/// The share of packets that is lost.
#[derive(Debug, Default)]
pub(super) struct Loss {
    /// When the first of those that are counted now left.
    since: Option<f64>,
    sent: u32,
    lost: u32,
    smoothed: Option<f64>,
    /// What was lost in each of the last windows.
    history: VecDeque<f64>,
}

impl Loss {
    /// A packet that left at `departure` (seconds) arrived, or did not. Whenever there are
    /// enough of them it says which share was lost.
    pub(super) fn handle(&mut self, departure: f64, arrived: bool) -> Option<f64> {
        let since = *self.since.get_or_insert(departure);
        self.sent = self.sent.saturating_add(1);
        self.lost = self.lost.saturating_add(u32::from(!arrived));
        if departure - since < WINDOW || self.sent < LEAST {
            return None;
        }
        let share = f64::from(self.lost) / f64::from(self.sent);
        let smoothed = self.smoothed.map_or(share, |before| before + (share - before) * GAIN);
        self.smoothed = Some(smoothed);
        self.history.push_back(smoothed);
        if self.history.len() > HISTORY {
            self.history.pop_front();
        }
        self.restart();
        Some(share)
    }

    /// What left before is not counted: the bitrate was another one.
    pub(super) fn restart(&mut self) {
        (self.since, self.sent, self.lost) = (None, 0, 0);
    }

    /// Which share is lost of late.
    pub(super) fn share(&self) -> Option<f64> {
        self.smoothed
    }

    /// Whether so much is a loss where there was none before.
    pub(super) fn is_news(&self, share: f64) -> bool {
        share > 2.0 * self.usual() + NEWS
    }

    /// Whether no more is lost than was lost anyhow, when we sent less.
    pub(super) fn is_usual(&self) -> bool {
        let most = (2.0 * self.usual() + NONE).min(TOO_MUCH);
        self.smoothed.is_none_or(|share| share <= most)
    }

    fn usual(&self) -> f64 {
        self.history.iter().copied().fold(1.0, f64::min)
    }
}

/// So much is no loss (draft-ietf-rmcat-gcc-02 §6).
const NONE: f64 = 0.02;

/// So much is one, where the queue is full: of 200 packets one. TCP halves for less.
const NEWS: f64 = 0.005;

/// More than this is too much (draft-ietf-rmcat-gcc-02 §6).
pub(super) const TOO_MUCH: f64 = 0.1;

/// Seconds of packets for one figure, and packets: of 5 % in 60 packets a second, 3 % is the
/// standard deviation.
const WINDOW: f64 = 0.5;
const LEAST: u32 = 30;

/// Of each figure, so that the deviation is 1 %.
const GAIN: f64 = 0.3;

/// Half a minute: what is lost for so long is what the path loses.
const HISTORY: usize = 60;
