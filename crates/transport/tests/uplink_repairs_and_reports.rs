//! What the other end asks for and reports.
#![allow(clippy::disallowed_methods, reason = "the edge of the network reads the clock")]
#![cfg(feature = "webrtc")]

mod sfu;

use std::time::{Duration, Instant};

use paceline_transport::types::PacketKind;
use rtcp::payload_feedbacks::full_intra_request::{FirEntry, FullIntraRequest};
use rtcp::payload_feedbacks::picture_loss_indication::PictureLossIndication;
use rtcp::sender_report::SenderReport;
use rtcp::transport_feedbacks::transport_layer_nack::{NackPair, TransportLayerNack};
use sfu::*;

#[tokio::test]
async fn five_percent_of_loss_leaves_nothing_missing_and_the_repairs_are_counted_too() {
    const PACKETS: u16 = 1_500;
    let sfu = Sfu::new(Behaviour { loss: 5, ..Behaviour::default() }).await;
    let mut sender = Sender::open(config(), &sfu).await;
    let (mut seq, seen) = (0, sfu.seen.clone());
    sender
        .send_until(
            Duration::from_millis(2),
            || {
                // The last ones are followed by more, or nobody would know that they are missing.
                seq += 1;
                (seq <= PACKETS + 200).then(|| packet(CAMERA_TYPE, CAMERA, seq))
            },
            |_| {
                let camera = seen.lock().unwrap().camera();
                (1..=PACKETS).all(|seq| camera.contains(&seq))
            },
        )
        .await;
    {
        let seen = sfu.seen.lock().unwrap();
        let direct = seen.of(CAMERA).len();
        let repaired = seen.repaired();
        assert!(!repaired.is_empty() && direct < usize::from(seq.min(PACKETS + 200)));
        for rtx in seen.of(CAMERA_RTX) {
            assert_eq!(rtx.header.payload_type, CAMERA_RTX_TYPE);
            // So congestion control knows of it.
            assert!(rtx.header.get_extension(5).is_some());
            assert_eq!(rtx.header.get_extension(1).as_deref(), Some(&b"0"[..]));
            let original = u16::from_be_bytes([rtx.payload[0], rtx.payload[1]]);
            assert_eq!(rtx.payload[2..], vec![original as u8; 900]);
            assert_eq!(rtx.header.timestamp, 3_000 * u32::from(original));
        }
        let stats = sender.uplink.stats();
        assert!(stats.retransmissions >= repaired.len() as u64, "{stats:?}");
        println!("{} repaired with {} packets: {stats:?}", repaired.len(), stats.retransmissions);
    }
    sender.uplink.shutdown().await;
}

#[tokio::test]
async fn without_a_stream_for_retransmissions_the_same_packet_comes_again() {
    let sfu = Sfu::new(Behaviour { rtx: false, ..Behaviour::default() }).await;
    let track = paceline_transport::UplinkTrack::new(
        paceline_transport::TrackKind::Video,
        "video/H264",
        90_000,
        CAMERA_TYPE,
        CAMERA,
    )
    .fmtp("level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f");
    let config = paceline_transport::UplinkConfig::default().track(track);
    let mut sender = Sender::open(config, &sfu).await;
    let (mut seq, seen) = (0, sfu.seen.clone());
    let ask = |seq| TransportLayerNack {
        sender_ssrc: 1,
        media_ssrc: CAMERA,
        nacks: vec![NackPair { packet_id: seq, lost_packets: 0 }],
    };
    let next = || {
        seq += 1;
        (seq <= 20).then(|| packet(CAMERA_TYPE, CAMERA, seq))
    };
    sender
        .send_until(Duration::from_millis(1), next, |_| seen.lock().unwrap().rtp.len() == 20)
        .await;
    // What did arrive is refused by SRTP's protection against replays: so the count says it.
    sfu.send(ask(7));
    sender
        .send_until(Duration::from_millis(5), || None, |s| s.uplink.stats().retransmissions == 1)
        .await;
    sfu.send(ask(4_000));
    sender
        .send_until(Duration::from_millis(5), || None, |s| s.uplink.stats().not_retransmitted == 1)
        .await;
    assert_eq!(sender.uplink.stats().retransmissions, 1);
    sender.uplink.shutdown().await;
}

