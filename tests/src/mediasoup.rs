//! A real mediasoup with the signalling of its demo, and Chromium in its rooms.
//!
//! `interop/mediasoup/server.mjs` is a child of the test. It ends when its input is
//! closed, its worker and its browsers end with it: nothing is left when a test panics,
//! or is killed. What happens there is written as lines of JSON, and a test waits for one
//! of them; nobody asks again and again.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};
use std::{env, thread};

use serde_json::{Value, json};

use crate::TempDir;
use crate::peer::{found, output};

/// Whether mediasoup was built and can be run. If not, says that the test is skipped.
///
/// # Panics
///
/// If it is not there, and `PACELINE_INTEROP` is `required`.
#[must_use]
pub fn has_mediasoup() -> bool {
    let node = output(Command::new(node()).arg("--version")).is_some();
    let missing = [("worker", worker()), ("packages", modules().join("node_modules/mediasoup"))];
    let missing = missing.iter().filter(|(_, path)| !path.exists()).map(|&(name, _)| name);
    found("mediasoup", node, missing.collect())
}

/// The same for mediasoup and Chromium.
///
/// # Panics
///
/// As [`has_mediasoup`].
#[must_use]
pub fn has_browser() -> bool {
    let chromium = output(Command::new("chromium").arg("--version")).is_some();
    has_mediasoup() && found("Chromium", chromium, Vec::new())
}

/// Where `make interop-deps` puts what is no package of the system.
fn cache() -> PathBuf {
    let set = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set("PACELINE_CACHE").unwrap_or_else(|| {
        let home = || set("HOME").unwrap_or_default().join(".cache");
        set("XDG_CACHE_HOME").unwrap_or_else(home).join("paceline")
    })
}

/// That of the cache, where the system's is too old.
fn node() -> PathBuf {
    let ours = cache().join("nodejs/bin/node");
    if ours.exists() { ours } else { "node".into() }
}

fn worker() -> PathBuf {
    cache().join("mediasoup/bw/mediasoup-worker")
}

fn modules() -> PathBuf {
    cache().join("node")
}

/// A running server, ended when dropped. Its rooms exist as soon as somebody comes.
#[derive(Debug)]
pub struct Server {
    child: Child,
    input: Mutex<Option<ChildStdin>>,
    said: Arc<Said>,
    complaints: Arc<Mutex<Vec<u8>>>,
    port: u16,
    deadline: Instant,
    /// Where browsers have their profiles; removed last.
    _scratch: TempDir,
}

/// What the server wrote.
#[derive(Debug, Default)]
struct Said {
    events: Mutex<Events>,
    more: Condvar,
}

#[derive(Debug, Default)]
struct Events {
    all: Vec<Value>,
    /// Nothing more will come.
    over: bool,
    asked: u64,
}

