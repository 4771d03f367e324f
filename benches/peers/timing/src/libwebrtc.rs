//! libwebrtc's NetEQ: a process of its own, as it is C++.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{fs, io};

use crate::marker::{Cost, Marker, Run};
use crate::trace::{TICKS_PER_MS, Trace};

/// The harness, and where it finds its input.
#[derive(Clone, Debug)]
pub(crate) struct Libwebrtc {
    program: PathBuf,
    folder: PathBuf,
    speech: PathBuf,
}

impl Libwebrtc {
    /// `program` with its files in `folder`; the sound of every packet is of `speech`.
    pub(crate) fn new(program: PathBuf, folder: &Path, speech: &[i16]) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let path = folder.join("speech.s16");
        let bytes: Vec<u8> = speech.iter().flat_map(|sample| sample.to_le_bytes()).collect();
        fs::write(&path, bytes)?;
        Ok(Self { program, folder: folder.to_owned(), speech: path })
    }

    /// Plays `trace` with a minimum and a maximum delay in ms; 0 is the default of either.
    pub(crate) fn run(&self, trace: &Trace, min_ms: u32, max_ms: u32) -> io::Result<Run> {
        // Two threads may play one trace at once: each has a file of its own.
        let thread = format!("{:?}", std::thread::current().id());
        let thread: String = thread.chars().filter(char::is_ascii_digit).collect();
        let packets = self.folder.join(format!("packets-{thread}.txt"));
        fs::write(&packets, self.packets(trace))?;
        let last_us = trace.packets.last().map_or(0, |packet| packet.arrival_us);
        let end_us = last_us + DRAIN_US + i64::from(min_ms) * 1_000;
        let output = Command::new(&self.program)
            .arg(&packets)
            .arg(&self.speech)
            .args([min_ms.to_string(), max_ms.to_string()])
            .args([trace.packet_samples().to_string(), end_us.to_string()])
            .stderr(Stdio::inherit())
            .output()?;
        if !output.status.success() {
            return Err(io::Error::other(format!("{}: {}", self.program.display(), output.status)));
        }
        let text = String::from_utf8(output.stdout).map_err(io::Error::other)?;
        parse(trace, &text).ok_or_else(|| io::Error::other("the harness printed what is no marker"))
    }

    fn packets(&self, trace: &Trace) -> String {
        let mut text = String::new();
        let first = trace.packets[0].seq;
        for packet in &trace.packets {
            let offset = (packet.seq - first).max(0) as u64 * u64::from(trace.packet_samples());
            // Writing to a string cannot fail.
            let _ = writeln!(
                text,
                "{} {} {} {} {offset}",
                packet.arrival_us, packet.wire_seq, packet.wire_ts, packet.ssrc
            );
        }
        text
    }
}

fn parse(trace: &Trace, text: &str) -> Option<Run> {
    let mut run = Run::default();
    for line in text.lines() {
        let mut fields = line.split(' ');
        match fields.next()? {
            "b" => run.markers.extend(block(trace, &mut fields)?),
            "c" => {
                let mut next = || fields.next()?.parse::<f64>().ok();
                run.cost = Some(Cost {
                    insert_ns: next()?,
                    poll_ns: next()?,
                    insert_allocations: next()?,
                    poll_allocations: next()?,
                    bytes: next()?,
                });
            }
            _ => return None,
        }
    }
    Some(run)
}

/// The marker of a block: none in it if it is concealment, none at all if it is no block.
fn block<'a>(trace: &Trace, fields: &mut impl Iterator<Item = &'a str>) -> Option<Option<Marker>> {
    let time_us: f64 = fields.next()?.parse().ok()?;
    let timestamp = fields.next()?;
    let concealed = fields.next()? != "0";
    let removed: f64 = fields.next()?.parse().ok()?;
    if concealed || timestamp == "-" {
        return Some(None);
    }
    let play_ms = time_us / 1e3;
    let end_ms = trace.media_of(timestamp.parse().ok()?, play_ms);
    Some(end_ms.map(|end_ms| Marker {
        play_ms,
        wall_ms: BLOCK_MS,
        media_ms: end_ms - BLOCK_MS,
        // Joining concealment and sound moves up to a block of it: no more is held
        // against it.
        squeezed_ms: removed / TICKS_PER_MS + BLOCK_MS,
        seq: None,
    }))
}

/// NetEQ plays in blocks of 10 ms.
const BLOCK_MS: f64 = 10.0;

/// Time after the last arrival, beside the minimum delay, in which all has been played.
const DRAIN_US: i64 = 2_000_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::Packet;

    #[test]
    fn markers_are_the_blocks_that_are_not_concealed() {
        let packet = |n: i64| Packet {
            arrival_us: n * 20_000,
            wire_seq: n as u16,
            wire_ts: 4_294_967_000_u32.wrapping_add(n as u32 * 960),
            ssrc: 1,
            seq: n,
            media_ms: n as f64 * 20.0,
        };
        let trace = Trace::new("t", (0..3).map(packet).collect(), Some(20.0));
        let text = "b 0 - 1 0 0\nb 10000 184 0 0 0\nb 20000 664 1 0 0\nb 30000 1624 0 480 0\n\
                    c 100.0 200.5 6.000 1.500 12345\n";
        let run = parse(&trace, text).unwrap();
        let played: Vec<_> = run.markers.iter().map(|m| (m.play_ms, m.media_ms)).collect();
        assert_eq!(played, [(10.0, 0.0), (30.0, 30.0)]);
        assert_eq!(run.markers[1].squeezed_ms, 20.0);
        assert_eq!(run.cost.unwrap().poll_ns, 200.5);
        assert!(parse(&trace, "x 1 2 3\n").is_none());
        assert!(parse(&trace, "b 1\n").is_none());
    }
}
