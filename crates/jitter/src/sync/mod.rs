//! Lip sync: one delay budget for streams that were captured together.

mod aligned;
mod aligner;
mod config;
mod group;
mod lane;
mod map;
mod nanos;
mod status;
mod stream;
mod timeline;

use std::fmt::Debug;
use std::ops::Range;
use std::time::{Duration, Instant};

use paceline_types::{Frequency, MediaTime, NtpTime, SenderId, StreamKey};
use tracing::debug;

pub use self::aligned::{
    AlignVerdict, AlignedSet, AlignerConfig, AlignerStats, Cadence, Overflow, Part, Slot, Stamp,
    Take,
};
pub use self::aligner::Aligner;
pub use self::config::SyncConfig;
pub use self::status::{Media, Playout, SyncOutput, SyncState, SyncStats, SyncStatus};

use self::map::{ClockMap, Source};
use self::stream::{Order, Place, Stream};
use self::timeline::Timeline;

/// Makes sound and picture that were captured together due together, by holding back
/// whichever the network would have played first.
///
/// ```text
///  sender's wallclock          ours
///  ──┬──── capture             ─┬──────── due by its own delay     audio
///    │                          ├───────────────────● due          audio, held back
///    └──── capture             ─┴───────────────────● due          video
///                               │◀ lag of audio ▶│
///                               │◀ lag of video: the largest ▶│
/// ```
///
/// A straight line per stream leads from media time to the wallclock of its sender. It
/// is drawn through sender reports (RFC 3550 §6.4.1), of which one is enough, or through
/// capture times that come with the frames. With it, what a jitter buffer wants by itself
/// is a *lag* from capture to playout. The largest lag of a group is that of all.
///
/// Authority is ordered. A jitter buffer's own delay is a floor that lip sync never goes
/// under; lip sync raises the others to it; and an estimate of drift turns the line, and
/// moves nothing. Pictures move at once, sound by 5 % of the time that passes, or at once
/// if none is heard. While sound is on its way, pictures go with it.
///
/// | group | calls |
/// |---|---|
/// | members | [`add_stream`](Self::add_stream), [`remove_stream`](Self::remove_stream) |
/// | clocks | [`handle_sender_report`](Self::handle_sender_report), [`handle_capture`](Self::handle_capture) |
/// | input | [`handle_playout`](Self::handle_playout), [`handle_timeout`](Self::handle_timeout) |
/// | steering | [`set_drift`](Self::set_drift), [`set_quiet`](Self::set_quiet) |
/// | output | [`poll_output`](Self::poll_output), [`min_playout_delay`](Self::min_playout_delay) |
/// | when next | [`poll_timeout`](Self::poll_timeout) |
///
/// `S` names a stream, `G` those that share a wallclock: an RTCP CNAME (RFC 3550 §6.5.1),
/// or a sender.
///
/// A wallclock that steps moves nothing: one reading far off the line is ignored, two
/// that agree are a step, and the others of the group are presumed to have stepped with
/// it until a later reading of theirs says otherwise.
///
/// ```
/// use std::time::{Duration, Instant};
///
/// use paceline_jitter::types::{Frequency, MediaTime, NtpTime};
/// use paceline_jitter::{Media, Playout, StreamSync, SyncConfig, SyncOutput};
///
/// let (now, ms) = (Instant::now(), Duration::from_millis);
/// let mut sync = StreamSync::new(SyncConfig::default());
/// sync.add_stream("sound", "alice", Media::Audio, Frequency::AUDIO);
/// sync.add_stream("picture", "alice", Media::Video, Frequency::VIDEO);
///
/// // Both were captured at the same moment…
/// let capture = NtpTime::from_unix(Duration::from_secs(1));
/// let sound = MediaTime::new(960, Frequency::AUDIO);
/// let picture = MediaTime::new(3_000, Frequency::VIDEO);
/// sync.handle_capture(now, "sound", sound, capture);
/// sync.handle_capture(now, "picture", picture, capture);
///
/// // …and the picture would be played 40 ms behind the sound.
/// sync.handle_playout(now, "sound", Playout { time: sound, due: now + ms(60), delay: ms(50) });
/// sync.handle_playout(now, "picture", Playout { time: picture, due: now + ms(100), delay: ms(50) });
///
/// // So the sound waits 90 ms instead of 50.
/// assert_eq!(
///     sync.poll_output(),
///     Some(SyncOutput::MinPlayoutDelay { stream: "sound", delay: ms(90) }),
/// );
/// assert_eq!(sync.poll_output(), None);
/// assert_eq!(sync.min_playout_delay("picture"), Duration::ZERO);
/// ```
#[derive(Debug)]
pub struct StreamSync<S = StreamKey, G = SenderId> {
    config: SyncConfig,
    /// Ordered by group, then by name.
    streams: Vec<Stream<S, G>>,
    /// The group of each name, ordered by name.
    groups: Vec<(S, G)>,
    /// What nanoseconds are counted from: the first instant that was heard of.
    origin: Option<Instant>,
    now: i64,
    stats: SyncStats,
}

