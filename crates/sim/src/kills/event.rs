//! What happens in a room, and when.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::time::Duration;

use paceline_framing::Control;
use paceline_migration::{WitnessReply, WitnessRequest};
use paceline_types::{Epoch, SenderId};

use super::pipe::Trip;
use super::script::Incident;

/// A packet between two members.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Packet {
    Control {
        epoch: Epoch,
        control: Control,
    },
    /// A frame of the mix: its stream, slot and when it was sent.
    Mix {
        epoch: Epoch,
        audio: bool,
        slot: u64,
        made: Duration,
    },
}

/// What a member and the witness tell each other.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Word {
    Ask(WitnessRequest),
    Answer(WitnessReply),
    Joined(SenderId),
    Left(SenderId),
    /// Who hosts, as the witness has it.
    Host(Option<SenderId>, Epoch),
}

#[derive(Clone, Debug)]
pub(super) enum Event {
    /// A packet is there, if its sender lived long enough.
    Arrives {
        from: SenderId,
        to: SenderId,
        link: u32,
        trip: Trip,
        packet: Packet,
    },
    /// A connection is there, or could not be made.
    Connects {
        caller: SenderId,
        callee: SenderId,
    },
    /// The other end of a new connection knows of it.
    Connected {
        at: SenderId,
        peer: SenderId,
        link: u32,
    },
    /// Too long nothing came through a connection.
    GivesUp {
        at: SenderId,
        peer: SenderId,
        link: u32,
    },
    /// A stage is ready to take over.
    StageReady {
        at: SenderId,
        epoch: Epoch,
    },
    /// Somebody has waited long enough to hand over.
    Departs {
        who: SenderId,
    },
    /// The witness notices that somebody is not there.
    Misses {
        who: SenderId,
        said_so: bool,
    },
    /// Round trips are measured, and connections that are lacking are called for.
    Second {
        at: SenderId,
    },
    Tick {
        at: SenderId,
    },
    Wakes {
        at: SenderId,
    },
    /// Something is at the witness.
    ToWitness {
        from: SenderId,
        trip: Trip,
        word: Word,
    },
    FromWitness {
        to: SenderId,
        word: Word,
    },
    Happens(Incident),
}

impl Event {
    /// Who takes it in, if that is a member.
    pub(super) const fn at(&self) -> Option<SenderId> {
        match self {
            Self::Arrives { to: at, .. }
            | Self::Connected { at, .. }
            | Self::GivesUp { at, .. }
            | Self::StageReady { at, .. }
            | Self::Departs { who: at }
            | Self::Second { at }
            | Self::Tick { at }
            | Self::Wakes { at }
            | Self::FromWitness { to: at, .. } => Some(*at),
            Self::Connects { .. } | Self::Misses { .. } | Self::ToWitness { .. } => None,
            Self::Happens(_) => None,
        }
    }
}

/// Events by time, and those of one time in the order they were put in.
#[derive(Debug, Default)]
pub(super) struct Agenda {
    heap: BinaryHeap<Entry>,
    count: u64,
}

#[derive(Debug)]
struct Entry {
    at: Duration,
    number: u64,
    event: Event,
}

impl Agenda {
    pub(super) fn push(&mut self, at: Duration, event: Event) {
        self.count += 1;
        self.heap.push(Entry { at, number: self.count, event });
    }

    pub(super) fn pop(&mut self) -> Option<(Duration, Event)> {
        self.heap.pop().map(|entry| (entry.at, entry.event))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.number).cmp(&(self.at, self.number))
    }
}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl Eq for Entry {}
