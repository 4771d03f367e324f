//! Who gets connected, who stays so, and who is refused.
#![allow(clippy::disallowed_methods, reason = "a test needs an epoch")]

#[allow(dead_code, unreachable_pub, reason = "each test file uses a part of it")]
mod common;

use common::{Net, identity, ms, peer, sender};
use paceline_mesh::framing::{
    Body, ByeReason, Control, Fragmenter, Hello, PROTOCOL_VERSION, Packet, Role,
};
use paceline_mesh::types::{ConnectionEvent, ConnectionOp, Epoch, Signal, StreamId};
use paceline_mesh::{CallError, Event, Mesh, MeshConfig, Output};

#[test]
fn a_call_that_is_expected_connects_both_ends() {
    let mut net = Net::new(&[1, 2]);
    net.connect(1, 2);
    assert!(net.connected(1, 2));
    net.run_for(ms(60_000));
    assert!(net.connected(1, 2));
    let stats = net.mesh(1).stats(peer(2)).expect("known");
    assert_eq!(stats.rtt, Some(ms(0)));
    assert_eq!((stats.retries, stats.bad_messages), (0, 0));
}

#[test]
fn nobody_calls_himself_or_anybody_twice_or_more_than_there_are_places() {
    let now = std::time::Instant::now();
    let mut mesh = Mesh::new(now, identity(1), MeshConfig::default().max_peers(2));
    assert_eq!(mesh.call(now, peer(1), sender(1)), Err(CallError::Itself));
    assert_eq!(mesh.call(now, peer(2), sender(2)), Ok(()));
    assert_eq!(mesh.expect(now, peer(2), sender(2)), Err(CallError::AlreadyKnown));
    assert_eq!(mesh.expect(now, peer(3), sender(3)), Ok(()));
    assert_eq!(mesh.expect(now, peer(4), sender(4)), Err(CallError::Full { max_peers: 2 }));
}

#[test]
fn an_offer_of_a_stranger_opens_nothing() {
    let now = std::time::Instant::now();
    let mut mesh = Mesh::new(now, identity(1), MeshConfig::default());
    mesh.handle_signal(now, peer(9), Signal::Offer { sdp: String::new() });
    assert!(mesh.poll_output().is_none());
}

#[test]
fn when_both_call_one_connection_comes_of_it() {
    let mut net = Net::new(&[1, 2]);
    let now = net.now;
    net.mesh(1).call(now, peer(2), sender(2)).expect("1 calls");
    net.mesh(2).call(now, peer(1), sender(1)).expect("2 calls");
    net.settle();
    assert!(net.connected(1, 2));
    net.run_for(ms(20_000));
    assert!(net.connected(1, 2));
}

#[test]
fn a_silent_peer_is_given_up_after_five_seconds_and_called_again() {
    let mut net = Net::new(&[1, 2]);
    net.connect(1, 2);
    net.cut = vec![(peer(1), peer(2)), (peer(2), peer(1))];
    net.run_for(ms(4_900));
    assert!(net.connected(1, 2));
    net.run_for(ms(200));
    assert!(!net.connected(1, 2));
    net.cut.clear();
    net.run_for(ms(12_000));
    assert!(net.connected(1, 2));
    assert!(net.mesh(1).stats(peer(2)).expect("known").retries > 0);
}

#[test]
fn a_peer_that_cannot_be_reached_is_told_gone_after_its_tries() {
    let mut net = Net::new(&[1, 2]);
    let now = net.now;
    net.mesh(1).call(now, peer(2), sender(2)).expect("1 calls");
    // 2 expects nobody, so every offer goes unanswered: 4 tries of 5 s each, and
    // 0, 2 and 4 s between them.
    net.settle();
    net.run_for(ms(25_900));
    assert!(net.events.is_empty());
    net.run_for(ms(200));
    assert!(matches!(&net.events[..], [(_, Event::Gone { .. })]), "{:?}", net.events);
}

#[test]
fn goodbye_is_told_and_not_called_again() {
    let mut net = Net::new(&[1, 2]);
    net.connect(1, 2);
    net.events.clear();
    let now = net.now;
    net.mesh(1).hang_up(now, peer(2), ByeReason::Leaving);
    net.settle();
    assert!(matches!(&net.events[..], [(at, Event::Gone { .. })] if *at == peer(2)));
    net.run_for(ms(60_000));
    assert!(!net.connected(1, 2));
}

#[test]
fn a_packet_in_somebody_elses_name_is_dropped_and_counted() {
    let mut net = Net::new(&[1, 2]);
    net.connect(1, 2);
    net.events.clear();
    let packet = Packet {
        sender: sender(3),
        epoch: Some(Epoch::default()),
        body: Body::Control(Control::KeyframeRequest { stream: StreamId::VIDEO }),
    };
    let now = net.now;
    let bytes = packet.emit();
    net.mesh(2).handle_connection(now, peer(1), ConnectionEvent::Message(bytes));
    net.settle();
    assert!(net.events.is_empty());
    assert_eq!(net.mesh(2).stats(peer(1)).expect("known").spoofed, 1);
}

