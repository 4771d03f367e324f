//! How it goes, on one line.

use std::io::{IsTerminal, Stderr, Write};
use std::time::Duration;

use paceline::ShareStats;
use paceline::playout::terminal::sanitize;
use paceline::sfu::{Health, State, Target};

/// A line that is written again and again on a terminal, and else now and then.
#[derive(Debug)]
pub(crate) struct Status {
    out: Stderr,
    names: Vec<String>,
    is_terminal: bool,
    /// Bytes that were sent when it was last shown.
    bytes: u64,
    /// When it was last shown.
    shown: Duration,
    /// The line is there, without an end.
    is_open: bool,
    /// Its target did not answer, and was to be tried again.
    waits: bool,
}

impl Status {
    pub(crate) fn new(out: Stderr, names: Vec<String>) -> Self {
        let is_terminal = out.is_terminal();
        Self {
            out,
            names,
            is_terminal,
            bytes: 0,
            shown: Duration::ZERO,
            is_open: false,
            waits: false,
        }
    }

    /// What a target is called.
    pub(crate) fn name(&self, target: usize) -> String {
        self.names.get(target).cloned().unwrap_or_default()
    }

    pub(crate) fn name_of(&self, target: Target) -> String {
        match target {
            Target::Sender(target) => self.name(target),
            Target::External => "external".to_owned(),
        }
    }

    /// A line of its own, in place of the one that is there.
    pub(crate) fn say(&mut self, text: &str) {
        let before = if std::mem::take(&mut self.is_open) { CLEAR } else { "" };
        // Whoever closed it does not want to know.
        let _ = writeln!(self.out, "{before}{text}");
    }

    /// How it is `at` so long after the start.
    pub(crate) fn show(&mut self, at: Duration, stats: &ShareStats) {
        let since = at.saturating_sub(self.shown);
        let waits = stats.health.as_ref().is_some_and(|health| health.state == State::Waiting);
        // That something does not answer is news, once.
        let is_news = waits && !std::mem::replace(&mut self.waits, waits);
        if !self.is_terminal && since < SELDOM && !is_news {
            return;
        }
        // It may have been made wider since.
        let columns = self.is_terminal.then(columns).flatten().unwrap_or(usize::MAX);
        let text = self.text(since, stats, columns);
        (self.shown, self.bytes) = (at, stats.sender.bytes);
        let _ = match self.is_terminal {
            true => write!(self.out, "{CLEAR}{text}").and_then(|()| self.out.flush()),
            false => writeln!(self.out, "{text}"),
        };
        self.is_open = self.is_terminal;
    }

    fn text(&self, since: Duration, stats: &ShareStats, columns: usize) -> String {
        let Some(target) = stats.target else {
            return fit(self.waiting(stats.health.as_ref()), columns);
        };
        let sender = &stats.sender;
        let bits = sender.bytes.saturating_sub(self.bytes) as f64 * 8.0;
        let kbps = bits / since.as_secs_f64().max(0.001) / 1e3;
        let rtt = sender.rtt.map_or_else(|| "?".to_owned(), |rtt| rtt.as_millis().to_string());
        let (level, picture) = match &stats.ladder {
            Some((step, ladder)) => {
                let (width, height) = step.size;
                (ladder.level, format!("{width} x {height} at {:.0}  ", step.frame_rate))
            }
            None => (0, String::new()),
        };
        let queue = sender.queued_bytes / 1_000;
        let figures = format!("level {level}  {kbps:.0} kbit/s  RTT {rtt} ms  queue {queue} kB");
        let name = self.name(target);
        let kind = name.split(':').next().unwrap_or_default();
        fit(
            [
                format!("{name}  {picture}{figures}"),
                format!("{kind}  {picture}{figures}"),
                format!("{kind}  {figures}"),
                figures,
                format!("L{level}  {kbps:.0} kbit/s  {rtt} ms  {queue} kB"),
            ],
            columns,
        )
    }

