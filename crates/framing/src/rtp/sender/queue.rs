//! Pictures that wait, in the order they came.

use std::collections::VecDeque;
use std::time::Instant;

use super::{Kind, Packetized};

/// A frame, some of whose packets may have gone.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) stream: usize,
    pub(super) frame: Packetized,
    pub(super) sent: usize,
    pub(super) since: Instant,
    /// It is left out if it is not begun by then.
    pub(super) by: Instant,
}

#[derive(Debug, Default)]
pub(super) struct Queue {
    frames: VecDeque<Waiting>,
    bytes: usize,
}

impl Queue {
    /// Nothing is left out before what it waits behind.
    pub(super) fn push(&mut self, mut waiting: Waiting) {
        if let Some(before) = self.frames.back() {
            waiting.by = waiting.by.max(before.by);
        }
        self.bytes += waiting.frame.cost();
        self.frames.push_back(waiting);
    }

    pub(super) fn front(&self) -> Option<&Waiting> {
        self.frames.front()
    }

    pub(super) fn front_mut(&mut self) -> Option<&mut Waiting> {
        self.frames.front_mut()
    }

    pub(super) fn pop(&mut self) -> Option<Waiting> {
        let first = self.frames.pop_front()?;
        self.bytes -= first.frame.cost();
        Some(first)
    }

    /// By when the oldest that is not begun has to be.
    pub(super) fn first_by(&self) -> Option<Instant> {
        self.frames.get(self.begun()).map(|waiting| waiting.by)
    }

    /// How many are not begun.
    pub(super) fn waiting(&self) -> usize {
        self.frames.len() - self.begun()
    }

    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes out the oldest that is not begun, and those that build on it: of which stream,
    /// how many, and whether the stream goes on without a new keyframe.
    pub(super) fn leave_out(&mut self) -> Option<(usize, u64, bool)> {
        let at = self.begun();
        let first = self.take(at)?;
        let stream = first.stream;
        let mut count = 1;
        if matches!(first.frame.kind, Kind::Picture { discardable: true, .. }) {
            return Some((stream, count, true));
        }
        let mut next = at;
        while let Some(waiting) = self.frames.get(next) {
            if waiting.stream != stream {
                next += 1;
            } else if matches!(waiting.frame.kind, Kind::Picture { key: true, .. }) {
                return Some((stream, count, true));
            } else {
                self.take(next);
                count += 1;
            }
        }
        Some((stream, count, false))
    }

    fn begun(&self) -> usize {
        usize::from(self.frames.front().is_some_and(|waiting| waiting.sent > 0))
    }

    fn take(&mut self, at: usize) -> Option<Waiting> {
        let waiting = self.frames.remove(at)?;
        self.bytes -= waiting.frame.cost();
        Some(waiting)
    }
}
