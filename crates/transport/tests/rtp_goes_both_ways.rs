//! Media beside the channel, as RTP.
#![allow(clippy::disallowed_methods, reason = "the edge of the network reads the clock")]
#![cfg(feature = "webrtc")]

mod pair;

use std::time::Duration;

use bytes::Bytes;
use paceline_transport::types::{ConnectionOp, Signal};
use paceline_transport::{SendError, WebRtcConfig};
use pair::packet::{STREAMS, full_intra_request, parse, picture_loss, rtp, sender_report, source};
use pair::{A, B, Pair, numbered, rtp_config};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn packets_of_all_four_streams_arrive_both_ways_as_they_were() {
    let mut pair = Pair::rtp(None).await;
    for (seq, frame) in (65_500_u16..=65_535).chain(0..64).zip(999_950..) {
        for (stream, payload_type) in STREAMS {
            let payload: Vec<u8> = (0..1_100).map(|at| (at as u16 ^ seq) as u8).collect();
            let packet = rtp(source(A, stream), payload_type, seq, frame, &payload);
            pair.a.send_rtp(packet).expect("room");
            let packet = rtp(source(B, stream), payload_type, seq, frame, &payload);
            pair.b.send_rtp(packet).expect("room");
        }
        let all = 4 * (usize::from(seq.wrapping_sub(65_500)) + 1);
        pair.until(|a, b| a.rtp.len() == all && b.rtp.len() == all).await;
    }
    for (side, from) in [(&pair.a, B), (&pair.b, A)] {
        for (at, packet) in side.rtp.iter().enumerate() {
            let (stream, payload_type) = STREAMS[at % 4];
            let seq = 65_500_u16.wrapping_add((at / 4) as u16);
            let frame = 999_950 + at as u32 / 4;
            let payload: Vec<u8> = (0..1_100).map(|at| (at as u16 ^ seq) as u8).collect();
            let sent = rtp(source(from, stream), payload_type, seq, frame, &payload);
            assert_eq!(parse(packet), parse(&sent), "packet {at}");
        }
        let stats = side.transport.rtp_stats(from).expect("it carries RTP");
        assert_eq!((stats.received, stats.sent), (400, 400), "{stats:?}");
        assert_eq!((stats.dropped, stats.foreign, stats.retransmitted), (0, 0, 0), "{stats:?}");
    }
    pair.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reports_and_requests_for_pictures_arrive() {
    let mut pair = Pair::rtp(None).await;
    let (video, by) = (source(A, STREAMS[0].0), source(B, STREAMS[0].0));
    let sent: [(bool, Bytes); 3] = [
        (true, sender_report(video, 0x0123_4567_89AB_CDEF)),
        (false, picture_loss(by, video)),
        (false, full_intra_request(by, video, 7)),
    ];
    for (by_a, compound) in sent {
        let side = if by_a { &mut pair.a } else { &mut pair.b };
        side.send_rtcp(compound.clone()).expect("room");
        pair.until(|a, b| if by_a { !b.rtcp.is_empty() } else { !a.rtcp.is_empty() }).await;
        let side = if by_a { &mut pair.b } else { &mut pair.a };
        assert_eq!(side.rtcp.drain(..).collect::<Vec<_>>(), [compound]);
    }
    pair.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_of_our_sources_is_refused() {
    let mut pair = Pair::rtp(None).await;
    let (stream, payload_type) = STREAMS[0];
    let refused = Err(SendError::Malformed);
    assert_eq!(pair.a.send_rtp(rtp(source(B, stream), payload_type, 1, 1, b"his")), refused);
    assert_eq!(pair.a.send_rtp(rtp(12_345, payload_type, 1, 1, b"nobody's")), refused);
    assert_eq!(pair.a.send_rtp(Bytes::from_static(b"no RTP")), refused);
    assert_eq!(pair.a.send_rtcp(Bytes::from_static(b"no RTCP")), refused);
    pair.shutdown().await;
    // An end that does not use the id by which it is known: nothing of it is taken.
    let mut pair = Pair::of(rtp_config(), rtp_config(), None);
    pair.a.peer = A;
    pair.b.peer = A;
    let mut pair = pair.opened().await;
    pair.b.send_rtp(rtp(source(B, stream), payload_type, 1, 1, b"from a stranger")).expect("room");
    pair.b.send_rtcp(picture_loss(7, 7)).expect("room");
    let foreign = |side: &pair::Side| side.transport.rtp_stats(A).expect("it carries RTP").foreign;
    // Messages that come later tell that there was time enough.
    for number in 0..1_000 {
        if foreign(&pair.a) >= 2 {
            break;
        }
        pair.b.send(numbered(number, 100)).expect("room");
        pair.until(|a, _| a.messages.len() > number as usize).await;
    }
    assert_eq!(foreign(&pair.a), 2);
    assert!(pair.a.rtp.is_empty() && pair.a.rtcp.is_empty());
    pair.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_end_without_rtp_and_one_with_it_have_their_channel() {
    for (a, b) in [(rtp_config(), WebRtcConfig::default()), (WebRtcConfig::default(), rtp_config())]
    {
        let mut pair = Pair::of(a, b, None).opened().await;
        let (stream, payload_type) = STREAMS[1];
        for (side, of) in [(&mut pair.a, A), (&mut pair.b, B)] {
            let packet = rtp(source(of, stream), payload_type, 1, 1, b"sound");
            assert_eq!(side.send_rtp(packet), Err(SendError::NotOpen));
            assert_eq!(side.send_rtcp(picture_loss(1, 1)), Err(SendError::NotOpen));
            side.send(numbered(0, 9_000)).expect("room");
        }
        pair.until(|a, b| a.messages.len() == 1 && b.messages.len() == 1).await;
        // And each can look for a path anew.
        for first in [true, false] {
            pair.a.paths.clear();
            pair.b.paths.clear();
            let side = if first { &mut pair.a } else { &mut pair.b };
            side.apply(ConnectionOp::RestartIce);
            pair.until(|a, b| [a, b].iter().all(|side| side.paths.last() == Some(&true))).await;
        }
        assert!(pair.a.targets.is_empty() && pair.b.targets.is_empty());
        pair.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_offer_has_four_sections_of_media_and_the_numbers_of_a_call() {
    let mut pair = Pair::new(rtp_config(), None);
    pair.a.apply(ConnectionOp::Call);
    pair.until(|a, b| a.open && b.open).await;
    pair.a.apply(ConnectionOp::RestartIce);
    let offer = async {
        loop {
            pair.turn().await;
            let offer = pair.a.signals.iter().find_map(|signal| match signal {
                Signal::Offer { sdp } => Some(sdp.clone()),
                _ => None,
            });
            if let Some(offer) = offer {
                return offer;
            }
        }
    };
    let offer = tokio::time::timeout(Duration::from_secs(20), offer).await.expect("an offer");
    let sections: Vec<&str> = offer.split("m=").skip(1).collect();
    let kinds: Vec<&str> = sections.iter().map(|section| &section[..5]).collect();
    assert_eq!(kinds, ["video", "audio", "video", "audio", "appli"], "{offer}");
    for section in &sections[..4] {
        assert!(section.contains("a=sendrecv"), "{section}");
        assert!(section.contains("a=extmap:8 urn:paceline:frame"), "{section}");
        assert!(section.contains("a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid"), "{section}");
        assert!(section.contains("a=extmap:5 http://www.ietf.org/id/draft-holmer"), "{section}");
        assert!(!section.contains("unused") && !section.contains("rtx/"), "{section}");
    }
    for (section, (stream, _)) in sections.iter().zip(STREAMS) {
        assert!(section.contains(&format!("a=ssrc:{} ", source(A, stream))), "{section}");
    }
    for codec in ["96 H264/90000", "97 VP8/90000", "98 VP9/90000"] {
        assert!(sections[0].contains(&format!("a=rtpmap:{codec}")), "{codec}: {}", sections[0]);
    }
    assert!(sections[1].contains("a=rtpmap:111 opus/48000/2"), "{}", sections[1]);
    pair.shutdown().await;
}
