//! The media clock of a mix that is made elsewhere.

use std::time::{Duration, Instant};

use paceline_types::{Frequency, MediaTime, SeqNo, StreamId};

/// Follows the media clock of the host's mix by the frames of it that come in, and knows
/// where its numbers stand: what one needs who is to go on with it.
///
/// | group | calls |
/// |---|---|
/// | input | [`handle_frame`](Self::handle_frame) |
/// | steering | [`set_one_way`](Self::set_one_way), [`restart`](Self::restart) |
/// | looking | [`media_time`](Self::media_time), [`last`](Self::last), [`numbering`](Self::numbering), [`number_after_handover`](Self::number_after_handover), [`number_after_crash`](Self::number_after_crash) |
///
/// The fastest frame of the last ten seconds tells: whatever jitter there is, it only
/// makes frames late. So the clock is behind the host's by the shortest way from him, less
/// what [`set_one_way`](Self::set_one_way) says of that; and as its frames are told from
/// five to ten seconds, it follows a host whose clock is off by 100 ppm within a
/// millisecond.
///
/// ```
/// use std::time::{Duration, Instant};
///
/// use paceline_playout::MixClock;
/// use paceline_playout::types::{Frequency, MediaTime, SeqNo, StreamId};
///
/// let mut now = Instant::now();
/// let mut clock = MixClock::new();
/// for tick in 50..100 {
///     let time = MediaTime::new(tick * 960, Frequency::AUDIO);
///     clock.handle_frame(now, StreamId::MIX_AUDIO, SeqNo::new(tick), time);
///     now += Duration::from_millis(20);
/// }
/// // 20 ms after number 99 came, it is time for number 100.
/// assert_eq!(clock.media_time(now), Some(MediaTime::new(100 * 960, Frequency::AUDIO)));
/// let (seq, _) = clock.last(StreamId::MIX_AUDIO).expect("it came");
/// assert_eq!(seq, SeqNo::new(99));
/// ```
#[derive(Clone, Debug, Default)]
pub struct MixClock {
    origin: Option<Instant>,
    /// From a media time to its arrival, in nanoseconds: the least of this span, and of
    /// the one before.
    fastest: Option<i128>,
    fastest_before: Option<i128>,
    span_began: Option<Instant>,
    one_way: Duration,
    sound: Option<(SeqNo, MediaTime)>,
    picture: Option<(SeqNo, MediaTime)>,
}

impl MixClock {
    /// One that knows nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes in that a frame of the mix arrived at `now`: not when it is due, which is
    /// later by what it waits. What is no stream of the mix is ignored.
    ///
    /// What the host says of his numbering in a handover is such a frame too.
    pub fn handle_frame(&mut self, now: Instant, stream: StreamId, seq: SeqNo, time: MediaTime) {
        let last = match stream {
            StreamId::MIX_AUDIO => &mut self.sound,
            StreamId::MIX_VIDEO => &mut self.picture,
            _ => return,
        };
        if last.is_none_or(|(_, newest)| reading(newest) < reading(time)) {
            *last = Some((seq, time));
        }
        let origin = *self.origin.get_or_insert(now);
        let transit = since(origin, now) - reading(time).as_nanos() as i128;
        let began = *self.span_began.get_or_insert(now);
        if now.saturating_duration_since(began) >= SPAN {
            self.span_began = Some(now);
            self.fastest_before = self.fastest.take();
        }
        self.fastest = Some(self.fastest.map_or(transit, |fastest| fastest.min(transit)));
    }

    /// How long what is fastest takes from the host, as half of the shortest round trip
    /// to him tells. Zero at first: then the clock is behind by that.
    ///
    /// More than 1 s counts as that.
    pub fn set_one_way(&mut self, delay: Duration) {
        self.one_way = delay.min(MAX_ONE_WAY);
    }

    /// Another hosts now: his clock is asked anew. Numbers go on.
    pub fn restart(&mut self) {
        self.fastest = None;
        self.fastest_before = None;
        self.span_began = None;
    }

    /// What the host's media clock reads at `now`, at 48 kHz; `None` before his first
    /// frame.
    #[must_use]
    pub fn media_time(&self, now: Instant) -> Option<MediaTime> {
        let origin = self.origin?;
        let fastest = [self.fastest, self.fastest_before].into_iter().flatten().min()?;
        let nanos = since(origin, now) - fastest + self.one_way.as_nanos() as i128;
        let nanos = u64::try_from(nanos.max(0)).unwrap_or(u64::MAX);
        Some(media_time(Duration::from_nanos(nanos), Frequency::AUDIO))
    }

