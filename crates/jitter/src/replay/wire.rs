//! The bytes of a log. The module above has the tables.

use std::num::NonZeroU32;
use std::time::Duration;

use paceline_types::{Frequency, MediaTime, SeqNo};

use super::call::{Call, Outcome};
use super::log::LogError;
use crate::{JitterConfig, JitterStats, Unit, Verdict};

/// What differences are from.
#[derive(Clone, Copy, Debug, Default)]
struct Last {
    at: i64,
    /// Ticks in a second; 0 before the first unit.
    hz: u32,
    went_in: Way,
    went_out: Way,
}

/// The last unit in one direction.
#[derive(Clone, Copy, Debug, Default)]
struct Way {
    seq: u64,
    ticks: u64,
}

/// Writes entries behind a header.
#[derive(Clone, Debug)]
pub(super) struct Writer {
    bytes: Vec<u8>,
    header: usize,
    calls: u64,
    check: u8,
    last: Last,
}

impl Writer {
    /// With the header, and room for `capacity` bytes in all.
    pub(super) fn new(config: &JitterConfig, capacity: usize) -> Self {
        let bytes = Vec::with_capacity(capacity);
        let mut writer = Self { bytes, header: 0, calls: 0, check: 0, last: Last::default() };
        writer.bytes.extend(MAGIC);
        writer.bytes.push(VERSION);
        writer.bytes.push(CRATE_VERSION.len() as u8);
        writer.bytes.extend(CRATE_VERSION.bytes());
        // A field that is added belongs into the header, and makes a new version.
        let &JitterConfig {
            capacity,
            loss_price,
            max_delay,
            max_gap,
            max_jump,
            max_late,
            max_pace,
            min_delay,
            start_delay,
            talkspurts,
        } = config;
        writer.put_uint(capacity as u64);
        writer.put_span(loss_price);
        writer.put_span(max_delay);
        writer.put_uint(max_gap.into());
        writer.put_span(max_jump);
        writer.put_span(max_late);
        writer.bytes.extend(max_pace.to_le_bytes());
        writer.put_span(min_delay);
        writer.put_span(start_delay);
        writer.bytes.push(talkspurts.into());
        writer.put_check(0);
        writer.header = writer.len();
        writer
    }

    /// A call, and what came of it.
    pub(super) fn write(&mut self, call: &Call, outcome: &Outcome) {
        let start = self.bytes.len();
        let kind = |call: u8, variant: u8| call | variant << 4;
        match (*call, outcome) {
            (Call::Insert { at, unit }, &Outcome::Verdict(verdict)) => {
                self.bytes.push(kind(INSERT, code_of(verdict)));
                self.put_at(at);
                let flags = u8::from(unit.marker) | u8::from(unit.retransmitted) << 1;
                self.last.went_in = self.put_unit(flags, self.last.went_in, unit.seq, unit.time);
            }
            (Call::Poll { at }, outcome) => {
                self.bytes.push(kind(POLL, variant_of(outcome)));
                self.put_at(at);
                self.put_output(at, outcome);
            }
            (Call::SetDrift(ppm), _) => {
                self.bytes.push(kind(SET_DRIFT, 0));
                self.bytes.extend(ppm.to_le_bytes());
            }
            (Call::SetMinPlayoutDelay(delay), _) => {
                self.bytes.push(kind(SET_MIN_PLAYOUT_DELAY, 0));
                self.put_span(delay);
            }
            (Call::SetRoundTrip(round_trip), _) => {
                self.bytes.push(kind(SET_ROUND_TRIP, round_trip.is_some().into()));
                round_trip.into_iter().for_each(|span| self.put_span(span));
            }
            (Call::Stats, Outcome::Stats(stats)) => {
                self.bytes.push(kind(STATS, 0));
                self.put_stats(stats);
            }
            (Call::Insert { .. } | Call::Stats, _) => {
                debug_assert!(false, "{call:?} has no {outcome:?}");
                return;
            }
        }
        self.put_check(start);
        self.calls += u64::from(*call != Call::Stats);
    }

    pub(super) const fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Bytes of the header.
    pub(super) const fn header(&self) -> usize {
        self.header
    }

