//! What is shown and heard here while the host changes, when it is us before or after.

mod config;
mod join;
mod track;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use paceline_types::{AudioFrame, Epoch, MediaTime, VideoFrame};

pub use self::config::{SeamConfig, SeamOutput, SeamStats};
use self::join::Join;
use self::track::{Made, Place, Track};
use crate::clock;

/// Puts the mix that comes from a host and the one that our own stage makes one after
/// the other, so that who sits here does not notice where one ends.
///
/// | group | calls |
/// |---|---|
/// | steering | [`follow`](Self::follow), [`host`](Self::host), [`stop`](Self::stop) |
/// | input | [`handle_remote_picture`](Self::handle_remote_picture), [`handle_remote_sound`](Self::handle_remote_sound), [`handle_overlap`](Self::handle_overlap), [`handle_own_picture`](Self::handle_own_picture), [`handle_own_sound`](Self::handle_own_sound), [`handle_timeout`](Self::handle_timeout) |
/// | output | [`poll_output`](Self::poll_output), until `None` |
/// | when next | [`poll_timeout`](Self::poll_timeout) |
/// | state | [`stats`](Self::stats) |
///
/// ```text
/// we become host     remote │ 96 97 98 99                     D: network and jitter buffer
///                       own │    made: 98 99 100 101 …        later than the stage made it,
///                     heard │ 96 97 98 99 100 101 …           so nothing is skipped
///
/// we were host          own │ 96 97 98 99 100 101 102
///                    remote │                       100 101 102 103 …
///                     heard │ 96 97 98 99 100 101 102╳100 101 102 …   D of it twice
///                     shown │ 96 97 98 99 100 101 102         103 …   a picture stands for D
/// ```
///
/// The other way round there is no way to have nothing twice and no hole: what comes from
/// elsewhere is later by D than what is made here. Sound goes on until the new host's is
/// there, and fades over to it; of pictures, those are passed over that have been shown.
///
/// The D that a new host takes on he keeps, but for whole frames of silence, which are left
/// out: each brings him 20 ms nearer to what he makes. A host that took over after a
/// silence has none.
///
/// Once something was shown of one epoch, nothing of an earlier one is; and the same for
/// sound, but where one fades into the other.
#[derive(Debug)]
pub struct Seam {
    config: SeamConfig,
    live: Live,
    sounds: Track<AudioFrame>,
    pictures: Track<VideoFrame>,
    join: Join,
    /// Whose sound was heard last, and from which media time on that of the newest epoch.
    heard_of: Option<Epoch>,
    newest_from: Duration,
    /// How much later than made our own frames are due; `None` until the first is there.
    delay: Option<Duration>,
    outputs: VecDeque<SeamOutput>,
    stats: SeamStats,
}

/// What of our own stage counts.
#[derive(Clone, Copy, Debug)]
enum Live {
    /// Nothing: it is dark, if there is one.
    Dark,
    /// All from this media time on.
    Hosting { epoch: Epoch, from: Option<Duration> },
    /// All until the next host's are there.
    Leaving { epoch: Epoch, since: Instant },
}

impl Seam {
    /// One that shows what comes from a host.
    #[must_use]
    pub fn new(config: SeamConfig) -> Self {
        Self {
            join: Join::new(config.crossfade),
            config,
            heard_of: None,
            newest_from: Duration::ZERO,
            live: Live::Dark,
            sounds: Track::new(MAX_SOUNDS),
            pictures: Track::new(MAX_PICTURES),
            delay: None,
            outputs: VecDeque::new(),
            stats: SeamStats::default(),
        }
    }

    /// Somebody else hosts. If we did and did not [`stop`](Self::stop), our own frames end
    /// at once: we are not believed any more.
    pub fn follow(&mut self, _now: Instant) {
        if matches!(self.live, Live::Hosting { .. }) {
            self.live = Live::Dark;
            self.sounds.own.clear();
            self.pictures.own.clear();
        }
    }

    /// We host: of what our stage made and makes, all counts from this media time on, or
    /// if there is none, all that it makes from now on.
    pub fn host(&mut self, now: Instant, epoch: Epoch, from: Option<MediaTime>) {
        let from = from.map(clock::reading);
        if matches!(self.live, Live::Leaving { .. }) {
            // What waits was made under an epoch before. Of that, what is of our time counts.
            self.sounds.dark.extend(self.sounds.own.drain(..));
            self.pictures.dark.extend(self.pictures.own.drain(..));
        }
        self.live = Live::Hosting { epoch, from };
        self.delay = None;
        let kept = std::mem::take(&mut self.sounds.dark);
        for Made { at, frame } in kept.into_iter().filter(|_| from.is_some()) {
            self.queue_sound(at, frame);
        }
        let kept = std::mem::take(&mut self.pictures.dark);
        for Made { at, frame } in kept.into_iter().filter(|_| from.is_some()) {
            self.queue_picture(at, frame);
        }
        self.handle_timeout(now);
    }