#[tokio::test]
async fn requests_for_a_keyframe_reach_the_owner_and_requests_for_packets_do_not() {
    let sfu = Sfu::new(Behaviour::default()).await;
    let mut sender = Sender::open(config(), &sfu).await;
    sender.established(&sfu).await;
    sfu.send(TransportLayerNack {
        sender_ssrc: 1,
        media_ssrc: CAMERA,
        nacks: vec![NackPair { packet_id: 1, lost_packets: 0 }],
    });
    sfu.send(PictureLossIndication { sender_ssrc: 1, media_ssrc: CAMERA });
    sfu.send(FullIntraRequest {
        sender_ssrc: 1,
        media_ssrc: CAMERA,
        fir: vec![FirEntry { ssrc: CAMERA, sequence_number: 9 }],
    });
    let is = |packet: &dyn rtcp::Packet| {
        let any = packet.as_any();
        let pli = any.downcast_ref::<PictureLossIndication>();
        let fir = any.downcast_ref::<FullIntraRequest>();
        (
            pli.is_some_and(|pli| pli.media_ssrc == CAMERA),
            fir.is_some_and(|fir| fir.fir[0].sequence_number == 9),
        )
    };
    sender
        .until("request", |sender| {
            sender.rtcp.iter().any(|packet| is(&**packet).0)
                && sender.rtcp.iter().any(|packet| is(&**packet).1)
        })
        .await;
    assert!(!sender.rtcp.iter().any(|packet| packet.as_any().is::<TransportLayerNack>()));
    sender.uplink.shutdown().await;
}

#[tokio::test]
async fn our_sender_reports_arrive_and_what_comes_back_tells_the_round_trip() {
    let sfu = Sfu::new(Behaviour::default()).await;
    let mut sender = Sender::open(config(), &sfu).await;
    let (mut seq, mut reported) = (0, Instant::now());
    let begun = Instant::now();
    let report = |ntp_time| {
        let report = SenderReport { ssrc: CAMERA, ntp_time, ..SenderReport::default() };
        rtcp::packet::marshal(&[Box::new(report)]).expect("a report").freeze()
    };
    sender
        .send_until(
            Duration::from_millis(2),
            || {
                seq += 1;
                Some(packet(CAMERA_TYPE, CAMERA, seq))
            },
            |sender| {
                if reported.elapsed() > Duration::from_millis(50) {
                    reported = Instant::now();
                    let ntp = (begun.elapsed().as_micros() as u64) << 12;
                    let sent = sender.uplink.try_send(reported, PacketKind::Rtcp, report(ntp));
                    sent.expect("taken");
                }
                sender.uplink.stats().rtt.is_some()
            },
        )
        .await;
    let rtt = sender.uplink.stats().rtt.expect("known");
    println!("{rtt:?} on loopback");
    assert!(rtt > Duration::ZERO && rtt < begun.elapsed(), "{rtt:?}");
    let seen = sfu.seen.lock().unwrap();
    assert!(seen.rtcp.iter().any(|packet| packet.as_any().is::<SenderReport>()));
}

#[tokio::test]
async fn feedback_on_each_packet_raises_the_target_of_a_path_that_takes_more() {
    let sfu = Sfu::new(Behaviour::default()).await;
    let mut sender = Sender::open(config(), &sfu).await;
    let mut seq = 0;
    sender
        .send_until(
            Duration::from_millis(4),
            || {
                seq += 1;
                Some(packet(CAMERA_TYPE, CAMERA, seq))
            },
            |sender| sender.targets.iter().any(|target| *target > 1_100_000),
        )
        .await;
    assert_eq!(sender.targets[0], 1_000_000, "it begins with what was configured");
    let newest = *sender.targets.last().expect("some");
    assert_eq!(sender.uplink.stats().target.bps(), newest);
    sender.uplink.shutdown().await;
}

#[tokio::test]
async fn silence_halves_the_target_and_that_is_told_though_nothing_more_is_sent() {
    let sfu = Sfu::new(Behaviour::default()).await;
    let mut sender = Sender::open(config(), &sfu).await;
    let mut seq = 0;
    let mut next = || {
        seq += 1;
        Some(packet(CAMERA_TYPE, CAMERA, seq))
    };
    let has_grown = |sender: &mut Sender| sender.targets.iter().any(|target| *target > 1_100_000);
    sender.send_until(Duration::from_millis(4), &mut next, has_grown).await;
    sfu.silent(true);
    let before = *sender.targets.last().expect("some");
    // For 0.4 s: one burst that nobody tells of says nothing.
    let enough = sender.uplink.stats().packets + 80;
    let sent = |sender: &mut Sender| sender.uplink.stats().packets >= enough;
    sender.send_until(Duration::from_millis(5), &mut next, sent).await;
    let halved =
        |sender: &mut Sender| sender.targets.last().is_some_and(|now| *now < before * 6 / 10);
    sender.until("lower target", halved).await;
    let newest = *sender.targets.last().expect("some");
    assert!(newest > before * 4 / 10, "{newest} after {before}");
    assert_eq!(sender.uplink.stats().target.bps(), newest);
    sender.uplink.shutdown().await;
}

#[tokio::test]
async fn the_first_target_is_within_its_bounds() {
    let sfu = Sfu::new(Behaviour::default()).await;
    let [start, min, max] = [5_000, 100, 2_000].map(paceline_transport::types::Bitrate::from_kbps);
    let mut sender = Sender::open(config().bitrates(start, min, max), &sfu).await;
    sender.until("target", |sender| !sender.targets.is_empty()).await;
    assert_eq!((sender.targets[0], sender.uplink.stats().target), (2_000_000, max));
    sender.uplink.shutdown().await;
}
