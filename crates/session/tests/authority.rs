//! Who may say what: by the channel it came on, the epoch and the role.
#![allow(clippy::disallowed_methods, reason = "a test needs an epoch")]

mod common;

use std::time::Instant;

use paceline_framing::{
    AbortReason, Body, ByeReason, Control, Lease, MemberQuality, Migrate, NetworkQuality,
    Numbering, Packet, Prepare, Ready, Roster as Places, RosterId, RosterMember, Vote, VoteRequest,
};
use paceline_session::types::{
    ConnectionState, EncodedFrame, Epoch, Frequency, MediaTime, MixInfo, SeqNo, Signal, StreamId,
};
use paceline_session::{
    Event, Input, MeshConfig, Output, Role, Roster, Session, SessionConfig, SessionStats,
};

use common::{Call, MS, SESSION, member, mix, number, own, peer, picture, sender, sound};

const BEFORE: Epoch = Epoch::new(0, 9);
const NOW: Epoch = Epoch::new(1, 0);
const NEXT: Epoch = Epoch::new(1, 1);
const LATER: Epoch = Epoch::new(5, 0);

/// Four in a call; the first hosts. Who stands by, and who only watches.
fn call() -> (Call, u8, u8) {
    let mut call = Call::of(4);
    let roster = call.node(1).roster();
    let standby = number(roster[1].peer);
    let watcher = roster.last().map(|place| number(place.peer)).expect("there are four");
    assert_eq!(roster.last().map(|place| place.role), Some(Role::Member));
    call.heard.clear();
    (call, standby, watcher)
}

fn control(from: u8, epoch: Epoch, control: Control) -> Packet {
    Packet { sender: sender(from), epoch: Some(epoch), body: Body::Control(control) }
}

fn media(from: u8, epoch: Option<Epoch>, frame: EncodedFrame) -> Packet {
    Packet { sender: sender(from), epoch, body: Body::Media(frame) }
}

fn info() -> Control {
    let (stream, time) = (StreamId::MIX_VIDEO, MediaTime::new(0, Frequency::VIDEO));
    Control::MixInfo(MixInfo { stream, time, sources: Vec::new() })
}

/// All that only a host may say, or one who stands by and was asked, for himself.
fn said_by_a_host(from: u8, standby: u8, epoch: Epoch) -> Vec<Control> {
    let host = |n| RosterMember { sender: sender(n), peer: peer(n), role: Role::Host, votes: true };
    let numbering = Numbering {
        stream: StreamId::MIX_AUDIO,
        seq: SeqNo::new(1),
        time: MediaTime::new(960, Frequency::AUDIO),
    };
    let switch_time = MediaTime::new(0, Frequency::VIDEO);
    let roster = RosterId { epoch, number: 1_000 };
    let migrate = |host, new_host| Migrate {
        session: SESSION,
        host: sender(host),
        new_host: sender(new_host),
        epoch,
        score: 0,
        new_score: 1,
        switch_time,
    };
    let prepare =
        Prepare { epoch, switch_time, numbering: vec![numbering], tiles: vec![sender(from)] };
    vec![
        info(),
        Control::Abort { epoch, reason: AbortReason::Refused },
        Control::Migrate(migrate(1, from)),
        Control::Migrate(migrate(from, standby)),
        Control::Prepare(prepare),
        Control::Ready(Ready { epoch, missing: Vec::new() }),
        Control::Retire { epoch },
        Control::Roster(Places { id: roster, witness: true, members: vec![host(from)] }),
    ]
}

/// What there is to see of who hosts, at somebody.
fn picture_of(call: &Call, n: u8) -> (Vec<RosterMember>, bool, Vec<u8>) {
    (call.node(n).roster(), call.node(n).is_host(), call.links(n))
}

/// What came out of somebody that changes anything.
fn changes(call: &Call, n: u8) -> Vec<&Output> {
    let is_change = |output: &&Output| {
        let event = matches!(
            output,
            Output::Event(
                Event::HostChanged { .. }
                    | Event::HandoverAborted { .. }
                    | Event::MixInfo(_)
                    | Event::Retired
                    | Event::Disconnected { .. }
            )
        );
        event || matches!(output, Output::Role { .. } | Output::Stage(_) | Output::Crossfade { .. })
    };
    let of = call.heard.iter().filter(|(by, ..)| *by == n).map(|(.., output)| output);
    of.filter(is_change).collect()
}

