//! Traces from files: `arrival_us,seq,ts48k`, a line per packet in order of arrival.

use std::path::{Path, PathBuf};
use std::{fmt, fs, io};

use crate::trace::{Packet, TICKS_PER_MS, Trace};

/// Why a file gave no trace.
#[derive(Debug)]
pub(crate) enum CsvError {
    /// It has no packet.
    Empty(PathBuf),
    /// A line is not three whole numbers in range.
    Line { path: PathBuf, line: usize, reason: &'static str },
    /// It could not be read.
    Read(PathBuf, io::Error),
}

impl fmt::Display for CsvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty(path) => write!(f, "{}: no packet in it", path.display()),
            Self::Line { path, line, reason } => write!(f, "{}:{line}: {reason}", path.display()),
            Self::Read(path, error) => write!(f, "{}: {error}", path.display()),
        }
    }
}

impl std::error::Error for CsvError {}

/// Every `.csv` of `folder` by name, each a trace or why it is none.
pub(crate) fn read_folder(folder: &Path) -> Result<Vec<Result<Trace, CsvError>>, CsvError> {
    let broken = |error| CsvError::Read(folder.to_owned(), error);
    let mut paths = fs::read_dir(folder)
        .map_err(broken)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<Vec<_>, _>>()
        .map_err(broken)?;
    paths.retain(|path| path.extension().is_some_and(|ext| ext.eq_ignore_ascii_case("csv")));
    paths.sort();
    Ok(paths.iter().map(|path| read(path)).collect())
}

fn read(path: &Path) -> Result<Trace, CsvError> {
    let bytes = fs::read(path).map_err(|error| CsvError::Read(path.to_owned(), error))?;
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    parse(&name, &bytes).map_err(|error| match error {
        ParseError::Empty => CsvError::Empty(path.to_owned()),
        ParseError::Line(line, reason) => CsvError::Line { path: path.to_owned(), line, reason },
    })
}

