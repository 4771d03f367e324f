//! One member does what he should not; the call of the others goes on, mostly the
//! same as far as `Perceived::resembles` tells: every count and time of the pictures,
//! and of the sound the counts to one in a hundred, and p50 and p95 of latency and
//! skew to 5 ms.

use std::time::Duration;

use paceline_framing::{Body, ByeReason, Control, Fragmenter, Packet};
use paceline_sim::types::{
    Coding, EncodedFrame, Frequency, MediaTime, NtpTime, PixelFormat, SenderId, SeqNo, Signal,
    StreamId,
};
use paceline_sim::{LinkConfig, NodeId, Perceived, Random, Report, World, WorldConfig};

/// A call of three in which `mischief` happens after five seconds, and every
/// 100 ms for another five.
fn call(link: LinkConfig, mischief: impl FnMut(&mut World, [NodeId; 3])) -> (World, [NodeId; 3]) {
    call_in(WorldConfig::default().link(link), mischief)
}

fn call_in(
    config: WorldConfig,
    mut mischief: impl FnMut(&mut World, [NodeId; 3]),
) -> (World, [NodeId; 3]) {
    let mut world = World::new(config);
    let nodes = [world.join_to_host("ann"), world.join("ben"), world.join("cal")];
    world.run_for(Duration::from_secs(5));
    for _ in 0..50 {
        mischief(&mut world, nodes);
        world.run_for(Duration::from_millis(100));
    }
    world.run_for(Duration::from_secs(10));
    (world, nodes)
}

/// How ann and ben are to each other, and to themselves.
fn undisturbed(report: &Report, [ann, ben, _]: [NodeId; 3]) -> [Perceived; 3] {
    let pairs = [(ann, ben), (ben, ann), (ben, ben)];
    pairs.map(|(us, them)| report.node(us).perceived[&them].clone())
}

fn assert_undisturbed(link: LinkConfig, world: &World, nodes: [NodeId; 3]) {
    assert_as_in(call(link, |_, _| {}), world, nodes);
}

fn assert_as_in((peaceful, same): (World, [NodeId; 3]), world: &World, nodes: [NodeId; 3]) {
    let expected = undisturbed(&peaceful.report(), same);
    assert!(expected[0].sounds.frames > 950, "{expected:?}");
    // What the host got of him, and what it made of that, is the same to the sample.
    let of_ben = |world: &World, [ann, ben, _]: [NodeId; 3]| {
        (world.sound_stats(ann, ben), world.source_stats(ann, ben))
    };
    assert_eq!(of_ben(world, nodes), of_ben(&peaceful, same));
    for (ours, peace) in undisturbed(&world.report(), nodes).iter().zip(&expected) {
        assert!(ours.resembles(peace), "{ours:?} {peace:?}");
    }
}

/// A picture of `sender`, of no time that there is: `bits` of it.
fn picture(sender: u32, width: u16, height: u16, bits: u64) -> Packet {
    let format = PixelFormat::I420;
    let frame = EncodedFrame {
        stream: StreamId::VIDEO,
        seq: SeqNo::new(bits),
        time: MediaTime::new(bits.rotate_left(20), Frequency::VIDEO),
        capture: NtpTime::from_bits(bits.rotate_left(40)),
        coding: Coding::Image { format, width, height },
        data: vec![0; format.bytes(width, height)].into(),
    };
    Packet { sender: SenderId::new(sender), epoch: None, body: Body::Media(frame) }
}

#[test]
fn garbage_is_counted_and_disturbs_nobody() {
    let mut random = Random::new(99);
    let mut sent = 0;
    let (world, nodes) = call(WAN, |world, [ann, _, cal]| {
        for len in [0, 1, 19, 20, 400, 16_384] {
            let junk: Vec<u8> = (0..len).map(|_| random.bits() as u8).collect();
            sent += u64::from(world.inject(cal, ann, junk.into()).is_ok());
        }
    });
    let [ann, ben, cal] = nodes;
    let stats = world.peer_stats(ann, cal).expect("garbage ends no connection");
    assert_eq!((stats.bad_messages, sent), (300, 300));
    assert_undisturbed(WAN, &world, nodes);
    // He even stays in the call himself.
    assert!(world.report().node(ben).perceived[&cal].sounds.frames > 950);
}

/// Ann is number 1 in the room, ben 2 and cal 3.
#[test]
fn nobody_speaks_for_another() {
    let (world, nodes) = call(WAN, |world, [ann, _, cal]| {
        let bye = Body::Control(Control::Bye { reason: ByeReason::Leaving });
        let bye = Packet { sender: SenderId::new(2), epoch: None, body: bye };
        assert_eq!(world.inject(cal, ann, bye.emit()), Ok(()));
        assert_eq!(world.inject(cal, ann, picture(2, 32, 18, 0).emit()), Ok(()));
    });
    let [ann, _, cal] = nodes;
    assert_eq!(world.peer_stats(ann, cal).map(|stats| stats.spoofed), Some(100));
    assert_undisturbed(WAN, &world, nodes);
}

