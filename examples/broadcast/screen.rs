//! The table of viewers in a terminal.

use std::io;

use crate::terminal::Terminal;
use crate::viewer::State;

/// A viewer, as shown.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) number: usize,
    pub(crate) state: State,
    pub(crate) delivered: u64,
    /// In milliseconds.
    pub(crate) latency: f64,
    /// Bytes queued and outstanding at the publisher; `None` if it is elsewhere, or the
    /// viewer is not connected.
    pub(crate) held: Option<usize>,
}

/// A terminal with a table on it.
#[derive(Debug)]
pub(crate) struct Screen {
    terminal: Terminal,
}

impl Screen {
    pub(crate) fn open() -> io::Result<Self> {
        Ok(Self { terminal: Terminal::open()? })
    }

    pub(crate) fn draw(&self, title: &str, rows: Vec<Row>, notice: &str) -> io::Result<()> {
        let (columns, height) = self.terminal.size();
        let lines = page(title, rows, notice, usize::from(height));
        let mut frame = String::from("\x1b[H");
        for (index, line) in lines.iter().enumerate() {
            let line: String = line.chars().take(usize::from(columns)).collect();
            frame.push_str(&line);
            frame.push_str("\x1b[K");
            if index + 1 < lines.len() {
                frame.push_str("\r\n");
            }
        }
        frame.push_str("\x1b[J");
        self.terminal.draw(frame.as_bytes())
    }
}

/// What fits `height` lines: those in trouble first, and a line for all that do not fit.
fn page(title: &str, mut rows: Vec<Row>, notice: &str, height: usize) -> Vec<String> {
    rows.sort_by_key(|row| {
        let calm = matches!(row.state, State::Watching | State::Gone);
        (calm, row.state == State::Gone, std::cmp::Reverse(row.held), row.number)
    });
    let mut lines = vec![title.to_owned(), header()];
    let places = height.saturating_sub(lines.len() + 1);
    let shown = if rows.len() > places { places.saturating_sub(1) } else { rows.len() };
    lines.extend(rows[..shown].iter().map(line));
    if let rest @ [_, ..] = &rows[shown..] {
        lines.push(summary(rest));
    }
    lines.push(format!("q leave  {notice}"));
    lines
}

fn header() -> String {
    format!("{:>7}  {:<11}{:>11}{:>12}{:>12}", "viewer", "state", "delivered", "latency", "held")
}

fn line(row: &Row) -> String {
    let state = match row.state {
        State::Joining => "joining",
        State::Watching => "watching",
        State::Stalled => "STALLED",
        State::Interrupted => "INTERRUPTED",
        State::Gone => "gone",
    };
    let held = row.held.map_or_else(|| "-".to_owned(), |held| format!("{} KiB", held >> 10));
    let latency = format!("{:.1} ms", row.latency);
    format!("{:>7}  {state:<11}{:>11}{latency:>12}{held:>12}", row.number, row.delivered)
}

fn summary(rows: &[Row]) -> String {
    let delivered: u64 = rows.iter().map(|row| row.delivered).sum();
    let latency = rows.iter().map(|row| row.latency).fold(0.0, f64::max);
    let held = rows.iter().filter_map(|row| row.held).max().unwrap_or(0);
    format!(
        "{:>7}  {:<11}{delivered:>11}{:>12}{:>12}",
        format!("+{}", rows.len()),
        "more, worst",
        format!("{latency:.1} ms"),
        format!("{} KiB", held >> 10)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hundred_viewers_fit_24_lines_and_those_in_trouble_come_first() {
        let row = |number| Row {
            number,
            state: if number == 77 { State::Stalled } else { State::Watching },
            delivered: 10,
            latency: number as f64,
            held: Some(number << 10),
        };
        let lines = page("title", (1..=100).map(row).collect(), "", 24);
        assert_eq!(lines.len(), 24);
        assert!(lines[2].contains("77  STALLED"), "{lines:#?}");
        assert!(lines[22].contains("+80") && lines[22].contains("800"), "{lines:#?}");
        assert_eq!(page("title", (1..=21).map(row).collect(), "", 24).len(), 24);
        assert_eq!(page("title", (1..=2).map(row).collect(), "", 24).len(), 5);
        // A window of two lines still has its title.
        assert_eq!(page("title", (1..=2).map(row).collect(), "", 2)[0], "title");
    }
}
