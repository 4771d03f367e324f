//! Recorded delays, made long enough.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::noise::{PACKET, Random};

/// The delay of each packet of a recording in microseconds over the least, in the order in
/// which they were sent; `None` where one was lost.
pub struct Trace {
    pub name: String,
    delays: Vec<Option<f64>>,
}

/// The traces of a folder: files of lines `arrival_us,seq,ts48k`.
pub fn read(folder: &Path) -> io::Result<Vec<Trace>> {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "csv"));
    paths.sort();
    paths.iter().map(|path| parse(path)).collect()
}

fn parse(path: &Path) -> io::Result<Trace> {
    let mut rows: Vec<(i64, f64)> = Vec::new();
    for (index, line) in fs::read_to_string(path)?.lines().enumerate() {
        if line.is_empty() || line.starts_with(|first: char| !first.is_ascii_digit()) {
            continue;
        }
        let mut fields = line.split(',').map(|field| field.trim().parse::<i64>());
        let (Some(Ok(arrival)), Some(Ok(seq)), Some(Ok(time))) =
            (fields.next(), fields.next(), fields.next())
        else {
            let problem = format!("{}:{}: not `arrival_us,seq,ts48k`", path.display(), index + 1);
            return Err(io::Error::new(io::ErrorKind::InvalidData, problem));
        };
        rows.push((seq, arrival as f64 - time as f64 * 1e6 / 48e3));
    }
    let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let least = rows.iter().map(|row| row.1).fold(f64::INFINITY, f64::min);
    let (Some(first), Some(last)) =
        (rows.iter().map(|row| row.0).min(), rows.iter().map(|row| row.0).max())
    else {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("{name} is empty")));
    };
    // A hole of an hour is no recording.
    if last - first > 180_000 {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("{name} has jumps")));
    }
    let mut delays = vec![None; (last - first + 1) as usize];
    for (seq, delay) in rows {
        delays[(seq - first) as usize].get_or_insert(delay - least);
    }
    Ok(Trace { name, delays })
}

impl Trace {
    /// `count` packets of a sender that is `drift` ppm fast, whose delays are blocks of 2…5 s
    /// drawn from the recording: the sender's seconds and our microseconds of those that
    /// came in order, in that order.
    pub fn play(&self, drift: f64, seed: u64, count: usize) -> Vec<(f64, f64)> {
        let mut random = Random::new(seed ^ 0x7261_6365);
        let mut packets: Vec<(f64, f64)> = Vec::with_capacity(count);
        let mut index = 0;
        while index < count {
            let length = (100 + random.below(150)).min(self.delays.len());
            let from = random.below(self.delays.len() - length + 1);
            for delay in &self.delays[from..from + length] {
                let x = index as f64 * PACKET;
                index += 1;
                if let Some(delay) = delay {
                    packets.push((x, x * 1e6 / (1.0 + drift * 1e-6) + delay));
                }
            }
        }
        packets.truncate(count);
        packets.sort_by(|a, b| a.1.total_cmp(&b.1));
        let mut newest = f64::NEG_INFINITY;
        packets.retain(|packet| {
            let in_order = packet.0 > newest;
            newest = newest.max(packet.0);
            in_order
        });
        packets
    }
}
