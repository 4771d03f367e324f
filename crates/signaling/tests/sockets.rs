//! The machines on real sockets, on loopback.

#![cfg(all(feature = "client", feature = "server"))]

use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use paceline_signaling::framing::RosterId;
use paceline_signaling::types::{Epoch, PeerId, SenderId};
use paceline_signaling::{
    Client, ClientConfig, ClientEvent, ClientOutput, ConnectError, Connection, Lease, RoomsConfig,
    Server, ServerConfig, ServerError, Signal, Vote, VoteRequest, WitnessReply, WitnessRequest,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

const LOOPBACK: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
const PATIENCE: Duration = Duration::from_secs(10);

/// Fails the test instead of letting it hang.
async fn watched<T>(test: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(60), test).await.expect("the test is over within a minute")
}

/// A client machine on its socket.
struct Peer {
    id: PeerId,
    machine: Client,
    socket: Connection,
}

impl Peer {
    async fn join(server: &Server, room: &str, number: u8) -> Self {
        let id = PeerId::from_random([number; 16]);
        let socket = Connection::connect(&server.url(room), PATIENCE).await.expect("it listens");
        let machine = Client::new(ClientConfig::new(id, format!("peer {number}")));
        let mut peer = Self { id, machine, socket };
        peer.machine.handle_open();
        let event = peer.next().await;
        assert!(matches!(event, ClientEvent::Joined(_)), "{event:?}");
        peer
    }

    /// The next event; sends what there is to send.
    async fn next(&mut self) -> ClientEvent {
        loop {
            while let Some(output) = self.machine.poll_output() {
                match output {
                    ClientOutput::Event(event) => return event,
                    ClientOutput::Send(text) => self.socket.send(text).await.expect("open"),
                    other => panic!("unknown output {other:?}"),
                }
            }
            let text = timeout(PATIENCE, self.socket.recv()).await.expect("an event comes");
            let text = text.expect("the connection is open").expect("and sound");
            self.machine.handle_text(&text).expect("the server speaks the protocol");
        }
    }
}

async fn bind(config: ServerConfig) -> Server {
    Server::bind(LOOPBACK, config).await.expect("loopback has a free port")
}

#[tokio::test]
async fn two_clients_meet_over_loopback() {
    watched(async {
        let server = bind(ServerConfig::default()).await;
        assert_ne!(server.local_addr().port(), 0);
        let mut alice = Peer::join(&server, "kitchen", 1).await;
        let mut bob = Peer::join(&server, "kitchen", 2).await;
        assert!(matches!(alice.next().await, ClientEvent::PeerJoined(m) if m.peer == bob.id));
        let signal = Signal::Offer { sdp: "v=0\r\n".repeat(5_000) };
        bob.machine.send(alice.id, signal.clone());
        bob.machine.leave();
        // Bob has to be driven until he is out: the server then closes.
        let heard = async { (alice.next().await, alice.next().await) };
        let driven = async {
            while let Some(output) = bob.machine.poll_output() {
                if let ClientOutput::Send(text) = output {
                    bob.socket.send(text).await.expect("open");
                }
            }
            while let Some(text) = bob.socket.recv().await {
                bob.machine.handle_text(&text.expect("a clean end")).expect("the protocol");
            }
        };
        let ((offer, left), ()) = tokio::join!(heard, driven);
        assert_eq!(offer, ClientEvent::Signal { from: bob.id, signal });
        assert_eq!(left, ClientEvent::PeerLeft { peer: bob.id, reason: "left".into() });
        server.shutdown().await;
        let end = alice.socket.recv().await;
        assert!(matches!(end, Some(Err(ConnectError::Closed { code: 1001, .. }))), "{end:?}");
        assert!(alice.socket.recv().await.is_none());
        assert!(alice.socket.send("{}".into()).await.is_err());
    })
    .await;
}

