//! The jitter buffer, driven by a script of operations and watched by a model of it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use paceline_jitter::types::{Frequency, MediaTime, SeqNo};
use paceline_jitter::{JitterBuffer, JitterConfig, JitterStats, Output, Unit, Verdict};

use crate::packets::epoch;

/// A sender, a network and a player that are all hostile: after a byte for the bounds,
/// each step is an operation and three bytes for it.
pub fn jitter_buffer(script: &[u8]) {
    let Some((&bounds, mut script)) = script.split_first() else { return };
    let mut session = Session::new(bounds);
    while let Some((&[op, a, b, c], rest)) = script.split_first_chunk() {
        script = rest;
        session.step(op, a, b, c);
    }
    session.end();
}

struct Session {
    buffer: JitterBuffer<u64>,
    model: Model,
    now: Instant,
    /// The sender's next number, and its clock.
    seq: u64,
    ticks: u64,
    inserted: u64,
    refused: u64,
    max_delay: Duration,
    max_late: Duration,
    min_playout_delay: Duration,
}

impl Session {
    fn new(bounds: u8) -> Self {
        let max_delay = ms([0, 60, 200, 1_000][usize::from(bounds >> 6)]);
        let max_late = ms(if bounds & 4 == 0 { 200 } else { 10 });
        let config = if bounds & 8 == 0 { JitterConfig::audio() } else { JitterConfig::video() };
        let config = config
            .capacity([2, 4, 32, 128][usize::from(bounds & 3)])
            .max_delay(max_delay)
            .max_late(max_late)
            .min_delay(ms(if bounds & 16 == 0 { 0 } else { 40 }).min(max_delay))
            .start_delay(ms(if bounds & 32 == 0 { 0 } else { 100 }));
        Self {
            buffer: JitterBuffer::new(config),
            model: Model::default(),
            now: epoch(),
            seq: 0_u64.wrapping_sub(100),
            ticks: 0_u64.wrapping_sub(100_000),
            inserted: 0,
            refused: 0,
            max_delay,
            max_late,
            min_playout_delay: Duration::ZERO,
        }
    }

    fn step(&mut self, op: u8, a: u8, b: u8, c: u8) {
        match op & 15 {
            // What a sender and a network do: order, loss, doubles, jitter.
            0..6 => {
                self.seq = self.seq.wrapping_add(1);
                self.ticks = self.ticks.wrapping_add(960);
                self.now += Duration::from_micros(u64::from(b) * 160);
                if a < 240 {
                    let back = u64::from(a & 7 & (a >> 3));
                    self.insert(back, i64::from(c % 17) - 8, op);
                }
                self.drain();
            }
            // Far behind or ahead, or at a time that is odd.
            6 => self.insert(u64::from(a), i64::from(b as i8) << (c % 12), op),
            7 => self.insert(0_u64.wrapping_sub(u64::from(a)), i64::from(b as i8) << (c % 40), op),
            // From here on the sender has other numbers, or another time.
            8 => self.seq = self.seq.wrapping_add_signed(i64::from(a as i8) << (b % 56)),
            9 => self.ticks = self.ticks.wrapping_add_signed(i64::from(a as i8) << (b % 56)),
            10 => self.drain(),
            11 => _ = self.poll(),
            12 => self.now += Duration::from_micros(u64::from(a) << (b % 18)),
            13 => {
                if let Some(due) = self.buffer.poll_timeout() {
                    self.now = self.now.max(due);
                    assert!(!matches!(self.poll(), Output::Empty | Output::Wait(_)), "in vain");
                }
            }
            14 => self.buffer.set_drift(f64::from(a as i8) * f64::from(b)),
            _ => match a & 1 {
                0 => {
                    self.min_playout_delay = ms(u64::from(b) * 2);
                    self.buffer.set_min_playout_delay(self.min_playout_delay);
                }
                _ => self.buffer.set_round_trip((b > 0).then(|| ms(b.into()))),
            },
        }
    }

    /// The unit that is `back` before the newest, `off` ticks from its time.
    fn insert(&mut self, back: u64, off: i64, op: u8) {
        let seq = SeqNo::new(self.seq.wrapping_sub(back));
        let ticks = self.ticks.wrapping_sub(back.wrapping_mul(960)).wrapping_add_signed(off);
        let clock = if op == u8::MAX - 9 { Frequency::VIDEO } else { Frequency::AUDIO };
        let unit = Unit {
            marker: op & 32 != 0,
            retransmitted: op & 64 != 0,
            ..Unit::new(seq, MediaTime::new(ticks, clock), self.inserted)
        };
        let before = self.buffer.stats();
        let verdict = self.buffer.insert(self.now, unit);
        self.model.handle_insert(seq.get(), self.inserted, &verdict, before, self.buffer.stats());
        if let Verdict::Duplicate(back) | Verdict::Full(back) | Verdict::Late(back) = verdict {
            assert_eq!(back, self.inserted, "another one is handed back");
            self.refused += 1;
        }
        self.inserted += 1;
    }

    fn drain(&mut self) {
        while !matches!(self.poll(), Output::Empty | Output::Wait(_)) {}
    }

    fn poll(&mut self) -> Output<u64> {
        let timeout = self.buffer.poll_timeout();
        let output = self.buffer.poll(self.now);
        match output {
            Output::Empty => {
                assert!(self.model.held.is_empty(), "something is held");
                assert_eq!(timeout, None);
            }
            Output::Wait(due) => {
                assert!(due > self.now, "waits for the past");
                assert_eq!(timeout, Some(due));
                assert!(!self.model.held.is_empty(), "waits for nothing");
                let most = self.max_delay.max(self.min_playout_delay) + self.max_late;
                assert!(due <= self.now + most + ms(1), "waits for {:?}", due - self.now);
            }
            _ => {
                assert!(timeout.is_some_and(|timeout| timeout <= self.now), "too early");
                self.model.handle_output(&output);
            }
        }
        output
    }

