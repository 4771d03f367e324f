//! The diagnostic copy of what is sent.
#![cfg(feature = "mirror")]
#![allow(clippy::disallowed_methods, reason = "where the virtual clock starts")]

use std::net::IpAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use paceline_framing::rtp::{
    Codec, Depacketizer, DepacketizerConfig, Output, PacketizeError, parse,
};
use paceline_publish::mirror::{Mirror, MirrorConfig, MirrorConfigError, Unmirrored};
use paceline_publish::types::{
    AudioCodec, Bitrate, Coding, EncodedFrame, Frequency, MediaTime, NtpTime, SeqNo, StreamId,
    VideoCodec,
};

/// VP8 as far as packets need it to be (RFC 6386 §9.1): whether it is a keyframe, and the
/// start code and size of one.
fn picture(nth: u64, key: bool, bytes: usize) -> EncodedFrame {
    let mut data = vec![nth as u8 & 0xfe | u8::from(!key); bytes];
    if key && bytes >= 10 {
        data[3..10].copy_from_slice(&[0x9d, 0x01, 0x2a, 16, 0, 16, 0]);
    }
    EncodedFrame {
        stream: StreamId::VIDEO,
        seq: SeqNo::new(nth),
        time: MediaTime::new(3_000 * nth, Frequency::VIDEO),
        capture: NtpTime::default(),
        coding: Coding::Video {
            codec: VideoCodec::Vp8,
            key,
            discardable: false,
            width: 16,
            height: 16,
        },
        data: data.into(),
    }
}

fn sound(nth: u64) -> EncodedFrame {
    EncodedFrame {
        stream: StreamId::AUDIO,
        seq: SeqNo::new(nth),
        time: MediaTime::new(960 * nth, Frequency::AUDIO),
        capture: NtpTime::default(),
        coding: Coding::Audio { codec: AudioCodec::Opus, channels: 1 },
        data: Bytes::from_static(&[0x78, 1, 2, 3]),
    }
}

fn config() -> MirrorConfig {
    MirrorConfig::default().stream(StreamId::VIDEO, Codec::Vp8).stream(StreamId::AUDIO, Codec::Opus)
}

#[test]
fn what_is_mirrored_is_what_was_sent() {
    let mut mirror = Mirror::new(config()).unwrap();
    let mut depacketizer =
        Depacketizer::new(0x6d72_0001, Codec::Vp8, DepacketizerConfig::default());
    let now = Instant::now();
    let mut shown = Vec::new();
    for nth in 0..20 {
        let frame = picture(nth, nth == 0, 3_000);
        for datagram in mirror.handle_frame(now, &frame).unwrap() {
            assert_eq!(datagram.to, std::net::SocketAddr::from(([127, 0, 0, 1], 5004)));
            assert!(datagram.bytes.len() <= 1_200);
            let packet = parse(datagram.bytes).unwrap();
            assert_eq!(packet.header.payload_type, 97);
            let _ = depacketizer.handle_packet(now, packet);
        }
        while let Some(output) = depacketizer.poll_output() {
            if let Output::Frame(frame) = output {
                shown.push(frame.data);
            }
        }
        for datagram in mirror.handle_frame(now, &sound(nth)).unwrap() {
            assert_eq!(datagram.to, std::net::SocketAddr::from(([127, 0, 0, 1], 5006)));
            assert_eq!(parse(datagram.bytes).unwrap().payload, sound(nth).data);
        }
    }
    let sent: Vec<_> = (0..20).map(|nth| picture(nth, nth == 0, 3_000).data).collect();
    assert_eq!(shown, sent);
    let stats = mirror.stats();
    assert_eq!((stats.frames, stats.packets, stats.unmirrored), (40, 80, 0));
}

#[test]
fn no_address_but_that_of_this_machine_is_taken_unasked() {
    let made = |address: &str| {
        let address: IpAddr = address.parse().unwrap();
        let config = config().address(address);
        (Mirror::new(config.clone()).err(), Mirror::new(config.beyond_this_machine()).err())
    };
    for here in ["127.0.0.1", "127.8.9.1", "::1", "::ffff:127.0.0.1"] {
        assert_eq!(made(here), (None, None), "{here}");
    }
    for elsewhere in ["10.0.0.1", "169.254.0.1", "192.0.2.1", "fe80::1", "::ffff:10.0.0.1"] {
        let error = MirrorConfigError::BeyondThisMachine(elsewhere.parse().unwrap());
        assert_eq!(made(elsewhere), (Some(error), None), "{elsewhere}");
    }
    for nowhere in ["0.0.0.0", "::", "224.0.0.1", "ff02::1", "255.255.255.255", "::ffff:0.0.0.0"] {
        let error = Some(MirrorConfigError::NotOneMachine(nowhere.parse().unwrap()));
        assert_eq!(made(nowhere), (error, error), "{nowhere}");
    }
}

#[test]
fn a_mirror_sends_no_more_than_its_rate_and_goes_on_with_a_keyframe() {
    let mut mirror = Mirror::new(config().max_rate(Bitrate::from_bps(80_000))).unwrap();
    let start = Instant::now();
    // 10,000 bytes a second, and a second's worth at once: to the byte.
    assert_eq!(mirror.handle_frame(start, &picture(0, true, 10_000)).unwrap().len(), 9);
    assert_eq!(mirror.handle_frame(start, &picture(1, false, 10)), Err(Unmirrored::TooFast));
    // There is room again, but the picture depends on the one that is missing.
    let later = start + Duration::from_millis(500);
    assert_eq!(mirror.handle_frame(later, &picture(2, false, 10)), Err(Unmirrored::AwaitsKeyframe));
    assert_eq!(mirror.handle_frame(later, &picture(3, true, 5_001)), Err(Unmirrored::TooFast));
    assert!(mirror.handle_frame(later, &picture(4, true, 5_000)).is_ok());
    // Whatever comes in ten seconds, no more than eleven seconds' worth goes out.
    let mut bytes = 0;
    for milli in 0..10_000 {
        let now = later + Duration::from_millis(milli);
        if mirror.handle_frame(now, &picture(5 + milli, true, 997)).is_ok() {
            bytes += 997;
        }
    }
    assert!((99_000 - 997..=100_000).contains(&bytes), "{bytes}");
}

