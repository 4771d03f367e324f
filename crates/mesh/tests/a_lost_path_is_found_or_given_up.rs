//! What happens to a connection whose path is lost, and to what waits for it.
#![allow(clippy::disallowed_methods, reason = "a test needs an epoch")]

#[allow(dead_code, unreachable_pub, reason = "each test file uses a part of it")]
mod common;

use std::time::Duration;

use bytes::Bytes;
use common::{Net, ms, offer, ops, outputs, peer, sender};
use paceline_mesh::framing::{Body, ByeReason, Control};
use paceline_mesh::types::{ConnectionEvent, ConnectionOp, ConnectionState};
use paceline_mesh::{Event, GoneReason, MeshConfig, Output, Recipients};

fn cut(net: &mut Net) {
    net.cut = vec![(peer(1), peer(2)), (peer(2), peer(1))];
}

fn mute(net: &mut Net) {
    net.mute = vec![(peer(1), peer(2)), (peer(2), peer(1))];
}

fn state(net: &mut Net, n: u8, other: u8) -> Option<ConnectionState> {
    net.mesh(n).stats(peer(other)).map(|it| it.state)
}

/// What an application sent and got, by its number.
fn data(net: &Net, n: u8) -> Vec<u8> {
    let data = |(at, event): &(_, Event)| match event {
        Event::Packet { packet, .. } if *at == peer(n) => match &packet.body {
            Body::Control(Control::ApplicationData { data, .. }) => data.first().copied(),
            _ => None,
        },
        _ => None,
    };
    net.events.iter().filter_map(data).collect()
}

fn say(net: &mut Net, n: u8, number: u8) {
    let now = net.now;
    let data = Bytes::from(vec![number; 3_000]);
    net.mesh(n).broadcast_control(now, Control::ApplicationData { channel: 1, data });
    net.settle();
}

fn kinds(net: &Net, n: u8) -> Vec<&'static str> {
    let kind = |(at, event): &(_, Event)| match event {
        _ if *at != peer(n) => None,
        Event::Connected { .. } => Some("connected"),
        Event::Gone { .. } => Some("gone"),
        Event::Interrupted { .. } => Some("interrupted"),
        Event::Reconnected { .. } => Some("reconnected"),
        Event::Reconnecting { .. } => Some("reconnecting"),
        _ => None,
    };
    net.events.iter().filter_map(kind).collect()
}

#[test]
fn a_lost_path_is_looked_for_at_0_2_and_4_s_and_given_up_after_5_s_of_silence() {
    let mut net = Net::new(&[1, 2]);
    net.connect(1, 2);
    cut(&mut net);
    mute(&mut net);
    let lost = net.elapsed();
    net.tell(peer(1), peer(2), ConnectionEvent::Path { up: false });
    net.settle();
    assert_eq!(state(&mut net, 1, 2), Some(ConnectionState::Reconnecting));
    assert!(net.connected(1, 2), "he is in the call yet");
    net.run_for(ms(4_999));
    assert_eq!(
        net.times(1, &ConnectionOp::RestartIce, lost),
        [ms(0), ms(2_000), ms(4_000)],
        "{:?}",
        net.ops
    );
    assert_eq!(net.times(1, &ConnectionOp::Rollback, lost), [ms(2_000), ms(4_000)]);
    net.run_for(ms(1));
    assert_eq!(net.times(1, &ConnectionOp::Close, lost), [ms(5_000)]);
    assert_eq!(kinds(&net, 1), ["connected", "reconnecting", "interrupted"]);
    let silent = |(at, event): &(_, Event)| {
        *at == peer(1) && matches!(event, Event::Interrupted { reason: GoneReason::Silent, .. })
    };
    assert!(net.events.iter().any(silent));
    assert_eq!(net.mesh(1).mesh_stats().restarts, 3);
}

