//! What a recorder has written replays anywhere, and nothing else passes for it.
#![cfg(feature = "replay")]
#![allow(clippy::disallowed_methods, reason = "a test needs an epoch")]

use std::time::{Duration, Instant};

use paceline_jitter::replay::{
    Call, Difference, Log, LogError, Outcome, Recorder, RecorderConfig, ReplayError, StopReason,
};
use paceline_jitter::types::{Frequency, MediaTime, SeqNo};
use paceline_jitter::{JitterBuffer, JitterConfig, JitterStats, Output, Unit, Verdict};
use proptest::prelude::*;

/// Something that a caller does; times in milliseconds.
#[derive(Clone, Copy, Debug)]
enum Deed {
    Drift(f64),
    Insert { back: u64, late: u64, marker: bool, retransmitted: bool },
    Jump(i64, i64),
    Lose(u64),
    Poll { after: u64 },
    Restart(u32),
    RoundTrip(Option<u64>),
    Sync(u64),
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        12 => (0_u64..4, 0_u64..60, any::<bool>(), any::<bool>()).prop_map(
            |(back, late, marker, retransmitted)| Deed::Insert {
                back,
                late,
                marker: marker && late % 7 == 0,
                retransmitted: retransmitted && back > 0,
            }
        ),
        12 => (0_u64..30).prop_map(|after| Deed::Poll { after }),
        1 => (-300.0..300.0).prop_map(Deed::Drift),
        1 => (-30_000_i64..30_000, -9_000_000_i64..9_000_000)
            .prop_map(|(seq, ticks)| Deed::Jump(seq, ticks)),
        1 => (1_u64..20).prop_map(Deed::Lose),
        1 => prop::sample::select(vec![8_000, 48_000, 90_000]).prop_map(Deed::Restart),
        1 => prop::option::of(0_u64..200).prop_map(Deed::RoundTrip),
        1 => (0_u64..300).prop_map(Deed::Sync),
    ]
}

/// What the deeds are done to: a plain buffer, or one that records.
trait Buffer {
    fn insert(&mut self, now: Instant, unit: Unit<u64>) -> Verdict<u64>;
    fn poll(&mut self, now: Instant) -> Output<u64>;
    fn steer(&mut self, deed: Deed);
}

macro_rules! buffer {
    ($buffer:ident) => {
        impl Buffer for $buffer<u64> {
            fn insert(&mut self, now: Instant, unit: Unit<u64>) -> Verdict<u64> {
                self.insert(now, unit)
            }
            fn poll(&mut self, now: Instant) -> Output<u64> {
                self.poll(now)
            }
            fn steer(&mut self, deed: Deed) {
                match deed {
                    Deed::Drift(ppm) => self.set_drift(ppm),
                    Deed::RoundTrip(ms) => self.set_round_trip(ms.map(Duration::from_millis)),
                    Deed::Sync(ms) => self.set_min_playout_delay(Duration::from_millis(ms)),
                    _ => {}
                }
            }
        }
    };
}

buffer!(JitterBuffer);
buffer!(Recorder);

/// Does the deeds; says what came of them.
fn done(buffer: &mut impl Buffer, start: Instant, deeds: &[Deed]) -> Vec<String> {
    let (mut now, mut seq, mut ticks, mut hz) = (start, 1_u64 << 40, 1_u64 << 40, 48_000_u32);
    let mut came = Vec::new();
    for (index, &deed) in deeds.iter().enumerate() {
        match deed {
            Deed::Insert { back, late, marker, retransmitted } => {
                (seq, ticks) = (seq + 1, ticks + u64::from(hz / 50));
                let ticks = ticks - back * u64::from(hz / 50);
                let frequency = Frequency::new(hz.try_into().expect("not zero"));
                let time = MediaTime::new(ticks, frequency);
                let seq = SeqNo::new(seq - back);
                let unit = Unit { seq, time, marker, retransmitted, payload: index as u64 };
                let verdict = buffer.insert(now + Duration::from_millis(late), unit);
                came.push(format!("{verdict:?}"));
            }
            Deed::Poll { after } => {
                now += Duration::from_micros(after * 1_001);
                came.push(format!("{:?}", buffer.poll(now)));
            }
            Deed::Jump(by, ticks_by) => {
                (seq, ticks) = (seq.wrapping_add_signed(by), ticks.wrapping_add_signed(ticks_by));
            }
            Deed::Lose(count) => {
                (seq, ticks) = (seq + count, ticks + count * u64::from(hz / 50));
            }
            Deed::Restart(other) => hz = other,
            Deed::Drift(_) | Deed::RoundTrip(_) | Deed::Sync(_) => buffer.steer(deed),
        }
    }
    came
}

