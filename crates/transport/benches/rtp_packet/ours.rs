//! Two ends of `paceline_transport::WebRtc`.

use std::sync::atomic::Ordering;

use crate::Arrived;
use crate::pair::packet::{STREAMS, rtp, source};
use crate::pair::{A, Pair, Side};

/// The sending end. The other is a task.
pub(crate) struct Sender {
    side: Side,
    payload: Vec<u8>,
    sent: u32,
}

pub(crate) async fn open(arrived: Arrived) -> Sender {
    let Pair { a, b, .. } = Pair::rtp(None).await;
    tokio::spawn(receive(b, arrived));
    Sender { side: a, payload: vec![7; PAYLOAD], sent: 0 }
}

impl Sender {
    pub(crate) fn send(&mut self) {
        let (stream, payload_type) = STREAMS[0];
        let (seq, frame) = (self.sent as u16, self.sent / 10);
        self.sent += 1;
        let packet = rtp(source(A, stream), payload_type, seq, frame, &self.payload);
        // What is refused does not arrive, which is told.
        let _ = self.side.send_rtp(packet);
    }

    /// Takes what comes, for ever. Cancel-safe.
    pub(crate) async fn idle(&mut self) {
        loop {
            self.side.transport.ready().await;
            self.side.drain();
        }
    }
}

async fn receive(mut side: Side, arrived: Arrived) {
    loop {
        side.transport.ready().await;
        side.drain();
        arrived.fetch_add(side.rtp.len() as u64, Ordering::Relaxed);
        side.rtp.clear();
        side.rtcp.clear();
        side.targets.clear();
    }
}

/// With 24 bytes of headers and extension, and 8 that the engine puts in, 1,200 or so.
const PAYLOAD: usize = 1_168;