fn counted(stats: SessionStats) -> u64 {
    stats.wrong_role + stats.stale_epoch + stats.early_dropped
}

#[test]
fn what_only_a_host_may_say_is_ignored_and_counted_of_anybody_else_under_any_epoch() {
    let (mut call, standby, watcher) = call();
    for from in [standby, watcher] {
        for to in (1..=4).filter(|&to| to != from) {
            if !call.links(to).contains(&from) {
                continue;
            }
            for header in [BEFORE, NOW, NEXT, LATER] {
                for about in [BEFORE, NOW, NEXT, LATER] {
                    for said in said_by_a_host(from, standby, about) {
                        let what = format!("{said:?} of {from} to {to} under {header}");
                        let seen = picture_of(&call, to);
                        let before = counted(call.node(to).stats());
                        call.inject(from, to, &control(from, header, said));
                        // What is of a later epoch waits for its host, and in vain.
                        call.run_for(600 * MS);
                        assert_eq!(counted(call.node(to).stats()), before + 1, "{what}");
                        assert_eq!(picture_of(&call, to), seen, "{what}");
                        assert!(changes(&call, to).is_empty(), "{what}: {:?}", changes(&call, to));
                    }
                }
            }
        }
    }
    assert_eq!(call.host(), Some(1));
}

#[test]
fn a_lease_or_a_vote_that_is_not_his_to_give_changes_nothing() {
    let (mut call, standby, watcher) = call();
    let roster = RosterId { epoch: LATER, number: 1_000 };
    for (from, to) in [(standby, 1), (standby, watcher), (watcher, 1), (watcher, standby)] {
        for epoch in [BEFORE, NOW, NEXT, LATER, Epoch::new((1 << 48) - 1, u16::MAX)] {
            let renewal = Lease { epoch, length: u32::MAX, sequence: 7, roster };
            let vote = |candidate, prevote| {
                Control::Vote(Vote { epoch, candidate: sender(candidate), prevote, granted: true })
            };
            let ask = |candidate| {
                let candidate = sender(candidate);
                Control::VoteRequest(VoteRequest {
                    epoch,
                    candidate,
                    prevote: false,
                    length: 450_000,
                    roster,
                })
            };
            let given_up = Lease { length: 0, ..renewal };
            let said = [
                Control::Lease(renewal),
                Control::Lease(given_up),
                ask(to),
                ask(1),
                vote(to, false),
                vote(to, true),
            ];
            for said in said {
                let what = format!("{said:?} of {from} to {to}");
                let seen = picture_of(&call, to);
                call.inject(from, to, &control(from, NOW, said));
                call.run_for(200 * MS);
                assert_eq!(picture_of(&call, to), seen, "{what}");
                assert!(changes(&call, to).is_empty(), "{what}: {:?}", changes(&call, to));
            }
        }
    }
    assert_eq!(call.host(), Some(1));
}

#[test]
fn a_lease_is_not_given_up_by_who_closes_a_connection_or_is_said_to_have_left() {
    for closes in [true, false] {
        let (mut call, standby, _) = call();
        for n in 2..=4 {
            if closes {
                let bye = Control::Bye { reason: ByeReason::Failed };
                call.inject(1, n, &control(1, NOW, bye));
            } else {
                call.input(n, Input::MemberLeft(peer(1)));
            }
        }
        // Somebody else is elected when the lease of the host has run out, and not before.
        call.run_for(300 * MS);
        assert!(!call.node(standby).is_host());
        call.run_for(2_000 * MS);
        assert!((2..=4).any(|n| call.node(n).is_host()));
    }
}

#[test]
fn what_anybody_may_say_of_himself_is_taken_of_everybody() {
    let (mut call, standby, watcher) = call();
    let quality = MemberQuality {
        member: sender(1),
        capacity: 4_000,
        loss: 0,
        min_rtt: 9_000,
        mean_rtt: 9_000,
        max_rtt: 9_000,
        jitter: 0,
        received: 900,
        expected: 900,
    };
    let quality = NetworkQuality { window: 30_000_000, members: vec![quality] };
    for from in [standby, watcher] {
        let before = call.node(1).stats();
        let said = Control::NetworkQuality(quality.clone());
        call.inject(from, 1, &control(from, NOW, said));
        let after = call.node(1).stats();
        assert_eq!(before, after, "of {from}");
    }
    // Whether somebody is to be seen is said once, perhaps while the host changes.
    let state = Control::TrackState { stream: StreamId::VIDEO, enabled: false };
    call.inject(watcher, 1, &control(watcher, BEFORE, state));
    let told = |event: &Event| {
        matches!(event, Event::TrackState { stream, enabled: false }
            if *stream == own(watcher, StreamId::VIDEO))
    };
    assert!(call.events(1).any(told));
    let data = Control::ApplicationData { channel: 3, data: vec![1].into() };
    call.inject(watcher, 1, &control(watcher, BEFORE, data));
    assert!(call.events(1).any(|event| matches!(event, Event::Data { channel: 3, .. })));
}

