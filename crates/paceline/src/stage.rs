//! The stage thread: decodes what is due, mixes if we host, encodes the mix, and
//! hands pictures and sound to the program. In a mesh it mixes for the program alone.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use paceline_codec::{
    AnyVideoDecoder, AudioDecoder, AudioEncoder, DecodeError, VideoDecoder, VideoEncoder,
    audio_decoder,
};
use paceline_playout::{Kind, Stage, StageOutput};
use paceline_session::{Role, Topology};
use paceline_types::{
    AudioFrame, EncodedFrame, EncoderTarget, Frequency, MediaTime, PeerId, PlayoutRate, SenderId,
    SeqNo, StreamId, StreamKey, VideoFrame, WallClock,
};
use tokio::sync::mpsc;
use tracing::{debug, warn};

use crate::Config;
use crate::counters::Counters;
use crate::driver::clock;
use crate::event::{Event, EventQueue, Picture, Sound};
use crate::publish::{audio_encoder, video_encoder};
use crate::wire::{StageReceiver, ToDriver, ToStage};

/// The state of the stage thread.
#[derive(Debug)]
pub(crate) struct StageLoop {
    pub(crate) config: Config,
    pub(crate) wall: WallClock,
    pub(crate) inputs: StageReceiver,
    /// Weak: a room that is dropped is left, whatever its threads do.
    pub(crate) driver: mpsc::WeakSender<ToDriver>,
    pub(crate) events: EventQueue,
    pub(crate) counters: Arc<Counters>,
    pub(crate) us: SenderId,
    pub(crate) peers: BTreeMap<SenderId, PeerId>,
    pub(crate) video: BTreeMap<StreamKey, VideoStream>,
    pub(crate) audio: BTreeMap<StreamKey, Box<dyn AudioDecoder>>,
    /// Frames of sound that did not come before the next one that did.
    pub(crate) missing: BTreeMap<StreamKey, u64>,
    pub(crate) mixing: Option<Mixing>,
    /// Streams of ours that are switched off.
    pub(crate) off: BTreeSet<StreamId>,
}

/// A picture that comes in.
#[derive(Debug, Default)]
pub(crate) struct VideoStream {
    decoder: AnyVideoDecoder,
    asked: Option<Instant>,
}

/// What there is only while we mix: as the host for all, in a mesh for ourselves.
#[derive(Debug)]
pub(crate) struct Mixing {
    stage: Stage,
    /// `None` in a mesh: the mix does not leave this machine.
    sending: Option<Sending>,
}

/// What makes packets of the mix.
#[derive(Debug)]
struct Sending {
    encoder: Box<dyn VideoEncoder>,
    seq: SeqNo,
    /// The encoder of what each member hears.
    mixes: BTreeMap<SenderId, Box<dyn AudioEncoder>>,
}

impl StageLoop {
    /// Runs until it is told to quit, or nobody is left to tell it.
    pub(crate) fn run(mut self) {
        loop {
            let deadline = self.mixing.as_ref().and_then(|mixing| mixing.stage.poll_timeout());
            let wait = deadline.map(|at| at.saturating_duration_since(clock()));
            let Some(messages) = self.inputs.receive(wait) else { return };
            // What is waiting goes in before time passes: a late thread must not
            // find its sources dry.
            for message in messages {
                if matches!(message, ToStage::Quit) {
                    return;
                }
                self.handle(message);
            }
            self.turn();
        }
    }

