//! The stage: everybody's pictures and sound in, one mix out.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use paceline_types::{
    AudioFrame, Frequency, MediaTime, MixInfo, MixSource, NtpTime, PlayoutRate, Rect, SenderId,
    StreamId, VideoFrame, WallClock,
};

use crate::cadence::Cadence;
use crate::clock;
use crate::compose::Canvas;
use crate::grid;
use crate::limiter::Limiter;
use crate::sound::{Sound, TICK};
use crate::{Kind, SourceStats, StageConfig, StageOutput, StageStats, Verdict};

/// Mixes a call.
///
/// | group | calls |
/// |---|---|
/// | input | [`handle_video`](Self::handle_video), [`handle_audio`](Self::handle_audio), [`handle_timeout`](Self::handle_timeout) |
/// | steering | [`add_source`](Self::add_source), [`remove_source`](Self::remove_source), [`set_enabled`](Self::set_enabled), [`set_playout_rate`](Self::set_playout_rate), [`steer`](Self::steer) |
/// | output | [`poll_output`](Self::poll_output), until `None` |
/// | when next | [`poll_timeout`](Self::poll_timeout) |
/// | state | [`media_time`](Self::media_time), [`stats`](Self::stats), [`source_stats`](Self::source_stats) |
///
/// Every 20 ms each source gets the sum of all the others, and at the frame rate
/// of the config there is a picture of everybody; both also when nobody sends
/// anything. The participant at whose machine this runs is a source like the
/// others: what is [`for_peer`](StageOutput::Audio::for_peer) him goes to his
/// loudspeaker.
///
/// Things happen in [`handle_timeout`](Self::handle_timeout) only; all else is
/// kept for it. So give it last what `now` it is: a frame that waited behind a
/// slow turn of the caller's loop is then still in time.
///
/// Sources are ordered by id, and the same calls give the same bits.
///
/// One who is to follow the host runs a stage in the dark, on the media clock of the
/// host's ([`resume`](Self::resume), [`steer`](Self::steer), with a
/// [`MixClock`](crate::MixClock)): what it makes has the media times that the host's
/// have, so that receivers do not see where one ends and the other begins.
#[derive(Debug)]
pub struct Stage {
    config: StageConfig,
    wall: WallClock,
    sources: BTreeMap<SenderId, Source>,
    /// Removed while they were heard: they still have their end to fade.
    leaving: Vec<Sound>,
    /// Of what all get who are not heard, and the tick it was used in last.
    limiter: Limiter,
    limited: u64,
    ticks: Cadence,
    pictures: Cadence,
    canvas: Canvas,
    /// Somebody came or went since the last picture.
    regroup: bool,
    /// What was told last, and when.
    told: Option<(Instant, Vec<Told>)>,
    outputs: VecDeque<StageOutput>,
    stats: StageStats,
}

/// What is told at once when it changes.
type Told = (SenderId, Rect, bool);

#[derive(Debug)]
struct Source {
    sound: Sound,
    limiter: Limiter,
    video_on: bool,
    picture: Option<VideoFrame>,
    /// What it shows is not on the canvas yet.
    redraw: bool,
    cell: Rect,
    tile: Rect,
    pictures_superseded: u64,
}

impl Source {
    fn stats(&self) -> SourceStats {
        SourceStats { pictures_superseded: self.pictures_superseded, ..self.sound.stats() }
    }
}

impl Stage {
    /// An empty stage whose media clocks, 48 kHz and 90 kHz, start at zero at
    /// `now`. The first sound and picture are due at once.
    ///
    /// # Panics
    ///
    /// If the config is not [valid](StageConfig::validate).
    #[must_use]
    pub fn new(now: Instant, wall: WallClock, config: StageConfig) -> Self {
        Self::resume(now, wall, config, MediaTime::new(0, Frequency::AUDIO))
    }

