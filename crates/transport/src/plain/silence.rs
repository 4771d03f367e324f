//! Whether the server still says anything.

use std::time::{Duration, Instant};

/// Waits for reports while packets are sent: with no ICE there is no other sign of life.
#[derive(Debug)]
pub(super) struct Silence {
    down_after: Duration,
    close_after: Duration,
    /// The first and the newest packet that no report has followed.
    unheard: Option<(Instant, Instant)>,
    /// When it was called down.
    down: Option<Instant>,
}

/// What a silence comes to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Verdict {
    Down,
    Over,
}

impl Silence {
    pub(super) const fn new(down_after: Duration, close_after: Duration) -> Self {
        Self { down_after, close_after, unheard: None, down: None }
    }

    /// Takes note of a packet of RTP that went.
    pub(super) fn handle_sent(&mut self, now: Instant) {
        let (first, _) = self.unheard.unwrap_or((now, now));
        self.unheard = Some((first, now));
    }

    /// Takes note of RTCP that has the key; whether the path was down.
    pub(super) const fn handle_heard(&mut self) -> bool {
        self.unheard = None;
        self.down.take().is_some()
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) -> Option<Verdict> {
        if self.poll_timeout().is_none_or(|due| now < due) {
            return None;
        }
        if self.down.is_some() {
            return Some(Verdict::Over);
        }
        let (first, newest) = self.unheard.take()?;
        // One burst may be lost, and who is not sent to has nothing to report on.
        (newest.saturating_duration_since(first) >= self.down_after / 2).then(|| {
            self.down = Some(now);
            Verdict::Down
        })
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        match (self.down, self.unheard) {
            (Some(down), _) => down.checked_add(self.close_after),
            (None, Some((first, _))) => first.checked_add(self.down_after),
            (None, None) => None,
        }
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "one instant to count from")]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn who_answers_nothing_while_sent_to_is_down_and_then_over() {
        let begun = Instant::now();
        let at = |seconds| begun + seconds * SECOND;
        let mut silence = Silence::new(5 * SECOND, 10 * SECOND);
        assert_eq!(silence.poll_timeout(), None, "nothing was sent");
        for second in 0..5 {
            silence.handle_sent(at(second));
            assert_eq!(silence.handle_timeout(at(second)), None);
        }
        assert_eq!(silence.poll_timeout(), Some(at(5)));
        assert_eq!(silence.handle_timeout(at(5)), Some(Verdict::Down));
        // Whether anything is sent meanwhile or not.
        silence.handle_sent(at(7));
        assert_eq!(silence.handle_timeout(at(14)), None);
        assert_eq!(silence.handle_timeout(at(15)), Some(Verdict::Over));
        assert!(silence.handle_heard(), "it came back");
        assert!(!silence.handle_heard(), "once");
        assert_eq!(silence.poll_timeout(), None);
    }

    #[test]
    fn a_report_in_time_or_a_pause_of_ours_is_no_silence() {
        let begun = Instant::now();
        let at = |seconds| begun + seconds * SECOND;
        let mut silence = Silence::new(5 * SECOND, 10 * SECOND);
        for second in 0..100 {
            silence.handle_sent(at(second));
            if second % 4 == 3 {
                assert!(!silence.handle_heard());
            }
            assert_eq!(silence.handle_timeout(at(second)), None);
        }
        // A burst, then nothing more to send.
        silence.handle_sent(at(200));
        assert_eq!(silence.handle_timeout(at(205)), None);
        assert_eq!(silence.poll_timeout(), None);
        silence.handle_sent(at(300));
        assert_eq!(silence.poll_timeout(), Some(at(305)));
    }
}
