//! What a participant sees and hears, judged by the marks in it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use paceline_types::{AudioFrame, Epoch, MixInfo, SenderId, VideoFrame};

use crate::mark::Mark;
use crate::report::Gap;
use crate::source::FRAME_RATE;
use crate::{epoch, voice};

/// The eyes and ears of one participant.
#[derive(Debug)]
pub(crate) struct Senses {
    /// Who we are: what we see of ourselves is no news.
    pub(crate) us: SenderId,
    pub(crate) pictures: u64,
    pub(crate) sounds: u64,
    /// Frames of sound that were made up.
    pub(crate) concealed: u64,
    /// Tiles that should show a mark and do not.
    pub(crate) unreadable: u64,
    pub(crate) digest: Fnv,
    /// Whose picture the last picture of the mix had in it.
    pub(crate) showing: Vec<SenderId>,
    /// By sender.
    pub(crate) perceived: BTreeMap<SenderId, Perceived>,
    /// Where the tiles lie, by the media time of the picture that began it.
    layouts: BTreeMap<u64, MixInfo>,
    /// Who may be heard.
    present: Vec<SenderId>,
    /// When somebody else was last seen, and heard, that was new; and what was long.
    seen: Option<Instant>,
    heard: Option<Instant>,
    pub(crate) still: Vec<Gap>,
    pub(crate) silent: Vec<Gap>,
    /// The newest epoch of what was shown, and of what was heard.
    shown_epoch: Epoch,
    heard_epoch: Epoch,
    /// From which media time on something of it was heard.
    heard_from: u64,
    /// The mix itself, by its media times.
    pub(crate) mix_pictures: MixTrack,
    pub(crate) mix_sounds: MixTrack,
    /// What was shown or heard of an epoch when something of a later one had been.
    pub(crate) stale: u64,
}

/// One participant as another sees and hears him.
#[derive(Debug, Default)]
pub(crate) struct Perceived {
    pub(crate) pictures: Track,
    pub(crate) sounds: Track,
    /// By how much his picture came later or earlier than his sound, in µs.
    pub(crate) skews: Vec<u32>,
}

/// The frames of one stream, as they were noticed.
#[derive(Debug, Default)]
pub(crate) struct Track {
    pub(crate) frames: u64,
    pub(crate) missing: u64,
    pub(crate) out_of_order: u64,
    /// In µs.
    pub(crate) latencies: Vec<u32>,
    highest: Option<u32>,
    /// When the sound that was heard last was captured.
    heard: Option<Duration>,
    /// When the last one was noticed, and how late it was.
    last: Option<(Instant, Duration)>,
}

impl Senses {
    pub(crate) fn new() -> Self {
        Self {
            us: SenderId::default(),
            pictures: 0,
            sounds: 0,
            concealed: 0,
            unreadable: 0,
            digest: Fnv::new(),
            showing: Vec::new(),
            perceived: BTreeMap::new(),
            layouts: BTreeMap::new(),
            present: Vec::new(),
            seen: None,
            heard: None,
            still: Vec::new(),
            silent: Vec::new(),
            mix_pictures: MixTrack::new(90_000 / u64::from(FRAME_RATE)),
            mix_sounds: MixTrack::new(960),
            shown_epoch: Epoch::default(),
            heard_epoch: Epoch::default(),
            heard_from: 0,
            stale: 0,
        }
    }

    /// Takes in what the pictures from one on show.
    pub(crate) fn handle_mix_info(&mut self, info: MixInfo) {
        self.present.clear();
        self.present.extend(info.sources.iter().map(|source| source.sender));
        self.layouts.insert(info.time.ticks(), info);
        if self.layouts.len() > MAX_LAYOUTS {
            self.layouts.pop_first();
        }
    }

    /// The host is another: his pictures have nothing to do with what was before.
    pub(crate) fn forget_layouts(&mut self) {
        self.layouts.clear();
    }

    /// Sees a picture of the mix at `at`.
    pub(crate) fn see(&mut self, at: Instant, picture: &VideoFrame, epoch: Epoch) {
        self.pictures += 1;
        self.stale += u64::from(epoch < self.shown_epoch);
        self.shown_epoch = self.shown_epoch.max(epoch);
        self.mix_pictures.notice(picture.time().ticks());
        self.digest.time(at);
        self.digest.bytes(picture.planes());

        let time = picture.time().ticks();
        let Some((&begun, _)) = self.layouts.range(..=time).next_back() else { return };
        self.layouts = self.layouts.split_off(&begun);
        let Some(layout) = self.layouts.first_entry().map(|entry| entry.get().sources.clone())
        else {
            return;
        };
        self.showing.clear();
        let mut is_news = false;
        for source in layout.iter().filter(|source| source.tile.width > 0) {
            match Mark::read(picture, source.tile).filter(|mark| mark.sender == source.sender) {
                Some(mark) => {
                    self.showing.push(mark.sender);
                    let is_new = self.perceived.entry(mark.sender).or_default().see(at, mark);
                    is_news |= is_new && mark.sender != self.us;
                }
                None => self.unreadable += 1,
            }
        }
        if is_news {
            let before = self.seen.replace(at);
            self.still.extend(before.and_then(|before| Gap::between(before, at, LONG_STILL)));
        }
    }