    /// The number and media time of the latest frame of a stream of the mix.
    #[must_use]
    pub fn last(&self, stream: StreamId) -> Option<(SeqNo, MediaTime)> {
        match stream {
            StreamId::MIX_AUDIO => self.sound,
            StreamId::MIX_VIDEO => self.picture,
            _ => None,
        }
    }

    /// The same of all streams of the mix.
    pub fn numbering(&self) -> impl Iterator<Item = (StreamId, SeqNo, MediaTime)> {
        [(StreamId::MIX_AUDIO, self.sound), (StreamId::MIX_VIDEO, self.picture)]
            .into_iter()
            .filter_map(|(stream, last)| last.map(|(seq, time)| (stream, seq, time)))
    }

    /// The number of the picture of media time `first` for who is handed the call: the
    /// one after the last of the host before, if he leaves none out. `rate` is that of
    /// the pictures of both, a second.
    ///
    /// A picture that the host made late, or not at all, is a number that nobody sends: it
    /// counts as lost, and is not sent twice. Zero if no picture is known.
    #[must_use]
    pub fn number_after_handover(&self, first: MediaTime, rate: u32) -> SeqNo {
        let Some((seq, time)) = self.picture else { return SeqNo::default() };
        let passed = reading(first).saturating_sub(reading(time)).as_nanos();
        let slots = (passed * u128::from(rate) + 500_000_000) / 1_000_000_000;
        SeqNo::new(seq.get().saturating_add(u64::try_from(slots.max(1)).unwrap_or(u64::MAX)))
    }

    /// The number of the picture of media time `first` for who was elected: larger than
    /// any that the host before can have sent until then, at the most pictures that a
    /// stage makes. What came from him and is not known here is not sent again under
    /// another name.
    ///
    /// Zero if no picture is known.
    #[must_use]
    pub fn number_after_crash(&self, first: MediaTime) -> SeqNo {
        if self.picture.is_none() {
            return SeqNo::default();
        }
        // One for a grid that is not ours.
        self.number_after_handover(first, MAX_RATE).next()
    }
}

/// What a media clock reads, as a span; 100 years at most.
pub(crate) fn reading(time: MediaTime) -> Duration {
    time.saturating_since(MediaTime::new(0, time.frequency())).min(MAX_READING)
}

/// The reading of a clock of `frequency`, to the nearest tick.
pub(crate) fn media_time(reading: Duration, frequency: Frequency) -> MediaTime {
    let reading = reading.min(MAX_READING);
    // A tick at 48 kHz is 20,833.3 ns: rounded down twice, a whole tick would be lost.
    let ticks = (reading.as_nanos() * u128::from(frequency.hz()) + 500_000_000) / 1_000_000_000;
    MediaTime::new(ticks as u64, frequency)
}

/// In nanoseconds, negative if `now` is before.
fn since(origin: Instant, now: Instant) -> i128 {
    let span = |from: Instant, to: Instant| to.saturating_duration_since(from).as_nanos() as i128;
    span(origin, now) - span(now, origin)
}

/// A route that gets slower is believed within two of them; a minute of jitter has its
/// fastest frame in each.
const SPAN: Duration = Duration::from_secs(5);

/// Beyond it there is no conversation (ITU-T G.114 has 400 ms as the limit).
const MAX_ONE_WAY: Duration = Duration::from_secs(1);

/// 100 years: no call is that old, and numbers of it overflow nothing.
const MAX_READING: Duration = Duration::from_secs(100 * 365 * 86_400);

/// The bound of [`StageConfig::frame_rate`](crate::StageConfig::frame_rate).
const MAX_RATE: u32 = 60;

#[cfg(test)]
mod tests {
    #![allow(clippy::disallowed_methods, reason = "an epoch for the tests")]

    use super::*;

    fn sound(tick: u64) -> MediaTime {
        MediaTime::new(tick * 960, Frequency::AUDIO)
    }

    fn picture(number: u64) -> MediaTime {
        MediaTime::new(number * 6_000, Frequency::VIDEO)
    }

    /// By how many milliseconds it is behind a host who began `offset` before `start`.
    fn behind(clock: &MixClock, start: Instant, now: Instant, offset: Duration) -> f64 {
        let reads = clock.media_time(now).unwrap().ticks() as f64 / 48.0;
        (now - start + offset).as_secs_f64() * 1e3 - reads
    }