    /// Somebody else hosts from a media time on, by our own word. What our stage makes in
    /// the dark counts until the first of what he makes is there, 2 s at most.
    pub fn stop(&mut self, now: Instant) {
        if let Live::Hosting { epoch, .. } = self.live {
            self.live = Live::Leaving { epoch, since: now };
        }
    }

    /// Takes in a picture of a host's mix that is due.
    pub fn handle_remote_picture(
        &mut self,
        now: Instant,
        epoch: Epoch,
        due: Instant,
        frame: VideoFrame,
    ) {
        self.handle_timeout(now);
        if self.pictures.is_stale(epoch) {
            self.stats.stale_dropped += 1;
            return;
        }
        let time = clock::reading(frame.time());
        self.pictures.remote = Some(Place { at: due, time });
        if self.pictures.claim(epoch) {
            self.end_own();
        }
        if self.is_shown(time) {
            self.stats.repeated += 1;
            return;
        }
        self.render_picture(now.max(due), epoch, frame, false);
    }

    /// Takes in sound of a host's mix that is due, or what is made up for it.
    pub fn handle_remote_sound(
        &mut self,
        now: Instant,
        epoch: Epoch,
        due: Instant,
        frame: AudioFrame,
    ) {
        let time = clock::reading(frame.time);
        // Where we are to go on, the end of his is the beginning of ours.
        if let Live::Hosting { epoch: ours, from } = self.live
            && epoch < ours
            && from.is_some_and(|from| from <= time)
            && let Some(own) = self.sounds.take_own(time)
        {
            let place = Place { at: now.max(due), time };
            self.put_off(place);
            self.sounds.remote = Some(place);
            self.fade(now.max(due), ours, &frame, own, true);
            return;
        }
        self.handle_timeout(now);
        if self.sounds.is_stale(epoch) && !self.is_in_window(epoch, time) {
            self.stats.stale_dropped += 1;
            return;
        }
        let place = Place { at: now.max(due), time };
        self.put_off(place);
        self.sounds.remote = Some(place);
        self.render_sound(now.max(due), epoch, frame, false);
    }

    /// Takes in the same 20 ms of sound by both hosts of a handover; `epoch` is the new
    /// one's.
    pub fn handle_overlap(
        &mut self,
        now: Instant,
        epoch: Epoch,
        due: Instant,
        old: &AudioFrame,
        new: AudioFrame,
    ) {
        self.handle_timeout(now);
        if self.sounds.is_stale(epoch) {
            self.stats.stale_dropped += 2;
            return;
        }
        self.sounds.remote = Some(Place { at: due, time: clock::reading(new.time) });
        if self.sounds.rendered_own {
            // What we made ourselves is what was heard before, and not his.
            self.render_sound(now.max(due), epoch, new, false);
        } else {
            self.fade(now.max(due), epoch, old, new, false);
        }
    }

    /// Takes in a picture that our own stage made at `now`.
    pub fn handle_own_picture(&mut self, now: Instant, frame: VideoFrame) {
        self.handle_timeout(now);
        self.queue_picture(now, frame);
        self.handle_timeout(now);
    }

    /// Takes in what our own stage made at `now` for us to hear.
    pub fn handle_own_sound(&mut self, now: Instant, frame: AudioFrame) {
        self.handle_timeout(now);
        self.queue_sound(now, frame);
        self.handle_timeout(now);
    }

    /// Gives out what of our own is due. Calling it early or twice does nothing.
    pub fn handle_timeout(&mut self, now: Instant) {
        let Some((epoch, delay)) = self.live.epoch().zip(self.delay) else { return };
        loop {
            let sound = self.sound_due(delay).filter(|&at| at <= now);
            let picture = self.picture_due(delay).filter(|&at| at <= now);
            match (sound, picture) {
                (Some(at), picture) if picture.is_none_or(|other| at <= other) => {
                    let Some(Made { frame, .. }) = self.sounds.own.pop_front() else { return };
                    self.render_own_sound(at, epoch, frame);
                }
                (_, Some(at)) => {
                    let Some(Made { frame, .. }) = self.pictures.own.pop_front() else { return };
                    self.render_own_picture(at, epoch, frame);
                }
                _ => return,
            }
        }
    }

    /// Takes what is to be shown and heard, in its order.
    #[must_use]
    pub fn poll_output(&mut self) -> Option<SeamOutput> {
        self.outputs.pop_front()
    }

