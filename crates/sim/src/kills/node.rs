//! One member: a machine with a clock, and a stage that is a counter.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use paceline_framing::Numbering;
use paceline_migration::{Migration, MixerState};
use paceline_types::{Frequency, MediaTime, SenderId, SeqNo, StreamId};

use super::clock::Clock;
use super::event::Packet;

/// A member, from when it is let in until it is gone; under another number it is another.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) machine: Migration,
    pub(super) clock: Clock,
    pub(super) mix: MixClock,
    /// Who may follow the host, as its machine says.
    pub(super) successors: Vec<SenderId>,
    /// Who is in the room, as the witness says.
    pub(super) known: BTreeSet<SenderId>,
    /// Who hosts, as the witness says.
    pub(super) hint: Option<SenderId>,
    /// Packets of a host who has not proved himself yet.
    pub(super) early: Vec<(SenderId, Packet)>,
    /// When it is woken next.
    pub(super) wake: Option<Duration>,
    /// How often it was woken at one time.
    pub(super) wakes: (Duration, u32),
    /// It does nothing until then: what comes waits.
    pub(super) frozen: Option<Duration>,
    pub(super) life: Life,
    /// Its mix goes.
    pub(super) ticking: bool,
}

/// Whether it is there.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Life {
    Lives,
    /// It wants to go, and hands over first.
    Leaves,
    /// It vanished, or went.
    Gone {
        at: Duration,
    },
}

impl Node {
    pub(super) fn new(machine: Migration, clock: Clock) -> Self {
        Self {
            machine,
            clock,
            mix: MixClock::default(),
            successors: Vec::new(),
            known: BTreeSet::new(),
            hint: None,
            early: Vec::new(),
            wake: None,
            wakes: (Duration::ZERO, 0),
            frozen: None,
            life: Life::Lives,
            ticking: false,
        }
    }

    pub(super) const fn is_there(&self) -> bool {
        !matches!(self.life, Life::Gone { .. })
    }
}

/// The media time of the mix as a node has it: its own if it began it, or what it took from
/// the frames it rendered.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct MixClock {
    /// When it showed zero, by the node's clock.
    zero: Option<Instant>,
    last: Option<u64>,
}

impl MixClock {
    /// It begins now, unless it goes already.
    pub(super) fn start(&mut self, now: Instant) {
        self.zero.get_or_insert(now);
    }

    /// Follows a frame: the one that took least time on its way tells most.
    pub(super) fn follow(&mut self, now: Instant, time: Duration) {
        if let Some(zero) = now.checked_sub(time) {
            self.zero = Some(self.zero.map_or(zero, |before| before.min(zero)));
        }
    }

    pub(super) const fn runs(&self) -> bool {
        self.zero.is_some()
    }

    /// The slot that has begun and was not taken yet.
    pub(super) fn take_slot(&mut self, now: Instant) -> Option<u64> {
        let slot = (now.checked_duration_since(self.zero?)?.as_micros() / SLOT_MICROS) as u64;
        (self.last < Some(slot)).then(|| {
            self.last = Some(slot);
            slot
        })
    }

    /// When the next slot begins.
    pub(super) fn next_slot(&self, now: Instant) -> Option<Instant> {
        let zero = self.zero?;
        let slot = now.saturating_duration_since(zero).as_micros() / SLOT_MICROS + 1;
        zero.checked_add(Duration::from_micros((slot * SLOT_MICROS) as u64))
    }

    /// What a stage would say of the mix.
    pub(super) fn state(&self) -> MixerState {
        let Some(slot) = self.last else { return MixerState::default() };
        let of = |stream, seq| Numbering { stream, seq: SeqNo::new(seq), time: at(stream, slot) };
        MixerState {
            numbering: vec![of(StreamId::MIX_AUDIO, slot), of(StreamId::MIX_VIDEO, slot / 2)],
            tiles: Vec::new(),
        }
    }
}

/// The media time of a slot, on the clock of a stream of the mix.
pub(super) fn at(stream: StreamId, slot: u64) -> MediaTime {
    if stream == StreamId::MIX_AUDIO {
        MediaTime::new(slot * 960, Frequency::AUDIO)
    } else {
        MediaTime::new(slot * 1_800, Frequency::VIDEO)
    }
}

/// The place of a slot in the mix.
pub(super) const fn place(slot: u64) -> Duration {
    Duration::from_micros(slot * SLOT_MICROS as u64)
}

/// A frame of sound: 20 ms. Of pictures there is one in every other slot.
const SLOT_MICROS: u128 = 20_000;
