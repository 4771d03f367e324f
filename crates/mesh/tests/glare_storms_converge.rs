//! Two negotiators, a model of an engine under each, and the roads between them: whatever
//! meets whatever, both ends come to stand on the same offer and answer.

use std::collections::VecDeque;

use paceline_mesh::types::{ConnectionOp, Signal};
use paceline_mesh::{
    Negotiator, NegotiatorConfig, NegotiatorOutput, SignalVerdict, SignalingState,
};

/// SplitMix64: the same storm for the same seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) % sides as u64) as usize
    }
}

/// What a description is known by in the model: its fragment.
type Name = u64;

/// A connection as RFC 9429 §3.5 has it: what is in force, and what is open.
#[derive(Debug)]
struct Connection {
    session: u64,
    version: u64,
    /// Offer and answer, and whether the offer is ours.
    in_force: Option<(Name, Name, bool)>,
    open_offer: Option<Name>,
    applied: Vec<String>,
}

impl Connection {
    fn remote(&self) -> Option<Name> {
        self.in_force.map(|(offer, answer, ours)| if ours { answer } else { offer })
    }
}

#[derive(Default)]
struct End {
    /// What the engine was told, with the connection it is for.
    ops: VecDeque<(u64, ConnectionOp)>,
    events: VecDeque<(u64, Signal)>,
    connection: Option<Connection>,
    /// The connection that the owner means, of all there were.
    current: Option<u64>,
    begun: u64,
    road: VecDeque<Signal>,
    up: bool,
    /// A name that the engine's candidates still come for.
    gathering: Vec<Name>,
}

struct Storm {
    dice: Dice,
    ends: [End; 2],
    negotiators: [Negotiator; 2],
    names: u64,
    /// Candidates name their description, and may overtake it.
    named: bool,
    seen: Seen,
}

/// What storms are made of; a storm without it proves nothing of it.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    ignored: u64,
    rolled_back: u64,
    replaced: u64,
    doubtful: u64,
    stale: u64,
    kept: u64,
    applied: u64,
}

fn description(name: Name, session: u64, version: u64) -> String {
    format!("v=0\r\no=- {session} {version} IN IP4 0.0.0.0\r\na=ice-ufrag:{name}\r\n")
}

fn name_of(sdp: &str) -> Name {
    let line = sdp.lines().find_map(|line| line.strip_prefix("a=ice-ufrag:"));
    line.and_then(|name| name.parse().ok()).expect("the model names all it describes")
}

impl Storm {
    fn new(seed: u64, named: bool) -> Self {
        let negotiator = |polite| Negotiator::new(polite, NegotiatorConfig::default());
        Self {
            dice: Dice(seed),
            ends: Default::default(),
            negotiators: [negotiator(false), negotiator(true)],
            names: 0,
            named,
            seen: Seen::default(),
        }
    }

    fn name(&mut self) -> Name {
        self.names += 1;
        self.names
    }

    /// What the negotiator says goes to the engine and onto the road. A connection that
    /// is closed tells nothing any more, from when that is said.
    fn drain(&mut self, at: usize) {
        while let Some(output) = self.negotiators[at].poll_output() {
            let end = &mut self.ends[at];
            match output {
                NegotiatorOutput::Op(op) => {
                    let creates = match op {
                        ConnectionOp::Call => true,
                        ConnectionOp::Remote(Signal::Offer { .. }) => end.current.is_none(),
                        _ => false,
                    };
                    if creates {
                        end.begun += 1;
                        end.current = Some(end.begun);
                    }
                    let of = end.current.expect("an op is for a connection");
                    self.seen.replaced += u64::from(op == ConnectionOp::Close);
                    self.seen.rolled_back += u64::from(op == ConnectionOp::Rollback);
                    if op == ConnectionOp::Close {
                        end.current = None;
                        end.up = false;
                    }
                    end.ops.push_back((of, op));
                }
                NegotiatorOutput::Signal(signal) => end.road.push_back(signal),
            }
        }
    }