    /// An empty stage whose media clocks read `at` at `now`: it makes what one that
    /// began so long ago makes from now on, numbers and media times included. The first
    /// sound is due within 20 ms, the first picture within one of the frame rate.
    ///
    /// Readings of a clock of any frequency are taken. One beyond 100 years counts as
    /// that, as it can only be made up.
    ///
    /// ```
    /// use std::time::{Duration, Instant};
    ///
    /// use paceline_playout::types::{Frequency, MediaTime, NtpTime, WallClock};
    /// use paceline_playout::{Stage, StageConfig};
    ///
    /// let now = Instant::now();
    /// let wall = WallClock::new(now, NtpTime::default());
    /// let at = MediaTime::new(48_000 + 480, Frequency::AUDIO);
    /// let stage = Stage::resume(now, wall, StageConfig::default(), at);
    /// assert_eq!(stage.media_time(now), at);
    /// // Sound of 1.02 s is next.
    /// assert_eq!(stage.poll_timeout(), Some(now + Duration::from_millis(10)));
    /// ```
    ///
    /// # Panics
    ///
    /// If the config is not [valid](StageConfig::validate).
    #[must_use]
    pub fn resume(now: Instant, wall: WallClock, config: StageConfig, at: MediaTime) -> Self {
        let reading = clock::reading(at);
        if let Err(error) = config.validate() {
            panic!("{error}");
        }
        Self {
            wall,
            sources: BTreeMap::new(),
            leaving: Vec::new(),
            limiter: Limiter::new(),
            limited: 0,
            ticks: Cadence::new(now, reading, TICKS_PER_SECOND),
            pictures: Cadence::new(now, reading, config.rate()),
            canvas: Canvas::new(config.size()),
            regroup: false,
            told: None,
            outputs: VecDeque::new(),
            stats: StageStats::default(),
            config,
        }
    }

    /// Puts a source on the stage, with sound and pictures on. Does nothing if
    /// it is there.
    ///
    /// The verdict is [`Accepted`](Verdict::Accepted) or [`Full`](Verdict::Full).
    pub fn add_source(&mut self, _now: Instant, sender: SenderId) -> Verdict {
        if self.sources.contains_key(&sender) {
            return Verdict::Accepted;
        }
        if self.sources.len() >= self.config.sources() {
            self.stats.sources_refused += 1;
            return Verdict::Full;
        }
        let source = Source {
            sound: Sound::new(
                self.config.cushion_samples(),
                self.config.queue_samples(),
                MAX_TICKS_LATE as usize,
            ),
            limiter: Limiter::new(),
            video_on: true,
            picture: None,
            redraw: true,
            cell: Rect::default(),
            tile: Rect::default(),
            pictures_superseded: 0,
        };
        self.sources.insert(sender, source);
        self.regroup = true;
        Verdict::Accepted
    }

    /// Takes a source off the stage. Does nothing if it is not there.
    pub fn remove_source(&mut self, _now: Instant, sender: SenderId) {
        let Some(mut source) = self.sources.remove(&sender) else { return };
        self.stats.total.add(source.stats());
        self.regroup = true;
        if source.sound.is_playing() {
            source.sound.switch(false);
            self.leaving.push(source.sound);
        }
    }

    /// Switches sound or pictures of a source off or on, as its track state says.
    /// Does nothing if the source is not there.
    ///
    /// Switched off, what is held of it goes: its sound fades out within 5 ms,
    /// its tile is empty with the next picture.
    pub fn set_enabled(&mut self, _now: Instant, sender: SenderId, kind: Kind, enabled: bool) {
        let Some(source) = self.sources.get_mut(&sender) else { return };
        match kind {
            Kind::Audio => source.sound.switch(enabled),
            Kind::Video => {
                source.video_on = enabled;
                if !enabled && source.picture.take().is_some() {
                    source.redraw = true;
                }
            }
        }
    }

    /// Says how the clock of a source runs and how its frames are released now; it
    /// holds until it is said again.
    ///
    /// Without it the level of the queue steers alone, which takes longer. The
    /// verdict is [`Accepted`](Verdict::Accepted) or [`Unknown`](Verdict::Unknown).
    pub fn set_playout_rate(
        &mut self,
        _now: Instant,
        sender: SenderId,
        rate: PlayoutRate,
    ) -> Verdict {
        let Some(source) = self.sources.get_mut(&sender) else {
            self.stats.unknown += 1;
            return Verdict::Unknown;
        };
        source.sound.set_rate(rate);
        Verdict::Accepted
    }

    /// Has the media clocks read `at` at `now`, or come nearer to that by 5 ms; returns
    /// by how much they are off still. No media time is made twice, and none is left
    /// out: the next tick is due sooner or later than it would have been.
    ///
    /// For a stage in the dark. Sound of a source that is queued comes that much nearer to
    /// its end, or further from it, for which the queue has its own steering; with more at
    /// once than its cushion everybody would run dry. A stage that is off by seconds is
    /// better made anew, with [`resume`](Self::resume).
    pub fn steer(&mut self, now: Instant, at: MediaTime) -> Duration {
        let (is, should) = (self.ticks.read(now), clock::reading(at));
        let off = is.abs_diff(should);
        let by = off.min(MAX_STEER);
        self.ticks.shift(by, should > is);
        self.pictures.shift(by, should > is);
        off - by
    }

