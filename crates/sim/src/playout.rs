//! What is due is decoded; who hosts or stands by mixes, in a mesh everybody for himself.
//! The facade's stage thread, without the thread.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use paceline_codec::{
    AudioDecoder, AudioEncoder, DecodeError, EncoderTarget, PassThrough, Pcm, VideoDecoder,
    VideoEncoder,
};
use paceline_playout::{
    MixClock, Seam, SeamConfig, SeamOutput, SeamStats, SourceStats, Stage, StageConfig,
};
use paceline_session::{MIX_SENDER, MixerState, Role, StageOrder, Topology};
use paceline_types::{
    AudioFrame, EncodedFrame, Epoch, Frequency, MediaTime, MixInfo, PeerId, PlayoutRate, Rect,
    SenderId, SeqNo, StreamId, StreamKey, VideoFrame,
};

use crate::encoder::{Decoder, Encoder, hush, unhush};
use crate::mark::Mark;
use crate::mixing::{Made, Mixing};
use crate::senses::Senses;
use crate::{epoch, wall_clock};

/// What the session is to be told.
#[derive(Debug)]
pub(crate) enum FromStage {
    Encoded { to: Option<PeerId>, frame: EncodedFrame },
    MixInfo(MixInfo),
    Mixer(MixerState),
    Ready { epoch: Epoch, missing: Vec<SenderId> },
}

#[derive(Debug)]
pub(crate) struct Playout {
    config: StageConfig,
    topology: Topology,
    us: SenderId,
    peers: BTreeMap<SenderId, PeerId>,
    mixing: Option<Mixing>,
    /// We are to stand by, and know nothing of the host's clock yet.
    follows: bool,
    /// The host's clock, and the newest epoch of what was decoded of his mix.
    clock: MixClock,
    mix_epoch: Option<Epoch>,
    /// When the sound of the mix goes on: what is made up is of this time.
    mix_time: MediaTime,
    seam: Seam,
    sound: Pcm,
    /// Of the mix, and of what comes; none if pictures are as they are.
    encoder: Option<Encoder>,
    decoders: BTreeMap<StreamKey, Decoder>,
    /// Pictures that came and could not be shown for one before them that did not.
    pub(crate) broken: u64,
    /// Of pictures of others that came: when they were taken, and how old they were then.
    /// Only if they are to be recorded.
    pub(crate) transits: BTreeMap<SenderId, Vec<(Duration, Duration)>>,
    records: bool,
    pub(crate) senses: Senses,
    /// Frames that the session said are missing.
    pub(crate) lost: u64,
    /// Frames that could not be decoded.
    pub(crate) errors: u64,
}

impl Playout {
    pub(crate) fn new(
        config: StageConfig,
        topology: Topology,
        encoder: Option<Encoder>,
        records: bool,
    ) -> Self {
        Self {
            config,
            topology,
            us: SenderId::default(),
            peers: BTreeMap::new(),
            mixing: None,
            follows: false,
            clock: MixClock::new(),
            mix_epoch: None,
            mix_time: MediaTime::new(0, Frequency::AUDIO),
            seam: Seam::new(SeamConfig::default()),
            sound: Pcm::new(1).expect("one channel is a layout"),
            encoder,
            decoders: BTreeMap::new(),
            broken: 0,
            transits: BTreeMap::new(),
            records,
            senses: Senses::new(),
            lost: 0,
            errors: 0,
        }
    }

    /// We are in the room under this number.
    pub(crate) fn set_sender(&mut self, us: SenderId) {
        self.us = us;
        self.senses.us = us;
    }

    /// Where nobody is elected, a role is all there is to know.
    pub(crate) fn set_role(&mut self, now: Instant, role: Role) {
        if self.is_star() {
            return;
        }
        self.senses.forget_layouts();
        let mixes = role == Role::Host || self.topology == Topology::Mesh;
        self.mixing = mixes.then(|| {
            let mut mixing = self.mix_from(now, MediaTime::new(0, Frequency::AUDIO));
            mixing.host_for_ever();
            mixing
        });
        if mixes {
            self.seam.host(now, Epoch::default(), None);
        }
    }

