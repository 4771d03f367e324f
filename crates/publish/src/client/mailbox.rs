//! What the owner is told: the newest of each kind, so that who reads late loses nothing.

use std::sync::{Mutex, MutexGuard, PoisonError};

use paceline_types::Bitrate;
use tokio::sync::Notify;

use super::SfuEvent;
use crate::rtp_parameters::MediaKind;

/// Flags instead of a queue: it cannot be full.
#[derive(Debug, Default)]
pub(super) struct Mailbox {
    inner: Mutex<Inner>,
    news: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    path: Option<bool>,
    needs_keyframe: bool,
    bitrate: Option<Bitrate>,
    level: Option<SfuEvent>,
    /// Of sound and of pictures.
    scores: [Option<u8>; 2],
    closed: Option<SfuEvent>,
    is_over: bool,
}

impl Inner {
    fn poll(&mut self) -> Option<SfuEvent> {
        let Self { path, needs_keyframe, bitrate, level, scores: [audio, video], .. } = self;
        let score = |kind| move |score| SfuEvent::Score { kind, score };
        path.take()
            .map(|up| SfuEvent::Path { up })
            .or_else(|| std::mem::take(needs_keyframe).then_some(SfuEvent::KeyframeNeeded))
            .or_else(|| bitrate.take().map(SfuEvent::Bitrate))
            .or_else(|| level.take())
            .or_else(|| audio.take().map(score(MediaKind::Audio)))
            .or_else(|| video.take().map(score(MediaKind::Video)))
            // Last: nothing follows it.
            .or_else(|| self.closed.take())
    }
}

impl Mailbox {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Leaves word for the owner.
    pub(super) fn tell(&self, event: SfuEvent) {
        let mut inner = self.inner();
        match event {
            SfuEvent::Bitrate(bitrate) => inner.bitrate = Some(bitrate),
            SfuEvent::Closed { .. } => inner.closed = Some(event),
            SfuEvent::KeyframeNeeded => inner.needs_keyframe = true,
            SfuEvent::LevelLowered { .. } => inner.level = Some(event),
            SfuEvent::Path { up } => inner.path = Some(up),
            SfuEvent::Score { kind: MediaKind::Audio, score } => inner.scores[0] = Some(score),
            SfuEvent::Score { kind: MediaKind::Video, score } => inner.scores[1] = Some(score),
        }
        drop(inner);
        self.news.notify_one();
    }

    /// Nothing more is told.
    pub(super) fn end(&self) {
        self.inner().is_over = true;
        self.news.notify_one();
    }

    /// What there is to read now.
    pub(super) fn poll(&self) -> Option<SfuEvent> {
        self.inner().poll()
    }

    /// Waits for something to read; `None` if nothing more comes. Cancel-safe.
    pub(super) async fn next(&self) -> Option<SfuEvent> {
        loop {
            let is_over = {
                let mut inner = self.inner();
                if let Some(event) = inner.poll() {
                    return Some(event);
                }
                inner.is_over
            };
            if is_over {
                return None;
            }
            // A permit is kept for who comes late, so nothing is missed in between.
            self.news.notified().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Failure, FailureKind};

    #[tokio::test]
    async fn who_reads_late_finds_the_newest_of_each_kind_and_the_end_last() {
        let mailbox = Mailbox::default();
        let failure = Failure::from(FailureKind::TransportClosed);
        mailbox.tell(SfuEvent::Closed { failure: failure.clone() });
        for round in 0..1_000_u64 {
            mailbox.tell(SfuEvent::KeyframeNeeded);
            mailbox.tell(SfuEvent::Bitrate(Bitrate::from_bps(round)));
            mailbox.tell(SfuEvent::Path { up: round % 2 == 0 });
            mailbox.tell(SfuEvent::Score { kind: MediaKind::Video, score: (round % 10) as u8 });
        }
        mailbox.end();
        let mut told = Vec::new();
        while let Some(event) = mailbox.next().await {
            told.push(event);
        }
        let expected = [
            SfuEvent::Path { up: false },
            SfuEvent::KeyframeNeeded,
            SfuEvent::Bitrate(Bitrate::from_bps(999)),
            SfuEvent::Score { kind: MediaKind::Video, score: 9 },
            SfuEvent::Closed { failure },
        ];
        assert_eq!(told, expected);
    }
}
