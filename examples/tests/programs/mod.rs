//! What tests of whole programs share: start one, watch it, read what it said.

#![allow(dead_code, reason = "each file of tests uses a part of it")]

#[cfg(target_os = "linux")]
pub(crate) mod machines;
pub(crate) mod temp;

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde_json::Value;

/// How long any one process may take, or be silent.
pub(crate) const WATCHDOG: Duration = Duration::from_secs(60);

/// A program that runs; killed if it still does when it is dropped.
pub(crate) struct Program {
    child: Child,
    lines: Receiver<String>,
    said: Vec<String>,
    stdout: Option<JoinHandle<Vec<u8>>>,
    done: Option<Sender<()>>,
}

/// The program of this package.
pub(crate) const CALL: &str = env!("CARGO_BIN_EXE_call");

/// Starts a command line.
pub(crate) fn start(line: &[&str]) -> Program {
    let mut child = Command::new(line[0])
        .args(&line[1..])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let (mut stdout, stderr) = (child.stdout.take().expect("piped"), child.stderr.take());
    let (said, lines) = channel();
    let stderr = BufReader::new(stderr.expect("piped"));
    thread::spawn(move || {
        for line in stderr.lines().map_while(Result::ok) {
            // A test that has heard enough listens no more.
            let _ = said.send(line);
        }
    });
    let stdout = thread::spawn(move || {
        let mut text = Vec::new();
        let _ = stdout.read_to_end(&mut text);
        text
    });
    let (done, ended) = channel();
    let id = child.id();
    thread::spawn(move || {
        if ended.recv_timeout(WATCHDOG) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
            signal("KILL", id);
        }
    });
    Program { child, lines, said: Vec::new(), stdout: Some(stdout), done: Some(done) }
}

impl Program {
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for a line on stderr that has `word` in it.
    pub(crate) fn wait_for(&mut self, word: &str) -> String {
        loop {
            let line = self.lines.recv_timeout(WATCHDOG);
            let line = line.unwrap_or_else(|_| panic!("no {word:?} in {:#?}", self.said));
            self.said.push(line.clone());
            if line.contains(word) {
                return line;
            }
        }
    }

    /// Waits for its end. Stderr is that from the start on.
    pub(crate) fn finish(mut self) -> Output {
        let status = self.child.wait().expect("it was started");
        drop(self.done.take());
        let stdout = self.stdout.take().expect("once").join().expect("the reader ends");
        self.said.extend(self.lines.iter());
        Output { status, stdout, stderr: self.said.join("\n").into_bytes() }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It has ended, mostly.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends one process a signal.
pub(crate) fn signal(name: &str, id: u32) {
    let status = Command::new("kill").args(["-s", name, &id.to_string()]).status();
    assert!(status.is_ok_and(|status| status.success()), "kill -s {name} {id}");
}

/// The one line of figures that a program ended with.
pub(crate) fn json(output: &Output) -> Value {
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(text.lines().count(), 1, "{text}");
    serde_json::from_str(&text).expect("one line of JSON")
}
