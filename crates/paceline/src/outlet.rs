//! Where sound goes that is played here, and what the microphone is told of it.

#[cfg(any(feature = "sound", feature = "voice"))]
use std::borrow::Cow;
use std::sync::{Arc, Mutex};
#[cfg(any(feature = "sound", feature = "voice"))]
use std::sync::{MutexGuard, PoisonError};

#[cfg(feature = "voice")]
use paceline_playout::{FarEnd, Voice};
#[cfg(feature = "sound")]
use paceline_playout::{Loudspeaker, LoudspeakerConfig, LoudspeakerStats};

use paceline_types::AudioFrame;

#[cfg(feature = "voice")]
use crate::config::Config;
use crate::counters::Counters;
use crate::error::PublishError;
use crate::event::EventQueue;

/// The loudspeaker of a room, if it has one, and the far end of its echo canceller. The stage
/// thread plays into it; the program opens and closes it.
#[derive(Clone, Debug)]
pub(crate) struct Outlet {
    #[cfg_attr(
        not(any(feature = "sound", feature = "voice")),
        expect(dead_code, reason = "nothing is played")
    )]
    ends: Arc<Mutex<Ends>>,
    #[cfg_attr(not(feature = "sound"), expect(dead_code, reason = "nothing can be gone"))]
    events: EventQueue,
    #[cfg_attr(not(feature = "sound"), expect(dead_code, reason = "nothing can be gone"))]
    counters: Arc<Counters>,
}

#[derive(Debug, Default)]
struct Ends {
    #[cfg(feature = "sound")]
    playing: Playing,
    #[cfg(feature = "voice")]
    far_end: Option<FarEnd>,
}

/// What is played into.
#[cfg(feature = "sound")]
#[derive(Debug, Default)]
struct Playing {
    loudspeaker: Option<Loudspeaker>,
    /// Greater with each that was asked for, or that none is wanted: of several that are being
    /// opened only the last one counts.
    asked: u64,
    /// Greater with each that was used, or that none is wanted: who looks for one that is gone
    /// stops then, and goes on while another cannot be opened.
    wish: u64,
    id: Option<String>,
}

impl Outlet {
    pub(crate) fn new(events: EventQueue, counters: Arc<Counters>) -> Self {
        Self { ends: Arc::default(), events, counters }
    }

    /// 20 ms that are heard here from now on.
    pub(crate) fn play(&self, frame: &AudioFrame) {
        #[cfg(any(feature = "sound", feature = "voice"))]
        let samples = &*mono(frame);
        #[cfg(feature = "voice")]
        if let Some(far_end) = &self.ends().far_end {
            far_end.push(samples);
        }
        #[cfg(feature = "sound")]
        self.push(samples);
        #[cfg(not(any(feature = "sound", feature = "voice")))]
        let _ = frame;
    }

    #[cfg(feature = "sound")]
    fn push(&self, samples: &[f32]) {
        let mut ends = self.ends();
        let playing = &mut ends.playing;
        if let Some(loudspeaker) = &mut playing.loudspeaker
            && let Err(error) = loudspeaker.push(samples)
        {
            playing.loudspeaker = None;
            let (wish, id) = (playing.wish, playing.id.clone());
            drop(ends);
            self.look_for(wish, id, &error.to_string());
        }
    }

    /// Plays what is heard from now on. May take a while.
    #[cfg(feature = "sound")]
    pub(crate) fn open(&self, id: Option<String>) -> Result<(), PublishError> {
        let asked = {
            let playing = &mut self.ends().playing;
            playing.asked += 1;
            playing.asked
        };
        let opened = Loudspeaker::open(id.as_deref(), LoudspeakerConfig::default())?;
        let playing = &mut self.ends().playing;
        if playing.asked == asked {
            let wish = playing.wish + 1;
            *playing = Playing { loudspeaker: Some(opened), asked, wish, id };
        }
        Ok(())
    }

    #[cfg(not(feature = "sound"))]
    pub(crate) fn open(&self, _id: Option<String>) -> Result<(), PublishError> {
        Err(crate::publish::not_built_in(paceline_types::DeviceKind::Loudspeaker).into())
    }

    /// Plays nothing any more.
    pub(crate) fn close(&self) {
        #[cfg(feature = "sound")]
        {
            let playing = &mut self.ends().playing;
            let (asked, wish) = (playing.asked + 1, playing.wish + 1);
            *playing = Playing { asked, wish, ..Playing::default() };
        }
    }

    /// What the loudspeaker has done, if there is one.
    #[cfg(feature = "sound")]
    pub(crate) fn stats(&self) -> Option<LoudspeakerStats> {
        self.ends().playing.loudspeaker.as_ref().map(Loudspeaker::stats)
    }

    /// What takes out of a microphone's sound what is played here; `None` if it is to be left
    /// as it is.
    #[cfg(feature = "voice")]
    pub(crate) fn voice(&self, config: &Config) -> Option<Voice> {
        let voice = Voice::new(config.voice.clone()?);
        self.ends().far_end = Some(voice.far_end());
        Some(voice)
    }

    /// Tries to open one that is gone until it is back or nobody wants it any more.
    #[cfg(feature = "sound")]
    fn look_for(&self, wish: u64, id: Option<String>, reason: &str) {
        use paceline_types::DeviceKind;

        use crate::event::Event;

        let kind = DeviceKind::Loudspeaker;
        self.counters.devices_gone.add(1);
        self.events.push(Event::DeviceGone { kind, reason: reason.to_owned() });
        let (ends, events) = (Arc::downgrade(&self.ends), self.events.clone());
        let look = move || {
            loop {
                std::thread::park_timeout(crate::publish::RETRY);
                let is_wanted = || ends.upgrade().filter(|ends| locked(ends).playing.wish == wish);
                if is_wanted().is_none() {
                    return;
                }
                let Ok(opened) = Loudspeaker::open(id.as_deref(), LoudspeakerConfig::default())
                else {
                    continue;
                };
                if let Some(ends) = ends.upgrade()
                    && let playing = &mut locked(&ends).playing
                    && playing.wish == wish
                {
                    playing.loudspeaker = Some(opened);
                    events.push(Event::DeviceBack { kind });
                }
                return;
            }
        };
        let started =
            std::thread::Builder::new().name("paceline-loudspeaker".to_owned()).spawn(look);
        if let Err(error) = started {
            let text = format!("the loudspeaker is not looked for: no thread ({error})");
            self.events.push(Event::Warning(text));
        }
    }

    #[cfg(any(feature = "sound", feature = "voice"))]
    fn ends(&self) -> MutexGuard<'_, Ends> {
        locked(&self.ends)
    }
}

/// A mix has one channel; who hosts may say otherwise.
#[cfg(any(feature = "sound", feature = "voice"))]
fn mono(frame: &AudioFrame) -> Cow<'_, [f32]> {
    match frame.channels {
        2 => frame.samples.chunks_exact(2).map(|pair| (pair[0] + pair[1]) / 2.0).collect(),
        _ => Cow::Borrowed(&frame.samples),
    }
}

/// A thread that panicked while it played leaves nothing half done.
#[cfg(any(feature = "sound", feature = "voice"))]
fn locked(ends: &Mutex<Ends>) -> MutexGuard<'_, Ends> {
    ends.lock().unwrap_or_else(PoisonError::into_inner)
}
