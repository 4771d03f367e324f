//! What the room and its threads want.

use paceline_session::{Input, Recipients, Topology};
use paceline_types::{StreamId, StreamKey};

use super::departure::Then;
use super::{Driver, clock};
use crate::event::{Event, Events};
use crate::wire::{ForAll, Frames, ToDriver, ToStage};

impl<F: Frames, E: Events> Driver<F, E> {
    pub(super) fn handle_command(&mut self, command: ToDriver) {
        match command {
            ToDriver::Encoded { to, frame } => {
                if !frame.coding.is_audio() {
                    // A member of a star sends his to the host alone.
                    let is_for_one =
                        self.topology == Topology::Star && frame.stream == StreamId::VIDEO;
                    let all = || if is_for_one { 1 } else { self.session.peer_stats().len() };
                    self.counters.video_sent.add(to.map_or_else(all, |_| 1) as u64);
                }
                let to = to.map_or(Recipients::All, Recipients::One);
                self.handle(Input::Encoded { to, frame });
            }
            // It goes at the end of this turn, if nobody is waited for.
            ToDriver::Data(data) => self.held.push_back(data),
            ToDriver::HandOver => self.hand_over(),
            ToDriver::Hosting(true) => {
                // Who stays is not to go any more.
                self.departure.take_if(|departure| matches!(departure.then, Then::StopHosting));
                self.handle(Input::MayHost(true));
            }
            ToDriver::Hosting(false) => self.go(Then::StopHosting),
            ToDriver::MixInfo(info) => {
                let now = clock();
                if self.session.is_host() {
                    self.note_first_picture(now);
                }
                self.handle_mix_info(now, &info);
                self.events.push(Event::MixInfo(info.clone()));
                self.handle(Input::MixInfo(info));
            }
            ToDriver::Mixer(state) => self.handle(Input::Mixer(state)),
            ToDriver::NeedsKeyframe(stream) => self.handle(Input::NeedsKeyframe(stream)),
            ToDriver::NetworkChanged => self.handle(Input::NetworkChanged),
            ToDriver::StageReady { epoch, missing } => {
                self.handle(Input::StageReady { epoch, missing });
            }
            ToDriver::Stats(reply) => drop(reply.send(self.stats())),
            ToDriver::Viewers(reply) => drop(reply.send(self.viewers())),
            ToDriver::TrackState { stream, enabled } => {
                self.handle(Input::TrackState { stream, enabled });
                let stream = StreamKey { sender: self.us.1, stream };
                self.to_stage(ToStage::TrackState { stream, enabled });
            }
            // The loop takes it.
            ToDriver::Leave(_) => {}
        }
    }

    fn hand_over(&mut self) {
        let reason = if self.session.is_retiring() {
            // What came of the one before has been told.
            return;
        } else if !self.session.is_host() {
            "somebody else hosts, or nobody"
        } else if self.session.standby().is_none() {
            "nobody is ready to follow"
        } else {
            return self.handle(Input::HandOver);
        };
        self.events.push(Event::HandoverAborted { reason: reason.to_owned() });
    }

    pub(super) fn send_held(&mut self) {
        while !self.held.is_empty()
            && self.patience.until(clock()).is_none()
            && let Some(ForAll { channel, data, taken }) = self.held.pop_front()
        {
            self.handle(Input::Data { to: Recipients::All, channel, data });
            // Who has stopped waiting does not want to know.
            let _ = taken.send(());
        }
    }
}