    fn handle(&mut self, message: ToStage) {
        match message {
            ToStage::Connected { peer, sender } => {
                self.forget(sender);
                self.peers.insert(sender, peer);
                if let Some(mixing) = &mut self.mixing {
                    mixing.add_source(sender);
                }
            }
            ToStage::Gone { sender } => {
                self.forget(sender);
                self.peers.remove(&sender);
            }
            ToStage::Decode { stream, due, frame } if frame.coding.is_audio() => {
                self.decode_audio(stream, due, &frame);
            }
            ToStage::Decode { stream, due, frame } => self.decode_video(stream, due, &frame),
            ToStage::Lost { stream, count } => self.miss(stream, count),
            ToStage::LocalAudio(frame) => self.hear(self.us, frame),
            ToStage::LocalVideo(frame) => self.see(self.us, frame),
            ToStage::Rate { stream, rate } => self.set_rate(stream, rate),
            ToStage::Role { role, us } => self.set_role(role, us),
            ToStage::Steer(target) => {
                if let Some(sending) = self.sending() {
                    sending.encoder.set_target(target);
                }
            }
            ToStage::TrackState { stream, enabled } => {
                if stream.sender == self.us {
                    if enabled {
                        self.off.remove(&stream.stream);
                    } else {
                        self.off.insert(stream.stream);
                    }
                }
                if let Some(mixing) = &mut self.mixing {
                    mixing.set_enabled(stream, enabled);
                }
            }
            ToStage::Quit => {}
        }
    }

    fn set_role(&mut self, role: Role, us: SenderId) {
        self.us = us;
        self.mixing = None;
        let sending = match (self.config.topology, role) {
            (Topology::Mesh, _) => None,
            (_, Role::Host) => match Sending::new(&self.config) {
                Ok(sending) => Some(sending),
                Err(reason) => return self.warn(format!("we cannot host: {reason}")),
            },
            _ => return,
        };
        let stage = Stage::new(clock(), self.wall, self.config.stage());
        let mut mixing = Mixing { stage, sending };
        mixing.add_source(us);
        for &stream in &self.off {
            mixing.set_enabled(StreamKey { sender: us, stream }, false);
        }
        for &sender in self.peers.keys() {
            mixing.add_source(sender);
        }
        self.mixing = Some(mixing);
    }

    fn sending(&mut self) -> Option<&mut Sending> {
        self.mixing.as_mut()?.sending.as_mut()
    }

    fn forget(&mut self, sender: SenderId) {
        self.video.retain(|key, _| key.sender != sender);
        self.audio.retain(|key, _| key.sender != sender);
        self.missing.retain(|key, _| key.sender != sender);
        if let Some(Mixing { stage, sending }) = &mut self.mixing {
            stage.remove_source(clock(), sender);
            if let Some(sending) = sending {
                sending.mixes.remove(&sender);
            }
        }
    }

    fn decode_video(&mut self, key: StreamKey, due: Instant, frame: &EncodedFrame) {
        let stream = self.video.entry(key).or_default();
        match stream.decoder.decode(frame) {
            Ok(Some(picture)) => {
                self.counters.video_decoded.add(1);
                self.show(key, due, picture);
            }
            // The decoder keeps it and gives it with the next one.
            Ok(None) => self.counters.video_decoded.add(1),
            Err(error) => {
                self.counters.decode_errors.add(1);
                debug!(?key, %error, "a picture cannot be decoded");
                let now = clock();
                let again = stream.asked.is_none_or(|at| now - at > KEYFRAME_RETRY);
                if again && send(&self.driver, ToDriver::NeedsKeyframe(key)) {
                    stream.asked = Some(now);
                }
            }
        }
    }

    fn decode_audio(&mut self, key: StreamKey, due: Instant, frame: &EncodedFrame) {
        let missing = self.missing.remove(&key).unwrap_or(0);
        self.conceal(key, missing, Some(frame));
        let decoder = match self.audio.entry(key) {
            Entry::Occupied(entry) => Ok(entry.into_mut()),
            Entry::Vacant(entry) => audio_decoder(&frame.coding).map(|new| entry.insert(new)),
        };
        let decoded = decoder.and_then(|decoder| match decoder.decode(frame) {
            // He changed to another: so do we.
            Err(DecodeError::OtherCoding(_)) => {
                *decoder = audio_decoder(&frame.coding)?;
                decoder.decode(frame)
            }
            decoded => decoded,
        });
        match decoded {
            Ok(sound) => {
                self.counters.audio_decoded.add(1);
                self.play(key, due, sound, false);
            }
            Err(error) => {
                self.counters.decode_errors.add(1);
                debug!(?key, %error, "a frame of sound cannot be decoded");
                self.conceal(key, 1, None);
            }
        }
    }