impl<S: Copy + Debug + Ord, G: Copy + Debug + Ord> StreamSync<S, G> {
    /// One without streams.
    #[must_use]
    pub const fn new(config: SyncConfig) -> Self {
        Self {
            config,
            streams: Vec::new(),
            groups: Vec::new(),
            origin: None,
            now: 0,
            stats: SyncStats {
                captures: 0,
                outliers: 0,
                playouts: 0,
                refused: 0,
                reports: 0,
                steps: 0,
            },
        }
    }

    /// A stream is there, of `group`, with media times of `clock`. False if it was
    /// already, or if there are too many.
    pub fn add_stream(&mut self, stream: S, group: G, media: Media, clock: Frequency) -> bool {
        let Err(at) = self.groups.binary_search_by(|&(id, _)| id.cmp(&stream)) else {
            return false;
        };
        if self.streams.len() >= self.config.max_streams {
            return false;
        }
        self.groups.insert(at, (stream, group));
        let at = self.streams.partition_point(|other| (other.group, other.id) < (group, stream));
        let stream = Stream {
            id: stream,
            group,
            media,
            timeline: Timeline::new(clock),
            map: ClockMap::new(),
            presumed: None,
            heard: None,
            place: None,
            owned: 0,
            excess: 0,
            apart: false,
            order: Order::default(),
        };
        self.streams.insert(at, stream);
        true
    }

    /// A stream is gone. Those that waited for it return to their own delay, at their
    /// pace. False if there was none.
    pub fn remove_stream(&mut self, stream: S) -> bool {
        let Some(at) = self.find(stream) else { return false };
        let group = self.group_of(at);
        self.streams.remove(at);
        self.groups.retain(|&(id, _)| id != stream);
        self.align(group.start..group.end - 1, self.now);
        true
    }

    /// A sender report of `stream` arrived: at media time `rtp` the sender's wallclock
    /// showed `ntp` (RFC 3550 §6.4.1). It may come before any media.
    pub fn handle_sender_report(&mut self, now: Instant, stream: S, ntp: NtpTime, rtp: u32) {
        let now = self.note(now);
        let Some(at) = self.find(stream) else {
            self.stats.refused += 1;
            return;
        };
        self.stats.reports += 1;
        let media = self.streams[at].timeline.report(rtp);
        self.handle_reading(at, media, nanos::wallclock(ntp), Source::Report);
        self.align(self.group_of(at), now);
    }

    /// The frame of media time `time` was captured when the sender's wallclock showed
    /// `capture`. To be called before [`handle_playout`](Self::handle_playout) of it.
    pub fn handle_capture(&mut self, now: Instant, stream: S, time: MediaTime, capture: NtpTime) {
        self.note(now);
        let Some(at) = self.find_clocked(stream, time) else { return };
        self.stats.captures += 1;
        let media = self.streams[at].timeline.media(time.ticks() as u32);
        self.handle_reading(at, media, nanos::wallclock(capture), Source::Capture);
    }

