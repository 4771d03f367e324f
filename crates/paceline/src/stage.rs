//! The stage thread: decodes what is due, mixes if we host or stand by, encodes the mix, and
//! hands pictures and sound to the program. In a mesh it mixes for the program alone.

mod decoders;
mod duty;
mod front;
mod mixing;
mod orders;
mod turn;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use paceline_playout::MixClock;
use paceline_session::Topology;
use paceline_types::{
    AudioFrame, Bitrate, EncodedFrame, Epoch, PeerId, PlayoutRate, SenderId, StreamId, StreamKey,
    VideoFrame, WallClock,
};
use tokio::sync::mpsc;
use tracing::warn;

use self::decoders::{Decoded, Decoders, Heard, is_mix};
use self::duty::Duty;
use self::front::Front;
use self::mixing::Mixing;
use crate::Config;
use crate::counters::Counters;
use crate::driver::clock;
use crate::event::{Event, EventQueue};
use crate::outlet::Outlet;
use crate::wire::{StageReceiver, Switches, ToDriver, ToStage};

/// What the stage thread works with.
#[derive(Debug)]
pub(crate) struct Surroundings {
    pub(crate) config: Config,
    pub(crate) wall: WallClock,
    /// Weak: a room that is dropped is left, whatever its threads do.
    pub(crate) driver: mpsc::WeakSender<ToDriver>,
    pub(crate) events: EventQueue,
    pub(crate) counters: Arc<Counters>,
    pub(crate) switches: Switches,
    pub(crate) outlet: Outlet,
    pub(crate) us: SenderId,
}

/// The state of the stage thread.
#[derive(Debug)]
pub(crate) struct StageLoop {
    here: Surroundings,
    peers: BTreeMap<SenderId, PeerId>,
    decoders: Decoders,
    duty: Duty,
    mixing: Option<Mixing>,
    /// Where the host's mix is, by what comes of it.
    clock: MixClock,
    /// The newest epoch of what came of it.
    followed: Option<Epoch>,
    /// What the program gets.
    front: Front,
    /// Streams, ours and others', that are switched off.
    off: BTreeSet<StreamKey>,
    /// What the paths take of the mix, if they have said.
    bitrate: Option<Bitrate>,
}

impl StageLoop {
    pub(crate) fn new(here: Surroundings) -> Self {
        Self {
            peers: BTreeMap::new(),
            decoders: Decoders::new(Arc::clone(&here.counters)),
            duty: Duty::default(),
            mixing: None,
            clock: MixClock::new(),
            followed: None,
            front: Front::new(&here),
            off: BTreeSet::new(),
            bitrate: None,
            here,
        }
    }

