//! Random schedules of cuts, deaths, goodbyes and handovers over machines alone. What holds
//! at every moment is in `scene/check.rs`; here is what holds at the end.

mod scene;

use proptest::prelude::*;
use scene::{Room, name};

/// One thing that happens.
#[derive(Clone, Debug)]
enum Act {
    Connect(usize, usize),
    Cut(usize, usize),
    CutWay(usize, usize),
    CutWitness(usize, bool),
    Delay(usize, usize, u64),
    Disconnect(usize, usize),
    HandOver(usize),
    Heal(usize, usize),
    Isolate(usize),
    Join,
    Kill(usize),
    Leave(usize),
    MayHost(usize, bool),
    NeverReady(usize),
    Notice(usize),
    Resign(usize),
    Return(usize),
}

fn act() -> impl Strategy<Value = Act> {
    let who = || 0_usize..8;
    prop_oneof![
        2 => (who(), who()).prop_map(|(a, b)| Act::Connect(a, b)),
        4 => (who(), who()).prop_map(|(a, b)| Act::Cut(a, b)),
        4 => (who(), who()).prop_map(|(a, b)| Act::CutWay(a, b)),
        2 => (who(), any::<bool>()).prop_map(|(a, cut)| Act::CutWitness(a, cut)),
        2 => (who(), who(), 1..150_u64).prop_map(|(a, b, ms)| Act::Delay(a, b, ms)),
        2 => (who(), who()).prop_map(|(a, b)| Act::Disconnect(a, b)),
        4 => who().prop_map(Act::HandOver),
        4 => (who(), who()).prop_map(|(a, b)| Act::Heal(a, b)),
        2 => who().prop_map(Act::Isolate),
        2 => Just(Act::Join),
        2 => who().prop_map(Act::Kill),
        1 => who().prop_map(Act::Leave),
        1 => (who(), any::<bool>()).prop_map(|(a, may)| Act::MayHost(a, may)),
        1 => who().prop_map(Act::NeverReady),
        1 => who().prop_map(Act::Notice),
        1 => who().prop_map(Act::Resign),
        2 => who().prop_map(Act::Return),
    ]
}

fn play(room: &mut Room, dead: &mut Vec<u32>, act: &Act) {
    let ids = Vec::from_iter(room.nodes.keys().copied());
    if ids.is_empty() {
        return;
    }
    let pick = |index: usize| ids[index % ids.len()];
    match *act {
        Act::Connect(a, b) => {
            let (a, b) = (pick(a), pick(b));
            if a != b && !room.is_connected(a, b) {
                room.connect(a, b);
            }
        }
        Act::Cut(a, b) => room.cut(pick(a), pick(b)),
        Act::CutWay(a, b) => room.cut_way(pick(a), pick(b)),
        Act::CutWitness(a, cut) => room.cut_witness(pick(a), cut),
        Act::Delay(a, b, millis) => room.set_delay(pick(a), pick(b), millis),
        Act::Disconnect(a, b) => room.disconnect(pick(a), pick(b)),
        Act::HandOver(a) => {
            // Mostly who hosts, whatever he may be called.
            let roles = room.roles();
            let host = roles.iter().find(|it| it.1 == paceline_migration::Role::Host);
            let who = host.map_or(pick(a), |it| it.0);
            let _ = room.hand_over(who);
        }
        Act::Heal(a, b) => room.heal(pick(a), pick(b)),
        Act::Isolate(a) => room.isolate(pick(a)),
        Act::Join if ids.len() < 7 => drop(room.join()),
        Act::Kill(a) if ids.len() > 1 => {
            room.kill(pick(a));
            dead.push(pick(a));
        }
        Act::Leave(a) if ids.len() > 1 => room.leave(pick(a)),
        Act::MayHost(a, may) => {
            room.with_machine(pick(a), |it, now| it.set_may_host(now, may));
        }
        Act::NeverReady(a) => room.never_ready(pick(a)),
        Act::Notice(a) if !dead.is_empty() => room.notice(dead.swap_remove(a % dead.len())),
        Act::Resign(a) => room.with_machine(pick(a), |it, now| it.resign(now)),
        Act::Return(a) => room.rejoin_net(pick(a)),
        _ => {}
    }
}

fn room(members: u32) -> Room {
    let mut room = Room::new();
    room.script.quiet = std::env::var_os("SCRIPT").is_none();
    for _ in 0..members {
        room.join();
        room.run(400);
    }
    room
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(100) })]

    /// Delays, cuts of one way or both, lost connections, deaths, goodbyes, newcomers,
    /// handovers, resignations, whenever they come: what `scene/check.rs` says holds at every
    /// moment, nobody spins, and when all is mended one hosts whom all follow, if a majority
    /// is left.
    #[test]
    fn one_hosts_when_all_is_mended_and_never_two(
        members in 1_u32..6,
        acts in prop::collection::vec((act(), 0_u64..700), 1..25),
    ) {
        let mut room = room(members);
        let mut dead = vec![];
        for (act, pause) in &acts {
            if !room.script.quiet {
                room.note(&format!("{act:?}"));
            }
            play(&mut room, &mut dead, act);
            room.run(*pause);
        }
        room.mend(&dead);
        for id in room.others(0) {
            room.with_machine(id, |it, now| it.set_may_host(now, true));
        }
        room.run(4_000);
        if room.has_quorum() {
            let roles = room.roles();
            prop_assert!(room.agreed().is_some(), "{:?}\n{}", roles, room.script.text());
            let host = room.agreed().unwrap();
            let epoch = room.may_send(host, paceline_migration::types::StreamId::MIX_VIDEO);
            prop_assert!(epoch.is_some(), "{} may not send", name(host));
        }
    }
}
