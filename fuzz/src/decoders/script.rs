//! A script: what is done, one after the other, with frames of a stream that an encoder made.

use bytes::{Buf, BufMut, Bytes};

/// Frames that an encoder made: of each whether it starts a decoder, and its bytes.
#[derive(Clone, Copy, Debug)]
pub struct Stream {
    /// What it is called in `fuzz/streams`.
    pub name: &'static str,
    bytes: &'static [u8],
}

/// Every stream. `cargo test -p paceline-fuzz -- --ignored` makes them anew.
pub const STREAMS: [Stream; 7] = [
    Stream { name: "h264", bytes: include_bytes!("../../streams/h264") },
    Stream { name: "opus_mono", bytes: include_bytes!("../../streams/opus_mono") },
    Stream { name: "opus_stereo", bytes: include_bytes!("../../streams/opus_stereo") },
    Stream { name: "vp8", bytes: include_bytes!("../../streams/vp8") },
    Stream { name: "vp8_others", bytes: include_bytes!("../../streams/vp8_others") },
    Stream { name: "vp9", bytes: include_bytes!("../../streams/vp9") },
    Stream { name: "vp9_others", bytes: include_bytes!("../../streams/vp9_others") },
];

impl Stream {
    /// The stream of that name.
    ///
    /// # Panics
    ///
    /// If there is none.
    #[must_use]
    pub fn named(name: &str) -> Self {
        let found = STREAMS.into_iter().find(|stream| stream.name == name);
        found.unwrap_or_else(|| panic!("{name} is not in fuzz/streams"))
    }

    /// Its frames.
    #[must_use]
    pub fn frames(self) -> Vec<(bool, Bytes)> {
        let mut rest = Bytes::from_static(self.bytes);
        let mut frames = Vec::new();
        while rest.has_remaining() {
            let (key, len) = (rest.get_u8() != 0, usize::from(rest.get_u16()));
            frames.push((key, rest.split_to(len)));
        }
        frames
    }

    /// The file of these frames.
    ///
    /// # Panics
    ///
    /// If one has more than 65,535 bytes.
    #[must_use]
    pub fn file(frames: &[(bool, Bytes)]) -> Vec<u8> {
        let mut file = Vec::new();
        for (key, data) in frames {
            file.put_u8((*key).into());
            file.put_u16(data.len().try_into().expect("small pictures"));
            file.put_slice(data);
        }
        file
    }
}

/// One step of a script.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) data: Bytes,
    /// What its header calls it.
    pub(crate) key: bool,
    /// As the encoder made it, and called what it is.
    pub(crate) untouched: bool,
    /// Frames before it that never came.
    pub(crate) missing: u8,
    /// Another size than that of the stream, for the header.
    pub(crate) size: Option<(u16, u16)>,
}

/// Reads a script: of each step an operation, its flags, and what it takes.
pub(crate) struct Script<'a> {
    bytes: &'a [u8],
    frames: Vec<(bool, Bytes)>,
    at: usize,
}

impl<'a> Script<'a> {
    pub(crate) fn new(bytes: &'a [u8], stream: Stream) -> Self {
        Self { bytes, frames: stream.frames(), at: 0 }
    }

    /// The next step, until the script ends.
    pub(crate) fn step(&mut self) -> Option<Step> {
        let mut operation = self.bytes.try_get_u8().ok()?;
        while operation & 7 == JUMP {
            self.at = self.number()? % self.frames.len();
            operation = self.bytes.try_get_u8().ok()?;
        }
        let (key, whole) = self.frames[self.at].clone();
        let mut step = Step { data: whole.clone(), key, untouched: true, missing: 0, size: None };
        match operation & 7 {
            0 => {}
            1 => step.data.truncate(self.number()? % (whole.len() + 1)),
            2 => {
                let mut data = whole.to_vec();
                for _ in 0..=operation >> 3 & 3 {
                    let at = self.number()? % data.len();
                    data[at] ^= self.bytes.try_get_u8().ok()?;
                }
                step.data = data.into();
            }
            3 => step.data = self.raw()?,
            5 => {
                let other = self.number()? % self.frames.len();
                let (_, other) = self.frames[other].clone();
                let (head, tail) =
                    (self.number()? % (whole.len() + 1), self.number()? % (other.len() + 1));
                step.data = [&whole[..head], &other[tail..]].concat().into();
            }
            6 => {
                let (at, written) = (self.number()? % whole.len(), self.raw()?);
                let mut data = whole.to_vec();
                data.resize(data.len().max(at + written.len()), 0);
                data[at..at + written.len()].copy_from_slice(&written);
                step.data = data.into();
            }
            _ => step.size = Some((self.number()? as u16, self.number()? as u16)),
        }
        if operation & 0x20 != 0 {
            let (_, next) = &self.frames[(self.at + 1) % self.frames.len()];
            step.data = [&step.data[..], next].concat().into();
        }
        if operation & 0x40 != 0 {
            step.missing = self.bytes.try_get_u8().ok()?;
        }
        step.key ^= operation & 0x80 != 0;
        step.untouched = step.data == whole && step.key == key && step.size.is_none();
        self.at = (self.at + 1) % self.frames.len();
        Some(step)
    }

    fn number(&mut self) -> Option<usize> {
        self.bytes.try_get_u16().ok().map(usize::from)
    }

    fn raw(&mut self) -> Option<Bytes> {
        let len = usize::from(self.bytes.try_get_u8().ok()?).min(self.bytes.remaining());
        Some(self.bytes.copy_to_bytes(len))
    }
}

/// The operation that goes to another frame of the stream.
const JUMP: u8 = 4;
