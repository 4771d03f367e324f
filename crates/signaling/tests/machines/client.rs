//! The client's side, against the real server and against a bad one.

use paceline_signaling::limits::{MAX_REPLY, MAX_SDP};
use paceline_signaling::types::Epoch;
use paceline_signaling::{
    Capabilities, Client, ClientConfig, ClientError, ClientEvent, ClientOutput, Signal,
};
use serde_json::{Value, json};

use crate::house::{House, id, peer};

/// Two clients in one room, and the server between them.
struct Pair {
    house: House,
    clients: [Client; 2],
}

impl Pair {
    fn new(host: bool) -> Self {
        let client = |conn: u64| {
            let video = vec!["h264".into()];
            let capabilities = Capabilities { host, video, ..Capabilities::default() };
            let config = ClientConfig::new(id(conn), format!("peer {conn}"));
            Client::new(config.capabilities(capabilities))
        };
        Self { house: House::new(), clients: [client(1), client(2)] }
    }

    fn open(&mut self, conn: u64) {
        self.house.open(conn, "kitchen");
        self.clients[conn as usize - 1].handle_open();
    }

    /// Carries every message and returns what each client has to tell.
    fn settle(&mut self) -> [Vec<ClientEvent>; 2] {
        let mut events = [vec![], vec![]];
        loop {
            let mut quiet = true;
            for (at, client) in self.clients.iter_mut().enumerate() {
                let conn = at as u64 + 1;
                for text in self.house.heard_texts(conn) {
                    client.handle_text(&text).expect("our server speaks the protocol");
                    quiet = false;
                }
                while let Some(output) = client.poll_output() {
                    quiet = false;
                    match output {
                        ClientOutput::Event(event) => events[at].push(event),
                        ClientOutput::Send(text) => self.house.say(conn, &text),
                        other => panic!("unknown output {other:?}"),
                    }
                }
            }
            if quiet {
                return events;
            }
        }
    }
}

#[test]
fn two_clients_meet_and_pass_signals() {
    let mut pair = Pair::new(false);
    pair.open(1);
    let [first, _] = pair.settle();
    assert!(matches!(&first[..], [ClientEvent::Joined(j)] if j.sender.get() == 1));
    pair.open(2);
    let [first, second] = pair.settle();
    let ClientEvent::PeerJoined(member) = &first[0] else { panic!("{first:?}") };
    assert_eq!((member.peer, &*member.name, member.sender.get()), (id(2), "peer 2", 2));
    let ClientEvent::Joined(joined) = &second[0] else { panic!("{second:?}") };
    assert_eq!(joined.members[0].peer, id(1));
    assert_eq!(joined.members[0].capabilities.video, ["h264"]);

    let signals = [
        Signal::Offer { sdp: "v=0\r\n".into() },
        Signal::Answer { sdp: "v=0\r\ns=-\r\n".into() },
        Signal::Candidate {
            candidate: "candidate:1".into(),
            mid: "0".into(),
            mline_index: 3,
            ufrag: "u".into(),
        },
    ];
    for signal in signals {
        pair.clients[0].send(id(2), signal.clone());
        let [first, second] = pair.settle();
        assert_eq!((first, second), (vec![], vec![ClientEvent::Signal { from: id(1), signal }]));
    }
    pair.clients[0].leave();
    let [_, second] = pair.settle();
    assert_eq!(second, [ClientEvent::PeerLeft { peer: id(1), reason: "left".into() }]);
}

#[test]
fn both_learn_who_hosts() {
    let mut pair = Pair::new(true);
    pair.open(1);
    pair.open(2);
    pair.settle();
    pair.clients[1].set_hosting(true);
    let [_, second] = pair.settle();
    assert!(matches!(&second[..], [ClientEvent::HostRefused { code: -32006, .. }]), "{second:?}");
    pair.clients[0].set_hosting(false);
    pair.clients[1].set_hosting(true);
    let told = [(None, 2), (Some(id(2)), 3)]
        .map(|(host, term)| ClientEvent::Host { host, epoch: Epoch::new(term, 0) });
    assert_eq!(pair.settle(), [told.to_vec(), told.to_vec()]);
}

#[test]
fn a_refused_client_is_told_why() {
    let mut pair = Pair::new(false);
    pair.clients[1] = Client::new(ClientConfig::new(id(1), "the same peer"));
    pair.open(1);
    pair.open(2);
    let [_, second] = pair.settle();
    assert!(matches!(&second[..], [ClientEvent::Refused { code: -32002, .. }]), "{second:?}");
}

#[test]
fn a_signal_that_cannot_arrive_fails_with_its_receiver() {
    let offer = |len: usize| Signal::Offer { sdp: "s".repeat(len) };
    let mut pair = Pair::new(false);
    pair.clients[0].send(id(2), offer(1));
    pair.open(1);
    pair.settle().into_iter().flatten().for_each(|event| match event {
        ClientEvent::SendFailed { to, code, .. } => assert_eq!((to, code), (id(2), -32000)),
        event => assert!(matches!(event, ClientEvent::Joined(_))),
    });
    for (len, code) in [(MAX_SDP - 1, -32005), (MAX_SDP, -32005), (MAX_SDP + 1, -32602)] {
        pair.clients[0].send(id(2), offer(len));
        let [first, _] = pair.settle();
        let [ClientEvent::SendFailed { to, code: told, .. }] = &first[..] else {
            panic!("{first:?}")
        };
        assert_eq!((*to, *told), (id(2), code), "{len}");
    }
}

