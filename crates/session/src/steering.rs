//! What the network asks for, as what encoders are to do.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use paceline_types::{Bitrate, EncoderTarget, StreamId};

use crate::config::SteeringConfig;

/// Collects keyframe requests: any number of them is one keyframe, and no encoder
/// makes more than two in a window. And bitrates, of which small changes are none.
#[derive(Debug)]
pub(crate) struct Steering {
    window: Duration,
    streams: BTreeMap<StreamId, Keyframes>,
    /// What encoders make before they are told anything.
    first: Bitrate,
    bitrates: BTreeMap<StreamId, Told>,
}

/// What an encoder was told to make, and what it is to be told.
#[derive(Clone, Copy, Debug)]
struct Told {
    last: Bitrate,
    next: Option<Bitrate>,
}

#[derive(Debug, Default)]
struct Keyframes {
    wanted: bool,
    /// From when on one is wanted by who does not keep up.
    wanted_from: Option<Instant>,
    /// When the encoder was asked for one that has not come yet.
    asked: Option<Instant>,
    /// When the last one was made, and the one before it.
    last: Option<Instant>,
    before: Option<Instant>,
    /// When one was made room for last.
    forced: Option<Instant>,
}

impl Steering {
    pub(crate) fn new(config: &SteeringConfig) -> Self {
        Self {
            window: config.keyframe_window,
            streams: BTreeMap::new(),
            first: config.max_video_bitrate,
            bitrates: BTreeMap::new(),
        }
    }

    /// The paths of those who get a stream take so much. It is told if it is another by a
    /// twentieth than what was told last, or all there may be.
    pub(crate) fn set_bitrate(&mut self, stream: StreamId, bitrate: Bitrate) {
        let first = self.first;
        let told = self.bitrates.entry(stream).or_insert(Told { last: first, next: None });
        let change = bitrate.bps().abs_diff(told.last.bps());
        let is_told = change >= told.last.bps() / STEP && change > 0
            || bitrate == first && told.last != first;
        told.next = is_told.then_some(bitrate);
    }

    /// What the encoder of a stream was last told, or makes before it is.
    pub(crate) fn bitrate(&self, stream: StreamId) -> Bitrate {
        self.bitrates.get(&stream).map_or(self.first, |told| told.last)
    }

    /// Somebody can go on only from a keyframe.
    pub(crate) fn handle_request(&mut self, stream: StreamId) {
        self.streams.entry(stream).or_default().wanted = true;
    }

    /// Somebody can go on only from a keyframe, and would not get far with it: his path
    /// takes less than is made. What he costs all others is bounded: he waits until none has
    /// been made for a while.
    pub(crate) fn handle_slow_request(&mut self, now: Instant, stream: StreamId) {
        let keyframes = self.streams.entry(stream).or_default();
        let last = keyframes.last.max(keyframes.asked);
        let from = last.and_then(|last| last.checked_add(SLOW)).map_or(now, |at| at.max(now));
        keyframes.wanted_from.get_or_insert(from);
    }

    /// A handover needs one at once, whatever was made of late: once in a window, beyond
    /// that it is a request like any other.
    pub(crate) fn handle_handover(&mut self, now: Instant, stream: StreamId) {
        let keyframes = self.streams.entry(stream).or_default();
        let window = self.window;
        let is_free = |at: Instant| now.saturating_duration_since(at) >= window;
        if keyframes.forced.is_none_or(is_free) {
            *keyframes = Keyframes { forced: Some(now), ..Keyframes::default() };
        }
        keyframes.wanted = true;
    }

    /// A keyframe goes out, to everybody who wanted one until now.
    pub(crate) fn handle_keyframe(&mut self, now: Instant, stream: StreamId) {
        let keyframes = self.streams.entry(stream).or_default();
        let &mut Keyframes { last: before, forced, .. } = keyframes;
        *keyframes = Keyframes {
            wanted: false,
            wanted_from: None,
            asked: None,
            last: Some(now),
            before,
            forced,
        };
    }

    /// Takes what an encoder is to do now.
    pub(crate) fn poll_target(&mut self, now: Instant) -> Option<(StreamId, EncoderTarget)> {
        for keyframes in self.streams.values_mut() {
            if keyframes.wanted_from.is_some_and(|at| at <= now) {
                keyframes.wanted_from = None;
                keyframes.wanted = true;
            }
        }
        let window = self.window;
        let due = |keyframes: &Keyframes| {
            keyframes.wanted && keyframes.free_at(window).is_none_or(|at| at <= now)
        };
        let keyed = self.streams.iter().find(|(_, keyframes)| due(keyframes));
        let changed = self.bitrates.iter().find(|(_, told)| told.next.is_some());
        let stream = keyed.map(|(&stream, _)| stream).or(changed.map(|(&stream, _)| stream))?;

        let mut target = EncoderTarget::default();
        if let Some(keyframes) = self.streams.get_mut(&stream).filter(|keyframes| due(keyframes)) {
            keyframes.wanted = false;
            keyframes.asked = Some(now);
            target.keyframe = true;
        }
        if let Some(told) = self.bitrates.get_mut(&stream) {
            target.bitrate = told.next.take();
            told.last = target.bitrate.unwrap_or(told.last);
        }
        Some((stream, target))
    }

    /// When a request that had to wait is answered.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let waiting = self.streams.values().filter(|keyframes| keyframes.wanted);
        let waiting = waiting.filter_map(|keyframes| keyframes.free_at(self.window));
        waiting.chain(self.streams.values().filter_map(|keyframes| keyframes.wanted_from)).min()
    }
}

