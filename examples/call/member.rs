//! One process of a call, as the one that started it sees it.

use std::collections::VecDeque;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Duration;

use paceline::playout::terminal::sanitize;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStderr};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use crate::changes::Change;
use crate::child;
use crate::report::changes;

/// One child.
#[derive(Debug, Default)]
pub(crate) struct Member {
    pub(crate) name: String,
    /// Which participant it is, from 0.
    pub(crate) seat: usize,
    pub(crate) pid: u32,
    pub(crate) joined: bool,
    /// It was at the front at some time.
    pub(crate) hosted: bool,
    pub(crate) status: Option<Value>,
    /// How many of them it has told.
    pub(crate) statuses: u64,
    pub(crate) report: Option<Value>,
    /// What it said last, for people.
    last: VecDeque<String>,
    pub(crate) ended: Option<ExitStatus>,
    /// It was killed by us, and not because it did not leave.
    pub(crate) killed: bool,
    ask: Option<mpsc::UnboundedSender<Ask>>,
}

/// What is asked of a child.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Ask {
    HandOver,
    /// It is not asked at all.
    Kill,
    Leave,
}

/// What is heard of one.
#[derive(Debug)]
pub(crate) enum Heard {
    Line(String),
    Ended(std::io::Result<ExitStatus>),
}

impl Member {
    pub(crate) fn new(name: String, seat: usize) -> Self {
        Self { name, seat, ..Self::default() }
    }

    /// What it is called, for people.
    pub(crate) fn shown(&self) -> String {
        sanitize(&self.name, MAX_NAME)
    }

    /// Begins to watch over it, in a task.
    pub(crate) fn attend(
        &mut self,
        place: usize,
        mut process: Child,
        tell: mpsc::UnboundedSender<(usize, Heard)>,
    ) {
        self.pid = process.id().unwrap_or_default();
        let (ask, asked) = mpsc::unbounded_channel();
        self.ask = Some(ask);
        tokio::spawn(async move {
            let status = attend(place, &mut process, asked, &tell).await;
            let _ = tell.send((place, Heard::Ended(status)));
        });
    }

    /// Whether it runs, as far as was heard.
    pub(crate) fn runs(&self) -> bool {
        self.pid != 0 && self.ended.is_none()
    }

    pub(crate) fn ask(&mut self, what: Ask) {
        self.killed |= matches!(what, Ask::Kill);
        if let Some(ask) = &self.ask {
            // One that has ended needs no asking.
            let _ = ask.send(what);
        }
    }

    /// Takes in what it said that is for people.
    pub(crate) fn note_words(&mut self, line: &str) {
        self.last.push_back(sanitize(line, MAX_LINE));
        if self.last.len() > LAST_LINES {
            self.last.pop_front();
        }
    }

    /// Why it could not join, in its own words.
    pub(crate) fn why(&self) -> &str {
        let last = self.last.back().map(|line| line.trim_start_matches("call: "));
        last.unwrap_or("it said nothing: try `call join` alone to see")
    }

    /// What changes of the host were like for it: at the end, or when it last told.
    pub(crate) fn changes(&self) -> Vec<Change> {
        match (&self.report, &self.status) {
            (Some(report), _) => changes::of_raw(&report["changes"]),
            (None, Some(status)) => changes::of_raw(&status["changes"]),
            (None, None) => Vec::new(),
        }
    }

    /// Pictures and sounds of a host of before that it rendered, likewise.
    pub(crate) fn stale(&self) -> u64 {
        let told = self.report.as_ref().or(self.status.as_ref());
        told.and_then(|told| told["stale"].as_u64()).unwrap_or(0)
    }

    /// How it ended, its last words, and what to do.
    pub(crate) fn obituary(&self, status: ExitStatus) -> String {
        let how = match status.signal() {
            Some(signal) if self.killed => format!("was killed by signal {signal} on purpose"),
            Some(signal) => format!("was killed by signal {signal}"),
            None => format!("ended with exit status {}", status.code().unwrap_or_default()),
        };
        let mut last = Vec::from_iter(self.last.iter().map(String::as_str)).join(" / ");
        if self.killed {
            // He was cut off in the midst of a word.
            last.clear();
        }
        let then = match (status.signal(), status.code()) {
            _ if self.killed => "the others go on",
            (Some(9), _) => {
                "if nobody did that on purpose, look for the out-of-memory killer in `dmesg`"
            }
            (_, Some(PANIC)) => "that is a bug: please report it with these words",
            (Some(_), _) if last.is_empty() => "if nobody did that on purpose, please report it",
            _ => "the call goes on without it",
        };
        let last = if last.is_empty() { String::new() } else { format!(", saying: {last}") };
        format!("{} (process {}) {how}{last}; {then}", self.shown(), self.pid)
    }

    pub(crate) fn json(&self) -> Value {
        let figure = |name| self.report.as_ref().map_or(&Value::Null, |report| &report[name]);
        json!({
            "name": self.name,
            "pid": self.pid,
            "hosts": self.hosted,
            "exit_status": self.ended.and_then(|status| status.code()),
            "signal": self.ended.and_then(|status| status.signal()),
            "cpu_seconds": figure("cpu_seconds"),
            "peak_rss_bytes": figure("peak_rss_bytes"),
        })
    }
}

/// Hands on what a child says until it has ended, and what is asked of it; kills it if it
/// takes too long to leave.
async fn attend(
    place: usize,
    process: &mut Child,
    mut asked: mpsc::UnboundedReceiver<Ask>,
    tell: &mpsc::UnboundedSender<(usize, Heard)>,
) -> std::io::Result<ExitStatus> {
    let mut input = process.stdin.take();
    let mut deadline: Option<Instant> = None;
    let mut lines = process.stderr.take().map(|stderr| BufReader::new(stderr).lines());
    loop {
        tokio::select! {
            line = next_line(&mut lines) => match line {
                Some(line) => drop(tell.send((place, Heard::Line(line)))),
                None => lines = None,
            },
            // Its last words are still in the pipe when it has ended.
            status = process.wait(), if lines.is_none() => return status,
            Some(ask) = asked.recv() => match ask {
                Ask::HandOver => if let Some(input) = &mut input {
                    let line = format!("{}\n", child::HAND_OVER);
                    // One that hears nothing any more is about to end.
                    let _ = input.write_all(line.as_bytes()).await;
                },
                Ask::Kill => process.start_kill()?,
                Ask::Leave => {
                    input = None;
                    deadline.get_or_insert_with(|| Instant::now() + GRACE);
                }
            },
            () = sleep_until(deadline.unwrap_or_else(Instant::now)), if deadline.is_some() => {
                deadline = None;
                process.start_kill()?;
            }
        }
    }
}

/// `None` once there are no more.
async fn next_line(lines: &mut Option<Lines<BufReader<ChildStderr>>>) -> Option<String> {
    match lines {
        Some(lines) => lines.next_line().await.ok().flatten(),
        None => std::future::pending().await,
    }
}

/// How long a child has to leave: leaving takes four seconds at most, a handover included,
/// and a machine that does much else may be slow.
const GRACE: Duration = Duration::from_secs(10);

/// What a Rust program exits with after a panic.
const PANIC: i32 = 101;

/// Lines of a child that are kept: a panic with where it was, and something before it.
const LAST_LINES: usize = 4;

/// Columns of each, and of a name.
const MAX_LINE: usize = 240;
pub(crate) const MAX_NAME: usize = 64;
