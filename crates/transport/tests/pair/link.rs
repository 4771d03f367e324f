//! A link between two connections: each sees the other at a socket of the link's, which
//! passes datagrams on, late, or not at all, and remembers some.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
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

/// What is lost, of datagrams that are RTP or RTCP by their first byte (RFC 7983 §7).
#[derive(Debug, Default)]
struct Losing {
    one_in: AtomicU32,
    drawn: AtomicU32,
    lost: [AtomicU32; 2],
}

impl Losing {
    fn loses(&self, way: usize, datagram: &[u8]) -> bool {
        let one_in = self.one_in.load(Ordering::Acquire);
        if one_in == 0 || !matches!(datagram.first(), Some(128..=191)) {
            return false;
        }
        // Fibonacci hashing spreads a count evenly, and looks like chance.
        let drawn = self.drawn.fetch_add(1, Ordering::AcqRel).wrapping_mul(0x9E37_79B9) >> 8;
        let loses = (drawn ^ (drawn >> 11)).is_multiple_of(one_in);
        // RFC 5761 §4: 192 to 223 is RTCP.
        if loses && !matches!(datagram.get(1), Some(192..=223)) {
            self.lost[way].fetch_add(1, Ordering::AcqRel);
        }
        loses
    }
}

#[derive(Debug)]
pub(crate) struct Link {
    /// To the second end, and to the first.
    ways: [Arc<Way>; 2],
    cut: Arc<AtomicBool>,
    losing: Arc<Losing>,
    seen: Arc<Mutex<Vec<Vec<u8>>>>,
    _tasks: JoinSet<()>,
}

impl Link {
    /// From now on one in so many datagrams of RTP and RTCP is lost, by chance but the same
    /// ones in each run; 0 is none.
    pub(crate) fn lose_media(&self, one_in: u32) {
        self.losing.one_in.store(one_in, Ordering::Release);
    }

    /// How many datagrams with RTP were lost to the second end, and to the first.
    pub(crate) fn lost(&self) -> [u32; 2] {
        [0, 1].map(|way: usize| self.losing.lost[way].load(Ordering::Acquire))
    }

    /// A link that delays by so much one way.
    pub(crate) async fn new(delay: Duration) -> Self {
        let mut ways = Vec::new();
        for _ in 0..2 {
            let entry = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
            ways.push(Arc::new(Way { entry: Arc::new(entry), receiver: Mutex::default() }));
        }
        let ways = <[_; 2]>::try_from(ways).expect("two");
        let (cut, seen) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
        let losing = Arc::new(Losing::default());
        let mut tasks = JoinSet::new();
        for (way, back) in [(0, 1), (1, 0)] {
            let (losing, number) = (Arc::clone(&losing), way);
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
                        && !losing.loses(number, &datagram)
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
        Self { ways, cut, losing, seen, _tasks: tasks }
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
