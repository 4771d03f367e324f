//! A server on a socket: rooms for whoever connects.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, WebSocketUpgrade};
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time;
use tracing::{debug, info};

use crate::config::RoomsConfig;
use crate::limits::{self, MAX_FRAME, MAX_REPLY};
use crate::listener::Timed;
use crate::output::{ConnId, RoomsOutput};
use crate::rooms::Rooms;
use crate::socket::{self, Heard, Outbox};

/// How a [`Server`] behaves.
///
/// ```
/// use paceline_signaling::{RoomsConfig, ServerConfig};
///
/// let config = ServerConfig::default().rooms(RoomsConfig::default().max_members(4));
/// ```
#[derive(Clone, Debug)]
pub struct ServerConfig {
    max_queue: usize,
    rooms: RoomsConfig,
}

impl ServerConfig {
    /// Bytes that may wait for a client that is slow to take them. Defaults to
    /// 1 MiB, more than a full room sends to a newcomer at once.
    ///
    /// A client over it is disconnected; the others do not wait for it. The whole
    /// server holds at most this for each connection, so lower it before raising
    /// [`RoomsConfig::max_connections`].
    ///
    /// # Panics
    ///
    /// If it is less than [`MAX_REPLY`], or 512 MiB or more.
    #[must_use]
    pub const fn max_queue(mut self, max_queue: usize) -> Self {
        let fits = max_queue >= MAX_REPLY && max_queue < 512 << 20;
        assert!(fits, "max_queue is at least 160 KiB and less than 512 MiB");
        self.max_queue = max_queue;
        self
    }

    /// The bounds of the rooms. Defaults to [`RoomsConfig::default`].
    #[must_use]
    pub fn rooms(mut self, rooms: RoomsConfig) -> Self {
        self.rooms = rooms;
        self
    }
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self { max_queue: 1 << 20, rooms: RoomsConfig::default() }
    }
}

/// Why a server does not run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// The address cannot be listened on.
    #[error("cannot listen on {addr} ({source}): use port 0 for a free one, or another address")]
    Bind {
        /// The address.
        addr: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
}

/// A signalling server; dropping it ends it and every connection at once.
///
/// One task owns the rooms, so no lock is held anywhere, and it never waits for a
/// client; each socket has a task of its own.
#[derive(Debug)]
pub struct Server {
    addr: SocketAddr,
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

impl Server {
    /// Listens on `addr`; port 0 takes a free one.
    ///
    /// # Errors
    ///
    /// [`ServerError::Bind`] if the system does not let it.
    pub async fn bind(addr: SocketAddr, config: ServerConfig) -> Result<Self, ServerError> {
        let failed = |source| ServerError::Bind { addr, source };
        let listener = TcpListener::bind(addr).await.map_err(failed)?;
        let bound = listener.local_addr().map_err(failed)?;
        let RoomsConfig { max_connections, announce_timeout, .. } = config.rooms;
        let listener = Timed::new(listener, max_connections, announce_timeout);
        let (stop, stopped) = watch::channel(false);
        let (heard, inbox) = mpsc::channel(INBOX);
        let router = Router::new().fallback(open).with_state(heard.clone());

        let mut tasks = JoinSet::new();
        let mut until = stopped.clone();
        tasks.spawn(async move {
            let until = async move {
                let _ = until.wait_for(|stop| *stop).await;
            };
            // It has no error to give: accepting is tried again for ever.
            let _ = axum::serve(listener, router).with_graceful_shutdown(until).await;
        });
        tasks.spawn(Desk::new(config, heard).run(inbox, stopped));
        info!(addr = %bound, "signalling server listens");
        Ok(Self { addr: bound, stop, tasks })
    }

    /// The address it listens on, with the port it was given.
    #[must_use]
    pub const fn local_addr(&self) -> SocketAddr {
        self.addr
    }

    /// The URL of `room`, for this machine: an address that stands for all of
    /// them is replaced by loopback.
    #[must_use]
    pub fn url(&self, room: &str) -> String {
        let ip = match self.addr.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
            ip => ip,
        };
        format!("ws://{}/{room}", SocketAddr::new(ip, self.addr.port()))
    }

    /// Says goodbye to every client and ends, within two seconds.
    pub async fn shutdown(mut self) {
        let _ = self.stop.send(true);
        let ended = async { while self.tasks.join_next().await.is_some() {} };
        // Over time, dropping the tasks ends them.
        let _ = time::timeout(SHUTDOWN, ended).await;
    }
}

