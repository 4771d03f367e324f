//! Two hosts with two paths between them, as network namespaces, which takes root. The
//! path in use is taken away.
#![allow(clippy::disallowed_methods, reason = "the edge of the network reads the clock")]
#![cfg(all(feature = "webrtc", target_os = "linux"))]

use std::fs::File;
use std::net::IpAddr;
use std::process::Command;
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, setns};
use paceline_transport::types::{ConnectionEvent, ConnectionOp, PacketKind, PeerId, Signal};
use paceline_transport::{Transport, WebRtc, WebRtcConfig};
use tokio::sync::mpsc;

/// Two namespaces that go away with it, whatever happens.
struct Hosts {
    names: [String; 2],
}

impl Hosts {
    /// Two of them, with two cables; the reason if that is not allowed.
    fn new() -> Result<Self, String> {
        let names = ["a", "b"].map(|end| format!("paceline-{}-{end}", std::process::id()));
        let hosts = Self { names };
        let [a, b] = &hosts.names;
        for name in [a, b] {
            ip(&["netns", "add", name])?;
        }
        for path in ["1", "2"] {
            let cable = format!("path{path}");
            ip(&[
                "-n", a, "link", "add", &cable, "type", "veth", "peer", "name", &cable, "netns", b,
            ])?;
            for (name, host) in [(a, "1"), (b, "2")] {
                let address = format!("10.77.{path}.{host}/24");
                ip(&["-n", name, "address", "add", &address, "dev", &cable])?;
                ip(&["-n", name, "link", "set", &cable, "up"])?;
            }
        }
        Ok(hosts)
    }
}

impl Drop for Hosts {
    fn drop(&mut self) {
        for name in &self.names {
            // One that was not made cannot be removed.
            let _ = ip(&["netns", "delete", name]);
        }
    }
}

fn ip(args: &[&str]) -> Result<(), String> {
    let made = Command::new("ip").args(args).output().map_err(|error| error.to_string())?;
    made.status
        .success()
        .then_some(())
        .ok_or_else(|| String::from_utf8_lossy(&made.stderr).trim().to_owned())
}

/// Bytes that this thread's host has sent over each cable.
fn sent() -> [u64; 2] {
    let table = std::fs::read_to_string("/proc/thread-self/net/dev").expect("it has devices");
    ["path1:", "path2:"].map(|cable| {
        let row = table.lines().find_map(|line| line.trim().strip_prefix(cable));
        row.and_then(|row| row.split_whitespace().nth(8)).expect("a row").parse().expect("bytes")
    })
}

/// What the two hosts tell each other and the test.
#[derive(Debug)]
enum Note {
    Signal(Signal),
    /// The other has all that it waits for.
    Done,
}

/// One end. Sends a number each 5 ms, and reads the other's, until both have all.
struct Host {
    first: bool,
    name: String,
    to_other: mpsc::UnboundedSender<Note>,
    from_other: mpsc::UnboundedReceiver<Note>,
    /// When the path was taken away.
    cut: Arc<OnceLock<Instant>>,
    /// How long after that the first end restarts.
    patience: Duration,
}

/// How long after the cut there was a path, and the first message.
struct Report {
    path: Duration,
    data: Duration,
}

impl Host {
    fn run(mut self) -> Option<Report> {
        let namespace = File::open(format!("/run/netns/{}", self.name)).expect("it was made");
        setns(namespace, CloneFlags::CLONE_NEWNET).expect("root may");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let watchdog = Duration::from_secs(30);
        runtime.expect("a runtime").block_on(async {
            tokio::time::timeout(watchdog, self.work()).await.expect("data stopped")
        })
    }

