//! The mix: a stage, and the encoders of what it makes.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;
use std::time::Instant;

use paceline_codec::{EncodeError, EncodedSound, VideoEncoder};
use paceline_framing::Numbering;
use paceline_playout::{Kind, Stage};
use paceline_session::MixerState;
use paceline_types::{
    AudioFrame, Bitrate, Carrier, Content, EncodedFrame, EncoderTarget, MediaTime, SenderId, SeqNo,
    StreamId, StreamKey, VideoFrame,
};
use tracing::debug;

use crate::Config;
use crate::counters::Counters;
use crate::publish::{SoundEncoder, video_encoder};
use crate::wire::Switches;

/// What there is only while we mix: as the host for all, as his standby in the dark, in a
/// mesh for ourselves.
#[derive(Debug)]
pub(super) struct Mixing {
    pub(super) stage: Stage,
    /// `None` in a mesh: the mix does not leave this machine.
    pub(super) sending: Option<Sending>,
}

impl Mixing {
    pub(super) fn add_source(&mut self, now: Instant, sender: SenderId) {
        // `Config::max_peers` is one less than the stage has places.
        let _ = self.stage.add_source(now, sender);
    }

    pub(super) fn remove_source(&mut self, now: Instant, sender: SenderId) {
        self.stage.remove_source(now, sender);
        if let Some(sending) = &mut self.sending {
            sending.mixes.remove(&sender);
        }
    }

    pub(super) fn set_enabled(&mut self, now: Instant, stream: StreamKey, enabled: bool) {
        let kind = if stream.stream == StreamId::AUDIO { Kind::Audio } else { Kind::Video };
        self.stage.set_enabled(now, stream.sender, kind, enabled);
    }
}

/// What makes packets of the mix, and numbers them.
#[derive(Debug)]
pub(super) struct Sending {
    video: Box<dyn VideoEncoder>,
    /// The number of the next picture; `None` until one of ours goes out.
    seq: Option<SeqNo>,
    /// The encoder of what each member hears who is in the mix himself.
    mixes: BTreeMap<SenderId, SoundEncoder>,
    /// The encoder of what all the others hear.
    shared: Option<Shared>,
    made: Made,
    carrier: Carrier,
    switches: Switches,
    bitrate: Bitrate,
    /// Pictures that may still cost more.
    lavish: u32,
    counters: Arc<Counters>,
}

/// The number and media time of what was made last.
#[derive(Clone, Copy, Debug, Default)]
struct Made {
    video: Option<(SeqNo, MediaTime)>,
    audio: Option<(SeqNo, MediaTime)>,
}

impl Sending {
    pub(super) fn new(
        config: &Config,
        counters: Arc<Counters>,
        switches: Switches,
    ) -> Result<Self, EncodeError> {
        Ok(Self {
            video: mix_encoder(config)?,
            seq: None,
            mixes: BTreeMap::new(),
            shared: None,
            made: Made::default(),
            carrier: config.carrier,
            switches,
            bitrate: config.video_bitrate,
            lavish: 0,
            counters,
        })
    }

    /// Changes the encoder of pictures.
    pub(super) fn set_target(&mut self, target: EncoderTarget) {
        self.bitrate = target.bitrate.unwrap_or(self.bitrate);
        self.video.set_target(target);
    }

    /// Has the next picture be one that needs nothing from before.
    pub(super) fn want_keyframe(&mut self) {
        self.video.set_target(EncoderTarget { keyframe: true, bitrate: None });
    }

    /// Has the next picture be the first of a new encoder. To one that has just made a
    /// keyframe the next is too much for its bitrate: it leaves out the picture after it.
    pub(super) fn start_afresh(&mut self, config: &Config) {
        match mix_encoder(config) {
            Ok(video) => {
                self.video = video;
                let bitrate = Some(self.bitrate);
                self.video.set_target(EncoderTarget { keyframe: false, bitrate });
            }
            // The old one does, with a picture less.
            Err(error) => debug!(%error, "no second encoder of the mix"),
        }
    }

    /// Whether a picture of ours has gone out since we came to host.
    pub(super) fn has_begun(&self) -> bool {
        self.seq.is_some()
    }

    /// Begins to send: with a keyframe, and this number. For a while the encoder may spend
    /// twice as much, or it leaves out the picture after the keyframe.
    pub(super) fn begin(&mut self, seq: SeqNo) {
        self.seq = Some(seq);
        self.lavish = LAVISH;
        let bitrate = Some(Bitrate::from_bps(self.bitrate.bps() * 2));
        self.video.set_target(EncoderTarget { keyframe: true, bitrate });
    }

    fn spend(&mut self) {
        if self.lavish > 0 {
            self.lavish -= 1;
            if self.lavish == 0 {
                let bitrate = Some(self.bitrate);
                self.video.set_target(EncoderTarget { keyframe: false, bitrate });
            }
        }
    }

