//! The machines alone, in any order that is possible: no media, no delays, only chance.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use paceline_framing::{Control, Numbering};
use paceline_migration::{
    Candidate, Event, Identity, Migration, MigrationConfig, MixerState, Output, StageOrder,
    WitnessReply, WitnessRequest,
};
use paceline_types::{Epoch, Frequency, MediaTime, PeerId, SenderId, SeqNo, StreamId};

use super::oracle::{Split, Violation};
use super::witness::Witness;
use crate::{Random, epoch};

/// What came of one schedule.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Scheduled {
    /// Who could have sent as host beside another, and when: none, unless a machine lacks
    /// one of its rules.
    pub violations: Vec<Violation>,
    /// Elections won, the first not counted: what schedules are for.
    pub elections: u32,
    /// Handovers announced.
    pub handovers: u32,
    /// Hosts that fenced themselves.
    pub fenced: u32,
}

/// Runs a few machines through `steps` that chance picks, each of which is possible: a
/// message is delivered, lost or delivered twice, or waits; time passes; a timer fires, at
/// whatever time after it is due; somebody vanishes, is heard again, comes in or hands over.
/// After each it is asked who could send as host.
///
/// ```
/// use paceline_migration::MigrationConfig;
/// use paceline_sim::kills::schedule;
///
/// let scheduled = schedule(&MigrationConfig::default(), 7, 500);
/// assert!(scheduled.violations.is_empty());
/// ```
#[must_use]
pub fn schedule(config: &MigrationConfig, seed: u64, steps: u32) -> Scheduled {
    let mut machines = Machines::new(config, seed);
    let members = 2 + machines.pick(4);
    for _ in 0..members {
        machines.join();
    }
    machines.settle();
    // What it took until there was a host is not the point.
    machines.result = Scheduled::default();
    for _ in 0..steps {
        machines.step();
        machines.look();
        if !machines.result.violations.is_empty() {
            break;
        }
    }
    machines.result
}

#[derive(Debug)]
struct Machines {
    config: MigrationConfig,
    random: Random,
    now: Duration,
    /// By number; `None`: it vanished.
    nodes: Vec<Option<Migration>>,
    /// Messages under way, by who sends and who receives; the witness is 0.
    pipes: BTreeMap<(u32, u32), VecDeque<Message>>,
    witness: Witness,
    /// Epochs for which a stage is getting ready.
    stages: Vec<(SenderId, Epoch)>,
    /// By the epoch that ends: the next, and when it begins on the 90 kHz clock.
    windows: BTreeMap<Epoch, (Epoch, MediaTime)>,
    holders: BTreeMap<Epoch, SenderId>,
    result: Scheduled,
}

#[derive(Clone, Debug)]
enum Message {
    Control(Epoch, Control),
    Ask(WitnessRequest),
    Answer(WitnessReply),
}

impl Machines {
    fn new(config: &MigrationConfig, seed: u64) -> Self {
        Self {
            config: config.clone(),
            random: Random::new(seed ^ SALT).fork().fork(),
            now: Duration::from_secs(1),
            nodes: Vec::new(),
            pipes: BTreeMap::new(),
            witness: Witness::default(),
            stages: Vec::new(),
            windows: BTreeMap::new(),
            holders: BTreeMap::new(),
            result: Scheduled::default(),
        }
    }

    fn join(&mut self) {
        let now = epoch() + self.now;
        let (sender, welcome) = self.witness.join(now);
        let session = [7; 16];
        let identity = Identity { session, sender, peer: peer(sender), may_host: true };
        let seed = self.random.bits();
        self.nodes.push(Some(Migration::new(now, identity, welcome, self.config.clone(), seed)));
        for other in self.alive() {
            if other != sender {
                for (at, of) in [(other, sender), (sender, other)] {
                    self.with(at, |machine, now| {
                        let peer = peer(of);
                        let member = Candidate { sender: of, peer, may_host: true, nat: None };
                        machine.handle_member_joined(now, member);
                        machine.handle_connected(now, of);
                    });
                }
            }
        }
        self.drain(sender);
    }

    /// All goes well until everybody who should vote does.
    fn settle(&mut self) {
        for _ in 0..SETTLING {
            for key in Vec::from_iter(self.pipes.keys().copied()) {
                while self.deliver(key) {}
            }
            self.now += Duration::from_millis(25);
            for who in self.alive() {
                self.with(who, |machine, now| machine.handle_timeout(now));
            }
        }
        self.look();
    }