    /// Hears 20 ms of the mix, from `at` on.
    pub(crate) fn hear(&mut self, at: Instant, sound: &AudioFrame, epoch: Epoch) {
        self.sounds += 1;
        let time = sound.time.ticks();
        if epoch > self.heard_epoch {
            (self.heard_epoch, self.heard_from) = (epoch, time);
        }
        // The host before may be heard for 40 ms more.
        self.stale += u64::from(epoch < self.heard_epoch && time >= self.heard_from + 1_920);
        self.mix_sounds.notice(sound.time.ticks());
        self.digest.time(at);
        for sample in sound.samples.iter() {
            self.digest.bytes(&sample.to_le_bytes());
        }
        let middle = at.saturating_duration_since(crate::epoch()) + FRAME / 2;
        let mut is_news = false;
        for &sender in &self.present {
            if let Some(latency) = voice::listen(&sound.samples, sender, middle) {
                let capture = middle.saturating_sub(latency);
                self.perceived.entry(sender).or_default().sounds.hear(at, capture, latency);
                is_news = true;
            }
        }
        if is_news {
            let before = self.heard.replace(at);
            self.silent.extend(before.and_then(|before| Gap::between(before, at, LONG_SILENT)));
        }
    }
}

impl Perceived {
    /// Whether it is new.
    fn see(&mut self, at: Instant, mark: Mark) -> bool {
        // The mix is as fast as the cameras: now and then one is shown twice.
        if self.pictures.highest == Some(mark.number) {
            return false;
        }
        let latency = latency(at, mark);
        self.pictures.notice(at, mark.number, latency);
        if let Some((heard, of_sound)) = self.sounds.last
            && at.saturating_duration_since(heard) < STILL_HEARD
        {
            self.skews.push(latency.abs_diff(of_sound).as_micros() as u32);
        }
        true
    }
}

impl Track {
    fn notice(&mut self, at: Instant, number: u32, latency: Duration) {
        self.frames += 1;
        match self.highest {
            Some(highest) if number <= highest => self.out_of_order += 1,
            Some(highest) => self.missing += u64::from(number - highest - 1),
            None => {}
        }
        self.highest = self.highest.max(Some(number));
        self.note(at, latency);
    }

    /// 20 ms of sound, of which the middle was captured at `capture`.
    fn hear(&mut self, at: Instant, capture: Duration, latency: Duration) {
        self.frames += 1;
        if let Some(before) = self.heard {
            if capture + REPEATED < before {
                self.out_of_order += 1;
            }
            // Whole frames that are not there; half of one may be stretching.
            let skipped = capture.saturating_sub(before + FRAME / 2);
            self.missing += (skipped.as_micros() / FRAME.as_micros()) as u64;
        }
        self.heard = self.heard.max(Some(capture));
        self.note(at, latency);
    }

    fn note(&mut self, at: Instant, latency: Duration) {
        self.latencies.push(latency.as_micros() as u32);
        self.last = Some((at, latency));
    }
}

/// What a mix is made of, piece by piece.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MixTrack {
    step: u64,
    last: Option<u64>,
    /// Pieces between the first and the last that were not there, and those that were there
    /// again, or something later had been.
    pub(crate) missing: u64,
    pub(crate) again: u64,
}

impl MixTrack {
    const fn new(step: u64) -> Self {
        Self { step, last: None, missing: 0, again: 0 }
    }

    fn notice(&mut self, ticks: u64) {
        match self.last {
            Some(last) if ticks <= last => self.again += 1,
            Some(last) => self.missing += ((ticks - last) / self.step).saturating_sub(1),
            None => {}
        }
        self.last = Some(ticks);
    }
}

fn latency(at: Instant, mark: Mark) -> Duration {
    at.saturating_duration_since(epoch() + mark.capture)
}

/// FNV-1a, 64 bits (RFC 9923): tells two calls apart, and proves nothing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fnv(u64);

impl Fnv {
    pub(crate) const fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }

    pub(crate) fn time(&mut self, at: Instant) {
        self.bytes(&(at.saturating_duration_since(epoch()).as_nanos() as u64).to_le_bytes());
    }

    pub(crate) const fn get(self) -> u64 {
        self.0
    }
}

/// Of sound.
const FRAME: Duration = Duration::from_millis(20);

/// For up to 60 ms what is made up repeats a pitch period of up to 16 ms, and fades, and
/// a mark is read from 20 ms: so much earlier may it seem than what was heard before.
const REPEATED: Duration = Duration::from_millis(96);

/// Layouts that are ahead of the picture that is shown: they come ten times a
/// second, and the pictures at most some seconds behind.
const MAX_LAYOUTS: usize = 128;

/// Two pictures missed, of 15 a second.
const LONG_STILL: Duration = Duration::from_millis(200);

/// Two frames of sound missed.
const LONG_SILENT: Duration = Duration::from_millis(60);

/// A sound is compared with while it is being heard: 20 ms, and one lost.
const STILL_HEARD: Duration = Duration::from_millis(40);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_is_fnv_1a() {
        let mut fnv = Fnv::new();
        fnv.bytes(b"foobar");
        assert_eq!(fnv.get(), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn gaps_and_disorder_are_counted() {
        let mut track = Track::default();
        for number in [3, 4, 7, 6, 7, 8] {
            track.notice(epoch(), number, Duration::ZERO);
        }
        assert_eq!((track.frames, track.missing, track.out_of_order), (6, 2, 2));
    }
}
