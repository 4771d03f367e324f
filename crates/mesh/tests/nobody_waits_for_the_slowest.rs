//! What waits for one peer is bounded, and is nothing to the others.
#![allow(clippy::disallowed_methods, reason = "a test needs an epoch")]

#[allow(dead_code, unreachable_pub, reason = "each test file uses a part of it")]
mod common;

use bytes::Bytes;
use common::{Net, ms, outputs, peer, sender};
use paceline_mesh::framing::{Body, Control, Fragmenter, InterleaverConfig, Packet, QueuePolicy};
use paceline_mesh::types::{
    Coding, ConnectionEvent, EncodedFrame, Frequency, MediaTime, NtpTime, SeqNo, StreamId,
    VideoCodec,
};
use paceline_mesh::{
    DataError, Event, GoneReason, MAX_DATA, MeshConfig, Meter, Output, PADDING, PacerConfig,
    Recipients, Topology, credit_cost,
};

const HOST: u8 = 1;

/// One host and two viewers.
fn broadcast(config: MeshConfig) -> Net {
    let mut net = Net::with(&[HOST, 2, 3], config);
    net.connect(2, HOST);
    net.connect(3, HOST);
    net
}

fn quiet(topology: Topology) -> MeshConfig {
    MeshConfig::new(topology).pacer(PacerConfig::default().probe_bytes(0))
}

fn send(net: &mut Net, byte: u8, len: usize) {
    let now = net.now;
    let data = Bytes::from(vec![byte; len]);
    net.mesh(HOST).send_data(now, Recipients::All, 1, data).expect("it is not too large");
    net.settle();
}

/// The first bytes of what `at` was given of its peers' data.
fn data(net: &Net, at: u8) -> Vec<u8> {
    let of = |(here, event): &(_, Event)| match event {
        Event::Packet { packet, .. } if *here == peer(at) => match &packet.body {
            Body::Control(Control::ApplicationData { data, .. }) => Some(data[0]),
            _ => None,
        },
        _ => None,
    };
    net.events.iter().filter_map(of).collect()
}

fn consume(net: &mut Net, at: u8, packets: usize, bytes: usize) {
    let now = net.now;
    net.mesh(at).consume(now, peer(HOST), packets, bytes);
    net.settle();
}

#[test]
fn who_takes_too_little_is_given_up_and_the_others_miss_nothing() {
    let mut net = broadcast(quiet(Topology::Broadcast));
    net.run_for(ms(100));
    // 2 confirms nothing any more.
    net.stuck = vec![(peer(HOST), peer(2))];
    let (mut most, mut sent) = (0, 0);
    while net.mesh(HOST).stats(peer(2)).is_some() {
        send(&mut net, sent, 4_096);
        sent += 1;
        consume(&mut net, 3, 1, 4_096);
        if let Some(stats) = net.mesh(HOST).stats(peer(2)) {
            most = most.max(stats.queued_bytes);
        }
        net.run_for(ms(16));
    }
    let gone = net.events.iter().find(|(at, event)| {
        *at == peer(HOST) && matches!(event, Event::Gone { reason: GoneReason::TooSlow, .. })
    });
    assert!(gone.is_some(), "he is given up for being slow, not for a silence");
    assert!((200 << 10..=256 << 10).contains(&most), "{most} bytes were held for him");
    assert_eq!(data(&net, 3), (0..sent).collect::<Vec<_>>());
    assert_eq!(net.mesh(HOST).mesh_stats().evicted, 1);
}

#[test]
fn what_waits_longer_than_its_deadline_ends_the_peer_it_waits_for() {
    let deadline = ms(700);
    let policy = QueuePolicy::Reliable { deadline, max_bytes: 256 << 10 };
    let queues = InterleaverConfig::default().data_policy(policy);
    let mut net = broadcast(quiet(Topology::Broadcast).interleaver(queues));
    net.run_for(ms(100));
    net.stuck = vec![(peer(HOST), peer(2))];
    // Far fewer bytes than may be held, but more than are in flight.
    for byte in 0..12 {
        send(&mut net, byte, 4_096);
    }
    net.run_for(deadline - ms(1));
    assert!(net.mesh(HOST).stats(peer(2)).is_some());
    net.run_for(ms(1));
    assert!(net.mesh(HOST).stats(peer(2)).is_none());
    assert!(net.mesh(HOST).stats(peer(3)).is_some());
}

#[test]
fn an_application_that_does_not_read_stops_who_sends_to_it_and_nobody_else() {
    let mut net = broadcast(quiet(Topology::Broadcast));
    let each = credit_cost(4_096);
    let window = (u64::from(Meter::INITIAL) / each) as u8;
    for byte in 0..window + 10 {
        send(&mut net, byte, 4_096);
        consume(&mut net, 3, 1, 4_096);
    }
    assert_eq!(data(&net, 2).len(), usize::from(window), "as much as its window");
    assert_eq!(data(&net, 3).len(), usize::from(window + 10));
    let unread = net.mesh(2).stats(peer(HOST)).expect("connected").unread;
    assert_eq!(unread, u64::from(window) * each);
    // It reads again, and gets the rest in order.
    consume(&mut net, 2, window.into(), usize::from(window) * 4_096);
    assert_eq!(data(&net, 2), (0..window + 10).collect::<Vec<_>>());
}

