//! The newest picture, from the camera's thread to whoever reads.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::CameraStats;
use super::stream::{Lost, Picture, Tally};

/// Holds one picture, or why there are no more.
#[derive(Debug, Default)]
pub(super) struct Slot {
    held: Mutex<Held>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Held {
    picture: Option<(Bytes, Instant)>,
    lost: Option<String>,
    tally: Tally,
    read: u64,
    superseded: u64,
    latency: Duration,
}

impl Slot {
    /// Puts what came at `now` in the place of what was not read.
    pub(super) fn put(&self, now: Instant, picture: Option<Picture>, tally: Tally) {
        let mut held = self.held();
        held.tally = tally;
        if let Some(Picture { planes, age }) = picture {
            let captured = now.checked_sub(age).unwrap_or(now);
            held.superseded += u64::from(held.picture.replace((planes, captured)).is_some());
        }
        drop(held);
        self.changed.notify_all();
    }

    /// Says that there are no more. What was said first stays.
    pub(super) fn end(&self, Lost(reason): Lost) {
        let mut held = self.held();
        held.lost.get_or_insert(reason);
        held.picture = None;
        drop(held);
        self.changed.notify_all();
    }

    /// The newest picture if it was not read, and how long before `now` it was captured.
    pub(super) fn take(&self, now: Instant) -> Result<Option<(Bytes, Duration)>, Lost> {
        let mut held = self.held();
        if let Some(reason) = &held.lost {
            return Err(Lost(reason.clone()));
        }
        let Some((planes, captured)) = held.picture.take() else { return Ok(None) };
        held.read += 1;
        held.latency = now.saturating_duration_since(captured);
        Ok(Some((planes, held.latency)))
    }

    /// Waits for a picture or the end, and says whether there is one of both.
    pub(super) fn wait(&self, timeout: Duration) -> bool {
        let nothing = |held: &mut Held| held.picture.is_none() && held.lost.is_none();
        let waited = self.changed.wait_timeout_while(self.held(), timeout, nothing);
        let (mut held, _) = waited.unwrap_or_else(PoisonError::into_inner);
        !nothing(&mut held)
    }

    pub(super) fn stats(&self) -> CameraStats {
        let held = self.held();
        CameraStats {
            pictures: held.read,
            superseded: held.superseded + held.tally.superseded,
            damaged: held.tally.damaged,
            restarts: held.tally.restarts,
            latency: held.latency,
        }
    }

    /// Nothing that is done with it can break off half way.
    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
