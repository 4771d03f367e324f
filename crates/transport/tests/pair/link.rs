//! A link between two connections: each sees the other at a socket of the link's, which
//! passes datagrams on, late, or not at all, and remembers some.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use paceline_transport::types::Signal;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// One way of it.
#[derive(Debug)]
struct Way {
    /// Where the sender sees the receiver.
    entry: Arc<UdpSocket>,
    /// Where the receiver is.
    receiver: Mutex<Option<SocketAddr>>,
}

#[derive(Debug)]
pub(crate) struct Link {
    /// To the second end, and to the first.
    ways: [Arc<Way>; 2],
    cut: Arc<AtomicBool>,
    seen: Arc<Mutex<Vec<Vec<u8>>>>,
    _tasks: JoinSet<()>,
}

impl Link {
    /// A link that delays by so much one way.
    pub(crate) async fn new(delay: Duration) -> Self {
        let mut ways = Vec::new();
        for _ in 0..2 {
            let entry = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
            ways.push(Arc::new(Way { entry: Arc::new(entry), receiver: Mutex::default() }));
        }
        let ways = <[_; 2]>::try_from(ways).expect("two");
        let (cut, seen) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
        let mut tasks = JoinSet::new();
        for (way, back) in [(0, 1), (1, 0)] {
            let (way, exit) = (Arc::clone(&ways[way]), Arc::clone(&ways[back].entry));
            let (cut, seen) = (Arc::clone(&cut), Arc::clone(&seen));
            let (underway, mut arriving) = mpsc::unbounded_channel::<(Instant, Vec<u8>)>();
            let entry = Arc::clone(&way.entry);
            tasks.spawn(async move {
                let mut buf = vec![0; 65_536];
                while let Ok((len, _)) = entry.recv_from(&mut buf).await {
                    let datagram = buf[..len].to_vec();
                    if seen.lock().expect("whole").len() < 256 {
                        seen.lock().expect("whole").push(datagram.clone());
                    }
                    if !cut.load(Ordering::Acquire)
                        && underway.send((Instant::now() + delay, datagram)).is_err()
                    {
                        break;
                    }
                }
            });
            tasks.spawn(async move {
                while let Some((due, datagram)) = arriving.recv().await {
                    tokio::time::sleep_until(due).await;
                    let receiver = *way.receiver.lock().expect("whole");
                    if let Some(receiver) = receiver {
                        // A receiver that is gone is no concern of the link's.
                        let _ = exit.send_to(&datagram, receiver).await;
                    }
                }
            });
        }
        Self { ways, cut, seen, _tasks: tasks }
    }

    /// From now on nothing gets through, or everything again.
    pub(crate) fn set_cut(&self, cut: bool) {
        self.cut.store(cut, Ordering::Release);
    }

    /// The first datagrams that went over it.
    pub(crate) fn seen(&self) -> Vec<Vec<u8>> {
        self.seen.lock().expect("whole").clone()
    }

    /// Where the first end is, or the second, if it told.
    pub(crate) fn end(&self, first: bool) -> Option<SocketAddr> {
        *self.ways[usize::from(first)].receiver.lock().expect("whole")
    }

    /// Has the other end see the link where it would see the end that said this.
    pub(crate) fn rewrite(&self, first: bool, signal: &mut Signal) {
        // Who sends to the first end enters the way to it.
        let way = &self.ways[usize::from(first)];
        let mut learnt = HashMap::new();
        let text = match signal {
            Signal::Answer { sdp } | Signal::Offer { sdp } => sdp,
            Signal::Candidate { candidate, .. } => candidate,
        };
        let words: Vec<&str> = text.split(' ').collect();
        for at in words.windows(3) {
            if let ([ip, port, "typ"], Ok(IpAddr::V4(_))) = (at, at[0].parse::<IpAddr>()) {
                learnt.insert(format!(" {ip} {port} typ"), format!("{ip}:{port}"));
            }
        }
        let entry = way.entry.local_addr().expect("bound");
        for (told, addr) in learnt {
            *way.receiver.lock().expect("whole") = Some(addr.parse().expect("an address"));
            *text = text.replace(&told, &format!(" {} {} typ", entry.ip(), entry.port()));
        }
    }
}
