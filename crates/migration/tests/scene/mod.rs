//! A room of machines in virtual time, with the witness, links that can be cut, stages that
//! only pretend, and a script of everything that is said and done.
#![allow(dead_code, unreachable_pub, reason = "each file of tests uses a part of it")]
#![allow(clippy::disallowed_methods, reason = "a test needs an epoch")]

mod check;
mod script;
mod witness;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use paceline_framing::{Control, MemberQuality, NetworkQuality, Numbering};
use paceline_migration::types::{Epoch, Frequency, MediaTime, PeerId, SenderId, SeqNo, StreamId};
use paceline_migration::{
    Admission, Candidate, Electorate, Identity, Migration, MigrationConfig, MixerState, Output,
    Role, StageOrder, Verdict, WitnessReply, WitnessRequest,
};

use self::check::Checks;
use self::script::Script;
pub use self::script::name;
use self::witness::Witness;

/// What the session of every room is called.
pub const SESSION: [u8; 16] = [7; 16];
const TICK: Duration = Duration::from_millis(20);
/// How long a connection takes to come about.
const CONNECTING: Duration = Duration::from_millis(50);

/// One member: his machine, and a stage that pretends.
pub struct Node {
    pub machine: Migration,
    pub stage: StageOrder,
    /// How long the stage takes to be ready for a handover; `None`: it never is.
    pub ready_after: Option<Duration>,
    pub missing: Vec<SenderId>,
    may_host: bool,
    witness_cut: bool,
}

/// One direction between two members.
#[derive(Default)]
struct Link {
    delay: Duration,
    cut: bool,
    connected: bool,
    /// Which connection: what was sent over one before is lost.
    number: u32,
    last: Option<Instant>,
    held: Vec<Item>,
}

#[derive(Clone)]
enum Item {
    Answer { to: u32, reply: WitnessReply },
    Ask { from: u32, request: WitnessRequest },
    Connected { at: u32, with: u32, number: u32 },
    Control { from: u32, to: u32, number: u32, epoch: Epoch, control: Control },
    Frame { from: u32, to: u32, number: u32, epoch: Epoch, stream: StreamId, time: MediaTime },
    Gone { at: u32, who: u32, bye: bool },
    Hint { to: u32, host: Option<u32>, epoch: Epoch },
    Joined { at: u32, who: u32 },
    Left { at: u32, who: u32 },
    Ready { at: u32, epoch: Epoch },
    Tick { at: u32 },
}

pub struct Room {
    pub start: Instant,
    pub now: Instant,
    pub nodes: BTreeMap<u32, Node>,
    pub config: MigrationConfig,
    pub delay: Duration,
    pub script: Script,
    pub checks: Checks,
    witness: Witness,
    links: BTreeMap<(u32, u32), Link>,
    items: BTreeMap<(Instant, u64), Item>,
    count: u64,
    last: u32,
}

impl Room {
    /// An empty room, in which everything takes 10 ms from one to another.
    pub fn new() -> Self {
        Self::with(MigrationConfig::default())
    }

    pub fn with(config: MigrationConfig) -> Self {
        let start = Instant::now();
        Self {
            start,
            now: start,
            nodes: BTreeMap::new(),
            config,
            delay: Duration::from_millis(10),
            script: Script::new(start),
            checks: Checks::default(),
            witness: Witness::default(),
            links: BTreeMap::new(),
            items: BTreeMap::new(),
            count: 0,
            last: 0,
        }
    }

    /// A room in which so many have come, one after another, and all is quiet.
    pub fn of(members: u32) -> Self {
        let mut room = Self::new();
        for _ in 0..members {
            room.join();
            room.run(1_000);
        }
        room.script.forget();
        room
    }

    /// Somebody comes who may host.
    pub fn join(&mut self) -> u32 {
        self.join_as(true)
    }

