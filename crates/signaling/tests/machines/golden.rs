//! The witness's methods, character by character, as `docs/SIGNALING.md` has them.

use paceline_signaling::framing::{Mapping, NatType, RosterId};
use paceline_signaling::types::{Epoch, SenderId};
use paceline_signaling::{
    Capabilities, Client, ClientConfig, ClientError, ClientEvent, ClientOutput, Lease, Nat, Vote,
    VoteRequest, WitnessReply, WitnessRequest,
};
use serde_json::{Value, json};

use crate::house::{House, id};

const LEASE_CALL: &str = r#"{"id":2,"jsonrpc":"2.0","method":"witness.lease","params":{"electors":[1,2],"epoch":{"ballot":0,"term":1},"length_us":450000,"roster":{"epoch":{"ballot":0,"term":1},"number":2},"sequence":17}}"#;
const LEASE_REPLY: &str = r#"{"id":2,"jsonrpc":"2.0","result":{"epoch":{"ballot":0,"term":1},"granted":true,"length_us":450000,"roster":{"epoch":{"ballot":0,"term":1},"number":2},"sequence":17}}"#;
const VOTE_CALL: &str = r#"{"id":3,"jsonrpc":"2.0","method":"witness.vote","params":{"candidate":1,"epoch":{"ballot":0,"term":2},"length_us":450000,"prevote":true,"roster":{"epoch":{"ballot":0,"term":1},"number":2}}}"#;
const VOTE_REPLY: &str = r#"{"id":3,"jsonrpc":"2.0","result":{"candidate":1,"epoch":{"ballot":0,"term":2},"granted":true,"prevote":true}}"#;

fn lease() -> Lease {
    let epoch = Epoch::new(1, 0);
    Lease { epoch, length: 450_000, sequence: 17, roster: RosterId { epoch, number: 2 } }
}

fn lease_request() -> WitnessRequest {
    let electors = vec![SenderId::new(1), SenderId::new(2)];
    WitnessRequest::Lease { lease: lease(), electors }
}

fn vote_request() -> VoteRequest {
    let Lease { roster, .. } = lease();
    VoteRequest {
        epoch: Epoch::new(2, 0),
        candidate: SenderId::new(1),
        prevote: true,
        length: 450_000,
        roster,
    }
}

/// A client that may host, alone in a room: its announcement made it host under term 1.
fn alone() -> (House, Client) {
    let mut house = House::new();
    let capabilities = Capabilities { host: true, nat: Some(nat()), ..Capabilities::default() };
    let mut client = Client::new(ClientConfig::new(id(1), "Ada").capabilities(capabilities));
    house.open(1, "call");
    client.handle_open();
    let ClientOutput::Send(text) = output(&mut client) else { panic!("no announcement") };
    house.say(1, &text);
    let [reply] = &house.heard_texts(1)[..] else { panic!("one reply") };
    client.handle_text(reply).expect("our server speaks the protocol");
    let joined = output(&mut client);
    let ClientOutput::Event(ClientEvent::Joined(joined)) = joined else { panic!("{joined:?}") };
    assert_eq!((joined.host, joined.genesis), (Some(id(1)), true));
    (house, client)
}

fn nat() -> Nat {
    Nat {
        kind: NatType::PortRestricted,
        mapping: Mapping::AddressAndPortDependent,
        upload_kbps: 4_000,
        rtt_us: 12_000,
        needs_relay: false,
    }
}

fn output(client: &mut Client) -> ClientOutput {
    client.poll_output().expect("there is something to do")
}

#[test]
fn both_methods_are_written_as_they_are_documented() {
    let (mut house, mut client) = alone();
    let lease_reply = WitnessReply::Lease { lease: lease(), granted: true };
    let VoteRequest { epoch, candidate, prevote, .. } = vote_request();
    let vote_reply = WitnessReply::Vote(Vote { epoch, candidate, prevote, granted: true });
    let cases = [
        (lease_request(), LEASE_CALL, LEASE_REPLY, lease_reply),
        (WitnessRequest::Vote(vote_request()), VOTE_CALL, VOTE_REPLY, vote_reply),
    ];
    for (request, call, reply, heard) in cases {
        client.witness(request);
        assert_eq!(output(&mut client), ClientOutput::Send(call.to_owned()));
        house.say(1, call);
        assert_eq!(house.heard_texts(1), [reply]);
        client.handle_text(reply).expect("our server speaks the protocol");
        assert_eq!(output(&mut client), ClientOutput::Event(ClientEvent::Witness(heard)));
    }
    assert_eq!(client.poll_output(), None);
}