/// What is wrong with the text of a trace.
#[derive(Debug, PartialEq)]
enum ParseError {
    Empty,
    Line(usize, &'static str),
}

/// Blank lines, lines that begin with `#` and one header are passed over.
fn parse(name: &str, bytes: &[u8]) -> Result<Trace, ParseError> {
    let text = str::from_utf8(bytes).map_err(|error| {
        let before = &bytes[..error.valid_up_to()];
        ParseError::Line(1 + before.iter().filter(|&&byte| byte == b'\n').count(), "no UTF-8")
    })?;
    let mut packets: Vec<Packet> = Vec::new();
    let mut unwrap = Unwrap::default();
    let mut header_allowed = true;
    for (index, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let failed = |reason| ParseError::Line(index + 1, reason);
        let header = line.starts_with(|c: char| c.is_ascii_alphabetic() || c == '"');
        if std::mem::take(&mut header_allowed) && header {
            continue;
        }
        let mut fields = line.split(',').map(str::trim);
        let mut field = |reason| fields.next().ok_or(reason).and_then(|text| number(text, reason));
        let arrival_us = field("arrival_us is no whole number below 2^53").map_err(failed)?;
        let seq = field("seq is no whole number below 2^53").map_err(failed)?;
        let ts = field("ts48k is no whole number below 2^53").map_err(failed)?;
        if fields.next().is_some() {
            return Err(failed("more than three fields"));
        }
        if seq < 0 || ts < 0 {
            return Err(failed("seq and ts48k are not negative"));
        }
        if packets.last().is_some_and(|last| arrival_us < last.arrival_us) {
            return Err(failed("arrives before the line above"));
        }
        if packets.first().is_some_and(|first| arrival_us - first.arrival_us > MAX_SPAN_US) {
            return Err(failed("arrives more than a day after the first line"));
        }
        packets.push(unwrap.packet(arrival_us, seq as u16, ts as u32));
    }
    if packets.is_empty() {
        return Err(ParseError::Empty);
    }
    Ok(Trace::new(name, packets, None))
}

fn number(text: &str, reason: &'static str) -> Result<i64, &'static str> {
    match text.parse::<i64>() {
        // A float counts whole numbers exactly up to there.
        Ok(number) if number.abs() < 1 << 53 => Ok(number),
        _ => Err(reason),
    }
}

/// Follows the wraps, and the restarts, of a stream's numbers.
#[derive(Debug, Default)]
struct Unwrap {
    /// Highest true sequence number, true ticks and arrival of the packet that has it.
    newest: Option<(i64, i64, i64)>,
    /// What to add to the wire's numbers to have the true ones, modulo their width.
    seq_offset: i64,
    ticks_offset: i64,
}

impl Unwrap {
    fn packet(&mut self, arrival_us: i64, wire_seq: u16, wire_ts: u32) -> Packet {
        let (mut seq, mut ticks) = (i64::from(wire_seq), i64::from(wire_ts));
        if let Some((high_seq, high_ticks, high_arrival)) = self.newest {
            let nearest_seq = (seq + self.seq_offset).wrapping_sub(high_seq) as i16;
            let nearest_ticks = (ticks + self.ticks_offset).wrapping_sub(high_ticks) as i32;
            let elapsed = (arrival_us - high_arrival) * 48 / 1_000;
            let restarted = nearest_seq.unsigned_abs() > RESTART_SEQ
                || (i64::from(nearest_ticks) - elapsed).abs() > RESTART_TICKS;
            let (true_seq, true_ticks) = if restarted {
                // The numbers began anew: the sound goes on from here.
                (high_seq + 1, high_ticks + elapsed.max(1))
            } else {
                (high_seq + i64::from(nearest_seq), high_ticks + i64::from(nearest_ticks))
            };
            self.seq_offset = true_seq - seq;
            self.ticks_offset = true_ticks - ticks;
            (seq, ticks) = (true_seq, true_ticks);
        }
        if self.newest.is_none_or(|(high, ..)| seq > high) {
            self.newest = Some((seq, ticks, arrival_us));
        }
        let media_ms = ticks as f64 / TICKS_PER_MS;
        Packet { arrival_us, wire_seq, wire_ts, ssrc: SSRC, seq, media_ms }
    }
}

/// RFC 3550 A.1 has MAX_DROPOUT = 3000: more is a restart.
const RESTART_SEQ: u16 = 3_000;

/// A minute at 48 kHz between arrival and timestamp: no network holds a packet so long.
const RESTART_TICKS: i64 = 60 * 48_000;

/// A day: NetEQ makes a block for every 10 ms of it.
const MAX_SPAN_US: i64 = 86_400_000_000;

/// Any: a file has one source.
const SSRC: u32 = 0x7072_6163;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_blank_lines_and_a_header_are_passed_over() {
        let text = "\u{feff}# a trace\n\narrival_us,seq,ts48k\r\n0,1,0\n\n 20000 , 2 , 960\n";
        let trace = parse("t", text.as_bytes()).unwrap();
        assert_eq!(trace.packets.len(), 2);
        assert_eq!(trace.packets[1].media_ms, 20.0);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        let line = |text: &str| match parse("t", text.as_bytes()) {
            Err(ParseError::Line(line, _)) => line,
            other => panic!("{other:?}"),
        };
        assert_eq!(line("0,1,0\n20000,2\n"), 2);
        assert_eq!(line("0,1,0\n\n20000,x,960\n"), 3);
        assert_eq!(line("0,1,0\n1,2,3,4\n"), 2);
        assert_eq!(line("5,1,0\n4,2,960\n"), 2);
        assert_eq!(line("0,-1,0\n"), 1);
        assert_eq!(line("0,1,0\nheader,too,late\n"), 2);
        assert_eq!(line("99999999999999999999,1,0\n"), 1);
        assert_eq!(parse("t", b"0,1,0\n\xff\n").unwrap_err(), ParseError::Line(2, "no UTF-8"));
        assert!(matches!(parse("t", b"# nothing\n"), Err(ParseError::Empty)));
    }

    #[test]
    fn wraps_reordering_and_duplicates_keep_the_true_order() {
        let text =
            "0,65534,4294965376\n20000,0,0\n21000,65535,4294966336\n22000,0,0\n40000,1,960\n";
        let trace = parse("t", text.as_bytes()).unwrap();
        let first = trace.packets[0];
        let steps: Vec<_> = trace.packets.iter().map(|p| p.seq - first.seq).collect();
        assert_eq!(steps, [0, 2, 1, 2, 3]);
        let media: Vec<_> = trace.packets.iter().map(|p| p.media_ms - first.media_ms).collect();
        assert_eq!(media, [0.0, 40.0, 20.0, 40.0, 60.0]);
        assert_eq!(trace.lost_from(f64::MIN).count(), 0);
    }

    #[test]
    fn a_restart_of_the_numbers_is_no_loss() {
        let text = "0,10,0\n20000,11,960\n40000,30000,777777777\n60000,30001,777778737\n";
        let trace = parse("t", text.as_bytes()).unwrap();
        let seqs: Vec<_> = trace.packets.iter().map(|p| p.seq).collect();
        assert_eq!(seqs, [10, 11, 12, 13]);
        assert_eq!(trace.packets[3].media_ms, 60.0);
        let text = "0,10,0\n20000,11,960\n40000,30000,1920\n60000,30001,2880\n";
        let trace = parse("t", text.as_bytes()).unwrap();
        assert_eq!(trace.lost_from(f64::MIN).count(), 0, "the numbers alone");
    }
}