fn recorder(max_bytes: usize) -> Recorder<u64> {
    let config = JitterConfig::default().capacity(16).loss_price(Duration::from_millis(35));
    Recorder::new(config, RecorderConfig::default().max_bytes(max_bytes))
}

/// A run in which every kind of call and most outcomes come about.
fn a_run() -> (Recorder<u64>, JitterStats) {
    let mut deeds = Vec::new();
    for index in 0..60 {
        deeds.push(match index {
            7 => Deed::Drift(-80.0),
            12 => Deed::Lose(2),
            20 => Deed::RoundTrip(Some(40)),
            31 => Deed::Jump(20_000, 9_000_000),
            40 => Deed::Sync(70),
            50 => Deed::RoundTrip(None),
            _ => Deed::Insert {
                back: u64::from(index % 9 == 0),
                late: index * 13 % 40,
                marker: index % 16 == 0,
                retransmitted: index % 18 == 0,
            },
        });
        deeds.extend([9, 11].map(|after| Deed::Poll { after }));
    }
    let mut recorder = recorder(1 << 16);
    done(&mut recorder, Instant::now(), &deeds);
    let stats = recorder.stats();
    (recorder, stats)
}

proptest! {
    /// Whatever the network and the caller do, the recorder answers as a plain buffer
    /// does, and what it wrote replays to the end: also through bytes, and at an instant
    /// that has nothing to do with the first.
    #[test]
    fn a_random_run_replays_identically_at_any_epoch(
        deeds in prop::collection::vec(deed(), 0..400),
        later_ms in 0_u64..1_000_000_000,
        is_later in any::<bool>(),
    ) {
        let start = Instant::now();
        let mut recorder = recorder(1 << 20);
        let mut plain = JitterBuffer::new(recorder.log().config().clone());
        prop_assert_eq!(done(&mut recorder, start, &deeds), done(&mut plain, start, &deeds));
        prop_assert_eq!(recorder.stats(), plain.stats());

        let log = Log::parse(recorder.log().emit()).expect("as it was written");
        prop_assert_eq!(log.calls(), recorder.recorded().calls);
        let shift = Duration::from_millis(later_ms);
        // A clock may not reach that far back.
        let earlier = start.checked_sub(shift).unwrap_or(start);
        let epoch = if is_later { start + shift } else { earlier };
        prop_assert_eq!(log.replay(epoch).run(), Ok(plain.stats()));
    }

    /// A log within any bound keeps to it, ends with the statistics of its last call, and
    /// the buffer does not care.
    #[test]
    fn a_log_keeps_to_its_bound_and_replays_up_to_it(
        deeds in prop::collection::vec(deed(), 0..400),
        max_bytes in 0_usize..6_000,
    ) {
        let start = Instant::now();
        let mut recorder = recorder(max_bytes);
        let mut plain = JitterBuffer::new(recorder.log().config().clone());
        prop_assert_eq!(done(&mut recorder, start, &deeds), done(&mut plain, start, &deeds));

        let (recorded, log) = (recorder.recorded(), recorder.log());
        prop_assert!(log.emit().len() <= max_bytes.max(512), "{}", log.emit().len());
        let calls = deeds.iter().filter(|it| {
            !matches!(it, Deed::Jump(..) | Deed::Lose(_) | Deed::Restart(_))
        });
        prop_assert_eq!(recorded.calls + recorded.missed, calls.count() as u64);
        prop_assert_eq!(recorded.stopped.is_some(), recorded.missed > 0);
        let log = Log::parse(log.emit()).expect("as it was written");
        prop_assert_eq!(log.calls(), recorded.calls);
        prop_assert!(log.replay(start).run().is_ok());
    }

    /// Neither noise nor noise behind a real header does any harm.
    #[test]
    fn hostile_bytes_never_panic(
        noise in prop::collection::vec(any::<u8>(), 0..300),
        keep in 0_usize..2_000,
    ) {
        prop_assert!(Log::parse(&noise).is_err());
        let (recorder, _) = a_run();
        let mut bytes = recorder.log().emit().to_vec();
        bytes.truncate(keep);
        bytes.extend(&noise);
        if let Ok(log) = Log::parse(&bytes) {
            let _ = log.replay(Instant::now()).run();
        }
    }
}