    /// What the media clock reads at `now`, at 48 kHz.
    #[must_use]
    pub fn media_time(&self, now: Instant) -> MediaTime {
        clock::media_time(self.ticks.read(now), Frequency::AUDIO)
    }

    /// Takes in a picture of any size; the next picture of the mix shows it. A
    /// newer one replaces it.
    ///
    /// The verdict is [`Accepted`](Verdict::Accepted),
    /// [`SwitchedOff`](Verdict::SwitchedOff) or [`Unknown`](Verdict::Unknown).
    pub fn handle_video(&mut self, _now: Instant, sender: SenderId, frame: VideoFrame) -> Verdict {
        let Some(source) = self.sources.get_mut(&sender) else {
            self.stats.unknown += 1;
            return Verdict::Unknown;
        };
        if !source.video_on {
            self.stats.switched_off += 1;
            return Verdict::SwitchedOff;
        }
        if source.redraw && source.picture.is_some() {
            source.pictures_superseded += 1;
        }
        source.picture = Some(frame);
        source.redraw = true;
        Verdict::Accepted
    }

    /// Queues sound of any length, mono or stereo; of stereo, the mean is heard.
    ///
    /// The queue may hold [`StageConfig::max_audio_queue`], and besides what is
    /// due by `now` and not mixed yet, up to 200 ms.
    pub fn handle_audio(&mut self, now: Instant, sender: SenderId, frame: AudioFrame) -> Verdict {
        let due = self.ticks.due(now).min(MAX_TICKS_LATE) as usize;
        let bound = self.config.queue_samples() + due * TICK;
        let Some(source) = self.sources.get_mut(&sender) else {
            self.stats.unknown += 1;
            return Verdict::Unknown;
        };
        if !source.sound.is_on() {
            self.stats.switched_off += 1;
            return Verdict::SwitchedOff;
        }
        let until_tick = until(self.ticks.at(), now);
        let dropped = source.sound.dropped();
        if !source.sound.push(&frame, bound, until_tick) {
            self.stats.malformed += 1;
            return Verdict::Malformed;
        }
        source.sound.trim(bound);
        if source.sound.dropped() > dropped { Verdict::Overrun } else { Verdict::Accepted }
    }

    /// Makes all that is due by `now`, in its order. Calling it early or twice
    /// does nothing.
    ///
    /// Called late, it makes every tick of sound that is due, but only the last
    /// picture. Called more than 200 ms late, it makes only the last tick too, so
    /// that a machine that stood still does not send a burst; what was skipped is
    /// counted, and the media times go on as if it had been there.
    pub fn handle_timeout(&mut self, now: Instant) {
        let late = self.ticks.due(now).saturating_sub(1);
        if late > MAX_TICKS_LATE {
            self.ticks.advance(late);
            self.stats.ticks_skipped += late;
            for source in self.sources.values_mut() {
                source.sound.trim(self.config.queue_samples());
            }
        }
        let late = self.pictures.due(now).saturating_sub(1);
        self.pictures.advance(late);
        self.stats.pictures_skipped += late;

        loop {
            let (tick, picture) = (self.ticks.at(), self.pictures.at());
            if tick.min(picture) > now {
                return;
            }
            if tick <= picture {
                self.mix(tick);
            } else {
                self.compose(picture);
            }
        }
    }