#[test]
fn garbage_is_counted_and_the_connection_goes_on() {
    let mut net = Net::new(&[1, 2]);
    net.connect(1, 2);
    let now = net.now;
    for len in 0..200_usize {
        let garbage = vec![0xDE; len].into();
        net.mesh(2).handle_connection(now, peer(1), ConnectionEvent::Message(garbage));
    }
    net.run_for(ms(10_000));
    assert!(net.connected(1, 2));
    assert_eq!(net.mesh(2).stats(peer(1)).expect("known").bad_messages, 200);
}

#[test]
fn a_hello_of_somebody_else_ends_the_connection() {
    let now = std::time::Instant::now();
    let mut mesh = Mesh::new(now, identity(1), MeshConfig::default());
    mesh.expect(now, peer(2), sender(2)).expect("a place");
    mesh.handle_signal(now, peer(2), Signal::Offer { sdp: String::new() });
    mesh.handle_connection(now, peer(2), ConnectionEvent::Open);
    // 3 says hello where 2 was expected, under 2's number.
    let mut other = Mesh::new(
        now,
        paceline_mesh::Identity { sender: sender(2), ..identity(3) },
        MeshConfig::default(),
    );
    other.expect(now, peer(1), sender(1)).expect("a place");
    other.handle_signal(now, peer(1), Signal::Offer { sdp: String::new() });
    other.handle_connection(now, peer(1), ConnectionEvent::Open);
    while let Some(output) = other.poll_output() {
        if let Output::Transmit { bytes, .. } = output {
            mesh.handle_connection(now, peer(2), ConnectionEvent::Message(bytes));
        }
    }
    assert_eq!(mesh.connected().count(), 0);
    let closed = std::iter::from_fn(|| mesh.poll_output())
        .any(|output| matches!(output, Output::Connection { op: ConnectionOp::Close, .. }));
    assert!(closed);
}

/// Control of a type that only a later version has is no fault of who speaks that.
#[test]
fn what_a_later_version_says_is_ignored() {
    for (max_version, bad) in [(PROTOCOL_VERSION, 1), (PROTOCOL_VERSION + 1, 0)] {
        let now = std::time::Instant::now();
        let mut mesh = Mesh::new(now, identity(1), MeshConfig::default());
        mesh.expect(now, peer(2), sender(2)).expect("a place");
        mesh.handle_signal(now, peer(2), Signal::Offer { sdp: String::new() });
        mesh.handle_connection(now, peer(2), ConnectionEvent::Open);
        let hello = Hello {
            session: identity(1).session,
            peer: peer(2),
            sender: sender(2),
            min_version: PROTOCOL_VERSION,
            max_version,
            role: Role::Member,
            capabilities: 0,
            max_message: 16_384,
            max_packet: 1 << 20,
            resume: [0; 16],
        };
        let body = Body::Control(Control::Hello(hello));
        let hello = Packet { sender: sender(2), epoch: Some(Epoch::default()), body }.emit();
        let mut unknown = hello.to_vec();
        unknown[6..8].copy_from_slice(&200_u16.to_be_bytes());
        unknown[12..16].fill(0);
        let checksum = crc32c::crc32c(&unknown);
        unknown[12..16].copy_from_slice(&checksum.to_be_bytes());
        for message in [hello, unknown.into()] {
            mesh.handle_connection(now, peer(2), ConnectionEvent::Message(message));
        }
        assert_eq!(mesh.connected().count(), 1);
        assert_eq!(mesh.stats(peer(2)).expect("known").bad_messages, bad);
    }
}

#[test]
fn no_more_than_the_window_is_with_the_transport() {
    let mut net = Net::new(&[1, 2]);
    net.connect(1, 2);
    let now = net.now;
    let body = paceline_mesh::types::EncodedFrame {
        stream: StreamId::VIDEO,
        seq: paceline_mesh::types::SeqNo::new(0),
        time: paceline_mesh::types::MediaTime::new(0, paceline_mesh::types::Frequency::VIDEO),
        capture: paceline_mesh::types::NtpTime::default(),
        coding: paceline_mesh::types::Coding::Image {
            format: paceline_mesh::types::PixelFormat::Rgb24,
            width: 200,
            height: 200,
        },
        data: vec![1; 120_000].into(),
    };
    let packet = Packet { sender: sender(1), epoch: None, body: Body::Media(body) };
    let messages = Fragmenter::new(16_384).cut(&packet).messages().len();
    let mesh = net.mesh(1);
    mesh.send(now, paceline_mesh::Recipients::All, &packet);
    let mut handed = 0;
    let mut sizes = Vec::new();
    while let Some(output) = mesh.poll_output() {
        if let Output::Transmit { bytes, .. } = output {
            sizes.push(bytes.len());
        }
    }
    // Two messages of 16 KiB before anything is known of the path.
    assert_eq!(sizes.len(), 2);
    // Each one that is confirmed lets others go, as many as the window has room for.
    while let Some(len) = sizes.pop() {
        handed += 1;
        mesh.handle_connection(now, peer(2), ConnectionEvent::Acked(len));
        while let Some(output) = mesh.poll_output() {
            if let Output::Transmit { bytes, .. } = output {
                sizes.insert(0, bytes.len());
            }
        }
        let stats = mesh.stats(peer(2)).expect("connected");
        assert_eq!(stats.outstanding, sizes.iter().sum::<usize>());
        assert!(stats.outstanding <= stats.window);
    }
    assert_eq!(handed, messages);
}