    pub(super) const fn calls(&self) -> u64 {
        self.calls
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    fn put_output(&mut self, at: i64, outcome: &Outcome) {
        match *outcome {
            Outcome::Lost { first, count } => {
                self.put_int(first.get().wrapping_sub(self.last.went_out.seq) as i64);
                self.put_uint(count);
                self.last.went_out.seq = last_of(first, count);
            }
            Outcome::Play { seq, time, marker, due } => {
                self.last.went_out = self.put_unit(marker.into(), self.last.went_out, seq, time);
                self.put_int(due.wrapping_sub(at));
            }
            Outcome::Wait { due } => self.put_int(due.wrapping_sub(at)),
            _ => {}
        }
    }

    fn put_at(&mut self, at: i64) {
        self.put_int(at.wrapping_sub(self.last.at));
        self.last.at = at;
    }

    fn put_unit(&mut self, flags: u8, way: Way, seq: SeqNo, time: MediaTime) -> Way {
        let hz = time.frequency().hz();
        let is_other = hz != self.last.hz;
        self.bytes.push(flags | u8::from(is_other) << 2);
        self.put_int(seq.get().wrapping_sub(way.seq) as i64);
        self.put_int(time.ticks().wrapping_sub(way.ticks) as i64);
        if is_other {
            self.put_uint(hz.into());
            self.last.hz = hz;
        }
        Way { seq: seq.get(), ticks: time.ticks() }
    }

    fn put_stats(&mut self, stats: &JitterStats) {
        // As with the config.
        let &JitterStats {
            queued,
            played,
            lost,
            late,
            duplicate,
            outliers,
            resyncs,
            early,
            full,
            waited,
            jitter,
            delay,
            target,
            max_delay,
        } = stats;
        for count in [queued, played, lost, late, duplicate, outliers, resyncs, early, full] {
            self.put_uint(count);
        }
        for span in [waited, jitter, delay, target, max_delay] {
            self.put_span(span);
        }
    }

    fn put_check(&mut self, start: usize) {
        self.check = crc8(self.check, &self.bytes[start..]);
        self.bytes.push(self.check);
    }

    fn put_span(&mut self, span: Duration) {
        self.put_uint(span.as_secs());
        self.put_uint(span.subsec_nanos().into());
    }

    fn put_int(&mut self, int: i64) {
        self.put_uint((int << 1 ^ int >> 63) as u64);
    }

    fn put_uint(&mut self, mut uint: u64) {
        while uint > 0x7f {
            self.bytes.push(uint as u8 | 0x80);
            uint >>= 7;
        }
        self.bytes.push(uint as u8);
    }
}

/// Reads what a [`Writer`] writes. After an error it is of no further use.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    offset: usize,
    /// Entries that are whole; `None` within the header.
    calls: Option<u64>,
    check: u8,
    last: Last,
}

impl<'a> Reader<'a> {
    /// Reads the header: the config, and the version of the crate.
    pub(super) fn new(bytes: &'a [u8]) -> Result<(Self, JitterConfig, &'a str), LogError> {
        let mut reader = Self { bytes, offset: 0, calls: None, check: 0, last: Last::default() };
        if !bytes.starts_with(&MAGIC) {
            let is_part = MAGIC.starts_with(bytes);
            return Err(if is_part { LogError::Truncated { calls: 0 } } else { LogError::NotALog });
        }
        reader.offset = MAGIC.len();
        let version = reader.u8()?;
        if version != VERSION {
            return Err(LogError::UnknownVersion(version));
        }
        let len = reader.u8()?.into();
        let crate_version = reader.take(len)?;
        let crate_version = str::from_utf8(crate_version).map_err(|_| reader.malformed())?;
        let config = JitterConfig {
            capacity: usize::try_from(reader.uint()?).unwrap_or(usize::MAX),
            loss_price: reader.span()?,
            max_delay: reader.span()?,
            max_gap: reader.u32()?,
            max_jump: reader.span()?,
            max_late: reader.span()?,
            max_pace: reader.f64()?,
            min_delay: reader.span()?,
            start_delay: reader.span()?,
            talkspurts: match reader.u8()? {
                0 => false,
                1 => true,
                _ => return Err(reader.malformed()),
            },
        };
        if reader.has_bad_check(0)? {
            return Err(LogError::BadHeader);
        }
        let longest = config.max_delay.max(config.min_delay);
        let start = config.start_delay.clamp(config.min_delay, longest);
        if start > MAX_START || !config.max_pace.is_finite() || config.max_pace < 0.0 {
            return Err(LogError::BadConfig);
        }
        reader.calls = Some(0);
        Ok((reader, config, crate_version))
    }

    /// Reads the entries of a log whose header, of `header` bytes, has been read before.
    pub(super) fn of_entries(bytes: &'a [u8], header: usize) -> Self {
        let check = bytes[header - 1];
        Self { bytes, offset: header, calls: Some(0), check, last: Last::default() }
    }