    pub fn join_as(&mut self, may_host: bool) -> u32 {
        self.last += 1;
        let id = self.last;
        self.script.note(self.now, &format!("{} comes", name(id)));
        let welcome = self.witness.join(self.now, id, may_host);
        let (sender, peer) = (SenderId::new(id), peer_of(id));
        let identity = Identity { session: SESSION, sender, peer, may_host };
        let machine =
            Migration::new(self.now, identity, welcome, self.config.clone(), u64::from(id));
        let node = Node {
            machine,
            stage: StageOrder::Idle,
            ready_after: Some(Duration::from_millis(60)),
            missing: Vec::new(),
            may_host,
            witness_cut: false,
        };
        let others = Vec::from_iter(self.nodes.keys().copied());
        self.nodes.insert(id, node);
        for other in others {
            for (from, to) in [(id, other), (other, id)] {
                self.links.insert((from, to), Link { delay: self.delay, ..Link::default() });
            }
            self.put(Duration::ZERO, Item::Joined { at: id, who: other });
            self.put(self.delay, Item::Joined { at: other, who: id });
            self.connect(id, other);
        }
        self.put(TICK, Item::Tick { at: id });
        self.drain(id);
        id
    }

    /// A connection comes about.
    pub fn connect(&mut self, a: u32, b: u32) {
        for (at, with) in [(a, b), (b, a)] {
            let Some(link) = self.links.get_mut(&(at, with)) else { continue };
            link.number += 1;
            (link.connected, link.last) = (true, None);
            link.held.clear();
            let number = link.number;
            self.put(CONNECTING, Item::Connected { at, with, number });
        }
    }

    /// A connection is lost, and both know.
    pub fn disconnect(&mut self, a: u32, b: u32) {
        for (at, who) in [(a, b), (b, a)] {
            let Some(link) = self.links.get_mut(&(at, who)) else { continue };
            if std::mem::take(&mut link.connected) {
                link.number += 1;
                link.held.clear();
                self.put(Duration::ZERO, Item::Gone { at, who, bye: false });
            }
        }
    }

    pub fn is_connected(&self, a: u32, b: u32) -> bool {
        self.links.get(&(a, b)).is_some_and(|link| link.connected)
    }

    /// Nothing comes from one to another; it waits.
    pub fn cut_way(&mut self, from: u32, to: u32) {
        if let Some(link) = self.links.get_mut(&(from, to)) {
            link.cut = true;
        }
    }

    pub fn cut(&mut self, a: u32, b: u32) {
        self.cut_way(a, b);
        self.cut_way(b, a);
    }

    pub fn heal(&mut self, a: u32, b: u32) {
        for way in [(a, b), (b, a)] {
            let Some(link) = self.links.get_mut(&way) else { continue };
            link.cut = false;
            for item in std::mem::take(&mut link.held) {
                self.carry(way, item);
            }
        }
    }

    /// What is asked of the witness is lost from now on.
    pub fn cut_witness(&mut self, id: u32, cut: bool) {
        if let Some(node) = self.nodes.get_mut(&id) {
            node.witness_cut = cut;
        }
    }

    /// Nobody hears of somebody any more, nor he of them.
    pub fn isolate(&mut self, id: u32) {
        self.note(&format!("{} is cut off", name(id)));
        for other in self.others(id) {
            self.cut(id, other);
        }
        self.cut_witness(id, true);
    }

    pub fn rejoin_net(&mut self, id: u32) {
        self.note(&format!("{} is heard again", name(id)));
        for other in self.others(id) {
            self.heal(id, other);
        }
        self.cut_witness(id, false);
    }

    pub fn set_delay(&mut self, a: u32, b: u32, millis: u64) {
        for way in [(a, b), (b, a)] {
            if let Some(link) = self.links.get_mut(&way) {
                link.delay = Duration::from_millis(millis);
            }
        }
    }

    /// Somebody dies; nobody is told.
    pub fn kill(&mut self, id: u32) {
        self.note(&format!("{} dies", name(id)));
        self.nodes.remove(&id);
    }

    /// The server and the others notice that somebody died.
    pub fn notice(&mut self, id: u32) {
        let _ = self.witness.leave(self.now, id, false);
        for other in self.others(id) {
            self.disconnect(id, other);
            self.put(self.delay, Item::Left { at: other, who: id });
        }
        self.tell_host(false);
    }

    /// Somebody says goodbye, and goes.
    pub fn leave(&mut self, id: u32) {
        self.note(&format!("{} says goodbye", name(id)));
        self.nodes.remove(&id);
        let _ = self.witness.leave(self.now, id, true);
        for other in self.others(id) {
            self.put(self.delay, Item::Gone { at: other, who: id, bye: true });
            self.put(self.delay, Item::Left { at: other, who: id });
        }
        self.tell_host(false);
    }

