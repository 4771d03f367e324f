//! The driver: owns the session, reads the clock, and moves what comes out of the
//! session to where it belongs.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use paceline_playout::terminal::sanitize;
use paceline_session::{
    Event as SessionEvent, Input, Member, Output, ReceiveStats, Recipients, Role, Roster, Session,
};
use paceline_signaling::{Client, ClientEvent, ClientOutput, ConnectError, Connection};
use paceline_transport::{SendError, Transport, WebRtc};
use paceline_types::{
    ConnectionEvent, ConnectionOp, PeerId, SenderId, Signal, StreamId, StreamKey,
};
use tokio::sync::{mpsc, oneshot};
use tracing::{debug, warn};

use crate::broadcast::{Patience, PublisherStats, ViewerStats};
use crate::counters::{Counters, JoinTimeline, Stats};
use crate::event::{Event, EventQueue, Events};
use crate::speaker::Speaker;
use crate::wire::{ForAll, Frames, Read, StageSender, Switches, ToDriver, ToStage};

/// Everything that lives as long as the call. `F` takes frames when they are due, and `E`
/// tells the program: the stage thread and a queue, or in a broadcast the program itself.
#[derive(Debug)]
pub(crate) struct Driver<F = StageSender, E = EventQueue> {
    pub(crate) session: Session,
    pub(crate) transport: WebRtc,
    pub(crate) client: Client,
    pub(crate) connection: Option<Connection>,
    pub(crate) inputs: mpsc::Receiver<ToDriver>,
    pub(crate) stage: F,
    pub(crate) events: E,
    pub(crate) counters: Arc<Counters>,
    pub(crate) switches: Switches,
    pub(crate) us: (PeerId, SenderId),
    /// When `join` was called.
    pub(crate) began: Instant,
    pub(crate) speaker: Speaker,
    pub(crate) names: Vec<(PeerId, SenderId, String)>,
    pub(crate) timeline: JoinTimeline,
    pub(crate) patience: Patience,
    /// What waits until those who are behind have caught up, or were waited for enough.
    pub(crate) held: VecDeque<ForAll>,
}

/// What woke the driver.
enum Wake {
    Deadline,
    Input(Option<ToDriver>),
    Read(Read),
    /// The program has taken something: there is room again.
    Room,
    Signaling(Option<Result<String, ConnectError>>),
    Transport,
}

impl<F: Frames, E: Events> Driver<F, E> {
    /// Runs until the room is left, by us or by the room.
    pub(crate) async fn run(mut self, roster: Roster) {
        // Whatever ends this task, the program and the stage thread hear of it.
        let _farewell = Farewell { events: self.events.clone(), stage: self.stage.clone() };
        self.handle(Input::Joined(roster));
        let mut leaving = None;
        while leaving.is_none() && !self.is_over() {
            match self.wait().await {
                // What came before is heard first, or a peer would seem silent because we
                // were late.
                Wake::Deadline => {
                    self.hear();
                    self.handle(Input::Timeout);
                }
                Wake::Input(None) => leaving = Some(None),
                Wake::Input(Some(ToDriver::Leave(done))) => leaving = Some(Some(done)),
                Wake::Input(Some(input)) => self.handle_command(input),
                Wake::Signaling(Some(Ok(text))) => self.handle_signaling(&text),
                Wake::Signaling(Some(Err(error))) => self.lose_signaling(&error.to_string()),
                Wake::Signaling(None) => self.lose_signaling("the server closed the connection"),
                Wake::Read(Read { from: Some(peer), packets, bytes }) => {
                    self.handle(Input::Consumed { peer, packets, bytes });
                }
                Wake::Read(_) => {}
                Wake::Room | Wake::Transport => {
                    self.hear();
                    let due = self.session.poll_timeout().map(|(at, _)| at);
                    if due.is_some_and(|at| at <= clock()) {
                        self.handle(Input::Timeout);
                    }
                }
            }
            self.send_held();
        }
        self.leave(leaving.flatten()).await;
    }

    /// Nobody is left, and nobody can come any more.
    fn is_over(&self) -> bool {
        self.events.is_over() || self.connection.is_none() && self.session.is_alone()
    }

    /// Takes what the transport has to tell, but not for ever: peers that flood must not
    /// keep us from the rest.
    fn hear(&mut self) {
        for _ in 0..EVENT_BATCH {
            if !self.stage.has_room() {
                break;
            }
            let Some((peer, event)) = self.transport.poll_event() else { break };
            self.handle(Input::Connection { peer, event });
        }
    }

