//! A player on a virtual clock: it takes what is due when it is due, and writes down
//! what it heard.

use std::time::{Duration, Instant};

use paceline_jitter::types::{Frequency, MediaTime, SeqNo};
use paceline_jitter::{JitterBuffer, JitterConfig, JitterStats, Output, Unit, Verdict};

pub(crate) mod scenarios;

/// A packet of sound on its way. Numbers and ticks are counted from the first one's.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sent {
    /// When it arrives, in microseconds.
    pub(crate) at: i64,
    pub(crate) seq: i64,
    pub(crate) ticks: i64,
    pub(crate) marker: bool,
    pub(crate) retransmitted: bool,
    pub(crate) ssrc: u32,
}

impl Sent {
    /// Number `seq` of a stream of 20 ms each, which takes `delay` microseconds.
    pub(crate) const fn new(seq: i64, delay: i64) -> Self {
        let (at, ticks) = (seq * 20_000 + delay, seq * 960);
        Self { at, seq, ticks, marker: false, retransmitted: false, ssrc: 1 }
    }
}

/// What was heard, in nanoseconds from the start.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Heard {
    Lost { at: i64, first: u64, count: u64 },
    Play { at: i64, due: i64, seq: u64, id: u64 },
}

/// Numbers and ticks of the first packet.
pub(crate) const SEQ: u64 = 1 << 40;
pub(crate) const TICKS: u64 = 1 << 41;

#[derive(Debug)]
pub(crate) struct Player {
    pub(crate) buffer: JitterBuffer<u64>,
    pub(crate) heard: Vec<Heard>,
    start: Instant,
    now: Instant,
}

impl Player {
    #[expect(clippy::disallowed_methods, reason = "a test needs an epoch")]
    pub(crate) fn new(config: JitterConfig) -> Self {
        let start = Instant::now();
        Self { buffer: JitterBuffer::new(config), heard: Vec::new(), start, now: start }
    }

    /// Everything in the order of arrival, and then a silence of 5 s.
    pub(crate) fn run(config: JitterConfig, sent: &[Sent]) -> Self {
        let mut player = Self::new(config);
        for (id, sent) in sent.iter().enumerate() {
            let _ = player.send(id as u64, *sent);
        }
        player.pass(5_000_000);
        player
    }

    pub(crate) fn send(&mut self, id: u64, sent: Sent) -> Verdict<u64> {
        self.insert(sent.at, Self::unit(id, sent))
    }

    pub(crate) const fn unit(id: u64, sent: Sent) -> Unit<u64> {
        let ticks = TICKS.wrapping_add_signed(sent.ticks);
        Unit {
            seq: SeqNo::new(SEQ.wrapping_add_signed(sent.seq)),
            time: MediaTime::new(ticks, Frequency::AUDIO),
            marker: sent.marker,
            retransmitted: sent.retransmitted,
            payload: id,
        }
    }

    pub(crate) fn insert(&mut self, at: i64, unit: Unit<u64>) -> Verdict<u64> {
        self.run_until(at);
        let verdict = self.buffer.insert(self.now, unit);
        self.drain();
        verdict
    }

    /// Lets `micros` pass.
    pub(crate) fn pass(&mut self, micros: i64) {
        self.run_until(self.now_micros() + micros);
    }

    pub(crate) const fn epoch(&self) -> Instant {
        self.start
    }

    pub(crate) fn now_micros(&self) -> i64 {
        self.nanos(self.now) / 1_000
    }

    /// Wakes up whenever the buffer says so.
    pub(crate) fn run_until(&mut self, at: i64) {
        let at = self.start + Duration::from_micros(at.unsigned_abs());
        while let Some(due) = self.buffer.poll_timeout().filter(|&due| due <= at) {
            self.now = self.now.max(due);
            let before = self.heard.len();
            self.drain();
            assert!(self.heard.len() > before, "woken for nothing");
        }
        self.now = self.now.max(at);
    }