    /// Does what the one who knows who hosts says.
    pub(crate) fn handle_order(&mut self, now: Instant, order: StageOrder) {
        self.follows = false;
        match order {
            StageOrder::Idle => {
                self.seam.follow(now);
                if self.mixing.as_mut().is_some_and(|mixing| mixing.end(now)) {
                    self.mixing = None;
                }
            }
            StageOrder::Follow => {
                self.seam.follow(now);
                self.follow(now);
            }
            StageOrder::Prepare { epoch, state } => {
                for numbering in &state.numbering {
                    let (stream, seq, time) = (numbering.stream, numbering.seq, numbering.time);
                    self.clock.handle_frame(now, stream, seq, time);
                }
                self.follow(now);
                if let Some(mixing) = &mut self.mixing {
                    mixing.prepare(now, epoch);
                }
            }
            StageOrder::Host { epoch, from } => {
                let at = self.clock.media_time(now);
                let at = at.unwrap_or(MediaTime::new(0, Frequency::AUDIO));
                let mut mixing = self.mixing.take().unwrap_or_else(|| self.mix_from(now, at));
                mixing.host(from);
                self.mixing = Some(mixing);
                self.seam.host(now, epoch, from);
                self.drain_seam();
            }
            StageOrder::Stop { .. } => {
                if let Some(mixing) = &mut self.mixing {
                    mixing.stop();
                }
                self.seam.stop(now);
            }
            _ => {}
        }
    }

    /// Mixes in the dark, as soon as it is known at which time.
    fn follow(&mut self, now: Instant) {
        if let Some(mixing) = &mut self.mixing {
            mixing.follow();
        } else if let Some(at) = self.clock.media_time(now) {
            self.mixing = Some(self.mix_from(now, at));
        } else {
            self.follows = true;
        }
    }

    fn mix_from(&self, now: Instant, at: MediaTime) -> Mixing {
        let mut stage = Stage::resume(now, wall_clock(), self.config.clone(), at);
        for &sender in [self.us].iter().chain(self.peers.keys()) {
            // A full stage counts it.
            let _ = stage.add_source(now, sender);
        }
        Mixing::new(stage, self.us)
    }

    pub(crate) fn handle_connected(&mut self, now: Instant, peer: PeerId, sender: SenderId) {
        self.peers.insert(sender, peer);
        if let Some(mixing) = &mut self.mixing {
            mixing.remove(now, sender);
            mixing.add(now, sender);
        }
    }

    pub(crate) fn handle_gone(&mut self, now: Instant, sender: SenderId) {
        if let Some(mixing) = &mut self.mixing {
            mixing.remove(now, sender);
        }
        self.peers.remove(&sender);
    }

    pub(crate) fn set_enabled(&mut self, now: Instant, stream: StreamKey, enabled: bool) {
        if let Some(mixing) = &mut self.mixing {
            mixing.set_enabled(now, stream, enabled);
        }
    }

    /// What a source is played with, if it is on our stage.
    pub(crate) fn set_rate(&mut self, now: Instant, stream: StreamKey, rate: PlayoutRate) {
        if let Some(mixing) = &mut self.mixing
            && stream.stream == StreamId::AUDIO
        {
            mixing.set_rate(now, stream.sender, rate);
        }
    }

    /// Decodes a frame that is due.
    pub(crate) fn decode(
        &mut self,
        now: Instant,
        key: StreamKey,
        due: Instant,
        frame: &EncodedFrame,
        (epoch, arrival): (Option<Epoch>, Instant),
    ) {
        let at = now.max(due);
        if let Some(epoch) = epoch.filter(|_| is_mix(key.stream)) {
            self.follow_clock(now, epoch, arrival, frame);
        }
        if frame.coding.is_audio() {
            let sound = match self.encoder {
                Some(_) => Ok(unhush(frame)),
                None => self.sound.decode(frame),
            };
            match sound {
                Ok(sound) => self.play(now, key, at, sound, epoch),
                Err(_) => {
                    self.errors += 1;
                    self.conceal(now, key, 1);
                }
            }
        } else {
            match self.decode_picture(key, frame) {
                Ok(Some(picture)) if key.stream == StreamId::MIX_VIDEO => {
                    let epoch = epoch.unwrap_or_default();
                    self.seam.handle_remote_picture(now, epoch, at, picture);
                    self.drain_seam();
                }
                Ok(Some(picture)) => {
                    self.handle_transit(key.sender, arrival, &picture);
                    self.show(now, key.sender, picture);
                }
                Ok(None) => {}
                Err(_) => self.errors += 1,
            }
        }
    }

