//! How many connections are made at a time, how long each step may take, and what is
//! left of one that is given up: nothing.
#![allow(clippy::disallowed_methods, reason = "a test needs an epoch")]

#[allow(dead_code, unreachable_pub, reason = "each test file uses a part of it")]
mod common;

use std::time::Instant;

use common::{Net, answer, identity, ms, offer, ops, outputs, peer, sdp, sender};
use paceline_mesh::framing::ByeReason;
use paceline_mesh::types::{ConnectionEvent, ConnectionOp, ConnectionState, Signal};
use paceline_mesh::{CallError, Event, GoneReason, Mesh, MeshConfig, Output, Phase, Reason};

fn mesh(config: MeshConfig) -> (Instant, Mesh) {
    let now = Instant::now();
    (now, Mesh::new(now, identity(1), config))
}

fn started(outputs: &[Output]) -> Vec<u8> {
    let call = |output: &Output| match output {
        Output::Connection { peer, op: ConnectionOp::Call | ConnectionOp::Remote(_) } => {
            Some(peer.to_bytes()[0])
        }
        _ => None,
    };
    outputs.iter().filter_map(call).collect()
}

#[test]
fn who_is_only_expected_has_no_deadline_and_no_negotiator() {
    let (now, mut mesh) = mesh(MeshConfig::default().max_negotiators(1));
    for n in 2..20 {
        mesh.expect(now, peer(n), sender(n)).expect("a place");
    }
    assert_eq!(mesh.poll_timeout(), None);
    assert!(mesh.poll_output().is_none() && !mesh.is_busy());
    let stats = mesh.mesh_stats();
    assert_eq!((stats.peers, stats.negotiating, stats.waiting), (18, 0, 0));
    assert_eq!(mesh.stats(peer(2)).map(|it| it.state), Some(ConnectionState::New));
}

#[test]
fn who_finds_no_place_is_refused_and_counted_and_nobody_goes_for_him() {
    let (now, mut mesh) = mesh(MeshConfig::default().max_peers(1));
    mesh.call(now, peer(2), sender(2)).expect("a place");
    let full = Err(CallError::Full { max_peers: 1 });
    assert_eq!(mesh.call(now, peer(3), sender(3)), full);
    assert_eq!(mesh.expect(now, peer(4), sender(4)), full);
    assert_eq!((mesh.mesh_stats().refused, mesh.mesh_stats().peers), (2, 1));
    assert_eq!(mesh.sender_of(peer(2)), Some(sender(2)));
}

#[test]
fn who_calls_above_the_cap_waits_for_his_turn_in_order() {
    let (now, mut mesh) = mesh(MeshConfig::default().max_negotiators(2).retries(0));
    for n in 2..7 {
        mesh.call(now, peer(n), sender(n)).expect("a place");
    }
    assert_eq!(started(&outputs(&mut mesh)), [2, 3]);
    assert_eq!((mesh.mesh_stats().negotiating, mesh.mesh_stats().waiting), (2, 3));
    assert_eq!(mesh.stats(peer(4)).map(|it| it.state), Some(ConnectionState::New));
    // One that leaves while he waits takes nobody's turn, and one that ends gives his.
    mesh.hang_up(now, peer(4), ByeReason::Leaving);
    assert!(mesh.poll_output().is_none());
    mesh.hang_up(now, peer(2), ByeReason::Leaving);
    assert_eq!(started(&outputs(&mut mesh)), [5]);
    // The engine makes no offer in time: his turn ends, and 6 has it. What waited has
    // its own 5 s from then.
    let later = now + ms(5_000);
    assert_eq!(mesh.poll_timeout(), Some((later, Reason::Offer)));
    mesh.handle_timeout(later);
    assert_eq!(started(&outputs(&mut mesh)), [6]);
    assert_eq!(mesh.poll_timeout(), Some((later + ms(5_000), Reason::Offer)));
    assert_eq!((mesh.mesh_stats().negotiating, mesh.mesh_stats().waiting), (1, 0));
    assert_eq!(mesh.mesh_stats().abandoned, 3);
}

