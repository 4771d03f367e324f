//! The client beside a server that takes media at a name, on loopback.
#![cfg(feature = "client")]
#![allow(clippy::unwrap_used, reason = "what does not fit fails the test")]

mod support;

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use paceline_publish::{
    Failure, FailureKind, PublishError, SfuConfig, SfuSender, SfuTarget, VideoTrack,
};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::time::timeout;
use tokio_tungstenite::accept_hdr_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use tokio_tungstenite::tungstenite::http::HeaderValue;

/// A server whose media are taken at these names, at one port.
struct Server {
    listener: TcpListener,
    names: &'static [&'static str],
    port: u16,
}

impl Server {
    async fn new(names: &'static [&'static str], media: &UdpSocket) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self { listener, names, port: media.local_addr().unwrap().port() }
    }

    fn target(&self) -> SfuTarget {
        let target = format!("mediasoup:ws://{}/", self.listener.local_addr().unwrap());
        target.parse().unwrap()
    }

    /// Says yes to all that whoever calls first asks for, until he goes.
    async fn serve(self) {
        let (stream, _) = self.listener.accept().await.unwrap();
        #[expect(clippy::result_large_err, reason = "the library's")]
        let protoo = |_: &Request, mut response: Response| {
            let protocol = HeaderValue::from_static("protoo");
            response.headers_mut().insert("Sec-WebSocket-Protocol", protocol);
            Ok(response)
        };
        // He may have given up already.
        let Ok(mut stream) = accept_hdr_async::<TcpStream, _>(stream, protoo).await else { return };
        while let Some(Ok(message)) = stream.next().await {
            let Message::Text(text) = message else { continue };
            let request: Value = serde_json::from_str(&text).unwrap();
            let data = match request["method"].as_str().unwrap() {
                "createWebRtcTransport" => self.transport(),
                "produce" => json!({ "id": "a-producer" }),
                _ => support::answer_to(&request),
            };
            let id = &request["id"];
            let response = json!({ "response": true, "id": id, "ok": true, "data": data });
            // He may have gone meanwhile.
            let _ = stream.send(Message::text(response.to_string())).await;
        }
    }

    fn transport(&self) -> Value {
        let mut transport = support::transport();
        let candidate = |(at, name): (usize, &&str)| {
            json!({
                "foundation": "udpcandidate", "priority": 1_076_302_079 - at, "address": name,
                "ip": name, "protocol": "udp", "port": self.port, "type": "host",
            })
        };
        transport["iceCandidates"] = self.names.iter().enumerate().map(candidate).collect();
        transport
    }
}

fn config(patience: Duration) -> SfuConfig {
    let video = VideoTrack { width: 640, height: 360, ..VideoTrack::default() };
    SfuConfig::default().video(Some(video)).connect_timeout(patience)
}

/// mediasoup announces what its operator set as `announcedAddress`, which is often a name; a
/// name that nobody knows is no harm beside one that is known.
#[tokio::test]
async fn what_is_announced_as_a_name_is_looked_up_and_sent_checks() {
    // RFC 1035 §2.3.4: no label has 64 characters, so that no name server is asked.
    const NOBODY: &str = "a234567890123456789012345678901234567890123456789012345678901234";
    let media = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let server = Server::new(&[NOBODY, "localhost"], &media).await;
    let target = server.target();
    let serving = tokio::spawn(server.serve());
    let mut datagram = [0; 1_500];
    let sender = SfuSender::connect(target, config(WATCHDOG));
    let len = tokio::select! {
        received = timeout(WATCHDOG, media.recv(&mut datagram)) => received.unwrap().unwrap(),
        ended = sender => panic!("nothing was sent: {}", ended.map(drop).unwrap_err()),
    };
    // RFC 8489 §5: a binding request, and the magic cookie.
    assert!(len >= 20 && datagram[..2] == [0, 1], "{:?}", &datagram[..len]);
    assert_eq!(datagram[4..8], [0x21, 0x12, 0xa4, 0x42]);
    timeout(WATCHDOG, serving).await.unwrap().unwrap();
}

/// Where UDP does not get through, all else has been well, and who is to mend it has to know
/// which way.
#[tokio::test]
async fn where_no_connection_comes_about_by_udp_the_error_says_with_whom() {
    let media = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    // A busy machine may not come as far in the first of these times.
    for seconds in [2, 6, 18] {
        let server = Server::new(&["localhost"], &media).await;
        let sender = SfuSender::connect(server.target(), config(Duration::from_secs(seconds)));
        let (error, ()) = timeout(4 * WATCHDOG, async {
            tokio::join!(async { sender.await.map(drop).unwrap_err() }, server.serve())
        })
        .await
        .unwrap();
        if matches!(error, PublishError::TimedOut { .. } | PublishError::Name { .. }) {
            continue;
        }
        // A machine that stands still hears of the end later.
        let PublishError::NoPath { seconds: waited, .. } = error else { panic!("{error}") };
        assert!(waited >= seconds);
        let port = media.local_addr().unwrap().port();
        let text = format!(
            "after {waited} s there was no connection for media by UDP with 127.0.0.1:{port}: check \
             the firewalls on the way, and which address the server announces"
        );
        assert_eq!(error.to_string(), text);
        assert_eq!(Failure::from(&error).kind(), FailureKind::NoPath);
        return;
    }
    panic!("it never came to look for a path");
}

/// Ours: long after all of it.
const WATCHDOG: Duration = Duration::from_secs(20);
