//! Traces from files: `arrival_us,seq,ts48k`, a line per packet in order of arrival.

use std::path::{Path, PathBuf};
use std::{fmt, fs, io};

use crate::trace::Trace;

/// One packet, as it arrived.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Packet {
    pub arrival_us: i64,
    /// Its true place in the stream, whatever the wire says; no wraps, no restarts.
    pub seq: i64,
    /// Its timestamp, in the same way.
    pub ticks: i64,
}

/// Why a file gave no trace.
#[derive(Debug)]
pub enum CsvError {
    /// It has no packet.
    Empty(PathBuf),
    /// A line is not three whole numbers in range.
    Line { path: PathBuf, line: usize, reason: &'static str },
    /// It could not be read.
    Read(PathBuf, io::Error),
    /// Of what its numbers say was sent, nearly nothing arrived.
    Sparse { path: PathBuf, sent: usize, arrived: usize },
}

impl fmt::Display for CsvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty(path) => write!(f, "{}: no packet in it", path.display()),
            Self::Line { path, line, reason } => write!(f, "{}:{line}: {reason}", path.display()),
            Self::Read(path, error) => write!(f, "{}: {error}", path.display()),
            Self::Sparse { path, sent, arrived } => {
                let path = path.display();
                write!(f, "{path}: {arrived} packets, whose numbers say that {sent} were sent")
            }
        }
    }
}

impl std::error::Error for CsvError {}

/// Every `.csv` of `folder` by name, each a trace or why it is none.
pub fn read_folder(folder: &Path) -> Result<Vec<Result<Trace, CsvError>>, CsvError> {
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
        ParseError::Sparse { sent, arrived } => {
            CsvError::Sparse { path: path.to_owned(), sent, arrived }
        }
    })
}

/// What is wrong with the text of a trace.
#[derive(Debug, PartialEq)]
enum ParseError {
    Empty,
    Line(usize, &'static str),
    Sparse { sent: usize, arrived: usize },
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
        let (wire_seq, wire_ts) = (seq as u16, ts as u32);
        let (seq, ticks) = unwrap.place(arrival_us, wire_seq, wire_ts);
        packets.push(Packet { arrival_us, seq, ticks });
    }
    let seqs = || packets.iter().map(|packet| packet.seq);
    let (Some(first), Some(last)) = (seqs().min(), seqs().max()) else {
        return Err(ParseError::Empty);
    };
    // Each packet may be 3,000 numbers on: what is lost then is made up, and costs memory.
    let sent = (last - first + 1) as usize;
    if sent > MAX_SENT_EACH * packets.len() && sent > FEW_SENT {
        return Err(ParseError::Sparse { sent, arrived: packets.len() });
    }
    Ok(Trace::new(name, &packets))
}