/// Far more than a socket's buffers hold goes to a client that reads nothing.
/// The others hear each other all the while, and see it dropped.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_stops_reading_does_not_delay_others() {
    watched(async {
        let server = bind(ServerConfig::default().max_queue(160 << 10)).await;
        let stuck = Peer::join(&server, "kitchen", 1).await;
        let mut alice = Peer::join(&server, "kitchen", 2).await;
        let mut bob = Peer::join(&server, "kitchen", 3).await;
        assert!(matches!(alice.next().await, ClientEvent::PeerJoined(_)));
        let ping = Signal::Candidate {
            candidate: "ping".into(),
            mid: "0".into(),
            mline_index: 0,
            ufrag: String::new(),
        };
        let flood = Signal::Offer { sdp: "s".repeat(30_000) };
        let mut rounds = 0;
        'flood: loop {
            assert!(rounds < 2_000, "60 MB, and the stuck client is still there");
            rounds += 1;
            alice.machine.send(stuck.id, flood.clone());
            // A new description, so that the candidate after it is not one too many.
            alice.machine.send(bob.id, Signal::Offer { sdp: "v=0".into() });
            alice.machine.send(bob.id, ping.clone());
            while let Some(output) = alice.machine.poll_output() {
                match output {
                    ClientOutput::Send(text) => alice.socket.send(text).await.expect("open"),
                    other => panic!("alice hears nothing here: {other:?}"),
                }
            }
            let mut candidate = false;
            while !candidate {
                match bob.next().await {
                    ClientEvent::Signal { from, signal } => {
                        assert_eq!(from, alice.id);
                        candidate = matches!(signal, Signal::Candidate { .. });
                    }
                    ClientEvent::PeerLeft { peer, .. } if peer == stuck.id => break 'flood,
                    other => panic!("{other:?}"),
                }
            }
            // Three answers to three signals, until the stuck one has gone.
            for _ in 0..3 {
                let text = alice.socket.recv().await.expect("open").expect("sound");
                alice.machine.handle_text(&text).expect("the protocol");
            }
            while let Some(output) = alice.machine.poll_output() {
                match output {
                    ClientOutput::Event(ClientEvent::PeerLeft { .. }) => {}
                    ClientOutput::Event(ClientEvent::SendFailed { .. }) => {}
                    other => panic!("{other:?}"),
                }
            }
        }
        drop(stuck);
    })
    .await;
}

#[tokio::test]
async fn a_url_or_a_server_that_is_none_is_said_in_one_line() {
    watched(async {
        let free = TcpListener::bind(LOOPBACK).await.unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let url = format!("ws://127.0.0.1:{port}/room");
        let error = Connection::connect(&url, PATIENCE).await.expect_err("nobody listens");
        assert_eq!(
            error.to_string(),
            format!(
                "no signalling server answers at {url} (connection refused): is `call host` \
                 running, and is the port right?"
            )
        );
        let mut lines = vec![error.to_string()];

        let silent = TcpListener::bind(LOOPBACK).await.unwrap();
        let url = format!("ws://{}/room", silent.local_addr().unwrap());
        let error = Connection::connect(&url, Duration::from_millis(50)).await.expect_err("silent");
        assert!(matches!(error, ConnectError::Unreachable { .. }), "{error}");
        lines.push(error.to_string());

        for url in ["room", "ws://127.0.0.1:1/", "ws://127.0.0.1:1/a\nb", "ws://127.0.0.1/room"] {
            let error = Connection::connect(url, PATIENCE).await.expect_err(url);
            assert!(matches!(error, ConnectError::BadUrl { .. }), "{error}");
            assert!(error.to_string().contains("is not ws://HOST:PORT/ROOM"), "{error}");
            lines.push(error.to_string());
        }
        let error = Connection::connect("wss://127.0.0.1:1/room", PATIENCE).await.expect_err("TLS");
        assert!(matches!(error, ConnectError::Secure { .. }), "{error}");
        lines.push(error.to_string());
        assert!(lines.iter().all(|line| !line.contains('\n')));

        let server = bind(ServerConfig::default()).await;
        let taken = Server::bind(server.local_addr(), ServerConfig::default()).await;
        let error = taken.expect_err("the port is taken");
        assert!(matches!(error, ServerError::Bind { .. }), "{error}");
    })
    .await;
}

