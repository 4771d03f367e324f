//! Connections with RTP, busy and attacked.
#![allow(clippy::disallowed_methods, reason = "the edge of the network reads the clock")]
#![cfg(feature = "webrtc")]

mod pair;

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use paceline_transport::types::{ConnectionOp, Signal};
use pair::packet::{STREAMS, parse, rtp, source};
use pair::{A, Pair, WATCHDOG, rtp_config};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn targets_are_told_while_media_flows_and_grow() {
    let mut pair = Pair::rtp(None).await;
    let (stream, payload_type) = STREAMS[0];
    let mut tick = tokio::time::interval(Duration::from_millis(5));
    let mut seq = 0_u16;
    let work = async {
        while pair.a.targets.iter().max() <= pair.a.targets.first() {
            tokio::select! {
                _ = tick.tick() => {
                    // 2 Mbit/s, and the path takes far more.
                    let packet =
                        rtp(source(A, stream), payload_type, seq, u32::from(seq), &[1; 1_150]);
                    pair.a.send_rtp(packet).expect("room");
                    seq += 1;
                }
                () = pair.turn() => pair.bring(),
            }
        }
    };
    tokio::time::timeout(WATCHDOG, work).await.expect("no target");
    pair.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn media_that_nobody_takes_is_dropped_and_does_not_stall_messages() {
    let config = rtp_config().event_queue(64);
    let mut pair = Pair::new(config, None).opened().await;
    let (stream, payload_type) = STREAMS[0];
    let mut seq = 0_u16;
    // B is not read from: until its queue has had to drop.
    let flood = async {
        while pair.b.transport.rtp_stats(A).expect("it carries RTP").dropped < 100 {
            // What finds the way out full is refused.
            if pair.a.send_rtp(rtp(source(A, stream), payload_type, seq, 1, &[1; 200])).is_ok() {
                seq = seq.wrapping_add(1);
            }
            tokio::task::yield_now().await;
        }
    };
    let flooded = tokio::time::timeout(WATCHDOG, flood).await;
    let stats = [pair.a.transport.rtp_stats(pair::B), pair.b.transport.rtp_stats(A)];
    flooded.unwrap_or_else(|_| panic!("nothing is dropped: {stats:?}"));
    pair.a.send("still here").expect("room");
    let acked = async {
        while pair.a.acked == 0 {
            pair.a.transport.ready().await;
            pair.a.drain();
        }
    };
    tokio::time::timeout(WATCHDOG, acked).await.expect("the message is stalled");
    pair.until(|_, b| b.messages.len() == 1).await;
    // What came is there or is counted as dropped: once what the engine still held has gone
    // one way or the other, which nothing tells of.
    let mut tick = tokio::time::interval(Duration::from_millis(5));
    let settled = async {
        while pair.b.transport.rtp_stats(A).map(|stats| stats.received)
            != Some(pair.b.rtp.len() as u64)
        {
            tokio::select! {
                _ = tick.tick() => {}
                () = pair.turn() => pair.bring(),
            }
        }
    };
    let settled = tokio::time::timeout(WATCHDOG, settled).await;
    let stats = pair.b.transport.rtp_stats(A);
    settled.unwrap_or_else(|_| panic!("{} came: {stats:?}", pair.b.rtp.len()));
    pair.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rtp_and_rtcp_of_strangers_are_not_noticed() {
    let mut pair = Pair::new(rtp_config(), None);
    let mut targets: Vec<SocketAddr> = Vec::new();
    pair.a.apply(ConnectionOp::Call);
    let opening = async {
        while !(pair.a.open && pair.b.open) {
            pair.turn().await;
            for signal in pair.a.signals.iter().chain(&pair.b.signals) {
                let Signal::Candidate { candidate, .. } = signal else { continue };
                let words: Vec<&str> = candidate.split(' ').collect();
                if let [_, _, _, _, ip, port, ..] = words[..] {
                    targets.extend(format!("{ip}:{port}").parse::<SocketAddr>().ok());
                }
            }
            pair.bring();
        }
    };
    tokio::time::timeout(WATCHDOG, opening).await.expect("it does not open");
    assert!(targets.len() >= 2, "{targets:?}");
    let stranger = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let (stream, payload_type) = STREAMS[0];
    let mut seed = 1_u32;
    for seq in 0..300_u16 {
        for second in [96_u8, 111, 200, 201, 203, 205, 206, 207, 223] {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let mut datagram: Vec<u8> =
                (0..(seed >> 24)).map(|at| (seed >> (at % 24)) as u8).collect();
            datagram.splice(0..0, [0x80 | (seed >> 20) as u8 & 0x3F, second]);
            if seq % 2 == 0 {
                // As much as a stranger can know: the sources.
                let known = rtp(source(A, stream), payload_type, seq, 1, &datagram);
                datagram = known.to_vec();
            }
            for target in &targets {
                stranger.send_to(&datagram, target).expect("sent");
            }
        }
        let payload = [seq as u8; 100];
        let packet = rtp(source(A, stream), payload_type, seq, u32::from(seq), &payload);
        pair.a.send_rtp(packet).expect("room");
        let heard = usize::from(seq) + 1;
        pair.until(|_, b| b.rtp.len() == heard).await;
    }
    for (seq, packet) in (0..).zip(&pair.b.rtp) {
        let parsed = parse(packet);
        assert_eq!((parsed.seq, &parsed.payload[..]), (seq, &[seq as u8; 100][..]));
    }
    assert!(pair.b.rtcp.iter().all(|compound| compound[1] == 201), "only reports of the chain");
    assert_eq!((&pair.a.closed, &pair.b.closed), (&None, &None));
    pair.shutdown().await;
}
