//! Lip sync and the aligner, driven by a script of operations.

use std::time::{Duration, Instant};

use bytes::Buf;
use paceline_jitter::types::{Frequency, MediaTime, NtpTime, WallClock};
use paceline_jitter::{
    AlignVerdict, AlignedSet, Aligner, AlignerConfig, Cadence, Media, Overflow, Playout, Slot,
    Stamp, StreamSync, SyncConfig, SyncOutput, Take,
};

use crate::packets::epoch;

const STREAMS: usize = 6;
const BUDGET: Duration = Duration::from_millis(300);
const QUEUE: usize = 8;

/// Peers whose clocks say anything: the first byte chooses how things are aligned, and each
/// step is an operation, a stream, and ten bytes that the operation reads as it likes.
pub fn sync(script: &[u8]) {
    let Some((&flags, mut script)) = script.split_first() else { return };
    let start = epoch() + Duration::from_secs(1 << 32);
    let mut sync = StreamSync::new(SyncConfig::default().max_delay(BUDGET).max_streams(STREAMS));
    let mut own = [Duration::ZERO; STREAMS];
    let mut room = Room::new(flags, start);
    let mut now = start;
    while let Some((&[op, stream], rest)) = script.split_first_chunk() {
        script = rest;
        if script.remaining() < 10 {
            break;
        }
        let wide = script.get_u64();
        let small = script.get_u16();
        let id = usize::from(stream) % STREAMS;
        let (media, clock) = kind(id);
        // Near some clock that a sane sender might have, or anything.
        let ntp = if op & 0x80 == 0 { (0xee << 56) + (wide >> 28) } else { wide };
        let ticks = if op & 0x40 == 0 { wide >> 44 } else { wide };
        match op % 8 {
            0 => {
                let known = sync.status(id).is_some();
                assert_eq!(sync.add_stream(id, stream / 64, media, clock), !known);
                room.join(id);
            }
            1 if wide % 8 == 0 => {
                let known = sync.status(id).is_some();
                assert_eq!(sync.remove_stream(id), known);
                own[id] = Duration::ZERO;
                room.leave(id);
            }
            1 => sync.set_quiet(now, id, wide % 2 == 1),
            2 => {
                sync.handle_sender_report(now, id, NtpTime::from_bits(ntp), ticks as u32);
            }
            3 => {
                sync.handle_capture(now, id, MediaTime::new(ticks, clock), NtpTime::from_bits(ntp));
            }
            4 => {
                let (due, delay) = (instant(now, wide as i16), Duration::from_millis(small.into()));
                let before = sync.stats().playouts;
                let time = MediaTime::new(ticks, clock);
                sync.handle_playout(now, id, Playout { time, due, delay });
                if sync.stats().playouts > before {
                    own[id] = delay.min(Duration::from_secs(60));
                }
            }
            5 => {
                let stamp =
                    Stamp { capture: NtpTime::from_bits(ntp), due: instant(now, small as i16) };
                room.handle_frame(now, id, stamp);
            }
            6 => sync.set_drift(id, f64::from_bits(wide), f64::from(small)),
            _ => {
                now += Duration::from_millis(u64::from(small) % 4_096);
                sync.handle_timeout(now);
            }
        }
        for (id, &own) in own.iter().enumerate() {
            let delay = sync.min_playout_delay(id);
            // Never negative, never over the budget, never without effect.
            assert!(delay <= own + BUDGET);
            assert!(delay.is_zero() || delay > own);
            assert!(sync.status(id).is_none_or(|status| status.readings <= 32));
        }
        let mut outputs = 0;
        while let Some(SyncOutput::MinPlayoutDelay { stream, delay }) = sync.poll_output() {
            assert_eq!(delay, sync.min_playout_delay(stream));
            outputs += 1;
            assert!(outputs <= STREAMS);
        }
        room.poll(now);
    }
}

/// An aligner, and what it has given so far.
struct Room {
    aligner: Aligner<u64, usize, usize>,
    known: [bool; STREAMS],
    given: [Option<u64>; STREAMS],
    frames: u64,
    set: AlignedSet<usize, u64>,
    last: Option<Instant>,
}

impl Room {
    fn new(flags: u8, start: Instant) -> Self {
        let overflow = if flags & 1 == 0 { Overflow::DropOldest } else { Overflow::RefuseNewest };
        let mut config = AlignerConfig::default().max_frames(QUEUE).overflow(overflow);
        if flags & 2 != 0 {
            let clock = WallClock::new(start, NtpTime::from_bits(0xee << 56));
            config = config.wallclock(clock, Duration::from_millis(100));
        }
        let cadence = match flags & 4 {
            0 => Cadence::Every(Duration::from_millis(u64::from(flags >> 3))),
            _ => Cadence::Stream(0),
        };
        Self {
            aligner: Aligner::new(config, cadence),
            known: [false; STREAMS],
            given: [None; STREAMS],
            frames: 0,
            set: AlignedSet::new(),
            last: None,
        }
    }

    fn join(&mut self, id: usize) {
        let take = if id.is_multiple_of(2) { Take::All } else { Take::Newest };
        let added = self.aligner.add_stream(id, id / 2, take, Duration::from_millis(20));
        assert_eq!(added, !self.known[id]);
        self.known[id] = true;
    }

    fn leave(&mut self, id: usize) {
        assert_eq!(self.aligner.remove_stream(id), self.known[id]);
        self.known[id] = false;
    }

    fn handle_frame(&mut self, now: Instant, id: usize, stamp: Stamp) {
        self.frames += 1;
        let known = self.known[id];
        match self.aligner.handle_frame(now, id, stamp, self.frames) {
            AlignVerdict::Queued => assert!(known),
            AlignVerdict::Unknown(frame) => assert!(!known && frame == self.frames),
            AlignVerdict::Ahead(frame) | AlignVerdict::Full(frame) | AlignVerdict::Late(frame) => {
                assert!(known && frame == self.frames);
            }
            _ => unreachable!("no other verdict is known"),
        }
    }

    fn poll(&mut self, now: Instant) {
        self.aligner.handle_timeout(now);
        while self.aligner.poll_aligned(&mut self.set) {
            // Sets come in order of time, and a stream's frames in the order they came.
            assert!(self.set.at > self.last && self.set.at <= Some(now));
            self.last = self.set.at;
            for part in &self.set.parts {
                assert!(self.known[part.stream]);
                match part.slot {
                    Slot::Fresh { at, payload } => {
                        assert!(Some(at) <= self.set.at);
                        assert!(Some(payload) > self.given[part.stream]);
                        self.given[part.stream] = Some(payload);
                    }
                    Slot::Held { payload, .. } => {
                        assert_eq!(Some(payload), self.given[part.stream]);
                    }
                    _ => {}
                }
            }
        }
        assert!(self.aligner.queued() <= STREAMS * QUEUE);
        assert!(self.aligner.poll_timeout().is_none_or(|due| due > now));
    }
}

fn kind(id: usize) -> (Media, Frequency) {
    match id % 2 {
        0 => (Media::Audio, Frequency::AUDIO),
        _ => (Media::Video, Frequency::VIDEO),
    }
}

fn instant(now: Instant, ms: i16) -> Instant {
    let span = Duration::from_millis(ms.unsigned_abs().into());
    if ms < 0 { now - span } else { now + span }
}
