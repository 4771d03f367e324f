//! What the program gets of the mix, whoever makes it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use paceline_playout::{Seam, SeamConfig, SeamOutput};
use paceline_types::{AudioFrame, Epoch, MediaTime, VideoFrame, WallClock};

use super::Surroundings;
use super::decoders::{Decoded, Heard};
use crate::counters::Counters;
use crate::event::{Event, EventQueue, Picture, Sound};
use crate::outlet::Outlet;

/// Gives the program one mix: that of whoever hosts, or our own.
#[derive(Debug)]
pub(super) struct Front {
    seam: Seam,
    /// We hosted, and what our stage makes is heard until the next host's is there.
    leaving: Option<Leaving>,
    events: EventQueue,
    outlet: Outlet,
    counters: Arc<Counters>,
    wall: WallClock,
}

#[derive(Clone, Copy, Debug)]
struct Leaving {
    epoch: Epoch,
    since: Instant,
}

impl Front {
    pub(super) fn new(here: &Surroundings) -> Self {
        Self {
            seam: Seam::new(SeamConfig::default()),
            leaving: None,
            events: here.events.clone(),
            outlet: here.outlet.clone(),
            counters: Arc::clone(&here.counters),
            wall: here.wall,
        }
    }

    /// We host, from this media time on.
    pub(super) fn host(&mut self, now: Instant, epoch: Epoch, from: Option<MediaTime>) {
        self.leaving = None;
        self.seam.host(now, epoch, from);
        self.give();
    }

    /// We hosted under `epoch`, and somebody else does from soon on.
    pub(super) fn stop(&mut self, now: Instant, epoch: Epoch) {
        self.leaving = Some(Leaving { epoch, since: now });
        self.seam.stop(now);
    }

    /// Somebody else hosts, or nobody.
    pub(super) fn follow(&mut self, now: Instant) {
        self.seam.follow(now);
    }

    /// Whether our own mix is heard though we do not host any more.
    pub(super) fn is_leaving(&self, now: Instant) -> bool {
        let lately = |it: &Leaving| now.saturating_duration_since(it.since) < MAX_LEAVING;
        self.leaving.as_ref().is_some_and(lately)
    }

    /// A picture of the host's mix is due.
    pub(super) fn show_theirs(
        &mut self,
        now: Instant,
        due: Instant,
        epoch: Epoch,
        picture: VideoFrame,
    ) {
        self.counters.shown.get_or_init(|| now);
        self.seam.handle_remote_picture(now, epoch, due, picture);
        self.give();
    }

    /// A sound of the host's mix is due.
    pub(super) fn play_theirs(&mut self, now: Instant, due: Instant, epoch: Epoch, sound: Decoded) {
        let Decoded { heard, concealed } = sound;
        match heard {
            Heard::One(frame) => self.seam.handle_remote_sound(now, epoch, due, frame),
            Heard::Both { old, new } => self.seam.handle_overlap(now, epoch, due, &old, new),
        }
        self.give_sound(concealed);
    }

    /// Our own stage made a picture, be it in the dark.
    pub(super) fn show_ours(&mut self, now: Instant, picture: VideoFrame) {
        self.seam.handle_own_picture(now, picture);
        self.give();
    }

    /// Our own stage made what we hear, be it in the dark.
    pub(super) fn play_ours(&mut self, now: Instant, sound: AudioFrame) {
        self.seam.handle_own_sound(now, sound);
        self.give();
    }

    /// What our own stage made in a mesh, where there is no other.
    pub(super) fn show_alone(&mut self, now: Instant, frame: VideoFrame) {
        let (ready, epoch) = (self.wall.at(now), Epoch::default());
        self.events.push(Event::Picture(Picture { frame, ready, epoch }));
    }

    /// The same of a sound.
    pub(super) fn play_alone(&mut self, now: Instant, frame: AudioFrame) {
        let (ready, epoch) = (self.wall.at(now), Epoch::default());
        self.play(Sound { frame, ready, concealed: false, epoch });
    }

    /// Lets time pass.
    pub(super) fn turn(&mut self, now: Instant) {
        self.seam.handle_timeout(now);
        self.give();
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.seam.poll_timeout()
    }

    fn play(&self, sound: Sound) {
        self.outlet.play(&sound.frame);
        self.events.push(Event::Sound(sound));
    }

    fn give(&mut self) {
        self.give_sound(false);
    }

    /// Gives out what is there. A sound of the host's comes out of the seam in the call that
    /// took it in; what our stage made is never made up.
    fn give_sound(&mut self, concealed: bool) {
        while let Some(output) = self.seam.poll_output() {
            match output {
                SeamOutput::Picture { at, epoch, frame, .. } => {
                    let ready = self.wall.at(at);
                    self.events.push(Event::Picture(Picture { frame, ready, epoch }));
                }
                SeamOutput::Sound { at, epoch, frame, own } => {
                    self.leaving.take_if(|leaving| leaving.epoch < epoch);
                    let (ready, concealed) = (self.wall.at(at), concealed && !own);
                    self.play(Sound { frame, ready, concealed, epoch });
                }
                _ => {}
            }
        }
    }
}

/// As long as a [`Seam`] takes what our own stage makes after we stopped.
const MAX_LEAVING: Duration = Duration::from_secs(2);
