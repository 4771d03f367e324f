//! The decoders of everything that comes in: one for each stream, for as long as it comes.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;
use std::time::Instant;

use paceline_codec::{AnyVideoDecoder, AudioDecoder, DecodeError, VideoDecoder, audio_decoder};
use paceline_types::{
    AudioFrame, Coding, EncodedFrame, Epoch, MediaTime, NtpTime, SenderId, StreamId, StreamKey,
    VideoFrame,
};
use tracing::debug;

use crate::counters::Counters;

/// Decodes, and makes up the sound that is missing.
///
/// The mix is one stream whoever hosts, and so are its decoders. A picture of a new host
/// begins with a keyframe, which needs nothing from before. A sound does: while that of two
/// hosts comes, each has a decoder, and then the new one's goes on alone. If only the new
/// one's comes, the decoder that there is goes on: an Opus decoder gets over a change of
/// encoders as over a lost frame.
#[derive(Debug)]
pub(super) struct Decoders {
    video: BTreeMap<StreamKey, Pictures>,
    audio: BTreeMap<StreamKey, Sounds>,
    counters: Arc<Counters>,
}

#[derive(Debug, Default)]
struct Pictures {
    decoder: AnyVideoDecoder,
    coding: Option<Coding>,
    /// When a keyframe was asked for last, and whether because of one.
    asked: Option<(Instant, bool)>,
}

#[derive(Debug)]
struct Sounds {
    decoder: Box<dyn AudioDecoder>,
    /// The decoder of the next host, while both are heard.
    next: Option<Next>,
    /// Frames that did not come before the next one that did.
    missing: u64,
}

#[derive(Debug)]
struct Next {
    decoder: Box<dyn AudioDecoder>,
    epoch: Epoch,
}

/// 20 ms of sound.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Decoded {
    pub(super) heard: Heard,
    /// It was made up.
    pub(super) concealed: bool,
}

/// What is in them.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Heard {
    One(AudioFrame),
    /// What two hosts made of the same 20 ms: the one is to fade into the other.
    Both {
        old: AudioFrame,
        new: AudioFrame,
    },
}

impl Decoded {
    fn real(frame: AudioFrame) -> Self {
        Self { heard: Heard::One(frame), concealed: false }
    }

    fn made_up(frame: AudioFrame) -> Self {
        Self { heard: Heard::One(frame), concealed: true }
    }
}

impl Decoders {
    pub(super) fn new(counters: Arc<Counters>) -> Self {
        Self { video: BTreeMap::new(), audio: BTreeMap::new(), counters }
    }

    /// Whether a picture of anybody has come.
    pub(super) fn has_pictures(&self) -> bool {
        !self.video.is_empty()
    }

    /// Forgets what a sender sent: he is gone, or comes anew.
    pub(super) fn forget(&mut self, sender: SenderId) {
        self.video.retain(|key, _| key.sender != sender);
        self.audio.retain(|key, _| key.sender != sender);
    }

    /// Forgets everybody but the mix: nobody sends us his own any more.
    pub(super) fn forget_members(&mut self) {
        self.video.retain(|key, _| is_mix(*key));
        self.audio.retain(|key, _| is_mix(*key));
    }

    /// Decodes a picture; `None` if there is none yet. `Err` tells whether a keyframe is to
    /// be asked for now.
    pub(super) fn picture(
        &mut self,
        now: Instant,
        key: StreamKey,
        frame: &EncodedFrame,
    ) -> Result<Option<VideoFrame>, bool> {
        let stream = self.video.entry(key).or_default();
        if is_mix(key) && stream.coding.is_some_and(|coding| !is_alike(&coding, &frame.coding)) {
            self.counters.decoder_resets.add(1);
        }
        stream.coding = Some(frame.coding);
        match stream.decoder.decode(frame) {
            // A decoder may keep one and give it with the next.
            Ok(picture) => {
                self.counters.video_decoded.add(1);
                Ok(picture)
            }
            Err(error) => {
                self.counters.decode_errors.add(1);
                debug!(?key, %error, "a picture cannot be decoded");
                // What was asked before may have been answered by just this one.
                let is_key = frame.coding.is_key();
                Err(stream.asked.is_none_or(|(at, of_key)| {
                    now - at > super::KEYFRAME_RETRY || is_key && !of_key
                }))
            }
        }
    }

    /// A keyframe was asked for, because of what came last.
    pub(super) fn note_asked(&mut self, now: Instant, key: StreamKey) {
        if let Some(stream) = self.video.get_mut(&key) {
            stream.asked = Some((now, stream.coding.is_some_and(|coding| coding.is_key())));
        }
    }

    /// Takes in that sound is missing. It is made up when the frame after it is there,
    /// which may know of it.
    pub(super) fn miss(&mut self, key: StreamKey, count: u64) {
        if let Some(stream) = self.audio.get_mut(&key) {
            stream.missing = stream.missing.saturating_add(count);
        }
    }

