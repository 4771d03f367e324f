//! Who is speaking, by what the mix tells of levels.

use std::time::{Duration, Instant};

use paceline_types::{MixInfo, SenderId};

/// Follows the loudest participant, slowly enough not to flicker.
#[derive(Debug, Default)]
pub(crate) struct Speaker {
    current: Option<SenderId>,
    last_loud: Option<Instant>,
}

impl Speaker {
    /// Whether somebody speaks.
    pub(crate) fn is_anybody(&self) -> bool {
        self.current.is_some()
    }

    /// Takes in what a mix tells; `Some` if somebody else speaks now, or nobody.
    pub(crate) fn handle_mix_info(
        &mut self,
        now: Instant,
        info: &MixInfo,
    ) -> Option<Option<SenderId>> {
        let loudest = info
            .sources
            .iter()
            .filter(|source| !source.muted && source.level <= SPEECH_LEVEL)
            .min_by_key(|source| source.level);
        let still = info.sources.iter().any(|source| {
            Some(source.sender) == self.current && !source.muted && source.level <= SPEECH_LEVEL
        });
        if still {
            self.last_loud = Some(now);
        }
        let held = self.last_loud.is_some_and(|at| now.saturating_duration_since(at) < HOLD);
        if self.current.is_some() && held {
            return None;
        }
        let next = loudest.map(|source| source.sender);
        if next == self.current {
            return None;
        }
        self.current = next;
        self.last_loud = Some(now);
        Some(next)
    }
}

/// −50 dBov: speech at a normal level is −20 to −35, a quiet room below −60.
const SPEECH_LEVEL: u8 = 50;

/// A pause between two sentences does not end a turn.
const HOLD: Duration = Duration::from_millis(600);

#[cfg(test)]
mod tests {
    #![allow(clippy::disallowed_methods, reason = "a test needs an epoch")]

    use paceline_types::{Frequency, MediaTime, MixSource, NtpTime, Rect, StreamId};

    use super::*;

    fn info(levels: &[(u32, u8)]) -> MixInfo {
        let source = |&(sender, level)| MixSource {
            sender: SenderId::new(sender),
            tile: Rect::default(),
            level,
            capture: NtpTime::default(),
            muted: false,
        };
        MixInfo {
            stream: StreamId::MIX_VIDEO,
            time: MediaTime::new(0, Frequency::VIDEO),
            sources: levels.iter().map(source).collect(),
        }
    }

    #[test]
    fn a_short_pause_does_not_end_a_turn_and_a_long_one_does() {
        let (start, ms) = (Instant::now(), Duration::from_millis);
        let mut speaker = Speaker::default();
        let first = Some(Some(SenderId::new(1)));
        assert_eq!(speaker.handle_mix_info(start, &info(&[(1, 20), (2, 30)])), first);
        assert_eq!(speaker.handle_mix_info(start + ms(300), &info(&[(1, 127), (2, 30)])), None);
        let second = Some(Some(SenderId::new(2)));
        assert_eq!(speaker.handle_mix_info(start + ms(700), &info(&[(1, 127), (2, 30)])), second);
        let nobody = Some(None);
        assert_eq!(speaker.handle_mix_info(start + ms(2_000), &info(&[(1, 127), (2, 90)])), nobody);
    }
}
