//! Connecting and closing, over and over, on one thread whose allocations are counted.
#![allow(clippy::disallowed_methods, reason = "the edge of the network reads the clock")]
#![cfg(all(feature = "webrtc", target_os = "linux"))]

mod pair;

use paceline_transport::types::ConnectionOp;
use pair::{Pair, WATCHDOG};
use tokio::runtime::Runtime;

/// Pairs that connect at the same time.
const AT_ONCE: usize = 20;

/// Connects so many pairs, sends something each way, and closes each from one end.
fn cycle(runtime: &Runtime, cycles: usize) {
    for round in 0..cycles / AT_ONCE {
        runtime.block_on(async {
            let pairs = (0..AT_ONCE).map(|index| {
                tokio::spawn(async move {
                    let mut pair = Pair::open().await;
                    pair.a.send(vec![1; 3_000]).expect("open");
                    pair.b.send(vec![2; 3_000]).expect("open");
                    pair.until(|a, b| a.messages.len() == 1 && b.messages.len() == 1).await;
                    // Sometimes the caller goes, sometimes the callee, sometimes both.
                    match (round + index) % 3 {
                        0 => {
                            pair.a.apply(ConnectionOp::Close);
                            pair.until(|_, b| b.closed.is_some()).await;
                        }
                        1 => {
                            pair.b.apply(ConnectionOp::Close);
                            pair.until(|a, _| a.closed.is_some()).await;
                        }
                        _ => {}
                    }
                    pair.shutdown().await;
                })
            });
            for pair in pairs.collect::<Vec<_>>() {
                pair.await.expect("it went well");
            }
            // Tasks that were aborted are gone when they are next looked at.
            let gone = async {
                while tokio::runtime::Handle::current().metrics().num_alive_tasks() > 0 {
                    tokio::task::yield_now().await;
                }
            };
            tokio::time::timeout(WATCHDOG, gone).await.expect("tasks are left");
        });
    }
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").expect("Linux has it").count()
}

#[test]
fn tasks_timers_and_descriptors_are_back_at_base_and_memory_too() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    // Whatever is allocated once is allocated by then.
    cycle(&runtime, 100);
    let before = descriptors();
    let counted = allocation_counter::measure(|| cycle(&runtime, 1_000));
    assert_eq!(descriptors(), before);
    // A task holds its timers: no task, no timer.
    assert_eq!(runtime.metrics().num_alive_tasks(), 0);
    // It is counted at all: a connection takes far more while it lives.
    assert!(counted.bytes_total > 1_000 * 100_000, "{} bytes", counted.bytes_total);
    println!("{} bytes are left after 1,000 cycles", counted.bytes_current);
    assert!(counted.bytes_current <= 16 * 1_000, "{} bytes are left", counted.bytes_current);
}
