//! The clock of an uplink's task.

use std::time::Instant;

#[expect(clippy::disallowed_methods, reason = "the edge of the network reads the clock")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Until then, or for ever.
pub(crate) async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}
