//! What the estimator has to know of what is sent: whether silence says anything of the path,
//! which it does not if next to nothing was, and whether it is another path, which who measures
//! round trips has to know too.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What no report can have told of yet: whoever sends notes it, and the estimator asks.
///
/// Once is not enough. A screen that changes each second is a few packets that are lost
/// together, or whose one report is; so something has to have been tried again some time later.
#[derive(Clone, Debug, Default)]
pub(crate) struct Unanswered(Arc<Mutex<Tries>>);

#[derive(Debug, Default)]
struct Tries {
    first: Option<Instant>,
    /// The first that was not together with it.
    again: Option<Instant>,
    /// So much later it is not.
    apart: Duration,
    /// What is sent from now on takes another path.
    new_path: bool,
    /// How many there were before.
    paths: u64,
}

impl Unanswered {
    /// A packet of RTP leaves.
    pub(crate) fn note_sent(&self, now: Instant) {
        let mut tries = self.lock();
        match tries.first {
            None => tries.first = Some(now),
            Some(first) if now.saturating_duration_since(first) >= tries.apart => {
                tries.again.get_or_insert(now);
            }
            Some(_) => {}
        }
    }

    /// What was sent so far says nothing more; two packets that leave so much apart do.
    pub(super) fn clear(&self, apart: Duration) {
        let mut tries = self.lock();
        (tries.first, tries.again, tries.apart) = (None, None, apart);
    }

    /// What is sent from now on takes another path.
    pub(crate) fn begin_path(&self) {
        let mut tries = self.lock();
        tries.new_path = true;
        tries.paths += 1;
    }

    /// Whether it does, since it was last asked.
    pub(crate) fn take_path(&self) -> bool {
        std::mem::take(&mut self.lock().new_path)
    }

    /// How many paths there were before this one: for those who do not take it.
    pub(crate) fn paths(&self) -> u64 {
        self.lock().paths
    }

    /// Since when there is something unanswered, and something that was tried again.
    pub(super) fn since(&self) -> Option<(Instant, Instant)> {
        let tries = self.lock();
        tries.first.zip(tries.again)
    }

    fn lock(&self) -> MutexGuard<'_, Tries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
