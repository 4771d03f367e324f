//! Whatever happens, after `handle_timeout` nothing is due, and everything that is held
//! can be accounted for.
#![allow(clippy::disallowed_methods, reason = "a test needs an epoch")]

#[allow(dead_code, unreachable_pub, reason = "each test file uses a part of it")]
mod common;

use bytes::Bytes;
use common::{Net, answer, identity, ms, offer, peer, sender};
use paceline_mesh::framing::{Body, ByeReason, Control, Hello, PROTOCOL_VERSION, Packet, Role};
use paceline_mesh::types::{ConnectionEvent, ConnectionState, Epoch, Signal};
use paceline_mesh::{Event, Mesh, MeshConfig, Output, Recipients, Topology};

/// SplitMix64.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % sides
    }
}

fn hello(n: u8, max_message: u32) -> Bytes {
    let hello = Hello {
        session: identity(1).session,
        peer: peer(n),
        sender: sender(n),
        min_version: PROTOCOL_VERSION,
        max_version: PROTOCOL_VERSION,
        role: Role::Member,
        capabilities: 0,
        max_message,
        max_packet: 1 << 20,
        resume: [0; 16],
    };
    let body = Body::Control(Control::Hello(hello));
    Packet { sender: sender(n), epoch: Some(Epoch::default()), body }.emit()
}

fn happen(dice: &mut Dice, mesh: &mut Mesh, now: std::time::Instant) {
    let n = 2 + dice.roll(6) as u8;
    let (who, session) = (peer(n), 1 + dice.roll(4));
    let local = |signal| ConnectionEvent::Local(signal);
    match dice.roll(24) {
        22 | 23 => {
            let _ = mesh.expect(now, who, sender(n));
            mesh.handle_signal(now, who, offer(100 + session, dice.roll(9)));
            mesh.handle_connection(now, who, local(answer(9, dice.roll(9))));
            mesh.handle_connection(now, who, ConnectionEvent::Open);
            let bytes = hello(n, 16_384);
            mesh.handle_connection(now, who, ConnectionEvent::Message(bytes));
        }
        0 => drop(mesh.call(now, who, sender(n))),
        1 => drop(mesh.expect(now, who, sender(n))),
        2 if dice.roll(3) == 0 => mesh.hang_up(now, who, ByeReason::Leaving),
        2 | 3 => mesh.handle_connection(now, who, local(offer(9, dice.roll(9)))),
        4 => mesh.handle_connection(now, who, local(answer(9, dice.roll(9)))),
        5..=7 => mesh.handle_signal(now, who, offer(session, dice.roll(9))),
        8..=10 => mesh.handle_signal(now, who, answer(session, dice.roll(9))),
        11 => {
            let candidate = Signal::Candidate {
                candidate: format!("candidate:{}", dice.roll(99)),
                mid: "0".to_owned(),
                mline_index: 0,
                ufrag: dice.roll(9).to_string(),
            };
            mesh.handle_signal(now, who, candidate);
        }
        12 | 13 => mesh.handle_connection(now, who, ConnectionEvent::Open),
        14 | 15 => {
            let bytes = hello(n, 200 + 100 * dice.roll(20) as u32);
            mesh.handle_connection(now, who, ConnectionEvent::Message(bytes));
        }
        16 if dice.roll(4) == 0 => {
            let reason = "it broke".to_owned();
            mesh.handle_connection(now, who, ConnectionEvent::Closed { reason });
        }
        16 => mesh.handle_connection(now, who, ConnectionEvent::Acked(dice.roll(9_000) as usize)),
        17 => {
            let up = dice.roll(2) == 0;
            mesh.handle_connection(now, who, ConnectionEvent::Path { up });
        }
        18 => mesh.restart_ice(now, Recipients::All),
        19 => {
            let data = Bytes::from(vec![0; dice.roll(40_000) as usize]);
            mesh.broadcast_control(now, Control::ApplicationData { channel: 1, data });
        }
        20 => {
            let len = dice.roll(300) as usize;
            let bytes = Bytes::from(vec![dice.roll(256) as u8; len]);
            mesh.handle_connection(now, who, ConnectionEvent::Message(bytes));
        }
        _ => {}
    }
}