    /// The next entry.
    pub(super) fn entry(&mut self) -> Result<(Call, Outcome), LogError> {
        let start = self.offset;
        let kind = self.u8()?;
        let entry = match (kind & 0xf, kind >> 4) {
            (INSERT, code) => {
                let verdict = *VERDICTS.get(usize::from(code)).ok_or_else(|| self.malformed())?;
                let at = self.at()?;
                let (flags, seq, time) = self.unit(0b11, self.last.went_in)?;
                self.last.went_in = Way { seq: seq.get(), ticks: time.ticks() };
                let (marker, retransmitted) = (flags & 1 != 0, flags & 2 != 0);
                let unit = Unit { seq, time, marker, retransmitted, payload: () };
                (Call::Insert { at, unit }, Outcome::Verdict(verdict))
            }
            (POLL, variant) => {
                let at = self.at()?;
                (Call::Poll { at }, self.output(at, variant)?)
            }
            (SET_DRIFT, 0) => (Call::SetDrift(self.f64()?), Outcome::Done),
            (SET_MIN_PLAYOUT_DELAY, 0) => (Call::SetMinPlayoutDelay(self.span()?), Outcome::Done),
            (SET_ROUND_TRIP, 0) => (Call::SetRoundTrip(None), Outcome::Done),
            (SET_ROUND_TRIP, 1) => (Call::SetRoundTrip(Some(self.span()?)), Outcome::Done),
            (STATS, 0) => (Call::Stats, Outcome::Stats(self.stats()?)),
            _ => return Err(self.malformed()),
        };
        if self.has_bad_check(start)? {
            return Err(LogError::BadCheck { call: self.calls(), offset: self.offset - 1 });
        }
        self.calls = Some(self.calls() + u64::from(entry.0 != Call::Stats));
        Ok(entry)
    }

    /// How many calls have been read.
    pub(super) fn calls(&self) -> u64 {
        self.calls.unwrap_or(0)
    }

    pub(super) const fn offset(&self) -> usize {
        self.offset
    }

    fn output(&mut self, at: i64, variant: u8) -> Result<Outcome, LogError> {
        Ok(match variant {
            0 => Outcome::Empty,
            1 => {
                let first = self.last.went_out.seq.wrapping_add_signed(self.int()?);
                let (first, count) = (SeqNo::new(first), self.uint()?);
                self.last.went_out.seq = last_of(first, count);
                Outcome::Lost { first, count }
            }
            2 => {
                let (flags, seq, time) = self.unit(0b1, self.last.went_out)?;
                self.last.went_out = Way { seq: seq.get(), ticks: time.ticks() };
                let due = at.wrapping_add(self.int()?);
                Outcome::Play { seq, time, marker: flags & 1 != 0, due }
            }
            3 => Outcome::Wait { due: at.wrapping_add(self.int()?) },
            _ => return Err(self.malformed()),
        })
    }

    fn at(&mut self) -> Result<i64, LogError> {
        self.last.at = self.last.at.wrapping_add(self.int()?);
        Ok(self.last.at)
    }

    /// The flags, of which `known` may be set, the number and the time.
    fn unit(&mut self, known: u8, way: Way) -> Result<(u8, SeqNo, MediaTime), LogError> {
        let flags = self.u8()?;
        if flags & !(known | 0b100) != 0 {
            return Err(self.malformed());
        }
        let seq = way.seq.wrapping_add_signed(self.int()?);
        let ticks = way.ticks.wrapping_add_signed(self.int()?);
        if flags & 0b100 != 0 {
            self.last.hz = self.u32()?;
        }
        let hz = NonZeroU32::new(self.last.hz).ok_or_else(|| self.malformed())?;
        Ok((flags, SeqNo::new(seq), MediaTime::new(ticks, Frequency::new(hz))))
    }

    fn stats(&mut self) -> Result<JitterStats, LogError> {
        Ok(JitterStats {
            queued: self.uint()?,
            played: self.uint()?,
            lost: self.uint()?,
            late: self.uint()?,
            duplicate: self.uint()?,
            outliers: self.uint()?,
            resyncs: self.uint()?,
            early: self.uint()?,
            full: self.uint()?,
            waited: self.span()?,
            jitter: self.span()?,
            delay: self.span()?,
            target: self.span()?,
            max_delay: self.span()?,
        })
    }

    fn has_bad_check(&mut self, start: usize) -> Result<bool, LogError> {
        self.check = crc8(self.check, &self.bytes[start..self.offset]);
        Ok(self.u8()? != self.check)
    }