    /// Sends no more. What is sent when we host again has other numbers.
    pub(super) fn end(&mut self) {
        self.seq = None;
    }

    /// How far the mix is.
    pub(super) fn state(&self, tiles: Vec<SenderId>) -> MixerState {
        let Made { video, audio } = self.made;
        let numbering = [(StreamId::MIX_AUDIO, audio), (StreamId::MIX_VIDEO, video)];
        let numbering = numbering
            .into_iter()
            .filter_map(|(stream, made)| made.map(|(seq, time)| Numbering { stream, seq, time }));
        MixerState { numbering: numbering.collect(), tiles }
    }

    /// Encodes a picture; numbered only if it goes out. `None` if the encoder leaves it out.
    pub(super) fn picture(&mut self, picture: &VideoFrame) -> Option<EncodedFrame> {
        self.spend();
        let encoded = match self.video.encode(picture) {
            Ok(Some(encoded)) => encoded,
            Ok(None) => {
                self.counters.video_skipped.add(1);
                return None;
            }
            Err(error) => {
                self.counters.encode_errors.add(1);
                debug!(%error, "the mix cannot be encoded");
                return None;
            }
        };
        self.counters.video_encoded.add(1);
        let seq = self.seq.unwrap_or_default();
        if let Some(next) = &mut self.seq {
            self.made.video = Some((seq, picture.time()));
            *next = seq.next();
        }
        Some(EncodedFrame {
            stream: StreamId::MIX_VIDEO,
            seq,
            time: picture.time(),
            capture: picture.capture(),
            coding: encoded.coding,
            data: encoded.data,
        })
    }

    /// Encodes what one member hears. The stage counts its ticks: the number is the same
    /// for all, whoever hosts, and goes on when somebody comes back. What is shared is encoded
    /// once.
    pub(super) fn sound(
        &mut self,
        for_peer: SenderId,
        is_shared: bool,
        seq: SeqNo,
        sound: &AudioFrame,
    ) -> Option<EncodedFrame> {
        self.made.audio = Some((seq, sound.time));
        let encoded = if is_shared {
            // Who speaks up next has an encoder of his own, which knows nothing of before.
            self.mixes.remove(&for_peer);
            self.shared_sound(seq, sound)
        } else {
            let encoder = match self.mixes.entry(for_peer) {
                Entry::Occupied(entry) => entry.into_mut(),
                Entry::Vacant(entry) => {
                    let switches = self.switches.clone();
                    entry.insert(SoundEncoder::new(self.carrier, switches).ok()?)
                }
            };
            encode(encoder, sound, &self.counters)
        }?;
        Some(EncodedFrame {
            stream: StreamId::MIX_AUDIO,
            seq,
            time: sound.time,
            capture: sound.capture,
            coding: encoded.coding,
            data: encoded.data,
        })
    }

    /// Encodes once what all hear who are not heard themselves.
    fn shared_sound(&mut self, seq: SeqNo, sound: &AudioFrame) -> Option<EncodedSound> {
        // One that was not needed for a while knows nothing of the sound before.
        let goes_on = |shared: &Shared| seq.get() <= shared.seq.get() + 1;
        let shared = match self.shared.take().filter(goes_on) {
            Some(shared) if shared.seq == seq => shared,
            before => {
                let mut encoder = match before {
                    Some(Shared { encoder, .. }) => encoder,
                    None => SoundEncoder::new(self.carrier, self.switches.clone()).ok()?,
                };
                let made = encode(&mut encoder, sound, &self.counters);
                Shared { encoder, seq, made }
            }
        };
        let made = shared.made.clone();
        self.shared = Some(shared);
        made
    }
}

/// One encoder for many, and what it made last.
#[derive(Debug)]
struct Shared {
    encoder: SoundEncoder,
    seq: SeqNo,
    made: Option<EncodedSound>,
}

fn encode(
    encoder: &mut SoundEncoder,
    sound: &AudioFrame,
    counters: &Counters,
) -> Option<EncodedSound> {
    match encoder.encode(sound) {
        Ok(encoded) => {
            counters.audio_encoded.add(1);
            Some(encoded)
        }
        Err(error) => {
            counters.encode_errors.add(1);
            debug!(%error, "a mix of sound cannot be encoded");
            None
        }
    }
}

/// The mix moves wherever somebody does, whatever the others show.
fn mix_encoder(config: &Config) -> Result<Box<dyn VideoEncoder>, EncodeError> {
    video_encoder(config, config.mix_size().2.into(), Content::Camera)
}

/// Pictures after a first keyframe that may cost twice as much: a third of a second. Measured:
/// of keyframes of 21 KB at 1.2 Mbit/s every other one had the next picture left out.
const LAVISH: u32 = 10;