#[test]
fn sound_of_a_member_and_the_mix_of_the_host_are_played() {
    let (mut call, standby, watcher) = call();
    call.encode(watcher, sound(StreamId::AUDIO, 0));
    call.encode(1, sound(StreamId::MIX_AUDIO, 0));
    call.run_for(100 * MS);
    for n in [1, standby] {
        assert_eq!(call.seqs(n, own(watcher, StreamId::AUDIO)), [0], "at {n}");
    }
    for n in 2..=4 {
        assert_eq!(call.seqs(n, mix(StreamId::MIX_AUDIO)), [0], "at {n}");
    }
    let of_mix = call.decoded.iter().filter(|it| it.stream == mix(StreamId::MIX_AUDIO));
    assert!(of_mix.clone().count() == 3 && of_mix.clone().all(|it| it.epoch == Some(NOW)));
    let of_him = call.decoded.iter().filter(|it| it.stream.sender == sender(watcher));
    assert!(of_him.clone().all(|it| it.epoch.is_none()));
}

#[test]
fn control_that_nothing_uses_is_dropped_and_counted() {
    let (mut call, _, watcher) = call();
    let signal = Control::Signal(Signal::Offer { sdp: String::new() });
    call.inject(1, watcher, &control(1, NOW, signal));
    assert_eq!(call.node(watcher).stats().unused, 1);
    let peers = call.node(watcher).peer_stats();
    assert!(peers.iter().all(|(_, stats)| stats.state == ConnectionState::Connected));
}

#[test]
fn a_mix_of_who_does_not_host_is_dropped_and_counted() {
    let (mut call, standby, watcher) = call();
    call.inject(watcher, 1, &media(watcher, Some(NOW), sound(StreamId::MIX_AUDIO, 0)));
    call.inject(standby, watcher, &media(standby, Some(NOW), sound(StreamId::MIX_AUDIO, 0)));
    call.inject(1, watcher, &media(1, None, sound(StreamId::MIX_AUDIO, 0)));
    // One who makes an epoch up waits in vain.
    call.inject(standby, watcher, &media(standby, Some(LATER), sound(StreamId::MIX_AUDIO, 0)));
    call.run_for(600 * MS);
    assert!(call.decoded.is_empty(), "{:?}", call.decoded);
    assert_eq!(call.node(1).stats().wrong_role, 1);
    let stats = call.node(watcher).stats();
    assert_eq!((stats.wrong_role, stats.early, stats.early_dropped), (2, 1, 1));
    // And a member that thinks it hosts sends nothing at all.
    let before = call.sent.len();
    call.encode(watcher, sound(StreamId::MIX_AUDIO, 0));
    let Control::MixInfo(info) = info() else { unreachable!("it is one") };
    call.input(watcher, Input::MixInfo(info));
    let sent = call.sent[before..].iter().filter(|sent| sent.from == watcher);
    assert_eq!(sent.count(), 0);
}

#[test]
fn what_is_of_an_older_epoch_is_dropped_and_counted() {
    let (mut call, _, watcher) = call();
    call.inject(1, watcher, &media(1, Some(BEFORE), sound(StreamId::MIX_AUDIO, 0)));
    call.inject(1, watcher, &control(1, BEFORE, info()));
    let request = Control::KeyframeRequest { stream: StreamId::MIX_VIDEO };
    call.inject(watcher, 1, &control(watcher, BEFORE, request));
    call.run_for(300 * MS);
    assert!(call.decoded.is_empty());
    assert!(!call.events(watcher).any(|event| matches!(event, Event::MixInfo(_))));
    assert_eq!(call.node(1).stats().stale_epoch, 1);
    assert_eq!(call.node(watcher).stats().stale_epoch, 2);
}

