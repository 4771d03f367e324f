//! How long to wait before going up.

use std::time::{Duration, Instant};

/// The wait before a step up. It doubles each time that one is undone, and is forgotten
/// once one has lasted.
#[derive(Debug)]
pub(super) struct BackOff {
    least: Duration,
    most: Duration,
    wait: Duration,
    last_up: Option<Instant>,
    /// Since when there has been room without a break.
    roomy: Option<Instant>,
}

impl BackOff {
    pub(super) fn new(least: Duration, most: Duration) -> Self {
        Self { least, most, wait: least, last_up: None, roomy: None }
    }

    /// Of a window that began at `since` and ends at `now`: whether there was room in it.
    /// Returns whether there has been for long enough.
    pub(super) fn handle_window(&mut self, since: Instant, now: Instant, roomy: bool) -> bool {
        if !roomy {
            self.roomy = None;
            return false;
        }
        let since = *self.roomy.get_or_insert(since);
        now.saturating_duration_since(since) >= self.wait
    }

    /// Things are different: what was seen before says nothing.
    pub(super) fn interrupt(&mut self) {
        self.roomy = None;
    }

    pub(super) fn handle_up(&mut self, now: Instant) {
        // The one before was not undone, or it would not be known any more.
        if self.last_up.is_some() {
            self.wait = self.least;
        }
        self.last_up = Some(now);
    }

    /// Returns whether this undoes a step up.
    pub(super) fn handle_down(&mut self, now: Instant) -> bool {
        let Some(last) = self.last_up.take() else { return false };
        let undone = now.saturating_duration_since(last) < self.wait;
        self.wait = if undone { (self.wait * 2).min(self.most) } else { self.least };
        undone
    }
}