#[test]
fn offers_above_the_cap_are_kept_with_their_candidates_in_order() {
    let (now, mut mesh) = mesh(MeshConfig::default().max_negotiators(1));
    let candidate = |ufrag: &str, text: &str| Signal::Candidate {
        candidate: text.to_owned(),
        mid: "0".to_owned(),
        mline_index: 0,
        ufrag: ufrag.to_owned(),
    };
    for n in 2..5 {
        mesh.expect(now, peer(n), sender(n)).expect("a place");
        mesh.handle_signal(now, peer(n), offer(n.into(), n.into()));
    }
    // 3 thinks better of it, and keeps his turn.
    mesh.handle_signal(now, peer(3), candidate("", "of the first"));
    mesh.handle_signal(now, peer(3), offer(33, 33));
    mesh.handle_signal(now, peer(3), candidate("", "of the second"));
    mesh.handle_signal(now, peer(3), candidate("33", "of the second too"));
    assert_eq!(started(&outputs(&mut mesh)), [2]);
    mesh.hang_up(now, peer(2), ByeReason::Leaving);
    let third = |text: &str, ufrag| ConnectionOp::Remote(candidate(ufrag, text));
    assert_eq!(
        ops(&mut mesh),
        [
            ConnectionOp::Close,
            ConnectionOp::Remote(offer(33, 33)),
            third("of the second", ""),
            third("of the second too", "33"),
        ]
    );
    assert_eq!(mesh.mesh_stats().waiting, 1);
}

/// Somebody with a place who calls again and again does not keep it from others.
#[test]
fn who_begins_anew_while_others_wait_goes_behind_them() {
    let (now, mut mesh) = mesh(MeshConfig::default().max_negotiators(1));
    for n in [2, 3] {
        mesh.expect(now, peer(n), sender(n)).expect("a place");
        mesh.handle_signal(now, peer(n), offer(n.into(), n.into()));
    }
    assert_eq!(started(&outputs(&mut mesh)), [2]);
    mesh.handle_signal(now, peer(2), offer(22, 22));
    assert_eq!(started(&outputs(&mut mesh)), [3]);
    mesh.hang_up(now, peer(3), ByeReason::Leaving);
    assert_eq!(started(&outputs(&mut mesh)), [2]);
}

#[test]
fn a_redial_above_the_cap_waits_too() {
    let (now, mut mesh) = mesh(MeshConfig::default().max_negotiators(1));
    for n in [2, 3] {
        mesh.call(now, peer(n), sender(n)).expect("a place");
    }
    assert_eq!(started(&outputs(&mut mesh)), [2]);
    let closed = ConnectionEvent::Closed { reason: "no".to_owned() };
    mesh.handle_connection(now, peer(2), closed);
    mesh.handle_timeout(now);
    assert_eq!(started(&outputs(&mut mesh)), [3]);
    assert_eq!((mesh.mesh_stats().negotiating, mesh.mesh_stats().waiting), (1, 1));
}

#[test]
fn each_step_has_its_time_and_its_state() {
    let (now, mut mesh) = mesh(MeshConfig::default().retries(0));
    let state = |mesh: &Mesh| mesh.stats(peer(2)).map(|it| it.state);
    let gone = |mesh: &mut Mesh| match outputs(mesh).pop() {
        Some(Output::Event(Event::Gone { reason, .. })) => Some(reason),
        _ => None,
    };
    for (steps, state_then, span, phase) in [
        (0, ConnectionState::Gathering, 5_000, Phase::Offer),
        (1, ConnectionState::Connecting, 1_000 + 5_000, Phase::Answer),
        (2, ConnectionState::Connecting, 10_000, Phase::Open),
        (3, ConnectionState::Connecting, 10_000, Phase::Open),
    ] {
        mesh.call(now, peer(2), sender(2)).expect("a place");
        let _ = outputs(&mut mesh);
        if steps > 0 {
            let offered = ConnectionEvent::Local(offer(1, 1));
            mesh.handle_connection(now + ms(1_000), peer(2), offered);
        }
        if steps > 1 {
            mesh.handle_signal(now + ms(2_000), peer(2), answer(2, 2));
        }
        if steps > 2 {
            mesh.handle_connection(now + ms(3_000), peer(2), ConnectionEvent::Open);
        }
        assert_eq!(state(&mesh), Some(state_then), "{steps}");
        mesh.handle_timeout(now + ms(span - 1));
        assert_eq!(state(&mesh), Some(state_then), "{steps}");
        mesh.handle_timeout(now + ms(span));
        assert_eq!(gone(&mut mesh), Some(GoneReason::NotOpened { phase }), "{steps}");
        assert_eq!((state(&mesh), mesh.poll_timeout()), (None, None));
    }
    // The other side of it: an offer that our engine does not answer.
    mesh.expect(now, peer(2), sender(2)).expect("a place");
    mesh.handle_signal(now, peer(2), offer(9, 9));
    assert_eq!(state(&mesh), Some(ConnectionState::Gathering));
    mesh.handle_timeout(now + ms(5_000));
    assert_eq!(gone(&mut mesh), Some(GoneReason::NotOpened { phase: Phase::Offer }));
}

