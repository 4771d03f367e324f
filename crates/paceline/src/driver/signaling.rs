//! The signalling server, as the driver hears it.

use paceline_playout::terminal::sanitize;
use paceline_session::Input;
use paceline_signaling::{Capabilities, ClientEvent, ClientOutput};
use tracing::{debug, warn};

use super::{Driver, clock};
use crate::event::{Event, Events};
use crate::wire::Frames;

impl<F: Frames, E: Events> Driver<F, E> {
    pub(super) fn handle_signaling(&mut self, text: &str) {
        if let Err(error) = self.client.handle_text(text) {
            debug!(%error, "the signalling server said something odd");
        }
        self.flush_signaling();
    }

    /// Sends what the client has to send, and lets the session hear what it heard.
    pub(super) fn flush_signaling(&mut self) {
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

    pub(super) fn input_of(&self, event: ClientEvent) -> Option<Input> {
        Some(match event {
            ClientEvent::Host { host, epoch } => Input::Host { host, epoch },
            ClientEvent::PeerJoined(member) => Input::MemberJoined(member_of(member)),
            ClientEvent::PeerLeft { peer, .. } => Input::MemberLeft(peer),
            ClientEvent::Witness(reply) => Input::Witness(reply),
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
    pub(super) fn lose_signaling(&mut self, reason: &str) {
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
}

/// Signalling's member, as the session has it.
pub(crate) fn member_of(member: paceline_signaling::Member) -> paceline_session::Member {
    let paceline_signaling::Member { peer, sender, name, capabilities, .. } = member;
    let Capabilities { host: may_host, nat, .. } = capabilities;
    paceline_session::Member { peer, sender, name, may_host, nat: nat.map(|nat| nat.state(peer)) }
}

/// Columns of a server's reason that are shown: three lines of a usual terminal.
pub(crate) const MAX_REASON: usize = 240;
