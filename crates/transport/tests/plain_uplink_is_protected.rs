//! SRTP to a server that was told the keys, and its SRTCP back.
#![allow(clippy::disallowed_methods, reason = "the edge of the network reads the clock")]
#![cfg(feature = "srtp")]

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use paceline_transport::types::{Bitrate, ConnectionEvent, PacketKind};
use paceline_transport::{
    CryptoSuite, PlainUplink, PlainUplinkConfig, SrtpKey, TrackKind, UplinkError, UplinkTrack,
};
use rtcp::payload_feedbacks::picture_loss_indication::PictureLossIndication;
use rtcp::receiver_report::ReceiverReport;
use rtcp::reception_report::ReceptionReport;
use rtcp::transport_feedbacks::transport_layer_nack::{NackPair, TransportLayerNack};
use shared::marshal::{Marshal, Unmarshal};
use srtp::context::Context;
use srtp::protection_profile::ProtectionProfile;
use tokio::net::UdpSocket;

const WATCHDOG: Duration = Duration::from_secs(10);
const CAMERA: u32 = 0x1111;
const SUITES: [(CryptoSuite, ProtectionProfile); 4] = [
    (CryptoSuite::AeadAes128Gcm, ProtectionProfile::AeadAes128Gcm),
    (CryptoSuite::AeadAes256Gcm, ProtectionProfile::AeadAes256Gcm),
    (CryptoSuite::AesCm128HmacSha1_32, ProtectionProfile::Aes128CmHmacSha1_32),
    (CryptoSuite::AesCm128HmacSha1_80, ProtectionProfile::Aes128CmHmacSha1_80),
];

fn key(suite: CryptoSuite, fill: u8) -> SrtpKey {
    let (key, salt) = suite.lengths();
    SrtpKey::new(suite, &vec![fill; key + salt]).expect("the right length")
}

fn context((suite, profile): (CryptoSuite, ProtectionProfile), fill: u8) -> Context {
    let (key, salt) = suite.lengths();
    let provider = srtp::crypto::default_provider().expect("built in");
    let (key, salt) = (vec![fill; key], vec![fill; salt]);
    Context::new(&key, &salt, profile, None, None, provider.crypto()).expect("a context")
}

fn packet(seq: u16) -> Bytes {
    let mut packet = rtp::packet::Packet::default();
    packet.header.version = 2;
    packet.header.payload_type = 96;
    packet.header.ssrc = CAMERA;
    packet.header.sequence_number = seq;
    packet.payload = Bytes::from(vec![seq as u8; 700]);
    packet.marshal().expect("a packet").freeze()
}

/// Both ends: the server reads what the uplink sends, and answers where it came from.
struct Pair {
    uplink: PlainUplink,
    server: UdpSocket,
    opens: Context,
    seals: Context,
    from: SocketAddr,
}

impl Pair {
    async fn new(suite: (CryptoSuite, ProtectionProfile), rtx: bool) -> Self {
        let server = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
        let track = UplinkTrack::new(TrackKind::Video, "video/VP8", 90_000, 96, CAMERA);
        let track = if rtx { track.rtx(97, CAMERA + 1) } else { track };
        let to = server.local_addr().expect("bound");
        let config = PlainUplinkConfig::new(to, key(suite.0, 1), key(suite.0, 2)).track(track);
        let mut uplink = PlainUplink::new(config);
        uplink.ready().await;
        assert_eq!(uplink.poll_event(), Some(ConnectionEvent::Open));
        let target = ConnectionEvent::Target(Bitrate::from_kbps(1_000));
        assert_eq!(uplink.poll_event(), Some(target));
        let (opens, seals) = (context(suite, 1), context(suite, 2));
        Self { uplink, server, opens, seals, from: to }
    }

    fn send(&mut self, seq: u16) {
        self.uplink.try_send(Instant::now(), PacketKind::Rtp, packet(seq)).expect("taken");
    }

    /// The next datagram, as it came.
    async fn datagram(&mut self) -> Vec<u8> {
        let mut buffer = vec![0; 2_000];
        let received = tokio::time::timeout(WATCHDOG, self.server.recv_from(&mut buffer)).await;
        let (len, from) = received.expect("in time").expect("a datagram");
        self.from = from;
        buffer.truncate(len);
        buffer
    }

