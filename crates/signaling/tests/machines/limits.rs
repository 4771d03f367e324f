//! Every bound, one below it, at it, and one above it.

use std::time::Duration;

use paceline_signaling::limits::{
    MAX_BATCH, MAX_CANDIDATE, MAX_CANDIDATES, MAX_CODEC, MAX_CODECS, MAX_DEPTH, MAX_FRAME,
    MAX_MEMBERS, MAX_MID, MAX_NAME, MAX_REPLY, MAX_SDP,
};
use paceline_signaling::{Client, ClientConfig, CloseReason, RoomsConfig};
use serde_json::{Value, json};

use crate::house::{House, announcement, id, peer};

#[test]
fn a_frame_over_the_limit_ends_the_connection() {
    for extra in [0, 1, 2] {
        let mut house = House::new();
        house.join(1, "limits");
        let call = r#"{"jsonrpc":"2.0","id":1,"method":"foobar"}"#;
        let padding = " ".repeat(MAX_FRAME - 1 + extra - call.len());
        house.say(1, &format!("{call}{padding}"));
        let over = (extra == 2).then_some(&CloseReason::FrameTooLong);
        assert_eq!(house.closed.get(&1), over);
        assert_eq!(house.heard(1).len(), usize::from(extra < 2));
    }
}

