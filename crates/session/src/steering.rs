//! What the network asks for, as what encoders are to do.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use paceline_types::{EncoderTarget, StreamId};

/// Collects keyframe requests: any number of them is one keyframe, and no encoder
/// makes more than one in an interval.
#[derive(Debug)]
pub(crate) struct Steering {
    interval: Duration,
    streams: BTreeMap<StreamId, Keyframes>,
}

#[derive(Debug, Default)]
struct Keyframes {
    wanted: bool,
    last: Option<Instant>,
}

impl Steering {
    pub(crate) fn new(interval: Duration) -> Self {
        Self { interval, streams: BTreeMap::new() }
    }

    /// Somebody can go on only from a keyframe.
    pub(crate) fn handle_request(&mut self, stream: StreamId) {
        self.streams.entry(stream).or_default().wanted = true;
    }

    /// Takes what an encoder is to do now.
    pub(crate) fn poll_target(&mut self, now: Instant) -> Option<(StreamId, EncoderTarget)> {
        let interval = self.interval;
        let (&stream, keyframes) = self
            .streams
            .iter_mut()
            .find(|(_, k)| k.due(interval).is_some_and(|at| at.is_none_or(|at| at <= now)))?;
        *keyframes = Keyframes { wanted: false, last: Some(now) };
        Some((stream, EncoderTarget { keyframe: true, bitrate: None }))
    }

    /// When a request that had to wait is answered.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.streams.values().filter_map(|k| k.due(self.interval).flatten()).min()
    }
}

impl Keyframes {
    /// `None`: nothing is wanted. `Some(None)`: at once.
    fn due(&self, interval: Duration) -> Option<Option<Instant>> {
        self.wanted.then(|| self.last.map(|last| last + interval))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::disallowed_methods, reason = "a test needs an epoch")]

    use super::*;

    #[test]
    fn a_thousand_requests_a_second_are_two_keyframes() {
        let start = Instant::now();
        let mut steering = Steering::new(Duration::from_millis(500));
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
