//! Opening and closing, over and over, in a process of its own.
#![allow(clippy::disallowed_methods, reason = "the edge of the network reads the clock")]
#![cfg(all(feature = "webrtc", target_os = "linux"))]

mod sfu;

use sfu::*;

#[test]
fn a_hundred_uplinks_leave_no_task_and_no_descriptor() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    let descriptors = || std::fs::read_dir("/proc/self/fd").expect("Linux has it").count();
    let cycle = |way: usize| {
        runtime.block_on(async {
            let sfu = Sfu::new(Behaviour::default()).await;
            let mut sender = Sender::open(config(), &sfu).await;
            sender.established(&sfu).await;
            match way % 3 {
                0 => sender.uplink.shutdown().await,
                // Nobody says goodbye: the handle is dropped.
                1 => drop(sender),
                _ => {
                    sfu.close();
                    sender.until("end", |sender| sender.closed.is_some()).await;
                }
            }
            sfu.vanish().await;
            let gone = async {
                while tokio::runtime::Handle::current().metrics().num_alive_tasks() > 0 {
                    tokio::task::yield_now().await;
                }
            };
            tokio::time::timeout(WATCHDOG, gone).await.expect("tasks are left");
        });
    };
    // Whatever is opened once is open by then.
    (0..3).for_each(cycle);
    let before = descriptors();
    (0..100).for_each(cycle);
    assert_eq!(runtime.metrics().num_alive_tasks(), 0);
    assert_eq!(descriptors(), before);
}
