//! What this process has used: processor time and memory.

use std::fs;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;
use nix::time::{ClockId, clock_gettime};

/// Processor time so far, of all threads.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cpu {
    pub(crate) user_s: f64,
    pub(crate) system_s: f64,
    /// Times that a thread gave its core up to wait.
    pub(crate) waits: f64,
}

impl Cpu {
    pub(crate) fn now() -> Self {
        let seconds = |time: TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
        getrusage(UsageWho::RUSAGE_SELF).map_or_else(
            |_| Self::default(),
            |usage| Self {
                user_s: seconds(usage.user_time()),
                system_s: seconds(usage.system_time()),
                waits: usage.voluntary_context_switches() as f64,
            },
        )
    }

    pub(crate) fn since(self, earlier: Self) -> Self {
        Self {
            user_s: self.user_s - earlier.user_s,
            system_s: self.system_s - earlier.system_s,
            waits: self.waits - earlier.waits,
        }
    }

    pub(crate) fn seconds(self) -> f64 {
        self.user_s + self.system_s
    }
}

/// Memory in use, in KiB.
pub(crate) fn resident_kib() -> f64 {
    status("VmRSS:")
}

/// The most memory that was in use so far, in KiB. The kernel's field of this address space:
/// `ru_maxrss` would count what the parent had before the exec.
pub(crate) fn peak_kib() -> f64 {
    status("VmHWM:")
}

fn status(field: &str) -> f64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(f64::NAN)
}

/// The clock that `perf` stamps its samples with, in seconds.
pub(crate) fn monotonic_s() -> f64 {
    clock_gettime(ClockId::CLOCK_MONOTONIC)
        .map_or(f64::NAN, |now| now.tv_sec() as f64 + now.tv_nsec() as f64 / 1e9)
}

/// Allocations so far, if they are counted.
pub(crate) fn allocations() -> Option<f64> {
    #[cfg(feature = "allocations")]
    {
        #[global_allocator]
        static COUNTING: &stats_alloc::StatsAlloc<std::alloc::System> =
            &stats_alloc::INSTRUMENTED_SYSTEM;
        let stats = COUNTING.stats();
        Some((stats.allocations + stats.reallocations) as f64)
    }
    #[cfg(not(feature = "allocations"))]
    None
}
