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
    /// When the last one was made, and the one before it.
    last: Option<Instant>,
    before: Option<Instant>,
}

impl Steering {
    pub(crate) fn new(window: Duration) -> Self {
        Self { window, streams: BTreeMap::new() }
    }

    /// Somebody can go on only from a keyframe.
    pub(crate) fn handle_request(&mut self, stream: StreamId) {
        self.streams.entry(stream).or_default().wanted = true;
    }

    /// Takes what an encoder is to do now.
    pub(crate) fn poll_target(&mut self, now: Instant) -> Option<(StreamId, EncoderTarget)> {
        let window = self.window;
        let due = |keyframes: &Keyframes| keyframes.free_at(window).is_none_or(|at| at <= now);
        let (&stream, keyframes) =
            self.streams.iter_mut().find(|(_, keyframes)| keyframes.wanted && due(keyframes))?;
        *keyframes = Keyframes { wanted: false, last: Some(now), before: keyframes.last };
        Some((stream, EncoderTarget { keyframe: true, bitrate: None }))
    }

    /// When a request that had to wait is answered.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let waiting = self.streams.values().filter(|keyframes| keyframes.wanted);
        waiting.filter_map(|keyframes| keyframes.free_at(self.window)).min()
    }
}

impl Keyframes {
    /// From when on another may be made; `None`: at once.
    fn free_at(&self, window: Duration) -> Option<Instant> {
        self.before.map(|before| before + window)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::disallowed_methods, reason = "a test needs an epoch")]

    use super::*;

    #[test]
    fn a_thousand_requests_a_second_are_two_keyframes() {
        let start = Instant::now();
        let mut steering = Steering::new(Duration::from_secs(1));
        let mut keyframes = 0;
        for ms in 0..1_000 {
            let now = start + Duration::from_millis(ms);
            steering.handle_request(StreamId::VIDEO);
            while steering.poll_target(now).is_some() {
                keyframes += 1;
            }
        }
        assert_eq!(keyframes, 2);
        assert_eq!(steering.poll_timeout(), Some(start + Duration::from_millis(1_000)));
    }
}
