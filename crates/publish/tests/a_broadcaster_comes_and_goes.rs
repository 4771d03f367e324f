//! The broadcasters' client beside a server that follows a script, on loopback.
#![cfg(feature = "client")]
#![allow(clippy::disallowed_methods, reason = "the edge of the network reads the clock")]

mod support;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use paceline_publish::types::{
    Coding, EncodedFrame, Frequency, MediaTime, NtpTime, PacketKind, SeqNo, StreamId, VideoCodec,
};
use paceline_publish::{Auth, PublishError, SfuConfig, SfuEvent, SfuSender, SfuTarget, VideoTrack};
use paceline_transport::{
    CryptoSuite, PlainUplink, PlainUplinkConfig, SrtpKey, TrackKind, UplinkTrack,
};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::mpsc;
use tokio::time::timeout;

const WATCHDOG: Duration = Duration::from_secs(20);

/// Thirty bytes of 2, and their base64.
const THEIRS: ([u8; 30], &str) = ([2; 30], "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgIC");

/// What the server says to a request, or that it says nothing.
enum Reply {
    Hang,
    Say(u16, String),
}

fn ok(body: &Value) -> Reply {
    Reply::Say(200, body.to_string())
}

/// A request as it came.
#[derive(Debug)]
struct Asked {
    line: String,
    head: String,
    body: Value,
}

/// Told of each request, in order.
struct Server {
    address: SocketAddr,
    asked: mpsc::UnboundedReceiver<Asked>,
}

type Script = dyn Fn(&str) -> Reply + Send + Sync;

impl Server {
    async fn new(script: impl Fn(&str) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let (tell, asked) = mpsc::unbounded_channel();
        let script: Arc<Script> = Arc::new(script);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&script), tell.clone()));
            }
        });
        Self { address, asked }
    }

    fn target(&self) -> SfuTarget {
        let text = format!("broadcaster:http://{}/rooms/a%20room%2Fb?x=1", self.address);
        text.parse().expect("a target")
    }

    async fn asked(&mut self) -> Asked {
        within(self.asked.recv()).await.expect("the server runs")
    }

    /// Skips to the first request whose line begins so.
    async fn until(&mut self, line: &str) -> Asked {
        loop {
            let asked = self.asked().await;
            if asked.line.starts_with(line) {
                return asked;
            }
        }
    }
}

/// HTTP/1.1 as far as our client speaks it: a head, and a body of a told length.
async fn serve(stream: TcpStream, script: Arc<Script>, tell: mpsc::UnboundedSender<Asked>) {
    let mut bytes = Vec::new();
    loop {
        let Some((head, body)) = next(&stream, &mut bytes).await else { return };
        let line = head.lines().next().expect("a line");
        let line = line.trim_end_matches(" HTTP/1.1").to_owned();
        let reply = script(&line);
        let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
        let _ = tell.send(Asked { line, head, body });
        let Reply::Say(status, text) = reply else { return std::future::pending().await };
        let text = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n\r\n{text}", text.len());
        let mut rest = text.as_bytes();
        while !rest.is_empty() && stream.writable().await.is_ok() {
            if let Ok(len) = stream.try_write(rest) {
                rest = &rest[len..];
            }
        }
    }
}

async fn next(stream: &TcpStream, bytes: &mut Vec<u8>) -> Option<(String, Vec<u8>)> {
    loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
            let len = head.lines().find_map(|line| {
                line.to_lowercase().strip_prefix("content-length:")?.trim().parse::<usize>().ok()
            });
            let end = end + 4;
            let all = end + len.unwrap_or(0);
            if bytes.len() >= all {
                let body = bytes[end..all].to_vec();
                bytes.drain(..all);
                return Some((head, body));
            }
        }
        let mut buffer = [0; 4_096];
        stream.readable().await.ok()?;
        match stream.try_read(&mut buffer) {
            Ok(0) => return None,
            Ok(len) => bytes.extend_from_slice(&buffer[..len]),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(_) => return None,
        }
    }
}

async fn within<T>(future: impl Future<Output = T>) -> T {
    timeout(WATCHDOG, future).await.expect("in time")
}

/// A server that goes along, and takes media at this port.
fn willing(port: u16, srtp: Value) -> impl Fn(&str) -> Reply + Send + Sync {
    move |line| {
        let last = line.split('?').next().and_then(|path| path.rsplit('/').next());
        match last.expect("a path") {
            "a%20room%2Fb" => ok(&support::router()),
            "transports" => ok(&json!({
                "id": "t", "ip": "127.0.0.1", "port": port, "srtpParameters": srtp,
            })),
            "producers" => ok(&json!({ "id": "p" })),
            _ => ok(&json!({})),
        }
    }
}

