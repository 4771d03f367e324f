//! What a room promises, to whom, and for how long.

use std::time::Duration;

use paceline_signaling::RoomsConfig;
use paceline_signaling::limits::{MAX_ELECTORS, MAX_LEASE};
use serde_json::{Value, json};

use crate::house::{House, announcement, peer};

const LEASE: u32 = 450_000;
/// How long a vote is to hold.
pub(crate) const VOTE: u32 = 200_000;

fn epoch(term: u64, ballot: u16) -> Value {
    json!({ "term": term, "ballot": ballot })
}

/// A lease under `term`.`ballot`, with a roster that is the `number`th of its host.
pub(crate) fn lease(term: u64, ballot: u16, length: u32, number: u32, electors: &[u32]) -> Value {
    json!({
        "epoch": epoch(term, ballot),
        "length_us": length,
        "sequence": 1,
        "roster": { "epoch": epoch(term, ballot), "number": number },
        "electors": electors,
    })
}

/// A request of `candidate`, whose roster is the `roster.1`th of term `roster.0`.
pub(crate) fn vote(term: u64, candidate: u32, roster: (u64, u32)) -> Value {
    json!({
        "epoch": epoch(term, 0),
        "candidate": candidate,
        "prevote": false,
        "length_us": VOTE,
        "roster": { "epoch": epoch(roster.0, 0), "number": roster.1 },
    })
}

pub(crate) fn granted(answer: &Value) -> bool {
    answer["granted"].as_bool().unwrap_or_else(|| panic!("no vote: {answer}"))
}

/// Ann, Ben and Cy may host; Ann does, under term 1, and all three vote.
fn three() -> House {
    let mut house = House::new();
    for conn in 1..=3 {
        house.open(conn, "call");
        house.announce(conn, true);
    }
    assert!(granted(&house.ask(1, "witness.lease", lease(1, 0, LEASE, 1, &[1, 2, 3]))));
    for conn in 1..=3 {
        house.heard(conn);
    }
    house
}

fn told(house: &mut House, conn: u64) -> Vec<Value> {
    let heard = house.heard(conn).into_iter();
    heard.filter(|note| note["method"] == "room.host").map(|note| note["params"].clone()).collect()
}

#[test]
fn of_two_who_claim_at_once_one_is_voted_for() {
    let mut house = three();
    house.close(1);
    house.wait(Duration::from_millis(450));
    assert!(granted(&house.ask(2, "witness.vote", vote(2, 2, (1, 1)))));
    assert!(!granted(&house.ask(3, "witness.vote", vote(2, 3, (1, 1)))));
    // Nor under a later epoch, before the first has had his time.
    assert!(!granted(&house.ask(3, "witness.vote", vote(3, 3, (1, 1)))));
    house.wait(Duration::from_millis(199));
    assert!(!granted(&house.ask(3, "witness.vote", vote(3, 3, (1, 1)))));
    house.wait(Duration::from_millis(1));
    assert!(granted(&house.ask(3, "witness.vote", vote(3, 3, (1, 1)))));
    // The first comes too late.
    assert!(!granted(&house.ask(2, "witness.lease", lease(2, 0, LEASE, 1, &[2, 3]))));
    assert!(granted(&house.ask(3, "witness.lease", lease(3, 0, LEASE, 1, &[2, 3]))));
}

#[test]
fn nobody_is_voted_for_before_the_lease_of_another_has_run_out() {
    let mut house = three();
    house.wait(Duration::from_millis(449));
    assert!(!granted(&house.ask(2, "witness.vote", vote(2, 2, (1, 1)))));
    assert!(!granted(&house.ask(2, "witness.lease", lease(2, 0, LEASE, 1, &[2]))));
    // A renewal counts from when it came.
    assert!(granted(&house.ask(1, "witness.lease", lease(1, 0, LEASE, 1, &[1, 2, 3]))));
    house.wait(Duration::from_millis(449));
    assert!(!granted(&house.ask(2, "witness.vote", vote(2, 2, (1, 1)))));
    house.wait(Duration::from_millis(1));
    assert!(granted(&house.ask(2, "witness.vote", vote(2, 2, (1, 1)))));
}