#[test]
fn a_stream_that_nobody_defined_is_dropped_and_counted() {
    let (mut call, _, watcher) = call();
    call.inject(watcher, 1, &media(watcher, None, sound(StreamId::new(77), 0)));
    // Sound where a picture belongs.
    call.inject(watcher, 1, &media(watcher, None, sound(StreamId::VIDEO, 0)));
    // A keyframe of a stream that the host does not make for him.
    let request = Control::KeyframeRequest { stream: StreamId::VIDEO };
    call.inject(watcher, 1, &control(watcher, NOW, request));
    let steered = |(_, _, output): &(u8, _, Output)| matches!(output, Output::Steer { .. });
    assert!(!call.heard.iter().any(steered));
    assert_eq!(call.node(1).stats().unknown_stream, 3);
    assert!(call.node(1).receive_stats().is_empty());
}

#[test]
fn keyframes_are_asked_of_a_member_only_by_who_gets_his_picture() {
    let (mut call, standby, watcher) = call();
    call.run_for(2_000 * MS);
    call.heard.clear();
    let request = || Control::KeyframeRequest { stream: StreamId::VIDEO };
    let steered = |call: &Call| {
        call.heard
            .iter()
            .filter(|(n, _, output)| {
                *n == watcher && matches!(output, Output::Steer { stream: StreamId::VIDEO, .. })
            })
            .count()
    };
    call.inject(standby, watcher, &control(standby, NOW, request()));
    assert_eq!((steered(&call), call.node(watcher).stats().unknown_stream), (0, 1));
    call.inject(1, watcher, &control(1, NOW, request()));
    assert_eq!(steered(&call), 1);
}

#[test]
fn a_new_connection_and_requests_make_at_most_two_keyframes_a_second() {
    let (mut call, _, watcher) = call();
    call.run_for(2_000 * MS);
    call.heard.clear();
    let steered = |call: &Call| {
        call.heard
            .iter()
            .filter(|(n, _, output)| {
                *n == 1 && matches!(output, Output::Steer { stream: StreamId::MIX_VIDEO, .. })
            })
            .count() as u64
    };
    let mut seq = 0;
    for _ in 0..50 {
        let request = Control::KeyframeRequest { stream: StreamId::MIX_VIDEO };
        call.inject(watcher, 1, &control(watcher, NOW, request));
        // The encoder makes what it was asked for.
        while steered(&call) > seq {
            call.encode(1, picture(StreamId::MIX_VIDEO, seq, true));
            seq += 1;
        }
        call.run_for(18 * MS);
    }
    assert_eq!(steered(&call), 2);
}

#[test]
fn who_leaves_is_told_disconnected_before_he_is_told_gone() {
    let (mut call, _, watcher) = call();
    call.input(1, Input::MemberLeft(peer(watcher)));
    let events: Vec<_> = call.events(1).collect();
    assert!(
        matches!(&events[..], [Event::Disconnected { again: false, .. }, Event::MemberLeft { .. }]),
        "{events:?}"
    );
}

#[test]
fn who_found_no_place_is_expected_once_one_is_free() {
    let now = Instant::now();
    let config = SessionConfig::default().mesh(MeshConfig::default().max_peers(1));
    let mut host = Session::new(peer(1), config);
    let roster = Roster {
        session: SESSION,
        sender: sender(1),
        epoch: Epoch::new(5, 0),
        host: Some(peer(1)),
        members: vec![member(2)],
        may_host: true,
        genesis: true,
    };
    host.handle_input(now, Input::Joined(roster));
    host.handle_input(now, Input::MemberJoined(member(3)));
    let offer = || Signal::Offer { sdp: String::new() };
    host.handle_input(now, Input::Signal { peer: peer(3), signal: offer() });
    let outputs: Vec<_> = std::iter::from_fn(|| host.poll_output()).collect();
    let refused = |output: &Output| matches!(output, Output::Event(Event::Refused { .. }));
    let connection = |output: &Output| matches!(output, Output::Connection { .. });
    assert!(outputs.iter().any(refused) && !outputs.iter().any(connection), "{outputs:?}");

    host.handle_input(now, Input::MemberLeft(peer(2)));
    host.handle_input(now, Input::Signal { peer: peer(3), signal: offer() });
    assert!(std::iter::from_fn(|| host.poll_output()).any(|output| connection(&output)));
}
