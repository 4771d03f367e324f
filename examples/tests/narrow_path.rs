//! A call whose path becomes narrow, and one that shares its path: two network namespaces,
//! and a token bucket between them (`tc tbf`).
//!
//! What is asserted is that the call goes on. How well is printed, also beside the other
//! carrier: `make bench-path`.
#![cfg(target_os = "linux")]
#![allow(clippy::disallowed_methods, reason = "a network in real time")]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

mod programs;

use programs::machines::{Machines, narrow_or_skip};
use programs::{Program, json, temp};

/// One at a time: each measures.
static MACHINE: Mutex<()> = Mutex::new(());

/// Noise that no encoder can predict: it takes whatever bitrate it is given.
fn noise() -> temp::File {
    let (width, height) = (320, 180);
    let file = temp::File::new("y4m");
    let mut clip = format!("YUV4MPEG2 W{width} H{height} F30:1 Ip A1:1 C420jpeg\n").into_bytes();
    let mut state = 1_u32;
    for _ in 0..45 {
        clip.extend_from_slice(b"FRAME\n");
        for _ in 0..width * height / 16 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            clip.extend_from_slice(&[96 + (state >> 26) as u8; 16]);
        }
        clip.resize(clip.len() + width * height / 2, 128);
    }
    std::fs::write(file.path(), clip).expect("there is room for it");
    file
}

/// A call over the cable: the first machine hosts, so its mix goes over it.
struct Call {
    host: Program,
    guest: Program,
    trace: temp::File,
    _noise: temp::File,
}

fn call(machines: &Machines, carrier: &str, seconds: u32) -> Call {
    let (noise, trace) = (noise(), temp::File::new("csv"));
    let (seconds, longer) = (seconds.to_string(), (seconds + 20).to_string());
    let clip = noise.path().to_str().expect("a plain name");
    let common = ["--video", clip, "--audio", "tone", "--carrier", carrier, "--bitrate", "3500"];
    let host = ["host", "--listen", "10.77.0.1:0", "--duration", &longer, "--json"];
    let mut host = machines.run(0, &[&host[..], &common].concat());
    let invitation = host.wait_for("others join with: call join ");
    let url = invitation.rsplit(' ').next().expect("a last word");
    let trace_to = trace.path().to_str().expect("a plain name");
    let guest = ["join", url, "--duration", &seconds, "--json", "--trace", trace_to];
    let guest = machines.run(1, &[&guest[..], &common].concat());
    Call { host, guest, trace, _noise: noise }
}

/// When a picture was seen, in seconds from a moment on, and how many milliseconds late.
fn pictures(trace: &temp::File, from: SystemTime) -> Vec<(f64, f64)> {
    let from = from.duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").as_micros() as f64;
    let text = std::fs::read_to_string(trace.path()).expect("it was written");
    let row = |line: &str| {
        let mut fields = line.split(',');
        let at: f64 = fields.next()?.parse().ok()?;
        Some(((at - from) / 1e6, fields.nth(2)?.parse().ok()?))
    };
    text.lines().skip(1).map(|line| row(line).expect("four fields")).collect()
}

fn within(pictures: &[(f64, f64)], from: f64, to: f64) -> Vec<f64> {
    let mut late: Vec<_> =
        pictures.iter().filter(|(at, _)| (from..to).contains(at)).map(|&(_, ms)| ms).collect();
    late.sort_by(f64::total_cmp);
    late
}