/// Or whoever has not heard of a candidate that failed would ask for his epoch for ever.
#[test]
fn who_is_refused_learns_what_was_promised() {
    let mut house = three();
    house.close(1);
    house.wait(Duration::from_millis(450));
    assert!(granted(&house.ask(2, "witness.vote", vote(9, 2, (1, 1)))));
    house.open(4, "call");
    assert_eq!(house.announce(4, false)["epoch"], epoch(9, 0), "a newcomer learns it too");
    house.close(2);
    house.wait(Duration::from_millis(200));
    let refusal = house.ask(3, "witness.vote", vote(2, 3, (1, 1)));
    assert_eq!((granted(&refusal), &refusal["epoch"]), (false, &epoch(9, 0)));
    // Who asks for more than that is told what he asked for.
    let refusal = house.ask(3, "witness.vote", vote(10, 3, (0, 0)));
    assert_eq!((granted(&refusal), &refusal["epoch"]), (false, &epoch(10, 0)));
    assert!(granted(&house.ask(3, "witness.vote", vote(10, 3, (1, 1)))));
}

#[test]
fn a_prevote_promises_nothing() {
    let mut house = three();
    let mut prevote = vote(2, 2, (1, 1));
    prevote["prevote"] = json!(true);
    // Doubt is enough: 300 ms of silence.
    house.wait(Duration::from_millis(299));
    assert!(!granted(&house.ask(2, "witness.vote", prevote.clone())));
    house.wait(Duration::from_millis(1));
    assert!(granted(&house.ask(2, "witness.vote", prevote)));
    assert!(!granted(&house.ask(3, "witness.vote", vote(2, 3, (1, 1)))));
    assert!(granted(&house.ask(1, "witness.lease", lease(1, 0, LEASE, 1, &[1, 2, 3]))));
    house.wait(Duration::from_millis(450));
    assert!(granted(&house.ask(3, "witness.vote", vote(2, 3, (1, 1)))));
    assert_eq!(house.rooms.stats().votes, 1);
}

#[test]
fn an_epoch_that_is_over_is_refused() {
    let mut house = three();
    house.wait(Duration::from_millis(450));
    assert!(granted(&house.ask(2, "witness.lease", lease(2, 0, LEASE, 1, &[2, 3]))));
    for late in [lease(1, 0, LEASE, 9, &[1]), lease(1, 7, LEASE, 9, &[1])] {
        assert!(!granted(&house.ask(1, "witness.lease", late)));
    }
    house.wait(Duration::from_secs(9));
    assert!(!granted(&house.ask(1, "witness.lease", lease(1, 0, LEASE, 9, &[1]))));
    assert!(!granted(&house.ask(1, "witness.vote", vote(1, 1, (1, 9)))));
}

#[test]
fn who_has_an_older_roster_is_not_voted_for() {
    let mut house = three();
    assert!(granted(&house.ask(1, "witness.lease", lease(1, 0, LEASE, 7, &[1, 2, 3]))));
    house.wait(Duration::from_millis(450));
    assert!(!granted(&house.ask(2, "witness.vote", vote(2, 2, (1, 6)))));
    assert!(granted(&house.ask(3, "witness.vote", vote(2, 3, (1, 7)))));
    // A lease is answered with the newest roster that the room has.
    let answer = house.ask(3, "witness.lease", lease(2, 0, LEASE, 0, &[2, 3]));
    assert_eq!(answer["roster"], json!({ "epoch": epoch(2, 0), "number": 0 }));
    let answer = house.ask(1, "witness.lease", lease(1, 0, LEASE, 7, &[1]));
    assert_eq!(answer["granted"], json!(false));
    assert_eq!(answer["roster"], json!({ "epoch": epoch(2, 0), "number": 0 }));
}