    /// When to call [`handle_timeout`](Self::handle_timeout): when the next frame of our
    /// own is due, if one waits.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let delay = self.delay?;
        self.live.epoch()?;
        [self.sound_due(delay), self.picture_due(delay)].into_iter().flatten().min()
    }

    /// Counts since it was made.
    #[must_use]
    pub fn stats(&self) -> SeamStats {
        SeamStats { delay: self.delay.unwrap_or_default(), ..self.stats }
    }

    fn queue_sound(&mut self, made: Instant, frame: AudioFrame) {
        let time = clock::reading(frame.time);
        match self.live {
            Live::Dark => return self.sounds.keep(made, frame),
            Live::Hosting { from, .. } if from.is_some_and(|from| time < from) => return,
            Live::Leaving { epoch, since } if self.is_over(&self.sounds, epoch, made, since) => {
                return;
            }
            _ => {}
        }
        let delay = self.delay_of(made, time);
        if delay >= FRAME
            && frame.samples.len() == SAMPLES
            && frame.samples.iter().all(|sample| sample.abs() < SILENCE)
        {
            self.delay = Some(delay - FRAME);
            self.stats.silence_cut += 1;
            return;
        }
        self.sounds.queue(made, frame);
    }

    fn queue_picture(&mut self, made: Instant, frame: VideoFrame) {
        let time = clock::reading(frame.time());
        match self.live {
            Live::Dark => return self.pictures.keep(made, frame),
            Live::Hosting { from, .. } if from.is_some_and(|from| time < from) => return,
            Live::Leaving { epoch, since } if self.is_over(&self.pictures, epoch, made, since) => {
                return;
            }
            _ => {}
        }
        let _ = self.delay_of(made, time);
        self.pictures.queue(made, frame);
    }

    /// Whether our own frames of this kind have had their time.
    fn is_over<T>(&self, track: &Track<T>, ours: Epoch, now: Instant, since: Instant) -> bool {
        track.is_stale(ours) || now.saturating_duration_since(since) >= MAX_LEAVING
    }

    /// When the first of our own sound is due. What the host before sends as well is waited
    /// for a moment: his timeline may have moved since it was measured, and without him there
    /// is nothing to fade from.
    fn sound_due(&self, delay: Duration) -> Option<Instant> {
        let due = self.sounds.due(delay)?;
        let Live::Hosting { from: Some(from), .. } = self.live else { return Some(due) };
        let time = clock::reading(self.sounds.own.front()?.frame.time);
        Some(match delay.is_zero() || time >= from + OVERLAP {
            true => due,
            false if self.sounds.lacks_before(time) => due + PATIENCE,
            false => due + GRACE,
        })
    }

    /// The same of our own pictures. Of two hosts there is one of each time only.
    fn picture_due(&self, delay: Duration) -> Option<Instant> {
        let due = self.pictures.due(delay)?;
        let Live::Hosting { from: Some(_), .. } = self.live else { return Some(due) };
        let time = clock::reading(self.pictures.own.front()?.frame.time());
        let lacks = !delay.is_zero() && self.pictures.lacks_before(time);
        Some(if lacks { due + PATIENCE } else { due })
    }

    /// As long as nothing of our own was heard, it can be put off: by how much later what
    /// comes just before it came than it looked.
    fn put_off(&mut self, place: Place) {
        if let Some(delay) = self.delay.filter(|delay| !delay.is_zero())
            && !self.sounds.rendered_own
            && let Some(first) = self.sounds.own.front()
        {
            let lag = place.lag(first.at, clock::reading(first.frame.time));
            self.delay = Some(delay.max(lag.min(self.config.max_delay)));
        }
    }

    /// How much later than made our own frames are due; found with the first of them.
    fn delay_of(&mut self, made: Instant, time: Duration) -> Duration {
        if let Some(delay) = self.delay {
            return delay;
        }
        let places = [self.sounds.remote, self.pictures.remote];
        let lags = places.into_iter().flatten().map(|place| place.lag(made, time));
        let delay = lags.max().unwrap_or_default().min(self.config.max_delay);
        *self.delay.insert(delay)
    }

    /// What is ours is over once somebody later is both heard and seen.
    fn end_own(&mut self) {
        if let Live::Leaving { epoch, .. } = self.live
            && self.sounds.is_stale(epoch)
            && self.pictures.is_stale(epoch)
        {
            self.live = Live::Dark;
        }
    }

    /// Whether sound of the host before is still to be heard: he says it for a while along
    /// with the next one, of whom this piece did not come.
    fn is_in_window(&self, epoch: Epoch, time: Duration) -> bool {
        let follows = |newest: Epoch| {
            newest.term() == epoch.term() && Some(newest.ballot()) == epoch.ballot().checked_add(1)
        };
        self.sounds.rendered_epoch.is_some_and(follows)
            && !self.sounds.rendered_own
            && self.sounds.last.is_some_and(|last| last < time)
            && time < self.newest_from + OVERLAP
    }

    /// Whether what is of this time has been shown or heard, by a host who is none any
    /// more. One whose clock is far behind has to be followed all the same.
    fn has_been(&self, until: Option<Duration>, time: Duration) -> bool {
        until.is_some_and(|until| time <= until && until - time <= self.config.max_delay)
    }

    fn is_shown(&mut self, time: Duration) -> bool {
        let is_shown = self.has_been(self.pictures.shown_until, time);
        if !is_shown {
            self.pictures.shown_until = None;
        }
        is_shown
    }

    fn render_own_sound(&mut self, at: Instant, epoch: Epoch, frame: AudioFrame) {
        let time = clock::reading(frame.time);
        if self.sounds.is_stale(epoch) {
            self.stats.stale_dropped += 1;
        } else if !self.sounds.rendered_own && self.has_been(self.sounds.last, time) {
            // The host before has said it.
            self.stats.repeated += 1;
        } else {
            self.render_sound(at, epoch, frame, true);
        }
    }

    fn render_own_picture(&mut self, at: Instant, epoch: Epoch, frame: VideoFrame) {
        let time = clock::reading(frame.time());
        if self.pictures.is_stale(epoch) {
            self.stats.stale_dropped += 1;
        } else if !self.pictures.rendered_own && self.has_been(self.pictures.last, time) {
            self.stats.repeated += 1;
        } else {
            self.render_picture(at, epoch, frame, true);
        }
    }

    fn render_picture(&mut self, at: Instant, epoch: Epoch, frame: VideoFrame, own: bool) {
        self.pictures.render(at, epoch, clock::reading(frame.time()), own);
        self.outputs.push_back(SeamOutput::Picture { at, epoch, frame, own });
    }

    /// Gives out sound: where it does not go on from what was heard, out of that.
    fn render_sound(&mut self, at: Instant, epoch: Epoch, mut frame: AudioFrame, own: bool) {
        let goes_on = self.heard_of.is_none_or(|before| before == epoch);
        let lately = self.sounds.last_at.is_some_and(|last| at < last + STILL_HEARD);
        if !goes_on && lately {
            self.stats.crossfades += 1;
            self.join.begin_after_heard();
        }
        self.join.go_on(&mut frame);
        self.emit_sound(at, epoch, frame, own);
    }

    /// Gives out sound that fades in from another of the same time.
    fn fade(
        &mut self,
        at: Instant,
        epoch: Epoch,
        old: &AudioFrame,
        mut new: AudioFrame,
        own: bool,
    ) {
        if self.heard_of.is_none_or(|before| before != epoch) {
            self.stats.crossfades += 1;
            self.join.begin();
        }
        self.join.fade(old, &mut new);
        self.emit_sound(at, epoch, new, own);
    }

    fn emit_sound(&mut self, at: Instant, epoch: Epoch, frame: AudioFrame, own: bool) {
        let time = clock::reading(frame.time);
        if self.sounds.rendered_epoch < Some(epoch) {
            self.newest_from = time;
        }
        if !own && self.sounds.claim(epoch) {
            self.end_own();
        }
        self.heard_of = Some(epoch);
        self.sounds.render(at, epoch, time, own);
        self.join.hear(&frame);
        self.outputs.push_back(SeamOutput::Sound { at, epoch, frame, own });
    }
}