    fn seal(&mut self, packet: impl rtcp::Packet + 'static) -> Vec<u8> {
        let bytes = rtcp::packet::marshal(&[Box::new(packet)]).expect("a report");
        self.seals.encrypt_rtcp(&bytes).expect("sealed").to_vec()
    }

    async fn answer(&self, datagram: &[u8]) {
        self.server.send_to(datagram, self.from).await.expect("sent");
    }

    async fn event(&mut self) -> ConnectionEvent {
        tokio::time::timeout(WATCHDOG, self.uplink.ready()).await.expect("an event in time");
        self.uplink.poll_event().expect("ready")
    }
}

#[tokio::test]
async fn what_arrives_opens_with_the_key_and_with_no_other() {
    for suite in SUITES {
        let mut pair = Pair::new(suite, false).await;
        let mut wrong = context(suite, 3);
        // Across the wrap of sequence numbers.
        for seq in [65_534, 65_535, 0, 1] {
            pair.send(seq);
            let datagram = pair.datagram().await;
            assert!(wrong.decrypt_rtp(&datagram).is_err(), "{suite:?}");
            assert!(!datagram.windows(9).any(|window| window == [seq as u8; 9]));
            let opened = pair.opens.decrypt_rtp(&datagram).expect("the right key");
            assert_eq!(opened, packet(seq), "{suite:?}");
        }
        pair.uplink.shutdown().await;
    }
}

#[tokio::test]
async fn a_request_for_a_keyframe_is_told_and_a_forged_or_repeated_one_is_counted() {
    for suite in SUITES {
        let mut pair = Pair::new(suite, false).await;
        pair.send(1);
        pair.datagram().await;
        let sealed = pair.seal(PictureLossIndication { sender_ssrc: 9, media_ssrc: CAMERA });
        // Any byte that another changed.
        for at in 0..sealed.len() {
            let mut tampered = sealed.clone();
            tampered[at] ^= 1;
            pair.answer(&tampered).await;
        }
        pair.answer(b"").await;
        pair.answer(&[0x80; 3]).await;
        let mut other = context(suite, 5);
        let report = PictureLossIndication { sender_ssrc: 9, media_ssrc: CAMERA };
        let report = rtcp::packet::marshal(&[Box::new(report)]).expect("a report");
        pair.answer(&other.encrypt_rtcp(&report).expect("sealed")).await;
        pair.answer(&sealed).await;
        // Replayed.
        pair.answer(&sealed).await;
        let again = pair.seal(PictureLossIndication { sender_ssrc: 9, media_ssrc: CAMERA });
        pair.answer(&again).await;
        for _ in 0..2 {
            let ConnectionEvent::Rtcp(mut bytes) = pair.event().await else { panic!("a report") };
            let packets = rtcp::packet::unmarshal(&mut bytes).expect("a compound");
            assert!(packets[0].as_any().is::<PictureLossIndication>());
        }
        assert_eq!(pair.uplink.poll_event(), None);
        assert_eq!(pair.uplink.stats().rejected, sealed.len() as u64 + 4, "{suite:?}");
        pair.uplink.shutdown().await;
    }
}

#[tokio::test]
async fn what_is_asked_for_comes_again_as_it_was_or_in_a_stream_of_its_own() {
    for (suite, rtx) in SUITES.into_iter().flat_map(|suite| [(suite, false), (suite, true)]) {
        let mut pair = Pair::new(suite, rtx).await;
        let mut first = Vec::new();
        for seq in 10..20 {
            pair.send(seq);
            first.push(pair.datagram().await);
        }
        let nack = TransportLayerNack {
            sender_ssrc: 9,
            media_ssrc: CAMERA,
            nacks: vec![NackPair { packet_id: 13, lost_packets: 0b10 }],
        };
        let nack = pair.seal(nack);
        pair.answer(&nack).await;
        for seq in [13_u16, 15] {
            let datagram = pair.datagram().await;
            if rtx {
                let opened = pair.opens.decrypt_rtp(&datagram).expect("the right key");
                let opened = rtp::packet::Packet::unmarshal(&mut &opened[..]).expect("RTP");
                assert_eq!((opened.header.ssrc, opened.header.payload_type), (CAMERA + 1, 97));
                assert_eq!(opened.payload[..2], seq.to_be_bytes());
                assert_eq!(opened.payload[2..], vec![seq as u8; 700]);
            } else {
                // To the byte: two packets of one number under one key would give it away.
                assert_eq!(datagram, first[usize::from(seq) - 10]);
            }
        }
        assert_eq!(pair.uplink.stats().retransmissions, 2);
        pair.uplink.shutdown().await;
    }
}

