//! What the stage makes when it is due, and where that goes.

use std::time::Instant;

use paceline_playout::StageOutput;
use paceline_types::{AudioFrame, MixInfo, SenderId, SeqNo, VideoFrame};

use super::StageLoop;
use super::duty::{Duty, Part};
use crate::driver::clock;
use crate::wire::ToDriver;

impl StageLoop {
    /// Lets the stage make what is due, and sends it off.
    pub(super) fn turn(&mut self) {
        let now = clock();
        if let Some(mixing) = &mut self.mixing {
            mixing.stage.handle_timeout(now);
            let stage = &mut mixing.stage;
            let outputs = Vec::from_iter(std::iter::from_fn(|| stage.poll_output()));
            for output in outputs {
                match output {
                    StageOutput::Picture(picture) => self.handle_picture(now, picture),
                    StageOutput::Audio { for_peer, frame, is_shared, seq_tick } => {
                        let seq = SeqNo::new(seq_tick);
                        self.handle_sound(now, for_peer, is_shared, seq, frame);
                    }
                    StageOutput::MixInfo(info) => self.handle_info(info),
                    _ => {}
                }
            }
            self.tell_ready(now);
        }
        self.front.turn(now);
        self.rest(now);
    }

    fn handle_picture(&mut self, now: Instant, picture: VideoFrame) {
        let time = picture.time();
        let shown = self.duty.shows(Part::Picture, time);
        // In a mesh one's own picture alone is no call yet.
        if shown.is_some() && (!matches!(self.duty, Duty::Own) || self.decoders.has_pictures()) {
            self.here.counters.shown.get_or_init(|| now);
        }
        if matches!(self.duty, Duty::Own) {
            return self.front.show_alone(now, picture);
        }
        if !self.duty.composes() {
            return;
        }
        self.front.show_ours(now, picture.clone());
        let rate = self.here.config.mix_size().2;
        let is_host = matches!(self.duty, Duty::Host { .. });
        let Self { mixing: Some(mixing), clock, peers, .. } = self else { return };
        let Some(sending) = &mut mixing.sending else { return };
        if shown.is_some() && is_host && !sending.has_begun() {
            // What the host before sent ends here.
            let seq = match self.duty {
                Duty::Host { from: Some(_), .. } => clock.number_after_handover(time, rate),
                _ => clock.number_after_crash(time),
            };
            sending.begin(seq);
            self.here.switches.set_shows_own(true);
        }
        if peers.is_empty() || shown.is_none() && matches!(self.duty, Duty::Stop { .. }) {
            return;
        }
        // One in the dark shows that we can; the rest would only cost.
        if matches!(&self.duty, Duty::Prepare(preparation) if preparation.has_keyframe()) {
            return;
        }
        let Some(frame) = sending.picture(&picture) else { return };
        if let Duty::Prepare(preparation) = &mut self.duty
            && frame.coding.is_key()
        {
            preparation.note_keyframe();
            sending.start_afresh(&self.here.config);
        }
        if shown.is_none() {
            return;
        }
        // Whoever hosts after us goes on from here; so do we, if we come to host again.
        clock.handle_frame(now, frame.stream, frame.seq, frame.time);
        let state =
            sending.state(std::iter::once(self.here.us).chain(peers.keys().copied()).collect());
        if !self.to_driver(ToDriver::Encoded { to: None, frame }) {
            self.here.counters.video_skipped.add(1);
            if let Some(sending) = self.sending() {
                sending.want_keyframe();
            }
        }
        // Whoever prepares to follow needs it; the next one is as good.
        let _ = self.to_driver(ToDriver::Mixer(state));
    }

    fn handle_sound(
        &mut self,
        now: Instant,
        for_peer: SenderId,
        is_shared: bool,
        seq: SeqNo,
        sound: AudioFrame,
    ) {
        if let Duty::Prepare(preparation) = &mut self.duty {
            preparation.note_mixed();
        }
        let shown = self.duty.shows(Part::Sound, sound.time);
        if for_peer == self.here.us {
            return match self.duty {
                Duty::Own => self.front.play_alone(now, sound),
                _ => self.front.play_ours(now, sound),
            };
        }
        let Some(&peer) = self.peers.get(&for_peer) else { return };
        // In the dark too: the encoders are to be warm.
        let frame =
            self.sending().and_then(|sending| sending.sound(for_peer, is_shared, seq, &sound));
        if let Some(frame) = frame
            && shown.is_some()
            && !self.to_driver(ToDriver::Encoded { to: Some(peer), frame })
        {
            self.here.counters.audio_overrun.add(1);
        }
    }

    fn handle_info(&mut self, info: MixInfo) {
        if self.duty.shows(Part::Picture, info.time).is_some()
            && !self.to_driver(ToDriver::MixInfo(info))
        {
            self.here.counters.audio_overrun.add(1);
        }
    }
}