#[test]
fn what_is_not_mirrored_is_said_and_counted() {
    let mut mirror = Mirror::new(config()).unwrap();
    let now = Instant::now();
    let mut frame = picture(0, true, 100);
    frame.stream = StreamId::MIX_VIDEO;
    assert_eq!(mirror.handle_frame(now, &frame), Err(Unmirrored::UnknownStream));
    let mut frame = picture(0, true, 100);
    frame.time = MediaTime::new(0, Frequency::AUDIO);
    assert_eq!(mirror.handle_frame(now, &frame), Err(Unmirrored::UnknownStream));
    let mut frame = sound(0);
    frame.stream = StreamId::VIDEO;
    assert_eq!(mirror.handle_frame(now, &frame), Err(Unmirrored::UnknownStream));
    let empty = mirror.handle_frame(now, &picture(0, true, 0));
    assert_eq!(empty, Err(Unmirrored::Packetize(PacketizeError::Empty)));
    assert_eq!((mirror.stats().frames, mirror.stats().unmirrored), (0, 4));
}

#[test]
fn there_is_a_port_for_each_stream_or_no_mirror() {
    for (first, made) in [(0, false), (1, true), (65_533, true), (65_534, false), (65_535, false)] {
        assert_eq!(Mirror::new(config().first_port(first)).is_ok(), made, "{first}");
    }
}

#[test]
fn the_description_is_an_sdp_for_a_player() {
    let here = config().stream(StreamId::MIX_VIDEO, Codec::H264).address("::1".parse().unwrap());
    let expected = "v=0\r\no=- 0 0 IN IP6 ::1\r\ns=paceline mirror\r\nc=IN IP6 ::1\r\nt=0 0\r\n\
        m=video 5004 RTP/AVP 97\r\na=rtpmap:97 VP8/90000\r\na=recvonly\r\n\
        m=audio 5006 RTP/AVP 111\r\na=rtpmap:111 opus/48000/2\r\na=recvonly\r\n\
        m=video 5008 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n\
        a=fmtp:96 packetization-mode=1\r\na=recvonly\r\n";
    assert_eq!(Mirror::new(here).unwrap().description().to_string(), expected);
}

/// On loopback, to a socket of this test.
#[cfg(feature = "client")]
#[test]
fn the_socket_sends_what_it_can_and_counts_what_it_cannot() {
    use std::net::UdpSocket;

    use paceline_publish::mirror::MirrorSocket;

    let player = UdpSocket::bind("127.0.0.1:0").unwrap();
    player.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let port = player.local_addr().unwrap().port();
    let config = MirrorConfig::default().stream(StreamId::AUDIO, Codec::Opus).first_port(port);
    // The same address, as IPv6 has it.
    let config = config.address("::ffff:127.0.0.1".parse().unwrap());
    let mut mirror = Mirror::new(config).unwrap();
    let mut socket = MirrorSocket::open(&mirror).unwrap();
    let mut datagrams = mirror.handle_frame(Instant::now(), &sound(0)).unwrap();
    socket.send(&datagrams[0]);
    let mut read = [0; 100];
    let (len, from) = player.recv_from(&mut read).unwrap();
    assert_eq!(read[..len], datagrams[0].bytes);
    assert!(from.ip().is_loopback(), "{from}");

    // Larger than any datagram of UDP can be.
    datagrams[0].bytes = Bytes::from(vec![0; 70_000]);
    socket.send(&datagrams[0]);
    assert_eq!((socket.stats().sent, socket.stats().refused), (1, 1));
}

#[cfg(all(feature = "client", target_os = "linux"))]
#[test]
fn who_begins_to_listen_where_nobody_did_is_noticed_once() {
    use std::net::UdpSocket;

    use paceline_publish::mirror::MirrorSocket;

    // A port that was free a moment ago.
    let port = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let config = MirrorConfig::default().stream(StreamId::AUDIO, Codec::Opus).first_port(port);
    let mut mirror = Mirror::new(config).unwrap();
    let mut socket = MirrorSocket::open(&mirror).unwrap();
    let mut nth = 0;
    let mut send = |socket: &mut MirrorSocket| {
        // A busy kernel may say a little later that the one before was for nobody.
        std::thread::sleep(Duration::from_millis(5));
        nth += 1;
        for datagram in mirror.handle_frame(Instant::now(), &sound(nth)).unwrap() {
            socket.send(&datagram);
        }
        socket.poll_newcomer()
    };
    while socket.stats().refused == 0 {
        assert!(!send(&mut socket), "nobody listens");
    }
    let player = UdpSocket::bind(("127.0.0.1", port)).unwrap();
    player.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let noticed = (0..10).filter(|_| send(&mut socket)).count();
    assert_eq!(noticed, 1);
    assert!(player.recv(&mut [0; 100]).is_ok());
    // He goes, and the next one comes.
    drop(player);
    let refused = socket.stats().refused;
    while socket.stats().refused < refused + 2 {
        assert!(!send(&mut socket), "nobody listens");
    }
    let _player = UdpSocket::bind(("127.0.0.1", port)).unwrap();
    assert_eq!((0..10).filter(|_| send(&mut socket)).count(), 1);
}
