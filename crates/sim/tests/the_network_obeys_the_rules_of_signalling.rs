//! What each engine of the network does with what it is asked: the signalling states of
//! RFC 9429 §4.1, restarts of ICE, rollbacks, and paths that come and go.

use std::time::{Duration, Instant};

use paceline_sim::types::{ConnectionEvent, ConnectionOp, PacketKind, PeerId, Signal};
use paceline_sim::{LinkConfig, Network, NetworkConfig, Random, epoch};
use paceline_transport::{SendError, Transport};

const ANN: PeerId = PeerId::from_bytes([1; 16]);
const BEN: PeerId = PeerId::from_bytes([2; 16]);

/// Two peers whose signals wait until they are carried.
struct Pair {
    network: Network,
    now: Instant,
    /// What ann and ben had to say, and what else happened to them.
    said: [Vec<Signal>; 2],
    events: [Vec<ConnectionEvent>; 2],
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// 20 ms one way, and nothing lost.
fn steady() -> LinkConfig {
    LinkConfig::lan().delay(ms(20)).jitter(Duration::ZERO)
}

impl Pair {
    fn new(config: impl Into<NetworkConfig>) -> Self {
        let network = Network::new(config, Random::new(4));
        Self { network, now: epoch(), said: Default::default(), events: Default::default() }
    }

    fn connected() -> Self {
        let mut pair = Self::new(steady());
        pair.ask(0, ConnectionOp::Call);
        pair.negotiate();
        assert_eq!(pair.take_events(), [[ConnectionEvent::Open], [ConnectionEvent::Open]]);
        pair
    }

    fn ask(&mut self, of: usize, op: ConnectionOp) {
        let (us, them) = if of == 0 { (ANN, BEN) } else { (BEN, ANN) };
        self.network.transport(us).apply(self.now, them, op);
        self.collect();
    }

    fn collect(&mut self) {
        for (index, us) in [ANN, BEN].into_iter().enumerate() {
            while let Some((_, event)) = self.network.transport(us).poll_event() {
                match event {
                    ConnectionEvent::Local(signal) => self.said[index].push(signal),
                    event => self.events[index].push(event),
                }
            }
        }
    }

    /// Carries to the other what one has said.
    fn carry(&mut self, from: usize) {
        for signal in std::mem::take(&mut self.said[from]) {
            self.ask(1 - from, ConnectionOp::Remote(signal));
        }
    }

    /// Carries signals until there are none, and lets a second pass.
    fn negotiate(&mut self) {
        while self.said.iter().any(|said| !said.is_empty()) {
            self.carry(0);
            self.carry(1);
        }
        self.run_for(ms(1_000));
    }

    fn run_for(&mut self, span: Duration) {
        let end = self.now + span;
        self.collect();
        while let Some(at) = self.network.poll_timeout().filter(|&at| at <= end) {
            self.now = at;
            self.network.handle_timeout(at);
            self.collect();
        }
        self.now = end;
    }

    fn send(&mut self, from: usize, text: &'static str) {
        let (us, them) = if from == 0 { (ANN, BEN) } else { (BEN, ANN) };
        assert_eq!(
            self.network.transport(us).try_send(self.now, them, PacketKind::Message, text.into()),
            Ok(())
        );
    }

    fn take_events(&mut self) -> [Vec<ConnectionEvent>; 2] {
        std::mem::take(&mut self.events)
    }

