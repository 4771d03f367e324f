//! What a change of the host was like for one member: read from the marks he saw and from
//! the media times of what he was shown and heard, not told by whoever changed.

use std::collections::VecDeque;
use std::time::Duration;

use paceline::types::{Epoch, NtpTime, SenderId};

use crate::waits::Waits;

/// What one change of the host came to; times are in milliseconds. `None`: nothing was
/// there to measure it by.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Change {
    pub(crate) epoch: Epoch,
    /// By the one before, and not because he was lost.
    pub(crate) planned: bool,
    pub(crate) from: Option<String>,
    pub(crate) to: Option<String>,
    /// The longest wait for a new mark of any one who stayed, beyond the usual one.
    pub(crate) video_gap: Option<f64>,
    /// The longest run of the mix that was made up, missing, or stood still.
    pub(crate) audio_gap: Option<f64>,
    /// Pictures of the mix that were never shown.
    pub(crate) frames_lost: Option<u64>,
    /// Samples of the mix that were never heard as they were.
    pub(crate) samples_lost: Option<u64>,
    pub(crate) decoder_resets: u64,
    /// From the last word of the host before until he was doubted.
    pub(crate) detect: Option<f64>,
    /// From then until another was elected.
    pub(crate) promote: Option<f64>,
    /// What the sound took beyond the doubt.
    pub(crate) audio_beyond: Option<f64>,
    /// All of the time that is looked at has gone by.
    pub(crate) closed: bool,
}

/// That somebody else is at the front, as a member is told.
#[derive(Clone, Debug, Default)]
pub(crate) struct News {
    pub(crate) epoch: Epoch,
    pub(crate) planned: bool,
    pub(crate) from: Option<String>,
    pub(crate) to: Option<String>,
    /// Who was at the front before.
    pub(crate) before: Option<SenderId>,
    pub(crate) detect: Option<Duration>,
    pub(crate) promote: Option<Duration>,
}

/// Looks at what comes around each change. Holds what came in the last few seconds.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    pub(crate) waits: Waits,
    pictures: VecDeque<Shown>,
    sounds: VecDeque<Heard>,
    /// When it was counted how often a decoder was made anew.
    resets: VecDeque<(NtpTime, u64)>,
    open: Vec<(NtpTime, News)>,
    done: Vec<Change>,
}

#[derive(Clone, Copy, Debug)]
struct Shown {
    at: NtpTime,
    /// Media time of the mix, in ticks of 90 kHz.
    time: u64,
}

/// Sound as it was sent, not made up.
#[derive(Clone, Copy, Debug)]
struct Heard {
    at: NtpTime,
    /// Media time of the mix, in samples.
    start: u64,
    samples: u64,
    /// Up to here the mix has been heard.
    reach: u64,
}

impl Changes {
    /// Takes in that a mark of his was seen that had not been seen before.
    pub(crate) fn handle_mark(&mut self, sender: SenderId, at: NtpTime) {
        let keep = self.keep(at);
        self.waits.handle_mark(sender, at, keep);
    }

    /// Takes in a picture of the mix, with its media time on the 90 kHz clock.
    pub(crate) fn handle_picture(&mut self, at: NtpTime, time: u64) {
        // One that is shown twice, or comes too late, shows nothing new.
        if self.pictures.back().is_none_or(|last| last.time < time) {
            self.pictures.push_back(Shown { at, time });
        }
        let keep = self.keep(at);
        forget(&mut self.pictures, |shown| shown.at, keep);
    }

    /// Takes in sound of the mix that was not made up, with its media time in samples.
    pub(crate) fn handle_sound(&mut self, at: NtpTime, start: u64, samples: u64) {
        let end = start.saturating_add(samples);
        let reach = match self.sounds.back() {
            // The same again and again is sound that stands still.
            Some(last) if last.start == start => return,
            // Who hosted until now hears a little twice, first of his own mix and then of
            // the next one's, which comes later: sound goes on, and nothing of it is missing.
            Some(last) if start.saturating_add(AGAIN) >= last.reach => end.max(last.reach),
            _ => end,
        };
        self.sounds.push_back(Heard { at, start, samples, reach });
        let keep = self.keep(at);
        forget(&mut self.sounds, |heard| heard.at, keep);
    }