/// A change of one byte is told with the call that it is in, or (if it made the call longer
/// or shorter, and the check happened to be right: once in 256) a later one, or when it is
/// replayed.
#[test]
fn a_changed_byte_is_found_and_its_call_is_told() {
    let (recorder, _) = a_run();
    let log = recorder.log();
    let bytes = log.emit();
    let calls = log.calls();
    // What calls are whole before a byte: as many as a log that is cut there has.
    let whole = |offset: usize| match Log::parse(&bytes[..offset]) {
        Err(LogError::Truncated { calls }) => calls,
        other => panic!("{other:?}"),
    };
    let header = (0..bytes.len()).rfind(|&offset| whole(offset) == 0).expect("calls follow");
    let (mut told_later, mut changes) = (0, 0);
    for offset in 0..bytes.len() {
        let true_call = whole(offset);
        for flip in 1..=255_u8 {
            let mut changed = bytes.to_vec();
            changed[offset] ^= flip;
            changes += 1;
            let error = match Log::parse(&changed) {
                Err(error) => error,
                Ok(log) => {
                    let run = log.replay(Instant::now()).run();
                    assert!(run.is_err(), "byte {offset} ^ {flip} is not found");
                    told_later += 1;
                    continue;
                }
            };
            let call = match error {
                LogError::BadCheck { call, .. } => call,
                LogError::Malformed { call, .. } => call.unwrap_or(0),
                LogError::Truncated { calls } => calls,
                LogError::TrailingBytes { .. } => calls,
                // Of the header.
                _ if offset <= header => 0,
                other => panic!("{other:?} at byte {offset}"),
            };
            assert!(call >= true_call, "byte {offset}: {error:?}");
            told_later += u64::from(call > true_call);
        }
    }
    assert!(told_later * 256 < changes, "{told_later} of {changes} were told later");
}

/// Makes a log by the tables of the module's documentation alone.
#[derive(Default)]
struct ByHand {
    bytes: Vec<u8>,
    checked: usize,
    check: u8,
}

impl ByHand {
    fn u8(mut self, byte: u8) -> Self {
        self.bytes.push(byte);
        self
    }

    fn uint(self, uint: u64) -> Self {
        let bits = (uint & 0x7f) as u8;
        if uint < 0x80 { self.u8(bits) } else { self.u8(bits | 0x80).uint(uint >> 7) }
    }

    fn int(self, int: i64) -> Self {
        self.uint(if int < 0 { int.unsigned_abs() * 2 - 1 } else { int as u64 * 2 })
    }

    fn ms(self, ms: u64) -> Self {
        self.uint(ms / 1_000).uint(ms % 1_000 * 1_000_000)
    }

    /// Bit by bit, where the crate has a table.
    fn check(mut self) -> Self {
        for &byte in &self.bytes[self.checked..] {
            self.check ^= byte;
            for _ in 0..8 {
                let carry = self.check >> 7;
                self.check = (self.check << 1) ^ (carry * 0x07);
            }
        }
        let check = self.check;
        self = self.u8(check);
        self.checked = self.bytes.len();
        self
    }

    fn header(mut self, min_delay_ms: u64) -> Self {
        self.bytes.extend(b"\x89PLJ\r\n\x1a\n\x01\x050.1.0");
        self = self.uint(128).ms(20).ms(200).uint(3_000).ms(2_000).ms(200);
        self.bytes.extend(0.05_f64.to_le_bytes());
        self.ms(min_delay_ms).ms(20).u8(1).check()
    }

    /// A poll too early, a unit in 5 ms, and a poll that then waits for `wait_ms`.
    fn calls(self, wait_ms: i64) -> Self {
        self.u8(0x01)
            .int(0)
            .check()
            .u8(0x40)
            .int(5_000_000)
            .u8(0b100)
            .int(7)
            .int(-7)
            .uint(48_000)
            .check()
            .u8(0x31)
            .int(0)
            .int(wait_ms * 1_000_000)
            .check()
    }

    fn stats(self, delay_ms: u64) -> Self {
        let counted = (0..8).fold(self.u8(0x05).uint(1), |log, _| log.uint(0));
        counted.ms(0).ms(0).ms(0).ms(delay_ms).ms(0).check()
    }
}