    /// Does something to one machine, now.
    pub fn with_machine<T>(
        &mut self,
        id: u32,
        act: impl FnOnce(&mut Migration, Instant) -> T,
    ) -> T {
        let now = self.now;
        let node = self.nodes.get_mut(&id).expect("he is there");
        let result = act(&mut node.machine, now);
        self.drain(id);
        result
    }

    /// A packet that nobody's machine sent.
    pub fn forge(&mut self, from: u32, to: u32, epoch: Epoch, control: Control) -> Verdict {
        let from = SenderId::new(from);
        self.with_machine(to, |it, now| it.handle_control(now, from, Some(epoch), &control))
    }

    /// Somebody's stage will not be ready for a handover.
    pub fn never_ready(&mut self, id: u32) {
        if let Some(node) = self.nodes.get_mut(&id) {
            node.ready_after = None;
        }
    }

    /// What was held of somebody who died never comes.
    pub fn heal_nothing_of(&mut self, id: u32) {
        for (_, link) in self.links.iter_mut().filter(|((from, _), _)| *from == id) {
            link.held.clear();
        }
    }

    /// Everybody measures that another would be a far better host than the one of now.
    pub fn measure_better(&mut self, best: u32) {
        self.note(&format!("all measure that {} would be the better host", name(best)));
        let ids = Vec::from_iter(self.nodes.keys().copied());
        let of = |id: u32| MemberQuality {
            member: SenderId::new(id),
            capacity: if id == best { 50_000 } else { 1_000 },
            loss: 0,
            min_rtt: 20_000,
            mean_rtt: 20_000,
            max_rtt: 20_000,
            jitter: 0,
            received: 900,
            expected: 900,
        };
        let quality = |from: u32| NetworkQuality {
            window: 30_000_000,
            members: ids.iter().filter(|&&id| id != from).map(|&id| of(id)).collect(),
        };
        for &from in &ids {
            let said = quality(from);
            for &to in ids.iter().filter(|&&to| to != from) {
                let _ =
                    self.forge(from, to, Epoch::new(1, 0), Control::NetworkQuality(said.clone()));
            }
            self.with_machine(from, |it, now| it.handle_quality(now, &said));
        }
    }

    /// All that was cut or lost is as it should be, and everybody knows who is there.
    pub fn mend(&mut self, dead: &[u32]) {
        self.note("all is mended");
        for &id in dead {
            self.notice(id);
        }
        let ids = Vec::from_iter(self.nodes.keys().copied());
        for (index, &a) in ids.iter().enumerate() {
            self.cut_witness(a, false);
            for &b in &ids[..index] {
                self.heal(a, b);
                if !self.is_connected(a, b) {
                    self.connect(a, b);
                }
            }
        }
        // Who was not heard of the server hears of it when he is back.
        self.tell_host(true);
    }

    /// Whether those who are here could elect somebody: they have the newest roster, and are
    /// a majority of those who vote by it.
    pub fn has_quorum(&self) -> bool {
        let rosters = self.nodes.values().filter_map(|node| node.machine.roster());
        let Some(newest) = rosters.max_by_key(|roster| roster.id) else { return false };
        let electorate = Electorate::of(newest);
        let here = self.nodes.keys().map(|&id| SenderId::new(id));
        electorate.is_quorum(here, self.witness.roster() <= newest.id)
    }

    pub fn hand_over(&mut self, id: u32) -> bool {
        self.note(&format!("{} is to hand over", name(id)));
        self.with_machine(id, Migration::hand_over)
    }

    pub fn note(&mut self, text: &str) {
        self.script.note(self.now, text);
    }

    pub fn others(&self, id: u32) -> Vec<u32> {
        self.nodes.keys().copied().filter(|&other| other != id).collect()
    }

    pub fn roles(&self) -> Vec<(u32, Role, Epoch, Option<u32>)> {
        let role = |(&id, node): (&u32, &Node)| {
            let it = &node.machine;
            (id, it.role(), it.epoch(), it.host().map(SenderId::get))
        };
        self.nodes.iter().map(role).collect()
    }

    /// Who hosts, if all follow the same.
    pub fn agreed(&self) -> Option<u32> {
        let mut hosts = self.nodes.values().map(|node| (node.machine.host(), node.machine.epoch()));
        let first = hosts.next()?;
        let id = first.0?.get();
        let is_host = self.nodes.get(&id)?.machine.role() == Role::Host;
        (is_host && hosts.all(|host| host == first)).then_some(id)
    }