    /// Runs until it is told to quit, or nobody is left to tell it.
    pub(crate) fn run(mut self, inputs: &StageReceiver) {
        if self.here.config.topology == Topology::Mesh {
            self.mix_for_ourselves();
        }
        loop {
            let stage = self.mixing.as_ref().and_then(|mixing| mixing.stage.poll_timeout());
            let deadline = [stage, self.front.poll_timeout()].into_iter().flatten().min();
            let wait = deadline.map(|at| at.saturating_duration_since(clock()));
            let Some(messages) = inputs.receive(wait) else { return };
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
                    mixing.add_source(clock(), sender);
                }
            }
            ToStage::Gone { sender } => {
                self.forget(sender);
                self.peers.remove(&sender);
                self.off.retain(|stream| stream.sender != sender);
            }
            ToStage::Crossfade { stream, due, arrival, old, new, epoch } => {
                self.follow(stream, arrival, Some(epoch), &new);
                let capture = self.here.wall.at(clock());
                let sounds = self.decoders.crossfade(stream, (&old, &new), epoch, capture);
                self.play(stream, due, Some(epoch), sounds);
            }
            // Members send their own for a while to who mixed it, though he does not any more.
            ToStage::Decode { stream, .. } if self.mixing.is_none() && !is_mix(stream) => {}
            ToStage::Decode { stream, due, arrival, frame, epoch } => {
                self.follow(stream, arrival, epoch, &frame);
                if frame.coding.is_audio() {
                    self.decode_sound(stream, due, &frame, epoch);
                } else {
                    self.decode_picture(stream, due, &frame, epoch);
                }
            }
            ToStage::Lost { stream, count } => self.decoders.miss(stream, count),
            ToStage::LocalAudio(frame) => self.hear(self.here.us, frame),
            ToStage::LocalVideo(frame) => self.see(self.here.us, frame),
            ToStage::OneWay(delay) => self.clock.set_one_way(delay),
            ToStage::Order(order) => self.obey(order),
            ToStage::Rate { stream, rate } => self.set_rate(stream, rate),
            ToStage::Steer(target) => {
                self.bitrate = target.bitrate.or(self.bitrate);
                if let Some(sending) = self.sending() {
                    sending.set_target(target);
                }
            }
            ToStage::TrackState { stream, enabled } => {
                if enabled {
                    self.off.remove(&stream);
                } else if stream.sender == self.here.us || self.peers.contains_key(&stream.sender) {
                    self.off.insert(stream);
                }
                if let Some(mixing) = &mut self.mixing {
                    mixing.set_enabled(clock(), stream, enabled);
                }
            }
            ToStage::Quit => {}
        }
    }

    fn forget(&mut self, sender: SenderId) {
        self.decoders.forget(sender);
        if let Some(mixing) = &mut self.mixing {
            mixing.remove_source(clock(), sender);
        }
    }

    fn decode_picture(
        &mut self,
        key: StreamKey,
        due: Instant,
        frame: &EncodedFrame,
        epoch: Option<Epoch>,
    ) {
        let now = clock();
        match self.decoders.picture(now, key, frame) {
            Ok(Some(picture)) if is_mix(key) => {
                self.front.show_theirs(now, due, epoch.unwrap_or_default(), picture);
            }
            Ok(Some(picture)) => self.see(key.sender, picture),
            Ok(None) | Err(false) => {}
            Err(true) => {
                if self.to_driver(ToDriver::NeedsKeyframe(key)) {
                    self.decoders.note_asked(now, key);
                }
            }
        }
    }

    fn decode_sound(
        &mut self,
        key: StreamKey,
        due: Instant,
        frame: &EncodedFrame,
        epoch: Option<Epoch>,
    ) {
        let capture = self.here.wall.at(clock());
        let sounds = self.decoders.sound(key, frame, epoch, capture);
        self.play(key, due, epoch, sounds);
    }

    /// Decoded sound goes on the stage, or to the program if it is the mix.
    fn play(&mut self, key: StreamKey, due: Instant, epoch: Option<Epoch>, sounds: Vec<Decoded>) {
        for sound in sounds {
            if is_mix(key) {
                self.front.play_theirs(clock(), due, epoch.unwrap_or_default(), sound);
            } else if let Heard::One(frame) = sound.heard {
                self.hear(key.sender, frame);
            }
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
            if let Duty::Prepare(preparation) = &mut self.duty {
                preparation.note_seen(sender);
            }
        }
    }

    fn hear(&mut self, sender: SenderId, sound: AudioFrame) {
        if let Some(mixing) = &mut self.mixing {
            let _ = mixing.stage.handle_audio(clock(), sender, sound);
        }
    }

    /// Whether the driver takes it; it never waits.
    fn to_driver(&self, message: ToDriver) -> bool {
        let driver = self.here.driver.upgrade();
        driver.is_some_and(|driver| driver.try_send(message).is_ok())
    }

    fn warn(&self, text: String) {
        warn!(text);
        self.here.events.push(Event::Warning(text));
    }
}

/// How long a stuck decoder waits before it asks again: a keyframe may be on its
/// way, and the sender makes at most two a second.
const KEYFRAME_RETRY: Duration = Duration::from_millis(500);
