//! What the stage thread does when another comes to host, or we do.

use std::sync::Arc;
use std::time::{Duration, Instant};

use paceline_playout::Stage;
use paceline_session::{MixerState, StageOrder};
use paceline_types::{
    EncodedFrame, EncoderTarget, Epoch, Frequency, MediaTime, StreamId, StreamKey,
};

use super::StageLoop;
use super::decoders::is_mix;
use super::duty::{Duty, Preparation};
use super::mixing::{Mixing, Sending};
use crate::driver::clock;
use crate::wire::ToDriver;

impl StageLoop {
    /// Begins to do something else with the mix of the room.
    pub(super) fn obey(&mut self, order: StageOrder) {
        let now = clock();
        let switches = self.here.switches.clone();
        match order {
            StageOrder::Idle => {
                self.duty = Duty::Rest;
                switches.set_shows_own(false);
                self.front.follow(now);
                self.rest(now);
            }
            StageOrder::Follow => {
                self.duty = Duty::Follow;
                self.stop_sending();
                switches.set_mixes(true, false);
                switches.set_shows_own(false);
                self.front.follow(now);
                self.take_stand(now);
            }
            StageOrder::Prepare { epoch, state } => {
                let mut preparation = Preparation::new(now, epoch, state.tiles.clone());
                // Whose picture is switched off has none to wait for.
                for &sender in &state.tiles {
                    if self.off.contains(&StreamKey { sender, stream: StreamId::VIDEO }) {
                        preparation.note_seen(sender);
                    }
                }
                self.duty = Duty::Prepare(preparation);
                self.note_numbering(now, &state);
                switches.set_mixes(true, true);
                self.take_stand(now);
                if let Some(sending) = self.sending() {
                    sending.want_keyframe();
                }
            }
            StageOrder::Host { epoch, from } => {
                self.duty = Duty::Host { epoch, from };
                self.stop_sending();
                switches.set_mixes(true, true);
                let at = self.clock.media_time(now).unwrap_or(START);
                self.take_stand_at(now, at);
                self.front.host(now, epoch, from);
            }
            StageOrder::Stop { at } => {
                let Duty::Host { epoch, .. } = self.duty else { return };
                self.duty = Duty::Stop { epoch, at };
                switches.set_shows_own(false);
                self.front.stop(now, epoch);
            }
            _ => {}
        }
    }

    /// Takes the stage down if nobody needs it, not even we ourselves until the next host's
    /// mix is heard.
    pub(super) fn rest(&mut self, now: Instant) {
        let is_needed = !matches!(self.duty, Duty::Rest) || self.front.is_leaving(now);
        if !is_needed && self.mixing.take().is_some() {
            self.decoders.forget_members();
            self.here.switches.set_mixes(false, false);
        }
    }

    /// In a mesh everybody mixes for himself, from the start.
    pub(super) fn mix_for_ourselves(&mut self) {
        let now = clock();
        self.duty = Duty::Own;
        self.here.switches.set_mixes(true, true);
        let stage = Stage::new(now, self.here.wall, self.here.config.stage());
        self.mixing = Some(Mixing { stage, sending: None });
        self.people_the_stage(now);
    }

    /// Looks where the mix of whoever hosts is.
    pub(super) fn follow(
        &mut self,
        key: StreamKey,
        arrival: Instant,
        epoch: Option<Epoch>,
        frame: &EncodedFrame,
    ) {
        // The end of what the host before says is of another clock.
        if is_mix(key) && epoch >= self.followed {
            if epoch > self.followed {
                self.followed = epoch;
                self.clock.restart();
            }
            self.clock.handle_frame(arrival, frame.stream, frame.seq, frame.time);
            self.take_stand(clock());
        }
    }

    fn note_numbering(&mut self, now: Instant, state: &MixerState) {
        for numbering in &state.numbering {
            self.clock.handle_frame(now, numbering.stream, numbering.seq, numbering.time);
        }
    }

    /// Brings the stage to where the host's is, if one is wanted and that is known.
    fn take_stand(&mut self, now: Instant) {
        let is_dark = matches!(self.duty, Duty::Follow | Duty::Prepare(_));
        if is_dark && let Some(at) = self.clock.media_time(now) {
            // Nobody hears it: it may move.
            let is_far = |mixing: &mut Mixing| mixing.stage.steer(now, at) > TOO_FAR;
            if self.mixing.as_mut().is_none_or(is_far) {
                self.mixing = None;
                self.take_stand_at(now, at);
            }
        }
    }

    /// Has a stage, which begins at this media time if there is none yet.
    fn take_stand_at(&mut self, now: Instant, at: MediaTime) {
        if self.mixing.is_some() {
            return;
        }
        let (counters, switches) = (Arc::clone(&self.here.counters), self.here.switches.clone());
        let mut sending = match Sending::new(&self.here.config, counters, switches) {
            Ok(sending) => sending,
            Err(error) => {
                // Not to be tried, and told, with each frame.
                self.duty = Duty::Rest;
                return self.warn(format!("we cannot host: {error}"));
            }
        };
        if let Some(bitrate) = self.bitrate {
            sending.set_target(EncoderTarget { keyframe: false, bitrate: Some(bitrate) });
        }
        let stage = Stage::resume(now, self.here.wall, self.here.config.stage(), at);
        self.mixing = Some(Mixing { stage, sending: Some(sending) });
        self.people_the_stage(now);
    }

    /// Puts everybody on the stage.
    fn people_the_stage(&mut self, now: Instant) {
        let Some(mixing) = &mut self.mixing else { return };
        mixing.add_source(now, self.here.us);
        for &sender in self.peers.keys() {
            mixing.add_source(now, sender);
        }
        for &stream in &self.off {
            mixing.set_enabled(now, stream, false);
        }
    }

    pub(super) fn sending(&mut self) -> Option<&mut Sending> {
        self.mixing.as_mut()?.sending.as_mut()
    }

    fn stop_sending(&mut self) {
        if let Some(sending) = self.sending() {
            sending.end();
        }
    }

    /// Tells the driver once we are ready to take over.
    pub(super) fn tell_ready(&mut self, now: Instant) {
        let Self { duty: Duty::Prepare(preparation), here, peers, .. } = self else { return };
        let is_here = |sender| sender == here.us || peers.contains_key(&sender);
        if let Some((epoch, missing)) = preparation.poll_ready(now, is_here) {
            // A driver that is too busy for it is too busy to host.
            let _ = self.to_driver(ToDriver::StageReady { epoch, missing });
        }
    }
}

/// By how much a stage may be off and still be steered back, by 5 ms at a time: that takes
/// four seconds, in which nobody hears it.
const TOO_FAR: Duration = Duration::from_secs(1);

/// Where the mix of a room begins.
const START: MediaTime = MediaTime::new(0, Frequency::AUDIO);