    fn messages(&mut self, at: usize) -> Vec<String> {
        let events = self.take_events();
        let texts = events[at].iter().filter_map(|event| match event {
            ConnectionEvent::Message(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
            _ => None,
        });
        texts.collect()
    }

    fn assert_refused(&mut self, at: usize, why: &str) {
        let events = self.take_events();
        let [ConnectionEvent::Closed { reason }] = &events[at][..] else {
            panic!("{why}: {events:?}");
        };
        assert!(reason.contains(why), "{reason}");
        assert_eq!(self.network.stats().refused, 1);
    }
}

/// The values of the lines that a negotiator reads: session, version and ufrag.
fn read(sdp: &str) -> (String, u64, String) {
    let line = |name| sdp.split("\r\n").find_map(|line| line.strip_prefix(name)).expect(name);
    let origin = Vec::from_iter(line("o=- ").split(' '));
    let version = origin[1].parse().expect("a number");
    (origin[0].to_owned(), version, line("a=ice-ufrag:").to_owned())
}

fn sdp(signal: &Signal) -> &str {
    match signal {
        Signal::Answer { sdp } | Signal::Offer { sdp } => sdp,
        Signal::Candidate { .. } => panic!("a description is expected"),
    }
}

#[test]
fn descriptions_keep_their_session_and_count_their_versions() {
    let mut pair = Pair::new(steady());
    pair.ask(0, ConnectionOp::Call);
    let (session, version, ufrag) = read(sdp(&pair.said[0][0]));
    let Signal::Candidate { ufrag: of, .. } = &pair.said[0][1] else { panic!("a candidate") };
    assert_eq!((version, of), (1, &ufrag));
    pair.negotiate();
    pair.ask(0, ConnectionOp::RestartIce);
    let again = read(sdp(&pair.said[0][0]));
    assert_eq!((&again.0, again.1), (&session, 2));
    assert_ne!(again.2, ufrag, "a restart has new credentials");

    // Another connection is another session.
    pair.ask(0, ConnectionOp::Close);
    pair.said[0].clear();
    pair.ask(0, ConnectionOp::Call);
    assert_ne!(read(sdp(&pair.said[0][0])).0, session);
}

#[test]
fn ice_is_restarted_while_data_goes_on() {
    let mut pair = Pair::connected();
    assert!(pair.network.agree(ANN, BEN));
    pair.send(0, "before");
    pair.ask(0, ConnectionOp::RestartIce);
    assert!(!pair.network.agree(ANN, BEN), "an offer is unanswered");
    pair.send(0, "while it is offered");
    pair.carry(0);
    pair.carry(1);
    pair.send(0, "while it is looked for");
    pair.negotiate();
    assert!(pair.network.agree(ANN, BEN));
    assert_eq!(pair.messages(1), ["before", "while it is offered", "while it is looked for"]);
    assert_eq!(pair.network.stats().refused, 0);
}

#[test]
fn a_new_address_has_no_path_until_ice_is_restarted() {
    for who in [0, 1] {
        let mut pair = Pair::connected();
        pair.network.change_path([ANN, BEN][who]);
        pair.send(0, "to ben");
        pair.send(1, "to ann");
        pair.run_for(ms(3_000));
        let down = ConnectionEvent::Path { up: false };
        assert_eq!(pair.take_events(), [[down.clone()], [down]]);

        // Whoever restarts it: both say where they are.
        pair.ask(0, ConnectionOp::RestartIce);
        pair.carry(0);
        pair.carry(1);
        let began = pair.now;
        pair.run_for(ms(60));
        let [ann, ben] = pair.take_events();
        let up = ConnectionEvent::Path { up: true };
        assert_eq!(ann, [up.clone(), ConnectionEvent::Message("to ann".into())]);
        assert_eq!(ben[0], up);
        // A knock, the answer to it, and the message.
        assert!(ben.contains(&ConnectionEvent::Message("to ben".into())), "{ben:?}");
        assert_eq!(pair.now - began, ms(60));
    }
}

#[test]
fn what_was_under_way_to_an_old_address_is_lost_and_sent_again() {
    let mut pair = Pair::connected();
    pair.send(0, "one");
    pair.run_for(ms(10));
    pair.network.change_path(BEN);
    pair.run_for(ms(500));
    assert_eq!(pair.messages(1), [""; 0]);
    pair.ask(1, ConnectionOp::RestartIce);
    pair.carry(1);
    pair.carry(0);
    pair.negotiate();
    assert_eq!(pair.messages(1), ["one"]);
}

#[test]
fn a_path_is_down_after_two_seconds_of_silence_and_up_with_the_first_word() {
    let mut pair = Pair::connected();
    pair.network.cut(ANN, BEN);
    pair.run_for(ms(1_300));
    assert_eq!(pair.take_events(), [[], []], "three signs of life had been due");
    pair.run_for(ms(800));
    let [down, up] = [false, true].map(|up| ConnectionEvent::Path { up });
    assert_eq!(pair.take_events(), [[down.clone()], [down]]);
    pair.run_for(ms(3_600_000));
    assert_eq!(pair.take_events(), [[], []], "it lasts until somebody closes it");
    pair.network.heal();
    pair.run_for(ms(621));
    assert_eq!(pair.take_events(), [[up.clone()], [up]]);
}

#[test]
fn glare_is_settled_by_a_rollback() {
    let mut pair = Pair::connected();
    pair.ask(0, ConnectionOp::RestartIce);
    pair.ask(1, ConnectionOp::RestartIce);
    // Ben is polite, and ann does not look at his offer.
    pair.said[1].clear();
    pair.ask(1, ConnectionOp::Rollback);
    pair.negotiate();
    assert!(pair.network.agree(ANN, BEN));
    assert_eq!(pair.network.stats().refused, 0);
}

#[test]
fn an_offer_upon_an_offer_of_ours_is_refused() {
    let mut pair = Pair::connected();
    pair.ask(0, ConnectionOp::RestartIce);
    pair.ask(1, ConnectionOp::RestartIce);
    pair.carry(0);
    pair.assert_refused(1, "while ours is unanswered");
}

#[test]
fn an_answer_to_nothing_is_refused() {
    let mut pair = Pair::new(steady());
    pair.ask(0, ConnectionOp::Call);
    pair.carry(0);
    let answer = pair.said[1][0].clone();
    pair.negotiate();
    pair.take_events();
    pair.ask(0, ConnectionOp::Remote(answer));
    pair.assert_refused(0, "no offer is unanswered");
    assert_eq!(
        pair.network.transport(ANN).try_send(pair.now, BEN, PacketKind::Message, "x".into()),
        Err(SendError::NotOpen)
    );
}

#[test]
fn a_rollback_of_nothing_is_refused() {
    let mut pair = Pair::connected();
    pair.ask(0, ConnectionOp::Rollback);
    pair.assert_refused(0, "no offer to roll back");
    // The other end is told.
    pair.run_for(ms(30));
    assert!(matches!(pair.take_events()[1][..], [ConnectionEvent::Closed { .. }]));
}

#[test]
fn an_offer_of_another_session_is_refused_by_a_connection() {
    let mut pair = Pair::connected();
    pair.ask(1, ConnectionOp::Close);
    pair.ask(1, ConnectionOp::Call);
    pair.carry(1);
    pair.assert_refused(0, "of another session");
}

#[test]
fn a_first_offer_can_be_taken_back_for_that_of_the_other() {
    let mut pair = Pair::new(steady());
    pair.ask(0, ConnectionOp::Call);
    pair.ask(1, ConnectionOp::Call);
    pair.said[1].clear();
    pair.ask(1, ConnectionOp::Rollback);
    pair.negotiate();
    assert_eq!(pair.take_events(), [[ConnectionEvent::Open], [ConnectionEvent::Open]]);
    assert!(pair.network.agree(ANN, BEN));
}

#[test]
fn a_candidate_of_another_generation_is_of_no_use_and_ends_nothing() {
    let mut pair = Pair::new(steady());
    pair.ask(0, ConnectionOp::Call);
    let early = pair.said[0].pop().expect("a candidate");
    // Before any description.
    pair.ask(1, ConnectionOp::Remote(early.clone()));
    assert_eq!(pair.network.stats().stray_candidates, 0, "there is no connection to stray in");
    pair.carry(0);
    pair.ask(1, ConnectionOp::Remote(early.clone()));
    pair.negotiate();
    pair.ask(0, ConnectionOp::RestartIce);
    pair.negotiate();
    pair.ask(1, ConnectionOp::Remote(early));
    assert_eq!(pair.network.stats().stray_candidates, 1);
    assert!(pair.network.agree(ANN, BEN));
}

#[test]
fn an_answer_to_an_older_offer_leads_to_no_path() {
    let mut pair = Pair::connected();
    pair.ask(0, ConnectionOp::RestartIce);
    pair.carry(0);
    let stale = std::mem::take(&mut pair.said[1]);
    pair.ask(0, ConnectionOp::Rollback);
    pair.ask(0, ConnectionOp::RestartIce);
    pair.said[0].clear();
    for signal in stale {
        pair.ask(0, ConnectionOp::Remote(signal));
    }
    pair.network.change_path(ANN);
    pair.run_for(ms(10_000));
    assert!(!pair.network.agree(ANN, BEN));
    let down = ConnectionEvent::Path { up: false };
    assert_eq!(pair.take_events(), [[down.clone()], [down]]);
}

#[test]
fn who_does_not_read_holds_up_who_sends_to_him_and_loses_nothing() {
    let config = NetworkConfig::from(steady()).receive_window(10_000);
    let mut pair = Pair::new(config);
    pair.ask(0, ConnectionOp::Call);
    pair.negotiate();
    for _ in 0..20 {
        pair.send(0, "a thousand bytes less some nine hundred and ninety");
        let message = vec![7; 1_000].into();
        assert_eq!(
            pair.network.transport(ANN).try_send(pair.now, BEN, PacketKind::Message, message),
            Ok(())
        );
    }
    // Only ann reads.
    let end = pair.now + ms(8_000);
    let mut acked = 0;
    while let Some(at) = pair.network.poll_timeout().filter(|&at| at <= end) {
        pair.now = at;
        pair.network.handle_timeout(at);
        while let Some((_, event)) = pair.network.transport(ANN).poll_event() {
            if let ConnectionEvent::Acked(bytes) = event {
                acked += bytes;
            }
        }
    }
    assert!((10_000..11_100).contains(&acked), "{acked}");
    pair.run_for(ms(3_000));
    assert_eq!(pair.messages(1).len(), 40);
    assert_eq!(pair.network.transport(ANN).outstanding(BEN), 0);
}

#[test]
fn engines_that_take_their_time_do_things_in_order() {
    for seed in 0..200 {
        let config = NetworkConfig::from(steady()).max_op_delay(ms(50));
        let mut pair = Pair::new(config);
        pair.network = Network::new(config, Random::new(seed));
        pair.ask(0, ConnectionOp::Call);
        for _ in 0..100 {
            pair.run_for(ms(10));
            pair.carry(0);
            pair.carry(1);
        }
        assert_eq!(pair.take_events(), [[ConnectionEvent::Open], [ConnectionEvent::Open]]);
        let stats = pair.network.stats();
        assert_eq!((stats.refused, stats.stray_candidates), (0, 0), "seed {seed}");
    }
}

#[test]
fn nothing_is_remembered_of_connections_that_were_closed() {
    let mut pair = Pair::connected();
    assert_eq!((pair.network.ends(), pair.network.links()), (2, 2));
    for round in 0..100_u32 {
        if round.is_multiple_of(3) {
            // Half a handshake.
            pair.ask(0, ConnectionOp::Close);
            pair.said = Default::default();
            pair.ask(0, ConnectionOp::Call);
            pair.carry(0);
        }
        pair.ask(0, ConnectionOp::Close);
        pair.ask(1, ConnectionOp::Close);
        pair.said = Default::default();
        pair.run_for(ms(100));
        assert_eq!((pair.network.ends(), pair.network.links()), (0, 0), "round {round}");
        assert_eq!(pair.network.poll_timeout(), None, "round {round}");
        pair.ask(0, ConnectionOp::Call);
        pair.negotiate();
        assert_eq!((pair.network.ends(), pair.network.links()), (2, 2), "round {round}");
    }
    pair.network.change_path(ANN);
    pair.network.forget(ANN);
    pair.network.forget(BEN);
    assert_eq!((pair.network.ends(), pair.network.links()), (0, 0));
    assert_eq!(pair.network.poll_timeout(), None);
    assert_eq!(pair.network.ready().count(), 0);
}
