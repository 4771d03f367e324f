//! A thread that publishes, and the numbers of what it makes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use paceline_types::{Frequency, MediaTime, SeqNo};
use tokio::sync::oneshot;
use tracing::warn;

use crate::driver::clock;
use crate::error::PublishError;

/// A running thread. Dropping it stops the thread too.
#[derive(Debug)]
pub(crate) struct Task {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
    /// Ends with the thread.
    ended: oneshot::Receiver<()>,
}

impl Task {
    /// Stops it and waits for its end: at most one frame. One that hangs in what it reads from
    /// is not waited for, and ends when that answers.
    pub(crate) async fn stop(mut self) {
        self.signal();
        // That nothing was sent is how it ends.
        if tokio::time::timeout(PATIENCE, &mut self.ended).await.is_err() {
            warn!("what we publish is read from something that does not answer");
        }
    }

    /// Whether it goes on; one that was stopped or gave up does not.
    pub(crate) fn is_running(&self) -> bool {
        !self.thread.is_finished() && !self.stop.load(Ordering::Acquire)
    }

    fn signal(&self) {
        self.stop.store(true, Ordering::Release);
        self.thread.thread().unpark();
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.signal();
    }
}

/// The sequence numbers and the media clock of a track: they go on when it is
/// switched off and on again, so that receivers see one stream.
#[derive(Clone, Debug)]
pub(crate) struct Numbering {
    origin: Instant,
    next: Arc<AtomicU64>,
    /// Where on the media clock the next frame may begin.
    end: Arc<AtomicU64>,
}

impl Numbering {
    pub(crate) fn new(origin: Instant) -> Self {
        Self { origin, next: Arc::default(), end: Arc::default() }
    }

    pub(crate) fn next(&self) -> SeqNo {
        SeqNo::new(self.next.fetch_add(1, Ordering::Relaxed))
    }

    /// How many numbers were given out.
    pub(crate) fn count(&self) -> u64 {
        self.next.load(Ordering::Relaxed)
    }

    /// By how much a source's media times have to be later than its own, the first of them
    /// being `first`: the clock of the source before may have been fast.
    pub(crate) fn lead(&self, first: MediaTime) -> u64 {
        self.end.load(Ordering::Relaxed).saturating_sub(first.ticks())
    }

    /// Everything before that is taken.
    pub(crate) fn note_end(&self, end: MediaTime) {
        self.end.fetch_max(end.ticks(), Ordering::Relaxed);
    }

    /// What the media clock reads at `at`.
    pub(crate) fn time(&self, at: Instant, frequency: Frequency) -> MediaTime {
        MediaTime::new(0, frequency) + at.saturating_duration_since(self.origin)
    }
}

pub(super) fn spawn(
    name: &str,
    run: impl FnOnce(&AtomicBool) + Send + 'static,
) -> Result<Task, PublishError> {
    let stop = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&stop);
    let (end, ended) = oneshot::channel();
    let thread = std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(move || {
            // Dropped last, also by a panic.
            let _end: oneshot::Sender<()> = end;
            run(&flag);
        })
        .map_err(|error| PublishError::Thread(error.to_string()))?;
    Ok(Task { stop, thread, ended })
}

/// Sleeps until `due`; `false` if the thread is to stop.
pub(super) fn wait(due: Instant, stop: &AtomicBool) -> bool {
    loop {
        if stop.load(Ordering::Acquire) {
            return false;
        }
        let left = due.saturating_duration_since(clock());
        if left.is_zero() {
            return true;
        }
        std::thread::park_timeout(left);
    }
}

/// How long the end of a thread is waited for: many frames, and less than whoever leaves minds.
const PATIENCE: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_comes_after_a_fast_clock_begins_where_it_ended() {
        let numbering = Numbering::new(clock());
        let at = |ticks| MediaTime::new(ticks, Frequency::AUDIO);
        assert_eq!(numbering.lead(at(960)), 0);
        numbering.note_end(at(50_000));
        numbering.note_end(at(49_000));
        assert_eq!(numbering.lead(at(48_000)), 2_000);
        assert_eq!(numbering.clone().lead(at(50_000)), 0);
    }
}