fn median(sorted: &[f64]) -> f64 {
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

#[test]
fn a_call_goes_on_when_its_path_becomes_narrow_and_wide_again() {
    let _alone = MACHINE.lock().unwrap_or_else(PoisonError::into_inner);
    for carrier in carriers() {
        let Some(machines) = narrow_or_skip(4_000, 300) else { return };
        let mut call = call(&machines, &carrier, 34);
        call.guest.wait_for("   5 s ");
        let now = SystemTime::now;
        wait(10);
        let narrow = now();
        machines.limit(1_000, 300).expect("it did before");
        wait(10);
        machines.limit(4_000, 300).expect("it did before");
        let report = json(&call.guest.finish());
        programs::signal("TERM", call.host.id());
        let host = json(&call.host.finish());
        let seen = pictures(&call.trace, narrow);

        let late = seen.iter().filter(|&&(at, ms)| (0.5..10.0).contains(&at) && ms > 300.0);
        let first_good = seen
            .iter()
            .filter(|&&(at, ms)| (0.0..10.0).contains(&at) && ms > 300.0)
            .map(|&(at, _)| at)
            .fold(0.0, f64::max);
        let rows: Vec<_> = [(-5.0, 0.0), (0.0, 0.5), (0.5, 2.0), (2.0, 10.0), (10.0, 20.0)]
            .map(|(from, to)| (from, to, within(&seen, from, to)))
            .into();
        println!(
            "{carrier}: 4 -> 1 -> 4 Mbit/s, {} pictures over 300 ms after 0.5 s, the last after {first_good:.2} s",
            late.count()
        );
        for (from, to, late) in &rows {
            println!(
                "  {from:5.1} to {to:4.1} s: {:3} pictures, p50 {:4.0} ms, worst {:4.0} ms",
                late.len(),
                median(late),
                late.last().copied().unwrap_or(f64::NAN),
            );
        }
        assert_eq!(report["errors"], serde_json::json!([]), "{carrier}");
        assert_eq!(host["errors"], serde_json::json!([]), "{carrier}");
        // What is shown just where it becomes narrow is printed: a machine stands still for so long.
        for (from, to) in [(-5.0, 0.0), (0.0, 2.0), (2.0, 10.0), (10.0, 20.0)] {
            assert!(!within(&seen, from, to).is_empty(), "{carrier}: no picture in {from} to {to}");
        }
    }
}

#[test]
fn a_call_and_a_download_share_a_path() {
    let _alone = MACHINE.lock().unwrap_or_else(PoisonError::into_inner);
    for carrier in carriers() {
        let Some(machines) = narrow_or_skip(4_000, 150) else { return };
        let machines = Arc::new(machines);
        let mut call = call(&machines, &carrier, 26);
        call.guest.wait_for("   5 s ");
        wait(4);
        let begun = SystemTime::now();
        let download = Download::start(&machines);
        wait(18);
        let (bytes, span) = download.stop();
        let report = json(&call.guest.finish());
        programs::signal("TERM", call.host.id());
        json(&call.host.finish());
        let seen = within(&pictures(&call.trace, begun), 3.0, 18.0);
        let download = bytes as f64 * 8.0 / span.as_secs_f64() / 1e6;
        println!(
            "{carrier}: beside a download of {download:.2} of 4 Mbit/s, {} pictures in 15 s, \
             p50 {:.0} ms, worst {:.0} ms",
            seen.len(),
            median(&seen),
            seen.last().copied().unwrap_or(f64::NAN),
        );
        assert_eq!(report["errors"], serde_json::json!([]), "{carrier}");
        assert!(!seen.is_empty(), "{carrier}: no picture");
        assert!(bytes > 0, "{carrier}: the download had nothing");
    }
}

/// A TCP connection that takes what it gets, from the first machine to the second.
struct Download {
    stop: Arc<AtomicBool>,
    bytes: Arc<AtomicU64>,
    begun: Instant,
    threads: Vec<thread::JoinHandle<()>>,
}

impl Download {
    fn start(machines: &Arc<Machines>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let bytes = Arc::new(AtomicU64::new(0));
        let (ready, port) = std::sync::mpsc::channel();
        let receiver = {
            let (machines, bytes) = (Arc::clone(machines), Arc::clone(&bytes));
            thread::spawn(move || {
                machines.enter(1);
                let listener = TcpListener::bind("10.77.0.2:0").expect("a free port");
                ready.send(listener.local_addr().expect("bound")).expect("he waits");
                let (mut stream, _) = listener.accept().expect("somebody comes");
                let mut buffer = vec![0; 64 << 10];
                while let Ok(count) = stream.read(&mut buffer)
                    && count > 0
                {
                    bytes.fetch_add(count as u64, Ordering::Relaxed);
                }
            })
        };
        let address = port.recv_timeout(programs::WATCHDOG).expect("it listens");
        let sender = {
            let (machines, stop) = (Arc::clone(machines), Arc::clone(&stop));
            thread::spawn(move || {
                machines.enter(0);
                let mut stream = TcpStream::connect(address).expect("it listens");
                let patience = Some(Duration::from_millis(500));
                stream.set_write_timeout(patience).expect("a time-out");
                while !stop.load(Ordering::Relaxed) {
                    // A time-out is a look at the flag.
                    let _ = stream.write(&[0; 16 << 10]);
                }
                let _ = stream.shutdown(std::net::Shutdown::Both);
            })
        };
        Self { stop, bytes, begun: Instant::now(), threads: vec![sender, receiver] }
    }

    fn stop(self) -> (u64, Duration) {
        let came = (self.bytes.load(Ordering::Relaxed), self.begun.elapsed());
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads {
            thread.join().expect("it ends");
        }
        came
    }
}

/// The time that a phase of the experiment takes.
fn wait(seconds: u64) {
    thread::sleep(Duration::from_secs(seconds));
}

/// The one that has to cope by itself, or whichever are to be compared.
fn carriers() -> Vec<String> {
    let named = std::env::var("PACELINE_CARRIERS").unwrap_or_else(|_| "rtp".to_owned());
    named.split(',').map(str::to_owned).collect()
}