impl Live {
    fn epoch(self) -> Option<Epoch> {
        match self {
            Self::Dark => None,
            Self::Hosting { epoch, .. } | Self::Leaving { epoch, .. } => Some(epoch),
        }
    }
}

/// A frame of sound.
const FRAME: Duration = Duration::from_millis(20);

/// Its samples.
const SAMPLES: usize = 960;

/// −60 dB: a quiet room; what is below is not missed.
const SILENCE: f32 = 0.001;

/// A frame, and what is made up for two that are missing. After that there was silence,
/// and nothing to fade from.
const STILL_HEARD: Duration = Duration::from_millis(60);

/// For so long the host before goes on with his sound.
const OVERLAP: Duration = Duration::from_millis(40);

/// Five times what a jitter buffer moves its delay by in a frame.
const GRACE: Duration = Duration::from_millis(5);

/// A packet that was lost and sent again comes a round trip later, or two. Not for longer
/// than a jitter buffer waits.
const PATIENCE: Duration = Duration::from_millis(200);

/// Four times the longest lead and delay: a new host that is not heard by then is not
/// going to be, and what only we make is no call.
const MAX_LEAVING: Duration = Duration::from_secs(2);

/// 2 s of our own sound, the longest delay, and what came before it was asked for.
const MAX_SOUNDS: usize = 128;

/// The same of pictures, at 30 a second. The planes are shared with the stage.
const MAX_PICTURES: usize = 64;
