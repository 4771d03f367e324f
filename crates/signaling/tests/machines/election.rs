//! The witness's promises, against an observer who sees calls and answers alone.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use serde_json::{Value, json};

use crate::house::{House, announcement, peer};
use crate::witness::{VOTE, lease, vote};

/// Members of a story at a time.
const SLOTS: u64 = 4;

type Epoch = (u64, u64);

/// What was promised, as far as answers tell.
#[derive(Default)]
struct Observer {
    session: Value,
    hosts: BTreeMap<Epoch, u64>,
    held: Option<(u64, Instant)>,
    told: Option<(Epoch, Value)>,
    grants: usize,
}

impl Observer {
    /// `who` was promised `epoch` for `hold`, at `now`.
    fn granted(&mut self, now: Instant, who: u64, epoch: Epoch, hold: Duration) {
        if let Some((holder, until)) = self.held {
            assert!(holder == who || until <= now, "{who} is granted what {holder} holds");
        }
        let host = *self.hosts.entry(epoch).or_insert(who);
        assert_eq!(host, who, "two hosts under {epoch:?}");
        let newest = self.hosts.keys().next_back();
        assert_eq!(newest, Some(&epoch), "an epoch that is over is granted");
        let before = self.held.filter(|(holder, _)| *holder == who).map(|(_, until)| until);
        let until = before.map_or(now + hold, |before| before.max(now + hold));
        self.held = Some((who, until));
        self.grants += 1;
    }

    fn gave_up(&mut self, who: u64) {
        self.held = self.held.filter(|(holder, _)| *holder != who);
    }

    /// All who hear of hosts hear the same story, and it goes forward.
    fn hear(&mut self, params: &Value) {
        let (epoch, host) = (epoch_of(params), params["host"].clone());
        if let Some((before, was)) = &self.told {
            assert!(epoch >= *before, "an older host is told of: {params}");
            let same = epoch > *before || host == *was || host.is_null() || was.is_null();
            assert!(same, "{was} and {host} host under {epoch:?}");
        }
        self.told = Some((epoch, host));
    }

    fn newest_term(&self) -> u64 {
        self.hosts.keys().next_back().map_or(0, |(term, _)| *term)
    }
}

fn epoch_of(value: &Value) -> Epoch {
    let part = |name: &str| value["epoch"][name].as_u64().expect("an epoch has two parts");
    (part("term"), part("ballot"))
}

#[derive(Clone, Debug)]
enum Step {
    Claim { slot: u64, host: bool },
    Join { slot: u64, may_host: bool },
    Lease { slot: u64, ahead: u64, ballot: u16, length: u32, number: u32, electors: Vec<u8> },
    Leave { slot: u64, says_so: bool },
    Vote { slot: u64, ahead: u64, prevote: bool, number: u32 },
    Wait(u64),
}

fn any_step() -> impl Strategy<Value = Step> {
    let slot = 1..=SLOTS;
    let length = prop::sample::select(vec![0, 200_000, 450_000]);
    prop_oneof![
        1 => (slot.clone(), any::<bool>()).prop_map(|(slot, host)| Step::Claim { slot, host }),
        3 => (slot.clone(), any::<bool>())
            .prop_map(|(slot, may_host)| Step::Join { slot, may_host }),
        1 => (slot.clone(), any::<bool>())
            .prop_map(|(slot, says_so)| Step::Leave { slot, says_so }),
        6 => (slot.clone(), 0..3_u64, 0..3_u16, length, 0..3_u32,
              prop::collection::vec(1..=SLOTS as u8, 0..4))
            .prop_map(|(slot, ahead, ballot, length, number, electors)| {
                Step::Lease { slot, ahead, ballot, length, number, electors }
            }),
        4 => (slot, 0..3_u64, any::<bool>(), 0..3_u32)
            .prop_map(|(slot, ahead, prevote, number)| Step::Vote { slot, ahead, prevote, number }),
        4 => (0..300_u64).prop_map(Step::Wait),
    ]
}

/// Members by slot: connection and number.
struct Story {
    house: House,
    seated: BTreeMap<u64, (u64, u64)>,
    next: u64,
    observer: Observer,
}

impl Story {
    fn new() -> Self {
        let house = House::new();
        Self { house, seated: BTreeMap::new(), next: 0, observer: Observer::default() }
    }

