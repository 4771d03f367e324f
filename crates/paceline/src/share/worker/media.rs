//! The threads that read and encode while an SFU is sent to, and what they have made.

use std::sync::Arc;
use std::time::Instant;

use paceline_types::{Bitrate, Carrier, EncodedFrame, SenderId, StreamId, WallClock};
use tokio::sync::mpsc;

use crate::config::Config;
use crate::counters::Counters;
use crate::driver::clock;
use crate::error::PublishError;
use crate::event::{Event, EventQueue};
use crate::outlet::Outlet;
use crate::publish::{Opened, Publish, Publisher, Reader};
use crate::room::wall_clock;
use crate::share::latency::Spans;
use crate::share::line::{Line, Missed};
#[cfg(feature = "mirror")]
use crate::share::reflection::Reflection;
use crate::share::supply::Supply;
use crate::share::{SenderFigures, ShareStats};
use crate::wire::{Switches, ToDriver, stage_queue};

/// Frames on their way, and who makes them.
#[derive(Debug)]
pub(super) struct Media {
    config: Config,
    /// Sources that nobody reads yet.
    opened: Option<Opened>,
    threads: Option<Publisher>,
    /// The threads hold it weakly.
    inbox: mpsc::Sender<ToDriver>,
    frames: mpsc::Receiver<ToDriver>,
    events: EventQueue,
    counters: Arc<Counters>,
    switches: Switches,
    wall: WallClock,
    spans: Spans,
    send_errors: u64,
    /// The line has had no picture that one can begin with.
    awaits_keyframe: bool,
    told: Told,
    /// Of what was closed last.
    figures: SenderFigures,
    #[cfg(feature = "mirror")]
    reflection: Option<Reflection>,
}

/// How much of what is counted has been told.
#[derive(Clone, Copy, Debug, Default)]
struct Told {
    failed: u64,
    queue: Queue,
}

/// What became of the frames that came to a line's queue, and of their packets.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Queue {
    /// Pictures that were to be sent.
    pub(super) offered: u64,
    /// Those of them that waited in vain.
    pub(super) dropped: u64,
    /// Packets that the transport did not take.
    pub(super) refused: u64,
}

/// What the threads have to say.
pub(super) enum Heard {
    Event(Event),
    /// Pictures could not be encoded.
    Failed,
    Frame(EncodedFrame),
}

impl Media {
    pub(super) fn new(config: &Config, opened: Opened) -> Self {
        let counters = Arc::new(Counters::default());
        let (inbox, frames) = mpsc::channel(FRAMES);
        Self {
            config: config.clone(),
            opened: Some(opened),
            threads: None,
            inbox,
            frames,
            events: EventQueue::new(config.event_queue, Arc::clone(&counters)),
            counters,
            switches: Switches::default(),
            wall: wall_clock(),
            spans: Spans::new(),
            send_errors: 0,
            awaits_keyframe: true,
            told: Told::default(),
            figures: SenderFigures::default(),
            #[cfg(feature = "mirror")]
            reflection: None,
        }
    }

    /// Shows what is sent to who looks at it from now on.
    #[cfg(feature = "mirror")]
    pub(super) fn mirror(&mut self, reflection: Reflection) {
        self.reflection = Some(reflection);
    }

    /// Waits for what the threads have to say. Cancel-safe.
    pub(super) async fn next(&mut self) -> Heard {
        loop {
            tokio::select! {
                frame = self.frames.recv() => match frame {
                    Some(ToDriver::Encoded { frame, .. }) => return Heard::Frame(frame),
                    // That a track is off is told by an event.
                    Some(_) => {}
                    // It is held, and so this does not happen.
                    None => return std::future::pending().await,
                },
                Some(event) = self.events.next() => return Heard::Event(event),
                () = self.counters.picture_failed.notified() => return Heard::Failed,
            }
        }
    }

    /// Whether sources have to be opened before frames can be made.
    pub(super) fn is_closed(&self) -> bool {
        self.threads.is_none() && self.opened.is_none()
    }

    /// Whether the picture is read no more, and will not be.
    pub(super) fn has_lost_picture(&self) -> bool {
        self.threads.as_ref().is_some_and(|threads| !threads.is_running(StreamId::VIDEO))
    }

    /// What a room is to publish: what is open and not read yet, or all of it anew.
    pub(super) fn publish(&mut self, supply: &Supply) -> Publish {
        self.opened.take().map_or_else(|| supply.publish(), Publish::opened)
    }

