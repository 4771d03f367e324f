//! Programs that are not ours.
#![expect(clippy::disallowed_methods, reason = "other programs run in real time")]

use std::env;
use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// Whether ffmpeg is installed, with these encoders. If not, says that the test is
/// skipped.
///
/// # Panics
///
/// If it is not, and `PACELINE_INTEROP` is `required`: so that no test is skipped where
/// the peers were installed.
#[must_use]
pub fn has_ffmpeg(encoders: &[&str]) -> bool {
    let list = output(Command::new("ffmpeg").args(["-v", "error", "-encoders"]));
    let missing = |encoder: &&str| match &list {
        Some(list) => !list.split_whitespace().any(|word| word == *encoder),
        None => true,
    };
    found("ffmpeg", list.is_some(), encoders.iter().copied().filter(missing).collect())
}

/// Whether GStreamer is installed, with these elements. If not, says that the test is
/// skipped.
///
/// # Panics
///
/// As [`has_ffmpeg`].
#[must_use]
pub fn has_gstreamer(elements: &[&str]) -> bool {
    let installed = output(Command::new("gst-launch-1.0").arg("--version")).is_some();
    let missing = |element: &&str| {
        output(Command::new("gst-inspect-1.0").args(["--exists", element])).is_none()
    };
    found("GStreamer", installed, elements.iter().copied().filter(missing).collect())
}

pub(crate) fn found(program: &str, installed: bool, missing: Vec<&str>) -> bool {
    let reason = match (cfg!(target_os = "linux"), installed) {
        (false, _) => "readiness of peers is told by /proc/net/udp, of Linux".to_owned(),
        (_, false) => format!("{program} is not installed (make interop-deps)"),
        _ if missing.is_empty() => return true,
        _ => format!("{program} has no {}", missing.join(", ")),
    };
    let required = env::var_os("PACELINE_INTEROP").is_some_and(|value| value == "required");
    assert!(!required, "{reason}");
    eprintln!("skipped: {reason}");
    false
}

/// What a program that ends by itself writes; none if it is not there, or fails.
pub(crate) fn output(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A running program, killed when dropped.
#[derive(Debug)]
pub struct Peer {
    name: String,
    child: Child,
    stdout: Pipe,
    stderr: Pipe,
    /// It has closed its output.
    over: bool,
    deadline: Instant,
}

impl Peer {
    /// Starts ffmpeg, that says errors only and asks nothing.
    #[must_use]
    pub fn ffmpeg(arguments: &str) -> Self {
        let mut command = Command::new("ffmpeg");
        command.args(["-nostdin", "-y", "-v", "error"]);
        Self::start(command.args(arguments.split_whitespace()))
    }

    /// Starts a GStreamer pipeline, whose end is that of its sources.
    #[must_use]
    pub fn gstreamer(pipeline: &str) -> Self {
        Self::start(Command::new("gst-launch-1.0").args(pipeline.split_whitespace()))
    }

    fn start(command: &mut Command) -> Self {
        let name = format!("{command:?}");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("a program that is installed can be started");
        let stdout = Pipe::new(child.stdout.take().expect("is piped"));
        let stderr = Pipe::new(child.stderr.take().expect("is piped"));
        let deadline = Instant::now() + LIFETIME;
        Self { name, child, stdout, stderr, over: false, deadline }
    }

    /// Waits, but no longer than that, and says whether it is over.
    ///
    /// # Panics
    ///
    /// If its deadline is over.
    pub fn is_over_within(&mut self, pause: Duration) -> bool {
        self.over = self.over || self.stdout.is_closed_within(pause);
        if !self.over && Instant::now() >= self.deadline {
            let _ = self.child.kill();
            panic!("not over after {LIFETIME:?}: {}", self.complaint());
        }
        self.over
    }

    /// Waits until it is over, and returns what it wrote.
    ///
    /// # Panics
    ///
    /// If it failed, or its deadline is over.
    #[must_use]
    pub fn finish(mut self) -> Vec<u8> {
        while !self.is_over_within(PATIENCE) {}
        let status = self.child.wait().expect("it is our child");
        assert!(status.success(), "{status}: {}", self.complaint());
        self.stdout.read()
    }

    /// What it wrote so far.
    #[must_use]
    pub fn written(&self) -> String {
        String::from_utf8_lossy(&self.stdout.read()).into_owned()
    }

    /// What it said before it failed.
    #[must_use]
    pub fn complaint(&self) -> String {
        let _ = self.stderr.is_closed_within(PATIENCE);
        format!("{}\n{}", self.name, String::from_utf8_lossy(&self.stderr.read()))
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What comes out of a program. It is read at once, so that nobody waits for room.
#[derive(Debug)]
struct Pipe {
    bytes: Arc<Mutex<Vec<u8>>>,
    /// Nothing comes of it: its end is the end of the pipe.
    end: Receiver<()>,
}

impl Pipe {
    fn new(mut pipe: impl Read + Send + 'static) -> Self {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let (sender, end) = mpsc::channel();
        let written = Arc::clone(&bytes);
        thread::spawn(move || {
            let _sender: mpsc::Sender<()> = sender;
            let mut buffer = [0; 4_096];
            while let Ok(len @ 1..) = pipe.read(&mut buffer) {
                written.lock().expect("nobody panics with it").extend(&buffer[..len]);
            }
        });
        Self { bytes, end }
    }

    fn read(&self) -> Vec<u8> {
        self.bytes.lock().expect("nobody panics with it").clone()
    }

    fn is_closed_within(&self, pause: Duration) -> bool {
        self.end.recv_timeout(pause) == Err(RecvTimeoutError::Disconnected)
    }
}

/// Ours: a test takes some seconds, on a machine that is busy some more.
const LIFETIME: Duration = Duration::from_secs(60);

/// Ours: how long to wait at a time where waiting is all there is to do.
const PATIENCE: Duration = Duration::from_secs(1);
