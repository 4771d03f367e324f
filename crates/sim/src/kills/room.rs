//! A room whose hosts are killed: members, what lies between them, and the loop.

use std::collections::BTreeSet;
use std::time::Duration;

use paceline_framing::{Control, Role};
use paceline_migration::{
    Admission, Candidate, Identity, Migration, Output, StageOrder, Verdict, WitnessReply,
};
use paceline_types::{Epoch, PeerId, SenderId, StreamId};

use super::clock::Clock;
use super::event::{Agenda, Event, Packet, Word};
use super::lines::Lines;
use super::node::{Life, Node, at, place};
use super::oracle::{Frame, Oracle};
use super::outcome::Outcome;
use super::pipe::{Pipe, Trip};
use super::profile::Profile;
use super::transcript::Transcript;
use super::witness::Witness;
use crate::Random;

/// A room in which hosts are killed.
///
/// Each member is a real [`Migration`] with a clock of its own; the witness is a
/// [`Voter`](paceline_migration::Voter) behind a line like the others'. Sound and pictures
/// are numbers. A seed decides all that is not the machines' doing.
///
/// ```
/// use paceline_sim::kills::{Profile, Room};
///
/// let profile = Profile::named("wan5").expect("there is one");
/// let outcome = Room::new(&profile, 7).run(1);
/// assert_eq!(outcome.kills.len(), 1);
/// assert!(outcome.violations.is_empty());
/// ```
#[derive(Debug)]
pub struct Room {
    pub(super) profile: Profile,
    pub(super) random: Random,
    pub(super) now: Duration,
    pub(super) agenda: Agenda,
    /// By number: the first is 1.
    pub(super) nodes: Vec<Node>,
    pub(super) lines: Lines,
    pub(super) witness: Witness,
    witness_clock: Clock,
    /// To the witness and from it, by number.
    pub(super) words: Vec<[Pipe<Word>; 2]>,
    pub(super) witness_is_cut: bool,
    pub(super) oracle: Oracle,
    pub(super) transcript: Transcript,
    pub(super) ends: bool,
    pub(super) wanted_kills: usize,
}

impl Room {
    /// An empty room.
    #[must_use]
    pub fn new(profile: &Profile, seed: u64) -> Self {
        // Seeds are counted up: their first draws would be alike.
        let mut random = Random::new(seed ^ SALT).fork().fork();
        let witness_clock = clock(&mut random, profile.skew);
        Self {
            lines: Lines::new(profile.road, random.fork()),
            profile: profile.clone(),
            now: Duration::ZERO,
            agenda: Agenda::default(),
            nodes: Vec::new(),
            witness: Witness::default(),
            witness_clock,
            words: Vec::new(),
            witness_is_cut: false,
            oracle: Oracle::default(),
            transcript: Transcript::default(),
            ends: false,
            wanted_kills: 0,
            random,
        }
    }

    /// Writes down every packet.
    #[must_use]
    pub fn with_transcript(mut self) -> Self {
        self.transcript.start();
        self
    }

    /// Lets people in and kills so many hosts, and whatever else the profile wants.
    #[must_use]
    pub fn run(mut self, kills: usize) -> Outcome {
        self.wanted_kills = kills;
        self.open();
        while let Some((now, event)) = self.agenda.pop() {
            self.now = now;
            self.handle(event);
            if self.ends {
                break;
            }
        }
        Outcome::of(self.oracle, self.transcript, self.now)
    }

