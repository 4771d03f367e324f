//! H.264 byte streams, cut into access units.

use std::fs;
use std::path::Path;

use bytes::Bytes;

use crate::CaptureError;
use crate::y4m::{file_len, unreadable};

/// An Annex B byte stream (ITU-T H.264 Annex B) in memory, unit by unit, looped.
///
/// It is not a [`VideoSource`](crate::VideoSource): whoever has a decoder makes one
/// of it.
#[derive(Debug)]
pub struct H264File {
    units: Vec<Unit>,
    frame_rate: f64,
}

#[derive(Debug)]
struct Unit {
    data: Bytes,
    key: bool,
}

impl H264File {
    /// Reads a file of at most 64 MiB. A byte stream has no clock: `frame_rate` is
    /// what its pictures are to be played at.
    ///
    /// # Errors
    ///
    /// [`CaptureError`] if it cannot be read, is too large, or holds no picture.
    pub fn open(path: &Path, frame_rate: f64) -> Result<Self, CaptureError> {
        let len = file_len(path)?;
        if len > MAX_BYTES {
            return Err(CaptureError::TooLarge { path: path.to_owned(), len, max: MAX_BYTES });
        }
        let units = split(&Bytes::from(fs::read(path).map_err(unreadable(path))?));
        if units.is_empty() {
            return Err(CaptureError::Empty { path: path.to_owned(), what: "H.264 picture" });
        }
        Ok(Self { units, frame_rate })
    }

    /// Access units before it begins again; at least one.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "it never is")]
    pub fn len(&self) -> usize {
        self.units.len()
    }

    /// Pictures a second.
    #[must_use]
    pub fn frame_rate(&self) -> f64 {
        self.frame_rate
    }

    /// The access unit of picture `index`, with its start codes.
    #[must_use]
    pub fn unit(&self, index: u64) -> Bytes {
        self.at(index).data.clone()
    }

    /// Whether picture `index` is an IDR.
    #[must_use]
    pub fn is_key(&self, index: u64) -> bool {
        self.at(index).key
    }

    fn at(&self, index: u64) -> &Unit {
        &self.units[(index % self.units.len() as u64) as usize]
    }
}

/// Cuts a stream where a new access unit begins (H.264 §7.4.1.2.3).
fn split(stream: &Bytes) -> Vec<Unit> {
    let mut units = Vec::new();
    let (mut begin, mut has_picture, mut key) = (None, false, false);
    for (at, header, first) in nal_units(stream) {
        let kind = header & 0x1f;
        let picture = matches!(kind, 1 | 5);
        // Parameter sets and the like, or a slice that starts at macroblock 0:
        // first_mb_in_slice is ue(v), and 0 is a single one bit.
        let starts = matches!(kind, 6..=9) || picture && first & 0x80 != 0;
        if starts && has_picture {
            if let Some(begin) = begin {
                units.push(Unit { data: stream.slice(begin..at), key });
            }
            (begin, has_picture, key) = (Some(at), false, false);
        }
        begin = begin.or(Some(at));
        has_picture |= picture;
        key |= kind == 5;
    }
    if let (Some(begin), true) = (begin, has_picture) {
        units.push(Unit { data: stream.slice(begin..), key });
    }
    units
}

/// Where each NAL unit's start code is, its header byte, and the byte after.
fn nal_units(stream: &[u8]) -> impl Iterator<Item = (usize, u8, u8)> + '_ {
    let mut from = 0;
    std::iter::from_fn(move || {
        let at = from + stream.get(from..)?.windows(3).position(|w| w == [0, 0, 1])?;
        from = at + 3;
        let header = *stream.get(from)?;
        let first = stream.get(from + 1).copied().unwrap_or(0);
        // The zero byte before a start code belongs to it.
        let begin = if at > 0 && stream[at - 1] == 0 { at - 1 } else { at };
        Some((begin, header, first))
    })
}

/// Two minutes at 4 Mbit/s.
const MAX_BYTES: u64 = 64 << 20;
