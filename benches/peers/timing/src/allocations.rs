//! Counts what this thread allocates.
#![expect(unsafe_code, reason = "an allocator is unsafe to implement")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    static CALLS: Cell<u64> = const { Cell::new(0) };
    static HELD: Cell<i64> = const { Cell::new(0) };
}

/// The system's allocator, counted per thread.
#[derive(Debug)]
struct Counting;

#[global_allocator]
static COUNTING: Counting = Counting;

/// Allocations this thread made so far, growth included.
pub(crate) fn calls() -> u64 {
    CALLS.with(Cell::get)
}

/// Bytes this thread allocated less those it freed.
pub(crate) fn held() -> i64 {
    HELD.with(Cell::get)
}

fn count(calls: u64, bytes: i64) {
    // While a thread ends its locals are gone, and nobody asks any more.
    let _ = CALLS.try_with(|cell| cell.set(cell.get() + calls));
    let _ = HELD.try_with(|cell| cell.set(cell.get() + bytes));
}

// SAFETY: every call is passed on to the system's allocator as it is; counting allocates
// nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(1, layout.size() as i64);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        count(0, -(layout.size() as i64));
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(1, size as i64 - layout.size() as i64);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.realloc(block, layout, size) }
    }
}

#[cfg(test)]
mod tests {
    use std::hint::black_box;

    use super::*;

    #[test]
    fn a_vector_is_one_allocation_of_its_size() {
        let (calls_before, held_before) = (calls(), held());
        let bytes = black_box(Vec::<u8>::with_capacity(1_000));
        assert_eq!((calls() - calls_before, held() - held_before), (1, 1_000));
        drop(bytes);
        assert_eq!((calls() - calls_before, held() - held_before), (1, 0));
    }
}
