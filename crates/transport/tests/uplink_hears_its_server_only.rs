//! What strangers send to an uplink's port.
#![allow(clippy::disallowed_methods, reason = "the edge of the network reads the clock")]
#![cfg(feature = "webrtc")]

mod sfu;

use std::net::SocketAddr;
use std::time::Duration;

use paceline_transport::types::{ConnectionOp, Signal};
use sfu::*;
use tokio::net::UdpSocket;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// Stands between an uplink and its server, and tells where the uplink is.
async fn relay(server: SocketAddr) -> (SocketAddr, oneshot::Receiver<SocketAddr>, JoinHandle<()>) {
    let [near, far] = [UdpSocket::bind("127.0.0.1:0").await, UdpSocket::bind("127.0.0.1:0").await]
        .map(|socket| socket.expect("a port"));
    let address = near.local_addr().expect("bound");
    let (found, uplink) = oneshot::channel();
    let task = tokio::spawn(async move {
        let (mut found, mut uplink) = (Some(found), None);
        let [mut there, mut back] = [[0; 4_096]; 2];
        loop {
            tokio::select! {
                Ok((len, from)) = near.recv_from(&mut there) => {
                    if let Some(found) = found.take() {
                        let _ = found.send(from);
                    }
                    uplink = Some(from);
                    drop(far.send_to(&there[..len], server).await);
                }
                Ok((len, _)) = far.recv_from(&mut back) => if let Some(uplink) = uplink {
                    drop(near.send_to(&back[..len], uplink).await);
                },
            }
        }
    });
    (address, uplink, task)
}

/// RFC 6347 §4.1: an alert of the first epoch, which is not encrypted. Before there are keys
/// anybody can say goodbye for the server.
fn goodbye(number: u32) -> Vec<u8> {
    let mut record = vec![21, 0xfe, 0xfd, 0, 0, 0, 0];
    record.extend(number.to_be_bytes());
    record.extend([0, 2, 1, 0]);
    record
}

#[tokio::test]
async fn goodbyes_of_a_stranger_do_not_keep_a_connection_from_coming_about() {
    for dtls_client in [true, false] {
        let sfu = Sfu::new(Behaviour { dtls_client, ..Behaviour::default() }).await;
        let (address, uplink, relay) = relay(sfu.address).await;
        let stranger = tokio::spawn(async move {
            let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
            let to = uplink.await.expect("it looks for a path");
            let mut number = 1_000;
            loop {
                number += 1;
                drop(socket.send_to(&goodbye(number), to).await);
                tokio::task::yield_now().await;
            }
        });
        let mut sender = Sender::new(config());
        sender.apply(ConnectionOp::Call);
        sender.until("offer", |sender| !sender.offers.is_empty()).await;
        let sdp = sfu.answer(sender.offers[0].clone()).await;
        let named = |address: SocketAddr| format!(" {} {} ", address.ip(), address.port());
        assert!(sdp.contains(&named(sfu.address)), "{sdp}");
        let sdp = sdp.replace(&named(sfu.address), &named(address));
        sender.apply(ConnectionOp::Remote(Signal::Answer { sdp }));
        sender.until("end", |sender| sender.open || sender.closed.is_some()).await;
        assert_eq!((sender.open, sender.closed.clone()), (true, None));
        sender.established(&sfu).await;
        // And it is told of those who were turned away.
        let turned_away = |sender: &mut Sender| sender.uplink.stats().rejected > 0;
        sender.send_until(Duration::from_millis(5), || None, turned_away).await;
        sender.uplink.shutdown().await;
        stranger.abort();
        relay.abort();
    }
}