    /// The engine does one thing, if its signalling state allows it (RFC 9429 §4.1.10).
    fn work(&mut self, at: usize) -> bool {
        let Some((of, op)) = self.ends[at].ops.pop_front() else { return false };
        let (fresh, session) = (self.name(), 1_000 * (at as u64 + 1) + of);
        let end = &mut self.ends[at];
        let mut told = None;
        match op {
            ConnectionOp::Call => {
                assert!(end.connection.is_none(), "one connection at a time");
                end.connection = Some(Connection {
                    session,
                    version: 1,
                    in_force: None,
                    open_offer: Some(fresh),
                    applied: Vec::new(),
                });
                told = Some(Signal::Offer { sdp: description(fresh, session, 1) });
            }
            ConnectionOp::Close => {
                assert!(end.connection.take().is_some(), "what is closed was there");
                end.gathering.clear();
            }
            ConnectionOp::RestartIce => {
                let connection = end.connection.as_mut().expect("there is one to restart");
                assert!(connection.open_offer.is_none(), "an offer is made in stable only");
                assert!(connection.in_force.is_some(), "nothing to restart");
                connection.open_offer = Some(fresh);
                connection.version += 1;
                let sdp = description(fresh, session, connection.version);
                told = Some(Signal::Offer { sdp });
            }
            ConnectionOp::Rollback => {
                let connection = end.connection.as_mut().expect("there is one");
                assert!(connection.open_offer.take().is_some(), "only an open offer rolls back");
            }
            ConnectionOp::Remote(Signal::Offer { sdp }) => {
                let connection = end.connection.get_or_insert(Connection {
                    session,
                    version: 0,
                    in_force: None,
                    open_offer: None,
                    applied: Vec::new(),
                });
                assert!(connection.open_offer.is_none(), "a remote offer is taken in stable only");
                connection.in_force = Some((name_of(&sdp), fresh, false));
                connection.applied.clear();
                connection.version += 1;
                let sdp = description(fresh, session, connection.version);
                told = Some(Signal::Answer { sdp });
            }
            ConnectionOp::Remote(Signal::Answer { sdp }) => {
                let connection = end.connection.as_mut().expect("there is one");
                let offer = connection.open_offer.take().expect("only an open offer is answered");
                // An engine cannot tell what the answer is for.
                connection.in_force = Some((offer, name_of(&sdp), true));
                connection.applied.clear();
            }
            ConnectionOp::Remote(Signal::Candidate { candidate, .. }) => {
                let connection = end.connection.as_mut().expect("there is one");
                let remote = connection.remote().expect("there is a remote description");
                assert!(
                    candidate.ends_with(&format!(" of {remote}")),
                    "{candidate:?} does not belong to {remote}"
                );
                assert!(!connection.applied.contains(&candidate), "{candidate:?} twice");
                connection.applied.push(candidate);
                self.seen.applied += 1;
            }
            _ => panic!("an op that the model does not know"),
        }
        if let Some(signal) = told {
            assert_eq!(session, end.connection.as_ref().map_or(0, |it| it.session));
            end.events.push_back((of, signal));
            if self.named {
                // They come whenever they are found.
                end.gathering.extend([fresh, fresh]);
            } else {
                for index in 0..2 {
                    end.events.push_back((of, candidate(index, fresh, String::new())));
                }
            }
        }
        true
    }

    fn gather(&mut self, at: usize) -> bool {
        let end = &mut self.ends[at];
        let Some(of) = end.current.filter(|&of| of == end.begun && end.connection.is_some()) else {
            return false;
        };
        if end.gathering.is_empty() || !end.events.is_empty() {
            return false;
        }
        let name = end.gathering.swap_remove(self.dice.roll(end.gathering.len()));
        let index = end.gathering.len();
        end.events.push_back((of, candidate(index, name, name.to_string())));
        true
    }

    fn listen(&mut self, at: usize) -> bool {
        let Some((of, signal)) = self.ends[at].events.pop_front() else { return false };
        if self.ends[at].current == Some(of) {
            self.negotiators[at].handle_local(signal);
            self.drain(at);
        }
        true
    }

    /// Brings one signal of the road to `at`. Descriptions keep their order; candidates
    /// that name theirs may overtake them.
    fn deliver(&mut self, at: usize) -> bool {
        let road = &mut self.ends[1 - at].road;
        let overtaker = road.iter().position(|signal| matches!(signal, Signal::Candidate { .. }));
        let overtakes = self.named && self.dice.roll(3) == 0;
        let next = overtaker.filter(|_| overtakes).unwrap_or(0);
        let Some(signal) = road.remove(next) else { return false };
        let negotiator = &mut self.negotiators[at];
        let collides = matches!(signal, Signal::Offer { .. })
            && negotiator.signaling() == SignalingState::HaveLocalOffer;
        let calls = !negotiator.is_described();
        let verdict = negotiator.handle_remote(signal);
        // Of two offers the impolite end's stands, and the polite end's does not.
        match (at, verdict) {
            (0, SignalVerdict::Applied) => assert!(!collides, "the impolite end gave way"),
            (0, SignalVerdict::Begun) => assert!(!collides || !calls, "its call gave way"),
            (1, SignalVerdict::Ignored) => assert!(!collides, "the polite end did not"),
            _ => {}
        }
        self.drain(at);
        let seen = &mut self.seen;
        match verdict {
            SignalVerdict::Doubtful => {
                seen.doubtful += 1;
                self.begin(at);
            }
            SignalVerdict::Ignored => seen.ignored += 1,
            SignalVerdict::Kept => seen.kept += 1,
            SignalVerdict::Stale => seen.stale += 1,
            SignalVerdict::TooMuch => panic!("two candidates are not too much"),
            _ => {}
        }
        true
    }

    /// What an owner does who wants to be connected.
    fn begin(&mut self, at: usize) {
        if self.ends[at].up {
            self.negotiators[at].restart();
        } else {
            self.negotiators[at].call();
        }
        self.drain(at);
    }

