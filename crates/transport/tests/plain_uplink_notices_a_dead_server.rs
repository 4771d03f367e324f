//! Reports are the only sign of life that a plain uplink has.
#![allow(clippy::disallowed_methods, reason = "the edge of the network reads the clock")]
#![cfg(feature = "srtp")]

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use paceline_transport::types::{Bitrate, ConnectionEvent, PacketKind};
use paceline_transport::{
    CryptoSuite, PlainUplink, PlainUplinkConfig, SrtpKey, TrackKind, UplinkError, UplinkTrack,
};
use shared::marshal::Marshal;
use tokio::net::UdpSocket;
use tokio::time::{interval, timeout};

const WATCHDOG: Duration = Duration::from_secs(10);
const CAMERA: u32 = 0x1111;

fn key(fill: u8) -> SrtpKey {
    SrtpKey::new(CryptoSuite::AesCm128HmacSha1_80, &[fill; 30]).expect("30 bytes")
}

fn config(to: SocketAddr, local: u8, remote: u8) -> PlainUplinkConfig {
    let track = UplinkTrack::new(TrackKind::Video, "video/VP8", 90_000, 96, CAMERA);
    PlainUplinkConfig::new(to, key(local), key(remote)).track(track)
}

fn packet(seq: u16) -> Bytes {
    let mut packet = rtp::packet::Packet::default();
    packet.header.version = 2;
    packet.header.payload_type = 96;
    packet.header.ssrc = CAMERA;
    packet.header.sequence_number = seq;
    packet.payload = Bytes::from_static(&[7; 100]);
    packet.marshal().expect("a packet").freeze()
}

/// Sends until there is an event of another kind than RTCP or a target.
async fn event(uplink: &mut PlainUplink, seq: &mut u16) -> ConnectionEvent {
    let mut tick = interval(Duration::from_millis(10));
    let sending = async {
        loop {
            tokio::select! {
                _ = tick.tick() => {
                    *seq += 1;
                    // Refused when it is over, which is told.
                    let _ = uplink.try_send(Instant::now(), PacketKind::Rtp, packet(*seq));
                }
                () = uplink.ready() => {}
            }
            match uplink.poll_event() {
                None | Some(ConnectionEvent::Rtcp(_) | ConnectionEvent::Target(_)) => {}
                Some(event) => return event,
            }
        }
    };
    timeout(WATCHDOG, sending).await.expect("an event in time")
}

#[tokio::test]
async fn silence_is_a_path_that_is_down_until_a_report_comes_and_then_the_end() {
    let server = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
    let config = config(server.local_addr().expect("bound"), 1, 2)
        .report_timeout(Duration::from_millis(400))
        .path_timeout(Duration::from_millis(4_600));
    let mut uplink = PlainUplink::new(config);
    let mut seq = 0;
    assert_eq!(event(&mut uplink, &mut seq).await, ConnectionEvent::Open);
    let down = ConnectionEvent::Path { up: false };
    assert_eq!(event(&mut uplink, &mut seq).await, down);
    // Its own packets come back, and a report under another key: nothing of that counts.
    let mut buffer = [0; 2_000];
    let (len, from) = server.recv_from(&mut buffer).await.expect("a packet");
    server.send_to(&buffer[..len], from).await.expect("sent");
    for (fill, back) in [(3, false), (2, true)] {
        let mut theirs = PlainUplink::new(self::config(from, fill, 1));
        theirs.ready().await;
        let report = [&[0x80, 201, 0, 1][..], &CAMERA.to_be_bytes()].concat();
        theirs.try_send(Instant::now(), PacketKind::Rtcp, report.into()).expect("taken");
        theirs.shutdown().await;
        if back {
            let up = ConnectionEvent::Path { up: true };
            assert_eq!(event(&mut uplink, &mut seq).await, up);
        }
    }
    assert_eq!(event(&mut uplink, &mut seq).await, down);
    let ConnectionEvent::Closed { reason } = event(&mut uplink, &mut seq).await else {
        panic!("an end")
    };
    assert_eq!(reason, "no report from the server for 5 s");
    let late = uplink.try_send(Instant::now(), PacketKind::Rtp, packet(seq));
    assert_eq!(late, Err(UplinkError::NotOpen));
    uplink.shutdown().await;
}

#[tokio::test]
async fn what_is_shut_down_once_more_stays_so_and_bounds_hold_from_the_start() {
    let [start, min, max] = [5_000, 100, 2_000].map(Bitrate::from_kbps);
    let to = "127.0.0.1:9".parse().expect("an address");
    let mut uplink = PlainUplink::new(config(to, 1, 2).bitrates(start, min, max));
    timeout(WATCHDOG, uplink.ready()).await.expect("it opens");
    assert_eq!(uplink.poll_event(), Some(ConnectionEvent::Open));
    assert_eq!(uplink.poll_event(), Some(ConnectionEvent::Target(max)));
    for _ in 0..3 {
        uplink.shutdown().await;
    }
}