#[test]
fn a_host_who_gives_up_frees_the_next_at_once() {
    let mut house = three();
    // Not his to give up.
    assert!(!granted(&house.ask(2, "witness.lease", lease(1, 0, 0, 1, &[]))));
    assert!(!granted(&house.ask(1, "witness.lease", lease(0, 9, 0, 1, &[]))));
    assert!(!granted(&house.ask(2, "witness.lease", lease(1, 1, LEASE, 1, &[1, 2, 3]))));
    assert!(granted(&house.ask(1, "witness.lease", lease(1, 0, 0, 1, &[]))));
    assert!(told(&mut house, 3).is_empty(), "he is the host until another is");
    // The ballot after his: a handover.
    assert!(granted(&house.ask(2, "witness.lease", lease(1, 1, LEASE, 1, &[1, 2, 3]))));
    let params = json!({ "host": peer(2), "epoch": epoch(1, 1) });
    assert_eq!(told(&mut house, 3), [params]);
    assert!(!granted(&house.ask(1, "witness.lease", lease(1, 0, LEASE, 1, &[1, 2, 3]))));
}

#[test]
fn who_leaves_gives_up_and_who_is_lost_does_not() {
    for (says_so, wait) in [(true, 0), (false, 450)] {
        let mut house = three();
        if says_so {
            house.ask(1, "peer.disconnect", json!({}));
        } else {
            house.close(1);
        }
        // The epoch is for those to raise who elect.
        assert_eq!(told(&mut house, 2), [json!({ "host": null, "epoch": epoch(1, 0) })]);
        if wait > 0 {
            house.wait(Duration::from_millis(wait - 1));
            assert!(!granted(&house.ask(2, "witness.vote", vote(2, 2, (1, 1)))));
            house.wait(Duration::from_millis(1));
        }
        assert!(granted(&house.ask(2, "witness.vote", vote(2, 2, (1, 1)))), "{says_so}");
    }
}

#[test]
fn who_comes_back_is_another_voter() {
    let mut house = three();
    house.close(2);
    house.open(4, "call");
    // The same peer id, even.
    let back = house.ask(4, "peer.announce", announcement(2, true));
    assert_eq!((&back["sender"], &back["host"]), (&json!(4), &json!(peer(1))));
    assert_eq!(back["genesis"], json!(false));
    house.wait(Duration::from_millis(450));
    let other = house.ask(4, "witness.vote", vote(2, 2, (1, 1)));
    assert_eq!(other["code"], -32009, "he is not who he was");
    assert!(granted(&house.ask(3, "witness.vote", vote(2, 3, (1, 1)))));
    assert!(!granted(&house.ask(4, "witness.vote", vote(2, 4, (1, 1)))));
}

#[test]
fn a_vote_for_another_is_refused() {
    let mut house = three();
    house.wait(Duration::from_millis(450));
    for candidate in [0, 1, 3, 4, u32::MAX] {
        let refusal = house.ask(2, "witness.vote", vote(2, candidate, (1, 1)));
        assert_eq!(refusal["code"], -32009, "{refusal}");
    }
    assert!(granted(&house.ask(2, "witness.vote", vote(2, 2, (1, 1)))));
}

/// While nobody votes but the room, somebody who came later is voted for as soon as the
/// lease of a host that is silent has run out; his connection may seem to be there for long.
#[test]
fn a_host_without_electors_is_followed_by_who_asks() {
    let mut house = House::new();
    house.open(1, "call");
    house.announce(1, true);
    assert!(granted(&house.ask(1, "witness.lease", lease(1, 0, LEASE, 7, &[]))));
    assert_eq!(house.join(2, "call")["genesis"], json!(true));
    house.wait(Duration::from_millis(449));
    assert!(!granted(&house.ask(2, "witness.vote", vote(2, 2, (0, 0)))));
    house.wait(Duration::from_millis(1));
    assert!(granted(&house.ask(2, "witness.vote", vote(2, 2, (0, 0)))));
    assert!(granted(&house.ask(2, "witness.lease", lease(2, 0, LEASE, 0, &[2]))));
}

#[test]
fn the_first_who_may_hosts_from_his_announcement_on() {
    let mut house = House::new();
    assert_eq!(house.join(1, "call")["genesis"], json!(true));
    house.open(2, "call");
    let joined = house.announce(2, true);
    assert_eq!((&joined["host"], &joined["epoch"]), (&json!(peer(2)), &epoch(1, 0)));
    // He has the time of a lease for his first renewal.
    house.wait(Duration::from_millis(449));
    assert!(!granted(&house.ask(1, "witness.vote", vote(2, 1, (0, 0)))));
    assert!(granted(&house.ask(2, "witness.lease", lease(1, 0, LEASE, 0, &[]))));
    house.open(3, "call");
    let joined = house.announce(3, true);
    // He hosts, but nobody votes yet: should he go, the witness decides alone.
    assert_eq!((&joined["host"], &joined["genesis"]), (&json!(peer(2)), &json!(true)));
    assert!(granted(&house.ask(2, "witness.lease", lease(1, 0, LEASE, 1, &[2, 3]))));
    house.open(4, "call");
    assert_eq!(house.announce(4, true)["genesis"], json!(false));
}