/// Answers an HTTP request: only one that becomes a WebSocket to a room is of use.
async fn open(
    State(heard): State<mpsc::Sender<Heard>>,
    uri: Uri,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    let room = uri.path().trim_start_matches('/').to_owned();
    // Whatever is refused must not keep its connection.
    let refuse = |why: &'static str| {
        (StatusCode::BAD_REQUEST, [(header::CONNECTION, "close")], why).into_response()
    };
    if !limits::is_room(&room) {
        return refuse("the path is the room: 1 to 64 of A-Z a-z 0-9 _ -\n");
    }
    match upgrade {
        Ok(upgrade) => upgrade.max_frame_size(MAX_FRAME).max_message_size(MAX_FRAME).on_upgrade(
            async move |socket| {
                let socket = Box::new(socket);
                let _ = heard.send(Heard::Open { room, socket }).await;
            },
        ),
        Err(_) => refuse("this is a signalling server: connect with a WebSocket\n"),
    }
}

/// Where all sockets meet: the one task that owns the rooms.
struct Desk {
    rooms: Rooms,
    max_queue: usize,
    heard: mpsc::Sender<Heard>,
    last_conn: u64,
    outboxes: BTreeMap<ConnId, Outbox>,
    sockets: JoinSet<()>,
}

impl Desk {
    fn new(config: ServerConfig, heard: mpsc::Sender<Heard>) -> Self {
        // The standard library's only source of randomness is its hasher's keys.
        let seed = RandomState::new().build_hasher().finish();
        Self {
            rooms: Rooms::new(config.rooms, seed),
            max_queue: config.max_queue,
            heard,
            last_conn: 0,
            outboxes: BTreeMap::new(),
            sockets: JoinSet::new(),
        }
    }

    async fn run(mut self, mut inbox: mpsc::Receiver<Heard>, mut stopped: watch::Receiver<bool>) {
        loop {
            let deadline = self.rooms.poll_timeout();
            let due = async {
                match deadline {
                    Some(deadline) => time::sleep_until(deadline.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                Some(news) = inbox.recv() => self.hear(now(), news),
                () = due => self.rooms.handle_timeout(now()),
                Some(_) = self.sockets.join_next() => {}
                _ = stopped.wait_for(|stop| *stop) => break,
            }
            self.deliver();
        }
        // Without its outbox a socket says goodbye and ends; nobody listens to
        // what else they hear.
        self.outboxes.clear();
        drop(inbox);
        while self.sockets.join_next().await.is_some() {}
    }

    fn hear(&mut self, now: Instant, news: Heard) {
        match news {
            Heard::Alive(conn) => self.rooms.handle_pong(now, conn),
            Heard::Closed(conn) => {
                self.outboxes.remove(&conn);
                self.rooms.handle_close(now, conn);
            }
            Heard::Open { room, socket } => {
                self.last_conn += 1;
                let conn = ConnId::new(self.last_conn);
                let (outbox, queue) = Outbox::new(self.max_queue);
                self.outboxes.insert(conn, outbox);
                self.sockets.spawn(socket::run(*socket, conn, self.heard.clone(), queue));
                self.rooms.handle_open(now, conn, &room);
            }
            Heard::Text(conn, text) => self.rooms.handle_text(now, conn, &text),
        }
    }

    fn deliver(&mut self) {
        while let Some(output) = self.rooms.poll_output() {
            let (conn, message) = match output {
                RoomsOutput::Close { conn, reason } => {
                    let reason =
                        CloseFrame { code: reason.code(), reason: reason.to_string().into() };
                    if let Some(outbox) = self.outboxes.remove(&conn) {
                        outbox.push(Message::Close(Some(reason)));
                    }
                    continue;
                }
                RoomsOutput::Ping { conn } => (conn, Message::Ping(Default::default())),
                RoomsOutput::Send { conn, text } => (conn, Message::Text(text.into())),
            };
            let full = self.outboxes.get(&conn).is_some_and(|outbox| !outbox.push(message));
            if full {
                debug!(conn = conn.get(), "client is too slow: connection is dropped");
                self.outboxes.remove(&conn);
                self.rooms.handle_close(now(), conn);
            }
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the signalling server's socket loop is an edge")]
fn now() -> Instant {
    Instant::now()
}

/// Messages from all sockets that wait for the rooms. Sockets take turns at it,
/// so who sends most waits longest.
const INBOX: usize = 256;
/// How long goodbyes may take.
const SHUTDOWN: Duration = Duration::from_secs(2);