/// After 5 s of silence it is dialled anew at 0, 2 and 4 s, and each call has 5 s to be
/// answered in.
#[test]
fn a_connection_that_is_given_up_is_dialled_anew_three_times_by_the_caller() {
    let mut net = Net::new(&[1, 2]);
    net.connect(1, 2);
    cut(&mut net);
    mute(&mut net);
    let lost = net.elapsed();
    net.run_for(ms(50_000));
    let calls = net.times(1, &ConnectionOp::Call, lost + ms(1));
    let first = ms(5_000);
    let expected = [first, first + ms(5_000 + 2_000), first + ms(10_000 + 2_000 + 4_000)];
    assert_eq!(calls.iter().map(|at| *at + ms(1)).collect::<Vec<_>>(), expected);
    assert_eq!(net.times(2, &ConnectionOp::Call, Duration::ZERO), []);
    assert_eq!(kinds(&net, 1), ["connected", "reconnecting", "interrupted", "gone"]);
    assert_eq!(kinds(&net, 2), ["connected", "reconnecting", "interrupted", "gone"]);
    assert_eq!(net.mesh(1).mesh_stats().peers, 0);
    assert!(net.meshes.values().all(|mesh| mesh.poll_timeout().is_none()));
}

#[test]
fn a_path_that_is_found_again_loses_doubles_and_reorders_nothing() {
    for both in [false, true] {
        let mut net = Net::new(&[1, 2]);
        net.connect(1, 2);
        say(&mut net, 1, 0);
        // The engine says so before anything is lost: what is sent now waits here.
        for n in if both { vec![1, 2] } else { vec![1] } {
            mute(&mut net);
            net.tell(peer(n), peer(3 - n), ConnectionEvent::Path { up: false });
        }
        for number in 1..10 {
            say(&mut net, 1, number);
        }
        assert_eq!(data(&net, 2), [0]);
        let queued = net.mesh(1).mesh_stats().queued_bytes;
        assert!(queued > 9 * 3_000, "{queued}");
        net.run_for(ms(1_000));
        // The next turn's offers arrive: both ends', if both look for a path.
        net.mute.clear();
        net.run_for(ms(1_500));
        assert_eq!(data(&net, 2), Vec::from_iter(0..10), "both {both}");
        assert!(net.connected(1, 2));
        assert_eq!(state(&mut net, 1, 2), Some(ConnectionState::Connected));
        assert_eq!(kinds(&net, 1), ["connected", "reconnecting", "reconnected"]);
        say(&mut net, 2, 77);
        assert_eq!(data(&net, 1), [77]);
        assert_eq!(net.mesh(1).mesh_stats().queued_bytes, 0);
        // It was one connection all the time.
        assert_eq!(net.times(1, &ConnectionOp::Close, Duration::ZERO), []);
        assert_eq!(net.times(2, &ConnectionOp::Close, Duration::ZERO), []);
    }
}

#[test]
fn two_seconds_of_silence_look_for_a_path_and_a_word_ends_it() {
    let mut net = Net::new(&[1, 2]);
    net.connect(1, 2);
    net.cut = vec![(peer(2), peer(1))];
    mute(&mut net);
    net.run_for(ms(1_999));
    assert_eq!(kinds(&net, 1), ["connected"]);
    net.run_for(ms(1));
    assert_eq!(kinds(&net, 1), ["connected", "reconnecting"]);
    assert_eq!(kinds(&net, 2), ["connected"]);
    net.cut.clear();
    net.run_for(ms(1_000));
    assert_eq!(kinds(&net, 1), ["connected", "reconnecting", "reconnected"]);
    net.run_for(ms(10_000));
    assert_eq!(kinds(&net, 1), ["connected", "reconnecting", "reconnected"]);
    // The offer that nobody heard is taken back in its time, and not made again.
    assert_eq!(net.times(1, &ConnectionOp::RestartIce, Duration::ZERO).len(), 1);
    assert_eq!(net.times(1, &ConnectionOp::Rollback, Duration::ZERO), [ms(2_000 + 5_000)]);
}