    /// Sound that is missing is made up when the frame after it is there, which may
    /// know of it; a picture that is missing just stays.
    fn miss(&mut self, key: StreamKey, count: u64) {
        if self.audio.contains_key(&key) {
            let missing = self.missing.entry(key).or_default();
            *missing = missing.saturating_add(count);
        }
    }

    /// Makes up `count` frames of sound, the last of them before `next` if that came.
    fn conceal(&mut self, key: StreamKey, count: u64, next: Option<&EncodedFrame>) {
        let Some(decoder) = self.audio.get_mut(&key) else { return };
        let now = clock();
        let capture = self.wall.at(now);
        let time = MediaTime::new(0, Frequency::AUDIO);
        let count = count.min(MAX_CONCEALED);
        let make_up = |index| match next {
            Some(next) if index + 1 == count => decoder.recover(next, time, capture),
            _ => decoder.conceal(time, capture),
        };
        let sounds: Vec<_> = (0..count).map(make_up).collect();
        for sound in sounds {
            self.counters.concealed_ms.add(20);
            self.play(key, now, sound, true);
        }
    }

    /// A decoded picture goes on the stage, or to the program if it is the mix.
    fn show(&mut self, key: StreamKey, due: Instant, picture: VideoFrame) {
        if key.stream == StreamId::MIX_VIDEO {
            let now = clock();
            self.counters.shown.get_or_init(|| now);
            let ready = self.wall.at(now.max(due));
            self.events.push(Event::Picture(Picture { frame: picture, ready }));
        } else {
            self.see(key.sender, picture);
        }
    }

    fn play(&mut self, key: StreamKey, due: Instant, sound: AudioFrame, concealed: bool) {
        if key.stream == StreamId::MIX_AUDIO {
            let ready = self.wall.at(clock().max(due));
            self.events.push(Event::Sound(Sound { frame: sound, ready, concealed }));
        } else {
            self.hear(key.sender, sound);
        }
    }

    /// Of the mix, the program is told by its events alone.
    fn set_rate(&mut self, key: StreamKey, rate: PlayoutRate) {
        if let Some(mixing) = &mut self.mixing
            && key.stream == StreamId::AUDIO
        {
            // One that is not on the stage is counted by it.
            let _ = mixing.stage.set_playout_rate(clock(), key.sender, rate);
        }
    }

    fn see(&mut self, sender: SenderId, picture: VideoFrame) {
        if let Some(mixing) = &mut self.mixing {
            // Refusals are counted by the stage.
            let _ = mixing.stage.handle_video(clock(), sender, picture);
        }
    }

    fn hear(&mut self, sender: SenderId, sound: AudioFrame) {
        if let Some(mixing) = &mut self.mixing {
            let _ = mixing.stage.handle_audio(clock(), sender, sound);
        }
    }

    /// Lets the stage make what is due, and sends it off.
    fn turn(&mut self) {
        let Some(Mixing { stage, .. }) = &mut self.mixing else { return };
        stage.handle_timeout(clock());
        let outputs = Vec::from_iter(std::iter::from_fn(|| stage.poll_output()));
        for output in outputs {
            match output {
                StageOutput::Picture(picture) => self.send_picture(picture),
                StageOutput::Audio { for_peer, frame, seq_tick } => {
                    self.send_sound(for_peer, SeqNo::new(seq_tick), frame);
                }
                StageOutput::MixInfo(info) => self.to_driver(ToDriver::MixInfo(info)),
                _ => {}
            }
        }
    }