    fn handle(&mut self, event: Event) {
        if let Some(who) = event.at() {
            let Some(node) = self.node(who) else { return };
            if let Some(until) = node.frozen.filter(|until| *until > self.now) {
                // It waits, behind what waits already.
                self.agenda.push(until, event);
                return;
            }
        }
        match event {
            Event::Arrives { from, to, link, trip, packet } => {
                self.arrives((from, to), link, trip, packet);
            }
            Event::Connects { caller, callee } => self.connects(caller, callee),
            Event::Connected { at, peer, link } => {
                if self.lines.is_up(at, peer, link) {
                    self.note(|| format!("{at} is connected to {peer}"));
                    self.with(at, |machine, now| machine.handle_connected(now, peer));
                }
            }
            Event::GivesUp { at, peer, link } => self.gives_up(at, peer, link),
            Event::StageReady { at, epoch } => {
                self.note(|| format!("{at}: stage is ready for {epoch}"));
                self.with(at, |machine, now| machine.handle_stage_ready(now, epoch, Vec::new()));
            }
            Event::Departs { who } => self.departs(who, true),
            Event::Misses { who, said_so } => self.misses(who, said_so),
            Event::Second { at } => self.second(at),
            Event::Tick { at } => self.tick(at),
            Event::Wakes { at } => self.wakes(at),
            Event::ToWitness { from, trip, word } => self.reach_witness(from, trip, word),
            Event::FromWitness { to, word } => self.hears(to, word),
            Event::Happens(incident) => self.happens(incident),
        }
    }

    /// Lets somebody in.
    pub(super) fn join(&mut self) {
        let now = self.witness_clock.at(self.now);
        let (sender, welcome) = self.witness.join(now);
        if sender.get() as usize > MAX_NUMBERS {
            return;
        }
        let clock = clock(&mut self.random, self.profile.skew);
        let mut peer = [0; 16];
        peer[..8].copy_from_slice(&self.random.bits().to_be_bytes());
        let identity =
            Identity { session: [7; 16], sender, peer: PeerId::from_random(peer), may_host: true };
        let seed = self.random.bits();
        let config = self.profile.migration.clone();
        let machine = Migration::new(clock.at(self.now), identity, welcome, config, seed);
        self.note(|| format!("{sender} joins: {welcome:?}"));
        self.nodes.push(Node::new(machine, clock));
        let road = self.profile.road;
        let words = [self.random.fork(), self.random.fork()];
        self.words.push(words.map(|random| Pipe::new(road, random)));
        self.oracle.came(sender);
        let others: Vec<_> = self.witness.present().filter(|who| *who != sender).collect();
        for &other in &others {
            self.tell(other, Word::Joined(sender));
            if welcome.host == Some(sender) {
                self.tell(other, Word::Host(welcome.host, welcome.epoch));
            }
            self.learn(sender, other);
        }
        let _ = self.witness.poll_host();
        self.drain(sender);
        self.agenda.push(self.now, Event::Second { at: sender });
    }

    fn learn(&mut self, at: SenderId, of: SenderId) {
        let mut peer = [0; 16];
        peer[..4].copy_from_slice(&of.get().to_be_bytes());
        let candidate =
            Candidate { sender: of, peer: PeerId::from_random(peer), may_host: true, nat: None };
        if let Some(node) = self.node_mut(at) {
            node.known.insert(of);
        }
        self.with(at, |machine, now| machine.handle_member_joined(now, candidate));
    }

    fn arrives(&mut self, (from, to): (SenderId, SenderId), link: u32, trip: Trip, packet: Packet) {
        let died = match self.nodes[index(from)].life {
            Life::Gone { at } => Some(at),
            _ => None,
        };
        if !self.lines.delivers((from, to), link, died.is_some_and(|died| died < trip.departs)) {
            return;
        }
        self.transcript.packet(self.now, from, to, &packet);
        self.take(from, to, packet);
    }

    /// A packet is handed over, for the first time or again.
    fn take(&mut self, from: SenderId, to: SenderId, packet: Packet) {
        let is_early = match packet {
            Packet::Control { control: Control::Bye { .. }, .. } => {
                self.lines.take_down(from, to);
                self.with(to, |machine, now| machine.handle_gone(now, from, true));
                false
            }
            Packet::Control { epoch, ref control } => {
                self.oracle.echoed(from, control);
                let mut verdict = Verdict::Taken;
                self.with(to, |machine, now| {
                    verdict = machine.handle_control(now, from, Some(epoch), control);
                });
                verdict == Verdict::Early
            }
            Packet::Mix { epoch, audio, slot, made } => {
                let stream = if audio { StreamId::MIX_AUDIO } else { StreamId::MIX_VIDEO };
                let mut admission = Admission::WrongRole;
                let time = at(stream, slot);
                self.with(to, |machine, now| {
                    admission = machine.admit(now, from, epoch, stream, time);
                });
                if admission == Admission::Accepted {
                    let frame = Frame { from, epoch, stream, time: place(slot), made };
                    self.renders(to, frame);
                }
                admission == Admission::Early
            }
        };
        if is_early
            && let Some(node) = self.node_mut(to)
            && node.early.len() < MAX_EARLY
        {
            node.early.push((from, packet));
        }
    }

