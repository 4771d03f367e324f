//! How long joining takes, and where each millisecond goes: from the moment the process
//! is started, as by pressing return, to the first mixed picture its program is given.

use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::args::{Args, Mode};
use crate::call::{Failure, ROOM, interrupted, say};
use crate::child;
use crate::lan;
use crate::measure::percentile;
use crate::participant::Participant;
use crate::screen::Screen;
use crate::system;

/// Measures `--count` joins, one after another, and prints what they took.
pub(crate) async fn run(mut args: Args) -> Result<(), Failure> {
    let mut host = JoinSet::new();
    let (stop, stopped) = watch::channel(false);
    let (url, server) = match &args.mode {
        Mode::MeasureJoins(Some(url)) => (url.clone(), None),
        _ => {
            let server = lan::listen(args.listen, args.topology).await?;
            let url = lan::urls(&server, ROOM).swap_remove(0);
            args.bind = args.listen.ip();
            let unmarked = Args { json: false, ..args.clone() };
            let hosting = Participant::join(&unmarked, 0, &url).await?;
            let (screen, mut seen) = watch::channel(Screen::default());
            host.spawn(hosting.run(stopped, screen, watch::Sender::new(None)));
            // Joining is measured when there is something to join.
            seen.wait_for(|screen| screen.picture.is_some()).await?;
            (url, Some(server))
        }
    };
    let mut joins = Vec::new();
    let mut failures = Vec::new();
    let signal = interrupted();
    tokio::pin!(signal);
    for number in 1..=args.count {
        tokio::select! {
            () = &mut signal => break,
            join = join(&args, number, &url) => match join {
                Ok(join) => joins.push(join),
                Err(error) => failures.push(format!("join {number}: {error}")),
            },
        }
        if joins.is_empty() {
            break;
        }
        if number < args.count {
            tokio::select! {
                () = &mut signal => break,
                () = tokio::time::sleep(args.pause.unwrap_or_default()) => {}
            }
        }
    }
    stop.send_replace(true);
    while host.join_next().await.is_some() {}
    if let Some(server) = server {
        server.shutdown().await;
    }
    if joins.is_empty() {
        return Err(failures.pop().unwrap_or_else(|| "nobody has joined".to_owned()).into());
    }
    let rows = rows(&joins);
    if args.json {
        say(&json(&rows, joins.len(), &failures));
    } else {
        say(&table(&rows, joins.len()));
    }
    match failures.first() {
        None => Ok(()),
        Some(first) => Err(format!("{} joins failed, the first: {first}", failures.len()).into()),
    }
}

/// Milliseconds from the start to the end of each step of one join, in order; `None` for
/// a step that did not happen.
type Join = [Option<f64>; STEPS.len()];

async fn join(args: &Args, number: usize, url: &str) -> Result<Join, Failure> {
    let mut args = args.clone();
    args.name = Some(format!("guest {number}"));
    args.json = false;
    let line = args.child(1, url);
    let mut command = Command::new(std::env::current_exe()?);
    command.args(line).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let pressed = system::unix_micros();
    let mut process = command.kill_on_drop(true).spawn()?;
    let mut input = process.stdin.take();
    let stderr = process.stderr.take().ok_or("no pipe")?;
    let mut lines = BufReader::new(stderr).lines();
    let mut last = String::new();
    let since = |at: &Value| Some((at.as_u64()?.checked_sub(pressed)?) as f64 / 1e3);
    let (mut main, mut joining, mut first, mut timeline) = (None, None, None, Value::Null);
    let reading = async {
        while let Some(line) = lines.next_line().await? {
            let Some((name, value)) = child::told(&line) else {
                last = line;
                continue;
            };
            match name.as_str() {
                "main_us" => main = since(&value),
                "joining_us" => joining = since(&value),
                "first_us" => {
                    first = since(&value);
                    // It has shown what it was started for, and may leave.
                    input = None;
                }
                "timeline" => timeline = value,
                _ => {}
            }
        }
        process.wait().await
    };
    let status = tokio::time::timeout(TOO_LONG, reading)
        .await
        .map_err(|_| format!("no picture within {TOO_LONG:?}: does anybody host at {url}?"))??;
    if !status.success() {
        return Err(last.trim_start_matches("call: ").into());
    }
    let step = |name: &str| Some(joining? + timeline[name].as_f64()?);
    Ok([
        main,
        joining,
        step("opened"),
        step("signaling"),
        step("joined"),
        step("described"),
        step("channel"),
        step("connected"),
        step("first_frame"),
        step("due"),
        step("shown"),
        first,
    ])
}

