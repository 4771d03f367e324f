//! A PulseAudio server of the test's own, with sinks that lead nowhere.
//!
//! The client library finds its server through the environment, which is one for all of a
//! process and must not change once threads run. So a test that opens devices runs in a
//! process of its own: [`with_pulse`] starts a daemon, then this same binary again with
//! that one test's name and the daemon's address, and there the body runs. Tests of one
//! binary may so run side by side, in any order, each with devices that no other sees.
//!
//! ```ignore
//! #[test]
//! fn a_tone_is_heard() {
//!     with_pulse("a_tone_is_heard", |pulse| {
//!         pulse.null_sink("room", 48_000, 2);
//!         let _playing = pulse.play("room", 48_000, 1, &tone);
//!         let heard = pulse.record("room.monitor", 48_000, 1).take(48_000);
//!     });
//! }
//! ```
//!
//! A null sink keeps no strict time and hands out blocks of up to two seconds: samples are
//! counted, never waited for by the clock.
#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// Runs `body` with a server of its own, in a process of its own. `test` is the full name of
/// the calling test. Without PulseAudio it says so and returns, unless `PACELINE_INTEROP`
/// is `required`.
pub(crate) fn with_pulse(test: &str, body: impl FnOnce(&mut Pulse)) {
    if let Some(dir) = env::var_os(MARKER) {
        let mut pulse = Pulse::lent(dir.into());
        body(&mut pulse);
        // One that the body killed and started anew is this process's to end.
        pulse.kill();
        return;
    }
    let Some(mut pulse) = Pulse::start() else { return };
    let child = Command::new(env::current_exe().expect("a test is a file"))
        .args([test, "--exact", "--nocapture", "--test-threads=1"])
        .envs(pulse.environment())
        .env(MARKER, &pulse.dir)
        .env(DAEMON, pulse.id().expect("it runs").to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("this binary starts again");
    let (ended, said) = finish(child, LONGEST);
    pulse.kill();
    pulse.end_left();
    assert!(
        ended == Some(true) && said.contains("1 passed"),
        "{test}: {}\n{said}",
        if ended.is_none() { "it hung" } else { "it failed, or there is no test of this name" },
    );
}

/// The server.
#[derive(Debug)]
pub(crate) struct Pulse {
    dir: PathBuf,
    daemon: Option<Child>,
    /// Whether the directory is ours to remove.
    owner: bool,
}

impl Pulse {
    /// Starts one that has no device yet. `None`, and the reason printed, where PulseAudio is
    /// not installed; a panic instead if `PACELINE_INTEROP` is `required`.
    pub(crate) fn start() -> Option<Self> {
        for program in ["pulseaudio", "pactl", "pacat"] {
            let found = Command::new(program).arg("--version").output().is_ok();
            let required = env::var_os("PACELINE_INTEROP").is_some_and(|v| v == "required");
            assert!(found || !required, "{program} is not installed");
            if !found {
                eprintln!("skipped: {program} is not installed");
                return None;
            }
        }
        let mut pulse = Self { dir: temporary(), daemon: None, owner: true };
        pulse.run();
        Some(pulse)
    }

    /// The server in that directory, as the process of a test has it which was started by
    /// another: that one ends the daemon and removes the directory.
    fn lent(dir: PathBuf) -> Self {
        Self { dir, daemon: None, owner: false }
    }

    /// The same as another process would have it.
    pub(crate) fn lend(&self) -> Self {
        Self::lent(self.dir.clone())
    }

    /// Starts the daemon, again if it was killed, at the address it had.
    pub(crate) fn run(&mut self) {
        let _ = fs::remove_file(self.socket());
        let mut daemon = Command::new("pulseaudio")
            .args(["-n", "--daemonize=no", "--system=false", "--exit-idle-time=-1"])
            .args(["--use-pid-file=no", "--disable-shm=yes", "--high-priority=no"])
            .args(["--realtime=no", "--log-level=info", "--log-target=stderr", "-L"])
            .arg(format!(
                "module-native-protocol-unix auth-anonymous=1 socket={}",
                self.socket().display()
            ))
            .envs(self.environment())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("pulseaudio starts");
        let log = BufReader::new(daemon.stderr.take().expect("it is piped"));
        if !self.owner {
            // Who owns the directory ends it if this process does not come to that.
            fs::write(self.note(), daemon.id().to_string()).expect("it is written");
        }
        self.daemon = Some(daemon);
        let (ready, wait) = mpsc::channel();
        // It reads on after that: a full pipe would stop the server.
        thread::spawn(move || {
            for line in log.lines().map_while(Result::ok) {
                if line.contains("Daemon startup complete") {
                    let _ = ready.send(());
                }
            }
        });
        wait.recv_timeout(WATCHDOG).expect("pulseaudio is up");
    }

    /// What a program needs in its environment to find this server, and no other.
    pub(crate) fn environment(&self) -> Vec<(&'static str, OsString)> {
        vec![
            ("PULSE_SERVER", format!("unix:{}", self.socket().display()).into()),
            ("PULSE_RUNTIME_PATH", self.dir.join("pulse").into()),
            ("PULSE_COOKIE", self.dir.join("cookie").into()),
            ("XDG_RUNTIME_DIR", self.dir.clone().into()),
            ("XDG_CONFIG_HOME", self.dir.clone().into()),
            ("HOME", self.dir.clone().into()),
            ("LC_ALL", "C".into()),
        ]
    }

    /// Loads a module, as `module-null-sink sink_name=room`; its index.
    pub(crate) fn load(&self, module: &str) -> u32 {
        let words: Vec<_> = ["load-module"].into_iter().chain(module.split(' ')).collect();
        let index = self.pactl(&words);
        index.trim().parse().unwrap_or_else(|_| panic!("{module}: {index:?} is no index"))
    }

    /// Unloads a module, and with it the devices it made.
    pub(crate) fn unload(&self, module: u32) {
        self.pactl(&["unload-module", &module.to_string()]);
    }

    /// A sink that leads nowhere, and its monitor, `<name>.monitor`; its module.
    pub(crate) fn null_sink(&self, name: &str, rate: u32, channels: u8) -> u32 {
        self.load(&format!("module-null-sink sink_name={name} rate={rate} channels={channels}"))
    }

    /// Asks the server for something, as `pactl` does; what it says.
    pub(crate) fn pactl(&self, arguments: &[&str]) -> String {
        let child = Command::new("pactl")
            .args(arguments)
            .envs(self.environment())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("pactl starts");
        let (ended, said) = finish(child, WATCHDOG);
        assert_eq!(ended, Some(true), "pactl {arguments:?}: {said}");
        said
    }

    /// Plays interleaved samples into a sink, until their end or until dropped.
    pub(crate) fn play(&self, sink: &str, rate: u32, channels: u8, samples: &[f32]) -> Playing {
        let bytes: Vec<u8> = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
        let path = self.dir.join(format!("played-{}", unique()));
        fs::write(&path, bytes).expect("a temporary file is written");
        let mut pacat = self.pacat("--playback", sink, rate, channels);
        Playing(Some(pacat.arg(&path).stdout(Stdio::null()).spawn().expect("pacat starts")))
    }

    /// Records from a source, as `room.monitor`, until dropped.
    pub(crate) fn record(&self, source: &str, rate: u32, channels: u8) -> Recording {
        let mut pacat = self.pacat("--record", source, rate, channels);
        let mut child = pacat.stdout(Stdio::piped()).spawn().expect("pacat starts");
        let mut heard = child.stdout.take().expect("it is piped");
        let (give, blocks) = mpsc::channel();
        thread::spawn(move || {
            let mut block = vec![0; 4_096];
            while let Ok(len @ 1..) = heard.read(&mut block) {
                if give.send(block[..len].to_vec()).is_err() {
                    break;
                }
            }
        });
        Recording { child, blocks, held: Vec::new() }
    }

    fn pacat(&self, way: &str, device: &str, rate: u32, channels: u8) -> Command {
        let mut command = Command::new("pacat");
        command
            .args([way, "--raw", "--format=float32le", "--latency-msec=20"])
            .arg(format!("--device={device}"))
            .arg(format!("--rate={rate}"))
            .arg(format!("--channels={channels}"))
            .envs(self.environment())
            .stdin(Stdio::null())
            .stderr(Stdio::null());
        command
    }

    /// Ends the server at once, as if it had crashed. In the process of a test it ends the
    /// daemon that the test was given.
    pub(crate) fn kill(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            let _ = daemon.kill();
            let _ = daemon.wait();
            if !self.owner {
                let _ = fs::remove_file(self.note());
            }
        }
    }

    /// Ends the daemon that a process which is gone started here and left.
    pub(crate) fn end_left(&self) {
        let Ok(id) = fs::read_to_string(self.note()) else { return };
        let id: u32 = id.parse().expect("it is a number");
        // The id may be another's by now; no other's command has this directory in it.
        let command = fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
        if String::from_utf8_lossy(&command).contains(&*self.dir.to_string_lossy()) {
            signal("-KILL", id);
        }
    }

    /// Waits until the daemon that this started has ended of itself or by another; whether it
    /// did before the watchdog bit.
    pub(crate) fn wait(&mut self) -> bool {
        within(self.daemon.take().expect("it was started"), WATCHDOG).is_some()
    }

    /// Kills the daemon which the parent of this process started: by its id, and only its.
    pub(crate) fn crash(&mut self) {
        if self.daemon.is_some() {
            return self.kill();
        }
        signal("-KILL", parents());
    }

    /// Stops the daemon which the parent of this process started, as if it hung: it keeps its
    /// connections and answers nothing, until [thawed](Self::thaw).
    pub(crate) fn freeze(&self) {
        signal("-STOP", parents());
    }

    /// Has it run on.
    pub(crate) fn thaw(&self) {
        signal("-CONT", parents());
    }

    /// The process of the daemon, if it is ours.
    pub(crate) fn id(&self) -> Option<u32> {
        self.daemon.as_ref().map(Child::id)
    }

    fn socket(&self) -> PathBuf {
        self.dir.join("pulse/native")
    }

    /// Where the id of a daemon is that was started by a process which does not own this.
    fn note(&self) -> PathBuf {
        self.dir.join("left")
    }
}