    /// All that is held comes out, and a stream that is clean is heard.
    fn end(mut self) {
        self.play_all();
        let stats = self.buffer.stats();
        let Model { played, lost, probation, .. } = self.model;
        assert_eq!((stats.played, stats.lost, stats.queued), (played, lost, played));
        // A jump takes in one that had been put on probation.
        let seen = stats.queued + stats.late + stats.duplicate + stats.full + stats.outliers;
        assert_eq!(seen + u64::from(probation.is_some()), self.inserted);
        assert!(stats.late + stats.duplicate + stats.full >= self.refused);

        self.seq = self.seq.wrapping_add(1 << 40);
        for _ in 0..200 {
            self.seq = self.seq.wrapping_add(1);
            self.ticks = self.ticks.wrapping_add(960);
            self.now += ms(20);
            self.insert(0, 0, 0);
            self.drain();
        }
        self.play_all();
        assert!(self.model.played > played, "mute after {stats:?}");
    }

    fn play_all(&mut self) {
        while let Some(due) = self.buffer.poll_timeout() {
            self.now = self.now.max(due);
            assert!(!matches!(self.poll(), Output::Empty | Output::Wait(_)), "in vain");
        }
        assert!(self.model.held.is_empty(), "what is held is never played");
    }
}

/// What should be true of the buffer, by its verdicts and outputs alone. A place is a
/// number that goes on over jumps of the stream.
#[derive(Default)]
struct Model {
    /// The place and the number at which the stream began, or jumped to; and before that.
    start: Option<(u64, u64)>,
    start_before: Option<(u64, u64)>,
    highest: u64,
    /// The next place to be played or told lost.
    next: Option<u64>,
    held: BTreeMap<u64, u64>,
    probation: Option<(u64, u64)>,
    played: u64,
    lost: u64,
}

impl Model {
    fn handle_insert(
        &mut self,
        seq: u64,
        id: u64,
        verdict: &Verdict<u64>,
        before: JitterStats,
        after: JitterStats,
    ) {
        let (place, number) = *self.start.get_or_insert((1 << 62, seq));
        if after.resyncs > before.resyncs {
            let (first, first_id) = self.probation.take().expect("a jump is confirmed by two");
            assert!((1..=2).contains(&seq.wrapping_sub(first)), "they do not belong together");
            let is_told = |next| next >= place || self.start_before.is_none();
            assert!(self.next.is_some_and(is_told), "the jump before is not told yet");
            self.start_before = self.start.replace((self.highest + 1, first));
            self.highest += 1;
            let second_is_queued = u64::from(*verdict == Verdict::Queued);
            if after.queued - before.queued > second_is_queued {
                assert_eq!(self.held.insert(self.highest, first_id), None);
            }
            let place = self.highest + seq.wrapping_sub(first);
            return self.handle_verdict(place, id, verdict);
        }
        if *verdict == Verdict::Probation {
            assert_eq!(after.queued, before.queued);
            self.probation = Some((seq, id));
            return;
        }
        if self.probation.take().is_some() {
            assert_eq!(after.outliers, before.outliers + 1);
        }
        if self.next.is_none() && self.held.is_empty() {
            self.highest = place;
        }
        self.handle_verdict(place.wrapping_add(seq.wrapping_sub(number)), id, verdict);
    }

    fn handle_verdict(&mut self, place: u64, id: u64, verdict: &Verdict<u64>) {
        let is_past = self.next.is_some_and(|next| place < next);
        match verdict {
            Verdict::Duplicate(_) => assert!(is_past || self.held.contains_key(&place)),
            Verdict::Queued => {
                assert!(!is_past, "it has been told");
                assert_eq!(self.held.insert(place, id), None, "it is held already");
            }
            _ => assert!(!self.held.contains_key(&place)),
        }
        self.highest = self.highest.max(place);
    }

    fn handle_output(&mut self, output: &Output<u64>) {
        match *output {
            Output::Lost { first, count } => {
                let next = self.next.expect("nothing is lost before the first");
                assert_eq!(first.get(), self.number(next));
                let end = next + count;
                assert!(count > 0 && self.held.range(..end).next().is_none(), "it is held");
                // Not across a jump, where the numbers do not go on.
                let jump = self.start.map_or(0, |(place, _)| place);
                assert!(next >= jump || end <= jump);
                assert!(end <= self.held.keys().next().copied().unwrap_or(jump), "not missing yet");
                self.next = Some(end);
                self.lost += count;
            }
            Output::Play { seq, payload, .. } => {
                let first = self.held.pop_first().expect("it is not held");
                assert_eq!((self.number(first.0), first.1), (seq.get(), payload));
                assert!(self.next.is_none_or(|next| next == first.0), "a loss was not told");
                self.next = Some(first.0 + 1);
                self.played += 1;
            }
            _ => unreachable!("nothing came out"),
        }
    }

    /// The sender's number of a place.
    fn number(&self, place: u64) -> u64 {
        let now = self.start.filter(|&(start, _)| place >= start || self.start_before.is_none());
        let (start, number) = now.or(self.start_before).expect("there was a first");
        number.wrapping_add(place.wrapping_sub(start))
    }
}

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}
