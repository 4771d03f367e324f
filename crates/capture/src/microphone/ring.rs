//! Between the device's callback and the reader.
//!
//! Two rings without a lock, each with one writer and one reader: samples, and *marks* that
//! say of some of them which sample of the device they are and when it was captured. A mark
//! is written before its sample, so who sees the sample sees the mark.
//!
//! The callback cannot take back what it wrote. So a full ring takes no more, with a mark where
//! it goes on, and it is the reader who drops what is older than it may be: all that the ring
//! was full of, if nobody read for a while.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::Thread;
use std::time::{Duration, Instant};

use cpal::{FromSample, Sample};
use ringbuf::traits::{Consumer, Observer, Producer, Split};
use ringbuf::{HeapCons, HeapProd, HeapRb};

/// Where the sample is that was written `index`-th.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark {
    pub(super) index: u64,
    /// Which sample of the device it is, those that were not written counted too.
    pub(super) position: u64,
    pub(super) captured: Instant,
}

/// What both ends and the error callback know.
#[derive(Debug)]
pub(super) struct Shared {
    /// Samples that the device gave.
    given: AtomicU64,
    /// Samples of the block that came last.
    block: AtomicU64,
    /// So many it must have given before the reader wants to run.
    wanted: AtomicU64,
    errors: AtomicU64,
    failure: OnceLock<String>,
    reader: Mutex<Option<Thread>>,
}

impl Shared {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            given: AtomicU64::new(0),
            block: AtomicU64::new(0),
            wanted: AtomicU64::new(0),
            errors: AtomicU64::new(0),
            failure: OnceLock::new(),
            reader: Mutex::new(None),
        })
    }

    /// Takes in that the device ended; whether it is the first to say so. Only the first reason
    /// is kept; of any kind all count.
    pub(super) fn fail(&self, reason: String) -> bool {
        self.errors.fetch_add(1, Ordering::Relaxed);
        let first = self.failure.set(reason).is_ok();
        if first && let Some(reader) = &*self.reader() {
            reader.unpark();
        }
        first
    }

    /// Takes in an error that does not end the device.
    pub(super) fn complain(&self) {
        self.errors.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn failure(&self) -> Option<&str> {
        self.failure.get().map(String::as_str)
    }

    pub(super) fn errors(&self) -> u64 {
        self.errors.load(Ordering::Relaxed)
    }

    pub(super) fn set_reader(&self, reader: Thread) {
        // What came while it was set is not missed: one turn for nothing is allowed.
        reader.unpark();
        *self.reader() = Some(reader);
    }

    fn reader(&self) -> MutexGuard<'_, Option<Thread>> {
        self.reader.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake(&self) {
        // Whoever holds it is unparking the reader, or has just come and will look.
        if let Ok(reader) = self.reader.try_lock()
            && let Some(reader) = &*reader
        {
            reader.unpark();
        }
    }
}

/// The end that the device's callback has. Nothing here allocates, waits or logs.
pub(super) struct Inlet {
    samples: HeapProd<f32>,
    marks: HeapProd<Mark>,
    shared: Arc<Shared>,
    rate: f64,
    channels: usize,
    max_block: usize,
    every: u64,
    index: u64,
    position: u64,
    /// Where the last mark was, and whether samples were left out since.
    marked: Option<u64>,
    left_out: bool,
}

/// The end that the reader has.
pub(super) struct Outlet {
    samples: HeapCons<f32>,
    marks: HeapCons<Mark>,
    shared: Arc<Shared>,
    index: u64,
    position: u64,
}

/// Rings for `buffer` samples and two blocks of `max_block` more, of a device of that rate and
/// so many channels, 1 at least, with a mark each `every` samples.
pub(super) fn rings(
    shared: &Arc<Shared>,
    rate: u32,
    channels: usize,
    buffer: usize,
    max_block: usize,
    every: usize,
) -> (Inlet, Outlet) {
    let (every, max_block) = (every.max(1), max_block.max(1));
    let capacity = buffer + 2 * max_block;
    let (samples, heard) = HeapRb::new(capacity).split();
    let (marks, read) = HeapRb::new(capacity / every + 4).split();
    let inlet = Inlet {
        samples,
        marks,
        shared: Arc::clone(shared),
        rate: f64::from(rate),
        channels,
        max_block,
        every: every as u64,
        index: 0,
        position: 0,
        marked: None,
        left_out: false,
    };
    let outlet =
        Outlet { samples: heard, marks: read, shared: Arc::clone(shared), index: 0, position: 0 };
    (inlet, outlet)
}