impl Drop for Pulse {
    fn drop(&mut self) {
        self.kill();
        if self.owner {
            let _ = fs::remove_dir_all(&self.dir);
        }
    }
}

/// Samples under way into a sink. It is stopped when dropped.
#[derive(Debug)]
pub(crate) struct Playing(Option<Child>);

impl Playing {
    /// Waits until all was played.
    pub(crate) fn finish(mut self) {
        let ended = self.0.take().and_then(|child| within(child, WATCHDOG));
        assert_eq!(ended, Some(true), "pacat plays to the end");
    }
}

impl Drop for Playing {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// What comes out of a source. It is stopped when dropped.
#[derive(Debug)]
pub(crate) struct Recording {
    child: Child,
    blocks: mpsc::Receiver<Vec<u8>>,
    held: Vec<u8>,
}

impl Recording {
    /// The next `count` samples, all channels of all frames counted, waited for.
    ///
    /// # Panics
    ///
    /// If they have not come when the watchdog bites.
    pub(crate) fn take(&mut self, count: usize) -> Vec<f32> {
        while self.held.len() < 4 * count {
            let block = self.blocks.recv_timeout(WATCHDOG).expect("the source gives samples");
            self.held.extend(block);
        }
        let taken: Vec<u8> = self.held.drain(..4 * count).collect();
        taken.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `seconds` of a sine of `hz` and that amplitude, one channel.
pub(crate) fn sine(hz: f64, amplitude: f64, rate: u32, seconds: f64) -> Vec<f32> {
    let step = std::f64::consts::TAU * hz / f64::from(rate);
    let count = (seconds * f64::from(rate)) as usize;
    (0..count).map(|n| (amplitude * (step * n as f64).sin()) as f32).collect()
}

/// The amplitude of a sine of `hz` in one channel of samples (the Goertzel algorithm, over a
/// Hann window: what is more than two cycles of the whole away counts for nothing).
pub(crate) fn level(samples: &[f32], hz: f64, rate: u32) -> f64 {
    let (step, len) = (std::f64::consts::TAU * hz / f64::from(rate), samples.len() as f64);
    let (mut re, mut im) = (0.0, 0.0);
    for (n, &sample) in samples.iter().enumerate() {
        let window = 1.0 - (std::f64::consts::TAU * n as f64 / len).cos();
        let (sin, cos) = (step * n as f64).sin_cos();
        re += window * f64::from(sample) * cos;
        im += window * f64::from(sample) * sin;
    }
    2.0 * re.hypot(im) / len
}

/// Whether a program ended well, and all it said; `None` if it had to be ended.
fn finish(mut child: Child, limit: Duration) -> (Option<bool>, String) {
    let outs: [Option<Box<dyn Read + Send>>; 2] = [
        child.stdout.take().map(|out| Box::new(out) as _),
        child.stderr.take().map(|err| Box::new(err) as _),
    ];
    let readers = outs.map(|out| {
        thread::spawn(move || {
            let mut said = String::new();
            if let Some(mut out) = out {
                let _ = out.read_to_string(&mut said);
            }
            said
        })
    });
    let ended = within(child, limit);
    let said = readers.map(|reader| reader.join().unwrap_or_default());
    (ended, said.concat())
}

/// Waits for a program; ends it if it takes longer than `limit`.
fn within(mut child: Child, limit: Duration) -> Option<bool> {
    let id = child.id();
    let (tell, ended) = mpsc::channel();
    let waiting = thread::spawn(move || {
        let _ = tell.send(child.wait().is_ok_and(|status| status.success()));
    });
    let well = ended.recv_timeout(limit).ok();
    if well.is_none() {
        // Nobody has waited for it, so the id is still its own.
        signal("-KILL", id);
    }
    let _ = waiting.join();
    well
}

fn signal(kind: &str, id: u32) {
    let sent = Command::new("kill").args([kind, &id.to_string()]).status();
    assert!(sent.expect("kill starts").success(), "process {id} is sent {kind}");
}

/// The daemon that this process was given.
fn parents() -> u32 {
    let id = env::var(DAEMON).expect("the parent says it");
    id.parse().expect("it is a number")
}

/// A directory that nothing else uses, which goes with the server.
fn temporary() -> PathBuf {
    let name = format!("paceline-pulse-{}-{}", std::process::id(), unique());
    let dir = env::temp_dir().join(name);
    make_private(&dir.join("pulse"));
    dir
}

/// PulseAudio refuses a directory that others may read.
fn make_private(dir: &Path) {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).expect("it is created");
}

fn unique() -> u64 {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// Where the process of a test finds the server's directory.
const MARKER: &str = "PACELINE_TEST_PULSE";
/// And the process of the daemon.
const DAEMON: &str = "PACELINE_TEST_PULSE_DAEMON";

/// How long anything may take before it has hung. Far more than anything takes.
const WATCHDOG: Duration = Duration::from_secs(60);
/// How long the process of a test may take: some of what it waits for has [`WATCHDOG`] of its
/// own, and should be what says that it hung.
const LONGEST: Duration = Duration::from_secs(240);
