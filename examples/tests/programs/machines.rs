//! Two network namespaces with a cable between them stand for two machines.

use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use nix::sched::{CloneFlags, setns};

use super::{CALL, Program, start};

/// Two machines and a cable; gone when it is dropped.
pub(crate) struct Machines {
    names: [String; 2],
}

impl Machines {
    /// Why not, where this user or this system cannot.
    pub(crate) fn new() -> Result<Self, String> {
        // Several tests of one process have theirs at once.
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let id = format!("{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let this = Self { names: [format!("paceline-a-{id}"), format!("paceline-b-{id}")] };
        let [a, b] = &this.names;
        let may_fail = [
            format!("netns add {a}"),
            format!("netns add {b}"),
            format!("-n {a} link add cable type veth peer name cable netns {b}"),
        ];
        for line in may_fail {
            ip(&line)?;
        }
        for (name, address) in [(a, "10.77.0.1/24"), (b, "10.77.0.2/24")] {
            for line in [
                format!("-n {name} address add {address} dev cable"),
                format!("-n {name} link set cable up"),
                // Who hosts reaches his own server by way of it.
                format!("-n {name} link set lo up"),
            ] {
                ip(&line).expect("who can make a namespace can work in it");
            }
        }
        Ok(this)
    }

    /// Starts the program of this package on one of them.
    pub(crate) fn run(&self, machine: usize, args: &[&str]) -> Program {
        let name = self.names[machine].as_str();
        start(&[&["ip", "netns", "exec", name, CALL], args].concat())
    }
}

/// What the machines do with what leaves the first for the second.
impl Machines {
    /// Lets so much of it through, with a queue of so many milliseconds before it; the first
    /// time, and whenever it is another.
    pub(crate) fn limit(&self, kbps: u32, queue_ms: u32) -> Result<(), String> {
        let name = self.names[0].as_str();
        let line = format!(
            "-n {name} qdisc replace dev cable root tbf rate {kbps}kbit burst 8kb \
             latency {queue_ms}ms"
        );
        run("tc", &line)
    }

    /// Has the calling thread work on one of them from now on.
    pub(crate) fn enter(&self, machine: usize) {
        let path = format!("/run/netns/{}", self.names[machine]);
        let space = std::fs::File::open(path).expect("it is there");
        setns(space, CloneFlags::CLONE_NEWNET).expect("who can make it can enter it");
    }
}

/// Two of them, with a cable that takes so much, unless this system cannot and need not.
pub(crate) fn narrow_or_skip(kbps: u32, queue_ms: u32) -> Option<Machines> {
    let machines = machines_or_skip()?;
    // Not every kernel can shape.
    match machines.limit(kbps, queue_ms) {
        Ok(()) => Some(machines),
        Err(why) => skip(&why),
    }
}

/// Two of them, unless they cannot be had here and need not be.
pub(crate) fn machines_or_skip() -> Option<Machines> {
    match Machines::new() {
        Ok(machines) => Some(machines),
        Err(why) => skip(&why),
    }
}

fn skip(why: &str) -> Option<Machines> {
    let required = std::env::var("PACELINE_INTEROP").is_ok_and(|v| v == "required");
    assert!(!required, "{why}");
    println!("skipped: {why}");
    None
}

fn ip(line: &str) -> Result<(), String> {
    run("ip", line)
}

fn run(program: &str, line: &str) -> Result<(), String> {
    let output = Command::new(program).args(line.split_whitespace()).output();
    let output = output.map_err(|error| format!("there is no `{program}`: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{program} {line}: {}", String::from_utf8_lossy(&output.stderr).trim()))
}

impl Drop for Machines {
    fn drop(&mut self) {
        for name in &self.names {
            let _ = Command::new("ip").args(["netns", "delete", name]).output();
        }
    }
}
