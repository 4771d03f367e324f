//! What an uplink offers, and what then arrives.
#![allow(clippy::disallowed_methods, reason = "the edge of the network reads the clock")]
#![cfg(feature = "webrtc")]

mod sfu;

use std::time::{Duration, Instant};

use bytes::Bytes;
use paceline_transport::types::PacketKind;
use paceline_transport::{UplinkError, UplinkLimits};
use sfu::*;

/// Section by section: payload types, sources, extensions.
fn lines<'a>(sdp: &'a str, section: &str) -> Vec<&'a str> {
    let from = sdp.find(&format!("m={section}")).expect("a section");
    let rest = &sdp[from + 2..];
    rest[..rest.find("\r\nm=").unwrap_or(rest.len())].lines().collect()
}

#[tokio::test]
async fn packets_arrive_as_the_configuration_says() {
    for (lite, dtls_client) in [(true, true), (true, false), (false, true), (false, false)] {
        let sfu = Sfu::new(Behaviour { lite, dtls_client, ..Behaviour::default() }).await;
        let begun = Instant::now();
        let mut sender = Sender::open(config(), &sfu).await;
        println!("lite {lite}, DTLS client {dtls_client}: open in {:?}", begun.elapsed());
        let offer = &sender.offers[0];
        assert!(offer.contains("a=setup:actpass") && !offer.contains("a=candidate"), "{offer}");
        let (video, audio) = (lines(offer, "video"), lines(offer, "audio"));
        for section in [&video, &audio] {
            for line in [
                "a=sendonly",
                "a=rtcp-mux",
                "a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid",
                "a=extmap:4 http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time",
                "a=extmap:5 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01",
            ] {
                assert!(section.contains(&line), "{line}: {section:#?}");
            }
            assert_eq!(section.iter().filter(|line| line.starts_with("a=extmap:")).count(), 3);
        }
        for line in [
            "a=rtpmap:96 H264/90000",
            "a=rtpmap:97 rtx/90000",
            "a=fmtp:97 apt=96",
            &format!("a=ssrc-group:FID {CAMERA} {CAMERA_RTX}"),
        ] {
            assert!(video.contains(&line), "{line}: {video:#?}");
        }
        assert!(audio.iter().any(|line| line.starts_with(&format!("a=ssrc:{VOICE} "))));

        let (mut seq, sfu_seen) = (0, sfu.seen.clone());
        sender
            .send_until(
                Duration::from_millis(2),
                || {
                    seq += 1;
                    Some(match seq % 2 {
                        0 => packet(CAMERA_TYPE, CAMERA, seq / 2),
                        _ => packet(VOICE_TYPE, VOICE, seq / 2),
                    })
                },
                |_| {
                    let seen = sfu_seen.lock().unwrap();
                    seen.of(CAMERA).len() > 20 && seen.of(VOICE).len() > 20
                },
            )
            .await;
        {
            let seen = sfu.seen.lock().unwrap();
            let mut numbers = Vec::new();
            for (ssrc, payload_type, mid) in [(CAMERA, CAMERA_TYPE, "0"), (VOICE, VOICE_TYPE, "1")]
            {
                for packet in seen.of(ssrc) {
                    let header = &packet.header;
                    assert_eq!(header.payload_type, payload_type);
                    assert_eq!(header.get_extension(1).as_deref(), Some(mid.as_bytes()));
                    assert_eq!(header.get_extension(4).map(|time| time.len()), Some(3));
                    let number = header.get_extension(5).expect("a transport-wide number");
                    numbers.push(u16::from_be_bytes([number[0], number[1]]));
                    assert_eq!(packet.payload, vec![header.sequence_number as u8; 900]);
                }
            }
            numbers.sort_unstable();
            assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1), "{numbers:?}");
        }
        sender.uplink.shutdown().await;
    }
}

#[tokio::test]
async fn what_no_track_agreed_on_is_refused_here_and_a_full_queue_says_so() {
    let sfu = Sfu::new(Behaviour::default()).await;
    let config = config().limits(UplinkLimits::default().queue(4));
    let mut sender = Sender::open(config, &sfu).await;
    let now = Instant::now();
    let mut send = |kind, bytes| sender.uplink.try_send(now, kind, bytes);
    let wrong = packet(CAMERA_TYPE + 9, CAMERA, 1);
    assert_eq!(send(PacketKind::Rtp, wrong), Err(UplinkError::UnknownTrack));
    let wrong = packet(CAMERA_TYPE, CAMERA + 9, 1);
    assert_eq!(send(PacketKind::Rtp, wrong), Err(UplinkError::UnknownTrack));
    assert_eq!(send(PacketKind::Rtp, Bytes::from_static(b"nonsense")), Err(UplinkError::Malformed));
    assert_eq!(send(PacketKind::Rtp, vec![0x80; 2_000].into()), Err(UplinkError::TooLarge));
    // Nothing runs in between: this is one turn of one thread.
    for seq in 0..10 {
        let taken = send(PacketKind::Rtp, packet(CAMERA_TYPE, CAMERA, seq));
        assert_eq!(taken.is_ok(), seq < 4, "{seq}: {taken:?}");
    }
    let stats = sender.uplink.stats();
    assert_eq!((stats.refused, stats.waiting), (6, 4));
    let seen = sfu.seen.clone();
    sender
        .send_until(Duration::from_millis(5), || None, |_| seen.lock().unwrap().rtp.len() >= 4)
        .await;
    assert_eq!(sender.uplink.stats().packets, 4);
    sender.uplink.shutdown().await;
    let late = sender.uplink.try_send(now, PacketKind::Rtp, packet(CAMERA_TYPE, CAMERA, 11));
    assert_eq!(late, Err(UplinkError::NotOpen));
}
