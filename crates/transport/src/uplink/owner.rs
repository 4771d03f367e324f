//! What the owner of an uplink holds of it, whatever carries the packets.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use paceline_types::{ConnectionEvent, PacketKind};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::limits::UplinkLimits;
use super::mailbox::{Mailbox, Outgoing, UplinkError, UplinkStats};
use super::track::UplinkTrack;

/// Packets that go to a task, and word that comes back.
#[derive(Debug)]
pub(crate) struct Owner {
    packets: mpsc::Sender<Handed>,
    mailbox: Arc<Mailbox>,
    patience: Duration,
    /// Until it has been waited for.
    task: Option<JoinHandle<()>>,
}

/// A packet that was checked, and when it was handed over.
pub(crate) type Handed = (Instant, Outgoing);

/// The task's ends.
pub(crate) struct TaskEnd {
    pub(crate) mailbox: Arc<Mailbox>,
    pub(crate) packets: mpsc::Receiver<Handed>,
}

impl Owner {
    /// Has a task run; panics outside a tokio runtime.
    pub(crate) fn spawn<F: Future<Output = ()> + Send + 'static>(
        tracks: &[UplinkTrack],
        limits: UplinkLimits,
        run: impl FnOnce(TaskEnd) -> F,
    ) -> Self {
        let (packets, queue) = mpsc::channel(limits.queue.clamp(1, MAX_QUEUE));
        let mailbox = Arc::new(Mailbox::new(tracks, limits.reports, limits.max_packet));
        let last_words = LastWords(Arc::clone(&mailbox));
        let task = run(TaskEnd { mailbox: Arc::clone(&mailbox), packets: queue });
        let task = tokio::spawn(async move {
            let _last_words = last_words;
            task.await;
        });
        Self { packets, mailbox, patience: limits.close_timeout, task: Some(task) }
    }

    pub(crate) fn try_send(
        &self,
        now: Instant,
        kind: PacketKind,
        bytes: Bytes,
    ) -> Result<(), UplinkError> {
        self.mailbox.check(kind, &bytes)?;
        self.packets.try_send((now, (kind, bytes))).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => {
                self.mailbox.refuse();
                UplinkError::Full
            }
            mpsc::error::TrySendError::Closed(_) => UplinkError::NotOpen,
        })
    }

    pub(crate) fn poll_event(&self) -> Option<ConnectionEvent> {
        self.mailbox.poll()
    }

    pub(crate) async fn ready(&self) {
        self.mailbox.ready().await;
    }

    pub(crate) fn stats(&self) -> UplinkStats {
        self.mailbox.stats(self.packets.max_capacity() - self.packets.capacity())
    }

    /// Nothing is taken any more.
    pub(crate) fn close(&self) {
        self.mailbox.close();
    }

    /// Waits until the task, which was told to end, has. Cancel-safe; what is gone is not waited
    /// for again.
    pub(crate) async fn ended(&mut self) {
        let Some(task) = &mut self.task else { return };
        if tokio::time::timeout(self.patience, &mut *task).await.is_err() {
            task.abort();
        }
        self.task = None;
    }
}

/// Has the owner told that a task has ended which did not say so: by a panic, or with the runtime.
struct LastWords(Arc<Mailbox>);

impl Drop for LastWords {
    fn drop(&mut self) {
        // Of what has told its end, or was told to, this is dropped.
        self.0.tell(ConnectionEvent::Closed { reason: "its task has ended".to_owned() });
    }
}

/// A queue of more packets than this would be no bound.
const MAX_QUEUE: usize = 1 << 16;

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "the edge of the network reads the clock")]
mod tests {
    use super::*;

    fn spawn<F: Future<Output = ()> + Send + 'static>(run: impl FnOnce(TaskEnd) -> F) -> Owner {
        Owner::spawn(&[], UplinkLimits::default(), run)
    }

    async fn told(owner: &Owner) -> Option<ConnectionEvent> {
        let ready = tokio::time::timeout(Duration::from_secs(10), owner.ready()).await;
        ready.expect("an event in time");
        owner.poll_event()
    }

    #[tokio::test]
    async fn the_end_of_a_task_that_did_not_say_so_is_told() {
        let open = |end: TaskEnd| async move {
            end.mailbox.tell(ConnectionEvent::Open);
            let _end = end;
            std::future::pending().await
        };
        let mut owner = spawn(open);
        assert_eq!(told(&owner).await, Some(ConnectionEvent::Open));
        // As a runtime does that ends.
        owner.task.take().expect("it runs").abort();
        let Some(ConnectionEvent::Closed { reason }) = told(&owner).await else { panic!("an end") };
        assert_eq!(reason, "its task has ended");
        let late = owner.try_send(Instant::now(), PacketKind::Rtp, Bytes::from_static(&[0x80; 12]));
        assert_eq!(late, Err(UplinkError::NotOpen));
        let owner = spawn(|end| async move {
            drop(end);
            panic!("a bug");
        });
        assert!(matches!(told(&owner).await, Some(ConnectionEvent::Closed { .. })));
    }

    #[tokio::test]
    async fn an_end_is_told_once_and_not_if_it_was_wanted() {
        let reason = || "the server is gone".to_owned();
        let mut owner = spawn(|end| async move {
            end.mailbox.tell(ConnectionEvent::Closed { reason: reason() });
        });
        owner.ended().await;
        assert_eq!(owner.poll_event(), Some(ConnectionEvent::Closed { reason: reason() }));
        assert_eq!(owner.poll_event(), None);
        let mut owner = spawn(|end| async move { drop(end) });
        owner.close();
        owner.ended().await;
        assert_eq!(owner.poll_event(), None);
    }
}
