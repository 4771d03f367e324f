//! One process for each participant, started and watched over by this one.
//!
//! This process has the signalling server, so that the room outlives any participant. A
//! child's standard input is the thread it hangs on: closing it asks the child to leave,
//! and a parent that is killed takes all children along.

use std::collections::VecDeque;
use std::io::{IsTerminal, Write, stdin, stdout};
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::termios::{SetArg, Termios, tcgetattr, tcsetattr};
use paceline::playout::terminal::sanitize;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until};

use crate::args::Args;
use crate::call::{DEFAULT_DURATION, Failure, ROOM, interrupted, invite, say};
use crate::child;
use crate::lan;
use crate::report::Report;
use crate::system;
use crate::terminal::Terminal;

/// Runs a call of so many processes, from the first to the summary.
pub(crate) async fn run(args: Args) -> Result<(), Failure> {
    let interactive = !args.json && Terminal::available();
    let duration = args.duration.or_else(|| (!interactive).then_some(DEFAULT_DURATION));
    let server = lan::listen(args.listen, args.topology).await?;
    let url = lan::urls(&server, ROOM).swap_remove(0);
    invite(&args, &server);
    let began = system::now();
    let before = if interactive { tcgetattr(stdin()).ok() } else { None };
    let mut crew = Crew::new(args, interactive);
    let ended = crew.call(&url, duration).await;
    crew.dismiss().await;
    if let Some(before) = before {
        give_back(&before);
    }
    server.shutdown().await;
    for text in std::mem::take(&mut crew.unsaid) {
        eprintln!("{text}");
    }
    ended?;

    let mut report = Report::of_this_process(&crew.args);
    let mut children = Vec::new();
    for member in &crew.members {
        if let Some(raw) = &member.report {
            report.absorb(raw);
        }
        children.push(member.json());
    }
    report.errors.splice(0..0, crew.problems);
    report.children = Some(children);
    report.wall = system::now() - began;
    if crew.args.json {
        say(&report.json());
    } else {
        say(&report.text());
    }
    Ok(())
}

/// All children.
struct Crew {
    args: Args,
    interactive: bool,
    members: Vec<Member>,
    leave: watch::Sender<bool>,
    heard: mpsc::UnboundedReceiver<(usize, Heard)>,
    tell: mpsc::UnboundedSender<(usize, Heard)>,
    /// What children came to.
    problems: Vec<String>,
    /// What there is no place for while a child draws.
    unsaid: Vec<String>,
}

/// One child.
#[derive(Default)]
struct Member {
    name: String,
    hosts: bool,
    pid: u32,
    joined: bool,
    status: Option<Value>,
    report: Option<Value>,
    /// What it said last, for people.
    last: VecDeque<String>,
    ended: Option<ExitStatus>,
}

enum Heard {
    Line(String),
    Ended(std::io::Result<ExitStatus>),
}

impl Crew {
    fn new(args: Args, interactive: bool) -> Self {
        let (tell, heard) = mpsc::unbounded_channel();
        let leave = watch::Sender::new(false);
        let (members, problems, unsaid) = (Vec::new(), Vec::new(), Vec::new());
        Self { args, interactive, members, leave, heard, tell, problems, unsaid }
    }

    /// Starts everybody, the host first and the others at once, and watches over them
    /// until the call is over. In a mesh all start at once.
    async fn call(&mut self, url: &str, duration: Option<Duration>) -> Result<(), Failure> {
        let signal = interrupted();
        tokio::pin!(signal);
        for index in 0..self.args.participants {
            let (name, hosts) = (self.args.name(index), self.args.hosts(index));
            self.members.push(Member { name, hosts, ..Member::default() });
        }
        let (host, others): (Vec<_>, _) =
            (0..self.members.len()).partition(|&index| self.args.hosts(index));
        for starting in [host, others] {
            for &index in &starting {
                self.start(index, url)?;
            }
            while !starting.iter().all(|&index| self.members[index].joined) {
                tokio::select! {
                    // The terminal interrupts the children too: that is no failure.
                    biased;
                    () = &mut signal => return Ok(()),
                    Some((index, heard)) = self.heard.recv() => self.hear(index, heard),
                }
                self.check_joining()?;
            }
        }

        let over = async {
            match duration {
                Some(duration) => sleep(duration).await,
                None => std::future::pending().await,
            }
        };
        tokio::pin!(over);
        let mut second = tokio::time::interval(Duration::from_secs(1));
        for seconds in 0.. {
            loop {
                tokio::select! {
                    () = &mut over => return Ok(()),
                    () = &mut signal => return Ok(()),
                    _ = second.tick() => break,
                    Some((index, heard)) = self.heard.recv() => self.hear(index, heard),
                }
                let viewer = &self.members[self.args.viewer()];
                match viewer.ended.filter(|_| self.interactive) {
                    Some(status) if status.success() => return Ok(()),
                    Some(_) => return Err("the process that draws has ended".into()),
                    None => {}
                }
                if self.members.iter().all(|member| member.ended.is_some()) {
                    return Err("nobody is left in the call: all processes have ended".into());
                }
            }
            if seconds > 0 && !self.interactive {
                eprintln!("{seconds:>4} s  {}", self.status_line());
            }
        }
        Ok(())
    }