    fn renders(&mut self, who: SenderId, frame: Frame) {
        let now = self.now;
        self.oracle.rendered(now, who, frame);
        if let Some(node) = self.node_mut(who) {
            let now = node.clock.at(now);
            node.mix.follow(now, frame.time);
        }
        self.start_ticking(who);
        self.look_at_kill();
    }

    /// Who hosts has changed: what was too early may be taken now.
    fn retry_early(&mut self, who: SenderId) {
        let Some(node) = self.node_mut(who) else { return };
        for (from, packet) in std::mem::take(&mut node.early) {
            self.take(from, who, packet);
        }
    }

    fn wakes(&mut self, at: SenderId) {
        let now = self.now;
        let Some(node) = self.node_mut(at) else { return };
        if node.wake != Some(now) && node.wake.is_some_and(|wake| wake > now) {
            return; // An earlier deadline was put off.
        }
        node.wake = None;
        let local = node.clock.at(now);
        if node.machine.poll_timeout().is_some_and(|(deadline, _)| deadline <= local) {
            self.with(at, |machine, now| machine.handle_timeout(now));
            self.look_for_spinning(at);
        } else {
            self.schedule(at);
        }
    }

    /// A machine whose deadline stays where it is keeps its owner busy for nothing.
    fn look_for_spinning(&mut self, who: SenderId) {
        let now = self.now;
        let Some(node) = self.node_mut(who) else { return };
        if node.wakes.0 != now {
            node.wakes = (now, 0);
        }
        node.wakes.1 += 1;
        if node.wakes.1 > MAX_WAKES {
            let reason = node.machine.poll_timeout().map(|(_, reason)| reason);
            self.oracle.spins = true;
            self.note(|| format!("{who} wants to be woken at once again and again: {reason:?}"));
            self.ends = true;
        }
    }

    /// A slot of the mix: whoever may send does, and everybody asks whether he may.
    fn tick(&mut self, who: SenderId) {
        let (now, mut sent) = (self.now, Vec::new());
        let Some(node) = self.node_mut(who) else { return };
        let local = node.clock.at(now);
        if let Some(slot) = node.mix.take_slot(local) {
            for stream in [StreamId::MIX_AUDIO, StreamId::MIX_VIDEO] {
                let is_due = stream == StreamId::MIX_AUDIO || slot.is_multiple_of(2);
                let epoch = is_due.then(|| node.machine.may_send(local, stream, at(stream, slot)));
                if let Some(epoch) = epoch.flatten() {
                    sent.push((epoch, stream, slot));
                }
            }
            if !sent.is_empty() {
                let state = node.mix.state();
                node.machine.handle_mixer(local, state);
            }
        }
        if let Some(next) = node.mix.next_slot(local) {
            let next = node.clock.when(next);
            self.agenda.push(next, Event::Tick { at: who });
        }
        let has_sent = !sent.is_empty();
        for (epoch, stream, slot) in sent {
            let frame = Frame { from: who, epoch, stream, time: place(slot), made: now };
            self.oracle.sent(frame);
            let audio = stream == StreamId::MIX_AUDIO;
            for to in self.lines.peers(who) {
                self.send(who, to, Packet::Mix { epoch, audio, slot, made: now });
            }
        }
        if has_sent {
            self.note_reach(who);
            self.look_at_kill();
            self.drain(who);
        }
    }

