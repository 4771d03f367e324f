//! What our stage is there for, and what of its mix goes where.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use paceline_types::{Epoch, Frequency, MediaTime, SenderId};

/// What our stage is there for.
#[derive(Debug, Default)]
pub(super) enum Duty {
    /// Somebody else hosts, and our mix is nobody's.
    #[default]
    Rest,
    /// We stand by: sound is mixed and encoded in the dark.
    Follow,
    /// We are to take over soon: pictures too.
    Prepare(Preparation),
    /// We host, from this media time on.
    Host { epoch: Epoch, from: Option<MediaTime> },
    /// We hosted until this media time.
    Stop { epoch: Epoch, at: MediaTime },
    /// In a mesh: the mix is for our own program.
    Own,
}

/// What of a mix is asked about.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Part {
    Picture,
    Sound,
}

impl Duty {
    /// Whether pictures are composed and encoded; sound is as soon as there is a stage.
    pub(super) fn composes(&self) -> bool {
        matches!(self, Self::Prepare(_) | Self::Host { .. } | Self::Stop { .. })
    }

    /// Under which epoch a part of the mix of this media time goes out and to our program,
    /// if it does. The session has the last word of what goes out.
    pub(super) fn shows(&self, part: Part, time: MediaTime) -> Option<Epoch> {
        match *self {
            Self::Host { epoch, from } => {
                from.is_none_or(|from| !is_before(time, from)).then_some(epoch)
            }
            Self::Stop { epoch, at } => {
                let end = if part == Part::Sound { at + CROSSFADE } else { at };
                is_before(time, end).then_some(epoch)
            }
            Self::Own => Some(Epoch::default()),
            Self::Rest | Self::Follow | Self::Prepare(_) => None,
        }
    }
}

/// How far we are with getting ready to take over.
#[derive(Debug)]
pub(super) struct Preparation {
    epoch: Epoch,
    /// Who is in the host's mix.
    tiles: Vec<SenderId>,
    /// Of these, those whose picture has not come yet.
    unseen: BTreeSet<SenderId>,
    since: Instant,
    has_mixed: bool,
    has_keyframe: bool,
    is_told: bool,
}

impl Preparation {
    pub(super) fn new(now: Instant, epoch: Epoch, tiles: Vec<SenderId>) -> Self {
        let unseen = tiles.iter().copied().collect();
        let since = now;
        Self { epoch, tiles, unseen, since, has_mixed: false, has_keyframe: false, is_told: false }
    }

    /// A picture of somebody is there, or there is none to wait for.
    pub(super) fn note_seen(&mut self, sender: SenderId) {
        self.unseen.remove(&sender);
    }

    pub(super) fn note_mixed(&mut self) {
        self.has_mixed = true;
    }

    /// Whether a keyframe was encoded.
    pub(super) const fn has_keyframe(&self) -> bool {
        self.has_keyframe
    }

    pub(super) fn note_keyframe(&mut self) {
        self.has_keyframe = true;
    }

    /// Once all is there, or was waited for enough: for which epoch we are ready, and whom
    /// of the host's mix we are not connected to.
    pub(super) fn poll_ready(
        &mut self,
        now: Instant,
        is_here: impl Fn(SenderId) -> bool,
    ) -> Option<(Epoch, Vec<SenderId>)> {
        let is_late = now.saturating_duration_since(self.since) >= PICTURES;
        let is_ready = self.has_mixed && self.has_keyframe && (self.unseen.is_empty() || is_late);
        if !is_ready || std::mem::replace(&mut self.is_told, is_ready) {
            return None;
        }
        let missing = self.tiles.iter().copied().filter(|&sender| !is_here(sender)).collect();
        Some((self.epoch, missing))
    }
}

/// Whether a media time is before another, whatever the rates of their clocks.
pub(super) fn is_before(time: MediaTime, other: MediaTime) -> bool {
    let common =
        |time: MediaTime, rate: Frequency| u128::from(time.ticks()) * u128::from(rate.hz());
    common(time, other.frequency()) < common(other, time.frequency())
}

