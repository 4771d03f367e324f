//! The way to the server's signalling, as two queues: what is slow there does not hold up
//! media.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::broadcaster::Request;

/// For the server.
#[derive(Debug)]
pub(super) enum ToServer {
    Request(Request),
    Text(String),
}

/// Of the server.
#[derive(Debug)]
pub(super) enum FromServer {
    /// Nothing comes any more.
    Closed,
    /// A request has no response.
    NoResponse {
        timed_out: bool,
        /// The system's words, without the URL.
        reason: String,
    },
    Response {
        status: u16,
        body: String,
    },
    Text(String),
}

/// The queues, and the task between them and the network. The task ends when the first is
/// closed and empty.
#[derive(Debug)]
pub(super) struct Link {
    to: mpsc::Sender<ToServer>,
    from: mpsc::Receiver<FromServer>,
    task: JoinHandle<()>,
}

/// The task's ends.
pub(super) struct LinkEnd {
    pub(super) to: mpsc::Receiver<ToServer>,
    pub(super) from: mpsc::Sender<FromServer>,
}

impl Link {
    pub(super) fn spawn<F: Future<Output = ()> + Send + 'static>(
        run: impl FnOnce(LinkEnd) -> F,
    ) -> Self {
        let (to, to_end) = mpsc::channel(QUEUE);
        let (from_end, from) = mpsc::channel(QUEUE);
        let task = tokio::spawn(run(LinkEnd { to: to_end, from: from_end }));
        Self { to, from, task }
    }

    /// `false` if so much waits already that nobody can be reading it.
    pub(super) fn send(&self, what: ToServer) -> bool {
        self.to.try_send(what).is_ok()
    }

    /// Cancel-safe.
    pub(super) async fn receive(&mut self) -> FromServer {
        self.from.recv().await.unwrap_or(FromServer::Closed)
    }

    /// Sends what waits, and ends; for so long at most.
    pub(super) async fn close(self, patience: Duration) {
        let Self { to, from, mut task } = self;
        drop((to, from));
        if timeout(patience, &mut task).await.is_err() {
            task.abort();
        }
    }
}

/// Texts that wait, each way: a flow has a few requests under way, and a server tells of who
/// comes and goes.
const QUEUE: usize = 64;
