//! What both publishing threads work with.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use paceline_capture::CaptureError;
use paceline_types::{DeviceKind, EncodedFrame, SenderId, StreamId, WallClock};
use tokio::sync::mpsc;

use super::input::{OpenAudio, OpenVideo};
use super::sound::SoundThread;
use super::task::{Numbering, Task, spawn, wait};
use super::video::VideoThread;
use crate::config::Config;
use crate::counters::Counters;
use crate::driver::clock;
use crate::error::PublishError;
use crate::event::{Event, EventQueue};
use crate::outlet::Outlet;
use crate::wire::{StageSender, Switches, ToDriver};

/// What a publishing thread works with.
#[derive(Clone, Debug)]
pub(crate) struct Reader {
    pub(crate) config: Config,
    pub(crate) wall: WallClock,
    /// Which clapper slot is ours.
    pub(crate) slot: SenderId,
    /// Weak, so that a publishing thread does not keep a dropped room alive.
    pub(crate) driver: mpsc::WeakSender<ToDriver>,
    pub(crate) stage: StageSender,
    pub(crate) counters: Arc<Counters>,
    pub(crate) events: EventQueue,
    pub(crate) switches: Switches,
    #[cfg_attr(not(feature = "voice"), expect(dead_code, reason = "no echo is taken out"))]
    pub(crate) outlet: Outlet,
}

impl Reader {
    pub(super) fn video(
        self,
        opened: OpenVideo,
        numbering: Numbering,
    ) -> Result<Task, PublishError> {
        spawn("paceline-video", move |stop| {
            VideoThread::new(self, opened.device, numbering).run(opened.source, stop);
        })
    }

    pub(super) fn audio(
        self,
        opened: OpenAudio,
        numbering: Numbering,
    ) -> Result<Task, PublishError> {
        spawn("paceline-audio", move |stop| {
            SoundThread::new(self, opened.device, numbering).run(opened.source, stop);
        })
    }

    /// Whether the driver takes a frame; it never waits.
    pub(super) fn send(&self, frame: EncodedFrame) -> bool {
        let driver = self.driver.upgrade();
        driver.is_some_and(|d| d.try_send(ToDriver::Encoded { to: None, frame }).is_ok())
    }

    /// Nothing more comes of this track: the program and the others are told.
    pub(super) fn give_up(&self, stop: &AtomicBool, stream: StreamId, reason: &str) {
        self.counters.encode_errors.add(1);
        // Whoever hears of it may start another at once, and that one is on.
        self.tell_track(stream, false);
        stop.store(true, Ordering::Release);
        let what = if stream == StreamId::AUDIO { "sound" } else { "picture" };
        self.events.push(Event::Warning(format!("our {what} has stopped: {reason}")));
    }

    /// A device is gone: says so, and tries to open it again until it is back; `None` if the
    /// thread is to stop meanwhile.
    pub(super) fn reopen<T>(
        &self,
        stop: &AtomicBool,
        kind: DeviceKind,
        why: &CaptureError,
        open: impl Fn() -> Result<T, CaptureError>,
    ) -> Option<T> {
        let stream = match kind {
            DeviceKind::Microphone => StreamId::AUDIO,
            _ => StreamId::VIDEO,
        };
        self.counters.devices_gone.add(1);
        self.switches.set_gone(stream, true);
        self.tell_track(stream, false);
        self.events.push(Event::DeviceGone { kind, reason: why.to_string() });
        let mut back = None;
        while back.is_none() && wait(clock() + RETRY, stop) {
            back = open().ok();
        }
        self.switches.set_gone(stream, false);
        if back.is_some() {
            // One that was muted meanwhile stays so.
            self.tell_track(stream, !self.switches.is_muted(stream));
            self.events.push(Event::DeviceBack { kind });
        }
        back
    }

    fn tell_track(&self, stream: StreamId, enabled: bool) {
        if let Some(driver) = self.driver.upgrade() {
            // One that is gone has nobody to tell.
            let _ = driver.blocking_send(ToDriver::TrackState { stream, enabled });
        }
    }
}

/// How often a device that is gone is looked for. A person who plugs it in again waits no
/// longer than that, and asking costs milliseconds.
pub(crate) const RETRY: Duration = Duration::from_secs(1);