impl Said {
    fn events(&self) -> MutexGuard<'_, Events> {
        // Whoever panicked with it had only looked.
        self.events.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Server {
    /// Starts one, on a port that the system chooses, and waits until it listens.
    ///
    /// # Panics
    ///
    /// If it does not come up.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts one that lets nobody in without this token.
    ///
    /// # Panics
    ///
    /// As [`start`](Self::start).
    #[must_use]
    pub fn guarded(token: &str) -> Self {
        Self::start_with(&["--token", token])
    }

    /// Starts one that speaks as the demo's does since it is in TypeScript, and lets in only
    /// who says, by `Origin`, that he comes from where [`http`](Self::http) is.
    ///
    /// # Panics
    ///
    /// As [`start`](Self::start).
    #[must_use]
    pub fn named() -> Self {
        Self::start_with(&["--dialect", "named"])
    }

    #[expect(clippy::disallowed_methods, reason = "other programs run in real time")]
    fn start_with(options: &[&str]) -> Self {
        let scratch = TempDir::new();
        let mut command = Command::new(node());
        command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/interop/mediasoup/server.mjs"));
        command.arg("--modules").arg(modules()).arg("--worker").arg(worker());
        command.arg("--scratch").arg(scratch.file("")).args(options);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("node is installed");
        let input = Mutex::new(child.stdin.take());
        let stdout = BufReader::new(child.stdout.take().expect("is piped"));
        let mut stderr = child.stderr.take().expect("is piped");
        let (said, complaints) = (Arc::new(Said::default()), Arc::new(Mutex::new(Vec::new())));
        let written = Arc::clone(&said);
        thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                let event = serde_json::from_str(&line).unwrap_or(Value::String(line));
                written.events().all.push(event);
                written.more.notify_all();
            }
            written.events().over = true;
            written.more.notify_all();
        });
        let complained = Arc::clone(&complaints);
        thread::spawn(move || {
            let mut buffer = [0; 4_096];
            while let Ok(len @ 1..) = stderr.read(&mut buffer) {
                complained.lock().expect("nobody panics with it").extend(&buffer[..len]);
            }
        });
        let deadline = Instant::now() + LIFETIME;
        let mut server =
            Self { child, input, said, complaints, port: 0, deadline, _scratch: scratch };
        server.port = server.wait_for("its port", |event| {
            event["port"].as_u64().map(|port| u16::try_from(port).expect("a port"))
        });
        server
    }

    /// Where a peer joins a room by protoo.
    #[must_use]
    pub fn url(&self, room: &str, peer: &str) -> String {
        format!("ws://127.0.0.1:{}/?roomId={room}&peerId={peer}", self.port)
    }

    /// Where broadcasters ask, without a slash at the end.
    #[must_use]
    pub fn http(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Asks the server for something (`CONTROL` in `server.mjs`), and waits for its answer.
    ///
    /// # Panics
    ///
    /// If it refuses.
    pub fn ask(&self, method: &str, data: &Value) -> Value {
        let id = {
            let mut events = self.said.events();
            events.asked += 1;
            events.asked
        };
        self.write(&json!({ "id": id, "method": method, "data": data }));
        let answer = self.wait_for(method, |event| (event["id"] == id).then(|| event.clone()));
        assert!(answer.get("refused").is_none(), "{method} {data}: {}", answer["refused"]);
        answer["response"].clone()
    }

    fn write(&self, line: &Value) {
        let mut input = self.input.lock().expect("nobody panics with it");
        let input = input.as_mut().expect("is open until the end");
        writeln!(input, "{line}").expect("the server reads");
    }

    /// How many events there were, for [`wait_for_since`](Self::wait_for_since).
    #[must_use]
    pub fn now(&self) -> usize {
        self.said.events().all.len()
    }

    /// Waits for an event; those that were count too.
    ///
    /// # Panics
    ///
    /// If the deadline of the server is over, or the server is.
    pub fn wait_for<T>(&self, what: &str, pick: impl FnMut(&Value) -> Option<T>) -> T {
        self.wait_for_since(0, what, pick)
    }

    /// Waits for an event that came, or comes, after so many.
    ///
    /// # Panics
    ///
    /// As [`wait_for`](Self::wait_for).
    #[expect(clippy::disallowed_methods, reason = "other programs run in real time")]
    pub fn wait_for_since<T>(
        &self,
        mut since: usize,
        what: &str,
        mut pick: impl FnMut(&Value) -> Option<T>,
    ) -> T {
        let mut events = self.said.events();
        loop {
            if let Some(found) = events.all.iter().skip(since).find_map(&mut pick) {
                return found;
            }
            since = since.max(events.all.len());
            let left = self.deadline.saturating_duration_since(Instant::now());
            if events.over || left.is_zero() {
                let last = events.all.iter().rev().take(LAST).rev();
                let last: Vec<_> = last.map(|event| format!("{event:.400}")).collect();
                drop(events);
                panic!("no {what}; last of all:\n{}\n{}", last.join("\n"), self.complaint());
            }
            (events, _) = (self.said.more.wait_timeout(events, left))
                .unwrap_or_else(std::sync::PoisonError::into_inner);
        }
    }

    /// All that happened so far.
    #[must_use]
    pub fn events(&self) -> Vec<Value> {
        self.said.events().all.clone()
    }

    fn complaint(&self) -> String {
        let complaints = self.complaints.lock().expect("nobody panics with it");
        String::from_utf8_lossy(&complaints).into_owned()
    }

    /// A browser that takes all that a room has.
    #[must_use]
    pub fn consume(&self, room: &str) -> Browser<'_> {
        self.browse(&json!({ "role": "consume", "roomId": room }))
    }

    /// A browser that sends its fake camera, as `H264`, `VP8` or `VP9`, and its fake
    /// microphone.
    #[must_use]
    pub fn produce(&self, room: &str, codec: &str) -> Browser<'_> {
        self.browse(&json!({ "role": "produce", "roomId": room, "video": codec, "audio": "1" }))
    }

    /// A browser with parameters of `page.mjs`.
    ///
    /// # Panics
    ///
    /// If it cannot be started.
    #[must_use]
    pub fn browse(&self, parameters: &Value) -> Browser<'_> {
        let answer = self.ask("browse", parameters);
        let id = answer["browser"].as_str().expect("browsers have names").to_owned();
        Browser { server: self, id }
    }
}