    fn handle_transit(&mut self, sender: SenderId, arrival: Instant, picture: &VideoFrame) {
        if !self.records {
            return;
        }
        let whole = Rect { x: 0, y: 0, width: picture.width(), height: picture.height() };
        if let Some(Mark { capture, .. }) = Mark::read(picture, whole) {
            let age = arrival.saturating_duration_since(epoch() + capture);
            self.transits.entry(sender).or_default().push((capture, age));
        }
    }

    fn decode_picture(
        &mut self,
        key: StreamKey,
        frame: &EncodedFrame,
    ) -> Result<Option<VideoFrame>, DecodeError> {
        if self.encoder.is_none() {
            return PassThrough.decode(frame);
        }
        let picture = self.decoders.entry(key).or_default().decode(frame);
        self.broken += u64::from(picture.is_none());
        Ok(picture)
    }

    pub(crate) fn steer(&mut self, target: EncoderTarget) {
        if let Some(encoder) = &mut self.encoder {
            encoder.set_target(target);
        }
    }

    /// The same sound of two hosts: it fades from the one to the other.
    pub(crate) fn crossfade(
        &mut self,
        now: Instant,
        due: Instant,
        (old, new): (&EncodedFrame, &EncodedFrame),
        epoch: Epoch,
    ) {
        self.follow_clock(now, epoch, now, new);
        if self.encoder.is_some() {
            return self.play(
                now,
                StreamKey { sender: MIX_SENDER, stream: StreamId::MIX_AUDIO },
                now.max(due),
                unhush(new),
                Some(epoch),
            );
        }
        match (self.sound.decode(old), self.sound.decode(new)) {
            (Ok(old), Ok(new)) => {
                self.mix_time = new.time;
                self.seam.handle_overlap(now, epoch, now.max(due), &old, new);
                self.drain_seam();
            }
            _ => self.errors += 1,
        }
    }

    /// Takes note of where the host's mix stands.
    fn follow_clock(&mut self, now: Instant, epoch: Epoch, arrival: Instant, frame: &EncodedFrame) {
        if self.mix_epoch.is_some_and(|newest| epoch < newest) {
            // The end of what the host before has to say.
            return;
        }
        if self.mix_epoch != Some(epoch) {
            self.mix_epoch = Some(epoch);
            self.clock.restart();
        }
        self.clock.handle_frame(arrival, frame.stream, frame.seq, frame.time);
        if std::mem::take(&mut self.follows) {
            self.follow(now);
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
            let time = MediaTime::new(self.mix_time.ticks() + 960, Frequency::AUDIO);
            let sound = self.sound.conceal(time, wall_clock().at(now));
            self.senses.concealed += u64::from(key.stream == StreamId::MIX_AUDIO);
            self.play(now, key, now, sound, self.mix_epoch);
        }
    }

    fn play(
        &mut self,
        now: Instant,
        key: StreamKey,
        at: Instant,
        sound: AudioFrame,
        epoch: Option<Epoch>,
    ) {
        if key.stream == StreamId::MIX_AUDIO {
            self.mix_time = sound.time;
            self.seam.handle_remote_sound(now, epoch.unwrap_or_default(), at, sound);
            self.drain_seam();
        } else {
            self.say(now, key.sender, sound);
        }
    }

    pub(crate) fn source_stats(&self, sender: SenderId) -> Option<SourceStats> {
        self.mixing.as_ref()?.source_stats(sender)
    }

    pub(crate) fn seam_stats(&self) -> SeamStats {
        self.seam.stats()
    }

    pub(crate) fn is_star(&self) -> bool {
        self.topology == Topology::Star
    }