    fn drain(&mut self) {
        loop {
            let at = self.nanos(self.now);
            let timeout = self.buffer.poll_timeout();
            let output = self.buffer.poll(self.now);
            if matches!(output, Output::Lost { .. } | Output::Play { .. }) {
                assert!(timeout.is_some_and(|timeout| timeout <= self.now), "{timeout:?}");
            }
            match output {
                Output::Empty => break assert_eq!(self.buffer.poll_timeout(), None),
                Output::Lost { first, count } => {
                    self.heard.push(Heard::Lost { at, first: first.get(), count });
                }
                Output::Play { seq, due, payload, .. } => {
                    let due = self.nanos(due);
                    self.heard.push(Heard::Play { at, due, seq: seq.get(), id: payload });
                }
                Output::Wait(due) => {
                    assert!(due > self.now, "waits for the past");
                    break assert_eq!(self.buffer.poll_timeout(), Some(due));
                }
                other => unreachable!("{other:?}"),
            }
        }
    }

    fn nanos(&self, at: Instant) -> i64 {
        at.duration_since(self.start).as_nanos() as i64
    }

    pub(crate) fn stats(&self) -> JitterStats {
        self.buffer.stats()
    }

    /// What was played.
    pub(crate) fn ids(&self) -> Vec<u64> {
        self.heard.iter().filter_map(Heard::id).collect()
    }

    /// First number and count of each loss.
    pub(crate) fn losses(&self) -> Vec<(i64, u64)> {
        let losses = self.heard.iter().filter_map(|heard| match *heard {
            Heard::Lost { first, count, .. } => Some((first.wrapping_sub(SEQ) as i64, count)),
            Heard::Play { .. } => None,
        });
        losses.collect()
    }

    /// Of each packet that was played its number, when it was, and when it was due.
    pub(crate) fn plays(&self) -> Vec<(i64, i64, i64)> {
        let plays = self.heard.iter().filter_map(|heard| match *heard {
            Heard::Play { at, due, seq, .. } => Some((seq.wrapping_sub(SEQ) as i64, at, due)),
            Heard::Lost { .. } => None,
        });
        plays.collect()
    }

    /// From the sampling of each packet that was played to its playout, in
    /// microseconds; with its number.
    pub(crate) fn delays(&self) -> Vec<(i64, i64)> {
        let plays = self.plays();
        plays.into_iter().map(|(seq, at, _)| (seq, at / 1_000 - seq * 20_000)).collect()
    }

    /// The longest time in which nothing was played, in milliseconds.
    pub(crate) fn longest_silence(&self) -> i64 {
        let plays = self.plays();
        plays.windows(2).map(|pair| pair[1].1 - pair[0].1).max().unwrap_or(0) / 1_000_000
    }

    /// Packets up to the last one played that were not.
    pub(crate) fn lost(&self) -> u64 {
        self.losses().iter().map(|&(_, count)| count).sum()
    }

    /// Each number follows the one before: nothing twice, nothing untold.
    pub(crate) fn assert_in_order(&self) {
        let mut next = None;
        for heard in &self.heard {
            let (first, count) = match *heard {
                Heard::Lost { first, count, .. } => (first, count),
                Heard::Play { seq, .. } => (seq, 1),
            };
            assert!(next.is_none_or(|next| next == first), "{next:?}, then {heard:?}");
            next = Some(first + count);
        }
    }
}

impl Heard {
    pub(crate) const fn id(&self) -> Option<u64> {
        match *self {
            Self::Lost { .. } => None,
            Self::Play { id, .. } => Some(id),
        }
    }
}

/// Numbers that look random (SplitMix64).
#[derive(Debug)]
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) const fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From 0 up to, not including, `end`.
    pub(crate) const fn below(&mut self, end: u64) -> i64 {
        (self.roll() % end) as i64
    }
}

pub(crate) const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}