#[test]
fn who_knows_that_the_network_changed_restarts_at_once() {
    let mut net = Net::new(&[1, 2, 3]);
    net.connect(1, 2);
    net.connect(1, 3);
    let now = net.now;
    net.mesh(1).restart_ice(now, Recipients::One(peer(2)));
    net.settle();
    net.run_for(ms(0));
    assert_eq!(kinds(&net, 1), ["connected", "connected", "reconnecting", "reconnected"]);
    assert_eq!((kinds(&net, 2), kinds(&net, 3)), (vec!["connected"], vec!["connected"]));
    net.mesh(1).restart_ice(now, Recipients::All);
    net.mesh(3).restart_ice(now, Recipients::All);
    net.settle();
    net.run_for(ms(10_000));
    assert!(net.connected(1, 2) && net.connected(1, 3));
    assert_eq!(net.mesh(1).mesh_stats().restarts, 3);
    assert_eq!(net.times(1, &ConnectionOp::Close, Duration::ZERO), []);
    // Nobody is there whose path could be looked for.
    net.mesh(1).restart_ice(now, Recipients::One(peer(9)));
    assert!(net.mesh(1).poll_output().is_none());
}

#[test]
fn an_engine_that_never_says_that_the_path_is_back_is_not_waited_for() {
    let mut net = Net::new(&[1, 2]);
    net.connect(1, 2);
    mute(&mut net);
    net.tell(peer(1), peer(2), ConnectionEvent::Path { up: false });
    net.run_for(ms(1_999));
    assert_eq!(kinds(&net, 1), ["connected", "reconnecting"]);
    net.run_for(ms(1_000));
    assert_eq!(kinds(&net, 1), ["connected", "reconnecting", "reconnected"]);
}

#[test]
fn who_takes_nothing_for_five_seconds_is_closed_and_may_call_again() {
    let mut net = Net::new(&[1, 2]);
    net.connect(1, 2);
    net.run_for(ms(500));
    // 2 is the host's side: it expects, and sends.
    net.stuck = vec![(peer(2), peer(1))];
    say(&mut net, 2, 1);
    let began = net.elapsed();
    net.run_for(ms(4_999));
    assert!(net.connected(1, 2));
    net.events.clear();
    net.run_for(ms(1));
    assert!(
        matches!(
            &net.events[..],
            [
                (_, Event::Gone { reason: GoneReason::NoProgress, .. }),
                (_, Event::Interrupted { reason: GoneReason::Bye(ByeReason::TooSlow), .. }),
            ]
        ),
        "{:?}",
        net.events
    );
    assert_eq!((net.mesh(2).mesh_stats().evicted, net.mesh(1).mesh_stats().evicted), (1, 0));
    // Whose it is to call does so, and whose it is not waits for him if his owner likes.
    net.stuck.clear();
    let now = net.now;
    net.mesh(2).expect(now, peer(1), sender(1)).expect("there is a place");
    net.run_for(ms(10_000));
    assert_eq!(net.times(2, &ConnectionOp::Call, began), []);
    assert!(net.connected(1, 2));
}

#[test]
fn whoever_confirms_a_little_is_slow_and_stays() {
    let mut net = Net::new(&[1, 2]);
    net.connect(1, 2);
    net.stuck = vec![(peer(2), peer(1))];
    say(&mut net, 2, 1);
    for _ in 0..10 {
        net.run_for(ms(4_000));
        net.tell(peer(2), peer(1), ConnectionEvent::Acked(1));
    }
    assert!(net.connected(1, 2));
    net.run_for(ms(5_000));
    assert!(!net.connected(1, 2));
}

/// It may have an engine that answers for it while it hangs itself.
#[test]
fn an_engine_vouches_for_a_silent_peer_once() {
    let mut net = Net::new(&[1, 2]);
    net.connect(1, 2);
    net.cut = vec![(peer(2), peer(1))];
    mute(&mut net);
    for up in [false, true, false, true, false, true] {
        net.run_for(ms(1_000));
        net.tell(peer(1), peer(2), ConnectionEvent::Path { up });
    }
    // 5 s from the first time that it found a path, which was after 2 s.
    net.run_for(ms(999));
    assert_eq!(kinds(&net, 1), ["connected", "reconnecting"]);
    net.run_for(ms(1));
    assert_eq!(kinds(&net, 1), ["connected", "reconnecting", "interrupted"]);
}

