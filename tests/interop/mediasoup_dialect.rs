//! The second dialect: that of mediasoup's demo since its server is in TypeScript.

mod publisher;

use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use paceline_framing::rtp::Codec as Payload;
use paceline_publish::mediasoup::{Flow, FlowConfig, Output, ProducerAction};
use paceline_publish::rtp_parameters::{Codec, MediaKind};
use paceline_publish::{
    AudioTrack, Auth, PublishError, SfuConfig, SfuEvent, SfuSender, SfuTarget, VideoTrack,
};
use paceline_tests::{Server, has_browser, has_ffmpeg, has_mediasoup};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use self::publisher::{Media, Publisher, Told};

/// The whole way, and once more after ICE has restarted; and nothing that we say is refused.
#[test]
fn the_newer_server_takes_what_we_publish() {
    if !has_browser() || !has_ffmpeg(&["libx264", "libopus"]) {
        return;
    }
    let server = Server::named();
    let viewer = server.consume("r");
    viewer.ready();
    let us = Publisher::start(target(&server), config(), Media::new(Payload::H264));
    let us = us.expect("it is up");
    let decoded = |stream: &Value| stream["framesDecoded"].as_u64().unwrap_or(0);
    let seen = viewer.receives("video", "a second of pictures", |stream| decoded(stream) >= 25);
    assert_eq!(seen["codec"], "video/H264");
    for kind in ["audio", "video"] {
        server.wait_for("score of 10", |event| is_score(event, kind).then_some(()));
    }
    us.wait_for("its score", |told| match told {
        Told::Event(SfuEvent::Score { score: 10, .. }) => Some(()),
        _ => None,
    });

    let since = server.now();
    us.restart_ice();
    server.wait_for_since(since, "a restart", |event| {
        let fresh = &event["response"]["iceParameters"]["password"];
        (event["method"] == "restartIce" && fresh.is_string()).then_some(())
    });
    let mut before = None;
    server.wait_for_since(server.now(), "pictures after it", |event| {
        let streams = event["streams"].as_array()?;
        let video = streams.iter().find(|stream| stream["kind"] == "video")?;
        (decoded(video) >= *before.get_or_insert(decoded(video)) + 50).then_some(())
    });
    assert!(us.stop() > 75);
    let events = server.events();
    let ours: Vec<_> = events.iter().filter(|event| event["peerId"] == "we").collect();
    let refused = ours.iter().find(|event| event.get("refused").is_some());
    assert!(refused.is_none(), "{refused:?}");
    let asked: Vec<_> = ours.iter().filter_map(|event| event["method"].as_str()).collect();
    let steps =
        ["getRouterRtpCapabilities", "createWebRtcTransport", "join", "connectWebRtcTransport"];
    assert_eq!(asked[..4], steps);
    assert_eq!(asked[4..], ["produce", "produce", "restartIce"]);
}

/// It is a page of its own that it wants to hear of, or nobody is let in.
#[tokio::test]
async fn who_comes_from_elsewhere_is_refused() {
    if !has_mediasoup() {
        return;
    }
    let server = Server::named();
    let elsewhere = config().auth(Some(origin("http://evil.example")));
    let refused = SfuSender::connect(target(&server), elsewhere).await;
    assert!(matches!(refused, Err(PublishError::AuthRefused { status: 403 })), "{refused:?}");
    SfuSender::connect(target(&server), config()).await.expect("it is known").close().await;
}

/// Other paths, other names, and two steps to join; then it is as with the older one.
#[test]
fn a_broadcaster_goes_the_newer_server_s_way() {
    if !has_mediasoup() || !has_ffmpeg(&["libx264", "libopus"]) {
        return;
    }
    let server = Server::named();
    server.ask("create-room", &room());
    let target: SfuTarget =
        format!("broadcaster:{}/rooms/r", server.http()).parse().expect("a target");
    let foreign = config().auth(Some(origin("http://evil.example")));
    let refused = Publisher::start(target.clone(), foreign, Media::new(Payload::H264)).map(drop);
    assert!(matches!(refused, Err(PublishError::AuthRefused { status: 403 })), "{refused:?}");

    let us = Publisher::start(target, config(), Media::new(Payload::H264)).expect("it is up");
    for kind in ["audio", "video"] {
        server.wait_for("score of 10", |event| is_score(event, kind).then_some(()));
    }
    drop(us);
    server.wait_for("a goodbye", |event| (event["event"] == "peer-gone").then_some(()));
    let stats = server.ask("stats", &room());
    assert!(stats["peers"].as_array().is_some_and(Vec::is_empty), "{stats}");
}

