//! What comes out of the session, and where it goes.

use std::time::Instant;

use paceline_playout::terminal::sanitize;
use paceline_session::{AbortReason, Event as SessionEvent, Input, Output, StageOrder};
use paceline_transport::{SendError, Transport};
use paceline_types::{ConnectionEvent, ConnectionOp, PacketKind, PeerId, StreamId, StreamKey};
use tracing::{debug, warn};

use super::Driver;
use crate::event::{Event, Events};
use crate::wire::{Frames, ToStage};

impl<F: Frames, E: Events> Driver<F, E> {
    pub(super) fn apply(&mut self, now: Instant, output: Output) {
        match output {
            Output::Transmit { peer, kind, bytes } => {
                match self.transport.try_send(now, peer, kind, bytes) {
                    Ok(()) => {}
                    // He has just closed: what was on its way is lost with the connection.
                    Err(error @ SendError::NotOpen) => debug!(%peer, %error, "nobody is there"),
                    // As if the network had lost it.
                    Err(error) if kind != PacketKind::Message => {
                        debug!(%peer, %error, ?kind, "a packet was not taken");
                        self.counters.rtp_refused.add(1);
                    }
                    Err(error) => self.handle_refused(now, peer, error),
                }
            }
            Output::Connection { peer, op } => self.transport.apply(now, peer, op),
            Output::Signal { peer, signal } => {
                if let Some(place) = self.gathered.handle_signal(self.us.0, &signal) {
                    self.session.handle_input(now, Input::Nat(place));
                }
                self.client.send(peer, signal);
            }
            Output::Crossfade { stream, due, arrival, old, new, epoch } => {
                self.counters.audio_received.add(1);
                self.to_stage(ToStage::Crossfade { stream, due, arrival, old, new, epoch });
            }
            Output::Decode { stream, due, arrival, frame, epoch } => {
                let received = if frame.coding.is_audio() {
                    &self.counters.audio_received
                } else {
                    &self.counters.video_received
                };
                received.add(1);
                if !frame.coding.is_audio() && !self.session.is_host() {
                    self.note_first_picture(now);
                }
                self.to_stage(ToStage::Decode { stream, due, arrival, frame, epoch });
            }
            Output::Lost { stream, count } => self.to_stage(ToStage::Lost { stream, count }),
            Output::Rate { stream, rate } => self.to_stage(ToStage::Rate { stream, rate }),
            Output::Steer { stream: StreamId::MIX_VIDEO, target } => {
                self.to_stage(ToStage::Steer(target));
            }
            Output::Steer { target, .. } => {
                if let Some(bitrate) = target.bitrate {
                    self.switches.set_video_bitrate(bitrate);
                }
                if target.keyframe {
                    self.switches.want_keyframe();
                }
            }
            Output::Stage(order) => {
                if !matches!(order, StageOrder::Host { .. } | StageOrder::Prepare { .. }) {
                    // The next host needs our own picture from now on, not from when the
                    // stage thread comes to hear of it.
                    self.switches.set_shows_own(false);
                }
                self.to_stage(ToStage::Order(order));
            }
            Output::OneWay(delay) => self.to_stage(ToStage::OneWay(delay)),
            Output::VideoAlsoTo(who) => self.switches.set_lends_picture(who.is_some()),
            Output::Witness(request) => self.client.witness(request),
            Output::Event(event) => self.handle_event(now, event),
            _ => {}
        }
    }

    /// The transport refused a message that was promised to arrive. The session keeps below
    /// its limits, so this is a bug; the connection must not go on as if nothing were
    /// missing.
    pub(super) fn handle_refused(&mut self, now: Instant, peer: PeerId, error: SendError) {
        warn!(%peer, %error, "a message was not taken: the connection is closed");
        self.counters.transport_refused.add(1);
        self.transport.apply(now, peer, ConnectionOp::Close);
        let reason = format!("our transport refused a message: {error}");
        let event = ConnectionEvent::Closed { reason };
        self.session.handle_input(now, Input::Connection { peer, event });
    }