#[test]
fn times_that_cannot_be_disturb_nobody() {
    let mut random = Random::new(11);
    let (world, nodes) = call(WAN, |world, [ann, _, cal]| {
        // Large and small, and three of the largest in a row.
        for bits in [random.bits() >> (random.bits() % 64), u64::MAX, u64::MAX - 1, u64::MAX - 2] {
            assert_eq!(world.inject(cal, ann, picture(3, 32, 18, bits).emit()), Ok(()));
        }
    });
    assert_undisturbed(WAN, &world, nodes);
}

#[test]
fn a_peer_that_stops_in_mid_packet_disturbs_nobody() {
    let (world, nodes) = stop(WorldConfig::default().link(WAN), true);
    let [ann, ben, cal] = nodes;
    assert!(!world.is_connected(ann, cal));
    let report = world.report();
    assert_eq!(report.node(ann).errors, 0);
    assert!(!report.node(ben).showing.contains(&cal), "his tile is gone");
    // The half of a packet makes no difference to what the others get.
    assert_as_in(stop(WorldConfig::default().link(WAN), false), &world, nodes);
}

/// That he is gone is told, and who may follow the host is told anew, which shifts the dice
/// of the network: other packets are late, then. It does not resemble a call in which he
/// stays, but over eight of them it is no worse.
#[test]
fn a_peer_that_stops_leaves_the_others_as_they_were() {
    let (mut late, mut missing) = ([[Duration::ZERO; 2]; 6], [[0; 2]; 6]);
    for seed in 1..=SEEDS {
        let config = || WorldConfig::default().seed(seed).link(WAN);
        let (world, nodes) = stop(config(), true);
        let (peaceful, same) = call_in(config(), |_, _| {});
        let ours = undisturbed(&world.report(), nodes);
        let expected = undisturbed(&peaceful.report(), same);
        for (pair, (ours, peace)) in ours.iter().zip(&expected).enumerate() {
            let tracks = [(&ours.sounds, &peace.sounds), (&ours.pictures, &peace.pictures)];
            for (kind, (ours, peace)) in tracks.into_iter().enumerate() {
                assert_eq!(ours.out_of_order, 0, "seed {seed}");
                assert!(ours.frames + 10 >= peace.frames, "seed {seed}: {ours:?} {peace:?}");
                late[2 * pair + kind][0] += ours.latency.p95 / SEEDS as u32;
                late[2 * pair + kind][1] += peace.latency.p95 / SEEDS as u32;
                missing[2 * pair + kind][0] += ours.missing;
                missing[2 * pair + kind][1] += peace.missing;
            }
        }
    }
    for (late, missing) in late.iter().zip(&missing) {
        assert!(late[0] <= late[1] + Duration::from_millis(20), "{late:?}");
        assert!(missing[0] <= missing[1] + 2 * SEEDS, "{missing:?}");
    }
}

/// Cal stops after five seconds, in mid packet or not.
fn stop(config: WorldConfig, in_mid_packet: bool) -> (World, [NodeId; 3]) {
    let mut turn = 0;
    call_in(config, |world, [ann, _, cal]| {
        if turn == 0 && in_mid_packet {
            let cut = Fragmenter::new(16_384).cut(&picture(3, 160, 90, 7));
            assert!(cut.messages().len() > 1);
            assert_eq!(world.inject(cal, ann, cut.messages()[0].clone()), Ok(()));
        } else if turn == 1 {
            world.isolate(cal);
        }
        turn += 1;
    })
}

#[test]
fn signals_that_nobody_asked_for_disturb_nobody() {
    let (world, nodes) = call(WAN, |world, [ann, ben, cal]| {
        let sdp = "v=0\r\ns=-\r\n".to_owned();
        let candidate = Signal::Candidate {
            candidate: "candidate:1 1 udp 1 192.0.2.1 9 typ host".to_owned(),
            mid: "0".to_owned(),
            mline_index: 0,
            ufrag: String::new(),
        };
        // A guest calls a guest, and the host gets half a handshake.
        world.signal(cal, ben, Signal::Offer { sdp: sdp.clone() });
        world.signal(cal, ben, Signal::Answer { sdp: sdp.clone() });
        world.signal(cal, ben, candidate.clone());
        world.signal(cal, ann, Signal::Answer { sdp });
        world.signal(cal, ann, candidate);
    });
    let [ann, _, cal] = nodes;
    assert!(world.is_connected(ann, cal));
    assert_undisturbed(WAN, &world, nodes);
}

/// An offer replaces the connection there is; this one makes none, and the caller
/// calls anew. The network draws no dice here, for telling the others of the new
/// layout would shift them.
#[test]
fn an_offer_of_nonsense_to_the_host_is_ones_own_loss() {
    let steady = LinkConfig::wan().jitter(Duration::ZERO).loss(0.0);
    let mut turn = 0;
    let (world, nodes) = call(steady, |world, [ann, _, cal]| {
        if turn == 0 {
            world.signal(cal, ann, Signal::Offer { sdp: "v=0\r\n".to_owned() });
        } else if turn == 1 {
            assert!(!world.is_connected(ann, cal));
        }
        turn += 1;
    });
    let [ann, _, cal] = nodes;
    assert!(world.is_connected(ann, cal) && world.is_connected(cal, ann));
    assert_undisturbed(steady, &world, nodes);
}

const WAN: LinkConfig = LinkConfig::wan();

/// Calls over which what the dice do evens out.
const SEEDS: u64 = 8;