#[test]
fn json_over_the_depth_is_refused_unread() {
    for (depth, code) in [(MAX_DEPTH - 1, -32601), (MAX_DEPTH, -32601), (MAX_DEPTH + 1, -32007)] {
        let mut house = House::new();
        house.open(1, "limits");
        // The call itself is one level.
        let params = "[".repeat(depth - 1) + &"]".repeat(depth - 1);
        house.say(1, &format!(r#"{{"jsonrpc":"2.0","id":1,"method":"x","params":{params}}}"#));
        assert_eq!(house.heard(1)[0]["error"]["code"], code, "{depth}");
    }
    let mut house = House::new();
    house.open(1, "limits");
    house.say(1, &"[".repeat(MAX_FRAME));
    assert_eq!(house.heard(1)[0]["error"]["data"]["limit"], MAX_DEPTH);
}

#[test]
fn a_batch_over_the_limit_is_refused_whole() {
    for len in [MAX_BATCH - 1, MAX_BATCH, MAX_BATCH + 1] {
        let mut house = House::new();
        house.open(1, "limits");
        let calls: Vec<_> =
            (0..len).map(|id| json!({ "jsonrpc": "2.0", "id": id, "method": "x" })).collect();
        house.say(1, &Value::from(calls).to_string());
        let answer = house.heard(1).remove(0);
        if len <= MAX_BATCH {
            assert_eq!(answer.as_array().map(Vec::len), Some(len));
        } else {
            assert_eq!(answer["error"]["data"], json!({ "bound": "batch", "limit": MAX_BATCH }));
            assert_eq!(answer["id"], Value::Null);
        }
    }
}

#[test]
fn texts_over_their_limit_are_refused_with_its_name() {
    type Case = (&'static str, &'static str, usize, fn(usize) -> Value);
    let texts: &[Case] = &[
        ("peer.offer", "sdp", MAX_SDP, |n| json!({ "to": peer(2), "sdp": "s".repeat(n) })),
        ("peer.answer", "sdp", MAX_SDP, |n| json!({ "to": peer(2), "sdp": "s".repeat(n) })),
        (
            "peer.ice_candidate",
            "candidate",
            MAX_CANDIDATE,
            |n| json!({ "to": peer(2), "candidate": "c".repeat(n), "mid": "0", "mline_index": 0 }),
        ),
        (
            "peer.ice_candidate",
            "mid",
            MAX_MID,
            |n| json!({ "to": peer(2), "candidate": "", "mid": "m".repeat(n), "mline_index": 0 }),
        ),
    ];
    for (method, bound, limit, params) in texts {
        let mut house = House::new();
        house.join(1, "limits");
        house.join(2, "limits");
        house.heard(1);
        for len in [limit - 1, *limit, limit + 1] {
            let answer = house.ask(1, method, params(len));
            assert_eq!(house.heard(2).len(), usize::from(len <= *limit), "{method} {len}");
            if len > *limit {
                assert_eq!(answer["code"], -32602);
                assert_eq!(answer["data"], json!({ "bound": bound, "limit": limit }));
            }
        }
    }
}

#[test]
fn names_are_short_and_plain() {
    let with = |key: &str, value: Value| {
        let mut house = House::new();
        house.open(1, "limits");
        let mut params = announcement(1, false);
        *params.pointer_mut(key).expect("a field of the announcement") = value;
        let answer = house.ask(1, "peer.announce", params);
        (answer["sender"] == 1, answer["data"]["bound"].clone())
    };
    for (len, good) in [(MAX_NAME - 1, true), (MAX_NAME, true), (MAX_NAME + 1, false)] {
        assert_eq!(with("/name", json!("é".repeat(len))).0, good, "{len}");
    }
    for (len, good) in [(MAX_CODECS - 1, true), (MAX_CODECS, true), (MAX_CODECS + 1, false)] {
        assert_eq!(with("/capabilities/video", json!(vec!["vp8"; len])).0, good, "{len}");
    }
    for (len, good) in [(MAX_CODEC - 1, true), (MAX_CODEC, true), (MAX_CODEC + 1, false)] {
        assert_eq!(with("/capabilities/audio", json!(["c".repeat(len)])).0, good, "{len}");
    }
    for bad in ["a\r\nb", "\u{1b}]52;c;aGk=\u{7}", "a\u{85}b"] {
        assert_eq!(with("/name", json!(bad)), (false, json!("name")), "{bad:?}");
        assert_eq!(with("/capabilities/video", json!([bad])), (false, json!("codec")), "{bad:?}");
    }
    assert!(!with("/peer", json!("alice")).0);
    assert!(!with("/protocol", json!(0)).0);
    assert_eq!(with("/protocol", json!(1)), (false, json!("protocol")));
}

#[test]
fn candidates_are_counted_for_each_pair_and_each_description() {
    let mut house = House::new();
    for conn in [1, 2, 3] {
        house.join(conn, "limits");
    }
    let candidate =
        |to| json!({ "to": peer(to), "candidate": "candidate:1", "mid": "0", "mline_index": 0 });
    for _ in 0..MAX_CANDIDATES {
        assert_eq!(house.ask(1, "peer.ice_candidate", candidate(2)), json!({}));
    }
    let over = house.ask(1, "peer.ice_candidate", candidate(2));
    assert_eq!(over["code"], -32007);
    assert_eq!(over["data"], json!({ "bound": "candidates", "limit": MAX_CANDIDATES }));
    // Another pair, and the other direction, have their own.
    assert_eq!(house.ask(1, "peer.ice_candidate", candidate(3)), json!({}));
    assert_eq!(house.ask(2, "peer.ice_candidate", candidate(1)), json!({}));
    // The other's description is not ours.
    house.ask(2, "peer.offer", json!({ "to": peer(1), "sdp": "v=0" }));
    assert_eq!(house.ask(1, "peer.ice_candidate", candidate(2))["code"], -32007);
    house.ask(1, "peer.answer", json!({ "to": peer(2), "sdp": "v=0" }));
    assert_eq!(house.ask(1, "peer.ice_candidate", candidate(2)), json!({}));
}

#[test]
fn a_full_room_refuses_and_evicts_nobody() {
    let mut house = House::with(RoomsConfig::default().max_members(3));
    for conn in 1..=3 {
        house.join(conn, "limits");
    }
    house.open(4, "limits");
    let refusal = house.announce(4, true);
    assert_eq!(refusal["code"], -32003);
    assert_eq!(refusal["message"], "the room is full: 3 of 3 are in it");
    assert_eq!(refusal["data"], json!({ "bound": "max_members", "limit": 3 }));
    house.close(2);
    let joined = house.announce(4, false);
    assert_eq!(joined["sender"], 4, "a number is never given twice, and refusals take none");
    assert_eq!(joined["members"].as_array().map(Vec::len), Some(2));
}

#[test]
fn the_default_room_has_32_places() {
    let mut house = House::new();
    for conn in 1..=32 {
        house.join(conn, "limits");
    }
    house.open(33, "limits");
    let refusal = house.announce(33, false);
    assert_eq!(refusal["message"], "the room is full: 32 of 32 are in it");
}

/// The join reply of the largest room, whose members use all they may, fits the
/// frame that a client accepts.
#[test]
fn the_largest_join_reply_fits_a_frame() {
    let mut house = House::with(RoomsConfig::default().max_members(MAX_MEMBERS));
    let mut reply = String::new();
    for conn in 1..=MAX_MEMBERS as u64 {
        house.open(conn, "limits");
        let codecs = vec!["c".repeat(MAX_CODEC); MAX_CODECS];
        let nat = json!({
            "type": "port_restricted",
            "mapping": "address_and_port_dependent",
            "upload_kbps": u32::MAX,
            "rtt_us": u32::MAX,
            "needs_relay": false,
        });
        let params = json!({
            "peer": peer(conn),
            "name": "\u{1f980}".repeat(MAX_NAME),
            "capabilities": { "video": codecs, "audio": codecs, "host": false, "nat": nat },
            "protocol": 2,
        });
        let call =
            json!({ "jsonrpc": "2.0", "id": 1, "method": "peer.announce", "params": params });
        house.say(conn, &call.to_string());
        reply = house.heard_texts(conn).pop().expect("an answer");
    }
    assert!(reply.len() <= MAX_REPLY, "{}", reply.len());
    let mut client = Client::new(ClientConfig::new(id(1), "reader"));
    client.handle_open();
    assert_eq!(client.handle_text(&reply), Ok(()));
}

/// `from` is longer than `to`, so a frame can grow on its way.
#[test]
fn a_signal_that_would_outgrow_the_frame_is_refused() {
    let mut house = House::new();
    house.join(1, "limits");
    house.join(2, "limits");
    house.heard(1);
    let text = |newlines: usize| {
        let sdp = "\n".repeat(newlines) + "s";
        let params = json!({ "to": peer(2), "sdp": sdp });
        json!({ "jsonrpc": "2.0", "method": "peer.offer", "params": params }).to_string()
    };
    let newlines = (MAX_FRAME - text(0).len()) / 2;
    assert!((MAX_FRAME - 1..=MAX_FRAME).contains(&text(newlines).len()));
    house.say(1, &text(newlines));
    assert_eq!(house.heard(2).len(), 0);
    assert_eq!(house.rooms.stats().refused, 1);
    house.say(1, &text(newlines - 1));
    assert!(house.heard_texts(2)[0].len() <= MAX_FRAME);
}

#[test]
fn a_full_server_closes_the_newcomer() {
    let mut house = House::with(RoomsConfig::default().max_connections(2));
    house.open(1, "a");
    house.open(2, "b");
    house.open(3, "c");
    assert_eq!(house.closed.get(&3), Some(&CloseReason::TooManyConnections));
    house.close(1);
    house.open(4, "c");
    assert_eq!(house.closed.len(), 1);
}

#[test]
fn a_silent_newcomer_is_closed_after_five_seconds() {
    let mut house = House::new();
    house.open(1, "limits");
    house.wait(Duration::from_millis(4_999));
    // Talking is not announcing.
    house.say(1, "{}");
    assert!(house.closed.is_empty());
    house.wait(Duration::from_millis(1));
    assert_eq!(house.closed.get(&1), Some(&CloseReason::AnnounceTimeout));
    assert_eq!(house.rooms.poll_timeout(), None);
}

#[test]
fn a_silent_member_is_pinged_and_then_closed() {
    let mut house = House::new();
    house.join(1, "limits");
    house.join(2, "limits");
    house.heard(1);
    house.wait(Duration::from_secs(30));
    assert_eq!(house.pinged, [1, 2]);
    house.wait(Duration::from_millis(9_999));
    house.pong(1);
    house.wait(Duration::from_millis(1));
    assert_eq!(house.closed.get(&2), Some(&CloseReason::Idle));
    assert!(!house.closed.contains_key(&1));
    let heard = house.heard(1);
    assert_eq!(heard.len(), 1);
    assert_eq!(heard[0]["method"], "peer.left");
    assert_eq!(heard[0]["params"]["reason"], "no answer to a ping");
    assert_eq!(house.rooms.poll_timeout(), Some(house.now + Duration::from_millis(29_999)));
}