/// What one step took, and when it was done.
struct Row {
    step: &'static str,
    took: Spread,
    done: Spread,
}

/// Median, 95th percentile and maximum, in milliseconds.
struct Spread([Option<f64>; 3]);

impl Spread {
    fn of(mut figures: Vec<f64>) -> Self {
        Self([0.5, 0.95, 1.0].map(|part| percentile(&mut figures, part)))
    }

    fn json(&self) -> Value {
        let [median, p95, max] = self.0.map(|ms| ms.map(|ms| (ms * 10.0).round() / 10.0));
        json!({ "median": median, "p95": p95, "max": max })
    }

    fn text(&self) -> String {
        let show = |ms: Option<f64>| ms.map_or_else(|| "?".to_owned(), |ms| format!("{ms:.1}"));
        self.0.map(|ms| format!("{:>8}", show(ms))).concat()
    }
}

/// A step that did not happen takes no time: the next one counts from the one before.
fn rows(joins: &[Join]) -> Vec<Row> {
    let rows = STEPS.iter().enumerate().map(|(index, &step)| {
        let took = joins.iter().filter_map(|join| {
            let before = join[..index].iter().rev().find_map(|&at| at).unwrap_or(0.0);
            Some(join[index]? - before)
        });
        let done = joins.iter().filter_map(|join| join[index]);
        Row { step, took: Spread::of(took.collect()), done: Spread::of(done.collect()) }
    });
    rows.collect()
}

fn table(rows: &[Row], count: usize) -> String {
    let mut lines = vec![
        format!("{count} joins, each a process of its own, in milliseconds"),
        format!("{:<40}{:>24}{:>26}", "", "this step took", "done after"),
        format!("{:<40}{1:>8}{2:>8}{3:>8}  {1:>8}{2:>8}{3:>8}", "", "median", "p95", "max"),
    ];
    for Row { step, took, done } in rows {
        lines.push(format!("{step:<40}{}  {}", took.text(), done.text()));
    }
    lines.join("\n")
}

fn json(rows: &[Row], count: usize, failures: &[String]) -> Value {
    let steps = rows.iter().map(|Row { step, took, done }| {
        json!({ "step": step, "took_ms": took.json(), "done_ms": done.json() })
    });
    json!({
        "joins": count,
        "failed": failures.len(),
        "total_ms": rows.last().map(|row| row.done.json()),
        "steps": steps.collect::<Vec<_>>(),
        "errors": failures,
    })
}

/// What each of them is, in the order of [`Join`].
const STEPS: [&str; 12] = [
    "process started: main runs",
    "command line, threads",
    "clips opened",
    "server has taken the connection",
    "server has let us in",
    "offer or answer of the host is here",
    "data channel is open",
    "both have said hello",
    "first frame of the mix is here",
    "jitter buffer: it is due",
    "decoded",
    "taken by the program",
];

/// How long one join may take, leaving included: joining and leaving have shorter limits
/// of their own.
const TOO_LONG: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_add_up_to_the_total_and_one_that_is_missing_takes_no_time() {
        let mut join: Join = std::array::from_fn(|index| Some(10.0 * (index + 1) as f64));
        join[4] = None;
        let rows = rows(&[join]);
        let sum: f64 = rows.iter().filter_map(|row| row.took.0[0]).sum();
        assert_eq!(Some(sum), rows[STEPS.len() - 1].done.0[0]);
        assert_eq!((rows[4].took.0[0], rows[5].took.0[0]), (None, Some(20.0)));
    }
}