    /// If somebody has just begun to host after a kill: whom he reaches.
    fn note_reach(&mut self, who: SenderId) {
        let peers = self.lines.peers(who);
        if let Some(kill) = &mut self.oracle.kill
            && kill.host == Some((who, self.now))
        {
            kill.reach = peers.into_iter().collect();
        }
    }

    pub(super) fn start_ticking(&mut self, who: SenderId) {
        let now = self.now;
        let Some(node) = self.node_mut(who) else { return };
        if !node.ticking && node.mix.runs() {
            node.ticking = true;
            self.agenda.push(now, Event::Tick { at: who });
        }
    }

    /// Round trips, and a look at who should be connected.
    fn second(&mut self, at: SenderId) {
        for peer in self.lines.peers(at) {
            let road = self.profile.road;
            let rtt = 2 * road.delay + road.jitter.mul_f64(self.random.fraction());
            self.with(at, |machine, now| machine.handle_rtt(now, peer, rtt));
        }
        self.call_for_lacking(at);
        if !self.could_elect(&BTreeSet::new()) {
            // A host who stops then has to, and whoever is next elected has a reason.
            self.oracle.excuse(self.now);
        }
        self.agenda.push(self.now + SECOND, Event::Second { at });
    }

    fn reach_witness(&mut self, from: SenderId, trip: Trip, word: Word) {
        if let Life::Gone { at } = self.nodes[index(from)].life
            && at < trip.departs
        {
            return;
        }
        let Word::Ask(request) = word else { return };
        let now = self.witness_clock.at(self.now);
        self.note(|| format!("{from} → witness: {request:?}"));
        let answer = self.witness.handle(now, from, request);
        self.oracle.answered(&answer);
        self.tell(from, Word::Answer(answer));
        self.tell_of_host();
    }

    /// Everybody hears from the witness who hosts, if that is news.
    fn tell_of_host(&mut self) {
        let Some((host, epoch)) = self.witness.poll_host() else { return };
        let others: Vec<_> = self.witness.present().collect();
        for other in others {
            self.tell(other, Word::Host(host, epoch));
        }
    }

    fn hears(&mut self, to: SenderId, word: Word) {
        self.note(|| format!("witness → {to}: {word:?}"));
        match word {
            Word::Answer(reply) => self.answer(to, reply),
            Word::Joined(who) => {
                self.learn(to, who);
                self.call_for_lacking(to);
            }
            Word::Left(who) => {
                if let Some(node) = self.node_mut(to) {
                    node.known.remove(&who);
                }
                self.with(to, |machine, now| machine.handle_member_left(now, who));
            }
            Word::Host(host, epoch) => {
                if let Some(node) = self.node_mut(to) {
                    node.hint = host;
                }
                self.with(to, |machine, now| machine.handle_hint(now, host, epoch));
                self.call_for_lacking(to);
            }
            Word::Ask(_) => {}
        }
    }

    fn answer(&mut self, to: SenderId, reply: WitnessReply) {
        self.with(to, |machine, now| machine.handle_witness(now, reply));
    }

    /// The witness notices that somebody is gone, and tells the others.
    fn misses(&mut self, who: SenderId, said_so: bool) {
        let now = self.witness_clock.at(self.now);
        self.witness.leave(now, who, said_so);
        let others: Vec<_> = self.witness.present().collect();
        for other in others {
            self.tell(other, Word::Left(who));
        }
        self.tell_of_host();
    }

    /// Does something to a machine and carries out what comes of it.
    pub(super) fn with(
        &mut self,
        who: SenderId,
        what: impl FnOnce(&mut Migration, std::time::Instant),
    ) {
        let now = self.now;
        let Some(node) = self.node_mut(who) else { return };
        let local = node.clock.at(now);
        what(&mut node.machine, local);
        self.drain(who);
    }

    pub(super) fn drain(&mut self, who: SenderId) {
        while let Some(output) = self.node_mut(who).and_then(|node| node.machine.poll_output()) {
            self.carry_out(who, output);
        }
        self.schedule(who);
    }

