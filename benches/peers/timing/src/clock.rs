//! The clock of this process, which may be told what to say.
//!
//! The `neteq` crate reads `Instant::now()`. This program defines the `clock_gettime` that
//! std calls: while a thread has [`set`] a time of its own, that is the answer there, and
//! else the kernel's.
#![expect(unsafe_code, reason = "interposes a function of libc, and asks the kernel")]

use std::cell::Cell;

thread_local! {
    static VIRTUAL_NS: Cell<Option<u64>> = const { Cell::new(None) };
}

/// From now on this thread's clocks say `ns`; none gives them back to the kernel.
pub(crate) fn set(ns: Option<u64>) {
    VIRTUAL_NS.with(|cell| cell.set(ns));
}

/// The kernel's monotonic clock, whatever this thread has set.
pub(crate) fn real_ns() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a timespec of this frame.
    let result =
        unsafe { libc::syscall(libc::SYS_clock_gettime, libc::CLOCK_MONOTONIC, &raw mut time) };
    assert_eq!(result, 0, "the kernel has a monotonic clock");
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// What libc's function of that name does, but for the virtual time.
///
/// # Safety
///
/// As of libc's: `time` must be writable.
// SAFETY: the name and the signature are libc's; nothing else in this program defines it.
#[unsafe(no_mangle)]
unsafe extern "C" fn clock_gettime(
    clock: libc::clockid_t,
    time: *mut libc::timespec,
) -> libc::c_int {
    // While a thread ends its locals are gone: then it is the kernel's time.
    if let Ok(Some(ns)) = VIRTUAL_NS.try_with(Cell::get) {
        let virtual_time = libc::timespec {
            tv_sec: (ns / 1_000_000_000) as libc::time_t,
            tv_nsec: (ns % 1_000_000_000) as libc::c_long,
        };
        // SAFETY: the caller of clock_gettime passes a pointer to a timespec it owns.
        unsafe { time.write(virtual_time) };
        return 0;
    }
    // SAFETY: the arguments are those of the call, passed on as they are.
    unsafe { libc::syscall(libc::SYS_clock_gettime, clock, time) as libc::c_int }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant, SystemTime};

    use super::*;

    #[test]
    fn std_reads_the_virtual_time_and_then_the_real_one_again() {
        let real = Instant::now();
        set(Some(5_000_000_000));
        let (before, wall) = (Instant::now(), SystemTime::now());
        set(Some(5_250_000_001));
        let step = Instant::now() - before;
        set(None);
        assert_eq!(step, Duration::from_nanos(250_000_001));
        assert_eq!(wall.duration_since(SystemTime::UNIX_EPOCH).unwrap(), Duration::from_secs(5));
        let passed = real.elapsed();
        assert!(passed < Duration::from_secs(60), "{passed:?}");
        assert!(Instant::now() >= real, "the kernel's clock again");
    }

    #[test]
    fn another_thread_keeps_the_real_time() {
        set(Some(1));
        let there = std::thread::spawn(SystemTime::now).join().unwrap();
        set(None);
        let since = there.duration_since(SystemTime::UNIX_EPOCH).unwrap();
        assert!(since > Duration::from_secs(1_000_000_000));
    }
}