    /// Takes in that another came to the front.
    pub(crate) fn handle_news(&mut self, at: NtpTime, news: News) {
        self.open.push((at, news));
    }

    /// Takes in how often a decoder of the mix was made anew until now; ends what is over.
    pub(crate) fn handle_second(&mut self, now: NtpTime, resets: u64) {
        self.resets.push_back((now, resets));
        let is_over = |(at, news): &(NtpTime, News)| now.micros_since(*at) >= after(news);
        while let Some(over) = self.open.iter().position(is_over) {
            let (at, news) = self.open.remove(over);
            let closed = Change { closed: true, ..self.measure(now, at, news) };
            self.done.push(closed);
        }
        let keep = self.keep(now);
        forget(&mut self.resets, |&(at, _)| at, keep);
    }

    /// Every change so far, the last of them perhaps with a part of its figures.
    pub(crate) fn all(&self, now: NtpTime) -> Vec<Change> {
        let open = self.open.iter().map(|(at, news)| self.measure(now, *at, news.clone()));
        self.done.iter().cloned().chain(open).collect()
    }

    /// What is older than this is not needed any more, but for the last of it.
    fn keep(&self, now: NtpTime) -> i64 {
        let oldest = self.open.first().map_or(now, |&(at, _)| at);
        micros(oldest) - BEFORE_US - LATE_US
    }

    fn measure(&self, now: NtpTime, at: NtpTime, news: News) -> Change {
        let (from, to) = (micros(at) - BEFORE_US, micros(now).min(micros(at) + after(&news)));
        let lost = news.before.filter(|_| !news.planned);
        let ms = |span: Duration| span.as_secs_f64() * 1e3;
        let sound = self.sound(from, to);
        let audio_gap = sound.map(|(run, _)| run as f64 / 1e3);
        let detect = news.detect.map(ms);
        Change {
            epoch: news.epoch,
            planned: news.planned,
            from: news.from,
            to: news.to,
            video_gap: self.waits.longest(lost, from, to).map(|gap| gap as f64 / 1e3),
            audio_gap,
            frames_lost: self.frames_lost(from, to),
            samples_lost: sound.map(|(_, lost)| lost),
            decoder_resets: self.resets_between(from, to),
            detect,
            promote: news.promote.map(ms),
            audio_beyond: audio_gap.zip(detect).map(|(gap, detect)| (gap - detect).max(0.0)),
            closed: false,
        }
    }

    /// How many media times of the mix were skipped between these.
    fn frames_lost(&self, from: i64, to: i64) -> Option<u64> {
        let shown = pairs(self.pictures.iter(), |shown| micros(shown.at), from, to);
        let mut steps: Vec<_> = shown.map(|(a, b)| b.time - a.time).collect();
        steps.sort_unstable();
        let usual = *steps.get(steps.len() / 2)?;
        let slots = |ticks: u64| ticks.saturating_add(usual / 2) / usual;
        let skipped: u64 = steps.iter().map(|&step| slots(step).saturating_sub(1)).sum();
        let last = self.pictures.back()?;
        let quiet = u64::try_from(to - micros(last.at)).unwrap_or(0) * PICTURE_HZ / 1_000_000;
        // The one that is due now is not lost yet, nor the one before it, which is under way.
        Some(skipped + (quiet / usual).saturating_sub(2))
    }