#[test]
fn an_answer_that_comes_too_late_is_dropped_and_counted() {
    let (now, mut mesh) = mesh(MeshConfig::default());
    mesh.call(now, peer(2), sender(2)).expect("a place");
    mesh.handle_connection(now, peer(2), ConnectionEvent::Local(offer(1, 1)));
    // The first call is made again at once, the second after 2 s.
    mesh.handle_timeout(now + ms(5_000));
    mesh.handle_connection(now + ms(5_000), peer(2), ConnectionEvent::Local(offer(2, 2)));
    mesh.handle_timeout(now + ms(10_000));
    let _ = outputs(&mut mesh);
    mesh.handle_signal(now + ms(11_000), peer(2), answer(7, 7));
    assert!(mesh.poll_output().is_none());
    assert_eq!(mesh.mesh_stats().late_answers, 1);
    assert_eq!(mesh.stats(peer(2)).map(|it| it.state), Some(ConnectionState::Failed));
}

/// The late answer is taken for that to the next call; that one's own shows it.
#[test]
fn a_late_answer_that_is_taken_for_another_is_found_out_and_the_call_made_anew() {
    let (now, mut mesh) = mesh(MeshConfig::default());
    mesh.call(now, peer(2), sender(2)).expect("a place");
    mesh.handle_connection(now, peer(2), ConnectionEvent::Local(offer(1, 1)));
    let now = now + ms(5_000);
    mesh.handle_timeout(now);
    mesh.handle_connection(now, peer(2), ConnectionEvent::Local(offer(2, 2)));
    mesh.handle_signal(now, peer(2), answer(7, 7));
    let _ = outputs(&mut mesh);
    mesh.handle_signal(now, peer(2), answer(8, 8));
    assert_eq!(ops(&mut mesh), [ConnectionOp::Close, ConnectionOp::Call]);
    // A third, which no offer of ours explains, does nothing.
    mesh.handle_connection(now, peer(2), ConnectionEvent::Local(offer(3, 3)));
    mesh.handle_signal(now, peer(2), answer(9, 9));
    let _ = outputs(&mut mesh);
    mesh.handle_signal(now, peer(2), answer(10, 10));
    assert_eq!(ops(&mut mesh), []);
}

