//! Where the processor time goes: samples by `perf`, sorted by whose code was running.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Serialize;

use crate::contender::Contender;
use crate::rounds;
use crate::work::{Job, Work};

/// The groups, in the order of the table.
const GROUPS: [&str; 17] = [
    "kernel: send",
    "kernel: receive",
    "kernel: epoll, futex, switches",
    "kernel: other",
    "crypto",
    "DTLS",
    "SCTP",
    "ICE, STUN",
    "engine's driver and glue",
    "checksums",
    "tokio, locks, channels",
    "allocation",
    "copying",
    "hash tables",
    "clock",
    "paceline",
    "this program",
];

/// What is in none of the groups.
const REST: &str = "other";

/// One contender's profile.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Profile {
    pub(crate) who: Contender,
    /// Microseconds of processor time for each delivered message, by group.
    pub(crate) us: Vec<(&'static str, f64)>,
    /// The functions that took most, with the share of all samples.
    pub(crate) hottest: Vec<(String, f64)>,
}

/// Whether `perf` is there and may sample.
pub(crate) fn is_possible() -> bool {
    let mut perf = Command::new("perf");
    perf.args(["record", "--quiet", "-e", "cpu-clock", "-o", "/dev/null", "--", "true"]);
    let status = perf.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

/// Samples a fan-out of one contender.
pub(crate) fn profile(who: Contender, viewers: usize, what: Work) -> Option<Profile> {
    let file = Scratch(std::env::temp_dir().join(format!("fanout-{}.perf", std::process::id())));
    let mut perf = Command::new("perf");
    perf.args(["record", "--quiet", "-e", "cpu-clock", "-F", "1999", "-k", "CLOCK_MONOTONIC"]);
    perf.args(["-g", "-o"]).arg(&file.0);
    let outcome = rounds::run(Job { who, viewers, what }, Some(&mut perf))?;
    let script = script(&file.0)?;
    let (total, [begin, end]) = (outcome.cpu_us?, outcome.window?);
    let mut groups = [0_u64; GROUPS.len() + 1];
    let mut functions = std::collections::BTreeMap::new();
    let mut samples = 0_u64;
    for stack in script.split("\n\n").filter_map(Stack::parse) {
        let Some(leaf) = stack.frames.first() else { continue };
        // The join is another matter.
        if !(begin..end).contains(&stack.time) {
            continue;
        }
        samples += 1;
        groups[stack.group()] += 1;
        *functions.entry(leaf.name).or_insert(0_u64) += 1;
    }
    let share = |count: u64| count as f64 / samples.max(1) as f64;
    let names = GROUPS.into_iter().chain([REST]);
    let us = names.zip(groups).map(|(name, count)| (name, total * share(count))).collect();
    let mut hottest: Vec<_> =
        functions.into_iter().map(|(name, count)| (name.to_owned(), share(count))).collect();
    hottest.sort_by(|a, b| b.1.total_cmp(&a.1));
    hottest.truncate(12);
    Some(Profile { who, us, hottest })
}

/// A file that is gone afterwards.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn script(file: &Path) -> Option<String> {
    let mut perf = Command::new("perf");
    perf.args(["script", "--no-inline", "-F", "time,ip,sym,dso", "-i"]).arg(file);
    let output = perf.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// One sample.
struct Stack<'a> {
    /// In seconds of `CLOCK_MONOTONIC`.
    time: f64,
    /// Innermost first.
    frames: Vec<Frame<'a>>,
}

struct Frame<'a> {
    name: &'a str,
    object: &'a str,
}

impl<'a> Stack<'a> {
    /// A line with the time, then lines of an address, a name and an object in brackets.
    fn parse(sample: &'a str) -> Option<Self> {
        let mut lines = sample.trim_start_matches('\n').lines();
        let time = lines.next()?.trim().trim_end_matches(':').parse().ok()?;
        let frame = |line: &'a str| {
            let (_, rest) = line.trim().split_once(' ')?;
            let (name, object) = rest.rsplit_once(" (")?;
            Some(Frame { name: name.trim(), object: object.trim_end_matches(')') })
        };
        Some(Self { time, frames: lines.filter_map(frame).collect() })
    }

    fn group(&self) -> usize {
        let Some(leaf) = self.frames.first() else { return GROUPS.len() };
        if leaf.object.starts_with("[kernel") {
            return self.system_call();
        }
        let has = |parts: &[&str]| parts.iter().any(|part| leaf.name.contains(part));
        let groups: [(usize, &[&str]); 12] = [
            (11, &["malloc", "free", "realloc", "calloc", "_int_", "unlink_chunk", "__rust_"]),
            (12, &["memmove", "memcpy", "memset"]),
            (13, &["hashbrown", "core::hash", "hash::random"]),
            (9, &["crc"]),
            (
                4,
                &["ring_core", "ring::", "aws_lc", "aes", "gcm", "ghash", "sha2", "x25519", "ecp_"],
            ),
            (5, &["rtc_dtls", "dimpl", "dtls"]),
            (6, &["sctp"]),
            (7, &["rtc_ice", "rtc_stun", "stun", "rtc_turn", "is_::", "<is::", "is::agent"]),
            (15, &["paceline_mesh", "paceline_framing", "paceline_transport", "paceline_types"]),
            (16, &["paceline_bench_fanout"]),
            (10, &["tokio", "mio::", "parking_lot", "event_listener", "async_", "futures"]),
            (10, &["concurrent_queue", "epoll", "pthread"]),
        ];
        if leaf.object == "[vdso]" || has(&["Timespec", "time::Instant"]) {
            return 14;
        }
        let found = groups.iter().find(|(_, parts)| has(parts)).map(|(group, _)| *group);
        let engine = || has(&["webrtc", "rtc::", "rtc_", "str0m", "quinn_udp"]).then_some(8);
        found.or_else(engine).unwrap_or(GROUPS.len())
    }

    fn system_call(&self) -> usize {
        let has = |parts: &[&str]| {
            self.frames.iter().any(|frame| parts.iter().any(|part| frame.name.contains(part)))
        };
        if has(&["sys_sendto", "sys_sendmsg", "sys_sendmmsg"]) {
            0
        } else if has(&["sys_recvfrom", "sys_recvmsg", "sys_recvmmsg"]) {
            1
        } else if has(&["epoll", "futex", "schedule", "sys_write", "eventfd"]) {
            2
        } else {
            3
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_belongs_to_the_code_that_ran_or_to_the_call_that_the_kernel_served() {
        let group = |frames: &str| {
            let sample = format!("12.5:\n{frames}");
            let stack = Stack::parse(&sample).expect("it has a time");
            assert!((stack.time - 12.5).abs() < 1e-9);
            stack.group()
        };
        let sent = "\tffff ip_output ([kernel.kallsyms])\n\tffff __sys_sendmsg ([kernel.kallsyms])";
        assert_eq!(GROUPS[group(sent)], "kernel: send");
        assert_eq!(GROUPS[group("\t55 rtc_sctp::association::f (/x/bench)")], "SCTP");
        assert_eq!(GROUPS[group("\t55 ring_core_0_17_aes_gcm (/x/bench)")], "crypto");
        assert_eq!(GROUPS[group("\t55 cfree@GLIBC_2.2.5 (/lib/libc.so.6)")], "allocation");
        assert_eq!(group("\t55 main (/x/bench)"), GROUPS.len());
    }
}
