//! What is due is decoded; the host mixes, in a mesh everybody for himself. The facade's stage thread, without the
//! thread.

use std::collections::BTreeMap;
use std::time::Instant;

use paceline_codec::{AudioDecoder, AudioEncoder, PassThrough, Pcm, VideoDecoder, VideoEncoder};
use paceline_playout::{Kind, SourceStats, Stage, StageConfig, StageOutput};
use paceline_session::{Role, Topology};
use paceline_types::{
    AudioFrame, EncodedFrame, Frequency, MediaTime, MixInfo, PeerId, PlayoutRate, SenderId, SeqNo,
    StreamId, StreamKey, VideoFrame,
};

use crate::senses::Senses;
use crate::wall_clock;

/// What the session is to send.
#[derive(Debug)]
pub(crate) enum FromStage {
    Encoded { to: Option<PeerId>, frame: EncodedFrame },
    MixInfo(MixInfo),
}

#[derive(Debug)]
pub(crate) struct Playout {
    config: StageConfig,
    topology: Topology,
    us: SenderId,
    peers: BTreeMap<SenderId, PeerId>,
    mixing: Option<Mixing>,
    sound: Pcm,
    pub(crate) senses: Senses,
    /// Frames that the session said are missing.
    pub(crate) lost: u64,
    /// Frames that could not be decoded.
    pub(crate) errors: u64,
}

/// What there is only while we mix.
#[derive(Debug)]
struct Mixing {
    stage: Stage,
    pictures: SeqNo,
    /// By receiver.
    sounds: BTreeMap<SenderId, SeqNo>,
}

impl Playout {
    pub(crate) fn new(config: StageConfig, topology: Topology) -> Self {
        Self {
            config,
            topology,
            us: SenderId::default(),
            peers: BTreeMap::new(),
            mixing: None,
            sound: Pcm::new(1).expect("one channel is a layout"),
            senses: Senses::new(),
            lost: 0,
            errors: 0,
        }
    }

    pub(crate) fn set_role(&mut self, now: Instant, role: Role, us: SenderId) {
        self.us = us;
        self.senses.forget_layouts();
        let mixes = role == Role::Host || self.topology == Topology::Mesh;
        self.mixing = mixes.then(|| {
            let mut stage = Stage::new(now, wall_clock(), self.config.clone());
            for &sender in [us].iter().chain(self.peers.keys()) {
                // A full stage counts it.
                let _ = stage.add_source(now, sender);
            }
            Mixing { stage, pictures: SeqNo::default(), sounds: BTreeMap::new() }
        });
    }

    pub(crate) fn handle_connected(&mut self, now: Instant, peer: PeerId, sender: SenderId) {
        self.forget(now, sender);
        self.peers.insert(sender, peer);
        if let Some(Mixing { stage, .. }) = &mut self.mixing {
            let _ = stage.add_source(now, sender);
        }
    }

    pub(crate) fn handle_gone(&mut self, now: Instant, sender: SenderId) {
        self.forget(now, sender);
        self.peers.remove(&sender);
    }

    fn forget(&mut self, now: Instant, sender: SenderId) {
        if let Some(Mixing { stage, sounds, .. }) = &mut self.mixing {
            stage.remove_source(now, sender);
            sounds.remove(&sender);
        }
    }

    pub(crate) fn set_enabled(&mut self, now: Instant, stream: StreamKey, enabled: bool) {
        let kind = if stream.stream == StreamId::AUDIO { Kind::Audio } else { Kind::Video };
        if let Some(Mixing { stage, .. }) = &mut self.mixing {
            stage.set_enabled(now, stream.sender, kind, enabled);
        }
    }

    /// What a source is played with, if it is on our stage.
    pub(crate) fn set_rate(&mut self, now: Instant, stream: StreamKey, rate: PlayoutRate) {
        if let Some(Mixing { stage, .. }) = &mut self.mixing
            && stream.stream == StreamId::AUDIO
        {
            // A full stage counts who is not on it.
            let _ = stage.set_playout_rate(now, stream.sender, rate);
        }
    }

    /// Decodes a frame that is due.
    pub(crate) fn decode(
        &mut self,
        now: Instant,
        key: StreamKey,
        due: Instant,
        frame: &EncodedFrame,
    ) {
        let at = now.max(due);
        if frame.coding.is_audio() {
            match self.sound.decode(frame) {
                Ok(sound) => self.play(now, key, at, sound, false),
                Err(_) => {
                    self.errors += 1;
                    self.conceal(now, key, 1);
                }
            }
        } else {
            match PassThrough.decode(frame) {
                Ok(Some(picture)) if key.stream == StreamId::MIX_VIDEO => {
                    self.senses.see(at, &picture);
                }
                Ok(Some(picture)) => self.show(now, key.sender, picture),
                Ok(None) => {}
                Err(_) => self.errors += 1,
            }
        }
    }

    /// Sound that is missing is made up; a picture that is missing just stays.
    pub(crate) fn handle_lost(&mut self, now: Instant, key: StreamKey, count: u64) {
        self.lost += count;
        if matches!(key.stream, StreamId::AUDIO | StreamId::MIX_AUDIO) {
            self.conceal(now, key, count.min(MAX_CONCEALED));
        }
    }

