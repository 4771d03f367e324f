//! Texts from nowhere good, in sequences.

use std::collections::BTreeMap;
use std::time::Duration;

use paceline_signaling::{Client, ClientConfig};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use serde_json::{Value, json};

use crate::house::{House, announcement, id, peer};
use crate::witness::{lease, vote};

/// The connections of a story; the even ones share a room, as do the odd ones.
const CONNS: u64 = 6;

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(0x5161),
        ..ProptestConfig::default()
    }
}

/// JSON of any shape, leaning towards the words of the protocol.
fn any_json() -> impl Strategy<Value = Value> {
    let words = prop::sample::select(vec![
        "2.0",
        "peer.announce",
        "peer.offer",
        "peer.ice_candidate",
        "room.host",
        "witness.lease",
        "witness.vote",
        "peer.joined",
        "to",
        "\r\n\u{1b}",
        "",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        words.prop_map(Value::from),
        (1..=CONNS).prop_map(|conn| Value::from(peer(conn))),
        ".{0,8}".prop_map(Value::from),
    ];
    let keys = prop::sample::select(vec![
        "jsonrpc", "id", "method", "params", "result", "error", "code", "message", "to", "from",
        "sdp", "peer", "host", "epoch", "term", "ballot", "roster", "number", "electors",
        "granted",
    ]);
    leaf.prop_recursive(4, 32, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(keys.clone(), inner, 0..6).prop_map(|map| {
                map.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
            }),
        ]
    })
}

/// A call that is right but for its parameters, perhaps.
fn any_call() -> impl Strategy<Value = Value> {
    let good = prop_oneof![
        (1..=CONNS, any::<bool>())
            .prop_map(|(conn, host)| ("peer.announce", announcement(conn, host))),
        (1..=CONNS, 1..=CONNS).prop_map(|(to, from)| {
            ("peer.offer", json!({ "to": peer(to), "from": peer(from), "sdp": "v=0" }))
        }),
        (1..=CONNS).prop_map(|to| {
            let params = json!({ "to": peer(to), "candidate": "c", "mid": "0", "mline_index": 0 });
            ("peer.ice_candidate", params)
        }),
        any::<bool>().prop_map(|host| ("room.host", json!({ "host": host }))),
        Just(("peer.disconnect", json!({}))),
        (0..4_u64, 0..2_u16, any::<u32>(), 0..9_u32).prop_map(|(term, ballot, length, elector)| {
            ("witness.lease", lease(term, ballot, length, elector, &[elector]))
        }),
        (0..4_u64, 0..9_u32)
            .prop_map(|(term, candidate)| ("witness.vote", vote(term, candidate, (term, 0)))),
        any_json().prop_map(|params| ("witness.lease", params)),
        any_json().prop_map(|params| ("peer.answer", params)),
    ];
    (good, prop::option::of(0..9_u8)).prop_map(|((method, params), id)| match id {
        Some(id) => json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }),
        None => json!({ "jsonrpc": "2.0", "method": method, "params": params }),
    })
}

fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => any_call().prop_map(|call| call.to_string()),
        1 => prop::collection::vec(any_call(), 0..18).prop_map(|batch| Value::from(batch).to_string()),
        1 => any_json().prop_map(|json| json.to_string()),
        1 => ".{0,64}",
        1 => (any_call(), any::<prop::sample::Index>())
            .prop_map(|(call, at)| {
                let text = call.to_string();
                text.chars().take(at.index(text.len())).collect()
            }),
    ]
}

#[derive(Clone, Debug)]
enum Step {
    Close(u64),
    Open(u64),
    Say(u64, String),
    Wait(u16),
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => (1..=CONNS).prop_map(Step::Open),
        1 => (1..=CONNS).prop_map(Step::Close),
        12 => (1..=CONNS, any_text()).prop_map(|(conn, text)| Step::Say(conn, text)),
        1 => any::<u16>().prop_map(Step::Wait),
    ]
}

