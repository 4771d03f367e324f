//! How often keyframes are asked of the encoder.

use std::time::{Duration, Instant};

/// Any number of requests is one, and of those it makes two in a second: the second at once if
/// it is wanted, for whoever comes right after the first has nothing to start with.
#[derive(Debug, Default)]
pub(super) struct Keyframes {
    is_wanted: bool,
    last: Option<Instant>,
    before: Option<Instant>,
}

impl Keyframes {
    pub(super) fn handle_request(&mut self) {
        self.is_wanted = true;
    }

    /// A keyframe goes: whoever wanted one has it.
    pub(super) fn handle_keyframe(&mut self) {
        self.is_wanted = false;
    }

    /// Whether the encoder is to be asked now.
    pub(super) fn poll(&mut self, now: Instant) -> bool {
        let is_due = self.is_wanted && self.free_at().is_none_or(|at| at <= now);
        if is_due {
            self.is_wanted = false;
            self.before = self.last.replace(now);
        }
        is_due
    }

    /// When to ask again.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.free_at().filter(|_| self.is_wanted)
    }

    fn free_at(&self) -> Option<Instant> {
        self.before.map(|before| before + WINDOW)
    }
}

/// In which there are two: a keyframe costs as much as ten pictures.
const WINDOW: Duration = Duration::from_secs(1);

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "one instant to count from")]
mod tests {
    use super::*;

    #[test]
    fn a_thousand_requests_in_a_second_are_two_keyframes() {
        let start = Instant::now();
        let mut keyframes = Keyframes::default();
        let mut asked = 0;
        for at in 0..1_000 {
            keyframes.handle_request();
            let now = start + Duration::from_millis(at);
            if keyframes.poll(now) {
                asked += 1;
                assert!(!keyframes.poll(now));
                keyframes.handle_keyframe();
            }
        }
        assert_eq!(asked, 2);
        keyframes.handle_request();
        assert_eq!(keyframes.poll_timeout(), Some(start + WINDOW));
        // The keyframe that goes is everybody's.
        keyframes.handle_keyframe();
        assert_eq!(keyframes.poll_timeout(), None);
    }
}