    fn conceal(&mut self, now: Instant, key: StreamKey, count: u64) {
        for _ in 0..count {
            let time = MediaTime::new(0, Frequency::AUDIO);
            let sound = self.sound.conceal(time, wall_clock().at(now));
            self.play(now, key, now, sound, true);
        }
    }

    fn play(
        &mut self,
        now: Instant,
        key: StreamKey,
        at: Instant,
        sound: AudioFrame,
        concealed: bool,
    ) {
        if key.stream == StreamId::MIX_AUDIO {
            self.senses.hear(at, &sound, concealed);
        } else {
            self.say(now, key.sender, sound);
        }
    }

    pub(crate) fn source_stats(&self, sender: SenderId) -> Option<SourceStats> {
        self.mixing.as_ref()?.stage.source_stats(sender)
    }

    pub(crate) fn is_hosting(&self) -> bool {
        self.mixes() && self.topology != Topology::Mesh
    }

    /// Whether our own frames go on a stage of ours.
    pub(crate) fn mixes(&self) -> bool {
        self.mixing.is_some()
    }

    /// Puts a picture on the stage, ours or another's.
    fn show(&mut self, now: Instant, sender: SenderId, picture: VideoFrame) {
        if let Some(Mixing { stage, .. }) = &mut self.mixing {
            // Refusals are counted by the stage.
            let _ = stage.handle_video(now, sender, picture);
        }
    }

    /// Puts a sound on the stage, ours or another's.
    fn say(&mut self, now: Instant, sender: SenderId, sound: AudioFrame) {
        if let Some(Mixing { stage, .. }) = &mut self.mixing {
            let _ = stage.handle_audio(now, sender, sound);
        }
    }

    pub(crate) fn show_own(&mut self, now: Instant, picture: VideoFrame) {
        self.show(now, self.us, picture);
    }

    pub(crate) fn say_own(&mut self, now: Instant, sound: AudioFrame) {
        self.say(now, self.us, sound);
    }

    /// Lets the stage make what is due. We see and hear our part; the rest is to
    /// be sent.
    pub(crate) fn handle_timeout(&mut self, now: Instant) -> Vec<FromStage> {
        let is_hosting = self.is_hosting();
        let Some(mixing) = &mut self.mixing else { return Vec::new() };
        mixing.stage.handle_timeout(now);
        let mut to_send = Vec::new();
        let mut shown = Vec::new();
        while let Some(output) = mixing.stage.poll_output() {
            match output {
                StageOutput::Audio { for_peer, frame, .. } if for_peer == self.us => {
                    self.senses.hear(now, &frame, false);
                }
                StageOutput::Audio { for_peer, frame, .. } if is_hosting => {
                    if let Some(&peer) = self.peers.get(&for_peer) {
                        let seq = mixing.sounds.entry(for_peer).or_default();
                        let frame = encode_sound(&mut self.sound, StreamId::MIX_AUDIO, seq, &frame);
                        to_send.push(FromStage::Encoded { to: Some(peer), frame });
                    }
                }
                StageOutput::MixInfo(info) => {
                    self.senses.handle_mix_info(info.clone());
                    if is_hosting {
                        to_send.push(FromStage::MixInfo(info));
                    }
                }
                StageOutput::Picture(picture) => {
                    if is_hosting && !self.peers.is_empty() {
                        let seq = &mut mixing.pictures;
                        let frame = encode_picture(StreamId::MIX_VIDEO, seq, &picture);
                        to_send.push(FromStage::Encoded { to: None, frame });
                    }
                    shown.push(picture);
                }
                _ => {}
            }
        }
        // What is where in a picture is told after it.
        for picture in shown {
            self.senses.see(now, &picture);
        }
        to_send
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.mixing.as_ref()?.stage.poll_timeout()
    }
}

/// The picture as a frame of `stream`, with the next number.
pub(crate) fn encode_picture(
    stream: StreamId,
    seq: &mut SeqNo,
    picture: &VideoFrame,
) -> EncodedFrame {
    let encoded =
        PassThrough.encode(picture).ok().flatten().expect("nothing is refused or skipped");
    let frame = EncodedFrame {
        stream,
        seq: *seq,
        time: picture.time(),
        capture: picture.capture(),
        coding: encoded.coding,
        data: encoded.data,
    };
    *seq = seq.next();
    frame
}

/// The sound as a frame of `stream`, with the next number.
pub(crate) fn encode_sound(
    encoder: &mut Pcm,
    stream: StreamId,
    seq: &mut SeqNo,
    sound: &AudioFrame,
) -> EncodedFrame {
    let encoded = AudioEncoder::encode(encoder, sound).expect("20 ms of one channel fit");
    let frame = EncodedFrame {
        stream,
        seq: *seq,
        time: sound.time,
        capture: sound.capture,
        coding: encoded.coding,
        data: encoded.data,
    };
    *seq = seq.next();
    frame
}

/// As in the facade: 200 ms for one gap.
const MAX_CONCEALED: u64 = 10;