#[test]
fn who_sends_beyond_the_window_is_given_up() {
    let mut net = broadcast(quiet(Topology::Broadcast));
    let now = net.now;
    let mut fragmenter = Fragmenter::new(16_384);
    for _ in 0..3 {
        let data = Bytes::from(vec![0; MAX_DATA]);
        let control = Control::ApplicationData { channel: 1, data };
        let packet = net.mesh(HOST).control_packet(control);
        for message in fragmenter.cut(&packet).messages() {
            let message = ConnectionEvent::Message(message.clone());
            net.mesh(2).handle_connection(now, peer(HOST), message);
        }
    }
    net.settle();
    let interrupted = net.events.iter().any(|(at, event)| {
        *at == peer(2) && matches!(event, Event::Interrupted { reason: GoneReason::Overrun, .. })
    });
    assert!(interrupted);
}

#[test]
fn data_that_would_never_arrive_are_refused() {
    let mut net = broadcast(quiet(Topology::Broadcast));
    let now = net.now;
    let mut send = |channel, len| {
        net.mesh(HOST).send_data(now, Recipients::All, channel, Bytes::from(vec![0; len]))
    };
    assert_eq!(send(1, MAX_DATA), Ok(()));
    let bytes = MAX_DATA + 1;
    assert_eq!(send(1, bytes), Err(DataError::TooLarge { bytes }));
    assert_eq!(send(PADDING, 1), Err(DataError::Reserved));
}

#[test]
fn padding_measures_the_path_and_reaches_no_application() {
    let mut net = Net::with(&[HOST, 2], MeshConfig::new(Topology::Star));
    net.connect(2, HOST);
    let sent = |net: &mut Net| net.mesh(HOST).stats(peer(2)).expect("connected").sent_bytes;
    net.run_for(ms(100));
    let before = sent(&mut net);
    net.run_for(ms(60_000));
    let padding = sent(&mut net) - before;
    // Two or three probes of 32 KiB in a minute, beside the heartbeats.
    assert!((60 << 10..110 << 10).contains(&padding), "{padding} bytes went");
    assert_eq!(data(&net, 2), []);
    assert_eq!(net.mesh(2).stats(peer(HOST)).expect("connected").unread, 0);
}

fn picture(seq: u64, key: bool) -> EncodedFrame {
    let coding =
        Coding::Video { codec: VideoCodec::H264, key, discardable: false, width: 640, height: 360 };
    EncodedFrame {
        stream: StreamId::VIDEO,
        seq: SeqNo::new(seq),
        time: MediaTime::new(seq * 3_000, Frequency::VIDEO),
        capture: NtpTime::default(),
        coding,
        data: vec![seq as u8; 2_000].into(),
    }
}

fn show(net: &mut Net, seq: u64, key: bool) {
    let body = Body::Media(picture(seq, key));
    let packet = Packet { sender: sender(HOST), epoch: None, body };
    let now = net.now;
    net.mesh(HOST).send(now, Recipients::All, &packet);
    net.settle();
}

fn shown(net: &Net, at: u8) -> Vec<u64> {
    let of = |(here, event): &(_, Event)| match event {
        Event::Packet { packet, .. } if *here == peer(at) => match &packet.body {
            Body::Media(frame) => Some(frame.seq.get()),
            Body::Control(_) => None,
        },
        _ => None,
    };
    net.events.iter().filter_map(of).collect()
}

#[test]
fn a_newcomer_is_shown_what_is_kept_and_a_keyframe_is_asked_for_only_without() {
    let asked = |net: &Net| {
        let asks = |(at, event): &&(_, Event)| {
            *at == peer(HOST) && matches!(event, Event::NeedsKeyframe { .. })
        };
        net.events.iter().filter(asks).count()
    };
    let mut net = Net::with(&[HOST, 2, 3, 4], quiet(Topology::Broadcast));
    net.connect(2, HOST);
    assert_eq!(asked(&net), 1, "there was nothing to show");
    for seq in 0..30 {
        show(&mut net, seq, seq == 0);
        net.run_for(ms(33));
    }
    net.connect(3, HOST);
    show(&mut net, 30, false);
    assert_eq!(shown(&net, 3), (0..=30).collect::<Vec<_>>());
    assert_eq!(shown(&net, 2), (0..=30).collect::<Vec<_>>());
    assert_eq!(asked(&net), 1);
    assert_eq!(net.mesh(HOST).mesh_stats().replayed, 30);
    // What is older than two seconds is no way to begin.
    net.run_for(ms(1_100));
    net.connect(4, HOST);
    assert_eq!(asked(&net), 2);
    show(&mut net, 31, false);
    assert_eq!(shown(&net, 4), []);
    show(&mut net, 32, true);
    assert_eq!(shown(&net, 4), [32]);
}