    /// What the mix of everybody's stage shows now: their clocks agree.
    pub fn media(&self, frequency: Frequency) -> MediaTime {
        MediaTime::new(0, frequency) + (self.now - self.start)
    }

    pub fn may_send(&self, id: u32, stream: StreamId) -> Option<Epoch> {
        let frequency =
            if stream == StreamId::MIX_AUDIO { Frequency::AUDIO } else { Frequency::VIDEO };
        self.nodes.get(&id)?.machine.may_send(self.now, stream, self.media(frequency))
    }

    /// Lets so many milliseconds pass.
    pub fn run(&mut self, millis: u64) {
        let end = self.now + Duration::from_millis(millis);
        loop {
            let item = self.items.first_key_value().map(|(&(at, _), _)| at);
            let timer = self.nodes.values().filter_map(|node| node.machine.poll_timeout());
            let timer = timer.map(|(at, _)| at).min();
            let Some(next) = item.into_iter().chain(timer).min().filter(|&at| at <= end) else {
                break;
            };
            self.now = self.now.max(next);
            while let Some(entry) = self.items.first_entry().filter(|it| it.key().0 <= self.now) {
                let item = entry.remove();
                self.act(item);
            }
            self.wake();
            self.check();
        }
        self.now = end;
        self.check();
    }

    /// Whoever wants to be woken now is; nobody wants that for ever.
    fn wake(&mut self) {
        for id in Vec::from_iter(self.nodes.keys().copied()) {
            let mut turns = 0;
            let now = self.now;
            let due = |room: &Self| room.nodes[&id].machine.poll_timeout();
            while let Some((_, reason)) = due(self).filter(|&(at, _)| at <= now) {
                self.with_machine(id, |it, now| it.handle_timeout(now));
                turns += 1;
                assert!(turns < 5, "{} is woken again and again: {reason:?}", name(id));
            }
        }
    }

    fn put(&mut self, after: Duration, item: Item) {
        self.count += 1;
        self.items.insert((self.now + after, self.count), item);
    }

    /// Over a channel that keeps order and loses nothing.
    fn carry(&mut self, way: (u32, u32), item: Item) {
        let now = self.now;
        let Some(link) = self.links.get_mut(&way).filter(|link| link.connected) else { return };
        if link.cut {
            return link.held.push(item);
        }
        let at = link.last.map_or(now + link.delay, |last| last.max(now + link.delay));
        link.last = Some(at);
        self.put(at - now, item);
    }

    fn is_current(&self, from: u32, to: u32, number: u32) -> bool {
        let link = self.links.get(&(from, to));
        link.is_some_and(|link| link.connected && link.number == number)
    }

    fn act(&mut self, item: Item) {
        let now = self.now;
        match item {
            Item::Answer { to, reply } => {
                if self.nodes.get(&to).is_some_and(|node| !node.witness_cut) {
                    self.with_machine(to, |it, now| it.handle_witness(now, reply));
                }
            }
            Item::Ask { from, request } => {
                let (reply, news) = self.witness.answer(now, from, request);
                if let Some(reply) = reply {
                    self.script.answer(now, from, &reply);
                    self.put(self.delay, Item::Answer { to: from, reply });
                }
                if news {
                    self.tell_host(true);
                }
            }
            Item::Connected { at, with, number } => {
                if self.nodes.contains_key(&at) && self.is_current(at, with, number) {
                    let rtt = self.links[&(at, with)].delay * 2;
                    let with = SenderId::new(with);
                    self.with_machine(at, |it, now| {
                        it.handle_connected(now, with);
                        it.handle_rtt(now, with, rtt);
                    });
                }
            }
            Item::Control { from, to, number, epoch, control } => {
                if self.nodes.contains_key(&to) && self.is_current(from, to, number) {
                    let _ = self.forge(from, to, epoch, control);
                }
            }
            Item::Frame { from, to, number, epoch, stream, time } => {
                if self.is_current(from, to, number)
                    && let Some(node) = self.nodes.get_mut(&to)
                {
                    let from = SenderId::new(from);
                    let admission = node.machine.admit(now, from, epoch, stream, time);
                    if admission == Admission::Accepted {
                        self.checks.rendered(to, epoch, stream, time);
                    }
                }
            }
            Item::Gone { at, who, bye } => {
                if self.nodes.contains_key(&at) {
                    self.with_machine(at, |it, now| it.handle_gone(now, SenderId::new(who), bye));
                }
            }
            Item::Hint { to, host, epoch } => {
                if self.nodes.get(&to).is_some_and(|node| !node.witness_cut) {
                    let host = host.map(SenderId::new);
                    self.with_machine(to, |it, now| it.handle_hint(now, host, epoch));
                }
            }
            Item::Joined { at, who } => {
                if let (true, Some(of)) = (self.nodes.contains_key(&at), self.nodes.get(&who)) {
                    let (sender, may_host) = (SenderId::new(who), of.may_host);
                    let member = Candidate { sender, peer: peer_of(who), may_host, nat: None };
                    self.with_machine(at, |it, now| it.handle_member_joined(now, member));
                }
            }
            Item::Left { at, who } => {
                if self.nodes.contains_key(&at) {
                    self.with_machine(at, |it, now| it.handle_member_left(now, SenderId::new(who)));
                }
            }
            Item::Ready { at, epoch } => {
                if let Some(node) = self.nodes.get(&at) {
                    let missing = node.missing.clone();
                    self.with_machine(at, |it, now| it.handle_stage_ready(now, epoch, missing));
                }
            }
            Item::Tick { at } => self.tick(at),
        }
    }

