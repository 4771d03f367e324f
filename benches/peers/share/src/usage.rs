//! What a process has used, as the kernel says.

use std::fs;

use crate::Failure;

/// Processor time so far of all its threads, in seconds, in user and kernel mode.
pub(crate) fn processor_time(pid: u32) -> Result<f64, Failure> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let ticks = ticks(&stat).ok_or_else(|| format!("/proc/{pid}/stat is not understood"))?;
    Ok(ticks as f64 / TICKS)
}

/// `utime` and `stime`, the 14th and 15th field; the second, a name, may hold anything.
fn ticks(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

/// A second: proc(5) counts in `sysconf(_SC_CLK_TCK)`, which Linux has fixed at this for
/// programs.
const TICKS: f64 = 100.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_and_spaces_moves_no_field() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194560 1 2 3 4 250 50 0 0 20 0 1 0 9 1 1";
        assert_eq!(ticks(stat), Some(300));
        assert_eq!(ticks("7 (a"), None);
    }

    #[test]
    fn a_process_that_works_uses_time() {
        let before = processor_time(std::process::id()).unwrap();
        let mut sum = 0_u64;
        while processor_time(std::process::id()).unwrap() < before + 0.03 {
            sum = (0..1_000_000).fold(sum, |sum, n| std::hint::black_box(sum ^ n));
        }
    }
}