#[test]
fn a_keyframe_of_an_older_epoch_is_not_shown() {
    let mut net = Net::with(&[HOST, 2], quiet(Topology::Broadcast));
    show(&mut net, 0, true);
    net.mesh(HOST).set_epoch(paceline_mesh::types::Epoch::new(9, 0));
    net.connect(2, HOST);
    assert_eq!(shown(&net, 2), []);
}

#[test]
fn one_packet_for_all_is_the_same_bytes_for_all() {
    let mut net = broadcast(quiet(Topology::Broadcast));
    let now = net.now;
    let data = Bytes::from(vec![7; 5_000]);
    net.mesh(HOST).send_data(now, Recipients::All, 1, data).expect("not too large");
    let bytes: Vec<_> = outputs(net.mesh(HOST))
        .into_iter()
        .filter_map(|output| match output {
            Output::Transmit { bytes, .. } => Some(bytes.as_ptr()),
            _ => None,
        })
        .collect();
    assert_eq!(bytes.len(), 2);
    assert_eq!(bytes[0], bytes[1]);
}

#[test]
fn the_owner_is_told_when_much_waits_and_when_it_is_over() {
    let mut net = broadcast(quiet(Topology::Broadcast));
    net.stuck = vec![(peer(HOST), peer(2))];
    let marks = |net: &Net| -> Vec<_> {
        let mark = |(_, event): &(_, Event)| match event {
            Event::Congested { peer } => Some(("congested", *peer)),
            Event::Drained { peer } => Some(("drained", *peer)),
            _ => None,
        };
        net.events.iter().filter_map(mark).collect()
    };
    let mut sent = 0;
    while marks(&net).is_empty() {
        send(&mut net, 0, 4_096);
        sent += 1;
        assert!(sent < 100);
    }
    assert_eq!(marks(&net), [("congested", peer(2))]);
    net.stuck.clear();
    while net.mesh(HOST).stats(peer(2)).is_some_and(|stats| stats.outstanding > 0) {
        let bytes = net.mesh(HOST).stats(peer(2)).expect("connected").outstanding;
        net.tell(peer(HOST), peer(2), ConnectionEvent::Acked(bytes));
        net.settle();
    }
    assert_eq!(marks(&net), [("congested", peer(2)), ("drained", peer(2))]);
}

#[test]
fn who_cannot_be_reached_is_not_slow() {
    let mut net = broadcast(quiet(Topology::Broadcast));
    net.run_for(ms(100));
    // More than may be in flight waits for 2, and his path is gone for three seconds.
    net.stuck = vec![(peer(HOST), peer(2)), (peer(2), peer(HOST))];
    net.cut = net.stuck.clone();
    for byte in 0..12 {
        send(&mut net, byte, 4_096);
        consume(&mut net, 3, 1, 4_096);
    }
    net.tell(peer(HOST), peer(2), ConnectionEvent::Path { up: false });
    net.tell(peer(2), peer(HOST), ConnectionEvent::Path { up: false });
    net.mute = net.cut.clone();
    net.run_for(ms(2_500));
    send(&mut net, 12, 4_096);
    net.run_for(ms(500));
    net.cut.clear();
    net.stuck.clear();
    net.mute.clear();
    let outstanding = net.mesh(HOST).stats(peer(2)).expect("not given up").outstanding;
    net.tell(peer(HOST), peer(2), ConnectionEvent::Path { up: true });
    net.tell(peer(2), peer(HOST), ConnectionEvent::Path { up: true });
    net.tell(peer(HOST), peer(2), ConnectionEvent::Acked(outstanding));
    net.run_for(ms(1_500));
    assert!(net.connected(2, HOST));
    assert_eq!(net.mesh(HOST).mesh_stats().evicted, 0);
    // What this network lost is lost; all that waited has come, and in order.
    let came = data(&net, 2);
    assert!(came.len() > 4 && came.ends_with(&[11, 12]), "{came:?}");
    assert!(came.windows(2).all(|two| two[1] == two[0] + 1), "{came:?}");
}

#[test]
fn goodbye_goes_before_what_waits() {
    let mut net = broadcast(quiet(Topology::Broadcast));
    net.run_for(ms(100));
    net.stuck = vec![(peer(HOST), peer(2))];
    // The window is full, and a control packet waits before the goodbye.
    for byte in 0..20 {
        send(&mut net, byte, 4_096);
    }
    let now = net.now;
    let request = Control::KeyframeRequest { stream: StreamId::VIDEO };
    net.mesh(HOST).send_control(now, peer(2), request);
    net.settle();
    net.events.clear();
    net.mesh(HOST).hang_up(now, peer(2), paceline_mesh::framing::ByeReason::Leaving);
    net.settle();
    let heard = net.events.iter().any(|(at, event)| {
        *at == peer(2) && matches!(event, Event::Gone { reason: GoneReason::Bye(_), .. })
    });
    assert!(heard, "{:?}", net.events.len());
}

#[test]
fn a_stream_that_is_off_is_shown_to_no_newcomer() {
    let mut net = Net::with(&[HOST, 2], quiet(Topology::Broadcast));
    show(&mut net, 0, true);
    net.mesh(HOST).forget_stream(StreamId::VIDEO);
    net.connect(2, HOST);
    assert_eq!(shown(&net, 2), []);
}
