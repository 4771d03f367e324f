//! The transport by itself: what is promised above it, whatever happens below.

use std::time::{Duration, Instant};

use bytes::Bytes;
use paceline_sim::types::{ConnectionEvent, ConnectionOp, PacketKind, PeerId};
use paceline_sim::{LinkConfig, Network, Random, epoch};
use paceline_transport::{SendError, Transport};

const ANN: PeerId = PeerId::from_bytes([1; 16]);
const BEN: PeerId = PeerId::from_bytes([2; 16]);

/// Two peers whose signals arrive at once.
struct Pair {
    network: Network,
    now: Instant,
    /// What happened at ann's end and at ben's, signals apart.
    events: [Vec<ConnectionEvent>; 2],
}

impl Pair {
    fn new(link: LinkConfig) -> Self {
        let network = Network::new(link, Random::new(4));
        Self { network, now: epoch(), events: [Vec::new(), Vec::new()] }
    }

    /// A pair that is connected.
    fn connected(link: LinkConfig) -> Self {
        let mut pair = Self::new(link);
        pair.network.transport(ANN).apply(pair.now, BEN, ConnectionOp::Call);
        pair.run_for(3_000);
        assert_eq!(pair.take_events(), [[ConnectionEvent::Open], [ConnectionEvent::Open]]);
        pair
    }

    fn run_for(&mut self, millis: u64) {
        let end = self.now + Duration::from_millis(millis);
        loop {
            for (index, (us, them)) in [(ANN, BEN), (BEN, ANN)].into_iter().enumerate() {
                while let Some((_, event)) = self.network.transport(us).poll_event() {
                    match event {
                        ConnectionEvent::Local(signal) => {
                            let op = ConnectionOp::Remote(signal);
                            self.network.transport(them).apply(self.now, us, op);
                        }
                        event => self.events[index].push(event),
                    }
                }
            }
            match self.network.poll_timeout().filter(|&at| at <= end) {
                Some(at) => self.now = at,
                None => break,
            }
            self.network.handle_timeout(self.now);
        }
        self.now = end;
    }

    fn send(&mut self, message: Bytes) -> Result<(), SendError> {
        self.network.transport(ANN).try_send(self.now, BEN, PacketKind::Message, message)
    }

    fn take_events(&mut self) -> [Vec<ConnectionEvent>; 2] {
        std::mem::take(&mut self.events)
    }
}

#[test]
fn messages_arrive_whole_in_order_and_once() {
    let mut pair = Pair::connected(LinkConfig::bad().loss(0.3));
    let messages: Vec<Bytes> = (0..200_u8).map(|n| vec![n; usize::from(n) * 50].into()).collect();
    for message in &messages {
        while pair.send(message.clone()) == Err(SendError::Full) {
            pair.run_for(10);
        }
        pair.run_for(5);
    }
    pair.run_for(30_000);
    // With nothing to send, three signs of life in a row may be lost: that is told.
    let [ann, ben] = pair.take_events().map(|mut events| {
        events.retain(|event| !matches!(event, ConnectionEvent::Path { .. }));
        events
    });
    let expected = messages.iter().cloned().map(ConnectionEvent::Message);
    assert_eq!(ben, Vec::from_iter(expected));
    let sent = ann.iter().map(|event| match event {
        ConnectionEvent::Acked(bytes) => *bytes,
        other => panic!("{other:?}"),
    });
    assert_eq!(sent.sum::<usize>(), messages.iter().map(Bytes::len).sum::<usize>());
    assert_eq!(pair.network.transport(ANN).outstanding(BEN), 0);
}

#[test]
fn what_waits_at_a_cut_is_sent_again_when_it_heals() {
    let mut pair = Pair::connected(LinkConfig::wan().loss(0.0));
    pair.network.cut(ANN, BEN);
    assert_eq!(pair.send("hello".into()), Ok(()));
    pair.run_for(10);
    pair.network.heal();
    // It was put in while the link was cut: healing does not bring it back.
    pair.run_for(60);
    assert_eq!(pair.take_events(), [[], []]);
    pair.network.cut(ANN, BEN);
    pair.run_for(20_000);
    let path = |up| ConnectionEvent::Path { up };
    assert_eq!(pair.take_events(), [[path(false)], [path(false)]]);
    assert_eq!(pair.network.transport(ANN).outstanding(BEN), 5);

    pair.network.heal();
    pair.run_for(1_200);
    let arrived = ConnectionEvent::Message("hello".into());
    let [ann, ben] = pair.take_events();
    assert_eq!(ann, [path(true), ConnectionEvent::Acked(5)]);
    assert_eq!(ben, [path(true), arrived]);
}

#[test]
fn a_connection_that_is_closed_is_closed_at_both_ends() {
    let mut pair = Pair::connected(LinkConfig::wan().loss(0.0));
    pair.network.transport(ANN).apply(pair.now, BEN, ConnectionOp::Close);
    assert_eq!(pair.send("hello".into()), Err(SendError::NotOpen));
    pair.run_for(20);
    assert_eq!(pair.take_events(), [[], []]);
    pair.run_for(40);
    let [ann, ben] = pair.take_events();
    assert!(ann.is_empty(), "who closes is not told: {ann:?}");
    assert!(matches!(ben[..], [ConnectionEvent::Closed { .. }]), "{ben:?}");
}

#[test]
fn more_than_the_bound_is_refused() {
    let mut pair = Pair::connected(LinkConfig::wan());
    let taken = (0..100).take_while(|_| pair.send(vec![0; 16_384].into()).is_ok()).count();
    assert_eq!(taken, 64);
    assert_eq!(pair.send("hello".into()), Err(SendError::Full));
}
