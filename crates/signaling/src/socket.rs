//! One client's socket at the server.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket};
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time;
use tracing::debug;

use crate::output::ConnId;

/// What a socket tells the task that owns the rooms.
#[derive(Debug)]
pub(crate) enum Heard {
    Alive(ConnId),
    Closed(ConnId),
    Open { room: String, socket: Box<WebSocket> },
    Text(ConnId, String),
}

/// The way to a socket: a queue that is bounded in bytes.
#[derive(Debug)]
pub(crate) struct Outbox {
    queue: mpsc::UnboundedSender<(Message, OwnedSemaphorePermit)>,
    room: Arc<Semaphore>,
}

/// The other end of an [`Outbox`].
pub(crate) type Queue = mpsc::UnboundedReceiver<(Message, OwnedSemaphorePermit)>;

impl Outbox {
    pub(crate) fn new(max_bytes: usize) -> (Self, Queue) {
        let (queue, receiver) = mpsc::unbounded_channel();
        (Self { queue, room: Arc::new(Semaphore::new(max_bytes)) }, receiver)
    }

    /// Queues a message and tells whether there was room for it. It never waits:
    /// that is what keeps one slow client from delaying all others.
    pub(crate) fn push(&self, message: Message) -> bool {
        let len = match &message {
            Message::Text(text) => text.len(),
            _ => 0,
        };
        let cost = u32::try_from(len + OVERHEAD).unwrap_or(u32::MAX);
        let Ok(permit) = Arc::clone(&self.room).try_acquire_many_owned(cost) else {
            return false;
        };
        // A socket that has just ended tells so itself.
        let _ = self.queue.send((message, permit));
        true
    }
}

/// Reads and writes `socket` until either ends: the queue is dropped, the client
/// goes, or it takes no message for five seconds.
pub(crate) async fn run(
    socket: WebSocket,
    conn: ConnId,
    heard: mpsc::Sender<Heard>,
    mut queue: Queue,
) {
    let (mut sink, mut stream) = socket.split();
    tokio::select! {
        () = read(&mut stream, conn, &heard) => {}
        said_goodbye = write(&mut sink, &mut queue) => {
            if said_goodbye {
                // The client's goodbye; without it, what we sent last may be lost.
                let rest = async { while let Some(Ok(_)) = stream.next().await {} };
                let _ = time::timeout(GOODBYE, rest).await;
            }
        }
    }
    let _ = heard.send(Heard::Closed(conn)).await;
}

async fn read(stream: &mut SplitStream<WebSocket>, conn: ConnId, heard: &mpsc::Sender<Heard>) {
    while let Some(message) = stream.next().await {
        let news = match message {
            Ok(Message::Text(text)) => Heard::Text(conn, text.as_str().to_owned()),
            Ok(Message::Ping(_) | Message::Pong(_)) => Heard::Alive(conn),
            Ok(Message::Close(_)) => continue,
            Ok(Message::Binary(_)) => {
                debug!(conn = conn.get(), "binary message: connection is dropped");
                return;
            }
            Err(error) => {
                debug!(conn = conn.get(), %error, "connection is lost");
                return;
            }
        };
        if heard.send(news).await.is_err() {
            return;
        }
    }
}

/// Writes what is queued; true if it ended with a close frame.
async fn write(sink: &mut SplitSink<WebSocket, Message>, queue: &mut Queue) -> bool {
    // The permit is given back once the message is with the system.
    while let Some((message, _permit)) = queue.recv().await {
        let last = matches!(message, Message::Close(_));
        if !matches!(time::timeout(WRITE, sink.send(message)).await, Ok(Ok(()))) {
            return false;
        }
        if last {
            return true;
        }
    }
    let frame = CloseFrame { code: 1001, reason: "the server is going away".into() };
    let farewell = sink.send(Message::Close(Some(frame)));
    matches!(time::timeout(GOODBYE, farewell).await, Ok(Ok(())))
}

/// Bytes that a queued message takes besides its text, about.
const OVERHEAD: usize = 128;
/// How long a client may take to take one message.
const WRITE: Duration = Duration::from_secs(5);
/// How long a goodbye may take.
const GOODBYE: Duration = Duration::from_secs(1);