impl Inlet {
    /// Takes in a block of interleaved samples, the first of which was captured then.
    pub(super) fn handle_block<T>(&mut self, data: &[T], captured: Instant)
    where
        T: Sample,
        f32: FromSample<T>,
    {
        let len = data.len() / self.channels;
        let skip = len.saturating_sub(self.max_block);
        let data = &data[skip * self.channels..len * self.channels];
        let captured = captured + Duration::from_secs_f64(skip as f64 / self.rate);
        self.position += skip as u64;
        self.left_out |= skip > 0;
        if self.samples.vacant_len() >= len - skip && self.mark(captured) {
            let count = self.channels as f32;
            let mix = |frame: &[T]| frame.iter().map(|s| f32::from_sample(*s)).sum::<f32>() / count;
            self.index += self.samples.push_iter(data.chunks_exact(self.channels).map(mix)) as u64;
        } else {
            self.left_out = true;
        }
        self.position += (len - skip) as u64;
        self.shared.block.store((len - skip) as u64, Ordering::Relaxed);
        // With the reader's pair in `want`, one of the two always sees the other.
        self.shared.given.store(self.position, Ordering::SeqCst);
        let wanted = self.shared.wanted.load(Ordering::SeqCst);
        let once = |from| {
            let wanted = &self.shared.wanted;
            wanted.compare_exchange(from, u64::MAX, Ordering::SeqCst, Ordering::SeqCst)
        };
        if self.position >= wanted && once(wanted).is_ok() {
            self.shared.wake();
        }
    }

    /// Marks the next sample if it is time to, or must be. Whether it can be written.
    fn mark(&mut self, captured: Instant) -> bool {
        let due = self.marked.is_none_or(|at| self.position - at >= self.every);
        if !due && !self.left_out {
            return true;
        }
        let mark = Mark { index: self.index, position: self.position, captured };
        let marked = self.marks.try_push(mark).is_ok();
        if marked {
            (self.marked, self.left_out) = (Some(self.position), false);
        }
        marked
    }
}

impl Outlet {
    /// The mark of the next sample, if it has one that was not taken.
    pub(super) fn mark(&mut self) -> Option<Mark> {
        self.marks.try_peek().filter(|mark| mark.index <= self.index)?;
        let mark = self.marks.try_pop()?;
        self.position = mark.position;
        Some(mark)
    }

    /// Which sample of the device the next one is, as far as the marks taken tell.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// How many samples of the device are there beyond `keep` and a block.
    pub(super) fn excess(&self, keep: u64) -> u64 {
        let (given, block) =
            (self.shared.given.load(Ordering::SeqCst), self.shared.block.load(Ordering::Relaxed));
        given.saturating_sub(self.position).saturating_sub(keep + block)
    }

    /// Drops up to `most` samples, none beyond the next mark; how many.
    pub(super) fn skip(&mut self, most: u64) -> usize {
        let run = self.run(usize::try_from(most).unwrap_or(usize::MAX));
        let skipped = self.samples.skip(run);
        self.advance(skipped);
        skipped
    }

    /// Takes samples to fill `into`, none beyond the next mark; how many.
    pub(super) fn take(&mut self, into: &mut [f32]) -> usize {
        let run = self.run(into.len());
        let taken = self.samples.pop_slice(&mut into[..run]);
        self.advance(taken);
        taken
    }

    /// Has the reader woken when the device has given so many more samples than were taken.
    /// Whether it already has.
    pub(super) fn want(&self, more: u64) -> bool {
        let wanted = self.position + more;
        self.shared.wanted.store(wanted, Ordering::SeqCst);
        self.shared.given.load(Ordering::SeqCst) >= wanted
    }

    /// How many samples the device gave that never got here and have no mark yet. They are
    /// taken for read.
    pub(super) fn left_out(&mut self) -> u64 {
        // In this order: what had been given and is not there now will not come.
        let given = self.shared.given.load(Ordering::SeqCst);
        if self.samples.occupied_len() > 0 {
            return 0;
        }
        let left_out = given.saturating_sub(self.position);
        self.position += left_out;
        left_out
    }

