//! What each input does in each state, as a table that needs no Rust to be read.

mod scene;

use std::fmt::Write;

use paceline_framing::{AbortReason, Control, Migrate, Prepare, Ready, Roster, Vote};
use paceline_migration::types::{Epoch, Frequency, MediaTime, SenderId};
use paceline_migration::{Lease, Migration, Output, Role, RosterId, Verdict, VoteRequest};
use scene::{Room, SESSION, name};

/// A room in which `b` (or `c`, or `a`) is in a state.
struct State {
    what: &'static str,
    room: Room,
    /// Whose machine is looked at.
    of: u32,
}

fn states() -> Vec<State> {
    let quiet = || Room::of(3);
    let mut states = vec![
        State { what: "member", room: quiet(), of: 3 },
        State { what: "standby", room: quiet(), of: 2 },
    ];

    let mut asking = quiet();
    asking.kill(1);
    asking.run(273);
    states.push(State { what: "candidate, asks who would vote", room: asking, of: 2 });

    let mut voting = quiet();
    voting.kill(1);
    voting.run(285);
    voting.cut(2, 3);
    voting.run(95);
    states.push(State { what: "candidate, asks for votes", room: voting, of: 2 });

    // b is named, and nobody has answered him yet.
    let mut named = quiet();
    let _ = named.hand_over(1);
    named.run(93);
    states.push(State { what: "host, unconfirmed", room: named, of: 2 });

    states.push(State { what: "host", room: quiet(), of: 1 });

    let mut preparing = quiet();
    let _ = preparing.hand_over(1);
    preparing.run(20);
    states.push(State { what: "host, prepares a handover", room: preparing, of: 1 });

    let mut retiring = quiet();
    let _ = retiring.hand_over(1);
    retiring.run(120);
    states.push(State { what: "has handed over, retires", room: retiring, of: 1 });
    states
}

type Act = fn(&mut Migration, std::time::Instant, SenderId, SenderId);

/// Inputs: `host` hosts as far as the machine knows, `other` is a member who does not.
const INPUTS: [(&str, Act); 14] = [
    ("Lease of the host, under the newest epoch", |it, now, host, _| {
        let epoch = it.epoch();
        let _ = it.handle_control(now, host, Some(epoch), &lease(it, epoch));
    }),
    ("Lease of another, one term on", |it, now, _, other| {
        let epoch = Epoch::new(it.epoch().term() + 1, 0);
        let _ = it.handle_control(now, other, Some(epoch), &lease(it, epoch));
    }),
    ("VoteRequest of another, would you", |it, now, _, other| {
        let _ = it.handle_control(now, other, Some(it.epoch()), &wish(it, other, true));
    }),
    ("VoteRequest of another, for good", |it, now, _, other| {
        let _ = it.handle_control(now, other, Some(it.epoch()), &wish(it, other, false));
    }),
    ("Roster of the host, the next one", |it, now, host, _| {
        let mut roster = it.roster().cloned().unwrap_or_default();
        roster.id = RosterId { epoch: it.epoch(), number: roster.id.number + 1 };
        let _ = it.handle_control(now, host, Some(it.epoch()), &Control::Roster(roster));
    }),
    ("Prepare of the host", |it, now, host, _| {
        let _ = it.handle_control(now, host, Some(it.epoch()), &prepare(it));
    }),
    ("Ready of the other", |it, now, _, other| {
        let ready = Ready { epoch: next(it), missing: vec![] };
        let _ = it.handle_control(now, other, Some(it.epoch()), &Control::Ready(ready));
    }),
    ("Migrate of the host, to another", |it, now, host, other| {
        let _ = it.handle_control(now, host, Some(it.epoch()), &migrate(it, host, other));
    }),
    ("Abort of the host", |it, now, host, _| {
        let abort = Control::Abort { epoch: next(it), reason: AbortReason::TimedOut };
        let _ = it.handle_control(now, host, Some(it.epoch()), &abort);
    }),
    ("the host says goodbye", |it, now, host, _| it.handle_gone(now, host, true)),
    ("the connection to the host is lost", |it, now, host, _| it.handle_gone(now, host, false)),
    ("hand_over", |it, now, _, _| {
        let _ = it.hand_over(now);
    }),
    ("resign", |it, now, _, _| it.resign(now)),
    ("set_may_host(false)", |it, now, _, _| it.set_may_host(now, false)),
];

fn next(it: &Migration) -> Epoch {
    Epoch::new(it.epoch().term(), it.epoch().ballot() + 1)
}

