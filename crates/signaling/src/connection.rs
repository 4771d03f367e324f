//! A client's socket.

use std::io;
use std::time::Duration;

use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};

use crate::limits::MAX_REPLY;
use crate::url::{self, UrlProblem};

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Why there is no connection, or no longer one.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The URL is not one of a room.
    #[error("{url:?} is not ws://HOST:PORT/ROOM (ROOM is 1 to 64 of A-Z a-z 0-9 _ -)")]
    BadUrl {
        /// The URL.
        url: String,
    },
    /// The server closed the connection, and said why.
    #[error("the signalling server closed the connection: {reason} ({code})")]
    Closed {
        /// The WebSocket close code (RFC 6455 §7.4).
        code: u16,
        /// The server's words, without control characters.
        reason: String,
    },
    /// The connection broke.
    #[error("the connection to the signalling server was lost: {reason}")]
    Lost {
        /// How.
        reason: String,
    },
    /// Something answers, but not as a signalling server does.
    #[error("what answers at {url} is not a signalling server: {reason}")]
    NotAServer {
        /// The URL.
        url: String,
        /// What it did.
        reason: String,
    },
    /// The URL asks for TLS.
    #[error("{url:?} is a wss URL, and TLS is not built in yet: use ws://HOST:PORT/ROOM")]
    Secure {
        /// The URL.
        url: String,
    },
    /// Nobody answers.
    #[error(
        "no signalling server answers at {url} ({reason}): is `call host` running, and is the \
         port right?"
    )]
    Unreachable {
        /// The URL.
        url: String,
        /// What the system says.
        reason: String,
    },
}

/// An open WebSocket to a room.
///
/// A task of its own reads and writes it, so [`send`](Self::send) and
/// [`recv`](Self::recv) do not wait for each other. Up to 64 messages wait to be
/// received: who does not receive is in time disconnected by the server. Up to 1,024
/// wait to be sent. Dropping it
/// ends the connection at once; [`close`](Self::close) first sends what waits.
#[derive(Debug)]
pub struct Connection {
    incoming: mpsc::Receiver<Result<String, ConnectError>>,
    outgoing: mpsc::Sender<String>,
    /// One task, which ends with this.
    task: JoinSet<()>,
}

impl Connection {
    /// Connects to `ws://HOST:PORT/ROOM`, within `timeout`.
    ///
    /// # Errors
    ///
    /// [`ConnectError`], whose text is a line for the user.
    pub async fn connect(url: &str, timeout: Duration) -> Result<Self, ConnectError> {
        url::check(url).map_err(|problem| match problem {
            UrlProblem::Malformed => ConnectError::BadUrl { url: url.into() },
            UrlProblem::Secure => ConnectError::Secure { url: url.into() },
        })?;
        let config = WebSocketConfig::default()
            .max_frame_size(Some(MAX_REPLY))
            .max_message_size(Some(MAX_REPLY));
        let opening = connect_async_with_config(url, Some(config), true);
        let socket = match time::timeout(timeout, opening).await {
            Ok(Ok((socket, _))) => socket,
            Ok(Err(tungstenite::Error::Io(error))) => {
                return Err(ConnectError::Unreachable { url: url.into(), reason: plain(&error) });
            }
            Ok(Err(error)) => {
                let reason = one_line(&error.to_string());
                return Err(ConnectError::NotAServer { url: url.into(), reason });
            }
            Err(_) => {
                let reason = format!("nothing within {timeout:?}");
                return Err(ConnectError::Unreachable { url: url.into(), reason });
            }
        };
        let (to_user, incoming) = mpsc::channel(INCOMING);
        let (outgoing, from_user) = mpsc::channel(OUTGOING);
        let mut task = JoinSet::new();
        task.spawn(run(socket, to_user, from_user));
        Ok(Self { incoming, outgoing, task })
    }

    /// Waits for the next message; `None` once the connection has ended, after
    /// the error if it ended with one. Cancelling it loses no message.
    pub async fn recv(&mut self) -> Option<Result<String, ConnectError>> {
        self.incoming.recv().await
    }