#[test]
fn a_signal_that_outgrows_the_frame_is_not_sent() {
    let mut pair = Pair::new(false);
    pair.open(1);
    pair.open(2);
    pair.settle();
    pair.clients[0].send(id(2), Signal::Offer { sdp: "\n".repeat(MAX_SDP) });
    let [first, second] = pair.settle();
    assert!(matches!(&first[..], [ClientEvent::SendFailed { code: -32007, .. }]), "{first:?}");
    assert!(second.is_empty() && pair.house.closed.is_empty());
}

#[test]
fn a_bad_server_is_an_error_and_changes_nothing() {
    let mut pair = Pair::new(false);
    pair.open(1);
    pair.settle();
    let client = &mut pair.clients[0];
    let note = |method: &str, params: Value| {
        json!({ "jsonrpc": "2.0", "method": method, "params": params }).to_string()
    };
    let member = |name: &str| {
        let capabilities = json!({ "video": [], "audio": [], "host": false });
        json!({ "peer": peer(9), "sender": 9, "name": name, "capabilities": capabilities })
    };
    let bad_params = [
        note("peer.joined", json!({})),
        note("peer.joined", json!([1])),
        note("peer.joined", member("a\u{1b}[2J")),
        note("peer.joined", member(&"n".repeat(65))),
        note("peer.left", json!({ "peer": "nobody", "reason": "" })),
        note("room.host", json!({ "host": null, "epoch": { "term": 1_u64 << 48, "ballot": 0 } })),
        note("room.host", json!({ "host": null, "epoch": { "term": -1, "ballot": 0 } })),
        note("peer.offer", json!({ "from": peer(2), "sdp": "s".repeat(MAX_SDP + 1) })),
        note("peer.offer", json!({ "to": peer(2), "sdp": "s" })),
        note(
            "peer.ice_candidate",
            json!({ "from": peer(2), "candidate": "a\nb", "mid": "0", "mline_index": 0 }),
        ),
        note(
            "peer.ice_candidate",
            json!({ "from": peer(2), "candidate": "", "mid": "0", "mline_index": 65_536 }),
        ),
    ];
    for text in bad_params {
        let error = client.handle_text(&text).expect_err(&text);
        assert!(matches!(error, ClientError::BadParams { .. }), "{text}: {error}");
    }
    for text in ["", "{", "[]", "1", "[1]", r#"{"jsonrpc":"2.0"}"#, &"[".repeat(100)] {
        let error = client.handle_text(text).expect_err(text);
        assert!(matches!(error, ClientError::NotJsonRpc { .. }), "{text}: {error}");
    }
    let long = " ".repeat(MAX_REPLY + 1);
    assert_eq!(client.handle_text(&long), Err(ClientError::FrameTooLong { len: MAX_REPLY + 1 }));
    let stray = r#"{"jsonrpc":"2.0","id":77,"result":{}}"#;
    assert_eq!(client.handle_text(stray), Err(ClientError::UnknownResponse));
    let complaint =
        r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"Parse error"}}"#;
    let error = ClientError::Complaint { code: -32700, message: "Parse error".into() };
    assert_eq!(client.handle_text(complaint), Err(error));
    // What a later version may say is not an error.
    assert_eq!(client.handle_text(&note("room.renamed", json!({}))), Ok(()));
    assert_eq!(client.poll_output(), None);
}

#[test]
fn a_client_has_no_methods_of_its_own() {
    let mut client = Client::new(ClientConfig::new(id(1), "alone"));
    assert_eq!(client.handle_text(r#"{"jsonrpc":"2.0","id":"q","method":"peer.offer"}"#), Ok(()));
    let Some(ClientOutput::Send(answer)) = client.poll_output() else { panic!("no answer") };
    let answer: Value = serde_json::from_str(&answer).unwrap();
    assert_eq!((&answer["id"], &answer["error"]["code"]), (&json!("q"), &json!(-32601)));
}

#[test]
fn nothing_is_heard_before_joining_or_after_leaving() {
    let mut client = Client::new(ClientConfig::new(id(1), "early"));
    client.handle_open();
    client.handle_open();
    assert!(matches!(client.poll_output(), Some(ClientOutput::Send(_))));
    let left = json!({ "peer": peer(2), "reason": "left" });
    let left = json!({ "jsonrpc": "2.0", "method": "peer.left", "params": left }).to_string();
    assert_eq!(client.handle_text(&left), Ok(()));
    assert_eq!(client.poll_output(), None);
    client.leave();
    client.leave();
    assert!(matches!(client.poll_output(), Some(ClientOutput::Send(_))));
    assert_eq!(client.handle_text(&left), Ok(()));
    assert_eq!(client.poll_output(), None);
}