    pub(super) fn handle_event(&mut self, now: Instant, event: SessionEvent) {
        let event = match event {
            SessionEvent::Data { peer, channel, data, .. } => {
                let bytes = data.len();
                if !self.stage.data(peer, channel, data) {
                    self.session.handle_input(now, Input::Consumed { peer, packets: 1, bytes });
                }
                return;
            }
            SessionEvent::Congested { peer } => return self.patience.handle_congested(now, peer),
            SessionEvent::Drained { peer } => return self.patience.handle_drained(now, peer),
            SessionEvent::Connected { peer, sender } => {
                self.timeline.connected.get_or_insert(now - self.began);
                self.switches.set_in_room(true);
                self.to_stage(ToStage::Connected { peer, sender });
                Event::Connected { peer }
            }
            SessionEvent::Disconnected { peer, sender, reason, again } => {
                self.patience.handle_gone(peer);
                self.to_stage(ToStage::Gone { sender });
                self.switches.set_in_room(!self.session.peer_stats().is_empty());
                Event::Disconnected { peer, reason, again }
            }
            SessionEvent::HostChanged { host, epoch, planned, last_heard, suspected } => {
                self.host_changes += 1;
                if std::mem::take(&mut self.speaker).is_anybody() {
                    self.events.push(Event::Speaking { sender: None, name: None });
                }
                let since = |from: Option<Instant>, to: Instant| {
                    from.map(|from| to.saturating_duration_since(from))
                };
                Event::HostChanged {
                    host,
                    us: host == Some(self.us.0),
                    epoch,
                    planned,
                    detect: suspected.and_then(|at| since(last_heard, at)),
                    promote: since(suspected, now),
                }
            }
            SessionEvent::HandoverAborted { reason } => {
                self.settle();
                let reason = match reason {
                    AbortReason::Refused => "who was to follow cannot",
                    AbortReason::Superseded => "another hosts already",
                    AbortReason::TimedOut => "who was to follow was not ready in time",
                    _ => "it did not come about",
                };
                Event::HandoverAborted { reason: reason.to_owned() }
            }
            SessionEvent::Retired => return self.drain(now),
            SessionEvent::MemberJoined { peer, sender, name } => {
                Event::MemberJoined { peer, sender, name }
            }
            SessionEvent::MemberLeft { peer, sender, name } => {
                self.names.retain(|&(_, other, _)| other != sender);
                Event::MemberLeft { peer, sender, name }
            }
            SessionEvent::MixInfo(info) => {
                self.handle_mix_info(now, &info);
                Event::MixInfo(info)
            }
            SessionEvent::Reconnecting { peer } => Event::Reconnecting { peer },
            SessionEvent::Reconnected { peer } => Event::Reconnected { peer },
            SessionEvent::Refused { peer, reason } => {
                let person = self.names.iter().find(|(other, ..)| *other == peer);
                let name = person.map_or("somebody", |(.., name)| name);
                Event::Warning(format!("{} is not connected: {reason}", sanitize(name, 64)))
            }
            SessionEvent::TrackState { stream: StreamKey { sender, stream }, enabled } => {
                let key = StreamKey { sender, stream };
                self.to_stage(ToStage::TrackState { stream: key, enabled });
                Event::TrackState { sender, stream, enabled }
            }
            _ => return,
        };
        self.events.push(event);
    }

    pub(super) fn handle_mix_info(&mut self, now: Instant, info: &paceline_types::MixInfo) {
        if let Some(sender) = self.speaker.handle_mix_info(now, info) {
            let name = |sender| self.names.iter().find(|(_, other, _)| *other == sender);
            let name = sender.and_then(name).map(|(.., name)| name.clone());
            self.events.push(Event::Speaking { sender, name });
        }
    }

    pub(super) fn to_stage(&self, message: ToStage) {
        if !self.stage.send(message) {
            self.counters.stage_overrun.add(1);
        }
    }
}