    fn step(&mut self) {
        match self.pick(100) {
            0..50 => {
                if let Some(key) = self.any_pipe() {
                    self.deliver(key);
                }
            }
            50..54 => {
                if let Some(key) = self.any_pipe() {
                    self.pipes.get_mut(&key).and_then(VecDeque::pop_front);
                }
            }
            54..57 => {
                if let Some(key) = self.any_pipe()
                    && let Some(pipe) = self.pipes.get_mut(&key)
                    && let Some(front) = pipe.front().cloned()
                {
                    pipe.push_front(front);
                }
            }
            57..70 => self.pass(60),
            70..71 => self.pass(600),
            71..95 => {
                let alive = self.alive();
                let due = alive.into_iter().filter(|who| self.is_due(*who));
                let due = Vec::from_iter(due);
                if !due.is_empty() {
                    let who = due[self.pick(due.len())];
                    self.with(who, |machine, now| machine.handle_timeout(now));
                }
            }
            _ => self.disturb(),
        }
    }

    fn pass(&mut self, most: usize) {
        let millis = 1 + self.pick(most) as u64;
        self.now += Duration::from_millis(millis);
    }

    /// Something that people or networks do.
    fn disturb(&mut self) {
        let alive = self.alive();
        if alive.is_empty() {
            return self.join();
        }
        let who = alive[self.pick(alive.len())];
        let other = alive[self.pick(alive.len())];
        match self.pick(12) {
            0..3 => {
                let state = self.mixer();
                let mut begun = false;
                self.with(who, |machine, now| {
                    machine.handle_mixer(now, state);
                    begun = machine.hand_over(now);
                });
            }
            3..8 if !self.stages.is_empty() => {
                let index = self.pick(self.stages.len());
                let (at, epoch) = self.stages.swap_remove(index);
                self.with(at, |machine, now| machine.handle_stage_ready(now, epoch, Vec::new()));
            }
            8 => self.with(who, Migration::resign),
            9 if who != other => {
                self.with(who, |machine, now| machine.handle_gone(now, other, false));
                self.pipes.remove(&(other.get(), who.get()));
            }
            10 if who != other => {
                self.with(who, |machine, now| machine.handle_connected(now, other));
            }
            11 if alive.len() > 1 && self.nodes.len() < MAX_NUMBERS => {
                self.nodes[who.get() as usize - 1] = None;
                self.witness.leave(epoch() + self.now, who, false);
                for at in self.alive() {
                    self.with(at, |machine, now| machine.handle_member_left(now, who));
                }
                self.join();
            }
            _ => {}
        }
    }

    fn deliver(&mut self, (from, to): (u32, u32)) -> bool {
        let Some(message) = self.pipes.get_mut(&(from, to)).and_then(VecDeque::pop_front) else {
            return false;
        };
        let (sender, at) = (SenderId::new(from), SenderId::new(to));
        match message {
            Message::Control(epoch, control) => self.with(at, |machine, now| {
                let _ = machine.handle_control(now, sender, Some(epoch), &control);
            }),
            Message::Ask(request) => {
                let answer = self.witness.handle(epoch() + self.now, sender, request);
                self.push((0, from), Message::Answer(answer));
            }
            Message::Answer(reply) => {
                self.with(at, |machine, now| machine.handle_witness(now, reply));
            }
        }
        true
    }

    fn push(&mut self, key: (u32, u32), message: Message) {
        let pipe = self.pipes.entry(key).or_default();
        // What waits for so long has been given up by who would send it again.
        if pipe.len() == MAX_WAITING {
            pipe.pop_front();
        }
        pipe.push_back(message);
    }

    fn with(&mut self, who: SenderId, what: impl FnOnce(&mut Migration, std::time::Instant)) {
        let now = epoch() + self.now;
        let Some(Some(machine)) = self.nodes.get_mut(who.get() as usize - 1) else { return };
        what(machine, now);
        self.drain(who);
    }