    fn send_picture(&mut self, picture: VideoFrame) {
        let now = clock();
        let ready = self.wall.at(now);
        self.events.push(Event::Picture(Picture { frame: picture.clone(), ready }));
        let sending = self.mixing.as_mut().and_then(|mixing| mixing.sending.as_mut());
        // In a mesh one's own picture alone is no call yet.
        if sending.is_some() || !self.video.is_empty() {
            self.counters.shown.get_or_init(|| now);
        }
        let Some(sending) = sending.filter(|_| !self.peers.is_empty()) else { return };
        match sending.encoder.encode(&picture) {
            Ok(Some(encoded)) => {
                self.counters.video_encoded.add(1);
                let frame = EncodedFrame {
                    stream: StreamId::MIX_VIDEO,
                    seq: sending.seq,
                    time: picture.time(),
                    capture: picture.capture(),
                    coding: encoded.coding,
                    data: encoded.data,
                };
                sending.seq = sending.seq.next();
                if !send(&self.driver, ToDriver::Encoded { to: None, frame }) {
                    self.counters.video_skipped.add(1);
                    sending.encoder.set_target(EncoderTarget { keyframe: true, bitrate: None });
                }
            }
            Ok(None) => self.counters.video_skipped.add(1),
            Err(error) => {
                self.counters.encode_errors.add(1);
                debug!(%error, "the mix cannot be encoded");
            }
        }
    }

    fn send_sound(&mut self, for_peer: SenderId, seq: SeqNo, sound: AudioFrame) {
        if for_peer == self.us {
            let ready = self.wall.at(clock());
            self.events.push(Event::Sound(Sound { frame: sound, ready, concealed: false }));
            return;
        }
        let Some(&peer) = self.peers.get(&for_peer) else { return };
        let Some(encoder) = self.sending().and_then(|sending| sending.mix(for_peer)) else {
            return;
        };
        match encoder.encode(&sound) {
            Ok(encoded) => {
                self.counters.audio_encoded.add(1);
                let frame = EncodedFrame {
                    stream: StreamId::MIX_AUDIO,
                    // The stage counts its ticks: the number is the same for all, and
                    // goes on when somebody comes back.
                    seq,
                    time: sound.time,
                    capture: sound.capture,
                    coding: encoded.coding,
                    data: encoded.data,
                };
                self.to_driver(ToDriver::Encoded { to: Some(peer), frame });
            }
            Err(error) => {
                self.counters.encode_errors.add(1);
                debug!(%error, "a mix of sound cannot be encoded");
            }
        }
    }

    fn to_driver(&self, message: ToDriver) {
        if !send(&self.driver, message) {
            self.counters.audio_overrun.add(1);
        }
    }

    fn warn(&self, text: String) {
        warn!(text);
        self.events.push(Event::Warning(text));
    }
}

/// Whether the driver takes it; it never waits.
fn send(driver: &mpsc::WeakSender<ToDriver>, message: ToDriver) -> bool {
    driver.upgrade().is_some_and(|driver| driver.try_send(message).is_ok())
}

impl Mixing {
    fn add_source(&mut self, sender: SenderId) {
        // `Config::max_peers` is one less than the stage has places.
        let _ = self.stage.add_source(clock(), sender);
    }

    fn set_enabled(&mut self, stream: StreamKey, enabled: bool) {
        let kind = if stream.stream == StreamId::AUDIO { Kind::Audio } else { Kind::Video };
        self.stage.set_enabled(clock(), stream.sender, kind, enabled);
    }
}

impl Sending {
    fn new(config: &Config) -> Result<Self, String> {
        Ok(Self {
            encoder: video_encoder(config, f64::from(config.mix_size().2))
                .map_err(|error| error.to_string())?,
            seq: SeqNo::default(),
            mixes: BTreeMap::new(),
        })
    }

    fn mix(&mut self, sender: SenderId) -> Option<&mut Box<dyn AudioEncoder>> {
        match self.mixes.entry(sender) {
            Entry::Occupied(entry) => Some(entry.into_mut()),
            Entry::Vacant(entry) => Some(entry.insert(audio_encoder().ok()?)),
        }
    }
}

/// How long a stuck decoder waits before it asks again: a keyframe may be on its
/// way, and the sender makes at most two a second.
const KEYFRAME_RETRY: Duration = Duration::from_millis(500);

/// Frames made up for one gap: 200 ms, after which concealment is silence anyway.
const MAX_CONCEALED: u64 = 10;