    async fn wait(&mut self) -> Wake {
        let patient = (!self.held.is_empty()).then(|| self.patience.until(clock())).flatten();
        let due = self.session.poll_timeout().map(|(at, _)| at);
        let deadline = [patient, due].into_iter().flatten().min();
        // A program that takes nothing is brought nothing: what comes waits in the
        // transport, whose window then holds the other end back.
        let has_room = self.stage.has_room();
        tokio::select! {
            () = sleep_until(deadline), if has_room => Wake::Deadline,
            () = self.transport.ready(), if has_room => Wake::Transport,
            () = self.stage.room(), if !has_room => Wake::Room,
            read = self.stage.read() => Wake::Read(read),
            input = self.inputs.recv() => Wake::Input(input),
            message = receive(&mut self.connection) => Wake::Signaling(message),
        }
    }

    fn handle(&mut self, input: Input) {
        let now = clock();
        self.note_step(now, &input);
        let is_message =
            matches!(&input, Input::Connection { event: ConnectionEvent::Message(_), .. });
        self.session.handle_input(now, input);
        if is_message {
            self.note_first_frame(now);
        }
        while let Some(output) = self.session.poll_output() {
            self.apply(now, output);
        }
        self.flush_signaling();
    }

    fn apply(&mut self, now: Instant, output: Output) {
        match output {
            Output::Transmit { peer, bytes } => {
                match self.transport.try_send(now, peer, bytes) {
                    Ok(()) => {}
                    // He has just closed: what was on its way is lost with the connection.
                    Err(error @ SendError::NotOpen) => debug!(%peer, %error, "nobody is there"),
                    Err(error) => self.handle_refused(now, peer, error),
                }
            }
            Output::Connection { peer, op } => self.transport.apply(now, peer, op),
            Output::Signal { peer, signal } => self.client.send(peer, signal),
            Output::Decode { stream, due, frame } => {
                let received = if frame.coding.is_audio() {
                    &self.counters.audio_received
                } else {
                    &self.counters.video_received
                };
                received.add(1);
                if !frame.coding.is_audio() && !self.session.is_host() {
                    self.note_first_picture(now);
                }
                self.to_stage(ToStage::Decode { stream, due, frame });
            }
            Output::Lost { stream, count } => self.to_stage(ToStage::Lost { stream, count }),
            Output::Rate { stream, rate } => self.to_stage(ToStage::Rate { stream, rate }),
            Output::Steer { stream: StreamId::MIX_VIDEO, target } => {
                self.to_stage(ToStage::Steer(target));
            }
            Output::Steer { target, .. } if target.keyframe => self.switches.want_keyframe(),
            Output::Role { role, .. } => {
                self.switches.set_hosting(F::MIXES && role == Role::Host);
                self.to_stage(ToStage::Role { role, us: self.us.1 });
            }
            Output::Event(event) => self.handle_event(now, event),
            _ => {}
        }
    }

    /// The transport refused a message that was promised to arrive. The session keeps below
    /// its limits, so this is a bug; the connection must not go on as if nothing were
    /// missing.
    fn handle_refused(&mut self, now: Instant, peer: PeerId, error: SendError) {
        warn!(%peer, %error, "a message was not taken: the connection is closed");
        self.counters.transport_refused.add(1);
        self.transport.apply(now, peer, ConnectionOp::Close);
        let reason = format!("our transport refused a message: {error}");
        let event = ConnectionEvent::Closed { reason };
        self.session.handle_input(now, Input::Connection { peer, event });
    }