    fn drain(&mut self, who: SenderId) {
        loop {
            let node = self.nodes.get_mut(who.get() as usize - 1).and_then(Option::as_mut);
            let Some(output) = node.and_then(Migration::poll_output) else { return };
            match output {
                Output::Send { to, epoch, control } => {
                    if let Control::Migrate(migrate) = &control {
                        let next = (migrate.epoch, migrate.switch_time);
                        self.windows.insert(epoch, next);
                    }
                    self.push((who.get(), to.get()), Message::Control(epoch, control));
                }
                Output::Witness(request) => self.push((who.get(), 0), Message::Ask(request)),
                Output::Stage(StageOrder::Prepare { epoch, .. }) => self.stages.push((who, epoch)),
                Output::Event(Event::Elected { host, planned, .. }) if host == who => {
                    self.result.elections += u32::from(!planned);
                    self.result.handovers += u32::from(planned);
                }
                Output::Event(Event::Fenced { .. }) => self.result.fenced += 1,
                _ => {}
            }
        }
    }

    /// Who could send as host right now, and whether he may.
    fn look(&mut self) {
        let sound = self.sound();
        let now = epoch() + self.now;
        let mut senders = Vec::new();
        for (who, node) in (1..).map(SenderId::new).zip(&self.nodes) {
            let epoch = node.as_ref().and_then(|it| it.may_send(now, StreamId::MIX_AUDIO, sound));
            senders.extend(epoch.map(|epoch| (epoch, who)));
        }
        senders.sort_unstable();
        for &(epoch, who) in &senders {
            let holder = *self.holders.entry(epoch).or_insert(who);
            if holder != who {
                let what = format!("{who} and {holder} could send under {epoch}");
                self.violation(Split::OneEpoch, what);
            }
        }
        for pair in senders.windows(2) {
            let [(older, one), (newer, other)] = [pair[0], pair[1]];
            if older == newer {
                continue; // Said above.
            }
            let in_window = self.windows.get(&older).is_some_and(|(next, at)| {
                *next == newer && sound.ticks() * 15 < at.ticks() * 8 + TAIL
            });
            if !in_window {
                let what = format!("{one} of {older} could send beside {other} of {newer}");
                self.violation(Split::AtOnce, what);
            }
        }
    }

    fn violation(&mut self, split: Split, what: String) {
        self.result.violations.push(Violation { split, at: self.now, what });
    }

    /// The media time of the mix, which all stages agree on.
    fn sound(&self) -> MediaTime {
        MediaTime::new(self.now.as_millis() as u64 * 48, Frequency::AUDIO)
    }

    fn mixer(&self) -> MixerState {
        let time = self.sound();
        let seq = SeqNo::new(time.ticks() / 960);
        let sound = Numbering { stream: StreamId::MIX_AUDIO, seq, time };
        let ticks = time.ticks() * 90 / 48;
        let picture = Numbering {
            stream: StreamId::MIX_VIDEO,
            seq: SeqNo::new(ticks / 3_000),
            time: MediaTime::new(ticks, Frequency::VIDEO),
        };
        let numbering = vec![sound, picture];
        MixerState { numbering, tiles: Vec::new() }
    }

    fn is_due(&self, who: SenderId) -> bool {
        let node = self.nodes[who.get() as usize - 1].as_ref();
        let at = node.and_then(Migration::poll_timeout);
        at.is_some_and(|(at, _)| at <= epoch() + self.now)
    }

    fn alive(&self) -> Vec<SenderId> {
        let nodes = (1..).map(SenderId::new).zip(&self.nodes);
        nodes.filter(|(_, node)| node.is_some()).map(|(who, _)| who).collect()
    }

    fn any_pipe(&mut self) -> Option<(u32, u32)> {
        let full = self.pipes.iter().filter(|(_, pipe)| !pipe.is_empty()).count();
        let index = self.pick(full);
        let mut keys = self.pipes.iter().filter(|(_, pipe)| !pipe.is_empty()).map(|(key, _)| *key);
        keys.nth(index)
    }

    fn pick(&mut self, of: usize) -> usize {
        (self.random.fraction() * of as f64) as usize
    }
}

fn peer(of: SenderId) -> PeerId {
    let mut bytes = [0; 16];
    bytes[..4].copy_from_slice(&of.get().to_be_bytes());
    PeerId::from_random(bytes)
}

/// Rounds of 25 ms until all vote, one after the other.
const SETTLING: u32 = 24;

/// A crossfade of 40 ms on a clock that both rates divide: 720 kHz.
const TAIL: u64 = 28_800;

/// Messages that wait for one member from another.
const MAX_WAITING: usize = 32;

/// Who vanishes comes back so often.
const MAX_NUMBERS: usize = 24;

const SALT: u64 = 0x7363_6865_6475_6c65;
