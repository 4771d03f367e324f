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
        let media_ms = ticks as f64 / TICKS_PER_MS;
        packets.push(Packet { arrival_us, wire_seq, wire_ts, ssrc: SSRC, seq, media_ms });
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

/// A day: NetEQ makes a block for every 10 ms of it.
const MAX_SPAN_US: i64 = 86_400_000_000;

/// Nine in ten lost is no call that anybody judges a buffer by.
const MAX_SENT_EACH: usize = 10;

/// Numbers sent below which a few packets may be as far apart as they like.
const FEW_SENT: usize = 10_000;

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

    #[test]
    fn a_straggler_of_the_old_numbers_is_no_other_restart() {
        let text = "0,10,0\n20000,11,960\n40000,30000,777777777\n41000,9,4294966336\n\
                    60000,30001,777778737\n61000,11,960\n80000,30002,777779697\n";
        let trace = parse("t", text.as_bytes()).unwrap();
        let seqs: Vec<_> = trace.packets.iter().map(|p| p.seq).collect();
        assert_eq!(seqs, [10, 11, 12, 9, 13, 11, 14]);
        assert_eq!(trace.packets[3].media_ms, -20.0);
        assert_eq!(trace.packets[6].media_ms, 80.0);
        assert_eq!(trace.lost_from(f64::MIN).count(), 0);
    }

    #[test]
    fn a_stray_packet_does_not_move_the_stream() {
        let text = "0,10,0\n20000,11,960\n21000,40000,3000000000\n40000,12,1920\n60000,13,2880\n";
        let trace = parse("t", text.as_bytes()).unwrap();
        let last = trace.packets[4];
        assert_eq!((last.seq, last.media_ms), (13, 60.0));
        // Nor do two.
        let text = "0,10,0\n20000,11,960\n21000,40000,3000000000\n40000,12,1920\n\
                    41000,20000,77\n60000,13,2880\n";
        let trace = parse("t", text.as_bytes()).unwrap();
        let last = trace.packets[5];
        assert_eq!((last.seq, last.media_ms), (13, 60.0));
        assert_eq!(trace.lost_from(f64::MIN).count(), 0);
    }

    #[test]
    fn a_second_restart_while_the_first_is_remembered_goes_on_behind_it() {
        let text = "0,10,0\n20000,30000,777777777\n40000,50000,77\n60000,50001,1037\n";
        let trace = parse("t", text.as_bytes()).unwrap();
        let seqs: Vec<_> = trace.packets.iter().map(|p| p.seq).collect();
        assert_eq!(seqs, [10, 11, 12, 13]);
    }

    #[test]
    fn a_file_whose_jumps_make_up_millions_of_lost_packets_is_refused() {
        let line = |n: u64| format!("{},{},{}\n", n * 20_000, n * 2_999 % 65_536, n * 960);
        let text: String = (0..5_000).map(line).collect();
        let refused = parse("t", text.as_bytes()).unwrap_err();
        assert_eq!(refused, ParseError::Sparse { sent: 4_999 * 2_999 + 1, arrived: 5_000 });
        let text: String = (0..4).map(line).collect();
        assert!(parse("t", text.as_bytes()).is_ok(), "a few");
    }
}