    pub(super) fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.counters)
    }

    /// Keeps sources for the next who needs them.
    pub(super) fn keep(&mut self, opened: Option<Opened>) {
        if opened.is_some() {
            self.opened = opened;
        }
    }

    /// Has threads read and encode, unless they do, for a line that has had nothing yet.
    pub(super) fn start(&mut self, opened: Option<Opened>) -> Result<(), PublishError> {
        self.keep(opened);
        if let Some(opened) = self.opened.take() {
            let mut threads = Publisher::new(Reader {
                // What a server loses is lost: sound is made for that.
                config: self.config.clone().carrier(Carrier::Rtp),
                wall: self.wall,
                slot: SenderId::new(0),
                driver: self.inbox.downgrade(),
                // Nothing is mixed here.
                stage: stage_queue().0,
                counters: Arc::clone(&self.counters),
                events: self.events.clone(),
                switches: self.switches.clone(),
                outlet: Outlet::new(self.events.clone(), Arc::clone(&self.counters)),
            });
            threads.start(opened)?;
            self.threads = Some(threads);
        }
        // What waits was for another line.
        while self.frames.try_recv().is_ok() {}
        self.awaits_keyframe = true;
        self.told.queue = self.counted(SenderFigures::default());
        self.switches.want_keyframe();
        self.switches.set_in_room(true);
        Ok(())
    }

    /// Has nothing read and encoded for now; what is open stays open.
    pub(super) fn pause(&mut self, figures: Option<SenderFigures>) {
        self.switches.set_in_room(false);
        self.figures = figures.unwrap_or(self.figures);
    }

    /// Ends the threads, and closes what they read from, or were to.
    pub(super) async fn stop(&mut self) {
        self.switches.set_in_room(false);
        self.close_sources().await;
        self.opened = None;
    }

    /// Ends the threads, and closes what they read from.
    pub(super) async fn close_sources(&mut self) {
        let Some(mut threads) = self.threads.take() else { return };
        // One that waits to say something ends when there is nobody to say it to.
        self.frames.close();
        threads.stop_video().await;
        threads.stop_audio().await;
        (self.inbox, self.frames) = mpsc::channel(FRAMES);
    }

    pub(super) fn set_bitrate(&self, bitrate: Bitrate) {
        self.switches.set_video_bitrate(bitrate);
    }

    pub(super) fn want_keyframe(&self) {
        self.switches.want_keyframe();
    }

    /// How many pictures could not be encoded since this was last asked.
    pub(super) fn failed_pictures(&mut self) -> u64 {
        let failed = self.counters.pictures_failed.get();
        failed - std::mem::replace(&mut self.told.failed, failed)
    }

    /// Hands a frame over; the error is a line for a person.
    pub(super) fn send(
        &mut self,
        now: Instant,
        line: &mut impl Line,
        frame: &EncodedFrame,
    ) -> Result<(), String> {
        let is_picture = frame.stream == StreamId::VIDEO;
        if is_picture && self.awaits_keyframe && !frame.coding.is_key() {
            return Ok(());
        }
        let sent = line.send(now, frame);
        if is_picture {
            // Who lacks one cannot show the next.
            self.awaits_keyframe = sent.is_err();
            match &sent {
                Err(Missed::Gone) => {}
                Ok(()) => {
                    self.counters.video_sent.add(1);
                    self.spans.note(self.wall.at(clock()).saturating_since(frame.capture));
                }
                Err(_) => self.switches.want_keyframe(),
            }
        }
        #[cfg(feature = "mirror")]
        if let Some(reflection) = self.reflection.as_mut().filter(|_| sent.is_ok())
            && reflection.handle_frame(now, frame)
        {
            self.switches.want_keyframe();
        }
        match sent {
            Ok(()) | Err(Missed::Gone) => Ok(()),
            Err(Missed::Full) => {
                let dropped = if is_picture {
                    &self.counters.video_unsent
                } else {
                    &self.counters.audio_overrun
                };
                dropped.add(1);
                Ok(())
            }
            Err(Missed::Refused(reason)) => {
                self.send_errors += 1;
                Err(reason)
            }
        }
    }

    /// What has become of frames and packets since this was last asked. Not what there is no path
    /// for: that is told as such, and has its own time.
    pub(super) fn queued(&mut self, line: &impl Line) -> Queue {
        let now = self.counted(line.figures());
        let before = std::mem::replace(&mut self.told.queue, now);
        let refused = now.refused.saturating_sub(before.refused);
        self.send_errors += refused;
        Queue {
            offered: now.offered - before.offered,
            dropped: now.dropped.saturating_sub(before.dropped),
            refused,
        }
    }

    fn counted(&self, figures: SenderFigures) -> Queue {
        Queue {
            offered: self.counters.video_encoded.get(),
            dropped: self.counters.video_unsent.get() + figures.shed,
            refused: figures.send_errors,
        }
    }

    /// All that is counted here; `figures` are those of what is open.
    pub(super) fn stats(&self, figures: Option<SenderFigures>) -> ShareStats {
        ShareStats {
            media: self.counters.media(),
            send_errors: self.send_errors,
            ladder: self.counters.ladder(),
            latency: self.spans.figures(),
            sender: figures.unwrap_or(self.figures),
            #[cfg(feature = "mirror")]
            mirror: self.reflection.as_ref().map(Reflection::stats),
            ..ShareStats::default()
        }
    }
}

/// Frames that may wait between the threads and the worker, which waits for nothing but a target
/// that takes leave: 0.4 s of 30 pictures and 50 sounds a second.
const FRAMES: usize = 32;
