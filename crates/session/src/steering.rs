//! What the network asks for, as what encoders are to do.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use paceline_types::{EncoderTarget, StreamId};

/// Collects keyframe requests: any number of them is one keyframe, and no encoder
/// makes more than two in a window.
#[derive(Debug)]
pub(crate) struct Steering {
    window: Duration,
    streams: BTreeMap<StreamId, Keyframes>,
}

#[derive(Debug, Default)]
struct Keyframes {
    wanted: bool,
    /// When the encoder was asked for one that has not come yet.
    asked: Option<Instant>,
    /// When the last one was made, and the one before it.
    last: Option<Instant>,
    before: Option<Instant>,
    /// When one was made room for last.
    forced: Option<Instant>,
}

impl Steering {
    pub(crate) fn new(window: Duration) -> Self {
        Self { window, streams: BTreeMap::new() }
    }

    /// Somebody can go on only from a keyframe.
    pub(crate) fn handle_request(&mut self, stream: StreamId) {
        self.streams.entry(stream).or_default().wanted = true;
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
        *keyframes = Keyframes { wanted: false, asked: None, last: Some(now), before, forced };
    }

    /// Takes what an encoder is to do now.
    pub(crate) fn poll_target(&mut self, now: Instant) -> Option<(StreamId, EncoderTarget)> {
        let window = self.window;
        let due = |keyframes: &Keyframes| keyframes.free_at(window).is_none_or(|at| at <= now);
        let (&stream, keyframes) =
            self.streams.iter_mut().find(|(_, keyframes)| keyframes.wanted && due(keyframes))?;
        keyframes.wanted = false;
        keyframes.asked = Some(now);
        Some((stream, EncoderTarget { keyframe: true, bitrate: None }))
    }

    /// When a request that had to wait is answered.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let waiting = self.streams.values().filter(|keyframes| keyframes.wanted);
        waiting.filter_map(|keyframes| keyframes.free_at(self.window)).min()
    }
}

impl Keyframes {
    /// From when on the encoder may be asked; `None`: at once. One that has been
    /// asked is not asked again until the window is over: it may have stopped.
    fn free_at(&self, window: Duration) -> Option<Instant> {
        self.asked.or(self.before).map(|at| at + window)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::disallowed_methods, reason = "a test needs an epoch")]

    use super::*;

    const WINDOW: Duration = Duration::from_secs(1);

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_thousand_requests_a_second_are_two_keyframes() {
        let start = Instant::now();
        let mut steering = Steering::new(WINDOW);
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
        let mut steering = Steering::new(WINDOW);
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
        let mut steering = Steering::new(WINDOW);
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
    fn an_encoder_that_makes_none_is_asked_again() {
        let start = Instant::now();
        let mut steering = Steering::new(WINDOW);
        steering.handle_request(StreamId::VIDEO);
        assert!(steering.poll_target(start).is_some());
        steering.handle_request(StreamId::VIDEO);
        assert!(steering.poll_target(start + ms(999)).is_none());
        assert!(steering.poll_target(start + ms(1_000)).is_some());
    }
}
