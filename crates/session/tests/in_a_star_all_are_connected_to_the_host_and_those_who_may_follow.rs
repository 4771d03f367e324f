//! Who calls whom in a star, and what becomes of connections when another hosts.

#![allow(clippy::disallowed_methods, reason = "a test needs an epoch")]

mod common;

use std::collections::BTreeSet;
use std::time::Instant;

use paceline_session::types::{Epoch, Signal, StreamId};
use paceline_session::{Event, Input, MeshConfig, Output, Role, Roster, Session, SessionConfig};

use common::{Call, MS, member, number, peer};

/// The host, then those who follow him, as somebody has it.
fn hub(call: &Call, n: u8) -> Vec<u8> {
    let mut hub = Vec::new();
    for place in call.node(n).roster() {
        if place.role != Role::Member {
            hub.push(number(place.peer));
        }
    }
    hub
}

#[test]
fn each_is_connected_to_the_host_and_to_two_more_and_who_came_later_calls() {
    let call = Call::of(6);
    let hub = hub(&call, 6);
    assert_eq!(hub.len(), 3, "{hub:?}");
    assert_eq!(hub[0], 1);
    assert_eq!(call.node(4).standby(), Some(peer(hub[1])));
    for n in 1..=6 {
        let is_linked = |other: &u8| hub.contains(&n) || hub.contains(other);
        let wanted: Vec<_> = (1..=6).filter(|&other| other != n).filter(is_linked).collect();
        assert_eq!(call.links(n), wanted, "at {n}");
    }
    assert!(call.calls.iter().all(|(caller, callee)| caller > callee), "{:?}", call.calls);
    let once: BTreeSet<_> = call.calls.iter().collect();
    assert_eq!(once.len(), call.calls.len(), "a pair has one connection: {:?}", call.calls);
}

#[test]
fn a_handover_keeps_every_connection_and_calls_nobody_twice() {
    let mut call = Call::of(5);
    call.media = true;
    call.run_for(2_000 * MS);
    let (calls, told) = (call.calls.len(), call.heard.len());
    call.input(1, Input::HandOver);
    call.run_for(8_000 * MS);
    let host = call.host().expect("somebody hosts");
    assert_ne!(host, 1);
    for (n, _, output) in &call.heard[told..] {
        let over = matches!(
            output,
            Output::Event(
                Event::Disconnected { .. } | Event::Reconnecting { .. } | Event::Refused { .. }
            )
        );
        assert!(!over, "{n}: {output:?}");
    }
    let made: BTreeSet<_> = call.calls[calls..].iter().copied().collect();
    assert!(made.is_disjoint(&call.calls[..calls].iter().copied().collect()), "{made:?}");
}

#[test]
fn one_that_neither_needs_any_more_is_closed_after_ten_seconds() {
    let mut call = Call::of(6);
    let hub = hub(&call, 6);
    // Two who have nothing to do with each other: the later one calls all the same, as if
    // he had heard that the other may follow.
    let idle: Vec<_> = (1..=6).filter(|n| !hub.contains(n)).collect();
    let (a, b) = (idle[0], idle[1]);
    assert!(!call.links(a).contains(&b));
    call.input(b, Input::Host { host: Some(peer(a)), epoch: call_epoch(&call) });
    call.run_for(1_000 * MS);
    assert!(call.links(a).contains(&b), "who came later is expected in any case");
    call.run_for(8_500 * MS);
    assert!(call.links(a).contains(&b), "not yet");
    call.input(b, Input::Host { host: Some(peer(1)), epoch: call_epoch(&call) });
    call.run_for(1_000 * MS);
    assert!(!call.links(a).contains(&b) && !call.links(b).contains(&a));
    // And for those who remain nothing has changed.
    call.run_for(15_000 * MS);
    assert_eq!(call.links(1).len(), 5);
    assert!(!call.links(a).contains(&b));
}

fn call_epoch(call: &Call) -> Epoch {
    let sent = call.sent.iter().rev().find(|sent| sent.from == 1 && sent.packet.epoch.is_some());
    sent.and_then(|sent| sent.packet.epoch).expect("the host said something")
}

#[test]
fn those_who_remain_connect_to_each_other_when_all_whom_they_had_have_left() {
    let mut call = Call::of(8);
    call.media = true;
    let hub = hub(&call, 8);
    for &n in &hub {
        call.kill(n);
        call.tell_left(n);
    }
    let rest: Vec<_> = (1..=8).filter(|n| !hub.contains(n)).collect();
    call.run_for(3_000 * MS);
    let host = call.host().expect("five of eight are a majority");
    for n in rest {
        assert!(n == host || call.links(n).contains(&host), "{n} has no way to {host}");
    }
}

#[test]
fn who_needs_a_place_gets_that_of_one_who_is_only_expected() {
    let now = Instant::now();
    let config = SessionConfig::default().mesh(MeshConfig::default().max_peers(2));
    let mut session = Session::new(peer(2), config);
    let epoch = Epoch::new(1, 0);
    session.handle_input(
        now,
        Input::Joined(Roster {
            session: common::SESSION,
            sender: common::sender(2),
            epoch,
            host: Some(peer(1)),
            members: vec![member(1)],
            may_host: false,
            genesis: false,
        }),
    );
    let mut calls_of = |inputs: Vec<Input>| {
        let mut outputs = Vec::new();
        for input in inputs {
            session.handle_input(now, input);
            outputs.extend(std::iter::from_fn(|| session.poll_output()));
        }
        let refused = |output: &Output| matches!(output, Output::Event(Event::Refused { .. }));
        assert!(!outputs.iter().any(refused), "{outputs:?}");
        let of = |output: &Output| match output {
            Output::Connection { peer, .. } => Some(number(*peer)),
            _ => None,
        };
        outputs.iter().filter_map(of).collect::<BTreeSet<_>>()
    };
    let offer = |n| Input::Signal { peer: peer(n), signal: Signal::Offer { sdp: String::new() } };
    // There is one place beside the host's: the first to come later is expected there.
    let joined = [3, 4, 5].map(|n| Input::MemberJoined(member(n)));
    assert_eq!(calls_of(joined.into()), [1].into());
    assert_eq!(calls_of(vec![offer(5)]), BTreeSet::new());
    // Somebody else is needed.
    let hint = Input::Host { host: Some(peer(5)), epoch };
    assert_eq!(calls_of(vec![hint, offer(5), offer(3)]), [5].into());
}

#[test]
fn who_left_is_not_connected_to_and_says_nothing_more() {
    let mut call = Call::of(4);
    call.media = true;
    call.run_for(1_000 * MS);
    call.input(3, Input::Leave);
    assert!(call.node(3).is_alone() && !call.node(3).is_host());
    let since = call.elapsed() + 1 * MS;
    call.run_for(50 * MS);
    call.tell_left(3);
    call.run_for(3_000 * MS);
    assert!(call.sent.iter().all(|sent| sent.from != 3 || sent.at < since));
    assert!(call.sent_to(1, StreamId::MIX_AUDIO, since + 100 * MS).is_disjoint(&[3].into()));
    for n in [1, 2, 4] {
        assert!(!call.links(n).contains(&3), "{n}");
    }
}
