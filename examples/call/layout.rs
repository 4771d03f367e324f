//! What of the mix a viewer looks at. It is each viewer's own: the host sends all the
//! same picture.

use std::time::{Duration, Instant};

use paceline::types::{MixInfo, MixSource, SenderId};

use crate::keys::Key;

/// How the people in a call are laid out.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Layout {
    /// Everybody, as the host mixes them.
    #[default]
    Grid,
    /// One person, whom the viewer chooses.
    Single,
    /// Who speaks.
    Speaker,
}

impl Layout {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Grid => "grid",
            Self::Single => "single",
            Self::Speaker => "speaker",
        }
    }

    fn next(self) -> Self {
        match self {
            Self::Grid => Self::Speaker,
            Self::Speaker => Self::Single,
            Self::Single => Self::Grid,
        }
    }
}

/// What a viewer looks at.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Look {
    pub(crate) layout: Layout,
    pub(crate) statistics: bool,
    pub(crate) help: bool,
    pub(crate) invitation: bool,
    /// Whom he has chosen to see alone.
    chosen: Option<SenderId>,
    spotlight: Spotlight,
}

impl Look {
    /// Takes in a key that is about what is seen.
    pub(crate) fn handle_key(&mut self, key: Key, info: Option<&MixInfo>) {
        match key {
            Key::Help => self.help = !self.help,
            Key::Invite => self.invitation = !self.invitation,
            Key::Layout => self.layout = self.layout.next(),
            Key::Next if self.layout == Layout::Single => self.choose(info, 1),
            Key::Previous if self.layout == Layout::Single => self.choose(info, -1),
            Key::Statistics => self.statistics = !self.statistics,
            _ => {}
        }
    }

    /// Takes in who speaks.
    pub(crate) fn handle_speaking(&mut self, now: Instant, speaking: Option<SenderId>) {
        self.spotlight.handle_speaking(now, speaking);
    }

    /// Whom of a mix is seen alone; `None` in a grid, and if there is nobody.
    pub(crate) fn alone<'a>(&self, info: &'a MixInfo) -> Option<&'a MixSource> {
        let wanted = match self.layout {
            Layout::Grid => return None,
            Layout::Single => self.chosen,
            Layout::Speaker => self.spotlight.shown,
        };
        let found = info.sources.iter().find(|source| Some(source.sender) == wanted);
        found.or_else(|| info.sources.first())
    }

    fn choose(&mut self, info: Option<&MixInfo>, step: isize) {
        let Some(info) = info else { return };
        let Some(now) = self.alone(info) else { return };
        let place = info.sources.iter().position(|source| source.sender == now.sender);
        let count = info.sources.len() as isize;
        let next = (place.unwrap_or_default() as isize + step).rem_euclid(count);
        self.chosen = Some(info.sources[next as usize].sender);
    }
}

/// Follows who speaks, but not a single word.
#[derive(Clone, Copy, Debug, Default)]
struct Spotlight {
    shown: Option<SenderId>,
    /// Who speaks instead, and since when.
    next: Option<(SenderId, Instant)>,
}

impl Spotlight {
    fn handle_speaking(&mut self, now: Instant, speaking: Option<SenderId>) {
        let Some(speaking) = speaking.filter(|_| speaking != self.shown) else {
            self.next = None;
            return;
        };
        let since = self.next.filter(|(next, _)| *next == speaking).map_or(now, |(_, at)| at);
        if self.shown.is_none() || now.saturating_duration_since(since) >= TURN {
            *self = Self { shown: Some(speaking), next: None };
        } else {
            self.next = Some((speaking, since));
        }
    }
}

/// How long somebody has to be the speaker before the picture changes: longer than a
/// "yes" between two sentences of another takes.
const TURN: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use paceline::types::{Frequency, MediaTime, NtpTime, Rect, StreamId};

    use super::*;
    use crate::system;

    const ANN: SenderId = SenderId::new(1);
    const BEN: SenderId = SenderId::new(2);

    fn info(senders: &[SenderId]) -> MixInfo {
        let source = |&sender| MixSource {
            sender,
            tile: Rect::default(),
            level: 127,
            capture: NtpTime::default(),
            muted: false,
        };
        MixInfo {
            stream: StreamId::MIX_VIDEO,
            time: MediaTime::new(0, Frequency::VIDEO),
            sources: senders.iter().map(source).collect(),
        }
    }

    #[test]
    fn the_picture_changes_to_who_has_spoken_for_a_second() {
        let start = system::now();
        let mut spotlight = Spotlight::default();
        for (ms, speaking, shown) in [
            (0, None, None),
            // The first is shown at once.
            (10, Some(ANN), Some(ANN)),
            (100, Some(BEN), Some(ANN)),
            (1_099, Some(BEN), Some(ANN)),
            // A word of Ann's: the second begins again.
            (1_100, Some(ANN), Some(ANN)),
            (1_200, Some(BEN), Some(ANN)),
            (2_199, Some(BEN), Some(ANN)),
            (2_200, Some(BEN), Some(BEN)),
            // Silence changes nothing.
            (9_000, None, Some(BEN)),
        ] {
            spotlight.handle_speaking(start + Duration::from_millis(ms), speaking);
            assert_eq!(spotlight.shown, shown, "at {ms} ms");
        }
    }

    #[test]
    fn keys_go_round_the_layouts_and_the_people() {
        let all = info(&[ANN, BEN]);
        let mut look = Look::default();
        assert!(look.alone(&all).is_none());
        let sender = |look: &Look| look.alone(&all).map(|source| source.sender);
        for (key, layout, alone) in [
            // Left and right mean nothing in a grid.
            (Key::Next, Layout::Grid, None),
            (Key::Layout, Layout::Speaker, Some(ANN)),
            (Key::Layout, Layout::Single, Some(ANN)),
            (Key::Next, Layout::Single, Some(BEN)),
            (Key::Next, Layout::Single, Some(ANN)),
            (Key::Previous, Layout::Single, Some(BEN)),
            (Key::Layout, Layout::Grid, None),
        ] {
            look.handle_key(key, Some(&all));
            assert_eq!((look.layout, sender(&look)), (layout, alone), "after {key:?}");
        }
    }

    #[test]
    fn who_has_left_is_not_looked_at() {
        let mut look = Look { layout: Layout::Single, chosen: Some(BEN), ..Look::default() };
        assert_eq!(look.alone(&info(&[ANN])).map(|source| source.sender), Some(ANN));
        let nobody = info(&[]);
        assert!(look.alone(&nobody).is_none());
        look.handle_key(Key::Next, Some(&nobody));
        look.handle_key(Key::Next, None);
    }
}