fn srtp() -> Value {
    json!({ "cryptoSuite": "AES_CM_128_HMAC_SHA1_80", "keyBase64": THEIRS.1 })
}

fn config() -> SfuConfig {
    let video = VideoTrack { codec: VideoCodec::Vp8, width: 320, height: 180, frame_rate: 25 };
    let config = SfuConfig::default().video(Some(video));
    // Longer than a busy machine is busy.
    config.connect_timeout(Duration::from_secs(10)).close_timeout(Duration::from_secs(10))
}

/// A keyframe of VP8, as far as packets need it to be (RFC 6386 §9.1).
fn keyframe(nth: u64) -> EncodedFrame {
    let mut data = vec![0x10; 500];
    data[3..10].copy_from_slice(&[0x9d, 0x01, 0x2a, 16, 0, 16, 0]);
    let (codec, width, height) = (VideoCodec::Vp8, 16, 16);
    EncodedFrame {
        stream: StreamId::VIDEO,
        seq: SeqNo::new(nth),
        time: MediaTime::new(3_600 * nth, Frequency::VIDEO),
        capture: NtpTime::default(),
        coding: Coding::Video { codec, key: true, discardable: false, width, height },
        data: data.into(),
    }
}

/// What a room is called, decoded or not, comes to the server encoded once; media goes where
/// it says, its reports are believed if they have its key, and at the end we are deleted.
#[tokio::test]
async fn media_flows_both_ways_and_we_are_deleted_at_the_end() {
    let media = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
    let port = media.local_addr().expect("bound").port();
    let mut server = Server::new(willing(port, srtp())).await;
    let token = config().auth(Some(Auth::Token("hunter2".to_owned())));
    let mut sender = within(SfuSender::connect(server.target(), token)).await.expect("it is up");
    assert_eq!(server.asked().await.line, "GET /rooms/a%20room%2Fb?x=1&token=hunter2");
    let joined = server.until("POST").await;
    let us = joined.body["id"].as_str().expect("a name").to_owned();
    let base = format!("/rooms/a%20room%2Fb/broadcasters/{us}");
    let key = server.until(&format!("POST {base}/transports/t/connect")).await;
    let key = key.body["srtpParameters"]["keyBase64"].as_str().expect("a key").to_owned();
    let produced = server.until(&format!("POST {base}/transports/t/producers")).await.body;
    let ssrc = produced["rtpParameters"]["encodings"][0]["ssrc"].as_u64().expect("a source");

    sender.send(keyframe(0)).expect("taken");
    let mut buffer = [0; 2_000];
    let from = loop {
        let (len, from) = within(media.recv_from(&mut buffer)).await.expect("a datagram");
        // RTP, and not RTCP (RFC 5761 §4); its header is not encrypted.
        if !(192..=223).contains(&buffer[1]) {
            assert!(len > 500 && !buffer[..len].windows(99).any(|run| run == [0x10; 99]));
            assert_eq!(u64::from(u32::from_be_bytes(buffer[8..12].try_into().expect("4"))), ssrc);
            break from;
        }
    };
    // A request for a keyframe: from who does not have the key, and from who has it.
    let pli = [&[0x81, 206, 0, 2, 0, 0, 0, 9][..], &(ssrc as u32).to_be_bytes()].concat();
    let ours = SrtpKey::new(CryptoSuite::AesCm128HmacSha1_80, &base64(&key)).expect("30 bytes");
    for (fill, counted) in [(3, 0), (THEIRS.0[0], 1)] {
        let theirs = SrtpKey::new(CryptoSuite::AesCm128HmacSha1_80, &[fill; 30]).expect("30");
        let track = UplinkTrack::new(TrackKind::Video, "video/VP8", 90_000, 96, 9);
        let config = PlainUplinkConfig::new(from, theirs, ours.clone()).track(track);
        let mut back = PlainUplink::new(config);
        within(back.ready()).await;
        let pli = Bytes::from(pli.clone());
        back.try_send(Instant::now(), PacketKind::Rtcp, pli).expect("taken");
        back.shutdown().await;
        if counted > 0 {
            // The first is that of the beginning, before anybody asked.
            for _ in 0..2 {
                while within(sender.next()).await != Some(SfuEvent::KeyframeNeeded) {}
            }
        }
        assert_eq!(sender.stats().keyframe_requests, counted);
    }
    within(sender.close()).await;
    server.until(&format!("DELETE {base}?x=1&token=hunter2")).await;
}

/// RFC 4648 §4, without padding: thirty bytes need none.
fn base64(text: &str) -> Vec<u8> {
    let letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let values: Vec<_> = text.chars().map(|c| letters.find(c).expect("a letter") as u32).collect();
    let groups = values.chunks(4).map(|four| four.iter().fold(0, |bits, value| bits << 6 | value));
    groups.flat_map(|bits| bits.to_be_bytes()[1..].to_vec()).collect()
}