/// What the older one is asked for and answers, the newer is told; either does it.
#[tokio::test]
async fn a_producer_is_controlled_in_either_dialect() {
    if !has_mediasoup() {
        return;
    }
    for (server, event) in [(Server::start(), "request"), (Server::named(), "notification")] {
        let mut talk = Talk::begin(&server).await;
        talk.until("ready", |output| matches!(output, Output::Ready { .. })).await;
        let paused = || server.ask("stats", &room())["peers"][0]["producers"][0]["paused"].clone();
        for (action, method, is_paused) in [
            (ProducerAction::Pause, "pauseProducer", json!(true)),
            (ProducerAction::Resume, "resumeProducer", json!(false)),
            (ProducerAction::Close, "closeProducer", Value::Null),
        ] {
            talk.flow.control(now(), action, MediaKind::Video).expect("it is produced");
            talk.until(method, |output| {
                matches!(output, Output::Controlled { result: Ok(()), .. })
            })
            .await;
            let done = server.wait_for(method, |said| {
                (said["event"] == event && said["method"] == method).then(|| said.clone())
            });
            assert!(done.get("refused").is_none(), "{done}");
            assert_eq!(paused(), is_paused, "{method} as {event}");
        }
    }
}

/// A flow and its socket, without an engine: who only talks needs none.
struct Talk {
    flow: Flow,
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

impl Talk {
    async fn begin(server: &Server) -> Self {
        let mut request = server.url("r", "we").into_client_request().expect("an address");
        let headers = request.headers_mut();
        headers.insert("Sec-WebSocket-Protocol", "protoo".parse().expect("a value"));
        headers.insert("Origin", server.http().parse().expect("a value"));
        let (socket, _) = connect_async(request).await.expect("it listens");
        let mut flow = Flow::new(now(), FlowConfig::web_rtc(vec![Codec::Vp8]), 7);
        flow.handle_offer(now(), &OFFER.replace('\n', "\r\n"));
        flow.handle_up(now());
        Self { flow, socket }
    }

    /// Goes on until this comes out.
    async fn until(&mut self, what: &str, mut is_it: impl FnMut(&Output) -> bool) {
        let found = async {
            loop {
                let mut found = false;
                while let Some(output) = self.flow.poll_output() {
                    found |= is_it(&output);
                    match output {
                        Output::Transmit(text) => {
                            self.socket.send(Message::text(text)).await.expect("it reads");
                        }
                        Output::Failed(error) => panic!("no {what}: {error}"),
                        _ => {}
                    }
                }
                if found {
                    return;
                }
                if let Message::Text(text) =
                    self.socket.next().await.expect("it stays").expect("it writes")
                {
                    self.flow.handle_text(now(), &text).expect("it makes sense");
                }
            }
        };
        timeout(LIFETIME, found).await.unwrap_or_else(|_| panic!("no {what}"));
    }
}

#[expect(clippy::disallowed_methods, reason = "a server of real time")]
fn now() -> Instant {
    Instant::now()
}

fn target(server: &Server) -> SfuTarget {
    format!("mediasoup:{}", server.url("r", "we")).parse().expect("a target")
}

fn config() -> SfuConfig {
    let video = VideoTrack { width: 320, height: 180, ..VideoTrack::default() };
    let config = SfuConfig::default().video(Some(video)).audio(Some(AudioTrack { channels: 2 }));
    // A browser may start beside us.
    config.bind([127, 0, 0, 1].into()).connect_timeout(Duration::from_secs(60))
}

fn origin(value: &str) -> Auth {
    Auth::Header { name: "Origin".to_owned(), value: value.to_owned() }
}

fn room() -> Value {
    json!({ "roomId": "r" })
}

fn is_score(event: &Value, kind: &str) -> bool {
    event["event"] == "score" && event["kind"] == kind && event["score"][0]["score"] == 10
}

/// Ours: as long as a server lives.
const LIFETIME: Duration = Duration::from_secs(120);

/// Of an engine that sends VP8, and is never reached.
const OFFER: &str = "v=0
o=- 1 1 IN IP4 0.0.0.0
s=-
t=0 0
a=fingerprint:sha-256 7D:2E:DD:2D:C8:59:91:37:B8:A7:D8:CF:00:65:0E:AA:01:5D:6A:B1:33:E2:62:B7:DB:57:C5:C7:8A:6E:BA:52
a=group:BUNDLE 0
m=video 9 UDP/TLS/RTP/SAVPF 96
c=IN IP4 0.0.0.0
a=setup:actpass
a=mid:0
a=ice-ufrag:NGCvaEtqOBrznicy
a=ice-pwd:OfsaRrOZhaWnZhvvxFEnkrWaoRrjHmDU
a=rtpmap:96 VP8/90000
a=ssrc:4369 cname:ada
a=sendonly
";
