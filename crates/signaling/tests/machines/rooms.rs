//! Who hears what in which room, and who hosts.

use paceline_signaling::CloseReason;
use serde_json::{Value, json};

use crate::house::{House, announcement, peer};

#[test]
fn a_newcomer_learns_who_is_there_and_the_others_learn_of_him() {
    let mut house = House::new();
    let first = house.join(1, "kitchen");
    assert_eq!(first["sender"], 1);
    assert_eq!(first["members"], json!([]));
    assert_eq!(first["host"], Value::Null);
    assert_eq!(first["epoch"], json!({ "term": 0, "ballot": 0 }));
    let second = house.join(2, "kitchen");
    assert_eq!(second["session"], first["session"]);
    let capabilities = json!({ "video": ["h264"], "audio": ["opus"], "host": false });
    let entry = |conn: u64| {
        let name = format!("peer {conn}");
        json!({ "peer": peer(conn), "sender": conn, "name": name, "capabilities": capabilities })
    };
    assert_eq!(second["members"], json!([entry(1)]));
    let joined = json!({ "jsonrpc": "2.0", "method": "peer.joined", "params": entry(2) });
    assert_eq!(house.heard(1), [joined]);
    house.close(2);
    let params = json!({ "peer": peer(2), "reason": "the connection was lost" });
    let left = json!({ "jsonrpc": "2.0", "method": "peer.left", "params": params });
    assert_eq!(house.heard(1), [left]);
}

#[test]
fn rooms_know_nothing_of_each_other() {
    let mut house = House::new();
    let here = house.join(1, "here");
    let there = house.join(2, "there");
    assert_ne!(here["session"], there["session"]);
    assert_eq!(there["members"], json!([]));
    assert_eq!(there["sender"], 1);
    let refusal = house.ask(1, "peer.offer", json!({ "to": peer(2), "sdp": "v=0" }));
    assert_eq!(refusal["code"], -32005);
    assert_eq!(refusal["message"], format!("peer {} is not in this room", peer(2)));
    assert_eq!(house.ask(1, "room.host", json!({ "host": true }))["epoch"]["term"], 1);
    assert_eq!(house.ask(2, "room.host", json!({ "host": true }))["epoch"]["term"], 1);
    // The same peer id may be in both.
    house.open(3, "there");
    assert_eq!(house.ask(3, "peer.announce", announcement(1, false))["sender"], 2);
    house.close(1);
    let heard = house.heard(2);
    assert_eq!(heard.len(), 1, "{heard:?}");
    assert_eq!(heard[0]["params"]["sender"], 2);
}

#[test]
fn the_server_says_who_sent_a_signal() {
    let mut house = House::new();
    for conn in [1, 2, 3] {
        house.join(conn, "kitchen");
    }
    house.heard(1);
    house.heard(2);
    let cases = [
        ("peer.offer", json!({ "sdp": "v=0\r\n" })),
        ("peer.answer", json!({ "sdp": "v=0\r\n" })),
        (
            "peer.ice_candidate",
            json!({ "candidate": "candidate:1", "mid": "0", "mline_index": 0, "ufrag": "u" }),
        ),
    ];
    for (method, what) in cases {
        let mut sent = what.clone();
        sent["to"] = json!(peer(2));
        sent["from"] = json!(peer(3));
        sent["extra"] = json!("is not passed on");
        assert_eq!(house.ask(1, method, sent), json!({}));
        let mut params = what;
        params["from"] = json!(peer(1));
        let passed = json!({ "jsonrpc": "2.0", "method": method, "params": params });
        assert_eq!(house.heard(2), [passed]);
        assert!(house.heard(3).is_empty() && house.heard(1).is_empty());
    }
}

#[test]
fn a_signal_to_oneself_is_refused() {
    let mut house = House::new();
    house.join(1, "kitchen");
    let refusal = house.ask(1, "peer.offer", json!({ "to": peer(1), "sdp": "v=0" }));
    assert_eq!(refusal["code"], -32602);
}

#[test]
fn a_peer_id_is_taken_once_and_announced_once() {
    let mut house = House::new();
    house.join(1, "kitchen");
    house.open(2, "kitchen");
    let taken = house.ask(2, "peer.announce", announcement(1, true));
    assert_eq!(taken["code"], -32002);
    assert_eq!(taken["data"]["bound"], "connections_per_peer");
    let again = house.ask(1, "peer.announce", announcement(3, false));
    assert_eq!(again["code"], -32001);
    assert_eq!(again["data"]["bound"], "announces_per_connection");
    // Neither changed anything.
    assert_eq!(house.announce(2, false)["host"], Value::Null);
    let heard = house.heard(1);
    assert_eq!(heard.len(), 1);
    assert_eq!(heard[0]["params"]["peer"], peer(2));
}