    fn carry_out(&mut self, who: SenderId, output: Output) {
        match output {
            Output::Send { to, epoch, control } => {
                self.watch(who, epoch, &control);
                self.send(who, to, Packet::Control { epoch, control });
            }
            Output::Witness(request) => self.ask(who, Word::Ask(request)),
            Output::Stage(order) => {
                self.note(|| format!("{who}: stage is to {order:?}"));
                self.order(who, &order);
            }
            Output::Role { role, epoch, host } => {
                self.note(|| format!("{who}: {role:?} under {epoch}, host {host:?}"));
                self.call_for_lacking(who);
                self.retry_early(who);
            }
            Output::Successors(successors) => {
                self.note(|| format!("{who}: successors {successors:?}"));
                if let Some(node) = self.node_mut(who) {
                    node.successors = successors;
                }
                self.call_for_lacking(who);
            }
            Output::Event(event) => {
                self.note(|| format!("{who}: {event:?}"));
                if let paceline_migration::Event::Retired { .. } = event
                    && self.node(who).is_some_and(|node| node.life == Life::Leaves)
                {
                    self.departs(who, false);
                }
            }
            _ => {}
        }
    }

    fn order(&mut self, who: SenderId, order: &StageOrder) {
        match *order {
            StageOrder::Host { .. } => {
                let now = self.now;
                if let Some(node) = self.node_mut(who) {
                    let now = node.clock.at(now);
                    node.mix.start(now);
                }
                self.start_ticking(who);
            }
            StageOrder::Prepare { epoch, .. } => {
                // To decode everybody and to encode a keyframe; now and then it fails.
                let takes = Duration::from_millis(60).mul_f64(1.0 + self.random.fraction());
                if self.random.fraction() >= NEVER_READY {
                    self.agenda.push(self.now + takes, Event::StageReady { at: who, epoch });
                }
            }
            _ => {}
        }
    }

    /// What the observer sees of control packets: who is named, and who votes.
    fn watch(&mut self, from: SenderId, epoch: Epoch, control: &Control) {
        match control {
            Control::Migrate(migrate) => self.oracle.migrate(self.now, from, epoch, migrate),
            Control::Roster(roster) => self.oracle.roster(from, roster),
            _ => {}
        }
    }

    pub(super) fn send(&mut self, from: SenderId, to: SenderId, packet: Packet) {
        if let Some((link, trip, packet)) = self.lines.send(self.now, from, to, packet) {
            self.agenda.push(trip.arrives, Event::Arrives { from, to, link, trip, packet });
        }
    }

    /// A member says something to the witness.
    fn ask(&mut self, from: SenderId, word: Word) {
        if let Some((trip, word)) = self.words[index(from)][0].send(self.now, word) {
            self.agenda.push(trip.arrives, Event::ToWitness { from, trip, word });
        }
    }

    /// The witness says something to a member.
    fn tell(&mut self, to: SenderId, word: Word) {
        if let Some((trip, word)) = self.words[index(to)][1].send(self.now, word) {
            self.agenda.push(trip.arrives, Event::FromWitness { to, word });
        }
    }

    /// Cuts everybody off from the witness, or heals that.
    pub(super) fn cut_witness(&mut self, cut: bool) {
        self.witness_is_cut = cut;
        for number in 0..self.words.len() {
            for pipe in &mut self.words[number] {
                pipe.set_cut(cut);
            }
            if !cut {
                let who = SenderId::new(number as u32 + 1);
                let [up, down] = self.words[number].each_mut().map(Pipe::take_held);
                for word in up {
                    self.ask(who, word);
                }
                for word in down {
                    self.tell(who, word);
                }
            }
        }
    }

    fn schedule(&mut self, who: SenderId) {
        let Some(node) = self.node_mut(who) else { return };
        let Some((deadline, _)) = node.machine.poll_timeout() else { return };
        let at = node.clock.when(deadline);
        if node.wake.is_none_or(|wake| at < wake) {
            node.wake = Some(at);
            let at = at.max(self.now);
            self.agenda.push(at, Event::Wakes { at: who });
        }
    }