    async fn work(&mut self) -> Option<Report> {
        let peer = PeerId::from_bytes([7; 16]);
        let bind = IpAddr::from([0, 0, 0, 0]);
        let mut transport = WebRtc::new(WebRtcConfig::default().bind(bind));
        if self.first {
            transport.apply(Instant::now(), peer, ConnectionOp::Call);
        }
        let mut tick = tokio::time::interval(Duration::from_millis(5));
        let (mut open, mut sent_count, mut heard) = (false, 0_u32, 0_u32);
        let (mut restarted, mut path, mut data) = (false, None, None);
        let (mut other_done, mut told_done) = (false, false);
        while !(told_done && other_done) {
            tokio::select! {
                _ = tick.tick(), if open => {
                    if sent_count < COUNT && transport.outstanding(peer) < 64 << 10 {
                        let number = sent_count.to_be_bytes().to_vec();
                        transport.try_send(Instant::now(), peer, PacketKind::Message, number.into()).expect("room");
                        sent_count += 1;
                    }
                    if self.first && sent_count == COUNT / 4 && self.cut.get().is_none() {
                        // The cable that carried more is the one in use.
                        let bytes = sent();
                        let cable = if bytes[0] > bytes[1] { "path1" } else { "path2" };
                        ip(&["-n", &self.name, "link", "set", cable, "down"]).expect("root may");
                        self.cut.set(Instant::now()).expect("cut once");
                    }
                    let due = self.cut.get().is_some_and(|at| at.elapsed() >= self.patience);
                    if self.first && due && !restarted {
                        restarted = true;
                        transport.apply(Instant::now(), peer, ConnectionOp::RestartIce);
                    }
                }
                Some(note) = self.from_other.recv() => match note {
                    Note::Done => other_done = true,
                    Note::Signal(signal) => {
                        transport.apply(Instant::now(), peer, ConnectionOp::Remote(signal));
                    }
                },
                () = transport.ready() => {}
            }
            while let Some((_, event)) = transport.poll_event() {
                match event {
                    ConnectionEvent::Local(signal) => {
                        // The other may be done before the last of it.
                        let _ = self.to_other.send(Note::Signal(signal));
                    }
                    ConnectionEvent::Open => open = true,
                    ConnectionEvent::Message(message) => {
                        assert_eq!(message[..], heard.to_be_bytes(), "lost, doubled or reordered");
                        heard += 1;
                        // What was in the air when it was cut does not count.
                        if path.is_some() && data.is_none() {
                            data = self.cut.get().map(Instant::elapsed);
                        }
                    }
                    ConnectionEvent::Path { up: true } => {
                        path = self.cut.get().map(Instant::elapsed);
                    }
                    ConnectionEvent::Closed { reason } => panic!("closed: {reason}"),
                    _ => {}
                }
            }
            if heard == COUNT && !told_done {
                told_done = true;
                let _ = self.to_other.send(Note::Done);
            }
        }
        transport.shutdown().await;
        Some(Report { path: path?, data: data? })
    }
}

/// Messages of each end: 2 s of them, a quarter before the cut.
const COUNT: u32 = 400;

fn cut_and_restart_after(patience: Duration, hosts: &Hosts) {
    let cut = Arc::new(OnceLock::new());
    let (to_b, from_a) = mpsc::unbounded_channel();
    let (to_a, from_b) = mpsc::unbounded_channel();
    let host = |first, to_other, from_other| Host {
        first,
        name: hosts.names[usize::from(!first)].clone(),
        to_other,
        from_other,
        cut: Arc::clone(&cut),
        patience,
    };
    let (a, b) = (host(true, to_b, from_b), host(false, to_a, from_a));
    let (a, b) = (thread::spawn(|| a.run()), thread::spawn(|| b.run()));
    for end in [a, b] {
        let report = end.join().expect("it went well").expect("a path, and data after it");
        println!(
            "restart {patience:?} after the cut: a path after {:?}, data after {:?}",
            report.path, report.data
        );
    }
}

#[test]
fn data_goes_on_over_the_other_path_with_nothing_lost() {
    for patience in [Duration::ZERO, Duration::from_secs(2)] {
        match Hosts::new() {
            Ok(hosts) => cut_and_restart_after(patience, &hosts),
            Err(reason) => println!("skipped: no network namespaces: {reason}"),
        }
    }
}
