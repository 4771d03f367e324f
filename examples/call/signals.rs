//! How a person or a system ends a program that has no terminal of its own.

use std::task::Poll;

/// Ctrl-C without a terminal of ours, a polite kill, or a terminal that is closed. What
/// comes after the call of this is heard, not only what comes after it is waited for.
pub(crate) fn interrupted() -> impl Future<Output = ()> {
    use tokio::signal::unix::{SignalKind, signal};

    let kinds = [
        SignalKind::hangup(),
        SignalKind::interrupt(),
        SignalKind::quit(),
        SignalKind::terminate(),
    ];
    // Without a handler the system ends us as it always did.
    let mut signals: Vec<_> = kinds.into_iter().filter_map(|kind| signal(kind).ok()).collect();
    std::future::poll_fn(move |context| {
        match signals.iter_mut().any(|signal| signal.poll_recv(context).is_ready()) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    })
}
