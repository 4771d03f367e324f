//! Connections with RTP, opened and closed. A process of its own, whose descriptors are counted.
#![allow(clippy::disallowed_methods, reason = "the edge of the network reads the clock")]
#![cfg(feature = "webrtc")]

mod pair;

use pair::packet::{STREAMS, rtp, source};
use pair::{A, Pair, WATCHDOG};

/// Open descriptors of this process; nothing where that cannot be read.
fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count)
}

#[test]
fn a_hundred_connections_with_media_leave_nothing() {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(2).enable_all().build().expect("a runtime");
    let metrics = runtime.metrics();
    let (stream, payload_type) = STREAMS[0];
    let mut base = None;
    runtime.block_on(async {
        for round in 0..100 {
            let mut pair = Pair::rtp(None).await;
            pair.a.send_rtp(rtp(source(A, stream), payload_type, 1, 1, &[1; 500])).expect("room");
            pair.until(|_, b| b.rtp.len() == 1).await;
            pair.shutdown().await;
            // The last task may not have ended yet when whoever waited for it goes on, and its
            // sockets are open as long.
            let ended = async {
                while metrics.num_alive_tasks() > 0 {
                    tokio::task::yield_now().await;
                }
            };
            tokio::time::timeout(WATCHDOG, ended).await.expect("tasks stay");
            // What the first ones leave is the process's own.
            if round == 4 {
                base = Some(descriptors());
            }
        }
    });
    assert!(descriptors() <= base.expect("it got there"), "{} and {base:?}", descriptors());
}