    pub(super) fn node(&self, who: SenderId) -> Option<&Node> {
        self.nodes.get(index(who)).filter(|node| node.is_there())
    }

    pub(super) fn node_mut(&mut self, who: SenderId) -> Option<&mut Node> {
        self.nodes.get_mut(index(who)).filter(|node| node.is_there())
    }

    pub(super) fn alive(&self) -> Vec<SenderId> {
        let numbers = (1..).map(SenderId::new).zip(&self.nodes);
        numbers.filter(|(_, node)| node.is_there()).map(|(who, _)| who).collect()
    }

    pub(super) fn note(&mut self, what: impl FnOnce() -> String) {
        self.transcript.note(self.now, what);
    }

    /// Who should be connected to somebody and is not, calls.
    pub(super) fn call_for_lacking(&mut self, at: SenderId) {
        let Some(node) = self.node(at) else { return };
        let mut wanted: BTreeSet<_> = node.successors.iter().copied().collect();
        wanted.extend(node.machine.host());
        wanted.extend(node.hint);
        let is_central = node.machine.role() == Role::Host || node.successors.contains(&at);
        if is_central {
            wanted.extend(&node.known);
        }
        // Who came later calls; the other expects him.
        wanted.retain(|peer| *peer < at);
        for peer in wanted {
            if self.lines.call(at, peer) {
                // By the witness, there and back, and a handshake of two round trips.
                let takes = 8 * self.profile.road.delay;
                let takes = takes.mul_f64(1.0 + self.random.fraction() / 2.0);
                self.agenda.push(self.now + takes, Event::Connects { caller: at, callee: peer });
            }
        }
    }

    fn connects(&mut self, caller: SenderId, callee: SenderId) {
        let both = self.node(caller).is_some() && self.node(callee).is_some();
        // The call comes by the witness too, behind the news that he is there.
        if both && !self.node(callee).is_some_and(|node| node.known.contains(&caller)) {
            let again = self.now + NEWS;
            self.agenda.push(again, Event::Connects { caller, callee });
            return;
        }
        if !both || self.witness_is_cut || !self.lines.connect(caller, callee) {
            self.lines.hang_up(caller, callee);
            return;
        }
        let link = self.lines.link(caller, callee);
        self.agenda.push(self.now, Event::Connected { at: callee, peer: caller, link });
        let later = self.now + self.profile.road.delay;
        self.agenda.push(later, Event::Connected { at: caller, peer: callee, link });
    }

    fn gives_up(&mut self, at: SenderId, peer: SenderId, link: u32) {
        let is_dead = self.node(peer).is_none() || self.lines.is_cut(at, peer);
        let now = self.now;
        if is_dead && self.lines.gives_up(at, peer, link) {
            self.note(|| format!("{at} gives the connection to {peer} up"));
            self.with(at, |machine, now| machine.handle_gone(now, peer, false));
            self.agenda.push(now, Event::GivesUp { at: peer, peer: at, link });
        }
    }
}

/// Where the node of a number is kept.
pub(super) const fn index(who: SenderId) -> usize {
    who.get() as usize - 1
}

fn clock(random: &mut Random, skew: i32) -> Clock {
    let offset = Duration::from_secs(3_600).mul_f64(random.fraction());
    // Not in between: it is the extremes that do harm.
    let ppm = if random.fraction() < 0.5 { -skew } else { skew };
    Clock::new(offset, ppm)
}

/// Numbers that a room gives out: some members, each of whom comes back a few times.
pub(super) const MAX_NUMBERS: usize = 64;

/// How often a machine may be woken at one instant.
const MAX_WAKES: u32 = 16;

/// Packets held for a host who has not proved himself: half a second of a mix, as a session
/// does.
const MAX_EARLY: usize = 64;

/// How often it is looked whether the news of a caller has come.
const NEWS: Duration = Duration::from_millis(20);

/// The share of standbys whose stage never gets ready.
const NEVER_READY: f64 = 0.05;

const SALT: u64 = 0x6b69_6c6c_7368_6f73;

const SECOND: Duration = Duration::from_secs(1);