/// The callee takes nothing of the caller: it is the caller's to make anew.
#[test]
fn a_caller_whose_callee_takes_nothing_calls_again() {
    let mut net = Net::new(&[1, 2]);
    net.connect(1, 2);
    net.stuck = vec![(peer(1), peer(2))];
    net.cut = vec![];
    say(&mut net, 1, 1);
    // Neither our goodbye nor the hello of the call that follows at once arrives: the
    // next is made 10 + 2 s later.
    net.run_for(ms(4_999));
    net.cut = vec![(peer(1), peer(2))];
    net.events.clear();
    net.run_for(ms(1));
    assert!(matches!(
        &net.events[0],
        (_, Event::Interrupted { reason: GoneReason::NoProgress, .. })
    ));
    net.stuck.clear();
    net.cut.clear();
    net.run_for(ms(12_000));
    assert!(net.connected(1, 2));
}

#[test]
fn a_reload_replaces_the_connection_and_a_restart_does_not() {
    let mut net = Net::new(&[1, 2]);
    net.connect(1, 2);
    let now = net.now;
    let mesh = net.mesh(2);
    let before = mesh.stats(peer(1)).map(|it| it.received_bytes);
    mesh.handle_signal(now, peer(1), offer(999_999, 999));
    let outputs = outputs(mesh);
    assert!(
        matches!(
            &outputs[..],
            [
                Output::Event(Event::Interrupted { reason: GoneReason::Replaced, .. }),
                Output::Connection { op: ConnectionOp::Close, .. },
                Output::Connection { op: ConnectionOp::Remote(_), .. },
            ]
        ),
        "{outputs:?}"
    );
    assert_eq!(mesh.stats(peer(1)).map(|it| it.state), Some(ConnectionState::Gathering));
    assert_eq!(mesh.stats(peer(1)).map(|it| it.received_bytes), before);
    // That one again, with other credentials, is a restart.
    mesh.handle_connection(now, peer(1), ConnectionEvent::Local(common::answer(3, 3)));
    mesh.handle_signal(now, peer(1), offer(999_999, 1_000));
    assert_eq!(ops(mesh), [ConnectionOp::Remote(offer(999_999, 1_000))]);
    assert_eq!(mesh.stats(peer(1)).map(|it| it.state), Some(ConnectionState::Connecting));
}

/// A restart of a connection that is closed here cannot be answered by a new one.
#[test]
fn an_offer_of_a_connection_that_is_over_begins_nothing() {
    let mut net = Net::new(&[1, 2]);
    net.connect(1, 2);
    let now = net.now;
    net.mesh(2).handle_signal(now, peer(1), offer(7, 7));
    let closed = ConnectionEvent::Closed { reason: "it broke".to_owned() };
    net.mesh(2).handle_connection(now, peer(1), closed);
    let mesh = net.mesh(2);
    let _ = outputs(mesh);
    mesh.handle_signal(now, peer(1), offer(7, 8));
    assert!(ops(mesh).is_empty());
    assert_eq!(mesh.mesh_stats().ignored_offers, 1);
    mesh.handle_signal(now, peer(1), offer(8, 8));
    assert_eq!(ops(mesh), [ConnectionOp::Remote(offer(8, 8))]);
}

#[test]
fn an_engine_that_makes_no_offer_to_restart_is_given_up() {
    let now = std::time::Instant::now();
    let config = MeshConfig::default().gone_after(Duration::from_secs(60)).retries(0);
    let mut net = Net::with(&[1, 2], config);
    net.connect(1, 2);
    let now = now.max(net.now);
    let mesh = net.mesh(1);
    mesh.restart_ice(now, Recipients::All);
    let _ = outputs(mesh);
    mesh.handle_timeout(now + ms(5_001));
    let gone = outputs(mesh).into_iter().find_map(|output| match output {
        Output::Event(Event::Gone { reason, .. }) => Some(reason.to_string()),
        _ => None,
    });
    assert_eq!(gone.as_deref(), Some("our own description was not made in time"));
    assert_eq!(mesh.call(now, peer(2), sender(2)), Ok(()));
}