/// What is sent of a sound after a switch, for both to be heard: 40 ms, as
/// `MigrationConfig::crossfade` has it. Where that is less, the session does not let the
/// rest out.
const CROSSFADE: Duration = Duration::from_millis(40);

/// How long somebody's picture is waited for: half of what getting ready may take. A keyframe
/// is asked of all when that begins, and comes within a round trip; who sends no picture
/// must not keep the others.
const PICTURES: Duration = Duration::from_millis(250);

#[cfg(test)]
mod tests {
    #![allow(clippy::disallowed_methods, reason = "a test needs an epoch")]

    use super::*;

    const OLD: Epoch = Epoch::new(3, 0);
    const NEW: Epoch = Epoch::new(3, 1);

    fn video(ticks: u64) -> MediaTime {
        MediaTime::new(ticks, Frequency::VIDEO)
    }

    fn audio(ticks: u64) -> MediaTime {
        MediaTime::new(ticks, Frequency::AUDIO)
    }

    /// Each picture of the mix is one host's, each sound too but for 40 ms, and none is
    /// nobody's.
    #[test]
    fn two_hosts_divide_the_mix_at_the_switch_and_leave_nothing_out() {
        // Neither on the grid of pictures of one host's start nor on that of sound.
        let at = video(271_828);
        let (old, new) = (Duty::Stop { epoch: OLD, at }, Duty::Host { epoch: NEW, from: Some(at) });
        for number in 0..300 {
            let time = video(number * 3_000);
            let shown = (old.shows(Part::Picture, time), new.shows(Part::Picture, time));
            let whole = if time.ticks() < 271_828 { (Some(OLD), None) } else { (None, Some(NEW)) };
            assert_eq!(shown, whole, "picture {number}");
        }
        let mut both = 0;
        for number in 0..500 {
            let time = audio(number * 960);
            let shown = (old.shows(Part::Sound, time), new.shows(Part::Sound, time));
            assert_ne!(shown, (None, None), "sound {number}");
            both += u32::from(shown == (Some(OLD), Some(NEW)));
        }
        assert_eq!(both, 2);
    }

    #[test]
    fn nothing_leaves_the_dark() {
        let now = Instant::now();
        for duty in
            [Duty::Rest, Duty::Follow, Duty::Prepare(Preparation::new(now, NEW, Vec::new()))]
        {
            for part in [Part::Picture, Part::Sound] {
                assert_eq!(duty.shows(part, video(0)), None, "{duty:?}");
            }
        }
    }

    #[test]
    fn a_stage_is_ready_once_and_when_all_are_seen_or_were_waited_for() {
        let (start, ms) = (Instant::now(), Duration::from_millis);
        let [ann, bob, cem] = [1, 2, 3].map(SenderId::new);
        let prepare = || Preparation::new(start, NEW, vec![ann, bob, cem]);
        let is_here = |sender| sender != cem;

        let mut waiting = prepare();
        waiting.note_mixed();
        waiting.note_keyframe();
        assert_eq!(waiting.poll_ready(start + ms(249), is_here), None);
        // Cem is not connected, and that is said.
        assert_eq!(waiting.poll_ready(start + ms(250), is_here), Some((NEW, vec![cem])));
        assert_eq!(waiting.poll_ready(start + ms(251), is_here), None);

        let mut seen = prepare();
        for sender in [ann, bob, cem] {
            seen.note_seen(sender);
        }
        seen.note_mixed();
        assert_eq!(seen.poll_ready(start + ms(900), |_| true), None, "there is no keyframe");
        seen.note_keyframe();
        assert_eq!(seen.poll_ready(start + ms(1), |_| true), Some((NEW, Vec::new())));
    }

    #[test]
    fn clocks_of_two_rates_are_compared_by_time() {
        assert!(is_before(audio(47_999), video(90_000)));
        assert!(!is_before(audio(48_000), video(90_000)));
        assert!(!is_before(video(90_000), audio(48_000)));
        assert!(is_before(video(u64::MAX - 1), video(u64::MAX)));
    }
}