#[tokio::test]
async fn what_is_not_a_websocket_is_answered_and_closed() {
    watched(async {
        let server = bind(ServerConfig::default()).await;
        for path in ["/", "/kitchen", "/a/b", "/%00"] {
            let mut tcp = TcpStream::connect(server.local_addr()).await.unwrap();
            let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n");
            tcp.write_all(request.as_bytes()).await.unwrap();
            let mut answer = String::new();
            tcp.read_to_string(&mut answer).await.unwrap();
            assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_connection_that_never_asks_is_dropped() {
    watched(async {
        let rooms = RoomsConfig::default().announce_timeout(Duration::from_millis(50));
        let server = bind(ServerConfig::default().rooms(rooms)).await;
        let mut tcp = TcpStream::connect(server.local_addr()).await.unwrap();
        tcp.write_all(b"GET /kitchen HTTP/1.1\r\n").await.unwrap();
        let mut rest = Vec::new();
        let ended = timeout(PATIENCE, tcp.read_to_end(&mut rest)).await;
        assert!(ended.is_ok(), "dropped in time");
    })
    .await;
}

#[tokio::test]
async fn a_client_that_does_not_announce_is_closed_with_the_reason() {
    watched(async {
        let rooms = RoomsConfig::default().announce_timeout(Duration::from_millis(50));
        let server = bind(ServerConfig::default().rooms(rooms)).await;
        let mut socket = Connection::connect(&server.url("room"), PATIENCE).await.unwrap();
        let end = socket.recv().await;
        let Some(Err(ConnectError::Closed { code: 1008, reason })) = end else { panic!("{end:?}") };
        assert_eq!(reason, "no peer.announce came in time");
        assert!(socket.recv().await.is_none());
    })
    .await;
}

#[tokio::test]
async fn an_idle_client_answers_pings_and_stays() {
    watched(async {
        let rooms = RoomsConfig::default()
            .idle_timeout(Duration::from_millis(20))
            .pong_timeout(Duration::from_secs(5));
        let server = bind(ServerConfig::default().rooms(rooms)).await;
        let mut alice = Peer::join(&server, "kitchen", 1).await;
        let quiet = timeout(Duration::from_millis(300), alice.socket.recv()).await;
        assert!(quiet.is_err(), "{quiet:?}");
        let _bob = Peer::join(&server, "kitchen", 2).await;
        assert!(matches!(alice.next().await, ClientEvent::PeerJoined(_)));
    })
    .await;
}

#[tokio::test]
async fn what_was_queued_is_sent_before_closing() {
    watched(async {
        let server = bind(ServerConfig::default()).await;
        let mut alice = Peer::join(&server, "kitchen", 1).await;
        let mut bob = Peer::join(&server, "kitchen", 2).await;
        assert!(matches!(alice.next().await, ClientEvent::PeerJoined(_)));
        bob.machine.send(alice.id, Signal::Answer { sdp: "v=0".into() });
        while let Some(ClientOutput::Send(text)) = bob.machine.poll_output() {
            bob.socket.send(text).await.unwrap();
        }
        bob.socket.close().await;
        assert!(matches!(alice.next().await, ClientEvent::Signal { .. }));
        assert!(matches!(alice.next().await, ClientEvent::PeerLeft { .. }));
    })
    .await;
}

/// Whoever is elected is told of to all, over the same sockets.
#[tokio::test]
async fn the_witness_votes_over_loopback() {
    watched(async {
        let server = bind(ServerConfig::default()).await;
        let mut alice = Peer::join(&server, "call", 1).await;
        let mut bob = Peer::join(&server, "call", 2).await;
        assert!(matches!(alice.next().await, ClientEvent::PeerJoined(_)));
        let (epoch, candidate) = (Epoch::new(1, 0), SenderId::new(1));
        let roster = RosterId::default();
        let request = VoteRequest { epoch, candidate, prevote: false, length: 450_000, roster };
        alice.machine.witness(WitnessRequest::Vote(request));
        let vote = Vote { epoch, candidate, prevote: false, granted: true };
        assert_eq!(alice.next().await, ClientEvent::Witness(WitnessReply::Vote(vote)));
        let lease = Lease { epoch, length: 450_000, sequence: 1, roster };
        alice.machine.witness(WitnessRequest::Lease { lease, electors: vec![candidate] });
        let host = ClientEvent::Host { host: Some(alice.id), epoch };
        assert_eq!(alice.next().await, host);
        let reply = WitnessReply::Lease { lease, granted: true };
        assert_eq!(alice.next().await, ClientEvent::Witness(reply));
        assert_eq!(bob.next().await, host);
    })
    .await;
}

#[tokio::test]
async fn a_dropped_server_ends_its_connections() {
    watched(async {
        let server = bind(ServerConfig::default()).await;
        let addr = server.local_addr();
        let mut alice = Peer::join(&server, "kitchen", 1).await;
        drop(server);
        assert!(matches!(alice.socket.recv().await, Some(Err(_)) | None));
        assert!(alice.socket.recv().await.is_none());
        let url = format!("ws://{addr}/kitchen");
        assert!(Connection::connect(&url, PATIENCE).await.is_err());
    })
    .await;
}