    fn handle_event(&mut self, now: Instant, event: SessionEvent) {
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
            SessionEvent::HostChanged { host } => {
                if std::mem::take(&mut self.speaker).is_anybody() {
                    self.events.push(Event::Speaking { sender: None, name: None });
                }
                Event::HostChanged { host, us: host == Some(self.us.0) }
            }
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

    fn handle_mix_info(&mut self, now: Instant, info: &paceline_types::MixInfo) {
        if let Some(sender) = self.speaker.handle_mix_info(now, info) {
            let name = |sender| self.names.iter().find(|(_, other, _)| *other == sender);
            let name = sender.and_then(name).map(|(.., name)| name.clone());
            self.events.push(Event::Speaking { sender, name });
        }
    }

    fn handle_command(&mut self, command: ToDriver) {
        match command {
            ToDriver::Encoded { to, frame } => {
                if !frame.coding.is_audio() {
                    let peers = to.map_or_else(|| self.session.peer_stats().len(), |_| 1);
                    self.counters.video_sent.add(peers as u64);
                }
                let to = to.map_or(Recipients::All, Recipients::One);
                self.handle(Input::Encoded { to, frame });
            }
            // It goes at the end of this turn, if nobody is waited for.
            ToDriver::Data(data) => self.held.push_back(data),
            ToDriver::Hosting(on) => {
                self.client.set_hosting(on);
                self.flush_signaling();
            }
            ToDriver::MixInfo(info) => {
                let now = clock();
                if self.session.is_host() {
                    self.note_first_picture(now);
                }
                self.handle_mix_info(now, &info);
                self.events.push(Event::MixInfo(info.clone()));
                self.handle(Input::MixInfo(info));
            }
            ToDriver::NeedsKeyframe(stream) => self.handle(Input::NeedsKeyframe(stream)),
            ToDriver::NetworkChanged => self.handle(Input::NetworkChanged),
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

    fn send_held(&mut self) {
        while !self.held.is_empty()
            && self.patience.until(clock()).is_none()
            && let Some(ForAll { channel, data, taken }) = self.held.pop_front()
        {
            self.handle(Input::Data { to: Recipients::All, channel, data });
            // Who has stopped waiting does not want to know.
            let _ = taken.send(());
        }
    }

    fn handle_signaling(&mut self, text: &str) {
        if let Err(error) = self.client.handle_text(text) {
            debug!(%error, "the signalling server said something odd");
        }
        self.flush_signaling();
    }

    /// Sends what the client has to send, and lets the session hear what it heard.
    fn flush_signaling(&mut self) {
        while let Some(output) = self.client.poll_output() {
            let now = clock();
            match output {
                ClientOutput::Send(text) => {
                    let Some(connection) = &mut self.connection else { continue };
                    if let Err(error) = connection.try_send(text) {
                        self.lose_signaling(&error.to_string());
                    }
                }
                ClientOutput::Event(event) => {
                    if let Some(input) = self.input_of(event) {
                        self.note_step(now, &input);
                        self.session.handle_input(now, input);
                        while let Some(output) = self.session.poll_output() {
                            self.apply(now, output);
                        }
                    }
                }
                _ => {}
            }
        }
    }

    fn input_of(&self, event: ClientEvent) -> Option<Input> {
        Some(match event {
            ClientEvent::Host { host, epoch } => Input::Host { host, epoch },
            ClientEvent::PeerJoined(member) => Input::MemberJoined(member_of(member)),
            ClientEvent::PeerLeft { peer, .. } => Input::MemberLeft(peer),
            ClientEvent::Signal { from, signal } => Input::Signal { peer: from, signal },
            ClientEvent::HostRefused { message, .. } => {
                let message = sanitize(&message, MAX_REASON);
                self.events.push(Event::Warning(format!("we do not host: {message}")));
                return None;
            }
            ClientEvent::SendFailed { to, message, .. } => {
                debug!(%to, message, "a signal did not arrive");
                return None;
            }
            _ => return None,
        })
    }

    /// Connections that are up stay up: the call goes on, and nobody new comes.
    fn lose_signaling(&mut self, reason: &str) {
        if self.connection.take().is_some() {
            warn!(reason, "the signalling server is gone");
            let then = if self.session.is_alone() {
                "and nobody is connected: the call is over"
            } else {
                "the call goes on, but nobody can join it"
            };
            self.events.push(Event::Warning(format!("{reason}; {then}")));
        }
    }

    async fn leave(mut self, done: Option<oneshot::Sender<Stats>>) {
        let stats = self.stats();
        self.switches.set_in_room(false);
        self.handle(Input::Leave);
        self.client.leave();
        self.flush_signaling();
        if let Some(connection) = self.connection.take() {
            connection.close().await;
        }
        self.transport.shutdown().await;
        if let Some(done) = done {
            // Whoever asked may have stopped waiting.
            let _ = done.send(stats);
        }
    }

    /// Notes what only an input tells of how far joining has come, and who is there: the
    /// session may refuse somebody before it says who it is.
    fn note_step(&mut self, now: Instant, input: &Input) {
        let step = match input {
            Input::Joined(roster) => {
                let members = roster.members.iter();
                return self.names.extend(members.map(|m| (m.peer, m.sender, m.name.clone())));
            }
            Input::MemberJoined(Member { peer, sender, name }) => {
                return self.names.push((*peer, *sender, name.clone()));
            }
            Input::Signal { signal: Signal::Answer { .. } | Signal::Offer { .. }, .. } => {
                &mut self.timeline.described
            }
            Input::Connection { event: ConnectionEvent::Open, .. } => &mut self.timeline.channel,
            _ => return,
        };
        step.get_or_insert(now - self.began);
    }

    /// Notes when the first picture of the mix, in a mesh of anybody, is there, and looks
    /// no more then.
    fn note_first_frame(&mut self, now: Instant) {
        let waits = self.timeline.connected.is_some() && self.timeline.first_frame.is_none();
        if !waits || self.session.is_host() {
            return;
        }
        let streams = self.session.receive_stats();
        let is_there = |(key, stats): &(StreamKey, ReceiveStats)| {
            matches!(key.stream, StreamId::MIX_VIDEO | StreamId::VIDEO) && stats.frames > 0
        };
        if streams.iter().any(is_there) {
            self.timeline.first_frame = Some(now - self.began);
        }
    }

    fn note_first_picture(&mut self, now: Instant) {
        self.timeline.due.get_or_insert(now - self.began);
    }

    fn to_stage(&self, message: ToStage) {
        if !self.stage.send(message) {
            self.counters.stage_overrun.add(1);
        }
    }

    /// Without what only the program's end knows.
    fn viewers(&self) -> PublisherStats {
        let names: BTreeMap<_, _> =
            self.names.iter().map(|(peer, _, name)| (*peer, name)).collect();
        let qualities: BTreeMap<_, _> = self.session.qualities().into_iter().collect();
        let viewer = |(peer, connection)| ViewerStats {
            peer,
            name: names.get(&peer).map(|&name| name.clone()).unwrap_or_default(),
            outstanding: self.transport.outstanding(peer),
            quality: qualities.get(&peer).copied(),
            connection,
        };
        PublisherStats {
            viewers: self.session.peer_stats().into_iter().map(viewer).collect(),
            mesh: self.session.mesh_stats(),
            transport_refused: self.counters.transport_refused.get(),
            ..PublisherStats::default()
        }
    }

    fn stats(&self) -> Stats {
        Stats {
            media: self.counters.media(),
            connect: self.timeline.connected,
            first_picture: self.timeline.due,
            timeline: JoinTimeline {
                shown: self.counters.shown.get().map(|&at| at - self.began),
                ..self.timeline
            },
            peers: self.session.peer_stats(),
            qualities: self.session.qualities(),
            mesh: self.session.mesh_stats(),
            transport_refused: self.counters.transport_refused.get(),
            streams: self.session.receive_stats(),
            session: self.session.stats(),
            reported_lost: self.session.path_reports().iter().map(|(_, _, path)| path.lost).sum(),
        }
    }
}

/// Says at the end that this is the end.
struct Farewell<F: Frames, E: Events> {
    events: E,
    stage: F,
}

impl<F: Frames, E: Events> Drop for Farewell<F, E> {
    fn drop(&mut self) {
        // A stage thread that is gone already needs no telling.
        let _ = self.stage.send(ToStage::Quit);
        let reason = if std::thread::panicking() { "of a bug in paceline" } else { "we left" };
        self.events.push(Event::Closed { reason: reason.to_owned() });
    }
}

/// Signalling's member, as the session has it.
pub(crate) fn member_of(member: paceline_signaling::Member) -> paceline_session::Member {
    let paceline_signaling::Member { peer, sender, name, .. } = member;
    paceline_session::Member { peer, sender, name }
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}

async fn receive(connection: &mut Option<Connection>) -> Option<Result<String, ConnectError>> {
    match connection {
        Some(connection) => connection.recv().await,
        None => std::future::pending().await,
    }
}

/// Events of the transport that are taken before anything else has its turn.
const EVENT_BATCH: usize = 256;

/// Columns of a server's reason that are shown: three lines of a usual terminal.
pub(crate) const MAX_REASON: usize = 240;

#[expect(clippy::disallowed_methods, reason = "the driver is one of the loops that read the clock")]
pub(crate) fn clock() -> Instant {
    Instant::now()
}