    /// What it is at while nothing is sent, from the longest text to the shortest.
    fn waiting(&self, health: Option<&Health>) -> Vec<String> {
        let connecting = "connecting ...".to_owned();
        let Some(health) = health else { return vec![connecting] };
        let name = health.target.map(|target| self.name_of(target)).unwrap_or_default();
        match health.state {
            State::Closing => vec![format!("leaving {name} ..."), "leaving ...".to_owned()],
            State::Waiting => {
                let text = format!("{name} does not answer, and is tried again soon ...");
                let why = health.last_errors.transport.as_ref();
                let whole = why.map(|why| {
                    let why = sanitize(&why.to_string(), MAX_REASON);
                    format!("{name} does not answer ({why}), and is tried again soon ...")
                });
                whole.into_iter().chain([text, "no answer ...".to_owned()]).collect()
            }
            _ => vec![format!("connecting to {name} ..."), connecting],
        }
    }

    /// Ends the line that is there.
    pub(crate) fn end(&mut self) {
        if std::mem::take(&mut self.is_open) {
            let _ = writeln!(self.out);
        }
    }
}

/// The first of these that a row has room for, or what of the last it has room for. The last
/// column is left free: a terminal may go on in the next row after it, and then nothing is
/// written over.
fn fit<T: AsRef<str>>(texts: impl IntoIterator<Item = T>, columns: usize) -> String {
    let room = columns.saturating_sub(1);
    let mut last = String::new();
    for text in texts {
        text.as_ref().clone_into(&mut last);
        if last.chars().count() <= room {
            return last;
        }
    }
    sanitize(&last, room)
}

/// Those of a row of the terminal.
fn columns() -> Option<usize> {
    let (columns, _) = crossterm::terminal::size().ok()?;
    (columns > 0).then_some(columns.into())
}

/// To the left, and nothing after it (ECMA-48: EL).
const CLEAR: &str = "\r\x1b[K";

/// Characters of why a target does not answer.
const MAX_REASON: usize = 200;

/// How often a line is written where none can be written again.
const SELDOM: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use paceline::sfu::{Failure, FailureKind, Output, Supervisor, SupervisorConfig};

    use super::*;
    use crate::system::now;

    #[test]
    fn a_line_is_never_wider_than_the_row_and_keeps_its_figures_for_longest() {
        let name = "mediasoup:wss://sfu.example:4443/".to_owned();
        let mut status = Status::new(std::io::stderr(), vec![name]);
        status.is_terminal = true;
        let mut stats = ShareStats::default();
        for is_up in [false, true] {
            stats.target = is_up.then_some(0);
            for columns in 0..=200 {
                let text = status.text(Duration::from_secs(1), &stats, columns);
                assert!(text.chars().count() < columns.max(1), "{columns}: {text:?}");
            }
        }
        let at = |columns| status.text(Duration::from_secs(1), &stats, columns);
        let figures = "level 0  0 kbit/s  RTT ? ms  queue 0 kB";
        assert_eq!(at(usize::MAX), format!("mediasoup:wss://sfu.example:4443/  {figures}"));
        assert_eq!(at(60), format!("mediasoup  {figures}"));
        assert_eq!(at(40), figures);
        assert_eq!(at(30), "L0  0 kbit/s  ? ms  0 kB");
        assert_eq!(at(3), "L0");
    }

    #[test]
    fn who_does_not_answer_is_told_with_the_reason_where_there_is_room() {
        let (mut supervisor, now) = (Supervisor::new(1, SupervisorConfig::default()), now());
        supervisor.start(now);
        let opened = std::iter::from_fn(|| supervisor.poll_output()).find_map(|it| match it {
            Output::Open { attempt, .. } => Some(attempt),
            _ => None,
        });
        let attempt = opened.expect("it tries");
        supervisor.handle_failure(now, attempt, Failure::new(FailureKind::Unreachable, "no route"));
        supervisor.handle_closed(now, attempt);
        let mut status = Status::new(std::io::stderr(), vec!["room:ws://a:1/r".to_owned()]);
        status.is_terminal = true;
        let mut stats = ShareStats::default();
        stats.health = Some(supervisor.health(now, 0));
        let at = |columns| status.text(Duration::from_secs(1), &stats, columns);
        assert_eq!(
            at(usize::MAX),
            "room:ws://a:1/r does not answer (unreachable: no route), and is tried again soon ..."
        );
        assert_eq!(at(80), "room:ws://a:1/r does not answer, and is tried again soon ...");
        assert_eq!(at(20), "no answer ...");
    }
}