    fn start(&mut self, index: usize, url: &str) -> Result<(), Failure> {
        let draws = self.interactive && index == self.args.viewer();
        let mut process = Command::new(std::env::current_exe()?)
            .args(self.args.child(index, url))
            .stdin(Stdio::piped())
            .stdout(if draws { Stdio::inherit() } else { Stdio::null() })
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| format!("no process can be started: {error}"))?;
        let member = &mut self.members[index];
        member.pid = process.id().unwrap_or_default();
        let (name, pid) = (sanitize(&member.name, MAX_NAME), member.pid);
        self.say(format!("{name} is process {pid}"));
        let (tell, leave) = (self.tell.clone(), self.leave.subscribe());
        tokio::spawn(async move {
            let status = attend(index, &mut process, leave, &tell).await;
            let _ = tell.send((index, Heard::Ended(status)));
        });
        Ok(())
    }

    fn hear(&mut self, index: usize, heard: Heard) {
        let member = &mut self.members[index];
        match heard {
            Heard::Line(line) => match child::told(&line) {
                Some((name, value)) => match name.as_str() {
                    "joined" => member.joined = true,
                    "report" => member.report = Some(value),
                    "status" => member.status = Some(value),
                    _ => {}
                },
                None => {
                    member.last.push_back(sanitize(&line, MAX_LINE));
                    if member.last.len() > LAST_LINES {
                        member.last.pop_front();
                    }
                }
            },
            Heard::Ended(Ok(status)) => {
                member.ended = Some(status);
                if status.success() && member.report.is_some() {
                    if !*self.leave.borrow() && !self.interactive {
                        let name = sanitize(&member.name, MAX_NAME);
                        self.say(format!("{name} has left"));
                    }
                } else if member.joined {
                    let text = member.obituary(status);
                    self.say(text.clone());
                    self.problems.push(text);
                }
            }
            Heard::Ended(Err(error)) => {
                member.ended = Some(ExitStatus::default());
                let name = sanitize(&member.name, MAX_NAME);
                let text = format!("{name} cannot be watched over: {error}");
                self.problems.push(text);
            }
        }
    }

    /// Who ends before he is in the room could not join.
    fn check_joining(&self) -> Result<(), Failure> {
        let failed = self.members.iter().find(|member| member.ended.is_some() && !member.joined);
        let Some(member) = failed else { return Ok(()) };
        let last = member.last.back().map(|line| line.trim_start_matches("call: "));
        let why = last.unwrap_or("it said nothing: try `call join` alone to see");
        Err(format!("{} could not join: {why}", sanitize(&member.name, MAX_NAME)).into())
    }

    /// Asks all to leave, and waits until the last has ended.
    async fn dismiss(&mut self) {
        self.leave.send_replace(true);
        while self.members.iter().any(|member| member.pid != 0 && member.ended.is_none()) {
            let Some((index, heard)) = self.heard.recv().await else { break };
            self.hear(index, heard);
        }
    }

    fn status_line(&self) -> String {
        let running: Vec<_> = self.members.iter().filter(|member| member.ended.is_none()).collect();
        let told = |member: &&Member| member.status.as_ref()?["host"].as_str().map(str::to_owned);
        let host = running.iter().find_map(told);
        let people = running.iter().find_map(|member| member.status.as_ref()?["people"].as_array());
        let names = people.into_iter().flatten().filter_map(Value::as_str);
        let names = Vec::from_iter(names.map(|name| sanitize(name, MAX_NAME))).join(", ");
        let mut line = format!(
            "{} of {} processes|in the room {names}|{}",
            running.len(),
            self.members.len(),
            match self.args.is_mesh() {
                true => "mesh".to_owned(),
                false => format!("host {}", sanitize(host.as_deref().unwrap_or("?"), MAX_NAME)),
            },
        );
        for member in running {
            let status = member.status.as_ref().unwrap_or(&Value::Null);
            let met = status["people"].as_array().map_or(0, Vec::len);
            let fps = status["fps"].as_f64().unwrap_or(0.0);
            let name = sanitize(&member.name, MAX_NAME);
            line += &format!("|{name} sees {met} at {fps:.0} fps");
        }
        line
    }

    /// For people: at once, or when nobody draws any more.
    fn say(&mut self, text: String) {
        if self.interactive { self.unsaid.push(text) } else { eprintln!("{text}") }
    }
}