#[test]
fn after_a_timeout_nothing_is_due_and_the_counts_add_up() {
    let (mut connected, mut restarts, mut waited) = (0, 0, 0);
    for seed in 0..600 {
        let mut dice = Dice(seed);
        let mut now = std::time::Instant::now();
        let cap = 1 + dice.roll(3) as usize;
        let config = MeshConfig::default().max_negotiators(cap).max_peers(5);
        let mut mesh = Mesh::new(now, identity(4), config);
        for _ in 0..400 {
            happen(&mut dice, &mut mesh, now);
            if dice.roll(3) == 0 {
                // At a deadline, just before or just after it, or at any other time.
                let next = mesh.poll_timeout().map_or(ms(0), |(at, _)| at.duration_since(now));
                now += [next, ms(dice.roll(50)), ms(dice.roll(3_000))][dice.roll(3) as usize];
            }
            mesh.handle_timeout(now);
            if let Some((at, reason)) = mesh.poll_timeout() {
                assert!(at > now, "seed {seed}: {reason:?} is due {:?} ago", now - at);
            }
            while let Some(output) = mesh.poll_output() {
                connected += u64::from(matches!(output, Output::Event(Event::Connected { .. })));
            }
            let stats = mesh.mesh_stats();
            assert!(stats.negotiating <= cap && stats.peers <= 5, "seed {seed}: {stats:?}");
            assert!(stats.active + stats.negotiating + stats.waiting <= stats.peers);
            // Nobody waits while there is a turn.
            assert!(stats.waiting == 0 || stats.negotiating == cap, "seed {seed}: {stats:?}");
            let up = mesh.connected().filter(|&peer| {
                let state = mesh.stats(peer).map(|stats| stats.state);
                matches!(state, Some(ConnectionState::Connected | ConnectionState::Reconnecting))
            });
            assert_eq!(up.count(), stats.active);
            waited += stats.waiting;
        }
        restarts += mesh.mesh_stats().restarts;
        mesh.hang_up_all(now, ByeReason::Leaving);
        assert_eq!(mesh.poll_timeout(), None);
        let stats = mesh.mesh_stats();
        assert_eq!((stats.peers, stats.negotiating, stats.waiting), (0, 0, 0), "seed {seed}");
    }
    let seen = (connected, restarts, waited);
    assert!(connected > 1_000 && restarts > 1_000 && waited > 1_000, "{seen:?}");
}

/// A hundred peers, and a deadline of each in its place: woken once per ping, and never
/// for nothing.
#[test]
fn a_hundred_peers_wake_us_once_for_each_deadline() {
    let members: Vec<u8> = (1..=101).collect();
    let config = MeshConfig::new(Topology::Broadcast).max_peers(100);
    let mut net = Net::with(&members, config);
    for n in 2..=101 {
        net.connect(n, 1);
        net.run_for(ms(7));
    }
    assert_eq!(net.mesh(1).mesh_stats().active, 100);
    let (mut now, mut woken) = (net.now, 0);
    let end = now + ms(1_000);
    while let Some((at, _)) = net.mesh(1).poll_timeout().filter(|&(at, _)| at < end) {
        now = now.max(at);
        net.mesh(1).handle_timeout(now);
        assert!(net.mesh(1).poll_output().is_some(), "woken for nothing");
        while net.mesh(1).poll_output().is_some() {}
        woken += 1;
    }
    // Their pings were 7 ms apart from each other, and nobody was given up.
    assert_eq!(woken, 100);
    assert_eq!(net.mesh(1).mesh_stats().active, 100);
}
