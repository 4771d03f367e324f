//! Latency and lip sync, read from the marks in what arrives.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use paceline::capture::clapper::{self, ToneReader};
use paceline::types::{MixInfo, NtpTime, Rect, SenderId};
use paceline::{Picture, Sound};

/// What one participant sees and hears of the others' marks.
#[derive(Debug)]
pub(crate) struct Measure {
    us: SenderId,
    tones: ToneReader,
    /// What is where, the newest last: it is told before the picture that it is of is due.
    infos: VecDeque<MixInfo>,
    pictures: BTreeMap<SenderId, Pictures>,
    sounds: Vec<SoundSeen>,
}

/// What is to be seen of somebody in a picture of the mix.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Seen {
    /// He has no picture there.
    Empty,
    /// A mark that was not seen before.
    Mark,
}

/// What was read of one of the others.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Marks {
    /// Pictures of his that were seen, each once.
    pub(crate) pictures: usize,
    /// Bursts of his tones that were heard.
    pub(crate) sounds: usize,
}

/// The pictures of one source.
#[derive(Debug, Default)]
struct Pictures {
    last_frame: Option<u16>,
    seen: Vec<(NtpTime, f64)>,
}

#[derive(Debug)]
struct SoundSeen {
    slot: u32,
    played: NtpTime,
    latency_ms: f64,
}

/// Milliseconds, one figure for each mark.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    pub(crate) latency: Vec<f64>,
    pub(crate) skew: Vec<f64>,
    /// What was seen and heard of each who was ever asked for.
    pub(crate) marks: Vec<(String, Marks)>,
    /// Each picture that was seen: when, in microseconds since 1970, of whom, and how many
    /// milliseconds late.
    pub(crate) pictures: Vec<(i64, String, f64)>,
}

impl Measure {
    pub(crate) fn new(us: SenderId) -> Self {
        Self {
            us,
            tones: ToneReader::new(),
            infos: VecDeque::new(),
            pictures: BTreeMap::new(),
            sounds: Vec::new(),
        }
    }

    pub(crate) fn handle_mix_info(&mut self, info: MixInfo) {
        self.infos.push_back(info);
        if self.infos.len() > MAX_INFOS {
            self.infos.pop_front();
        }
    }

    /// Reads the mark of each other participant's tile, at the moment it is shown, or of our
    /// own if there is no other. Of whom one is new, and who has no tile. Of one's own mix it
    /// is of no interest how old they are: that is not the other end.
    pub(crate) fn handle_picture(
        &mut self,
        shown: NtpTime,
        picture: &Picture,
        ours: bool,
    ) -> Vec<(SenderId, Seen)> {
        let time = picture.frame.time();
        let info = self.infos.iter().rev().find(|info| info.time.ticks() <= time.ticks());
        let Some(info) = info.or(self.infos.back()) else { return Vec::new() };
        let mut seen = Vec::new();
        // Who is left alone sees only himself move.
        let alone = info.sources.iter().all(|source| source.sender == self.us);
        for source in info.sources.iter().filter(|source| alone || source.sender != self.us) {
            if source.tile == Rect::default() {
                seen.push((source.sender, Seen::Empty));
                continue;
            }
            let Some(mark) = clapper::read(&picture.frame, source.tile) else { continue };
            let pictures = self.pictures.entry(source.sender).or_default();
            // A picture that stands still is shown once.
            if pictures.last_frame.replace(mark.frame) == Some(mark.frame) {
                continue;
            }
            seen.push((source.sender, Seen::Mark));
            if !ours && source.sender != self.us {
                let latency = clapper::latency(shown, mark.capture_ms, clapper::PICTURE_MODULUS);
                pictures.seen.push((shown, latency.as_secs_f64() * 1e3));
            }
        }
        seen
    }

    /// Listens for the others' tones; in one's own mix, with the same reservation.
    pub(crate) fn handle_sound(&mut self, sound: &Sound, ours: bool) {
        self.tones.handle_audio(sound.ready, &sound.frame.samples);
        while let Some(mark) = self.tones.poll_output() {
            if ours {
                continue;
            }
            let latency = clapper::latency(mark.played, mark.capture_ms, clapper::SOUND_MODULUS);
            let latency_ms = latency.as_secs_f64() * 1e3;
            self.sounds.push(SoundSeen { slot: mark.slot, played: mark.played, latency_ms });
        }
    }

    /// What it all comes to, of the others by name.
    pub(crate) fn figures(&self, others: &BTreeMap<SenderId, String>) -> Figures {
        let latency = self.pictures.values().flat_map(|p| p.seen.iter().map(|&(_, ms)| ms));
        Figures {
            latency: latency.collect(),
            skew: self.sounds.iter().filter_map(|sound| self.skew(sound)).collect(),
            marks: others.iter().map(|(&id, name)| (name.clone(), self.marks_of(id))).collect(),
            pictures: self.pictures_of(others),
        }
    }

    fn pictures_of(&self, others: &BTreeMap<SenderId, String>) -> Vec<(i64, String, f64)> {
        let unix = NtpTime::from_unix(Duration::ZERO);
        let mut all = Vec::new();
        for (sender, pictures) in &self.pictures {
            let Some(name) = others.get(sender) else { continue };
            let seen = pictures.seen.iter();
            all.extend(seen.map(|&(at, ms)| (at.micros_since(unix), name.clone(), ms)));
        }
        all.sort_by_key(|&(at, ..)| at);
        all
    }

    fn marks_of(&self, sender: SenderId) -> Marks {
        let slot = clapper::slot(sender.get());
        Marks {
            pictures: self.pictures.get(&sender).map_or(0, |pictures| pictures.seen.len()),
            sounds: self.sounds.iter().filter(|sound| sound.slot == slot).count(),
        }
    }

    /// How far a sound is from the picture of its source that was shown next to it.
    fn skew(&self, sound: &SoundSeen) -> Option<f64> {
        let slot = |sender: &SenderId| clapper::slot(sender.get()) == sound.slot;
        let (_, pictures) = self.pictures.iter().find(|(sender, _)| slot(sender))?;
        let distance = |at: NtpTime| at.micros_since(sound.played).unsigned_abs();
        let &(at, latency) = pictures.seen.iter().min_by_key(|&&(at, _)| distance(at))?;
        (distance(at) < NEAR_US).then(|| (sound.latency_ms - latency).abs())
    }
}

/// The value below which `part` of the sorted figures lie (nearest rank).
pub(crate) fn percentile(figures: &mut [f64], part: f64) -> Option<f64> {
    figures.sort_by(f64::total_cmp);
    let rank = (figures.len() as f64 * part).ceil() as usize;
    figures.get(rank.saturating_sub(1)).copied()
}

/// A picture and a sound are compared if they are at most this far apart, in
/// microseconds: five pictures of the slowest bundled clip.
const NEAR_US: u64 = 200_000;

/// Descriptions of the mix that are kept: those of the pictures that a jitter buffer holds.
const MAX_INFOS: usize = 32;