#[tokio::test]
async fn a_server_that_is_busy_is_said_to_be_and_one_that_knows_us_not_is_left_alone() {
    let mut server = Server::new(|_| Reply::Say(503, "come\nagain".to_owned())).await;
    let error = within(SfuSender::connect(server.target(), config())).await.expect_err("busy");
    let text = error.to_string();
    assert!(text.contains("503: come\\u{a}again"), "{text}");
    assert_eq!(server.asked().await.line, "GET /rooms/a%20room%2Fb?x=1");
    let mut server = Server::new(|line| match line.split(' ').next() {
        Some("GET") => ok(&support::router()),
        _ => Reply::Say(400, "that name is taken".to_owned()),
    })
    .await;
    let error = within(SfuSender::connect(server.target(), config())).await.expect_err("taken");
    assert!(matches!(error, PublishError::Refused { .. }), "{error:?}");
    server.until("POST /rooms/a%20room%2Fb/broadcasters").await;
    // The one who has the name is not deleted.
    assert!(server.asked.try_recv().is_err());
}

#[tokio::test]
async fn who_is_not_answered_when_joining_is_deleted_all_the_same() {
    for closes in [false, true] {
        let mut server = Server::new(|line| match line.split(' ').next() {
            Some("GET") => ok(&support::router()),
            Some("POST") => Reply::Hang,
            _ => ok(&json!({})),
        })
        .await;
        let patience = Duration::from_secs(if closes { 60 } else { 3 });
        let connecting = SfuSender::connect(server.target(), config().connect_timeout(patience));
        let connecting = tokio::spawn(connecting);
        server.until("POST /rooms/a%20room%2Fb/broadcasters").await;
        if closes {
            // The owner has lost interest: nothing waits for the server.
            connecting.abort();
        } else {
            let error = within(connecting).await.expect("no panic").expect_err("hangs");
            assert!(matches!(error, PublishError::TimedOut { .. }), "{error:?}");
        }
        server.until("DELETE /rooms/a%20room%2Fb/broadcasters/").await;
    }
}

#[tokio::test]
async fn nothing_is_sent_without_srtp_as_asked_for() {
    let media = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
    let port = media.local_addr().expect("bound").port();
    let other = json!({ "cryptoSuite": "AEAD_AES_128_GCM", "keyBase64": THEIRS.1 });
    for srtp in [Value::Null, other] {
        let mut server = Server::new(willing(port, srtp)).await;
        let error = within(SfuSender::connect(server.target(), config())).await.expect_err("no");
        assert!(matches!(error, PublishError::Negotiation { .. }), "{error:?}");
        server.until("DELETE /rooms/a%20room%2Fb/broadcasters/").await;
    }
    assert!(media.try_recv(&mut [0; 1]).is_err());
}

#[tokio::test]
async fn what_is_wrong_before_anybody_is_asked_is_said_at_once() {
    let server = Server::new(|_| Reply::Hang).await;
    for (name, value) in [("a name", "value"), ("name", "a\nvalue")] {
        let header = Auth::Header { name: name.to_owned(), value: value.to_owned() };
        let connecting = SfuSender::connect(server.target(), config().auth(Some(header)));
        let error = within(connecting).await.expect_err("not to be sent");
        assert!(matches!(error, PublishError::BadRequest { .. }), "{error:?}");
    }
    // Bound, and nobody listens.
    let nobody = tokio::net::TcpSocket::new_v4().expect("a socket");
    nobody.bind(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a port");
    let address = nobody.local_addr().expect("bound");
    let target = format!("broadcaster:http://{address}/rooms/r?secret=hunter2");
    let target = target.parse().expect("a target");
    let error = within(SfuSender::connect(target, config())).await.expect_err("nobody");
    assert!(matches!(error, PublishError::Unreachable { .. }), "{error:?}");
    let text = format!("{error} {error:?}");
    assert!(text.contains("refused") && !text.contains("hunter2"), "{text}");
}

#[tokio::test]
async fn a_header_and_its_value_go_with_each_request() {
    let mut server = Server::new(willing(9, srtp())).await;
    let header = Auth::Header { name: "X-Key".to_owned(), value: "hunter2".to_owned() };
    let connecting = SfuSender::connect(server.target(), config().auth(Some(header)));
    within(connecting).await.expect("it is up").close().await;
    loop {
        let asked = server.asked().await;
        assert!(asked.head.to_lowercase().contains("x-key: hunter2"), "{asked:?}");
        if asked.line.starts_with("DELETE") {
            break;
        }
    }
}
