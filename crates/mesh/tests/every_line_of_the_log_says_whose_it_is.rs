//! What is logged of a connection's life can be told from what is logged of any other,
//! and holds no address.
#![allow(clippy::disallowed_methods, reason = "a test needs an epoch")]

#[allow(dead_code, unreachable_pub, reason = "each test file uses a part of it")]
mod common;

use std::fmt;
use std::sync::{Arc, Mutex};

use common::{Net, ms, offer, peer};
use paceline_mesh::framing::ByeReason;
use paceline_mesh::types::{ConnectionEvent, Signal};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// Each line's fields, by name.
type Lines = Arc<Mutex<Vec<Vec<(String, String)>>>>;

struct Log(Lines);

struct Line(Vec<(String, String)>);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.push((field.name().to_owned(), format!("{value:?}")));
    }
}

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("paceline_mesh")
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line(Vec::new());
        event.record(&mut line);
        self.0.lock().expect("no test panics with it").push(line.0);
    }
}

#[test]
fn every_line_names_session_peer_handshake_and_generation_and_no_address() {
    const ADDRESS: &str = "192.0.2.77";
    let lines = Lines::default();
    tracing::subscriber::with_default(Log(Arc::clone(&lines)), || {
        let mut net = Net::new(&[1, 2]);
        net.connect(1, 2);
        let now = net.now;
        for text in [String::new(), format!("a=candidate:1 1 udp 1 {ADDRESS} 9 typ host")] {
            let candidate = Signal::Candidate {
                candidate: text.clone(),
                mid: "0".to_owned(),
                mline_index: 0,
                ufrag: String::new(),
            };
            net.mesh(1).handle_signal(now, peer(2), candidate);
            net.mesh(1).handle_signal(now, peer(2), Signal::Answer { sdp: text });
        }
        net.mesh(1).handle_signal(now, peer(9), offer(1, 1));
        net.tell(peer(1), peer(2), ConnectionEvent::Path { up: false });
        net.run_for(ms(3_000));
        let reason = format!("no route to {ADDRESS}");
        net.tell(peer(1), peer(2), ConnectionEvent::Closed { reason });
        net.tell(peer(2), peer(1), ConnectionEvent::Message(vec![0; 99].into()));
        net.run_for(ms(30_000));
        net.mesh(1).hang_up(now, peer(2), ByeReason::Leaving);
        net.settle();
    });
    let lines = lines.lock().expect("no test panics with it");
    let handshakes = |line: &&Vec<(String, String)>| {
        line.iter().any(|(name, text)| name == "handshake" && text != "0000000000000000")
    };
    assert!(lines.iter().filter(handshakes).count() > 5, "{lines:?}");
    for line in lines.iter() {
        for name in ["session", "peer", "handshake", "generation"] {
            assert!(line.iter().any(|(field, _)| field == name), "{line:?} has no {name}");
        }
        assert!(line.iter().all(|(_, text)| !text.contains(ADDRESS)), "{line:?}");
    }
    let said = |text: &str| lines.iter().flatten().any(|(_, value)| value.contains(text));
    for text in ["connected", "looks for a path", "has a path again", "connection lost", "gone"] {
        assert!(said(text), "nobody says {text:?}: {lines:?}");
    }
}