    #[test]
    fn jitter_does_not_move_it() {
        let start = Instant::now();
        let offset = Duration::from_secs(700);
        let mut clock = MixClock::new();
        for tick in 0..3_000_u64 {
            // 30 ms of way, up to 80 ms more of jitter, and often less.
            let jitter = tick.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
            let late = Duration::from_micros(30_000 + jitter % 80_000);
            let now = start + Duration::from_millis(20 * tick) + late;
            clock.handle_frame(now, StreamId::MIX_AUDIO, SeqNo::new(tick), sound(35_000 + tick));
            if tick > 100 {
                let error = behind(&clock, start, now, offset);
                assert!((29.9..33.0).contains(&error), "{tick}: behind by {error} ms");
            }
        }
        clock.set_one_way(Duration::from_millis(30));
        let error = behind(&clock, start, start + Duration::from_secs(60), offset);
        assert!(error.abs() < 1.0, "behind by {error} ms");
    }

    #[test]
    fn a_clock_that_runs_slow_is_followed_within_two_milliseconds() {
        let start = Instant::now();
        let mut clock = MixClock::new();
        for tick in 0..6_000_u64 {
            let now = start + Duration::from_nanos(tick * 20_002_000);
            clock.handle_frame(now, StreamId::MIX_AUDIO, SeqNo::new(tick), sound(tick));
            let reads = clock.media_time(now).unwrap().ticks() as f64 / 48.0;
            let error = reads - 20.0 * tick as f64;
            assert!((-0.1..2.0).contains(&error), "{tick}: ahead by {error} ms");
        }
    }

    #[test]
    fn a_slower_route_is_believed_within_ten_seconds() {
        let start = Instant::now();
        let mut clock = MixClock::new();
        for tick in 0..1_500_u64 {
            let late = Duration::from_millis(if tick < 500 { 10 } else { 60 });
            let now = start + Duration::from_millis(20 * tick) + late;
            clock.handle_frame(now, StreamId::MIX_AUDIO, SeqNo::new(tick), sound(tick));
        }
        let now = start + Duration::from_secs(30);
        let error = behind(&clock, start, now, Duration::ZERO);
        assert!((59.0..61.0).contains(&error), "behind by {error} ms");
    }

    #[test]
    fn the_number_after_a_handover_is_the_next_one() {
        let now = Instant::now();
        let mut clock = MixClock::new();
        assert_eq!(clock.number_after_handover(picture(9), 15), SeqNo::default());
        clock.handle_frame(now, StreamId::MIX_VIDEO, SeqNo::new(70), picture(100));
        for ahead in 1..50 {
            let first = picture(100 + ahead);
            assert_eq!(clock.number_after_handover(first, 15), SeqNo::new(70 + ahead));
        }
        // He skipped some: they are not numbers that he sent.
        assert_eq!(clock.number_after_handover(picture(100), 15), SeqNo::new(71));
    }

    #[test]
    fn the_number_after_a_crash_is_larger_than_any_before() {
        let now = Instant::now();
        for rate in [1, 7, 15, 24, 30, 59, 60] {
            let time = |number: u64| MediaTime::new(number * 90_000 / rate, Frequency::VIDEO);
            let mut clock = MixClock::new();
            clock.handle_frame(now, StreamId::MIX_VIDEO, SeqNo::new(500), time(500));
            for gap in 0..200 {
                let first = MediaTime::new(time(500 + gap).ticks() + 17, Frequency::VIDEO);
                let number = clock.number_after_crash(first);
                assert!(number > SeqNo::new(500 + gap), "{rate} a second, {gap}: {number}");
            }
        }
    }

    #[test]
    fn absurd_times_do_no_harm() {
        let now = Instant::now();
        let mut clock = MixClock::new();
        for ticks in [u64::MAX, 0, u64::MAX - 1, 1 << 60] {
            for stream in [StreamId::MIX_AUDIO, StreamId::MIX_VIDEO, StreamId::new(900)] {
                let time = MediaTime::new(ticks, Frequency::VIDEO);
                clock.handle_frame(now, stream, SeqNo::new(u64::MAX - 3), time);
                assert!(clock.media_time(now).is_some());
                let _ = clock.number_after_crash(MediaTime::new(u64::MAX, Frequency::AUDIO));
                let _ = clock.number_after_handover(MediaTime::new(7, Frequency::AUDIO), 60);
            }
        }
        assert_eq!(clock.numbering().count(), 2);
    }
}