impl Keyframes {
    /// From when on the encoder may be asked; `None`: at once. One that has been
    /// asked is not asked again until the window is over: it may have stopped.
    fn free_at(&self, window: Duration) -> Option<Instant> {
        self.asked.or(self.before).map(|at| at + window)
    }
}

/// A change of a twentieth is what an encoder is off anyway.
const STEP: u64 = 20;

/// With one of ten pictures' size every three seconds a stream of 30 a second is a tenth
/// larger.
const SLOW: Duration = Duration::from_secs(3);

#[cfg(test)]
mod tests {
    #![allow(clippy::disallowed_methods, reason = "a test needs an epoch")]

    use super::*;

    const WINDOW: Duration = Duration::from_secs(1);

    fn steering() -> Steering {
        let config = SteeringConfig { keyframe_window: WINDOW, ..SteeringConfig::default() };
        Steering::new(&config)
    }

    #[test]
    fn a_change_of_less_than_a_twentieth_is_not_told_and_the_keyframe_comes_with_it() {
        let now = Instant::now();
        let mut steering = steering();
        let kbps = Bitrate::from_kbps;
        let told = |steering: &mut Steering, bitrate| {
            steering.set_bitrate(StreamId::VIDEO, kbps(bitrate));
            steering.poll_target(now).map(|(_, target)| (target.bitrate, target.keyframe))
        };
        assert_eq!(told(&mut steering, 1_200), None);
        assert_eq!(told(&mut steering, 1_150), None);
        assert_eq!(told(&mut steering, 1_140), Some((Some(kbps(1_140)), false)));
        assert_eq!(told(&mut steering, 1_100), None);
        // What there may be at most is told exactly.
        assert_eq!(told(&mut steering, 1_200), Some((Some(kbps(1_200)), false)));
        steering.handle_request(StreamId::VIDEO);
        assert_eq!(told(&mut steering, 300), Some((Some(kbps(300)), true)));
        assert_eq!(told(&mut steering, 300), None);
        assert_eq!(steering.bitrate(StreamId::VIDEO), kbps(300));
        assert_eq!(steering.bitrate(StreamId::MIX_VIDEO), kbps(1_200));
    }

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_thousand_requests_a_second_are_two_keyframes() {
        let start = Instant::now();
        let mut steering = steering();
        let mut keyframes = 0;
        for at in 0..1_000 {
            let now = start + ms(at);
            steering.handle_request(StreamId::VIDEO);
            while steering.poll_target(now).is_some() {
                keyframes += 1;
                steering.handle_keyframe(now, StreamId::VIDEO);
            }
        }
        assert_eq!(keyframes, 2);
        assert_eq!(steering.poll_timeout(), Some(start + WINDOW));
    }

    #[test]
    fn requests_before_the_keyframe_is_made_are_answered_by_it() {
        let start = Instant::now();
        let mut steering = steering();
        for at in 0..30 {
            steering.handle_request(StreamId::VIDEO);
            assert_eq!(steering.poll_target(start + ms(at)).is_some(), at == 0);
        }
        steering.handle_keyframe(start + ms(33), StreamId::VIDEO);
        assert_eq!(steering.poll_timeout(), None);
        steering.handle_request(StreamId::VIDEO);
        assert!(steering.poll_target(start + ms(34)).is_some());
    }

    #[test]
    fn a_handover_has_its_keyframe_at_once_and_a_thousand_have_two_in_a_second() {
        let start = Instant::now();
        let mut steering = steering();
        for at in 0..2 {
            steering.handle_keyframe(start + ms(at), StreamId::VIDEO);
        }
        let mut keyframes = 0;
        for at in 2..1_000 {
            let now = start + ms(at);
            steering.handle_handover(now, StreamId::VIDEO);
            while steering.poll_target(now).is_some() {
                keyframes += 1;
                assert!(at > 2 || keyframes == 1, "it had to wait");
                steering.handle_keyframe(now, StreamId::VIDEO);
            }
            assert!(keyframes > 0, "it had to wait");
        }
        assert_eq!(keyframes, 2);
    }

    #[test]
    fn who_does_not_keep_up_has_a_keyframe_in_three_seconds() {
        let start = Instant::now();
        let mut steering = steering();
        let mut keyframes = 0;
        for at in 0..9_000 {
            let now = start + ms(at);
            if at % 100 == 0 {
                steering.handle_slow_request(now, StreamId::VIDEO);
            }
            while steering.poll_target(now).is_some() {
                keyframes += 1;
                steering.handle_keyframe(now, StreamId::VIDEO);
            }
        }
        assert_eq!(keyframes, 3);
        assert_eq!(steering.poll_timeout(), Some(start + ms(9_000)));
        // One that another asked for is his too.
        steering.handle_keyframe(start + ms(8_999), StreamId::VIDEO);
        assert_eq!(steering.poll_timeout(), None);
    }

    #[test]
    fn an_encoder_that_makes_none_is_asked_again() {
        let start = Instant::now();
        let mut steering = steering();
        steering.handle_request(StreamId::VIDEO);
        assert!(steering.poll_target(start).is_some());
        steering.handle_request(StreamId::VIDEO);
        assert!(steering.poll_target(start + ms(999)).is_none());
        assert!(steering.poll_target(start + ms(1_000)).is_some());
    }
}
