//! Connections between members: made, cut, healed and given up.

use std::collections::BTreeSet;
use std::time::Duration;

use paceline_types::SenderId;

use super::event::Packet;
use super::pipe::{Pipe, Trip};
use super::profile::Road;
use super::room::{MAX_NUMBERS, index};
use crate::Random;

/// All connections of a room, each direction by itself.
#[derive(Debug)]
pub(super) struct Lines {
    road: Road,
    random: Random,
    /// By who sends, then by who receives.
    lines: Vec<Option<Box<Line>>>,
    /// Calls under way: nobody calls twice.
    calls: BTreeSet<(SenderId, SenderId)>,
    /// By who sends and who receives.
    cuts: BTreeSet<(SenderId, SenderId)>,
    peers: Vec<Vec<SenderId>>,
    /// When the last cut is healed.
    pub(super) until: Duration,
    links: u32,
}

#[derive(Debug)]
struct Line {
    pipe: Pipe<Packet>,
    link: u32,
    /// A packet of somebody who died before he could send it again: nothing after it is
    /// handed over.
    ended: bool,
    up: bool,
}

impl Lines {
    pub(super) fn new(road: Road, random: Random) -> Self {
        Self {
            road,
            random,
            lines: (0..MAX_NUMBERS * MAX_NUMBERS).map(|_| None).collect(),
            calls: BTreeSet::new(),
            cuts: BTreeSet::new(),
            peers: vec![Vec::new(); MAX_NUMBERS],
            until: Duration::ZERO,
            links: 0,
        }
    }

    /// Those whom somebody is connected to.
    pub(super) fn peers(&self, of: SenderId) -> Vec<SenderId> {
        self.peers[index(of)].clone()
    }

    pub(super) fn are_connected(&self, a: SenderId, b: SenderId) -> bool {
        self.peers[index(a)].contains(&b)
    }

    /// Begins a call, unless there is a connection or one is being made.
    pub(super) fn call(&mut self, caller: SenderId, callee: SenderId) -> bool {
        !self.are_connected(caller, callee) && self.calls.insert(ordered(caller, callee))
    }

    pub(super) fn hang_up(&mut self, caller: SenderId, callee: SenderId) {
        self.calls.remove(&ordered(caller, callee));
    }

    /// The call is answered; `false` if it does not get through.
    pub(super) fn connect(&mut self, caller: SenderId, callee: SenderId) -> bool {
        self.hang_up(caller, callee);
        if self.is_cut(caller, callee) || self.are_connected(caller, callee) {
            return false;
        }
        self.links += 1;
        for (from, to) in [(caller, callee), (callee, caller)] {
            let pipe = Pipe::new(self.road, self.random.fork());
            let line = Line { pipe, link: self.links, ended: false, up: true };
            self.lines[slot(from, to)] = Some(Box::new(line));
            self.peers[index(from)].push(to);
            // The order of numbers, so that who called does not matter.
            self.peers[index(from)].sort_unstable();
        }
        true
    }

    pub(super) fn link(&self, a: SenderId, b: SenderId) -> u32 {
        self.line(a, b).map_or(0, |line| line.link)
    }

    pub(super) fn is_up(&self, a: SenderId, b: SenderId, link: u32) -> bool {
        self.line(a, b).is_some_and(|line| line.up && line.link == link)
    }

    /// Puts a packet in, if there is a connection.
    pub(super) fn send(
        &mut self,
        now: Duration,
        from: SenderId,
        to: SenderId,
        packet: Packet,
    ) -> Option<(u32, Trip, Packet)> {
        let line = self.lines[slot(from, to)].as_deref_mut().filter(|line| line.up)?;
        let (trip, packet) = line.pipe.send(now, packet)?;
        Some((line.link, trip, packet))
    }

    /// Whether a packet that is there is handed over. `unsent`: its sender died before.
    pub(super) fn delivers(
        &mut self,
        (from, to): (SenderId, SenderId),
        link: u32,
        unsent: bool,
    ) -> bool {
        let Some(line) = self.lines[slot(from, to)].as_deref_mut() else { return false };
        line.ended |= unsent && line.link == link;
        line.link == link && line.up && !line.ended
    }

    /// The connection is closed at both ends.
    pub(super) fn take_down(&mut self, a: SenderId, b: SenderId) {
        for (from, to) in [(a, b), (b, a)] {
            if let Some(line) = &mut self.lines[slot(from, to)] {
                line.up = false;
            }
            self.peers[index(from)].retain(|peer| *peer != to);
        }
    }

    /// One end gives a connection up; `false` if it was given up before.
    pub(super) fn gives_up(&mut self, at: SenderId, peer: SenderId, link: u32) -> bool {
        let Some(line) = self.lines[slot(at, peer)].as_deref_mut() else { return false };
        let was_up = line.up && line.link == link;
        if was_up {
            line.up = false;
            self.peers[index(at)].retain(|other| *other != peer);
        }
        was_up
    }

    /// Cuts one direction, or heals it: what waited comes back to be sent.
    pub(super) fn set_cut(&mut self, from: SenderId, to: SenderId, cut: bool) -> Vec<Packet> {
        if cut {
            self.cuts.insert((from, to));
        } else {
            self.cuts.remove(&(from, to));
        }
        let Some(line) = &mut self.lines[slot(from, to)] else { return Vec::new() };
        line.pipe.set_cut(cut);
        if cut { Vec::new() } else { line.pipe.take_held().into() }
    }

    /// Whether either direction is cut: then no connection can be made.
    pub(super) fn is_cut(&self, a: SenderId, b: SenderId) -> bool {
        self.cuts.contains(&(a, b)) || self.cuts.contains(&(b, a))
    }

    fn line(&self, from: SenderId, to: SenderId) -> Option<&Line> {
        self.lines[slot(from, to)].as_deref()
    }
}

const fn slot(from: SenderId, to: SenderId) -> usize {
    index(from) * MAX_NUMBERS + index(to)
}

fn ordered(a: SenderId, b: SenderId) -> (SenderId, SenderId) {
    (a.min(b), a.max(b))
}
