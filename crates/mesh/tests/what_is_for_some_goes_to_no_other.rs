//! Packets for some of those who are connected, and round trips as they are measured.
#![allow(clippy::disallowed_methods, reason = "a test needs an epoch")]

#[allow(dead_code, unreachable_pub, reason = "each test file uses a part of it")]
mod common;

use std::time::Duration;

use common::{Net, ms, peer, sender};
use paceline_mesh::framing::{Body, Control, Packet};
use paceline_mesh::types::{
    Coding, EncodedFrame, Frequency, MediaTime, NtpTime, SeqNo, StreamId, VideoCodec,
};
use paceline_mesh::{Event, MeshStats, Recipients};

fn picture(seq: u64) -> Packet {
    let codec = VideoCodec::H264;
    let frame = EncodedFrame {
        stream: StreamId::VIDEO,
        seq: SeqNo::new(seq),
        time: MediaTime::new(3_000 * seq, Frequency::VIDEO),
        capture: NtpTime::default(),
        coding: Coding::Video { codec, key: true, discardable: false, width: 320, height: 180 },
        data: vec![7; 40_000].into(),
    };
    Packet { sender: sender(1), epoch: None, body: Body::Media(frame) }
}

fn star() -> Net {
    let mut net = Net::new(&[1, 2, 3, 4]);
    for n in 2..=4 {
        net.connect(n, 1);
    }
    net.events.clear();
    net
}

/// Who got the picture of a number.
fn who_got(net: &Net, seq: u64) -> Vec<u8> {
    let got = |(at, event): &(paceline_mesh::types::PeerId, Event)| match event {
        Event::Packet { packet: Packet { body: Body::Media(frame), .. }, .. }
            if frame.seq.get() == seq =>
        {
            Some(at.to_bytes()[0])
        }
        _ => None,
    };
    let mut who: Vec<_> = net.events.iter().filter_map(got).collect();
    who.sort_unstable();
    who
}

#[test]
fn a_packet_for_two_of_three_reaches_those_and_who_is_not_connected_is_left_out() {
    let mut net = star();
    let now = net.now;
    net.mesh(1).send_to(now, [peer(2), peer(4), peer(9)], &picture(0));
    net.settle();
    assert_eq!(who_got(&net, 0), [2, 4]);
    net.mesh(1).send(now, Recipients::All, &picture(1));
    net.settle();
    assert_eq!(who_got(&net, 1), [2, 3, 4]);
}

#[test]
fn newcomers_are_not_shown_what_was_for_some() {
    let mut net = Net::new(&[1, 2, 3]);
    net.connect(2, 1);
    let now = net.now;
    net.mesh(1).send_to(now, [peer(2)], &picture(0));
    net.settle();
    net.connect(3, 1);
    assert_eq!(who_got(&net, 0), [2]);
    let MeshStats { replayed, .. } = net.mesh(1).mesh_stats();
    assert_eq!(replayed, 0);
}

#[test]
fn data_that_would_be_refused_are_not_sent_to_some_either() {
    let mut net = star();
    let now = net.now;
    let data = vec![0; paceline_mesh::MAX_DATA + 1].into();
    let packet = net.mesh(1).control_packet(Control::ApplicationData { channel: 1, data });
    net.mesh(1).send_to(now, [peer(2)], &packet);
    net.settle();
    assert!(net.events.is_empty(), "{:?}", net.events);
}

#[test]
fn each_answer_to_a_ping_is_told_as_a_round_trip() {
    let mut net = star();
    net.run_for(ms(3_500));
    for n in 2..=4 {
        let trips = net.events.iter().filter_map(|(at, event)| match event {
            Event::RoundTrip { peer: of, rtt } if (*at, *of) == (peer(1), peer(n)) => Some(*rtt),
            _ => None,
        });
        let trips: Vec<_> = trips.collect();
        assert!((3..=4).contains(&trips.len()), "of {n}: {trips:?}");
        assert!(trips.iter().all(|rtt| *rtt == Duration::ZERO), "the network takes no time");
    }
}