/// mediasoup reports them too, and of a few packets of which one is lost the share is large.
#[tokio::test]
async fn the_loss_of_retransmissions_and_of_strangers_lowers_nothing() {
    let mut pair = Pair::new(SUITES[0], true).await;
    pair.send(1);
    pair.datagram().await;
    let report = |ssrc, fraction_lost| ReceptionReport {
        ssrc,
        fraction_lost,
        last_sequence_number: 500,
        ..ReceptionReport::default()
    };
    for (numbered, reports) in [
        (false, vec![report(CAMERA + 1, 128), report(99, 255)]),
        (true, vec![report(CAMERA + 1, 128), report(CAMERA, 0), report(99, 255)]),
    ] {
        let sealed = pair.seal(ReceiverReport { ssrc: 9, reports, ..ReceiverReport::default() });
        pair.answer(&sealed).await;
        if numbered {
            let raised = ConnectionEvent::Target(Bitrate::from_kbps(1_080));
            assert_eq!(pair.event().await, raised);
        }
        assert!(matches!(pair.event().await, ConnectionEvent::Rtcp(_)));
        assert_eq!(pair.uplink.stats().fraction_lost, 0);
    }
    pair.uplink.shutdown().await;
}

/// A packet with padding (RFC 3550 §5.1) is written otherwise than it came. Two texts under one
/// nonce would give away both, and with AES-GCM the key of the tags (RFC 7714 §8.4).
#[tokio::test]
async fn what_is_padded_comes_again_to_the_byte() {
    for suite in SUITES {
        let mut pair = Pair::new(suite, false).await;
        let mut padded = packet(3).to_vec();
        padded[0] |= 0x20;
        padded.extend([9, 9, 9, 9, 9, 9, 9, 8]);
        pair.uplink.try_send(Instant::now(), PacketKind::Rtp, padded.into()).expect("taken");
        let first = pair.datagram().await;
        let nack = TransportLayerNack {
            sender_ssrc: 9,
            media_ssrc: CAMERA,
            nacks: vec![NackPair { packet_id: 3, lost_packets: 0 }],
        };
        let nack = pair.seal(nack);
        pair.answer(&nack).await;
        assert_eq!(pair.datagram().await, first, "{suite:?}");
        let opened = pair.opens.decrypt_rtp(&first).expect("the right key");
        let opened = rtp::packet::Packet::unmarshal(&mut &opened[..]).expect("RTP");
        assert_eq!(opened.payload, packet(3)[12..]);
        pair.uplink.shutdown().await;
    }
}

#[tokio::test]
async fn reports_of_loss_lower_the_target() {
    let mut pair = Pair::new(SUITES[3], false).await;
    pair.send(1);
    pair.datagram().await;
    let report = ReceptionReport { ssrc: CAMERA, fraction_lost: 64, ..ReceptionReport::default() };
    let report = ReceiverReport { ssrc: 9, reports: vec![report], ..ReceiverReport::default() };
    let report = pair.seal(report);
    pair.answer(&report).await;
    let ConnectionEvent::Target(target) = pair.event().await else { panic!("a target first") };
    assert!((870_000..880_000).contains(&target.bps()), "{target}");
    assert!(matches!(pair.event().await, ConnectionEvent::Rtcp(_)));
    assert_eq!(pair.uplink.stats().fraction_lost, 64);
    pair.uplink.shutdown().await;
    let late = pair.uplink.try_send(Instant::now(), PacketKind::Rtp, packet(9));
    assert_eq!(late, Err(UplinkError::NotOpen));
}