    /// What the jitter buffer of `stream` wants by itself. Cheap: for each frame.
    pub fn handle_playout(&mut self, now: Instant, stream: S, playout: Playout) {
        let instant = now;
        let now = self.note(now);
        let Some(at) = self.find_clocked(stream, playout.time) else { return };
        let due = now.saturating_add(nanos::since(playout.due, instant));
        let group = self.group_of(at);
        let config = &self.config;
        let stream = &mut self.streams[at];
        let media = stream.timeline.media(playout.time.ticks() as u32);
        let own = nanos::span(playout.delay).min(MAX_OWN);
        let silence = stream.heard.map_or(i64::MAX, |heard| now - heard);
        if silence >= nanos::span(config.stale_after) {
            let extra = stream.order.delay.max(own) - own;
            stream.order.starts = Some(due.saturating_add(extra));
        }
        stream.heard = Some(now);
        let Some(wallclock) = stream.wallclock(media) else { return };
        let place = Place { lag: due.saturating_sub(wallclock), own, at: now };
        let nearest = self.streams[group.clone()]
            .iter()
            .enumerate()
            .filter(|&(index, _)| group.start + index != at)
            .filter_map(|(_, other)| other.live(now, config))
            .map(|other| other.lag.saturating_sub(place.lag).saturating_abs())
            .min();
        let apart = nearest.is_some_and(|by| by > nanos::span(config.max_offset));
        let stream = &mut self.streams[at];
        if apart != stream.apart {
            debug!(stream = ?stream.id, apart, "lip sync");
        }
        stream.apart = apart;
        if !apart {
            stream.place = Some(place);
            self.stats.playouts += 1;
        }
        self.align(group, now);
    }

    /// Sound is played `excess` later than its jitter buffer wants to: it came late, and goes
    /// back at its pace. Of pictures it means nothing, for they go back at once. To be called
    /// before [`handle_playout`](Self::handle_playout), which heeds it.
    pub fn set_excess(&mut self, stream: S, excess: Duration) {
        match self.find(stream) {
            Some(at) => self.streams[at].excess = nanos::span(excess).min(MAX_OWN),
            None => self.stats.refused += 1,
        }
    }

    /// Lets time pass. Calling it early or twice does nothing.
    pub fn handle_timeout(&mut self, now: Instant) {
        let now = self.note(now);
        let mut start = 0;
        while start < self.streams.len() {
            let group = self.group_of(start);
            start = group.end;
            // Each in its own time: what others send moves nothing here.
            let due = |stream: &Stream<S, G>| self.deadline(stream).is_some_and(|at| at <= now);
            if self.streams[group.clone()].iter().any(due) {
                self.align(group, now);
            }
        }
    }

    /// The media clock of `stream` runs `ppm` fast against ours, as its jitter buffer
    /// found, within `sigma`: this pins the slope of the line. What the wallclocks of
    /// both ends differ by is common to the streams of a group, and cancels.
    ///
    /// What is not finite is ignored.
    pub fn set_drift(&mut self, stream: S, ppm: f64, sigma: f64) {
        let Some(at) = self.find(stream) else {
            self.stats.refused += 1;
            return;
        };
        if ppm.is_finite() && sigma.is_finite() {
            // Casts of floats saturate; the map clamps to 1 %.
            let slope = -((ppm * 1_000.0) as i64).clamp(-MAX_PPB, MAX_PPB);
            self.streams[at].map.set_prior(slope, (sigma.abs() * 1_000.0) as i64);
        }
    }

    /// Whether `stream` is silent now (DTX, a pause): then it may be moved at once.
    pub fn set_quiet(&mut self, now: Instant, stream: S, quiet: bool) {
        let now = self.note(now);
        if let Some(at) = self.find(stream) {
            self.streams[at].order.quiet = quiet;
            self.align(self.group_of(at), now);
        }
    }