/// The publisher of a broadcast never sends a lease, and no viewer takes his place.
#[test]
fn a_host_without_a_lease_hosts_until_he_goes() {
    let mut house = House::new();
    house.open(1, "show");
    house.announce(1, true);
    house.open(2, "show");
    house.announce(2, true);
    house.wait(Duration::from_secs(20));
    assert!(!granted(&house.ask(2, "witness.vote", vote(2, 2, (0, 0)))));
    assert!(!granted(&house.ask(2, "witness.lease", lease(2, 0, LEASE, 0, &[2]))));
    assert_eq!(house.ask(2, "room.host", json!({ "host": true }))["code"], -32006);
    house.heard(2);
    house.close(1);
    assert_eq!(told(&mut house, 2), [json!({ "host": null, "epoch": epoch(2, 0) })]);
    // No epoch from before that.
    let mut earlier = lease(1, 1, LEASE, 0, &[2]);
    assert!(!granted(&house.ask(2, "witness.lease", earlier.take())));
    assert!(granted(&house.ask(2, "witness.vote", vote(2, 2, (0, 0)))));
}

#[test]
fn where_hosts_are_elected_nobody_claims_the_room() {
    let mut house = three();
    for (conn, host) in [(1, false), (2, true), (1, true)] {
        let refusal = house.ask(conn, "room.host", json!({ "host": host }));
        assert_eq!(refusal["code"], -32008, "{refusal}");
        assert!(refusal["message"].as_str().is_some_and(|why| why.contains("witness.vote")));
    }
    assert!(told(&mut house, 3).is_empty());
}

/// Nobody who voted is here any more: the next who may is host, however new the roster of
/// those before was, and under a later epoch.
#[test]
fn without_electors_the_room_is_as_new_but_for_its_epoch() {
    let mut house = three();
    assert!(granted(&house.ask(1, "witness.lease", lease(1, 0, LEASE, 40, &[1, 2, 3]))));
    assert_eq!(house.join(4, "call")["genesis"], json!(false));
    for conn in [2, 3, 1] {
        house.ask(conn, "peer.disconnect", json!({}));
    }
    let mut prevote = vote(2, 4, (0, 0));
    prevote["prevote"] = json!(true);
    assert!(granted(&house.ask(4, "witness.vote", prevote)), "who has stayed may ask");
    house.open(5, "call");
    let joined = house.announce(5, true);
    assert_eq!((&joined["host"], &joined["genesis"]), (&json!(peer(5)), &json!(true)));
    assert_eq!(joined["epoch"], epoch(2, 0));
    // Without a lease he hosts for as long as he is here, as the first did.
    house.wait(Duration::from_secs(1));
    assert!(!granted(&house.ask(4, "witness.vote", vote(3, 4, (0, 0)))));
    assert!(granted(&house.ask(5, "witness.lease", lease(2, 0, LEASE, 0, &[5]))));
}

/// Electors who are lost to the server may be there for each other: their lease runs out
/// first, and what they elect is not what is given here.
#[test]
fn electors_who_are_lost_keep_their_lease_and_their_epochs() {
    let mut house = three();
    house.join(4, "call");
    for conn in 1..=3 {
        house.close(conn);
    }
    house.open(5, "call");
    house.wait(Duration::from_millis(449));
    let early = house.announce(5, true);
    assert_eq!((&early["host"], &early["genesis"]), (&Value::Null, &json!(true)));
    assert!(!granted(&house.ask(5, "witness.vote", vote(2, 5, (0, 0)))));
    house.wait(Duration::from_millis(1));
    house.open(6, "call");
    let joined = house.announce(6, true);
    assert_eq!(joined["host"], peer(6));
    assert!(joined["epoch"]["term"].as_u64().is_some_and(|term| term > 1_000), "{joined}");
}