#[test]
fn who_is_not_in_the_room_can_do_nothing() {
    let mut house = House::new();
    house.join(1, "kitchen");
    house.open(2, "kitchen");
    let calls = [
        ("peer.offer", json!({ "to": peer(1), "sdp": "v=0" })),
        ("peer.disconnect", json!({})),
        ("room.host", json!({ "host": true })),
    ];
    for (method, params) in calls {
        assert_eq!(house.ask(2, method, params)["code"], -32000, "{method}");
    }
    assert!(house.heard(1).is_empty());
}

#[test]
fn a_free_room_is_hosted_by_the_first_who_offers() {
    let mut house = House::new();
    house.join(1, "kitchen");
    house.open(2, "kitchen");
    let joined = house.announce(2, true);
    assert_eq!(joined["host"], peer(2));
    assert_eq!(joined["epoch"], json!({ "term": 1, "ballot": 0 }));
    assert_eq!(house.heard(2).len(), 0, "the reply has said it");
    let heard = house.heard(1);
    assert_eq!(heard[0]["method"], "peer.joined");
    assert_eq!(heard[1]["method"], "room.host");
    assert_eq!(heard[1]["params"], json!({ "host": peer(2), "epoch": { "term": 1, "ballot": 0 } }));
    house.open(3, "kitchen");
    let third = house.announce(3, true);
    assert_eq!((&third["host"], &third["epoch"]["term"]), (&json!(peer(2)), &json!(1)));
    assert_eq!(house.heard(1).len(), 1, "only that he joined");
}

#[test]
fn hosting_is_claimed_given_up_and_never_taken() {
    let mut house = House::new();
    house.join(1, "kitchen");
    house.join(2, "kitchen");
    house.heard(1);
    let hosting = |host: Option<u64>, term: u64| json!({ "host": host.map(peer), "epoch": { "term": term, "ballot": 0 } });
    assert_eq!(house.ask(1, "room.host", json!({ "host": true })), hosting(Some(1), 1));
    assert_eq!(house.heard(2)[0]["params"], hosting(Some(1), 1));
    // Doing it again is no change.
    assert_eq!(house.ask(1, "room.host", json!({ "host": true })), hosting(Some(1), 1));
    assert_eq!(house.ask(2, "room.host", json!({ "host": false })), hosting(Some(1), 1));
    assert!(house.heard(2).is_empty() && house.heard(1).is_empty());
    let refusal = house.ask(2, "room.host", json!({ "host": true }));
    assert_eq!((&refusal["code"], &refusal["data"]["bound"]), (&json!(-32006), &json!("hosts")));
    assert_eq!(house.ask(1, "room.host", json!({ "host": false })), hosting(None, 2));
    assert_eq!(house.heard(2)[0]["params"], hosting(None, 2));
    assert_eq!(house.ask(2, "room.host", json!({ "host": true })), hosting(Some(2), 3));
    assert_eq!(house.heard(1)[0]["params"], hosting(Some(2), 3));
}

#[test]
fn a_host_that_goes_leaves_the_room_without_one() {
    for leaves in [true, false] {
        let mut house = House::new();
        house.open(1, "kitchen");
        house.announce(1, true);
        house.join(2, "kitchen");
        if leaves {
            assert_eq!(house.ask(1, "peer.disconnect", json!({})), json!({}));
            assert_eq!(house.closed.get(&1), Some(&CloseReason::Left));
        } else {
            house.close(1);
        }
        let heard = house.heard(2);
        assert_eq!(heard[0]["method"], "peer.left");
        let reason = if leaves { "left" } else { "the connection was lost" };
        assert_eq!(heard[0]["params"], json!({ "peer": peer(1), "reason": reason }));
        assert_eq!(heard[1]["method"], "room.host");
        let params = json!({ "host": null, "epoch": { "term": 2, "ballot": 0 } });
        assert_eq!(heard[1]["params"], params);
    }
}

#[test]
fn a_room_ends_with_its_last_member() {
    let mut house = House::new();
    let before = house.join(1, "kitchen");
    house.ask(1, "room.host", json!({ "host": true }));
    house.close(1);
    assert_eq!((house.rooms.stats().rooms, house.rooms.stats().connections), (0, 0));
    let after = house.join(2, "kitchen");
    assert_ne!(before["session"], after["session"]);
    assert_eq!((&after["sender"], &after["epoch"]["term"]), (&json!(1), &json!(0)));
}

#[test]
fn a_bad_room_is_closed_at_once() {
    let mut house = House::new();
    house.open(1, "no/room");
    assert_eq!(house.closed.get(&1), Some(&CloseReason::BadRoom));
    house.say(1, "{}");
    assert!(house.heard(1).is_empty());
}

#[test]
fn the_same_story_is_told_the_same_way() {
    let tell = || {
        let mut house = House::new();
        for conn in (1..=8).rev() {
            house.join(conn, "kitchen");
        }
        house.ask(3, "room.host", json!({ "host": true }));
        house.close(3);
        (1..=8).map(|conn| house.heard_texts(conn)).collect::<Vec<_>>()
    };
    assert_eq!(tell(), tell());
}
