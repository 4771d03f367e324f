//! A jitter buffer that writes down what it is asked.

use std::ops::Deref;
use std::time::{Duration, Instant};

use super::call::{Call, Outcome, nanos};
use super::log::Log;
use super::wire::{MAX_ENTRY, MAX_HEADER, MAX_STATS, Writer};
use crate::{JitterBuffer, JitterConfig, Output, Unit, Verdict};

/// How much a [`Recorder`] may write.
///
/// ```
/// use paceline_jitter::replay::RecorderConfig;
///
/// let config = RecorderConfig::default().max_bytes(64 << 10);
/// ```
#[derive(Clone, Debug)]
pub struct RecorderConfig {
    max_bytes: usize,
}

impl RecorderConfig {
    /// Bytes of a log at most. Defaults to 4 MiB: 45 minutes of sound in packets of
    /// 20 ms. At least 512.
    ///
    /// They are allocated at once. When they are full the log ends; the buffer goes on.
    #[must_use]
    pub const fn max_bytes(mut self, bytes: usize) -> Self {
        self.max_bytes = bytes;
        self
    }
}

impl Default for RecorderConfig {
    fn default() -> Self {
        Self { max_bytes: 4 << 20 }
    }
}

/// How far a recording has come.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct RecorderStats {
    /// Calls in the log.
    pub calls: u64,
    /// Bytes of the log, its end not included.
    pub bytes: usize,
    /// Calls that are not in the log because it had stopped.
    pub missed: u64,
    /// Why it stopped, if it did.
    pub stopped: Option<StopReason>,
}

/// Why a recording stopped before its end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum StopReason {
    /// The log is as long as it [may be](RecorderConfig::max_bytes).
    Full,
    /// A call came more than 146 years before or after the first.
    Time,
}

/// A [`JitterBuffer`] that records. It answers as a plain one does.
///
/// What changes the buffer is a method here and goes into the log; what only asks it,
/// such as [`stats`](JitterBuffer::stats), goes through [`Deref`] and does not.
///
/// ```
/// use std::time::Instant;
///
/// use paceline_jitter::replay::{Recorder, RecorderConfig};
/// use paceline_jitter::{JitterConfig, Output, State};
///
/// let config = RecorderConfig::default();
/// let mut buffer = Recorder::<&str>::new(JitterConfig::default(), config);
/// assert_eq!(buffer.poll(Instant::now()), Output::Empty);
/// assert_eq!((buffer.state(), buffer.recorded().calls), (State::Empty, 1));
/// ```
#[derive(Debug)]
pub struct Recorder<T> {
    buffer: JitterBuffer<T>,
    config: JitterConfig,
    max_bytes: usize,
    writer: Writer,
    /// When the first call with a time was.
    epoch: Option<Instant>,
    missed: u64,
    stopped: Option<StopReason>,
}

impl<T> Recorder<T> {
    /// An empty buffer. Both it and the log are allocated here, and nothing after.
    #[must_use]
    pub fn new(config: JitterConfig, record: RecorderConfig) -> Self {
        let max_bytes = record.max_bytes.max(MAX_HEADER + MAX_ENTRY + MAX_STATS);
        Self {
            buffer: JitterBuffer::new(config.clone()),
            writer: Writer::new(&config, max_bytes),
            config,
            max_bytes,
            epoch: None,
            missed: 0,
            stopped: None,
        }
    }

    /// See [`JitterBuffer::insert`].
    pub fn insert(&mut self, now: Instant, unit: Unit<T>) -> Verdict<T> {
        let epoch = self.begin(now);
        let Unit { seq, time, marker, retransmitted, .. } = unit;
        let verdict = self.buffer.insert(now, unit);
        if let Some(epoch) = epoch {
            let unit = Unit { seq, time, marker, retransmitted, payload: () };
            let call = Call::Insert { at: nanos(epoch, now), unit };
            self.writer.write(&call, &Outcome::of_verdict(&verdict));
        }
        verdict
    }

    /// See [`JitterBuffer::poll`].
    pub fn poll(&mut self, now: Instant) -> Output<T> {
        let epoch = self.begin(now);
        let output = self.buffer.poll(now);
        if let Some(epoch) = epoch {
            let call = Call::Poll { at: nanos(epoch, now) };
            self.writer.write(&call, &Outcome::of_output(&output, epoch));
        }
        output
    }

    /// See [`JitterBuffer::set_drift`].
    pub fn set_drift(&mut self, ppm: f64) {
        self.record(Call::SetDrift(ppm));
        self.buffer.set_drift(ppm);
    }

    /// See [`JitterBuffer::set_min_playout_delay`].
    pub fn set_min_playout_delay(&mut self, delay: Duration) {
        self.record(Call::SetMinPlayoutDelay(delay));
        self.buffer.set_min_playout_delay(delay);
    }

    /// See [`JitterBuffer::set_round_trip`].
    pub fn set_round_trip(&mut self, round_trip: Option<Duration>) {
        self.record(Call::SetRoundTrip(round_trip));
        self.buffer.set_round_trip(round_trip);
    }

    /// What has been recorded: up to here, or until the recording stopped.
    #[must_use]
    pub fn log(&self) -> Log {
        let mut writer = self.writer.clone();
        if self.stopped.is_none() {
            writer.write(&Call::Stats, &Outcome::Stats(self.buffer.stats()));
        }
        Log::new(self.config.clone(), writer)
    }

    /// How far the recording has come. (The buffer's statistics are
    /// [`stats`](JitterBuffer::stats).)
    #[must_use]
    pub const fn recorded(&self) -> RecorderStats {
        let (calls, bytes) = (self.writer.calls(), self.writer.len());
        RecorderStats { calls, bytes, missed: self.missed, stopped: self.stopped }
    }

    /// Ends the recording. The buffer, as it is.
    #[must_use]
    pub fn into_buffer(self) -> JitterBuffer<T> {
        self.buffer
    }

    /// A setter: nothing comes of it.
    fn record(&mut self, call: Call) {
        if self.has_room() {
            self.writer.write(&call, &Outcome::Done);
        }
    }

    /// Before a call at `now`: the epoch, if it is to be recorded.
    fn begin(&mut self, now: Instant) -> Option<Instant> {
        let epoch = *self.epoch.get_or_insert(now);
        if self.stopped.is_none() && nanos(epoch, now).unsigned_abs() > MAX_OFFSET {
            self.stop(StopReason::Time);
        }
        self.has_room().then_some(epoch)
    }

    /// Whether a call is to be recorded. It is counted, if not.
    fn has_room(&mut self) -> bool {
        if self.stopped.is_none() && self.writer.len() + MAX_ENTRY + MAX_STATS > self.max_bytes {
            self.stop(StopReason::Full);
        }
        self.missed += u64::from(self.stopped.is_some());
        self.stopped.is_none()
    }

    /// The log ends here, with the statistics up to here: so it is asked before a call
    /// whether there is room.
    fn stop(&mut self, reason: StopReason) {
        self.writer.write(&Call::Stats, &Outcome::Stats(self.buffer.stats()));
        self.stopped = Some(reason);
    }
}

impl<T> Deref for Recorder<T> {
    type Target = JitterBuffer<T>;

    fn deref(&self) -> &JitterBuffer<T> {
        &self.buffer
    }
}

/// Half of what an i64 of nanoseconds holds, 146 years: what falls due days after a
/// call has room too.
const MAX_OFFSET: u64 = 1 << 62;