fn lease(it: &Migration, epoch: Epoch) -> Control {
    let roster = it.roster().map(|roster| roster.id).unwrap_or_default();
    Control::Lease(Lease { epoch, length: 450_000, sequence: 1_000, roster })
}

fn wish(it: &Migration, candidate: SenderId, prevote: bool) -> Control {
    let roster = it.roster().map(|roster| roster.id).unwrap_or_default();
    let epoch = Epoch::new(it.epoch().term() + 1, 0);
    Control::VoteRequest(VoteRequest { epoch, candidate, prevote, length: 450_000, roster })
}

fn prepare(it: &Migration) -> Control {
    let switch_time = MediaTime::new(0, Frequency::VIDEO);
    Control::Prepare(Prepare { epoch: next(it), switch_time, numbering: vec![], tiles: vec![] })
}

fn migrate(it: &Migration, host: SenderId, new_host: SenderId) -> Control {
    Control::Migrate(Migrate {
        session: SESSION,
        host,
        new_host,
        epoch: next(it),
        score: 0,
        new_score: 0,
        switch_time: MediaTime::new(900_000, Frequency::VIDEO),
    })
}

/// What comes out at once, without whom each is told and what follows from it.
fn brief(output: &Output) -> Option<String> {
    Some(match output {
        Output::Event(event) => {
            let text = format!("{event:?}");
            text.split([' ', '{']).next()?.to_lowercase()
        }
        Output::Role { role, host, .. } => {
            let host = host.map_or("nobody".into(), |host| name(host.get()));
            format!("{} of {host}", format!("{role:?}").to_lowercase())
        }
        Output::Send { to, control, .. } => {
            let what = match control {
                Control::Lease(lease) if lease.length == 0 => "lease given up".into(),
                Control::Vote(vote) if vote.granted => "yes".into(),
                Control::Vote(_) => "no".into(),
                other => format!("{other:?}").split(['(', ' ']).next()?.to_owned(),
            };
            format!("{what}→{}", name(to.get()))
        }
        Output::Stage(order) => {
            format!("stage {}", format!("{order:?}").split(' ').next()?.to_lowercase())
        }
        Output::VideoAlsoTo(to) => {
            format!("video to {}", to.map_or("one".into(), |to| name(to.get())))
        }
        Output::Witness(_) => "asks W".into(),
        _ => return None,
    })
}

fn play(state: &str, (what, act): (&str, Act)) -> String {
    let mut state = states().into_iter().find(|it| it.what == state).expect("it is one");
    let now = state.room.now;
    let machine = &mut state.room.nodes.get_mut(&state.of).expect("he is there").machine;
    // Whom a candidate doubts is the host still.
    let host = machine.host().filter(|host| host.get() != state.of).unwrap_or(SenderId::new(1));
    let other = [2, 3, 1].map(SenderId::new).into_iter();
    let other = other.into_iter().find(|it| *it != host && it.get() != state.of).expect("three");
    let before = machine.stats();
    act(machine, now, host, other);
    let mut said = Vec::from_iter(std::iter::from_fn(|| machine.poll_output()));
    let after = machine.stats();
    said.retain(|output| !matches!(output, Output::Successors(_)));
    let mut said = Vec::from_iter(said.iter().filter_map(brief));
    said.dedup();
    if after.stale > before.stale {
        said.push("counted as stale".into());
    }
    if after.wrong_role > before.wrong_role {
        said.push("counted as not his to say".into());
    }
    let said = if said.is_empty() { "—".into() } else { said.join(", ") };
    format!("{what:<42} | {said}")
}

#[test]
fn every_state_answers_every_input() {
    let mut table = String::new();
    for state in states() {
        let role = state.room.nodes[&state.of].machine.role();
        writeln!(table, "== {} ({} of a b c)", state.what, name(state.of)).unwrap();
        let is_host = state.what.starts_with("host");
        assert_eq!(role == Role::Host, is_host, "{}\n{}", state.what, state.room.script.text());
        for input in INPUTS {
            writeln!(table, "   {}", play(state.what, input)).unwrap();
        }
    }
    insta::assert_snapshot!(table);
}