    /// Decodes a sound, after what is missing before it.
    pub(super) fn sound(
        &mut self,
        key: StreamKey,
        frame: &EncodedFrame,
        epoch: Option<Epoch>,
        capture: NtpTime,
    ) -> Vec<Decoded> {
        let Self { audio, counters, .. } = self;
        let stream = match audio.entry(key) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => match Sounds::new(&frame.coding) {
                Ok(stream) => entry.insert(stream),
                Err(error) => {
                    refuse(counters, key, &error);
                    return Vec::new();
                }
            },
        };
        stream.follow(epoch);
        let mut sounds = stream.make_up(frame, capture);
        let decoded = match stream.decoder.decode(frame) {
            // He changed to another: so do we.
            Err(DecodeError::OtherCoding(_)) => audio_decoder(&frame.coding).and_then(|decoder| {
                stream.decoder = decoder;
                counters.decoder_resets.add(u64::from(is_mix(key)));
                stream.decoder.decode(frame)
            }),
            decoded => decoded,
        };
        match decoded {
            Ok(sound) => {
                counters.audio_decoded.add(1);
                sounds.push(Decoded::real(sound));
            }
            Err(error) => {
                refuse(counters, key, &error);
                let sound = stream.decoder.conceal(frame.time, capture);
                sounds.push(Decoded::made_up(sound));
            }
        }
        counters.concealed_ms.add(20 * sounds.iter().filter(|it| it.concealed).count() as u64);
        sounds
    }

    /// Decodes a sound of two hosts at once, each with a decoder of his.
    pub(super) fn crossfade(
        &mut self,
        key: StreamKey,
        (old, new): (&EncodedFrame, &EncodedFrame),
        epoch: Epoch,
        capture: NtpTime,
    ) -> Vec<Decoded> {
        let Some(stream) = self.audio.get_mut(&key) else {
            // What was not heard before need not fade out.
            return self.sound(key, new, Some(epoch), capture);
        };
        if stream.next.as_ref().is_none_or(|next| next.epoch != epoch) {
            match audio_decoder(&new.coding) {
                Ok(decoder) => stream.next = Some(Next { decoder, epoch }),
                Err(error) => {
                    refuse(&self.counters, key, &error);
                    return self.sound(key, old, None, capture);
                }
            }
        }
        let mut sounds = stream.make_up(old, capture);
        let old = stream.decoder.decode(old);
        let Some(next) = &mut stream.next else { return sounds };
        let new = next.decoder.decode(new);
        let heard = match (old, new) {
            (Ok(old), Ok(new)) => Heard::Both { old, new },
            (Err(error), Ok(sound)) | (Ok(sound), Err(error)) => {
                refuse(&self.counters, key, &error);
                Heard::One(sound)
            }
            (Err(error), Err(_)) => {
                refuse(&self.counters, key, &error);
                return sounds;
            }
        };
        self.counters.audio_decoded.add(1);
        sounds.push(Decoded { heard, concealed: false });
        self.counters.concealed_ms.add(20 * (sounds.len() as u64 - 1));
        sounds
    }
}

impl Sounds {
    fn new(coding: &Coding) -> Result<Self, DecodeError> {
        Ok(Self { decoder: audio_decoder(coding)?, next: None, missing: 0 })
    }

    /// Goes on with the next host's decoder alone once a frame of his comes alone.
    fn follow(&mut self, epoch: Option<Epoch>) {
        if let Some(next) = self.next.take_if(|next| epoch >= Some(next.epoch)) {
            self.decoder = next.decoder;
        }
    }

    /// Makes up what is missing before `next`, the last of it from what that knows.
    fn make_up(&mut self, next: &EncodedFrame, capture: NtpTime) -> Vec<Decoded> {
        let missing = std::mem::take(&mut self.missing).min(MAX_CONCEALED);
        let mut sounds = Vec::new();
        for left in (1..=missing).rev() {
            let before = left * FRAME;
            let ticks = next.time.ticks().saturating_sub(before);
            let time = MediaTime::new(ticks, next.time.frequency());
            let frame = match left {
                1 => self.decoder.recover(next, time, capture),
                _ => self.decoder.conceal(time, capture),
            };
            sounds.push(Decoded::made_up(frame));
        }
        sounds
    }
}

/// Whether it is what everybody gets, and not what one sends.
pub(super) fn is_mix(key: StreamKey) -> bool {
    matches!(key.stream, StreamId::MIX_AUDIO | StreamId::MIX_VIDEO)
}

fn refuse(counters: &Counters, key: StreamKey, error: &DecodeError) {
    counters.decode_errors.add(1);
    debug!(?key, %error, "a frame of sound cannot be decoded");
}

/// Whether one decoder serves both.
fn is_alike(one: &Coding, other: &Coding) -> bool {
    match (one, other) {
        (Coding::Video { codec: one, .. }, Coding::Video { codec: other, .. }) => one == other,
        (Coding::Image { format: one, .. }, Coding::Image { format: other, .. }) => one == other,
        (one, other) => std::mem::discriminant(one) == std::mem::discriminant(other),
    }
}

/// Samples of a frame of sound: 20 ms at 48 kHz, `docs/WIRE.md`.
const FRAME: u64 = 960;

/// Frames made up for one gap: 200 ms, after which concealment is silence anyway.
const MAX_CONCEALED: u64 = 10;

#[cfg(test)]
mod tests;
