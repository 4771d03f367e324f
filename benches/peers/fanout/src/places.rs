//! Where viewers run: with the host, or where they can be made to stand still.

use std::io;
use std::sync::mpsc;
use std::thread;

use tokio::runtime::{Builder, Handle};

/// A thread with a runtime of its own that can be stopped as a whole: sockets, timers and
/// application of whatever engine runs there. To the other end it is a laptop whose lid
/// was shut: the kernel takes packets until its buffer is full, and nobody answers.
#[derive(Debug)]
pub(crate) struct Freezer {
    pub(crate) handle: Handle,
}

/// Thaws its thread when it is dropped.
#[derive(Debug)]
pub(crate) struct Frozen {
    _thaw: mpsc::Sender<()>,
}

impl Freezer {
    pub(crate) fn new() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        thread::Builder::new()
            .name("freezer".to_owned())
            .spawn(move || runtime.block_on(std::future::pending::<()>()))?;
        Ok(Self { handle })
    }

    /// Stops the thread, and returns when it stands.
    pub(crate) async fn freeze(&self) -> Frozen {
        let (thaw, thawed) = mpsc::channel::<()>();
        let (stands, standing) = tokio::sync::oneshot::channel();
        self.handle.spawn(async move {
            // Nobody waits if the whole measurement was given up.
            let _ = stands.send(());
            // Not async on purpose: it is the thread that has to stop.
            let _ = thawed.recv();
        });
        let _ = standing.await;
        Frozen { _thaw: thaw }
    }
}

/// On which runtime each viewer lives.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    /// The first of them live here, from the front; the rest with the host.
    pub(crate) apart: Vec<(usize, Handle)>,
    pub(crate) main: Handle,
}

impl Places {
    pub(crate) fn of(&self, viewer: usize) -> &Handle {
        let apart = self.apart.iter().find(|(below, _)| viewer < *below);
        apart.map_or(&self.main, |(_, handle)| handle)
    }
}