/// Each packet by somebody whose role does not allow it is counted and changes nothing.
#[test]
fn what_nobody_may_say_is_counted_and_changes_nothing() {
    let mut room = Room::of(4);
    let epoch = Epoch::new(1, 0);
    let host = SenderId::new(1);
    let forger = 4;
    let us = SenderId::new(forger);
    let forged = |it: &Migration| {
        let roster =
            Roster { id: RosterId { epoch, number: 1_000 }, witness: true, members: vec![] };
        let vote = Vote { epoch: Epoch::new(2, 0), candidate: host, prevote: false, granted: true };
        [
            Control::Roster(roster),
            prepare(it),
            migrate(it, us, us),
            migrate(it, host, us),
            Control::Abort { epoch: next(it), reason: AbortReason::Refused },
            Control::Retire { epoch: next(it) },
            Control::Ready(Ready { epoch: next(it), missing: vec![] }),
            lease(it, epoch),
            wish(it, host, false),
            Control::Vote(vote),
        ]
    };
    for at in [2, 3] {
        for control in forged(&room.nodes[&at].machine) {
            let before = format!("{:?}", room.nodes[&at].machine);
            let verdict = room.forge(forger, at, epoch, control.clone());
            assert_eq!(verdict, Verdict::WrongRole, "{control:?}");
            let machine = &room.nodes[&at].machine;
            let after = format!("{machine:?}");
            let count = machine.stats().wrong_role;
            let uncounted = after
                .replace(&format!("wrong_role: {count}"), &format!("wrong_role: {}", count - 1));
            assert_eq!(uncounted, before, "{control:?}");
        }
    }
    // A stranger may say nothing at all.
    assert_eq!(room.forge(99, 2, epoch, Control::Ping { t1: 0 }), Verdict::WrongRole);
}

/// A lie of an epoch so late that nothing comes after it moves nobody, and no flood of such
/// makes a machine grow.
#[test]
fn a_flood_of_lies_moves_nobody_and_fills_no_memory() {
    let mut room = Room::of(4);
    let liar = SenderId::new(4);
    let last = Epoch::from_bits(u64::MAX);
    let mut sizes = vec![];
    for round in 0..1_500_u64 {
        let epoch = Epoch::from_bits(u64::MAX - round * 0x1_0001);
        let id = RosterId { epoch: last, number: u32::MAX };
        let lies = |it: &Migration| {
            [
                lease(it, epoch),
                Control::Lease(Lease { epoch, length: u32::MAX, sequence: 0, roster: id }),
                Control::VoteRequest(VoteRequest {
                    epoch,
                    candidate: liar,
                    prevote: true,
                    length: 450_000,
                    roster: id,
                }),
                Control::VoteRequest(VoteRequest {
                    epoch,
                    candidate: liar,
                    prevote: false,
                    length: 450_000,
                    roster: id,
                }),
                Control::Vote(Vote {
                    epoch,
                    candidate: SenderId::new(1),
                    prevote: false,
                    granted: false,
                }),
                Control::Roster(Roster { id, witness: false, members: vec![] }),
                Control::Abort { epoch, reason: AbortReason::Refused },
                Control::Retire { epoch },
                prepare(it),
                migrate(it, liar, SenderId::new(2)),
            ]
        };
        for at in 1..=3 {
            for lie in lies(&room.nodes[&at].machine) {
                for header in [Epoch::new(1, 0), epoch, last] {
                    let _ = room.forge(4, at, header, lie.clone());
                }
            }
        }
        if round % 500 == 499 {
            room.run(1_000);
            sizes.push(room.nodes.values().map(|it| format!("{:?}", it.machine).len()).max());
        }
    }
    assert_eq!(room.agreed(), Some(1), "{:?}", room.roles());
    assert_eq!(room.roles()[0].2, Epoch::new(1, 0));
    assert!(sizes[2] <= sizes[0].map(|size| size + 64), "{sizes:?}");
    // When the host dies the others elect as they would.
    room.kill(1);
    room.run(2_000);
    assert_eq!(room.agreed(), Some(2));
}

/// Time that stands still, or is told twice, changes nothing.
#[test]
fn time_that_is_told_early_or_twice_changes_nothing() {
    for mut state in states() {
        let now = state.room.now;
        let machine = &mut state.room.nodes.get_mut(&state.of).expect("he is there").machine;
        let due = machine.poll_timeout().expect("somebody waits").0;
        assert!(due > now, "{}", state.what);
        for early in [now, now, now + (due - now) / 2] {
            machine.handle_timeout(early);
            assert_eq!(machine.poll_output(), None, "{}", state.what);
            assert_eq!(machine.poll_timeout().map(|it| it.0), Some(due), "{}", state.what);
        }
    }
}