proptest! {
    #![proptest_config(config(256))]

    /// Whatever six clients do, nothing panics, a signal comes from who sent it
    /// and stays in its room, and all that is said is JSON-RPC 2.0.
    #[test]
    fn no_story_breaks_the_server(steps in prop::collection::vec(any_step(), 1..60)) {
        let mut house = House::new();
        let mut next = 1;
        // A connection's number is never used twice, so each life has another.
        let mut lives: BTreeMap<u64, u64> = BTreeMap::new();
        for step in steps {
            let mut speaker = None;
            match step {
                Step::Open(slot) => {
                    lives.entry(slot).or_insert_with(|| {
                        next += 1;
                        house.open(next, if slot % 2 == 0 { "even" } else { "odd" });
                        next
                    });
                }
                Step::Close(slot) => {
                    if let Some(conn) = lives.remove(&slot) {
                        house.close(conn);
                    }
                }
                Step::Say(slot, text) => {
                    if let Some(conn) = lives.get(&slot) {
                        speaker = Some(slot);
                        house.say(*conn, &text);
                    }
                }
                Step::Wait(millis) => house.wait(Duration::from_millis(millis.into())),
            }
            for (slot, conn) in &lives {
                for heard in house.heard(*conn) {
                    let parts = heard.as_array().cloned().unwrap_or_else(|| vec![heard.clone()]);
                    prop_assert!(!parts.is_empty());
                    for part in parts {
                        prop_assert_eq!(&part["jsonrpc"], "2.0");
                        let kinds = ["method", "result", "error"];
                        let kinds = kinds.iter().filter(|key| part.get(**key).is_some()).count();
                        prop_assert_eq!(kinds, 1, "{}", part);
                        if part.get("method").is_none() {
                            prop_assert_eq!(Some(*slot), speaker, "answered {}", part);
                        }
                        if let Some(speaker) = speaker {
                            prop_assert_eq!(speaker % 2, slot % 2, "crossed rooms: {}", part);
                        }
                    }
                }
            }
            lives.retain(|_, conn| !house.closed.contains_key(conn));
            let stats = house.rooms.stats();
            prop_assert_eq!(stats.connections, lives.len());
            prop_assert!(stats.rooms <= 2);
            prop_assert!(house.rooms.poll_timeout().is_some() != lives.is_empty());
        }
    }

    /// A signal carries its sender's peer id, whatever it claims, and arrives at
    /// `to` alone.
    #[test]
    fn no_signal_lies_about_its_sender(
        signals in prop::collection::vec((1..=CONNS, 1..=CONNS, 1..=CONNS), 1..40),
    ) {
        let mut house = House::new();
        for conn in 1..=CONNS {
            house.join(conn, "kitchen");
        }
        for conn in 1..=CONNS {
            house.heard(conn);
        }
        for (sender, to, claimed) in signals {
            let params = json!({ "to": peer(to), "from": peer(claimed), "sdp": "v=0" });
            let call = json!({ "jsonrpc": "2.0", "method": "peer.offer", "params": params });
            house.say(sender, &call.to_string());
            for conn in 1..=CONNS {
                let heard = house.heard(conn);
                prop_assert_eq!(heard.len(), usize::from(conn == to && to != sender));
                for note in heard {
                    prop_assert_eq!(&note["params"]["from"], &peer(sender));
                }
            }
        }
    }

    /// Whatever a server says, a client does not panic, and holds no more for it.
    #[test]
    fn no_text_breaks_the_client(texts in prop::collection::vec(any_text(), 1..40)) {
        let mut client = Client::new(ClientConfig::new(id(1), "target"));
        client.handle_open();
        for text in texts {
            let _ = client.handle_text(&text);
            let mut outputs = 0;
            while client.poll_output().is_some() {
                outputs += 1;
            }
            prop_assert!(outputs <= 17, "{} outputs from one text", outputs);
        }
    }
}