    /// Whether our own frames go on a stage of ours.
    pub(crate) fn mixes(&self) -> bool {
        self.mixing.is_some()
    }

    /// Whether our own frames go to others as they are: not those of who has nobody mix
    /// them but himself.
    pub(crate) fn sends_own(&self) -> bool {
        self.topology != Topology::Broadcast || !self.mixes()
    }

    /// Puts a picture on the stage, ours or another's.
    fn show(&mut self, now: Instant, sender: SenderId, picture: VideoFrame) {
        if let Some(mixing) = &mut self.mixing {
            mixing.show(now, sender, picture);
        }
    }

    /// Puts a sound on the stage, ours or another's.
    fn say(&mut self, now: Instant, sender: SenderId, sound: AudioFrame) {
        if let Some(mixing) = &mut self.mixing {
            mixing.say(now, sender, sound);
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
        let mut to_send = Vec::new();
        if self.mixing.as_ref().is_some_and(|mixing| mixing.is_over(now)) {
            self.mixing = None;
        }
        if let Some(mut mixing) = self.mixing.take() {
            mixing.handle_timeout(now, &mut self.clock);
            while let Some(made) = mixing.poll_output() {
                self.handle_made(now, made, &mut to_send);
            }
            self.mixing = Some(mixing);
        }
        self.seam.handle_timeout(now);
        self.drain_seam();
        to_send
    }

    fn handle_made(&mut self, now: Instant, made: Made, to_send: &mut Vec<FromStage>) {
        let sends = self.topology != Topology::Mesh;
        match made {
            Made::Sound { for_peer, frame, .. } if for_peer == self.us => {
                self.seam.handle_own_sound(now, frame);
            }
            Made::Sound { for_peer, frame, number: Some(mut number) } if sends => {
                if let Some(&peer) = self.peers.get(&for_peer) {
                    let stream = StreamId::MIX_AUDIO;
                    let frame = match self.encoder {
                        Some(_) => hush(stream, &mut number, &frame),
                        None => encode_sound(&mut self.sound, stream, &mut number, &frame),
                    };
                    to_send.push(FromStage::Encoded { to: Some(peer), frame });
                }
            }
            Made::Sound { .. } => {}
            Made::Picture { frame, number } => {
                if let Some(mut number) = number.filter(|_| sends && !self.peers.is_empty()) {
                    let stream = StreamId::MIX_VIDEO;
                    let frame = encode_picture(&mut self.encoder, stream, &mut number, &frame);
                    to_send.push(FromStage::Encoded { to: None, frame });
                }
                self.seam.handle_own_picture(now, frame);
            }
            Made::Info { info, counts } => {
                if counts {
                    self.senses.handle_mix_info(info.clone());
                    if sends {
                        to_send.push(FromStage::MixInfo(info));
                    }
                }
            }
            Made::State(state) => to_send.push(FromStage::Mixer(state)),
            Made::Ready { epoch, missing } => to_send.push(FromStage::Ready { epoch, missing }),
        }
    }

    /// What is to be shown and heard is.
    fn drain_seam(&mut self) {
        while let Some(output) = self.seam.poll_output() {
            match output {
                SeamOutput::Picture { at, epoch, frame, .. } => {
                    self.senses.see(at, &frame, epoch);
                }
                SeamOutput::Sound { at, epoch, frame, .. } => self.senses.hear(at, &frame, epoch),
                _ => {}
            }
        }
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let mixing = self.mixing.as_ref().and_then(Mixing::poll_timeout);
        [mixing, self.seam.poll_timeout()].into_iter().flatten().min()
    }
}

fn is_mix(stream: StreamId) -> bool {
    matches!(stream, StreamId::MIX_AUDIO | StreamId::MIX_VIDEO)
}

/// The picture as a frame of `stream`, with the next number.
pub(crate) fn encode_picture(
    encoder: &mut Option<Encoder>,
    stream: StreamId,
    seq: &mut SeqNo,
    picture: &VideoFrame,
) -> EncodedFrame {
    if let Some(encoder) = encoder {
        return encoder.encode(stream, seq, picture);
    }
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