#[test]
fn the_form_is_what_the_documentation_says() {
    let start = Instant::now();
    let ms = Duration::from_millis;
    let config = JitterConfig::audio().capacity(128).max_gap(3_000).max_pace(0.05);
    let config = config.loss_price(ms(20)).max_delay(ms(200)).max_jump(ms(2_000));
    let config = config.max_late(ms(200)).min_delay(ms(20)).start_delay(ms(20));
    let mut buffer = Recorder::new(config.talkspurts(true), RecorderConfig::default());
    assert_eq!(buffer.poll(start), Output::Empty);
    let now = start + Duration::from_millis(5);
    let time = MediaTime::new(7_u64.wrapping_neg(), Frequency::AUDIO);
    assert_eq!(buffer.insert(now, Unit::new(SeqNo::new(7), time, 0)), Verdict::Queued);
    assert_eq!(buffer.poll(now), Output::Wait(now + Duration::from_millis(20)));
    let log = buffer.log();
    let version = log.crate_version().len() + 10;
    let by_hand = ByHand::default().header(20).calls(20).stats(20);
    if log.crate_version() == "0.1.0" {
        assert_eq!(log.emit(), by_hand.bytes);
    } else {
        // The check of the header is another one then, and with it all checks.
        assert_eq!(log.emit()[version..version + 20], by_hand.bytes[15..35]);
    }
    let log = Log::parse(&by_hand.bytes).expect("of the form");
    assert_eq!(log.replay(start).run(), Ok(buffer.stats()));
}

/// As when another build plays, or somebody forges: all checks are right.
#[test]
fn the_first_call_that_came_out_otherwise_is_told() {
    let told = |log: ByHand| {
        let log = Log::parse(&log.bytes).expect("of the form");
        match log.replay(Instant::now()).run() {
            Err(ReplayError::Differs(difference)) => *difference,
            other => panic!("{other:?}"),
        }
    };
    // Recorded with a delay of 20 ms, played with 30.
    let Difference { call_index, call, expected, got, .. } =
        told(ByHand::default().header(30).calls(20).stats(20));
    assert_eq!((call_index, call), (2, Call::Poll { at: 5_000_000 }));
    let wait = |ms: i64| Outcome::Wait { due: ms * 1_000_000 };
    assert_eq!((expected, got), (wait(25), wait(35)));

    // Only the statistics differ: they come after the last call.
    let difference = told(ByHand::default().header(20).calls(20).stats(21));
    assert_eq!((difference.call_index, difference.call), (3, Call::Stats));
}

#[test]
fn a_log_that_is_cut_short_says_after_how_many_calls() {
    let (recorder, stats) = a_run();
    let log = recorder.log();
    let mut last = 0;
    for len in 0..log.emit().len() {
        let Err(LogError::Truncated { calls }) = Log::parse(&log.emit()[..len]) else {
            panic!("{len} bytes pass")
        };
        assert!((last..=last + 1).contains(&calls), "{calls} after {last}");
        last = calls;
    }
    assert_eq!(last, log.calls());
    let longer = [log.emit(), &[0]].concat();
    let offset = log.emit().len();
    assert_eq!(Log::parse(&longer).err(), Some(LogError::TrailingBytes { offset }));
    assert_eq!(log.replay(Instant::now()).run(), Ok(stats));
}

#[test]
fn a_call_before_the_first_or_after_an_age_is_no_trouble() {
    let start = Instant::now() + Duration::from_secs(60);
    let mut recorder = recorder(1 << 16);
    let unit = |seq| Unit::new(SeqNo::new(seq), MediaTime::new(960 * seq, Frequency::AUDIO), 0);
    let _ = recorder.insert(start, unit(1));
    let _ = recorder.insert(start - Duration::from_secs(30), unit(2));
    let _ = recorder.poll(start - Duration::from_secs(60));
    assert_eq!(recorder.log().replay(start).run(), Ok(recorder.stats()));

    let stats = recorder.stats();
    let age = Duration::from_secs(200 * 365 * 86_400);
    let Some(late) = start.checked_add(age) else { return };
    let _ = recorder.poll(late);
    let recorded = recorder.recorded();
    assert_eq!((recorded.calls, recorded.missed), (3, 1));
    assert_eq!(recorded.stopped, Some(StopReason::Time));
    assert_eq!(recorder.log().replay(start).run(), Ok(stats));
}
