//! What this process has cost, as the system tells it.

use std::fs;
use std::time::{Instant, SystemTime};

use paceline::types::{NtpTime, WallClock};

/// Seconds of processor time so far, all threads; `None` where the system does
/// not tell (it takes a Linux `/proc`).
pub(crate) fn cpu_seconds() -> Option<f64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The name in parentheses may hold spaces; utime and stime are fields 14, 15
    // (proc(5)), counted in 1/100 s on every Linux that user space sees.
    let fields: Vec<_> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = fields.get(11)?.parse::<f64>().ok()? + fields.get(12)?.parse::<f64>().ok()?;
    Some(ticks / 100.0)
}

/// The most memory this process ever held, in bytes; `None` as above.
pub(crate) fn peak_rss_bytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib = line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?;
    Some(kib * 1_024)
}

/// The clock that arrivals are stamped by: the end of the pipeline is a program.
#[expect(clippy::disallowed_methods, reason = "a program's main loop reads the clock")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Microseconds since 1970: what processes of one machine compare.
#[expect(clippy::disallowed_methods, reason = "a program's main loop reads the clock")]
pub(crate) fn unix_micros() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    since.as_micros() as u64
}

/// Where the two clocks touch, for the whole process.
#[expect(clippy::disallowed_methods, reason = "a program's main loop reads the clock")]
pub(crate) fn wall_clock() -> WallClock {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    WallClock::new(Instant::now(), NtpTime::from_unix(since))
}