#[test]
fn what_is_told_of_nat_comes_to_the_others() {
    let (mut house, _) = alone();
    let joined = house.join(2, "call");
    let told = &joined["members"][0]["capabilities"];
    let json = r#"{"mapping":"address_and_port_dependent","needs_relay":false,"rtt_us":12000,"type":"port_restricted","upload_kbps":4000}"#;
    assert_eq!(told["nat"].to_string(), json);
    let read: Capabilities = serde_json::from_value(told.clone()).expect("as it was told");
    assert_eq!(read.nat, Some(nat()));
    let state = nat().state(id(1));
    assert_eq!((state.tie_break, Nat::from(state)), (id(1), nat()));
    // Who tells nothing tells nothing.
    house.heard(1);
    house.join(3, "call");
    assert_eq!(house.heard(1)[0]["params"]["capabilities"].get("nat"), None);
}

#[test]
fn every_kind_of_nat_has_one_name() {
    let mut names = vec![];
    for kind in ["open", "full_cone", "restricted", "port_restricted", "symmetric", "unknown"] {
        for mapping in
            ["endpoint_independent", "address_dependent", "address_and_port_dependent", "unknown"]
        {
            let json = json!({ "type": kind, "mapping": mapping, "upload_kbps": 1, "rtt_us": 2, "needs_relay": true });
            let nat: Nat = serde_json::from_value(json.clone()).expect(kind);
            assert_eq!(serde_json::to_value(nat).expect("it has names"), json);
            names.push(nat);
        }
    }
    assert!((1..names.len()).all(|at| !names[..at].contains(&names[at])), "each is another");
    for (field, bad) in [
        ("type", json!("cone")),
        ("type", json!(1)),
        ("mapping", json!("o".repeat(60_000))),
        ("rtt_us", json!(-1)),
        ("upload_kbps", json!(1_u64 << 32)),
        ("needs_relay", json!("no")),
    ] {
        let mut announcement = crate::house::announcement(1, true);
        announcement["capabilities"]["nat"] = serde_json::to_value(nat()).expect("it has names");
        announcement["capabilities"]["nat"][field] = bad;
        let mut house = House::new();
        house.open(1, "call");
        let refusal = house.ask(1, "peer.announce", announcement);
        assert_eq!(refusal["code"], -32602, "{field}");
        assert!(refusal["message"].as_str().is_some_and(|why| why.len() < 200), "{field}");
    }
}

#[test]
fn what_the_server_refuses_to_hear_is_not_granted() {
    let (mut house, mut client) = alone();
    let answers = |client: &mut Client, house: &mut House, request: WitnessRequest| {
        client.witness(request);
        match output(client) {
            ClientOutput::Event(event) => event,
            ClientOutput::Send(text) => {
                house.say(1, &text);
                for text in house.heard_texts(1) {
                    client.handle_text(&text).expect("our server speaks the protocol");
                }
                let ClientOutput::Event(event) = output(client) else { panic!("no event") };
                event
            }
            other => panic!("unknown output {other:?}"),
        }
    };
    // On behalf of somebody else.
    let forged = VoteRequest { candidate: SenderId::new(9), ..vote_request() };
    let VoteRequest { epoch, candidate, prevote, .. } = forged;
    let denied = Vote { epoch, candidate, prevote, granted: false };
    let event = answers(&mut client, &mut house, WitnessRequest::Vote(forged));
    assert_eq!(event, ClientEvent::Witness(WitnessReply::Vote(denied)));
    // Too long.
    let lease = Lease { length: u32::MAX, ..lease() };
    let request = WitnessRequest::Lease { lease, electors: vec![] };
    let denied = ClientEvent::Witness(WitnessReply::Lease { lease, granted: false });
    assert_eq!(answers(&mut client, &mut house, request.clone()), denied);
    // Outside a room.
    let mut early = Client::new(ClientConfig::new(id(2), "early"));
    assert_eq!(answers(&mut early, &mut house, request), denied);
    let VoteRequest { epoch, candidate, prevote, .. } = vote_request();
    let denied = Vote { epoch, candidate, prevote, granted: false };
    let event = answers(&mut early, &mut house, WitnessRequest::Vote(vote_request()));
    assert_eq!(event, ClientEvent::Witness(WitnessReply::Vote(denied)));
}