    /// The longest run without sound as it was sent, in microseconds, and how many samples of
    /// the mix were not heard.
    fn sound(&self, from: i64, to: i64) -> Option<(u64, u64)> {
        let us = |samples: u64| samples.saturating_mul(1_000_000) / SOUND_HZ;
        let (mut longest, mut lost) = (0, 0);
        for (a, b) in pairs(self.sounds.iter(), |heard| micros(heard.at), from, to) {
            let hole = b.start.saturating_sub(a.reach);
            let stood = u64::try_from(b.at.micros_since(a.at)).unwrap_or(0);
            let stood = stood.saturating_sub(us(a.samples));
            lost = u64::saturating_add(lost, hole);
            // A device that plays holds a little: what comes a little late is not missed.
            let run = if stood > us(hole) + DEVICE_US { stood } else { us(hole) };
            longest = longest.max(run);
        }
        let last = self.sounds.back()?;
        let quiet = u64::try_from(to - micros(last.at)).unwrap_or(0);
        let quiet = quiet.saturating_sub(us(last.samples));
        if quiet > DEVICE_US {
            longest = longest.max(quiet);
            lost = lost.saturating_add(quiet * SOUND_HZ / 1_000_000);
        }
        Some((longest, lost))
    }

    fn resets_between(&self, from: i64, to: i64) -> u64 {
        let counted = |at: &(NtpTime, u64)| (micros(at.0), at.1);
        let before = self.resets.iter().map(counted).take_while(|&(at, _)| at <= from).last();
        let after = self.resets.iter().map(counted).find(|&(at, _)| at >= to);
        let after = after.or(self.resets.back().map(counted)).map_or(0, |(_, count)| count);
        // Who was not there before had none.
        after.saturating_sub(before.map_or(0, |(_, count)| count))
    }
}

/// For how long after such news is looked at what comes, in microseconds.
fn after(news: &News) -> i64 {
    if news.planned { AFTER_PLANNED_US } else { AFTER_US }
}

/// Each two neighbours between which lies a part of the time from `from` to `to`.
pub(crate) fn pairs<T: Copy>(
    of: impl Iterator<Item = T> + Clone,
    at: impl Fn(&T) -> i64 + Clone,
    from: i64,
    to: i64,
) -> impl Iterator<Item = (T, T)> + Clone {
    let next = of.clone().skip(1);
    of.zip(next).filter(move |(a, b)| at(b) > from && at(a) < to)
}

/// Drops what is older than `keep`, but for the newest of it.
pub(crate) fn forget<T>(of: &mut VecDeque<T>, at: impl Fn(&T) -> NtpTime, keep: i64) {
    while of.get(1).is_some_and(|second| micros(at(second)) < keep) {
        of.pop_front();
    }
}

/// Microseconds of a clock that began long before any call.
pub(crate) fn micros(at: NtpTime) -> i64 {
    at.micros_since(NtpTime::default())
}

/// What is looked at begins a second before a member hears of a change: a host that died
/// was lost before that. In microseconds.
const BEFORE_US: i64 = 1_000_000;

/// And ends three seconds after it, when all the pictures and sounds that were on their way
/// then have come.
const AFTER_US: i64 = 3_000_000;

/// After one that was announced: the switch is at most 0.4 s ahead then, and what both hosts
/// sent is there a playout delay later. What an encoder leaves out later is not of the change.
const AFTER_PLANNED_US: i64 = 1_200_000;

/// By how much longer what came is kept: a second passes until it is looked at, and another
/// until decoders are counted.
const LATE_US: i64 = 2_000_000;

/// What of the mix may be heard twice, in samples: a second, twenty times what was seen of it.
/// What goes back by more is another clock.
const AGAIN: u64 = 48_000;

/// What a sound device holds at least, in microseconds: two frames of 20 ms.
const DEVICE_US: u64 = 40_000;

/// RFC 6184 §5.1: the clock of pictures.
const PICTURE_HZ: u64 = 90_000;

/// RFC 7587 §4.1: the clock of sound.
const SOUND_HZ: u64 = 48_000;

#[cfg(test)]
#[path = "changes_tests.rs"]
mod tests;