#[test]
fn one_elector_who_stays_keeps_the_room_from_beginning_anew() {
    let mut house = three();
    house.close(1);
    house.ask(2, "peer.disconnect", json!({}));
    house.wait(Duration::from_secs(1));
    house.open(4, "call");
    let joined = house.announce(4, true);
    assert_eq!((&joined["host"], &joined["genesis"]), (&Value::Null, &json!(false)));
    assert!(!granted(&house.ask(4, "witness.vote", vote(2, 4, (0, 0)))), "he has no roster");
    assert!(granted(&house.ask(3, "witness.vote", vote(2, 3, (1, 1)))));
}

#[test]
fn a_member_has_50_calls_in_a_second() {
    let mut house = three();
    house.wait(Duration::from_secs(1));
    let refused = |house: &mut House, conn, calls: usize| {
        let call = |_| house.ask(conn, "witness.lease", lease(1, 0, LEASE, 1, &[1, 2, 3]));
        (0..calls).map(call).filter(|answer| answer["code"] == -32007).count()
    };
    assert_eq!(refused(&mut house, 1, 60), 10);
    let over = house.ask(1, "witness.vote", vote(1, 1, (1, 1)));
    assert_eq!(over["data"], json!({ "bound": "witness_rate", "limit": 50 }));
    // Each has his own.
    assert_eq!(refused(&mut house, 2, 50), 0);
    house.wait(Duration::from_millis(20));
    assert_eq!(refused(&mut house, 1, 2), 1);
    let mut none = House::with(RoomsConfig::default().witness_rate(0));
    none.join(1, "call");
    assert_eq!(refused(&mut none, 1, 1), 1);
}

#[test]
fn leases_and_electors_are_held_to_their_limits_and_not_one_more() {
    for (length, good) in [(MAX_LEASE - 1, true), (MAX_LEASE, true), (MAX_LEASE + 1, false)] {
        let answer = three().ask(1, "witness.lease", lease(1, 0, length, 1, &[1]));
        assert_eq!(answer["granted"] == true, good, "{answer}");
        assert!(good || answer["data"] == json!({ "bound": "length_us", "limit": MAX_LEASE }));
    }
    for extra in [0, 1, 2] {
        let electors: Vec<_> = (0..(MAX_ELECTORS - 1 + extra) as u32).collect();
        let answer = three().ask(1, "witness.lease", lease(1, 0, LEASE, 1, &electors));
        assert_eq!(answer["granted"] == true, extra < 2, "{answer}");
        assert!(extra < 2 || answer["data"] == json!({ "bound": "electors", "limit": 32 }));
    }
}

#[test]
fn what_is_not_a_request_to_a_witness_is_refused() {
    let good =
        [("witness.lease", lease(1, 0, LEASE, 1, &[1])), ("witness.vote", vote(2, 1, (1, 1)))];
    for (method, params) in &good {
        let mut house = three();
        house.open(9, "call");
        assert_eq!(house.ask(9, method, params.clone())["code"], -32000, "not in the room");
        let fields = params.as_object().expect("by name").keys();
        for field in fields {
            for bad in [json!(null), json!(-1), json!(1.5), json!("1"), json!([[]]), json!({})] {
                let mut broken = params.clone();
                broken[field] = bad;
                let mut house = three();
                assert_eq!(house.ask(1, method, broken)["code"], -32602, "{method} {field}");
            }
            let mut missing = params.clone();
            missing.as_object_mut().expect("by name").remove(field);
            assert_eq!(house.ask(1, method, missing)["code"], -32602, "{method} without {field}");
        }
        for (place, bad) in [
            ("/epoch/term", json!(1_u64 << 48)),
            ("/epoch/ballot", json!(65_536)),
            ("/roster/epoch/term", json!(u64::MAX)),
            ("/roster/number", json!(1_u64 << 32)),
        ] {
            let mut broken = params.clone();
            *broken.pointer_mut(place).expect("a field of both") = bad;
            assert_eq!(house.ask(1, method, broken)["code"], -32602, "{method} {place}");
        }
    }
}
