//! Two transports on loopback, over real sockets.
#![allow(clippy::disallowed_methods, reason = "the edge of the network reads the clock")]
#![cfg(feature = "webrtc")]

use std::time::{Duration, Instant};

use bytes::Bytes;
use paceline_transport::types::{ConnectionEvent, ConnectionOp, PacketKind, PeerId};
use paceline_transport::{SendError, Transport, WebRtc, WebRtcConfig};

/// Low enough to be met.
const LIMIT: usize = 32 << 10;

const A: PeerId = PeerId::from_bytes([1; 16]);
const B: PeerId = PeerId::from_bytes([2; 16]);

/// One side of a pair: it signals by writing into the other.
struct Side {
    transport: WebRtc,
    peer: PeerId,
    open: bool,
    messages: Vec<Bytes>,
    closed: bool,
}

impl Side {
    fn new(peer: PeerId, config: WebRtcConfig) -> Self {
        let transport = WebRtc::new(config);
        Self { transport, peer, open: false, messages: Vec::new(), closed: false }
    }
}

/// Lets both sides work until `done`; the watchdog is 10 s.
async fn run_until(a: &mut Side, b: &mut Side, done: impl Fn(&Side, &Side) -> bool) {
    let work = async {
        while !done(a, b) {
            tokio::select! {
                () = a.transport.ready() => {}
                () = b.transport.ready() => {}
            }
            turn(a, b);
            turn(b, a);
        }
    };
    tokio::time::timeout(Duration::from_secs(10), work).await.expect("the pair is stuck");
}

fn turn(side: &mut Side, other: &mut Side) {
    while let Some((_, event)) = side.transport.poll_event() {
        match event {
            ConnectionEvent::Local(signal) => {
                other.transport.apply(Instant::now(), other.peer, ConnectionOp::Remote(signal));
            }
            ConnectionEvent::Open => side.open = true,
            ConnectionEvent::Message(bytes) => side.messages.push(bytes),
            ConnectionEvent::Closed { .. } => side.closed = true,
            _ => {}
        }
    }
}

async fn pair() -> (Side, Side) {
    let config = WebRtcConfig::default().max_outstanding(LIMIT);
    let (mut a, mut b) = (Side::new(B, config.clone()), Side::new(A, config));
    a.transport.apply(Instant::now(), B, ConnectionOp::Call);
    run_until(&mut a, &mut b, |a, b| a.open && b.open).await;
    (a, b)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_arrive_in_order_both_ways() {
    let (mut a, mut b) = pair().await;
    for index in 0..200_u16 {
        let message = Bytes::from(vec![index as u8; 1 + usize::from(index) * 80]);
        while a.transport.try_send(Instant::now(), B, PacketKind::Message, message.clone())
            == Err(SendError::Full)
        {
            run_until(&mut a, &mut b, |a, _| a.transport.outstanding(B) < 16 << 10).await;
        }
    }
    b.transport
        .try_send(Instant::now(), A, PacketKind::Message, Bytes::from_static(b"back"))
        .expect("open");
    run_until(&mut a, &mut b, |a, b| b.messages.len() == 200 && a.messages.len() == 1).await;
    for (index, message) in b.messages.iter().enumerate() {
        assert_eq!(message.len(), 1 + index * 80);
        assert!(message.iter().all(|&byte| byte == index as u8));
    }
    assert_eq!(&a.messages[0][..], b"back");
    a.transport.shutdown().await;
    b.transport.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_closes_is_noticed() {
    let (mut a, mut b) = pair().await;
    a.transport.apply(Instant::now(), B, ConnectionOp::Close);
    run_until(&mut a, &mut b, |_, b| b.closed).await;
    assert_eq!(
        b.transport.try_send(Instant::now(), A, PacketKind::Message, Bytes::new()),
        Err(SendError::NotOpen)
    );
    b.transport.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_is_taken_while_less_than_the_limit_waits_whatever_its_size() {
    let (mut a, mut b) = pair().await;
    let mut sent = 0;
    for round in 0..300_usize {
        // Small ones between full ones: together they pass the limit by one message.
        let len = if round % 3 == 0 { 200 } else { 16_384 };
        run_until(&mut a, &mut b, |a, _| a.transport.outstanding(B) < LIMIT).await;
        let message = Bytes::from(vec![0; len]);
        assert_eq!(
            a.transport.try_send(Instant::now(), B, PacketKind::Message, message),
            Ok(()),
            "round {round}"
        );
        sent += len;
    }
    run_until(&mut a, &mut b, |_, b| b.messages.iter().map(Bytes::len).sum::<usize>() == sent)
        .await;
    a.transport.shutdown().await;
    b.transport.shutdown().await;
}

#[tokio::test]
async fn a_message_before_the_channel_is_open_is_refused() {
    let mut transport = WebRtc::new(WebRtcConfig::default());
    let now = Instant::now();
    assert_eq!(
        transport.try_send(now, B, PacketKind::Message, Bytes::new()),
        Err(SendError::NotOpen)
    );
    transport.apply(now, B, ConnectionOp::Call);
    assert_eq!(
        transport.try_send(now, B, PacketKind::Message, Bytes::new()),
        Err(SendError::NotOpen)
    );
    transport.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn garbage_in_an_offer_closes_that_connection_only() {
    let (mut a, mut b) = pair().await;
    let stranger = PeerId::from_bytes([9; 16]);
    let garbage = paceline_transport::types::Signal::Offer { sdp: "v=0\r\nnonsense".to_owned() };
    a.transport.apply(Instant::now(), stranger, ConnectionOp::Remote(garbage));
    let closed = async {
        loop {
            a.transport.ready().await;
            if let Some((peer, ConnectionEvent::Closed { reason })) = a.transport.poll_event() {
                return (peer, reason);
            }
        }
    };
    let (peer, reason) =
        tokio::time::timeout(Duration::from_secs(10), closed).await.expect("closed in time");
    assert_eq!(peer, stranger);
    assert!(reason.contains("refused"), "{reason}");
    a.transport
        .try_send(Instant::now(), B, PacketKind::Message, Bytes::from_static(b"still here"))
        .expect("open");
    run_until(&mut a, &mut b, |_, b| b.messages.len() == 1).await;
    a.transport.shutdown().await;
    b.transport.shutdown().await;
}
