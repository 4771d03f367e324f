//! What a packet of RTP costs from one end of a connection to the other, beside the bare engine.
//!
//! `cargo bench -p paceline-transport --features webrtc --bench rtp_packet -- --rounds 5`
//!
//! Both ends are in this process, each a task, over sockets of 127.0.0.1; the figures are
//! processor time (`getrusage`, user and kernel) of the whole process: the loops of sender
//! and receiver, both engines, both kernels' halves. In each round all take their turn, and each
//! turn is a process of its own. Medians over the rounds, with the least and the most.
//!
//! | row | |
//! |---|---|
//! | `bare` | tracks of the `webrtc` crate as it comes, with its default interceptors |
//! | `ours` | `paceline_transport::WebRtc` with `Carrier::Rtp` |
//!
//! A packet has 1,200 bytes. `1 a ms` wakes everybody for each packet; `10 a ms` is what a paced
//! picture is like. The opening is from the call until both ends are open; `--rounds 0 --openings 1000` looks for rare ones.
#![allow(clippy::disallowed_methods, missing_docs, reason = "a bench: it has a clock")]
#![cfg(feature = "webrtc")]

mod bare;
mod ours;
#[path = "../../tests/pair/mod.rs"]
mod pair;

use std::env;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;
use paceline_transport::WebRtcConfig;
use tokio::time::MissedTickBehavior;

/// One kind of packet, again and again.
#[derive(Clone, Copy)]
struct Load {
    name: &'static str,
    tick: Duration,
    burst: u32,
}

const LOADS: [Load; 3] = [
    Load { name: "1 each 20 ms", tick: Duration::from_millis(20), burst: 1 },
    Load { name: "1 a ms", tick: Duration::from_millis(1), burst: 1 },
    Load { name: "10 a ms", tick: Duration::from_millis(1), burst: 10 },
];

const CONTENDERS: [&str; 2] = ["bare", "ours"];

/// Packets that arrived.
type Arrived = Arc<AtomicU64>;

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let value = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        arguments.get(at + 1)?.parse::<f64>().ok()
    };
    let seconds = value("--seconds").unwrap_or(3.0);
    if let [child, who, load, ..] = &arguments[..]
        && child == "--child"
    {
        let load = *LOADS.iter().find(|one| one.name == load).expect("a load");
        return block_on(measure(who.clone(), load, Duration::from_secs_f64(seconds)));
    }
    let rounds = value("--rounds").unwrap_or(5.0) as usize;
    let times = value("--openings").unwrap_or(40.0) as usize;
    let program = env::current_exe().expect("this program");
    for load in LOADS {
        let mut figures = [const { Vec::new() }; CONTENDERS.len()];
        for round in 0..rounds {
            for turn in 0..CONTENDERS.len() {
                let at = (round + turn) % CONTENDERS.len();
                let output = Command::new(&program)
                    .args(["--child", CONTENDERS[at], load.name])
                    .args(["--seconds", &seconds.to_string()])
                    .output()
                    .expect("this program runs");
                let said = String::from_utf8_lossy(&output.stdout);
                let said: Vec<f64> =
                    said.split_whitespace().filter_map(|word| word.parse().ok()).collect();
                match <[f64; FIGURES.len()]>::try_from(said) {
                    Ok(said) => figures[at].push(said),
                    Err(_) => eprintln!("{}", String::from_utf8_lossy(&output.stderr)),
                }
            }
        }
        println!("{}", load.name);
        for (who, figures) in CONTENDERS.iter().zip(&figures) {
            for (at, name) in FIGURES.iter().enumerate() {
                let values = figures.iter().map(|figures| figures[at]).collect();
                println!("  {who:<5} {name:<24} {}", spread(values));
            }
        }
    }
    println!("opening, ms, {times} times");
    for (name, config) in [("rtp", pair::rtp_config()), ("channel", WebRtcConfig::default())] {
        let took = block_on(openings(config, times));
        println!("  {name:<30} {}", spread(took));
    }
}

fn block_on<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    // As a task: what `block_on` itself polls costs a switch of threads more.
    runtime.block_on(runtime.spawn(work)).expect("no panic")
}

async fn measure(who: String, load: Load, length: Duration) {
    let arrived = Arrived::default();
    let mut sender = match &who[..] {
        "bare" => Sender::Bare(bare::open(Arc::clone(&arrived)).await),
        _ => Sender::Ours(Box::new(ours::open(Arc::clone(&arrived)).await)),
    };
    // What is done once only is over.
    stretch(&mut sender, load, Duration::from_millis(500)).await;
    let (before, came) = (Usage::now(), arrived.load(Ordering::Relaxed));
    let sent = stretch(&mut sender, load, length).await;
    let (used, came) = (Usage::now(), arrived.load(Ordering::Relaxed) - came);
    let packets = sent as f64;
    let [user, system, waits] = used.since(before);
    println!(
        "{} {} {} {}",
        (user + system) / packets,
        system / packets,
        waits / packets,
        // Of the last tick some may be on their way.
        (packets - came as f64).max(0.0) / packets * 100.0,
    );
}

enum Sender {
    Bare(bare::Sender),
    Ours(Box<ours::Sender>),
}

/// How many packets were handed over.
async fn stretch(sender: &mut Sender, load: Load, length: Duration) -> u64 {
    let end = Instant::now() + length;
    let mut tick = tokio::time::interval(load.tick);
    tick.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut sent = 0;
    while Instant::now() < end {
        match sender {
            Sender::Bare(_) => drop(tick.tick().await),
            Sender::Ours(sender) => tokio::select! {
                _ = tick.tick() => {}
                () = sender.idle() => {}
            },
        }
        for _ in 0..load.burst {
            match sender {
                Sender::Bare(sender) => sender.send().await,
                Sender::Ours(sender) => sender.send(),
            }
            sent += 1;
        }
    }
    sent
}

async fn openings(config: WebRtcConfig, times: usize) -> Vec<f64> {
    let mut took = Vec::new();
    for _ in 0..times {
        let pair = pair::Pair::new(config.clone(), None);
        let start = Instant::now();
        let pair = pair.opened().await;
        took.push(start.elapsed().as_secs_f64() * 1e3);
        pair.shutdown().await;
    }
    took
}

/// Microseconds of user and of kernel, and times that a thread gave its core up.
#[derive(Clone, Copy)]
struct Usage([f64; 3]);

impl Usage {
    fn now() -> Self {
        let usage = getrusage(UsageWho::RUSAGE_SELF).expect("Linux has it");
        let micros = |time: TimeVal| time.tv_sec() as f64 * 1e6 + time.tv_usec() as f64;
        let waits = usage.voluntary_context_switches() as f64;
        Self([micros(usage.user_time()), micros(usage.system_time()), waits])
    }

    fn since(self, earlier: Self) -> [f64; 3] {
        [0, 1, 2].map(|at| self.0[at] - earlier.0[at])
    }
}

fn spread(mut values: Vec<f64>) -> String {
    values.sort_by(f64::total_cmp);
    match values[..] {
        [] => "-".to_owned(),
        [first, ..] => {
            let (median, last) = (values[values.len() / 2], values[values.len() - 1]);
            format!("{median:8.2}  [{first:.2} {last:.2}]")
        }
    }
}

/// What a child prints.
const FIGURES: [&str; 4] =
    ["µs of CPU a packet", "  of it in the kernel", "thread waits a packet", "not arrived, %"];