#[test]
fn leaving_at_any_stage_leaves_no_deadline_and_no_output_behind() {
    for stage in 0..7 {
        let mut net = Net::with(&[1, 2], MeshConfig::default().max_negotiators(1));
        let now = net.now;
        let mesh = net.mesh(1);
        match stage {
            0 => mesh.expect(now, peer(2), sender(2)).expect("a place"),
            1 => {
                mesh.call(now, peer(3), sender(3)).expect("a place");
                mesh.call(now, peer(2), sender(2)).expect("a place");
            }
            _ => mesh.call(now, peer(2), sender(2)).expect("a place"),
        }
        let _ = outputs(mesh);
        if stage >= 3 {
            mesh.handle_connection(now, peer(2), ConnectionEvent::Local(offer(1, 1)));
        }
        if stage >= 4 {
            mesh.handle_signal(now, peer(2), answer(2, 2));
        }
        if stage >= 5 {
            mesh.handle_connection(now, peer(2), ConnectionEvent::Open);
        }
        if stage == 6 {
            let closed = ConnectionEvent::Closed { reason: "no".to_owned() };
            mesh.handle_connection(now, peer(2), closed);
        }
        let _ = outputs(mesh);
        mesh.hang_up(now, peer(2), ByeReason::Leaving);
        // Who has no connection has none to close.
        let expected = if matches!(stage, 0 | 1 | 6) { vec![] } else { vec![ConnectionOp::Close] };
        assert_eq!(ops(mesh), expected, "stage {stage}");
        mesh.hang_up(now, peer(3), ByeReason::Leaving);
        let _ = outputs(mesh);
        assert_eq!(mesh.poll_timeout(), None, "stage {stage}");
        let stats = mesh.mesh_stats();
        assert_eq!((stats.peers, stats.negotiating, stats.waiting), (0, 0, 0), "stage {stage}");
        // What still comes of it is nobody's business.
        mesh.handle_signal(now, peer(2), answer(2, 2));
        mesh.handle_connection(now, peer(2), ConnectionEvent::Open);
        mesh.handle_timeout(now + ms(60_000));
        assert!(mesh.poll_output().is_none(), "stage {stage}");
    }
}

#[test]
fn all_hang_up_and_nobody_is_called_instead() {
    let (now, mut mesh) = mesh(MeshConfig::default().max_negotiators(1));
    for n in 2..9 {
        mesh.call(now, peer(n), sender(n)).expect("a place");
    }
    let _ = outputs(&mut mesh);
    mesh.hang_up_all(now, ByeReason::Leaving);
    assert_eq!(ops(&mut mesh), [ConnectionOp::Close]);
    assert!(!mesh.is_busy());
}

#[test]
fn a_channel_that_is_open_before_it_can_be_is_closed_and_counted() {
    let (now, mut mesh) = mesh(MeshConfig::default());
    mesh.call(now, peer(2), sender(2)).expect("a place");
    mesh.handle_connection(now, peer(2), ConnectionEvent::Local(offer(1, 1)));
    let _ = outputs(&mut mesh);
    mesh.handle_connection(now, peer(2), ConnectionEvent::Open);
    assert_eq!(ops(&mut mesh), [ConnectionOp::Close]);
    assert_eq!(mesh.mesh_stats().opened_early, 1);
    assert_eq!(mesh.stats(peer(2)).map(|it| it.state), Some(ConnectionState::Failed));
}

#[test]
fn a_description_may_be_so_long_and_no_longer() {
    for (len, taken) in [(32 << 10, true), ((32 << 10) + 1, false)] {
        let (now, mut mesh) = mesh(MeshConfig::default());
        mesh.expect(now, peer(2), sender(2)).expect("a place");
        let mut text = sdp(5, 5);
        text.push_str(&"x".repeat(len - text.len()));
        mesh.handle_signal(now, peer(2), Signal::Offer { sdp: text });
        assert_eq!(!ops(&mut mesh).is_empty(), taken);
        assert_eq!(mesh.mesh_stats().oversized, u64::from(!taken));
    }
}

#[test]
fn what_is_counted_is_what_happened() {
    let mut net = Net::new(&[1, 2, 3]);
    net.connect(1, 2);
    net.connect(1, 3);
    let stats = net.mesh(1).mesh_stats();
    assert_eq!((stats.peers, stats.active, stats.negotiating), (2, 2, 0));
    assert_eq!((stats.offers, stats.answers), (2, 2));
    assert_eq!((stats.retries, stats.restarts, stats.abandoned), (0, 0, 0));
    let now = net.now;
    net.mesh(1).hang_up(now, peer(2), ByeReason::Leaving);
    net.settle();
    assert_eq!((net.mesh(1).mesh_stats().active, net.mesh(2).mesh_stats().active), (1, 0));
    assert_eq!(net.mesh(1).mesh_stats().abandoned, 0);
}