    fn span(&mut self) -> Result<Duration, LogError> {
        let (secs, nanos) = (self.uint()?, self.u32()?);
        if nanos < 1_000_000_000 { Ok(Duration::new(secs, nanos)) } else { Err(self.malformed()) }
    }

    fn f64(&mut self) -> Result<f64, LogError> {
        let bytes = self.take(8)?.try_into().map_err(|_| self.malformed())?;
        Ok(f64::from_le_bytes(bytes))
    }

    fn int(&mut self) -> Result<i64, LogError> {
        let uint = self.uint()?;
        Ok((uint >> 1) as i64 ^ -((uint & 1) as i64))
    }

    fn u32(&mut self) -> Result<u32, LogError> {
        u32::try_from(self.uint()?).map_err(|_| self.malformed())
    }

    fn uint(&mut self) -> Result<u64, LogError> {
        let mut uint = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.u8()?;
            let bits = u64::from(byte & 0x7f);
            // Neither bits that are lost nor zeros that say nothing.
            if bits << shift >> shift != bits || shift > 0 && byte == 0 {
                return Err(self.malformed());
            }
            uint |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(uint);
            }
        }
        Err(self.malformed())
    }

    fn u8(&mut self) -> Result<u8, LogError> {
        Ok(self.take(1)?[0])
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], LogError> {
        let taken = self.bytes[self.offset..].get(..len);
        let taken = taken.ok_or(LogError::Truncated { calls: self.calls() })?;
        self.offset += len;
        Ok(taken)
    }

    /// What was read last is not of the form.
    const fn malformed(&self) -> LogError {
        LogError::Malformed { call: self.calls, offset: self.offset.saturating_sub(1) }
    }
}

/// The number of the last of `count` that are lost from `first` on.
const fn last_of(first: SeqNo, count: u64) -> u64 {
    first.get().wrapping_add(count).wrapping_sub(1)
}

fn code_of(verdict: Verdict<()>) -> u8 {
    VERDICTS.iter().position(|&it| it == verdict).map_or(u8::MAX, |code| code as u8)
}

const fn variant_of(outcome: &Outcome) -> u8 {
    match outcome {
        Outcome::Lost { .. } => 1,
        Outcome::Play { .. } => 2,
        Outcome::Wait { .. } => 3,
        _ => 0,
    }
}

/// CRC-8 (ITU-T I.432.1 §4.3.2, without its addition of 0x55) of `bytes`, begun with
/// `check`. It finds each change that lies within 8 bits.
fn crc8(check: u8, bytes: &[u8]) -> u8 {
    bytes.iter().fold(check, |crc, &byte| CRC8[usize::from(crc ^ byte)])
}

const CRC8: [u8; 256] = {
    let mut table = [0; 256];
    let mut index = 0;
    while index < 256 {
        let mut crc = index as u8;
        let mut bit = 0;
        while bit < 8 {
            crc = crc << 1 ^ if crc & 0x80 == 0 { 0 } else { 0x07 };
            bit += 1;
        }
        table[index] = crc;
        index += 1;
    }
    table
};

/// A first byte above ASCII and both kinds of line end, as PNG has them.
const MAGIC: [u8; 8] = *b"\x89PLJ\r\n\x1a\n";

const VERSION: u8 = 1;

pub(super) const CRATE_VERSION: &str = env!("CARGO_PKG_VERSION");
const _: () = assert!(CRATE_VERSION.len() <= 64);

/// By their codes.
const VERDICTS: [Verdict<()>; 5] = [
    Verdict::Duplicate(()),
    Verdict::Full(()),
    Verdict::Late(()),
    Verdict::Probation,
    Verdict::Queued,
];

const INSERT: u8 = 0;
const POLL: u8 = 1;
const SET_DRIFT: u8 = 2;
const SET_MIN_PLAYOUT_DELAY: u8 = 3;
const SET_ROUND_TRIP: u8 = 4;
const STATS: u8 = 5;

/// Eleven days: as nanoseconds it fits an i64 thousands of times.
const MAX_START: Duration = Duration::from_secs(1_000_000);

/// The longest that a header can be is 197 bytes.
pub(super) const MAX_HEADER: usize = 256;

/// The longest that an entry can be is `Play` with 48 bytes.
pub(super) const MAX_ENTRY: usize = 64;

/// The longest that the last entry can be is 167 bytes.
pub(super) const MAX_STATS: usize = 192;
