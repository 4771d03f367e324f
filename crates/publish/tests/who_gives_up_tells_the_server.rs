//! An attempt that is given up leaves nothing behind at the server.

#![cfg(feature = "client")]
#![allow(clippy::unwrap_used, reason = "what does not fit fails the test")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use paceline_publish::{PublishError, SfuConfig, SfuSender, SfuTarget};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::time::timeout;

/// The first line of a request, of which all has come.
async fn request(stream: &mut TcpStream) -> String {
    let mut text = String::new();
    loop {
        let mut buffer = [0; 4_096];
        let len = stream.read(&mut buffer).await.unwrap();
        assert!(len > 0, "{text}");
        text += std::str::from_utf8(&buffer[..len]).unwrap();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let lines = head.to_ascii_lowercase();
        let len = lines.lines().find_map(|line| line.strip_prefix("content-length: "));
        if body.len() >= len.map_or(0, |len| len.parse().unwrap()) {
            return head.lines().next().unwrap().to_owned();
        }
    }
}

async fn respond(stream: &mut TcpStream, body: &str) {
    let head = format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}", body.len());
    stream.write_all(format!("{head}\r\n\r\n{body}").as_bytes()).await.unwrap();
}

/// Who was asked for may be there although no answer has come: he is asked to go, and has been
/// when the attempt is over.
#[tokio::test]
async fn a_broadcaster_that_may_be_in_the_room_is_deleted_before_the_attempt_is_over() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = format!("broadcaster:http://{}/rooms/r", listener.local_addr().unwrap());
    let target: SfuTarget = target.parse().unwrap();
    let (asking, is_asked) = oneshot::channel();
    let is_deleted = Arc::new(AtomicBool::new(false));
    let deleted = Arc::clone(&is_deleted);
    let server = tokio::spawn(async move {
        let (mut get, _) = listener.accept().await.unwrap();
        assert_eq!(request(&mut get).await, "GET /rooms/r HTTP/1.1");
        respond(&mut get, &support::router().to_string()).await;
        // This one gets no answer.
        let (mut post, _) = listener.accept().await.unwrap();
        assert_eq!(request(&mut post).await, "POST /rooms/r/broadcasters HTTP/1.1");
        asking.send(()).unwrap();
        let (mut delete, _) = listener.accept().await.unwrap();
        let line = request(&mut delete).await;
        assert!(line.starts_with("DELETE /rooms/r/broadcasters/paceline-"), "{line}");
        deleted.store(true, Ordering::SeqCst);
        respond(&mut delete, "").await;
    });
    let given_up = async { is_asked.await.unwrap() };
    let config = SfuConfig::default().close_timeout(Duration::from_secs(10));
    let sender = SfuSender::connect_unless(given_up, target, config);
    let error = timeout(WATCHDOG, sender).await.unwrap().unwrap_err();
    assert!(matches!(error, PublishError::GivenUp), "{error}");
    assert!(is_deleted.load(Ordering::SeqCst));
    timeout(WATCHDOG, server).await.unwrap().unwrap();
}

/// Ours: long after all of it.
const WATCHDOG: Duration = Duration::from_secs(20);