    fn play(&mut self, step: Step) {
        match step {
            Step::Wait(millis) => self.house.wait(Duration::from_millis(millis)),
            Step::Join { slot, may_host } => self.join(slot, may_host),
            Step::Claim { slot, host } => {
                let Some(&(conn, who)) = self.seated.get(&slot) else { return };
                let answer = self.ask(conn, "room.host", json!({ "host": host }));
                // A claim holds for as long as he is there, but promises no time.
                if answer["host"] == peer(conn) {
                    let epoch = epoch_of(&answer);
                    self.observer.granted(self.house.now, who, epoch, Duration::ZERO);
                } else if !host && answer["host"].is_null() && answer["code"].is_null() {
                    self.observer.gave_up(who);
                }
            }
            Step::Leave { slot, says_so } => {
                let Some((conn, who)) = self.seated.remove(&slot) else { return };
                if says_so {
                    self.ask(conn, "peer.disconnect", json!({}));
                    self.observer.gave_up(who);
                } else {
                    self.house.close(conn);
                }
            }
            Step::Lease { slot, ahead, ballot, length, number, electors } => {
                let Some(&(conn, who)) = self.seated.get(&slot) else { return };
                let electors = electors.iter().filter_map(|slot| self.seated.get(&(*slot).into()));
                let electors: Vec<_> = electors.map(|(_, who)| *who as u32).collect();
                let term = self.observer.newest_term() + ahead;
                let asked = lease(term, ballot, length, number, &electors);
                let answer = self.ask(conn, "witness.lease", asked);
                if answer["granted"] == true && length == 0 {
                    self.observer.gave_up(who);
                } else if answer["granted"] == true {
                    let (epoch, hold) = (epoch_of(&answer), Duration::from_micros(length.into()));
                    self.observer.granted(self.house.now, who, epoch, hold);
                }
            }
            Step::Vote { slot, ahead, prevote, number } => {
                let Some(&(conn, who)) = self.seated.get(&slot) else { return };
                let term = self.observer.newest_term();
                let mut asked = vote(term + ahead, who as u32, (term, number));
                asked["prevote"] = json!(prevote);
                let answer = self.ask(conn, "witness.vote", asked);
                if answer["granted"] == true && !prevote {
                    let (epoch, hold) = (epoch_of(&answer), Duration::from_micros(VOTE.into()));
                    self.observer.granted(self.house.now, who, epoch, hold);
                }
            }
        }
        self.listen();
    }

    fn join(&mut self, slot: u64, may_host: bool) {
        if self.seated.contains_key(&slot) {
            return;
        }
        self.next += 1;
        let conn = self.next;
        self.house.open(conn, "call");
        let joined = self.ask(conn, "peer.announce", announcement(conn, may_host));
        let who = joined["sender"].as_u64().expect("the room has a place");
        if joined["session"] != self.observer.session {
            self.observer = Observer { grants: self.observer.grants, ..Observer::default() };
            self.observer.session = joined["session"].clone();
        }
        if joined["host"] == peer(conn) {
            let (epoch, hold) = (epoch_of(&joined), Duration::from_millis(450));
            self.observer.granted(self.house.now, who, epoch, hold);
        }
        self.observer.hear(&joined);
        self.seated.insert(slot, (conn, who));
    }

    fn ask(&mut self, conn: u64, method: &str, params: Value) -> Value {
        // What was told to all before the answer is heard by another.
        let others: Vec<_> = self.seated.values().map(|(conn, _)| *conn).collect();
        let answer = self.house.ask(conn, method, params);
        for other in others.into_iter().filter(|other| *other != conn) {
            self.hear(other);
        }
        answer
    }

    fn listen(&mut self) {
        let conns: Vec<_> = self.seated.values().map(|(conn, _)| *conn).collect();
        for conn in conns {
            self.hear(conn);
        }
    }

    fn hear(&mut self, conn: u64) {
        for note in self.house.heard(conn) {
            if note["method"] == "room.host" {
                self.observer.hear(&note["params"]);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 1_500,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(0x717_4e55),
        ..ProptestConfig::default()
    })]

    /// Whatever four members ask and whoever comes and goes, no epoch is given to two,
    /// nobody is promised anything while another holds a lease, and what is told of hosts
    /// never goes back.
    #[test]
    fn no_epoch_has_two_hosts_and_no_lease_is_voted_away(
        steps in prop::collection::vec(any_step(), 1..80),
    ) {
        let mut story = Story::new();
        for step in steps {
            story.play(step);
        }
    }
}

/// The stories above are of something: leases are taken over in them, again and again.
#[test]
fn a_story_of_takeovers_is_told_to_its_end() {
    let mut story = Story::new();
    for slot in 1..=SLOTS {
        story.play(Step::Join { slot, may_host: true });
    }
    for round in 0..20_u32 {
        let slot = u64::from(round) % SLOTS + 1;
        let electors = vec![1, 2, 3, 4];
        story.play(Step::Wait(450));
        if round > 0 {
            story.play(Step::Vote { slot, ahead: 1, prevote: false, number: 9 });
        }
        let (ahead, length) = (0, 450_000);
        story.play(Step::Lease { slot, ahead, ballot: 0, length, number: 0, electors });
    }
    // One appointment, then a lease for each round and a vote for each but the first.
    assert_eq!(story.observer.grants, 1 + 20 + 19);
    assert_eq!(story.house.rooms.stats().leases, 20);
    assert_eq!(story.house.rooms.stats().votes, 19);
}