    /// The stage makes a frame of each stream, and sends it if it may.
    fn tick(&mut self, at: u32) {
        if !self.nodes.contains_key(&at) {
            return;
        }
        self.put(TICK, Item::Tick { at });
        let frames =
            [(StreamId::MIX_AUDIO, Frequency::AUDIO), (StreamId::MIX_VIDEO, Frequency::VIDEO)];
        let frames = frames.map(|(stream, frequency)| (stream, self.media(frequency)));
        let seq = SeqNo::new((self.now - self.start).as_millis() as u64 / 20);
        if matches!(self.nodes[&at].stage, StageOrder::Host { .. }) {
            let numbering = frames.map(|(stream, time)| Numbering { stream, seq, time }).to_vec();
            let state = MixerState { numbering, tiles: vec![] };
            self.with_machine(at, |it, now| it.handle_mixer(now, state));
        }
        for (stream, time) in frames {
            let Some(epoch) = self.may_send(at, stream) else { continue };
            for to in self.others(at) {
                let number = self.links[&(at, to)].number;
                self.carry((at, to), Item::Frame { from: at, to, number, epoch, stream, time });
            }
        }
    }

    fn tell_host(&mut self, _changed: bool) {
        let (host, epoch) = self.witness.host();
        for to in Vec::from_iter(self.nodes.keys().copied()) {
            self.put(self.delay, Item::Hint { to, host, epoch });
        }
    }

    fn drain(&mut self, id: u32) {
        let mut count = 0;
        loop {
            let Some(node) = self.nodes.get_mut(&id) else { return };
            let Some(output) = node.machine.poll_output() else { return };
            count += 1;
            assert!(count < 1_000, "{} says too much", name(id));
            self.script.output(self.now, id, &output);
            match output {
                Output::Send { to, epoch, control } => {
                    let to = to.get();
                    if let Control::Migrate(migrate) = &control {
                        self.checks.switched(self.now, id, migrate);
                    }
                    if let Some(link) = self.links.get(&(id, to)) {
                        let number = link.number;
                        let item = Item::Control { from: id, to, number, epoch, control };
                        self.carry((id, to), item);
                    }
                }
                Output::Stage(order) => {
                    if let (StageOrder::Prepare { epoch, .. }, Some(after)) =
                        (&order, node.ready_after)
                    {
                        let epoch = *epoch;
                        self.put(after, Item::Ready { at: id, epoch });
                    }
                    if let Some(node) = self.nodes.get_mut(&id) {
                        node.stage = order;
                    }
                }
                Output::Witness(request) if !node.witness_cut => {
                    self.put(self.delay, Item::Ask { from: id, request });
                }
                _ => {}
            }
        }
    }
}

/// The session of a member.
pub fn peer_of(id: u32) -> PeerId {
    let mut bytes = [0; 16];
    bytes[..4].copy_from_slice(&id.to_be_bytes());
    PeerId::from_random(bytes)
}
