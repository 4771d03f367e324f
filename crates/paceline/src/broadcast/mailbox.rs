//! What waits for a program: bounded, and nobody waits to put something in.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// A queue from a driver to the program. Each item has a weight; who fills the queue
/// asks [`has_room`](Self::has_room) first, or drops the oldest.
#[derive(Debug)]
pub(crate) struct Mailbox<T> {
    shared: Arc<Shared<T>>,
}

#[derive(Debug)]
struct Shared<T> {
    queue: Mutex<Queue<T>>,
    limit: usize,
    /// Something is there, or nothing comes any more.
    filled: Notify,
    /// There is room again.
    taken: Notify,
}

#[derive(Debug)]
struct Queue<T> {
    items: VecDeque<(T, usize)>,
    weight: usize,
    dropped: u64,
    closed: bool,
}

impl<T> Clone for Mailbox<T> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<T> Mailbox<T> {
    /// An empty one with room for so much weight.
    pub(crate) fn new(limit: usize) -> Self {
        let queue = Queue { items: VecDeque::new(), weight: 0, dropped: 0, closed: false };
        let (filled, taken) = (Notify::new(), Notify::new());
        Self { shared: Arc::new(Shared { queue: Mutex::new(queue), limit, filled, taken }) }
    }

    /// Puts an item in, also over the limit. After the last one nothing is taken.
    pub(crate) fn push(&self, item: T, weight: usize) {
        self.put(item, weight, false);
    }

    /// Puts an item in that weighs 1, and drops the oldest if that is over the limit.
    pub(crate) fn push_newest(&self, item: T) {
        let mut queue = self.queue();
        while !queue.closed
            && queue.weight >= self.shared.limit
            && let Some((_, weight)) = queue.items.pop_front()
        {
            queue.weight -= weight;
            queue.dropped += 1;
        }
        drop(queue);
        self.push(item, 1);
    }

    /// Puts the last item in.
    pub(crate) fn close(&self, item: T) {
        self.put(item, 1, true);
    }

    fn put(&self, item: T, weight: usize, last: bool) {
        let mut queue = self.queue();
        if queue.closed {
            return;
        }
        queue.closed = last;
        queue.items.push_back((item, weight));
        queue.weight += weight;
        drop(queue);
        self.shared.filled.notify_one();
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.queue().closed
    }

    /// How many were dropped for newer ones.
    pub(crate) fn dropped(&self) -> u64 {
        self.queue().dropped
    }

    pub(crate) fn has_room(&self) -> bool {
        self.queue().weight < self.shared.limit
    }

    /// Waits until there is room. For one who fills it. Cancel-safe.
    pub(crate) async fn room(&self) {
        while !self.has_room() {
            self.shared.taken.notified().await;
        }
    }

    /// Takes the oldest; `None` after the last. For one who empties it. Cancel-safe.
    pub(crate) async fn next(&self) -> Option<T> {
        loop {
            {
                let mut queue = self.queue();
                if let Some((item, weight)) = queue.items.pop_front() {
                    let was_full = queue.weight >= self.shared.limit;
                    queue.weight -= weight;
                    let has_room = queue.weight < self.shared.limit;
                    drop(queue);
                    if was_full && has_room {
                        self.shared.taken.notify_one();
                    }
                    return Some(item);
                }
                if queue.closed {
                    return None;
                }
            }
            self.shared.filled.notified().await;
        }
    }

    /// A thread that panicked while it pushed leaves a queue that is whole.
    fn queue(&self) -> MutexGuard<'_, Queue<T>> {
        self.shared.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn whoever_fills_it_waits_until_something_is_taken() {
        let mailbox = Mailbox::new(10);
        mailbox.push('a', 6);
        assert!(mailbox.has_room());
        mailbox.push('b', 6);
        assert!(!mailbox.has_room());
        let taker = mailbox.clone();
        let (taken, ()) = tokio::join!(async move { taker.next().await }, mailbox.room());
        assert_eq!(taken, Some('a'));
        mailbox.close('z');
        mailbox.push('c', 1);
        assert_eq!((mailbox.next().await, mailbox.next().await), (Some('b'), Some('z')));
        assert_eq!((mailbox.next().await, mailbox.is_closed()), (None, true));
    }

    #[tokio::test]
    async fn of_what_nobody_takes_the_newest_stays() {
        let mailbox = Mailbox::new(3);
        (0..10).for_each(|number| mailbox.push_newest(number));
        mailbox.close(10);
        let mut taken = Vec::new();
        while let Some(number) = mailbox.next().await {
            taken.push(number);
        }
        assert_eq!((taken, mailbox.dropped()), (vec![7, 8, 9, 10], 7));
    }
}
