//! What is open in this process.

use std::time::Duration;

use crate::system;

/// Tokio tasks and open descriptors.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Holdings {
    pub(crate) tasks: i64,
    pub(crate) fds: Option<i64>,
}

impl Holdings {
    pub(crate) fn now() -> Self {
        let fds = std::fs::read_dir("/proc/self/fd").ok().map(|fds| fds.count() as i64);
        Self { tasks: tokio::runtime::Handle::current().metrics().num_alive_tasks() as i64, fds }
    }

    /// What there is more than `before`, once that is nothing or some time has passed.
    pub(crate) async fn more_than(before: Self) -> Self {
        let end = system::now() + LEFTOVER;
        loop {
            let now = Self::now();
            let tasks = now.tasks - before.tasks;
            let fds = now.fds.zip(before.fds).map(|(now, before)| now - before);
            if (tasks <= 0 && fds.is_none_or(|fds| fds <= 0)) || system::now() >= end {
                return Self { tasks, fds };
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// How long after everything was closed something may still be on its way out.
const LEFTOVER: Duration = Duration::from_secs(5);