fn number(text: &str, reason: &'static str) -> Result<i64, &'static str> {
    match text.parse::<i64>() {
        // A float counts whole numbers exactly up to there.
        Ok(number) if number.abs() < 1 << 53 => Ok(number),
        _ => Err(reason),
    }
}

/// Follows the wraps, and the restarts, of a stream's numbers.
///
/// A packet that does not follow the numbers that are in use begins new ones. The ones before
/// stay known for a while: a straggler of theirs is no second restart, and if it was a single
/// stray packet that began the new ones, the stream goes on in the old ones.
#[derive(Debug, Default)]
struct Unwrap {
    /// The newest first; no more than two.
    numberings: Vec<Numbering>,
    packets: usize,
}

/// Numbers that go on from each other.
#[derive(Clone, Copy, Debug)]
struct Numbering {
    /// Of the newest packet that has them: true sequence number, true ticks, arrival.
    seq: i64,
    ticks: i64,
    arrival_us: i64,
    /// The wire's numbers of the same.
    wire_seq: u16,
    wire_ts: u32,
    /// The count of packets when one last had them.
    used: usize,
}

impl Numbering {
    /// True sequence number and ticks of a packet, if it follows.
    fn follow(&self, arrival_us: i64, wire_seq: u16, wire_ts: u32) -> Option<(i64, i64)> {
        let seq = wire_seq.wrapping_sub(self.wire_seq) as i16;
        let ticks = i64::from(wire_ts.wrapping_sub(self.wire_ts) as i32);
        let elapsed = ticks_between(self.arrival_us, arrival_us);
        let follows = seq.unsigned_abs() <= RESTART_SEQ && (ticks - elapsed).abs() <= RESTART_TICKS;
        follows.then_some((self.seq + i64::from(seq), self.ticks + ticks))
    }
}

impl Unwrap {
    /// The true sequence number, from 0 on if the first comes first, and the true ticks.
    fn place(&mut self, arrival_us: i64, wire_seq: u16, wire_ts: u32) -> (i64, i64) {
        self.packets += 1;
        let used = self.packets;
        self.numberings.retain(|numbering| used - numbering.used <= REMEMBERED);
        let mut found = self.numberings.iter_mut().find_map(|numbering| {
            Some((numbering.follow(arrival_us, wire_seq, wire_ts)?, numbering))
        });
        if let Some(((seq, ticks), numbering)) = &mut found {
            numbering.used = used;
            if *seq > numbering.seq {
                **numbering =
                    Numbering { seq: *seq, ticks: *ticks, arrival_us, wire_seq, wire_ts, used };
            }
            return (*seq, *ticks);
        }
        // The numbers began anew: the sound goes on from here.
        let newest = self.numberings.iter().max_by_key(|numbering| numbering.seq);
        let (seq, ticks) = newest.map_or((i64::from(wire_seq), i64::from(wire_ts)), |newest| {
            let elapsed = ticks_between(newest.arrival_us, arrival_us);
            (newest.seq + 1, newest.ticks + elapsed.max(1))
        });
        let new = Numbering { seq, ticks, arrival_us, wire_seq, wire_ts, used };
        self.numberings.sort_by_key(|numbering| std::cmp::Reverse(numbering.used));
        self.numberings.truncate(1);
        self.numberings.insert(0, new);
        (seq, ticks)
    }
}

/// Ticks of 48 kHz from one arrival to another.
fn ticks_between(from_us: i64, to_us: i64) -> i64 {
    (to_us - from_us) * 48 / 1_000
}

/// Packets for which numbers that are no longer in use stay known: more than a second of
/// them, in which a network that reorders has delivered what was on its way.
const REMEMBERED: usize = 64;

/// RFC 3550 A.1 has MAX_DROPOUT = 3000: more is a restart.
const RESTART_SEQ: u16 = 3_000;

/// A minute at 48 kHz between arrival and timestamp: no network holds a packet so long.
const RESTART_TICKS: i64 = 60 * 48_000;

/// A day: no recording is longer.
const MAX_SPAN_US: i64 = 86_400_000_000;

/// Nine in ten lost is no call that anybody judges a buffer by.
const MAX_SENT_EACH: usize = 10;

/// Numbers sent below which a few packets may be as far apart as they like.
const FEW_SENT: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn delays(text: &str) -> Vec<Option<f64>> {
        parse("t", text.as_bytes()).unwrap().delays
    }

    #[test]
    fn wraps_and_reordering_keep_the_true_order() {
        let text =
            "0,65534,4294965376\n20000,0,0\n21000,65535,4294966336\n22000,0,0\n40500,1,960\n";
        let least = -20_000.0;
        let expected = [0.0, 1_000.0, -20_000.0, -19_500.0].map(|delay| Some(delay - least));
        assert_eq!(delays(text), expected);
    }

    #[test]
    fn the_packet_time_is_that_of_the_trace() {
        let line = |n: u64| format!("{},{},{}\n", n * 60_000, n, n * 2_880);
        let text: String = (0..100).map(line).collect();
        let trace = parse("t", text.as_bytes()).unwrap();
        assert_eq!(trace.packet, 0.06);
        let packets = trace.play(0.0, 1, 60.0);
        assert_eq!(packets.len(), 1_000);
        assert!((packets[999].0 - 59.94).abs() < 1e-9);
        assert!(packets.iter().all(|&(x, arrival)| (arrival - x * 1e6).abs() < 1e-6));
    }

    #[test]
    fn a_restart_and_its_stragglers_are_no_jump_of_the_delay() {
        let text = "0,10,0\n20000,11,960\n40000,30000,777777777\n41000,9,4294966336\n\
                    60000,30001,777778737\n";
        let found = delays(text);
        assert_eq!(found.len(), 5);
        assert!(found[1..].iter().all(|delay| *delay == Some(0.0)), "{found:?}");
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        let line = |text: &str| match parse("t", text.as_bytes()) {
            Err(ParseError::Line(line, _)) => line,
            other => panic!("{other:?}"),
        };
        assert_eq!(line("0,1,0\n20000,2\n"), 2);
        assert_eq!(line("0,1,0\nheader,too,late\n"), 2);
        assert_eq!(line("5,1,0\n4,2,960\n"), 2);
        assert_eq!(parse("t", b"# nothing\n").unwrap_err(), ParseError::Empty);
    }

    #[test]
    fn a_file_whose_jumps_make_up_millions_of_lost_packets_is_refused() {
        let line = |n: u64| format!("{},{},{}\n", n * 20_000, n * 2_999 % 65_536, n * 960);
        let text: String = (0..5_000).map(line).collect();
        let refused = parse("t", text.as_bytes()).unwrap_err();
        assert_eq!(refused, ParseError::Sparse { sent: 4_999 * 2_999 + 1, arrived: 5_000 });
    }
}
