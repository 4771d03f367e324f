//! Packets of one class in their order, and what they cost.

use std::collections::VecDeque;
use std::time::Instant;

use bytes::Bytes;

use crate::Cut;

/// The packets of one class, in the order of sending. Only the first can be begun.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    waiting: VecDeque<Waiting>,
    /// The cost of the packets that are not sent yet, and of the rest of one that is
    /// begun.
    held: usize,
}

#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) cut: Cut,
    /// When it was queued, or its latest message went.
    pub(crate) since: Instant,
    /// How many of its messages are sent.
    sent: usize,
}

impl Queue {
    pub(crate) fn push(&mut self, now: Instant, cut: Cut) {
        self.held += cost(&cut);
        self.waiting.push_back(Waiting { cut, since: now, sent: 0 });
    }

    /// Puts one where another would be that is not begun.
    pub(crate) fn insert(&mut self, at: usize, now: Instant, cut: Cut) {
        self.held += cost(&cut);
        self.waiting.insert(at, Waiting { cut, since: now, sent: 0 });
    }

    /// How long the next message is.
    pub(crate) fn next_len(&self) -> Option<usize> {
        let first = self.waiting.front()?;
        first.cut.messages().get(first.sent).map(Bytes::len)
    }

    pub(crate) fn pop(&mut self, now: Instant) -> Option<Bytes> {
        let first = self.waiting.front_mut()?;
        let message = first.cut.messages().get(first.sent)?.clone();
        first.sent += 1;
        first.since = now;
        self.held -= message.len() + MESSAGE_OVERHEAD;
        if first.sent == first.cut.messages().len() {
            self.waiting.pop_front();
            self.held -= PACKET_OVERHEAD;
        }
        Some(message)
    }

    /// All that wait begin to wait now.
    pub(crate) fn restart(&mut self, now: Instant) {
        self.waiting.iter_mut().for_each(|waiting| waiting.since = now);
    }

    /// How many are begun: none or the first.
    pub(crate) fn begun(&self) -> usize {
        self.waiting.front().map_or(0, |first| usize::from(first.sent > 0))
    }

    pub(crate) fn first(&self) -> Option<&Waiting> {
        self.waiting.front()
    }

    pub(crate) fn get(&self, at: usize) -> Option<&Waiting> {
        self.waiting.get(at)
    }

    pub(crate) fn oldest_whole(&self) -> Option<&Waiting> {
        self.waiting.get(self.begun())
    }

    /// Those that are not begun, with their places.
    pub(crate) fn whole(&self) -> impl Iterator<Item = (usize, &Waiting)> {
        self.waiting.iter().enumerate().skip(self.begun())
    }

    /// Since when the one waits that waits longest. Where a packet has taken the place
    /// of another, that need not be the first.
    pub(crate) fn oldest(&self) -> Option<Instant> {
        self.waiting.iter().map(|waiting| waiting.since).min()
    }

    /// Takes out one that is not begun.
    pub(crate) fn remove(&mut self, at: usize) -> Option<Cut> {
        let Waiting { cut, .. } = self.waiting.remove(at)?;
        self.held -= cost(&cut);
        Some(cut)
    }

    pub(crate) const fn held(&self) -> usize {
        self.held
    }
}

/// What a packet counts as while it waits.
pub(crate) fn cost(cut: &Cut) -> usize {
    cut.bytes() + MESSAGE_OVERHEAD * cut.messages().len() + PACKET_OVERHEAD
}

/// What a message costs beside its bytes: its place in the cut (32 bytes), and what
/// the allocator adds (16) to it and to that.
const MESSAGE_OVERHEAD: usize = 64;

/// What a packet costs beside its messages: its place in a queue that may be half
/// empty (64 bytes), and what its messages have in common (112).
const PACKET_OVERHEAD: usize = 192;