    /// Queues a message without waiting.
    ///
    /// # Errors
    ///
    /// [`ConnectError::Lost`] if the connection has ended, or if 1,024 messages wait
    /// that the server does not take: it is of no use then.
    pub fn try_send(&mut self, text: String) -> Result<(), ConnectError> {
        self.outgoing.try_send(text).map_err(|error| {
            let reason = match error {
                mpsc::error::TrySendError::Closed(_) => "it has ended",
                mpsc::error::TrySendError::Full(_) => "the server takes no messages",
            };
            ConnectError::Lost { reason: reason.into() }
        })
    }

    /// Queues a message. It waits only while 1,024 others have not been sent;
    /// cancelling it then drops this one.
    ///
    /// # Errors
    ///
    /// [`ConnectError::Lost`] if the connection has ended; [`recv`](Self::recv)
    /// tells how.
    pub async fn send(&mut self, text: String) -> Result<(), ConnectError> {
        let lost = |_| ConnectError::Lost { reason: "it has ended".into() };
        self.outgoing.send(text).await.map_err(lost)
    }

    /// Sends what waits, says goodbye and waits for the server's, for a second.
    pub async fn close(self) {
        let Self { mut incoming, outgoing, mut task } = self;
        drop(outgoing);
        let farewell = async {
            // Messages still on their way must not keep the task from its end.
            while incoming.recv().await.is_some() {}
            task.join_next().await
        };
        // Over time, dropping the task ends it.
        let _ = time::timeout(GOODBYE, farewell).await;
    }
}

async fn run(
    socket: Socket,
    to_user: mpsc::Sender<Result<String, ConnectError>>,
    mut from_user: mpsc::Receiver<String>,
) {
    let (mut sink, mut stream) = socket.split();
    let end = tokio::select! {
        end = read(&mut stream, &to_user) => end,
        end = write(&mut sink, &mut from_user) => {
            // Either way the server has a last word: its goodbye, or why it left.
            match time::timeout(GOODBYE, read(&mut stream, &to_user)).await {
                Ok(Err(told @ ConnectError::Closed { .. })) => Err(told),
                _ => end,
            }
        }
    };
    drop(from_user);
    if let Err(error) = end {
        let _ = to_user.send(Err(error)).await;
    }
}

async fn read(
    stream: &mut SplitStream<Socket>,
    to_user: &mpsc::Sender<Result<String, ConnectError>>,
) -> Result<(), ConnectError> {
    let mut end = Ok(());
    // After a close frame comes nothing, but reading on answers it.
    while let Some(message) = stream.next().await {
        match message {
            Ok(Message::Text(text)) => {
                if to_user.send(Ok(text.as_str().to_owned())).await.is_err() {
                    return Ok(());
                }
            }
            Ok(Message::Close(Some(frame))) if frame.code != CloseCode::Normal => {
                let reason = one_line(&frame.reason);
                end = Err(ConnectError::Closed { code: frame.code.into(), reason });
            }
            Ok(Message::Binary(_)) => return Err(lost("a binary message came")),
            Ok(_) => {}
            Err(_) if end.is_err() => break,
            Err(error) => return Err(lost(&error.to_string())),
        }
    }
    end
}

async fn write(
    sink: &mut SplitSink<Socket, Message>,
    from_user: &mut mpsc::Receiver<String>,
) -> Result<(), ConnectError> {
    while let Some(text) = from_user.recv().await {
        match time::timeout(WRITE, sink.send(Message::Text(text.into()))).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Err(lost(&error.to_string())),
            Err(_) => return Err(lost("the server takes nothing any more")),
        }
    }
    sink.close().await.map_err(|error| lost(&error.to_string()))
}

fn lost(reason: &str) -> ConnectError {
    ConnectError::Lost { reason: one_line(reason) }
}

/// The kind of a system error is plainer than its text and has no number in it.
fn plain(error: &io::Error) -> String {
    if error.raw_os_error().is_some() {
        error.kind().to_string()
    } else {
        one_line(&error.to_string())
    }
}

fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Messages that wait to be received.
const INCOMING: usize = 64;
/// Messages that wait to be sent: a host that answers the 127 others of the largest room at
/// once has a description and seven candidates for each.
const OUTGOING: usize = 1_024;
/// How long a goodbye may take: some round trips of a bad link.
const GOODBYE: Duration = Duration::from_secs(1);
/// How long one message may take to be written, as at the server.
const WRITE: Duration = Duration::from_secs(5);
