//! protoo's WebSocket.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use reqwest::Url;
use tokio::net::TcpStream;
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::http::header::ORIGIN;
use tokio_tungstenite::tungstenite::http::{HeaderName, HeaderValue, StatusCode};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};
use tracing::debug;

use super::address::origin_of;
use super::config::Auth;
use super::error::PublishError;
use super::link::{FromServer, Link, LinkEnd, ToServer};
use crate::failure::printable;

/// Opens it. Texts of more than `max_text` bytes are not passed on.
pub(super) async fn connect(
    url: &Url,
    auth: Option<&Auth>,
    max_text: usize,
    patience: Duration,
) -> Result<Link, PublishError> {
    connect_with(url, auth, Limits { max_text, patience, ping_every: PING_EVERY }).await
}

/// What a connection may cost.
#[derive(Clone, Copy, Debug)]
struct Limits {
    max_text: usize,
    /// For the other end's goodbye.
    patience: Duration,
    ping_every: Duration,
}

async fn connect_with(
    url: &Url,
    auth: Option<&Auth>,
    limits: Limits,
) -> Result<Link, PublishError> {
    let mut url = url.clone();
    if let Some(Auth::Token(token)) = auth {
        url.query_pairs_mut().append_pair("token", token);
    }
    let bad = |what: &str| PublishError::BadRequest { what: what.to_owned() };
    let mut request = url.as_str().into_client_request().map_err(|_| bad("the address"))?;
    let headers = request.headers_mut();
    headers.insert("Sec-WebSocket-Protocol", HeaderValue::from_static("protoo"));
    // As of a page of its own.
    let origin = origin_of(&url).parse().map_err(|_| bad("the address"))?;
    headers.insert(ORIGIN, origin);
    if let Some(Auth::Header { name, value }) = auth {
        let name: HeaderName = name.parse().map_err(|_| bad("the header's name"))?;
        let mut value: HeaderValue = value.parse().map_err(|_| bad("the header's value"))?;
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    let limit = Some(MAX_READ.max(limits.max_text));
    let config = WebSocketConfig::default().max_message_size(limit).max_frame_size(limit);
    let connected = connect_async_with_config(request, Some(config), true).await;
    let (stream, _) = connected.map_err(refused)?;
    Ok(Link::spawn(move |end| carry(stream, end, limits)))
}

type Stream = WebSocketStream<MaybeTlsStream<TcpStream>>;

async fn carry(mut stream: Stream, mut end: LinkEnd, limits: Limits) {
    let Limits { max_text, patience, ping_every } = limits;
    let mut pings = interval_at(Instant::now() + ping_every, ping_every);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut unanswered = 0;
    loop {
        tokio::select! {
            text = end.to.recv() => match text {
                Some(ToServer::Text(text)) => {
                    if !write(&mut stream, Message::text(text), ping_every).await {
                        break;
                    }
                }
                Some(ToServer::Request(_)) => {}
                None => return say_goodbye(stream, patience).await,
            },
            _ = pings.tick() => {
                if unanswered >= MAX_UNANSWERED {
                    debug!("the server answers no ping");
                    break;
                }
                unanswered += 1;
                if !write(&mut stream, Message::Ping(Default::default()), ping_every).await {
                    break;
                }
            }
            message = stream.next() => match message {
                Some(Ok(Message::Text(text))) if text.len() > max_text => {
                    debug!(bytes = text.len(), "a text of the server's is too long");
                    unanswered = 0;
                }
                Some(Ok(Message::Text(text))) => {
                    unanswered = 0;
                    let text = FromServer::Text(text.as_str().to_owned());
                    if end.from.send(text).await.is_err() {
                        return say_goodbye(stream, patience).await;
                    }
                }
                None | Some(Ok(Message::Close(_))) => break,
                // Pings are answered by the library; whatever comes, somebody is there.
                Some(Ok(_)) => unanswered = 0,
                Some(Err(error)) => {
                    debug!(%error, "the server cannot be read from");
                    break;
                }
            },
        }
    }
    // Whoever does not read it knows already.
    let _ = end.from.send(FromServer::Closed).await;
}

/// `false` if it cannot be, or the other end takes nothing for as long as a dead one may.
async fn write(stream: &mut Stream, message: Message, ping_every: Duration) -> bool {
    match timeout(ping_every * (MAX_UNANSWERED + 1), stream.send(message)).await {
        Ok(Ok(())) => true,
        Ok(Err(error)) => {
            debug!(%error, "the server cannot be written to");
            false
        }
        Err(_) => false,
    }
}

/// Waits for the other end's goodbye: whoever does not answer is gone all the same.
async fn say_goodbye(mut stream: Stream, patience: Duration) {
    let _ = timeout(patience, async {
        if stream.close(None).await.is_ok() {
            while let Some(Ok(_)) = stream.next().await {}
        }
    })
    .await;
}

fn refused(error: Error) -> PublishError {
    let reason = printable(&error.to_string());
    match error {
        Error::Http(response) => match response.status() {
            status @ (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => {
                PublishError::AuthRefused { status: status.as_u16() }
            }
            // RFC 9110 §15.6: the server, or one before it, is not well; another time it may be.
            status if status.is_server_error() => {
                PublishError::Unreachable { reason: status.to_string() }
            }
            status => PublishError::Refused { reason: status.to_string() },
        },
        Error::Io(_) => PublishError::Unreachable { reason },
        Error::Tls(error) => {
            PublishError::Unreachable { reason: printable(&format!("TLS: {error}")) }
        }
        // It does not speak protoo, and will not.
        Error::Protocol(ProtocolError::SecWebSocketSubProtocolError(_)) => {
            PublishError::Refused { reason }
        }
        // The text has the address in it, and that perhaps a token.
        Error::Url(_) => PublishError::BadRequest { what: "the address".to_owned() },
        _ => PublishError::Closed { reason },
    }
}

/// RFC 6455 §5.5.2 leaves it open; ours: often enough for the minute after which NATs and
/// proxies forget a connection that is silent (nginx, `proxy_read_timeout`: 60 s).
const PING_EVERY: Duration = Duration::from_secs(15);

/// Pings in a row after which nobody is there: two may be lost with a path that comes back.
const MAX_UNANSWERED: u32 = 2;

/// Bytes of a message after which the connection is given up. One that is longer than a flow
/// takes is read and left, so that it ends nothing; this is what reading it may hold.
const MAX_READ: usize = 4 << 20;

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;
    use tokio_tungstenite::accept_hdr_async;
    use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};

    use super::*;

    const WATCHDOG: Duration = Duration::from_secs(20);

    /// A server that answers the upgrade as `protoo-server` does.
    async fn listen() -> (TcpListener, Url) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        (listener, Url::parse(&format!("ws://{address}/")).expect("a URL"))
    }

    async fn accept(listener: TcpListener) -> WebSocketStream<TcpStream> {
        let (stream, _) = listener.accept().await.expect("a client");
        #[expect(clippy::result_large_err, reason = "the library's")]
        let protoo = |_: &Request, mut response: Response| {
            let protocol = HeaderValue::from_static("protoo");
            response.headers_mut().insert("Sec-WebSocket-Protocol", protocol);
            Ok(response)
        };
        accept_hdr_async(stream, protoo).await.expect("a handshake")
    }

    fn limits(ping_every: Duration) -> Limits {
        Limits { max_text: 1_000, patience: Duration::from_millis(100), ping_every }
    }

    async fn pair(ping_every: Duration) -> (Link, WebSocketStream<TcpStream>) {
        let (listener, url) = listen().await;
        let server = tokio::spawn(accept(listener));
        let link = connect_with(&url, None, limits(ping_every)).await.expect("it is there");
        (link, server.await.expect("it has accepted"))
    }

    #[tokio::test]
    async fn a_server_that_answers_no_ping_is_gone() {
        let (mut link, _silent) = pair(Duration::from_millis(20)).await;
        let told = timeout(WATCHDOG, link.receive()).await.expect("it is told");
        assert!(matches!(told, FromServer::Closed), "{told:?}");
    }

    #[tokio::test]
    async fn a_server_that_answers_pings_stays_and_a_text_that_is_too_long_is_left() {
        let (mut link, mut server) = pair(Duration::from_millis(200)).await;
        let server = async {
            let mut pings = 0;
            while pings < 4 {
                pings += u32::from(matches!(server.next().await, Some(Ok(Message::Ping(_)))));
            }
            for text in ["x".repeat(1_001), "y".repeat(1_000)] {
                server.send(Message::text(text)).await.expect("it reads");
            }
            server
        };
        let both = async { tokio::join!(server, link.receive()).1 };
        let told = timeout(WATCHDOG, both).await.expect("it is told");
        assert!(matches!(&told, FromServer::Text(text) if text.starts_with("yy")), "{told:?}");
    }

    #[tokio::test]
    async fn a_server_that_is_not_well_is_tried_again_and_one_that_refuses_is_not() {
        use tokio::io::AsyncWriteExt as _;

        use crate::{Failure, FailureKind};

        for (answer, kind) in [
            ("HTTP/1.1 503 Busy\r\n\r\n", FailureKind::Unreachable),
            ("HTTP/1.1 502 Bad Gateway\r\n\r\n", FailureKind::Unreachable),
            ("HTTP/1.1 404 Not Found\r\n\r\n", FailureKind::NegotiationFailed),
            ("HTTP/1.1 401 Who\r\n\r\n", FailureKind::AuthRefused),
            ("HTTP/1.1 1", FailureKind::ServerClosed),
            ("\u{1b}]52;c;nonsense\r\n\r\n", FailureKind::ServerClosed),
        ] {
            let (listener, url) = listen().await;
            let server = async {
                let (mut stream, _) = listener.accept().await.expect("a client");
                let mut request = [0; 4_096];
                while !request.windows(4).any(|end| end == b"\r\n\r\n") {
                    stream.readable().await.expect("it asks");
                    if stream.try_read(&mut request).is_ok_and(|len| len == 0) {
                        break;
                    }
                }
                stream.write_all(answer.as_bytes()).await.expect("it reads");
                stream.shutdown().await.expect("it is open");
            };
            let client = connect_with(&url, None, limits(PING_EVERY));
            let both = async { tokio::join!(server, client).1 };
            let error = timeout(WATCHDOG, both).await.expect("it is told").expect_err("refused");
            assert_eq!(Failure::from(&error).kind(), kind, "{answer:?}: {error}");
            assert!(!error.to_string().contains('\u{1b}'));
        }
    }
}