    /// Has the reader run again.
    pub(super) fn wake(&self) {
        self.shared.wake();
    }

    /// How many of `most` samples are there and before the next mark.
    fn run(&self, most: usize) -> usize {
        // In this order: what is seen here has its mark seen there.
        let there = self.samples.occupied_len();
        let next = self.marks.try_peek().map_or(u64::MAX, |mark| mark.index);
        let before = usize::try_from(next.saturating_sub(self.index)).unwrap_or(usize::MAX);
        there.min(before).min(most)
    }

    fn advance(&mut self, count: usize) {
        self.index += count as u64;
        self.position += count as u64;
    }
}

impl fmt::Debug for Outlet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outlet").field("position", &self.position).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::disallowed_methods, reason = "any instant will do")]
    fn now() -> Instant {
        Instant::now()
    }

    /// All that can be had: runs of samples with the position each begins at.
    fn drain(outlet: &mut Outlet) -> Vec<(u64, Vec<f32>)> {
        let mut runs = Vec::new();
        let mut into = [0.0; 64];
        loop {
            let _ = outlet.mark();
            let position = outlet.position();
            let taken = outlet.take(&mut into);
            if taken == 0 {
                return runs;
            }
            runs.push((position, into[..taken].to_vec()));
        }
    }

    #[test]
    fn channels_are_mixed_and_formats_brought_to_one() {
        let shared = Shared::new();
        let (mut inlet, mut outlet) = rings(&shared, 48_000, 2, 100, 100, 10);
        inlet.handle_block(&[0.5_f32, -0.25, 1.0, 1.0], now());
        inlet.handle_block(&[i16::MIN, 0, 16_384, 16_384], now());
        inlet.handle_block(&[u16::MAX / 2 + 1, u16::MAX / 2 + 1], now());
        let all: Vec<f32> = drain(&mut outlet).into_iter().flat_map(|(_, run)| run).collect();
        assert_eq!(all, [0.125, 1.0, -0.5, 0.5, 0.0]);
    }

    #[test]
    fn a_full_ring_takes_no_more_and_says_where_it_goes_on() {
        let shared = Shared::new();
        let (mut inlet, mut outlet) = rings(&shared, 48_000, 1, 20, 10, 1_000);
        for n in 0..20 {
            inlet.handle_block(&[n as f32; 10], now());
        }
        let runs = drain(&mut outlet);
        assert_eq!(runs.iter().map(|(_, run)| run.len()).sum::<usize>(), 40);
        inlet.handle_block(&[20.0_f32; 10], now());
        let after = drain(&mut outlet);
        assert_eq!(after, [(200, vec![20.0; 10])]);
        assert_eq!(outlet.position(), 210);
    }

    #[test]
    fn of_a_block_that_is_too_large_the_end_is_kept_and_stamped() {
        let shared = Shared::new();
        let (mut inlet, mut outlet) = rings(&shared, 100, 1, 20, 10, 5);
        let block: Vec<f32> = (0..25).map(|n| n as f32).collect();
        let captured = now();
        inlet.handle_block(&block, captured);
        let mark = outlet.mark().unwrap();
        assert_eq!(mark.captured - captured, Duration::from_millis(150));
        let kept: Vec<f32> = block[15..].to_vec();
        assert_eq!(drain(&mut outlet), [(15, kept)]);
    }

    #[test]
    fn the_reader_is_woken_once_for_what_it_wanted() {
        let shared = Shared::new();
        let (mut inlet, outlet) = rings(&shared, 48_000, 1, 2_000, 500, 100);
        assert!(!outlet.want(960));
        inlet.handle_block(&[0.0_f32; 480], now());
        assert_eq!(shared.wanted.load(Ordering::SeqCst), 960);
        inlet.handle_block(&[0.0_f32; 480], now());
        assert_eq!(shared.wanted.load(Ordering::SeqCst), u64::MAX, "it was woken");
        assert!(outlet.want(960), "it is there");
    }

    #[test]
    fn of_a_storm_of_errors_the_first_counts_as_the_reason() {
        let shared = Shared::new();
        shared.complain();
        for n in 0..1_000 {
            shared.fail(format!("error {n}"));
        }
        assert_eq!((shared.failure(), shared.errors()), (Some("error 0"), 1_001));
    }
}