    /// The descriptions fit, so a path is found and both say hello: seen by one end.
    fn open(&mut self, at: usize) {
        if self.is_paired() && self.ends.iter().all(|end| end.ops.is_empty()) {
            self.ends[at].up = true;
        }
    }

    fn is_paired(&self) -> bool {
        let [ours, theirs] = &self.ends;
        let pair = |end: &End| {
            let connection = end.connection.as_ref()?;
            connection.in_force.filter(|_| connection.open_offer.is_none())
        };
        match (pair(ours), pair(theirs)) {
            (Some((a, b, ours)), Some((c, d, theirs))) => (a, b) == (c, d) && ours != theirs,
            _ => false,
        }
    }

    /// One thing happens, or nothing if what was drawn cannot.
    fn step(&mut self, wishes: &mut usize) {
        let at = self.dice.roll(2);
        match self.dice.roll(14) {
            0..=2 => drop(self.work(at)),
            3..=5 => drop(self.listen(at)),
            6..=8 => drop(self.deliver(at)),
            9 => drop(self.gather(at)),
            10..=12 => self.open(at),
            _ if *wishes == 0 => {}
            _ => {
                *wishes -= 1;
                match self.dice.roll(6) {
                    // It dials anew, whatever there is.
                    0 => {
                        self.ends[at].up = false;
                        self.negotiators[at].call();
                        self.drain(at);
                    }
                    1 => drop(self.negotiators[at].rollback()),
                    2 if self.negotiators[at].signaling() == SignalingState::HaveLocalOffer => {
                        self.begin(at);
                    }
                    2 => {}
                    // Only what is connected is restarted.
                    _ if self.ends[at].up => drop(self.negotiators[at].restart()),
                    _ => *wishes += 1,
                }
                self.drain(at);
            }
        }
    }

    /// Everything that is under way arrives.
    fn settle(&mut self) {
        loop {
            let mut moved = false;
            for at in [0, 1] {
                moved |= self.work(at);
                moved |= self.listen(at);
                moved |= self.deliver(at);
                moved |= self.gather(at);
            }
            if !moved {
                return;
            }
        }
    }

    fn run(&mut self) {
        let first = self.dice.roll(3);
        for at in [0, 1] {
            if first == at || first == 2 {
                self.begin(at);
            }
        }
        let mut wishes = self.dice.roll(8);
        for _ in 0..60 + self.dice.roll(200) {
            self.step(&mut wishes);
        }
        self.settle();
        // What is left open is what the owner's deadline is for: it makes it again.
        for _ in 0..4 {
            for at in [0, 1] {
                if self.negotiators[at].signaling() == SignalingState::HaveLocalOffer {
                    self.begin(at);
                    self.settle();
                }
            }
        }
    }
}

fn candidate(index: usize, name: Name, ufrag: String) -> Signal {
    let candidate = format!("candidate:{index} of {name}");
    Signal::Candidate { candidate, mid: "0".to_owned(), mline_index: 0, ufrag }
}

fn storms(named: bool, seeds: std::ops::Range<u64>) -> Seen {
    let mut all = Seen::default();
    for seed in seeds {
        let mut storm = Storm::new(seed, named);
        storm.run();
        for at in [0, 1] {
            assert_eq!(storm.negotiators[at].signaling(), SignalingState::Stable, "seed {seed}");
            assert!(storm.negotiators[at].is_described(), "seed {seed}");
        }
        let [ours, theirs] = &storm.ends;
        let pairs = (&ours.connection, &theirs.connection);
        assert!(storm.is_paired(), "seed {seed}: {pairs:?}");
        let handshakes = [0, 1].map(|at| storm.negotiators[at].handshake());
        assert_eq!(handshakes[0], handshakes[1], "seed {seed}");
        let Seen { ignored, rolled_back, replaced, doubtful, stale, kept, applied } = storm.seen;
        all.ignored += ignored;
        all.rolled_back += rolled_back;
        all.replaced += replaced;
        all.doubtful += doubtful;
        all.stale += stale;
        all.kept += kept;
        all.applied += applied;
    }
    all
}

/// Candidates name their description, come late and overtake it, as by `PeerJS`.
#[test]
fn whatever_meets_both_ends_stand_on_one_offer_and_answer() {
    let seen = storms(true, 0..30_000);
    for count in [
        seen.ignored,
        seen.rolled_back,
        seen.replaced,
        seen.doubtful,
        seen.stale,
        seen.kept,
        seen.applied,
    ] {
        assert!(count > 1_000, "{seen:?}");
    }
}

/// Candidates name nothing, and so belong to the description before them.
#[test]
fn what_names_no_description_belongs_to_the_one_before_it() {
    let seen = storms(false, 0..30_000);
    assert!(seen.ignored > 1_000 && seen.applied > 1_000, "{seen:?}");
}
