//! Who is best placed to host is judged by what the others say of him.

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use paceline_framing::{Control, Mapping, NatState, NatType, NetworkQuality};
use paceline_session::{Input, Role, SessionConfig};

use common::{Call, MS, number, peer, sender};

fn call() -> Call {
    let config = SessionConfig::default().quality_interval(Duration::from_secs(4));
    let mut call = Call::new(config);
    for _ in 0..5 {
        call.join();
        call.run_for(200 * MS);
    }
    call.media = true;
    call.run_for(9_000 * MS);
    call
}

/// Who told whom what he measured, the last of each.
fn told(call: &Call) -> BTreeMap<(u8, u8), NetworkQuality> {
    let mut told = BTreeMap::new();
    for sent in &call.sent {
        if let Some(Control::NetworkQuality(quality)) = sent.control() {
            told.insert((sent.from, sent.to), quality.clone());
        }
    }
    told
}

#[test]
fn the_host_and_those_who_may_follow_him_are_told_and_nobody_else() {
    let call = call();
    let roster = call.node(1).roster();
    let judges = roster.iter().filter(|place| place.role != Role::Member);
    let judges: BTreeSet<_> = judges.map(|place| number(place.peer)).collect();
    assert_eq!(judges.len(), 3);
    let told = told(&call);
    for n in 1..=5 {
        let by_him: BTreeSet<_> =
            told.keys().filter(|(from, _)| *from == n).map(|it| it.1).collect();
        let others: BTreeSet<_> = judges.iter().copied().filter(|&judge| judge != n).collect();
        assert_eq!(by_him, others, "of {n}");
    }
}

#[test]
fn it_says_what_came_of_each_and_how_far_away_he_is() {
    let call = call();
    let watcher = call.node(1).roster().last().map(|place| number(place.peer)).expect("five");
    let standby = number(call.node(1).standby().expect("there are five"));
    let told = told(&call);
    // The host hears everybody, and shows everybody.
    let by_host = &told[&(1, standby)];
    assert!(by_host.window.abs_diff(4_000_000) < 100_000, "{}", by_host.window);
    assert_eq!(by_host.members.len(), 4);
    for of in &by_host.members {
        assert!((300..=330).contains(&of.received), "four seconds of both: {of:?}");
        assert_eq!((of.expected, of.loss), (of.received, 0));
        assert!((20_000..25_000).contains(&of.min_rtt) && of.min_rtt <= of.max_rtt, "{of:?}");
    }
    // Who only watches knows of the host by his mix.
    let by_watcher = &told[&(watcher, 1)];
    let of = |n| by_watcher.members.iter().find(|of| of.member == sender(n)).copied();
    assert!(of(1).is_some_and(|of| (300..=330).contains(&of.received)), "{by_watcher:?}");
    assert!(of(standby).is_some_and(|of| of.received == 0 && of.min_rtt > 0), "{by_watcher:?}");
}

#[test]
fn everybody_is_told_how_we_are_placed_when_he_is_connected_and_when_it_changes() {
    let mut call = call();
    let states = |call: &Call, from: u8| -> BTreeMap<u8, NatState> {
        let of = |sent: &common::Sent| match sent.control() {
            Some(Control::NatState(state)) if sent.from == from => Some((sent.to, *state)),
            _ => None,
        };
        call.sent.iter().filter_map(of).collect()
    };
    for n in 1..=5 {
        let states = states(&call, n);
        assert_eq!(states.keys().copied().collect::<Vec<_>>(), call.links(n), "of {n}");
        assert!(states.values().all(|it| it.nat == NatType::Unknown && it.tie_break == peer(n)));
    }
    let state = NatState {
        nat: NatType::Open,
        mapping: Mapping::EndpointIndependent,
        upload: 9_000,
        rtt: 20_000,
        needs_relay: false,
        tie_break: peer(2),
    };
    call.input(2, Input::Nat(state));
    assert!(states(&call, 2).values().all(|it| *it == state));
    // And who comes later, too.
    let n = call.join();
    call.run_for(2_000 * MS);
    if call.links(n).contains(&2) {
        assert_eq!(states(&call, 2)[&n], state);
    }
    assert!(states(&call, 1).contains_key(&n));
}