    /// Takes what has changed: a delay by a millisecond or more, or its last bit.
    #[must_use]
    pub fn poll_output(&mut self) -> Option<SyncOutput<S>> {
        self.streams.iter_mut().find_map(|stream| {
            let own = stream.place.map_or(0, |place| place.own);
            let delay = nanos::duration(stream.order.poll(own)?);
            Some(SyncOutput::MinPlayoutDelay { stream: stream.id, delay })
        })
    }

    /// When something moves next, if something is to.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let next = self.streams.iter().filter_map(|stream| self.deadline(stream)).min()?;
        self.origin?.checked_add(nanos::duration(next))
    }

    /// When a stream moves next, or is not live any more.
    fn deadline(&self, stream: &Stream<S, G>) -> Option<i64> {
        match stream.live(self.now, &self.config) {
            _ if stream.order.error != 0 => Some(stream.order.moved_at.saturating_add(TICK)),
            None if stream.order.company == 0 => None,
            None => Some(self.now),
            Some(place) => Some(place.at.saturating_add(nanos::span(self.config.stale_after))),
        }
    }

    /// The delay that a stream's jitter buffer must keep at least, to the nanosecond;
    /// zero if its own is enough, or if there is no such stream.
    #[must_use]
    pub fn min_playout_delay(&self, stream: S) -> Duration {
        self.status(stream).map_or(Duration::ZERO, |status| status.min_playout_delay)
    }

    /// How a stream stands, if it is known.
    #[must_use]
    pub fn status(&self, stream: S) -> Option<SyncStatus> {
        let stream = &self.streams[self.find(stream)?];
        let order = &stream.order;
        let state = match stream.place {
            _ if stream.apart => SyncState::Apart,
            None => SyncState::Unknown,
            Some(_) if stream.live(self.now, &self.config).is_none() => SyncState::Stale,
            Some(_) if order.company < 2 => SyncState::Alone,
            Some(_) if order.limited => SyncState::Apart,
            Some(_) if order.synced => SyncState::Synced,
            Some(_) => SyncState::Moving,
        };
        let own = stream.place.map_or(0, |place| place.own);
        Some(SyncStatus {
            state,
            min_playout_delay: nanos::duration(order.min_playout_delay(own)),
            error: order.error,
            slope: stream.map.slope(),
            noise: nanos::duration(stream.map.sigma()),
            readings: stream.map.points(),
        })
    }

    /// Counts since the machine was made.
    #[must_use]
    pub const fn stats(&self) -> SyncStats {
        self.stats
    }

    fn note(&mut self, now: Instant) -> i64 {
        let origin = *self.origin.get_or_insert(now);
        self.now = self.now.max(nanos::since(now, origin));
        self.now
    }

    fn find(&self, stream: S) -> Option<usize> {
        let at = self.groups.binary_search_by(|&(id, _)| id.cmp(&stream)).ok()?;
        let (_, group) = self.groups[at];
        let key = |other: &Stream<S, G>| (other.group, other.id).cmp(&(group, stream));
        self.streams.binary_search_by(key).ok()
    }

    fn find_clocked(&mut self, stream: S, time: MediaTime) -> Option<usize> {
        let found = self.find(stream);
        let clocked = found.filter(|&at| self.streams[at].timeline.clock() == time.frequency());
        if clocked.is_none() {
            self.stats.refused += 1;
        }
        clocked
    }

    /// Where the streams of a group lie, given one of them.
    fn group_of(&self, at: usize) -> Range<usize> {
        let group = self.streams[at].group;
        let start = self.streams[..at].partition_point(|other| other.group < group);
        let end = at + self.streams[at..].partition_point(|other| other.group == group);
        start..end
    }
}

/// While something moves, it moves every 20 ms: a packet of sound.
const TICK: i64 = 20_000_000;

/// A jitter buffer that delays by more than a minute is taken to delay by that.
const MAX_OWN: i64 = 60_000_000_000;

/// 1 %, as for the line.
const MAX_PPB: i64 = 10_000_000;
