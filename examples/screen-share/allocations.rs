//! Counts what the process allocates, by thread.
#![expect(unsafe_code, reason = "an allocator is unsafe to implement")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::fs;
use std::ops::Sub;
use std::sync::atomic::{AtomicI32, AtomicU8, AtomicU64, AtomicUsize, Ordering};

/// Allocations of Rust code, growth included. What the encoder and other C code allocate for
/// themselves is not counted.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Count {
    pub(crate) calls: u64,
    pub(crate) bytes: u64,
}

/// Those of a process, by what the threads do.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Allocations {
    /// Of the thread that reads, converts and encodes pictures.
    pub(crate) picture: Count,
    /// Of the thread that reads and encodes sound.
    pub(crate) sound: Count,
    /// Of all others: packets, encryption, the network, and this program's own.
    pub(crate) rest: Count,
}

impl Allocations {
    /// Since the process has begun.
    pub(crate) fn so_far() -> Self {
        let mut all = Self::default();
        for slot in &SLOTS {
            let count = Count { calls: load(&slot.calls), bytes: load(&slot.bytes) };
            let of = match slot.role() {
                PICTURE => &mut all.picture,
                SOUND => &mut all.sound,
                _ => &mut all.rest,
            };
            of.calls += count.calls;
            of.bytes += count.bytes;
        }
        all
    }

    pub(crate) fn process(&self) -> Count {
        let Self { picture, sound, rest } = self;
        Count {
            calls: picture.calls + sound.calls + rest.calls,
            bytes: picture.bytes + sound.bytes + rest.bytes,
        }
    }
}

impl Sub for Count {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        let since = u64::saturating_sub;
        Self { calls: since(self.calls, before.calls), bytes: since(self.bytes, before.bytes) }
    }
}

impl Sub for Allocations {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self {
            picture: self.picture - before.picture,
            sound: self.sound - before.sound,
            rest: self.rest - before.rest,
        }
    }
}

/// The counts of one thread, on a cache line of their own: nobody else writes there.
#[repr(align(64))]
struct Slot {
    /// As the system numbers it; 0 is none.
    thread: AtomicI32,
    role: AtomicU8,
    calls: AtomicU64,
    bytes: AtomicU64,
}

impl Slot {
    const fn new() -> Self {
        Self {
            thread: AtomicI32::new(0),
            role: AtomicU8::new(UNKNOWN),
            calls: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
        }
    }

    /// What its thread does, by the name it had when this was first asked.
    fn role(&self) -> u8 {
        let thread = self.thread.load(Ordering::Relaxed);
        let known = self.role.load(Ordering::Relaxed);
        if thread == 0 || known != UNKNOWN {
            return known;
        }
        let name = fs::read_to_string(format!("/proc/self/task/{thread}/comm"));
        let role = match name.unwrap_or_default().trim_end() {
            "paceline-video" => PICTURE,
            "paceline-audio" => SOUND,
            _ => OTHER,
        };
        self.role.store(role, Ordering::Relaxed);
        role
    }
}

const UNKNOWN: u8 = 0;
const PICTURE: u8 = 1;
const SOUND: u8 = 2;
const OTHER: u8 = 3;

/// The last one is of all threads that come too late for one of their own.
static SLOTS: [Slot; 128] = [const { Slot::new() }; 128];

/// How many have a thread.
static TAKEN: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// Which slot is this thread's.
    static OURS: Cell<usize> = const { Cell::new(usize::MAX) };
}

fn load(count: &AtomicU64) -> u64 {
    count.load(Ordering::Relaxed)
}

fn count(bytes: usize) {
    // Constant and without a destructor: it can be asked at any time, and allocates nothing.
    let index = OURS.with(|ours| {
        let mut index = ours.get();
        if index == usize::MAX {
            index = TAKEN.fetch_add(1, Ordering::Relaxed).min(SLOTS.len() - 1);
            ours.set(index);
            if index < SLOTS.len() - 1 {
                SLOTS[index].thread.store(number_of_this_thread(), Ordering::Relaxed);
            }
        }
        index
    });
    let slot = &SLOTS[index];
    slot.calls.fetch_add(1, Ordering::Relaxed);
    slot.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
}

#[cfg(target_os = "linux")]
fn number_of_this_thread() -> i32 {
    nix::unistd::gettid().as_raw()
}

/// Elsewhere threads are not told apart.
#[cfg(not(target_os = "linux"))]
fn number_of_this_thread() -> i32 {
    0
}

/// The system's allocator, counted: a few nanoseconds more for each call.
#[derive(Debug)]
struct Counting;

#[global_allocator]
static COUNTING: Counting = Counting;

// SAFETY: every call is passed on to the system's allocator as it is; counting allocates
// nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size.saturating_sub(layout.size()));
        // SAFETY: the caller's promise is passed on.
        unsafe { System.realloc(block, layout, size) }
    }
}

#[cfg(test)]
mod tests {
    use std::hint::black_box;
    use std::sync::mpsc::channel;
    use std::thread;

    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn what_a_thread_allocates_is_counted_under_what_it_does_also_after_its_end() {
        let (ready, is_ready) = channel();
        let (go, gone) = channel::<()>();
        let work = move || {
            drop(black_box(Vec::<u8>::with_capacity(1)));
            ready.send(()).expect("the test listens");
            gone.recv().expect("the test goes on");
            for _ in 0..1_000 {
                drop(black_box(Vec::<u8>::with_capacity(1_000)));
            }
        };
        let thread = thread::Builder::new().name("paceline-audio".into()).spawn(work);
        is_ready.recv().expect("it runs");
        let before = Allocations::so_far();
        go.send(()).expect("it waits");
        thread.expect("it starts").join().expect("it ends");
        let since = Allocations::so_far() - before;
        // Its end may take a few.
        assert!((1_000..1_020).contains(&since.sound.calls), "{since:?}");
        assert!((1_000_000..1_010_000).contains(&since.sound.bytes), "{since:?}");
        assert_eq!(since.picture, Count::default());
        assert!(since.process().calls >= since.sound.calls);
    }

    #[test]
    fn growth_counts_as_what_it_adds_and_zeroes_as_what_they_take() {
        // Tests beside this one allocate too: of so many bytes nobody else does.
        let before = Allocations::so_far().process().bytes;
        let mut grown = black_box(vec![0_u8; 300 << 20]);
        grown.reserve_exact(200 << 20);
        let bytes = Allocations::so_far().process().bytes - before;
        assert!((500 << 20..600 << 20).contains(&bytes), "{bytes}");
    }
}