/// An answer counts for what was asked and for nothing else, whatever the server says.
#[test]
fn an_answer_to_something_else_is_the_servers_fault() {
    let changes: [(&str, &str, Value); 7] = [
        (LEASE_REPLY, "/result/epoch/term", json!(2)),
        (LEASE_REPLY, "/result/sequence", json!(18)),
        (LEASE_REPLY, "/result/length_us", json!(1)),
        (LEASE_REPLY, "/result/granted", json!(1)),
        (VOTE_REPLY, "/result/epoch/ballot", json!(1)),
        (VOTE_REPLY, "/result/candidate", json!(2)),
        (VOTE_REPLY, "/result/prevote", json!(false)),
    ];
    for (reply, place, bad) in changes {
        let (_, mut client) = alone();
        client.witness(lease_request());
        client.witness(WitnessRequest::Vote(vote_request()));
        assert!(matches!(output(&mut client), ClientOutput::Send(_)));
        assert!(matches!(output(&mut client), ClientOutput::Send(_)));
        let mut reply: Value = serde_json::from_str(reply).expect("JSON");
        *reply.pointer_mut(place).expect("a field of it") = bad;
        let error = client.handle_text(&reply.to_string()).expect_err(place);
        assert!(matches!(error, ClientError::BadParams { .. }), "{place}: {error}");
        assert_eq!(client.poll_output(), None);
    }
}

#[test]
fn a_refusal_tells_of_the_epoch_that_was_promised() {
    for (term, granted, good) in [(5, false, true), (1, false, false), (5, true, false)] {
        let (_, mut client) = alone();
        client.witness(lease_request());
        client.witness(WitnessRequest::Vote(vote_request()));
        let mut reply: Value = serde_json::from_str(VOTE_REPLY).expect("JSON");
        reply["result"]["granted"] = json!(granted);
        reply["result"]["epoch"]["term"] = json!(term);
        assert_eq!(client.handle_text(&reply.to_string()).is_ok(), good, "{reply}");
        let heard = std::iter::from_fn(|| client.poll_output());
        let told = heard.filter_map(|output| match output {
            ClientOutput::Event(ClientEvent::Witness(WitnessReply::Vote(vote))) => Some(vote),
            _ => None,
        });
        let told: Vec<_> = told.map(|vote| (vote.epoch, vote.granted)).collect();
        assert_eq!(told, if good { vec![(Epoch::new(5, 0), false)] } else { vec![] });
    }
}

/// The newest roster that the witness has comes back, and not ours.
#[test]
fn an_answer_brings_the_witness_s_roster() {
    let (_, mut client) = alone();
    client.witness(lease_request());
    assert!(matches!(output(&mut client), ClientOutput::Send(_)));
    let newer = LEASE_REPLY.replace("\"number\":2", "\"number\":3");
    client.handle_text(&newer).expect("it is an answer");
    let ClientOutput::Event(ClientEvent::Witness(WitnessReply::Lease { lease: told, granted })) =
        output(&mut client)
    else {
        panic!("no answer")
    };
    assert_eq!((told.roster.number, granted), (3, true));
    assert_eq!(Lease { roster: lease().roster, ..told }, lease());
}

#[test]
fn the_manual_has_the_same_bytes() {
    let manual = include_str!("../../../../docs/SIGNALING.md").replace("\n     ", "");
    for line in [LEASE_CALL, LEASE_REPLY, VOTE_CALL, VOTE_REPLY] {
        let found = manual.lines().any(|told| told.trim_start_matches(['→', '←', ' ']) == line);
        assert!(found, "not in docs/SIGNALING.md: {line}");
    }
}