    /// When the next sound or picture is due: always some time.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        Some(self.ticks.at().min(self.pictures.at()))
    }

    /// Takes what was made, in its order.
    ///
    /// Whatever is left behind is kept, so take all of it after each
    /// [`handle_timeout`](Self::handle_timeout).
    #[must_use]
    pub fn poll_output(&mut self) -> Option<StageOutput> {
        self.outputs.pop_front()
    }

    /// What has been done so far.
    #[must_use]
    pub fn stats(&self) -> StageStats {
        let mut stats = self.stats;
        for source in self.sources.values() {
            stats.total.add(source.stats());
        }
        stats
    }

    /// What happened to the media of a source, if it is on the stage.
    #[must_use]
    pub fn source_stats(&self, sender: SenderId) -> Option<SourceStats> {
        self.sources.get(&sender).map(Source::stats)
    }

    fn mix(&mut self, at: Instant) {
        // In f64: taking one's own out of the total again leaves rounding that is
        // 250 dB down, less than the result can hold.
        let mut total = [0.0_f64; TICK];
        let sounds = self.sources.values_mut().map(|source| &mut source.sound);
        for sound in sounds.chain(&mut self.leaving) {
            for (sum, &sample) in total.iter_mut().zip(sound.tick()) {
                *sum += f64::from(sample);
            }
        }
        self.leaving.clear();

        let seq_tick = self.ticks.number();
        let time = MediaTime::new(seq_tick * TICK as u64, Frequency::AUDIO);
        let capture = self.wall.at(at);
        // Whoever is not in the mix hears what all such hear.
        let mut shared: Option<Arc<[f32]>> = None;
        for (&for_peer, source) in &mut self.sources {
            let is_shared = !source.sound.is_heard();
            let samples = if source.sound.is_heard() {
                let others = total.iter().zip(source.sound.block());
                let limiter = &mut source.limiter;
                others.map(|(&sum, &own)| limiter.limit((sum - f64::from(own)) as f32)).collect()
            } else {
                let limiter = &mut self.limiter;
                // One that was not needed knows of peaks that are long gone.
                if shared.is_none() && self.limited + 1 != seq_tick {
                    limiter.clone_from(&source.limiter);
                }
                self.limited = seq_tick;
                let shared = shared.get_or_insert_with(|| {
                    total.iter().map(|&sum| limiter.limit(sum as f32)).collect()
                });
                source.limiter.clone_from(limiter);
                Arc::clone(shared)
            };
            let frame = AudioFrame { channels: 1, time, capture, samples };
            self.outputs.push_back(StageOutput::Audio { for_peer, frame, is_shared, seq_tick });
        }
        self.ticks.advance(1);
        self.stats.ticks += 1;
    }

    fn compose(&mut self, at: Instant) {
        if std::mem::take(&mut self.regroup) {
            self.canvas.clear();
            let (count, size) = (self.sources.len(), self.config.size());
            for (index, source) in self.sources.values_mut().enumerate() {
                source.cell = grid::cell(index, count, size);
                source.tile = Rect::default();
                source.redraw = true;
            }
        }
        for source in self.sources.values_mut() {
            if std::mem::take(&mut source.redraw) {
                source.tile = self.canvas.draw(source.cell, source.tile, source.picture.as_ref());
            }
        }

        let clock = u64::from(Frequency::VIDEO.hz());
        let ticks = self.pictures.number() * clock / u64::from(self.config.rate());
        let time = MediaTime::new(ticks, Frequency::VIDEO);
        let (width, height) = self.config.size();
        let picture = VideoFrame::new(width, height, time, self.wall.at(at), self.canvas.planes())
            .expect("the canvas has the size of the mix");
        self.outputs.push_back(StageOutput::Picture(picture));
        self.tell(at, time);
        self.pictures.advance(1);
        self.stats.pictures += 1;
    }

    /// Says who is where in the picture just made, if that is new or due.
    fn tell(&mut self, at: Instant, time: MediaTime) {
        let news: Vec<Told> =
            self.sources.iter().map(|(&id, it)| (id, it.tile, !it.sound.is_on())).collect();
        if let Some((last, told)) = &self.told
            && at - *last < self.config.info_interval()
            && *told == news
        {
            return;
        }
        let sources = self.sources.iter().map(|(&sender, source)| MixSource {
            sender,
            tile: source.tile,
            level: source.sound.level(),
            capture: source.picture.as_ref().map_or(NtpTime::default(), VideoFrame::capture),
            muted: !source.sound.is_on(),
        });
        let info = MixInfo { stream: StreamId::MIX_VIDEO, time, sources: sources.collect() };
        self.outputs.push_back(StageOutput::MixInfo(info));
        self.told = Some((at, news));
    }
}

/// Samples of time from `now` until `tick`, less than nothing if that is past.
fn until(tick: Instant, now: Instant) -> i64 {
    let samples = |from: Instant, to: Instant| {
        // No further than the ticks that are made up for.
        let nanos = to.saturating_duration_since(from).as_nanos().min(1_000_000_000);
        (nanos * 48 / 1_000_000) as i64
    };
    samples(now, tick) - samples(tick, now)
}

/// Ticks of 20 ms.
const TICKS_PER_SECOND: u32 = 50;

/// A quarter of the sound that is queued by default: no queue runs dry of it.
const MAX_STEER: Duration = Duration::from_millis(5);

/// 200 ms: what a receiver's jitter buffer takes in at most.
const MAX_TICKS_LATE: u64 = 10;
