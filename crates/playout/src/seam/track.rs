//! One kind of what is shown and heard: where it stands, and what of ours waits.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use paceline_types::{AudioFrame, Epoch};

use crate::clock;

/// A frame of our own stage.
#[derive(Debug)]
pub(super) struct Made<T> {
    pub(super) at: Instant,
    pub(super) frame: T,
}

/// Where the timeline of a remote mix stands: what is of `time` is due `at`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) at: Instant,
    pub(super) time: Duration,
}

impl Place {
    /// How long after `made` the remote mix would have had what is of `time`. Nothing, if
    /// it has been silent for so long that there is nothing to go on from.
    pub(super) fn lag(self, made: Instant, time: Duration) -> Duration {
        if made.saturating_duration_since(self.at) > SILENT {
            return Duration::ZERO;
        }
        let due = if time >= self.time {
            self.at.checked_add(time - self.time)
        } else {
            self.at.checked_sub(self.time - time)
        };
        due.map_or(Duration::ZERO, |due| due.saturating_duration_since(made))
    }
}

/// What is known of one kind.
#[derive(Debug)]
pub(super) struct Track<T> {
    most: usize,
    /// What our stage made in the dark, the latest.
    pub(super) dark: VecDeque<Made<T>>,
    /// What it made as the host's, and is not due yet.
    pub(super) own: VecDeque<Made<T>>,
    pub(super) remote: Option<Place>,
    /// The newest epoch that was rendered. What was rendered last: when, which media time,
    /// and whether it was our own.
    pub(super) rendered_epoch: Option<Epoch>,
    pub(super) last_at: Option<Instant>,
    pub(super) last: Option<Duration>,
    /// From one media time to the next.
    spacing: Option<Duration>,
    pub(super) rendered_own: bool,
    /// What a next host made for the time that we have shown ourselves is passed over.
    pub(super) shown_until: Option<Duration>,
}

impl Track<AudioFrame> {
    /// Takes the first of our own, if it is of this time.
    pub(super) fn take_own(&mut self, time: Duration) -> Option<AudioFrame> {
        let is_it = |made: &mut Made<AudioFrame>| clock::reading(made.frame.time) == time;
        self.own.pop_front_if(is_it).map(|made| made.frame)
    }
}

impl<T> Track<T> {
    pub(super) const fn new(most: usize) -> Self {
        Self {
            most,
            dark: VecDeque::new(),
            own: VecDeque::new(),
            remote: None,
            rendered_epoch: None,
            last_at: None,
            last: None,
            spacing: None,
            rendered_own: false,
            shown_until: None,
        }
    }

    /// Whether something of a later epoch was rendered.
    pub(super) fn is_stale(&self, epoch: Epoch) -> bool {
        self.rendered_epoch.is_some_and(|rendered| epoch < rendered)
    }

    /// What comes is of a host of this epoch: of who was it before, if we were, nothing
    /// more counts. Whether that is news.
    pub(super) fn claim(&mut self, epoch: Epoch) -> bool {
        let is_news = self.rendered_epoch.is_none_or(|rendered| rendered < epoch);
        if is_news {
            self.own.clear();
            self.shown_until = self.last.filter(|_| self.rendered_own);
            self.rendered_epoch = Some(epoch);
            self.rendered_own = false;
        }
        is_news
    }

    /// Keeps what was made in the dark for a while: it may turn out to be what counts.
    pub(super) fn keep(&mut self, at: Instant, frame: T) {
        let is_old = |it: &Made<T>| at.saturating_duration_since(it.at) > KEPT;
        while self.dark.len() >= self.most || self.dark.front().is_some_and(is_old) {
            self.dark.pop_front();
        }
        self.dark.push_back(Made { at, frame });
    }

    /// Queues what counts; over the bound, the oldest goes.
    pub(super) fn queue(&mut self, at: Instant, frame: T) {
        if self.own.len() >= self.most {
            self.own.pop_front();
        }
        self.own.push_back(Made { at, frame });
    }

    /// When the first of our own is due.
    pub(super) fn due(&self, delay: Duration) -> Option<Instant> {
        self.own.front().map(|made| made.at + delay)
    }

    /// Whether what the host before made just before this time of ours is not there yet.
    pub(super) fn lacks_before(&self, time: Duration) -> bool {
        let next = self.last.zip(self.spacing).map(|(last, spacing)| last + spacing * 3 / 2);
        !self.rendered_own && next.is_some_and(|next| next < time)
    }

    pub(super) fn render(&mut self, at: Instant, epoch: Epoch, time: Duration, own: bool) {
        self.spacing = self.last.and_then(|last| time.checked_sub(last)).or(self.spacing);
        self.rendered_epoch = self.rendered_epoch.max(Some(epoch));
        self.last_at = Some(at);
        self.last = Some(time);
        self.rendered_own = own;
    }
}

/// Two frames and the 60 ms made up for more: what comes after is after a silence.
const SILENT: Duration = Duration::from_millis(100);

/// Longer than an order to host is late, which is sent some 200 ms ahead.
const KEPT: Duration = Duration::from_millis(300);