impl Member {
    /// How it ended, its last words, and what to do.
    fn obituary(&self, status: ExitStatus) -> String {
        let how = match status.signal() {
            Some(signal) => format!("was killed by signal {signal}"),
            None => format!("ended with exit status {}", status.code().unwrap_or_default()),
        };
        let last = Vec::from_iter(self.last.iter().map(String::as_str)).join(" / ");
        let then = match (status.signal(), status.code()) {
            (Some(9), _) => {
                "if nobody did that on purpose, look for the out-of-memory killer in `dmesg`"
            }
            (_, Some(PANIC)) => "that is a bug: please report it with these words",
            (Some(_), _) if last.is_empty() => "if nobody did that on purpose, please report it",
            _ if self.hosts => "nobody hosts now: start the call anew",
            _ => "the call goes on without it",
        };
        let last = if last.is_empty() { String::new() } else { format!(", saying: {last}") };
        format!("{} (process {}) {how}{last}; {then}", sanitize(&self.name, MAX_NAME), self.pid)
    }

    fn json(&self) -> Value {
        let figure = |name| self.report.as_ref().map_or(&Value::Null, |report| &report[name]);
        json!({
            "name": self.name,
            "pid": self.pid,
            "hosts": self.hosts,
            "exit_status": self.ended.and_then(|status| status.code()),
            "signal": self.ended.and_then(|status| status.signal()),
            "cpu_seconds": figure("cpu_seconds"),
            "peak_rss_bytes": figure("peak_rss_bytes"),
        })
    }
}

/// Hands on what a child says until it has ended; told to, lets it leave, and kills it
/// if it takes too long.
async fn attend(
    index: usize,
    process: &mut Child,
    mut leave: watch::Receiver<bool>,
    tell: &mpsc::UnboundedSender<(usize, Heard)>,
) -> std::io::Result<ExitStatus> {
    let mut input = process.stdin.take();
    let mut deadline: Option<Instant> = None;
    let mut lines = process.stderr.take().map(|stderr| BufReader::new(stderr).lines());
    loop {
        tokio::select! {
            line = next_line(&mut lines) => match line {
                Some(line) => drop(tell.send((index, Heard::Line(line)))),
                None => lines = None,
            },
            // Its last words are still in the pipe when it has ended.
            status = process.wait(), if lines.is_none() => return status,
            _ = leave.wait_for(|&leave| leave), if input.is_some() => {
                input = None;
                deadline = Some(Instant::now() + GRACE);
            }
            () = sleep_until(deadline.unwrap_or_else(Instant::now)), if deadline.is_some() => {
                deadline = None;
                process.start_kill()?;
            }
        }
    }
}

/// `None` once there are no more.
async fn next_line(
    lines: &mut Option<tokio::io::Lines<BufReader<tokio::process::ChildStderr>>>,
) -> Option<String> {
    match lines {
        Some(lines) => lines.next_line().await.ok().flatten(),
        None => std::future::pending().await,
    }
}

/// Undoes what a child that was killed has left of the terminal.
fn give_back(before: &Termios) {
    let _ = tcsetattr(stdin(), SetArg::TCSANOW, before);
    if stdout().is_terminal() {
        let _ = crossterm::execute!(
            stdout(),
            crossterm::cursor::Show,
            crossterm::terminal::LeaveAlternateScreen
        );
        let _ = stdout().flush();
    }
}

/// How long a child has to leave: leaving takes two seconds at most, and a machine that
/// does much else may be slow.
const GRACE: Duration = Duration::from_secs(10);

/// What a Rust program exits with after a panic.
const PANIC: i32 = 101;

/// Lines of a child that are kept: a panic with where it was, and something before it.
const LAST_LINES: usize = 4;

/// Columns of each, and of a name.
const MAX_LINE: usize = 240;
const MAX_NAME: usize = 64;
