//! Buffers that are used again once nobody has them.

use bytes::{Bytes, BytesMut};

/// A pool of buffers that are handed out as [`Bytes`].
///
/// A buffer comes back by itself when its last clone is dropped: nobody returns it. In a
/// steady state, where as many are under way as there were before, nothing is allocated,
/// also if lengths vary: up to 1 MiB a buffer has a power of two of bytes, 16 KiB at least.
///
/// ```
/// use paceline_types::Pool;
///
/// let mut pool = Pool::new(2);
/// let mut buffer = pool.take(6);
/// buffer.copy_from_slice(b"abcdef");
/// let first = pool.share(buffer);
/// let at = first.as_ptr();
/// drop(first);
///
/// assert_eq!(pool.take(4).as_ptr(), at);
/// ```
#[derive(Debug)]
pub struct Pool {
    max: usize,
    lent: Vec<Lent>,
}

/// What was handed out.
#[derive(Debug)]
struct Lent {
    bytes: Bytes,
    capacity: usize,
}

impl Pool {
    /// A pool that remembers `max` buffers. When all are under way, what is taken besides
    /// is allocated, and freed with its last clone.
    #[must_use]
    pub fn new(max: usize) -> Self {
        Self { max, lent: Vec::with_capacity(max) }
    }

    /// A buffer of `len` bytes, with whatever was in it before.
    ///
    /// Of those that are back it is the first that is large enough, and not far too large.
    #[must_use]
    pub fn take(&mut self, len: usize) -> BytesMut {
        let back = self.lent.iter().position(|lent| lent.fits(len) && lent.bytes.is_unique());
        let back = back.and_then(|at| self.lent.swap_remove(at).bytes.try_into_mut().ok());
        if let Some(mut buffer) = back {
            buffer.resize(len, 0);
            return buffer;
        }
        // Split once, a buffer counts its clones from the start, and does not have to
        // allocate for that each time it is shared.
        let capacity = if len > MAX_ROUNDED { len } else { len.next_power_of_two().max(MIN_SIZE) };
        let mut buffer = BytesMut::zeroed(capacity + 1);
        drop(buffer.split_off(capacity));
        buffer.truncate(len);
        buffer
    }

    /// Hands a buffer out, and takes it back when its last clone is gone. In a pool that is
    /// full it takes the place of one that is back and of a size of before.
    #[must_use]
    pub fn share(&mut self, buffer: BytesMut) -> Bytes {
        let capacity = buffer.capacity();
        let shared = buffer.freeze();
        if self.lent.len() >= self.max {
            let of_before = |lent: &Lent| !lent.fits(shared.len()) && lent.bytes.is_unique();
            let Some(at) = self.lent.iter().position(of_before) else { return shared };
            self.lent.swap_remove(at);
        }
        self.lent.push(Lent { bytes: shared.clone(), capacity });
        shared
    }
}

impl Lent {
    /// Whether it is large enough for `len` bytes, and not far too large.
    fn fits(&self, len: usize) -> bool {
        self.capacity >= len && self.capacity / 4 <= len.max(MIN_LEN)
    }
}

/// Below this a buffer is not given up for being too large.
const MIN_LEN: usize = 64 << 10;

/// Most packets of 2 Mbit/s are smaller: 30 a second of 8,333 bytes.
const MIN_SIZE: usize = 16 << 10;

/// Pictures are larger, and of one size for long: to round them up would be waste.
const MAX_ROUNDED: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_under_way_is_not_written_to() {
        let mut pool = Pool::new(2);
        let mut lend = |fill: u8| {
            let mut buffer = pool.take(100);
            buffer.fill(fill);
            pool.share(buffer)
        };
        let all: Vec<_> = (0..5).map(&mut lend).collect();
        for (fill, buffer) in all.iter().enumerate() {
            assert!(buffer.iter().all(|&byte| usize::from(byte) == fill));
        }
        drop(all);
        let again: Vec<_> = (10..15).map(lend).collect();
        assert!(again.iter().zip(10..).all(|(buffer, fill)| buffer[..] == [fill; 100]));
    }

    #[test]
    fn a_buffer_keeps_its_place_from_one_use_to_the_next() {
        let mut pool = Pool::new(3);
        let first = pool.take(1_000);
        let at = first.as_ptr();
        for len in [1_000, 10, 900, 1_000] {
            let buffer = pool.take(len);
            drop(pool.share(buffer));
        }
        let shared = pool.share(first);
        let slice = shared.slice(5..);
        drop(shared);
        assert_ne!(pool.take(1_000).as_ptr(), at, "a part of it is under way");
        drop(slice);
        assert!((0..3).map(|_| pool.take(1_000)).any(|buffer| buffer.as_ptr() == at));
    }

    #[test]
    fn lengths_that_vary_share_buffers() {
        let mut pool = Pool::new(4);
        let first = pool.take(9_000);
        let at = first.as_ptr();
        drop(pool.share(first));
        for len in [9_001, 1, 12_345, 16_384] {
            let buffer = pool.take(len);
            assert_eq!((buffer.as_ptr(), buffer.len()), (at, len));
            drop(pool.share(buffer));
        }
    }

    #[test]
    fn what_does_not_fit_is_passed_over_and_kept_for_what_it_does_fit() {
        let mut pool = Pool::new(2);
        let (small, large) = (pool.take(1_000), pool.take(300_000));
        let (small_at, large_at) = (small.as_ptr(), large.as_ptr());
        drop([pool.share(small), pool.share(large)]);
        for _ in 0..3 {
            let large = pool.take(300_000);
            let small = pool.take(1_000);
            assert_eq!((large.as_ptr(), small.as_ptr()), (large_at, small_at));
            drop([pool.share(small), pool.share(large)]);
        }
    }

    #[test]
    fn a_pool_that_is_full_of_what_is_too_small_grows_into_what_is_asked_for() {
        let mut pool = Pool::new(2);
        let small = [pool.take(1_000), pool.take(1_000)];
        drop(small.map(|buffer| pool.share(buffer)));
        let large = [pool.take(100_000), pool.take(100_000)];
        let places = [large[0].as_ptr(), large[1].as_ptr()];
        drop(large.map(|buffer| pool.share(buffer)));
        let again = [pool.take(100_000), pool.take(100_000)];
        assert!(again.iter().all(|buffer| places.contains(&buffer.as_ptr())));
    }

    #[test]
    fn of_another_size_by_far_it_is_let_go() {
        let mut pool = Pool::new(1);
        let large = pool.take(10 << 20);
        drop(pool.share(large));
        assert!(pool.take(1 << 20).capacity() < 2 << 20);
    }
}