impl Drop for Server {
    #[expect(clippy::disallowed_methods, reason = "other programs run in real time")]
    fn drop(&mut self) {
        // The end of its input: it ends its browsers and itself.
        let input = self.input.get_mut().unwrap_or_else(std::sync::PoisonError::into_inner);
        drop(input.take());
        let deadline = Instant::now() + FAREWELL;
        let mut events = self.said.events();
        while !events.over {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            (events, _) = (self.said.more.wait_timeout(events, left))
                .unwrap_or_else(std::sync::PoisonError::into_inner);
        }
        drop(events);
        // Already over, if all is well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Chromium with the page, ended when dropped.
#[derive(Debug)]
pub struct Browser<'a> {
    server: &'a Server,
    id: String,
}

impl Browser<'_> {
    /// Its name, which is also its peer's in the room.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Waits for a report of its page; those that were count too.
    ///
    /// # Panics
    ///
    /// If the page failed or the browser ended, and as [`Server::wait_for`].
    pub fn wait_for<T>(&self, what: &str, mut pick: impl FnMut(&Value) -> Option<T>) -> T {
        self.server.wait_for(what, |event| {
            if event["browser"] != *self.id {
                return None;
            }
            let is_over = event["event"] != "report" || event.get("failed").is_some();
            assert!(!is_over, "waiting for {what}: {event}");
            pick(event)
        })
    }

    /// Waits until its page has joined the room.
    ///
    /// # Panics
    ///
    /// As [`wait_for`](Self::wait_for).
    pub fn ready(&self) {
        self.wait_for("page that is ready", |report| report["ready"].as_bool());
    }

    /// Waits until what is received of this kind, `audio` or `video`, is so, and returns
    /// the counters of it: those of WebRTC's statistics, and `first_frame_ms`. The page
    /// tells them once a second.
    ///
    /// # Panics
    ///
    /// As [`wait_for`](Self::wait_for).
    pub fn receives(&self, kind: &str, what: &str, mut is_so: impl FnMut(&Value) -> bool) -> Value {
        self.wait_for(what, |report| {
            let streams = report["streams"].as_array()?;
            streams.iter().find(|stream| stream["kind"] == kind && is_so(stream)).cloned()
        })
    }
}

impl Drop for Browser<'_> {
    fn drop(&mut self) {
        // The server ends it too, but a test may go on without.
        let line = json!({ "method": "close-browser", "data": { "browser": self.id } });
        if let Ok(mut input) = self.server.input.lock()
            && let Some(input) = input.as_mut()
        {
            let _ = writeln!(input, "{line}");
        }
    }
}

/// Ours: two browsers on a machine that is busy need ten seconds; a test is no longer.
const LIFETIME: Duration = Duration::from_secs(120);

/// Ours: browsers are killed, and what they leave is removed.
const FAREWELL: Duration = Duration::from_secs(10);

/// Ours: how many events a failure shows.
const LAST: usize = 30;
